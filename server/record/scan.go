package record

import (
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// end is what a scanner's next and peek give at the end of the document.
const end = -1

const (
	maxTokenBytes  = 1 << 10 // of a number
	maxStringBytes = 1 << 20 // of a string, however long the schema allows it to be
)

// scanner takes JSON apart. It knows tokens, and nothing of how they belong together.
type scanner struct {
	from   io.Reader
	max    int64 // bytes of the document
	buf    []byte
	at     int
	before int64 // bytes of the document in front of buf
	err    error // why there is no more: io.EOF, the reader's error, or a limit
	tok    []byte
}

func newScanner(from io.Reader, maxBytes int64) *scanner {
	return &scanner{from: from, max: maxBytes, buf: make([]byte, 0, 64<<10)}
}

// offset is how many bytes have been taken.
func (s *scanner) offset() int64 { return s.before + int64(s.at) }

// fill brings more of the document and says whether there is any.
func (s *scanner) fill() bool {
	for empty := 0; s.err == nil; empty++ {
		s.before += int64(len(s.buf))
		s.at = 0
		room := min(int64(cap(s.buf)), s.max-s.before+1) // one more than is allowed tells that there is more
		n, err := s.from.Read(s.buf[:room])
		s.buf = s.buf[:n]
		s.err = err
		if s.before+int64(n) > s.max {
			s.buf = s.buf[:n-1]
			s.err = fmt.Errorf("document of more than %d bytes: %w", s.max, ErrLimit)
		}
		if len(s.buf) > 0 {
			return true
		}
		if empty == 100 && s.err == nil {
			s.err = io.ErrNoProgress
		}
	}
	return false
}

// peek is the next byte, or end.
func (s *scanner) peek() int {
	if s.at == len(s.buf) && !s.fill() {
		return end
	}
	return int(s.buf[s.at])
}

// next takes a byte.
func (s *scanner) next() int {
	c := s.peek()
	if c != end {
		s.at++
	}
	return c
}

// space takes white space and gives the byte behind it, without taking that.
func (s *scanner) space() int {
	for {
		switch c := s.peek(); c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
}

// unexpected is the error of a byte that cannot be there. At the end of what was read it is why that ended.
func (s *scanner) unexpected(c int, where string) error {
	switch {
	case c == end && s.err != io.EOF:
		return s.err
	case c == end:
		return fmt.Errorf("the document ends %s: %w", where, ErrMalformed)
	case c < ' ' || c > '~':
		return fmt.Errorf("byte 0x%02x %s: %w", c, where, ErrMalformed)
	default:
		return fmt.Errorf("%q %s: %w", rune(c), where, ErrMalformed)
	}
}

// punctuation takes a mark that has to come next.
func (s *scanner) punctuation(mark byte) error {
	if c := s.space(); c != int(mark) {
		return s.unexpected(c, fmt.Sprintf("where %q is due", rune(mark)))
	}
	s.at++
	return nil
}

// word takes true, false or null.
func (s *scanner) word(word string) error {
	for i := range len(word) {
		if c := s.next(); c != int(word[i]) {
			return s.unexpected(c, "in place of "+word)
		}
	}
	return nil
}

// number takes a number, as RFC 8259 has them. It is valid until the next token is taken.
func (s *scanner) number() ([]byte, error) {
	s.tok = s.tok[:0]
	if s.peek() == '-' {
		s.take()
	}
	switch c := s.peek(); {
	case c == '0':
		s.take()
	case '1' <= c && c <= '9':
		s.digits()
	default:
		return nil, s.unexpected(c, "where a digit of a number is due")
	}
	if s.peek() == '.' {
		s.take()
		if n := s.digits(); n == 0 {
			return nil, s.unexpected(s.peek(), "where a decimal of a number is due")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.take()
		if c := s.peek(); c == '+' || c == '-' {
			s.take()
		}
		if n := s.digits(); n == 0 {
			return nil, s.unexpected(s.peek(), "where the exponent of a number is due")
		}
	}
	if len(s.tok) > maxTokenBytes {
		return nil, fmt.Errorf("number of more than %d characters: %w", maxTokenBytes, ErrLimit)
	}
	return s.tok, nil
}

// take puts the next byte, which is there, into the token.
func (s *scanner) take() {
	s.tok = append(s.tok, s.buf[s.at])
	s.at++
}

// digits takes digits and says how many. Of a number that is too long the rest is not kept.
func (s *scanner) digits() int {
	n := 0
	for s.peek() != end {
		run := s.buf[s.at:]
		i := 0
		for i < len(run) && '0' <= run[i] && run[i] <= '9' {
			i++
		}
		s.tok = append(s.tok, run[:min(i, max(maxTokenBytes+1-len(s.tok), 0))]...)
		n += i
		if s.at += i; i < len(run) {
			break
		}
	}
	return n
}

// string takes a string. It is valid until the next token is taken.
func (s *scanner) string() ([]byte, error) {
	if err := s.punctuation('"'); err != nil {
		return nil, err
	}
	s.tok = s.tok[:0]
	for {
		c := s.next()
		switch {
		case c == '"':
			if !utf8.Valid(s.tok) {
				return nil, fmt.Errorf("string %.40q is not UTF-8: %w", s.tok, ErrMalformed)
			}
			return s.tok, nil
		case c < ' ':
			return nil, s.unexpected(c, "within a string")
		case len(s.tok) >= maxStringBytes:
			return nil, fmt.Errorf("string of more than %d bytes: %w", maxStringBytes, ErrLimit)
		case c == '\\':
			r, err := s.escape()
			if err != nil {
				return nil, err
			}
			s.tok = utf8.AppendRune(s.tok, r)
		default:
			s.tok = append(s.tok, byte(c))
		}
	}
}

// escape takes what follows a backslash.
func (s *scanner) escape() (rune, error) {
	switch c := s.next(); c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		high, err := s.hex()
		if err != nil || !utf16.IsSurrogate(high) {
			return high, err
		}
		low := rune(0)
		if s.peek() == '\\' {
			s.at++
			if c := s.next(); c != 'u' {
				return 0, s.unexpected(c, "where the other half of a surrogate pair is due")
			}
			if low, err = s.hex(); err != nil {
				return 0, err
			}
		}
		r := utf16.DecodeRune(high, low)
		if r == utf8.RuneError {
			return 0, fmt.Errorf("half of a surrogate pair: %w", ErrMalformed)
		}
		return r, nil
	default:
		return 0, s.unexpected(c, "after a backslash")
	}
}

// hex takes four hexadecimal digits.
func (s *scanner) hex() (rune, error) {
	var r rune
	for range 4 {
		c := s.next()
		digit := rune(0)
		switch {
		case '0' <= c && c <= '9':
			digit = rune(c - '0')
		case 'a' <= c && c <= 'f':
			digit = rune(c - 'a' + 10)
		case 'A' <= c && c <= 'F':
			digit = rune(c - 'A' + 10)
		default:
			return 0, s.unexpected(c, "where a hexadecimal digit is due")
		}
		r = r<<4 | digit
	}
	return r, nil
}

// integer is the value of a number's text. ok is false of one that is none, such as 1.5; 1.0 and 1e3 are integers, as in JSON schemas. One that has
// more than 18 digits comes as ±10¹⁸, which is beyond all bounds.
func integer(text []byte) (n int64, ok bool) {
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	var digits []byte // significant ones: no zeros in front
	exponent := 0     // of ten, for the last digit
	decimals := false
	for i, c := range text {
		switch {
		case c == '.':
			decimals = true
		case c == 'e' || c == 'E':
			e, err := strconv.Atoi(string(text[i+1:]))
			if err != nil { // beyond the range of int: so is the number, or it is far below 1
				e = 1 << 40
				if text[i+1] == '-' {
					e = -e
				}
			}
			exponent += e
			text = nil
		default:
			if len(digits) > 0 || c != '0' {
				digits = append(digits, c)
			}
			if decimals {
				exponent--
			}
		}
		if text == nil {
			break
		}
	}
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
		exponent++
	}
	switch {
	case len(digits) == 0:
		return 0, true
	case exponent < 0:
		return 0, false
	case len(digits)+exponent > 18:
		n = 1e18
	default:
		for _, c := range digits {
			n = n*10 + int64(c-'0')
		}
		for range exponent {
			n *= 10
		}
	}
	if negative {
		n = -n
	}
	return n, true
}

// maxDouble is the largest number of a record, in decimal: it is read as the largest double, and longer texts that are read as it, too, are larger.
const maxDouble = "1.7976931348623157e308"

// double is the value of a number's text. ok is false of one that is beyond the range of doubles.
func double(text []byte) (v float64, ok bool) {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return 0, false
	}
	return v, !beyond(text, v, math.MaxFloat64, maxDouble)
}

// beyond says that a number, whose value is v, is farther from 0 than a bound, which is not 0. A text next to a bound has the bound as its value, whatever side it is on;
// the exact text of the bound decides then.
func beyond(text []byte, v, bound float64, exact string) bool {
	if math.Abs(v) != bound {
		return math.Abs(v) > bound
	}
	limit, _ := new(big.Rat).SetString(exact)
	number, ok := new(big.Rat).SetString(string(text)) // its exponent is not larger than the text is long, or v was another
	return !ok || number.Abs(number).Cmp(limit) > 0
}

// negative says that a number is below 0, by however little.
func negative(text []byte) bool {
	if text[0] != '-' {
		return false
	}
	for _, c := range text[1:] {
		switch {
		case '1' <= c && c <= '9':
			return true
		case c == 'e' || c == 'E':
			return false
		}
	}
	return false
}
