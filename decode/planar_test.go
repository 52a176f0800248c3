package decode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vqsd/vqsd/vmaf"
)

// frameBytes is the size of a picture in a planar file.
func frameBytes(f vmaf.Format) int {
	n := 0
	for i := range f.Subsampling.Planes() {
		w, h := planeSize(f, i)
		n += w * h * f.BytesPerSample()
	}
	return n
}

// pictures makes n pictures of noise, as a planar file has them.
func pictures(f vmaf.Format, n int, seed uint64) [][]byte {
	rng := rand.New(rand.NewPCG(seed, 2))
	out := make([][]byte, n)
	for i := range out {
		out[i] = make([]byte, frameBytes(f))
		for j := range out[i] {
			out[i][j] = byte(rng.Uint32())
			if f.BytesPerSample() == 2 && j%2 == 1 {
				out[i][j] &= 1<<(f.BitsPerComponent-8) - 1
			}
		}
	}
	return out
}

// writeY4M makes a y4m file; line gives each FRAME line, "" the plain one.
func writeY4M(t testing.TB, header string, frames [][]byte, line func(i int) string) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(header + "\n")
	for i, f := range frames {
		if line != nil && line(i) != "" {
			b.WriteString(line(i) + "\n")
		} else {
			b.WriteString("FRAME\n")
		}
		b.Write(f)
	}
	return writeFile(t, "clip.y4m", b.Bytes())
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bytesOf are a frame's samples as a planar file has them.
func bytesOf(f *Frame) []byte {
	var out []byte
	for i := range f.Format.Subsampling.Planes() {
		p := f.Planes[i]
		for y := range p.Height {
			if p.Data != nil {
				out = append(out, p.Data[y*p.StrideBytes:y*p.StrideBytes+p.Width*f.Format.BytesPerSample()]...)
			}
		}
	}
	return out
}

// readAll reads a run of frames.
func readAll(t testing.TB, v *Video, first, end int64) [][]byte {
	t.Helper()
	r, err := v.Read(context.Background(), first, end)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out [][]byte
	for {
		f, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if f.Index != first+int64(len(out)) {
			t.Errorf("frame %d is said to be %d", first+int64(len(out)), f.Index)
		}
		out = append(out, bytesOf(f))
		f.Release()
	}
}

func equal(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

func TestY4M_everyColourAndOddSizes(t *testing.T) {
	for colour, f := range y4mColours {
		for _, size := range [][2]int{{16, 8}, {17, 9}, {1, 1}} {
			f.Width, f.Height = size[0], size[1]
			want := pictures(f, 5, 1)
			path := writeY4M(t, fmt.Sprintf("YUV4MPEG2 W%d H%d F30000:1001 Ip A1:1 C%s", f.Width, f.Height, colour), want, nil)
			v := open(t, path, Config{})
			if v.Info().Format != f || v.Info().FrameRate != (Rational{30000, 1001}) || v.Info().Frames != 5 {
				t.Errorf("C%s: %+v", colour, v.Info())
			}
			if !equal(readAll(t, v, 0, -1), want) || !equal(readAll(t, v, 3, 5), want[3:]) || !equal(readAll(t, v, 1, 2), want[1:2]) {
				t.Errorf("C%s %v: frames differ", colour, size)
			}
			luma := readAll(t, open(t, path, Config{LumaOnly: true}), 2, 4)
			n := f.Width * f.Height * f.BytesPerSample()
			if !bytes.Equal(luma[0], want[2][:n]) || !bytes.Equal(luma[1], want[3][:n]) {
				t.Errorf("C%s %v: luma differs", colour, size)
			}
		}
	}
}

func TestY4M_headers(t *testing.T) {
	for _, c := range []struct {
		line string
		want y4mHeader
		err  string
	}{
		{line: "YUV4MPEG2 W4 H2", want: y4mHeader{format: vmaf.Format{Width: 4, Height: 2, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}, colour: "420"}},
		{line: "YUV4MPEG2 H2 W4 F50:2 It A128:117 C422p10 XCOLORRANGE=FULL Xanything", want: y4mHeader{
			format: vmaf.Format{Width: 4, Height: 2, BitsPerComponent: 10, Subsampling: vmaf.Chroma422, FullRange: true},
			rate:   Rational{25, 1}, aspect: Rational{128, 117}, interlaced: "tff", colour: "422p10"}},
		{line: "YUV4MPEG2 W4 H2 F0:0 I? A0:0 XYSCSS=420P10", want: y4mHeader{format: vmaf.Format{Width: 4, Height: 2, BitsPerComponent: 10, Subsampling: vmaf.Chroma420}, colour: "420p10"}},
		{line: "YUV4MPEG2 W4 H2 C420jpeg XYSCSS=420JPEG", want: y4mHeader{format: vmaf.Format{Width: 4, Height: 2, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}, colour: "420jpeg"}},
		{line: "YUV4MPEG2 W4", err: "width and height"},
		{line: "YUV4MPEG2 W0 H2", err: "W0"},
		{line: "YUV4MPEG2 W-4 H2", err: "W-4"},
		{line: "YUV4MPEG2 W99999999999 H2", err: "W999"},
		{line: "YUV4MPEG2 W4 H2 C411", err: "C411"},
		{line: "YUV4MPEG2 W4 H2 C444alpha", err: "supported are"},
		{line: "YUV4MPEG2 W4 H2 F25", err: "F25"},
		{line: "YUV4MPEG2 W4 H2 Ix", err: "Ix"},
		{line: "YUV4MPEG2 W4 H2 Q", err: "Q"},
		{line: "YUV4MPEG W4 H2", err: "instead of"},
	} {
		h, err := parseY4MHeader(c.line)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want an error with %q", c.line, err, c.err)
			}
		} else if err != nil || h != c.want {
			t.Errorf("%s: %+v %v, want %+v", c.line, h, err, c.want)
		}
	}
}

// Whoever ignores the range that a header states has samples taken as limited, of a file as of a stream.
func TestY4M_rangeCanBeIgnored(t *testing.T) {
	content := []byte("YUV4MPEG2 W2 H2 F25:1 C420jpeg XCOLORRANGE=FULL\nFRAME\nabcdef")
	for _, isStream := range []bool{false, true} {
		for _, ignore := range []bool{false, true} {
			path := writeFile(t, "full.y4m", content)
			if isStream {
				path = filepath.Join(t.TempDir(), "fifo")
				if err := unix.Mkfifo(path, 0o600); err != nil {
					t.Fatal(err)
				}
				written := make(chan error, 1)
				go func() { written <- os.WriteFile(path, content, 0o600) }()
				defer func() {
					if err := <-written; err != nil {
						t.Error(err)
					}
				}()
			}
			v, err := Open(context.Background(), Input{Path: path, IgnoreRange: ignore}, Config{})
			if err != nil {
				t.Fatal(err)
			}
			if info := v.Info(); info.Format.FullRange == ignore || (info.Color.Range == "pc") == ignore {
				t.Errorf("stream %v, ignored %v: format %v, range %q", isStream, ignore, info.Format, info.Color.Range)
			}
			if err := v.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestY4M_framesWithParametersAreIndexed(t *testing.T) {
	f := vmaf.Format{Width: 31, Height: 17, BitsPerComponent: 10, Subsampling: vmaf.Chroma420}
	want := pictures(f, 9, 3)
	line := func(i int) string {
		return []string{"", "FRAME Ip", "", "FRAME " + strings.Repeat("X", 500)}[i%4]
	}
	path := writeY4M(t, "YUV4MPEG2 W31 H17 F25:1 C420p10", want, line)
	v := open(t, path, Config{})
	if v.planar.offsets == nil {
		t.Error("offsets are computed although lines differ in length")
	}
	for first := range want {
		if !equal(readAll(t, v, int64(first), -1), want[first:]) {
			t.Errorf("from frame %d: frames differ", first)
		}
	}
	if !equal(readAll(t, open(t, writeY4M(t, "YUV4MPEG2 W31 H17 F25:1 C420p10", want, nil), Config{}), 0, -1), want) {
		t.Error("plain lines: frames differ")
	}
}

// TestY4M_damage: each kind of broken file has an error that says where, and frames before it are good.
func TestY4M_damage(t *testing.T) {
	f := vmaf.Format{Width: 16, Height: 16, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	frames := pictures(f, 4, 4)
	whole, err := os.ReadFile(writeY4M(t, "YUV4MPEG2 W16 H16 F25:1", frames, nil))
	if err != nil {
		t.Fatal(err)
	}
	header := bytes.IndexByte(whole, '\n') + 1
	step := 6 + frameBytes(f)
	for _, c := range []struct {
		name string
		data []byte
		good int    // frames that can be read
		open string // of the error of Open
		read string // of the error of reading on
	}{
		{"header only", whole[:header], 0, "nothing follows the header", ""},
		{"within the first picture", whole[:header+50], 0, "44 of its 384 bytes", ""},
		{"within the last picture", whole[:len(whole)-1], 3, "", "frame 3: file is truncated: the file ends within a picture: 383 of its 384 bytes"},
		{"within a FRAME line", whole[:header+2*step+3], 2, "", "frame 2: file is truncated: the file ends within a FRAME line"},
		{"after a FRAME line", whole[:header+2*step+6], 2, "", "frame 2: file is truncated"},
		{"a byte too many", append(bytes.Clone(whole), 'x'), 4, "", "frame 4: file is truncated"},
		{"a FRAME line that is none", bytes.Replace(whole, []byte("FRAME"), []byte("FRAMS"), 1), 0, "FRAMS", ""},
		{"a FRAME line in the middle that is none", replaceAt(whole, header+2*step, "FRAMS"), 2, "", "frame 2: damaged picture: \"FRAMS?\""},
		{"header without end", []byte("YUV4MPEG2 " + strings.Repeat("X ", 3000)), 0, "header does not end", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeFile(t, "bad.y4m", c.data)
			v, err := Open(context.Background(), Input{Path: path}, Config{})
			if c.open != "" {
				if err == nil || !strings.Contains(err.Error(), c.open) || !strings.Contains(err.Error(), path) {
					t.Errorf("open: %v, want an error with %q", err, c.open)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer closeVideo(t, v)
			if !equal(readAll(t, v, 0, int64(c.good)-1), frames[:c.good-1]) {
				t.Error("good frames differ")
			}
			_, err = trySums(v, 0, -1)
			if err == nil || !strings.Contains(err.Error(), c.read) || !strings.Contains(err.Error(), path) {
				t.Errorf("read: %v, want an error with %q", err, c.read)
			}
			relaxed := open(t, path, Config{OnDamage: Conceal})
			if c.read != "" && strings.Contains(c.read, "truncated") && !equal(readAll(t, relaxed, 0, -1), frames[:c.good]) {
				t.Error("concealed: frames differ")
			}
		})
	}
}

func replaceAt(b []byte, at int, s string) []byte {
	b = bytes.Clone(b)
	copy(b[at:], s)
	return b
}

// stream opens what a goroutine writes as if it came from another program.
func stream(t testing.TB, raw *RawFormat, cfg Config, write func(w io.Writer)) (*Video, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer w.Close()
		write(w)
	}()
	v, err := Open(context.Background(), Input{Path: path, Raw: raw}, cfg)
	t.Cleanup(func() {
		if v != nil {
			closeVideo(t, v)
		}
		<-done
	})
	return v, err
}

func TestStream(t *testing.T) {
	f := vmaf.Format{Width: 161, Height: 91, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	frames := pictures(f, 7, 5)
	header := "YUV4MPEG2 W161 H91 F25:1 Ip C420jpeg\n"
	all := func(w io.Writer) {
		io.WriteString(w, header)
		for i, p := range frames {
			io.WriteString(w, []string{"FRAME\n", "FRAME Ip\n"}[i%2])
			w.Write(p)
		}
	}
	t.Run("y4m", func(t *testing.T) {
		v, err := stream(t, nil, Config{}, all)
		if err != nil {
			t.Fatal(err)
		}
		if v.Info().Frames != -1 || v.Index() != nil || v.Info().Format != f {
			t.Errorf("%+v", v.Info())
		}
		// run by run, with a gap
		if !equal(readAll(t, v, 1, 3), frames[1:3]) || !equal(readAll(t, v, 3, 4), frames[3:4]) || !equal(readAll(t, v, 5, -1), frames[5:]) {
			t.Error("frames differ")
		}
		if _, err := v.Read(context.Background(), 2, 3); err == nil || !strings.Contains(err.Error(), "frame 2 of the stream has passed") {
			t.Errorf("reading back: %v", err)
		}
	})
	t.Run("luma only", func(t *testing.T) {
		v, err := stream(t, nil, Config{LumaOnly: true}, all)
		if err != nil {
			t.Fatal(err)
		}
		got := readAll(t, v, 0, -1)
		if len(got) != len(frames) {
			t.Fatalf("%d frames", len(got))
		}
		for i := range got {
			if !bytes.Equal(got[i], frames[i][:161*91]) {
				t.Errorf("frame %d differs", i)
			}
		}
	})
	t.Run("headerless", func(t *testing.T) {
		raw, err := ParseRawFormat("161x91:yuv420p:25")
		if err != nil {
			t.Fatal(err)
		}
		v, err := stream(t, &raw, Config{}, func(w io.Writer) { w.Write(bytes.Join(frames, nil)) })
		if err != nil {
			t.Fatal(err)
		}
		if !equal(readAll(t, v, 0, -1), frames) {
			t.Error("frames differ")
		}
	})
	t.Run("too short", func(t *testing.T) {
		v, err := stream(t, nil, Config{}, func(w io.Writer) {
			io.WriteString(w, header+"FRAME\n")
			w.Write(frames[0])
			io.WriteString(w, "FRAME\n")
			w.Write(frames[1][:1000])
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := trySums(v, 0, -1)
		if len(got) != 1 || err == nil || !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), "frame 1: file is truncated: it ends within a picture: 1000 of its") {
			t.Errorf("%d frames, %v", len(got), err)
		}
	})
	t.Run("fewer frames than asked for", func(t *testing.T) {
		v, err := stream(t, nil, Config{}, all)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := trySums(v, 0, 8); len(got) != 7 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d frames, %v", len(got), err)
		}
	})
	for name, c := range map[string]struct{ data, err string }{
		"empty":             {"", "it is empty"},
		"another container": {"\x1aE\xdf\xa3 and so on", "a stream must be y4m"},
		"within the header": {"YUV4MPEG2 W161 H9", "ends within its header"},
		"endless header":    {"YUV4MPEG2 " + strings.Repeat("Xx ", 2000), "more than 4096 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := stream(t, nil, Config{}, func(w io.Writer) { io.WriteString(w, c.data) })
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v, want an error with %q", err, c.err)
			}
		})
	}
	t.Run("cancelled while waiting", func(t *testing.T) {
		release := make(chan struct{})
		v, err := stream(t, nil, Config{}, func(w io.Writer) {
			io.WriteString(w, header)
			<-release
		})
		defer close(release)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		r, err := v.Read(ctx, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var at time.Time
		time.AfterFunc(20*time.Millisecond, func() { at = time.Now(); cancel() })
		_, err = r.Next()
		if late := time.Since(at); !errors.Is(err, context.Canceled) || late > 2*time.Second {
			t.Errorf("%v, %v after cancelling", err, late)
		}
	})
	t.Run("a writer that stalls", func(t *testing.T) {
		release := make(chan struct{})
		v, err := stream(t, nil, Config{Limits: Limits{StallTimeout: 30 * time.Millisecond}}, func(w io.Writer) {
			io.WriteString(w, header)
			<-release
		})
		defer close(release)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := trySums(v, 0, -1); !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "stall_timeout") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a pipe that nobody writes to", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pipe")
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(context.Background(), Input{Path: path}, Config{Limits: Limits{OpenTimeout: 30 * time.Millisecond}})
		if err == nil {
			t.Error("it opens")
		}
	})
}

func TestRaw(t *testing.T) {
	for _, text := range []string{"16x8:yuv420p", "17x9:yuv422p10le:25", "33x7:yuv444p16le:30000/1001", "5x5:gray12le", "16x8:yuvj420p", "6x6:yuv420p10:23.976"} {
		raw, err := ParseRawFormat(text)
		if err != nil {
			t.Fatal(err)
		}
		want := pictures(raw.Format, 3, 6)
		path := writeFile(t, "clip.yuv", bytes.Join(want, nil))
		v, err := Open(context.Background(), Input{Path: path, Raw: &raw}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, v, 0, -1); !equal(got, want) || v.Info().FrameRate != raw.Rate {
			t.Errorf("%s: %+v", text, v.Info())
		}
		if got := readAll(t, v, 2, 3); !equal(got, want[2:]) {
			t.Errorf("%s: last frame differs", text)
		}
		closeVideo(t, v)
		if again, err := ParseRawFormat(raw.String()); err != nil || again != raw {
			t.Errorf("%v does not read back: %v", raw, err)
		}
	}
	for text, want := range map[string]string{
		"": "WxH", "16x8": "WxH:PIXFMT", "16:yuv420p": "size", "16x:yuv420p": "size", "0x8:yuv420p": "size", "16x8:rgb24": "rgb24", "16x8:yuv420p11": "yuv420p11",
		"16x8:yuv420p:": "frame rate", "16x8:yuv420p:0": "frame rate", "16x8:yuv420p:-1": "frame rate", "16x8:yuv420p:1/0": "frame rate", "16x8:yuv420p:nan": "frame rate",
		"16x8:yuv420p:1e9": "frame rate", "16x8:yuvj420p10": "yuvj420p10", "16x8:grayle": "grayle", "16x8:yuv420p:25:1": "WxH",
	} {
		if r, err := ParseRawFormat(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v %v, want an error with %q", text, r, err, want)
		}
	}
}

// TestPlanar_fileThatChanges: a file that shrinks or is overwritten while it is read is an error, not a crash.
func TestPlanar_fileThatChanges(t *testing.T) {
	f := vmaf.Format{Width: 16, Height: 16, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	path := writeY4M(t, "YUV4MPEG2 W16 H16 F25:1", pictures(f, 4, 7), nil)
	v := open(t, path, Config{})
	if err := os.Truncate(path, 500); err != nil {
		t.Fatal(err)
	}
	got, err := trySums(v, 0, -1)
	if len(got) != 1 || !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "frame 1") {
		t.Errorf("%d frames, %v", len(got), err)
	}
}

func FuzzY4M(f *testing.F) {
	for _, s := range []string{
		"YUV4MPEG2 W2 H2 F25:1 Ip A1:1 C420jpeg\nFRAME\nabcdefFRAME Ip\nabcdef", "YUV4MPEG2 W1 H1 C444p16 XCOLORRANGE=FULL\nFRAME\n123456",
		"YUV4MPEG2 W3 H1 Cmono10\nFRAME\n123456FRAME", "YUV4MPEG2 W2 H2\nFRAMS\n", "YUV4MPEG2 W2147483647 H2147483647\nFRAME\n", "YUV4MPEG2",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = append([]byte(y4mMagic), bytes.TrimPrefix(data, []byte(y4mMagic))...)
		path := writeFile(t, "fuzz.y4m", data)
		limits := Limits{MaxWidth: 4096, MaxHeight: 4096, MaxPixels: 1 << 20, MaxFrames: 1000}
		v, err := Open(context.Background(), Input{Path: path}, Config{Limits: limits})
		fromFile := [][]byte(nil)
		if err == nil {
			end := v.Info().Frames
			if v.Info().Truncated != "" {
				end--
			}
			if r, err := v.Read(context.Background(), 0, max(end, 0)); err == nil {
				for {
					fr, err := r.Next()
					if err != nil {
						break
					}
					fromFile = append(fromFile, bytesOf(fr))
					fr.Release()
				}
				r.Close()
			}
			closeVideo(t, v)
		}
		// the stream reader finds the same frames
		in, out, perr := os.Pipe()
		if perr != nil {
			t.Fatal(perr)
		}
		go func() {
			out.Write(data)
			out.Close()
		}()
		s := &Video{path: "stream", cfg: Config{Limits: limits.withDefaults()}, file: in, turned: &pool{}}
		serr := s.openStream(context.Background(), Input{})
		if serr == nil {
			r, err := s.Read(context.Background(), 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; ; i++ {
				fr, err := r.Next()
				if err != nil {
					if i < len(fromFile) {
						t.Errorf("the stream ends at frame %d of %d: %v", i, len(fromFile), err)
					}
					break
				}
				if i < len(fromFile) && !bytes.Equal(bytesOf(fr), fromFile[i]) {
					t.Errorf("frame %d differs", i)
				}
				fr.Release()
			}
			r.Close()
			closeVideo(t, s)
		} else {
			in.Close()
			if len(fromFile) > 0 {
				t.Errorf("the stream does not open, the file has %d frames: %v", len(fromFile), serr)
			}
		}
	})
}

func FuzzParseRawFormat(f *testing.F) {
	for _, s := range []string{"1920x1080:yuv420p10le:30000/1001", "1x1:gray", "16x8:yuvj420p:23.976", "::", "99999999999x1:yuv444p"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRawFormat(text)
		if err != nil {
			return
		}
		again, err := ParseRawFormat(r.String())
		if err != nil || again != r {
			t.Errorf("%q reads as %v, which reads as %v, %v", text, r, again, err)
		}
	})
}

func BenchmarkY4M(b *testing.B) {
	for _, lumaOnly := range []bool{true, false} {
		b.Run(map[bool]string{true: "luma", false: "all planes"}[lumaOnly], func(b *testing.B) {
			dir, err := os.MkdirTemp("/dev/shm", "vqsd")
			if err != nil {
				b.Skip(err)
			}
			defer os.RemoveAll(dir)
			f := vmaf.Format{Width: 1920, Height: 1080, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
			path := filepath.Join(dir, "clip.y4m")
			w, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			io.WriteString(w, "YUV4MPEG2 W1920 H1080 F25:1\n")
			const frames = 60
			for _, p := range pictures(f, frames, 1) {
				io.WriteString(w, "FRAME\n")
				w.Write(p)
			}
			w.Close()
			v := open(b, path, Config{LumaOnly: lumaOnly})
			n := frameBytes(f)
			if lumaOnly {
				n = 1920 * 1080
			}
			b.SetBytes(int64(n))
			b.ReportAllocs()
			r, err := v.Read(context.Background(), 0, -1)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				fr, err := r.Next()
				if err == io.EOF {
					r.Close()
					if r, err = v.Read(context.Background(), 0, -1); err != nil {
						b.Fatal(err)
					}
					continue
				}
				if err != nil {
					b.Fatal(err)
				}
				fr.Release()
			}
			r.Close()
		})
	}
}

// TestOpen_standardInput: a file behind standard input can be read at random, a pipe cannot.
func TestOpen_standardInput(t *testing.T) {
	f := vmaf.Format{Width: 16, Height: 16, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	want := pictures(f, 4, 8)
	path := writeY4M(t, "YUV4MPEG2 W16 H16 F25:1", want, nil)
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()

	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	os.Stdin = file
	v := open(t, "-", Config{})
	if v.Info().Path != standardInput || v.Info().Frames != 4 || !equal(readAll(t, v, 2, -1), want[2:]) {
		t.Errorf("%+v", v.Info())
	}

	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	go func() {
		data, _ := os.ReadFile(path)
		out.Write(data)
		out.Close()
	}()
	os.Stdin = in
	v = open(t, "-", Config{})
	if v.Info().Frames != -1 || !equal(readAll(t, v, 0, -1), want) {
		t.Errorf("%+v", v.Info())
	}
}
