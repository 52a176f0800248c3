package workflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/protocol"
	"github.com/vqsd/vqsd/workflow/rules"
)

// mostReinspections is how often media are inspected again before rules count as such that do not settle. Two are enough where a rule's scaling or
// size decides which models fit, and the models decide the depth.
const mostReinspections = 3

// planning is a measurement on its way from inspection to plan.
type planning struct {
	s     *Service
	m     *store.Measurement   // as stored
	c     *protocol.Comparison // as inspected
	found *protocol.Inspection
	plan  *store.Plan
	vmaf  *vmaf.Plan
	ds    []store.Rendition // as they will be
}

// plan decides, from what the media are, what is measured and how, and writes that together with the chunk tasks. Where rules
// choose another comparison than was inspected, the media are inspected again as they have it, until the two agree: formats and identities are
// those of what was inspected, and chunks are measured as the plan says.
func (s *Service) plan(ctx context.Context, a *active, m *store.Measurement, c *protocol.Comparison, t *store.Task, found *protocol.Inspection) error {
	p := &planning{s: s, m: m, c: c, found: found, ds: slices.Clone(m.Renditions)}
	failure, err := p.decide(ctx)
	if err != nil {
		return err
	}
	if failure != nil {
		return s.failTask(ctx, a, t, failure)
	}
	if p.differs() {
		if p.plan.Reinspections >= mostReinspections {
			return s.failTask(ctx, a, t, &store.Failure{Reason: store.ReasonRefused, Message: fmt.Sprintf(
				"the operator's rules do not settle: the media were inspected %d times, the last %d as the rules had chosen, and they choose another comparison still; "+
					"have no rule whose condition looks at distorted.fits_v1 change the size that is compared in, or state scale, geometry, bit_depth and models in the request",
				1+mostReinspections, mostReinspections)})
		}
		return p.inspectAgain(ctx, a, t)
	}
	if err := p.describe(); err != nil {
		return err
	}
	if !slices.ContainsFunc(p.ds, func(d store.Rendition) bool { return !d.State.Final() }) {
		return p.fail(ctx, a, t)
	}
	tasks, err := p.tasks(ctx)
	if err != nil {
		return err
	}
	return p.write(ctx, a, t, tasks)
}

// decide applies the rules; what the request says itself wins.
func (p *planning) decide(ctx context.Context) (*store.Failure, error) {
	r := &p.m.Request
	var videos []rules.Video
	for _, d := range p.found.Renditions {
		videos = append(videos, ruleVideo(&d.Video, ""))
	}
	for k := range videos {
		videos[k].Path = r.Renditions[k].Source.Path
		if in := &p.found.Renditions[k]; in.Failure == nil {
			videos[k].FitsV1 = rules.FitsV1(comparedIn(in.Format))
		}
	}
	class := r.Class
	if class == "" {
		class = store.ClassThroughput
	}
	frames := p.found.Reference.Frames - r.First
	if r.End != 0 {
		frames = r.End - r.First
	}
	decision, err := p.s.cfg.Rules.Decide(ruleVideo(&p.found.Reference, r.Reference.Path), videos, rules.Request{
		ModelsAuto: r.ModelsAuto(), Class: string(class), Labels: r.Labels, Renditions: len(r.Renditions), Frames: max(frames, 0),
		Given: rules.Given{
			Scale: r.Scale != "", Geometry: r.Geometry != nil, BitDepth: r.BitDepth != "", Encoded: r.Encoded != "", Chunk: r.ChunkFrames != 0, Pairing: r.Pairing != "", Class: r.Class != "",
			Pools: len(r.Pools) > 0,
		},
	})
	if err != nil {
		return &store.Failure{Reason: store.ReasonRefused, Message: fmt.Sprintf("the operator's rules: %v", err)}, nil
	}
	plan := &store.Plan{
		Class: class, Pairing: p.c.Pairing, Scales: slices.Clone(p.c.Scales), Geometries: slices.Clone(p.c.Geometries), Encodeds: make([]string, len(p.ds)),
		Pools: r.Pools, RulesDigest: p.s.cfg.Rules.Digest(),
	}
	if p.m.Plan != nil {
		plan.Reinspections = p.m.Plan.Reinspections
	}
	for _, w := range decision.Warnings {
		plan.Warnings = append(plan.Warnings, warningText(w, r))
	}
	for _, f := range decision.Fired {
		plan.Rules = append(plan.Rules, store.FiredRule{Rule: f.Rule, Rendition: f.Rendition, Settings: f.Settings})
	}
	specs, features, err := asked(r)
	if err != nil {
		return &store.Failure{Reason: store.ReasonInvalid, Message: err.Error()}, nil
	}
	for _, choice := range decision.Models { // all of them, or what rules add to those of the request
		specs = append(specs, store.ModelSpec{Spec: choice.Value})
	}
	plan.Features = features
	for _, choice := range decision.Features {
		if !slices.ContainsFunc(plan.Features, func(text string) bool { return sameExtraction(text, choice.Value) }) {
			plan.Features = append(plan.Features, choice.Value)
		}
	}
	if r.Class == "" && decision.Class.IsSet() {
		plan.Class = store.Class(decision.Class.Value)
	}
	if r.Pairing == "" && decision.Pairing.IsSet() {
		plan.Pairing = decision.Pairing.Value
	}
	if len(plan.Pools) == 0 {
		plan.Pools = defaultPools()
		if len(decision.Pools) > 0 {
			plan.Pools = nil
			for _, choice := range decision.Pools {
				plan.Pools = append(plan.Pools, vmaf.PoolMethod(choice.Value))
			}
		}
	}
	for k, d := range decision.Renditions {
		if r.Scale == "" && d.Scale.IsSet() {
			plan.Scales[k] = d.Scale.Value
		}
		plan.Encodeds[k] = cmp.Or(r.Encoded, d.Encoded.Value.String(), encodedByDefault(r))
		if r.Geometry == nil && d.Geometry.IsSet() {
			plan.Geometries[k] = store.Size{Width: d.Geometry.Value.Width, Height: d.Geometry.Value.Height}
		}
		for _, refusal := range d.Refusals {
			p.failRendition(k, &store.Failure{Reason: store.ReasonRefused,
				Message: fmt.Sprintf("%s: refused by rule %s: %s", r.Renditions[k].Source.URI, refusal.Rule, refusal.Value)})
		}
	}
	p.plan = plan
	if p.vmaf, err = (documents{nil, p.s.store}).parsePlan(ctx, specs, plan.Features, ""); err != nil {
		if storeTrouble(err) {
			return nil, err
		}
		return &store.Failure{Reason: store.ReasonInvalid, Message: err.Error()}, nil
	}
	depth, who := cmp.Or(r.BitDepth, decision.BitDepth.Value), "request"
	if r.BitDepth == "" {
		who = "rule " + decision.BitDepth.Rule
	}
	plan.BitDepth, plan.DepthReason = rules.Depth(depth, who, p.vmaf.Models)
	plan.Chroma = p.vmaf.NeedsChroma()
	plan.Models = describeModels(specs, p.vmaf)
	for _, e := range p.vmaf.Extractions {
		plan.Extractions = append(plan.Extractions, e.String())
	}
	return nil, p.chunks(decision)
}

// sameExtraction says whether two texts ask for the same, however they are spelled.
func sameExtraction(a, b string) bool {
	x, err := vmaf.ParseExtraction(a)
	if err != nil {
		return false // the plan refuses it
	}
	y, err := vmaf.ParseExtraction(b)
	return err == nil && x.String() == y.String()
}

// warningText is a rule's warning, with the renditions it is about where these are not all.
func warningText(w rules.Warning, r *store.Request) string {
	if len(w.Renditions) == 0 || len(w.Renditions) == len(r.Renditions) {
		return w.Text
	}
	var names []string
	for _, k := range w.Renditions {
		names = append(names, r.Renditions[k].Name)
	}
	return strings.Join(names, ", ") + ": " + w.Text
}

// storeTrouble says that an error is the store's, and may go away.
func storeTrouble(err error) bool {
	return errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrClosed) || errors.Is(err, context.Canceled)
}

// ruleVideo is a video as rules see it.
func ruleVideo(v *store.Video, path string) rules.Video {
	out := rules.Video{
		Path: path, Container: v.Container, Codec: v.Codec, Profile: v.Profile, Width: v.Width, Height: v.Height,
		CodedWidth: v.CodedWidth, CodedHeight: v.CodedHeight, BitDepth: v.BitDepth, Subsampling: v.Subsampling, FullRange: v.FullRange,
		VariableFrameRate: v.VariableRate, DurationSeconds: v.Duration.Seconds(), Frames: v.Frames, BitRate: v.BitRate,
		Interlaced: v.Interlaced != "", Transfer: v.ColorTransfer, Primaries: v.ColorPrimaries, ColorSpace: v.ColorSpace,
	}
	if v.FrameRateDen > 0 {
		out.FrameRate = float64(v.FrameRateNum) / float64(v.FrameRateDen)
	}
	return out
}

// differs says whether the plan compares otherwise than was inspected.
func (p *planning) differs() bool {
	if p.plan.Pairing != p.c.Pairing || !slices.Equal(p.plan.Geometries, p.c.Geometries) {
		return true
	}
	for k := range p.found.Renditions {
		in := &p.found.Renditions[k]
		if in.Failure == nil && in.Format.BitDepth != max(p.plan.BitDepth, p.found.Reference.BitDepth, in.Video.BitDepth) {
			return true
		}
		// How a rendition was encoded is found out only where it is asked for.
		if in.Failure == nil && p.plan.Encodeds[k] == encodedAuto && p.c.Encodeds[k] != encodedAuto {
			return true
		}
		// With chroma there is more to convert, and more that can fail.
		if p.plan.Chroma != p.c.Chroma && (in.Failure != nil || in.Video.Subsampling != p.found.Reference.Subsampling) {
			return true
		}
	}
	for k, scale := range p.plan.Scales {
		// A filter that is named also means that other shapes are stretched; that makes a difference where one was refused.
		refused := p.found.Renditions[k].Failure != nil
		if scale != p.c.Scales[k] && (refused || filterInForce(scale) != filterInForce(p.c.Scales[k])) {
			return true
		}
	}
	return false
}

// inspectAgain keeps the decisions so far and has the media looked at once more, with these.
func (p *planning) inspectAgain(ctx context.Context, a *active, t *store.Task) error {
	again := *t
	again.Attempts, again.Open, again.Interrupted = 0, false, 0
	m, err := p.s.store.Update(ctx, a.id, func(m *store.Measurement) (store.Changes, error) {
		if m.State.Final() {
			return store.Changes{}, store.ErrUnchanged
		}
		early := *p.plan
		early.Chunks = nil
		early.Reinspections++
		m.Plan = &early
		return store.Changes{PutTasks: []store.Task{again}}, nil
	})
	if err != nil {
		return err
	}
	p.s.remember(m, []store.Task{again}, nil)
	return nil
}

// failRendition notes why a rendition is not measured. The first reason counts.
func (p *planning) failRendition(k int, failure *store.Failure) {
	if d := &p.ds[k]; !d.State.Final() {
		d.State, d.Failure = store.StateFailed, failure
	}
}

// describe puts what was found into the renditions.
func (p *planning) describe() error {
	for k := range p.ds {
		d, in := &p.ds[k], &p.found.Renditions[k]
		video := in.Video
		if video.Width > 0 {
			d.Video = &video
		}
		d.Fingerprint = in.File.Fingerprint
		if in.Failure != nil {
			p.failRendition(k, in.Failure.Failure())
		}
		if d.State.Final() {
			continue
		}
		d.State = store.StateRunning
		d.Format, d.Conversion, d.RefConvert = in.Format, in.Conversion, in.RefConvert
		d.Pairing, d.First, d.End, d.Offset, d.Repeated, d.Dropped = in.Pairing, in.First, in.End, in.Offset, in.Repeated, in.Dropped
		d.Group = in.Group
		d.Identity = comparedIdentity(p.c, k, p.found.ReferenceFile.Fingerprint, in.File.Fingerprint, in)
		d.ReferenceIdentity = referenceIdentity(p.c, k, p.found.ReferenceFile.Fingerprint, in)
		d.Encoded = encodedAs(p.plan.Encodeds[k], in)
		plan, err := planFor(p.vmaf, d)
		if err != nil {
			return err
		}
		if text := rules.EncodedWarning(toldOf(in), comparedIn(d.Format), p.vmaf.Extractions); text != "" && p.plan.Encodeds[k] == encodedAuto {
			p.plan.Warnings = append(p.plan.Warnings, d.Name+": "+text)
		}
		if err := plan.CheckFormat(comparedIn(d.Format)); err != nil {
			p.failRendition(k, &store.Failure{Reason: store.ReasonUnsupported, Message: fmt.Sprintf(
				"%s: %s", p.m.Request.Renditions[k].Source.URI, strings.ReplaceAll(err.Error(), "\n", "; "))})
		}
	}
	return nil
}

// chunks cuts the timeline.
func (p *planning) chunks(decision *rules.Decision) error {
	r, ref := &p.m.Request, &p.found.Reference
	c := chunking{
		First: -1, Width: ref.Width, Height: ref.Height, Wanted: r.ChunkFrames, RandomAccess: p.found.RandomAccess,
		Seekable: r.OnDamage != "conceal" && ref.Seekable, Halo: p.vmaf.Halo(), Class: p.plan.Class,
		Slots: p.s.workers.slots(), MaxChunks: p.s.cfg.Limits.Chunks,
	}
	if c.Wanted == 0 {
		c.Wanted = decision.ChunkFrames.Value
	}
	for _, in := range p.found.Renditions {
		if in.Failure != nil {
			continue
		}
		if c.First < 0 || in.First < c.First {
			c.First = in.First
		}
		c.End = max(c.End, in.End)
		c.Seekable = c.Seekable && in.RandomEntry
		c.Width, c.Height = max(c.Width, in.Format.Width), max(c.Height, in.Format.Height)
	}
	p.plan.Chunks = c.chunks()
	return nil
}

// fail ends a measurement none of whose renditions can be measured.
func (p *planning) fail(ctx context.Context, a *active, t *store.Task) error {
	var reasons []string
	for _, d := range p.ds {
		reasons = append(reasons, d.Failure.Message)
	}
	failure := *p.ds[0].Failure
	if len(reasons) > 1 {
		failure.Message = "no rendition could be measured: " + strings.Join(reasons, "; ")
	}
	m, err := p.s.store.Update(ctx, a.id, func(m *store.Measurement) (store.Changes, error) {
		if m.State.Final() {
			return store.Changes{}, store.ErrUnchanged
		}
		p.fill(m)
		m.State, m.Failure, m.Finished = store.StateFailed, &failure, p.s.cfg.Now()
		return store.Changes{DeleteTasks: []store.TaskKey{t.Key}}, nil
	})
	if err != nil {
		return err
	}
	p.s.log.Warn("measurement failed", "measurement", m.ID, "reason", string(failure.Reason), "err", failure.Message)
	p.s.ended(m)
	return nil
}

// fill puts what is known now into the record.
func (p *planning) fill(m *store.Measurement) {
	ref := p.found.Reference
	m.Reference, m.ReferenceFingerprint = &ref, p.found.ReferenceFile.Fingerprint
	m.Plan, m.Renditions = p.plan, p.ds
}

// write makes the plan the truth.
func (p *planning) write(ctx context.Context, a *active, t *store.Task, tasks []store.Task) error {
	var times []store.ColumnsPut
	if len(p.found.Times) > 0 {
		times = append(times, timesPut(p.ds, p.found.Times))
	}
	cached := p.cachedPairs(tasks)
	m, err := p.s.store.Update(ctx, a.id, func(m *store.Measurement) (store.Changes, error) {
		if m.State.Final() {
			return store.Changes{}, store.ErrUnchanged
		}
		p.fill(m)
		m.State = store.StateRunning
		m.CachedFrames = cached
		return store.Changes{DeleteTasks: []store.TaskKey{t.Key}, PutTasks: tasks, PutColumns: times}, nil
	})
	if err != nil {
		return err
	}
	p.s.metrics.hits.Add(cached)
	p.s.metrics.misses.Add(p.pairs() - cached)
	a = p.s.remember(m, tasks, nil)
	p.s.log.Info("measurement planned", "measurement", m.ID, "chunks", len(p.plan.Chunks), "tasks", len(tasks), "models", len(p.plan.Models), "stored", cached)
	for _, d := range m.Renditions {
		if d.State == store.StateFailed {
			p.s.log.Warn("rendition failed", "measurement", m.ID, "dis", d.Name, "reason", string(d.Failure.Reason), "err", d.Failure.Message)
		}
	}
	p.s.hub.notify(m.ID)
	p.s.wake()
	if p.s.anyComplete(a) {
		p.s.queueAssembly(m.ID)
	}
	return nil
}

// pairs is how many pairs of frames the renditions that are measured have, those that subsampling passes over left out.
func (p *planning) pairs() int64 {
	n := int64(0)
	step := int64(max(p.m.Request.Subsample, 1))
	for _, d := range p.ds {
		if d.State == store.StateRunning {
			n += (d.End - d.First + step - 1) / step
		}
	}
	return n
}

// cachedPairs is how many of these no task will measure.
func (p *planning) cachedPairs(tasks []store.Task) int64 {
	step := int64(max(p.m.Request.Subsample, 1))
	missing := map[[2]int]bool{} // chunk, rendition
	for _, t := range tasks {
		for _, k := range t.Renditions {
			missing[[2]int{t.Chunk, k}] = true
		}
	}
	n := p.pairs()
	for key := range missing {
		first, end := within(p.plan.Chunks[key[0]], &p.ds[key[1]])
		first = onStep(first, p.ds[key[1]].First, step)
		n -= max(0, (end-first+step-1)/step)
	}
	return n
}
