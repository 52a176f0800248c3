package vmaf

import (
	"io"
	"slices"
	"strings"
	"testing"
)

// What parses must be usable, and what it is printed as must parse to the same.

func FuzzParseExtraction(f *testing.F) {
	for _, text := range []string{
		"vif", "adm", "motion", "cambi", "speed_chroma", "vif=debug=true", "vif:vif_enhn_gain_limit=1.0", "adm:adm_csf_mode=2:adm_min_val=.5",
		"motion:motion_max_val=18:motion_five_frame_window=true", "motion:motion_blend_offset=1e2", "adm:adm_min_val=-0", "vif:vif_enhn_gain_limit=nan",
		"adm:adm_csf_mode=1e0", "adm:adm_noise_weight=1e-45", "vif:=", ":", "=", "", "vif::", "vif:debug=true:debug=false", "adm:adm_norm_view_dist=0.75:adm_ref_display_height=4320",
		"cambi:eotf=pq:topk=0.5", "speed_chroma:speed_prescale_method=bilinear", "cambi=full_ref=true:enc_width=960:enc_height=540:enc_bitdepth=8",
		"psnr=reduced_hbd_peak=true:enable_apsnr=true:min_sse=0.5", "psnr:enable_chroma=false:enable_mse=true", "ssim:scale=1:enable_db=true:clip_db=true",
		"ms_ssim:enable_lcs=true", "psnr_hvs", "ciede2000", "speed_chroma:speed_kernelscale=1.4746:speed_prescale=0.6", "speed_temporal:speed_use_ref_diff=true",
		"psnr:min_sse=1e38", "psnr_hvs:x=y",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseExtraction(text)
		if err != nil {
			return
		}
		again, err := ParseExtraction(e.String())
		if err != nil {
			t.Fatalf("%q is %s, which does not parse: %v", text, e, err)
		}
		if again.Key() != e.Key() || again.RawKey() != e.RawKey() || again.String() != e.String() || !slices.Equal(again.Series(), e.Series()) {
			t.Fatalf("%q: %s reads back as %s", text, e, again)
		}
		formed := e.extractor.sequence != nil || e.extractor.figures != nil
		if len(e.Raw()) == 0 || len(e.Series()) != len(e.Raw()) && !formed {
			t.Fatalf("%q: raw %q, series %q", text, e.Raw(), e.Series())
		}
	})
}

// Whatever is known of an encode, the extraction stays one that can be written down, and takes the pictures that it took before.
func FuzzExtraction_WithEncoded(f *testing.F) {
	f.Add("cambi", 960, 540, 8, 1920, 1080, 10)
	f.Add("cambi:enc_width=640:full_ref=true", 216, 150, 6, 216, 216, 8)
	f.Add("cambi:src_width=7680:src_height=4320:cambi_high_res_speedup=2160", 179, 7681, 17, 7680, 4320, 16)
	f.Add("psnr", -1, 0, 0, 1, 1, 9)
	f.Fuzz(func(t *testing.T, text string, width, height, bits, comparedWidth, comparedHeight, comparedBits int) {
		e, err := ParseExtraction(text)
		const most = 16384
		if err != nil || comparedWidth < 1 || comparedWidth > most || comparedHeight < 1 || comparedHeight > most || comparedBits < 8 || comparedBits > 16 {
			return
		}
		format := pictures(comparedWidth, comparedHeight, comparedBits, Chroma420)
		got := e.WithEncoded(Encoded{width, height, bits}, format)
		again, err := ParseExtraction(got.String())
		if err != nil || again.Key() != got.Key() || again.RawKey() != got.RawKey() || !slices.Equal(again.Series(), got.Series()) {
			t.Fatalf("%s with %d×%d, %d bits is %s, which reads back as %v: %v", e, width, height, bits, got, again, err)
		}
		if twice := got.WithEncoded(Encoded{width, height, bits}, format); twice.String() != got.String() {
			t.Fatalf("%s told twice is %s", got, twice)
		}
		if before, after := e.CheckFormat(format), got.CheckFormat(format); before == nil && after != nil {
			t.Fatalf("%s takes %v, but not with %d×%d, %d bits: %v", e, format, width, height, bits, after)
		}
	})
}

func FuzzParseModel(f *testing.F) {
	for _, spec := range []string{
		"vmaf_v0.6.1", "version=vmaf_v0.6.1:name=x", "vmaf_v0.6.1:disable_clip:enable_transform=false", "vmaf_4k_v0.6.1neg:vif.vif_enhn_gain_limit=1.20",
		"vmaf_v0.6.1:adm.adm_csf_mode=2:adm.debug=true", "vmaf_v1.0.16_3d0h", "path=x.json", "path=x.json:version=vmaf_v0.6.1", ":", "=", "", "a.b=c",
		"vmaf_v1.0.16_hfr_5d0h:cambi.enc_width=960:cambi.enc_height=540:speed_chroma.speed_prescale=0.5", "vmaf_v1.0.16_3d0h:adm.adm_skip_aim=true",
		"vmaf_v0.6.1:vif.debug=true:name=a.b-c_d", "vmaf_v0.6.1:disable_clip=", "disable_clip", "vmaf_v0.6.1:motion.motion_max_val=18",
	} {
		f.Add(spec)
	}
	open := func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(smallModel)), nil }
	f.Fuzz(func(t *testing.T, spec string) {
		m, err := ParseModel(spec, open)
		if err != nil {
			return
		}
		again, err := ParseModel(m.String(), open)
		if err != nil {
			t.Fatalf("%q is %s, which does not parse: %v", spec, m, err)
		}
		if again.Digest != m.Digest || again.Name != m.Name || again.String() != m.String() {
			t.Fatalf("%q: %s reads back as %s", spec, m, again)
		}
	})
}

func FuzzReadModelJSON(f *testing.F) {
	f.Add([]byte(smallModel))
	f.Add([]byte(collectionText([]string{"0", "1", "2"}, smallModel)))
	f.Add([]byte(strings.Replace(smallModel, "linear_rescale", "none", 1)))
	f.Add([]byte(strings.Replace(smallModel, `"p0"`, `"enabled": true, "out_lte_in": "true", "p2": 1e-9, "p0"`, 1)))
	f.Add([]byte(strings.Replace(smallModel, `"score_clip": [0, 100.0],`, ``, 1)))
	f.Add([]byte(`{"model_dict": {"model": "svm_type nu_svr\nSV\n"}}`))
	f.Add([]byte(`{"model_dict": {"feature_opts_dicts": [{"a": 1, "a": 1.0}]}}`))
	f.Add([]byte(`{"0": {}, "model_dict": null}`))
	f.Add([]byte(`[[[[`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ReadModelJSON(strings.NewReader(string(text)), "fuzz")
		if err != nil {
			return
		}
		x := make([]float64, len(m.Features()))
		for i := range x {
			x[i] = 0.5
		}
		out := make([]float64, len(m.Series()))
		m.PredictAll(x, out)
		again, err := ReadModelJSON(strings.NewReader(publicJSON(t, m)), "again")
		if err != nil {
			t.Fatalf("does not read back: %v\n%s", err, publicJSON(t, m))
		}
		if again.Digest != m.Digest {
			t.Fatalf("reads back as another model:\n%s", publicJSON(t, m))
		}
	})
}
