package record

import (
	"cmp"
	"math"
)

// contradictions tells of what no schema can say, of up to 16 such things. Reading, writing and importing have the same ones.
func (d *Document) contradictions(tell func(pointer, format string, args ...any)) {
	told := 0
	d.everyContradiction(func(pointer, format string, args ...any) {
		if told++; told <= maxProblems {
			tell(pointer, format, args...)
		}
	})
}

func (d *Document) everyContradiction(tell func(pointer, format string, args ...any)) {
	if c := &d.Comparison; c.End < c.First {
		tell("/comparison/end_frame", "%d is in front of first_frame, %d", c.End, c.First)
	}
	var names nameSet
	for i, s := range d.Series {
		if !names.add(s.Name) {
			tell(pointerTo("series", i, "name"), "series %.100q is described twice", s.Name)
		}
	}
	at := int64(0)
	for i, c := range d.Chunks {
		switch {
		case c.First < at:
			tell(pointerTo("chunks", i, "first_frame"), "%d is in front of %d, where the chunk before ends", c.First, at)
		case c.End <= c.First:
			tell(pointerTo("chunks", i, "end_frame"), "%d is not behind first_frame, %d", c.End, c.First)
		}
		at = max(at, c.End)
	}
	if d.Frames != nil {
		d.Frames.contradictions(tell)
	}
	d.sharedNames(tell)
}

// sharedNames tells of series that would be stored under the same name.
func (d *Document) sharedNames(tell func(pointer, format string, args ...any)) {
	stored, owner := d.storedNames(), map[string]string{}
	claim := func(series string, pointer func() string) {
		name := cmp.Or(stored[series], series)
		switch other, taken := owner[name]; {
		case !taken:
			owner[name] = series
		case other != series:
			tell(pointer(), "series %.100q is stored as %.100q, and so is %.100q", series, name, other)
		}
	}
	for i, s := range d.Series {
		claim(s.Name, func() string { return pointerTo("series", i) })
	}
	if d.Frames != nil {
		for _, c := range d.Frames.Columns {
			claim(c.Name, func() string { return pointerTo("frames", "series", c.Name) })
		}
	}
	for _, s := range d.Scores {
		claim(s.Series, func() string { return pointerTo("scores", s.Series) })
	}
	for i, c := range d.Chunks {
		for _, s := range c.Scores {
			claim(s.Series, func() string { return pointerTo("chunks", i, "scores", s.Series) })
		}
	}
}

func (f *Frames) contradictions(tell func(pointer, format string, args ...any)) {
	if f.End < f.First {
		tell("/frames/end_frame", "%d is in front of first_frame, %d", f.End, f.First)
		return
	}
	before := int64(math.MinInt64)
	for i, n := range f.Numbers {
		if n < f.First || n >= f.End {
			tell(pointerTo("frames", "numbers", i), "frame %d is not within [first_frame, end_frame), [%d, %d)", n, f.First, f.End)
			break
		}
		if n <= before {
			tell(pointerTo("frames", "numbers", i), "frame %d does not come behind frame %d", n, before)
			break
		}
		before = n
	}
	if n := f.End - f.First; f.Seconds != nil && int64(len(f.Seconds)) != n {
		tell("/frames/times", "it has %d elements, and [first_frame, end_frame) has %d frames", len(f.Seconds), n)
	}
	for _, c := range f.Columns {
		if n := f.Listed(); len(c.Values) != n {
			tell(pointerTo("frames", "series", c.Name), "it has %d elements, and %d frames are listed", len(c.Values), n)
		}
		if c.Present != nil && len(c.Present) != len(c.Values) { // never of what was read
			tell(pointerTo("frames", "series", c.Name), "presence of %d values, and there are %d", len(c.Present), len(c.Values))
		}
	}
}

// pointerTo is a pointer through names and indexes.
func pointerTo(steps ...any) string {
	var p path
	for _, s := range steps {
		if i, ok := s.(int); ok {
			p = append(p, step{index: i, array: true})
		} else {
			p = append(p, step{name: s.(string)})
		}
	}
	return p.String()
}
