package legacy

import (
	"fmt"
	"math"
	"slices"

	"github.com/vqsd/vqsd/vmaf"
)

// builder assembles a Log from values in file order.
type builder struct {
	limits Limits
	format Format // of the file, as far as it has been read
	log    Log
	frames int // up to the last one

	hasValue   bool // the frame being read has one
	nextSeries int  // the one after that which had the last value

	index map[string]int // series by name
	pools map[string]bool
	aggs  map[string]bool
	marks evidence
	path  []byte // scratch of unknown
}

func newBuilder(limits Limits, f Format) *builder {
	return &builder{limits: limits, format: f, index: make(map[string]int), pools: make(map[string]bool), aggs: make(map[string]bool)}
}

// value adds one value to the frame being read.
func (b *builder) value(name []byte, x float64) error {
	k := b.nextSeries // most frames have the same order
	if k >= len(b.log.Series) || b.log.Series[k].Name != string(name) {
		var ok bool
		if k, ok = b.index[string(name)]; !ok {
			var err error
			if k, err = b.addSeries(string(name)); err != nil {
				return err
			}
		}
	}
	b.nextSeries = k + 1
	b.hasValue = true
	s := &b.log.Series[k]
	row := len(b.log.Frames)
	if len(s.Values) > row {
		return fmt.Errorf("%q occurs twice in one frame: %w", name, ErrMalformed)
	}
	b.pad(s, row)
	s.Values = append(s.Values, x)
	if s.Present != nil {
		s.Present = append(s.Present, true)
	}
	return nil
}

// addSeries appends an empty series.
func (b *builder) addSeries(name string) (int, error) {
	k := len(b.log.Series)
	switch {
	case name == "":
		return 0, fmt.Errorf("a value without a name: %w", ErrMalformed)
	case k == b.limits.Names:
		return 0, fmt.Errorf("more than %d series: %w", b.limits.Names, ErrLimit)
	}
	b.log.Series = append(b.log.Series, vmaf.Series{Name: name})
	b.index[name] = k
	b.marks.name(name)
	return k, b.checkCells()
}

// pad marks everything up to row as missing.
func (b *builder) pad(s *vmaf.Series, row int) {
	if len(s.Values) == row {
		return
	}
	if s.Present == nil {
		s.Present = make([]bool, len(s.Values), row+1)
		for i := range s.Present {
			s.Present[i] = true
		}
	}
	for len(s.Values) < row {
		s.Values = append(s.Values, math.NaN())
		s.Present = append(s.Present, false)
	}
}

// endFrame closes the frame whose values have been added. One without any says nothing, and no program writes it again: it is passed over.
func (b *builder) endFrame(number int) error {
	if number < b.frames {
		return fmt.Errorf("frame %d comes after frame %d: %w", number, b.frames-1, ErrMalformed)
	}
	if number >= b.limits.Frames {
		return fmt.Errorf("frame %d, and so more than %d frames: %w", number, b.limits.Frames, ErrLimit)
	}
	b.frames, b.nextSeries = number+1, 0
	if !b.hasValue {
		return nil
	}
	b.hasValue = false
	b.log.Frames = append(b.log.Frames, number)
	return b.checkCells()
}

func (b *builder) checkCells() error {
	// The frame being read counts, so that the check comes before the padding it stands for.
	frames := max(b.frames, len(b.log.Frames)+1)
	if cells := int64(len(b.log.Series)) * int64(frames); cells > int64(b.limits.Cells) {
		return fmt.Errorf("%d series of %d frames are more than %d values: %w", len(b.log.Series), frames, b.limits.Cells, ErrLimit)
	}
	return nil
}

// beginPooled begins the pooled figures of one series, whose name comes with endPooled.
func (b *builder) beginPooled() error {
	if len(b.log.Pooled) == b.limits.Names {
		return fmt.Errorf("more than %d pooled series: %w", b.limits.Names, ErrLimit)
	}
	b.log.Pooled = append(b.log.Pooled, Pooled{})
	return nil
}

// figure adds one figure to the series that beginPooled began.
func (b *builder) figure(method string, x float64) error {
	p := &b.log.Pooled[len(b.log.Pooled)-1]
	const most = 16 // methods; libvmaf knows four
	if len(p.Figures) == most {
		return fmt.Errorf("more than %d pooled figures of one series: %w", most, ErrLimit)
	}
	p.Figures = append(p.Figures, Figure{method, x})
	return nil
}

func (b *builder) endPooled(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("pooled figures without a name: %w", ErrMalformed)
	case b.pools[name]:
		return fmt.Errorf("pooled figures of %q occur twice: %w", name, ErrMalformed)
	}
	b.pools[name] = true
	b.log.Pooled[len(b.log.Pooled)-1].Name = name
	return nil
}

func (b *builder) aggregate(name string, x float64) error {
	switch {
	case name == "":
		return fmt.Errorf("an aggregate without a name: %w", ErrMalformed)
	case b.aggs[name]:
		return fmt.Errorf("aggregate %q occurs twice: %w", name, ErrMalformed)
	case len(b.aggs) == b.limits.Names:
		return fmt.Errorf("more than %d aggregates: %w", b.limits.Names, ErrLimit)
	}
	b.aggs[name] = true
	b.log.Aggregates = append(b.log.Aggregates, vmaf.Aggregate{Name: name, Value: x})
	return nil
}

// score reads a number and keeps what its form tells about its writer.
func (b *builder) score(text []byte) (float64, error) {
	x, err := parseScore(text)
	if err != nil {
		return 0, err
	}
	b.marks.number(text)
	return x, nil
}

// size reads a width or height.
func size(text []byte) (int, error) {
	n, err := parseFrame(text)
	if err != nil {
		return 0, fmt.Errorf("%.40q is no picture size: %w", text, ErrMalformed)
	}
	return n, nil
}

func (b *builder) finish() *Log {
	for k := range b.log.Series {
		b.pad(&b.log.Series[k], len(b.log.Frames))
	}
	if b.format.libvmaf() {
		b.orderSeries()
	}
	b.marks.hasFPS = b.log.HasFPS
	b.log.Generation = b.marks.judge(b.format, b.log.Version)
	b.finishVmafossexec()
	return &b.log
}

// orderSeries puts the series in libvmaf's order, which is that of the pooled figures where every series has some: one that has no value for the
// first frames appears in the frames after those that do.
func (b *builder) orderSeries() {
	place := make(map[string]int, len(b.log.Pooled))
	for k, p := range b.log.Pooled {
		place[p.Name] = k
	}
	for _, s := range b.log.Series {
		if _, ok := place[s.Name]; !ok {
			return
		}
	}
	slices.SortFunc(b.log.Series, func(a, b vmaf.Series) int { return place[a.Name] - place[b.Name] })
}
