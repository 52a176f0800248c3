package store

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/vqsd/vqsd/vmaf"
)

// facts is all that filters look at of a measurement. It is stored beside the record, in a form that costs little to read: a query
// may have to look at thousands of measurements to fill a page.
//
// The layout of its value, integers as unsigned (u) or zigzag (z) varints, strings as their length (u) and bytes, floats as 8 bytes little endian,
// times as seconds (z) and nanoseconds (u):
//
//	byte 0    format version, 1
//	strings   state, class, owner
//	times     created, finished (the zero time: not yet)
//	u         number of labels; of each: key, value
//	u         number of media roots; of each: name
//	video     of the reference: path, then as a rendition's
//	u         number of models; of each: strings name, version, digest
//	u         number of renditions; of each: string name, video, u number of scores; of each: string series, u model + 1 (an index into
//	          models; 0: a feature), u number of poolings; of each: string method, float
//
// where a video is: strings path, codec; u width, height, bit depth, bit rate; float frames a second. What is not known is empty or zero.
type facts struct {
	id         MeasurementID
	state      string
	class      string
	owner      string
	created    time.Time
	finished   time.Time
	labels     []labelFact
	roots      []string
	reference  videoFact
	models     []modelFact
	renditions []renditionFact
}

type labelFact struct{ key, value string }

type videoFact struct {
	path, codec   string
	width, height int
	depth         int
	bitRate       int64
	rate          float64 // frames a second
}

type modelFact struct{ name, version, digest string }

type renditionFact struct {
	name   string
	video  videoFact
	scores []scoreFact
}

type scoreFact struct {
	series string
	alias  string // vmaf.Alias(series)
	model  int    // index into models; −1: a feature
	pools  []poolFact
}

type poolFact struct {
	method string
	value  float64
}

const factsVersion = 1

func videoFacts(path string, v *Video) videoFact {
	f := videoFact{path: path}
	if v != nil {
		f.codec, f.width, f.height, f.depth, f.bitRate = v.Codec, v.Width, v.Height, v.BitDepth, v.BitRate
		if v.FrameRateDen > 0 {
			f.rate = float64(v.FrameRateNum) / float64(v.FrameRateDen)
		}
	}
	return f
}

// factsOf gathers them from a record. Before inspection renditions are as the request names them.
func factsOf(m *Measurement) *facts {
	f := &facts{
		id: m.ID, state: string(m.State), class: string(m.Request.Class), owner: m.Owner,
		created: m.Created.UTC(), finished: m.Finished.UTC(), reference: videoFacts(m.Request.Reference.Path, m.Reference),
	}
	if m.Plan != nil {
		f.class = string(m.Plan.Class)
		for _, model := range m.Plan.Models {
			f.models = append(f.models, modelFact{model.Name, model.Version, model.Digest})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.Request.Labels)) {
		f.labels = append(f.labels, labelFact{key, m.Request.Labels[key]})
	}
	f.roots = []string{m.Request.Reference.Root}
	for i, r := range m.Request.Renditions {
		f.roots = append(f.roots, r.Source.Root)
		d := renditionFact{name: r.Name, video: videoFact{path: r.Source.Path}}
		if i < len(m.Renditions) {
			d.video = videoFacts(r.Source.Path, m.Renditions[i].Video)
			for _, score := range m.Renditions[i].Scores {
				s := scoreFact{series: score.Series, alias: vmaf.Alias(score.Series), model: -1}
				if score.Model != "" {
					s.model = slices.IndexFunc(f.models, func(model modelFact) bool { return model.name == score.Model })
					if s.model < 0 {
						s.model = len(f.models)
						f.models = append(f.models, modelFact{name: score.Model})
					}
				}
				for _, p := range score.Pooled {
					s.pools = append(s.pools, poolFact{string(p.Method), p.Value})
				}
				d.scores = append(d.scores, s)
			}
		}
		f.renditions = append(f.renditions, d)
	}
	slices.Sort(f.roots)
	f.roots = slices.Compact(f.roots)
	return f
}

func (f *facts) encode() []byte {
	b := []byte{factsVersion}
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	count := func(n int) { b = binary.AppendUvarint(b, uint64(n)) }
	float := func(v float64) { b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v)) }
	moment := func(t time.Time) {
		b = binary.AppendUvarint(binary.AppendVarint(b, t.Unix()), uint64(t.Nanosecond()))
	}
	video := func(v *videoFact) {
		text(v.path)
		text(v.codec)
		count(max(v.width, 0))
		count(max(v.height, 0))
		count(max(v.depth, 0))
		count(int(max(v.bitRate, 0)))
		float(v.rate)
	}
	text(f.state)
	text(f.class)
	text(f.owner)
	moment(f.created)
	moment(f.finished)
	count(len(f.labels))
	for _, l := range f.labels {
		text(l.key)
		text(l.value)
	}
	count(len(f.roots))
	for _, r := range f.roots {
		text(r)
	}
	video(&f.reference)
	count(len(f.models))
	for _, m := range f.models {
		text(m.name)
		text(m.version)
		text(m.digest)
	}
	count(len(f.renditions))
	for i := range f.renditions {
		d := &f.renditions[i]
		text(d.name)
		video(&d.video)
		count(len(d.scores))
		for _, s := range d.scores {
			text(s.series)
			count(s.model + 1)
			count(len(s.pools))
			for _, p := range s.pools {
				text(p.method)
				float(p.value)
			}
		}
	}
	return b
}

// factsReader takes a value apart. The first thing that does not fit is kept, and everything after it is zero.
type factsReader struct {
	rest   string // of one copy of the value, which all strings are parts of
	failed bool
}

func (r *factsReader) uvarint() uint64 {
	var n uint64
	for i := 0; i < len(r.rest) && i < 10; i++ {
		c := r.rest[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.rest = r.rest[i+1:]
			return n
		}
	}
	r.failed, r.rest = true, ""
	return 0
}

func (r *factsReader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, ""
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// count reads the length of a list; what is listed takes at least a byte each.
func (r *factsReader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, ""
		return 0
	}
	return int(n)
}

func (r *factsReader) float() float64 {
	if len(r.rest) < 8 {
		r.failed, r.rest = true, ""
		return 0
	}
	var bits uint64
	for i := range 8 {
		bits |= uint64(r.rest[i]) << (8 * i)
	}
	r.rest = r.rest[8:]
	return math.Float64frombits(bits)
}

func (r *factsReader) moment() time.Time {
	n := r.uvarint()
	seconds := int64(n>>1) ^ -int64(n&1)
	nanos := r.uvarint()
	if nanos >= 1e9 {
		r.failed = true
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}

func (r *factsReader) video(v *videoFact) {
	v.path, v.codec = r.text(), r.text()
	v.width, v.height, v.depth = int(r.uvarint()), int(r.uvarint()), int(r.uvarint())
	v.bitRate = int64(r.uvarint())
	v.rate = r.float()
}

// resize gives a slice of n elements, with what it had in them, so that lists inside are used again.
func resize[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return append(s[:cap(s)], make([]T, n-cap(s))...)
}

// decode reads a value into f, whose slices it uses again. Strings are parts of a copy of the value.
func (f *facts) decode(id MeasurementID, value []byte) error {
	body, err := checkVersion(value, factsVersion)
	if err != nil {
		return fmt.Errorf("facts of %s: %w", id, err)
	}
	r := factsReader{rest: string(body)}
	f.id, f.state, f.class, f.owner = id, r.text(), r.text(), r.text()
	f.created, f.finished = r.moment(), r.moment()
	f.labels = resize(f.labels, r.count())
	for i := range f.labels {
		f.labels[i] = labelFact{r.text(), r.text()}
	}
	f.roots = resize(f.roots, r.count())
	for i := range f.roots {
		f.roots[i] = r.text()
	}
	r.video(&f.reference)
	f.models = resize(f.models, r.count())
	for i := range f.models {
		f.models[i] = modelFact{r.text(), r.text(), r.text()}
	}
	f.renditions = resize(f.renditions, r.count())
	for i := range f.renditions {
		d := &f.renditions[i]
		d.name = r.text()
		r.video(&d.video)
		d.scores = resize(d.scores, r.count())
		for j := range d.scores {
			s := &d.scores[j]
			s.series = r.text()
			s.alias = vmaf.Alias(s.series)
			s.model = int(r.uvarint()) - 1
			if s.model < -1 || s.model >= len(f.models) {
				r.failed, s.model = true, -1
			}
			s.pools = resize(s.pools, r.count())
			for k := range s.pools {
				s.pools[k] = poolFact{r.text(), r.float()}
			}
		}
	}
	if r.failed || r.rest != "" {
		return fmt.Errorf("%w: facts of %s", ErrCorrupt, id)
	}
	return nil
}

// label is a label's value.
func (f *facts) label(key string) (string, bool) {
	for _, l := range f.labels {
		if l.key == key {
			return l.value, true
		}
	}
	return "", false
}
