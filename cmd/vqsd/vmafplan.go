package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/vmaf"
)

// vmafInstead says, for extractors of libvmaf 3.2.0 and older releases that vqsd does not compute, and for names that its --feature does not
// know, what can be used.
var vmafInstead = map[string]string{
	"float_adm":      "use adm, the integer form that all published models but the oldest use",
	"float_vif":      "use vif, the integer form that all published models but the oldest use",
	"float_motion":   "use motion, the integer form that all published models but the oldest use",
	"float_psnr":     "use psnr, of which psnr_y is the same figure to within rounding",
	"float_ansnr":    "leave it out: nothing else measures it",
	"float_moment":   "leave it out: nothing else measures it",
	"speed_temporal": "leave it out: nothing else measures it; speed_chroma is there",
	"ssim":           "use float_ssim",
	"ms_ssim":        "use float_ms_ssim",
	"ciede2000":      "use ciede, which is what its extractor is called",
	"adm_cuda":       "use adm, which a GPU computes, too",
	"vif_cuda":       "use vif, which a GPU computes, too",
	"motion_cuda":    "use motion, which a GPU computes, too",
	"adm_sycl":       "use adm",
	"vif_sycl":       "use vif",
	"motion_sycl":    "use motion",
	"null":           "leave it out: it measures nothing",
}

// vmafPlan is what is measured for a command line of the vmaf tool.
type vmafPlan struct {
	plan    *vmaf.Plan
	labels  []string // of the models, as --model names them
	empty   bool     // nothing was asked for: the plan counts frames alone
	notices []string
}

// plan loads models and features. What an option sets that its extractor does not have is passed over with a notice, as the tool passes it
// over; of extractors that would report under the same names, the first counts.
func (s *vmafSettings) plan() (*vmafPlan, error) {
	p := &vmafPlan{}
	var models []*vmaf.Model
	var extractions []vmaf.Extraction
	var errs []error
	registered := map[string]vmaf.Extraction{}
	register := func(e vmaf.Extraction) bool {
		_, taken := registered[e.Key()]
		if !taken {
			registered[e.Key()] = e
		}
		return !taken
	}
	for i := range s.models {
		m, err := p.model(&s.models[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("--model %s: %w", s.models[i].label(), err))
			continue
		}
		for _, e := range m.Extractions() {
			if register(e) && s.noPrediction {
				extractions = append(extractions, e)
			}
		}
		if !s.noPrediction {
			if m, err = followFirst(m, registered); err != nil {
				return nil, err
			}
			models, p.labels = append(models, m), append(p.labels, s.models[i].label())
		}
	}
	for _, f := range s.features {
		e, err := p.feature(f)
		if err != nil {
			errs = append(errs, fmt.Errorf("--feature %s: %w", f.name, err))
			continue
		}
		if register(e) {
			extractions = append(extractions, e)
		} else {
			p.notices = append(p.notices, fmt.Sprintf("--feature %s: %s is measured already; passed over", f.name, e.Key()))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if p.empty = len(models)+len(extractions) == 0; p.empty {
		counted, err := vmaf.NewExtraction("psnr", map[string]string{"enable_chroma": "false"})
		if err != nil {
			return nil, err
		}
		extractions = append(extractions, counted)
	}
	var err error
	if p.plan, err = vmaf.NewPlan(models, extractions); err != nil {
		return nil, err
	}
	return p, s.checkNames(p.plan)
}

// model loads one model.
func (p *vmafPlan) model(m *vmafModel) (model *vmaf.Model, err error) {
	if m.hasVersion {
		model, err = vmaf.Builtin(m.version)
	} else {
		model, err = readModelFile(m.path)
	}
	if err != nil {
		return nil, err
	}
	options := vmaf.ModelOptions{Name: m.name, DisableClip: m.disableClip, EnableTransform: m.enableTransform}
	for _, o := range m.overloads {
		name := o.extractor + "." + o.key
		if !slices.ContainsFunc(model.Extractions(), func(e vmaf.Extraction) bool { return e.Extractor() == o.extractor }) {
			p.notices = append(p.notices, fmt.Sprintf("--model %s: %s: the model has no feature of that extractor; passed over", m.label(), name))
			continue
		}
		if isUnknown(o) {
			p.notices = append(p.notices, fmt.Sprintf("--model %s: %s: there is no such option; passed over", m.label(), name))
			continue
		}
		overload(&options, o)
	}
	if model, err = model.With(options); err != nil {
		return nil, err
	}
	return model, model.Computable()
}

// overload sets an option of a model's features.
func overload(options *vmaf.ModelOptions, o vmafOption) {
	if options.Overloads == nil {
		options.Overloads = map[string]map[string]string{}
	}
	if options.Overloads[o.extractor] == nil {
		options.Overloads[o.extractor] = map[string]string{}
	}
	options.Overloads[o.extractor][o.key] = o.value
}

// followFirst gives a model's extractions the options that those registered first under the same keys have. They differ in options
// that names do not tell, such as debug; these are switches, and off where they are not named.
func followFirst(m *vmaf.Model, registered map[string]vmaf.Extraction) (*vmaf.Model, error) {
	options := m.Options()
	changed := false
	for _, e := range m.Extractions() {
		own, first := strings.Split(e.String(), ":"), strings.Split(registered[e.Key()].String(), ":")
		set := func(field, value string) {
			key, _, _ := strings.Cut(field, "=")
			overload(&options, vmafOption{e.Extractor(), key, value})
			changed = true
		}
		for _, field := range own {
			if !slices.Contains(first, field) {
				set(field, "false")
			}
		}
		for _, field := range first {
			if !slices.Contains(own, field) {
				set(field, "true")
			}
		}
	}
	if !changed {
		return m, nil
	}
	return m.With(options)
}

// readModelFile reads a model in the public JSON layout.
func readModelFile(path string) (model *vmaf.Model, err error) {
	file, err := openModel(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	model, err = vmaf.ReadModelJSON(file, path)
	if errors.Is(err, vmaf.ErrUnknownFeature) {
		err = fmt.Errorf("%w; models of floating-point features, such as vmaf_float_v0.6.1, have a counterpart of integer ones: vmaf_v0.6.1", err)
	}
	return model, err
}

// feature makes one extraction.
func (p *vmafPlan) feature(f vmafFeature) (vmaf.Extraction, error) {
	if instead, ok := vmafInstead[f.name]; ok {
		return vmaf.Extraction{}, fmt.Errorf("vqsd has no extractor of that name; %s", instead)
	}
	options := map[string]string{}
	for _, o := range f.options {
		if isUnknown(o) {
			p.notices = append(p.notices, fmt.Sprintf("--feature %s: there is no option %s; passed over", f.name, o.key))
			continue
		}
		options[o.key] = o.value // of several, the last counts
	}
	e, err := vmaf.NewExtraction(f.name, options)
	if err != nil {
		return e, err
	}
	return e, e.Computable()
}

// isUnknown says whether an extractor that there is does not have the option.
func isUnknown(o vmafOption) bool {
	_, err := vmaf.NewExtraction(o.extractor, map[string]string{o.key: o.value})
	return errors.Is(err, vmaf.ErrUnknownOption)
}

// checkNames refuses, before anything is measured, names that the log could not hold.
func (s *vmafSettings) checkNames(plan *vmaf.Plan) error {
	t := &vmaf.Table{Frames: 1, Width: 1, Height: 1}
	add := func(names []string) {
		for _, name := range names {
			t.Series = append(t.Series, vmaf.Series{Name: name, Values: []float64{0}})
		}
	}
	for _, e := range plan.Extractions {
		add(e.Series())
	}
	for _, m := range plan.Models {
		add(m.Series())
	}
	return legacy.Write(io.Discard, s.format, t, legacy.WriteOptions{Version: libvmafVersion})
}

// vmafScores are what the tool shows on a terminal: the mean of each model's score, then, of collections, that with its interval.
func (p *vmafPlan) scores(t *vmaf.Table) string {
	mean := func(name string) float64 {
		for i, series := range t.Series {
			if series.Name == name {
				v, _ := t.Pooled(i, vmaf.PoolMean) // a score has a value in every frame that is measured
				return v
			}
		}
		return 0
	}
	var plain, collections strings.Builder
	for i, m := range p.plan.Models {
		fmt.Fprintf(&plain, "%s: %f\n", p.labels[i], mean(m.Name))
		if m.IsCollection() {
			fmt.Fprintf(&collections, "%s: %f, ci.p95: [%f, %f], stddev: %f\n", p.labels[i],
				mean(m.Name+"_bagging"), mean(m.Name+"_ci_p95_lo"), mean(m.Name+"_ci_p95_hi"), mean(m.Name+"_stddev"))
		}
	}
	return plain.String() + collections.String()
}
