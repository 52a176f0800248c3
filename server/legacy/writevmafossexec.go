package legacy

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vqsd/vqsd/vmaf"
)

// vmafossexecFeatures are the columns of vmafossexec's logs that are of features, and the series of libvmaf's that stand for one where there is
// none of the same name. Its psnr is luma's, with the same caps. Source: spec/legacy-logs.md §B.2.
var vmafossexecFeatures = [...]struct{ name, stand string }{
	{"adm2", "integer_adm2"},
	{"adm_scale0", "integer_adm_scale0"}, {"adm_scale1", "integer_adm_scale1"}, {"adm_scale2", "integer_adm_scale2"}, {"adm_scale3", "integer_adm_scale3"},
	{"motion", "integer_motion"}, {"motion2", "integer_motion2"},
	{"ms_ssim", "float_ms_ssim"}, {"psnr", "psnr_y"}, {"ssim", "float_ssim"},
	{"vif", ""},
	{"vif_scale0", "integer_vif_scale0"}, {"vif_scale1", "integer_vif_scale1"}, {"vif_scale2", "integer_vif_scale2"}, {"vif_scale3", "integer_vif_scale3"},
}

// vmafossexecCollection are the columns of a collection of models, and how libvmaf calls their series after the name of the score.
var vmafossexecCollection = [...]struct{ name, suffix string }{
	{"bagging", "_bagging"}, {"ci95_high", "_ci_p95_hi"}, {"ci95_low", "_ci_p95_lo"}, {"stddev", "_stddev"},
}

// vmafossexecColumns are the columns of a table that vmafossexec's logs have a place for, in their alphabetical order.
func vmafossexecColumns(t *vmaf.Table, score string) []column {
	if score == "" {
		score = "vmaf"
	}
	index := make(map[string]int, len(t.Series))
	for k := range slices.Backward(t.Series) { // of equal names, the first one
		index[t.Series[k].Name] = k
		index[vmaf.Alias(t.Series[k].Name)] = k
	}
	var columns []column
	add := func(name string, sources ...string) {
		for _, source := range sources {
			if k, ok := index[source]; ok && source != "" {
				columns = append(columns, column{t.Series[k], k, name})
				return
			}
		}
	}
	add("vmaf", score)
	for _, f := range vmafossexecFeatures {
		add(f.name, f.name, f.stand)
	}
	for _, c := range vmafossexecCollection {
		add(c.name, score+c.suffix, c.name)
	}
	for name := range index {
		if member, ok := strings.CutPrefix(name, vmaf.Alias(score)+"_"); ok && isMember(member) {
			add("vmaf_"+member, name)
		}
	}
	slices.SortFunc(columns, func(a, b column) int { return strings.Compare(a.name, b.name) })
	return columns
}

// isMember says whether text is the number of a collection's member, from 0001.
func isMember(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n > 0 && len(text) == 4
}

// prepareVmafossexec checks what vmafossexec's forms need.
func (o *writer) prepareVmafossexec(f Format) (err error) {
	run := o.opt.Run
	if o.method, err = vmafossexecPoolMethod(run.Pool); err != nil {
		return err
	}
	if f != VmafossexecCSV {
		for what, text := range map[string]string{"version": o.opt.Version, "model": run.Model, "list of models": run.BootstrapNames} {
			if err := checkText(f, text); err != nil {
				return fmt.Errorf("%s %q: %w", what, text, err)
			}
		}
	}
	o.columns = vmafossexecColumns(o.t, run.Score)
	score := slices.IndexFunc(o.columns, func(c column) bool { return c.name == "vmaf" })
	if score < 0 {
		if run.Score != "" {
			return fmt.Errorf("no series %q: %w without a VMAF score", run.Score, ErrUnwritable)
		}
		return fmt.Errorf("no series \"vmaf\": %w without a VMAF score; say which series is one, or choose another log format", ErrUnwritable)
	}
	for _, c := range o.columns {
		if err := o.checkVmafossexecValues(f, c); err != nil {
			return err
		}
	}
	if f == VmafossexecCSV {
		return o.checkComplete()
	}
	for _, p := range vmafossexecPooled {
		k := slices.IndexFunc(o.columns, func(c column) bool { return c.name == p.column })
		if k < 0 {
			continue
		}
		x, ok := o.pooled(o.columns[k], o.method)
		switch {
		case !ok && p.column == "vmaf":
			return fmt.Errorf("series %q has not a value for every frame: %w without a pooled one; choose another log format", o.columns[k].Series.Name, ErrUnwritable)
		case f == VmafossexecJSON && p.key == "":
			continue
		case f == VmafossexecJSON && ok && notFinite(x):
			return fmt.Errorf("the %s of %s is %v: %w, JSON having no number for it; choose another log format", o.method, p.column, x, ErrUnwritable)
		case ok && (x != 0 || p.column == "vmaf"):
			o.figures = append(o.figures, Figure{p.attribute, x})
			if f == VmafossexecJSON {
				o.figures[len(o.figures)-1].Name = p.key
			}
		}
	}
	return nil
}

// checkVmafossexecValues refuses values that JSON has no number for, and a series in decibels where vmafossexec has none.
func (o *writer) checkVmafossexecValues(f Format, c column) error {
	ssim := strings.HasPrefix(c.Series.Name, "float_") && strings.HasSuffix(c.Series.Name, "ssim")
	if f != VmafossexecJSON && !ssim {
		return nil
	}
	for i := range o.t.Frames {
		x, ok := c.At(i)
		switch {
		case !ok || !o.t.Measured(i):
		case ssim && x > 1:
			return fmt.Errorf("%s of frame %d is %v, in decibels: %w as %s, which is not; choose another log format", c.Series.Name, i, x, ErrUnwritable, c.name)
		case f == VmafossexecJSON && notFinite(fiveDecimals(x)):
			return fmt.Errorf("%s of frame %d is %v: %w, JSON having no number for it; choose another log format", c.Series.Name, i, x, ErrUnwritable)
		}
	}
	return nil
}

// fiveDecimals is how vmafossexec rounds what its JSON lists of frames.
func fiveDecimals(x float64) float64 { return math.Round(x*1e5) / 1e5 }

// bootstrapModels is how many models a collection has: as stated, else as there are columns.
func (o *writer) bootstrapModels() int {
	if n := o.opt.Run.BootstrapModels; n != 0 {
		return n
	}
	n := 0
	for _, c := range o.columns {
		if strings.HasPrefix(c.name, "vmaf_") {
			n++
		}
	}
	return n
}

func (o *writer) vmafossexecXML() {
	const digits = 6 // of every number but the counts
	attribute := func(name string, x float64) {
		o.text(name, `="`)
		o.significant(x, digits)
		o.text(`" `)
	}
	run := o.opt.Run
	o.text("<?xml version=\"1.0\"?>\n<VMAF version=\"", o.opt.Version, "\">\n\t<params model=\"", run.Model, `" scaledWidth="`)
	o.int(o.t.Width)
	o.text(`" scaledHeight="`)
	o.int(o.t.Height)
	o.text(`" subsample="`)
	o.int(max(o.t.Subsample, 1))
	o.text(`" num_bootstrap_models="`)
	o.int(o.bootstrapModels())
	o.text(`" bootstrap_model_list_str="`, run.BootstrapNames, "\" />\n\t<fyi numOfFrames=\"")
	o.int(o.listed())
	o.text(`" `)
	for _, p := range o.figures {
		attribute(p.Name, p.Value)
	}
	if run.Pool != "" {
		o.text(`poolMethod="`, run.Pool, `" `)
	}
	if !math.IsNaN(o.t.FPS) {
		attribute("execFps", o.t.FPS)
	}
	if run.TimeTaken != 0 && !math.IsNaN(run.TimeTaken) {
		attribute("timeTaken", run.TimeTaken)
	}
	o.text("/>\n\t<frames>\n")
	for i := range o.t.Frames {
		if !o.hasFrame(i) {
			continue
		}
		o.text("\t\t<frame frameNum=\"")
		o.int(i)
		o.text(`" `)
		for _, c := range o.columns {
			if x, ok := c.At(i); ok {
				attribute(c.name, x)
			}
		}
		o.text("/>\n")
	}
	o.text("\t</frames>\n</VMAF>\n")
}

func (o *writer) vmafossexecJSON() {
	run := o.opt.Run
	o.text("{\n  \"version\":\"", o.opt.Version, "\",\n  \"params\":{\n    \"model\":\"", run.Model, "\",\n    \"scaledWidth\":")
	o.int(o.t.Width)
	o.text(",\n    \"scaledHeight\":")
	o.int(o.t.Height)
	o.text(",\n    \"subsample\":")
	o.int(max(o.t.Subsample, 1))
	o.text(",\n    \"num_bootstrap_models\":")
	o.int(o.bootstrapModels())
	o.text(",\n    \"bootstrap_model_list_str\":\"", run.BootstrapNames, "\"\n  },\n  \"metrics\":[")
	for k, c := range o.columns {
		o.separate(k)
		o.text(`    "`, c.name, `"`)
	}
	o.text("\n  ],\n  \"frames\":[")
	listed := 0
	for i := range o.t.Frames {
		if !o.hasFrame(i) {
			continue
		}
		o.separate(listed)
		listed++
		o.text("    {\n      \"frameNum\":")
		o.int(i)
		o.text(",\n      \"metrics\":{")
		values := 0
		for _, c := range o.columns {
			x, ok := c.At(i)
			if !ok {
				continue
			}
			o.separate(values)
			values++
			if o.opt.Precision == 0 {
				x = fiveDecimals(x)
			}
			o.vmafossexecMember("        ", c.name, x)
		}
		o.text("\n      }\n    }")
	}
	if listed == 0 {
		o.text(" ]")
	} else {
		o.text("\n  ]")
	}
	for k, p := range o.figures {
		o.text(",\n")
		o.vmafossexecMember("  ", p.Name, p.Value)
		if k == 0 && !notFinite(o.t.FPS) {
			o.text(",\n")
			o.vmafossexecMember("  ", "ExecFps", o.t.FPS)
		}
	}
	o.text("\n}\n")
}

// vmafossexecMember writes a number of vmafossexec's JSON, which always looks like one that may have a fraction.
func (o *writer) vmafossexecMember(indent, name string, x float64) {
	o.text(indent, `"`, name, `":`)
	const digits = 16
	o.significant(x, digits)
	if !slices.ContainsFunc(o.buf, func(c byte) bool { return c == '.' || c == 'e' }) {
		o.text(".0")
	}
}

func (o *writer) vmafossexecCSV() {
	o.text("Frame,Width,Height,")
	for _, c := range o.columns {
		o.text(c.name, ",")
	}
	o.text("\n")
	for i := range o.t.Frames {
		if !o.hasFrame(i) {
			continue
		}
		for _, n := range [...]int{i, o.t.Width, o.t.Height} {
			o.int(n)
			o.text(",")
		}
		for _, c := range o.columns {
			x := c.Values[i] // present: checkComplete
			if o.opt.Precision == 0 {
				x = float64(float32(x))
			}
			o.fixed(x, 4)
			o.text(",")
		}
		o.text("\n")
	}
}
