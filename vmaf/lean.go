package vmaf

import "slices"

// Lean is the plan reduced to its models: a table of it holds the features that they use and their scores, and nothing
// else that the extractors could report. What is left is the same to the bit. It is for when nobody asked for features:
// ADM's additive impairment, which the first generation of models does not look at, is then not computed.
//
// A plan without models has nothing to reduce and is returned as it is.
func (p *Plan) Lean() *Plan {
	if len(p.Models) == 0 {
		return p
	}
	lean := &Plan{Models: p.Models, Extractions: slices.Clone(p.Extractions), inputs: p.inputs}
	lean.used = make([][]bool, len(p.Extractions))
	for i, e := range p.Extractions {
		lean.used[i] = make([]bool, len(e.outputs()))
	}
	for _, inputs := range p.inputs {
		for _, from := range inputs {
			lean.used[from.extraction][from.output] = true
		}
	}
	for i, e := range lean.Extractions {
		lean.Extractions[i] = e.without(lean.used[i])
	}
	return lean
}

// reports says whether a table of the plan holds an output.
func (p *Plan) reports(extraction, output int) bool {
	return p.used == nil || p.used[extraction][output]
}

// without is the extraction with whatever can be switched off that only outputs need that are not used.
func (e Extraction) without(used []bool) Extraction {
	if e.extractor.name != "adm" {
		return e
	}
	for k, o := range e.outputs() {
		if used[k] && (o.raw == "aim" || o.raw == "adm3") {
			return e
		}
	}
	e.values = slices.Clone(e.values)
	for i, o := range e.extractor.options {
		if o.key == "adm_skip_aim" {
			e.values[i].truth = true
		}
	}
	return e
}
