package protocol

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vqsd/vqsd/store"
)

// Bounds of what a message may say. They are far beyond what a daemon plans or a worker meets.
const (
	maxText        = 64 << 10 // bytes of a message for people
	maxName        = 1 << 10  // bytes of a name, an extraction, a version
	maxPath        = 16 << 10 // bytes of a path or a URI
	maxRenditions  = 64
	maxTasks       = 1 << 12 // in one worker's hands
	maxNumber      = 1 << 20 // of a task, of its attempts
	maxParts       = 1 << 12 // of one Record
	maxExtractions = 1 << 10 // of one Chunk
	maxColumns     = 1 << 8  // of one Part
	maxFrames      = 1 << 40
	maxAccess      = 10_000  // random-access points of an Inspection
	maxTimes       = 100_000 // presentation times of an Inspection
	maxSamples     = 1 << 20 // of a picture's side
	maxBits        = 16      // of a sample of pictures compared
	maxTrace       = 16      // entries of a trace context
	idLength       = 26      // of a ULID
)

// problems collects what is wrong with one message.
type problems []error

func (p *problems) add(format string, args ...any) {
	// A hostile message has as many faults as it has room for; the first few tell enough.
	if len(*p) < 8 {
		*p = append(*p, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
	}
}

func (p problems) err() error { return errors.Join(p...) }

// within checks a number, [low, high].
func within[N ~int | ~int64](p *problems, what string, value, low, high N) {
	if value < low || value > high {
		p.add("%s is %d; the range is %d to %d", what, value, low, high)
	}
}

func (p *problems) text(what, value string, limit int) {
	if len(value) > limit {
		p.add("%s has %d bytes; the limit is %d", what, len(value), limit)
	}
}

// name checks a text that may not be empty.
func (p *problems) name(what, value string) {
	if value == "" {
		p.add("%s is empty", what)
	}
	p.text(what, value, maxName)
}

// frames checks a range of frames; an empty one is none.
func (p *problems) frames(what string, first, end int64) {
	if first < 0 || end <= first || end > maxFrames {
		p.add("%s are frames %d:%d; the first is at least 0 and the end behind it", what, first, end)
	}
}

func (p *problems) measurement(id store.MeasurementID) {
	ok := len(id) == idLength
	for i := 0; ok && i < len(id); i++ {
		ok = id[i] >= '0' && id[i] <= '9' || id[i] >= 'a' && id[i] <= 'z'
	}
	if !ok {
		p.add("measurement %.64q is not named by %d digits and lower-case letters", id, idLength)
	}
}

func (p *problems) task(id TaskID) {
	p.measurement(id.Measurement)
	within(p, "number", id.Number, 0, maxNumber)
	within(p, "attempt", id.Attempt, 1, maxNumber)
}

func (p *problems) tasks(ids []TaskID) {
	if len(ids) > maxTasks {
		p.add("%d tasks run; the limit is %d", len(ids), maxTasks)
		return
	}
	for _, id := range ids {
		p.task(id)
	}
}

func (p *problems) device(d *Device) {
	p.name("device.name", d.Name)
	p.text("device.backend", d.Backend, maxName)
	within(p, "device.threads", d.Threads, 0, 1<<16)
	within(p, "device.memory", d.Memory, 0, 1<<60)
}

func (p *problems) source(what string, s *store.Source) {
	p.text(what+".root", s.Root, maxPath)
	p.text(what+".path", s.Path, maxPath)
	p.text(what+".uri", s.URI, maxPath)
	p.text(what+".raw", s.Raw, maxName)
	if s.Path == "" {
		p.add("%s.path is empty", what)
	}
}

func (p *problems) file(what string, f *store.File) {
	p.source(what+".source", &f.Source)
	p.text(what+".host", f.Host, maxName)
	p.text(what+".fingerprint", string(f.Fingerprint), maxName)
	within(p, what+".stamp.size", f.Stamp.SizeBytes, 0, 1<<62)
}

func (p *problems) failure(what string, e *Error) {
	p.name(what+".reason", string(e.Reason))
	p.text(what+".message", e.Message, maxText)
}

func (p *problems) damage(what string, d *store.Damage) {
	if min(d.Decoded, d.Damaged, d.Missing, d.FormatChanges) < 0 {
		p.add("%s counts %+v; counts are at least 0", what, *d)
	}
}

func (p *problems) duration(what string, d time.Duration) {
	if d < 0 {
		p.add("%s is %v; it is at least 0", what, d)
	}
}

// Validate reports all that is wrong with the message.
func (h *Hello) Validate() error {
	var p problems
	p.text("worker", h.Worker, maxName)
	p.text("host", h.Host, maxName)
	p.text("version", h.Version, maxName)
	// A worker of another protocol is told so, whatever the rest of its message has come to mean.
	if h.Protocol != Version {
		return p.err()
	}
	p.name("worker", h.Worker)
	p.name("host", h.Host)
	within(&p, "pid", h.PID, 0, 1<<31-1)
	p.device(&h.Device)
	if len(h.Roots) > maxTasks {
		p.add("%d media roots; the limit is %d", len(h.Roots), maxTasks)
	}
	for _, root := range h.Roots {
		p.text("roots", root, maxPath)
	}
	within(&p, "slots", h.Slots, 1, maxTasks)
	p.tasks(h.Running)
	return p.err()
}

// Validate reports all that is wrong with the message.
func (w *Welcome) Validate() error {
	var p problems
	p.text("refused", w.Refused, maxText)
	p.text("version", w.Version, maxName)
	if w.Refused == "" {
		within(&p, "lease", int64(w.Lease), int64(10*time.Millisecond), int64(24*time.Hour))
	}
	return p.err()
}

// Validate reports all that is wrong with the message.
func (h *Heartbeat) Validate() error {
	var p problems
	p.name("worker", h.Worker)
	p.tasks(h.Running)
	within(&p, "rss_bytes", h.RSSBytes, 0, 1<<60)
	return p.err()
}

// Validate reports all that is wrong with the message.
func (t *Task) Validate() error {
	var p problems
	p.task(t.ID)
	p.name("class", string(t.Class))
	switch {
	case t.Kind == store.TaskInspect && t.Inspect != nil && t.Chunk == nil:
		if len(t.Inspect.Known) > 16*(maxRenditions+1) {
			p.add("%d known files; the limit is %d", len(t.Inspect.Known), 16*(maxRenditions+1))
			break
		}
		for i := range t.Inspect.Known {
			p.file("inspect.known", &t.Inspect.Known[i])
		}
	case t.Kind == store.TaskChunk && t.Chunk != nil && t.Inspect == nil:
		p.chunk(t.Chunk, len(t.Comparison.Renditions))
	default:
		p.add("kind %.64q goes with exactly its own part of inspect and chunk", t.Kind)
	}
	p.comparison(&t.Comparison)
	if len(t.Trace) > maxTrace {
		p.add("trace has %d entries; the limit is %d", len(t.Trace), maxTrace)
	}
	for k, v := range t.Trace {
		p.text("trace", k, maxName)
		p.text("trace", v, maxName)
	}
	return p.err()
}

func (p *problems) chunk(c *Chunk, renditions int) {
	p.frames("chunk", c.First, c.End)
	if len(c.Renditions) > renditions {
		p.add("chunk.renditions are %d, and the comparison has %d", len(c.Renditions), renditions)
	}
	for i, k := range c.Renditions {
		if k < 0 || k >= renditions || slices.Contains(c.Renditions[:min(i, maxRenditions)], k) {
			p.add("chunk.renditions has %d; each of the comparison's %d may be there once", k, renditions)
		}
	}
	if len(c.Extractions) == 0 || len(c.Extractions) > maxExtractions {
		p.add("chunk.extractions are %d; the range is 1 to %d", len(c.Extractions), maxExtractions)
	}
	for _, e := range c.Extractions {
		p.name("chunk.extractions", e)
	}
}

func (p *problems) comparison(c *Comparison) {
	n := len(c.Renditions)
	if n < 1 || n > maxRenditions {
		p.add("comparison.renditions are %d; the range is 1 to %d", n, maxRenditions)
		return
	}
	p.source("comparison.reference", &c.Reference)
	for i := range c.Renditions {
		p.source("comparison.renditions", &c.Renditions[i])
	}
	lengths := [...]struct {
		what   string
		length int
	}{{"rendition_files", len(c.RenditionFiles)}, {"scales", len(c.Scales)}, {"geometries", len(c.Geometries)}, {"encodeds", len(c.Encodeds)}}
	for _, l := range lengths {
		if l.length != n {
			p.add("comparison.%s are %d for %d renditions", l.what, l.length, n)
			return
		}
	}
	if c.ReferenceFile != nil {
		p.file("comparison.reference_file", c.ReferenceFile)
	}
	for i, f := range c.RenditionFiles {
		if f != nil {
			p.file("comparison.rendition_files", f)
		}
		p.text("comparison.scales", c.Scales[i], maxName)
		within(p, "comparison.geometries.width", c.Geometries[i].Width, 0, maxSamples)
		within(p, "comparison.geometries.height", c.Geometries[i].Height, 0, maxSamples)
		p.text("comparison.encodeds", c.Encodeds[i], maxName)
	}
	p.text("comparison.pairing", c.Pairing, maxName)
	p.text("comparison.on_damage", c.OnDamage, maxName)
	within(p, "comparison.offset", c.Offset, -maxFrames, maxFrames)
	within(p, "comparison.first", c.First, 0, maxFrames)
	if c.End != 0 {
		p.frames("comparison", c.First, c.End)
	}
	within(p, "comparison.subsample", c.Subsample, 0, 1<<30)
	if r := c.Crop; r != nil && (min(r.X, r.Y) < 0 || min(r.Width, r.Height) < 1 || max(r.X, r.Y, r.Width, r.Height) > maxSamples) {
		p.add("comparison.crop is %+v; sides are 1 to %d and the corner is in the picture", *r, maxSamples)
	}
	within(p, "comparison.bit_depth", c.BitDepth, 0, maxBits)
	within(p, "comparison.min_width", c.MinWidth, 0, maxSamples)
	within(p, "comparison.min_height", c.MinHeight, 0, maxSamples)
}

// Validate reports all that is wrong with the message.
func (b *Begin) Validate() error {
	var p problems
	p.name("worker", b.Worker)
	p.task(b.Task)
	return p.err()
}

// Validate reports all that is wrong with the message.
func (l *Leave) Validate() error {
	var p problems
	p.text("why", l.Why, maxText)
	return p.err()
}

// Validate reports all that is wrong with the message. Figures may be any numbers, NaN among them.
func (r *Record) Validate() error {
	var p problems
	p.name("worker", r.Worker)
	p.task(r.Task)
	if len(r.Parts) < 1 || len(r.Parts) > maxParts {
		p.add("parts are %d; the range is 1 to %d", len(r.Parts), maxParts)
		return p.err()
	}
	for i := range r.Parts {
		p.part(&r.Parts[i])
	}
	return p.err()
}

// Validate reports all that is wrong with the part.
func (part *Part) Validate() error {
	var p problems
	p.part(part)
	return p.err()
}

func (p *problems) part(part *Part) {
	p.name("extraction", part.Extraction)
	within(p, "rendition", part.Rendition, -1, maxRenditions-1)
	within(p, "group", part.Group, 0, maxRenditions-1)
	p.frames("a part", part.First, part.End)
	within(p, "step", part.Step, 1, maxFrames)
	if len(part.Figures) < 1 || len(part.Figures) > maxColumns {
		p.add("figures have %d columns; the range is 1 to %d", len(part.Figures), maxColumns)
		return
	}
	if part.Step < 1 || part.End <= part.First || part.First < 0 || part.End > maxFrames {
		return // and there is no telling how many figures there should be
	}
	want := part.Frames()
	for _, column := range part.Figures {
		if int64(len(column)) != want {
			p.add("figures of %.64q are %d for %d frames of %d:%d by %d", part.Extraction, len(column), want, part.First, part.End, part.Step)
			return
		}
	}
}

// Frames is how many frames a part with a valid range and step has figures of.
func (part *Part) Frames() int64 { return (part.End-part.First-1)/part.Step + 1 }

// Validate reports all that is wrong with the message.
func (f *Finish) Validate() error {
	var p problems
	p.name("worker", f.Worker)
	p.task(f.Task)
	outcomes := 0
	for _, there := range [...]bool{f.Failure != nil, f.Inspection != nil, f.Chunk != nil} {
		if there {
			outcomes++
		}
	}
	if outcomes != 1 {
		p.add("%d of failure, inspection and chunk are set; exactly one has to be", outcomes)
	}
	if f.Returned && f.Failure == nil {
		p.add("a task is returned without a failure that says why")
	}
	if f.Failure != nil {
		p.failure("failure", f.Failure)
	}
	if f.Inspection != nil {
		p.inspection(f.Inspection)
	}
	if f.Chunk != nil {
		p.chunkDone(f.Chunk)
	}
	p.duration("elapsed", f.Elapsed)
	p.duration("decode", f.Decode)
	p.duration("kernels", f.Kernels)
	return p.err()
}

func (p *problems) inspection(in *Inspection) {
	p.file("reference_file", &in.ReferenceFile)
	if len(in.Renditions) < 1 || len(in.Renditions) > maxRenditions {
		p.add("renditions are %d; the range is 1 to %d", len(in.Renditions), maxRenditions)
		return
	}
	p.text("backend", in.Backend, maxName)
	if !in.Unchanged {
		p.video("reference", &in.Reference)
	}
	for i := range in.Renditions {
		switch d := &in.Renditions[i]; {
		case d.Failure != nil:
			p.failure("renditions.failure", d.Failure)
		case in.Unchanged:
			p.file("renditions.file", &d.File)
		default:
			p.inspected(d)
		}
	}
	ascending := func(what string, list []int64, limit int) {
		switch {
		case len(list) > limit:
			p.add("%s are %d; the limit is %d", what, len(list), limit)
		case !slices.IsSorted(list):
			p.add("%s do not ascend", what)
		case len(list) > 0 && list[0] < 0:
			p.add("%s begin at %d; they are at least 0", what, list[0])
		}
	}
	ascending("random_access", in.RandomAccess, maxAccess)
	ascending("times", in.Times, maxTimes)
	if in.Times != nil && int64(len(in.Times)) != in.Reference.Frames {
		p.add("times are %d for a reference of %d frames", len(in.Times), in.Reference.Frames)
	}
}

// video checks a video that could be read.
func (p *problems) video(what string, v *store.Video) {
	if v.Width < 1 || v.Height < 1 || max(v.Width, v.Height) > maxSamples {
		p.add("%s is %d×%d; sides are 1 to %d", what, v.Width, v.Height, maxSamples)
	}
	within(p, what+".bit_depth", v.BitDepth, 1, 32)
	counts := [...]int64{v.SizeBytes, v.Frames, v.KeyFrames, v.Discarded, v.Hidden, v.Undecodable, v.BitRate, int64(v.Duration),
		v.FrameRateNum, v.FrameRateDen, v.TimeBaseNum, v.TimeBaseDen, v.SampleAspectNum, v.SampleAspectDen}
	if slices.Min(counts[:]) < 0 {
		p.add("%s has a negative count, length or rate", what)
	}
	within(p, what+".frames", v.Frames, 0, maxFrames)
}

// inspected checks a rendition that can be compared.
func (p *problems) inspected(d *InspectedVideo) {
	p.video("renditions.video", &d.Video)
	p.file("renditions.file", &d.File)
	p.frames("a rendition's pairs", d.First, d.End)
	within(p, "renditions.offset", d.Offset, -maxFrames, maxFrames)
	if min(d.Repeated, d.Dropped) < 0 {
		p.add("a rendition repeats %d frames and drops %d; counts are at least 0", d.Repeated, d.Dropped)
	}
	within(p, "renditions.group", d.Group, 0, maxRenditions-1)
	if d.Format.Width < 1 || d.Format.Height < 1 || max(d.Format.Width, d.Format.Height) > maxSamples {
		p.add("a rendition is compared at %d×%d; sides are 1 to %d", d.Format.Width, d.Format.Height, maxSamples)
	}
	if e := d.Encoded; min(e.Width, e.Height, e.BitDepth) < 0 || max(e.Width, e.Height) > maxSamples || e.BitDepth > maxBits {
		p.add("a rendition was encoded at %dx%d and %d bits; sides are at most %d and bits %d", e.Width, e.Height, e.BitDepth, maxSamples, maxBits)
	}
	p.text("renditions.conversion", d.Conversion, maxText)
	p.text("renditions.reference_conversion", d.RefConvert, maxText)
	p.text("renditions.pairing", d.Pairing, maxName)
}

func (p *problems) chunkDone(c *ChunkDone) {
	p.text("backend", c.Backend, maxName)
	within(p, "frames", c.Frames, 0, maxFrames)
	p.damage("reference", &c.Reference)
	if len(c.Renditions) > maxRenditions {
		p.add("renditions are %d; the limit is %d", len(c.Renditions), maxRenditions)
		return
	}
	for k, d := range c.Renditions {
		within(p, "renditions", k, 0, maxRenditions-1)
		p.damage("renditions", &d.Damage)
		within(p, "renditions.ended_at", d.EndedAt, -1, maxFrames)
		if d.Failure != nil {
			p.name("renditions.failure.reason", string(d.Failure.Reason))
			p.text("renditions.failure.message", d.Failure.Message, maxText)
		}
	}
}

// Validate reports all that is wrong with the message.
func (r *Receipt) Validate() error {
	var p problems
	p.text("refused", r.Refused, maxText)
	p.text("retry", r.Retry, maxText)
	return p.err()
}

// Validate reports all that is wrong with the message.
func (g *Progress) Validate() error {
	var p problems
	p.name("worker", g.Worker)
	p.task(g.Task)
	within(&p, "total", g.Total, 0, maxFrames)
	within(&p, "done", g.Done, 0, max(g.Total, 0))
	return p.err()
}

// Validate reports all that is wrong with the message.
func (c *Cancel) Validate() error {
	var p problems
	p.measurement(c.Measurement)
	within(&p, "number", c.Number, -1, maxNumber)
	return p.err()
}
