//go:build cuda

package gpu

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// The limit is exact: a session that needs a byte more than it is refused, and takes nothing.
func TestMemoryLimit(t *testing.T) {
	p := testPlan(format(40, 36, 8), 2, 1)
	d := openDevice(t, 0, Config{MemoryLimitBytes: p.Bytes()})
	newSession(t, d, p)
	if d.UsedBytes() != p.Bytes() {
		t.Errorf("%d bytes used, want %d", d.UsedBytes(), p.Bytes())
	}
	if _, err := d.Upload(*randomPlane(newRand(1), p.Format), 1); !errors.Is(err, ErrOutOfMemory) {
		t.Errorf("upload beyond the limit: %v, want ErrOutOfMemory", err)
	}

	small := openDevice(t, 0, Config{MemoryLimitBytes: p.Bytes() - 1})
	_, err := small.NewSession(p)
	if !errors.Is(err, ErrOutOfMemory) {
		t.Fatalf("session beyond the limit: %v, want ErrOutOfMemory", err)
	}
	for _, want := range []string{"40x36", "exceed the limit of", "raise the limit or make batches smaller"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
	if err := small.Trim(); err != nil {
		t.Error(err)
	}
	if small.UsedBytes() != 0 {
		t.Errorf("a session that was refused left %d bytes", small.UsedBytes())
	}
}

// What one session has freed must not keep the next from its memory, whatever the sizes; and equal sessions in turn allocate nothing.
func TestPool_KeepsWithinLimit(t *testing.T) {
	needEmulator(t)
	large, small := testPlan(format(64, 60, 8), 4, 1), testPlan(format(40, 36, 10), 2, 2)
	d := openDevice(t, 0, Config{MemoryLimitBytes: max(large.Bytes(), small.Bytes())})
	for range 3 {
		for _, p := range []Plan{large, small} {
			s, err := d.NewSession(p)
			if err != nil {
				t.Fatal(err)
			}
			frames := randomFrames(newRand(2), p.Format, p.Frames, p.Renditions)
			measure(t, s, frames, frames)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if used := d.UsedBytes(); used > d.pool.limit/keptShare || used != control(t, "bytes") {
				t.Errorf("%d bytes kept, of which %d may be; the driver says %d", used, d.pool.limit/keptShare, control(t, "bytes"))
			}
		}
	}
	if err := d.Trim(); err != nil {
		t.Error(err)
	}
	if d.UsedBytes() != 0 || control(t, "bytes") != 0 {
		t.Errorf("after Trim %d bytes, the driver says %d", d.UsedBytes(), control(t, "bytes"))
	}
}

func TestPool_ReusesBlocks(t *testing.T) {
	d := openDevice(t, 0, Config{})
	p := testPlan(format(40, 36, 8), 2, 1)
	s, err := d.NewSession(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if d.UsedBytes() != p.Bytes() {
		t.Fatalf("%d bytes are kept, want the session's %d", d.UsedBytes(), p.Bytes())
	}
	newSession(t, d, p)
	if d.UsedBytes() != p.Bytes() {
		t.Errorf("with the next session %d bytes are used, want the same %d", d.UsedBytes(), p.Bytes())
	}
}

// The driver's own lack of memory is met by giving back what is kept, once; then it is an error.
func TestPool_DriverOutOfMemory(t *testing.T) {
	needEmulator(t)
	t.Cleanup(func() { control(t, "clear") })
	d := openDevice(t, 0, Config{})
	kept, err := d.NewSession(testPlan(format(40, 36, 8), 2, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	p := testPlan(format(64, 60, 8), 2, 1)
	control(t, "fault cuMemAlloc_v2 2 0")
	s := newSession(t, d, p)
	if d.UsedBytes() != p.Bytes() {
		t.Errorf("%d bytes used, want %d: what was kept is given back", d.UsedBytes(), p.Bytes())
	}
	frames := randomFrames(newRand(3), p.Format, 2, 1)
	measure(t, s, frames, frames)

	control(t, "fault cuMemAlloc_v2 2 3")
	if _, err := d.NewSession(p); !errors.Is(err, ErrOutOfMemory) || !strings.Contains(err.Error(), "cuMemAlloc(") {
		t.Errorf("no memory at the fourth allocation: %v, want ErrOutOfMemory", err)
	}
	if err := d.Err(); err != nil {
		t.Errorf("lack of memory: %v; it is no loss", err)
	}
	measure(t, s, frames, frames)
}

// More than the device has is refused by the driver.
func TestSession_LargerThanTheDevice(t *testing.T) {
	d := openDevice(t, 0, Config{})
	total := int64(d.Info().MemoryBytes)
	p := Plan{Format: format(65536, 1024, 8), Frames: 4096, MotionDistances: []int{1}, HostPlanes: int(total>>26) + 1} // of 64 MiB each
	if _, err := d.NewSession(p); !errors.Is(err, ErrOutOfMemory) {
		t.Errorf("session of %d bytes on a device of %d: %v, want ErrOutOfMemory", p.Bytes(), total, err)
	}
	small := Plan{Format: format(20, 20, 8), Frames: 1, MotionDistances: []int{1}}
	frames := randomFrames(newRand(1), small.Format, 1, 0)
	if err := newSession(t, d, small).Measure(context.Background(), frames, &Sums{}); err != nil {
		t.Error(err)
	}
}

func TestMemory(t *testing.T) {
	d := openDevice(t, 0, Config{})
	free, total, err := d.Memory()
	if err != nil || free == 0 || free > total || total != d.Info().MemoryBytes {
		t.Errorf("free %d, total %d, %v; the device has %d", free, total, err, d.Info().MemoryBytes)
	}
}

// A plane that was uploaded can be closed twice, and a wrong one is refused with what is wrong.
func TestUpload(t *testing.T) {
	d := openDevice(t, 0, Config{})
	plane := randomPlane(newRand(1), format(9, 7, 8))
	u, err := d.Upload(*plane, 1)
	if err != nil {
		t.Fatal(err)
	}
	if u.Plane.DeviceAddress == 0 || u.Plane.Data != nil || u.Plane.Width != 9 || u.Plane.Height != 7 {
		t.Errorf("uploaded plane %+v", u.Plane)
	}
	for range 2 {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	}
	if u.Plane.DeviceAddress != 0 {
		t.Error("a closed upload still has an address")
	}
	short := *plane
	short.Data = short.Data[:20]
	narrow := *plane
	narrow.StrideBytes = 8
	for want, err := range map[string]error{
		"must be 1 or 2": second(d.Upload(*plane, 3)),
		"too few for 7":  second(d.Upload(short, 1)),
		"rows 8 bytes":   second(d.Upload(narrow, 1)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
