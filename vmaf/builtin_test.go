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
		if err := m.Computable(); (err != nil) != strings.HasPrefix(name, "vmaf_v1") || err != nil && !errors.Is(err, ErrNotComputable) {
			t.Errorf("%s: computable: %v", name, err)
		}
	}
}

// Digests are stored with results, so they must not change without need.
func TestBuiltin_digestsStay(t *testing.T) {
	for name, want := range map[string]string{} {
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
