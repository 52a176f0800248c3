package vmaf

import (
	"strings"
	"testing"
	"testing/fstest"
)

const (
	smallTable = "model\tsmall\nnormalisation\tlinear_rescale\noutput_slope\t0.01\noutput_intercept\t-0.3\nclip\t0.0\t100.0\n" +
		"transform_enabled\tfalse\ntransform_p0\t1.5\ntransform_out_gte_in\ttrue\n" +
		"feature\tVMAF_integer_feature_adm2_score\t2\t-1\tadm_enhn_gain_limit=1.0 debug=true\n" +
		"feature\tVMAF_integer_feature_vif_scale0_score\t1.5\t0\t-\nmachine\tm\n"
	smallMachineTable = "gamma\t0.04\nrho\t-1.3\nsv\t-4\t0.65\t0.35\nsv\t4\t0.9\t0\n"
)

func smallFiles(table, machine string) fstest.MapFS {
	return fstest.MapFS{
		"models/small.tsv":      {Data: []byte(table)},
		"models/machines/m.tsv": {Data: []byte(machine)},
	}
}

// The small model of the JSON tests in the embedded layout: one digest, so the same figures.
func TestReadFigures_agreesWithTheJSONLayout(t *testing.T) {
	members, err := readFigures(smallFiles(smallTable, smallMachineTable), "small")
	if err != nil {
		t.Fatal(err)
	}
	got, err := newModel("small", false, members, ModelOptions{EnableTransform: true})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(smallModel, `"knots": [[0, 0], [50, 60], [100, 100]], `, `"enabled": true, `, 1)
	want, err := ReadModelJSON(strings.NewReader(text), "json")
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != want.Digest {
		t.Errorf("digest %s, want %s", got.Digest, want.Digest)
	}
}

func TestReadFigures_refuses(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"an unknown row", "clip\t", "clips\t", `small.tsv line 5: unknown row "clips"`},
		{"another normalisation", "linear_rescale", "none", "line 2: normalisation none"},
		{"a missing column", "\t100.0", "", "line 5: clip: 1 columns, want 2"},
		{"an unreadable number", "0.01", "abc", `output_slope: "abc" is not a number`},
		{"a feature without options", "\t0\t-\n", "\t0\n", "feature: 3 columns, want 4"},
		{"no machine", "machine\tm\n", "", "small.tsv: no row machine"},
		{"a machine that is not there", "machine\tm\n", "machine\tx\n", "x.tsv: "},
		{"an unknown row of the machine", "rho", "roh", `m.tsv: line 2: row "roh" with 1 columns`},
		{"a vector too short", "\t0.35", "", `m.tsv: line 3: row "sv" with 2 columns`},
		{"an unreadable component", "0.35", "x", `m.tsv: line 3: "x" is not a number`},
	} {
		table, machine := strings.Replace(smallTable, c.old, c.new, 1), strings.Replace(smallMachineTable, c.old, c.new, 1)
		if table == smallTable && machine == smallMachineTable {
			t.Fatalf("%s: nothing replaced", c.name)
		}
		if _, err := readFigures(smallFiles(table, machine), "small"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := readFigures(fstest.MapFS{}, "small"); err == nil {
		t.Error("a model that is not there is read")
	}
}
