package vmaf

import (
	"math"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
)

// v0Models are the models that the golden score files cover and this version computes, named as their columns.
var v0Models = []string{
	"vmaf_v0.6.1:name=vmaf_v0.6.1",
	"vmaf_v0.6.1:name=vmaf_v0.6.1_noclip:disable_clip",
	"vmaf_v0.6.1:name=vmaf_v0.6.1_phone:enable_transform",
	"vmaf_v0.6.1neg:name=vmaf_v0.6.1neg",
	"vmaf_4k_v0.6.1:name=vmaf_4k_v0.6.1",
	"vmaf_4k_v0.6.1neg:name=vmaf_4k_v0.6.1neg",
	"vmaf_b_v0.6.3:name=vmaf_b_v0.6.3",
}

// goldenFeatures are the option sets that the golden files cover beside those of the models.
var goldenFeatures = []string{
	"vif:debug=true", "adm:debug=true", "motion:debug=true",
	"motion:motion_max_val=18",
	"motion:motion_max_val=18:motion_five_frame_window=true:motion_moving_average=true",
	"adm:adm_csf_mode=2:adm_dlm_weight=0.7:adm_enhn_gain_limit=1:adm_min_val=0.5:adm_noise_weight=0.02",
}

// goldenPlan plans what the score file of a pair covers: on small pictures v1 was refused, and its features with it.
func goldenPlan(t *testing.T, table *golden.Table) *Plan {
	t.Helper()
	var models []*Model
	for _, spec := range v0Models {
		models = append(models, mustModel(t, spec))
	}
	var extra []Extraction
	for _, text := range goldenFeatures {
		e := mustExtraction(t, text)
		if _, ok := table.Column(Alias(e.Series()[0])); ok {
			extra = append(extra, e)
		}
	}
	p, err := NewPlan(models, extra)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// goldenRaw turns golden feature columns back into raw figures: those of vif and adm as they are, motion's sums from the
// scores. A sum is a whole number; where the score was clipped any sum that is too large serves.
func goldenRaw(t *testing.T, p *Plan, table *golden.Table) [][][]float64 {
	t.Helper()
	var raw [][][]float64
	for _, e := range p.Extractions {
		var columns [][]float64
		for i, name := range e.Series() {
			if i == len(e.Raw()) {
				break
			}
			column, ok := table.Column(Alias(name))
			if !ok || !column.Complete() {
				t.Fatalf("%s: no complete column %s", table.Pair, Alias(name))
			}
			values := column.Values
			if e.Extractor() == "motion" {
				values = nil
				for _, score := range column.Values {
					values = append(values, math.Round(score*256*float64(table.Width*table.Height)))
				}
			}
			columns = append(columns, values)
		}
		raw = append(raw, columns)
	}
	return raw
}

func TestEvaluate_givesEveryGoldenFigureExactly(t *testing.T) {
	compared, pooledCompared, named := 0, 0, map[string]bool{}
	for _, pair := range golden.Pairs(t) {
		want := golden.Scores(t, pair)
		p := goldenPlan(t, want)
		got, err := p.Evaluate(goldenRaw(t, p, want), luma(want.Width, want.Height), want.Frames, 1)
		if err != nil {
			t.Fatalf("%s: %v", pair, err)
		}
		for _, s := range got.Series {
			name := Alias(s.Name)
			if s.Name == "VMAF_integer_feature_motion_sad_score" {
				name = s.Name
			}
			column, ok := want.Column(name)
			if !ok {
				t.Fatalf("%s: there is no golden column %s", pair, name)
			}
			named[name] = true
			for i, v := range s.Values {
				compared++
				if v != column.Values[i] {
					t.Errorf("%s: %s frame %d = %.17g, want %.17g, difference %g", pair, name, i, v, column.Values[i], v-column.Values[i])
				}
			}
		}
		pooledCompared += comparePooled(t, pair, got)
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d values of %d series, and %d pooled figures, all with difference 0", compared, len(named), pooledCompared)
}

func comparePooled(t *testing.T, pair string, table *Table) (compared int) {
	t.Helper()
	index := map[string]int{}
	for i, s := range table.Series {
		index[Alias(s.Name)] = i
	}
	for _, row := range golden.Pooled(t, pair) {
		i, ok := index[row.Name]
		if !ok {
			continue // of an extractor that this package does not evaluate
		}
		for method, want := range map[PoolMethod]float64{PoolMin: row.Min, PoolMax: row.Max, PoolMean: row.Mean, PoolHarmonicMean: row.HarmonicMean} {
			compared++
			if got, ok := table.Pooled(i, method); !ok || got != want {
				t.Errorf("%s: %s %s = %.17g %t, want %.17g", pair, row.Name, method, got, ok, want)
			}
		}
	}
	return compared
}

// Pool on the golden columns themselves: all metrics, infinite ones among them.
func TestPool_givesEveryGoldenPooledFigureExactly(t *testing.T) {
	compared, infinite := 0, 0
	for _, pair := range golden.Pairs(t) {
		table := golden.Scores(t, pair)
		for _, row := range golden.Pooled(t, pair) {
			column, ok := table.Column(row.Name)
			if !ok { // covers fewer frames, as its name says
				name, _, _ := strings.Cut(row.Name, "[")
				if column, ok = table.Column(name); !ok {
					t.Fatalf("%s: no column for %s", pair, row.Name)
				}
			}
			var values []float64
			for i, v := range column.Values {
				if column.Present[i] {
					values = append(values, v)
				}
			}
			for method, want := range map[PoolMethod]float64{PoolMin: row.Min, PoolMax: row.Max, PoolMean: row.Mean, PoolHarmonicMean: row.HarmonicMean} {
				got, err := Pool(method, values)
				if err != nil || got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
					t.Errorf("%s: %s %s = %.17g %v, want %.17g", pair, row.Name, method, got, err, want)
				}
				compared++
				if math.IsInf(want, 0) {
					infinite++
				}
			}
		}
	}
	t.Logf("%d pooled figures, %d of them infinite, all with difference 0", compared, infinite)
}

// The models of v1 need features that are not computed here, but predict from golden ones.
func TestPredict_v1ModelsGiveEveryGoldenScoreExactly(t *testing.T) {
	compared, corrected := 0, 0
	for _, pair := range golden.Pairs(t) {
		table := golden.Scores(t, pair)
		for _, name := range BuiltinNames() {
			want, ok := table.Column(name)
			if !strings.HasPrefix(name, "vmaf_v1") || !ok {
				continue // refused for the size of this pair
			}
			m, err := Builtin(name)
			if err != nil {
				t.Fatal(err)
			}
			x := make([]float64, 4)
			for i := range want.Values {
				for k, feature := range m.Features() {
					column, ok := table.Column(Alias(feature))
					if !ok {
						t.Fatalf("%s: no golden column %s", pair, feature)
					}
					x[k] = column.Values[i]
				}
				if x[1] == 0 {
					corrected++
				}
				compared++
				if got := m.Predict(x); got != want.Values[i] {
					t.Errorf("%s: %s frame %d = %.17g, want %.17g", pair, name, i, got, want.Values[i])
				}
			}
		}
	}
	if corrected == 0 {
		t.Error("the chroma correction was never active")
	}
	t.Logf("%d scores, %d with the chroma correction, all with difference 0", compared, corrected)
}

// The embedded figures must be those of the golden model tables, digit for digit.
func TestBuiltin_figuresAreTheGoldenOnes(t *testing.T) {
	compareModelTables(t, golden.Dir(t))
}

func mustModel(tb testing.TB, spec string) *Model {
	tb.Helper()
	m, err := ParseModel(spec, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func mustExtraction(tb testing.TB, text string) Extraction {
	tb.Helper()
	e, err := ParseExtraction(text)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}
