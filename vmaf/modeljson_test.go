package vmaf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// publicJSON is a model's figures in the public JSON layout.
func publicJSON(tb testing.TB, m *Model) string {
	tb.Helper()
	var top any
	if !m.IsCollection() {
		top = publicMember(m.members[0], "LIBSVMNUSVR")
	} else {
		collection := map[string]any{}
		for i, r := range m.members {
			collection[fmt.Sprint(i)] = publicMember(r, "BOOTSTRAP_LIBSVMNUSVR")
		}
		top = collection
	}
	text, err := json.MarshalIndent(top, "", "    ")
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func publicMember(r *regression, modelType string) map[string]any {
	d := map[string]any{"model_type": modelType, "norm_type": "none", "feature_dict": map[string]any{"VMAF_integer_feature": []string{"adm2"}}}
	var names []string
	var options []map[string]any
	slopes, intercepts := []float64{r.outputSlope}, []float64{r.outputIntercept}
	for _, f := range r.features {
		names = append(names, f.name)
		slopes, intercepts = append(slopes, f.slope), append(intercepts, f.intercept)
		o := map[string]any{}
		for key, text := range f.options {
			switch _, isNumber := storedNumber(text); {
			case isNumber:
				o[key] = json.Number(text)
			case text == "true", text == "false":
				o[key] = text == "true"
			default:
				o[key] = text
			}
		}
		options = append(options, o)
	}
	d["feature_names"] = names
	d["feature_opts_dicts"] = options
	if r.rescale {
		d["norm_type"], d["slopes"], d["intercepts"] = "linear_rescale", slopes, intercepts
	}
	if r.clip != nil {
		d["score_clip"] = []float64{r.clip.lo, r.clip.hi}
	}
	if r.chroma != nil {
		d["chroma_correction_parameter"] = *r.chroma
	}
	if t := r.transform; t != nil {
		o := map[string]any{"enabled": t.enabled, "knots": nil}
		for i, p := range t.polynomial {
			o[fmt.Sprintf("p%d", i)] = nil
			if p.given {
				o[fmt.Sprintf("p%d", i)] = p.value
			}
		}
		if t.notBelow {
			o["out_gte_in"] = "true"
		}
		if t.notAbove {
			o["out_lte_in"] = "true"
		}
		if len(t.knots) > 0 {
			var knots [][]float64
			for _, k := range t.knots {
				knots = append(knots, []float64{k.x, k.y})
			}
			o["knots"] = knots
		}
		d["score_transform"] = o
	}
	d["model"] = publicMachine(r.machine)
	return map[string]any{"param_dict": map[string]any{"C": 4.0}, "model_dict": d}
}

// publicMachine is a machine in libsvm's text form, zero components left out.
func publicMachine(m *machine) string {
	var b strings.Builder
	fmt.Fprintf(&b, "svm_type nu_svr\nkernel_type rbf\ngamma %s\nnr_class 2\ntotal_sv %d\nrho %s\nSV\n", exact(m.gamma), len(m.coefficients), exact(m.rho))
	for j, c := range m.coefficients {
		b.WriteString(exact(c))
		for i, v := range m.vectors[j*m.width : (j+1)*m.width] {
			if v != 0 {
				fmt.Fprintf(&b, " %d:%s", i+1, exact(v))
			}
		}
		b.WriteString(" \n")
	}
	return b.String()
}

func TestReadModelJSON_everyBuiltinModelRoundTrips(t *testing.T) {
	for _, name := range BuiltinNames() {
		want, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadModelJSON(strings.NewReader(publicJSON(t, want)), "m.json")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Digest != want.Digest || got.Version != "m.json" || got.Name != DefaultName || !slices.Equal(got.Features(), want.Features()) {
			t.Errorf("%s: differs: digest %s, want %s", name, got.Digest, want.Digest)
		}
		x := []float64{0.9, 4, 0.5, 0.8, 0.85, 0.9}[:len(want.Features())]
		a, b := make([]float64, want.seriesCount()), make([]float64, got.seriesCount())
		want.PredictAll(x, a)
		got.PredictAll(x, b)
		if !slices.Equal(a, b) {
			t.Errorf("%s: predictions differ: %v, want %v", name, b, a)
		}
	}
}

// smallModel is a complete model of two features; tests replace parts of it.
const smallModel = `{
  "param_dict": {"nested": [{"deep": [null, true, 1e5, "x"]}]},
  "model_dict": {
    "model_type": "LIBSVMNUSVR",
    "norm_type": "linear_rescale",
    "feature_names": ["VMAF_integer_feature_adm2_score", "VMAF_integer_feature_vif_scale0_score"],
    "feature_opts_dicts": [{"adm_enhn_gain_limit": 1.0, "debug": true}, {}],
    "slopes": [0.01, 2, 1.5],
    "intercepts": [-0.3, -1, 0],
    "score_clip": [0, 100.0],
    "score_transform": {"p0": 1.5, "p1": null, "knots": [[0, 0], [50, 60], [100, 100]], "out_gte_in": "true", "other": {}},
    "model": "svm_type nu_svr\nkernel_type rbf\ngamma 0.04\nnr_class 2\ntotal_sv 2\nrho -1.3\nSV\n-4 1:0.65 2:0.35 \n4 1:0.9 \n"
  }
}`

// temporalModel has a feature that this version does not compute.
var temporalModel = strings.Replace(smallModel, "VMAF_integer_feature_vif_scale0_score", "Speed_temporal_feature_speed_temporal_score", 1)

func TestReadModelJSON_takesEveryMember(t *testing.T) {
	m, err := ReadModelJSON(strings.NewReader(smallModel), "small")
	if err != nil {
		t.Fatal(err)
	}
	r := m.members[0]
	if got := m.Features(); !slices.Equal(got, []string{"integer_adm2_egl_1", "VMAF_integer_feature_vif_scale0_score"}) {
		t.Errorf("features %q", got)
	}
	if tr := r.transform; tr.enabled || tr.polynomial != [3]coefficient{given(1.5), {}, {}} || len(tr.knots) != 3 || !tr.notBelow || tr.notAbove {
		t.Errorf("transform %+v", tr)
	}
	if lo, hi, ok := m.Clip(); lo != 0 || hi != 100 || !ok {
		t.Errorf("clip %v %v %v", lo, hi, ok)
	}
	if has, applied := m.HasTransform(); !has || applied {
		t.Errorf("transform: has %t, applied %t", has, applied)
	}
	if !m.Extractions()[0].Bool("debug") || r.chroma != nil || r.outputSlope != 0.01 || r.features[1].slope != 1.5 || r.machine.rho != -1.3 {
		t.Errorf("misread: %+v", r)
	}
	if !strings.HasPrefix(m.String(), "path=small") {
		t.Errorf("String: %s", m)
	}
}

func TestReadModelJSON_normTypeNoneNeedsNoSlopes(t *testing.T) {
	text := strings.NewReplacer(`"linear_rescale"`, `"none"`, `"slopes": [0.01, 2, 1.5],`, "", `"intercepts": [-0.3, -1, 0],`, "").Replace(smallModel)
	m, err := ReadModelJSON(strings.NewReader(text), "none")
	if err != nil {
		t.Fatal(err)
	}
	r := m.members[0]
	if got, want := m.Predict([]float64{0.5, 0.25}), r.clip.apply(r.machine.evaluate([]float64{0.5, 0.25})); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReadModelJSON_optionTwiceWithOneValueIsTaken(t *testing.T) {
	text := strings.Replace(smallModel, `"debug": true`, `"debug": true, "debug": true, "adm_enhn_gain_limit": "1"`, 1)
	if _, err := ReadModelJSON(strings.NewReader(text), ""); err != nil {
		t.Error(err)
	}
}

func TestReadModelJSON_refuses(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"no object", smallModel, `[]`, `model: want an object, got "["`},
		{"nothing", smallModel, ``, `the text ends too early`},
		{"half a model", smallModel, smallModel[:300], `model member model_dict.feature_opts_dicts[0].adm_enhn_gain_limit: at byte 300: the text ends too early`},
		{"no JSON", smallModel, `hello`, `model: at byte `},
		{"an empty object", smallModel, `{}`, `no member model_dict`},
		{"something behind", smallModel, smallModel + "{}", `"{" follows the model`},
		{"rubbish behind", smallModel, smallModel + "}", `at byte `},
		{"a member twice", `"norm_type"`, `"norm_type": "none", "norm_type"`, `model member model_dict.norm_type: given twice`},
		{"an unquoted member", `"norm_type"`, `7`, `at byte `},
		{"no model type", `"model_type": "LIBSVMNUSVR",`, ``, `model member model_dict.model_type: missing`},
		{"another model type", `LIBSVMNUSVR`, `RANDOMFOREST`, `"RANDOMFOREST" is not a support vector regression`},
		{"a model type that is no text", `"LIBSVMNUSVR"`, `1`, `model_type: want a string, got the number 1`},
		{"no normalisation", `"norm_type": "linear_rescale",`, ``, `model_dict.norm_type: missing`},
		{"another normalisation", `linear_rescale`, `clip_0to1`, `"clip_0to1"; want linear_rescale or none`},
		{"no features", `"feature_names"`, `"names"`, `model_dict.feature_names: missing`},
		{"empty features", `["VMAF_integer_feature_adm2_score", "VMAF_integer_feature_vif_scale0_score"]`, `[]`, `model_dict.feature_names: missing`},
		{"a feature that is no text", `["VMAF_integer_feature_adm2_score"`, `[true`, `model_dict.feature_names[0]: want a string, got true`},
		{"a feature of an unknown extractor", `VMAF_integer_feature_adm2_score`, `VMAF_feature_adm2_score`, `model member feature_names[0]: unknown feature: no extractor of this version reports "VMAF_feature_adm2_score"`},
		{"a debug feature without debug", `VMAF_integer_feature_vif_scale0_score`, `integer_vif_num`, `vif reports "integer_vif_num" only with another option on`},
		{"too few options", `, {}]`, `]`, `feature_opts_dicts: 1 elements for 2 features`},
		{"an unknown option", `"debug"`, `"degub"`, `adm: degub=true: unknown option`},
		{"an option out of range", `"adm_enhn_gain_limit": 1.0`, `"adm_enhn_gain_limit": 0.5`, `outside 1 … 100`},
		{"an option with two values", `"debug": true`, `"debug": true, "debug": false`, `feature_opts_dicts[0].debug: given twice, as true and false`},
		{"an option that is an array", `"debug": true`, `"debug": []`, `want a number, a boolean or a string, got "["`},
		{"an option that is null", `"debug": true`, `"debug": null`, `got null`},
		{"too few slopes", `[0.01, 2, 1.5]`, `[0.01, 2]`, `slopes: 2 numbers; want 3`},
		{"no intercepts", `"intercepts"`, `"interceptions"`, `intercepts: 0 numbers; want 3`},
		{"a slope that is no number", `[0.01, 2,`, `[0.01, "2",`, `slopes[1]: want a number, got the string "2"`},
		{"a slope too large", `[0.01, 2,`, `[0.01, 2e999,`, `slopes[1]: "2e999" is not a finite number`},
		{"a score slope of 0", `[0.01,`, `[0,`, `slopes[0]: the score's slope is 0`},
		{"a clip of null", `[0, 100.0]`, `null`, `score_clip: want an array, got null`},
		{"a clip of one", `[0, 100.0]`, `[0]`, `score_clip: 1 numbers, want 2`},
		{"a clip of three", `[0, 100.0]`, `[0, 100.0, 1]`, `score_clip: too large: more than 2 elements`},
		{"a clip upside down", `[0, 100.0]`, `[100, 0]`, `score_clip: 100 is above 0`},
		{"a transform of null", `"score_transform": {`, `"score_transform": null, "x": {`, `score_transform: want an object, got null`},
		{"enabled as a text", `"p0"`, `"enabled": "true", "p0"`, `enabled: want true or false, got the string "true"`},
		{"a coefficient that is a text", `1.5, "p1"`, `"1.5", "p1"`, `p0: want a number or null, got the string "1.5"`},
		{"a coefficient too large", `1.5, "p1"`, `1e400, "p1"`, `p0: "1e400" is not a finite number`},
		{"a flag that is no text", `"true", "other"`, `true, "other"`, `out_gte_in: want a string, got true`},
		{"knots that are no array", `[[0, 0], [50, 60], [100, 100]]`, `7`, `knots: want an array or null, got the number 7`},
		{"one knot", `[[0, 0], [50, 60], [100, 100]]`, `[[0, 0]]`, `score_transform.knots: 1 knots; want 2 … 10`},
		{"a knot of one number", `[50, 60]`, `[50]`, `knots[1]: 1 numbers, want 2`},
		{"knots out of order", `[50, 60]`, `[0, 60]`, `knots[1]: x must ascend`},
		{"knots that descend", `[50, 60]`, `[50, -1]`, `knots[1]: y must not descend`},
		{"eleven knots", `[[0, 0], `, `[` + strings.Repeat(`[0, 0], `, 9), `knots: too large: more than 10 elements`},
		{"no machine", `"model":`, `"modell":`, `model_dict.model: missing`},
		{"an unreadable machine", `total_sv 2`, `total_sv 3`, `model_dict.model: 2 support vectors, but total_sv is 3`},
		{"a machine of more features", `1:0.9 `, `3:0.9 `, `model_dict.model: line 9: component index 3 after 0`},
		{"chroma correction without chroma", `"model":`, `"chroma_correction_parameter": 120, "model":`, `chroma_correction_parameter: needs a speed_chroma and an adm3 feature`},
		{"a chroma correction of 0", `"model":`, `"chroma_correction_parameter": 0, "model":`, `chroma_correction_parameter: is 0; leave it out`},
		{"a chroma correction that is no number", `"model":`, `"chroma_correction_parameter": null, "model":`, `want a number, got null`},
		{"a numbered member that is empty", `"param_dict": {`, `"0": {"model_dict": {}}, "param_dict": {`, `model member 0.model_dict.model_type: missing`},
		{"deep nesting", `{"nested": [`, strings.Repeat("[", 100), `param_dict: too large: nested deeper than 64`},
	} {
		text := strings.Replace(smallModel, c.old, c.new, 1)
		if text == smallModel {
			t.Fatalf("%s: nothing replaced", c.name)
		}
		_, err := ReadModelJSON(strings.NewReader(text), "")
		var me *ModelError
		if err == nil || !errors.As(err, &me) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// collectionText puts models into a collection under the given member names.
func collectionText(names []string, models ...string) string {
	var members []string
	for i, name := range names {
		members = append(members, fmt.Sprintf("%q: %s", name, models[i%len(models)]))
	}
	return "{" + strings.Join(members, ",\n") + "}"
}

func TestReadModelJSON_collections(t *testing.T) {
	m, err := ReadModelJSON(strings.NewReader(collectionText([]string{"1", "0", "2"}, smallModel)), "c")
	if err != nil || !m.IsCollection() || !slices.Equal(m.Series(), []string{"vmaf", "vmaf_0001", "vmaf_0002", "vmaf_bagging", "vmaf_stddev", "vmaf_ci_p95_lo", "vmaf_ci_p95_hi"}) {
		t.Fatalf("got %v %v", m, err)
	}
	other := strings.Replace(smallModel, "vif_scale0", "vif_scale1", 1)
	for name, c := range map[string]struct{ text, want string }{
		"one member":               {collectionText([]string{"0"}, smallModel), `nor members "0", "1"`},
		"a gap":                    {collectionText([]string{"0", "2"}, smallModel), "model member 1: missing from a collection of 2"},
		"a leading zero":           {collectionText([]string{"0", "01"}, smallModel), `nor members "0", "1"`},
		"too high a number":        {collectionText([]string{"0", "10000"}, smallModel), "more than 10000 members"},
		"a member twice":           {collectionText([]string{"0", "0"}, smallModel), "model member 0: given twice"},
		"a member without a model": {collectionText([]string{"0", "1"}, smallModel, "{}"), "model member 1: no member model_dict"},
		"a member that is none":    {collectionText([]string{"0", "1"}, smallModel, "[]"), "model member 1: want an object"},
		"other features":           {collectionText([]string{"0", "1"}, smallModel, other), "collection member 1: model member feature_names: differ from those of the first"},
		"a bad member":             {collectionText([]string{"0", "1"}, smallModel, strings.Replace(smallModel, "[0.01,", "[0,", 1)), "collection member 1: model member slopes[0]"},
		"beside a model":           {`{"0": ` + smallModel + `,` + smallModel[1:], "has both model_dict and numbered members"},
	} {
		if _, err := ReadModelJSON(strings.NewReader(c.text), ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestReadModelJSON_isBounded(t *testing.T) {
	endless := io.MultiReader(strings.NewReader(`{"x": "`), repeat('a'))
	if _, err := ReadModelJSON(endless, ""); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "more than 4194304 bytes") {
		t.Errorf("endless text: %v", err)
	}
	exactly := smallModel + strings.Repeat(" ", MaxModelBytes-len(smallModel))
	if _, err := ReadModelJSON(strings.NewReader(exactly), ""); err != nil {
		t.Errorf("text of exactly the limit: %v", err)
	}
	if _, err := ReadModelJSON(strings.NewReader(exactly+" "), ""); !errors.Is(err, ErrTooLarge) {
		t.Errorf("text one byte beyond: %v", err)
	}
	many := strings.Replace(smallModel, `["VMAF_integer_feature_adm2_score",`, `["VMAF_integer_feature_adm2_score",`+strings.Repeat(`"VMAF_integer_feature_adm2_score",`, 64), 1)
	if _, err := ReadModelJSON(strings.NewReader(many), ""); !errors.Is(err, ErrTooLarge) {
		t.Errorf("66 features: %v", err)
	}
	vectors := MaxComponents/2 + 1
	wide := strings.Replace(smallModel, `total_sv 2\nrho -1.3\nSV\n`, fmt.Sprintf(`total_sv %d\nrho -1.3\nSV\n`, vectors+1)+strings.Repeat(`1\n`, vectors-1), 1)
	if _, err := ReadModelJSON(strings.NewReader(wide), ""); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many support vectors: %v", err)
	}
}

type repeat byte

func (r repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

func TestReadModelJSON_passesReadErrorsOn(t *testing.T) {
	broken := errors.New("disk on fire")
	if _, err := ReadModelJSON(io.MultiReader(strings.NewReader(smallModel[:50]), iotest.ErrReader(broken)), ""); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := ReadModelJSON(iotest.OneByteReader(strings.NewReader(smallModel)), ""); err != nil {
		t.Errorf("byte by byte: %v", err)
	}
}
