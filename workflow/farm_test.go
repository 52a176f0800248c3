package workflow

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/protocol"
	"github.com/vqsd/vqsd/workflow/rules"
)

// farm is a transport and the workers behind it, in memory: tasks wait in one line a class, and messages are calls. Workers measure clips
// that exist as descriptions only, with figures that are a function of clip and frame.
type farm struct {
	// mu guards the fields below.
	mu       sync.Mutex
	lines    map[string][]farmTask
	seen     map[string]bool
	handlers map[string]func(context.Context, []byte) []byte
	hear     map[string][]func([]byte)
	clips    map[string]*clip
	measured map[string]int // chunk tasks measured, by "extraction first end rendition"
	opened   int            // inspections that opened media
	more     chan struct{}
}

type farmTask struct {
	id   string
	body []byte
}

// clip is a video that exists as a description.
type clip struct {
	frames   int64
	width    int
	height   int
	content  string // what fingerprint and figures are made of
	stamp    int64
	failure  *protocol.Error           // of opening it
	hurt     map[int64]*protocol.Error // of the chunk that has that frame
	interval int64                     // between random-access points; 0: every frame
}

func newFarm() *farm {
	return &farm{
		lines: map[string][]farmTask{}, seen: map[string]bool{}, handlers: map[string]func(context.Context, []byte) []byte{},
		hear: map[string][]func([]byte){}, clips: map[string]*clip{}, measured: map[string]int{}, more: make(chan struct{}, 1),
	}
}

func (f *farm) Publish(_ context.Context, class, id string, body []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[id] {
		return nil
	}
	f.seen[id] = true
	f.lines[class] = append(f.lines[class], farmTask{id, slices.Clone(body)})
	f.signal()
	return nil
}

func (f *farm) signal() {
	select {
	case f.more <- struct{}{}:
	default:
	}
}

func (f *farm) Handle(subject string, answer func(context.Context, []byte) []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handlers[subject] = answer
	f.signal()
	return nil
}

func (f *farm) Listen(subject string, hear func([]byte)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hear[subject] = append(f.hear[subject], hear)
	return nil
}

func (f *farm) Broadcast(subject string, body []byte) error {
	f.mu.Lock()
	listeners := slices.Clone(f.hear[subject])
	f.mu.Unlock()
	for _, l := range listeners {
		l(body)
	}
	return nil
}

// restart is the death of the daemon's process: messages and listeners are gone.
func (f *farm) restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines, f.seen = map[string][]farmTask{}, map[string]bool{}
	f.handlers, f.hear = map[string]func(context.Context, []byte) []byte{}, map[string][]func([]byte){}
}

// take waits for the next task, in order of class.
func (f *farm) take(ctx context.Context) (*protocol.Task, error) {
	for {
		f.mu.Lock()
		for _, class := range store.Classes() {
			if line := f.lines[string(class)]; len(line) > 0 {
				f.lines[string(class)] = line[1:]
				f.signal()
				f.mu.Unlock()
				var t protocol.Task
				if err := protocol.Decode(line[0].body, &t); err != nil {
					return nil, err
				}
				return &t, nil
			}
		}
		f.mu.Unlock()
		select {
		case <-f.more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ask sends a request to the daemon. ok is false where it does not answer.
func ask[A any](ctx context.Context, f *farm, subject string, question any) (answer A, ok bool) {
	f.mu.Lock()
	h := f.handlers[subject]
	f.mu.Unlock()
	if h == nil {
		return answer, false
	}
	body, err := protocol.Encode(question)
	if err != nil {
		panic(err)
	}
	out := h(ctx, body)
	if out == nil {
		return answer, false
	}
	if err := protocol.Decode(out, &answer); err != nil {
		panic(err)
	}
	return answer, true
}

// worker is one worker of the farm.
type farmWorker struct {
	f    *farm
	name string
	// die, if set, is asked before every step of a task ("begin", "record", "finish"); true: the worker dies there, and never speaks again.
	die func(step string, t *protocol.Task) bool
}

func (w *farmWorker) hello(ctx context.Context) {
	hello := &protocol.Hello{
		Protocol: protocol.Version, Worker: w.name, Host: "host", PID: 1, Version: "test", Slots: 2,
		Device: protocol.Device{Name: "cpu", Backend: "cpu (test)"}, Roots: []string{"media"}, Started: time.Now(),
	}
	for {
		if _, ok := ask[protocol.Welcome](ctx, w.f, protocol.SubjectHello, hello); ok {
			return
		}
		select {
		case <-w.f.more: // the daemon listens, or there is a task
			w.f.signal()
		case <-ctx.Done():
			return
		}
	}
}

// run does tasks until ctx ends or the worker dies.
func (w *farmWorker) run(ctx context.Context) {
	w.hello(ctx)
	for {
		t, err := w.f.take(ctx)
		if err != nil {
			return
		}
		if w.task(ctx, t) {
			return
		}
	}
}

func (w *farmWorker) dies(step string, t *protocol.Task) bool { return w.die != nil && w.die(step, t) }

func (w *farmWorker) task(ctx context.Context, t *protocol.Task) (died bool) {
	if w.dies("begin", t) {
		return true
	}
	leave, ok := ask[protocol.Leave](ctx, w.f, protocol.SubjectBegin, &protocol.Begin{Worker: w.name, Task: t.ID})
	if !ok || !leave.Granted {
		return false
	}
	finish := &protocol.Finish{Worker: w.name, Task: t.ID, Elapsed: time.Millisecond}
	switch t.Kind {
	case store.TaskInspect:
		inspection, failure := w.f.inspect(&t.Comparison, t.Inspect)
		finish.Inspection, finish.Failure = inspection, failure
	case store.TaskChunk:
		if w.dies("record", t) {
			return true
		}
		parts, done := w.f.measure(&t.Comparison, t.Chunk)
		receipt, ok := ask[protocol.Receipt](ctx, w.f, protocol.SubjectRecord, &protocol.Record{Worker: w.name, Task: t.ID, Parts: parts})
		if !ok || receipt.Refused != "" {
			return false
		}
		finish.Chunk = done
	}
	if w.dies("finish", t) {
		return true
	}
	ask[protocol.Receipt](ctx, w.f, protocol.SubjectFinish, finish)
	return false
}

func (f *farm) find(s store.Source) (*clip, *protocol.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.clips[s.Path]
	if c == nil {
		return nil, &protocol.Error{Reason: store.ReasonNotFound, Message: s.URI + ": no such file"}
	}
	return c, c.failure
}

func (c *clip) file(s store.Source) store.File {
	return store.File{Source: s, Host: "host", Stamp: store.Stamp{SizeBytes: c.frames, ModifiedUnixNano: c.stamp}, Fingerprint: store.Fingerprint("sha256:" + c.content)}
}

func (c *clip) video() store.Video {
	return store.Video{
		Codec: "h264", Width: c.width, Height: c.height, BitDepth: 8, Subsampling: "4:2:0", CodedWidth: c.width, CodedHeight: c.height,
		FrameRateNum: 25, FrameRateDen: 1, TimeBaseNum: 1, TimeBaseDen: 25, Timestamps: true, Frames: c.frames, Seekable: true,
	}
}

func (f *farm) inspect(c *protocol.Comparison, task *protocol.Inspect) (*protocol.Inspection, *protocol.Error) {
	ref, failure := f.find(c.Reference)
	if failure != nil {
		return nil, failure
	}
	out := &protocol.Inspection{Reference: ref.video(), ReferenceFile: ref.file(c.Reference), Backend: "cpu (test)"}
	known := func(file store.File) bool {
		return slices.ContainsFunc(task.Known, func(k store.File) bool {
			return k.Source == file.Source && k.Stamp == file.Stamp && k.Host == file.Host
		})
	}
	unchanged := task.Described && known(out.ReferenceFile)
	interval := max(ref.interval, 1)
	for at := int64(0); at < ref.frames; at += interval {
		out.RandomAccess = append(out.RandomAccess, at)
	}
	for k, source := range c.Renditions {
		dis, failure := f.find(source)
		if failure != nil {
			out.Renditions = append(out.Renditions, protocol.InspectedVideo{Failure: failure})
			unchanged = false
			continue
		}
		end := ref.frames
		if c.End != 0 {
			end = c.End
		}
		in := protocol.InspectedVideo{
			Video: dis.video(), File: dis.file(source), Format: compared(c, k, ref),
			Pairing: "index", First: c.First, End: end, Offset: c.Offset, RandomEntry: true,
		}
		if e := encoded(c, k, ref, dis); e != (vmaf.Encoded{}) {
			in.Encoded = store.Encoded{Width: e.Width, Height: e.Height, BitDepth: e.BitsPerComponent}
		}
		if ref.width*dis.height != dis.width*ref.height && c.Scales[k] == "" {
			in = protocol.InspectedVideo{Video: in.Video, File: in.File, Failure: &protocol.Error{Reason: store.ReasonAmbiguous, Message: source.URI + ": another shape"}}
		} else if dis.frames != ref.frames && !c.Shortest {
			in.Failure = &protocol.Error{Reason: store.ReasonAmbiguous, Message: source.URI + ": frame counts differ"}
		} else {
			in.End = min(in.End, dis.frames)
		}
		unchanged = unchanged && known(in.File)
		out.Renditions = append(out.Renditions, in)
	}
	if unchanged {
		for k := range out.Renditions {
			out.Renditions[k] = protocol.InspectedVideo{File: out.Renditions[k].File}
		}
		return &protocol.Inspection{Unchanged: true, ReferenceFile: out.ReferenceFile, Renditions: out.Renditions}, nil
	}
	f.mu.Lock()
	f.opened++
	f.mu.Unlock()
	return out, nil
}

// compared is the format that a rendition is compared in.
func compared(c *protocol.Comparison, k int, ref *clip) store.Format {
	f := store.Format{Width: ref.width, Height: ref.height, BitDepth: max(8, c.BitDepth), Subsampling: "4:2:0"}
	if g := c.Geometries[k]; g != (store.Size{}) {
		f.Width, f.Height = g.Width, g.Height
	}
	return f
}

// pictures are a clip's as they are compared, for [figures].
func pictures(content string, f store.Format) string {
	return fmt.Sprintf("%s %dx%d %d bits", content, f.Width, f.Height, f.BitDepth)
}

// encoded is what CAMBI is told of a rendition.
func encoded(c *protocol.Comparison, k int, ref, dis *clip) vmaf.Encoded {
	given, err := rules.ParseEncoded(c.Encodeds[k])
	if err != nil {
		panic(err)
	}
	if given.Auto {
		file := comparedIn(store.Format{Width: dis.width, Height: dis.height, BitDepth: 8, Subsampling: "4:2:0"})
		to := comparedIn(compared(c, k, ref))
		return vmaf.EncodedOf(file, to, to)
	}
	return vmaf.Encoded{Width: given.Width, Height: given.Height, BitsPerComponent: given.BitDepth}
}

func (f *farm) measure(c *protocol.Comparison, t *protocol.Chunk) ([]protocol.Part, *protocol.ChunkDone) {
	ref, _ := f.find(c.Reference)
	done := &protocol.ChunkDone{Backend: "cpu (test)", Renditions: map[int]store.RenditionDone{}}
	var parts []protocol.Part
	for _, text := range t.Extractions {
		e, err := vmaf.ParseExtraction(text)
		if err != nil {
			panic(err)
		}
		if e.ReferenceOnly() {
			first := max(t.First, c.First+int64(e.Halo()))
			if first < t.End {
				parts = append(parts, protocol.Part{Extraction: text, Rendition: -1, First: first, End: t.End, Step: 1, Figures: figures(e, pictures(ref.content, compared(c, 0, ref)), "", first, t.End, 1)})
			}
		}
	}
	for _, k := range t.Renditions {
		dis, _ := f.find(c.Renditions[k])
		first, end := max(t.First, c.First), min(t.End, dis.frames)
		r := store.RenditionDone{EndedAt: -1, Damage: store.Damage{Decoded: end - first}}
		for frame, failure := range dis.hurt {
			if frame >= first && frame < end {
				r.Failure = failure.Failure()
			}
		}
		done.Renditions[k] = r
		if r.Failure != nil {
			continue
		}
		for _, text := range t.Extractions {
			e, _ := vmaf.ParseExtraction(text)
			format := compared(c, k, ref)
			e = e.WithEncoded(encoded(c, k, ref, dis), comparedIn(format))
			step, first := int64(max(c.Subsample, 1)), first
			if e.EveryFrame() {
				step = 1
			}
			first = onStep(first, c.First, step)
			if e.ReferenceOnly() || first >= end {
				continue
			}
			parts = append(parts, protocol.Part{Extraction: text, Rendition: k, First: first, End: end, Step: step, Figures: figures(e, pictures(ref.content, format), pictures(dis.content, format), first, end, step)})
			done.Frames += (end - first + step - 1) / step
			f.mu.Lock()
			f.measured[fmt.Sprintf("%s %d:%d %s", text, first, end, dis.content)]++
			f.mu.Unlock()
		}
	}
	return parts, done
}

// figures are what the farm's kernels compute: plausible numbers that depend on the pictures and the figure alone.
func figures(e vmaf.Extraction, ref, dis string, first, end, step int64) [][]float64 {
	columns := make([][]float64, len(e.Raw()))
	for c := range columns {
		for frame := first; frame < end; frame += step {
			h := fnv.New64a()
			fmt.Fprintf(h, "%s %s %s %d ", e.RawKey(), ref, dis, c)
			_ = binary.Write(h, binary.BigEndian, frame)
			unit := float64(h.Sum64()>>11) / (1 << 53)
			v := 0.5 + unit/2
			if e.ReferenceOnly() {
				v = float64(uint64(unit * 1e8))
			}
			columns[c] = append(columns[c], v)
		}
	}
	return columns
}
