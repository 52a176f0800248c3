package record

import (
	"errors"
	"fmt"
	"io"
)

// Errors of [Read], wrapped in a [ReadError].
var (
	ErrMalformed    = errors.New("malformed JSON")
	ErrSchema       = errors.New("not as the schema of encode records wants it")
	ErrInconsistent = errors.New("members contradict each other")
	ErrLimit        = errors.New("limit exceeded")
)

// ReadError says where in a record something is wrong.
type ReadError struct {
	Pointer string // JSON pointer (RFC 6901); "": the whole document
	Offset  int64  // bytes of the document that had been read when it was noticed
	Err     error
}

// Error names the place and what is wrong there.
func (e *ReadError) Error() string {
	place := e.Pointer
	if place == "" {
		place = "the document"
	}
	return fmt.Sprintf("%.300s (byte %d): %v", place, e.Offset, e.Err)
}

// Unwrap is what is wrong.
func (e *ReadError) Unwrap() error { return e.Err }

// Limits bound what [Read] accepts, and with that its memory: 9 bytes a cell, 60 a figure, and little else. A zero field means its default.
type Limits struct {
	Bytes   int64 // of the document; default 1 GiB
	Frames  int   // in the range that was compared, and in that of listed frames; default 4,194,304 (46 hours at 25 a second)
	Names   int   // series; default 1024
	Cells   int   // series × frames of the range, missing values included; default 67,108,864
	Chunks  int   // default 65,536
	Figures int   // pooled values, of all frames and of chunks together; default 2,097,152
}

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 1 << 30
	}
	if l.Frames == 0 {
		l.Frames = 1 << 22
	}
	if l.Names == 0 {
		l.Names = 1 << 10
	}
	if l.Cells == 0 {
		l.Cells = 1 << 26
	}
	if l.Chunks == 0 {
		l.Chunks = 1 << 16
	}
	if l.Figures == 0 {
		l.Figures = 1 << 21
	}
	return l
}

const (
	maxDepth    = 16   // of objects and arrays in each other; records have 6
	maxMembers  = 1024 // of an object whose members are not series
	maxProblems = 16   // told of one document
	maxUnknown  = 100  // kept of members that are not known
)

// Read reads a record to its end. It reports up to 16 violations of the schema, or else all contradictions, joined; each is a [ReadError].
//
// Errors: [ErrMalformed] of what is no JSON; [ErrSchema]; [ErrInconsistent]; [ErrLimit]; r's.
func Read(r io.Reader, limits Limits) (*Document, error) {
	d := new(Document)
	in := newReader(r, limits.withDefaults())
	if err := in.document(d.value()); err != nil {
		return nil, err
	}
	d.Comparison.Subsample = max(d.Comparison.Subsample, 1)
	if c := &d.Comparison; c.End-c.First > int64(in.limits.Frames) { // both are from 0 on
		return nil, &ReadError{"/comparison/end_frame", in.offset(), limit(in.limits.Frames, "frames")}
	}
	if d.Frames != nil {
		d.Frames.Step = max(d.Frames.Step, 1)
		if err := in.checkFrames(d.Frames); err != nil {
			return nil, err
		}
	}
	problems := in.later
	d.contradictions(func(pointer, format string, args ...any) {
		problems = append(problems, &ReadError{pointer, in.offset(), fmt.Errorf(format+": %w", append(args, ErrInconsistent)...)})
	})
	if problems != nil {
		return nil, errors.Join(problems...)
	}
	d.Unknown = in.unknown
	return d, nil
}

// reader reads values into what they are bound to. It goes on behind violations of the schema, which it collects; its methods return what ends the
// reading at once.
type reader struct {
	*scanner
	limits   Limits
	path     path
	problems []error  // violations of the schema
	later    []error  // contradictions, of documents that have no violations
	unknown  []string // pointers
	figures  int
	cells    int
	values   []float64 // scratch for a column
	present  []bool
	interned map[string]string // names of series and methods, which repeat in every chunk
}

func newReader(from io.Reader, limits Limits) *reader {
	return &reader{scanner: newScanner(from, limits.Bytes), limits: limits, interned: map[string]string{}}
}

// errEnough ends the reading of a document with too many problems.
var errEnough = errors.New("more is wrong than is told")

// document reads a value and requires that nothing comes behind it.
func (r *reader) document(v value) error {
	err := v.read(r)
	if err == nil {
		if c := r.space(); c != end {
			err = r.unexpected(c, "behind the document")
		} else if r.err != io.EOF {
			err = r.err
		}
	}
	if err != nil && !errors.Is(err, errEnough) {
		r.problems = append(r.problems, r.located(err))
	}
	return errors.Join(r.problems...)
}

// located is an error at the place where the reader is.
func (r *reader) located(err error) error {
	return &ReadError{r.path.String(), r.offset(), err}
}

// wrong notes a violation of the schema where the reader is.
func (r *reader) wrong(format string, args ...any) error {
	if len(r.problems) == maxProblems-1 {
		r.problems = append(r.problems, r.located(fmt.Errorf("%w: %w", errEnough, ErrSchema)))
		return errEnough
	}
	r.problems = append(r.problems, r.located(fmt.Errorf(format+": %w", append(args, ErrSchema)...)))
	return nil
}

// limit is the error of a limit.
func limit(max int, what string) error {
	return fmt.Errorf("more than %d %s: %w", max, what, ErrLimit)
}

// Kinds of values, for messages.
const (
	aString = "a string"
	aNumber = "a number"
	aTruth  = "true or false"
	aNull   = "null"
	anArray = "an array"
	anObj   = "an object"
)

// kind is what comes next.
func (r *reader) kind() (string, error) {
	switch c := r.space(); c {
	case '"':
		return aString, nil
	case 't', 'f':
		return aTruth, nil
	case 'n':
		return aNull, nil
	case '[':
		return anArray, nil
	case '{':
		return anObj, nil
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return aNumber, nil
		}
		return "", r.unexpected(c, "where a value is due")
	}
}

// wants says whether a value of a kind comes next. If another does, it is noted and passed over.
func (r *reader) wants(kind string) (bool, error) {
	got, err := r.kind()
	if err != nil || got == kind {
		return err == nil, err
	}
	return false, r.refuse(got, kind)
}

// refuse passes over a value that is not what was wanted.
func (r *reader) refuse(got, want string) error {
	if err := r.wrong("want %s, got %s", want, got); err != nil {
		return err
	}
	return r.skip()
}

// null takes null, if that comes next.
func (r *reader) null() (bool, error) {
	if r.space() != 'n' {
		return false, nil
	}
	return true, r.word("null")
}

// skip passes over a value of any kind, checking that it is JSON.
func (r *reader) skip() error {
	kind, err := r.kind()
	if err != nil {
		return err
	}
	switch kind {
	case aString:
		_, err = r.string()
	case aNumber:
		_, err = r.number()
	case aTruth:
		_, err = r.truth()
	case aNull:
		err = r.word("null")
	case anArray:
		err = r.array(func(int) error { return r.skip() })
	case anObj:
		err = r.object(maxMembers, "members", func(string) error { return r.skip() })
	}
	return err
}

// truth takes true or false.
func (r *reader) truth() (bool, error) {
	if r.peek() == 't' {
		return true, r.word("true")
	}
	return false, r.word("false")
}

// object takes an object; member takes the value of each of its members.
func (r *reader) object(maxMembers int, what string, member func(name string) error) error {
	if err := r.enter(step{}); err != nil {
		return err
	}
	if err := r.punctuation('{'); err != nil {
		return err
	}
	var names nameSet
	for first := true; ; first = false {
		if r.space() == '}' {
			r.next()
			break
		}
		if !first {
			if err := r.punctuation(','); err != nil {
				return err
			}
		}
		text, err := r.string()
		if err != nil {
			return err
		}
		name := r.intern(text)
		r.path[len(r.path)-1].name = name
		if !names.add(name) {
			return fmt.Errorf("member %.100q occurs twice: %w", name, ErrMalformed)
		}
		if names.len() > maxMembers {
			return limit(maxMembers, what)
		}
		if err := r.punctuation(':'); err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
	r.leave()
	return nil
}

// array takes an array; element takes each of its elements.
func (r *reader) array(element func(i int) error) error {
	if err := r.enter(step{array: true}); err != nil {
		return err
	}
	if err := r.punctuation('['); err != nil {
		return err
	}
	for i := 0; ; i++ {
		c := r.space()
		if c == ']' {
			r.next()
			break
		}
		if i > 0 {
			if err := r.punctuation(','); err != nil {
				return err
			}
			if r.space() == ']' {
				return r.unexpected(']', "where a value is due")
			}
		}
		r.path[len(r.path)-1].index = i
		if err := element(i); err != nil {
			return err
		}
	}
	r.leave()
	return nil
}

// enter goes one deeper. An error leaves the path as it is, since that is where the error is.
func (r *reader) enter(s step) error {
	if len(r.path) == maxDepth {
		return fmt.Errorf("values nested more than %d deep: %w", maxDepth, ErrLimit)
	}
	r.path = append(r.path, s)
	return nil
}

func (r *reader) leave() { r.path = r.path[:len(r.path)-1] }

// intern is a string of a text that is likely to come again.
func (r *reader) intern(text []byte) string {
	if s, ok := r.interned[string(text)]; ok {
		return s
	}
	s := string(text)
	if len(r.interned) < 4*maxMembers { // hostile documents repeat nothing
		r.interned[s] = s
	}
	return s
}

// nameSet finds names that occur twice.
type nameSet struct {
	few  []string
	many map[string]struct{}
}

// add says whether a name is new.
func (n *nameSet) add(name string) bool {
	if n.many == nil {
		for _, other := range n.few {
			if other == name {
				return false
			}
		}
		if n.few = append(n.few, name); len(n.few) > 16 {
			n.many = map[string]struct{}{}
			for _, name := range n.few {
				n.many[name] = struct{}{}
			}
		}
		return true
	}
	before := len(n.many)
	n.many[name] = struct{}{}
	return len(n.many) > before
}

func (n *nameSet) len() int { return max(len(n.few), len(n.many)) }

// checkFrames requires that a table of the frames fits into the limits: of frames that are not listed, records have no bytes, and tables have.
func (r *reader) checkFrames(f *Frames) error {
	if f.End < f.First {
		return nil
	}
	frames := f.End - f.First
	if frames > int64(r.limits.Frames) {
		return &ReadError{"/frames/end_frame", r.offset(), limit(r.limits.Frames, "frames")}
	}
	if frames*int64(len(f.Columns)) > int64(r.limits.Cells) {
		return &ReadError{"/frames/series", r.offset(), limit(r.limits.Cells, "values, those of frames that are not listed included")}
	}
	return nil
}
