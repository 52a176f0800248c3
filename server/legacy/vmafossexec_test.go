package legacy

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/vmaf"
)

// sample reads a sample log.
func sample(t *testing.T, path string) *Log {
	t.Helper()
	file, err := os.Open(filepath.Join(golden.Dir(t), "legacy-logs", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log, _, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func written(t *testing.T, f Format, table *vmaf.Table, opt WriteOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, f, table, opt); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRead_VmafossexecSamples(t *testing.T) {
	for _, c := range []struct {
		file, series, pooled, run, generation string
		fps                                   float64
	}{
		{"psnr-ssim-msssim.xml", "adm2 adm_scale0 adm_scale1 adm_scale2 adm_scale3 motion motion2 ms_ssim psnr ssim vif vif_scale0 vif_scale1 vif_scale2 vif_scale3 vmaf",
			"vmaf mean 82.5814 psnr mean 32.5715 ssim mean 0.897863 ms_ssim mean 0.974749", "vmaf_v0.6.1.pkl  0.343294 1", "vmafossexec 1.3.15", 8.73887},
		{"psnr-ssim-msssim.json", "adm2 adm_scale0 adm_scale1 adm_scale2 adm_scale3 motion motion2 ms_ssim psnr ssim vif vif_scale0 vif_scale1 vif_scale2 vif_scale3 vmaf",
			"vmaf mean 82.5813807229667 psnr mean 32.57145231892829 ssim mean 0.8978631099065145 ms_ssim mean 0.9747491148535442", "vmaf_v0.6.1.pkl  0 1", "vmafossexec 1.3.15", 12.9251550414354},
		{"psnr-ssim-msssim.csv", "adm2 adm_scale0 adm_scale1 adm_scale2 adm_scale3 motion motion2 ms_ssim psnr ssim vif vif_scale0 vif_scale1 vif_scale2 vif_scale3 vmaf",
			"", "  0 0", "vmafossexec 1.x", math.NaN()},
		{"pool-subsample2.xml", "adm2 adm_scale0 adm_scale1 adm_scale2 adm_scale3 motion motion2 vif vif_scale0 vif_scale1 vif_scale2 vif_scale3 vmaf",
			"vmaf harmonic_mean 82.5202", "vmaf_v0.6.1.pkl harmonic_mean 0.0541245 2", "vmafossexec 1.3.15", 73.9037},
	} {
		log := sample(t, "vmafossexec-1.3.15/"+c.file)
		var series, pooled []string
		for _, s := range log.Series {
			series = append(series, s.Name)
		}
		for _, p := range log.Pooled {
			pooled = append(pooled, p.Name, p.Figures[0].Name, fmt.Sprint(p.Figures[0].Value))
		}
		if got := strings.Join(series, " "); got != c.series {
			t.Errorf("%s: series %s\nwant %s", c.file, got, c.series)
		}
		if got := strings.Join(pooled, " "); got != c.pooled {
			t.Errorf("%s: pooled figures %s\nwant %s", c.file, got, c.pooled)
		}
		if got := fmt.Sprint(log.Run.Model, " ", log.Run.Pool, " ", log.Run.TimeTaken, " ", log.Subsample); got != c.run {
			t.Errorf("%s: run %q, want %q", c.file, got, c.run)
		}
		if got := log.Generation.String(); got != c.generation {
			t.Errorf("%s: generation %s, want %s", c.file, got, c.generation)
		}
		if table := log.Table(); table.Width != 576 || table.Height != 324 || table.FPS != c.fps && !(math.IsNaN(c.fps) && math.IsNaN(table.FPS)) {
			t.Errorf("%s: %dx%d at %v a second", c.file, table.Width, table.Height, table.FPS)
		}
		if vmaf, _ := log.Column("vmaf"); math.Abs(vmaf.Values[0]-83.8681) > 1e-12 || math.Abs(vmaf.Values[len(vmaf.Values)-1]-81.2144) > 2e-5 {
			t.Errorf("%s: vmaf %v", c.file, vmaf.Values)
		}
	}
}

// vmafossexec's JSON has one pooled figure and does not say by which method it is.
func TestRead_VmafossexecJSONPool(t *testing.T) {
	const frames = `"frames":[{"frameNum":0,"metrics":{"vmaf":20.00001}},{"frameNum":1,"metrics":{"vmaf":90.0}}]`
	for _, c := range []struct{ score, method, pool string }{
		{"55.000001", "mean", ""},
		{"33.125001", "harmonic_mean", "harmonic_mean"}, // 2/(1/21+1/91) − 1
		{"20.000012", "min", "min"},
		{"70", "mean", ""}, // by none of them: then the default
	} {
		log, _, err := Read(strings.NewReader(`{"metrics":["vmaf"],` + frames + `,"VMAF score":` + c.score + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if log.Pooled[0].Figures[0].Name != c.method || log.Run.Pool != c.pool {
			t.Errorf("score %s: by %s, asked for %q; want %s, %q", c.score, log.Pooled[0].Figures[0].Name, log.Run.Pool, c.method, c.pool)
		}
	}
}

// modern is a table as libvmaf 3.2.0 makes it, of a collection of models and a model beside it.
func modern() *vmaf.Table {
	t := &vmaf.Table{Frames: 3, Subsample: 1, Width: 576, Height: 324, FPS: 12.5, Aggregates: []vmaf.Aggregate{{Name: "apsnr_y", Value: 33}}}
	for k, name := range []string{"VMAF_integer_feature_adm2_score", "integer_aim", "integer_adm_scale0", "integer_motion2", "integer_motion3", "integer_vif_scale3",
		"psnr_y", "psnr_cb", "float_ssim", "float_ms_ssim", "vmaf", "vmaf_0001", "vmaf_0002", "vmaf_bagging", "vmaf_stddev", "vmaf_ci_p95_lo", "vmaf_ci_p95_hi", "vmaf_neg"} {
		s := vmaf.Series{Name: name}
		for i := range 3 {
			x := float64(k) + float64(i)/4
			if strings.HasPrefix(name, "float_") {
				x = 0.5 + float64(i)/8
			}
			s.Values = append(s.Values, x)
		}
		t.Series = append(t.Series, s)
	}
	return t
}

// libvmaf's figures go into vmafossexec's columns under their old names, in alphabetical order.
func TestWrite_VmafossexecMapsNames(t *testing.T) {
	run := Run{Model: "vmaf_b_v0.6.3.pkl", TimeTaken: 0.25}
	const header = "adm2 adm_scale0 bagging ci95_high ci95_low motion2 ms_ssim psnr ssim stddev vif_scale3 vmaf vmaf_0001 vmaf_0002"
	if got, want := written(t, VmafossexecCSV, modern(), WriteOptions{Run: run}), "Frame,Width,Height,"+strings.ReplaceAll(header, " ", ",")+",\n"+
		"0,576,324,0.0000,2.0000,13.0000,16.0000,15.0000,3.0000,0.5000,6.0000,0.5000,14.0000,5.0000,10.0000,11.0000,12.0000,\n"; !strings.HasPrefix(got, want) {
		t.Error(firstDifference(got, want))
	}
	xml := written(t, VmafossexecXML, modern(), WriteOptions{Version: "1.3.15", Run: run})
	for _, want := range []string{
		"\t<params model=\"vmaf_b_v0.6.3.pkl\" scaledWidth=\"576\" scaledHeight=\"324\" subsample=\"1\" num_bootstrap_models=\"2\" bootstrap_model_list_str=\"\" />\n",
		"\t<fyi numOfFrames=\"3\" aggregateVMAF=\"10.25\" aggregateBagging=\"13.25\" aggregateStdDev=\"14.25\" aggregateCI95_low=\"15.25\" aggregateCI95_high=\"16.25\" " +
			"aggregatePSNR=\"6.25\" aggregateSSIM=\"0.625\" aggregateMS_SSIM=\"0.625\" execFps=\"12.5\" timeTaken=\"0.25\" />\n",
	} {
		if !strings.Contains(xml, want) {
			t.Errorf("no %q in:\n%s", want, xml)
		}
	}
	json := written(t, VmafossexecJSON, modern(), WriteOptions{Version: "1.3.15", Run: run})
	if want := "\n  ],\n  \"VMAF score\":10.25,\n  \"ExecFps\":12.5,\n  \"PSNR score\":6.25,\n  \"SSIM score\":0.625,\n  \"MS-SSIM score\":0.625\n}\n"; !strings.HasSuffix(json, want) {
		t.Errorf("%s\ndoes not end in %s", json, want)
	}
}

func TestWrite_VmafossexecChoices(t *testing.T) {
	table := modern()
	ends := func(fyi string) func(string) bool {
		return func(text string) bool { return strings.Contains(text, fyi) }
	}
	for _, c := range []struct {
		what string
		opt  WriteOptions
		ok   func(string) bool
	}{
		{"minimum", WriteOptions{Run: Run{Pool: "min"}}, ends(`aggregateVMAF="10" `)},
		{"the method is named", WriteOptions{Run: Run{Pool: "mean"}}, ends(`poolMethod="mean" execFps`)},
		{"harmonic mean", WriteOptions{Run: Run{Pool: "harmonic_mean"}}, ends(`aggregateVMAF="10.2463" `)},
		{"another model's score", WriteOptions{Run: Run{Score: "vmaf_neg"}}, ends(`aggregateVMAF="17.25" aggregatePSNR`)},
		{"pooled figure of the imported log", WriteOptions{Pooled: []Pooled{{Name: "vmaf", Figures: []Figure{{"mean", 80.123456}}}}}, ends(`aggregateVMAF="80.1235" `)},
		{"pooled figure by another method", WriteOptions{Pooled: []Pooled{{Name: "vmaf", Figures: []Figure{{"min", 80}}}}}, ends(`aggregateVMAF="10.25" `)},
		{"pooled figure under its own name", WriteOptions{Pooled: []Pooled{{Name: "psnr_y", Figures: []Figure{{"mean", 40}}}}}, ends(`aggregatePSNR="40" `)},
		{"a column cannot be pooled", WriteOptions{Pooled: []Pooled{{Name: "psnr_y"}}}, func(text string) bool { return !strings.Contains(text, "aggregatePSNR") }},
		{"number of models", WriteOptions{Run: Run{BootstrapModels: 20, BootstrapNames: "a,b"}}, ends(`num_bootstrap_models="20" bootstrap_model_list_str="a,b"`)},
		{"17 digits", WriteOptions{Precision: 17, Pooled: []Pooled{{Name: "vmaf", Figures: []Figure{{"mean", 0.1}}}}}, ends(`aggregateVMAF="0.10000000000000001" `)},
	} {
		if text := written(t, VmafossexecXML, table, c.opt); !c.ok(text) {
			t.Errorf("%s: %s", c.what, text)
		}
	}
	table.FPS = nan
	if text := written(t, VmafossexecXML, table, WriteOptions{}); strings.Contains(text, "execFps") || strings.Contains(text, "timeTaken") {
		t.Errorf("speed not known, written: %s", text)
	}
	// vmafossexec's own features come before those that stand for them.
	table.Series = append(table.Series, vmaf.Series{Name: "adm2", Values: []float64{0.75, 0.75, 0.75}})
	if text := written(t, VmafossexecXML, table, WriteOptions{}); !strings.Contains(text, `frameNum="0" adm2="0.75"`) {
		t.Errorf("adm2 is not the table's: %s", text)
	}
}

// How vmafossexec writes numbers, by spec/legacy-logs.md §B.2.
func TestWrite_VmafossexecNumbers(t *testing.T) {
	for _, c := range []struct {
		x              float64
		xml, json, csv string
	}{
		{0, "0", "0.0", "0.0000"},
		{72, "72", "72.0", "72.0000"},
		{0.95754, "0.95754", "0.9575399999999999", "0.9575"},
		{83.856284, "83.8563", "83.85628", "83.8563"},
		{0.00001, "1e-05", "1e-05", "0.0000"},
		{0.0000049, "4.9e-06", "0.0", "0.0000"},
		{1234567, "1.23457e+06", "1234567.0", "1234567.0000"},
		{16777217, "1.67772e+07", "16777217.0", "16777216.0000"}, // single precision
		{-0.000005, "-5e-06", "-1e-05", "-0.0000"},               // half away from zero
	} {
		table := &vmaf.Table{Frames: 1, FPS: nan, Series: []vmaf.Series{{Name: "vmaf", Values: []float64{c.x}}}}
		if text := written(t, VmafossexecXML, table, WriteOptions{}); !strings.Contains(text, ` vmaf="`+c.xml+`" />`) {
			t.Errorf("%v in XML: %s, want %s", c.x, text, c.xml)
		}
		if text := written(t, VmafossexecJSON, table, WriteOptions{}); !strings.Contains(text, `"vmaf":`+c.json+"\n") {
			t.Errorf("%v in JSON: %s, want %s", c.x, text, c.json)
		}
		if text := written(t, VmafossexecCSV, table, WriteOptions{}); !strings.HasSuffix(text, ","+c.csv+",\n") {
			t.Errorf("%v in CSV: %s, want %s", c.x, text, c.csv)
		}
	}
}

func TestWrite_VmafossexecRefuses(t *testing.T) {
	with := func(change func(*vmaf.Table)) *vmaf.Table {
		table := modern()
		change(table)
		return table
	}
	values := func(name string, x float64) *vmaf.Table {
		return with(func(t *vmaf.Table) {
			for _, s := range t.Series {
				if s.Name == name {
					s.Values[1] = x
				}
			}
		})
	}
	absent := func(name string) *vmaf.Table {
		return with(func(t *vmaf.Table) {
			for k := range t.Series {
				if t.Series[k].Name == name {
					t.Series[k].Present = []bool{true, false, true}
				}
			}
		})
	}
	const all = "vmafossexec-xml vmafossexec-json vmafossexec-csv"
	for _, c := range []struct {
		what, formats, message string
		table                  *vmaf.Table
		opt                    WriteOptions
	}{
		{"no score", all, "without a VMAF score", with(func(t *vmaf.Table) { t.Series = t.Series[:9] }), WriteOptions{}},
		{"no such score", all, `no series "vmaf_4k"`, modern(), WriteOptions{Run: Run{Score: "vmaf_4k"}}},
		{"a score that lacks a frame", all, "frame", absent("vmaf"), WriteOptions{}},
		{"a feature that lacks a frame", "vmafossexec-csv", "frame 1 has no psnr", absent("psnr_y"), WriteOptions{}},
		{"an infinite value", "vmafossexec-json", "psnr_y of frame 1 is +Inf", values("psnr_y", inf), WriteOptions{}},
		{"a value too large to be rounded", "vmafossexec-json", "psnr_y of frame 1", values("psnr_y", 1e305), WriteOptions{}},
		{"an infinite pooled figure", "vmafossexec-json", "the mean of psnr is +Inf", modern(), WriteOptions{Pooled: []Pooled{{Name: "psnr_y", Figures: []Figure{{"mean", inf}}}}}},
		{"SSIM in decibels", all, "float_ssim of frame 1 is 12.5, in decibels", values("float_ssim", 12.5), WriteOptions{}},
		{"MS-SSIM in decibels", all, "in decibels", values("float_ms_ssim", inf), WriteOptions{}},
		{"quote in the model's name", "vmafossexec-xml vmafossexec-json", "model", modern(), WriteOptions{Run: Run{Model: `a"b`}}},
		{"ampersand in the version", "vmafossexec-xml", "version", modern(), WriteOptions{Version: "a&b"}},
		{"line feed in the list of models", "vmafossexec-xml vmafossexec-json", "list of models", modern(), WriteOptions{Run: Run{BootstrapNames: "a\nb"}}},
	} {
		for _, f := range []Format{VmafossexecXML, VmafossexecJSON, VmafossexecCSV} {
			var out bytes.Buffer
			err := Write(&out, f, c.table, c.opt)
			refuse := strings.Contains(c.formats, f.String())
			if refuse != errors.Is(err, ErrUnwritable) || !refuse && err != nil || refuse && !strings.Contains(err.Error(), c.message) {
				t.Errorf("%s: %v: error %v, want refused: %v, with %q", c.what, f, err, refuse, c.message)
			}
			if err != nil && out.Len() > 0 {
				t.Errorf("%s: %v: %d bytes written before the refusal", c.what, f, out.Len())
			}
		}
	}
	if err := Write(&bytes.Buffer{}, VmafossexecXML, modern(), WriteOptions{Run: Run{Pool: "max"}}); err == nil || !strings.Contains(err.Error(), `"max"`) {
		t.Errorf("pooling method max: error %v", err)
	}
}
