package engine

import (
	"context"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/vmaf"
)

// goldenModels are all that golden score files have scores of, by the column that has them.
var goldenModels = []string{
	"vmaf_v0.6.1:name=vmaf_v0.6.1", "vmaf_v0.6.1:name=vmaf_v0.6.1_noclip:disable_clip", "vmaf_v0.6.1:name=vmaf_v0.6.1_phone:enable_transform",
	"vmaf_v0.6.1neg:name=vmaf_v0.6.1neg", "vmaf_4k_v0.6.1:name=vmaf_4k_v0.6.1", "vmaf_4k_v0.6.1neg:name=vmaf_4k_v0.6.1neg",
	"vmaf_b_v0.6.3:name=vmaf_b_v0.6.3",
	"vmaf_v1.0.16_3d0h:name=vmaf_v1.0.16_3d0h", "vmaf_v1.0.16_5d0h:name=vmaf_v1.0.16_5d0h",
	"vmaf_v1.0.16_3d0h_2160:name=vmaf_v1.0.16_3d0h_2160", "vmaf_v1.0.16_1d5h_2160:name=vmaf_v1.0.16_1d5h_2160",
	"vmaf_v1.0.16_hfr_3d0h:name=vmaf_v1.0.16_hfr_3d0h", "vmaf_v1.0.16_hfr_5d0h:name=vmaf_v1.0.16_hfr_5d0h",
	"vmaf_v1.0.16_hfr_3d0h_2160:name=vmaf_v1.0.16_hfr_3d0h_2160", "vmaf_v1.0.16_hfr_1d5h_2160:name=vmaf_v1.0.16_hfr_1d5h_2160",
}

// goldenFeatures are the extractions of golden score files, each with a column that it reports.
func goldenFeatures() [][2]string {
	adm := "adm:adm_csf_mode=2:adm_enhn_gain_limit=1:adm_noise_weight=0.02:adm_dlm_weight=0.7:adm_min_val=0.5"
	speed := "speed_chroma:speed_max_val=45:speed_nn_floor=0.1:speed_sigma_nn=0.19:speed_weight_var_mode=5"
	return [][2]string{
		{"vif:debug=true", "integer_vif_scale0"}, {"adm:debug=true", "integer_adm2"}, {"motion:debug=true", "integer_motion2"},
		{"motion:motion_max_val=18", "integer_motion3_mmxv_18"},
		{"motion:motion_max_val=18:motion_five_frame_window=true:motion_moving_average=true", "integer_motion3_mffw_mmxv_18_mma"},
		{adm, "integer_adm3_csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02"},
		{adm + ":adm_norm_view_dist=5", "integer_adm3_csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02_nvd_5"},
		{adm + ":adm_ref_display_height=2160", "integer_adm3_csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02_rdh_2160"},
		{adm + ":adm_ref_display_height=2160:adm_norm_view_dist=1.5", "integer_adm3_csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02_nvd_1.5_rdh_2160"},
		{"psnr", "psnr_y"}, {"psnr_hvs", "psnr_hvs_y"}, {"float_ssim", "float_ssim"}, {"float_ms_ssim", "float_ms_ssim"}, {"ciede", "ciede2000"},
		{"cambi:full_ref=true", "cambi"},
		{"cambi:cambi_high_res_speedup=1080:cambi_vis_lum_threshold=0.06:cambi_max_val=17", "cambi_hrs_1080_cmxv_17_vlt_0.06"},
		{"speed_chroma", "speed_chroma_u"}, {speed, "speed_chroma_uv_mxv_45_nnf_0.1_snn_0.19_wvm_5"},
		{speed + ":speed_prescale=0.6:speed_prescale_method=bilinear", "speed_chroma_uv_mxv_45_nnf_0.1_ps_0.6_psm_bilinear_snn_0.19_wvm_5"},
		{speed + ":speed_prescale=0.5:speed_prescale_method=bilinear", "speed_chroma_uv_mxv_45_nnf_0.1_ps_0.5_psm_bilinear_snn_0.19_wvm_5"},
	}
}

// goldenPlan asks for every figure that a golden score file holds and this package computes.
func goldenPlan(t *testing.T, table *golden.Table) *vmaf.Plan {
	t.Helper()
	has := func(name string) bool {
		return slices.ContainsFunc(table.Columns, func(c golden.Column) bool { return c.Name == name })
	}
	var models []*vmaf.Model
	for _, spec := range goldenModels {
		m, err := vmaf.ParseModel(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		if has(m.Series()[0]) {
			models = append(models, m)
		}
	}
	var features []vmaf.Extraction
	for _, f := range goldenFeatures() {
		e, err := vmaf.ParseExtraction(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if has(f[1]) {
			features = append(features, e)
		}
	}
	plan, err := vmaf.NewPlan(models, features)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// rawName matches the names of headerless clips: WxH_420pDEPTHle or WxH_420p8 before the rest.
var rawName = regexp.MustCompile(`_(\d+x\d+)_420p(\d+)(le)?_.*\.yuv$`)

// goldenInput is a clip of the golden material.
func goldenInput(t *testing.T, clip string) decode.Input {
	t.Helper()
	in := decode.Input{Path: golden.Clip(t, clip)}
	if !strings.HasSuffix(clip, ".yuv") {
		return in
	}
	match := rawName.FindStringSubmatch(clip)
	if match == nil {
		t.Fatalf("%s: the name does not tell its format", clip)
	}
	format := match[1] + ":yuv420p"
	if match[2] != "8" {
		format += match[2] + "le"
	}
	raw, err := decode.ParseRawFormat(format)
	if err != nil {
		t.Fatal(err)
	}
	in.Raw = &raw
	return in
}

// trimmed matches the decode command of a reference whose first frames are left out.
var trimmed = regexp.MustCompile(`trim=start_frame=(\d+)`)

// goldenRequest measures a pair as its score file says.
func goldenRequest(t *testing.T, table *golden.Table, plan *vmaf.Plan) Request {
	t.Helper()
	scale := decode.Bicubic
	first := int64(0)
	if match := trimmed.FindStringSubmatch(table.ReferenceDecode); match != nil {
		var err error
		if first, err = strconv.ParseInt(match[1], 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return Request{
		First:     first,
		Offset:    -first,
		Reference: goldenInput(t, table.Reference),
		Distorted: []decode.Input{goldenInput(t, table.Distorted)},
		Plan:      plan,
		Chroma:    true,
		Pairing:   PairIndex,
		Shortest:  true,
		Scale:     &scale,
		OnDamage:  decode.Conceal,
	}
}

// compareGolden requires every figure that the golden table has to be the same to the bit, but for those of goldenDistance.
func compareGolden(t *testing.T, got *vmaf.Table, want *golden.Table) {
	t.Helper()
	series := map[string][]float64{}
	for _, s := range got.Series {
		series[vmaf.Alias(s.Name)] = s.Values
	}
	for _, column := range want.Columns {
		if column.Name == "speed_temporal" { // which nothing of ours reports
			continue
		}
		values, ok := series[column.Name]
		if !ok {
			t.Errorf("no series %s", column.Name)
			continue
		}
		if len(values) != len(column.Values) {
			t.Fatalf("%d frames, want %d", len(values), len(column.Values))
		}
		for i, v := range column.Values {
			if column.Present[i] && !near(values[i], v, goldenDistance[column.Name]) {
				t.Errorf("%s of frame %d: got %.17g, want %.17g", column.Name, i, values[i], v)
				break
			}
		}
	}
}

func near(got, want, distance float64) bool {
	return math.Float64bits(got) == math.Float64bits(want) || math.Abs(got-want) <= distance
}

// goldenDistance is how far figures may be from libvmaf's, where that is not to the bit; each is derived where the feature is computed.
var goldenDistance = map[string]float64{
	// Transcendental functions of ours and of glibc differ in their last bits, and a sum of singly rounded differences with them.
	"ciede2000": 1e-7,
	// Powers of glibc against ours: some units in the last place of a figure below 1.
	"float_ms_ssim": 1e-14,
	// glibc's log10 is within two units in the last place, and ours nearer; one value of all these files differs, by one unit.
	"psnr_y": 1.5e-14, "psnr_cb": 1.5e-14, "psnr_cr": 1.5e-14,
}

// largeGolden are pairs whose measuring takes several seconds; -short leaves them out.
var largeGolden = []string{"bunny_", "cockatoo_1280x720_", "dog_", "cockatoo_reschange"}

func TestGolden_everyPairToTheBit(t *testing.T) {
	for _, pair := range golden.Pairs(t) {
		t.Run(pair, func(t *testing.T) {
			if testing.Short() && slices.ContainsFunc(largeGolden, func(p string) bool { return strings.HasPrefix(pair, p) }) {
				t.Skip("a large pair, left out with -short")
			}
			table := golden.Scores(t, pair)
			result, err := Measure(context.Background(), goldenRequest(t, table, goldenPlan(t, table)))
			if err != nil {
				t.Fatal(err)
			}
			if err := result.Renditions[0].Err; err != nil {
				t.Fatal(err)
			}
			compareGolden(t, result.Renditions[0].Table, table)
		})
	}
}

// A ladder of everything made from one source gives each rendition what it gets alone: same bits.
func TestGolden_ladderEqualsSinglePairs(t *testing.T) {
	ladders := map[string][]*golden.Table{}
	for _, pair := range golden.Pairs(t) {
		table := golden.Scores(t, pair)
		if strings.HasPrefix(pair, "bikes_") || strings.HasPrefix(pair, "garden_720") || strings.HasPrefix(pair, "crystal") {
			ladders[table.Reference] = append(ladders[table.Reference], table)
		}
	}
	for reference, tables := range ladders {
		t.Run(strings.TrimSuffix(reference, filepath.Ext(reference)), func(t *testing.T) {
			req := goldenRequest(t, tables[0], goldenPlan(t, tables[0]))
			req.Distorted = nil
			for _, table := range tables {
				req.Distorted = append(req.Distorted, goldenInput(t, table.Distorted))
			}
			req.ChunkFrames = 17
			req.Threads = 3
			result, err := Measure(context.Background(), req)
			if err != nil {
				t.Fatal(err)
			}
			for k, table := range tables {
				if err := result.Renditions[k].Err; err != nil {
					t.Fatal(err)
				}
				compareGolden(t, result.Renditions[k].Table, table)
			}
		})
	}
}
