package engine

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// BenchmarkMeasure is a measurement from y4m files to scores: vmaf_v0.6.1 of generated 1080p pictures, one rendition and a
// ladder of four. Files lie in memory where /dev/shm is.
func BenchmarkMeasure(b *testing.B) {
	const width, height, frames = 1920, 1080, 24
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		b.Setenv("TMPDIR", "/dev/shm")
	}
	ref := writeY4M(b, "ref.y4m", width, height, frames, "25:1", moving(1, 3))
	dis := decode.Input{Path: writeY4M(b, "dis.y4m", width, height, frames, "25:1", moving(2, 6))}
	model, err := vmaf.Builtin("vmaf_v0.6.1")
	if err != nil {
		b.Fatal(err)
	}
	plan, err := vmaf.NewPlan([]*vmaf.Model{model}, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, plan := range []struct {
		name string
		plan *vmaf.Plan
	}{{"score", plan.Lean()}, {"log", plan}} {
		for _, renditions := range []int{1, 4} {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("1080p_8bit/%s/renditions=%d/threads=%d", plan.name, renditions, threads), func(b *testing.B) {
					req := Request{Reference: decode.Input{Path: ref}, Plan: plan.plan, Threads: threads}
					for range renditions {
						req.Distorted = append(req.Distorted, dis)
					}
					for b.Loop() {
						if _, err := Measure(context.Background(), req); err != nil {
							b.Fatal(err)
						}
					}
					perSecond := float64(frames*b.N) / b.Elapsed().Seconds()
					b.ReportMetric(perSecond, "frames/s")
					b.ReportMetric(perSecond*float64(renditions), "pairs/s")
				})
			}
		}
	}
}
