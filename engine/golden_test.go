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

// goldenPlan asks for every figure of VIF, ADM and motion that golden score files hold, and for all models on them.
func goldenPlan(t *testing.T) *vmaf.Plan {
	t.Helper()
	var models []*vmaf.Model
	for _, spec := range []string{
		"vmaf_v0.6.1:name=vmaf_v0.6.1", "vmaf_v0.6.1:name=vmaf_v0.6.1_noclip:disable_clip", "vmaf_v0.6.1:name=vmaf_v0.6.1_phone:enable_transform",
		"vmaf_v0.6.1neg:name=vmaf_v0.6.1neg", "vmaf_4k_v0.6.1:name=vmaf_4k_v0.6.1", "vmaf_4k_v0.6.1neg:name=vmaf_4k_v0.6.1neg",
		"vmaf_b_v0.6.3:name=vmaf_b_v0.6.3",
	} {
		m, err := vmaf.ParseModel(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	var features []vmaf.Extraction
	adm := "adm:adm_csf_mode=2:adm_enhn_gain_limit=1:adm_noise_weight=0.02:adm_dlm_weight=0.7:adm_min_val=0.5"
	for _, text := range []string{
		"vif:debug=true", "adm:debug=true", "motion:debug=true", "motion:motion_max_val=18",
		"motion:motion_max_val=18:motion_five_frame_window=true:motion_moving_average=true",
		adm, adm + ":adm_norm_view_dist=5", adm + ":adm_ref_display_height=2160", adm + ":adm_ref_display_height=2160:adm_norm_view_dist=1.5",
	} {
		e, err := vmaf.ParseExtraction(text)
		if err != nil {
			t.Fatal(err)
		}
		features = append(features, e)
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
		Pairing:   PairIndex,
		Shortest:  true,
		Scale:     &scale,
		OnDamage:  decode.Conceal,
	}
}

// compareGolden requires every figure of VIF, ADM, motion and the models on them that the golden table has to be the same
// to the bit.
func compareGolden(t *testing.T, got *vmaf.Table, want *golden.Table) {
	t.Helper()
	series := map[string][]float64{}
	for _, s := range got.Series {
		series[vmaf.Alias(s.Name)] = s.Values
	}
	for _, column := range want.Columns {
		if !ours.MatchString(column.Name) {
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
			if column.Present[i] && math.Float64bits(values[i]) != math.Float64bits(v) {
				t.Errorf("%s of frame %d: got %.17g, want %.17g", column.Name, i, values[i], v)
				break
			}
		}
	}
}

// ours matches the golden columns that this package computes.
var ours = regexp.MustCompile(`^(integer_|VMAF_integer_feature_|vmaf_v0|vmaf_4k|vmaf_b)`)

// largeGolden are pairs whose measuring takes several seconds; -short leaves them out.
var largeGolden = []string{"bunny_", "cockatoo_1280x720_", "dog_", "cockatoo_reschange"}

func TestGolden_everyPairToTheBit(t *testing.T) {
	plan := goldenPlan(t)
	for _, pair := range golden.Pairs(t) {
		t.Run(pair, func(t *testing.T) {
			if testing.Short() && slices.ContainsFunc(largeGolden, func(p string) bool { return strings.HasPrefix(pair, p) }) {
				t.Skip("a large pair, left out with -short")
			}
			table := golden.Scores(t, pair)
			result, err := Measure(context.Background(), goldenRequest(t, table, plan))
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
	plan := goldenPlan(t)
	ladders := map[string][]*golden.Table{}
	for _, pair := range golden.Pairs(t) {
		table := golden.Scores(t, pair)
		if strings.HasPrefix(pair, "bikes_") || strings.HasPrefix(pair, "garden_720") || strings.HasPrefix(pair, "crystal") {
			ladders[table.Reference] = append(ladders[table.Reference], table)
		}
	}
	for reference, tables := range ladders {
		t.Run(strings.TrimSuffix(reference, filepath.Ext(reference)), func(t *testing.T) {
			req := goldenRequest(t, tables[0], plan)
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
