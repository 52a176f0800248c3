package legacy

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/vmaf"
)

// tableFor is a table of awkward values that the format can hold.
func tableFor(f Format) *vmaf.Table {
	t := awkward()
	rename := func(names ...string) {
		t.Series = t.Series[:0:0]
		for k, name := range names {
			t.Series = append(t.Series, vmaf.Series{Name: name, Values: awkward().Series[k%2].Values})
		}
		t.Aggregates = nil
	}
	switch f {
	case VmafossexecXML, VmafossexecJSON, VmafossexecCSV:
		rename("adm2", "vmaf")
		for k := range t.Series { // JSON has no room for 1e5 times the largest numbers
			for i, x := range t.Series[k].Values {
				t.Series[k].Values[i] = min(max(x, -1e300), 1e300)
			}
		}
	case FFmpegPSNR:
		rename(ffmpegMSE, "mse_y", "psnr_y", ffmpegPSNR)
	case FFmpegSSIM:
		rename("ffmpeg_ssim_y", ffmpegSSIM, ffmpegDB)
	}
	return t
}

// allSamples are the paths of all sample logs, of every program.
func allSamples(t testing.TB) []string {
	t.Helper()
	files := sampleFiles(t)
	for _, pattern := range []string{"vmafossexec-1.3.15/*.xml", "vmafossexec-1.3.15/*.json", "vmafossexec-1.3.15/*.csv", "ffmpeg-5.1/*.log"} {
		more, err := filepath.Glob(filepath.Join(golden.Dir(t), "legacy-logs", filepath.FromSlash(pattern)))
		if err != nil || len(more) == 0 {
			t.Fatalf("no sample logs %s (%v)", pattern, err)
		}
		files = append(files, more...)
	}
	return files
}

// rewrite writes what a log says in the format it was read from.
func rewrite(log *Log, f Format) ([]byte, error) {
	var out bytes.Buffer
	err := Write(&out, f, log.Table(), log.WriteOptions())
	return out.Bytes(), err
}

// Every log that one of the programs wrote comes back byte for byte from what was read of it, and is told apart by its content.
func TestRoundTrip_Samples(t *testing.T) {
	for _, path := range allSamples(t) {
		name := filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			log, format, err := Read(bytes.NewReader(want))
			if err != nil {
				t.Fatal(err)
			}
			if expected := formatOfSample(path); format != expected {
				t.Errorf("read as %v, want %v", format, expected)
			}
			got, err := rewrite(log, format)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Error(firstDifference(string(got), string(want)))
			}
			if len(log.Unknown) > 0 {
				t.Errorf("unknown: %q, want nothing", log.Unknown)
			}
			// JSON's null is the one loss there is.
			if losses := Losses(format, log.Table(), log.WriteOptions()); len(losses) > 0 && filepath.Base(path) != "identical-inf.json" {
				t.Errorf("losses %q, want none", losses)
			}
		})
	}
}

func formatOfSample(path string) Format {
	f, _ := FormatOf(path)
	switch base := filepath.Base(path); {
	case filepath.Base(filepath.Dir(path)) == "vmafossexec-1.3.15":
		return map[Format]Format{XML: VmafossexecXML, JSON: VmafossexecJSON, CSV: VmafossexecCSV}[f]
	case base == "ssim.log":
		return FFmpegSSIM
	case filepath.Ext(base) == ".log":
		return FFmpegPSNR
	}
	return f
}

// generated is a table of random content that the format can hold, with the rest that the format says.
func generated(r *rand.Rand, f Format) (*vmaf.Table, WriteOptions) {
	t := &vmaf.Table{Frames: 1 + r.IntN(20), Subsample: 1 + r.IntN(3), Width: 1 + r.IntN(4000), Height: 1 + r.IntN(3000), FPS: float64(r.IntN(1e6)) / 100}
	opt := WriteOptions{Version: fmt.Sprintf("%d.%d.%d", r.IntN(4), r.IntN(4), r.IntN(20))}
	names, gaps := []string{"integer_adm2", "vmaf", "cambi", "x"}, f != CSV
	switch f {
	case VmafossexecXML, VmafossexecJSON, VmafossexecCSV:
		names, gaps = []string{"adm2", "bagging", "ci95_high", "ci95_low", "ms_ssim", "psnr", "stddev", "vif", "vmaf", "vmaf_0001", "vmaf_0002"}, false
		opt.Run = Run{Model: "m.pkl", Pool: []string{"", "mean", "harmonic_mean", "min"}[r.IntN(4)], TimeTaken: r.Float64(), BootstrapModels: r.IntN(3), BootstrapNames: "a,b"}
		if r.IntN(4) == 0 {
			t.FPS = math.NaN()
		}
	case FFmpegPSNR:
		names, gaps = [][]string{
			{ffmpegMSE, "mse_y", ffmpegPSNR, "psnr_y"},
			{ffmpegMSE, "mse_y", "mse_cb", "mse_cr", "mse_a", ffmpegPSNR, "psnr_y", "psnr_cb", "psnr_cr", "psnr_a"},
			{ffmpegMSE, "mse_r", "mse_g", "mse_b", ffmpegPSNR, "psnr_r", "psnr_g", "psnr_b"},
		}[r.IntN(3)], false
		opt.Run.StatsVersion = r.IntN(3)
		if opt.Run.StatsVersion == 2 && r.IntN(2) == 0 {
			opt.Run.OutputMax, opt.Run.BitsPerComponent = true, 1+r.IntN(16)
		}
	case FFmpegSSIM:
		names, gaps = [][]string{
			{"ffmpeg_ssim_y", ffmpegSSIM, ffmpegDB},
			{"ffmpeg_ssim_r", "ffmpeg_ssim_g", "ffmpeg_ssim_b", "ffmpeg_ssim_a", ffmpegSSIM, ffmpegDB},
		}[r.IntN(2)], false
	}
	for k, name := range names {
		s := vmaf.Series{Name: name, Values: make([]float64, t.Frames)}
		if gaps && k > 0 && r.IntN(2) == 0 {
			s.Present = make([]bool, t.Frames)
		}
		for i := range s.Values {
			s.Values[i] = generatedValue(r, f)
			if s.Present != nil {
				s.Present[i] = r.IntN(3) > 0
			}
		}
		if s.Present != nil { // one listed value at least: else nothing tells where it was
			s.Present[t.Subsample*r.IntN((t.Frames-1)/t.Subsample+1)] = true
			s.Present[0] = s.Present[0] || f == SUB // whose columns have the order of their appearance
		}
		t.Series = append(t.Series, s)
	}
	if f == XML || f == JSON {
		t.Aggregates = []vmaf.Aggregate{{Name: "apsnr_y", Value: generatedValue(r, f)}, {Name: "apsnr_cb", Value: generatedValue(r, f)}}
	}
	return t, opt
}

// generatedValue is a score of any magnitude. Fractions below 1e-6 are left out: sixteen decimals may round one to what is written with six.
func generatedValue(r *rand.Rand, f Format) float64 {
	switch r.IntN(12) {
	case 0:
		if f == VmafossexecJSON {
			return 0
		}
		return []float64{math.Inf(1), math.Inf(-1), math.NaN()}[r.IntN(3)]
	case 1:
		return float64(r.IntN(200) - 100)
	case 2:
		bits := 60 // beyond single precision
		if f == VmafossexecJSON {
			bits = 30 // rounding to five decimals adds noise beyond
		}
		return math.Ldexp(r.Float64()+0.5, r.IntN(bits))
	case 3:
		return 1e-5 + r.Float64()*1e-4
	}
	return r.Float64() * 100
}

// What is written is written again byte for byte from what is read of it.
func TestRoundTrip_Generated(t *testing.T) {
	for f := range Format(len(formatNames)) {
		for seed := range uint64(300) {
			checkGenerated(t, f, seed)
		}
	}
}

func checkGenerated(t *testing.T, f Format, seed uint64) {
	t.Helper()
	table, opt := generated(rand.New(rand.NewPCG(seed, uint64(f))), f)
	var first bytes.Buffer
	if err := Write(&first, f, table, opt); err != nil {
		t.Fatalf("%v, seed %d: %v", f, seed, err)
	}
	log, format, err := Read(bytes.NewReader(first.Bytes()))
	if err != nil || format != f {
		t.Fatalf("%v, seed %d: read as %v: %v\n%s", f, seed, format, err, first.Bytes())
	}
	if len(log.Unknown) > 0 {
		t.Fatalf("%v, seed %d: unknown: %q", f, seed, log.Unknown)
	}
	second, err := rewrite(log, f)
	if err != nil {
		t.Fatalf("%v, seed %d: %v\n%s", f, seed, err, first.Bytes())
	}
	if !bytes.Equal(first.Bytes(), second) {
		t.Fatalf("%v, seed %d: %s", f, seed, firstDifference(string(second), first.String()))
	}
}

func TestLog_Table(t *testing.T) {
	for _, c := range []struct {
		what      string
		log       Log
		frames    int
		subsample int
	}{
		{"no frames", Log{}, 0, 1},
		{"every frame", Log{Frames: []int{0, 1, 2}}, 3, 1},
		{"one frame", Log{Frames: []int{0}}, 1, 1},
		{"one frame of what says that it has every third", Log{Frames: []int{0}, Subsample: 3}, 1, 3},
		{"every second frame", Log{Frames: []int{0, 2, 4}}, 5, 2},
		{"every second frame of what says that it has every third", Log{Frames: []int{0, 2, 4}, Subsample: 3}, 5, 2},
		{"gap in what says that it has every second frame", Log{Frames: []int{2, 4, 8}, Subsample: 2}, 9, 2},
		{"gap", Log{Frames: []int{0, 1, 3}}, 4, 1},
		{"gap after an interval", Log{Frames: []int{0, 2, 6}}, 7, 1},
		{"frame 0 missing", Log{Frames: []int{2, 4, 6}}, 7, 1},
	} {
		s := vmaf.Series{Name: "a"}
		for _, frame := range c.log.Frames {
			s.Values = append(s.Values, float64(frame))
		}
		c.log.Series = []vmaf.Series{s}
		table := c.log.Table()
		if table.Frames != c.frames || table.Subsample != c.subsample || !math.IsNaN(table.FPS) {
			t.Errorf("%s: %d frames, interval %d, speed %v, want %d, %d, no speed", c.what, table.Frames, table.Subsample, table.FPS, c.frames, c.subsample)
		}
		listed := 0
		for i := range table.Frames {
			if x, ok := table.Series[0].At(i); ok {
				listed++
				if x != float64(i) {
					t.Errorf("%s: frame %d has the value of frame %v", c.what, i, x)
				}
			}
		}
		if listed != len(c.log.Frames) {
			t.Errorf("%s: %d values, want %d", c.what, listed, len(c.log.Frames))
		}
	}
}
