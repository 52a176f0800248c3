//go:build cuda

package gpu

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x6770)) }

// measure is Measure that must give what the CPU does, whatever is in its sums before.
func measure(t testing.TB, s *Session, frames, host []Frame) {
	t.Helper()
	got := Sums{Motion: make([][2]uint64, 9), VIF: rows[score.VIFSums](3, 20), ADM: rows[score.ADMSums](3, 20)}
	for i := range got.Motion {
		got.Motion[i] = [2]uint64{7, 7}
	}
	for i := range 3 {
		for k := range 20 {
			got.VIF[i][k].NL[1], got.ADM[i][k].AIM[1][1] = 7, 7
		}
	}
	if err := s.Measure(context.Background(), frames, &got); err != nil {
		t.Fatal(err)
	}
	if d := diff(cpuSums(t, s.plan, host), got); d != "" {
		t.Errorf("%v, %d frames, sums differ (-CPU +device):\n%s", s.plan.Format, len(frames), d)
	}
}

func TestMeasure_MotionEqualsCPU(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, size := range [][2]int{{3, 3}, {3, 40}, {4, 3}, {7, 5}, {31, 33}, {32, 32}, {33, 31}, {64, 7}, {97, 3}, {131, 75}} {
		for bpc := 8; bpc <= 16; bpc++ {
			f := format(size[0], size[1], bpc)
			rng := newRand(uint64(bpc))
			s := newSession(t, d, Plan{Format: f, Frames: 4, MotionDistances: []int{1, 2}})
			frames := randomFrames(rng, f, 4, 0)
			measure(t, s, frames, frames)
			measure(t, s, onDevice(t, d, rng, f, frames, false), frames)
			if bpc > 8 {
				measure(t, s, onDevice(t, d, rng, f, frames, true), frames)
			}
		}
	}
}

// The largest differences that there are, of either sign.
func TestMeasure_MotionOfExtremes(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, bpc := range []int{8, 10, 16} {
		f := format(40, 35, bpc)
		black, white := randomPlane(newRand(1), f), randomPlane(newRand(2), f)
		clear(black.Data)
		for y := range f.Height {
			for x := range f.Width {
				setSample(white, f.BytesPerSample(), x, y, 1<<bpc-1)
			}
		}
		s := newSession(t, d, Plan{Format: f, Frames: 2, MotionDistances: []int{1}})
		frames := []Frame{
			{Reference: white, Previous: [2]*vmaf.Plane{black}},
			{Reference: black, Previous: [2]*vmaf.Plane{white}},
		}
		measure(t, s, frames, frames)
	}
}

// A frame's sums depend on its own pictures alone, so how a clip is cut into batches must not matter; nor which memory a picture is in.
func TestMeasure_AnyBatchesGiveTheSame(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, bpc := range []int{8, 10} {
		f := format(67, 50, bpc)
		rng := newRand(uint64(bpc))
		p := testPlan(f, 7, 3)
		clip := randomFrames(rng, f, 7, 3)
		resident := onDevice(t, d, rng, f, clip, bpc > 8)
		s := newSession(t, d, p)
		for _, cuts := range [][]int{{7}, {1, 1, 1, 1, 1, 1, 1}, {3, 4}, {6, 1}, {2, 5}} {
			at := 0
			for _, n := range cuts {
				batch := append([]Frame(nil), clip[at:at+n]...)
				for i := range batch {
					if rng.IntN(2) == 0 {
						batch[i] = resident[at+i]
					}
				}
				measure(t, s, batch, clip[at:at+n])
				at += n
			}
		}
	}
}

func TestMeasure_FramesWithoutPairs(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(48, 40, 8)
	s := newSession(t, d, testPlan(f, 3, 2))
	frames := randomFrames(newRand(3), f, 3, 0)
	measure(t, s, frames, frames)
	frames[1].Distorted = []*vmaf.Plane{nil, randomPlane(newRand(4), f)}
	measure(t, s, frames, frames)
}

// Equal planes go to the device once: room for as many as there are distinct ones is enough, and one less is not.
func TestMeasure_HostPlanes(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(20, 18, 8)
	frames := randomFrames(newRand(5), f, 3, 0) // 3 planes, of which 2 are also predecessors
	other := *frames[0].Reference
	frames[2].Previous[1] = &other // another description of the same
	p := Plan{Format: f, Frames: 3, MotionDistances: []int{1, 2}, HostPlanes: 3}
	measure(t, newSession(t, d, p), frames, frames)

	p.HostPlanes = 2
	s := newSession(t, d, p)
	err := s.Measure(context.Background(), frames, &Sums{})
	if err == nil || !strings.Contains(err.Error(), "frame 2: with it the batch has 3 planes in host memory, and the plan has room for 2") {
		t.Errorf("3 planes in the room of 2: %v", err)
	}
	measure(t, s, frames[:2], frames[:2])

	p.HostPlanes = NoHostPlanes
	s = newSession(t, d, p)
	if err := s.Measure(context.Background(), frames, &Sums{}); err == nil {
		t.Error("planes of host memory in a session without room for any: no error")
	}
	measure(t, s, onDevice(t, d, newRand(6), f, frames, false), frames)
}

func TestPlan_BytesIsWhatASessionTakes(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, p := range []Plan{
		testPlan(format(67, 50, 8), 3, 2),
		testPlan(format(64, 48, 10), 1, 1),
		{Format: format(33, 21, 8), Frames: 5, MotionDistances: []int{2}},
		{Format: format(33, 21, 16), Frames: 5, MotionDistances: []int{1}, HostPlanes: 2},
		{Format: format(33, 21, 16), Frames: 5, MotionDistances: []int{1}, HostPlanes: NoHostPlanes},
	} {
		before := d.UsedBytes()
		s, err := d.NewSession(p)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := d.UsedBytes()-before, p.Bytes(); got != want {
			t.Errorf("%v: the session took %d bytes, Bytes says %d", p, got, want)
		}
		if err := errors.Join(s.Close(), d.Trim()); err != nil {
			t.Fatal(err)
		}
		if d.UsedBytes() != before {
			t.Errorf("%v: %d bytes are left after closing", p, d.UsedBytes()-before)
		}
	}
}

// A worker makes session after session on one device, so what a session leaves behind would add up.
func TestSession_LeavesNothing(t *testing.T) {
	needEmulator(t)
	d := openDevice(t, 0, Config{})
	p := testPlan(format(40, 36, 10), 2, 2)
	frames := randomFrames(newRand(9), p.Format, 2, 2)
	before := takeCensus(t)
	for range 2 {
		s, err := d.NewSession(p)
		if err != nil {
			t.Fatal(err)
		}
		measure(t, s, frames, frames)
		if err := errors.Join(s.Close(), d.Trim()); err != nil {
			t.Fatal(err)
		}
		got := takeCensus(t)
		got.modules = before.modules // are the device's
		if got != before {
			t.Errorf("%+v is left, was %+v", got, before)
		}
	}
}

// Sessions of several devices and goroutines at the same time; under -race this is also the test of the locks.
func TestMeasure_Concurrently(t *testing.T) {
	emulated := openDevice(t, 0, Config{})
	devices := []*Device{emulated}
	if _, infos, err := Probe(); err == nil && len(infos) > 1 {
		devices = append(devices, openDevice(t, 1, Config{}))
	}
	var wg sync.WaitGroup
	for worker := range 2 * len(devices) {
		d := devices[worker%len(devices)]
		wg.Go(func() {
			rng := newRand(uint64(worker))
			for _, f := range []vmaf.Format{format(40, 33, 8), format(37, 34, 10)} {
				s, err := d.NewSession(testPlan(f, 2, 2))
				if err != nil {
					t.Error(err)
					return
				}
				for range 3 {
					frames := randomFrames(rng, f, 2, 2)
					var got Sums
					if err := s.Measure(context.Background(), frames, &got); err != nil {
						t.Error(err)
					} else if d := diff(cpuSums(t, s.plan, frames), got); d != "" {
						t.Errorf("worker %d: sums differ (-CPU +device):\n%s", worker, d)
					}
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// expiring is a context that is cancelled at the n-th look at it.
type expiring struct {
	context.Context
	looks int
}

func (e *expiring) Err() error {
	if e.looks--; e.looks < 0 {
		return context.Canceled
	}
	return nil
}

// Wherever a cancellation is noticed, the sums stay as they were, and the session is good for the next batch.
func TestMeasure_Cancelled(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(36, 34, 8)
	s := newSession(t, d, testPlan(f, 3, 1))
	frames := randomFrames(newRand(8), f, 3, 1)
	for looks := range 100 {
		var got Sums
		err := s.Measure(&expiring{context.Background(), looks}, frames, &got)
		if err == nil {
			if looks < 4 {
				t.Errorf("not cancelled by the look %d", looks)
			}
			return
		}
		if !errors.Is(err, context.Canceled) || got.Motion != nil {
			t.Fatalf("cancelled at look %d: %v, %v; want context.Canceled and nothing", looks, err, got)
		}
		idle := d.do(func() error { return callError(s.stream.handle.Query(), "cuStreamQuery", "") })
		if idle != nil {
			t.Errorf("cancelled at look %d: the device is still at work: %v", looks, idle)
		}
		measure(t, s, frames, frames)
	}
	t.Error("Measure looks at its context without end")
}

// A session lives long and its pictures must not live with it.
func TestMeasure_KeepsNoPictures(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(20, 20, 8)
	s := newSession(t, d, Plan{Format: f, Frames: 2, MotionDistances: []int{1}})
	frames := randomFrames(newRand(1), f, 2, 0)
	freed := make(chan struct{}, 1)
	runtime.AddCleanup(&frames[1].Reference.Data[0], func(c chan struct{}) { c <- struct{}{} }, freed)
	if err := s.Measure(context.Background(), frames, &Sums{}); err != nil {
		t.Fatal(err)
	}
	clear(frames)
	deadline := time.After(10 * time.Second)
	for {
		runtime.GC() // the cleanup runs some time after it
		select {
		case <-freed:
			return
		case <-deadline:
			t.Fatal("a picture is kept")
		default:
		}
	}
}

func TestMeasure_AfterClose(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(20, 20, 8)
	s := newSession(t, d, Plan{Format: f, Frames: 1, MotionDistances: []int{1}})
	if err := d.Close(); err == nil || !strings.Contains(err.Error(), "sessions or uploads are still open (1)") {
		t.Errorf("closing a device with a session: %v", err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Measure(context.Background(), randomFrames(newRand(1), f, 1, 0), &Sums{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Measure on a closed session: %v, want ErrClosed", err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.NewSession(s.plan); !errors.Is(err, ErrClosed) {
		t.Errorf("NewSession on a closed device: %v, want ErrClosed", err)
	}
	if _, err := d.Upload(*randomPlane(newRand(1), f), 1); !errors.Is(err, ErrClosed) {
		t.Errorf("Upload on a closed device: %v, want ErrClosed", err)
	}
	if _, _, err := d.Memory(); !errors.Is(err, ErrClosed) {
		t.Errorf("Memory of a closed device: %v, want ErrClosed", err)
	}
}

func TestPlan_Validate(t *testing.T) {
	good := func() Plan {
		return Plan{Format: format(64, 64, 8), Frames: 2, Renditions: 1, MotionDistances: []int{1}}
	}
	for name, c := range map[string]struct {
		change func(*Plan)
		want   []string
	}{
		"nothing wrong":             {func(p *Plan) {}, nil},
		"no size":                   {func(p *Plan) { p.Format = vmaf.Format{BitsPerComponent: 8} }, []string{"format 0x0; width and height must be 1 … 65536"}},
		"too wide":                  {func(p *Plan) { p.Format.Width = 65537 }, []string{"65537x64"}},
		"7 bits":                    {func(p *Plan) { p.Format.BitsPerComponent = 7 }, []string{"7 bits per component; must be 8 … 16"}},
		"17 bits":                   {func(p *Plan) { p.Format.BitsPerComponent = 17 }, []string{"17 bits"}},
		"no frames":                 {func(p *Plan) { p.Frames = 0 }, []string{"0 frames a batch; must be 1 … 4096"}},
		"too many frames":           {func(p *Plan) { p.Frames = 4097 }, []string{"4097 frames"}},
		"too many renditions":       {func(p *Plan) { p.Renditions = 65 }, []string{"65 renditions; must be 0 … 64"}},
		"too many pairs":            {func(p *Plan) { p.Frames, p.Renditions = 4096, 16 }, []string{"4096 frames of 16 renditions", "at most 65535"}},
		"host planes out of range":  {func(p *Plan) { p.HostPlanes = -2 }, []string{"-2 planes of host memory"}},
		"nothing to do":             {func(p *Plan) { p.MotionDistances = nil }, []string{"no feature"}},
		"distance 3":                {func(p *Plan) { p.MotionDistances = []int{3} }, []string{"motion distance of 3 frames; must be 1 or 2"}},
		"a distance twice":          {func(p *Plan) { p.MotionDistances = []int{1, 1} }, []string{"distance 1 is there twice"}},
		"too small for motion":      {func(p *Plan) { p.Format.Height = 2 }, []string{"64x2 is too small for motion, which needs 3x3"}},
		"VIF without a rendition":   {func(p *Plan) { p.VIFGains, p.Renditions = []float64{100}, 0 }, []string{"0 renditions; all features but motion and CAMBI of the reference compare"}},
		"VIF gain that is too much": {func(p *Plan) { p.VIFGains = []float64{1, 101} }, []string{"VIF gain limit 1 is 101"}},
		"too small for everything": {func(p *Plan) { *p = testPlan(format(2, 64, 8), 1, 1) }, []string{
			"2x64 is too small for motion", "pictures of 2x64; VIF needs at least 16x16", "pictures of 2x64; ADM takes 33x33"}},
		"all at once": {func(p *Plan) { *p = Plan{} }, []string{"format 0x0", "0 bits", "0 frames", "no feature"}},
	} {
		p := good()
		c.change(&p)
		err := p.validate()
		if c.want == nil && err != nil || c.want != nil && err == nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range c.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in: %v", name, want, err)
			}
		}
	}
}

func TestMeasure_RefusesFrames(t *testing.T) {
	wide := Plan{Format: format(24, 20, 10), Frames: 2, Renditions: 2, MotionDistances: []int{1}}
	bytes := Plan{Format: format(24, 20, 8), Frames: 2, Renditions: 2, MotionDistances: []int{1}}
	plane := func(change func(*vmaf.Plane)) func(Plan) []Frame {
		return func(p Plan) []Frame {
			frames := randomFrames(newRand(2), p.Format, 2, 0)
			bad := *frames[1].Reference
			change(&bad)
			frames[1].Distorted = []*vmaf.Plane{nil, &bad}
			return frames
		}
	}
	for name, c := range map[string]struct {
		plan   Plan
		frames func(Plan) []Frame
		want   string
	}{
		"no frames":       {bytes, func(Plan) []Frame { return nil }, "batch of 0 frames; the session takes 1 … 2"},
		"too many frames": {bytes, func(p Plan) []Frame { return randomFrames(newRand(2), p.Format, 3, 0) }, "batch of 3 frames"},
		"no reference":    {bytes, func(p Plan) []Frame { return make([]Frame, 1) }, "frame 0: reference: no picture"},
		"too many renditions": {bytes, func(p Plan) []Frame {
			f := randomFrames(newRand(2), p.Format, 1, 0)
			f[0].Distorted = make([]*vmaf.Plane, 3)
			return f
		}, "frame 0: distorted: 3 pictures; the session takes 2"},
		"another size":        {bytes, plane(func(p *vmaf.Plane) { p.Width++ }), "frame 1: rendition 1: plane of 25x20 samples, want 24x20"},
		"short rows":          {bytes, plane(func(p *vmaf.Plane) { p.StrideBytes = 23 }), "stride of 23 bytes is shorter than a row of 24"},
		"too few rows":        {bytes, plane(func(p *vmaf.Plane) { p.Data = p.Data[:19*p.StrideBytes] }), "too few for 20 rows"},
		"no samples":          {bytes, plane(func(p *vmaf.Plane) { p.Data = nil }), "plane without samples"},
		"two places at once":  {bytes, plane(func(p *vmaf.Plane) { p.DeviceAddress = 4096 }), "in host memory and in the device's"},
		"high bits of a byte": {bytes, plane(func(p *vmaf.Plane) { p.HighBits = true }), "samples of one byte"},
		"odd stride":          {wide, plane(func(p *vmaf.Plane) { p.StrideBytes = 49; p.Data = make([]byte, 49*20) }), "at odd addresses"},
		"odd address":         {wide, plane(func(p *vmaf.Plane) { p.Data = p.Data[1:]; p.StrideBytes = 48 }), "at odd addresses"},
		"odd device address":  {wide, plane(func(p *vmaf.Plane) { p.Data, p.DeviceAddress, p.StrideBytes = nil, 4097, 48 }), "at odd addresses: 0x1001"},
	} {
		err := c.plan.validateFrames(c.frames(c.plan))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: no %q in: %v", name, c.want, err)
		}
	}
	d := openDevice(t, 0, Config{})
	s := newSession(t, d, bytes)
	err := s.Measure(context.Background(), make([]Frame, 2), &Sums{})
	if err == nil || strings.Count(fmt.Sprint(err), "no picture") != 2 {
		t.Errorf("two frames without a reference: %v, want both said", err)
	}
}

// testPlan measures everything that there is, as far as it can be on pictures of that format, which are at least 33×33 for all of it.
func testPlan(f vmaf.Format, frames, renditions int) Plan {
	return Plan{
		Format: f, Frames: frames, Renditions: renditions,
		MotionDistances: []int{1, 2}, VIFGains: []float64{100, 1, 1.5}, ADM: parityADM(),
	}
}
