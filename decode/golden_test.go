package decode

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/vmaf"
)

// sum is the MD5 of a frame's samples as a raw planar file has them.
func sum(f *Frame) string {
	h := md5.New()
	for i := range f.Format.Subsampling.Planes() {
		p := f.Planes[i]
		n := p.Width * f.Format.BytesPerSample()
		for y := range p.Height {
			h.Write(p.Data[y*p.StrideBytes : y*p.StrideBytes+n])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sums reads frames [first, end).
func sums(t testing.TB, v *Video, first, end int64) []string {
	t.Helper()
	out, err := trySums(v, first, end)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func trySums(v *Video, first, end int64) ([]string, error) {
	r, err := v.Read(context.Background(), first, end)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []string
	for {
		f, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		host, err := f.Download()
		f.Release()
		if err != nil {
			return out, err
		}
		out = append(out, sum(host))
		host.Release()
	}
}

func open(t testing.TB, path string, cfg Config) *Video {
	t.Helper()
	v, err := Open(context.Background(), Input{Path: path}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeVideo(t, v) })
	return v
}

// closeVideo closes a video and checks that every frame came back.
func closeVideo(t testing.TB, v *Video) {
	t.Helper()
	for _, p := range v.pools() {
		if n := p.inUse(); n != 0 {
			t.Errorf("%d frames were not released", n)
		}
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

func (v *Video) pools() []*pool {
	pools := []*pool{v.turned}
	switch {
	case v.coded != nil:
		pools = append(pools, v.coded.pool)
	case v.planar != nil:
		pools = append(pools, v.planar.pool)
	case v.stream != nil:
		pools = append(pools, v.stream.pool)
	}
	return pools
}

// frameMD5 reads the hashes of a golden clip.
func frameMD5(t testing.TB, clip string) []string {
	t.Helper()
	f, err := os.Open(golden.FrameMD5(t, clip))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if line := s.Text(); !strings.HasPrefix(line, "#") {
			fields := strings.Split(line, ",")
			out = append(out, strings.TrimSpace(fields[len(fields)-1]))
		}
	}
	return out
}

// codedClips are the golden clips that have a list of hashes; in short mode, every fifth.
func codedClips(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(golden.Dir(t), "framemd5", "*.framemd5"))
	if err != nil || len(files) == 0 {
		t.Fatal("no framemd5 files", err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".framemd5")
	}
	return some(files)
}

// some are all, or in short mode every fifth.
func some(names []string) []string {
	if !testing.Short() {
		return names
	}
	var out []string
	for i := 0; i < len(names); i += 5 {
		out = append(out, names[i])
	}
	return out
}

// peculiar says what a clip needs to be read at all.
func peculiar(clip string) Config {
	cfg := Config{NoRotate: true}
	if strings.Contains(clip, "truncated-tail") {
		cfg.OnDamage = Conceal
	}
	if strings.Contains(clip, "reschange") {
		cfg.AllowFormatChange = true
	}
	return cfg
}

func TestGolden_everyFrameOfEveryClip(t *testing.T) {
	for _, clip := range codedClips(t) {
		t.Run(clip, func(t *testing.T) {
			v := open(t, golden.Clip(t, clip), peculiar(clip))
			got, want := sums(t, v, 0, -1), frameMD5(t, clip)
			if i := firstDifference(got, want); i >= 0 {
				t.Errorf("frame %d of %d (want %d): %s, want %s", i, len(got), len(want), at(got, i), at(want, i))
			}
		})
	}
}

func firstDifference(got, want []string) int {
	for i := range max(len(got), len(want)) {
		if at(got, i) != at(want, i) {
			return i
		}
	}
	return -1
}

func at(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return "no frame"
}

// trim reads "trim=start_frame=N" from a decode command: how many frames are left out at the start.
func trim(command string) int64 {
	_, rest, ok := strings.Cut(command, "trim=start_frame=")
	if !ok {
		return 0
	}
	n := int64(0)
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// pairConfig is how a side of a pair is read for comparing.
func pairConfig(file string) Config {
	cfg := peculiar(file)
	cfg.NoRotate = false
	cfg.AllowFormatChange = true
	return cfg
}

// rawFormat is what a headerless golden file's name says, such as "_576x324_420p10le_".
func rawFormat(t testing.TB, file string) *RawFormat {
	t.Helper()
	if !strings.HasSuffix(file, ".yuv") {
		return nil
	}
	size, pixels := "", ""
	for _, part := range strings.Split(file, "_") {
		if strings.Count(part, "x") == 1 && part[0] >= '0' && part[0] <= '9' {
			size = part
		}
		if strings.HasPrefix(part, "420p") {
			pixels = "yuv" + strings.TrimSuffix(part, "8")
		}
	}
	r, err := ParseRawFormat(size + ":" + pixels)
	if err != nil {
		t.Fatal(file, err)
	}
	return &r
}

// side is one video of a pair, brought to the format of comparison.
type side struct {
	video *Video
	first int64
	conv  *Converter
}

func openSide(t testing.TB, file, command string, target vmaf.Format, lumaOnly bool) *side {
	t.Helper()
	cfg := pairConfig(file)
	cfg.LumaOnly = lumaOnly
	v, err := Open(context.Background(), Input{Path: golden.Clip(t, file), Raw: rawFormat(t, file)}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeVideo(t, v) })
	if target.Width == 0 {
		target = v.Info().Format
	}
	c, err := NewConverter(target, Bicubic, lumaOnly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := c.pool.inUse(); n != 0 {
			t.Errorf("%d converted frames were not released", n)
		}
		c.Close()
	})
	return &side{v, trim(command), c}
}

// each calls f with the hash of every step-th frame of n; step > 1 seeks.
func (s *side) each(t testing.TB, n, step int64, f func(i int64, sum string)) {
	t.Helper()
	for i := int64(0); i < n; {
		end := n
		if step > 1 {
			end = i + 1
		}
		// the end stays open where only the decoder knows it
		r, err := s.video.Read(context.Background(), s.first+i, min(s.first+end, s.video.Info().Frames))
		if err != nil {
			t.Fatal(err)
		}
		for i < end {
			frame, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			out, err := s.conv.Convert(frame)
			frame.Release()
			if err != nil {
				t.Fatal(err)
			}
			f(i, sum(out))
			out.Release()
			i++
		}
		r.Close()
		i = end + step - 1
	}
}

// TestGolden_everyPair compares what the metrics get with what the reference implementation got: after rotation,
// trimming, scaling and widening.
func TestGolden_everyPair(t *testing.T) {
	for _, pair := range some(golden.Pairs(t)) {
		t.Run(pair, func(t *testing.T) {
			table := golden.Scores(t, pair)
			ref := openSide(t, table.Reference, table.ReferenceDecode, vmaf.Format{}, false)
			dis := openSide(t, table.Distorted, table.DistortedDecode, vmaf.Format{}, false)
			target := CommonFormat(ref.video.Info().Format, dis.video.Info().Format)
			if target.Width != table.Width || target.Height != table.Height {
				t.Fatalf("compared as %v, want %dx%d", target, table.Width, table.Height)
			}
			if name := planarName(target); name != strings.Replace(table.PixFmt, "yuvj", "yuv", 1) {
				t.Fatalf("compared as %s, want %s", name, table.PixFmt)
			}
			for _, s := range []struct {
				*side
				name string
				want []string
			}{{ref, "reference", table.ReferenceMD5}, {dis, "distorted", table.DistortedMD5}} {
				var err error
				if s.conv, err = NewConverter(target, Bicubic, false); err != nil {
					t.Fatal(err)
				}
				defer s.conv.Close()
				bad := 0
				s.each(t, int64(table.Frames), 1, func(i int64, sum string) {
					if sum != s.want[i] {
						if bad == 0 {
							t.Errorf("%s frame %d: %s, want %s (%s)", s.name, i, sum, s.want[i], s.conv.Describe(s.video.Info().Format))
						}
						bad++
					}
				})
				if bad > 1 {
					t.Errorf("%s: %d frames differ", s.name, bad)
				}
			}
		})
	}
}
