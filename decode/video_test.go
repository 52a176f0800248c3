package decode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asticode/go-astiav"

	"github.com/vqsd/vqsd/decode/internal/avx"
	"github.com/vqsd/vqsd/vmaf"
)

// mpeg4 makes a small clip with an encoder that every build of FFmpeg has.
func mpeg4(t testing.TB, frames int, size string, args ...string) string {
	return generate(t, "clip.mp4", frames, size, append([]string{"-c:v", "mpeg4", "-bf", "2", "-g", "12"}, args...)...)
}

func TestOpen_errorsNameTheFileAndTheReason(t *testing.T) {
	dir := t.TempDir()
	ffmpeg(t, dir, "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", "audio.mp4")
	for _, c := range []struct {
		name, path string
		is         error
		text       string
	}{
		{"missing", filepath.Join(dir, "nothing.mp4"), os.ErrNotExist, "no such file"},
		{"directory", dir, nil, "is a directory"},
		{"empty", writeFile(t, "empty.mp4", nil), ErrNoVideo, "the file is empty"},
		{"no name", "", nil, "no file name"},
		{"text", writeFile(t, "notes.txt", []byte(strings.Repeat("just words\n", 1000))), ErrNoVideo, "supported video container"},
		{"text that says it is a film", writeFile(t, "film.mp4", []byte(strings.Repeat("just words\n", 1000))), ErrNoVideo, ""},
		{"headerless", writeFile(t, "clip.yuv", make([]byte, 100000)), nil, ""},
		{"list of files", writeFile(t, "list.ffconcat", []byte("ffconcat version 1.0\nfile /etc/passwd\n")), ErrNoVideo, "concat"},
		{"playlist", writeFile(t, "list.m3u8", []byte("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")), ErrNoVideo, "hls"},
		{"still picture", writeFile(t, "a.png", append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00"), make([]byte, 2000)...)), ErrNoVideo, "png"},
		{"audio only", filepath.Join(dir, "audio.mp4"), ErrNoVideo, "the file has audio aac"},
		{"unsupported codec", generate(t, "a.avi", 3, "64x64", "-c:v", "cinepak"), ErrUnsupported, "codec cinepak; supported are av1,"},
		{"RGB", generate(t, "a.mkv", 3, "64x64", "-c:v", "ffv1", "-pix_fmt", "bgr0"), ErrUnsupported, "bgr0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := Open(context.Background(), Input{Path: c.path}, Config{})
			if err == nil {
				v.Close()
				t.Fatal("it opens")
			}
			if c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestOpen_reportsEveryConfigurationProblem(t *testing.T) {
	_, err := Open(context.Background(), Input{Path: "x"}, Config{Threads: -1, OnDamage: 7, Limits: Limits{MaxWidth: -5, StallTimeout: -1}})
	for _, want := range []string{"threads is -1", "limits.max_width is -5; the range is 1 to 65536", "limits.stall_timeout", "strict or conceal"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestLimits(t *testing.T) {
	path := mpeg4(t, 30, "176x144")
	y4m := writeY4M(t, "YUV4MPEG2 W176 H144 F25:1", pictures(vmaf.Format{Width: 176, Height: 144, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}, 30, 1),
		func(i int) string { return []string{"", "FRAME Ip"}[i%2] })
	for _, c := range []struct {
		limits   Limits
		name     string
		text     string
		notInY4M bool
	}{
		{Limits{MaxWidth: 175}, "max_width", "width 176 exceeds limits.max_width (175); raise it in the configuration or scale the input", false},
		{Limits{MaxHeight: 100}, "max_height", "height 144 exceeds limits.max_height (100)", false},
		{Limits{MaxPixels: 176*144 - 1}, "max_pixels", "number of samples 25344 exceeds limits.max_pixels (25343)", false},
		{Limits{MaxFrames: 29}, "max_frames", "number of frames 30 exceeds limits.max_frames (29)", false},
		{Limits{MaxIndexBytes: 30*bytesPerFrame - 1}, "max_index_bytes", "exceeds limits.max_index_bytes", false},
		{Limits{OpenTimeout: time.Millisecond}, "", "", true},
	} {
		for _, p := range []string{path, y4m} {
			v, err := Open(context.Background(), Input{Path: p}, Config{Limits: c.limits})
			if err == nil {
				v.Close()
				if c.name == "" {
					continue // it was faster than that
				}
				t.Errorf("%s: it opens", c.name)
				continue
			}
			var le *LimitError
			if c.name != "" && (!errors.As(err, &le) || le.Name != c.name) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), p) {
				t.Errorf("%s: %v", c.name, err)
			}
			if c.name == "" && !errors.Is(err, ErrTimeout) {
				t.Errorf("%v", err)
			}
		}
	}
	streams := generate(t, "a.mkv", 5, "64x64", "-map", "0", "-map", "0", "-map", "0", "-c:v", "mpeg4")
	var le *LimitError
	if _, err := Open(context.Background(), Input{Path: streams}, Config{Limits: Limits{MaxStreams: 2}}); !errors.As(err, &le) || le.Name != "max_streams" || !strings.Contains(err.Error(), "number of streams exceeds limits.max_streams (2)") {
		t.Errorf("three streams: %v", err)
	}
	// a stream has no length to check beforehand
	v, err := stream(t, nil, Config{Limits: Limits{MaxFrames: 3}}, func(w io.Writer) {
		io.WriteString(w, "YUV4MPEG2 W2 H2\n"+strings.Repeat("FRAME\nabcdef", 5))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := trySums(v, 0, -1); len(got) != 3 || !errors.As(err, &le) || le.Name != "max_frames" {
		t.Errorf("%d frames, %v", len(got), err)
	}
}

func TestRead_ranges(t *testing.T) {
	v := open(t, mpeg4(t, 20, "64x64"), Config{})
	for _, c := range [][2]int64{{-1, 5}, {5, 4}, {0, 21}, {21, -1}} {
		if r, err := v.Read(context.Background(), c[0], c[1]); err == nil {
			r.Close()
			t.Errorf("frames %d to %d can be read", c[0], c[1])
		}
	}
	for _, c := range [][2]int64{{0, 0}, {20, 20}, {20, -1}} {
		if got := sums(t, v, c[0], c[1]); len(got) != 0 {
			t.Errorf("frames %v: %d", c, len(got))
		}
	}
}

func TestReader_useAfterClose(t *testing.T) {
	v := open(t, mpeg4(t, 5, "64x64"), Config{})
	r, err := v.Read(context.Background(), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err == nil || !strings.Contains(err.Error(), "1 readers are still open") {
		t.Errorf("close with an open reader: %v", err)
	}
	f, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	want := sum(f)
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	for range 2 {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := v.Read(context.Background(), 0, -1); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if sum(f) != want {
		t.Error("a frame that is held changed when its video was closed")
	}
	f.Release()
}

func TestFrame_references(t *testing.T) {
	v := open(t, mpeg4(t, 3, "64x64"), Config{})
	r, err := v.Read(context.Background(), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	want := sum(f)
	f.Retain()
	f.Release()
	if sum(f) != want {
		t.Error("a frame that is held changed")
	}
	part, err := f.Crop(Rect{X: 2, Y: 4, Width: 60, Height: 30})
	if err != nil {
		t.Fatal(err)
	}
	f.Release()
	if part.Planes[0].Data[0] != part.parent.Planes[0].Data[4*part.parent.Planes[0].StrideBytes+2] {
		t.Error("the part is somewhere else")
	}
	part.Release()
	defer func() {
		if recover() == nil {
			t.Error("releasing twice goes unnoticed")
		}
	}()
	part.Release()
}

func TestCrop(t *testing.T) {
	for _, sub := range []vmaf.Subsampling{vmaf.Gray, vmaf.Chroma420, vmaf.Chroma422, vmaf.Chroma444} {
		for _, bits := range []int{8, 10} {
			format := vmaf.Format{Width: 21, Height: 13, BitsPerComponent: bits, Subsampling: sub}
			f := (&pool{}).frame()
			if err := f.allocate(format, 1, false); err != nil {
				t.Fatal(err)
			}
			copy(f.buf, pictures(format, 1, 9)[0])
			for _, c := range []struct {
				r  Rect
				ok bool
			}{
				{Rect{0, 0, 21, 13}, true}, {Rect{2, 4, 10, 6}, true}, {Rect{2, 4, 19, 9}, true}, {Rect{20, 12, 1, 1}, true},
				{Rect{1, 0, 10, 6}, sub == vmaf.Gray || sub == vmaf.Chroma444}, {Rect{0, 1, 10, 6}, sub != vmaf.Chroma420}, {Rect{0, 0, 9, 6}, sub == vmaf.Gray || sub == vmaf.Chroma444},
				{Rect{0, 0, 22, 13}, false}, {Rect{-2, 0, 4, 4}, false}, {Rect{0, 0, 0, 4}, false}, {Rect{1 << 62, 0, 1 << 62, 4}, false},
			} {
				part, err := f.Crop(c.r)
				if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrCrop) {
					t.Errorf("%v of %v: %v", c.r, format, err)
				}
				if err != nil {
					continue
				}
				for i := range sub.Planes() {
					p, whole := part.Planes[i], f.Planes[i]
					sx, sy := 1, 1
					if i > 0 && sub != vmaf.Chroma444 {
						sx = 2
					}
					if i > 0 && sub == vmaf.Chroma420 {
						sy = 2
					}
					for y := range p.Height {
						n := p.Width * format.BytesPerSample()
						got := p.Data[y*p.StrideBytes : y*p.StrideBytes+n]
						at := (y+c.r.Y/sy)*whole.StrideBytes + c.r.X/sx*format.BytesPerSample()
						if !bytes.Equal(got, whole.Data[at:at+n]) {
							t.Fatalf("%v of %v: plane %d row %d differs", c.r, format, i, y)
						}
					}
				}
				part.Release()
			}
			f.Release()
		}
	}
	for text, want := range map[string]Rect{"10x20+3+4": {3, 4, 10, 20}, "10:20:3:4": {3, 4, 10, 20}} {
		if r, err := ParseRect(text); err != nil || r != want {
			t.Errorf("%s: %v %v", text, r, err)
		}
	}
	for _, text := range []string{"", "10x20", "10x20+3", "0x20+0+0", "-1x2+0+0", "10x20:3:4", "ax2+0+0", "10x20+3+4+5"} {
		if _, err := ParseRect(text); !errors.Is(err, ErrCrop) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRead_cancelling(t *testing.T) {
	path := mpeg4(t, 250, "1280x720", "-q:v", "2", "-g", "250")
	t.Run("while decoding", func(t *testing.T) {
		v := open(t, path, Config{})
		ctx, cancel := context.WithCancel(context.Background())
		r, err := v.Read(ctx, 249, 250) // decodes all others first
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var at time.Time
		time.AfterFunc(20*time.Millisecond, func() { at = time.Now(); cancel() })
		_, err = r.Next()
		late := time.Since(at)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		t.Logf("%v after cancelling", late)
		if late > 2*time.Second { // milliseconds where nothing else runs
			t.Errorf("ends %v after cancelling", late)
		}
	})
	t.Run("before opening", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := Open(ctx, Input{Path: path}, Config{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	t.Run("then reading again", func(t *testing.T) {
		v := open(t, path, Config{})
		want := sums(t, v, 0, 3)
		ctx, cancel := context.WithCancel(context.Background())
		r, err := v.Read(ctx, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
		cancel()
		if _, err := r.Next(); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		r.Close()
		if got := sums(t, v, 0, 3); !slices.Equal(got, want) {
			t.Error("frames differ after a cancelled read")
		}
	})
	t.Run("a deadline", func(t *testing.T) {
		v := open(t, path, Config{Threads: 1})
		v.coded.cfg.Limits.StallTimeout = 5 * time.Millisecond // a slow machine would not even open it with this
		if _, err := trySums(v, 249, 250); !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "frame 249") || !strings.Contains(err.Error(), "limits.stall_timeout (5ms)") {
			t.Errorf("%v", err)
		}
	})
}

// TestRead_inParallel: Readers of one video do not disturb each other, however they are cut.
func TestRead_inParallel(t *testing.T) {
	v := open(t, generate(t, "a.ts", 60, "176x144", "-c:v", "mpeg2video", "-bf", "2", "-g", "12"), Config{Threads: 2})
	want := sums(t, v, 0, -1)
	for _, chunk := range []int64{1, 7, 25} {
		var wg sync.WaitGroup
		next := make(chan int64)
		for range 4 {
			wg.Go(func() {
				for first := range next {
					end := min(first+chunk, int64(len(want)))
					if got, err := trySums(v, first, end); err != nil || !slices.Equal(got, want[first:end]) {
						t.Errorf("frames %d to %d: %v", first, end, err)
					}
				}
			})
		}
		for first := int64(0); first < int64(len(want)); first += chunk {
			next <- first
		}
		close(next)
		wg.Wait()
	}
	if got := v.Stats().Delivered; got != 4*60 {
		t.Errorf("%d frames delivered, want %d", got, 4*60)
	}
}

// TestRead_goesOnWithoutSeeking: consecutive runs use one decoder, which does not go back.
func TestRead_goesOnWithoutSeeking(t *testing.T) {
	v := open(t, mpeg4(t, 40, "64x64"), Config{})
	want := sums(t, v, 0, -1)
	sums(t, v, 0, 5)
	s := v.coded.idle[0]
	for first := int64(5); first < 40; first += 5 {
		at := s.next
		if got := sums(t, v, first, first+5); !slices.Equal(got, want[first:first+5]) {
			t.Errorf("frames from %d differ", first)
		}
		if s.entry.packet != 0 || s.next < at {
			t.Errorf("at frame %d: decoding began again at packet %d", first, s.entry.packet)
		}
	}
	if n := len(v.coded.idle); n != 1 {
		t.Errorf("%d decoders", n)
	}
}

// TestLeaks opens and reads, to an end or to an error, again and again.
func TestLeaks(t *testing.T) {
	good, bad := mpeg4(t, 10, "320x240"), writeFile(t, "bad.mp4", []byte("not a film"))
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		data[len(data)*i/40/2+60] ^= 0x55
	}
	damaged := writeFile(t, "damaged.mp4", data)
	round := func() {
		for _, path := range []string{good, bad, damaged} {
			v, err := Open(context.Background(), Input{Path: path}, Config{Threads: 4})
			if err != nil {
				continue
			}
			c, err := NewConverter(vmaf.Format{Width: 64, Height: 64, BitsPerComponent: 10, Subsampling: vmaf.Chroma420}, Lanczos, false)
			if err != nil {
				t.Fatal(err)
			}
			r, err := v.Read(context.Background(), 3, -1)
			if err != nil {
				v.Close()
				continue
			}
			for {
				f, err := r.Next()
				if err != nil {
					break
				}
				g, err := c.Convert(f)
				f.Release()
				if err != nil {
					t.Fatal(err)
				}
				g.Release()
			}
			r.Close()
			closeVideo(t, v)
			c.Close()
		}
	}
	for range 10 {
		round()
	}
	goroutines, memory := runtime.NumGoroutine(), resident(t)
	for range 60 {
		round()
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
	if m := resident(t); m > memory+24<<20 {
		t.Errorf("%d MiB resident, %d before", m>>20, memory>>20)
	}
}

// resident is the memory of this process.
func resident(t *testing.T) int64 {
	t.Helper()
	runtime.GC()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestNext_allocatesNoPictures: once a Reader runs, memory comes from pools.
func TestNext_allocatesNoPictures(t *testing.T) {
	v := open(t, mpeg4(t, 60, "640x480"), Config{Threads: 1})
	r, err := v.Read(context.Background(), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	next := func() {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
	}
	for range 5 {
		next()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 40 {
		next()
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / 40; n > 2048 {
		t.Errorf("%d bytes of Go memory a frame", n)
	}
}

func TestOpen_withinARoot(t *testing.T) {
	path := mpeg4(t, 3, "64x64")
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	v, err := Open(context.Background(), Input{Path: filepath.Base(path), Root: root}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	closeVideo(t, v)
	outside := mpeg4(t, 3, "64x64")
	link := filepath.Join(filepath.Dir(path), "link.mp4")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"../" + filepath.Base(filepath.Dir(outside)) + "/clip.mp4", outside, "link.mp4"} {
		if v, err := Open(context.Background(), Input{Path: p, Root: root}, Config{}); err == nil {
			v.Close()
			t.Errorf("%s opens", p)
		}
	}
}

// TestOpen_fileThatChanges: packets that are not those that were indexed end the Reader.
func TestOpen_fileThatChanges(t *testing.T) {
	path := mpeg4(t, 40, "640x480", "-q:v", "1") // too large for the demuxer's buffer
	v := open(t, path, Config{})
	other, err := os.ReadFile(mpeg4(t, 40, "640x480", "-q:v", "9"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, other[:len(other)/3], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := trySums(v, 0, -1); err == nil {
		t.Error("nothing is noticed")
	}
}

func TestFormatChanges(t *testing.T) {
	small := generate(t, "a.m4v", 12, "64x48", "-c:v", "mpeg4", "-g", "6", "-f", "m4v")
	large := generate(t, "b.m4v", 12, "128x96", "-c:v", "mpeg4", "-g", "6", "-f", "m4v")
	a, err1 := os.ReadFile(small)
	b, err2 := os.ReadFile(large)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, "both.m4v", append(a, b...))
	v := open(t, path, Config{})
	got, err := trySums(v, 0, -1)
	var fe *FrameError
	if !errors.Is(err, ErrFormatChanged) || !errors.As(err, &fe) || fe.Frame != int64(len(got)) ||
		!strings.Contains(err.Error(), "from 64x48 4:2:0 8 bit to 128x96 4:2:0 8 bit") {
		t.Errorf("%d frames, %v", len(got), err)
	}
	relaxed := open(t, path, Config{AllowFormatChange: true})
	target := relaxed.Info().Format
	if n := len(convertedSums(t, relaxed, target, Bicubic, false)); n != 24 {
		t.Errorf("%d frames", n)
	}
	if got := relaxed.Stats().FormatChanges; got != 1 {
		t.Errorf("%d changes of format", got)
	}
}

func TestConverter_refusals(t *testing.T) {
	format := vmaf.Format{Width: 64, Height: 48, BitsPerComponent: 10, Subsampling: vmaf.Chroma420}
	f := (&pool{}).frame()
	if err := f.allocate(format, 64, true); err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	for _, c := range []struct {
		target vmaf.Format
		filter ScaleFilter
		is     error
		text   string
	}{
		{vmaf.Format{Width: 64, Height: 48, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}, Bicubic, ErrUnsupported, "from 10 to 8 bits"},
		{vmaf.Format{Width: 65, Height: 48, BitsPerComponent: 10, Subsampling: vmaf.Chroma420}, NoScale, ErrSizeMismatch, "64x48 and 65x48; choose a scaling filter (bicubic, bilinear, lanczos)"},
		{vmaf.Format{Width: 65, Height: 48, BitsPerComponent: 10, Subsampling: vmaf.Chroma420}, Bicubic, nil, "no chroma"},
		{vmaf.Format{Width: 64, Height: 48, BitsPerComponent: 12, Subsampling: vmaf.Chroma420}, NoScale, nil, "no chroma"},
	} {
		conv, err := NewConverter(c.target, c.filter, false)
		if err != nil {
			t.Fatal(err)
		}
		if g, err := conv.Convert(f); err == nil {
			g.Release()
			t.Errorf("%v: it converts", c.target)
		} else if c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v: %v", c.target, err)
		}
		for range 2 {
			conv.Close()
		}
		if _, err := conv.Convert(f); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	if _, err := NewConverter(vmaf.Format{Width: 64, Height: 48, BitsPerComponent: 11}, Bicubic, false); err == nil {
		t.Error("11 bits are accepted")
	}
}

// TestConverter_grey: what has no chroma gets one without colour, and loses it, without touching luma.
func TestConverter_grey(t *testing.T) {
	path := generate(t, "a.nut", 1, "90x60", "-c:v", "rawvideo", "-pix_fmt", "gray")
	for _, size := range [][2]int{{90, 60}, {180, 120}} {
		for _, full := range []bool{false, true} {
			target := vmaf.Format{Width: size[0], Height: size[1], BitsPerComponent: 10, Subsampling: vmaf.Chroma420, FullRange: full}
			alone := converted(t, open(t, path, Config{LumaOnly: true}), target, Bicubic, true, func(f *Frame) string { return lumaSum(f) })
			with := converted(t, open(t, path, Config{}), target, Bicubic, false, func(f *Frame) string {
				for i := 1; i < 3; i++ {
					for y := range f.Planes[i].Height {
						for x := range f.Planes[i].Width {
							if v := samples[uint16](f.Planes[i].Data[y*f.Planes[i].StrideBytes:])[x]; v != 512 {
								t.Fatalf("chroma is %d", v)
							}
						}
					}
				}
				return lumaSum(f)
			})
			if !slices.Equal(alone, with) {
				t.Errorf("%v: luma differs", target)
			}
		}
	}
}

func lumaSum(f *Frame) string {
	g := &Frame{Picture: f.Picture}
	g.Format.Subsampling = vmaf.Gray
	return sum(g)
}

// TestTakePicture_highAlignedAndInterleaved covers layouts that hardware decoders give and no container stores.
func TestTakePicture_highAlignedAndInterleaved(t *testing.T) {
	for _, c := range []struct{ packed, planar string }{{"p010le", "yuv420p10le"}, {"p016le", "yuv420p16le"}, {"p210le", "yuv422p10le"}, {"nv24", "yuv444p"}, {"nv16", "yuv422p"}} {
		format, _, ok := parsePlanarName(c.planar)
		pf := astiav.FindPixelFormatByName(c.packed)
		if !ok || pf == astiav.PixelFormatNone {
			t.Fatal(c)
		}
		format.Width, format.Height = 33, 17
		want := pictures(format, 1, 3)[0]
		pool := &pool{}
		f, err := pool.decoded()
		if err != nil {
			t.Fatal(err)
		}
		f.av.SetWidth(33)
		f.av.SetHeight(17)
		f.av.SetPixelFormat(pf)
		if err := f.av.AllocBuffer(0); err != nil {
			t.Fatal(err)
		}
		info := avx.Frame(f.av)
		d, _ := avx.Describe(pf)
		at := 0
		for i := range 3 {
			w, h := planeSize(format, i)
			comp := d.Comp[i]
			for y := range h {
				plane := info.Plane(comp.Plane, (y+1)*info.Linesize[comp.Plane])
				for x := range w {
					to := plane[y*info.Linesize[comp.Plane]+comp.OffsetBytes+x*comp.StepBytes:]
					if format.BytesPerSample() == 1 {
						to[0] = want[at]
					} else {
						v := (uint16(want[at]) | uint16(want[at+1])<<8) << comp.Shift
						to[0], to[1] = byte(v), byte(v>>8)
					}
					at += format.BytesPerSample()
				}
			}
		}
		file := &codedFile{cfg: Config{Limits: DefaultLimits()}, pool: pool}
		if err := file.takePicture(f, info); err != nil {
			t.Fatal(err)
		}
		if f.Format != format || !bytes.Equal(bytesOf(f), want) {
			t.Errorf("%s: samples differ", c.packed)
		}
		f.Release()
		pool.close()
	}
}

// TestUnchanged: writing into an open file is noticed without reading it; giving its name to another file is not its change.
func TestUnchanged(t *testing.T) {
	path := writeY4M(t, "YUV4MPEG2 W16 H16 F25:1", pictures(vmaf.Format{Width: 16, Height: 16, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}, 4, 7), nil)
	v := open(t, path, Config{})
	if err := v.Unchanged(); err != nil {
		t.Errorf("nothing has happened: %v", err)
	}
	if v.FileInfo().Size() != v.Info().SizeBytes {
		t.Errorf("%d bytes, want %d", v.FileInfo().Size(), v.Info().SizeBytes)
	}
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := v.Unchanged(); err != nil {
		t.Errorf("renamed: %v", err)
	}
	later := v.FileInfo().ModTime().Add(time.Second)
	if err := os.Chtimes(path+".moved", later, later); err != nil {
		t.Fatal(err)
	}
	if err := v.Unchanged(); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), path) {
		t.Errorf("written to: %v, want ErrChanged of %s", err, path)
	}
}

// TestHeld counts frames until the last reference to each is released.
func TestHeld(t *testing.T) {
	v := open(t, writeY4M(t, "YUV4MPEG2 W16 H16 F25:1", pictures(vmaf.Format{Width: 16, Height: 16, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}, 4, 7), nil), Config{})
	r, err := v.Read(context.Background(), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	f.Retain().Release()
	if n := v.Held(); n != 1 {
		t.Errorf("%d frames held, want 1", n)
	}
	f.Release()
	if n := v.Held(); n != 0 {
		t.Errorf("%d frames held, want none", n)
	}
}
