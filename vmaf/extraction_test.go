package vmaf

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParseExtraction_names(t *testing.T) {
	for _, c := range []struct{ text, key, first, last, canonical string }{
		{"vif", "vif", "VMAF_integer_feature_vif_scale0_score", "VMAF_integer_feature_vif_scale3_score", "vif"},
		{"adm", "adm", "VMAF_integer_feature_adm2_score", "integer_adm_scale3", "adm"},
		{"motion", "motion", "VMAF_integer_feature_motion_sad_score", "VMAF_integer_feature_motion3_score", "motion"},
		{"vif:vif_enhn_gain_limit=1.0", "vif_egl_1", "integer_vif_scale0_egl_1", "integer_vif_scale3_egl_1", "vif:vif_enhn_gain_limit=1"},
		{"vif=vif_enhn_gain_limit=1:debug=true", "vif_egl_1", "integer_vif_scale0_egl_1", "integer_vif_den_scale3_egl_1", "vif:debug=true:vif_enhn_gain_limit=1"},
		{"vif:vif_enhn_gain_limit=100.0", "vif", "VMAF_integer_feature_vif_scale0_score", "VMAF_integer_feature_vif_scale3_score", "vif"},
		{"vif:vif_skip_scale0=true", "vif_ssclz", "integer_vif_scale0_ssclz", "integer_vif_scale3_ssclz", "vif:vif_skip_scale0=true"},
		{"adm:adm_skip_aim=true", "adm", "VMAF_integer_feature_adm2_score", "integer_adm_scale3", "adm:adm_skip_aim=true"},
		{"adm:adm_skip_scale0=true", "adm_ssz", "integer_adm2_ssz", "integer_adm_scale3_ssz", "adm:adm_skip_scale0=true"},
		{"adm:adm_ref_display_height=2160:adm_norm_view_dist=1.5:adm_noise_weight=0.02:adm_min_val=0.5:adm_enhn_gain_limit=1:adm_dlm_weight=0.7:adm_csf_mode=2",
			"adm_csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02_nvd_1.5_rdh_2160",
			"integer_adm2_csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02_nvd_1.5_rdh_2160",
			"integer_adm_scale3_csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02_nvd_1.5_rdh_2160",
			"adm:adm_csf_mode=2:adm_dlm_weight=0.7:adm_enhn_gain_limit=1:adm_min_val=0.5:adm_noise_weight=0.02:adm_norm_view_dist=1.5:adm_ref_display_height=2160"},
		{"adm:adm_csf_mode=1:adm_csf_scale=2:adm_csf_diag_scale=3", "adm_scfd_3_csf_1_scf_2", "integer_adm2_scfd_3_csf_1_scf_2",
			"integer_adm_scale3_scfd_3_csf_1_scf_2", "adm:adm_csf_diag_scale=3:adm_csf_mode=1:adm_csf_scale=2"},
		{"motion:motion_max_val=18", "motion_mmxv_18", "VMAF_integer_feature_motion_sad_score_mmxv_18", "integer_motion3_mmxv_18", "motion:motion_max_val=18"},
		{"motion:motion_moving_average=true:motion_max_val=18.0:motion_five_frame_window=true", "motion_mffw_mmxv_18_mma",
			"VMAF_integer_feature_motion_sad_score_mffw_mmxv_18_mma", "integer_motion3_mffw_mmxv_18_mma",
			"motion:motion_five_frame_window=true:motion_max_val=18:motion_moving_average=true"},
		{"motion:motion_blend_factor=0.3:motion_blend_offset=2:motion_fps_weight=1.2345678:motion_force_zero=true",
			"motion_mbf_0.3_mbo_2_force_0_mfw_1.23457", "VMAF_integer_feature_motion_sad_score_mbf_0.3_mbo_2_force_0_mfw_1.23457",
			"integer_motion3_mbf_0.3_mbo_2_force_0_mfw_1.23457",
			"motion:motion_blend_factor=0.3:motion_blend_offset=2:motion_force_zero=true:motion_fps_weight=1.23457"},
		// No option of the classic metrics is in a name.
		{"psnr=reduced_hbd_peak=true:enable_apsnr=true:min_sse=0.5", "psnr", "psnr_y", "psnr_cr", "psnr:enable_apsnr=true:min_sse=0.5:reduced_hbd_peak=true"},
		{"psnr:enable_chroma=true:min_sse=0.1234567", "psnr", "psnr_y", "psnr_cr", "psnr:min_sse=0.123457"},
		{"ssim=scale=1:enable_db=true:clip_db=true:enable_lcs=true", "float_ssim", "float_ssim", "float_ssim_s", "float_ssim:clip_db=true:enable_db=true:enable_lcs=true:scale=1"},
		{"ms_ssim", "float_ms_ssim", "float_ms_ssim", "float_ms_ssim", "float_ms_ssim"},
		{"ciede2000", "ciede", "ciede2000", "ciede2000", "ciede"},
		{"psnr_hvs", "psnr_hvs", "psnr_hvs_y", "psnr_hvs", "psnr_hvs"},
		{"cambi=enc_width=960:enc_height=540:full_ref=true", "cambi_ench_540_encw_960", "cambi_ench_540_encw_960", "cambi_full_reference",
			"cambi:enc_height=540:enc_width=960:full_ref=true"},
		{"speed_chroma:speed_prescale=0.6:speed_prescale_method=bilinear:speed_kernelscale=1", "speed_chroma_ps_0.6_psm_bilinear",
			"speed_chroma_u_ps_0.6_psm_bilinear", "speed_chroma_uv_ps_0.6_psm_bilinear", "speed_chroma:speed_prescale=0.6:speed_prescale_method=bilinear"},
	} {
		e, err := ParseExtraction(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		names := e.Series()
		if e.Key() != c.key || names[0] != c.first || names[len(names)-1] != c.last || e.String() != c.canonical {
			t.Errorf("%s:\n got %s %s … %s, %s\nwant %s %s … %s, %s", c.text,
				e.Key(), names[0], names[len(names)-1], e, c.key, c.first, c.last, c.canonical)
		}
		again, err := ParseExtraction(e.String())
		if err != nil || again.String() != e.String() || again.Key() != e.Key() {
			t.Errorf("%s: does not read back: %v %v", e, again, err)
		}
	}
}

// The four features of vmaf_v1.0.16_5d0h, which spec/prediction.md §3 gives as its example.
func TestFeatureNames_Spec3_example(t *testing.T) {
	for name, want := range map[string][]string{
		"vmaf_v1.0.16_5d0h": {"cambi_hrs_1080_cmxv_17_vlt_0.06", "speed_chroma_uv_mxv_45_nnf_0.1_ps_0.6_psm_bilinear_snn_0.19_wvm_5",
			"integer_adm3_csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02_nvd_5", "integer_motion3_mmxv_18"},
		"vmaf_v1.0.16_hfr_3d0h": {"cambi_hrs_1080_cmxv_17_vlt_0.06", "speed_chroma_uv_mxv_45_nnf_0.1_snn_0.19_wvm_5",
			"integer_adm3_csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02", "integer_motion3_mffw_mmxv_18_mma"},
	} {
		m, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Features(); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestExtraction_rawFigures(t *testing.T) {
	const vif = "vif_scale0 vif_scale1 vif_scale2 vif_scale3"
	const adm = "adm2 aim adm3 adm_scale0 adm_scale1 adm_scale2 adm_scale3"
	for text, want := range map[string]string{
		"vif": vif,
		"vif:debug=true": vif + " vif vif_num vif_den vif_num_scale0 vif_den_scale0 vif_num_scale1 vif_den_scale1" +
			" vif_num_scale2 vif_den_scale2 vif_num_scale3 vif_den_scale3",
		"adm": adm,
		"adm:debug=true": adm + " adm adm_num adm_den adm_num_scale0 adm_den_scale0 adm_num_scale1 adm_den_scale1" +
			" adm_num_scale2 adm_den_scale2 adm_num_scale3 adm_den_scale3",
		"motion":                                 "sad",
		"motion:debug=true":                      "sad",
		"psnr:enable_apsnr=true:enable_mse=true": "sse_y sse_cb sse_cr", "psnr:enable_chroma=false": "sse_y",
		"float_ssim": "ssim l c s", "float_ssim:enable_lcs=true": "ssim l c s",
		"float_ms_ssim": "l0 l1 l2 l3 l4 c0 c1 c2 c3 c4 s0 s1 s2 s3 s4",
		"psnr_hvs":      "score_y score_cb score_cr", "ciede": "de",
		"cambi": "cambi", "cambi:full_ref=true": "cambi cambi_source", "speed_chroma": "u v uv",
	} {
		if got := strings.Join(mustExtraction(t, text).Raw(), " "); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// What libvmaf 3.2.0's own tool writes for each of them alone.
func TestExtraction_seriesOrder(t *testing.T) {
	for text, want := range map[string]string{
		"vif:debug=true": "integer_vif_scale0 integer_vif_scale1 integer_vif_scale2 integer_vif_scale3 integer_vif integer_vif_num integer_vif_den" +
			" integer_vif_num_scale0 integer_vif_den_scale0 integer_vif_num_scale1 integer_vif_den_scale1" +
			" integer_vif_num_scale2 integer_vif_den_scale2 integer_vif_num_scale3 integer_vif_den_scale3",
		"adm:debug=true": "integer_adm2 integer_aim integer_adm3 integer_adm_scale0 integer_adm_scale1 integer_adm_scale2 integer_adm_scale3" +
			" integer_adm integer_adm_num integer_adm_den integer_adm_num_scale0 integer_adm_den_scale0 integer_adm_num_scale1 integer_adm_den_scale1" +
			" integer_adm_num_scale2 integer_adm_den_scale2 integer_adm_num_scale3 integer_adm_den_scale3",
		"motion:debug=true": "VMAF_integer_feature_motion_sad_score integer_motion integer_motion2 integer_motion3",
		"psnr":              "psnr_y psnr_cb psnr_cr", "psnr:enable_apsnr=true": "psnr_y psnr_cb psnr_cr", "psnr:enable_chroma=false": "psnr_y",
		"psnr:enable_mse=true":   "psnr_y mse_y psnr_cb mse_cb psnr_cr mse_cr",
		"ssim:scale=1":           "float_ssim",
		"ssim:enable_lcs=true":   "float_ssim float_ssim_l float_ssim_c float_ssim_s",
		"ms_ssim:enable_db=true": "float_ms_ssim",
		"ms_ssim:enable_lcs=true": "float_ms_ssim float_ms_ssim_l_scale0 float_ms_ssim_l_scale1 float_ms_ssim_l_scale2 float_ms_ssim_l_scale3 float_ms_ssim_l_scale4" +
			" float_ms_ssim_c_scale0 float_ms_ssim_c_scale1 float_ms_ssim_c_scale2 float_ms_ssim_c_scale3 float_ms_ssim_c_scale4" +
			" float_ms_ssim_s_scale0 float_ms_ssim_s_scale1 float_ms_ssim_s_scale2 float_ms_ssim_s_scale3 float_ms_ssim_s_scale4",
		"psnr_hvs": "psnr_hvs_y psnr_hvs_cb psnr_hvs_cr psnr_hvs", "ciede": "ciede2000",
		"cambi:full_ref=true": "cambi cambi_source cambi_full_reference", "speed_chroma": "speed_chroma_u speed_chroma_v speed_chroma_uv",
	} {
		var got []string
		for _, name := range mustExtraction(t, text).Series() {
			got = append(got, Alias(name))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %s\nwant %s", text, strings.Join(got, " "), want)
		}
	}
}

func TestExtraction_facts(t *testing.T) {
	for _, c := range []struct {
		text                  string
		halo                  int
		referenceOnly, chroma bool
		everyFrame            bool
		rawKey                string
	}{
		{"vif", 0, false, false, false, "vif"},
		{"vif:debug=true:vif_enhn_gain_limit=1", 0, false, false, false, "vif_egl_1:debug=true"},
		{"adm", 0, false, false, false, "adm"},
		{"adm:adm_skip_aim=true", 0, false, false, false, "adm:adm_skip_aim=true"},
		{"motion", 1, true, false, true, "motion"},
		{"motion:motion_max_val=18:debug=true", 1, true, false, true, "motion"},
		{"motion:motion_max_val=18:motion_five_frame_window=true", 2, true, false, true, "motion_mffw"},
		{"motion:motion_force_zero=true", 1, true, false, true, "motion_force_0"},
		{"psnr", 0, false, true, false, "psnr"},
		{"psnr:enable_mse=true:min_sse=0.5:reduced_hbd_peak=true", 0, false, true, false, "psnr"},
		{"psnr:enable_apsnr=true", 0, false, true, true, "psnr"},
		{"psnr:enable_chroma=false:enable_apsnr=true", 0, false, false, true, "psnr_luma"},
		{"ssim:enable_lcs=true:enable_db=true:clip_db=true", 0, false, false, false, "float_ssim"},
		{"ssim:scale=1", 0, false, false, false, "float_ssim:scale=1"},
		{"ms_ssim:enable_lcs=true:enable_db=true:clip_db=true", 0, false, false, false, "float_ms_ssim"},
		{"psnr_hvs", 0, false, true, false, "psnr_hvs"},
		{"ciede2000", 0, false, true, false, "ciede"},
		{"cambi:cambi_max_val=17", 0, false, false, false, "cambi"},
		{"cambi:cambi_max_val=17:full_ref=true:cambi_vis_lum_threshold=0.06:cambi_high_res_speedup=1080", 0, false, false, false, "cambi_hrs_1080_vlt_0.06:full_ref=true"},
		{"cambi:eotf=pq:topk=0.5:enc_width=960:enc_height=540:enc_bitdepth=8", 0, false, false, false, "cambi_encbd_8_ench_540_encw_960_eotf_pq_topk_0.5"},
		{"speed_chroma:speed_max_val=45:speed_prescale=0.5:speed_prescale_method=bilinear", 0, false, true, false, "speed_chroma_ps_0.5_psm_bilinear"},
	} {
		e := mustExtraction(t, c.text)
		if e.Halo() != c.halo || e.ReferenceOnly() != c.referenceOnly || e.NeedsChroma() != c.chroma || e.EveryFrame() != c.everyFrame || e.RawKey() != c.rawKey {
			t.Errorf("%s: halo %d, reference only %t, chroma %t, every frame %t, raw key %s; want %+v",
				c.text, e.Halo(), e.ReferenceOnly(), e.NeedsChroma(), e.EveryFrame(), e.RawKey(), c)
		}
		if err := e.Computable(); err != nil {
			t.Errorf("%s: %v", c.text, err)
		}
	}
	e := mustExtraction(t, "adm:adm_csf_mode=2:debug=true:adm_min_val=.25")
	if e.Extractor() != "adm" || e.Int("adm_csf_mode") != 2 || !e.Bool("debug") || e.Float("adm_min_val") != 0.25 || e.Float("adm_noise_weight") != 0.03125 || e.Int("adm_ref_display_height") != 1080 {
		t.Errorf("options misread: %v", e)
	}
	if want := map[string]string{"adm_csf_mode": "2", "debug": "true", "adm_min_val": "0.25"}; !maps.Equal(e.options(), want) {
		t.Errorf("options %v, want %v", e.options(), want)
	}
	speed, err := NewExtraction("speed_chroma", nil)
	if err != nil || speed.Text("speed_prescale_method") != "nearest" {
		t.Errorf("speed_chroma: %v %v", speed, err)
	}
	const known = "speed_temporal is not among the extractors of this version (vif, adm, motion, cambi, speed_chroma, psnr, float_ssim, float_ms_ssim, psnr_hvs, ciede)"
	if err := mustExtraction(t, "speed_temporal").Computable(); !errors.Is(err, ErrNotComputable) || !strings.Contains(err.Error(), known) {
		t.Errorf("speed_temporal is computable: %v", err)
	}
	cambi := mustExtraction(t, "cambi:full_ref=true:cambi_max_val=17")
	if got := cambi.Series(); !slices.Equal(got, []string{"cambi_cmxv_17", "cambi_source", "cambi_full_reference"}) {
		t.Errorf("cambi: %q", got)
	}
}

func TestExtraction_unknownOptionIsABug(t *testing.T) {
	e := mustExtraction(t, "vif")
	for name, read := range map[string]func(){
		"no such option": func() { e.Float("adm_min_val") },
		"another type":   func() { e.Int("vif_enhn_gain_limit") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			read()
		}()
	}
}

func TestParseExtraction_refuses(t *testing.T) {
	for _, c := range []struct {
		name, text string
		is         error
		want       string
	}{
		{"an unknown extractor", "lpips", ErrUnknownFeature, `"lpips"; want one of vif, adm, motion, cambi`},
		{"no name", "", ErrUnknownFeature, `""`},
		{"another case", "VIF", ErrUnknownFeature, `"VIF"`},
		{"an unknown option", "vif:egl=1", ErrUnknownOption, "vif: egl=1: unknown option; want one of debug, vif_enhn_gain_limit, vif_skip_scale0"},
		{"another extractor's option", "adm:vif_enhn_gain_limit=1", ErrUnknownOption, "adm: vif_enhn_gain_limit=1"},
		{"a number out of range", "vif:vif_enhn_gain_limit=100.01", ErrOptionValue, "outside 1 … 100"},
		{"a number below its range", "motion:motion_max_val=-1", ErrOptionValue, "outside 0 … 10000"},
		{"a number too large for a float", "adm:adm_noise_weight=1e99", ErrOptionValue, "outside 0 … 1500"},
		{"a whole number out of range", "adm:adm_csf_mode=4", ErrOptionValue, "outside 0 … 3"},
		{"a whole number in exponent form", "adm:adm_csf_mode=1000000", ErrOptionValue, "outside 0 … 3"},
		{"a fraction for a whole number", "adm:adm_csf_mode=2.7", ErrOptionValue, "not a whole number"},
		{"no number", "vif:vif_enhn_gain_limit=abc", ErrOptionValue, "not a number; want 1 … 100"},
		{"letters behind a number", "vif:vif_enhn_gain_limit=1.5abc", ErrOptionValue, "not a number"},
		{"minus zero", "adm:adm_min_val=-0", ErrOptionValue, "zero has no sign"},
		{"not a number by name", "vif:vif_enhn_gain_limit=nan", ErrOptionValue, "not a number"},
		{"infinity", "vif:vif_enhn_gain_limit=inf", ErrOptionValue, "not a number"},
		{"hexadecimal", "vif:vif_enhn_gain_limit=0x10", ErrOptionValue, "not a number"},
		{"only a point", "vif:vif_enhn_gain_limit=.", ErrOptionValue, "not a number"},
		{"a digit for a boolean", "vif:debug=1", ErrOptionValue, "want true or false"},
		{"a boolean in capitals", "vif:debug=True", ErrOptionValue, "want true or false"},
		{"a text that is not on the list", "speed_chroma:speed_prescale_method=area", ErrOptionValue, "want one of nearest, bilinear, bicubic, lanczos4"},
		{"two values", "vif:vif_enhn_gain_limit=1:vif_enhn_gain_limit=2", ErrOptionValue, "already given as 1"},
		{"a size of 0, which is only the default", "cambi:enc_width=0", ErrOptionValue, "outside 180 … 7680"},
		{"a kernel that there is none for", "speed_chroma:speed_kernelscale=1.2", ErrOptionValue, "speed_kernelscale 1.2 is none of [1 0.5 1.5"},
		{"a sum below 0", "psnr:min_sse=-1", ErrOptionValue, "outside 0 and above"},
		{"an infinite sum", "psnr:min_sse=1e39", ErrOptionValue, "outside 0 and above"},
		{"options of a metric that has none", "psnr_hvs:enable_chroma=true", ErrUnknownOption, "psnr_hvs: enable_chroma=true: unknown option; it has none"},
		{"a display too coarse", "adm:adm_norm_view_dist=2.9", ErrOptionValue, "at least 3240, is 2.9 × 1080"},
		{"no value", "vif:debug", nil, `option "debug" is not of the form name=value`},
		{"an empty value", "vif:debug=", nil, `option "debug="`},
		{"an empty option", "vif:debug=true:", nil, `option ""`},
		{"nothing behind the name", "vif:", nil, `no option after ":"`},
	} {
		_, err := ParseExtraction(c.text)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q gives %v, want %q", c.name, c.text, err, c.want)
		}
	}
	var oe *OptionError
	if _, err := ParseExtraction("vif:egl=1"); !errors.As(err, &oe) || oe.Extractor != "vif" || oe.Option != "egl" || oe.Value != "1" {
		t.Errorf("got %+v", oe)
	}
}

func TestParseExtraction_sameValueTwiceIsNoContradiction(t *testing.T) {
	if e := mustExtraction(t, "vif:debug=true:debug=true"); !e.Bool("debug") {
		t.Errorf("got %v", e)
	}
}

// "Every numeric option value … is first parsed as f32, then printed with the C format %g." Expectations are what a C program
// printed.
func TestStoredNumber_Spec3_OptionTextForm(t *testing.T) {
	for text, want := range map[string]string{
		"1.0": "1", "100.0": "100", "0.123456789": "0.123457", "100.000001": "100", "1.2345678": "1.23457",
		"0.0000001": "1e-07", "1000000": "1e+06", "999999": "999999", "999999.5": "1e+06", "123456.7": "123457", "1e2": "100", ".5": "0.5", "00": "0",
		"-0.0": "-0", "0.03125": "0.03125", "0.1": "0.1", "16777217": "1.67772e+07", "1e-50": "0", "0.0001": "0.0001", "0.00001": "1e-05", "+3": "3",
		"33.333333333": "33.3333",
	} {
		if got, ok := storedNumber(text); !ok || got != want {
			t.Errorf("%s: got %q %t, want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "abc", "1x", " 1", "1 ", "inf", "nan", "0x10", "1_0", "1e", "--1", "e5", "+"} {
		if got, ok := storedNumber(text); ok {
			t.Errorf("%q is no number, got %q", text, got)
		}
	}
}

func TestExtraction_optionThroughTextForm(t *testing.T) {
	if v := mustExtraction(t, "motion:motion_fps_weight=1.23456789").Float("motion_fps_weight"); v != 1.23457 {
		t.Errorf("got %v, want 1.23457", v)
	}
	if e := mustExtraction(t, "vif:vif_enhn_gain_limit=100.000001"); e.Key() != "vif" {
		t.Errorf("100.000001 is 100 to the extractor, but the key is %s", e.Key())
	}
}

func TestSeriesName_isCutAt255Characters(t *testing.T) {
	e := mustExtraction(t, "vif")
	e.suffix = strings.Repeat("_x", 200)
	if name := e.Series()[0]; len(name) != 255 || !strings.HasPrefix(name, "integer_vif_scale0_x_x") {
		t.Errorf("%d characters: %s", len(name), name)
	}
}

// Names sort options by full key, for which the tables must be in that order, and nothing may be ambiguous.
func TestRegistry_isConsistent(t *testing.T) {
	features := map[string]string{}
	for _, x := range extractors {
		keys := x.optionKeys()
		if !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != len(keys) {
			t.Errorf("%s: options are not in ascending order: %q", x.name, keys)
		}
		shorts := map[string]bool{}
		for _, o := range x.options {
			if !o.unnamed && o.short != "" && shorts[o.short] {
				t.Errorf("%s: short key %s stands twice", x.name, o.short)
			}
			shorts[o.short] = true
			if o.additive && o.kind != boolOption {
				t.Errorf("%s: %s is additive, but no boolean", x.name, o.key)
			}
		}
		for _, o := range x.outputs {
			if other, taken := features[o.stored]; taken {
				t.Errorf("%s is reported by %s and %s", o.stored, other, x.name)
			}
			features[o.stored] = x.name
			for _, key := range o.when {
				if x.optionIndex(key) < 0 {
					t.Errorf("%s: %s depends on unknown option %s", x.name, o.stored, key)
				}
			}
		}
	}
}

func TestAlias(t *testing.T) {
	for name, want := range map[string]string{
		"VMAF_integer_feature_adm2_score":             "integer_adm2",
		"VMAF_integer_feature_motion3_score":          "integer_motion3",
		"VMAF_integer_feature_vif_scale3_score":       "integer_vif_scale3",
		"VMAF_feature_adm_scale2_score":               "adm_scale2",
		"VMAF_feature_motion2_score":                  "motion2",
		"Cambi_feature_cambi_score":                   "cambi",
		"Speed_chroma_feature_speed_chroma_uv_score":  "speed_chroma_uv",
		"Speed_temporal_feature_speed_temporal_score": "speed_temporal",
		"VMAF_integer_feature_motion_sad_score":       "VMAF_integer_feature_motion_sad_score",
		"VMAF_integer_feature_adm_scale0_score":       "VMAF_integer_feature_adm_scale0_score",
		"integer_adm_scale0":                          "integer_adm_scale0",
		"integer_vif_num":                             "integer_vif_num",
		"psnr_y":                                      "psnr_y",
		"vmaf":                                        "vmaf",
		"":                                            "",
	} {
		if got := Alias(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
