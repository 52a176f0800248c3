package synth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/bench/synth"
	"github.com/vqsd/vqsd/decode"
)

var small = synth.Content{Width: 97, Height: 65, BitsPerComponent: 8, Frames: 3}

func y4m(t *testing.T, c synth.Content, rendition int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.WriteY4M(t.Context(), &b, rendition); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Expected figures of the bundle are computed on one machine and looked at on another: these digests must not move.
func TestContent_isTheSameEverywhere(t *testing.T) {
	for name, row := range map[string]struct {
		bits, rendition int
		want            string
	}{
		"8 bit reference":  {8, synth.Reference, "310958911860489a"},
		"8 bit rendition":  {8, 2, "ef1ab1eb7057654b"},
		"10 bit reference": {10, synth.Reference, "8483f47331ee20ad"},
	} {
		t.Run(name, func(t *testing.T) {
			c := small
			c.BitsPerComponent = row.bits
			if got := fmt.Sprintf("%x", sha256.Sum256(y4m(t, c, row.rendition)))[:16]; got != row.want {
				t.Errorf("digest %s, want %s", got, row.want)
			}
		})
	}
}

func TestContent_differsWhereItShould(t *testing.T) {
	reference := y4m(t, small, synth.Reference)
	other := small
	other.Seed = 1
	for name, different := range map[string][]byte{
		"another rendition": y4m(t, small, 1), "a worse rendition": y4m(t, small, 2), "another seed": y4m(t, other, synth.Reference),
	} {
		if bytes.Equal(reference, different) {
			t.Errorf("%s is the same", name)
		}
	}
	a, b := make([]byte, 97*65), make([]byte, 97*65)
	small.Luma(a, 0, synth.Reference)
	small.Luma(b, 1, synth.Reference)
	if bytes.Equal(a, b) {
		t.Error("nothing moves")
	}
}

func TestWriteY4M_canBeRead(t *testing.T) {
	for _, bits := range []int{8, 10, 16} {
		c := small
		c.BitsPerComponent = bits
		path := filepath.Join(t.TempDir(), "clip.y4m")
		if err := os.WriteFile(path, y4m(t, c, 1), 0o600); err != nil {
			t.Fatal(err)
		}
		video, err := decode.Open(t.Context(), decode.Input{Path: path}, decode.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if info := video.Info(); info.Format != c.Format() || info.Frames != int64(c.Frames) {
			t.Errorf("%d bit: it holds %d frames of %v, want %d of %v", bits, info.Frames, info.Format, c.Frames, c.Format())
		}
		if err := video.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWriteY4M_endsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := small.WriteY4M(ctx, &bytes.Buffer{}, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

func TestValidate_tellsEveryProblem(t *testing.T) {
	err := synth.Content{Width: 3, Height: 99999, BitsPerComponent: 7}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, text := range []string{"width is 3", "height is 99999", "bits per component is 7", "frames is 0"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q has no %q", err, text)
		}
	}
}
