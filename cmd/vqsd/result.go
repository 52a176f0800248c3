package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/rules"
)

// result is what was measured and what made it, whoever measured it: the engine in this process ([measurement.result]) or a
// daemon ([remoteResult]). All that is printed, written and drawn is made from it.
type result struct {
	settings  settings // without pooling, which is up to whoever looks at the result
	computed  computed
	by        string // what computed, for people
	reference videoInfo
	models    []usedModel
	features  []usedFeature // asked for beside the models'
	warnings  []string      // what rules had to say about the comparison
	imported  *importedInfo // the file that it was made of; nil: it was measured

	renditions []measured // in the order of the request
	firstFrame int64      // first reference frame to be measured
	// times are the presentation times, in seconds since the reference's first frame, of reference frames firstFrame,
	// firstFrame + 1, … Nil where the reference has no times.
	times []float64
}

// usedModel is a model as it was used.
type usedModel struct {
	modelInfo
	text        string            // as --model has it
	series      []string          // the first is the score; stored names, or those that logs print
	extractions []vmaf.Extraction // what it needs; none where that is not known
}

// newUsedModel describes a model that this program knows wholly.
func newUsedModel(m *vmaf.Model) usedModel {
	return usedModel{newModelInfo(m), strings.TrimPrefix(m.String(), "version="), m.Series(), m.Extractions()}
}

// usedFeature is a feature that was asked for.
type usedFeature struct {
	text       string // as --feature has it
	series     []string
	extraction vmaf.Extraction
}

func newUsedFeatures(list []vmaf.Extraction) []usedFeature {
	var used []usedFeature
	for _, e := range list {
		used = append(used, usedFeature{e.String(), e.Series(), e})
	}
	return used
}

// measured is what was found of one distorted video.
type measured struct {
	video  videoInfo
	damage damage
	err    error // why it could not be measured; then there is nothing below

	compared compared
	pairs    pairing
	table    *vmaf.Table // frame 0 is reference frame pairs.First
	// stored are the figures that an imported measurement is stored with; nil: those of the table are all there are.
	stored *storedFigures
	// log writes the log that a daemon makes of an imported measurement, in the form that was asked for; nil: it is made of the table.
	log func(ctx context.Context, w io.Writer) error
	// called are the names of series that are not those of the extractions that were asked for, since CAMBI was told how this rendition was encoded.
	called map[string]string
}

// names are the rendition's own names of series.
func (m *measured) names(list []string) []string {
	own := make([]string, len(list))
	for i, name := range list {
		own[i] = name
		if other, ok := m.called[name]; ok {
			own[i] = other
		}
	}
	return own
}

// tell finds out what CAMBI takes of how the rendition was encoded, and how its series are called since.
func (r *result) tell(m *measured, encoded vmaf.Encoded, format vmaf.Format) {
	var extractions []vmaf.Extraction
	known := true
	for _, model := range r.models {
		extractions = append(extractions, model.extractions...)
		known = known && len(model.extractions) > 0
	}
	for _, f := range r.features {
		extractions = append(extractions, f.extraction)
	}
	force := encoded // where what is measured is not known, it is what a daemon says
	if known {
		force = rules.InForce(encoded, format, extractions)
	}
	m.compared.Encoded = newEncodedFormat(force)
	m.called = map[string]string{}
	for _, e := range extractions {
		told := e.WithEncoded(encoded, format).Series()
		for i, name := range e.Series() {
			if told[i] != name {
				m.called[name] = told[i]
			}
		}
	}
}

// result puts what the engine found into the form that is shown.
func (m *measurement) result(found *engine.Result) *result {
	r := &result{
		settings: m.settings(),
		computed: computed{
			Backend: found.Backend, Threads: found.Threads, ChunkFrames: found.Chunk, Frames: found.Frames,
			ElapsedSeconds: found.Elapsed.Seconds(), FramesPerSecond: perSecond(found.Frames, found.Elapsed),
		},
		by:         fmt.Sprintf("vqsd %s on %s, %s", version, found.Backend, plural(int64(found.Threads), "thread")),
		reference:  newVideoInfo(found.Reference),
		features:   newUsedFeatures(m.asked),
		firstFrame: found.FirstFrame,
	}
	for _, model := range m.request.Plan.Models {
		r.models = append(r.models, newUsedModel(model))
	}
	for _, t := range found.Times {
		r.times = append(r.times, t.Seconds())
	}
	for k, d := range found.Renditions {
		one := newMeasured(d)
		if d.Err == nil {
			one.compared.BitDepthReason = m.depthReason
			r.tell(&one, d.Encoded, d.Format)
			if text := rules.EncodedWarning(d.Encoded, d.Format, m.request.Plan.Extractions); text != "" {
				r.warnings = append(r.warnings, m.names[k]+": "+text)
			}
		}
		r.renditions = append(r.renditions, one)
	}
	return r
}

func newMeasured(d engine.Rendition) measured {
	out := measured{
		video: newVideoInfo(d.Info),
		damage: damage{
			Decoded: d.Stats.Delivered, Damaged: d.Stats.Damaged, Missing: d.Stats.Missing, FormatChanges: d.Stats.FormatChanges,
		},
		err: d.Err,
	}
	if d.Err != nil {
		return out
	}
	out.compared = compared{
		Width: d.Format.Width, Height: d.Format.Height, BitDepth: d.Format.BitsPerComponent,
		Subsampling: d.Format.Subsampling.String(), FullRange: d.Format.FullRange,
		Conversion: d.Conversion, ReferenceConversion: d.ReferenceConversion,
	}
	out.pairs = pairing{
		Method: d.Pairing.String(), First: d.First, End: d.End, Offset: d.Offset, Pairs: d.Table.Frames,
		Measured: measuredFrames(d.Table), Repeated: d.Repeated, Dropped: d.Dropped,
	}
	out.table = d.Table
	return out
}

// settings are those of the flags.
func (m *measurement) settings() settings {
	r := m.request
	s := settings{
		Pairing: r.Pairing.String(), Shortest: r.Shortest, Offset: r.Offset, First: r.First, Subsample: r.Subsample,
		Scale: decode.Bicubic.String(), OnDamage: r.OnDamage.String(), Features: []string{}, BitDepth: m.depth, Encoded: m.encoded,
	}
	scale, geometry := r.Scale, r.Geometry
	if len(r.Treatments) > 0 {
		scale, geometry = r.Treatments[0].Scale, r.Treatments[0].Geometry
	}
	if r.End > 0 {
		s.End = &r.End
	}
	if scale != nil {
		s.Scale = scale.String()
	}
	if geometry != nil {
		text := geometry.String()
		s.Geometry = &text
	}
	if r.Crop != nil {
		text := r.Crop.String()
		s.Crop = &text
	}
	for _, e := range m.asked {
		s.Features = append(s.Features, e.String())
	}
	return s
}

// newEncodedFormat is what makes a difference of an encoding; nil: nothing does.
func newEncodedFormat(force vmaf.Encoded) *encodedFormat {
	if force == (vmaf.Encoded{}) {
		return nil
	}
	part := func(n int) *int {
		if n == 0 {
			return nil
		}
		return &n
	}
	return &encodedFormat{part(force.Width), part(force.Height), part(force.BitsPerComponent)}
}

// perSecond is a rate; 0 where no time has passed.
func perSecond(frames int64, elapsed time.Duration) float64 {
	if elapsed <= 0 {
		return 0
	}
	return float64(frames) / elapsed.Seconds()
}

// plotted is the series that a plot shows: the score of the first model, or the first figure of the first feature, or of an imported file.
func (r *result) plotted() string {
	if len(r.models) > 0 {
		return r.models[0].series[0]
	}
	if r.imported != nil && len(r.features) == 0 {
		return r.imported.series[0] // one without any is not plotted
	}
	return r.features[0].series[0]
}

// scoreSeries are the series that a table shows: of each model the score, and of a collection what says how sure it is;
// then those of the features asked for.
func (r *result) scoreSeries() []string {
	var names []string
	for _, model := range r.models {
		names = append(names, model.series[0])
		if model.Collection {
			names = append(names, model.series[max(1, len(model.series)-collectionTail):]...)
		}
	}
	if r.imported != nil && len(names) == 0 {
		return r.imported.series
	}
	return append(names, r.askedSeries()...)
}

// collectionTail is how many series a collection has after its members': bagging score, standard deviation, bounds of the
// confidence interval.
const collectionTail = 4

// askedSeries are the series of the features asked for.
func (r *result) askedSeries() []string {
	var names []string
	for _, f := range r.features {
		names = append(names, f.series...)
	}
	return unique(names)
}

// featureSeries are the inputs of the models, then what was asked for.
func (r *result) featureSeries() []string {
	var names []string
	for _, model := range r.models {
		names = append(names, model.Features...)
	}
	return unique(append(names, r.askedSeries()...))
}

// aggregateMethod stands where the pooling method does for a figure of all frames together that no pooling gives, such as apsnr_y.
const aggregateMethod = "aggregate"

// figure is a pooled value.
type figure struct {
	Name  string
	Value float64
}

// pooled are the pooled values of one series, named as stored or as logs print it; methods that cannot be had of it are left out.
func pooled(t *vmaf.Table, name string, methods []vmaf.PoolMethod) []figure {
	var list []figure
	for i, s := range t.Series {
		if vmaf.Alias(s.Name) != vmaf.Alias(name) {
			continue
		}
		for _, method := range methods {
			if v, ok := t.Pooled(i, method); ok {
				list = append(list, figure{string(method), v})
			}
		}
	}
	return list
}

// storedFigures are the pooled figures of an imported measurement: the file's own, which were formed of more digits than its frames have.
type storedFigures struct {
	pools []vmaf.PoolMethod // that it has figures of, as far as a series has them
	names []string          // of the series, as logs print them, in the order of the measurement
	of    map[string]map[vmaf.PoolMethod]float64
}

// pooled are the pooled values of a series: those that are stored, and by other methods those of the table.
func (m *measured) pooled(name string, methods []vmaf.PoolMethod) []figure {
	if m.stored == nil {
		return pooled(m.table, name, methods)
	}
	var list []figure
	for _, method := range methods {
		if !slices.Contains(m.stored.pools, method) {
			list = append(list, pooled(m.table, name, []vmaf.PoolMethod{method})...)
		} else if v, ok := m.stored.of[vmaf.Alias(name)][method]; ok {
			list = append(list, figure{string(method), v})
		}
	}
	return list
}

// featureSeries are the rendition's series beside scores: inputs of the models, then what was asked for; of an imported file all that it has.
func (m *measured) featureSeries(r *result) []string {
	if m.stored == nil {
		return m.names(r.featureSeries())
	}
	scores := map[string]bool{}
	for _, model := range r.models {
		for _, name := range model.series {
			scores[vmaf.Alias(name)] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(m.stored.names), func(name string) bool { return scores[name] })
}

// measuredFrames is how many frame pairs subsampling left in.
func measuredFrames(t *vmaf.Table) int {
	step := max(t.Subsample, 1)
	return (t.Frames + step - 1) / step
}

// unique leaves out repetitions.
func unique(names []string) []string {
	var list []string
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return list
}

// joined is a list for people.
func joined[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

// finite is v for JSON, which has no other numbers.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
