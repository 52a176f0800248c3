package record

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// poolForm is what the schema says of the names of pooling methods.
const poolForm = `^[a-z][a-z0-9_.+-]{0,63}$`

var poolPattern = regexp.MustCompile(poolForm)

// checkName is what is wrong with a name that has 1 to most characters; "": nothing.
func checkName(name string, most int) string {
	if n := utf8.RuneCountInString(name); n < 1 || n > most {
		return fmt.Sprintf("want a name of 1 to %d characters, got one of %d", most, n)
	}
	return ""
}

func checkSeries(name string) string { return checkName(name, maxName) }

func checkPool(name string) string {
	if !poolPattern.MatchString(name) {
		return fmt.Sprintf(`want the name of a pooling method, such as "harmonic_mean" or "p5", got %.80q`, name)
	}
	return ""
}

// named takes an object whose members' names are data.
func (r *reader) named(most int, what string, check func(string) string, member func(name string) error) error {
	if ok, err := r.wants(anObj); !ok {
		return err
	}
	return r.object(most, what, func(name string) error {
		if problem := check(name); problem != "" {
			if err := r.wrong("%s", problem); err != nil {
				return err
			}
			return r.skip()
		}
		return member(name)
	})
}

// names checks names that are about to be written as those of an object's members.
func (w *writer) names(n int, name func(i int) string, check func(string) string) {
	var seen nameSet
	for i := range n {
		name := name(i)
		if problem := check(name); problem != "" {
			w.wrong("%s", problem)
		}
		if !seen.add(name) {
			w.wrong("%.100q occurs twice", name)
		}
	}
}

// Bounds of labels, those of requests.
const (
	maxLabels    = 64
	maxLabelName = 64
	maxLabelText = 1024
)

// labels is an object of texts.
type labels struct{ to *map[string]string }

func (l labels) read(r *reader) error {
	n := 0
	err := r.named(maxMembers, "labels", func(name string) string { return checkName(name, maxLabelName) }, func(name string) error {
		n++
		var s string
		if err := (text[string]{&s, 0, maxLabelText}).read(r); err != nil {
			return err
		}
		if *l.to == nil {
			*l.to = map[string]string{}
		}
		(*l.to)[name] = s
		return nil
	})
	if err == nil && n > maxLabels {
		err = r.wrong("want at most %d labels, got %d", maxLabels, n)
	}
	return err
}

func (l labels) write(w *writer) {
	names := slices.Sorted(maps.Keys(*l.to))
	w.names(len(names), func(i int) string { return names[i] }, func(name string) string { return checkName(name, maxLabelName) })
	if len(names) > maxLabels {
		w.wrong("%d labels are more than %d", len(names), maxLabels)
	}
	w.open('{')
	for _, name := range names {
		w.key(name)
		w.bounded((*l.to)[name], 0, maxLabelText)
	}
	w.close('}')
}

const wantFigure = `a number, "inf", "-inf" or "nan"`

// figure takes a figure. ok is false where something else is there.
func (r *reader) figure() (v float64, ok bool, err error) {
	kind, err := r.kind()
	if err != nil {
		return 0, false, err
	}
	switch kind {
	case aNumber:
		text, err := r.number()
		if err != nil {
			return 0, false, err
		}
		if v, ok = double(text); !ok {
			err = r.wrong("number %.40s is beyond the range of doubles", text)
		}
		return v, ok, err
	case aString:
		text, err := r.string()
		if err != nil {
			return 0, false, err
		}
		switch string(text) {
		case "nan":
			return math.NaN(), true, nil
		case "inf":
			return math.Inf(1), true, nil
		case "-inf":
			return math.Inf(-1), true, nil
		}
		return 0, false, r.wrong("want %s, got %.40q", wantFigure, text)
	default:
		return 0, false, r.refuse(kind, wantFigure)
	}
}

// figure is a double, finite or not.
type figure struct{ to *float64 }

func (f figure) read(r *reader) error {
	v, ok, err := r.figure()
	if ok {
		*f.to = v
	}
	return err
}

func (f figure) write(w *writer) { w.figure(*f.to) }

// counted takes a figure of those whose number is bounded.
func (r *reader) counted() (v float64, ok bool, err error) {
	if r.figures++; r.figures > r.limits.Figures {
		return 0, false, limit(r.limits.Figures, "pooled figures")
	}
	return r.figure()
}

// pooled is an object of figures by method.
type pooled struct{ to *[]store.Pooled }

func (p pooled) read(r *reader) error {
	return r.named(maxMembers, "pooling methods", checkPool, func(name string) error {
		v, ok, err := r.counted()
		if ok {
			*p.to = append(*p.to, store.Pooled{Method: vmaf.PoolMethod(name), Value: v})
		}
		return err
	})
}

func (p pooled) write(w *writer) {
	w.names(len(*p.to), func(i int) string { return string((*p.to)[i].Method) }, checkPool)
	w.open('{')
	for _, f := range *p.to {
		w.key(string(f.Method))
		w.figure(f.Value)
	}
	w.close('}')
}

// scores is an object of pooled figures by series.
type scores struct{ to *[]Score }

func (s scores) read(r *reader) error {
	return r.named(r.limits.Names, "series", checkSeries, func(name string) error {
		score := Score{Series: name}
		if err := (pooled{&score.Pooled}).read(r); err != nil {
			return err
		}
		*s.to = append(*s.to, score)
		return nil
	})
}

func (s scores) write(w *writer) {
	w.names(len(*s.to), func(i int) string { return (*s.to)[i].Series }, checkSeries)
	w.open('{')
	for i := range *s.to {
		w.key((*s.to)[i].Series)
		flat{pooled{&(*s.to)[i].Pooled}}.write(w)
	}
	w.close('}')
}

// aggregates is an object of figures by name.
type aggregates struct{ to *[]vmaf.Aggregate }

func (a aggregates) read(r *reader) error {
	return r.named(r.limits.Names, "aggregates", checkSeries, func(name string) error {
		v, ok, err := r.counted()
		if ok {
			*a.to = append(*a.to, vmaf.Aggregate{Name: name, Value: v})
		}
		return err
	})
}

func (a aggregates) write(w *writer) {
	w.names(len(*a.to), func(i int) string { return (*a.to)[i].Name }, checkSeries)
	w.open('{')
	for _, f := range *a.to {
		w.key(f.Name)
		w.figure(f.Value)
	}
	w.close('}')
}

// columns is an object of arrays of figures by series.
type columns struct{ to *[]Column }

func (c columns) read(r *reader) error {
	return r.named(r.limits.Names, "series", checkSeries, func(name string) error {
		if ok, err := r.wants(anArray); !ok {
			return err
		}
		r.values, r.present = r.values[:0], r.present[:0]
		gaps := false
		err := r.array(func(i int) error {
			if i == r.limits.Frames {
				return limit(r.limits.Frames, "frames")
			}
			if r.cells++; r.cells > r.limits.Cells {
				return limit(r.limits.Cells, "values")
			}
			absent, err := r.null()
			v := math.NaN()
			if !absent && err == nil {
				v, _, err = r.figure()
			}
			r.values, r.present = append(r.values, v), append(r.present, !absent)
			gaps = gaps || absent
			return err
		})
		column := Column{Name: name, Values: slices.Clone(r.values)} // of the scratch, so that no capacity is left over
		if gaps {
			column.Present = slices.Clone(r.present)
		}
		*c.to = append(*c.to, column)
		return err
	})
}

func (c columns) write(w *writer) {
	w.names(len(*c.to), func(i int) string { return (*c.to)[i].Name }, checkSeries)
	w.open('{')
	for _, column := range *c.to {
		w.key(column.Name)
		if w.dry { // all values can be written
			continue
		}
		w.flat++
		w.open('[')
		for i, v := range column.Values {
			w.element(i)
			if column.Present != nil && !column.Present[i] {
				w.raw("null")
			} else {
				w.figure(v)
			}
		}
		w.close(']')
		w.flat--
	}
	w.close('}')
}

// numbers is an array of the numbers of frames.
type numbers struct{ to *[]int64 }

func (n numbers) read(r *reader) error {
	*n.to = []int64{} // that no frames are listed is not the same as none being named
	return n.list().read(r)
}

func (n numbers) write(w *writer) { flat{n.list()}.write(w) }

func (n numbers) list() value { return list[int64]{n.to, framesLimit, count[int64]} }

// seconds is an array of the times of frames.
type seconds struct{ to *[]float64 }

func (s seconds) read(r *reader) error {
	*s.to = []float64{}
	return s.list().read(r)
}

func (s seconds) write(w *writer) { flat{s.list()}.write(w) }

func (s seconds) list() value {
	return list[float64]{s.to, framesLimit, func(to *float64) value { return finite{to, true} }}
}

func framesLimit(r *reader) (int, string) { return r.limits.Frames, "frames" }
func chunksLimit(r *reader) (int, string) { return r.limits.Chunks, "chunks" }
func namesLimit(r *reader) (int, string)  { return r.limits.Names, "series" }
