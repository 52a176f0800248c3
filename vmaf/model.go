package vmaf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// DefaultName is what a model's score is called unless the caller says otherwise.
const DefaultName = "vmaf"

// Model turns the features of a frame into a score. It is a single trained model, or a bootstrap collection: a main model
// and members trained on resampled data, which give a confidence interval too.
//
// Make one with [Builtin], [ParseModel] or [ReadModelJSON]. A Model is immutable and may be shared between goroutines;
// its exported fields are for reading.
type Model struct {
	// Name is what the score is called in logs; a collection's further figures have it as prefix.
	Name string
	// Version says where the figures come from: the name of a built-in model, or the path of a file.
	Version string
	// Digest identifies the figures, options and flags that decide scores: the SHA-256, in hexadecimal, of a canonical text
	// of them. Names do not enter, nor does the file format.
	Digest string

	members  []*regression // one, or main model and members of a collection
	fromFile bool          // Version is a path
	options  ModelOptions  // as given
}

// ModelOptions are what a caller may change about a model. The zero value changes nothing.
type ModelOptions struct {
	// Name replaces [DefaultName].
	Name string
	// DisableClip leaves scores below and above the model's range as they are.
	DisableClip bool
	// EnableTransform switches a score transform on that the model has but does not use by default (the "phone model"
	// of vmaf_v0.6.1). Without one in the model it has no effect.
	EnableTransform bool
	// Overloads sets options of extractors, by extractor name and option key, for every feature of the model that
	// the extractor provides: {"vif": {"vif_enhn_gain_limit": "1"}}. They win over the model's own.
	Overloads map[string]map[string]string
}

// newModel makes a model of the figures of its members: of one, or of the main model and those of a collection.
func newModel(version string, fromFile bool, members []figures, o ModelOptions) (*Model, error) {
	m := &Model{Name: o.Name, Version: version, fromFile: fromFile, options: cloneOptions(o)}
	if m.Name == "" {
		m.Name = DefaultName
	}
	if err := checkModelName(m.Name); err != nil {
		return nil, err
	}
	for i, f := range members {
		r, err := newRegression(f, o.Overloads)
		if err != nil {
			return nil, inMember(err, i, len(members))
		}
		r.disableClip, r.forceEnabled = o.DisableClip, o.EnableTransform
		m.members = append(m.members, r)
	}
	for i, r := range m.members[1:] {
		if !slices.Equal(featureNames(r), m.Features()) {
			return nil, inMember(badMember("feature_names", "differ from those of the first"), i+1, len(members))
		}
	}
	for name := range o.Overloads {
		if !slices.ContainsFunc(m.members[0].inputs, func(in input) bool { return in.extraction.Extractor() == name }) {
			return nil, fmt.Errorf("%w: model %s has no feature of extractor %q whose options could be set",
				ErrUnknownFeature, version, clip(name))
		}
	}
	m.Digest = digest(m.members)
	return m, nil
}

// inMember says which of several members an error is about.
func inMember(err error, member, members int) error {
	if members == 1 {
		return err
	}
	return fmt.Errorf("collection member %d: %w", member, err)
}

func featureNames(r *regression) []string {
	names := make([]string, len(r.inputs))
	for i, in := range r.inputs {
		names[i] = in.name()
	}
	return names
}

// With is the same model with other options. Those it had before do not count.
func (m *Model) With(o ModelOptions) (*Model, error) {
	members := make([]figures, len(m.members))
	for i, r := range m.members {
		members[i] = r.figures
	}
	return newModel(m.Version, m.fromFile, members, o)
}

// Options are those the model was made with.
func (m *Model) Options() ModelOptions { return cloneOptions(m.options) }

func cloneOptions(o ModelOptions) ModelOptions {
	overloads := o.Overloads
	o.Overloads = nil
	for extractor, options := range overloads {
		if o.Overloads == nil {
			o.Overloads = map[string]map[string]string{}
		}
		o.Overloads[extractor] = maps.Clone(options)
	}
	return o
}

// String is the model in the form that [ParseModel] reads, options included. For a model read from elsewhere it is
// readable by ParseModel where Version is a path without ":".
func (m *Model) String() string {
	var b strings.Builder
	if m.fromFile {
		b.WriteString("path=")
	} else {
		b.WriteString("version=")
	}
	b.WriteString(m.Version)
	if m.Name != DefaultName {
		b.WriteString(":name=" + m.Name)
	}
	if m.options.DisableClip {
		b.WriteString(":disable_clip")
	}
	if m.options.EnableTransform {
		b.WriteString(":enable_transform")
	}
	for _, extractor := range slices.Sorted(maps.Keys(m.options.Overloads)) {
		options := m.options.Overloads[extractor]
		for _, key := range slices.Sorted(maps.Keys(options)) {
			b.WriteString(":" + extractor + "." + key + "=" + options[key])
		}
	}
	return b.String()
}

// Features are the full stored names of the model's inputs, in the order in which [Model.Predict] takes them.
func (m *Model) Features() []string { return featureNames(m.members[0]) }

// Extractions are what has to be computed for the model, in the order of its features, each once.
func (m *Model) Extractions() []Extraction {
	var list []Extraction
	seen := map[string]bool{}
	for _, in := range m.members[0].inputs {
		if key := in.extraction.Key(); !seen[key] {
			seen[key] = true
			list = append(list, in.extraction)
		}
	}
	return list
}

// Computable returns nil if this version computes every feature of the model, else an error that wraps [ErrNotComputable] and
// names the extractors that are missing.
func (m *Model) Computable() error {
	var missing []string
	for _, e := range m.Extractions() {
		if name := e.Extractor(); e.Computable() != nil && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%w: model %s needs %s, which this version cannot compute", ErrNotComputable, m.Version, strings.Join(missing, " and "))
}

// IsCollection reports whether the model is a bootstrap collection.
func (m *Model) IsCollection() bool { return len(m.members) > 1 }

// Clip is the range of the model's scores. ok is false when they are not bounded.
func (m *Model) Clip() (lo, hi float64, ok bool) {
	r := m.members[0]
	if r.clip == nil || r.disableClip {
		return 0, 0, false
	}
	return r.clip.lo, r.clip.hi, true
}

// HasTransform reports whether the model has a score transform, and whether it is applied.
func (m *Model) HasTransform() (has, applied bool) {
	r := m.members[0]
	if r.transform == nil {
		return false, false
	}
	return true, r.transform.enabled || r.forceEnabled
}

// Predict is the score of one frame: of the model, or of a collection's main model. x has one value per element of
// [Model.Features], in that order; another length panics.
//
// Source: spec/prediction.md §4.
func (m *Model) Predict(x []float64) float64 {
	m.checkInputs(x)
	r := m.members[0]
	return r.finish(r.raw(x))
}

func (m *Model) checkInputs(x []float64) {
	if n := len(m.members[0].features); len(x) != n {
		panic(fmt.Sprintf("vmaf: %d values for the %d features of model %s", len(x), n, m.Version))
	}
}

// checkModelName refuses names that cannot stand in a log file or a command line.
func checkModelName(name string) error {
	const most = 128
	if len(name) > most {
		return fmt.Errorf("model name %q exceeds %d characters", clip(name), most)
	}
	for _, c := range name {
		switch {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', strings.ContainsRune("_.-+@", c):
		default:
			return fmt.Errorf("model name %q has a character other than letters, digits and _ . - + @", clip(name))
		}
	}
	return nil
}
