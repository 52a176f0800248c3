package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// farmRules are rules of somebody's own: for a ladder, labels and a refusal.
const farmRules = `rules:
  - name: default
    when: true
    then: {models: [vmaf_v0.6.1], chunk_seconds: 2, pools: [mean, p5]}
  - name: small
    doc: Thumbnails are not worth the time.
    when: distorted.height < 40
    then: {refuse: Thumbnails are not measured.}
  - name: live
    doc: Somebody waits.
    when: '"channel" in request.labels && request.class != "background"'
    then: {class: latency, chunk_frames: 12, features: [motion], scale: lanczos, geometry: 32x32, warn: Live figures are of one pass.}
`

func TestRulesSnapshots(t *testing.T) {
	dir := t.TempDir()
	ref := clipSpec{frames: 50}.write(t, dir, "ref.y4m")
	same := clipSpec{frames: 50, noise: 12}.write(t, dir, "same.y4m")
	tiny := clipSpec{width: 32, height: 24, frames: 25, rate: "50:1"}.write(t, dir, "tiny.y4m")
	farm := writeFile(t, filepath.Join(dir, "farm.yaml"), []byte(farmRules))
	for name, args := range map[string][]string{
		"rules-test.txt":      {"rules", "test", "-r", ref, "-d", same, "-d", tiny},
		"rules-test-farm.txt": {"rules", "test", "-r", ref, "-d", same, "-d", tiny, "--rules", farm, "--label", "channel=one"},
		"rules-test.json":     {"rules", "test", "-r", ref, "-d", same, "-d", tiny, "--rules", farm, "--label", "channel=one", "--json"},
		"rules.json":          {"rules", "--rules", farm, "--json"},
	} {
		t.Run(name, func(t *testing.T) {
			got := vqsd(t, args...)
			got.want(t, exitDone)
			snapshot(t, name, got.stdout, dir)
			if strings.HasSuffix(name, ".json") && !json.Valid([]byte(got.stdout)) {
				t.Error("that is no JSON")
			}
		})
	}
}

// What the request names itself stands above the rules.
func TestRulesGiveWayToTheRequest(t *testing.T) {
	ref, dis := pair(t, 50)
	farm := writeFile(t, filepath.Join(t.TempDir(), "farm.yaml"), []byte(farmRules))
	got := vqsd(t, "rules", "test", "-r", ref, "-d", dis, "--rules", farm, "--label", "channel=one", "--class", "throughput", "--model", "path=mine.json")
	got.want(t, exitDone)
	_, decided, _ := strings.Cut(got.stdout, "\ndecided\n")
	if !strings.Contains(decided, "motion") || strings.Contains(decided, "class") || strings.Contains(decided, "vmaf_v0.6.1") {
		t.Errorf("decided:\n%s", decided)
	}
}

// What rules prints can be read again, and is what it says it is.
func TestRulesPrintsWhatItReads(t *testing.T) {
	printed := vqsd(t, "rules")
	printed.want(t, exitDone)
	path := writeFile(t, filepath.Join(t.TempDir(), "rules.yaml"), []byte(printed.stdout))
	sum := sha256.Sum256([]byte(printed.stdout))
	checked := vqsd(t, "rules", "check", path)
	checked.want(t, exitDone)
	if want := "sha256 " + hex.EncodeToString(sum[:]) + "\n"; !strings.HasPrefix(checked.stdout, path+": ") || !strings.HasSuffix(checked.stdout, want) {
		t.Errorf("check printed %q, want the name and %s", checked.stdout, want)
	}
	if again := vqsd(t, "rules", "--rules", path); again.stdout != printed.stdout || again.code != exitDone {
		t.Errorf("status %d, printed %q", again.code, again.stdout)
	}
}

func TestRulesFailures(t *testing.T) {
	ref, dis := pair(t, 50)
	dir := t.TempDir()
	wrong := writeFile(t, filepath.Join(dir, "wrong.yaml"), []byte("rules:\n  - name: a\n    when: reference.heigth > 1\n    then: {model: [x]}\n"))
	careless := writeFile(t, filepath.Join(dir, "careless.yaml"), []byte("rules:\n  - {name: a, when: request.labels.team == \"x\", then: {warn: w}}\n"))
	large := writeFile(t, filepath.Join(dir, "large.yaml"), make([]byte, 2<<20))
	mistakes := []string{wrong + `:3:20: rule "a": when: there is no field "heigth" (did you mean "height"?)`,
		wrong + `:4:12: rule "a": unknown key "model" (did you mean "models"?)`}
	for name, row := range map[string]struct {
		args []string
		says []string
	}{
		"check wrong rules":     {[]string{"rules", "check", wrong}, mistakes},
		"print wrong rules":     {[]string{"rules", "--rules", wrong}, mistakes},
		"try wrong rules":       {[]string{"rules", "test", "-r", ref, "-d", dis, "--rules", wrong}, mistakes},
		"rules too large":       {[]string{"rules", "check", large}, []string{"1048576 are allowed"}},
		"no such rules":         {[]string{"rules", "check", filepath.Join(dir, "none.yaml")}, []string{"no such file"}},
		"a folder":              {[]string{"rules", "check", dir}, []string{"is a directory"}},
		"no such video":         {[]string{"rules", "test", "-r", ref, "-d", filepath.Join(dir, "none.y4m")}, []string{"none.y4m"}},
		"condition without end": {[]string{"rules", "test", "-r", ref, "-d", dis, "--rules", careless}, []string{`rule "a" on rendition 1 (dis.y4m): when: no such key: team`}},
	} {
		t.Run(name, func(t *testing.T) {
			vqsd(t, row.args...).want(t, exitFailed, row.says...)
		})
	}
	// The explanation is printed beside the error, in either form.
	for _, more := range [][]string{nil, {"--json"}} {
		got := vqsd(t, append([]string{"rules", "test", "-r", ref, "-d", dis, "--rules", careless}, more...)...)
		if !strings.Contains(got.stdout, "no such key: team") {
			t.Errorf("%v: standard output has no explanation:\n%s", more, got.stdout)
		}
	}
}

func TestRulesWrongUsage(t *testing.T) {
	test := func(more ...string) []string { return append([]string{"rules", "test", "-r", "a", "-d", "b"}, more...) }
	for name, row := range map[string]struct {
		args []string
		says string
	}{
		"unknown subcommand":      {[]string{"rules", "chek"}, `unknown command "chek"`},
		"check without a file":    {[]string{"rules", "check"}, "name one file; there are 0"},
		"check of two files":      {[]string{"rules", "check", "a", "b"}, "name one file; there are 2"},
		"test without videos":     {[]string{"rules", "test"}, "required flag(s)"},
		"unknown class":           {test("--class", "urgent"), `--class: "urgent" is none of latency, throughput, background`},
		"label without a value":   {test("--label", "team"), "--label team: want KEY=VALUE"},
		"label twice":             {test("--label", "a=1", "--label", "a=2"), "--label a=2: want KEY=VALUE, each key once"},
		"unknown model":           {test("--model", "vmaf_v9"), "--model: unknown model"},
		"standard input":          {[]string{"rules", "test", "-r", "-", "-d", "b"}, `"-" is no file`},
		"unknown limit":           {test("--limit", "x=1"), "--limit x=1"},
		"stray argument of rules": {test("c"), `unknown command "c"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := vqsd(t, row.args...)
			got.want(t, exitUsage, "vqsd: ", row.says, `--help"`)
			if got.stdout != "" {
				t.Errorf("standard output has %q", got.stdout)
			}
		})
	}
}
