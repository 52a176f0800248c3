package avx

import (
	"testing"
	"time"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// TestFirstField: this package reads go-astiav's C pointers where they are kept. Values that go through both sides show
// that they are there.
func TestFirstField(t *testing.T) {
	cc := astiav.AllocCodecContext(astiav.FindDecoder(astiav.CodecIDMpeg4))
	defer cc.Free()
	cc.SetWidth(1234)
	if got := int(codecContext(cc).width); got != 1234 {
		t.Errorf("codec context: width %d", got)
	}
	p := astiav.AllocPacket()
	defer p.Free()
	p.SetPts(77)
	if got := int64(packet(p).pts); got != 77 {
		t.Errorf("packet: pts %d", got)
	}
	fc := astiav.AllocFormatContext()
	defer fc.Free()
	fc.SetStrictStdCompliance(astiav.StrictStdComplianceExperimental)
	if got := int(formatContext(fc).strict_std_compliance); got != int(astiav.StrictStdComplianceExperimental) {
		t.Errorf("format context: compliance %d", got)
	}
	st := fc.NewStream(nil)
	st.SetIndex(5)
	if got := int(stream(st).index); got != 5 {
		t.Errorf("stream: index %d", got)
	}
	st.SetIndex(0)
	f := astiav.AllocFrame()
	defer f.Free()
	f.SetHeight(99)
	if got := Frame(f).Height; got != 99 {
		t.Errorf("frame: height %d", got)
	}
}

func TestControl(t *testing.T) {
	c, err := NewControl()
	if err != nil {
		t.Fatal(err)
	}
	if stopped, timedOut := c.Stopped(); stopped || timedOut {
		t.Error("stops by itself")
	}
	c.SetTimeout(time.Nanosecond)
	time.Sleep(time.Microsecond)
	if _, timedOut := c.Stopped(); !timedOut {
		t.Error("time is not over")
	}
	c.SetTimeout(0)
	c.Stop()
	if stopped, _ := c.Stopped(); !stopped {
		t.Error("does not stop")
	}
	c.Free()
	c.Stop() // as a context may do late
}

// TestWiden against its definition, all shifts.
func TestWiden(t *testing.T) {
	src := []byte{0, 1, 127, 128, 200, 255}
	for bits := 9; bits <= 16; bits++ {
		for _, full := range []bool{false, true} {
			dst := make([]uint16, len(src))
			up, repeat := bits-8, -1
			if full {
				repeat = 16 - bits
			}
			Widen(unsafe.Pointer(&src[0]), len(src), 1, unsafe.Pointer(&dst[0]), 2*len(dst), 2, len(src), 1, up, repeat)
			for i, v := range src {
				want := uint16(v) << up
				if full {
					want |= uint16(v) >> repeat
				}
				if dst[i] != want {
					t.Errorf("%d bits, full range %v: %d becomes %d, want %d", bits, full, v, dst[i], want)
				}
			}
			if full && dst[len(dst)-1] != 1<<bits-1 {
				t.Errorf("%d bits: full scale becomes %d", bits, dst[len(dst)-1])
			}
		}
	}
}
