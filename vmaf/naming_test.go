package vmaf

import (
	"slices"
	"testing"
)

func TestDistinctNames(t *testing.T) {
	for _, c := range []struct {
		name  string
		specs []string
		want  []string
	}{
		{"one keeps the default", []string{"vmaf_v0.6.1"}, []string{"vmaf"}},
		{"one beside a named one keeps the default", []string{"vmaf_v0.6.1", "vmaf_v0.6.1neg:name=neg"}, []string{"vmaf", "neg"}},
		{"several get their versions", []string{"vmaf_v0.6.1", "vmaf_v0.6.1neg", "vmaf_4k_v0.6.1:name=uhd"}, []string{"vmaf_v0.6.1", "vmaf_v0.6.1neg", "uhd"}},
		{"none", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var models []*Model
			for _, spec := range c.specs {
				m, err := ParseModel(spec, nil)
				if err != nil {
					t.Fatal(err)
				}
				models = append(models, m)
			}
			named, err := DistinctNames(models)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, m := range named {
				got = append(got, m.Name)
				if m.Digest != models[i].Digest {
					t.Errorf("%s: a name changed the digest", m.Name)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("names %q, want %q", got, c.want)
			}
		})
	}
	if got := versionName("/a b/my model.json"); got != "my_model" {
		t.Errorf("name of a file: %q", got)
	}
}
