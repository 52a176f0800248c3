package vmaf

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
)

// goldenModels are the models that the golden score files cover, named as their columns.
var goldenModels = []string{
	"vmaf_v0.6.1:name=vmaf_v0.6.1",
	"vmaf_v0.6.1:name=vmaf_v0.6.1_noclip:disable_clip",
	"vmaf_v0.6.1:name=vmaf_v0.6.1_phone:enable_transform",
	"vmaf_v0.6.1neg:name=vmaf_v0.6.1neg",
	"vmaf_4k_v0.6.1:name=vmaf_4k_v0.6.1",
	"vmaf_4k_v0.6.1neg:name=vmaf_4k_v0.6.1neg",
	"vmaf_b_v0.6.3:name=vmaf_b_v0.6.3",
	"vmaf_v1.0.16_3d0h:name=vmaf_v1.0.16_3d0h",
	"vmaf_v1.0.16_5d0h:name=vmaf_v1.0.16_5d0h",
	"vmaf_v1.0.16_3d0h_2160:name=vmaf_v1.0.16_3d0h_2160",
	"vmaf_v1.0.16_1d5h_2160:name=vmaf_v1.0.16_1d5h_2160",
	"vmaf_v1.0.16_hfr_3d0h:name=vmaf_v1.0.16_hfr_3d0h",
	"vmaf_v1.0.16_hfr_5d0h:name=vmaf_v1.0.16_hfr_5d0h",
	"vmaf_v1.0.16_hfr_3d0h_2160:name=vmaf_v1.0.16_hfr_3d0h_2160",
	"vmaf_v1.0.16_hfr_1d5h_2160:name=vmaf_v1.0.16_hfr_1d5h_2160",
}

// goldenFeatures are the option sets that the golden files cover beside those of the models. MS-SSIM is not among them: its factors are not
// in the files.
var goldenFeatures = []string{
	"vif:debug=true", "adm:debug=true", "motion:debug=true",
	"motion:motion_max_val=18",
	"motion:motion_max_val=18:motion_five_frame_window=true:motion_moving_average=true",
	"adm:adm_csf_mode=2:adm_dlm_weight=0.7:adm_enhn_gain_limit=1:adm_min_val=0.5:adm_noise_weight=0.02",
	"psnr", "float_ssim", "psnr_hvs", "ciede", "cambi:full_ref=true", "speed_chroma",
}

// goldenPlan plans what the score file of a pair covers: of some sizes and formats features were refused, and models with them.
func goldenPlan(t *testing.T, table *golden.Table) *Plan {
	t.Helper()
	var models []*Model
	for _, spec := range goldenModels {
		m := mustModel(t, spec)
		if _, ok := table.Column(m.Name); ok {
			models = append(models, m)
		}
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

// goldenFormat is what a pair was compared in.
func goldenFormat(t *testing.T, table *golden.Table) Format {
	t.Helper()
	f := Format{Width: table.Width, Height: table.Height, BitsPerComponent: 8}
	layout, depth, deep := strings.Cut(strings.TrimSuffix(table.PixFmt, "le"), "p")
	layout, f.FullRange = strings.ReplaceAll(layout, "j", ""), strings.Contains(layout, "j")
	if deep && depth != "" {
		var err error
		if f.BitsPerComponent, err = strconv.Atoi(depth); err != nil {
			t.Fatalf("%s: pixel format %s", table.Pair, table.PixFmt)
		}
	}
	subsampling, ok := map[string]Subsampling{"yuv420": Chroma420, "yuv422": Chroma422, "yuv444": Chroma444}[layout]
	if !ok {
		t.Fatalf("%s: pixel format %s", table.Pair, table.PixFmt)
	}
	f.Subsampling = subsampling
	return f
}

// goldenRaw turns golden columns back into raw figures. Frames that a column does not cover have NaN.
func goldenRaw(t *testing.T, p *Plan, table *golden.Table) [][][]float64 {
	t.Helper()
	f := goldenFormat(t, table)
	var raw [][][]float64
	for _, e := range p.Extractions {
		var columns [][]float64
		for i, name := range e.Series() {
			if i == len(e.Raw()) {
				break
			}
			column, ok := table.Column(Alias(name))
			if !ok || !column.Complete() && e.Extractor() != "ciede" {
				t.Fatalf("%s: no complete column %s", table.Pair, Alias(name))
			}
			values := make([]float64, len(column.Values))
			for frame, v := range column.Values {
				values[frame] = rawOf(t, e, f, i, v)
			}
			columns = append(columns, values)
		}
		for len(columns) < len(e.Raw()) { // the factors of float_ssim, which are not in the files
			columns = append(columns, make([]float64, table.Frames))
		}
		raw = append(raw, columns)
	}
	return raw
}

// rawOf is a raw figure that makes the value v of the extraction's output i: the score itself, or what it was formed of. Where it was clipped,
// any that is clipped serves.
func rawOf(t *testing.T, e Extraction, f Format, i int, v float64) float64 {
	t.Helper()
	switch e.Extractor() {
	case "motion": // a whole number
		return math.Round(v * 256 * float64(f.Width*f.Height))
	case "psnr": // likewise
		planes, peak2 := psnrPlanes(e, f)
		if v == planes[i].most {
			return 0
		}
		return math.Round(peak2 / math.Pow(10, v/10) * planes[i].samples)
	case "psnr_hvs": // of single precision
		return float64(float32(math.Pow(10, -v/10)))
	case "ciede":
		return preimage(t, ciedeFigures(e, f), math.Pow(10, (45-v)/20), v)
	}
	return v
}

// preimage is the number nearest to near of which a figure is v.
func preimage(t *testing.T, figures func(raw, out []float64), near, v float64) float64 {
	t.Helper()
	up, down, out := near, near, []float64{0}
	for range 100 {
		for _, x := range []float64{up, down} {
			if figures([]float64{x}, out); out[0] == v || v != v {
				return x
			}
		}
		up, down = math.Nextafter(up, math.Inf(1)), math.Nextafter(down, 0)
	}
	t.Fatalf("nothing near %v gives %.17g", near, v)
	return 0
}

func TestEvaluate_givesEveryGoldenFigureExactly(t *testing.T) {
	compared, apart, pooledCompared, scores, corrected, named := 0, 0, 0, 0, 0, map[string]bool{}
	for _, pair := range golden.Pairs(t) {
		want := golden.Scores(t, pair)
		p := goldenPlan(t, want)
		raw, f := goldenRaw(t, p, want), goldenFormat(t, want)
		got, err := p.Evaluate(raw, f, want.Frames, 1)
		if err != nil {
			t.Fatalf("%s: %v", pair, err)
		}
		for _, s := range got.Series {
			name := Alias(s.Name)
			column, ok := want.Column(name)
			if !ok {
				t.Fatalf("%s: there is no golden column %s", pair, name)
			}
			named[name] = true
			for i, v := range s.Values {
				if !column.Present[i] {
					continue
				}
				compared++
				if log10Apart(name, v, column.Values[i]) {
					apart++
				} else if !same(v, column.Values[i]) {
					t.Errorf("%s: %s frame %d = %.17g, want %.17g, difference %g", pair, name, i, v, column.Values[i], v-column.Values[i])
				}
			}
		}
		pooledCompared += comparePooled(t, pair, got)
		for i, m := range p.Models {
			if !strings.HasPrefix(m.Version, "vmaf_v1") {
				continue
			}
			chroma := p.inputs[i][1]
			for _, v := range raw[chroma.extraction][chroma.output][:want.Frames] {
				scores++
				if v == 0 {
					corrected++
				}
			}
		}
		// Nothing else may stand between a plan and its lean form.
		lean, err := p.Lean().Evaluate(raw, f, want.Frames, 1)
		if err != nil {
			t.Fatalf("%s: %v", pair, err)
		}
		for _, s := range lean.Series {
			if whole, ok := got.Column(s.Name); !ok || !slices.Equal(whole.Values, s.Values) {
				t.Errorf("%s: %s of the lean plan differs", pair, s.Name)
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	if corrected == 0 {
		t.Error("the chroma correction of v1 was never active")
	}
	if apart > compared/10000 {
		t.Errorf("the logarithm differs in %d of %d values", apart, compared)
	}
	t.Logf("%d values of %d series, and %d pooled figures, all but %d with difference 0; of %d scores of v1, %d with the chroma correction",
		compared, len(named), pooledCompared, apart, scores, corrected)
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// log10Apart says whether a figure in decibels differs by no more than what the last bits of two logarithms do: see log10.
func log10Apart(name string, got, want float64) bool {
	if !strings.HasPrefix(name, "psnr") && !strings.HasPrefix(name, "apsnr") && name != "ciede2000" {
		return false
	}
	return got != want && math.Abs(got-want) <= 2*(math.Nextafter(math.Abs(want), math.Inf(1))-math.Abs(want))
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
			if got, ok := table.Pooled(i, method); !ok || !same(got, want) && !log10Apart(row.Name, got, want) {
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
				if err != nil || !same(got, want) {
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
