package ingest

import (
	"slices"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

func TestRead_whatALogHasAndIsNotKeptIsALoss(t *testing.T) {
	const text = `{"encoder": "x264", "frames": [{"frameNum": 0, "pts": 0.04, "metrics": {"vmaf": 90}}, {"frameNum": 1, "pts": 0.08, "metrics": {"vmaf": 91}}],
		"pooled_metrics": {"vmaf": {"mean": 90.5, "p05": 90, "median": 90.5}}}`
	c, err := Read(strings.NewReader(text), File{Name: "a.json"}, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	i := c.Request.Imported
	if want := []string{"encoder", "frames[].pts", "pooled_metrics.*.median"}; !slices.Equal(i.Losses, want) {
		t.Errorf("losses %q, want %q", i.Losses, want)
	}
	if want := []store.Pooled{{Method: vmaf.PoolMean, Value: 90.5}, {Method: "p5", Value: 90}}; len(i.Pooled) != 1 || !slices.Equal(i.Pooled[0].Pooled, want) {
		t.Errorf("pooled %v, want %v of one series", i.Pooled, want)
	}
}
