package vmaf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// compareModelTables compares the embedded models with the tables of a golden folder, which hold each member of each model in
// full: what the embedded layout leaves out or shares must come back.
func compareModelTables(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "models", "*.tsv"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no model tables in %s: %v", dir, err)
	}
	seen := map[string]int{}
	for _, file := range files {
		name, member := strings.TrimSuffix(filepath.Base(file), ".tsv"), 0
		if strings.HasPrefix(name, "vmaf_b_") {
			if _, err := fmt.Sscanf(name[len(name)-2:], "%d", &member); err != nil {
				t.Fatal(err)
			}
			name = name[:len(name)-3]
		}
		seen[name]++
		m, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := goldenFacts(string(text))
		if got := embeddedFacts(m.members[member]); !slices.Equal(got, want) {
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Errorf("%s: got %q, want %q", file, got[i], want[i])
					break
				}
			}
			t.Errorf("%s: %d facts, want %d", file, len(got), len(want))
		}
	}
	for _, name := range BuiltinNames() {
		if m, err := Builtin(name); err != nil || len(m.members) != seen[name] {
			t.Errorf("%s: %d golden tables, model %v %v", name, seen[name], m, err)
		}
	}
}

// goldenFacts are the figures of a golden model table, numbers in canonical form, sorted rows but for the vectors.
func goldenFacts(text string) []string {
	var head, vectors []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		fields := strings.Split(line, "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		switch fields[0] {
		case "model", "regression", "kernel", "support_vectors", "normalisation":
			continue
		case "feature":
			fields = slices.Delete(fields, 1, 2) // the index
			fields[4] = sortedOptions(fields[4])
		case "transform_enabled_by_default":
			if fields[1] == "none" {
				continue
			}
		}
		for i, field := range fields[1:] {
			if v, err := parseNumber(field); err == nil {
				fields[i+1] = exact(v)
			}
		}
		if row := strings.Join(fields, " "); fields[0] == "sv" {
			vectors = append(vectors, row)
		} else {
			head = append(head, row)
		}
	}
	slices.Sort(head)
	return append(head, vectors...)
}

func sortedOptions(text string) string {
	options := strings.Fields(text)
	slices.Sort(options)
	return strings.Join(options, " ")
}

// embeddedFacts are the same of a built-in model's member.
func embeddedFacts(r *regression) []string {
	head := []string{
		"gamma " + exact(r.machine.gamma), "rho " + exact(r.machine.rho),
		"output_slope " + exact(r.outputSlope), "output_intercept " + exact(r.outputIntercept),
		"clip " + exact(r.clip.lo) + " " + exact(r.clip.hi),
	}
	if t := r.transform; t != nil {
		head = append(head, fmt.Sprintf("transform_enabled_by_default %t", t.enabled))
		for i, p := range t.polynomial {
			if p.given {
				head = append(head, fmt.Sprintf("transform_p%d %s", i, exact(p.value)))
			}
		}
		if t.notBelow {
			head = append(head, "transform_out_gte_in true")
		}
	}
	if r.chroma != nil {
		head = append(head, "chroma_correction "+exact(*r.chroma))
	}
	for _, f := range r.features {
		options := "-"
		if len(f.options) > 0 {
			var list []string
			for key, value := range f.options {
				list = append(list, key+"="+value)
			}
			slices.Sort(list)
			options = strings.Join(list, " ")
		}
		head = append(head, strings.Join([]string{"feature", f.name, exact(f.slope), exact(f.intercept), options}, " "))
	}
	slices.Sort(head)
	for j, c := range r.machine.coefficients {
		row := "sv " + exact(c)
		for _, v := range r.machine.vectors[j*r.machine.width : (j+1)*r.machine.width] {
			row += " " + exact(v)
		}
		head = append(head, row)
	}
	return head
}

func TestBuiltin_listsAllModels(t *testing.T) {
	want := []string{
		"vmaf_4k_v0.6.1", "vmaf_4k_v0.6.1neg", "vmaf_b_v0.6.3", "vmaf_v0.6.1", "vmaf_v0.6.1neg",
		"vmaf_v1.0.16_1d5h_2160", "vmaf_v1.0.16_3d0h", "vmaf_v1.0.16_3d0h_2160", "vmaf_v1.0.16_5d0h",
		"vmaf_v1.0.16_hfr_1d5h_2160", "vmaf_v1.0.16_hfr_3d0h", "vmaf_v1.0.16_hfr_3d0h_2160", "vmaf_v1.0.16_hfr_5d0h",
	}
	if got := BuiltinNames(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	digests := map[string]string{}
	for _, name := range want {
		m, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		if m.Name != DefaultName || m.Version != name || len(m.Digest) != 64 {
			t.Errorf("%s: name %q, version %q, digest %q", name, m.Name, m.Version, m.Digest)
		}
		if other, taken := digests[m.Digest]; taken {
			t.Errorf("%s and %s have one digest", name, other)
		}
		digests[m.Digest] = name
		if err := m.Computable(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Digests are stored with results, so they must not change without need.
func TestBuiltin_digestsStay(t *testing.T) {
	for name, want := range map[string]string{
		"vmaf_4k_v0.6.1":             "114f44305e41af854a5614ab021de4ac0adc860876ded33d4238e89428d58f7c",
		"vmaf_4k_v0.6.1neg":          "29011ad40a44176b566e433e86c30e7ac12bcb743d8c9dfcb33da0c01b4911eb",
		"vmaf_b_v0.6.3":              "d293b23f5956c609c4fd757ce152de378222039ff4a9dd55fef466b0d97777be",
		"vmaf_v0.6.1":                "acf70d30155b46145b97a696e20cbb7bce25725ef1ff2a1948add3ec78fa23a1",
		"vmaf_v0.6.1neg":             "fcc87533ea0795a4d59f1373d7110987c9897794712e7c8ec3bedb6c5410c4cc",
		"vmaf_v1.0.16_1d5h_2160":     "a9fdee5542d1e0d77b50e98f066ff541a2e5422597632c046b640d44222615be",
		"vmaf_v1.0.16_3d0h":          "1b4e693ac3dee5da9ca99d15c608f2e1d9eb960492b9c5c7a3859acc4ea1eb80",
		"vmaf_v1.0.16_3d0h_2160":     "1c2f2a3f7883562fb6e62247cbccbf1b24fbbf81bb46ee472b1c6562e9fe5c7a",
		"vmaf_v1.0.16_5d0h":          "f79f0867583911c69db81babbdc8febeeadfa1550bba9682270e50840b22153d",
		"vmaf_v1.0.16_hfr_1d5h_2160": "0c74da2edab7ba280eee258195f48a9c0ac972e4d8df49c0b3e06cd0c6c6399e",
		"vmaf_v1.0.16_hfr_3d0h":      "80a4b59014973281e7c722736adc704a5c44f0681f557b14d5bf0ee8a7dbc765",
		"vmaf_v1.0.16_hfr_3d0h_2160": "fd9f8627a5734040b1d1a0dc584978e735f70f5f1143699ad89003dba9fbfe14",
		"vmaf_v1.0.16_hfr_5d0h":      "72a6c36d04b846ed27469bb384f8b27ba83716a6712bb8c23050ce55ac67e26a",
	} {
		m, err := Builtin(name)
		if err != nil || m.Digest != want {
			t.Errorf("%s: digest %s %v, want %s", name, m.Digest, err, want)
		}
	}
}

func TestBuiltin_refusesAnUnknownName(t *testing.T) {
	_, err := Builtin("vmaf_v9")
	if !errors.Is(err, ErrUnknownModel) || !strings.Contains(err.Error(), `"vmaf_v9"; want one of vmaf_4k_v0.6.1, `) {
		t.Errorf("got %v", err)
	}
}

func TestBuiltin_isTheCallersOwn(t *testing.T) {
	a, _ := Builtin("vmaf_v0.6.1")
	a.Name = "changed"
	if b, _ := Builtin("vmaf_v0.6.1"); b.Name != DefaultName {
		t.Errorf("changing one made another's name %q", b.Name)
	}
}
