package legacy

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// readCSV reads a header and one row a frame. Every row must have a value for every column: libvmaf leaves a missing
// value out without a trace, so that nobody can tell which one it was.
//
// vmafossexec's rows have the size of the pictures between the number and the values.
func readCSV(in *input, b *builder) error {
	var names [][]byte
	first := 1 // column of a value
	if err := csvRow(in, nil, func(k int, field []byte) error {
		switch {
		case k == 0 && string(field) != "Frame":
			return fmt.Errorf("the first column is %.40q where libvmaf writes Frame: %w", field, ErrMalformed)
		case k == 0:
			return nil
		case k == 1 && string(field) == "Width":
			b.vmafossexec()
			first = 3
			return nil
		case k == 2 && first == 3:
			if string(field) != "Height" {
				return fmt.Errorf("%.40q after the column Width, where vmafossexec writes Height: %w", field, ErrMalformed)
			}
			return nil
		case !utf8.Valid(field):
			return fmt.Errorf("name %q is not valid UTF-8: %w", field, ErrMalformed)
		}
		if _, known := b.index[string(field)]; known {
			return fmt.Errorf("column %q occurs twice: %w", field, ErrMalformed)
		}
		names = append(names, bytes.Clone(field))
		_, err := b.addSeries(string(field))
		return err
	}); err != nil {
		return err
	}
	buf := make([]byte, 0, maxTextBytes)
	for in.peek() != end {
		number, fields := 0, 0
		err := csvRow(in, buf, func(k int, field []byte) error {
			fields++
			if k == 0 {
				var err error
				number, err = parseFrame(field)
				return err
			}
			if k < first {
				return b.csvSize(k, field)
			}
			k -= first
			if k >= len(names) {
				return fmt.Errorf("more fields than the header has (%d): %w", len(names)+first, ErrMalformed)
			}
			x, err := b.score(field)
			if err != nil {
				return fmt.Errorf("%s: %w", names[k], err)
			}
			return b.value(names[k], x)
		})
		switch {
		case err != nil:
			return err
		case fields == 0: // an empty line
			continue
		case fields != len(names)+first:
			return fmt.Errorf("%d fields where the header has %d, and libvmaf leaves out missing values without a trace: %w",
				fields, len(names)+first, ErrMalformed)
		}
		if err := b.endFrame(number); err != nil {
			return err
		}
	}
	return in.ended()
}

// csvSize takes the width (k = 1) or height of the pictures, which every row repeats.
func (b *builder) csvSize(k int, field []byte) error {
	n, err := size(field)
	if err != nil {
		return err
	}
	total := &b.log.Width
	if k == 2 {
		total = &b.log.Height
	}
	if len(b.log.Frames) > 0 && *total != n {
		return fmt.Errorf("pictures of another size: %d where it was %d before: %w", n, *total, ErrMalformed)
	}
	*total = n
	return nil
}

// csvRow reads one line and hands on its fields. libvmaf ends every field with a comma, the last one included; a line
// without that last comma is taken, too.
func csvRow(in *input, buf []byte, use func(k int, field []byte) error) error {
	for k := 0; ; k++ {
		field, stop, err := in.until(buf[:0], ",")
		if err != nil {
			return err
		}
		if stop == '\n' {
			field = bytes.TrimSuffix(field, []byte("\r"))
			if len(field) == 0 {
				return nil
			}
		}
		if err := use(k, field); err != nil || stop == '\n' {
			return err
		}
	}
}

// readSUB reads one subtitle a frame: {i}{i+1}frame: i|NAME: number|…
func readSUB(in *input, b *builder) error {
	buf := make([]byte, 0, maxTextBytes)
	text := make([]byte, 0, maxTextBytes)
	part := func(stop byte) ([]byte, error) {
		field, c, err := in.until(text[:0], string(rune(stop)))
		if err == nil && c != int(stop) {
			err = fmt.Errorf("the line ends where %q is due: %w", rune(stop), ErrMalformed)
		}
		return field, err
	}
	frame := func(before string, stop byte) (int, error) {
		if err := in.expect(before); err != nil {
			return 0, err
		}
		field, err := part(stop)
		if err != nil {
			return 0, err
		}
		return parseFrame(field)
	}
	for in.peek() != end {
		begin, err := frame("{", '}')
		if err != nil {
			return err
		}
		until, err := frame("{", '}')
		if err != nil {
			return err
		}
		number, err := frame("frame: ", '|')
		if err != nil {
			return err
		}
		if begin != number || until != number+1 {
			return fmt.Errorf("frame %d is shown from %d to %d: %w", number, begin, until, ErrMalformed)
		}
		for in.peek() != '\n' && in.peek() != '\r' {
			name, err := part(':')
			if err != nil {
				return err
			}
			if !utf8.Valid(name) {
				return fmt.Errorf("name %q is not valid UTF-8: %w", name, ErrMalformed)
			}
			buf = append(buf[:0], name...)
			if err := in.expect(" "); err != nil {
				return err
			}
			field, err := part('|')
			if err != nil {
				return err
			}
			x, err := b.score(field)
			if err != nil {
				return fmt.Errorf("%s: %w", buf, err)
			}
			if err := b.value(buf, x); err != nil {
				return err
			}
		}
		if in.peek() == '\r' {
			in.next()
		}
		if err := in.expect("\n"); err != nil {
			return err
		}
		if err := b.endFrame(number); err != nil {
			return err
		}
	}
	return in.ended()
}
