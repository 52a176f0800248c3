package decode

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vqsd/vqsd/internal/golden"
)

// outcome says what became of a damaged file.
type outcome struct {
	sums    []string
	openErr error
	readErr error
}

// readDamaged opens and reads a file whose content is anything; only errors and frames may come of it, in time.
func readDamaged(t *testing.T, path string, cfg Config) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	v, err := Open(ctx, Input{Path: path}, cfg)
	if err != nil {
		if ctx.Err() != nil {
			t.Fatalf("open hangs: %v", err)
		}
		return outcome{openErr: err}
	}
	defer closeVideo(t, v)
	var o outcome
	r, err := v.Read(ctx, 0, -1)
	if err != nil {
		return outcome{openErr: err}
	}
	defer r.Close()
	for {
		f, err := r.Next()
		if err == io.EOF {
			return o
		}
		if err != nil {
			if ctx.Err() != nil {
				t.Fatalf("reading hangs: %v", err)
			}
			var fe *FrameError
			if !errors.As(err, &fe) || !strings.Contains(err.Error(), filepath.Base(path)) {
				t.Errorf("%v does not name file and frame", err)
			}
			o.readErr = err
			return o
		}
		o.sums = append(o.sums, sum(f))
		f.Release()
	}
}

// smallClips are a few of each container and codec, small so that many damaged copies can be tried.
var smallClips = []string{
	"bikes_320x136_svtav1_crf38.mp4", "bikes_640x272_x264_crf40.mp4", "bikes_640x272_50fps-hfr_x265_crf32.mp4",
	"cockatoo_853x479_odd_vp9_crf45.webm", "cockatoo_853x479_odd_aom-av1_crf50.mkv", "garden_715x477_odd_444p8_x264_crf34.mkv",
	"carphone_176x144_30fps_420p8_dis_h264_as-published.mp4", "cockatoo_1280x720_x264_crf28_truncated-tail.ts",
	"garden_720x480_mpeg2_q12.mpg", "cockatoo_161x91_odd_420p8_dis.y4m", "cockatoo_1280x720_x264_crf28_fragmented.mp4",
	"cockatoo_reschange_1280x720-to-640x360_at_frame30_x264.h264",
}

var (
	copies = flag.Int("copies", 6, "damaged copies of each clip that TestGolden_flippedBits tries")
	seed   = flag.Uint64("seed", 3, "what the damage is drawn from")
)

func TestGolden_flippedBits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	for _, clip := range smallClips {
		t.Run(clip, func(t *testing.T) {
			data, err := os.ReadFile(golden.Clip(t, clip))
			if err != nil {
				t.Fatal(err)
			}
			want := frameMD5(t, clip)
			path := filepath.Join(t.TempDir(), "damaged"+filepath.Ext(clip))
			rng := rand.New(rand.NewPCG(*seed, uint64(len(data))))
			var refused, stopped, same, silent int
			for range *copies {
				bad := bytes.Clone(data)
				for range 1 + rng.IntN(8) {
					bad[rng.IntN(len(bad))] ^= 1 << rng.IntN(8)
				}
				if err := os.WriteFile(path, bad, 0o600); err != nil {
					t.Fatal(err)
				}
				cfg := peculiar(clip)
				cfg.OnDamage = DamagePolicy(rng.IntN(2))
				o := readDamaged(t, path, cfg)
				switch {
				case o.openErr != nil:
					refused++
					if testing.Verbose() {
						t.Log(cfg.OnDamage, o.openErr)
					}
				case o.readErr != nil:
					stopped++
				case firstDifference(o.sums, want) < 0:
					same++
				case cfg.OnDamage == Strict:
					silent++
				}
			}
			t.Logf("of %d copies: %d not opened, %d end in an error, %d unharmed, %d changed unnoticed under strict", *copies, refused, stopped, same, silent)
		})
	}
}

func TestGolden_truncatedAnywhere(t *testing.T) {
	clips := smallClips
	if testing.Short() {
		clips = clips[:3]
	}
	for _, clip := range clips {
		t.Run(clip, func(t *testing.T) {
			data, err := os.ReadFile(golden.Clip(t, clip))
			if err != nil {
				t.Fatal(err)
			}
			want := frameMD5(t, clip)
			path := filepath.Join(t.TempDir(), "cut"+filepath.Ext(clip))
			rng := rand.New(rand.NewPCG(4, uint64(len(data))))
			cuts := []int{1, 4, 7, 16, 100, 1000, len(data) / 2, len(data) - 1}
			for _, at := range boxes(data) {
				cuts = append(cuts, at, at+4, at+8, at+9)
			}
			for range 3 {
				cuts = append(cuts, rng.IntN(len(data)))
			}
			for _, n := range cuts {
				if n <= 0 || n > len(data) {
					continue
				}
				if err := os.WriteFile(path, data[:n], 0o600); err != nil {
					t.Fatal(err)
				}
				o := readDamaged(t, path, peculiar(clip))
				if len(o.sums) > len(want) {
					t.Errorf("cut at %d: %d frames of %d", n, len(o.sums), len(want))
				}
				// what comes before the end is right, but for a last picture that is incomplete
				good := max(0, len(o.sums)-2)
				if strings.Contains(clip, "truncated") {
					continue
				}
				for i := range good {
					if o.sums[i] != want[i] {
						t.Errorf("cut at %d of %d: frame %d of %d differs", n, len(data), i, len(o.sums))
						break
					}
				}
			}
		})
	}
}

// boxes are the offsets of the boxes of an MP4 file, two levels deep; none for other files.
func boxes(data []byte) []int {
	if len(data) < 8 || string(data[4:8]) != "ftyp" {
		return nil
	}
	var out []int
	var walk func(from, to, depth int)
	walk = func(from, to, depth int) {
		for from+8 <= to && len(out) < 64 {
			n := int(binary.BigEndian.Uint32(data[from:]))
			if n < 8 || from+n > to {
				return
			}
			out = append(out, from)
			switch string(data[from+4 : from+8]) {
			case "moov", "trak", "mdia", "minf", "stbl", "moof", "traf":
				if depth < 6 {
					walk(from+8, from+n, depth+1)
				}
			}
			from += n
		}
	}
	walk(0, len(data), 0)
	return out
}

func TestGolden_truncatedTailStrict(t *testing.T) {
	for clip, good := range map[string]int{
		"cockatoo_1280x720_x264_crf18_truncated-tail.mp4": 41, // the 42nd picture is there in part
		"cockatoo_1280x720_x264_crf28_truncated-tail.ts":  35, // the 36th is, and the decoder conceals the rest of it
	} {
		t.Run(clip, func(t *testing.T) {
			want := frameMD5(t, clip)
			v := open(t, golden.Clip(t, clip), Config{})
			if _, err := trySums(v, 0, -1); err == nil {
				t.Error("reading to the end succeeds")
			} else {
				t.Log(err)
			}
			got := sums(t, v, 0, int64(good))
			if i := firstDifference(got, want[:good]); i >= 0 {
				t.Errorf("frame %d differs", i)
			}
			n := v.Info().Frames
			if v.Info().Truncated == "" {
				n = int64(good) + 1
			}
			_, err := trySums(v, 10, n)
			var fe *FrameError
			if !errors.As(err, &fe) || fe.Frame < int64(good) || !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrTruncated) {
				t.Errorf("%v, want an error about frame %d", err, good)
			}
		})
	}
}

func TestGolden_concealedFramesAreCounted(t *testing.T) {
	for clip, want := range map[string]Stats{
		"cockatoo_1280x720_x264_crf18_truncated-tail.mp4": {Delivered: 41, Missing: 1},
		"cockatoo_1280x720_x264_crf28_truncated-tail.ts":  {Delivered: 36, Damaged: 1},
		"cockatoo_640x360_x264_crf26.mp4":                 {Delivered: 60},
	} {
		v := open(t, golden.Clip(t, clip), Config{OnDamage: Conceal})
		sums(t, v, 0, -1)
		if got := v.Stats(); got != want {
			t.Errorf("%s: %+v, want %+v", clip, got, want)
		}
	}
}
