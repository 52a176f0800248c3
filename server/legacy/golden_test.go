package legacy

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/vmaf"
)

// clip holds full-precision figures of the clip pair that the sample logs are of.
type clip struct {
	scores *golden.Table
	more   map[string][]float64 // figures that the score file lacks, such as mse_y, and aggregates
}

func readClip(t *testing.T) *clip {
	t.Helper()
	c := &clip{scores: golden.Scores(t, "src01_576x324_420p10le_3frames_dis"), more: map[string][]float64{}}
	text, err := os.ReadFile(filepath.Join(golden.Dir(t), "legacy-logs", "full-precision.txt"))
	if err != nil {
		t.Fatal(err)
	}
	// The file's second comment names this pair, the third begins another one.
	section := 0
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "#") {
			section++
			continue
		}
		fields := strings.Fields(line)
		if section != 2 || len(fields) != 3 {
			continue
		}
		x, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		c.more[fields[1]] = append(c.more[fields[1]], x)
	}
	return c
}

func (c *clip) column(t *testing.T, name string) []float64 {
	t.Helper()
	if column, ok := c.scores.Column(name); ok {
		return column.Values
	}
	if values, ok := c.more[name]; ok {
		return values
	}
	t.Fatalf("golden material has no %q", name)
	return nil
}

// raw are figures of which the features of a clip are formed, as far as six decimals show. Source: spec/classic-metrics.md.
func (c *clip) raw(t *testing.T, e vmaf.Extraction, frames int) [][]float64 {
	t.Helper()
	const luma, chroma = 576 * 324, 288 * 162
	from := func(name string, figure func(v float64) float64) []float64 {
		var values []float64
		for _, v := range c.column(t, name)[:frames] {
			values = append(values, figure(v))
		}
		return values
	}
	same := func(v float64) float64 { return v }
	var columns [][]float64
	for i, figure := range e.Raw() {
		var values []float64
		switch e.Extractor() {
		case "motion":
			values = from(vmaf.Alias(e.Series()[0]), func(v float64) float64 { return math.Round(v * 256 * luma) })
		case "psnr":
			samples := float64(chroma)
			if figure == "sse_y" {
				samples = luma
			}
			values = from("mse_"+strings.TrimPrefix(figure, "sse_"), func(v float64) float64 { return math.Round(v * samples) })
		case "float_ssim":
			values = from(strings.TrimSuffix("float_ssim_"+figure, "_ssim"), same)
		case "float_ms_ssim":
			values = from("float_ms_ssim_"+figure[:1]+"_scale"+figure[1:], same)
		case "psnr_hvs":
			values = from(e.Series()[i], func(v float64) float64 { return math.Pow(10, -v/10) })
		case "ciede":
			values = from(e.Series()[i], func(v float64) float64 { return math.Pow(10, (45-v)/20) })
		default:
			values = from(vmaf.Alias(e.Series()[i]), same)
		}
		columns = append(columns, values)
	}
	return columns
}

// request is what a sample log was asked for with, in the order of the command line.
type request struct {
	models, features  []string
	frames, subsample int
	format            vmaf.Format
	// raw are the raw figures of an extraction; nil: those of the clip.
	raw func(e vmaf.Extraction) [][]float64
}

func (r request) table(t *testing.T, c *clip) *vmaf.Table {
	t.Helper()
	var models []*vmaf.Model
	for _, spec := range r.models {
		m, err := vmaf.ParseModel(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	var extra []vmaf.Extraction
	for _, text := range r.features {
		e, err := vmaf.ParseExtraction(text)
		if err != nil {
			t.Fatal(err)
		}
		extra = append(extra, e)
	}
	p, err := vmaf.NewPlan(models, extra)
	if err != nil {
		t.Fatal(err)
	}
	var raw [][][]float64
	for _, e := range p.Extractions {
		if r.raw != nil {
			raw = append(raw, r.raw(e))
			continue
		}
		raw = append(raw, c.raw(t, e, r.frames))
	}
	table, err := p.Evaluate(raw, r.format, r.frames, r.subsample)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// everyFrame are the same raw figures of each of three frames: alike for all but what measures a difference.
func everyFrame(difference, similarity float64) func(e vmaf.Extraction) [][]float64 {
	return func(e vmaf.Extraction) (columns [][]float64) {
		v := difference
		if e.Extractor() == "float_ssim" {
			v = similarity
		}
		for range e.Raw() {
			columns = append(columns, []float64{v, v, v})
		}
		return columns
	}
}

// sampleTables evaluates, from full-precision figures alone, the request that each sample log was written for.
func sampleTables(t *testing.T) map[string]*vmaf.Table {
	c := readClip(t)
	clip10 := vmaf.Format{Width: 576, Height: 324, BitsPerComponent: 10, Subsampling: vmaf.Chroma420}
	preset := func(text string) request {
		models, features, err := vmaf.ParsePreset(text)
		if err != nil {
			t.Fatal(err)
		}
		return request{models: models, features: features, frames: 3, subsample: 1, format: clip10}
	}
	tables := map[string]*vmaf.Table{}
	for name, r := range map[string]request{
		"two-models": {models: []string{"vmaf_v0.6.1", "vmaf_v0.6.1neg:name=vmaf_neg"}, features: []string{"psnr=enable_apsnr=true", "float_ssim"},
			frames: 3, subsample: 1, format: clip10},
		"subsample2":    {models: []string{"vmaf_v0.6.1"}, features: []string{"psnr=enable_apsnr=true"}, frames: 3, subsample: 2, format: clip10},
		"threads3":      {models: []string{"vmaf_v0.6.1"}, features: []string{"psnr", "float_ssim"}, frames: 3, subsample: 0, format: clip10},
		"collection":    {models: []string{"vmaf_b_v0.6.3"}, frames: 1, subsample: 1, format: clip10},
		"aom-ctc-v7.0":  preset("aom_ctc=v7.0"),
		"nflx-ctc-v1.0": preset("nflx_ctc=v1.0"),
		"identical-inf": {features: []string{"psnr_hvs", "ciede", "float_ssim=enable_db=true", "psnr=enable_chroma=false:enable_apsnr=true"},
			frames: 3, subsample: 1, format: clip10, raw: everyFrame(0, 1)},
		"tiny-fraction": {features: []string{"psnr=enable_mse=true:enable_apsnr=true:min_sse=0.5"}, frames: 1, subsample: 1,
			format: vmaf.Format{Width: 1920, Height: 1080, BitsPerComponent: 8, Subsampling: vmaf.Chroma420},
			raw:    func(vmaf.Extraction) [][]float64 { return [][]float64{{1}, {0}, {0}} }}, // one sample off by one
	} {
		tables[name] = r.table(t, c)
	}
	// With worker threads, psnr registers before the rest.
	threads := tables["threads3"]
	isPSNR := func(s vmaf.Series) bool { return strings.HasPrefix(s.Name, "psnr") }
	slices.SortStableFunc(threads.Series, func(a, b vmaf.Series) int {
		switch {
		case isPSNR(a) == isPSNR(b):
			return 0
		case isPSNR(a):
			return -1
		}
		return 1
	})
	return tables
}

// sampleFiles are the paths of all logs that libvmaf 3.2.0 wrote.
func sampleFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(golden.Dir(t), "legacy-logs", "libvmaf-3.2.0", "*.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample logs in %s (%v)", golden.Dir(t), err)
	}
	return files
}

// Every log that libvmaf 3.2.0 wrote comes out byte for byte. Speed and version are taken from the file: the one is a
// timing, the other the build's.
func TestWrite_Golden(t *testing.T) {
	tables := sampleTables(t)
	for _, path := range sampleFiles(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			stem, ext, _ := cutLast(filepath.Base(path), ".")
			format, err := ParseFormat(ext)
			if err != nil {
				t.Fatal(err)
			}
			log, got, err := Read(bytes.NewReader(want))
			if err != nil || got != format {
				t.Fatalf("Read: %v log, error %v; want %v", got, err, format)
			}
			table := tables[stem]
			if table == nil {
				t.Fatalf("no table for %s", stem)
			}
			table.FPS = log.FPS
			var out bytes.Buffer
			if err := Write(&out, format, table, WriteOptions{Version: log.Version}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(out.Bytes(), want) {
				t.Fatal(firstDifference(out.String(), string(want)))
			}
			compareLog(t, log, table, format)
			if format == XML && (log.Width != table.Width || log.Height != table.Height) {
				t.Errorf("size %dx%d, want %dx%d", log.Width, log.Height, table.Width, table.Height)
			}
			if want := "3.2.0"; log.Generation.Last != want {
				t.Errorf("generation %v, want one that ends with %s", log.Generation, want)
			}
			// Only the newest release has integer_aim.
			if _, ok := log.Column("integer_aim"); ok && log.Generation.First != "3.2.0" {
				t.Errorf("generation %v of a log with integer_aim, want 3.2.0", log.Generation)
			}
		})
	}
}

// cutLast cuts s around the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// firstDifference shows where two texts part.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		a, b := "(end)", "(end)"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return fmt.Sprintf("line %d:\n got %q\nwant %q", i+1, a, b)
		}
	}
	return "no difference"
}

// compareLog checks that a log says what the table it was written from says, to the digits that were written.
func compareLog(t *testing.T, log *Log, table *vmaf.Table, f Format) {
	t.Helper()
	same := func(got, want float64) bool {
		if f == JSON && notFinite(want) {
			return math.IsNaN(got) // null does not say which
		}
		if notFinite(want) {
			return got == want || math.IsNaN(got) && math.IsNaN(want)
		}
		return math.Abs(got-want) <= 0.5e-6+math.Abs(want)*0x1p-52
	}
	var frames []int
	for i := range table.Frames {
		if table.Subsample < 2 || i%table.Subsample == 0 {
			frames = append(frames, i)
		}
	}
	if fmt.Sprint(log.Frames) != fmt.Sprint(frames) {
		t.Fatalf("frames %v, want %v", log.Frames, frames)
	}
	if len(log.Series) != len(table.Series) {
		t.Fatalf("%d series, want %d", len(log.Series), len(table.Series))
	}
	for k, s := range table.Series {
		got := log.Series[k]
		if got.Name != vmaf.Alias(s.Name) {
			t.Errorf("series %d is %s, want %s", k, got.Name, vmaf.Alias(s.Name))
		}
		for row, i := range frames {
			if !same(got.Values[row], s.Values[i]) {
				t.Errorf("%s of frame %d: %v, want %v", got.Name, i, got.Values[row], s.Values[i])
			}
		}
		if f != XML && f != JSON {
			continue
		}
		for _, p := range poolOrder {
			want, _ := table.Pooled(k, p)
			x, ok := log.PooledFigure(got.Name, string(p))
			if !ok || !same(x, want) {
				t.Errorf("%s of %s: %v (%v), want %v", p, got.Name, x, ok, want)
			}
		}
	}
	if f != XML && f != JSON {
		return
	}
	if len(log.Aggregates) != len(table.Aggregates) {
		t.Fatalf("%d aggregates, want %d", len(log.Aggregates), len(table.Aggregates))
	}
	for k, a := range table.Aggregates {
		if got := log.Aggregates[k]; got.Name != a.Name || !same(got.Value, a.Value) {
			t.Errorf("aggregate %v, want %v", got, a)
		}
	}
}
