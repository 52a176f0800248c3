package vmaf

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

type optionKind uint8

const (
	boolOption optionKind = iota
	intOption
	floatOption
	textOption
)

// option is one row of an extractor's option table.
type option struct {
	key   string // full key, as option dictionaries and command lines have it
	short string // as feature names have it; empty: the full key
	kind  optionKind

	fallback value    // the default
	lo, hi   float64  // allowed range of a number, inclusive
	allowed  []string // allowed texts

	// unnamed options leave no trace in feature names.
	unnamed bool
	// additive options only make the extractor report more figures: those reported without it stay what they are.
	additive bool
	// applied options take effect when series are formed: raw figures do not depend on them.
	applied bool
}

// value is an option's value. Only the field of the option's kind is set, so that == compares values.
type value struct {
	number float64 // int and float options
	truth  bool
	text   string
}

// Constructors for the option tables.

func floatOpt(key, short string, fallback, lo, hi float64) option {
	return option{key: key, short: short, kind: floatOption, fallback: value{number: fallback}, lo: lo, hi: hi}
}

func intOpt(key, short string, fallback, lo, hi int) option {
	return option{key: key, short: short, kind: intOption, fallback: value{number: float64(fallback)}, lo: float64(lo), hi: float64(hi)}
}

func boolOpt(key, short string) option {
	return option{key: key, short: short, kind: boolOption}
}

// boolOnOpt is a boolean option that is on unless switched off.
func boolOnOpt(key string) option {
	return option{key: key, kind: boolOption, fallback: value{truth: true}}
}

func textOpt(key, short string, allowed ...string) option {
	return option{key: key, short: short, kind: textOption, fallback: value{text: allowed[0]}, allowed: allowed}
}

// debugOpt is the option that several extractors have: report intermediate figures too.
func debugOpt() option {
	return boolOpt("debug", "").addsFigures()
}

func (o option) withoutName() option {
	o.unnamed = true
	return o
}

// addsFigures marks an option that only makes the extractor report more.
func (o option) addsFigures() option {
	o.unnamed, o.additive = true, true
	return o
}

// atAssembly marks an option that raw figures do not depend on.
func (o option) atAssembly() option {
	o.applied = true
	return o
}

// parse reads an option's value from its text. The errors wrap [ErrOptionValue] and say what is allowed.
func (o option) parse(text string) (value, error) {
	switch o.kind {
	case boolOption:
		switch text {
		case "true":
			return value{truth: true}, nil
		case "false":
			return value{}, nil
		}
		return value{}, fmt.Errorf("%w: want true or false", ErrOptionValue)
	case textOption:
		if !slices.Contains(o.allowed, text) {
			return value{}, fmt.Errorf("%w: want one of %s", ErrOptionValue, strings.Join(o.allowed, ", "))
		}
		return value{text: text}, nil
	}
	stored, ok := storedNumber(text)
	if !ok {
		return value{}, fmt.Errorf("%w: not a number; want %s", ErrOptionValue, o.rangeText())
	}
	number, err := strconv.ParseFloat(stored, 64)
	if err != nil || number < o.lo || number > o.hi {
		return value{}, fmt.Errorf("%w: outside %s", ErrOptionValue, o.rangeText())
	}
	if number == 0 && math.Signbit(number) {
		return value{}, fmt.Errorf("%w: zero has no sign here; want %s", ErrOptionValue, o.rangeText())
	}
	if o.kind == intOption && number != math.Trunc(number) {
		return value{}, fmt.Errorf("%w: not a whole number; want %s", ErrOptionValue, o.rangeText())
	}
	return value{number: number}, nil
}

func (o option) rangeText() string {
	if o.hi == math.MaxFloat64 {
		return formatG(o.lo) + " and above"
	}
	return formatG(o.lo) + " … " + formatG(o.hi)
}

// format is the text of a value, as names and [Extraction.String] have it: %d, %g, or the text itself.
func (o option) format(v value) string {
	switch o.kind {
	case boolOption:
		return strconv.FormatBool(v.truth)
	case textOption:
		return v.text
	case intOption:
		return strconv.FormatInt(int64(v.number), 10)
	}
	return formatG(v.number)
}

// storedNumber is the form that a number given as text is kept in: read as a 32-bit float, then printed with six
// significant digits. 1.0 becomes "1", 0.123456789 becomes "0.123457", and that is the value extractors use. ok is
// false when text is not a plain decimal number.
//
// Source: spec/prediction.md §3, "Option text form".
func storedNumber(text string) (stored string, ok bool) {
	if !isDecimal(text) {
		return "", false
	}
	single, err := strconv.ParseFloat(text, 32)
	if err != nil && !math.IsInf(single, 0) { // beyond the largest number is infinite, and out of any range
		return "", false
	}
	return formatG(single), true
}

// formatG prints like C's %g: six significant digits, trailing zeros dropped.
func formatG(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// parseNumber reads a plain decimal number of double precision, correctly rounded. Words such as "inf",
// hexadecimal digits, underscores and blanks, which strconv or C would take, are refused, and so are numbers too
// large for a double.
func parseNumber(text string) (float64, error) {
	if !isDecimal(text) {
		return 0, fmt.Errorf("%q is not a number", clip(text))
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a finite number", clip(text))
	}
	return v, nil
}

// isDecimal reports whether text has only characters of decimal numbers; strconv judges their order.
func isDecimal(text string) bool {
	if text == "" {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9', c == '+', c == '-', c == '.', c == 'e', c == 'E':
		default:
			return false
		}
	}
	return true
}

// clip shortens a text that goes into an error message: it may come from anywhere.
func clip(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}
