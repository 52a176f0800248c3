package workflow

import (
	"slices"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/protocol"
	"github.com/vqsd/vqsd/workflow/rules"
)

// Words for what CAMBI takes pictures to have been encoded as.
const (
	encodedAuto     = "auto"
	encodedCompared = "compared"
)

// encodedByDefault is what holds where neither request nor rules say: the file's. Test conditions know nothing of that: their figures are of the
// pictures compared.
func encodedByDefault(r *store.Request) string {
	if len(r.Presets) > 0 {
		return encodedCompared
	}
	return encodedAuto
}

// expect says how media are likely to be compared, so that they need not be inspected again once rules have decided.
func (s *Service) expect(r *store.Request, plan *vmaf.Plan) (bits int, chroma bool) {
	var models []*vmaf.Model
	if plan != nil {
		models, chroma = plan.Models, plan.NeedsChroma()
	}
	for _, rule := range s.cfg.Rules.Rules() {
		if !r.ModelsAuto() {
			break // rules seldom add to what a request names
		}
		for _, spec := range slices.Concat(rule.Then.Models, rule.Then.AddModels) {
			if m, err := vmaf.ParseModel(spec, nil); err == nil { // rules have been checked
				models = append(models, m)
				for _, e := range m.Extractions() {
					chroma = chroma || e.NeedsChroma()
				}
			}
		}
	}
	bits, _ = rules.Depth(r.BitDepth, "", models)
	return bits, chroma
}

// comparedIn is the format that a rendition is compared in. One that is corrupt is the zero format, which [Service.tableOf] reports.
func comparedIn(f store.Format) vmaf.Format {
	format, err := formatOf(f)
	if err != nil {
		return vmaf.Format{}
	}
	return format
}

// encodedOf is a rendition's Encoded in the domain's words; the zero value says nothing.
func encodedOf(d *store.Rendition) vmaf.Encoded {
	if d.Encoded == nil {
		return vmaf.Encoded{}
	}
	return vmaf.Encoded{Width: d.Encoded.Width, Height: d.Encoded.Height, BitsPerComponent: d.Encoded.BitDepth}
}

// told is a plan's extraction as it is measured for a rendition: told how that was encoded.
func told(e vmaf.Extraction, d *store.Rendition) vmaf.Extraction {
	return e.WithEncoded(encodedOf(d), comparedIn(d.Format))
}

// planFor is a plan as it is measured for a rendition.
func planFor(plan *vmaf.Plan, d *store.Rendition) (*vmaf.Plan, error) {
	return plan.WithEncoded(encodedOf(d), comparedIn(d.Format))
}

// toldOf is what a worker says that a rendition was encoded as.
func toldOf(in *protocol.InspectedVideo) vmaf.Encoded {
	return vmaf.Encoded{Width: in.Encoded.Width, Height: in.Encoded.Height, BitsPerComponent: in.Encoded.BitDepth}
}

// encodedAs is what CAMBI is told that a rendition was encoded as; nil: as compared. word is the plan's, and in what the worker has found out
// with it. What an extraction takes of it depends on its options, and [told] leaves that to each of them, as the engine does.
func encodedAs(word string, in *protocol.InspectedVideo) *store.Encoded {
	e := toldOf(in)
	switch given, err := rules.ParseEncoded(word); {
	case err != nil || given.Compared:
		return nil
	case !given.Auto:
		e = vmaf.Encoded{Width: given.Width, Height: given.Height, BitsPerComponent: given.BitDepth}
	}
	if e.Width == in.Format.Width && e.Height == in.Format.Height {
		e.Width, e.Height = 0, 0
	}
	if e.BitsPerComponent == in.Format.BitDepth {
		e.BitsPerComponent = 0
	}
	if e == (vmaf.Encoded{}) {
		return nil
	}
	return &store.Encoded{Width: e.Width, Height: e.Height, BitDepth: e.BitsPerComponent}
}
