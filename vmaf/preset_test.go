package vmaf

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestPreset_Spec8(t *testing.T) {
	const hd, uhd = "vmaf_v0.6.1 vmaf_v0.6.1neg", "vmaf_4k_v0.6.1 vmaf_4k_v0.6.1neg"
	const aom = "psnr:enable_apsnr=true:min_sse=0.5:reduced_hbd_peak=true ciede float_ssim:clip_db=true:enable_db=true " +
		"float_ms_ssim:clip_db=true:enable_db=true psnr_hvs"
	for text, want := range map[string][2]string{
		"aom_ctc=v1.0":  {hd, aom},
		"aom_ctc=v2.0":  {hd, aom},
		"aom_ctc=v3.0":  {hd, aom + " cambi"},
		"aom_ctc=v4.0":  {hd, aom + " cambi"},
		"aom_ctc=v5.0":  {hd, aom + " cambi"},
		"aom_ctc=v6.0":  {hd, aom + " cambi"},
		"aom_ctc=v7.0":  {hd, strings.Replace(aom, "float_ssim:clip_db=true:enable_db=true", "float_ssim:clip_db=true:enable_db=true:scale=1", 1) + " cambi"},
		"nflx_ctc=v1.0": {uhd, "psnr:enable_apsnr=true float_ssim:clip_db=true:enable_db=true cambi"},
	} {
		specs, features, err := ParsePreset(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var versions, names, canonical []string
		for _, spec := range specs {
			m := mustModel(t, spec)
			versions, names = append(versions, m.Version), append(names, m.Name)
		}
		for _, feature := range features {
			canonical = append(canonical, mustExtraction(t, feature).String())
		}
		if got := strings.Join(versions, " "); got != want[0] || !slices.Equal(names, []string{"vmaf", "vmaf_neg"}) {
			t.Errorf("%s: models %s named %q, want %s", text, got, names, want[0])
		}
		if got := strings.Join(canonical, " "); got != want[1] {
			t.Errorf("%s: features\n got %s\nwant %s", text, got, want[1])
		}
	}
	if got, want := strings.Join(PresetNames(), " "),
		"aom_ctc=v1.0 aom_ctc=v2.0 aom_ctc=v3.0 aom_ctc=v4.0 aom_ctc=v5.0 aom_ctc=v6.0 aom_ctc=v7.0 nflx_ctc=v1.0"; got != want {
		t.Errorf("presets %s, want %s", got, want)
	}
}

func TestPreset_refuses(t *testing.T) {
	for name, text := range map[string]string{
		"the one that was proposed": "aom_ctc=proposed", "an unknown version": "nflx_ctc=v2.0", "no version": "aom_ctc", "an unknown name": "itu=v1.0",
		"a number alone": "aom_ctc=7.0", "nothing": "",
	} {
		_, _, err := ParsePreset(text)
		if !errors.Is(err, ErrUnknownPreset) || !strings.Contains(err.Error(), "want one of aom_ctc=v1.0, ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPreset_isTheCallersOwn(t *testing.T) {
	models, features, _ := Preset("nflx_ctc", "v1.0")
	models[0], features[0] = "changed", "changed"
	if m, f, _ := Preset("nflx_ctc", "v1.0"); m[0] == "changed" || f[0] == "changed" {
		t.Errorf("changing what one call returned changes the preset: %q %q", m, f)
	}
}
