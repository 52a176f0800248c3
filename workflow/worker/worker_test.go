package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/protocol"
	"github.com/vqsd/vqsd/workflow/queue"
)

func TestATaskIsDoneAndDelivered(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	p := run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: measuring(), Slots: 2, Roots: []string{"media"}, Progress: time.Millisecond})
	hello := wait(t, "hello", d.hellos)
	if hello.Worker != "worker" || hello.Slots != 2 || hello.Device.Backend != "cpu (test)" || !slices.Equal(hello.Roots, []string{"media"}) || len(hello.Running) > 0 {
		t.Errorf("hello %+v", hello)
	}
	d.publish(chunk(1, 50))
	f := wait(t, "finish", d.finishes)
	if f.Worker != "worker" || f.Task.Number != 1 || f.Chunk == nil || f.Chunk.Frames != 50 || f.Elapsed <= 0 || f.Decode != 1 || f.Kernels != 2 {
		t.Errorf("finish %+v", f)
	}
	if len(d.frames) != 50 {
		t.Errorf("%d figures came, want 50", len(d.frames))
	}
	d.empty()
	if b := wait(t, "a heartbeat", d.heartbeats); b.Worker != "worker" || b.RSSBytes <= 0 {
		t.Errorf("heartbeat %+v", b)
	}
	p.end()
}

func TestInspectionsAreDelivered(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	video := store.Video{Width: 16, Height: 16, BitDepth: 8, Frames: 3}
	file := store.File{Source: source("ref"), Host: "host"}
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: &hands{inspect: func(context.Context, protocol.Comparison, protocol.Inspect) (*protocol.Inspection, error) {
		return &protocol.Inspection{Reference: video, ReferenceFile: file, Renditions: []protocol.InspectedVideo{
			{Failure: &protocol.Error{Reason: store.ReasonNotFound, Message: "no such file"}}}}, nil
	}}})
	task := chunk(0, 1)
	task.Kind, task.Inspect, task.Chunk = store.TaskInspect, &protocol.Inspect{}, nil
	d.publish(task)
	if f := wait(t, "finish", d.finishes); f.Inspection == nil || f.Inspection.Reference.Width != 16 {
		t.Errorf("finish %+v", f)
	}
	d.empty()
}

func TestHowATaskFails(t *testing.T) {
	fail := func(err error) *hands {
		return &hands{measure: func(context.Context, protocol.Comparison, protocol.Chunk, func(protocol.Part) error, func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
			return nil, protocol.Timing{}, err
		}}
	}
	emitting := func(p protocol.Part) *hands {
		return &hands{measure: func(_ context.Context, _ protocol.Comparison, task protocol.Chunk, emit func(protocol.Part) error, _ func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
			return done(task), protocol.Timing{}, emit(p)
		}}
	}
	for name, test := range map[string]struct {
		handler *hands
		timeout time.Duration
		want    protocol.Error
	}{
		"for a reason of the media": {fail(fmt.Errorf("measure: %w", &protocol.Error{Reason: store.ReasonDamaged, Message: "frame 7 is damaged"})), 0,
			protocol.Error{Reason: store.ReasonDamaged, Message: "frame 7 is damaged"}},
		"for a reason that may go away": {fail(&protocol.Error{Reason: store.ReasonInternal, Message: "no memory", Transient: true}), 0,
			protocol.Error{Reason: store.ReasonInternal, Message: "no memory", Transient: true}},
		"for a defect": {fail(errors.New("index out of range")), 0, protocol.Error{Reason: store.ReasonInternal, Message: "internal error: index out of range"}},
		"for taking too long": {stuck(make(chan protocol.Chunk, 1)), 20 * time.Millisecond,
			protocol.Error{Reason: store.ReasonLimit, Message: "took longer than workers.task_timeout (20ms)", Transient: true}},
		"for figures that are none": {emitting(protocol.Part{Extraction: "vif", First: 5, End: 5, Step: 1, Figures: [][]float64{{}}}), 0,
			protocol.Error{Reason: store.ReasonInternal, Message: "internal error: part of a result"}},
		"for a result that is none": {fail(nil), 0, protocol.Error{Reason: store.ReasonInternal, Message: "internal error: encode"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t, queue.ServerConfig{})
			d := newDaemon(t).start(queue.Config{Server: s})
			run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: test.handler, TaskTimeout: test.timeout})
			d.publish(chunk(1, 5))
			f := wait(t, "finish", d.finishes)
			if f.Failure == nil || f.Returned || f.Failure.Reason != test.want.Reason || f.Failure.Transient != test.want.Transient || !strings.HasPrefix(f.Failure.Message, test.want.Message) {
				t.Errorf("got %+v, want %+v", f.Failure, test.want)
			}
			d.empty()
		})
	}
}

func TestARefusedWorkerSaysWhatToDo(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t)
	d.welcome = func(*protocol.Hello) *protocol.Welcome {
		return &protocol.Welcome{Refused: "run the same version on both"}
	}
	d.start(queue.Config{Server: s})
	p := run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: measuring()})
	var refused *RefusedError
	if err := wait(t, "the worker's end", p.ended); !errors.As(err, &refused) || !strings.Contains(err.Error(), "run the same version on both") {
		t.Errorf("got %v", err)
	}
}

func TestAWorkerWaitsForADaemon(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	p := run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: measuring()})
	d := newDaemon(t).start(queue.Config{Server: s})
	wait(t, "hello", d.hellos)
	d.publish(chunk(1, 5))
	wait(t, "finish", d.finishes)
	p.end()
}

func TestAWorkerWithoutADaemonEndsWhenTold(t *testing.T) {
	p := run(t, Config{Conn: connect(t, queue.Config{Server: server(t, queue.ServerConfig{})}), Handler: measuring()})
	p.end()
}

func TestADrainingDaemonGetsNoTasksDone(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t)
	draining := make(chan bool, 2)
	draining <- true
	draining <- false
	d.welcome = func(*protocol.Hello) *protocol.Welcome {
		return &protocol.Welcome{Lease: d.lease, Draining: <-draining}
	}
	d.lease = 50 * time.Millisecond
	d.start(queue.Config{Server: s})
	d.publish(chunk(1, 5))
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: measuring()})
	wait(t, "hello", d.hellos)
	wait(t, "hello again, to hear whether it drains still", d.hellos)
	wait(t, "finish", d.finishes)
}

func TestCancelStopsATaskWithinASecond(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	begun := make(chan protocol.Chunk, 3)
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: stuck(begun), Slots: 3})
	for n := range 3 {
		d.publish(chunk(n, 5))
	}
	for range 3 {
		wait(t, "the tasks' beginning", begun)
	}
	from := time.Now()
	d.cancel(1)
	d.cancel(-1)
	d.empty()
	if took := time.Since(from); took > time.Second {
		t.Errorf("it took %v", took)
	}
	select {
	case f := <-d.finishes:
		t.Errorf("a cancelled task was finished: %+v", f)
	default:
	}
}

func TestARefusedRecordStopsTheTask(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t)
	d.receipt = func(string) *protocol.Receipt { return &protocol.Receipt{Refused: "the measurement has ended"} }
	d.start(queue.Config{Server: s})
	stopped := make(chan error, 1)
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: &hands{measure: func(ctx context.Context, _ protocol.Comparison, task protocol.Chunk, emit func(protocol.Part) error, _ func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
		var err error
		for err == nil { // more figures than fit what may wait
			err = emit(figures(task))
		}
		stopped <- err
		return nil, protocol.Timing{}, err
	}}, RecordBytes: 1 << 10})
	d.publish(chunk(1, 100))
	if err := wait(t, "the end of the task", stopped); err == nil {
		t.Error("emit goes on although nobody wants it")
	}
	d.empty()
}

func TestALargePartIsSplitByFrames(t *testing.T) {
	for name, test := range map[string]struct {
		first, end, step int64
		columns, limit   int
	}{
		"one that fits":             {10, 20, 1, 1, 1 << 10},
		"one frame too many":        {0, 96, 1, 1, 1 << 10},
		"steps that do not end":     {7, 1000, 3, 2, 1 << 10},
		"a step above the range":    {7, 9, 5, 2, 1 << 10},
		"a frame larger than limit": {0, 3, 1, 200, 1 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			p := protocol.Part{Extraction: "vif", First: test.first, End: test.end, Step: test.step, Figures: make([][]float64, test.columns)}
			for c := range p.Figures {
				for frame := test.first; frame < test.end; frame += test.step {
					p.Figures[c] = append(p.Figures[c], float64(frame)+float64(c)/1000)
				}
			}
			must(t, p.Validate())
			next := test.first
			joined := make([][]float64, test.columns)
			for _, piece := range split(p, test.limit) {
				if err := piece.Validate(); err != nil {
					t.Fatalf("piece %d:%d: %v", piece.First, piece.End, err)
				}
				if piece.First != next {
					t.Errorf("a piece begins at %d, want %d", piece.First, next)
				}
				if size := sizeOf(&piece); size > test.limit && piece.Frames() > 1 {
					t.Errorf("a piece of %d bytes", size)
				}
				body, err := protocol.Encode(&protocol.Record{Worker: "w", Task: protocol.TaskID{Measurement: someID, Attempt: 1}, Parts: []protocol.Part{piece}})
				must(t, err)
				if len(body) > sizeOf(&piece)+256 {
					t.Errorf("%d bytes encoded, %d estimated", len(body), sizeOf(&piece))
				}
				next = piece.First + piece.Frames()*piece.Step
				for c := range joined {
					joined[c] = append(joined[c], piece.Figures[c]...)
				}
			}
			for c := range joined {
				if !slices.Equal(joined[c], p.Figures[c]) {
					t.Errorf("column %d came apart", c)
				}
			}
		})
	}
}

func TestFiguresAreSentInMessagesThatFit(t *testing.T) {
	const frames = 20_000 // 180 kB, above what this server takes
	s := server(t, queue.ServerConfig{MaxPayload: 64 << 10})
	d := newDaemon(t).start(queue.Config{Server: s})
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: measuring()})
	d.publish(chunk(1, frames))
	if f := wait(t, "finish", d.finishes); f.Chunk == nil {
		t.Errorf("finish %+v", f)
	}
	if len(d.frames) != frames || d.records < 180/48 {
		t.Errorf("%d figures came in %d messages", len(d.frames), d.records)
	}
}

func TestSmallPartsShareAMessage(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: &hands{measure: func(_ context.Context, _ protocol.Comparison, task protocol.Chunk, emit func(protocol.Part) error, _ func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
		column := make([]float64, 1) // the handler's own, used again and again
		for frame := task.First; frame < task.End; frame++ {
			column[0] = float64(frame)
			if err := emit(protocol.Part{Extraction: "vif", First: frame, End: frame + 1, Step: 1, Figures: [][]float64{column}}); err != nil {
				return nil, protocol.Timing{}, err
			}
		}
		column[0] = math.NaN()
		return done(task), protocol.Timing{}, nil
	}}})
	d.publish(chunk(1, 100))
	wait(t, "finish", d.finishes)
	if d.records != 1 || len(d.frames) != 100 {
		t.Errorf("%d figures came in %d messages, want one message", len(d.frames), d.records)
	}
}

func TestAResultThatNoMessageHoldsIsAFailure(t *testing.T) {
	s := server(t, queue.ServerConfig{MaxPayload: 4 << 10})
	d := newDaemon(t).start(queue.Config{Server: s})
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: &hands{measure: func(_ context.Context, _ protocol.Comparison, task protocol.Chunk, _ func(protocol.Part) error, _ func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
		out := done(task)
		out.Renditions[0] = store.RenditionDone{EndedAt: -1, Failure: &store.Failure{Reason: store.ReasonDamaged, Message: strings.Repeat("x", 8<<10)}}
		return out, protocol.Timing{}, nil
	}}})
	d.publish(chunk(1, 5))
	f := wait(t, "finish", d.finishes)
	if f.Failure == nil || f.Failure.Reason != store.ReasonLimit || !strings.Contains(f.Failure.Message, "max_payload") {
		t.Errorf("finish %+v", f.Failure)
	}
}

func TestProgressIsReportedNowAndThen(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	said := make(chan int64)
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: &hands{measure: func(_ context.Context, _ protocol.Comparison, task protocol.Chunk, _ func(protocol.Part) error, progress func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
		for at := range said {
			for i := range at + 1 { // far more often than anybody wants to hear
				progress(i, 1000)
			}
		}
		return done(task), protocol.Timing{}, nil
	}}, Progress: 20 * time.Millisecond})
	d.publish(chunk(1, 5))
	for _, at := range []int64{10, 500, 1000} {
		said <- at
		for {
			if p := wait(t, "progress", d.progress); p.Done == at && p.Total == 1000 {
				break
			}
		}
	}
	close(said)
	wait(t, "finish", d.finishes)
	if n := len(d.progress); n > 20 {
		t.Errorf("%d reports more", n)
	}
}

func TestALongTaskKeepsItsLease(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t)
	d.lease = 300 * time.Millisecond
	d.start(queue.Config{Server: s})
	run(t, Config{ID: "busy", Conn: connect(t, queue.Config{Server: s}), Handler: &hands{measure: func(ctx context.Context, _ protocol.Comparison, task protocol.Chunk, _ func(protocol.Part) error, _ func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
		select { // several leases long
		case <-time.After(1200 * time.Millisecond):
		case <-ctx.Done():
		}
		return done(task), protocol.Timing{}, ctx.Err()
	}}})
	d.publish(chunk(1, 5))
	// An idle one beside it would get the task, were it to be had.
	other := connect(t, queue.Config{Server: s})
	ctx, cancel := context.WithCancel(t.Context())
	stolen := make(chan *queue.Delivery, 1)
	wait(t, "hello", d.hellos)
	for {
		if b := wait(t, "the task's beginning", d.heartbeats); len(b.Running) == 1 {
			break
		}
	}
	go func() {
		got, _ := other.Take(ctx, classes()...)
		stolen <- got
	}()
	wait(t, "finish", d.finishes)
	cancel()
	if got := <-stolen; got != nil {
		t.Error("another worker got the task while it ran")
	}
	d.empty()
}

func TestATaskThatComesAgainWhileItRunsIsRunOnce(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	begun := make(chan protocol.Chunk, 10)
	release := make(chan struct{})
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Slots: 3, Handler: &hands{measure: func(_ context.Context, _ protocol.Comparison, task protocol.Chunk, _ func(protocol.Part) error, _ func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
		begun <- task
		<-release
		return done(task), protocol.Timing{}, nil
	}}})
	task := chunk(1, 5)
	body, err := protocol.Encode(task)
	must(t, err)
	for i := range 3 { // the same task under several names
		must(t, d.conn.Publish(t.Context(), string(task.Class), strconv.Itoa(i), body))
	}
	d.publish(chunk(2, 5))
	got := []int64{wait(t, "a task", begun).First, wait(t, "another task", begun).First}
	slices.Sort(got)
	if !slices.Equal(got, []int64{100, 200}) {
		t.Errorf("tasks with frames %v began", got)
	}
	close(release)
	wait(t, "finish", d.finishes)
	wait(t, "finish", d.finishes)
	d.empty()
	if len(begun) > 0 || d.finished[1] != 1 {
		t.Errorf("%d more began, and the task was finished %d times", len(begun), d.finished[1])
	}
}

func TestAMalformedTaskIsDropped(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: measuring()})
	must(t, d.conn.Publish(t.Context(), classes()[0], "1", []byte("not CBOR")))
	d.publish(chunk(1, 5))
	wait(t, "finish", d.finishes)
	d.empty()
}

// The daemon has media inspected once more, under the same name, as soon as it has the first result: which may be before the worker has put that task out of
// its hand.
func TestAnInspectionThatFollowsAnotherIsNotTakenForIt(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t)
	d.rounds = true
	d.start(queue.Config{Server: s})
	begun := make(chan int, 10)
	release := make(chan struct{})
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Slots: 2, Handler: &hands{inspect: func(_ context.Context, c protocol.Comparison, _ protocol.Inspect) (*protocol.Inspection, error) {
		begun <- c.BitDepth
		<-release
		return &protocol.Inspection{}, nil
	}, measure: func(_ context.Context, _ protocol.Comparison, task protocol.Chunk, _ func(protocol.Part) error, _ func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
		return done(task), protocol.Timing{}, nil
	}}})
	for i, depth := range []int{8, 10} {
		task := chunk(0, 1)
		task.Kind, task.Inspect, task.Chunk = store.TaskInspect, &protocol.Inspect{}, nil
		task.Comparison.BitDepth = depth
		body, err := protocol.Encode(task)
		must(t, err)
		must(t, d.conn.Publish(t.Context(), string(task.Class), strconv.Itoa(i), body))
		if i == 0 {
			wait(t, "the first inspection", begun)
		}
	}
	// A task behind it tells that the worker has looked at it.
	d.publish(chunk(7, 1))
	wait(t, "the end of the task behind", d.finishes)
	close(release)
	if depth := wait(t, "the second inspection", begun); depth != 10 {
		t.Errorf("at %d bits", depth)
	}
}
