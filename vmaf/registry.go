package vmaf

import "fmt"

// extractor is what is known about one feature extractor. The registry is a table of them: a new extractor is one more
// entry and, where its series are formed from raw figures at assembly, one function.
type extractor struct {
	name     string
	spelling string   // another name that users may give it; empty: none
	options  []option // ascending by key, which is the order of names
	outputs  []output // in the order they are reported

	minWidth, minHeight int // smallest luma size that it is defined for, whatever the layout and options
	// referenceOnly extractors do not look at the distorted picture.
	referenceOnly bool
	// computable is false for extractors that this version knows by name only.
	computable bool

	// check refuses option sets that are in range one by one, but not together. May be nil.
	check func(Extraction) error
	// fit finds what the extractor needs of pictures beyond the smallest size. May be nil.
	fit func(Extraction, *formatCheck)
	// chroma says whether it looks at the chroma planes; nil: it does not.
	chroma func(Extraction) bool

	// raw names the figures that a backend delivers per frame; nil: those of the outputs.
	raw func(Extraction) []string
	// rawKey names what the raw figures depend on; nil: all options that are not applied at assembly.
	rawKey func(Extraction) string
	// figures is how the outputs of one frame are formed of its raw figures: for the options and the format, a function that
	// takes the one and fills the other. nil: they are the raw figures.
	figures func(Extraction, Format) func(raw, out []float64)
	// sequence is that of extractors whose outputs depend on neighbouring frames: from the columns of all raw figures to
	// those of all outputs. Their series have values of all frames, whatever subsampling leaves out.
	sequence func(e Extraction, raw [][]float64, f Format, frames int) [][]float64
	// aggregates are the figures of the whole sequence, of the raw columns of all its frames. May be nil.
	aggregates func(e Extraction, raw [][]float64, f Format, frames int) []Aggregate
}

// output is one series that an extractor reports.
type output struct {
	stored string   // internal name, without options
	raw    string   // what a backend calls it, where it is a raw figure
	when   []string // the boolean options that must be on
	late   bool     // reported after everything that the first frame reports at once
	plain  bool     // keeps its name whatever the options
	chroma bool     // not reported of pictures without chroma
}

// scales lists one output for each of the four scales.
func scales(stored, raw string) (list []output) {
	for s := range 4 {
		list = append(list, output{stored: fmt.Sprintf(stored, s), raw: fmt.Sprintf(raw, s)})
	}
	return list
}

// numDenScales lists numerator and denominator of each of the four scales.
func numDenScales(stored, raw string) (list []output) {
	for s := range 4 {
		for _, part := range []string{"num", "den"} {
			list = append(list, output{
				stored: fmt.Sprintf("%s_%s_scale%d", stored, part, s),
				raw:    fmt.Sprintf("%s_%s_scale%d", raw, part, s),
				when:   []string{"debug"},
			})
		}
	}
	return list
}

func concat(lists ...[]output) (all []output) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// extractorByName and providerOf index the registry: by the names that users may give an extractor, and by the internal name of a feature.
var extractorByName, providerOf = indexExtractors()

func indexExtractors() (byName, byFeature map[string]*extractor) {
	byName, byFeature = map[string]*extractor{}, map[string]*extractor{}
	for _, x := range extractors {
		byName[x.name] = x
		if x.spelling != "" {
			byName[x.spelling] = x
		}
		for _, o := range x.outputs {
			byFeature[o.stored] = x
		}
	}
	return byName, byFeature
}
