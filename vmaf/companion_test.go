package vmaf

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// evaluated is the table of features of one extraction over frames of raw figures, each given by frame.
func evaluated(t *testing.T, text string, f Format, subsample int, frames ...[]float64) *Table {
	t.Helper()
	e := mustExtraction(t, text)
	columns := make([][]float64, len(e.Raw()))
	for _, figures := range frames {
		if len(figures) != len(columns) {
			t.Fatalf("%s: %d raw figures, want %d: %v", text, len(figures), len(columns), e.Raw())
		}
		for k, v := range figures {
			columns[k] = append(columns[k], v)
		}
	}
	p, err := NewPlan(nil, []Extraction{e})
	if err != nil {
		t.Fatal(err)
	}
	table, err := p.Evaluate([][][]float64{columns}, f, len(frames), subsample)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func pictures(width, height, bits int, s Subsampling) Format {
	return Format{Width: width, Height: height, BitsPerComponent: bits, Subsampling: s}
}

// figuresOf are name=value of the first frame of all series, then of the aggregates, to six digits.
func figuresOf(table *Table) string {
	var b strings.Builder
	for _, s := range table.Series {
		b.WriteString(Alias(s.Name) + "=" + formatG(s.Values[0]) + " ")
	}
	for _, a := range table.Aggregates {
		b.WriteString(a.Name + "=" + formatG(a.Value) + " ")
	}
	return strings.TrimSpace(b.String())
}

func TestEvaluate_companionMetricsOfOneFrame(t *testing.T) {
	sd8, sd10, hd8 := pictures(576, 324, 8, Chroma420), pictures(576, 324, 10, Chroma420), pictures(1920, 1080, 8, Chroma420)
	const samples = 576 * 324
	gray := pictures(576, 324, 8, Gray)
	for _, c := range []struct {
		name, text string
		format     Format
		raw        []float64
		want       string
	}{
		{"identical 8-bit pictures are clipped at 60 dB", "psnr", sd8, []float64{0, 0, 0}, "psnr_y=60 psnr_cb=60 psnr_cr=60"},
		{"at 10 bits at 72", "psnr:enable_chroma=false", sd10, []float64{0}, "psnr_y=72"},
		{"at 12 bits at 84", "psnr:enable_chroma=false", pictures(64, 64, 12, Chroma444), []float64{0}, "psnr_y=84"},
		{"at 16 bits at 108", "psnr:enable_chroma=false", pictures(64, 64, 16, Chroma444), []float64{0}, "psnr_y=108"},
		// spec/classic-metrics.md §8: "104 dB for Y, 98 for chroma"
		{"or at the ceiling of a smallest sum", "psnr:min_sse=0.5", sd8, []float64{0, 0, 0}, "psnr_y=104 psnr_cb=98 psnr_cr=98"},
		{"which can be out of reach", "psnr:min_sse=1e-30:enable_chroma=false", sd8, []float64{0}, "psnr_y=208.131"},
		{"squared errors beside the decibels", "psnr:enable_mse=true", sd8, []float64{samples * 100, samples / 4, samples / 2},
			"psnr_y=28.1308 mse_y=100 psnr_cb=48.1308 mse_cb=1 psnr_cr=45.1205 mse_cr=2"},
		{"a peak of 1023", "psnr:enable_chroma=false", sd10, []float64{samples * 1023 * 1023}, "psnr_y=0"},
		{"a peak of 1020", "psnr:enable_chroma=false:reduced_hbd_peak=true", sd10, []float64{samples * 1020 * 1020}, "psnr_y=0"},
		{"which 8 bits do not know", "psnr:enable_chroma=false:reduced_hbd_peak=true", sd8, []float64{samples * 255 * 255}, "psnr_y=0"},
		{"odd sizes leave the last chroma samples out", "psnr:enable_mse=true", pictures(5, 3, 8, Chroma420), []float64{15, 2, 4},
			"psnr_y=48.1308 mse_y=1 psnr_cb=48.1308 mse_cb=1 psnr_cr=45.1205 mse_cr=2"},
		{"pictures without chroma", "psnr:enable_mse=true:enable_apsnr=true", gray, []float64{samples, 0, 0},
			"psnr_y=48.1308 mse_y=1 apsnr_y=48.1308 apsnr_cb=-Inf apsnr_cr=-Inf"},
		{"aggregates without chroma", "psnr:enable_apsnr=true:enable_chroma=false", sd8, []float64{samples},
			"psnr_y=48.1308 apsnr_y=48.1308 apsnr_cb=-Inf apsnr_cr=-Inf"},
		{"aggregates of identical pictures", "psnr:enable_apsnr=true", sd8, []float64{0, 0, 0},
			"psnr_y=60 psnr_cb=60 psnr_cr=60 apsnr_y=104 apsnr_cb=98 apsnr_cr=98"},
		{"similarity as it is", "float_ssim", sd8, []float64{0.75, 1, 2, 3}, "float_ssim=0.75"},
		{"its factors", "ssim:enable_lcs=true:enable_db=true", sd8, []float64{0.9, 0.25, 0.5, 0.125},
			"float_ssim=10 float_ssim_l=0.25 float_ssim_c=0.5 float_ssim_s=0.125"},
		{"decibels without a limit", "ssim:enable_db=true", sd8, []float64{1, 1, 1, 1}, "float_ssim=+Inf"},
		// spec/classic-metrics.md §3.4: "115; 576x324 10-bit: 116"
		{"with one at 1080p", "ssim:enable_db=true:clip_db=true", hd8, []float64{1, 1, 1, 1}, "float_ssim=115"},
		{"with one at 10 bits", "ssim:enable_db=true:clip_db=true:scale=1", sd10, []float64{1, 1, 1, 1}, "float_ssim=116"},
		{"a limit without decibels", "ssim:clip_db=true", sd8, []float64{1, 1, 1, 1}, "float_ssim=1"},
		{"a similarity above 1", "ssim:enable_db=true:clip_db=true", sd10, []float64{1.5, 1, 1, 1}, "float_ssim=116"},
		{"scales that agree", "ms_ssim", sd8, slices.Repeat([]float64{1}, 15), "float_ms_ssim=1"},
		{"luminance counts in the last scale only", "ms_ssim", sd8,
			append([]float64{-1, 0, 7, 0.5, 1}, slices.Repeat([]float64{1}, 10)...), "float_ms_ssim=1"},
		{"with an exponent of 0.1333", "ms_ssim", sd8, append([]float64{1, 1, 1, 1, 0.5}, slices.Repeat([]float64{1}, 10)...), "float_ms_ssim=0.911744"},
		{"contrast and structure of each", "ms_ssim", sd8,
			append(slices.Repeat([]float64{1}, 5), 0.5, 1, 1, 1, 1, 1, 0.5, 1, 1, 1), "float_ms_ssim=0.795316"},
		{"a negative structure", "ms_ssim", sd8, append(slices.Repeat([]float64{1}, 14), -0.1), "float_ms_ssim=NaN"},
		{"in decibels too", "ms_ssim:enable_db=true:clip_db=true", sd8, slices.Repeat([]float64{1}, 15), "float_ms_ssim=104"},
		{"the factors of all scales", "ms_ssim:enable_lcs=true", sd8, []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0},
			"float_ms_ssim=0 float_ms_ssim_l_scale0=1 float_ms_ssim_l_scale1=1 float_ms_ssim_l_scale2=1 float_ms_ssim_l_scale3=1 float_ms_ssim_l_scale4=1" +
				" float_ms_ssim_c_scale0=1 float_ms_ssim_c_scale1=1 float_ms_ssim_c_scale2=1 float_ms_ssim_c_scale3=1 float_ms_ssim_c_scale4=1" +
				" float_ms_ssim_s_scale0=1 float_ms_ssim_s_scale1=1 float_ms_ssim_s_scale2=1 float_ms_ssim_s_scale3=1 float_ms_ssim_s_scale4=0"},
		{"planes weigh 8, 1 and 1", "psnr_hvs", sd8, []float64{1e-4, 1e-3, 1e-2}, "psnr_hvs_y=40 psnr_hvs_cb=30 psnr_hvs_cr=20 psnr_hvs=29.2812"},
		{"of identical pictures", "psnr_hvs", sd8, []float64{0, 0, 0}, "psnr_hvs_y=+Inf psnr_hvs_cb=+Inf psnr_hvs_cr=+Inf psnr_hvs=+Inf"},
		{"a colour difference of 1", "ciede", sd8, []float64{1}, "ciede2000=45"},
		{"of 10", "ciede2000", sd8, []float64{10}, "ciede2000=25"},
		{"of none", "ciede", sd8, []float64{0}, "ciede2000=+Inf"},
		{"banding below the limit", "cambi:cambi_max_val=17", hd8, []float64{16.5}, "cambi_cmxv_17=16.5"},
		{"and above", "cambi:cambi_max_val=17", hd8, []float64{17.5}, "cambi_cmxv_17=17"},
		// spec/cambi.md §8: "uses the unclipped scores"
		{"full reference", "cambi:cambi_max_val=5:full_ref=true", hd8, []float64{9, 6}, "cambi_cmxv_5=5 cambi_source=5 cambi_full_reference=3"},
		{"a source that is worse", "cambi:full_ref=true", hd8, []float64{2, 6}, "cambi=2 cambi_source=6 cambi_full_reference=0"},
		{"chroma below and above the limit", "speed_chroma:speed_max_val=45", hd8, []float64{1, 46, 23.5},
			"speed_chroma_u_mxv_45=1 speed_chroma_v_mxv_45=45 speed_chroma_uv_mxv_45=23.5"},
	} {
		if got := figuresOf(evaluated(t, c.text, c.format, 1, c.raw)); got != c.want {
			t.Errorf("%s: %s\n got %s\nwant %s", c.name, c.text, got, c.want)
		}
	}
}

// Figures per frame are of the measured frames; apsnr is of all. Source: spec/classic-metrics.md §1.3.
func TestEvaluate_apsnrCountsEveryFrame(t *testing.T) {
	f := pictures(10, 10, 8, Gray)
	table := evaluated(t, "psnr:enable_apsnr=true:enable_chroma=false:enable_mse=true", f, 2, []float64{100}, []float64{500}, []float64{300})
	mse, _ := table.Column("mse_y")
	for frame, want := range []float64{1, math.NaN(), 3} {
		if v, ok := mse.At(frame); ok != (want == want) || ok && v != want {
			t.Errorf("mse_y of frame %d is %v %t, want %v", frame, v, ok, want)
		}
	}
	pooled, _ := table.Pooled(1, PoolMean)
	if want := 10 * math.Log10(255*255/3.0); pooled != 2 || math.Abs(table.Aggregates[0].Value-want) > 1e-12 {
		t.Errorf("mean of mse_y %v, want 2; apsnr_y %v, want %v", pooled, table.Aggregates[0].Value, want)
	}
}

// The ceiling of apsnr must not come of a product that no longer fits 64 bits: here it is 2^32 · 2^34 · 2.
func TestEvaluate_apsnrOfLongDeepClips(t *testing.T) {
	const frames = 2048
	raw := slices.Repeat([][]float64{{4096 * 2048}}, frames) // one step of 2^16 per sample
	table := evaluated(t, "psnr:enable_apsnr=true:enable_chroma=false", pictures(4096, 2048, 16, Gray), 1, raw...)
	if got, want := table.Aggregates[0].Value, 20*math.Log10(65535); math.Abs(got-want) > 1e-9 {
		t.Errorf("apsnr_y %v, want %v", got, want)
	}
	clear(raw)
	for i := range raw {
		raw[i] = []float64{0}
	}
	table = evaluated(t, "psnr:enable_apsnr=true:enable_chroma=false", pictures(4096, 2048, 16, Gray), 1, raw...)
	if got := table.Aggregates[0].Value; got != 202 {
		t.Errorf("apsnr_y of identical pictures %v, want 202", got)
	}
}

// Of a lean plan's table, neither series nor aggregates of features are left; of one whose features were asked for, all are.
func TestLean_dropsAggregates(t *testing.T) {
	p := mustPlan(t, []string{"vmaf_v0.6.1"}, []string{"psnr:enable_apsnr=true"})
	raw := randomRaw(p, 3, 5)
	for _, c := range []struct {
		plan *Plan
		want int
	}{{p, 3}, {p.Lean(), 0}} {
		table, err := c.plan.Evaluate(raw, luma(64, 64), 3, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := table.Column("psnr_y"); ok != (c.want > 0) || len(table.Aggregates) != c.want {
			t.Errorf("%d aggregates, psnr_y %t, want %d", len(table.Aggregates), ok, c.want)
		}
	}
}

// A model may use any feature; where the pictures do not have it, that is said.
func TestEvaluate_modelOfAFeatureThatPicturesDoNotHave(t *testing.T) {
	text := strings.Replace(smallModel, "VMAF_integer_feature_vif_scale0_score", "psnr_cb", 1)
	m, err := ReadModelJSON(strings.NewReader(text), "chroma.json")
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan([]*Model{m}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw := randomRaw(p, 2, 6)
	if _, err := p.Evaluate(raw, luma(64, 64), 2, 1); err != nil {
		t.Errorf("4:2:0: %v", err)
	}
	_, err = p.Evaluate(raw, pictures(64, 64, 8, Gray), 2, 1)
	if err == nil || !strings.Contains(err.Error(), "model chroma.json needs psnr_cb, which 4:0:0 pictures do not have") {
		t.Errorf("4:0:0: %v", err)
	}
}

// Raw figures are kept by raw key: those of one plan serve any other whose extractions have the same keys, whatever is applied to them
// later.
func TestEvaluate_ofRawFiguresOfAnotherPlan(t *testing.T) {
	measured := mustPlan(t, []string{"vmaf_v1.0.16_3d0h", "vmaf_v0.6.1:name=v0"},
		[]string{"psnr:enable_mse=true", "ssim", "ms_ssim:enable_db=true", "cambi:full_ref=true", "ciede"})
	kept := map[string][][]float64{}
	for i, raw := range randomRaw(measured, 4, 10) {
		kept[measured.Extractions[i].RawKey()] = raw
	}
	p := mustPlan(t, []string{"vmaf_v1.0.16_3d0h:disable_clip:motion.motion_max_val=3:cambi.cambi_max_val=1:speed_chroma.speed_max_val=2", "vmaf_v0.6.1neg:name=neg:adm.adm_enhn_gain_limit=100:vif.vif_enhn_gain_limit=100"},
		[]string{"psnr:min_sse=0.5:reduced_hbd_peak=true:enable_apsnr=true", "ssim:enable_db=true:clip_db=true:enable_lcs=true", "ms_ssim:enable_lcs=true",
			"cambi:full_ref=true:cambi_max_val=0.5", "motion:motion_blend_factor=0.5:motion_fps_weight=2"})
	var raw [][][]float64
	for _, e := range p.Extractions {
		columns, ok := kept[e.RawKey()]
		if !ok {
			t.Fatalf("%s has raw key %s, which the measured plan does not: %v", e, e.RawKey(), extractionTexts(measured))
		}
		raw = append(raw, columns)
	}
	table, err := p.Evaluate(raw, pictures(64, 48, 10, Chroma420), 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, most := range map[string]float64{"cambi_hrs_1080_cmxv_1_vlt_0.06": 1, "speed_chroma_uv_mxv_2_nnf_0.1_snn_0.19_wvm_5": 2, "cambi_source": 0.5, "integer_motion3_mmxv_3": 3} {
		s, ok := table.Column(name)
		if !ok || slices.Max(s.Values) > most {
			t.Errorf("%s: %v %t, want none above %v", name, s.Values, ok, most)
		}
	}
	if _, ok := table.Column("float_ms_ssim_s_scale4"); !ok || len(table.Aggregates) != 3 {
		t.Errorf("series %q, %d aggregates", seriesNames(table), len(table.Aggregates))
	}
}
