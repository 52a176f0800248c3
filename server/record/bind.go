package record

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// A value is a place in a document together with what the schema says of it, so that reading and writing cannot differ. The schema's file says the same
// once more, in its own words; tests hold the two against each other.
type value interface {
	read(*reader) error
	write(*writer)
}

// member is a member of an object. One that is absent leaves its place as it is.
type member struct {
	name     string
	required bool
	value    value
}

// Bounds of texts, in characters.
const (
	maxWord  = 256   // names of kinds of things, digests
	maxName  = 1024  // of series, renditions, models
	maxText  = 4096  // URIs
	maxProse = 65536 // for people
)

// maxWhole is the largest integer: above, doubles do not have all of them.
const maxWhole = 1<<53 - 1

// object is an object with known members. Others are passed over and noted.
type object []member

func (o object) read(r *reader) error {
	if ok, err := r.wants(anObj); !ok {
		return err
	}
	seen := make([]bool, len(o))
	err := r.object(maxMembers, "members", func(name string) error {
		for i, m := range o {
			if m.name == name {
				seen[i] = true
				return m.value.read(r)
			}
		}
		if len(r.unknown) < maxUnknown {
			r.unknown = append(r.unknown, r.path.String())
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	for i, m := range o {
		if m.required && !seen[i] {
			if err := r.wrong("member %q is missing", m.name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o object) write(w *writer) {
	w.open('{')
	for _, m := range o {
		w.key(m.name)
		m.value.write(w)
	}
	w.close('}')
}

// flat is a value that is written on one line.
type flat struct{ value }

func (f flat) write(w *writer) {
	w.flat++
	f.value.write(w)
	w.flat--
}

// constant is a string that is always the same.
type constant string

func (c constant) read(r *reader) error {
	ok, err := r.wants(aString)
	if !ok {
		return err
	}
	text, err := r.string()
	if err != nil || string(text) == string(c) {
		return err
	}
	return r.wrong("want %q, got %.100q", string(c), text)
}

func (c constant) write(w *writer) { w.string(string(c)) }

// text is a string of least to most characters.
type text[S ~string] struct {
	to          *S
	least, most int
}

func (t text[S]) read(r *reader) error {
	ok, err := r.wants(aString)
	if !ok {
		return err
	}
	b, err := r.string()
	if err != nil {
		return err
	}
	if n := utf8.RuneCount(b); n < t.least || n > t.most {
		return r.wrong("want a string of %d to %d characters, got one of %d", t.least, t.most, n)
	}
	*t.to = S(r.intern(b))
	return nil
}

func (t text[S]) write(w *writer) { w.bounded(string(*t.to), t.least, t.most) }

func word[S ~string](to *S) value  { return text[S]{to, 0, maxWord} }
func name[S ~string](to *S) value  { return text[S]{to, 1, maxName} }
func label[S ~string](to *S) value { return text[S]{to, 0, maxName} }
func uri[S ~string](to *S) value   { return text[S]{to, 0, maxText} }
func prose[S ~string](to *S) value { return text[S]{to, 0, maxProse} }

// choice is one of a few strings.
type choice struct {
	to *string
	of []string
}

func (c choice) read(r *reader) error {
	ok, err := r.wants(aString)
	if !ok {
		return err
	}
	b, err := r.string()
	if err != nil {
		return err
	}
	for _, s := range c.of {
		if string(b) == s {
			*c.to = s
			return nil
		}
	}
	return r.wrong("want one of %q, got %.40q", c.of, b)
}

func (c choice) write(w *writer) {
	for _, s := range c.of {
		if *c.to == s {
			w.string(s)
			return
		}
	}
	w.wrong("%.40q is none of %q", *c.to, c.of)
}

// whole is an integer of least to most.
type whole[I ~int | ~int64] struct {
	to          *I
	least, most int64
}

func (n whole[I]) read(r *reader) error {
	if ok, err := r.wants(aNumber); !ok {
		return err
	}
	b, err := r.number()
	if err != nil {
		return err
	}
	v, ok := integer(b)
	if !ok || v < n.least || v > n.most {
		return r.wrong("want an integer from %d to %d, got %.40s", n.least, n.most, b)
	}
	*n.to = I(v)
	return nil
}

func (n whole[I]) write(w *writer) {
	if v := int64(*n.to); v < n.least || v > n.most {
		w.wrong("%d is not from %d to %d", v, n.least, n.most)
	}
	w.whole(int64(*n.to))
}

// interval is every how many frames something is; 0 stands for 1.
type interval[I ~int | ~int64] struct{ to *I }

func (n interval[I]) read(r *reader) error { return positive(n.to).read(r) }

func (n interval[I]) write(w *writer) {
	v := max(*n.to, 1)
	positive(&v).write(w)
}

func count[I ~int | ~int64](to *I) value    { return whole[I]{to, 0, maxWhole} }
func positive[I ~int | ~int64](to *I) value { return whole[I]{to, 1, maxWhole} }
func signed[I ~int | ~int64](to *I) value   { return whole[I]{to, -maxWhole, maxWhole} }

// truth is true or false.
type truth struct{ to *bool }

func (t truth) read(r *reader) (err error) {
	ok, err := r.wants(aTruth)
	if !ok {
		return err
	}
	*t.to, err = r.truth()
	return err
}

func (t truth) write(w *writer) {
	if *t.to {
		w.raw("true")
	} else {
		w.raw("false")
	}
}

// finite is a number, not below 0 unless it may be.
type finite struct {
	to     *float64
	signed bool
}

func (f finite) read(r *reader) error {
	if ok, err := r.wants(aNumber); !ok {
		return err
	}
	b, err := r.number()
	if err != nil {
		return err
	}
	v, ok := double(b)
	switch {
	case !ok:
		return r.wrong("number %.40s is beyond the range of doubles", b)
	case !f.signed && negative(b):
		return r.wrong("want a number that is not below 0, got %.40s", b)
	}
	*f.to = v
	return nil
}

func (f finite) write(w *writer) {
	switch v := *f.to; {
	case math.IsNaN(v) || math.IsInf(v, 0):
		w.wrong("%v is not finite", v)
	case !f.signed && v < 0:
		w.wrong("%v is below 0", v)
	default:
		w.number(v)
	}
}

// orNull is a value that is null where it is absent.
type orNull struct {
	value
	absent func() bool
}

func (o orNull) read(r *reader) error {
	if null, err := r.null(); null || err != nil {
		return err
	}
	return o.value.read(r)
}

func (o orNull) write(w *writer) {
	if o.absent() {
		w.raw("null")
		return
	}
	o.value.write(w)
}

// unlessZero is null for the zero value.
func unlessZero[T comparable](to *T, v value) value {
	return orNull{v, func() bool { var zero T; return *to == zero }}
}

// pointed is null for a nil pointer.
type pointed[T any] struct {
	to    **T
	value func(*T) value
}

func (p pointed[T]) read(r *reader) error {
	if null, err := r.null(); null || err != nil {
		return err
	}
	t := new(T)
	*p.to = t
	return p.value(t).read(r)
}

func (p pointed[T]) write(w *writer) {
	if *p.to == nil {
		w.raw("null")
		return
	}
	p.value(*p.to).write(w)
}

// duration is a time span in seconds. Below 26 days it is exact to the nanosecond.
type duration struct {
	to     *time.Duration
	signed bool
}

// maxSeconds bounds time spans. It is 31 years.
const maxSeconds = 1e9

func (d duration) read(r *reader) error {
	if ok, err := r.wants(aNumber); !ok {
		return err
	}
	b, err := r.number()
	if err != nil {
		return err
	}
	v, ok := double(b)
	if !ok || beyond(b, v, maxSeconds, "1e9") || !d.signed && negative(b) {
		least := 0.0
		if d.signed {
			least = -maxSeconds
		}
		return r.wrong("want seconds from %.0f to %.0f, got %.40s", least, maxSeconds, b)
	}
	*d.to = time.Duration(math.Round(v * 1e9))
	return nil
}

func (d duration) write(w *writer) {
	v := d.to.Seconds()
	if math.Abs(v) > maxSeconds || !d.signed && v < 0 {
		w.wrong("%v is not a time span of at most %.0f seconds", *d.to, maxSeconds)
	}
	w.number(v)
}

// fitting reads a text that a pattern matches. nil: it is null, or what is wrong with it is noted.
func (r *reader) fitting(pattern *regexp.Regexp, want string) ([]byte, error) {
	if null, err := r.null(); null || err != nil {
		return nil, err
	}
	ok, err := r.wants(aString)
	if !ok {
		return nil, err
	}
	b, err := r.string()
	if err != nil {
		return nil, err
	}
	if !pattern.Match(b) {
		return nil, r.wrong("want %s, got %.40q", want, b)
	}
	return b, nil
}

// ratio is a fraction as text, such as "30000/1001"; null where its numerator is 0.
type ratio struct{ num, den *int64 }

// ratioForm is what the schema's ratio says.
const ratioForm = `^[1-9][0-9]{0,14}/[1-9][0-9]{0,14}$`

var ratioPattern = regexp.MustCompile(ratioForm)

func (q ratio) read(r *reader) error {
	b, err := r.fitting(ratioPattern, `a ratio such as "30000/1001"`)
	if b == nil {
		return err
	}
	num, den, _ := strings.Cut(string(b), "/")
	*q.num, _ = integer([]byte(num)) // 15 digits, as the pattern says
	*q.den, _ = integer([]byte(den))
	return nil
}

func (q ratio) write(w *writer) {
	if *q.num == 0 || *q.den == 0 {
		w.raw("null")
		return
	}
	s := fmt.Sprintf("%d/%d", *q.num, *q.den)
	if !ratioPattern.MatchString(s) {
		w.wrong("%s is no ratio", s)
	}
	w.string(s)
}

// instant is a point in time; null where it is zero.
type instant struct{ to *time.Time }

// instantForm is what the schema's time says.
const instantForm = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$`

var instantPattern = regexp.MustCompile(instantForm)

func (i instant) read(r *reader) error {
	b, err := r.fitting(instantPattern, `a time such as "2006-01-02T15:04:05Z"`)
	if b == nil {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil { // such as month 13, which patterns of bearable length let pass
		r.later = append(r.later, r.located(fmt.Errorf("%q is no time: %w", b, ErrInconsistent)))
		return nil
	}
	*i.to = t.UTC()
	return nil
}

func (i instant) write(w *writer) {
	if i.to.IsZero() {
		w.raw("null")
		return
	}
	s := i.to.UTC().Format(time.RFC3339Nano)
	if !instantPattern.MatchString(s) {
		w.wrong("%s is not within the years 0 to 9999", s)
	}
	w.string(s)
}

// list is an array of a bounded number of elements.
type list[T any] struct {
	to    *[]T
	most  func(*reader) (int, string) // elements, and what they are; nil: maxMembers, which is the schema's
	value func(*T) value
}

func (l list[T]) read(r *reader) error {
	if ok, err := r.wants(anArray); !ok {
		return err
	}
	n := 0
	err := r.array(func(i int) error {
		n = i + 1
		if l.most != nil {
			if most, what := l.most(r); n > most {
				return limit(most, what)
			}
		} else if n > maxMembers {
			return r.skip()
		}
		*l.to = append(*l.to, *new(T))
		return l.value(&(*l.to)[i]).read(r)
	})
	if err == nil && l.most == nil && n > maxMembers {
		err = r.wrong("want at most %d elements, got %d", maxMembers, n)
	}
	return err
}

func (l list[T]) write(w *writer) {
	if l.most == nil && len(*l.to) > maxMembers {
		w.wrong("%d elements are more than %d", len(*l.to), maxMembers)
	}
	w.open('[')
	for i := range *l.to {
		w.element(i)
		l.value(&(*l.to)[i]).write(w)
	}
	w.close(']')
}

// texts is an array of strings, on one line.
func texts(to *[]string, of func(*string) value) value {
	return flat{list[string]{to, nil, of}}
}
