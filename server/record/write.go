package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

// ErrUnwritable is wrapped by the errors of [Write] that say a document has no sound record.
var ErrUnwritable = errors.New("cannot be written as an encode record")

// Write writes a record.
//
// Errors: [ErrUnwritable], naming the members that are at fault; nothing has been written then. What w returns.
func Write(w io.Writer, d *Document) error {
	check := &writer{dry: true}
	d.value().write(check)
	d.contradictions(func(pointer, format string, args ...any) {
		check.problems = append(check.problems, fmt.Errorf("%s: "+format, append([]any{pointer}, args...)...))
	})
	if check.problems != nil {
		return fmt.Errorf("%w: %w", ErrUnwritable, errors.Join(check.problems...))
	}
	out := &writer{w: bufio.NewWriterSize(w, 64<<10)}
	d.value().write(out)
	out.raw("\n")
	return out.w.Flush() // a Writer keeps its first error
}

// writer writes values. A dry one only looks for problems.
type writer struct {
	w        *bufio.Writer
	dry      bool
	flat     int    // > 0: on one line
	first    []bool // of each object or array that is open: nothing is in it yet
	path     path
	problems []error
	scratch  []byte
}

// wrong notes that what is about to be written cannot be.
func (w *writer) wrong(format string, args ...any) {
	if len(w.problems) < maxProblems {
		w.problems = append(w.problems, fmt.Errorf("%s: "+format, append([]any{w.path.String()}, args...)...))
	}
}

// raw writes text as it is.
func (w *writer) raw(text string) {
	if !w.dry {
		w.w.WriteString(text)
	}
}

// open begins an object or an array.
func (w *writer) open(bracket byte) {
	w.raw(string(rune(bracket)))
	w.first = append(w.first, true)
	w.path = append(w.path, step{array: bracket == '['})
}

// close ends it.
func (w *writer) close(bracket byte) {
	empty := w.first[len(w.first)-1]
	w.first, w.path = w.first[:len(w.first)-1], w.path[:len(w.path)-1]
	if !empty {
		w.line()
	}
	w.raw(string(rune(bracket)))
}

// line begins a line, unless all is to be on one.
func (w *writer) line() {
	if w.flat > 0 || w.dry {
		return
	}
	w.w.WriteByte('\n')
	for range w.first {
		w.w.WriteString("  ")
	}
}

// separate writes what comes between two members or elements.
func (w *writer) separate() {
	if first := &w.first[len(w.first)-1]; *first {
		*first = false
	} else if w.flat > 0 {
		w.raw(", ")
		return
	} else {
		w.raw(",")
	}
	w.line()
}

// key begins a member.
func (w *writer) key(name string) {
	w.path[len(w.path)-1].name = name
	w.separate()
	w.string(name)
	w.raw(": ")
}

// element begins an element.
func (w *writer) element(i int) {
	w.path[len(w.path)-1].index = i
	w.separate()
}

// bounded writes a string of least to most characters.
func (w *writer) bounded(s string, least, most int) {
	if n := utf8.RuneCountInString(s); n < least || n > most {
		w.wrong("%.40q has %d characters, and not %d to %d", s, n, least, most)
	}
	w.string(s)
}

// string writes a string. Only what JSON wants escaped is.
func (w *writer) string(s string) {
	if w.dry {
		if !utf8.ValidString(s) {
			w.wrong("%.100q is not UTF-8", s)
		}
		return
	}
	b := append(w.scratch[:0], '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	w.scratch = append(b, '"')
	w.w.Write(w.scratch)
}

func (w *writer) whole(n int64) {
	if !w.dry {
		w.w.Write(strconv.AppendInt(w.w.AvailableBuffer(), n, 10))
	}
}

// number writes a finite number with as many digits as it takes to read the same bits again.
func (w *writer) number(v float64) {
	if w.dry {
		return
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) { // as JavaScript does: zeros tell nothing
		format = 'e'
	}
	w.w.Write(strconv.AppendFloat(w.w.AvailableBuffer(), v, format, -1, 64))
}

// figure writes a number, or the word for one that is not finite.
func (w *writer) figure(v float64) {
	switch {
	case math.IsNaN(v):
		w.raw(`"nan"`)
	case math.IsInf(v, 1):
		w.raw(`"inf"`)
	case math.IsInf(v, -1):
		w.raw(`"-inf"`)
	default:
		w.number(v)
	}
}
