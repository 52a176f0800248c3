package vmaf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Plan is what has to be computed for a number of models and additional features, and how it becomes a [Table]. It is
// immutable.
type Plan struct {
	Models []*Model
	// Extractions are in the order in which libvmaf registers them: those of the models, in the order of models and of
	// their features, then the additional ones. No two have the same [Extraction.Key].
	Extractions []Extraction

	inputs [][]seriesIndex // per model: where its features come from
	used   [][]bool        // by extraction and output: reported; nil: all are. See [Plan.Lean]
}

// seriesIndex is one output of one extraction of the plan.
type seriesIndex struct{ extraction, output int }

// NewPlan plans the measurement of models and of extra features.
//
// Extractions of equal key are computed once. Where they differ in options that only add figures, such as debug, one is
// planned that has them all. Where they differ otherwise (adm_skip_aim), they would report different figures under
// one name, which is refused.
//
// Errors, joined where there are several: [ErrNotComputable]; [ErrNameTaken] for models of one name, or of a feature's
// name.
func NewPlan(models []*Model, extra []Extraction) (*Plan, error) {
	if len(models) == 0 && len(extra) == 0 {
		return nil, errors.New("plan without models and features: name at least one")
	}
	p := &Plan{Models: slices.Clone(models)}
	var errs []error
	for _, m := range models {
		if err := m.Computable(); err != nil {
			errs = append(errs, err)
			continue
		}
		for _, e := range m.Extractions() {
			errs = append(errs, p.add(e))
		}
	}
	for _, e := range extra {
		if err := e.Computable(); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, p.add(e))
	}
	errs = append(errs, p.checkNames())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, p.wire()
}

// add registers an extraction, or merges it with the one of the same key.
func (p *Plan) add(e Extraction) error {
	for i, have := range p.Extractions {
		if have.Key() != e.Key() {
			continue
		}
		merged, err := have.merge(e)
		if err != nil {
			return err
		}
		p.Extractions[i] = merged
		return nil
	}
	p.Extractions = append(p.Extractions, e)
	return nil
}

// merge joins two extractions of one key. The result reports what either does.
func (e Extraction) merge(other Extraction) (Extraction, error) {
	e.values = slices.Clone(e.values)
	for i, o := range e.extractor.options {
		switch {
		case e.values[i] == other.values[i]:
		case o.additive:
			e.values[i].truth = true
		default:
			return Extraction{}, fmt.Errorf("%w: %s and %s would report different figures under one name; ask for one of them", ErrNameTaken, e, other)
		}
	}
	return e, nil
}

// checkNames requires that no two series have the same name, neither as stored nor as printed.
func (p *Plan) checkNames() error {
	owners := map[string]string{}
	var errs []error
	take := func(name, owner string) {
		name = Alias(name)
		if earlier, taken := owners[name]; taken {
			remedy := "ask for one of them"
			if strings.HasPrefix(owner, "model ") {
				remedy = "give the model another name (name=…)"
			}
			errs = append(errs, fmt.Errorf("%w: %s is reported by %s and by %s; %s", ErrNameTaken, name, earlier, owner, remedy))
			return
		}
		owners[name] = owner
	}
	for _, e := range p.Extractions {
		for _, name := range e.Series() {
			take(name, "feature "+e.String())
		}
	}
	for _, m := range p.Models {
		for _, name := range m.Series() {
			take(name, "model "+m.Version)
			if len(errs) > 0 {
				break // the other series of a collection would only repeat it
			}
		}
	}
	return errors.Join(errs...)
}

// wire finds the inputs of every model among the outputs of the extractions.
func (p *Plan) wire() error {
	where := map[string]seriesIndex{}
	for i, e := range p.Extractions {
		for k, name := range e.Series() {
			where[name] = seriesIndex{i, k}
		}
	}
	for _, m := range p.Models {
		var inputs []seriesIndex
		for _, name := range m.Features() {
			at, ok := where[name]
			if !ok {
				return fmt.Errorf("%w: no extraction of the plan reports %s for model %s", ErrUnknownFeature, name, m.Version)
			}
			inputs = append(inputs, at)
		}
		p.inputs = append(p.inputs, inputs)
	}
	return nil
}

// Halo is how many reference pictures before a chunk its extractions need.
func (p *Plan) Halo() int {
	halo := 0
	for _, e := range p.Extractions {
		halo = max(halo, e.Halo())
	}
	return halo
}

// NeedsChroma says whether any of its extractions looks at chroma.
func (p *Plan) NeedsChroma() bool {
	for _, e := range p.Extractions {
		if e.NeedsChroma() {
			return true
		}
	}
	return false
}
