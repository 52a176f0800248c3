package vmaf

import (
	"fmt"
	"math"
)

// The table of extractors. Sources: spec/vif.md §1, adm.md §2, motion.md §1 and §2, cambi.md §1 and §2, speed.md §1 and §2,
// classic-metrics.md §1.3.
var extractors = []*extractor{
	{
		name: "vif",
		options: []option{
			debugOpt(),
			floatOpt("vif_enhn_gain_limit", "egl", 100, 1, 100),
			boolOpt("vif_skip_scale0", "ssclz"),
		},
		outputs: concat(
			scales("VMAF_integer_feature_vif_scale%d_score", "vif_scale%d"),
			debugOutputs("integer_vif", "vif"),
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
			scales("integer_adm_scale%d", "adm_scale%d"),
			debugOutputs("integer_adm", "adm"),
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
			{stored: "VMAF_integer_feature_motion_score", when: []string{"debug"}},
			{stored: "VMAF_integer_feature_motion2_score", late: true},
			{stored: "VMAF_integer_feature_motion3_score", late: true},
		},
		minWidth: 3, minHeight: 3,
		referenceOnly: true,
		computable:    true,
		raw:           func(Extraction) []string { return []string{"sad"} },
		rawKey:        motionRawKey,
		sequence:      assembleMotion,
	},
	{
		name: "cambi",
		options: []option{
			textOpt("cambi_eotf", "ceot", "bt1886", "pq"),
			intOpt("cambi_high_res_speedup", "hrs", 0, 0, 2160),
			floatOpt("cambi_max_val", "cmxv", 1000, 0, 1000).atAssembly(),
			floatOpt("cambi_topk", "ctpk", 0.6, 0.0001, 1),
			floatOpt("cambi_vis_lum_threshold", "vlt", 0, 0, 300),
			intOpt("enc_bitdepth", "encbd", 0, 6, 16),
			intOpt("enc_height", "ench", 0, 150, 7680),
			intOpt("enc_width", "encw", 0, 180, 7680),
			textOpt("eotf", "", "bt1886", "pq"),
			boolOpt("full_ref", "").addsFigures(),
			intOpt("max_log_contrast", "mlc", 2, 0, 5),
			intOpt("src_height", "srch", 0, 200, 4320),
			intOpt("src_width", "srcw", 0, 320, 7680),
			floatOpt("topk", "", 0.6, 0.0001, 1),
			floatOpt("tvi_threshold", "tvit", 0.019, 0.0001, 1),
			intOpt("window_size", "ws", 65, 15, 127),
		},
		outputs: []output{
			{stored: "Cambi_feature_cambi_score"},
			{stored: "cambi_source", when: []string{"full_ref"}, plain: true},
			{stored: "cambi_full_reference", when: []string{"full_ref"}, plain: true},
		},
		minWidth: 1, minHeight: 1, // but see fitCambi
		computable: true,
		fit:        fitCambi,
		raw:        cambiRaw,
		figures:    cambiFigures,
	},
	{
		name: "speed_chroma",
		options: []option{
			floatOpt("speed_kernelscale", "ks", 1, 0.1, 4),
			floatOpt("speed_max_val", "mxv", 1000, 0, 1000).atAssembly(),
			floatOpt("speed_nn_floor", "nnf", 0, 0, 1),
			floatOpt("speed_prescale", "ps", 1, 0.1, 4),
			textOpt("speed_prescale_method", "psm", "nearest", "bilinear", "bicubic", "lanczos4"),
			floatOpt("speed_sigma_nn", "snn", 0.29, 0.1, 2),
			intOpt("speed_weight_var_mode", "wvm", 0, 0, 6),
		},
		outputs: []output{
			{stored: "Speed_chroma_feature_speed_chroma_u_score"},
			{stored: "Speed_chroma_feature_speed_chroma_v_score"},
			{stored: "Speed_chroma_feature_speed_chroma_uv_score"},
		},
		minWidth: 20, minHeight: 20, // of 4:4:4 at the largest prescale
		computable: true,
		check:      checkSpeed,
		fit:        fitSpeed,
		chroma:     always,
		raw:        func(Extraction) []string { return []string{"u", "v", "uv"} },
		figures:    speedFigures,
	},
	{
		// Known, so that asking for it is answered by what can be asked for instead.
		name: "speed_temporal",
		options: []option{
			floatOpt("speed_kernelscale", "ks", 1, 0.1, 4),
			floatOpt("speed_max_val", "mxv", 1000, 0, 1000),
			floatOpt("speed_nn_floor", "nnf", 0, 0, 1),
			floatOpt("speed_prescale", "ps", 1, 0.1, 4),
			textOpt("speed_prescale_method", "psm", "nearest", "bilinear", "bicubic", "lanczos4"),
			floatOpt("speed_sigma_nn", "snn", 0.29, 0.1, 2),
			boolOpt("speed_use_ref_diff", "urd"),
		},
		outputs: []output{{stored: "Speed_temporal_feature_speed_temporal_score", raw: "speed_temporal"}},
	},
	{
		name: "psnr",
		options: []option{
			boolOpt("enable_apsnr", "").addsFigures().atAssembly(),
			boolOnOpt("enable_chroma").addsFigures(),
			boolOpt("enable_mse", "").addsFigures().atAssembly(),
			floatOpt("min_sse", "", 0, 0, math.MaxFloat64).withoutName().atAssembly(),
			boolOpt("reduced_hbd_peak", "").withoutName().atAssembly(),
		},
		outputs:  psnrOutputs(),
		minWidth: 1, minHeight: 1,
		computable: true,
		fit:        fitPSNR,
		chroma:     func(e Extraction) bool { return e.Bool("enable_chroma") },
		raw:        psnrRaw,
		rawKey:     psnrRawKey,
		figures:    psnrFigures,
		aggregates: psnrAggregates,
	},
	{
		name: "float_ssim", spelling: "ssim",
		options: []option{
			boolOpt("clip_db", "").withoutName().atAssembly(),
			boolOpt("enable_db", "").withoutName().atAssembly(),
			boolOpt("enable_lcs", "").addsFigures().atAssembly(),
			intOpt("scale", "", 0, 0, 10).withoutName(),
		},
		outputs: []output{
			{stored: "float_ssim"},
			{stored: "float_ssim_l", when: []string{"enable_lcs"}},
			{stored: "float_ssim_c", when: []string{"enable_lcs"}},
			{stored: "float_ssim_s", when: []string{"enable_lcs"}},
		},
		minWidth: ssimWindow, minHeight: ssimWindow,
		computable: true,
		fit:        fitSSIM,
		raw:        func(Extraction) []string { return []string{"ssim", "l", "c", "s"} },
		figures:    ssimFigures,
	},
	{
		name: "float_ms_ssim", spelling: "ms_ssim",
		options: []option{
			boolOpt("clip_db", "").withoutName().atAssembly(),
			boolOpt("enable_db", "").withoutName().atAssembly(),
			boolOpt("enable_lcs", "").addsFigures().atAssembly(),
		},
		outputs:  msSSIMOutputs(),
		minWidth: msSSIMLeast, minHeight: msSSIMLeast,
		computable: true,
		fit:        fitMSSSIM,
		raw:        msSSIMRaw,
		figures:    msSSIMFigures,
	},
	{
		name: "psnr_hvs",
		outputs: []output{
			{stored: "psnr_hvs_y"}, {stored: "psnr_hvs_cb"}, {stored: "psnr_hvs_cr"}, {stored: "psnr_hvs"},
		},
		minWidth: 8, minHeight: 8,
		computable: true,
		fit:        fitPSNRHVS,
		chroma:     always,
		raw:        func(Extraction) []string { return []string{"score_y", "score_cb", "score_cr"} },
		figures:    psnrHVSFigures,
	},
	{
		name: "ciede", spelling: "ciede2000",
		outputs:  []output{{stored: "ciede2000"}},
		minWidth: 1, minHeight: 1,
		computable: true,
		fit:        fitCIEDE,
		chroma:     always,
		raw:        func(Extraction) []string { return []string{"de"} },
		figures:    ciedeFigures,
	},
}

// always is for extractors that look at the chroma planes whatever their options.
func always(Extraction) bool { return true }

// debugOutputs are the score of all scales together, numerator and denominator, and those of each scale.
func debugOutputs(stored, raw string) []output {
	debug := []string{"debug"}
	return append([]output{
		{stored: stored, raw: raw, when: debug},
		{stored: stored + "_num", raw: raw + "_num", when: debug},
		{stored: stored + "_den", raw: raw + "_den", when: debug},
	}, numDenScales(stored, raw)...)
}

// psnrOutputs lists PSNR and mean squared error of each plane.
func psnrOutputs() (list []output) {
	for _, plane := range []string{"y", "cb", "cr"} {
		chroma := plane != "y"
		var when []string
		if chroma {
			when = []string{"enable_chroma"}
		}
		list = append(list,
			output{stored: "psnr_" + plane, when: when, chroma: chroma},
			output{stored: "mse_" + plane, when: append([]string{"enable_mse"}, when...), chroma: chroma})
	}
	return list
}

// msSSIMOutputs lists the score and the three factors of each of the five scales.
func msSSIMOutputs() []output {
	list := []output{{stored: "float_ms_ssim"}}
	for _, factor := range []string{"l", "c", "s"} {
		for s := range msSSIMScales {
			list = append(list, output{stored: fmt.Sprintf("float_ms_ssim_%s_scale%d", factor, s), when: []string{"enable_lcs"}})
		}
	}
	return list
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
