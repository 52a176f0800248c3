package vmaf

import "fmt"

// extractor is what is known about one feature extractor. The registry is a table of them: a new extractor is one more
// entry and, where its series are formed from raw figures at assembly, one function.
type extractor struct {
	name    string
	options []option // ascending by key, which is the order of names
	outputs []output // in the order they are reported

	minWidth, minHeight int // smallest luma size it is defined for
	// referenceOnly extractors do not look at the distorted picture.
	referenceOnly bool
	// computable is false for extractors that models name but this version does not compute.
	computable bool

	// check refuses option sets that are in range one by one, but not together. May be nil.
	check func(Extraction) error
	// raw names the figures that a backend delivers per frame; nil: those of the outputs.
	raw []string
	// assemble forms the series of all outputs from the raw columns; nil: they are the raw columns.
	assemble func(e Extraction, raw [][]float64, width, height, frames int) [][]float64
}

// output is one series that an extractor reports.
type output struct {
	stored string // internal name, without options
	raw    string // what a backend calls it
	when   string // the boolean option that must be on; empty: always reported
	late   bool   // reported after everything that the first frame reports at once
	plain  bool   // keeps its name whatever the options
}

// Sources of the tables: spec/vif.md §1, adm.md §2, motion.md §1 and §2, cambi.md §1 and §2, speed.md §1 and §2.
var extractors = []*extractor{
	{
		name: "vif",
		options: []option{
			debugOpt(),
			floatOpt("vif_enhn_gain_limit", "egl", 100, 1, 100),
			boolOpt("vif_skip_scale0", "ssclz"),
		},
		outputs: concat(
			scales("VMAF_integer_feature_vif_scale%d_score", "vif_scale%d", ""),
			[]output{
				{stored: "integer_vif", raw: "vif", when: "debug"},
				{stored: "integer_vif_num", raw: "vif_num", when: "debug"},
				{stored: "integer_vif_den", raw: "vif_den", when: "debug"},
			},
			numDenScales("integer_vif", "vif"),
		),
		minWidth: 16, minHeight: 16,
		computable: true,
	},
	{
		name: "adm",
		options: []option{
			floatOpt("adm_csf_diag_scale", "scfd", 1, 0, 50),
			intOpt("adm_csf_mode", "csf", 0, 0, 3),
			floatOpt("adm_csf_scale", "scf", 1, 0, 50),
			floatOpt("adm_dlm_weight", "dlmw", 0.5, 0, 1),
			floatOpt("adm_enhn_gain_limit", "egl", 100, 1, 100),
			floatOpt("adm_min_val", "min", 0, 0, 1),
			floatOpt("adm_noise_weight", "nw", 0.03125, 0, 1500),
			floatOpt("adm_norm_view_dist", "nvd", 3, 0.75, 24),
			intOpt("adm_ref_display_height", "rdh", 1080, 1, 4320),
			boolOpt("adm_skip_aim", "").withoutName(),
			boolOpt("adm_skip_scale0", "ssz"),
			debugOpt(),
		},
		outputs: concat(
			[]output{
				{stored: "VMAF_integer_feature_adm2_score", raw: "adm2"},
				{stored: "VMAF_integer_feature_aim_score", raw: "aim"},
				{stored: "VMAF_integer_feature_adm3_score", raw: "adm3"},
			},
			scales("integer_adm_scale%d", "adm_scale%d", ""),
			[]output{
				{stored: "integer_adm", raw: "adm", when: "debug"},
				{stored: "integer_adm_num", raw: "adm_num", when: "debug"},
				{stored: "integer_adm_den", raw: "adm_den", when: "debug"},
			},
			numDenScales("integer_adm", "adm"),
		),
		minWidth: 33, minHeight: 33,
		computable: true,
		check:      checkADM,
	},
	{
		name: "motion",
		options: []option{
			debugOpt(),
			floatOpt("motion_blend_factor", "mbf", 1, 0, 1),
			floatOpt("motion_blend_offset", "mbo", 40, 0, 1000),
			boolOpt("motion_five_frame_window", "mffw"),
			boolOpt("motion_force_zero", "force_0"),
			floatOpt("motion_fps_weight", "mfw", 1, 0, 5),
			floatOpt("motion_max_val", "mmxv", 10000, 0, 10000),
			boolOpt("motion_moving_average", "mma"),
		},
		outputs: []output{
			{stored: "VMAF_integer_feature_motion_sad_score"},
			{stored: "VMAF_integer_feature_motion_score", when: "debug"},
			{stored: "VMAF_integer_feature_motion2_score", late: true},
			{stored: "VMAF_integer_feature_motion3_score", late: true},
		},
		minWidth: 3, minHeight: 3,
		referenceOnly: true,
		computable:    true,
		raw:           []string{"sad"},
		assemble:      assembleMotion,
	},
	{
		name: "cambi",
		options: []option{
			textOpt("cambi_eotf", "ceot", "bt1886", "pq"),
			intOpt("cambi_high_res_speedup", "hrs", 0, 0, 2160),
			floatOpt("cambi_max_val", "cmxv", 1000, 0, 1000),
			floatOpt("cambi_topk", "ctpk", 0.6, 0.0001, 1),
			floatOpt("cambi_vis_lum_threshold", "vlt", 0, 0, 300),
			intOpt("enc_bitdepth", "encbd", 0, 6, 16),
			intOpt("enc_height", "ench", 0, 150, 7680),
			intOpt("enc_width", "encw", 0, 180, 7680),
			textOpt("eotf", "", "bt1886", "pq"),
			boolOpt("full_ref", "").withoutName(),
			intOpt("max_log_contrast", "mlc", 2, 0, 5),
			intOpt("src_height", "srch", 0, 200, 4320),
			intOpt("src_width", "srcw", 0, 320, 7680),
			floatOpt("topk", "", 0.6, 0.0001, 1),
			floatOpt("tvi_threshold", "tvit", 0.019, 0.0001, 1),
			intOpt("window_size", "ws", 65, 15, 127),
		},
		outputs: []output{
			{stored: "Cambi_feature_cambi_score", raw: "cambi"},
			{stored: "cambi_source", raw: "cambi_source", when: "full_ref", plain: true},
			{stored: "cambi_full_reference", raw: "cambi_full_reference", when: "full_ref", plain: true},
		},
	},
	{
		name: "speed_chroma",
		options: []option{
			floatOpt("speed_kernelscale", "ks", 1, 0.1, 4),
			floatOpt("speed_max_val", "mxv", 1000, 0, 1000),
			floatOpt("speed_nn_floor", "nnf", 0, 0, 1),
			floatOpt("speed_prescale", "ps", 1, 0.1, 4),
			textOpt("speed_prescale_method", "psm", "nearest", "bilinear", "bicubic", "lanczos4"),
			floatOpt("speed_sigma_nn", "snn", 0.29, 0.1, 2),
			intOpt("speed_weight_var_mode", "wvm", 0, 0, 6),
		},
		outputs: []output{
			{stored: "Speed_chroma_feature_speed_chroma_u_score", raw: "speed_chroma_u"},
			{stored: "Speed_chroma_feature_speed_chroma_v_score", raw: "speed_chroma_v"},
			{stored: "Speed_chroma_feature_speed_chroma_uv_score", raw: "speed_chroma_uv"},
		},
	},
}

// checkADM refuses displays too coarse for the 16-bit arithmetic of scale 0. Source: spec/adm.md §2.
func checkADM(e Extraction) error {
	distance, height := e.Float("adm_norm_view_dist"), e.Int("adm_ref_display_height")
	if distance*float64(height) < 3.0*1080 {
		return fmt.Errorf("%w: adm_norm_view_dist × adm_ref_display_height must be at least 3240, is %s × %d",
			ErrOptionValue, formatG(distance), height)
	}
	return nil
}

// scales lists one output for each of the four scales.
func scales(stored, raw, when string) (list []output) {
	for s := range 4 {
		list = append(list, output{stored: fmt.Sprintf(stored, s), raw: fmt.Sprintf(raw, s), when: when})
	}
	return list
}

// numDenScales lists numerator and denominator of each of the four scales.
func numDenScales(stored, raw string) (list []output) {
	for s := range 4 {
		for _, part := range []string{"num", "den"} {
			list = append(list, output{
				stored: fmt.Sprintf("%s_%s_scale%d", stored, part, s),
				raw:    fmt.Sprintf("%s_%s_scale%d", raw, part, s),
				when:   "debug",
			})
		}
	}
	return list
}

func concat(lists ...[]output) (all []output) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// extractorByName and providerOf index the registry: by the extractor's name, and by the internal name of a feature.
var extractorByName, providerOf = indexExtractors()

func indexExtractors() (byName, byFeature map[string]*extractor) {
	byName, byFeature = map[string]*extractor{}, map[string]*extractor{}
	for _, x := range extractors {
		byName[x.name] = x
		for _, o := range x.outputs {
			byFeature[o.stored] = x
		}
	}
	return byName, byFeature
}
