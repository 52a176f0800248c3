package vmaf

import (
	"slices"
	"strings"
	"testing"
)

func TestExtraction_WithEncoded(t *testing.T) {
	f := pictures(1920, 1080, 10, Chroma420)
	for _, c := range []struct {
		name, text string
		enc        Encoded
		want       string
	}{
		{"nothing known", "cambi", Encoded{}, "cambi"},
		{"a smaller encode of fewer bits", "cambi", Encoded{960, 540, 8}, "cambi:enc_bitdepth=8:enc_height=540:enc_width=960"},
		{"beside other options", "cambi:cambi_max_val=17", Encoded{960, 540, 0}, "cambi:cambi_max_val=17:enc_height=540:enc_width=960"},
		{"as compared", "cambi", Encoded{1920, 1080, 10}, "cambi"},
		{"lower only", "cambi", Encoded{1920, 800, 0}, "cambi:enc_height=800:enc_width=1920"},
		{"larger", "cambi", Encoded{3840, 2160, 10}, "cambi"},
		{"wider and lower", "cambi", Encoded{2000, 800, 10}, "cambi"},
		{"a size without the other", "cambi", Encoded{960, 0, 0}, "cambi"},
		{"narrower than CAMBI takes", "cambi", Encoded{179, 320, 8}, "cambi:enc_bitdepth=8"},
		{"lower than CAMBI takes", "cambi", Encoded{320, 149, 0}, "cambi"},
		{"the least", "cambi", Encoded{216, 150, 0}, "cambi:enc_height=150:enc_width=216"},
		{"too small in both", "cambi", Encoded{215, 215, 0}, "cambi"},
		{"beside a source of another shape", "cambi:src_width=1000:src_height=1000", Encoded{1200, 600, 0}, "cambi:src_height=1000:src_width=1000"},
		{"too few bits", "cambi", Encoded{0, 0, 5}, "cambi"},
		{"a size that is stated", "cambi:enc_width=640:enc_height=360", Encoded{960, 540, 8}, "cambi:enc_bitdepth=8:enc_height=360:enc_width=640"},
		{"half of a size that is stated", "cambi:enc_width=640", Encoded{960, 540, 0}, "cambi:enc_width=640"},
		{"a depth that is stated", "cambi:enc_bitdepth=10", Encoded{960, 540, 8}, "cambi:enc_bitdepth=10:enc_height=540:enc_width=960"},
		{"another extractor", "speed_chroma", Encoded{960, 540, 8}, "speed_chroma"},
	} {
		e := mustExtraction(t, c.text)
		before := e.String() + e.Key()
		got := e.WithEncoded(c.enc, f)
		if got.String() != c.want {
			t.Errorf("%s: got %v, want %s", c.name, got, c.want)
		}
		// It is as if it had been written so.
		if again := mustExtraction(t, c.want); again.Key() != got.Key() || again.RawKey() != got.RawKey() || !slices.Equal(again.Series(), got.Series()) {
			t.Errorf("%s: %s is named %s, want %s", c.name, got, got.Key(), again.Key())
		}
		if e.String()+e.Key() != before {
			t.Errorf("%s: changed the extraction it came from to %s", c.name, e)
		}
		if err := got.CheckFormat(f); err != nil && e.CheckFormat(f) == nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The speed-up goes by the encode's size and halves the window of both: at 8K nothing can do without.
func TestExtraction_WithEncoded_keepsTheSpeedUp(t *testing.T) {
	v1 := mustExtraction(t, "cambi:cambi_high_res_speedup=1080")
	for f, want := range map[Format]string{
		pictures(7680, 4320, 10, Chroma420): "cambi_hrs_1080_encbd_8",
		pictures(3840, 2160, 10, Chroma420): "cambi_hrs_1080_encbd_8_ench_720_encw_1280",
	} {
		if got := v1.WithEncoded(Encoded{1280, 720, 8}, f); got.Key() != want || got.CheckFormat(f) != nil {
			t.Errorf("%v: got %s, want %s; %v", f, got.Key(), want, got.CheckFormat(f))
		}
	}
}

// "So that names are those of libvmaf called with cambi.enc_width=… overloads."
func TestPlan_WithEncoded(t *testing.T) {
	f := pictures(1920, 1080, 10, Chroma420)
	p := mustPlan(t, []string{"vmaf_v1.0.16_3d0h", "vmaf_v0.6.1:name=old"}, []string{"cambi:full_ref=true", "psnr"})
	got, err := p.WithEncoded(Encoded{960, 540, 8}, f)
	if err != nil {
		t.Fatal(err)
	}
	overloads := "vmaf_v1.0.16_3d0h:cambi.enc_width=960:cambi.enc_height=540:cambi.enc_bitdepth=8"
	want := mustPlan(t, []string{overloads, "vmaf_v0.6.1:name=old"},
		[]string{"cambi:full_ref=true:enc_width=960:enc_height=540:enc_bitdepth=8", "psnr"})
	if !slices.Equal(extractionTexts(got), extractionTexts(want)) {
		t.Errorf("extractions\n got %q\nwant %q", extractionTexts(got), extractionTexts(want))
	}
	for i, m := range got.Models {
		if m.String() != want.Models[i].String() || m.Digest != want.Models[i].Digest {
			t.Errorf("model %d: got %v, want %v", i, m, want.Models[i])
		}
	}
	if got.Models[1] != p.Models[1] {
		t.Error("a model without CAMBI was changed")
	}
	raw := randomRaw(p, 3, 8)
	a, err := got.Evaluate(raw, f, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := want.Evaluate(raw, f, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if names := seriesNames(a); !slices.Equal(names, seriesNames(b)) || !slices.Contains(names, "cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8_ench_540_encw_960") {
		t.Errorf("series\n got %q\nwant %q", names, seriesNames(b))
	}
	for i := range a.Series {
		if !slices.Equal(a.Series[i].Values, b.Series[i].Values) {
			t.Errorf("%s differs", a.Series[i].Name)
		}
	}
}

func TestPlan_WithEncoded_changesNothingWithoutNeed(t *testing.T) {
	f := pictures(1920, 1080, 10, Chroma420)
	v1, v0 := mustPlan(t, []string{"vmaf_v1.0.16_3d0h"}, nil), mustPlan(t, []string{"vmaf_v0.6.1"}, nil)
	for name, c := range map[string]struct {
		plan *Plan
		enc  Encoded
	}{"as compared": {v1, Encoded{1920, 1080, 10}}, "nothing known": {v1, Encoded{}}, "no CAMBI": {v0, Encoded{960, 540, 8}}} {
		if got, err := c.plan.WithEncoded(c.enc, f); err != nil || got != c.plan {
			t.Errorf("%s: got another plan, %v", name, err)
		}
	}
}

func TestPlan_WithEncoded_ofWhatIsPartlyStated(t *testing.T) {
	f := pictures(1920, 1080, 10, Chroma420)
	p := mustPlan(t, []string{"vmaf_v1.0.16_3d0h:cambi.enc_bitdepth=8:cambi.enc_width=640:cambi.enc_height=360", "vmaf_v1.0.16_5d0h:name=b"},
		[]string{"cambi", "cambi:enc_width=960:enc_height=540"})
	got, err := p.WithEncoded(Encoded{960, 540, 10}, f)
	if err != nil {
		t.Fatal(err)
	}
	var cambi []string
	for _, e := range got.Extractions {
		if e.Extractor() == "cambi" {
			cambi = append(cambi, e.Key())
		}
	}
	want := []string{"cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8_ench_360_encw_640", "cambi_hrs_1080_cmxv_17_vlt_0.06_ench_540_encw_960", "cambi_ench_540_encw_960"}
	if !slices.Equal(cambi, want) { // the last two of the plan have become one
		t.Errorf("got %q, want %q", cambi, want)
	}
	for i, text := range []string{"cambi.enc_bitdepth=8:cambi.enc_height=360:cambi.enc_width=640", "cambi.enc_height=540:cambi.enc_width=960"} {
		if !strings.HasSuffix(got.Models[i].String(), text) {
			t.Errorf("model %d is %v, want its options %s", i, got.Models[i], text)
		}
	}
}

func TestPlan_WithEncoded_staysLean(t *testing.T) {
	f := pictures(1920, 1080, 10, Chroma420)
	p := mustPlan(t, []string{"vmaf_v1.0.16_3d0h", "vmaf_v0.6.1:name=old"}, nil).Lean()
	got, err := p.WithEncoded(Encoded{960, 540, 8}, f)
	if err != nil {
		t.Fatal(err)
	}
	table, err := got.Evaluate(randomRaw(got, 2, 9), f, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := "cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8_ench_540_encw_960 speed_chroma_uv_mxv_45_nnf_0.1_snn_0.19_wvm_5 " +
		"integer_adm3_csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02 integer_adm2 integer_vif_scale0 integer_vif_scale1 integer_vif_scale2 integer_vif_scale3 " +
		"integer_motion3_mmxv_18 integer_motion2 vmaf old"
	if names := strings.Join(seriesNames(table), " "); names != want {
		t.Errorf("series\n got %s\nwant %s", names, want)
	}
	for _, e := range got.Extractions {
		if skips := e.Extractor() == "adm" && e.Bool("adm_skip_aim"); skips != (e.Key() == "adm") {
			t.Errorf("%s: aim skipped %t", e, skips)
		}
	}
}
