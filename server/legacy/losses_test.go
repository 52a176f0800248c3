package legacy

import (
	"strings"
	"testing"

	"github.com/vqsd/vqsd/vmaf"
)

func TestLosses(t *testing.T) {
	ffmpeg := &vmaf.Table{Frames: 2, Width: 5, Height: 4, Series: []vmaf.Series{
		{Name: "psnr_y", Values: []float64{60, 40}}, {Name: "psnr_cb", Values: []float64{59, 40}}, {Name: "psnr_cr", Values: []float64{50, 40}},
		{Name: "mse_cr", Values: []float64{0.65, 6.5}}, {Name: "vmaf", Values: []float64{90, 80}},
	}}
	run := Run{BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	imported := []Pooled{{Name: "vmaf", Figures: []Figure{{"min", 1}, {"mean", 2}}}, {Name: "integer_aim", Figures: []Figure{{"mean", 3}}}, {Name: "gone", Figures: []Figure{{"mean", 3}}}}
	for _, c := range []struct {
		what   string
		format Format
		table  *vmaf.Table
		opt    WriteOptions
		want   string
	}{
		{"nothing", XML, modern(), WriteOptions{}, ""},
		{"infinite values", XML, tableWith(inf), WriteOptions{}, ""},
		{"infinite values", JSON, tableWith(inf), WriteOptions{}, "a: infinite or undefined in 1 of 2 frames, written as null"},
		{"infinite aggregates", JSON, &vmaf.Table{Aggregates: []vmaf.Aggregate{{Name: "apsnr_y", Value: 1}, {Name: "apsnr_cb", Value: -inf}}}, WriteOptions{},
			"apsnr_cb: infinite or undefined, written as null"},
		{"aggregates", CSV, modern(), WriteOptions{}, "aggregates: apsnr_y"},
		{"aggregates", SUB, modern(), WriteOptions{}, "aggregates: apsnr_y"},
		{"libvmaf's features", VmafossexecXML, modern(), WriteOptions{},
			"vmaf_neg: only one model's score has a place; integer_aim, integer_motion3, psnr_cb: no column in this form; " +
				"integer_adm2, integer_adm_scale0, integer_motion2, integer_vif_scale3: features in integer arithmetic, under the names of those that vmafossexec computed in floating point; " +
				"aggregates: apsnr_y"},
		{"another model's score", VmafossexecCSV, &vmaf.Table{Frames: 1, Series: []vmaf.Series{{Name: "vmaf", Values: []float64{1}}, {Name: "vmaf_neg", Values: []float64{2}}}},
			WriteOptions{Run: Run{Score: "vmaf_neg"}}, "vmaf: only one model's score has a place"},
		{"pooled figures of an imported log", XML, modern(), WriteOptions{Pooled: imported}, "pooled figures of the imported log: gone (mean)"},
		{"pooled figures of an imported log", VmafossexecJSON, &vmaf.Table{Frames: 1, Series: []vmaf.Series{{Name: "vmaf", Values: []float64{1}}}}, WriteOptions{Pooled: imported},
			"pooled figures of the imported log: vmaf (min), integer_aim (mean), gone (mean)"},
		{"pooled figures of an imported log", VmafossexecJSON, &vmaf.Table{Frames: 1, Series: []vmaf.Series{{Name: "vmaf", Values: []float64{1}}, {Name: "bagging", Values: []float64{1}}}},
			WriteOptions{Pooled: []Pooled{{Name: "vmaf", Figures: []Figure{{"mean", 1}}}, {Name: "bagging", Figures: []Figure{{"mean", 1}}}}},
			"pooled figures of the imported log: bagging (mean)"},
		{"pooled figures of an imported log", CSV, &vmaf.Table{Frames: 1, Series: []vmaf.Series{{Name: "vmaf", Values: []float64{1}}}}, WriteOptions{Pooled: imported[:1]},
			"pooled figures of the imported log: vmaf (min, mean)"},
		{"libvmaf's PSNR", FFmpegPSNR, ffmpeg, WriteOptions{Run: run},
			"vmaf: no column in this form; psnr_y: at libvmaf's limit of 60 dB in 1 of 2 frames, where FFmpeg writes what is beyond; " +
				"chroma planes: libvmaf leaves out their last odd column and row, which FFmpeg counts"},
		{"what cannot be written", FFmpegSSIM, modern(), WriteOptions{}, ""},
	} {
		if got := strings.Join(Losses(c.format, c.table, c.opt), "; "); got != c.want {
			t.Errorf("%s in %v:\n got %s\nwant %s", c.what, c.format, got, c.want)
		}
	}
}

// tableWith is a table with one given value.
func tableWith(x float64) *vmaf.Table {
	return &vmaf.Table{Frames: 2, Series: []vmaf.Series{{Name: "a", Values: []float64{1, x}}}}
}
