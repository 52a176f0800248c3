package decode

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/vqsd/vqsd/vmaf"
)

// The tests here make their clips with the ffmpeg command and compare with what it decodes. It is built from the
// same libraries that this package links.

var ffmpegEncoders = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("ffmpeg", "-hide_banner", "-encoders").Output()
	return string(out), err
})

// ffmpeg runs the command in dir; it skips the test where there is none, or not with the encoder that is asked for.
func ffmpeg(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	encoders, err := ffmpegEncoders()
	if err != nil {
		t.Skip("no ffmpeg command: ", err)
	}
	for i, a := range args {
		if a == "-c:v" && args[i+1] != "copy" && !strings.Contains(encoders, " "+args[i+1]+" ") {
			t.Skip("ffmpeg has no encoder ", args[i+1])
		}
	}
	cmd := exec.Command("ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...)
	cmd.Dir = dir
	var out, text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &text
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %s: %v: %s", strings.Join(args, " "), err, text.String())
	}
	return out.Bytes()
}

// generate makes a clip of moving test pictures.
func generate(t testing.TB, name string, frames int, size string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	rate := "25"
	if args[0] == "rate" {
		rate, args = args[1], args[2:]
	}
	all := []string{"-f", "lavfi", "-i", "testsrc2=size=" + size + ":rate=" + rate, "-frames:v", strconv.Itoa(frames), "-threads", "1"}
	ffmpeg(t, dir, append(append(all, args...), name)...)
	return filepath.Join(dir, name)
}

// ffmpegSums are the hashes of the frames as the command decodes them, with more arguments before the output.
func ffmpegSums(t testing.TB, path string, args ...string) []string {
	t.Helper()
	all := append([]string{"-threads", "1", "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "-1", "-autoscale", "0"}, args...)
	var out []string
	for _, line := range strings.Split(string(ffmpeg(t, "", append(all, "-f", "framemd5", "-")...)), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, strings.TrimSpace(line[strings.LastIndexByte(line, ',')+1:]))
		}
	}
	return out
}

func TestGenerated_framesAndSeeksOfManyFormats(t *testing.T) {
	x264 := func(params string) []string {
		return []string{"-c:v", "libx264", "-preset", "ultrafast", "-x264-params", params}
	}
	for _, c := range []struct {
		name     string // what is special
		file     string
		args     []string
		seekable bool
		entries  int // random-access points at least
	}{
		{"mpeg4 with B pictures", "a.mp4", []string{"-c:v", "mpeg4", "-bf", "2", "-g", "10", "-q:v", "5"}, true, 5},
		{"mpeg4 in avi has no presentation times", "a.avi", []string{"-c:v", "mpeg4", "-bf", "2", "-g", "10"}, false, 5},
		{"mpeg4 elementary stream", "a.m4v", []string{"-c:v", "mpeg4", "-g", "10", "-f", "m4v"}, true, 5},
		{"mpeg2 open groups in a transport stream", "a.ts", []string{"-c:v", "mpeg2video", "-bf", "2", "-g", "12"}, true, 4},
		{"mpeg2 program stream, several pictures to a timestamp", "a.mpg", []string{"-c:v", "mpeg2video", "-bf", "2", "-g", "12"}, false, 4},
		{"mpeg2 program stream", "a.mpg", []string{"-c:v", "mpeg2video", "-bf", "2", "-g", "12", "-q:v", "1", "-s", "480x360"}, true, 4},
		{"mpeg2 interlaced", "a.ts", []string{"-c:v", "mpeg2video", "-bf", "2", "-g", "12", "-flags", "+ildct+ilme"}, true, 4},
		{"mpeg2 elementary stream", "a.m2v", []string{"-c:v", "mpeg2video", "-bf", "2", "-g", "12"}, false, 4},
		{"mpeg1", "a.mpg", []string{"-c:v", "mpeg1video", "-bf", "2", "-g", "12"}, false, 4},
		{"intra only", "a.mov", []string{"-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj422p"}, true, 50},
		{"prores", "a.mov", []string{"-c:v", "prores_ks"}, true, 50},
		{"ffv1 with context kept between frames", "a.mkv", []string{"-c:v", "ffv1", "-g", "7", "-context", "1"}, true, 7},
		{"h264 open groups with pyramid", "a.mkv", x264("keyint=12:min-keyint=12:bframes=5:b-adapt=0:b-pyramid=2:open-gop=1:ref=4:scenecut=0"), true, 4},
		{"h264 open groups in a transport stream", "a.ts", x264("keyint=12:min-keyint=12:bframes=3:b-adapt=0:open-gop=1:ref=3:scenecut=0"), true, 4},
		{"h264 open groups in a fragmented file", "a.mp4", append(x264("keyint=12:min-keyint=12:bframes=3:b-adapt=0:open-gop=1:scenecut=0"), "-movflags", "frag_keyframe+empty_moov"), true, 4},
		{"h264 gradual refresh", "a.mp4", x264("intra-refresh=1:keyint=15:bframes=0"), true, 1},
		{"h264 gradual refresh in a transport stream", "a.ts", x264("intra-refresh=1:keyint=15:bframes=0"), true, 1},
		{"h264 interlaced", "a.mkv", x264("interlaced=1:keyint=12:bframes=2"), true, 4},
		{"h264 elementary stream", "a.h264", x264("keyint=12:bframes=3"), false, 4},
		{"hevc open groups", "a.mp4", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=12:min-keyint=12:bframes=4:b-adapt=0:open-gop=1:scenecut=0"}, true, 4},
		{"hevc open groups in a transport stream", "a.ts", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=12:min-keyint=12:bframes=4:b-adapt=0:open-gop=1:scenecut=0"}, true, 4},
		{"hevc with leading pictures that can be decoded", "a.mkv", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=12:min-keyint=12:bframes=4:b-adapt=0:open-gop=0:radl=2:scenecut=0"}, true, 4},
		{"hevc elementary stream", "a.hevc", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=12"}, false, 4},
		{"vp8", "a.webm", []string{"-c:v", "libvpx", "-deadline", "good", "-cpu-used", "4", "-g", "20", "-b:v", "200k"}, true, 2},
		{"vp9 in ivf with hidden pictures", "a.ivf", []string{"-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", "6", "-auto-alt-ref", "1", "-lag-in-frames", "12", "-g", "20", "-b:v", "200k"}, true, 2},
		{"av1 in ivf", "a.ivf", []string{"-c:v", "libsvtav1", "-preset", "12", "-g", "20"}, true, 2},
		{"theora", "a.ogv", []string{"-c:v", "libtheora", "-g", "12"}, true, 1},
		{"one frame", "a.mkv", []string{"-c:v", "mpeg4", "-frames:v", "1"}, true, 1},
		{"flash", "a.flv", []string{"-c:v", "flv", "-g", "12"}, true, 4},
		{"dv", "a.avi", []string{"-c:v", "dvvideo", "-s", "720x576", "-pix_fmt", "yuv420p"}, true, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := generate(t, c.file, 54, "176x144", c.args...)
			want := ffmpegSums(t, path)
			v := open(t, path, Config{Threads: 2})
			info := v.Info()
			if info.Seekable != c.seekable || info.KeyFrames < int64(c.entries) {
				t.Errorf("seekable %v with %d random-access points: %+v", info.Seekable, info.KeyFrames, info)
			}
			if strings.Contains(c.name, "gradual") && info.KeyFrames != 1 {
				t.Errorf("%d random-access points; only the first picture is one", info.KeyFrames)
			}
			if i := firstDifference(sums(t, v, 0, -1), want); i >= 0 {
				t.Fatalf("frame %d of %d (want %d) differs", i, info.Frames, len(want))
			}
			checkSeeks(t, v, want, 4, 11)
			if n, err := v.coded.countFrames(context.Background()); err != nil || n != len(want) {
				t.Errorf("counting by decoding: %d frames, %v; want %d", n, err, len(want))
			}
		})
	}
}

// TestGenerated_hiddenPictures: VP8's alternate references are packets of their own.
func TestGenerated_hiddenPictures(t *testing.T) {
	dir := t.TempDir()
	for pass := 1; pass <= 2; pass++ {
		ffmpeg(t, dir, "-f", "lavfi", "-i", "testsrc2=size=176x144:rate=25", "-frames:v", "54", "-threads", "1", "-c:v", "libvpx", "-deadline", "good", "-cpu-used", "2",
			"-auto-alt-ref", "1", "-lag-in-frames", "25", "-arnr-maxframes", "7", "-arnr-strength", "5", "-g", "40", "-b:v", "200k", "-pass", strconv.Itoa(pass), "a.webm")
	}
	path := filepath.Join(dir, "a.webm")
	v := open(t, path, Config{})
	if v.Info().Hidden == 0 || v.Info().Frames != 54 {
		t.Errorf("%d hidden pictures, %d frames", v.Info().Hidden, v.Info().Frames)
	}
	want := ffmpegSums(t, path)
	if i := firstDifference(sums(t, v, 0, -1), want); i >= 0 {
		t.Errorf("frame %d differs", i)
	}
	checkSeeks(t, v, want, 4, 12)
}

// TestGenerated_picturesShownAgain: VP9 has packets that show a picture of an earlier one.
func TestGenerated_picturesShownAgain(t *testing.T) {
	path := shownAgain(t)
	want := ffmpegSums(t, path)
	if len(want) != 22 {
		t.Fatalf("%d frames", len(want))
	}
	v := open(t, path, Config{})
	if i := firstDifference(sums(t, v, 0, -1), want); i >= 0 {
		t.Errorf("frame %d differs", i)
	}
	checkSeeks(t, v, want, 4, 13)
}

// shownAgain makes a clip of 20 pictures of VP9, two of which are shown again later, by packets of one byte.
func shownAgain(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile(generate(t, "a.ivf", 20, "176x144", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-g", "8"))
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.Clone(data[:32])
	add := func(n uint64, packet []byte) {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(packet)))
		out = binary.LittleEndian.AppendUint64(out, n)
		out = append(out, packet...)
	}
	n, again := uint64(0), uint64(0)
	for at := 32; at < len(data); n++ {
		end := at + 12 + int(binary.LittleEndian.Uint32(data[at:]))
		add(n+again, data[at+12:end])
		if at = end; n == 5 || n == 13 {
			again++
			// frame marker, profile 0, show_existing_frame, which of the references
			add(n+again, []byte{0b10_00_1_000 | byte(again)})
		}
	}
	return writeFile(t, "again.ivf", out)
}

// TestGenerated_startsInTheMiddle cuts the beginning off transport streams: what refers to it is left out, the rest is
// there to the bit.
func TestGenerated_startsInTheMiddle(t *testing.T) {
	for name, args := range map[string][]string{
		"mpeg2": {"-c:v", "mpeg2video", "-bf", "2", "-g", "12"},
		"h264":  {"-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "keyint=12:min-keyint=12:bframes=3:b-adapt=0:open-gop=1:ref=3:scenecut=0"},
		"hevc":  {"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=12:min-keyint=12:bframes=4:b-adapt=0:open-gop=1:scenecut=0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := generate(t, "a.ts", 54, "176x144", args...)
			want := sums(t, open(t, path, Config{}), 0, -1)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			// the tables at the start are repeated, so any packet boundary will do
			cut := filepath.Join(t.TempDir(), "cut.ts")
			if err := os.WriteFile(cut, data[len(data)/188/4*188:], 0o600); err != nil {
				t.Fatal(err)
			}
			v := open(t, cut, Config{})
			got := sums(t, v, 0, -1)
			t.Logf("%d frames of %d, %d undecodable", len(got), len(want), v.Info().Undecodable)
			if v.Info().Undecodable == 0 {
				t.Error("no undecodable pictures")
			}
			if len(got) < len(want)/3 || !slices.Equal(got, want[len(want)-len(got):]) {
				t.Errorf("%d frames are not the last of %d", len(got), len(want))
			}
			checkSeeks(t, v, got, 3, 5)
		})
	}
}

// TestGenerated_timestampsStartAgain: two streams one after the other have the same timestamps; frames come in decoding order.
func TestGenerated_timestampsStartAgain(t *testing.T) {
	path := generate(t, "a.ts", 30, "176x144", "-c:v", "mpeg2video", "-bf", "2", "-g", "10", "-mpegts_flags", "initial_discontinuity")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := sums(t, open(t, path, Config{}), 0, -1)
	twice := filepath.Join(t.TempDir(), "twice.ts")
	if err := os.WriteFile(twice, append(bytes.Clone(data), data...), 0o600); err != nil {
		t.Fatal(err)
	}
	v := open(t, twice, Config{})
	if v.Info().Seekable || v.Info().Timestamps {
		t.Errorf("trusts timestamps: %+v", v.Info())
	}
	got := sums(t, v, 0, -1)
	if len(got) < 2*len(want)-3 || !slices.Equal(got[:len(want)], want) {
		t.Errorf("%d frames, want twice %d", len(got), len(want))
	}
	checkSeeks(t, v, got, 4, 6)
}

func TestGenerated_pixelFormats(t *testing.T) {
	for _, c := range []struct{ format, planar string }{
		{"gray", "gray"}, {"gray10le", "gray10le"}, {"gray12le", "gray12le"}, {"gray16le", "gray16le"},
		{"yuv420p", "yuv420p"}, {"yuv422p", "yuv422p"}, {"yuv444p", "yuv444p"},
		{"yuv420p9le", "yuv420p9le"}, {"yuv420p10le", "yuv420p10le"}, {"yuv422p10le", "yuv422p10le"}, {"yuv444p12le", "yuv444p12le"},
		{"yuv422p14le", "yuv422p14le"}, {"yuv420p16le", "yuv420p16le"}, {"yuv444p16le", "yuv444p16le"},
		// these are unpacked
		{"nv12", "yuv420p"}, {"nv21", "yuv420p"}, {"yuyv422", "yuv422p"}, {"uyvy422", "yuv422p"},
		{"yuv420p10be", "yuv420p10le"}, {"gray16be", "gray16le"},
	} {
		t.Run(c.format, func(t *testing.T) {
			t.Parallel()
			path := generate(t, "a.nut", 3, "85x47", "-c:v", "rawvideo", "-pix_fmt", c.format)
			want := ffmpegSums(t, path, "-pix_fmt", c.planar)
			v := open(t, path, Config{})
			if got := v.Info().PixelFormat; got != c.format {
				t.Errorf("pixel format %s", got)
			}
			if i := firstDifference(sums(t, v, 0, -1), want); i >= 0 {
				t.Errorf("frame %d differs", i)
			}
			luma := open(t, path, Config{LumaOnly: true})
			want = ffmpegSums(t, path, "-vf", "format="+c.planar+",extractplanes=y")
			if i := firstDifference(lumaSums(t, luma), want); i >= 0 {
				t.Errorf("luma of frame %d differs", i)
			}
		})
	}
	for _, c := range []struct{ format, why string }{
		{"rgb24", "no luma plane"}, {"gbrp10le", "no luma plane"}, {"yuva420p", "alpha"}, {"yuv411p", "subsampling"}, {"yuv410p", "subsampling"},
		{"yuv440p", "subsampling"}, {"monow", "smaller than a byte"}, {"pal8", "no luma plane"},
	} {
		t.Run(c.format, func(t *testing.T) {
			t.Parallel()
			path := generate(t, "a.nut", 3, "88x48", "-c:v", "rawvideo", "-pix_fmt", c.format)
			v, err := Open(context.Background(), Input{Path: path}, Config{})
			if err == nil {
				v.Close()
				t.Fatal("it opens")
			}
			if !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrNoFrames) || !strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v", err)
			}
		})
	}
}

// lumaSums hashes frames that were read without chroma.
func lumaSums(t testing.TB, v *Video) []string {
	t.Helper()
	r, err := v.Read(context.Background(), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []string
	for range v.Info().Frames {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Planes[1].Data != nil || f.Planes[2].Data != nil {
			t.Error("there is chroma")
		}
		g := &Frame{Picture: f.Picture}
		g.Format.Subsampling = vmaf.Gray
		out = append(out, sum(g))
		f.Release()
	}
	return out
}

// TestGenerated_rotation compares all eight ways to turn a picture with the ffmpeg command, which applies the metadata by default.
func TestGenerated_rotation(t *testing.T) {
	for _, format := range []string{"yuv420p", "yuv444p", "yuv420p10le"} {
		path := generate(t, "a.mov", 2, "90x50", "-c:v", "ffv1", "-strict", "-2", "-pix_fmt", format)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(data, []byte("tkhd")) + 4 + 4 + 4*5 + 8 + 8 // version, times and ids, reserved, layer … volume
		const one = 1 << 16
		for _, m := range [][4]int32{{one, 0, 0, one}, {0, one, -one, 0}, {-one, 0, 0, -one}, {0, -one, one, 0}, {-one, 0, 0, one}, {one, 0, 0, -one}, {0, one, one, 0}, {0, -one, -one, 0}} {
			t.Run(fmt.Sprint(format, " ", m[0]/one, m[1]/one, m[2]/one, m[3]/one), func(t *testing.T) {
				bad := bytes.Clone(data)
				for i, v := range []int32{m[0], m[1], 0, m[2], m[3], 0, 0, 0, 1 << 30} {
					bad[at+4*i], bad[at+4*i+1], bad[at+4*i+2], bad[at+4*i+3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
				}
				turned := filepath.Join(t.TempDir(), "turned.mov")
				if err := os.WriteFile(turned, bad, 0o600); err != nil {
					t.Fatal(err)
				}
				v := open(t, turned, Config{})
				if i := firstDifference(sums(t, v, 0, -1), ffmpegSums(t, turned)); i >= 0 {
					t.Errorf("frame %d differs (%v)", i, v.Info().Rotation)
				}
				plain := open(t, turned, Config{NoRotate: true})
				if i := firstDifference(sums(t, plain, 0, -1), ffmpegSums(t, path)); i >= 0 {
					t.Errorf("without rotation frame %d differs", i)
				}
			})
		}
	}
}

// TestGenerated_scaling compares with the scale filter of the ffmpeg command.
func TestGenerated_scaling(t *testing.T) {
	for _, c := range []struct {
		from, size, to, toSize string
		filter                 ScaleFilter
	}{
		{"yuv420p", "160x90", "yuv420p", "320x180", Bicubic}, {"yuv420p", "160x90", "yuv420p", "320x180", Bilinear}, {"yuv420p", "160x90", "yuv420p", "320x180", Lanczos},
		{"yuv420p", "320x180", "yuv420p", "150x84", Bicubic}, {"yuv420p", "161x91", "yuv420p", "321x241", Bicubic}, {"yuv420p", "161x91", "yuv420p", "321x241", Lanczos},
		{"yuv420p10le", "160x90", "yuv420p10le", "321x181", Bicubic}, {"yuv422p10le", "160x90", "yuv422p10le", "320x180", Lanczos},
		{"yuv420p", "160x90", "yuv420p10le", "320x180", Bicubic}, {"yuv420p10le", "160x90", "yuv420p12le", "320x180", Bilinear}, {"yuv420p", "160x90", "yuv420p16le", "320x180", Bicubic},
		{"yuv420p", "160x90", "yuv444p", "320x180", Bicubic}, {"yuv420p", "160x90", "yuv422p10le", "160x90", Bicubic}, {"yuv444p", "160x90", "yuv420p", "160x90", Bicubic},
		{"yuvj420p", "160x90", "yuvj420p", "320x180", Bicubic}, {"yuvj444p", "160x90", "yuvj420p", "320x180", Lanczos},
		{"yuv420p", "160x90", "yuvj420p", "160x90", Bicubic}, {"yuvj420p", "160x90", "yuv420p", "320x180", Bicubic},
		{"gray", "160x90", "gray", "320x180", Bicubic}, {"gray10le", "160x90", "gray10le", "320x180", Lanczos},
		// depth alone: our own code
		{"yuv420p", "161x91", "yuv420p10le", "161x91", Bicubic}, {"yuv420p10le", "160x90", "yuv420p16le", "160x90", Bicubic},
		{"yuv444p", "160x90", "yuv444p12le", "160x90", Bicubic}, {"yuv422p12le", "160x90", "yuv422p14le", "160x90", Bicubic}, {"yuv420p9le", "160x90", "yuv420p16le", "160x90", Bicubic},
	} {
		t.Run(fmt.Sprint(c.from, " ", c.size, " ", c.to, " ", c.toSize, " ", c.filter), func(t *testing.T) {
			t.Parallel()
			path := ""
			if strings.HasPrefix(c.from, "yuvj") {
				path = generate(t, "a.mkv", 2, c.size, "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", c.from)
			} else {
				path = generate(t, "a.nut", 2, c.size, "-c:v", "rawvideo", "-pix_fmt", c.from)
			}
			filter := fmt.Sprintf("scale=%s:flags=%v", strings.Replace(c.toSize, "x", ":", 1), c.filter)
			want := ffmpegSums(t, path, "-vf", filter, "-pix_fmt", c.to)
			target, _, ok := parsePlanarName(c.to)
			if !ok {
				t.Fatal(c.to)
			}
			if _, err := fmt.Sscanf(c.toSize, "%dx%d", &target.Width, &target.Height); err != nil {
				t.Fatal(err)
			}
			if got := convertedSums(t, open(t, path, Config{}), target, c.filter, false); !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
			// luma alone is scaled as a grey picture and must come out the same
			full := convertedLuma(t, open(t, path, Config{}), target, c.filter, false)
			if got := convertedLuma(t, open(t, path, Config{LumaOnly: true}), target, c.filter, true); !slices.Equal(got, full) {
				t.Errorf("luma alone: %v, want %v", got, full)
			}
		})
	}
}

func convertedSums(t testing.TB, v *Video, target vmaf.Format, filter ScaleFilter, lumaOnly bool) []string {
	return converted(t, v, target, filter, lumaOnly, sum)
}

func convertedLuma(t testing.TB, v *Video, target vmaf.Format, filter ScaleFilter, lumaOnly bool) []string {
	return converted(t, v, target, filter, lumaOnly, func(f *Frame) string {
		g := &Frame{Picture: f.Picture}
		g.Format.Subsampling = vmaf.Gray
		return sum(g)
	})
}

func converted(t testing.TB, v *Video, target vmaf.Format, filter ScaleFilter, lumaOnly bool, hash func(*Frame) string) []string {
	t.Helper()
	c, err := NewConverter(target, filter, lumaOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := v.Read(context.Background(), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []string
	for range v.Info().Frames {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		g, err := c.Convert(f)
		f.Release()
		if err != nil {
			t.Fatal(err)
		}
		if g.Format != target {
			t.Errorf("converted to %v, want %v", g.Format, target)
		}
		out = append(out, hash(g))
		g.Release()
	}
	return out
}

func TestGenerated_rates(t *testing.T) {
	for _, c := range []struct {
		name, file string
		args       []string
		rate       Rational
		variable   bool
	}{
		{"constant", "a.mp4", []string{"rate", "25"}, Rational{25, 1}, false},
		{"NTSC rounded to milliseconds", "a.mkv", []string{"rate", "30000/1001"}, Rational{30000, 1001}, false},
		{"NTSC in ticks of 1/90000", "a.ts", []string{"rate", "24000/1001"}, Rational{24000, 1001}, false},
		{"uneven", "a.mkv", []string{"-vf", "select='not(eq(mod(n,7),3))'", "-fps_mode", "passthrough"}, Rational{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			info := open(t, generate(t, c.file, 100, "64x64", append(c.args, "-c:v", "mpeg2video")...), Config{}).Info()
			if info.VariableRate != c.variable || !c.variable && info.FrameRate != c.rate {
				t.Errorf("rate %v variable %v", info.FrameRate, info.VariableRate)
			}
			if c.variable && math.Abs(info.FrameRate.Float()-25*6./7) > 0.2 {
				t.Errorf("average rate %v", info.FrameRate)
			}
		})
	}
}
