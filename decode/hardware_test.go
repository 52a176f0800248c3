package decode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/vqsd/vqsd/internal/emulator"
	"github.com/vqsd/vqsd/vmaf"
)

// The tests here run on the software libcuda with the software libnvcuvid beside it, or on a device with VQSD_TEST_DEVICE=1.

// openHardware opens the device. settings are pairs of environment variables and values for the software decoder, which the device
// has no use for: the test is skipped there.
func openHardware(t testing.TB, settings ...string) *Hardware {
	t.Helper()
	library := emulator.Library(t)
	if library == "" && len(settings) > 0 {
		t.Skip("needs the software libnvcuvid")
	}
	if library != "" {
		if !fileExists(filepath.Join(filepath.Dir(library), "libnvcuvid.so.1")) {
			if os.Getenv(emulator.EnvRequire) == "1" {
				t.Fatal("no software libnvcuvid beside ", library, "; make emu builds it")
			}
			t.Skip("no software libnvcuvid beside ", library, "; make emu builds it")
		}
		t.Setenv(HardwareLibraryVariable, library)
	}
	for i := 0; i < len(settings); i += 2 {
		t.Setenv(settings[i], settings[i+1])
	}
	h, err := OpenHardware(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// decoderLog has the software libnvcuvid write down its decoders, and returns how to read that.
func decoderLog(t testing.TB) (path string, read func() []decoderRun) {
	path = filepath.Join(t.TempDir(), "nvcuvid.log")
	line := regexp.MustCompile(`(?m)^close (\d+) pictures (\d+) mapped (\d+)$|^open (\d+) (\w+) (\d+x\d+) surfaces (\d+)$`)
	return path, func() []decoderRun {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		runs := map[string]*decoderRun{}
		var order []string
		for _, m := range line.FindAllStringSubmatch(string(text), -1) {
			if m[4] != "" {
				n, _ := strconv.Atoi(m[7])
				runs[m[4]] = &decoderRun{codec: m[5], size: m[6], surfaces: n}
				order = append(order, m[4])
				continue
			}
			r := runs[m[1]]
			r.closed = true
			r.pictures, _ = strconv.Atoi(m[2])
			r.mapped, _ = strconv.Atoi(m[3])
		}
		var out []decoderRun
		for _, number := range order {
			out = append(out, *runs[number])
		}
		return out
	}
}

// decoderRun is one decoder session.
type decoderRun struct {
	codec, size                string
	surfaces, pictures, mapped int // mapped: pictures that were not given back when it was destroyed
	closed                     bool
}

// lumaAnywhere hashes a frame's luma, wherever it is.
func lumaAnywhere(f *Frame) (string, error) {
	host, err := f.Download()
	if err != nil {
		return "", err
	}
	defer host.Release()
	g := &Frame{Picture: host.Picture}
	g.Format.Subsampling = vmaf.Gray
	return sum(g), nil
}

// tryDeviceSums reads frames [first, end) and hashes their luma; where says how many of them were on the device.
func tryDeviceSums(v *Video, first, end int64) (out []string, onDevice int, stats Stats, err error) {
	r, err := v.Read(context.Background(), first, end)
	if err != nil {
		return nil, 0, Stats{}, err
	}
	defer r.Close()
	for {
		f, err := r.Next()
		if err == io.EOF {
			return out, onDevice, r.Stats(), nil
		}
		if err != nil {
			return out, onDevice, r.Stats(), err
		}
		if f.OnDevice() {
			onDevice++
		}
		s, err := lumaAnywhere(f)
		f.Release()
		if err != nil {
			return out, onDevice, r.Stats(), err
		}
		out = append(out, s)
	}
}

// hardwareClips are clips that the software libnvcuvid decodes.
var hardwareClips = []struct {
	name, file, size, decoder string
	args                      []string
}{
	{"h264 open groups with pyramid", "a.mkv", "176x144", "h264_nvdec", []string{"-c:v", "libx264", "-preset", "fast", "-x264-params",
		"keyint=12:min-keyint=12:bframes=5:b-adapt=0:b-pyramid=2:open-gop=1:ref=4:scenecut=0:weightp=2"}},
	{"h264 of another size than whole blocks", "a.mp4", "190x102", "h264_nvdec", []string{"-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "keyint=12:bframes=2:slices=3"}},
	{"h264 in a transport stream", "a.ts", "176x144", "h264_nvdec", []string{"-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "keyint=12:bframes=2"}},
	{"h264 without timestamps", "a.h264", "176x144", "h264_nvdec", []string{"-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "keyint=12:bframes=3"}},
	{"h264 full range", "a.mp4", "176x144", "h264_nvdec", []string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuvj420p"}},
	{"hevc open groups", "a.mp4", "176x144", "hevc_nvdec", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
		"log-level=none:keyint=12:min-keyint=12:bframes=4:b-adapt=0:open-gop=1:scenecut=0"}},
	{"hevc 10 bits of another size than whole blocks", "a.mkv", "190x150", "hevc_nvdec", []string{"-c:v", "libx265", "-preset", "medium",
		"-pix_fmt", "yuv420p10le", "-x265-params", "log-level=none:keyint=12:bframes=3:open-gop=0"}},
	{"vp8 with hidden pictures", "a.webm", "176x144", "vp8_nvdec", []string{"-c:v", "libvpx", "-deadline", "good", "-cpu-used", "4", "-auto-alt-ref", "1", "-lag-in-frames", "12", "-g", "20", "-b:v", "200k"}},
	{"vp9 with hidden pictures", "a.webm", "176x144", "vp9_nvdec", []string{"-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", "6", "-auto-alt-ref", "1", "-lag-in-frames", "12", "-g", "20", "-b:v", "200k"}},
	{"vp9 10 bits", "a.webm", "178x146", "vp9_nvdec", []string{"-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", "6", "-g", "20", "-b:v", "200k", "-pix_fmt", "yuv420p10le"}},
	{"vp9 12 bits", "a.webm", "176x144", "vp9_nvdec", []string{"-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", "6", "-g", "20", "-b:v", "200k", "-pix_fmt", "yuv420p12le"}},
}

// TestHardware_framesAndSeeksAreThoseOfSoftware reads whole clips, chunks in random order, and single frames.
func TestHardware_framesAndSeeksAreThoseOfSoftware(t *testing.T) {
	h := openHardware(t)
	for _, c := range hardwareClips {
		t.Run(c.name, func(t *testing.T) {
			log, runs := decoderLog(t)
			t.Setenv("VQSD_EMU_NVDEC_LOG", log)
			path := generate(t, c.file, 54, c.size, c.args...)
			software := open(t, path, Config{LumaOnly: true})
			want, none, _, err := tryDeviceSums(software, 0, -1)
			if err != nil || none != 0 {
				t.Fatal(err, none)
			}
			v, err := Open(context.Background(), Input{Path: path}, Config{LumaOnly: true, Hardware: h})
			if err != nil {
				t.Fatal(err)
			}
			info := v.Info()
			if info.Decoder != c.decoder || info.SoftwareReason != "" {
				t.Errorf("decoder %s, software because %q", info.Decoder, info.SoftwareReason)
			}
			same := software.Info()
			same.Decoder = info.Decoder
			if fmt.Sprint(info) != fmt.Sprint(same) {
				t.Errorf("hardware: %+v\nsoftware: %+v", info, same)
			}
			check := func(first, end int64) {
				t.Helper()
				got, onDevice, stats, err := tryDeviceSums(v, first, end)
				if err != nil || !slices.Equal(got, want[first:end]) {
					t.Errorf("frames %d to %d: %v; first difference at %d of %d", first, end, err, firstDifference(got, want[first:end]), len(got))
				}
				if onDevice != len(got) || stats.Fallbacks != 0 {
					t.Errorf("frames %d to %d: %d of %d on the device, %d fallbacks", first, end, onDevice, len(got), stats.Fallbacks)
				}
			}
			n := int64(len(want))
			check(0, n)
			rng := rand.New(rand.NewPCG(7, 7))
			const chunk = 7
			for _, k := range rng.Perm(int(n+chunk-1) / chunk) {
				check(int64(k*chunk), min(int64(k*chunk+chunk), n))
			}
			for range 6 {
				first := rng.Int64N(n)
				check(first, min(first+2, n))
			}
			if held := v.Held(); held != 0 {
				t.Errorf("%d frames held", held)
			}
			if err := v.Close(); err != nil {
				t.Error(err)
			}
			for _, r := range runs() {
				if !r.closed || r.mapped != 0 {
					t.Errorf("decoder session left behind: %+v", r)
				}
			}
		})
	}
}

// TestHardware_picturesShownAgain: one surface of the decoder is two frames then.
func TestHardware_picturesShownAgain(t *testing.T) {
	h := openHardware(t)
	path := shownAgain(t)
	want := softwareSums(t, path)
	v := open(t, path, Config{LumaOnly: true, Hardware: h})
	for first := range int64(len(want)) {
		got, onDevice, stats, err := tryDeviceSums(v, first, -1)
		if err != nil || onDevice != len(got) || stats.Fallbacks != 0 || !slices.Equal(got, want[first:]) {
			t.Errorf("from frame %d: %d of %d on the device, %d fallbacks, %v", first, onDevice, len(got), stats.Fallbacks, err)
		}
	}
}

// TestHardware_chroma: all planes are as software has them, and stay on the device with luma; a part that is cut out, too.
func TestHardware_chroma(t *testing.T) {
	h := openHardware(t)
	for _, c := range hardwareClips {
		t.Run(c.name, func(t *testing.T) {
			path := generate(t, c.file, 20, c.size, c.args...)
			software := open(t, path, Config{})
			want := sums(t, software, 0, -1)
			v := open(t, path, Config{Hardware: h})
			if v.Info().Decoder != c.decoder {
				t.Errorf("decoder %s: %s", v.Info().Decoder, v.Info().SoftwareReason)
			}
			if i := firstDifference(sums(t, v, 0, -1), want); i >= 0 {
				t.Errorf("frame %d differs", i)
			}
			part := Rect{X: 10, Y: 4, Width: v.Info().Format.Width - 16, Height: v.Info().Format.Height - 8}
			for _, bits := range []int{v.Info().Format.BitsPerComponent, 12} {
				if got, want := partSum(t, v, part, bits), partSum(t, software, part, bits); got != want {
					t.Errorf("%v of frame 3 at %d bits differs", part, bits)
				}
			}
		})
	}
}

// partSum hashes a part of frame 3, widened and cut out before it is downloaded.
func partSum(t *testing.T, v *Video, part Rect, bits int) string {
	t.Helper()
	r, err := v.Read(context.Background(), 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	if f.OnDevice() && (f.Planes[1].DeviceAddress == 0 || !f.Planes[2].Interleaved) {
		t.Fatalf("chroma %+v", f.Planes[1:])
	}
	format := f.Format
	format.BitsPerComponent = bits
	converter, err := NewConverter(format, NoScale, false)
	if err != nil {
		t.Fatal(err)
	}
	defer converter.Close()
	wide, err := converter.Convert(f)
	if err != nil {
		t.Fatal(err)
	}
	defer wide.Release()
	if stays := f.Format.BitsPerComponent == bits || f.Format.BitsPerComponent == 8; wide.OnDevice() != (f.OnDevice() && stays) {
		t.Errorf("%v at %d bits: on the device %v", f.Format, bits, wide.OnDevice())
	}
	cut, err := wide.Crop(part)
	if err != nil {
		t.Fatal(err)
	}
	defer cut.Release()
	host, err := cut.Download()
	if err != nil {
		t.Fatal(err)
	}
	defer host.Release()
	return sum(host)
}
