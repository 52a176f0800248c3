package workflow

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/rules"
)

// withRules has a service decide by rules.
func withRules(t *testing.T, text string) func(*Config) {
	t.Helper()
	set, err := rules.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Rules = set }
}

// Which models fit is known only of the pictures that the rules have asked for, and what pictures are compared in depends on the models: what is
// reported, measured and stored is what was decided last.
func TestService_decidesUntilRulesSettle(t *testing.T) {
	const v1WhereItFits = `
  - {name: v0, when: true, then: {models: [vmaf_v0.6.1]}}
  - {name: v1, when: request.models_auto && distorted.fits_v1, then: {add_models: [vmaf_v1.0.16_3d0h]}}
`
	for name, row := range map[string]struct {
		rule     string
		ref, dis clip
		models   []string
		format   store.Format
		again    int
	}{
		"a shape refused first, which v1 fits when stretched": {
			rule: "scale: bicubic", ref: clip{frames: 5, width: 1280, height: 720}, dis: clip{frames: 3, width: 640, height: 272},
			models: []string{"vmaf_v0.6.1", "vmaf_v1.0.16_3d0h"}, format: store.Format{Width: 1280, Height: 720, BitDepth: 10, Subsampling: "4:2:0"}, again: 2,
		},
		"a size that v1 does not fit": {
			rule: "geometry: 144x80", ref: clip{frames: 3}, dis: clip{frames: 3},
			models: []string{"vmaf_v0.6.1"}, format: store.Format{Width: 144, Height: 80, BitDepth: 8, Subsampling: "4:2:0"}, again: 2,
		},
		"a size that v1 fits": {
			rule: "geometry: 480x360", ref: clip{frames: 3}, dis: clip{frames: 3},
			models: []string{"vmaf_v0.6.1", "vmaf_v1.0.16_3d0h"}, format: store.Format{Width: 480, Height: 360, BitDepth: 10, Subsampling: "4:2:0"}, again: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withRules(t, "rules:\n  - {name: size, when: true, then: {"+row.rule+"}}"+v1WhereItFits))
			r.work(1, nil)
			req := request(r.clip("ref", row.ref), r.clip("dis", row.dis))
			req.Shortest, req.End = true, 3
			check := func(st *Status, models []string, format store.Format) {
				t.Helper()
				var got []string
				for _, m := range st.Plan.Models {
					got = append(got, m.Version)
				}
				if !slices.Equal(got, models) {
					t.Errorf("models %v, want %v", got, models)
				}
				if d := cmp.Diff(format, st.Measurement.Renditions[0].Format); d != "" {
					t.Errorf("compared in (−want +got):\n%s", d)
				}
				r.checkFrames(st, "dis", expected(t, st.Measurement, r.farm.clips["ref"], r.farm.clips["dis"], 0, 3))
			}
			st := r.done(req)
			check(st, row.models, row.format)
			if st.Plan.Reinspections != row.again {
				t.Errorf("media were inspected %d times again, want %d", st.Plan.Reinspections, row.again)
			}

			// Neither depth stands in for the other in the store.
			for depth, bits := range map[string]int{"native": 8, "10": 10} {
				req.Models, req.BitDepth = []store.ModelSpec{{Spec: "vmaf_v0.6.1"}}, depth
				format := row.format
				format.BitDepth = bits
				check(r.done(req), []string{"vmaf_v0.6.1"}, format)
			}
		})
	}
}

// Rules that take back what they chose as soon as it is done are refused, and nothing is measured.
func TestService_refusesRulesThatDoNotSettle(t *testing.T) {
	r := newRig(t, withRules(t, `
rules:
  - {name: v0, when: true, then: {models: [vmaf_v0.6.1]}}
  - {name: smaller, when: distorted.fits_v1, then: {geometry: 160x90}}
  - {name: larger, when: '!distorted.fits_v1', then: {geometry: 1280x720}}
`))
	r.work(1, nil)
	st := r.wait(r.measure(request(r.clip("ref", clip{frames: 3}), r.clip("dis", clip{frames: 3}))))
	if st.State != store.StateFailed || st.Failure.Reason != store.ReasonRefused || !strings.Contains(st.Failure.Message, "do not settle") {
		t.Errorf("%s, %+v", st.State, st.Failure)
	}
	if st.Plan.Reinspections != mostReinspections || len(r.farm.measured) != 0 {
		t.Errorf("media were inspected %d times again and %d chunks measured, want %d and 0", st.Plan.Reinspections, len(r.farm.measured), mostReinspections)
	}
}

// Test conditions leave unsaid how renditions were encoded; where a rule wants it told, it has to be found out first.
func TestService_findsOutEncodingsThatRulesWantTold(t *testing.T) {
	r := newRig(t, withRules(t, `rules: [{name: told, when: true, then: {encoded: auto}}]`))
	r.work(1, nil)
	req := request(r.clip("ref", clip{frames: 3}), r.clip("small", clip{frames: 3, width: 480, height: 270}))
	req.Presets = []string{"aom_ctc=v7.0"}
	st := r.done(req)
	if d := st.Measurement.Renditions[0]; !cmp.Equal(d.Encoded, &store.Encoded{Width: 480, Height: 270}) {
		t.Errorf("CAMBI was told %+v", d.Encoded)
	}
	r.checkFrames(st, "small", expected(t, st.Measurement, r.farm.clips["ref"], r.farm.clips["small"], 0, 3))
}
