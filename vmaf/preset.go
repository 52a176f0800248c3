package vmaf

import (
	"fmt"
	"slices"
	"strings"
)

// preset is one version of a published set of test conditions: what it measures with, in the order of its logs.
type preset struct{ models, features []string }

// The presets by name and version. Source: spec/classic-metrics.md §8.
var presets = newPresets()

func newPresets() map[string]map[string]preset {
	hd := []string{"vmaf_v0.6.1:name=vmaf", "vmaf_v0.6.1neg:name=vmaf_neg"}
	uhd := []string{"vmaf_4k_v0.6.1:name=vmaf", "vmaf_4k_v0.6.1neg:name=vmaf_neg"}
	const ssim = "float_ssim:enable_db=true:clip_db=true"
	aom := func(ssim string, more ...string) preset {
		return preset{hd, append([]string{
			"psnr:reduced_hbd_peak=true:enable_apsnr=true:min_sse=0.5", "ciede", ssim, "float_ms_ssim:enable_db=true:clip_db=true", "psnr_hvs",
		}, more...)}
	}
	return map[string]map[string]preset{
		"aom_ctc": {
			"v1.0": aom(ssim),
			"v2.0": aom(ssim),
			"v3.0": aom(ssim, "cambi"),
			"v4.0": aom(ssim, "cambi"),
			"v5.0": aom(ssim, "cambi"),
			"v6.0": aom(ssim, "cambi"),
			"v7.0": aom("float_ssim:scale=1:enable_db=true:clip_db=true", "cambi"),
		},
		"nflx_ctc": {
			"v1.0": {uhd, []string{"psnr:enable_chroma=true:enable_apsnr=true", ssim, "cambi"}},
		},
	}
}

// Preset is a published set of test conditions: models as [ParseModel] reads them, named as its logs name them, and features as
// [ParseExtraction] reads them. name is aom_ctc (the Alliance for Open Media's) or nflx_ctc (Netflix's), version such as v7.0.
//
// Errors: [ErrUnknownPreset].
func Preset(name, version string) (models, features []string, err error) {
	p, ok := presets[name][version]
	if !ok {
		return nil, nil, fmt.Errorf("%w: %s=%s; want one of %s", ErrUnknownPreset, clip(name), clip(version), strings.Join(PresetNames(), ", "))
	}
	return slices.Clone(p.models), slices.Clone(p.features), nil
}

// ParsePreset is [Preset] of a text such as aom_ctc=v7.0.
func ParsePreset(text string) (models, features []string, err error) {
	name, version, _ := strings.Cut(text, "=")
	return Preset(name, version)
}

// PresetNames lists all presets as [ParsePreset] reads them, sorted.
func PresetNames() []string {
	var names []string
	for name, versions := range presets {
		for version := range versions {
			names = append(names, name+"="+version)
		}
	}
	slices.Sort(names)
	return names
}
