package decode

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vqsd/vqsd/internal/emulator"
	"github.com/vqsd/vqsd/vmaf"
)

// hardwareClip is the first of the clips, the one with the most references.
func hardwareClip(t testing.TB, frames int) string {
	c := hardwareClips[0]
	return generate(t, c.file, frames, c.size, c.args...)
}

// softwareSums are the hashes of a clip's luma as software decodes it.
func softwareSums(t testing.TB, path string) []string {
	t.Helper()
	want, _, _, err := tryDeviceSums(open(t, path, Config{LumaOnly: true}), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	return want
}

// TestHardware_severalReadersAtOnce: each has a decoder session of its own.
func TestHardware_severalReadersAtOnce(t *testing.T) {
	log, runs := decoderLog(t)
	h := openHardware(t)
	t.Setenv("VQSD_EMU_NVDEC_LOG", log)
	path := hardwareClip(t, 60)
	want := softwareSums(t, path)
	v := open(t, path, Config{LumaOnly: true, Hardware: h})
	const readers, chunk = 5, 12
	var together sync.WaitGroup // all Readers are open before any goes on
	together.Add(readers)
	var all sync.WaitGroup
	for k := range readers {
		all.Go(func() {
			first := int64(k * chunk)
			r, err := v.Read(context.Background(), first, first+chunk)
			if err != nil {
				t.Error(err)
				together.Done()
				return
			}
			defer r.Close()
			for i := first; i < first+chunk; i++ {
				f, err := r.Next()
				if i == first {
					together.Done()
					together.Wait()
				}
				if err != nil {
					t.Error(err)
					return
				}
				got, err := lumaAnywhere(f)
				if err != nil || got != want[i] || !f.OnDevice() {
					t.Errorf("frame %d: %v", i, err)
				}
				f.Release()
			}
		})
	}
	all.Wait()
	if list := runs(); len(list) > 0 && len(list) < readers {
		t.Errorf("%d decoder sessions for %d readers", len(list), readers)
	}
}

// TestHardware_heldFrames holds frames in the decoder's surfaces, or in copies where there are more than it has surfaces, and looks at
// them when all are there.
func TestHardware_heldFrames(t *testing.T) {
	h := openHardware(t)
	path := hardwareClip(t, 60)
	want := softwareSums(t, path)
	for _, c := range []struct {
		name       string
		hold, held int
		fallbacks  int64
	}{
		{"as many as said", 12, 12, 0},
		{"the default", 0, 4, 0},
		{"more than a decoder has surfaces", 60, 60, 0},
		{"more than said", 2, 40, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := open(t, path, Config{LumaOnly: true, Hardware: h, HoldFrames: c.hold})
			r, err := v.Read(context.Background(), 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var held []*Frame
			look := func(f *Frame) {
				if got, err := lumaAnywhere(f); err != nil || got != want[f.Index] {
					t.Errorf("frame %d differs after it was held: %v", f.Index, err)
				}
				f.Release()
			}
			for range want {
				f, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !f.OnDevice() && c.fallbacks == 0 {
					t.Fatalf("frame %d is not on the device (%q)", f.Index, v.Info().SoftwareReason)
				}
				if held = append(held, f); len(held) > c.held {
					look(held[0])
					held = held[1:]
				}
			}
			for _, f := range held {
				look(f)
			}
			if s := r.Stats(); s.Fallbacks != c.fallbacks || s.Delivered != int64(len(want)) {
				t.Errorf("%+v, want %d fallbacks", s, c.fallbacks)
			}
		})
	}
}

// TestHardware_framesOutliveEverything: a frame keeps decoder, stream and context.
func TestHardware_framesOutliveEverything(t *testing.T) {
	log, runs := decoderLog(t)
	openHardware(t)
	t.Setenv("VQSD_EMU_NVDEC_LOG", log)
	path := hardwareClip(t, 10)
	want := softwareSums(t, path)
	for _, hold := range []int{4, 100} {
		h, err := OpenHardware(0)
		if err != nil {
			t.Fatal(err)
		}
		v, err := Open(context.Background(), Input{Path: path}, Config{LumaOnly: true, Hardware: h, HoldFrames: hold})
		if err != nil {
			t.Fatal(err)
		}
		r, err := v.Read(context.Background(), 3, -1)
		if err != nil {
			t.Fatal(err)
		}
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := errors.Join(r.Close(), v.Close(), h.Close()); err != nil {
				t.Error(err)
			}
		}
		if got, err := lumaAnywhere(f); err != nil || got != want[3] || !f.OnDevice() {
			t.Errorf("frame 3 after its video was closed: %v", err)
		}
		f.Release()
		if v.Held() != 0 {
			t.Errorf("%d frames held", v.Held())
		}
		for _, r := range runs() {
			if !r.closed || r.mapped != 0 {
				t.Errorf("decoder session left behind: %+v", r)
			}
		}
	}
}

// TestHardware_convertedFrames crops, converts and turns frames on a device as those in memory.
func TestHardware_convertedFrames(t *testing.T) {
	h := openHardware(t)
	for _, clip := range []string{"h264 of another size than whole blocks", "vp9 10 bits"} {
		i := slices.IndexFunc(hardwareClips, func(c struct {
			name, file, size, decoder string
			args                      []string
		}) bool {
			return c.name == clip
		})
		c := hardwareClips[i]
		path := generate(t, c.file, 3, c.size, c.args...)
		software := open(t, path, Config{LumaOnly: true})
		hardware := open(t, path, Config{LumaOnly: true, Hardware: h})
		format := software.Info().Format
		crop := Rect{X: 6, Y: 4, Width: 120, Height: 90}
		cropped := format
		cropped.Width, cropped.Height = crop.Width, crop.Height
		smaller, deeper := cropped, cropped
		smaller.Width, smaller.Height = 64, 50
		deeper.BitsPerComponent = 14
		for _, to := range []struct {
			name     string
			format   vmaf.Format
			onDevice bool
		}{{"cropped alone", cropped, true}, {"smaller", smaller, false}, {"deeper", deeper, format.BitsPerComponent == 8}} {
			t.Run(clip+" "+to.name, func(t *testing.T) {
				convert := func(v *Video, onDevice bool) string {
					converter, err := NewConverter(to.format, Bicubic, true)
					if err != nil {
						t.Fatal(err)
					}
					defer func() {
						if n := converter.pool.inUse(); n != 0 {
							t.Errorf("%d converted frames were not released", n)
						}
						converter.Close()
					}()
					r, err := v.Read(context.Background(), 1, 2)
					if err != nil {
						t.Fatal(err)
					}
					defer r.Close()
					f, err := r.Next()
					if err != nil {
						t.Fatal(err)
					}
					defer f.Release()
					part, err := f.Crop(crop)
					if err != nil {
						t.Fatal(err)
					}
					defer part.Release()
					out, err := converter.Convert(part)
					if err != nil {
						t.Fatal(err)
					}
					defer out.Release()
					if out.OnDevice() != onDevice || out.Format != to.format || out.Index != 1 {
						t.Errorf("on the device %v, %v, frame %d", out.OnDevice(), out.Format, out.Index)
					}
					got, err := lumaAnywhere(out)
					if err != nil {
						t.Fatal(err)
					}
					return got
				}
				if got, want := convert(hardware, to.onDevice), convert(software, false); got != want {
					t.Errorf("%s differs", to.name)
				}
			})
		}
	}
}

// TestHardware_rotation: turned frames are made in host memory.
func TestHardware_rotation(t *testing.T) {
	h := openHardware(t)
	dir := t.TempDir()
	path := generate(t, "a.mp4", 5, "176x144", "-c:v", "libx264", "-preset", "ultrafast")
	turned := filepath.Join(dir, "turned.mp4")
	ffmpeg(t, dir, "-i", path, "-c:v", "copy", "-metadata:s:v", "rotate=90", turned)
	v := open(t, turned, Config{LumaOnly: true, Hardware: h})
	if v.Info().Rotation == (Rotation{}) || v.Info().Decoder != "h264_nvdec" {
		t.Fatalf("%+v", v.Info())
	}
	got, onDevice, _, err := tryDeviceSums(v, 0, -1)
	if err != nil || onDevice != 0 {
		t.Errorf("%d frames on the device, %v", onDevice, err)
	}
	if i := firstDifference(got, softwareSums(t, turned)); i >= 0 {
		t.Errorf("frame %d differs", i)
	}
}

func TestOpenHardware_saysWhatIsMissing(t *testing.T) {
	openHardware(t, "VQSD_EMU_NVDEC_CAPS", "") // so that there is a library, whose capabilities can be changed
	library := os.Getenv(HardwareLibraryVariable)
	for _, c := range []struct {
		name, library, caps string
		ordinal             int
		text                string
	}{
		{"driver", filepath.Join(t.TempDir(), "libcuda.so.1"), "", 0, "cannot open shared object file"},
		{"device", library, "", 64, "device 64; the driver has devices 0 to"},
		{"device below 0", library, "", -1, "device -1; the driver has devices 0 to"},
		{"codecs", library, "none", 0, "device 0 decodes none of the codecs that are used"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(HardwareLibraryVariable, c.library)
			t.Setenv("VQSD_EMU_NVDEC_CAPS", c.caps)
			h, err := OpenHardware(c.ordinal)
			if err == nil {
				h.Close()
				t.Fatal("it opens")
			}
			if !errors.Is(err, ErrNoHardware) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %q", err, c.text)
			}
		})
	}
}

func TestOpenHardware_withoutDecoderLibrary(t *testing.T) {
	library := emulator.Library(t)
	alone := filepath.Join(t.TempDir(), "libcuda.so.1")
	if err := os.Symlink(library, alone); err != nil {
		t.Fatal(err)
	}
	if again(t, HardwareLibraryVariable+"="+alone) {
		return
	}
	h, err := OpenHardware(0)
	if err == nil {
		h.Close()
		t.Skip("the machine has a libnvcuvid")
	}
	if want := "no hardware decoder: libnvcuvid.so.1: cannot open shared object file"; !errors.Is(err, ErrNoHardware) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestOpenHardware_withoutDevices(t *testing.T) {
	if again(t, "VQSD_EMU_DEVICES=0") {
		return
	}
	t.Setenv(HardwareLibraryVariable, emulator.Library(t))
	h, err := OpenHardware(0)
	if err == nil {
		h.Close()
		t.Fatal("it opens")
	}
	if want := "no hardware decoder: cuInit: CUDA_ERROR_NO_DEVICE (100)"; !errors.Is(err, ErrNoHardware) || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestHardware_Capabilities(t *testing.T) {
	h := openHardware(t, "VQSD_EMU_NVDEC_CAPS", "vp9:10:130x132-8192x4096")
	for _, c := range h.Capabilities() {
		want := HardwareCodec{Codec: c.Codec, BitsPerComponent: c.BitsPerComponent, Subsampling: vmaf.Chroma420}
		if c.Codec == "vp9" && c.BitsPerComponent == 10 {
			want = HardwareCodec{"vp9", 10, vmaf.Chroma420, true, 130, 132, 8192, 4096, 8192 * 4096 / 256, 2}
		}
		if c != want {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
	if n := len(h.Capabilities()); n != 9 {
		t.Errorf("%d capabilities", n)
	}
}

// TestHardware_isUsedClosed: a file opens in software then.
func TestHardware_isUsedClosed(t *testing.T) {
	h := openHardware(t)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	v := open(t, hardwareClip(t, 3), Config{LumaOnly: true, Hardware: h})
	if v.Info().SoftwareReason != "the device has been closed" {
		t.Errorf("%+v", v.Info())
	}
}

// TestFrame_downloadInMemory: a frame in memory is its own download.
func TestFrame_downloadInMemory(t *testing.T) {
	v := open(t, mpeg4(t, 2, "64x64"), Config{})
	r, err := v.Read(context.Background(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	host, err := f.Download()
	if err != nil || host != f {
		t.Errorf("%p for %p, %v", host, f, err)
	}
	host.Release()
	if _, err := r.Next(); err != io.EOF {
		t.Error(err)
	}
}

// TestHardware_framesAreComplete reads a frame's memory by another stream than that of its decoder, as whoever measures does, on a
// device that does nothing before somebody waits for it.
func TestHardware_framesAreComplete(t *testing.T) {
	again(t, "VQSD_EMU_LATE=1")
	h := openHardware(t)
	path := hardwareClip(t, 12)
	want := softwareSums(t, path)
	for _, hold := range []int{4, 100} {
		v := open(t, path, Config{LumaOnly: true, Hardware: h, HoldFrames: hold})
		other := open(t, path, Config{LumaOnly: true, Hardware: h})
		next := func(v *Video) (*Reader, *Frame) {
			r, err := v.Read(context.Background(), 5, 8)
			if err != nil {
				t.Fatal(err)
			}
			f, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			return r, f
		}
		r, f := next(other)
		defer r.Close()
		defer f.Release()
		r, g := next(v)
		defer r.Close()
		defer g.Release()
		out := f.pool.frame()
		defer out.Release()
		if err := out.allocate(g.Format, 64, true); err != nil {
			t.Fatal(err)
		}
		if err := downloadLuma(f.av, g.Planes[0], out.Planes[0], g.Format); err != nil {
			t.Fatal(err)
		}
		if got, err := lumaAnywhere(out); err != nil || got != want[5] {
			t.Errorf("frame 5 of a decoder that is told of %d held frames was not complete: %v", hold, err)
		}
	}
}

// TestHardware_givesMemoryBack opens and closes a file on a device with little memory, more often than it has room for.
func TestHardware_givesMemoryBack(t *testing.T) {
	if again(t, "VQSD_EMU_MEMORY=1500000") {
		return
	}
	h := openHardware(t)
	path := hardwareClip(t, 12)
	for i := range 40 {
		hold := []int{4, 60}[i%2] // in surfaces, and in copies
		v, err := Open(context.Background(), Input{Path: path}, Config{LumaOnly: true, Hardware: h, HoldFrames: hold})
		if err != nil {
			t.Fatal(err)
		}
		r, err := v.Read(context.Background(), 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		var held []*Frame
		for len(held) < 4 {
			f, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !f.OnDevice() {
				t.Errorf("time %d: frame %d is not on the device (%q)", i, f.Index, v.Info().SoftwareReason)
			}
			held = append(held, f)
		}
		if err := errors.Join(r.Close(), v.Close()); err != nil {
			t.Error(err)
		}
		for _, f := range held {
			f.Release()
		}
		if t.Failed() {
			return
		}
	}
}
