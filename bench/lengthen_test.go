package bench

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
)

func TestLengthen_repeatsEveryFrame(t *testing.T) {
	for _, codec := range []Codec{H264, HEVC, AV1, VP9} {
		t.Run(string(codec), func(t *testing.T) {
			clip, err := MakeClip(t.Context(), t.TempDir(), engine.Size{Width: 96, Height: 64}, 8, codec, 7, 1)
			if errors.Is(err, ErrNoEncoder) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			longer, err := clip.lengthened(t.Context(), t.TempDir(), 3)
			if err != nil {
				t.Fatal(err)
			}
			if longer.Frames != 21 || len(longer.Renditions) != 1 {
				t.Fatalf("clip %+v", longer)
			}
			once, err := loadFrames(t.Context(), clip.Reference, 100)
			if err != nil {
				t.Fatal(err)
			}
			often, err := loadFrames(t.Context(), longer.Reference, 100)
			if err != nil {
				t.Fatal(err)
			}
			if len(once) != 7 || len(often) != 21 {
				t.Fatalf("%d frames, and three times that %d", len(once), len(often))
			}
			if once, often := keyFrames(t, clip.Reference), keyFrames(t, longer.Reference); once < 1 || often != 3*once {
				t.Errorf("%d frames to begin at, and in three times that %d", once, often)
			}
			for n, samples := range often {
				if string(samples) != string(once[n%7]) {
					t.Fatalf("frame %d differs from frame %d of the clip", n, n%7)
				}
			}
		})
	}
}

func keyFrames(t *testing.T, path string) int64 {
	t.Helper()
	video, err := decode.Open(t.Context(), decode.Input{Path: path}, decode.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = video.Close() }() // only looked at
	return video.Info().KeyFrames
}

func TestLengthen_refuses(t *testing.T) {
	clip, err := MakeClip(t.Context(), t.TempDir(), engine.Size{Width: 64, Height: 48}, 8, Y4M, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clip.lengthened(t.Context(), t.TempDir(), 2); !errors.Is(err, errNotLengthened) {
		t.Errorf("error %v", err)
	}
	if err := lengthen(filepath.Join(t.TempDir(), "none"), "", 2); err == nil {
		t.Error("a file that is not there was made longer")
	}
	same, err := clip.lengthened(t.Context(), t.TempDir(), 1)
	if err != nil || same.Reference != clip.Reference {
		t.Errorf("once is the clip itself: %v, %v", same, err)
	}
}
