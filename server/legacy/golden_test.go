package legacy

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
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

// decibels is what float_ssim and float_ms_ssim give with enable_db. Source: spec/classic-metrics.md §3.4.
func decibels(values []float64) []float64 {
	var db []float64
	for _, x := range values {
		db = append(db, -10*math.Log10(1-x))
	}
	return db
}

// reducedPSNR is the PSNR of 10-bit samples with reduced_hbd_peak. Source: spec/classic-metrics.md §2.
func reducedPSNR(mse ...float64) []float64 {
	const peak = 255 * 4
	var db []float64
	for _, x := range mse {
		db = append(db, 10*math.Log10(peak*peak/x))
	}
	return db
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, x := range values {
		sum += x
	}
	return sum / float64(len(values))
}

const (
	admNames = "VMAF_integer_feature_adm2_score VMAF_integer_feature_aim_score VMAF_integer_feature_adm3_score " +
		"integer_adm_scale0 integer_adm_scale1 integer_adm_scale2 integer_adm_scale3 "
	sadName    = "VMAF_integer_feature_motion_sad_score "
	vifNames   = "VMAF_integer_feature_vif_scale0_score VMAF_integer_feature_vif_scale1_score VMAF_integer_feature_vif_scale2_score VMAF_integer_feature_vif_scale3_score "
	eglNames   = "integer_adm2_egl_1 integer_aim_egl_1 integer_adm3_egl_1 integer_adm_scale0_egl_1 integer_adm_scale1_egl_1 integer_adm_scale2_egl_1 integer_adm_scale3_egl_1 " + "integer_vif_scale0_egl_1 integer_vif_scale1_egl_1 integer_vif_scale2_egl_1 integer_vif_scale3_egl_1 "
	motionName = "VMAF_integer_feature_motion2_score VMAF_integer_feature_motion3_score "
)

// sampleTables builds, from full-precision figures alone, the table that each sample log was written from.
func sampleTables(t *testing.T) map[string]*vmaf.Table {
	c := readClip(t)
	table := func(frames, subsample int) *vmaf.Table {
		return &vmaf.Table{Frames: frames, Subsample: subsample, Width: 576, Height: 324}
	}
	add := func(tab *vmaf.Table, name string, values []float64) {
		tab.Series = append(tab.Series, vmaf.Series{Name: name, Values: values[:tab.Frames]})
	}
	// stored adds series whose stored name is that of a golden column, or an alias of it, and those given as
	// name=column.
	stored := func(tab *vmaf.Table, names string) {
		for _, name := range strings.Fields(names) {
			name, column, renamed := strings.Cut(name, "=")
			if !renamed {
				column = vmaf.Alias(name)
			}
			add(tab, name, c.column(t, column))
		}
	}
	aggregates := func(tab *vmaf.Table, suffix string) {
		for _, plane := range []string{"y", "cb", "cr"} {
			x := c.more["apsnr_"+plane][0]
			if suffix == "reduced" {
				x = reducedPSNR(mean(c.column(t, "mse_"+plane)))[0]
			}
			tab.Aggregates = append(tab.Aggregates, vmaf.Aggregate{Name: "apsnr_" + plane, Value: x})
		}
	}
	tables := map[string]*vmaf.Table{}

	two := table(3, 1)
	stored(two, admNames+sadName+vifNames+eglNames+"psnr_y psnr_cb psnr_cr float_ssim "+motionName+"vmaf=vmaf_v0.6.1 vmaf_neg=vmaf_v0.6.1neg")
	aggregates(two, "")
	tables["two-models"] = two

	sub := table(3, 2)
	stored(sub, admNames+sadName+vifNames+"psnr_y psnr_cb psnr_cr "+motionName+"vmaf=vmaf_v0.6.1")
	aggregates(sub, "")
	for i := range sub.Series {
		if name := sub.Series[i].Name; !strings.Contains(name, "motion") {
			sub.Series[i].Present = []bool{true, false, true}
		}
	}
	tables["subsample2"] = sub

	threads := table(3, 0)
	stored(threads, "psnr_y psnr_cb psnr_cr "+admNames+sadName+vifNames+"float_ssim "+motionName+"vmaf=vmaf_v0.6.1")
	tables["threads3"] = threads

	collection := table(1, 1)
	stored(collection, admNames+sadName+vifNames+"VMAF_integer_feature_motion2_score ")
	// A single frame has no next one to take its motion from: 0, where the three frames have 4.579442.
	add(collection, "VMAF_integer_feature_motion3_score", []float64{0})
	stored(collection, "vmaf=vmaf_b_v0.6.3")
	for i := 1; i <= 20; i++ {
		stored(collection, fmt.Sprintf("vmaf_%04d=vmaf_b_v0.6.3_%04d", i, i))
	}
	for _, name := range []string{"bagging", "stddev", "ci_p95_lo", "ci_p95_hi"} {
		stored(collection, "vmaf_"+name+"=vmaf_b_v0.6.3_"+name)
	}
	tables["collection"] = collection

	aom := table(3, 1)
	stored(aom, admNames+sadName+vifNames+eglNames)
	for _, plane := range []string{"y", "cb", "cr"} {
		add(aom, "psnr_"+plane, reducedPSNR(c.column(t, "mse_"+plane)...))
	}
	stored(aom, "ciede2000")
	add(aom, "float_ssim", decibels(c.column(t, "float_ssim")))
	add(aom, "float_ms_ssim", decibels(c.column(t, "float_ms_ssim")))
	stored(aom, "psnr_hvs_y psnr_hvs_cb psnr_hvs_cr psnr_hvs Cambi_feature_cambi_score "+motionName+"vmaf=vmaf_v0.6.1 vmaf_neg=vmaf_v0.6.1neg")
	aggregates(aom, "reduced")
	tables["aom-ctc-v7.0"] = aom

	nflx := table(3, 1)
	stored(nflx, admNames+sadName+vifNames+eglNames+"psnr_y psnr_cb psnr_cr")
	add(nflx, "float_ssim", decibels(c.column(t, "float_ssim")))
	stored(nflx, "Cambi_feature_cambi_score "+motionName+"vmaf=vmaf_4k_v0.6.1 vmaf_neg=vmaf_4k_v0.6.1neg")
	aggregates(nflx, "")
	tables["nflx-ctc-v1.0"] = nflx

	inf := math.Inf(1)
	identical := table(3, 1)
	for _, name := range strings.Fields("psnr_hvs_y psnr_hvs_cb psnr_hvs_cr psnr_hvs ciede2000 float_ssim") {
		add(identical, name, []float64{inf, inf, inf})
	}
	add(identical, "psnr_y", []float64{72, 72, 72})
	identical.Aggregates = []vmaf.Aggregate{{Name: "apsnr_y", Value: 121}, {Name: "apsnr_cb", Value: -inf}, {Name: "apsnr_cr", Value: -inf}}
	tables["identical-inf"] = identical

	tiny := table(1, 1)
	tiny.Width, tiny.Height = 1920, 1080
	mse := 1.0 / (1920 * 1080) // one sample off by one
	psnr := 10 * math.Log10(255*255/mse)
	for _, s := range []struct {
		name string
		x    float64
	}{{"psnr_y", psnr}, {"mse_y", mse}, {"psnr_cb", 109}, {"mse_cb", 0}, {"psnr_cr", 109}, {"mse_cr", 0}} {
		add(tiny, s.name, []float64{s.x})
	}
	tiny.Aggregates = []vmaf.Aggregate{{Name: "apsnr_y", Value: psnr}, {Name: "apsnr_cb", Value: 109}, {Name: "apsnr_cr", Value: 109}}
	tables["tiny-fraction"] = tiny
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
			want, _ := table.Pooled(k, p.method)
			x, ok := log.PooledFigure(got.Name, p.name)
			if !ok || !same(x, want) {
				t.Errorf("%s of %s: %v (%v), want %v", p.name, got.Name, x, ok, want)
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
