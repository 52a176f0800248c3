package vmaf

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// ReadModelJSON reads a model in the public JSON layout: an object with a member model_dict, or a collection of such
// objects named "0" (the main model), "1", "2" … version becomes the model's Version; it is where the text came from.
//
// Numbers are read as correctly rounded doubles. Members of the layout that do not decide scores are passed over.
//
// Errors: a [*ModelError] names the member at fault; [ErrTooLarge] beyond [MaxModelBytes], [MaxFeatures], [MaxKnots],
// [MaxMembers] or [MaxComponents]; [ErrUnknownFeature] and [*OptionError] for features and options that no extractor of this version has.
//
// Source: spec/prediction.md §1.
func ReadModelJSON(r io.Reader, version string) (*Model, error) {
	bounded := &boundedReader{r: r, left: MaxModelBytes}
	j := newJSONReader(bounded)
	j.components = MaxComponents
	members, err := j.model()
	if err == nil {
		err = j.end()
	}
	if bounded.err != nil { // what the JSON reader makes of a text cut short is of no interest
		return nil, bounded.err
	}
	if err != nil {
		return nil, err
	}
	return newModel(version, true, members, ModelOptions{})
}

// boundedReader passes on at most left bytes; more is an error. It remembers the first error that is not the end.
type boundedReader struct {
	r    io.Reader
	left int
	err  error
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.left == 0 {
		p = p[:min(1, len(p))] // is there more?
	} else if len(p) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	if b.left == 0 && n > 0 {
		b.err = &ModelError{Err: fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxModelBytes)}
		return 0, b.err
	}
	b.left -= n
	if err != nil && err != io.EOF {
		b.err = fmt.Errorf("read model: %w", err)
	}
	return n, err
}

// model reads the whole: one model, or a collection.
func (j *jsonReader) model() ([]figures, error) {
	var single *figures
	collection := map[int]figures{}
	err := j.object(false, func(name string) error {
		if name == "model_dict" {
			f, err := j.modelDict()
			single = &f
			return err
		}
		index, ok := memberIndex(name)
		if !ok {
			return j.skip()
		}
		if index >= MaxMembers {
			return j.fail("%w: more than %d members", ErrTooLarge, MaxMembers)
		}
		f, err := j.member()
		collection[index] = f
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case single != nil && len(collection) > 0:
		return nil, badMember("", "has both model_dict and numbered members")
	case single != nil:
		return []figures{*single}, nil
	case len(collection) < 2:
		return nil, badMember("", `no member model_dict, nor members "0", "1" … of a collection`)
	}
	members := make([]figures, len(collection))
	for i := range members {
		f, ok := collection[i]
		if !ok {
			return nil, badMember(strconv.Itoa(i), "missing from a collection of %d", len(collection))
		}
		members[i] = f
	}
	return members, nil
}

// memberIndex reads the name of a collection's member: a whole number without leading zeros.
func memberIndex(name string) (int, bool) {
	index, err := strconv.Atoi(name)
	if err != nil || index < 0 || strconv.Itoa(index) != name {
		return 0, false
	}
	return index, true
}

// member reads one member of a collection, an object with a member model_dict.
func (j *jsonReader) member() (f figures, err error) {
	found := false
	err = j.object(false, func(name string) error {
		if name != "model_dict" {
			return j.skip()
		}
		found = true
		f, err = j.modelDict()
		return err
	})
	if err == nil && !found {
		err = j.fail("no member model_dict")
	}
	return f, err
}

// dictionary is a model_dict as read; its members depend on one another, but may come in any order.
type dictionary struct {
	modelType, normType, machine *string
	names                        []string
	options                      []map[string]string
	slopes, intercepts           []float64
	f                            figures
}

func (j *jsonReader) modelDict() (figures, error) {
	var d dictionary
	err := j.object(false, func(name string) (err error) {
		switch name {
		case "model_type":
			d.modelType, err = pointer(j.text)
		case "norm_type":
			d.normType, err = pointer(j.text)
		case "model":
			d.machine, err = pointer(j.text)
		case "feature_names":
			err = j.array(MaxFeatures, func(int) error {
				s, err := j.text()
				d.names = append(d.names, s)
				return err
			})
		case "feature_opts_dicts":
			err = j.array(MaxFeatures, func(int) error {
				o, err := j.options()
				d.options = append(d.options, o)
				return err
			})
		case "slopes":
			d.slopes, err = j.numbers(MaxFeatures + 1)
		case "intercepts":
			d.intercepts, err = j.numbers(MaxFeatures + 1)
		case "score_clip":
			d.f.clip, err = j.clipRange()
		case "score_transform":
			d.f.transform, err = j.transform()
		case "chroma_correction_parameter":
			d.f.chroma, err = pointer(j.number)
		default:
			err = j.skip()
		}
		return err
	})
	if err != nil {
		return figures{}, err
	}
	if member, err := d.complete(j.components); err != nil {
		j.path = append(j.path, member)
		return figures{}, &ModelError{Member: j.place(), Err: err}
	}
	j.components -= len(d.f.machine.vectors)
	return d.f, nil
}

func pointer[T any](read func() (T, error)) (*T, error) {
	v, err := read()
	return &v, err
}

// options reads one feature's options: numbers, booleans and strings, kept as text. An option may stand there twice if the
// values agree.
func (j *jsonReader) options() (map[string]string, error) {
	options := map[string]string{}
	err := j.object(true, func(name string) error {
		t, err := j.token()
		if err != nil {
			return err
		}
		var text string
		switch t := t.(type) {
		case json.Number:
			text = t.String()
			if stored, ok := storedNumber(text); ok {
				text = stored
			}
		case bool:
			text = strconv.FormatBool(t)
		case string:
			text = t
			if stored, ok := storedNumber(text); ok {
				text = stored
			}
		default:
			return j.fail("want a number, a boolean or a string, got %s", describe(t))
		}
		if earlier, twice := options[name]; twice && earlier != text {
			return j.fail("given twice, as %s and %s", clip(earlier), clip(text))
		}
		options[name] = text
		return nil
	})
	return options, err
}

func (j *jsonReader) clipRange() (*clipRange, error) {
	bounds, err := j.numbers(2)
	if err != nil {
		return nil, err
	}
	if len(bounds) != 2 {
		return nil, j.fail("%d numbers, want 2", len(bounds))
	}
	return &clipRange{bounds[0], bounds[1]}, nil
}

func (j *jsonReader) transform() (*transform, error) {
	t := &transform{}
	err := j.object(false, func(name string) (err error) {
		switch name {
		case "enabled":
			var token json.Token
			if token, err = j.token(); err != nil {
				return err
			}
			var ok bool
			if t.enabled, ok = token.(bool); !ok {
				err = j.fail("want true or false, got %s", describe(token))
			}
		case "p0", "p1", "p2":
			t.polynomial[name[1]-'0'], err = j.coefficient()
		case "knots":
			t.knots, err = j.knots()
		case "out_lte_in":
			t.notAbove, err = j.textFlag()
		case "out_gte_in":
			t.notBelow, err = j.textFlag()
		default:
			err = j.skip()
		}
		return err
	})
	return t, err
}

// coefficient reads a number, or null for none.
func (j *jsonReader) coefficient() (coefficient, error) {
	t, err := j.token()
	if err != nil || t == nil {
		return coefficient{}, err
	}
	n, ok := t.(json.Number)
	if !ok {
		return coefficient{}, j.fail("want a number or null, got %s", describe(t))
	}
	v, err := parseNumber(n.String())
	if err != nil {
		return coefficient{}, &ModelError{Member: j.place(), Err: err}
	}
	return coefficient{value: v, given: true}, nil
}

// textFlag reads a flag that the layout has as a string: "true" is on, every other string off.
func (j *jsonReader) textFlag() (bool, error) {
	s, err := j.text()
	return s == "true", err
}

// knots reads pairs of numbers, or null for none.
func (j *jsonReader) knots() (knots []knot, err error) {
	t, err := j.token()
	if err != nil || t == nil {
		return nil, err
	}
	if t != json.Delim('[') {
		return nil, j.fail("want an array or null, got %s", describe(t))
	}
	err = j.elements(MaxKnots, func(int) error {
		pair, err := j.numbers(2)
		if err != nil {
			return err
		}
		if len(pair) != 2 {
			return j.fail("%d numbers, want 2", len(pair))
		}
		knots = append(knots, knot{pair[0], pair[1]})
		return nil
	})
	return knots, err
}

// complete checks the members against one another and fills the figures. On an error it says which member is at fault.
// components is how many components of support vectors there may be.
func (d *dictionary) complete(components int) (member string, err error) {
	switch {
	case d.modelType == nil:
		return "model_type", errMissing
	case *d.modelType != "LIBSVMNUSVR" && *d.modelType != "BOOTSTRAP_LIBSVMNUSVR" && *d.modelType != "RESIDUEBOOTSTRAP_LIBSVMNUSVR":
		return "model_type", fmt.Errorf("%q is not a support vector regression", clip(*d.modelType))
	case d.normType == nil:
		return "norm_type", errMissing
	case *d.normType != "linear_rescale" && *d.normType != "none":
		return "norm_type", fmt.Errorf("%q; want linear_rescale or none", clip(*d.normType))
	case d.names == nil:
		return "feature_names", errMissing
	case d.machine == nil:
		return "model", errMissing
	case d.options != nil && len(d.options) != len(d.names):
		return "feature_opts_dicts", fmt.Errorf("%d elements for %d features", len(d.options), len(d.names))
	}
	n := len(d.names)
	d.f.rescale = *d.normType == "linear_rescale"
	d.f.features = make([]featureFigures, n)
	for i, name := range d.names {
		d.f.features[i].name = name
		if d.options != nil {
			d.f.features[i].options = d.options[i]
		}
	}
	if d.f.rescale {
		if len(d.slopes) != n+1 {
			return "slopes", fmt.Errorf("%d numbers; want %d, one for the score and one for each feature", len(d.slopes), n+1)
		}
		if len(d.intercepts) != n+1 {
			return "intercepts", fmt.Errorf("%d numbers; want %d, one for the score and one for each feature", len(d.intercepts), n+1)
		}
		d.f.outputSlope, d.f.outputIntercept = d.slopes[0], d.intercepts[0]
		for i := range d.f.features {
			d.f.features[i].slope, d.f.features[i].intercept = d.slopes[i+1], d.intercepts[i+1]
		}
	}
	if d.f.machine, err = parseMachine(*d.machine, n, components); err != nil {
		return "model", err
	}
	return "", nil
}

// errMissing is the cause of a [ModelError] about a member that is not there.
var errMissing = fmt.Errorf("missing")
