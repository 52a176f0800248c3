package workflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// documents finds the documents of models: those of the request at hand first, then those that the store keeps.
type documents struct {
	fresh map[string][]byte // by digest
	store interface {
		Document(ctx context.Context, digest string) ([]byte, error)
	}
}

func (d documents) find(ctx context.Context, digest string) ([]byte, error) {
	if text, ok := d.fresh[digest]; ok {
		return text, nil
	}
	return d.store.Document(ctx, digest)
}

// parseModel makes the model of a specification. Its errors are about the specification.
func (d documents) parseModel(ctx context.Context, spec store.ModelSpec) (*vmaf.Model, error) {
	if spec.Document == "" {
		return vmaf.ParseModel(spec.Spec, nil)
	}
	text, err := d.find(ctx, spec.Document)
	if err != nil {
		return nil, fmt.Errorf("document of model %q: %w", spec.Spec, err)
	}
	// The label stands where a file's path would, so that names and messages are those of the file that the client read.
	label, options, _ := strings.Cut(strings.TrimPrefix(spec.Spec, "path="), ":")
	if label == "" {
		return nil, errors.New("model with a document: its spec has to begin with a label")
	}
	path := "path=" + label
	if options != "" {
		path += ":" + options
	}
	return vmaf.ParseModel(path, func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil })
}

// parsePlan makes the domain's plan of models and features, with everything that logs can hold.
func (d documents) parsePlan(ctx context.Context, specs []store.ModelSpec, features []string, field string) (*vmaf.Plan, error) {
	var errs []error
	var models []*vmaf.Model
	for i, spec := range specs {
		m, err := d.parseModel(ctx, spec)
		if err != nil {
			errs = append(errs, &FieldError{fmt.Sprintf("%smodels[%d].spec", field, i), err})
			continue
		}
		models = append(models, m)
	}
	models, err := vmaf.DistinctNames(models)
	if err != nil {
		errs = append(errs, &FieldError{field + "models", err})
	}
	var extra []vmaf.Extraction
	for i, text := range features {
		e, err := vmaf.ParseExtraction(text)
		if err == nil {
			err = e.Computable()
		}
		if err != nil {
			errs = append(errs, &FieldError{fmt.Sprintf("%sfeatures[%d]", field, i), err})
			continue
		}
		extra = append(extra, e)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	plan, err := vmaf.NewPlan(models, extra)
	if err != nil {
		return nil, &FieldError{field + "models", err}
	}
	return plan, nil
}

// asked is what a request names itself: the models and features of its presets, then its own.
func asked(r *store.Request) (specs []store.ModelSpec, features []string, err error) {
	var errs []error
	for i, text := range r.Presets {
		models, extra, err := vmaf.ParsePreset(text)
		if err != nil {
			errs = append(errs, &FieldError{fmt.Sprintf("spec.presets[%d]", i), err})
		}
		for _, spec := range models {
			specs = append(specs, store.ModelSpec{Spec: spec})
		}
		features = append(features, extra...)
	}
	return append(specs, r.Models...), append(features, r.Features...), errors.Join(errs...)
}

// describeModels is what is kept of the models of a plan.
func describeModels(specs []store.ModelSpec, plan *vmaf.Plan) []store.Model {
	list := make([]store.Model, len(plan.Models))
	for i, m := range plan.Models {
		list[i] = store.Model{ModelSpec: specs[i], Name: m.Name, Version: m.Version, Digest: m.Digest, Series: m.Series()}
	}
	return list
}

// modelSpecs are the specifications of models as they were used.
func modelSpecs(models []store.Model) []store.ModelSpec {
	list := make([]store.ModelSpec, len(models))
	for i, m := range models {
		list[i] = m.ModelSpec
	}
	return list
}

// defaultPools are the poolings of aggregate scores where neither request nor rules say.
func defaultPools() []vmaf.PoolMethod {
	var list []vmaf.PoolMethod
	for text := range strings.FieldsSeq(poolsByDefault) {
		list = append(list, vmaf.PoolMethod(text))
	}
	return list
}
