package rules

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/vmaf"
)

// Choice is a value that a rule chose. The zero value means that no rule did.
type Choice[T any] struct {
	Value T
	Rule  string
}

// IsSet says whether a rule chose.
func (c Choice[T]) IsSet() bool { return c.Rule != "" }

// Decision is what the rules make of a ladder.
type Decision struct {
	// Models are specifications for [vmaf.ParseModel], those of all renditions in their order, each once. It is empty where no
	// rule names a model; where the request names its own, it has what add_models puts beside them.
	Models []Choice[string]
	// Features are extractions for [vmaf.ParseExtraction], in the same way.
	Features []Choice[string]
	// Pools are pooling methods in the form of [vmaf.PoolMethod], in the same way.
	Pools []Choice[string]

	BitDepth    Choice[string] // one of BitDepthNames
	ChunkFrames Choice[int64]  // length of a chunk in reference frames: the smallest that a rendition asks for
	Pairing     Choice[string] // one of PairingNames
	Class       Choice[string] // one of ClassNames

	Renditions []RenditionDecision // as given to Decide
	Fired      []Fired             // by rendition, and in the order of the rules
	Warnings   []Warning           // in the order of the rules
}

// RenditionDecision is what differs between the renditions of a ladder.
type RenditionDecision struct {
	// Scale is one of ScaleNames. As in a request, it also lets pictures of another shape be stretched; where it is not set, the
	// filter is bicubic and another shape is refused.
	Scale    Choice[string]
	Geometry Choice[Geometry]
	Encoded  Choice[Encoded]
	// Refusals are why the rendition is not to be measured. It has no say in what is decided for the whole ladder then.
	Refusals []Choice[string]
}

// Refused says whether the rendition is not to be measured.
func (r *RenditionDecision) Refused() bool { return len(r.Refusals) > 0 }

// Fired is a rule that fired for a rendition.
type Fired struct {
	Rule      string
	Rendition int    // from 0
	Settings  string // what the rule sets, as [Settings.String] has it
}

// Warning is what a rule has to say about some of the renditions.
type Warning struct {
	Rule, Text string
	Renditions []int
}

// EvaluationError is a condition that could not be evaluated.
type EvaluationError struct {
	Rule      string
	Rendition int    // from 0
	Path      string // of the rendition, last element
	Err       error
}

func (e *EvaluationError) Error() string {
	return fmt.Sprintf("rule %q on rendition %d (%s): when: %v", e.Rule, e.Rendition+1, e.Path, e.Err)
}

func (e *EvaluationError) Unwrap() error { return e.Err }

// ConflictError is a setting that must be one for the whole ladder, and that rules set differently for its renditions.
type ConflictError struct {
	Setting       string
	Values, Rules [2]string
	Renditions    [2]int // from 0
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s must be one for all renditions: rule %q sets %s for rendition %d, and rule %q sets %s for rendition %d; name it in the request, or measure them apart",
		e.Setting, e.Rules[0], e.Values[0], e.Renditions[0]+1, e.Rules[1], e.Values[1], e.Renditions[1]+1)
}

// assumedRate is what chunk_seconds is counted in where the reference's frame rate is not known, in frames a second.
const assumedRate = 25

// picks are the choices for one rendition.
type picks struct {
	models, features, pools []Choice[string]
	chunk                   Choice[int64]
	depth, pairing, class   Choice[string]
	rendition               RenditionDecision
}

// Decide applies the rules to a ladder of at least one rendition.
//
// Errors, joined where there are several: [*EvaluationError]; [*ConflictError]; models or features of several rules that cannot be
// measured together.
func (s *Set) Decide(ref Video, dis []Video, req Request) (*Decision, error) {
	if len(dis) == 0 {
		return nil, errors.New("rules are decided for at least one rendition; there is none")
	}
	if req.Renditions == 0 {
		req.Renditions = len(dis)
	}
	d := &Decision{}
	all := make([]picks, len(dis))
	warnings := map[string][]int{}
	var errs []error
	for k := range dis {
		p := &pair{&ref, &dis[k], &req}
		for i := range s.rules {
			rule := &s.rules[i]
			fires, err := rule.condition.holds(p)
			if err != nil {
				errs = append(errs, &EvaluationError{rule.Name, k, dis[k].base(), err})
				continue
			}
			if !fires {
				continue
			}
			d.Fired = append(d.Fired, Fired{rule.Name, k, rule.Then.String()})
			all[k].apply(rule, &ref, &req)
			if rule.Then.Warn != "" {
				warnings[rule.Name] = append(warnings[rule.Name], k)
			}
		}
		d.Renditions = append(d.Renditions, all[k].rendition)
	}
	for _, rule := range s.rules {
		if list := warnings[rule.Name]; len(list) > 0 {
			d.Warnings = append(d.Warnings, Warning{rule.Name, rule.Then.Warn, list})
		}
	}
	errs = append(errs, d.join(all))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return d, nil
}

// apply lets a rule that fired override what earlier ones chose.
func (p *picks) apply(rule *Rule, ref *Video, req *Request) {
	s, name := &rule.Then, rule.Name
	if len(s.Models) > 0 && req.ModelsAuto {
		p.models = choices(s.Models, name)
	}
	p.models = append(p.models, choices(s.AddModels, name)...)
	p.features = append(p.features, choices(s.Features, name)...)
	if len(s.Pools) > 0 && !req.Given.Pools {
		p.pools = choices(s.Pools, name)
	}
	if s.Scale != "" && !req.Given.Scale {
		p.rendition.Scale = Choice[string]{s.Scale, name}
	}
	if (s.Geometry != Geometry{}) && !req.Given.Geometry {
		p.rendition.Geometry = Choice[Geometry]{s.Geometry, name}
	}
	if s.BitDepth != "" && !req.Given.BitDepth {
		p.depth = Choice[string]{s.BitDepth, name}
	}
	if (s.Encoded != Encoded{}) && !req.Given.Encoded {
		p.rendition.Encoded = Choice[Encoded]{s.Encoded, name}
	}
	if frames := s.chunkFrames(ref); frames > 0 && !req.Given.Chunk {
		p.chunk = Choice[int64]{frames, name}
	}
	if s.Pairing != "" && !req.Given.Pairing {
		p.pairing = Choice[string]{s.Pairing, name}
	}
	if s.Class != "" && !req.Given.Class {
		p.class = Choice[string]{s.Class, name}
	}
	if s.Refuse != "" {
		p.rendition.Refusals = append(p.rendition.Refusals, Choice[string]{s.Refuse, name})
	}
}

func choices(values []string, rule string) (list []Choice[string]) {
	for _, v := range values {
		list = append(list, Choice[string]{v, rule})
	}
	return list
}

// chunkFrames is the chunk length in reference frames, 0 where it is not set. Seconds are rounded up to whole frames.
func (s *Settings) chunkFrames(ref *Video) int64 {
	if s.ChunkSeconds == 0 {
		return s.ChunkFrames
	}
	rate := ref.FrameRate
	if !(rate > 0) {
		rate = assumedRate
	}
	return int64(min(max(math.Ceil(s.ChunkSeconds*rate), 1), maxChunkFrames))
}

// join decides what is one for the whole ladder.
func (d *Decision) join(all []picks) error {
	depth, pairing, class := agreement{setting: "bit_depth"}, agreement{setting: "pairing"}, agreement{setting: "class"}
	for k := range all {
		p := &all[k]
		if p.rendition.Refused() {
			continue
		}
		d.Models = unite(d.Models, p.models, canonicalModel)
		d.Features = unite(d.Features, p.features, canonicalFeature)
		d.Pools = unite(d.Pools, p.pools, nil)
		if p.chunk.IsSet() && (!d.ChunkFrames.IsSet() || p.chunk.Value < d.ChunkFrames.Value) {
			d.ChunkFrames = p.chunk
		}
		depth.hear(p.depth, k)
		pairing.hear(p.pairing, k)
		class.hear(p.class, k)
	}
	d.BitDepth, d.Pairing, d.Class = depth.choice, pairing.choice, class.choice
	errs := []error{depth.err, pairing.err, class.err}
	if err := checkTogether(values(d.Models), values(d.Features)); err != nil {
		errs = append(errs, fmt.Errorf("the rules ask for %s, which cannot be measured together: %w", enumerate(slices.Concat(d.Models, d.Features)), err))
	}
	return errors.Join(errs...)
}

// agreement is a setting that all renditions have to agree on, those that it is not set for left aside.
type agreement struct {
	setting string
	choice  Choice[string]
	from    int
	err     error
}

func (a *agreement) hear(c Choice[string], rendition int) {
	switch {
	case !c.IsSet() || a.err != nil:
	case !a.choice.IsSet():
		a.choice, a.from = c, rendition
	case a.choice.Value != c.Value:
		a.err = &ConflictError{a.setting, [2]string{a.choice.Value, c.Value}, [2]string{a.choice.Rule, c.Rule}, [2]int{a.from, rendition}}
	}
}

// unite appends what is not in the list yet. canonical makes equal what means the same; nil: equal texts alone do.
func unite(list, more []Choice[string], canonical func(string) string) []Choice[string] {
	same := func(a, b string) bool { return a == b || canonical != nil && canonical(a) == canonical(b) }
	for _, c := range more {
		if !slices.ContainsFunc(list, func(have Choice[string]) bool { return same(have.Value, c.Value) }) {
			list = append(list, c)
		}
	}
	return list
}

// canonicalModel tells "NAME" and "version=NAME" to be the same. Rules have been checked when they were read: an error cannot be.
func canonicalModel(spec string) string {
	if m, err := vmaf.ParseModel(spec, nil); err == nil {
		return m.String()
	}
	return spec
}

func canonicalFeature(text string) string {
	if e, err := vmaf.ParseExtraction(text); err == nil {
		return e.String()
	}
	return text
}

func values(list []Choice[string]) (texts []string) {
	for _, c := range list {
		texts = append(texts, c.Value)
	}
	return texts
}

func enumerate(list []Choice[string]) string {
	var texts []string
	for _, c := range list {
		texts = append(texts, fmt.Sprintf("%s (rule %q)", c.Value, c.Rule))
	}
	return strings.Join(texts, ", ")
}
