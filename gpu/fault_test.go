//go:build cuda

package gpu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vqsd/vqsd/vmaf"
)

// census is what the emulator has allocated for this process.
type census struct{ allocations, bytes, host, streams, events, modules, contexts int64 }

func takeCensus(t testing.TB) census {
	t.Helper()
	return census{
		control(t, "allocations"), control(t, "bytes"), control(t, "host"), control(t, "streams"), control(t, "events"),
		control(t, "modules"), control(t, "contexts"),
	}
}

// life is all that can be done with a device, for the fault tests: times sessions one after the other, with as many batches each.
type life struct {
	plan   Plan
	times  int
	frames []Frame
	want   Sums
}

func newLife(t testing.TB, p Plan, times int) *life {
	t.Helper()
	l := &life{plan: p, times: times, frames: randomFrames(newRand(11), p.Format, p.Frames, p.Renditions)}
	l.want = cpuSums(t, p, l.frames)
	return l
}

// run lives it, up to the first error, and then closes everything. errs[0] is the first error that there was. Sums that come without an
// error and are wrong fail the test. The device is returned for what there is to say about it.
func (l *life) run(t testing.TB) (d *Device, errs []error) {
	t.Helper()
	note := func(err error) bool {
		if err != nil {
			errs = append(errs, err)
		}
		return err != nil
	}
	d, err := Open(0, Config{Logger: slog.New(slog.DiscardHandler)})
	if note(err) {
		return nil, errs
	}
	defer func() { note(d.Close()) }()
	for range l.times { // the second time with what the first has left in the pool
		func() {
			reference := l.frames[0].Reference
			u, err := d.Upload(*reference, l.plan.Format.BytesPerSample())
			if note(err) {
				return
			}
			defer func() { note(u.Close()) }()
			s, err := d.NewSession(l.plan)
			if note(err) {
				return
			}
			defer func() { note(s.Close()) }()
			frames := append([]Frame(nil), l.frames...)
			frames[0].Reference = &u.Plane
			for range l.times {
				var got Sums
				if note(s.Measure(context.Background(), frames, &got)) {
					if got.Motion != nil || got.VIF != nil || got.ADM != nil {
						t.Errorf("sums beside an error: %+v", got)
					}
					return
				}
				if d := diff(l.want, got); d != "" {
					t.Errorf("wrong sums and no error (-CPU +device):\n%s", d)
				}
			}
			if _, _, err := d.Memory(); note(err) {
				return
			}
		}()
		if len(errs) > 0 {
			break
		}
	}
	return d, errs
}

// Every call of the driver fails once at every place where it is made. That must be said, with the call, and nothing may stay behind.
func TestFault_AnyCallAnywhere(t *testing.T) {
	needEmulator(t)
	control(t, "clear")
	t.Cleanup(func() { control(t, "clear") })
	f := format(35, 33, 8)
	simple := newLife(t, Plan{Format: f, Frames: 2, Renditions: 1, MotionDistances: []int{1, 2}}, 2)
	// Features make some of the calls themselves, and take the emulator their time.
	whole := newLife(t, testPlan(f, 2, 1), 1)
	byFeatures := []string{"cuMemAlloc_v2", "cuMemcpyHtoD_v2", "cuMemsetD8Async", "cuModuleLoadDataEx", "cuModuleGetFunction", "cuLaunchKernel"}
	before := takeCensus(t)
	for _, l := range []*life{simple, whole} {
		if _, errs := l.run(t); errs != nil {
			t.Fatal("without a fault: ", errors.Join(errs...))
		}
		if got := takeCensus(t); got != before {
			t.Fatalf("without a fault: %+v is left, was %+v", got, before)
		}
	}
	for call, spare := range map[string]int{
		// spare is how many failures in a row may go unnoticed, because the program does without.
		"cuDeviceGetCount": 0, "cuDeviceGet": 0, "cuDeviceGetName": 0, "cuDeviceTotalMem_v2": 0, "cuDeviceGetUuid": 3, "cuDeviceGetAttribute": 5,
		"cuDevicePrimaryCtxGetState": 0, "cuDevicePrimaryCtxSetFlags_v2": 0, "cuDevicePrimaryCtxRetain": 0, "cuDevicePrimaryCtxRelease_v2": 0,
		"cuCtxSetCurrent": 0, "cuMemAlloc_v2": 0, "cuMemFree_v2": 0, "cuMemHostAlloc": 0, "cuMemFreeHost": 0, "cuMemGetInfo_v2": 0,
		"cuMemcpyHtoD_v2": 0, "cuMemcpyHtoDAsync_v2": 0, "cuMemcpyDtoHAsync_v2": 0, "cuMemsetD8Async": 0,
		"cuStreamCreate": 0, "cuStreamSynchronize": 0, "cuStreamDestroy_v2": 0,
		"cuEventCreate": 0, "cuEventRecord": 0, "cuEventSynchronize": 0, "cuEventElapsedTime": 0, "cuEventDestroy_v2": 0,
		"cuModuleLoadDataEx": 0, "cuModuleGetFunction": 0, "cuModuleUnload": 0, "cuLaunchKernel": 0,
	} {
		t.Run(call, func(t *testing.T) {
			l := simple
			if slices.Contains(byFeatures, call) {
				l = whole
			}
			for _, code := range []int{1, 2, 719} {
				noticed := 0
				for after, unnoticed := 0, 0; unnoticed <= spare; after++ {
					control(t, fmt.Sprintf("fault %s %d %d", call, code, after))
					d, errs := l.run(t)
					control(t, "clear")
					if d != nil {
						if err := d.Close(); err != nil { // it may be tried again
							t.Errorf("code %d, call %d: closing after the fault: %v", code, after, err)
						}
					}
					if got := takeCensus(t); got != before {
						t.Fatalf("code %d, call %d: %+v is left, was %+v, after %v", code, after, got, before, errs)
					}
					if errs == nil {
						unnoticed++
						continue
					}
					unnoticed = 0
					noticed++
					checkFault(t, errs[0], call, code)
					if after > 300 {
						t.Fatal("fails without end")
					}
				}
				// While closing, the failures that only repeat a loss are not reported.
				if noticed == 0 && spare == 0 && !(code == 719 && strings.Contains("cuModuleUnload cuDevicePrimaryCtxRelease_v2", call)) {
					t.Errorf("code %d was never noticed", code)
				}
			}
		})
	}
}

// checkFault: the error says which call failed and how.
func checkFault(t *testing.T, err error, call string, code int) {
	t.Helper()
	var failed *CallError
	if !errors.As(err, &failed) {
		t.Errorf("%s answers %d: %v; no CallError", call, code, err)
		return
	}
	// A failing launch shows itself at the next wait, on a device too.
	asynchronous := code == 719 && call == "cuLaunchKernel"
	if failed.Code != code || failed.Call != strings.TrimSuffix(call, "_v2") && !asynchronous {
		t.Errorf("%s answers %d: %+v", call, code, failed)
	}
	if errors.Is(err, ErrOutOfMemory) != (code == 2) || errors.Is(err, ErrLost) != (code == 719) {
		t.Errorf("%s answers %d: out of memory %t, lost %t: %v", call, code, errors.Is(err, ErrOutOfMemory), errors.Is(err, ErrLost), err)
	}
	if text := err.Error(); !strings.Contains(text, failed.Call+"(") || !strings.Contains(text, fmt.Sprint(code)) {
		t.Errorf("error %q does not name call and code", text)
	}
}

func TestCallError_Text(t *testing.T) {
	for _, c := range []struct {
		err  CallError
		want string
	}{
		{CallError{"cuMemAlloc", "33554432", 2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
			"cuMemAlloc(33554432): out of memory (CUDA_ERROR_OUT_OF_MEMORY, 2)"},
		{CallError{"cuInit", "", 4711, "", ""}, "cuInit(): error 4711"},
		{CallError{"cuInit", "", 100, "CUDA_ERROR_NO_DEVICE", ""}, "cuInit(): CUDA_ERROR_NO_DEVICE, 100"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%+v reads %q, want %q", c.err, got, c.want)
		}
	}
}

// After a kernel has ended abnormally everything fails at once, says why, and can be closed; and then a new device is as good as ever.
func TestLostDevice(t *testing.T) {
	needEmulator(t)
	control(t, "clear")
	before := takeCensus(t)
	f := format(35, 33, 8)
	p := Plan{Format: f, Frames: 2, MotionDistances: []int{1}}
	frames := randomFrames(newRand(1), f, 2, 0)

	d, err := Open(0, Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s, other := newSession(t, d, p), newSession(t, d, p)
	u, err := d.Upload(*frames[0].Reference, 1)
	if err != nil {
		t.Fatal(err)
	}
	if d.Err() != nil {
		t.Errorf("before anything: %v", d.Err())
	}
	control(t, "fault cuLaunchKernel 719 0")
	if err := s.Measure(context.Background(), frames, &Sums{}); !errors.Is(err, ErrLost) {
		t.Errorf("a kernel fails: %v, want ErrLost", err)
	}
	launches := control(t, "launches")
	_, _, memoryErr := d.Memory()
	_, uploadErr := d.Upload(*frames[0].Reference, 1)
	_, sessionErr := d.NewSession(p)
	for what, err := range map[string]error{
		"Err": d.Err(), "Memory": memoryErr, "Upload": uploadErr, "NewSession": sessionErr, "Trim": d.Trim(),
		"Measure of that session":      s.Measure(context.Background(), frames, &Sums{}),
		"Measure of the other session": other.Measure(context.Background(), frames, &Sums{}),
	} {
		if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "719") {
			t.Errorf("%s on a lost device: %v, want ErrLost and why", what, err)
		}
	}
	if got := control(t, "launches"); got != launches {
		t.Errorf("%d launches on a lost device", got-launches)
	}
	for what, closer := range map[string]interface{ Close() error }{"session": s, "other session": other, "upload": u} {
		if err := closer.Close(); err != nil {
			t.Errorf("close %s: %v", what, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Errorf("close device: %v", err)
	}
	if got := takeCensus(t); got != before {
		t.Errorf("%+v is left, was %+v", got, before)
	}
	measure(t, newSession(t, openDevice(t, 0, Config{}), p), frames, frames)
}

// A kernel that fails ends the batches of all sessions of its device, wherever they are, and none of another.
func TestLostDevice_OthersEnd(t *testing.T) {
	needEmulator(t)
	control(t, "clear")
	t.Cleanup(func() { control(t, "clear") })
	f := format(35, 33, 8)
	p := Plan{Format: f, Frames: 2, MotionDistances: []int{1}}
	d, other := openDevice(t, 0, Config{}), openDevice(t, 1, Config{})
	frames := randomFrames(newRand(1), f, 2, 0)
	spared := newSession(t, other, p)
	measure(t, spared, frames, frames)

	control(t, "fault cuLaunchKernel 719 25")
	want := cpuSums(t, p, frames)
	var wg sync.WaitGroup
	for range 3 {
		s := newSession(t, d, p)
		wg.Go(func() {
			for range 10000 {
				var got Sums
				err := s.Measure(context.Background(), frames, &got)
				if err == nil {
					if d := diff(want, got); d != "" {
						t.Errorf("wrong sums and no error (-CPU +device):\n%s", d)
						return
					}
					continue
				}
				if !errors.Is(err, ErrLost) {
					t.Errorf("%v, want ErrLost", err)
				}
				return
			}
			t.Error("goes on measuring on a lost device")
		})
	}
	wg.Wait()
	measure(t, spared, frames, frames)
}

// A wait that fails does not say that the device has done: the pictures are given back only when it has, or when it is given up.
func TestDrain_WaitThatFails(t *testing.T) {
	needEmulator(t)
	f := format(35, 33, 8)
	frames := randomFrames(newRand(1), f, 2, 0)
	for _, c := range []struct {
		name, fault string
		lost        bool
	}{
		{"the stream's", "fault cuStreamSynchronize 1 0", false},
		{"the context's too", "fault cuCtxSynchronize 1 0", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := openDevice(t, 0, Config{})
			s := newSession(t, d, Plan{Format: f, Frames: 2, MotionDistances: []int{1}})
			control(t, "fault cuStreamSynchronize 1 0")
			if c.lost {
				control(t, c.fault)
			}
			t.Cleanup(func() { control(t, "clear") })
			err := s.Measure(context.Background(), frames, &Sums{})
			if err == nil || !strings.Contains(err.Error(), "cuStreamSynchronize") {
				t.Errorf("%v, want an error of cuStreamSynchronize", err)
			}
			if lost := errors.Is(d.Err(), ErrLost); lost != c.lost {
				t.Errorf("device lost %t, want %t", lost, c.lost)
			}
			if !c.lost {
				measure(t, s, frames, frames)
			}
		})
	}
}

// What a picture's memory holds after Measure has returned is the caller's affair, even if the device is slow.
func TestMeasure_ReturnsWhenTheDeviceHasRead(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(67, 50, 8)
	s := newSession(t, d, Plan{Format: f, Frames: 6, MotionDistances: []int{1}})
	frames := randomFrames(newRand(2), f, 6, 0) // more planes than staging buffers
	for looks := range 10 {
		want := cpuSums(t, s.plan, frames)
		var got Sums
		err := s.Measure(&expiring{context.Background(), looks + 3}, frames, &got)
		if err == nil {
			if d := diff(want, got); d != "" {
				t.Errorf("sums differ (-CPU +device):\n%s", d)
			}
		}
		for i := range frames {
			scribble(frames[i].Reference)
		}
	}
}

func scribble(p *vmaf.Plane) {
	for i := range p.Data {
		p.Data[i] = p.Data[i]*31 + 7
	}
}
