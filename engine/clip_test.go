package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// writeY4M writes a clip whose luma is sample(frame, x, y) and whose chroma is grey, and returns its path. rate is "25:1".
func writeY4M(t testing.TB, name string, width, height, frames int, rate string, sample func(n, x, y int) byte) string {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "YUV4MPEG2 W%d H%d F%s Ip A1:1 C420jpeg\n", width, height, rate)
	chroma := bytes.Repeat([]byte{128}, 2*((width+1)/2)*((height+1)/2))
	for n := range frames {
		b.WriteString("FRAME\n")
		for y := range height {
			for x := range width {
				b.WriteByte(sample(n, x, y))
			}
		}
		b.Write(chroma)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// moving is a textured picture that moves and changes; damage > 0 adds noise to it.
func moving(seed uint64, damage int) func(n, x, y int) byte {
	rng := rand.New(rand.NewPCG(seed, uint64(damage)))
	return func(n, x, y int) byte {
		v := 110 + 50*((x+2*n)/7%2) + (y*3+n*x)%29
		if damage > 0 {
			v += rng.IntN(2*damage) - damage
		}
		return byte(min(max(v, 0), 255))
	}
}

// testPlan measures vmaf_v0.6.1 and its gain-limited twin, with motion over one and two frames.
func testPlan(t testing.TB) *vmaf.Plan {
	t.Helper()
	var models []*vmaf.Model
	for _, spec := range []string{"vmaf_v0.6.1", "vmaf_v0.6.1neg:name=neg"} {
		m, err := vmaf.ParseModel(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	wide, err := vmaf.ParseExtraction("motion:motion_five_frame_window=true")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := vmaf.NewPlan(models, []vmaf.Extraction{wide})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// request compares files under the test plan.
func request(t testing.TB, ref string, dis ...string) Request {
	t.Helper()
	r := Request{Reference: decode.Input{Path: ref}, Plan: testPlan(t), Threads: 2}
	for _, path := range dis {
		r.Distorted = append(r.Distorted, decode.Input{Path: path})
	}
	return r
}
