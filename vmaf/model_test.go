package vmaf

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// "vmaf_v0.6.1 overloaded with vif.vif_enhn_gain_limit=1.0 and adm.adm_enhn_gain_limit=1.0 is exactly vmaf_v0.6.1neg."
func TestParseModel_Spec3_overloadedIsTheNegModel(t *testing.T) {
	got := mustModel(t, "version=vmaf_v0.6.1:vif.vif_enhn_gain_limit=1.0:adm.adm_enhn_gain_limit=1.0")
	want := mustModel(t, "vmaf_v0.6.1neg")
	if got.Digest != want.Digest || !slices.Equal(got.Features(), want.Features()) {
		t.Errorf("features %q, want %q", got.Features(), want.Features())
	}
}

func TestParseModel_overloadsEveryMember(t *testing.T) {
	m := mustModel(t, "vmaf_b_v0.6.3:vif.vif_enhn_gain_limit=1")
	for i, r := range m.members {
		if got := r.inputs[2].name(); got != "integer_vif_scale0_egl_1" {
			t.Errorf("member %d: %s", i, got)
		}
	}
}

func TestParseModel_forms(t *testing.T) {
	for _, c := range []struct{ spec, name, canonical string }{
		{"vmaf_v0.6.1", "vmaf", "version=vmaf_v0.6.1"},
		{"version=vmaf_v0.6.1", "vmaf", "version=vmaf_v0.6.1"},
		{"name=x:version=vmaf_v0.6.1", "x", "version=vmaf_v0.6.1:name=x"},
		{"vmaf_v0.6.1:disable_clip:enable_transform", "vmaf", "version=vmaf_v0.6.1:disable_clip:enable_transform"},
		{"disable_clip:version=vmaf_v0.6.1", "vmaf", "version=vmaf_v0.6.1:disable_clip"},
		{"vmaf_v0.6.1:disable_clip=true:enable_transform=false", "vmaf", "version=vmaf_v0.6.1:disable_clip"},
		{"vmaf_v0.6.1:vif.vif_enhn_gain_limit=1.0:adm.debug=true:adm.adm_csf_mode=2", "vmaf",
			"version=vmaf_v0.6.1:adm.adm_csf_mode=2:adm.debug=true:vif.vif_enhn_gain_limit=1.0"},
		{"path=a/small.json:name=y", "y", "path=a/small.json:name=y"},
	} {
		open := func(path string) (io.ReadCloser, error) {
			if path != "a/small.json" {
				t.Errorf("%s: opens %q", c.spec, path)
			}
			return io.NopCloser(strings.NewReader(smallModel)), nil
		}
		m, err := ParseModel(c.spec, open)
		if err != nil {
			t.Errorf("%s: %v", c.spec, err)
			continue
		}
		if m.Name != c.name || m.String() != c.canonical {
			t.Errorf("%s: got %s, %s", c.spec, m.Name, m)
		}
		again, err := ParseModel(m.String(), open)
		if err != nil || again.Digest != m.Digest || again.String() != m.String() || again.Name != m.Name {
			t.Errorf("%s: %s does not read back: %v %v", c.spec, m, again, err)
		}
	}
}

func TestParseModel_refuses(t *testing.T) {
	broken := errors.New("no such file")
	open := func(path string) (io.ReadCloser, error) {
		switch path {
		case "missing":
			return nil, broken
		case "unreadable":
			return io.NopCloser(iotest.ErrReader(broken)), nil
		case "temporal.json":
			return io.NopCloser(strings.NewReader(temporalModel)), nil
		}
		return io.NopCloser(strings.NewReader("{}")), nil
	}
	for _, c := range []struct {
		name, spec string
		is         error
		want       string
	}{
		{"nothing", "", nil, `"" has no value`},
		{"an unknown model", "vmaf_v0.6.2", ErrUnknownModel, `"vmaf_v0.6.2"; want one of`},
		{"a model of a feature that is only known", "path=temporal.json", ErrNotComputable, "model temporal.json needs speed_temporal, which this version cannot compute"},
		{"neither name nor file", "name=x", nil, "want either a built-in model"},
		{"both", "version=vmaf_v0.6.1:path=x", nil, "want either a built-in model"},
		{"an unknown field", "vmaf_v0.6.1:bogus=1", nil, "bogus: unknown; want version, path"},
		{"an unknown flag", "vmaf_v0.6.1:bogus", nil, `"bogus" has no value`},
		{"a field twice", "vmaf_v0.6.1:name=a:name=b", nil, "name given twice"},
		{"a version twice", "vmaf_v0.6.1:version=vmaf_v0.6.1", nil, "version given twice"},
		{"an option twice", "vmaf_v0.6.1:vif.debug=true:vif.debug=false", nil, "vif.debug given twice"},
		{"no name", "vmaf_v0.6.1:name=", nil, `"name=" has no value`},
		{"an empty field", "vmaf_v0.6.1::name=x", nil, `"" has no value`},
		{"a flag neither true nor false", "vmaf_v0.6.1:disable_clip=yes", nil, `disable_clip: "yes" is neither true nor false`},
		{"a name that breaks logs", `vmaf_v0.6.1:name=a"b`, nil, "has a character other than letters"},
		{"a name with a blank", `vmaf_v0.6.1:name=a b`, nil, "has a character other than letters"},
		{"a name too long", "vmaf_v0.6.1:name=" + strings.Repeat("x", 129), nil, "exceeds 128 characters"},
		{"an option without value", "vmaf_v0.6.1:vif.debug", nil, `"vif.debug" has no value`},
		{"an option without extractor", "vmaf_v0.6.1:.debug=true", nil, "unknown; want version"},
		{"an option without name", "vmaf_v0.6.1:vif.=true", nil, "unknown; want version"},
		{"an unknown option", "vmaf_v0.6.1:vif.egl=1", ErrUnknownOption, "vif: egl=1"},
		{"an option out of range", "vmaf_v0.6.1:vif.vif_enhn_gain_limit=0", ErrOptionValue, "outside 1 … 100"},
		{"two values in one", "vmaf_v0.6.1:vif.vif_enhn_gain_limit=1=2", ErrOptionValue, "not a number"},
		{"an extractor that the model does not use", "vmaf_v0.6.1:cambi.full_ref=true", ErrUnknownFeature, `has no feature of extractor "cambi"`},
		{"a file that is not there", "path=missing", broken, "open model: no such file"},
		{"a file that cannot be read", "path=unreadable", broken, "unreadable: read model: no such file"},
		{"a file that is no model", "path=x.json", nil, "x.json: model: no member model_dict"},
	} {
		_, err := ParseModel(c.spec, open)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := ParseModel("path=x", nil); err == nil || !strings.Contains(err.Error(), "model files are not allowed here") {
		t.Errorf("files not allowed: %v", err)
	}
}

type closeError struct{ io.Reader }

var errClose = errors.New("close")

func (closeError) Close() error { return errClose }

func TestParseModel_reportsAFailedClose(t *testing.T) {
	_, err := ParseModel("path=x", func(string) (io.ReadCloser, error) { return closeError{strings.NewReader(smallModel)}, nil })
	if !errors.Is(err, errClose) {
		t.Errorf("got %v", err)
	}
}

func TestModel_flags(t *testing.T) {
	plain, noClip, phone := mustModel(t, "vmaf_v0.6.1"), mustModel(t, "vmaf_v0.6.1:disable_clip"), mustModel(t, "vmaf_v0.6.1:enable_transform")
	if _, _, ok := noClip.Clip(); ok {
		t.Error("clip is not disabled")
	}
	if has, applied := phone.HasTransform(); !has || !applied {
		t.Error("transform is not enabled")
	}
	if plain.Digest == noClip.Digest || plain.Digest == phone.Digest {
		t.Error("flags that decide scores leave the digest as it is")
	}
	if has, applied := mustModel(t, "vmaf_4k_v0.6.1:enable_transform").HasTransform(); has || applied {
		t.Error("the 4K model has no transform")
	}
	if a, b := mustModel(t, "vmaf_4k_v0.6.1:enable_transform"), mustModel(t, "vmaf_4k_v0.6.1:name=x"); a.Digest != b.Digest {
		t.Error("a flag without effect, or a name, changes the digest")
	}
	if back, err := noClip.With(ModelOptions{}); err != nil || back.Digest != plain.Digest || back.String() != plain.String() {
		t.Errorf("With without options is not the model itself: %v %v", back, err)
	}
}

func TestModel_optionsAreCopies(t *testing.T) {
	overloads := map[string]map[string]string{"vif": {"vif_enhn_gain_limit": "1"}}
	plain := mustModel(t, "vmaf_v0.6.1")
	m, err := plain.With(ModelOptions{Overloads: overloads})
	if err != nil {
		t.Fatal(err)
	}
	overloads["vif"]["vif_enhn_gain_limit"] = "2"
	m.Options().Overloads["vif"]["vif_enhn_gain_limit"] = "3"
	if got := m.String(); got != "version=vmaf_v0.6.1:vif.vif_enhn_gain_limit=1" {
		t.Errorf("got %s", got)
	}
}

func TestModel_wrongNumberOfInputsIsABug(t *testing.T) {
	m := mustModel(t, "vmaf_v0.6.1")
	for name, predict := range map[string]func(){
		"Predict":                  func() { m.Predict(make([]float64, 5)) },
		"PredictAll":               func() { m.PredictAll(make([]float64, 7), make([]float64, 1)) },
		"PredictAll, wrong output": func() { m.PredictAll(make([]float64, 6), make([]float64, 2)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			predict()
		}()
	}
}

func TestModel_predictAllocatesNothing(t *testing.T) {
	m, x := mustModel(t, "vmaf_v0.6.1"), []float64{0.9, 4, 0.5, 0.8, 0.85, 0.9}
	if n := testing.AllocsPerRun(100, func() { m.Predict(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// "s̃ is exactly 0 … also for an x_s so small that z_s rounds to b_s: the test is on s̃, not on x_s."
func TestChromaCorrection_Spec42_testIsOnTheDenormalisedValue(t *testing.T) {
	m, err := Builtin("vmaf_v1.0.16_3d0h")
	if err != nil {
		t.Fatal(err)
	}
	zero, tiny, small := m.Predict([]float64{0, 0, 0.8, 4}), m.Predict([]float64{0, 1e-30, 0.8, 4}), m.Predict([]float64{0, 1e-3, 0.8, 4})
	if zero != tiny {
		t.Errorf("a chroma of 1e-30 gives %v, 0 gives %v", tiny, zero)
	}
	if zero == small {
		t.Error("a chroma of 0.001 is corrected too")
	}
}

// "With norm_type none the (de)normalisation steps are identities."
func TestChromaCorrection_Spec42_withoutNormalisation(t *testing.T) {
	m, err := Builtin("vmaf_v1.0.16_3d0h")
	if err != nil {
		t.Fatal(err)
	}
	f := m.members[0].figures
	f.rescale = false
	r, err := newRegression(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, adm3 := *f.chroma, 0.99
	if got, want := r.raw([]float64{0.1, 0, adm3, 0.2}), r.raw([]float64{0.1, float64(-c*adm3) + c, adm3, 0.2}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestChromaCorrection_refuses(t *testing.T) {
	m, err := Builtin("vmaf_v1.0.16_3d0h")
	if err != nil {
		t.Fatal(err)
	}
	f := m.members[0].figures
	f.features = slices.Clone(f.features)
	f.features[0] = f.features[1]
	if _, err := newRegression(f, nil); err == nil || !strings.Contains(err.Error(), "more than one feature has speed_chroma in its name") {
		t.Errorf("two chroma features: %v", err)
	}
	f.features[0] = f.features[2]
	if _, err := newRegression(f, nil); err == nil || !strings.Contains(err.Error(), "more than one feature has adm3 in its name") {
		t.Errorf("two adm3 features: %v", err)
	}
	f.features = slices.Clone(m.members[0].features)
	f.features[1].slope = 0
	if _, err := newRegression(f, nil); err == nil || !strings.Contains(err.Error(), "a feature it needs has slope 0") {
		t.Errorf("chroma with slope 0: %v", err)
	}
	f.features = f.features[:0]
	if _, err := newRegression(f, nil); err == nil || !strings.Contains(err.Error(), "0 features; want 1 … 64") {
		t.Errorf("no features: %v", err)
	}
	f.features = m.members[0].features[:3]
	if _, err := newRegression(f, nil); err == nil || !strings.Contains(err.Error(), "support vectors of 4 components for 3 features") {
		t.Errorf("three features: %v", err)
	}
}

// The steps of spec/prediction.md §6 for 20 members whose raw predictions are known.
func TestBootstrap_Spec6(t *testing.T) {
	r := &regression{figures: figures{clip: &clipRange{0, 100}}}
	raw := make([]float64, 20)
	for q := range raw {
		raw[len(raw)-1-q] = float64(50 + q)
	}
	b := r.bootstrap(raw)
	if b.bagging != 59.5 || math.Abs(b.stddev-math.Sqrt(33.25)) > 1e-11 || math.Abs(b.lo-50.475) > 1e-12 || math.Abs(b.hi-68.525) > 1e-12 {
		t.Errorf("got %+v", b)
	}
	for q := range raw {
		raw[q] += 60 // all above the range
	}
	if b := r.bootstrap(raw); b.bagging != 100 || b.stddev != 0 || b.hi != 100 {
		t.Errorf("above the range: %+v", b)
	}
}

// "… slope falls to 0.5 or 0": at the limit itself half of the difference is clipped away.
func TestBootstrap_Spec6_slopeAtTheClip(t *testing.T) {
	r := &regression{figures: figures{clip: &clipRange{0, 100}}}
	b := r.bootstrap([]float64{99, 101})
	if math.Abs(b.stddev-0.5) > 1e-12 {
		t.Errorf("stddev %v, want half of 1", b.stddev)
	}
}
