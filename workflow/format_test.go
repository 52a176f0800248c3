package workflow

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/rules"
)

// done measures and requires success.
func (r *rig) done(req store.Request) *Status {
	r.t.Helper()
	st := r.wait(r.measure(req))
	if st.State != store.StateSucceeded {
		r.t.Fatalf("%s, %+v", st.State, st.Failure)
	}
	return st
}

func seriesOf(d *store.Rendition) (names []string) {
	for _, s := range d.Scores {
		names = append(names, vmaf.Alias(s.Series))
	}
	return names
}

// Nobody says anything: both generations, at the depth that the second is made for, told how each rendition was encoded. Media are inspected once.
func TestService_v1IsMeasuredAt10Bits(t *testing.T) {
	r := newRig(t, nil)
	r.work(1, nil)
	req := request(r.clip("ref", clip{frames: 60}), r.clip("same", clip{frames: 60}), r.clip("small", clip{frames: 60, width: 480, height: 270}))
	st := r.done(req)
	var models []string
	for _, m := range st.Plan.Models {
		models = append(models, m.Version)
	}
	if want := []string{"vmaf_v0.6.1", "vmaf_v1.0.16_3d0h"}; !slices.Equal(models, want) {
		t.Errorf("models %v, want %v", models, want)
	}
	if st.Plan.BitDepth != 10 || st.Plan.DepthReason != "vmaf_v1.0.16_3d0h is made for 10 bits" || !st.Plan.Chroma {
		t.Errorf("plan: %d bits, since %q, chroma %t", st.Plan.BitDepth, st.Plan.DepthReason, st.Plan.Chroma)
	}
	want := []*store.Encoded{{BitDepth: 8}, {Width: 480, Height: 270, BitDepth: 8}}
	for k, d := range st.Measurement.Renditions {
		if d.Format.BitDepth != 10 || !cmp.Equal(d.Encoded, want[k]) {
			t.Errorf("rendition %s: compared at %d bits, encoded as %+v, want 10 and %+v", d.Name, d.Format.BitDepth, d.Encoded, want[k])
		}
	}
	if r.farm.opened != 1 {
		t.Errorf("media were opened %d times for inspection, want once", r.farm.opened)
	}
	if names := seriesOf(&st.Measurement.Renditions[1]); !slices.Contains(names, "cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8_ench_270_encw_480") {
		t.Errorf("series of the small encode are %v", names)
	}

	again := r.done(req)
	if again.MeasuredFrames != 0 {
		t.Errorf("%d frames were measured again", again.MeasuredFrames)
	}
	rescored, err := r.s.Rescore(t.Context(), st.ID, RescoreRequest{Models: []store.ModelSpec{{Spec: "vmaf_v1.0.16_3d0h:disable_clip"}}})
	if err != nil || len(rescored.Measurement.Renditions[1].Scores) == 0 {
		t.Errorf("stored figures of an encode that CAMBI was told of serve no other model: %v", err)
	}

	req.Models, req.Encoded = []store.ModelSpec{{Spec: "vmaf_v1.0.16_3d0h"}}, "compared"
	st = r.done(req)
	if d := st.Measurement.Renditions[1]; d.Encoded != nil || slices.ContainsFunc(seriesOf(&d), func(name string) bool { return strings.Contains(name, "enc") }) {
		t.Errorf("with what is compared CAMBI was told %+v, series %v", d.Encoded, seriesOf(&d))
	}
	if st.MeasuredFrames == 0 {
		t.Error("figures of CAMBI that was told how pictures were encoded stood in for those of one that was not")
	}
}

func TestService_depthAndEncodingAreObeyed(t *testing.T) {
	const deep = `rules: [{name: deep, when: true, then: {bit_depth: 12, encoded: "400x300:9", models: [vmaf_v0.6.1]}}]`
	for name, row := range map[string]struct {
		rules  string
		change func(*store.Request)
		depth  int
		reason string
		enc    *store.Encoded
		opened int
	}{
		"a request's least depth":   {change: func(r *store.Request) { r.BitDepth = "16" }, depth: 16, reason: "at least 16 bits, by request", enc: &store.Encoded{Width: 480, Height: 270, BitDepth: 8}, opened: 1},
		"as the files are":          {change: func(r *store.Request) { r.BitDepth = "native" }, depth: 8, reason: "the larger depth of the two files, by request", enc: &store.Encoded{Width: 480, Height: 270}, opened: 1},
		"a model without a wish":    {change: func(r *store.Request) { r.Models = []store.ModelSpec{{Spec: "vmaf_v0.6.1"}} }, depth: 8, reason: "the larger depth of the two files", enc: &store.Encoded{Width: 480, Height: 270}, opened: 1},
		"a given encoding":          {change: func(r *store.Request) { r.Encoded = "500x300:7" }, depth: 10, reason: "vmaf_v1.0.16_3d0h is made for 10 bits", enc: &store.Encoded{Width: 500, Height: 300, BitDepth: 7}, opened: 1},
		"rules that nobody expects": {rules: deep, depth: 12, reason: "at least 12 bits, by rule deep", enc: &store.Encoded{Width: 400, Height: 300, BitDepth: 9}, opened: 2},
		"a request above rules":     {rules: deep, change: func(r *store.Request) { r.BitDepth, r.Encoded = "10", "auto" }, depth: 10, reason: "at least 10 bits, by request", enc: &store.Encoded{Width: 480, Height: 270, BitDepth: 8}, opened: 1},
		"test conditions":           {change: func(r *store.Request) { r.Presets = []string{"aom_ctc=v7.0"} }, depth: 8, reason: "the larger depth of the two files", opened: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config) {
				if row.rules != "" {
					set, err := rules.Parse("test", []byte(row.rules))
					if err != nil {
						t.Fatal(err)
					}
					c.Rules = set
				}
			})
			r.work(1, nil)
			req := request(r.clip("ref", clip{frames: 60}), r.clip("small", clip{frames: 60, width: 480, height: 270}))
			if row.change != nil {
				row.change(&req)
			}
			st := r.done(req)
			d := st.Measurement.Renditions[0]
			if d.Format.BitDepth != row.depth || st.Plan.DepthReason != row.reason || !cmp.Equal(d.Encoded, row.enc) {
				t.Errorf("compared at %d bits since %q, encoded as %+v; want %d, %q, %+v", d.Format.BitDepth, st.Plan.DepthReason, d.Encoded, row.depth, row.reason, row.enc)
			}
			if r.farm.opened != row.opened {
				t.Errorf("media were opened %d times for inspection, want %d", r.farm.opened, row.opened)
			}
		})
	}
}

// Test conditions come first, with their names; what the request names comes behind.
func TestService_presets(t *testing.T) {
	r := newRig(t, nil)
	r.work(1, nil)
	req := request(r.clip("ref", clip{frames: 50}), r.clip("dis", clip{frames: 50}))
	req.Presets, req.Models, req.Features, req.Subsample = []string{"aom_ctc=v7.0"}, []store.ModelSpec{{Spec: "vmaf_v0.6.1:enable_transform:name=phone"}}, []string{"speed_chroma"}, 3
	st := r.done(req)
	var names []string
	for _, m := range st.Plan.Models {
		names = append(names, m.Name)
	}
	if want := []string{"vmaf", "vmaf_neg", "phone"}; !slices.Equal(names, want) {
		t.Errorf("models %v, want %v", names, want)
	}
	if f := st.Plan.Features; len(f) != 7 || f[5] != "cambi" || f[6] != "speed_chroma" {
		t.Errorf("features %v, want the six of the conditions, then the request's", f)
	}
	// apsnr is of every frame, whatever subsampling leaves out, and is no pooling of a series.
	scores := st.Measurement.Renditions[0].Scores
	i := slices.IndexFunc(scores, func(s store.Score) bool { return s.Series == "apsnr_y" })
	if i < 0 || len(scores[i].Pooled) != 1 || scores[i].Pooled[0].Method != "aggregate" {
		t.Fatalf("scores %v have no aggregate apsnr_y", seriesOf(&st.Measurement.Renditions[0]))
	}
	f, err := r.s.Frames(t.Context(), st.ID, "dis")
	if err != nil {
		t.Fatal(err)
	}
	k := slices.IndexFunc(f.Table.Aggregates, func(a vmaf.Aggregate) bool { return a.Name == "apsnr_y" })
	if k < 0 || math.Float64bits(f.Table.Aggregates[k].Value) != math.Float64bits(scores[i].Pooled[0].Value) {
		t.Errorf("the table has aggregates %v, the record %v", f.Table.Aggregates, scores[i].Pooled)
	}
	segments, err := r.s.Segments(t.Context(), st.Measurement, 0, SegmentLength{Frames: 12})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		if slices.ContainsFunc(s.Scores, func(s store.Score) bool { return s.Series == "apsnr_y" }) {
			t.Errorf("segment %d:%d has an aggregate of the whole", s.First, s.End)
		}
	}
}

func TestCheck_depthEncodingAndPresets(t *testing.T) {
	r := newRig(t, nil)
	for field, change := range map[string]func(*store.Request){
		"spec.bit_depth":  func(r *store.Request) { r.BitDepth = "11" },
		"spec.encoded":    func(r *store.Request) { r.Encoded = "540p" },
		"spec.presets[0]": func(r *store.Request) { r.Presets = []string{"aom_ctc=v99"} },
		"spec.models": func(r *store.Request) {
			r.Presets, r.Models = []string{"nflx_ctc=v1.0"}, []store.ModelSpec{{Spec: "vmaf_v0.6.1"}}
		},
		"spec.models[0].spec": func(r *store.Request) {
			r.Presets, r.Models = []string{"nflx_ctc=v1.0"}, []store.ModelSpec{{Spec: "vmaf_v9"}}
		},
	} {
		req := request(store.Source{Root: "media", Path: "ref"}, store.Source{Root: "media", Path: "dis"})
		change(&req)
		_, err := r.s.Check(t.Context(), Submission{Request: req})
		wrong := (*FieldError)(nil)
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// What v1 is not defined for fails its rendition with the reason; rules do not choose it there.
func TestService_v1WhereItIsNotDefined(t *testing.T) {
	r := newRig(t, nil)
	r.work(1, nil)
	req := request(r.clip("ref", clip{frames: 60, width: 200, height: 150}), r.clip("dis", clip{frames: 60, width: 200, height: 150}))
	if st := r.done(req); len(st.Plan.Models) != 1 || st.Plan.BitDepth != 0 {
		t.Errorf("rules chose %+v at %d bits for pictures that v1 does not fit", st.Plan.Models, st.Plan.BitDepth)
	}
	req.Models = []store.ModelSpec{{Spec: "vmaf_v1.0.16_3d0h"}}
	st := r.wait(r.measure(req))
	if d := st.Measurement.Renditions[0]; d.State != store.StateFailed || d.Failure.Reason != store.ReasonUnsupported || !strings.Contains(d.Failure.Message, "speed_chroma") {
		t.Errorf("v1 of pictures too small for it: %s, %+v", d.State, d.Failure)
	}
}

// Equal pictures have infinite figures of some metrics, which are figures; what is not a number is none.
func TestScoresOf_infinite(t *testing.T) {
	e, err := vmaf.ParseExtraction("psnr_hvs")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := vmaf.NewPlan(nil, []vmaf.Extraction{e})
	if err != nil {
		t.Fatal(err)
	}
	table := &vmaf.Table{Frames: 2, Aggregates: []vmaf.Aggregate{{Name: "a", Value: math.Inf(-1)}, {Name: "b", Value: math.NaN()}}}
	for _, name := range e.Series() {
		table.Series = append(table.Series, vmaf.Series{Name: name, Values: []float64{math.Inf(1), 40}})
	}
	table.Series[0].Values[1] = math.NaN()
	scores, err := scoresOf(plan, &store.Plan{Features: []string{"psnr_hvs"}, Pools: []vmaf.PoolMethod{vmaf.PoolMean, vmaf.PoolMin}}, &store.Rendition{}, table, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(scores) != len(table.Series)+1 {
		t.Fatalf("%d scores, want those of %d series and one aggregate: %+v", len(scores), len(table.Series), scores)
	}
	if p := scores[1].Pooled; len(p) != 2 || !math.IsInf(p[0].Value, 1) || p[1].Value != 40 {
		t.Errorf("an infinite frame pools to %+v", p)
	}
	if slices.ContainsFunc(scores[0].Pooled, func(p store.Pooled) bool { return math.IsNaN(p.Value) }) {
		t.Errorf("what is not a number pools to %+v", scores[0].Pooled)
	}
}

// PSNR by frame is kept of the frames that were measured; an aggregate wants the others, too.
func TestService_everyFrameForAggregates(t *testing.T) {
	apsnr := func(st *Status) float64 {
		t.Helper()
		for _, s := range st.Measurement.Renditions[0].Scores {
			if s.Series == "apsnr_y" {
				return s.Pooled[0].Value
			}
		}
		t.Fatalf("no apsnr_y among %v", seriesOf(&st.Measurement.Renditions[0]))
		return 0
	}
	r := newRig(t, nil)
	r.work(1, nil)
	req := request(r.clip("ref", clip{frames: 50}), r.clip("dis", clip{frames: 50}))
	req.Models, req.Features, req.Subsample = []store.ModelSpec{{Spec: "vmaf_v0.6.1"}}, []string{"psnr"}, 3
	r.done(req)
	req.Features = []string{"psnr:enable_apsnr=true"}
	st := r.done(req)
	if st.MeasuredFrames == 0 {
		t.Error("figures of every third frame stood in for those of all")
	}
	req.Subsample, req.NoCache = 1, true
	if got, want := apsnr(st), apsnr(r.done(req)); math.Float64bits(got) != math.Float64bits(want) {
		t.Errorf("apsnr_y with subsampling is %v, without it %v", got, want)
	}
}

// An encode smaller than CAMBI takes is measured all the same, and that its size was not told is said.
func TestService_warnsOfEncodesTooSmallForCambi(t *testing.T) {
	r := newRig(t, nil)
	r.work(1, nil)
	req := request(r.clip("ref", clip{frames: 60}), r.clip("tiny", clip{frames: 60, width: 240, height: 135}))
	st := r.done(req)
	if d := st.Measurement.Renditions[0]; !cmp.Equal(d.Encoded, &store.Encoded{Width: 240, Height: 135, BitDepth: 8}) {
		t.Errorf("CAMBI was told %+v", d.Encoded)
	}
	if names := seriesOf(&st.Measurement.Renditions[0]); !slices.Contains(names, "cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8") {
		t.Errorf("series of an encode whose size CAMBI does not take are %v", names)
	}
	warned := func(st *Status) bool {
		return slices.ContainsFunc(st.Plan.Warnings, func(w string) bool {
			return strings.HasPrefix(w, "tiny: cambi takes no encoded size as small as 240x135")
		})
	}
	if !warned(st) {
		t.Errorf("warnings %q say nothing of the size", st.Plan.Warnings)
	}
	req.Models = []store.ModelSpec{{Spec: "vmaf_v0.6.1"}}
	if st := r.done(req); warned(st) {
		t.Errorf("warnings %q without CAMBI", st.Plan.Warnings)
	}
}

// What sizes CAMBI takes depends on its options: that of v1 has a speed-up with which it takes pictures larger than it else does. Figures are
// named and stored as the engine measures them.
func TestService_encodesOfLargePictures(t *testing.T) {
	r := newRig(t, nil)
	r.work(1, nil)
	req := request(r.clip("ref", clip{frames: 30, width: 4096, height: 2160}), r.clip("half", clip{frames: 30, width: 2048, height: 1080}))
	req.Models = []store.ModelSpec{{Spec: "vmaf_v1.0.16_3d0h"}}
	st := r.done(req)
	d := st.Measurement.Renditions[0]
	if names := seriesOf(&d); !slices.Contains(names, "cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8_ench_1080_encw_2048") {
		t.Errorf("encoded as %+v, series are %v", d.Encoded, names)
	}
	if len(st.Plan.Warnings) > 0 {
		t.Errorf("warnings %q", st.Plan.Warnings)
	}
	req.Encoded = "2048x1080:8"
	if again := r.done(req); again.MeasuredFrames != 0 {
		t.Errorf("%d frames were measured again with the encoded size given", again.MeasuredFrames)
	}
	req.Encoded = "compared"
	if other := r.done(req); other.MeasuredFrames == 0 {
		t.Error("figures of CAMBI that was told of an encode stood in for those of one that was not")
	}
}
