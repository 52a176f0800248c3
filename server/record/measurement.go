package record

import (
	"cmp"
	"math"
	"slices"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// poolAggregate is the method under which a measurement has figures that no pooling gives.
const poolAggregate vmaf.PoolMethod = "aggregate"

// FromMeasurement makes the record of rendition k of a measurement, which has succeeded. f is its frames, nil to leave them out; segments are its
// chunks; version is this program's.
//
// Of a measurement that was made of a record, what that said of comparison and origin is said again.
func FromMeasurement(m *store.Measurement, k int, f *workflow.Frames, segments []workflow.SegmentScore, version string) *Document {
	d := &m.Renditions[k]
	doc := &Document{
		Program: Program{Name: "vqsd", Version: version},
		Measurement: Measurement{
			Name: "measurements/" + string(m.ID), Created: m.Created.UTC(), Finished: m.Finished.UTC(), Labels: m.Request.Labels,
		},
		Reference: Video{
			URI: m.Request.Reference.URI, Raw: m.Request.Reference.Raw, Fingerprint: m.ReferenceFingerprint, Info: m.Reference, Damage: m.ReferenceDamage,
		},
		Distorted: Video{
			Name: d.Name, URI: m.Request.Renditions[k].Source.URI, Raw: m.Request.Renditions[k].Source.Raw,
			Fingerprint: d.Fingerprint, Info: d.Video, Damage: d.Damage,
		},
		Comparison: comparisonOf(m, k),
		Provenance: provenanceOf(m, k),
	}
	if f != nil {
		doc.Provenance.FPS = f.Table.FPS
	}
	if m.Imported != nil && m.Imported.Form == Form {
		doc.restore(m)
	}
	n := namesOf(m, d, f, segments)
	for i := range doc.Provenance.Models {
		doc.Provenance.Models[i].Series = n.all(doc.Provenance.Models[i].Series)
	}
	doc.Series = n.series(m, d)
	doc.Scores, doc.Aggregates = n.scores(statedScores(m, d))
	for _, s := range segments {
		c := Chunk{First: s.First, End: s.End, FirstSecond: secondOf(m, f, s.First)}
		c.Scores, _ = n.scores(s.Scores)
		doc.Chunks = append(doc.Chunks, c)
	}
	if f != nil {
		doc.Aggregates = f.Table.Aggregates // with those that are NaN, which scores leave out
		doc.Frames = n.frames(f)
	}
	return doc
}

// comparisonOf says what a rendition was compared with, and how.
func comparisonOf(m *store.Measurement, k int) Comparison {
	d, q := &m.Renditions[k], &m.Request
	c := Comparison{
		Pairing: d.Pairing, Offset: d.Offset, First: d.First, End: d.End, Subsample: max(q.Subsample, 1), Shortest: q.Shortest,
		Repeated: d.Repeated, Dropped: d.Dropped, OnDamage: cmp.Or(q.OnDamage, "strict"), Scale: q.Scale, Geometry: q.Geometry, Crop: q.Crop,
		Format: d.Format, Conversion: d.Conversion, RefConversion: d.RefConvert, Encoded: d.Encoded,
	}
	if p := m.Plan; p != nil {
		c.DepthReason, c.ExtraFeatures = p.DepthReason, p.Features
		if k < len(p.Scales) {
			c.Scale = p.Scales[k]
		}
		if k < len(p.Geometries) && p.Geometries[k] != (store.Size{}) {
			c.Geometry = &p.Geometries[k]
		}
	}
	if m.Imported == nil {
		c.Scale = cmp.Or(c.Scale, "bicubic") // what an empty one stands for, see [store.Plan]
	} else {
		c.OnDamage = q.OnDamage // of other programs it is not known
	}
	return c
}

// statedScores are the scores of a rendition together with those that an imported file has and that are no numbers, which scores leave out.
func statedScores(m *store.Measurement, d *store.Rendition) []store.Score {
	if m.Imported == nil || m.Rescored != "" {
		return d.Scores
	}
	scores := slices.Clone(d.Scores) // shared with the store's caches
	for _, of := range m.Imported.Pooled {
		at := slices.IndexFunc(scores, func(s store.Score) bool { return vmaf.Alias(s.Series) == vmaf.Alias(of.Series) && !isAggregate(s) })
		if at < 0 {
			continue
		}
		for _, p := range of.Pooled {
			if math.IsNaN(p.Value) && !slices.ContainsFunc(scores[at].Pooled, func(has store.Pooled) bool { return has.Method == p.Method }) {
				scores[at].Pooled = append(slices.Clip(scores[at].Pooled), p)
			}
		}
	}
	return scores
}

// provenanceOf says what made the figures. Series of models have stored names.
func provenanceOf(m *store.Measurement, k int) Provenance {
	p := Provenance{Daemon: m.Daemon, Workers: m.Workers, Backends: m.Backends}
	if m.Rescored != "" {
		p.RescoredFrom = "measurements/" + string(m.Rescored)
	}
	if m.Plan != nil {
		p.Models = slices.Clone(m.Plan.Models)
		p.RulesDigest, p.Warnings = m.Plan.RulesDigest, m.Plan.Warnings
		for _, r := range m.Plan.Rules {
			if r.Rendition < 0 || r.Rendition == k {
				p.Rules = append(p.Rules, Rule{r.Rule, r.Settings})
			}
		}
	}
	if i := m.Imported; i != nil {
		p.Imported = originOf(i)
	}
	return p
}

// secondOf is when a frame is shown; nil where that is not known.
func secondOf(m *store.Measurement, f *workflow.Frames, frame int64) *float64 {
	if f != nil && f.Seconds != nil {
		if i := frame - f.First; i >= 0 && i < int64(len(f.Seconds)) {
			return &f.Seconds[i]
		}
	}
	v := m.Reference
	if v == nil || !v.Timestamps || v.VariableRate || v.FrameRateNum == 0 {
		return nil
	}
	s := float64(frame*v.FrameRateDen) / float64(v.FrameRateNum)
	return &s
}

// names says what series are called in a record: as logs call them, unless two would be called the same.
type names struct {
	order []string          // stored names
	of    map[string]string // by stored name
}

func namesOf(m *store.Measurement, d *store.Rendition, f *workflow.Frames, segments []workflow.SegmentScore) *names {
	n := &names{of: map[string]string{}}
	add := func(stored string) {
		if _, ok := n.of[stored]; !ok {
			n.order = append(n.order, stored)
			n.of[stored] = stored
		}
	}
	if f != nil {
		for _, s := range f.Table.Series {
			add(s.Name)
		}
	} else if m.Imported != nil {
		for _, s := range m.Imported.Series {
			add(s)
		}
	}
	for _, s := range d.Scores {
		if !isAggregate(s) {
			add(s.Series)
		}
	}
	for _, segment := range segments {
		for _, s := range segment.Scores {
			add(s.Series)
		}
	}
	taken := map[string]bool{}
	for _, stored := range n.order {
		if alias := vmaf.Alias(stored); n.of[alias] == "" && !taken[alias] {
			taken[alias] = true
			n.of[stored] = alias
		}
	}
	return n
}

// all are the names of stored ones.
func (n *names) all(stored []string) []string {
	var list []string
	for _, s := range stored {
		list = append(list, cmp.Or(n.of[s], s))
	}
	return list
}

// series describes all series.
func (n *names) series(m *store.Measurement, d *store.Rendition) []Series {
	models := map[string]string{}
	if m.Plan != nil {
		for _, model := range m.Plan.Models {
			for _, s := range model.Series {
				models[s] = model.Name
			}
		}
	}
	for _, s := range d.Scores {
		if s.Model != "" {
			models[s.Series] = s.Model
		}
	}
	var list []Series
	for _, stored := range n.order {
		s := Series{Name: n.of[stored], Model: models[stored]}
		if s.Name != stored {
			s.Stored = stored
		}
		list = append(list, s)
	}
	return list
}

func isAggregate(s store.Score) bool {
	return len(s.Pooled) == 1 && s.Pooled[0].Method == poolAggregate
}

// scores are pooled figures, those that are aggregates apart.
func (n *names) scores(from []store.Score) (list []Score, aggregates []vmaf.Aggregate) {
	for _, s := range from {
		if isAggregate(s) {
			aggregates = append(aggregates, vmaf.Aggregate{Name: s.Series, Value: s.Pooled[0].Value})
		} else {
			list = append(list, Score{n.of[s.Series], s.Pooled})
		}
	}
	return list, aggregates
}

// frames lists the frames of a table: all that subsampling left in, or where values are elsewhere or whole frames have none, those that have some.
func (n *names) frames(f *workflow.Frames) *Frames {
	t := f.Table
	out := &Frames{First: f.First, End: f.First + int64(t.Frames), Step: int64(max(t.Subsample, 1)), Seconds: f.Seconds}
	at := listed(t)
	if at != nil {
		out.Numbers = make([]int64, len(at))
		for i, frame := range at {
			out.Numbers[i] = f.First + int64(frame)
		}
	} else if out.Step > 1 {
		for frame := 0; frame < t.Frames; frame += int(out.Step) {
			at = append(at, frame)
		}
	}
	for _, s := range t.Series {
		c := Column{Name: n.of[s.Name], Values: s.Values, Present: s.Present}
		if at != nil {
			c.Values, c.Present = pick(s, at)
		}
		out.Columns = append(out.Columns, c)
	}
	return out
}

// listed are the frames that have a value, unless they are the ones that subsampling left in; nil then.
func listed(t *vmaf.Table) []int {
	regular := true
	list := []int{}
	for frame := range t.Frames {
		has := slices.ContainsFunc(t.Series, func(s vmaf.Series) bool { _, ok := s.At(frame); return ok })
		if has {
			list = append(list, frame)
		}
		regular = regular && has == t.Measured(frame)
	}
	if regular || len(t.Series) == 0 {
		return nil
	}
	return list
}

// pick takes a series' values at some frames. Presence is nil if all of these have one.
func pick(s vmaf.Series, frames []int) (values []float64, present []bool) {
	values, present = make([]float64, len(frames)), make([]bool, len(frames))
	for i, frame := range frames {
		v, ok := s.At(frame)
		if !ok {
			v = math.NaN()
		}
		values[i], present[i] = v, ok
	}
	if !slices.Contains(present, false) {
		present = nil
	}
	return values, present
}
