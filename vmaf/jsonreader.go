package vmaf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// jsonReader walks a JSON text value by value and knows where it is, so that errors name the member. Unlike
// json.Unmarshal it sees members that are given twice.
type jsonReader struct {
	decoder *json.Decoder
	path    []string // names and "[index]"es from the root

	// components is how many components of support vectors may still come: few bytes of text can ask for many.
	components int
}

// maxJSONDepth bounds the nesting of values that are passed over.
const maxJSONDepth = 64

func newJSONReader(r io.Reader) *jsonReader {
	d := json.NewDecoder(r)
	d.UseNumber()
	return &jsonReader{decoder: d}
}

// fail is an error at the current place.
func (j *jsonReader) fail(format string, args ...any) error {
	return badMember(j.place(), format, args...)
}

func (j *jsonReader) place() string {
	return strings.ReplaceAll(strings.Join(j.path, "."), ".[", "[")
}

// token is the next token. The end of the text is an error: callers ask only where there must be more.
func (j *jsonReader) token() (json.Token, error) {
	t, err := j.decoder.Token()
	if err == nil {
		return t, nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the text ends too early")
	}
	return nil, &ModelError{Member: j.place(), Err: fmt.Errorf("at byte %d: %w", j.decoder.InputOffset(), err)}
}

// object reads an object and calls member for each of its members, which must read the value. A member given twice is
// an error unless repeat allows it.
func (j *jsonReader) object(repeat bool, member func(name string) error) error {
	t, err := j.token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return j.fail("want an object, got %s", describe(t))
	}
	seen := map[string]bool{}
	for j.decoder.More() {
		t, err := j.token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok {
			return j.fail("want a member name, got %s", describe(t))
		}
		j.path = append(j.path, clip(name))
		if seen[name] && !repeat {
			return j.fail("given twice")
		}
		seen[name] = true
		if err := member(name); err != nil {
			return err
		}
		j.path = j.path[:len(j.path)-1]
	}
	_, err = j.token()
	return err
}

// array reads an array of at most limit elements and calls element for each, which must read it.
func (j *jsonReader) array(limit int, element func(i int) error) error {
	t, err := j.token()
	if err != nil {
		return err
	}
	if t != json.Delim('[') {
		return j.fail("want an array, got %s", describe(t))
	}
	return j.elements(limit, element)
}

// elements reads the rest of an array whose bracket has been read.
func (j *jsonReader) elements(limit int, element func(i int) error) error {
	for i := 0; j.decoder.More(); i++ {
		if i == limit {
			return j.fail("%w: more than %d elements", ErrTooLarge, limit)
		}
		j.path = append(j.path, fmt.Sprintf("[%d]", i))
		if err := element(i); err != nil {
			return err
		}
		j.path = j.path[:len(j.path)-1]
	}
	_, err := j.token()
	return err
}

func (j *jsonReader) number() (float64, error) {
	t, err := j.token()
	if err != nil {
		return 0, err
	}
	n, ok := t.(json.Number)
	if !ok {
		return 0, j.fail("want a number, got %s", describe(t))
	}
	v, err := parseNumber(n.String())
	if err != nil {
		return 0, &ModelError{Member: j.place(), Err: err}
	}
	return v, nil
}

// numbers reads an array of numbers.
func (j *jsonReader) numbers(limit int) (list []float64, err error) {
	err = j.array(limit, func(int) error {
		v, err := j.number()
		list = append(list, v)
		return err
	})
	return list, err
}

func (j *jsonReader) text() (string, error) {
	t, err := j.token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", j.fail("want a string, got %s", describe(t))
	}
	return s, nil
}

// skip passes over one value.
func (j *jsonReader) skip() error {
	for depth := 0; ; {
		t, err := j.token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxJSONDepth {
				return j.fail("%w: nested deeper than %d", ErrTooLarge, maxJSONDepth)
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// end requires that nothing but blanks follows.
func (j *jsonReader) end() error {
	switch t, err := j.decoder.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return &ModelError{Err: fmt.Errorf("at byte %d: %w", j.decoder.InputOffset(), err)}
	default:
		return j.fail("%s follows the model", describe(t))
	}
}

// describe names a token's kind for an error message.
func describe(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(t)
	case json.Number:
		return "the number " + clip(t.String())
	case string:
		return fmt.Sprintf("the string %q", clip(t))
	}
	return fmt.Sprintf("%q", fmt.Sprint(t))
}
