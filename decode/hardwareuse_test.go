package decode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

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
		}{{"cropped alone", cropped, true}, {"smaller", smaller, false}, {"deeper", deeper, false}} {
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

// TestHardware_whatItCannotDo is decoded in software, and Info says why.
func TestHardware_whatItCannotDo(t *testing.T) {
	x264 := func(more ...string) []string { return append([]string{"-c:v", "libx264", "-preset", "ultrafast"}, more...) }
	vp9 := func(more ...string) []string {
		return append([]string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"}, more...)
	}
	for _, c := range []struct {
		name, file, size string
		args             []string
		cfg              Config
		settings         []string
		why              string
	}{
		{name: "codec without a standard for every bit", file: "a.ts", args: []string{"-c:v", "mpeg2video"}, why: "mpeg2video of 4:2:0 and 8 bits is not decoded by hardware"},
		{name: "codec that the device lacks", file: "a.mp4", args: x264(), settings: []string{"VQSD_EMU_NVDEC_CAPS", "vp8:8:48x16-4096x4096"}, why: "the device does not decode h264 of 8 bits"},
		{name: "larger than the device decodes", file: "a.mp4", args: x264(), settings: []string{"VQSD_EMU_NVDEC_CAPS", "h264:8:48x16-160x160"}, why: "larger than the device decodes (160x160"},
		{name: "larger as coded than the device decodes", file: "a.mp4", size: "176x140", args: x264(), settings: []string{"VQSD_EMU_NVDEC_CAPS", "h264:8:48x16-176x140"}, why: "the device's decoder cannot be set up"},
		{name: "smaller than the device decodes", file: "a.webm", size: "96x96", args: vp9(), why: "96x96 are smaller than the device decodes (128x128)"},
		{name: "deeper than the device decodes", file: "a.mp4", args: x264("-pix_fmt", "yuv420p10le"), why: "h264 of 4:2:0 and 10 bits is not decoded by hardware"},
		{name: "other chroma", file: "a.mp4", args: x264("-pix_fmt", "yuv422p"), why: "h264 of 4:2:2 and 8 bits is not decoded by hardware"},
		{name: "lossless", file: "a.mp4", args: x264("-qp", "0"), why: "profile High 4:4:4 Predictive"},
		{name: "interlaced", file: "a.mkv", args: x264("-x264-params", "interlaced=1"), why: "interlaced"},
		{name: "odd size", file: "a.webm", args: vp9("-s", "177x145"), why: "odd picture size 177x145"},
		{name: "concealment", file: "a.mp4", args: x264(), cfg: Config{OnDamage: Conceal}, why: "damage is to be concealed as software does it"},
		{name: "more references than surfaces", file: "a.mp4", args: x264("-preset", "medium", "-x264-params", "ref=16:bframes=16:b-pyramid=2"), why: ""},
		{name: "no decoder to be had", file: "a.mp4", args: x264(), settings: []string{"VQSD_EMU_NVDEC_FAULT", "cuvidCreateDecoder 2 0"}, why: "the device's decoder cannot be set up"},
		{name: "first picture fails", file: "a.mp4", args: x264(), settings: []string{"VQSD_EMU_NVDEC_FAULT", "cuvidDecodePicture 999 0"}, why: "cuvidDecodePicture"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := openHardware(t, c.settings...)
			size := c.size
			if size == "" {
				size = "176x144"
			}
			path := generate(t, c.file, 6, size, c.args...)
			cfg := c.cfg
			cfg.LumaOnly = true
			want := softwareSums(t, path)
			name := open(t, path, cfg).Info().Decoder
			cfg.Hardware = h
			v := open(t, path, cfg)
			if c.why != "" && (v.Info().Decoder != name || !strings.Contains(v.Info().SoftwareReason, c.why)) {
				t.Errorf("decoder %s; software because %q, want %q", v.Info().Decoder, v.Info().SoftwareReason, c.why)
			}
			got, onDevice, stats, err := tryDeviceSums(v, 0, -1)
			if err != nil || stats.Fallbacks != 0 || c.why != "" && onDevice != 0 {
				t.Errorf("%d on the device, %+v, %v", onDevice, stats, err)
			}
			if i := firstDifference(got, want); i >= 0 {
				t.Errorf("frame %d differs", i)
			}
		})
	}
}

// TestHardware_failsOnTheWay: the Reader goes on in software with the frame it was at, and later Readers use the device again.
func TestHardware_failsOnTheWay(t *testing.T) {
	for _, fault := range []string{"cuvidDecodePicture 999 30", "cuvidMapVideoFrame64 2 25", "cuvidCreateDecoder 2 1"} {
		t.Run(fault, func(t *testing.T) {
			h := openHardware(t, "VQSD_EMU_NVDEC_FAULT", fmt.Sprintf("%s %d", fault[:strings.LastIndexByte(fault, ' ')], 1<<40))
			path := hardwareClip(t, 54)
			want := softwareSums(t, path)
			v := open(t, path, Config{LumaOnly: true, Hardware: h})
			if v.Info().Decoder != "h264_nvdec" {
				t.Fatal(v.Info().SoftwareReason)
			}
			if strings.Contains(fault, "Create") {
				// another session than the one that opening left behind
				idle, err := v.Read(context.Background(), 0, -1)
				if err != nil {
					t.Fatal(err)
				}
				defer idle.Close()
				f, err := idle.Next()
				if err != nil {
					t.Fatal(err)
				}
				f.Release()
				fault = "cuvidCreateDecoder 2 0"
			}
			t.Setenv("VQSD_EMU_NVDEC_FAULT", fault)
			got, onDevice, stats, err := tryDeviceSums(v, 0, -1)
			if err != nil || stats.Fallbacks != 1 || onDevice >= len(got) {
				t.Errorf("%d of %d on the device, %+v, %v", onDevice, len(got), stats, err)
			}
			if i := firstDifference(got, want); i >= 0 {
				t.Errorf("frame %d differs", i)
			}
			t.Setenv("VQSD_EMU_NVDEC_FAULT", "")
			if got, onDevice, stats, err := tryDeviceSums(v, 20, 30); err != nil || onDevice != 10 || stats.Fallbacks != 0 || !slices.Equal(got, want[20:30]) {
				t.Errorf("afterwards: %d on the device, %+v, %v", onDevice, stats, err)
			}
			if v.Stats().Fallbacks != 1 {
				t.Errorf("%+v", v.Stats())
			}
		})
	}
}

// TestHardware_damage: what ends a Reader in software ends it with hardware, with the same words.
func TestHardware_damage(t *testing.T) {
	h := openHardware(t)
	path := generate(t, "a.ts", 54, "176x144", "-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "keyint=12:bframes=2:slices=2")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"packets are missing": func(b []byte) []byte {
			at := len(b) / 188 / 2 * 188
			return slices.Delete(b, at, at+12*188)
		},
		"the end is missing": func(b []byte) []byte { return b[:len(b)/188*3/4*188] },
	} {
		t.Run(name, func(t *testing.T) {
			bad := writeFile(t, "bad.ts", damage(slices.Clone(whole)))
			read := func(cfg Config) (int, string) {
				cfg.LumaOnly = true
				v := open(t, bad, cfg)
				got, _, _, err := tryDeviceSums(v, 0, -1)
				return len(got), fmt.Sprint(err)
			}
			n, want := read(Config{})
			if m, got := read(Config{Hardware: h}); m != n || got != want {
				t.Errorf("hardware: %d frames, then %s\nsoftware: %d frames, then %s", m, got, n, want)
			}
			t.Log(n, want)
		})
	}
}

// TestHardware_picturesChangeSize joins two streams of VP9, whose decoder on a device must not change size.
func TestHardware_picturesChangeSize(t *testing.T) {
	h := openHardware(t)
	args := []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0"}
	var joined []byte
	for i, size := range []string{"176x144", "192x160"} {
		data, err := os.ReadFile(generate(t, "a.ivf", 10, size, args...))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			joined = data
			continue
		}
		for at := 32; at < len(data); {
			n := int(binary.LittleEndian.Uint32(data[at:]))
			binary.LittleEndian.PutUint64(data[at+4:], binary.LittleEndian.Uint64(data[at+4:])+10)
			joined = append(joined, data[at:at+12+n]...)
			at += 12 + n
		}
	}
	path := writeFile(t, "a.ivf", joined)
	cfg := Config{LumaOnly: true, AllowFormatChange: true}
	want, _, _, err := tryDeviceSums(open(t, path, cfg), 0, -1)
	if err != nil || len(want) != 20 {
		t.Fatal(len(want), err)
	}
	cfg.Hardware = h
	got, onDevice, stats, err := tryDeviceSums(open(t, path, cfg), 0, -1)
	if err != nil || onDevice != 10 || stats.Fallbacks != 1 || stats.FormatChanges != 1 {
		t.Errorf("%d on the device, %+v, %v", onDevice, stats, err)
	}
	if i := firstDifference(got, want); i >= 0 {
		t.Errorf("frame %d differs", i)
	}
}

func TestOpenHardware_saysWhatIsMissing(t *testing.T) {
	openHardware(t, "VQSD_EMU_NVDEC_CAPS", "") // so that there is a library, whose capabilities can be changed
	library := os.Getenv(HardwareLibraryVariable)
	alone := filepath.Join(t.TempDir(), "libcuda.so.1")
	for _, c := range []struct {
		name, library, caps string
		ordinal             int
		text                string
	}{
		{"driver", filepath.Join(t.TempDir(), "libcuda.so.1"), "", 0, "cannot open shared object file"},
		{"device", library, "", 64, "device 64; the driver has devices 0 to"},
		{"device below 0", library, "", -1, "device -1; the driver has devices 0 to"},
		{"codecs", library, "none", 0, "device 0 decodes none of the codecs that are used"},
		{"decoder library", alone, "", 0, "libnvcuvid.so.1: cannot open shared object file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.library == alone {
				if err := os.Symlink(library, alone); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv(HardwareLibraryVariable, c.library)
			t.Setenv("VQSD_EMU_NVDEC_CAPS", c.caps)
			h, err := OpenHardware(c.ordinal)
			if err == nil {
				h.Close()
				if c.library == alone {
					t.Skip("the process has a libnvcuvid already, or the machine has one")
				}
				t.Fatal("it opens")
			}
			if !errors.Is(err, ErrNoHardware) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %q", err, c.text)
			}
		})
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
