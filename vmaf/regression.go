package vmaf

import (
	"fmt"
	"strings"
)

// Limits of a model file. Source of the first two: spec/prediction.md §1.
const (
	MaxFeatures = 64
	MaxKnots    = 10
	// MaxModelBytes bounds the text of a model file. The largest of the published ones, a collection of 21, has 0.4 MB.
	MaxModelBytes = 4 << 20
	// MaxMembers bounds a collection: the names of members have four digits.
	MaxMembers = 1 + 9999
	// MaxComponents bounds the support vectors of all members together, a component being 8 bytes of memory.
	MaxComponents = 1 << 20
)

// figures are one trained model as read from a file, not yet checked as a whole.
type figures struct {
	features                     []featureFigures
	rescale                      bool // norm_type linear_rescale; false: none
	outputSlope, outputIntercept float64
	clip                         *clipRange
	transform                    *transform
	chroma                       *float64 // chroma_correction_parameter
	machine                      *machine
}

// featureFigures are one input of a model: the feature's internal name, its options as text, and its normalisation.
type featureFigures struct {
	name             string
	options          map[string]string
	slope, intercept float64
}

// regression is one trained model, ready to predict. It is immutable.
type regression struct {
	figures
	inputs       []input
	speed, adm   int  // the inputs that chroma correction looks at
	disableClip  bool // the two flags that a caller may set
	forceEnabled bool
}

// input is one input of a model.
type input struct {
	extraction Extraction
	output     output // which of the extraction's outputs
}

func (in input) name() string { return in.extraction.seriesName(in.output) }

// newRegression checks figures as a whole and resolves their features. overloads, by extractor and option key, win over the
// model's own options.
func newRegression(f figures, overloads map[string]map[string]string) (*regression, error) {
	r := &regression{figures: f, speed: -1, adm: -1}
	if n := len(f.features); n == 0 || n > MaxFeatures {
		return nil, badMember("feature_names", "%d features; want 1 … %d", n, MaxFeatures)
	}
	if f.machine.width != len(f.features) {
		return nil, badMember("model", "support vectors of %d components for %d features", f.machine.width, len(f.features))
	}
	if f.rescale && f.outputSlope == 0 {
		return nil, badMember("slopes[0]", "the score's slope is 0, so that no score can be formed")
	}
	if f.clip != nil && f.clip.lo > f.clip.hi {
		return nil, badMember("score_clip", "%s is above %s", formatG(f.clip.lo), formatG(f.clip.hi))
	}
	if f.transform != nil {
		if err := checkKnots(f.transform.knots); err != nil {
			return nil, err
		}
	}
	for i, feature := range f.features {
		in, err := resolve(feature, overloads)
		if err != nil {
			return nil, &ModelError{Member: fmt.Sprintf("feature_names[%d]", i), Err: err}
		}
		r.inputs = append(r.inputs, in)
	}
	if f.chroma != nil {
		if err := r.resolveChroma(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// resolve finds the extraction that provides a feature.
func resolve(f featureFigures, overloads map[string]map[string]string) (input, error) {
	x := providerOf[f.name]
	if x == nil {
		return input{}, fmt.Errorf("%w: no extractor of this version reports %q", ErrUnknownFeature, clip(f.name))
	}
	options := map[string]string{}
	for key, text := range f.options {
		options[key] = text
	}
	for key, text := range overloads[x.name] {
		options[key] = text
	}
	e, err := NewExtraction(x.name, options)
	if err != nil {
		return input{}, err
	}
	for _, o := range e.outputs() {
		if o.stored == f.name {
			return input{e, o}, nil
		}
	}
	return input{}, fmt.Errorf("%w: %s reports %q only with another option on", ErrUnknownFeature, x.name, f.name)
}

// resolveChroma finds the two inputs of the chroma correction by their internal names. Source: spec/prediction.md §4.2.
func (r *regression) resolveChroma() error {
	const member = "chroma_correction_parameter"
	if *r.chroma == 0 {
		return badMember(member, "is 0; leave it out to switch the correction off")
	}
	for i, f := range r.features {
		for _, want := range []struct {
			part string
			to   *int
		}{{"speed_chroma", &r.speed}, {"adm3", &r.adm}} {
			if !strings.Contains(f.name, want.part) {
				continue
			}
			if *want.to >= 0 {
				return badMember(member, "more than one feature has %s in its name", want.part)
			}
			*want.to = i
		}
	}
	if r.speed < 0 || r.adm < 0 {
		return badMember(member, "needs a speed_chroma and an adm3 feature")
	}
	if r.rescale && (r.features[r.speed].slope == 0 || r.features[r.adm].slope == 0) {
		return badMember(member, "a feature it needs has slope 0")
	}
	return nil
}

// checkKnots requires what makes a piecewise-linear map well defined.
func checkKnots(knots []knot) error {
	const member = "score_transform.knots"
	switch n := len(knots); {
	case n == 0:
		return nil
	case n == 1 || n > MaxKnots:
		return badMember(member, "%d knots; want 2 … %d", n, MaxKnots)
	}
	for k := 1; k < len(knots); k++ {
		if !(knots[k-1].x < knots[k].x) {
			return badMember(fmt.Sprintf("%s[%d]", member, k), "x must ascend from knot to knot")
		}
		if !(knots[k-1].y <= knots[k].y) {
			return badMember(fmt.Sprintf("%s[%d]", member, k), "y must not descend from knot to knot")
		}
	}
	return nil
}

// raw is the denormalised prediction, before transform and clip. Source: spec/prediction.md §4.1 … §4.4.
func (r *regression) raw(x []float64) float64 {
	var buffer [MaxFeatures]float64
	z := buffer[:len(r.features)]
	for i := range z {
		z[i] = r.normalise(i, x[i])
	}
	if r.chroma != nil {
		r.correctChroma(z)
	}
	y := r.machine.evaluate(z)
	if r.rescale {
		y = (y - r.outputIntercept) / r.outputSlope
	}
	return y
}

// finish applies transform and clip to a denormalised prediction.
func (r *regression) finish(p float64) float64 {
	if r.transform != nil && (r.transform.enabled || r.forceEnabled) {
		p = r.transform.apply(p)
	}
	if r.clip != nil && !r.disableClip {
		p = r.clip.apply(p)
	}
	return p
}

func (r *regression) normalise(i int, x float64) float64 {
	if !r.rescale {
		return x
	}
	return float64(r.features[i].slope*x) + r.features[i].intercept
}

func (r *regression) denormalise(i int, z float64) float64 {
	if !r.rescale {
		return z
	}
	return (z - r.features[i].intercept) / r.features[i].slope
}

// correctChroma derives a chroma feature that is exactly 0 from the loss of luma detail. The test is on the value mapped
// back from the normalised one, and so is the luma feature: mapping back is exact only up to rounding.
// Source: spec/prediction.md §4.2.
func (r *regression) correctChroma(z []float64) {
	if r.denormalise(r.speed, z[r.speed]) != 0 {
		return
	}
	c := *r.chroma
	z[r.speed] = r.normalise(r.speed, float64(-c*r.denormalise(r.adm, z[r.adm]))+c)
}
