package legacy

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// appendScore appends one score in libvmaf's number format, or with precision significant digits if that is not 0.
// Source: spec/legacy-logs.md §A.2.
func appendScore(b []byte, x float64, precision int) []byte {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return appendNonFinite(b, x)
	case precision != 0:
		// C's %.*g: strconv drops trailing zeros and turns to exponents at the same places.
		return strconv.AppendFloat(b, x, 'g', precision, 64)
	case leadingFraction(x) > 6:
		return strconv.AppendFloat(b, x, 'f', 16, 64)
	}
	return strconv.AppendFloat(b, x, 'f', 6, 64)
}

// appendFixed appends C's %.*f.
func appendFixed(b []byte, x float64, decimals int) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return appendNonFinite(b, x)
	}
	return strconv.AppendFloat(b, x, 'f', decimals, 64)
}

func appendNonFinite(b []byte, x float64) []byte {
	switch {
	case math.IsInf(x, 1):
		return append(b, "inf"...)
	case math.IsInf(x, -1):
		return append(b, "-inf"...)
	}
	return append(b, "nan"...)
}

// leadingFraction is the place after the decimal point of x's first digit that is not zero, 0 if it has no fraction.
//
// Repeated multiplication in double decides the border cases, so the loop must stay as it is. The integer part is cut
// off in 32 bits by libvmaf; a magnitude that does not fit counts as having no fraction.
func leadingFraction(x float64) int {
	y := math.Abs(x)
	if !(y < 1<<31) {
		return 0
	}
	n := 0
	for f := y - math.Trunc(y); f < 1 && f != 0; f *= 10 {
		n++
	}
	return n
}

// maxNumberBytes bounds the text of one number: the largest double has 309 digits before the point.
const maxNumberBytes = 400

// parseScore reads what C's printf writes for a double: decimal notation, with or without exponent, or one of its
// spellings of the values that are not finite. Go's own extensions (hexadecimal, underscores) are refused.
func parseScore(text []byte) (float64, error) {
	if len(text) > maxNumberBytes {
		return 0, fmt.Errorf("number of %d characters, longer than any that a log holds (%d): %w", len(text), maxNumberBytes, ErrMalformed)
	}
	if len(text) == 0 {
		return 0, fmt.Errorf("empty value: %w", ErrMalformed)
	}
	plain := true
	for _, c := range text {
		plain = plain && (c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E')
	}
	if !plain {
		switch string(text) {
		case "inf", "+inf", "Infinity", "INF":
			return math.Inf(1), nil
		case "-inf", "-Infinity", "-INF":
			return math.Inf(-1), nil
		case "nan", "-nan", "NaN", "NAN", "nan(ind)", "-nan(ind)": // the last two: Microsoft's C library
			return math.NaN(), nil
		}
		return 0, fmt.Errorf("%.40q is no number: %w", text, ErrMalformed)
	}
	x, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		if errors.Is(err, strconv.ErrRange) {
			return 0, fmt.Errorf("%.40q exceeds what a double holds: %w", text, ErrMalformed)
		}
		return 0, fmt.Errorf("%.40q is no number: %w", text, ErrMalformed)
	}
	return x, nil
}

// parseFrame reads a frame number.
func parseFrame(text []byte) (int, error) {
	if len(text) == 0 || len(text) > 10 {
		return 0, fmt.Errorf("%.40q is no frame number: %w", text, ErrMalformed)
	}
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%.40q is no frame number: %w", text, ErrMalformed)
		}
		n = n*10 + int(c-'0')
	}
	if n > math.MaxInt32 {
		return 0, fmt.Errorf("frame number %d exceeds %d: %w", n, math.MaxInt32, ErrMalformed)
	}
	return n, nil
}
