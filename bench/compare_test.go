package bench

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeVMAF puts a vmaf on PATH that writes scores to the log it is told: 90, 91, 92, 93.
func fakeVMAF(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	text := fmt.Sprintf("#!/bin/sh\ncalls=%q\n", calls) + script
	if err := os.WriteFile(filepath.Join(dir, "vmaf"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return calls
}

const goodVMAF = `[ "$1" = --version ] && { echo 3.2.0; exit 0; }
echo "$@" >>"$calls"
while [ $# -gt 0 ]; do [ "$1" = --output ] && out=$2; shift; done
cat >"$out" <<'END'
{"frames":[{"frameNum":0,"metrics":{"vmaf":90}},{"frameNum":1,"metrics":{"vmaf":91}},
{"frameNum":2,"metrics":{"vmaf":92}},{"frameNum":3,"metrics":{"vmaf":93}}]}
END
`

func compared(t *testing.T, change func(*Config)) Result {
	t.Helper()
	cfg := small(t)
	cfg.Scenarios, cfg.Renditions, cfg.Compare = []Scenario{ScenarioMeasure}, []int{2}, true
	if change != nil {
		change(&cfg)
	}
	return run(t, cfg).Results[0]
}

func TestCompare_holdsSpeedAndScoresAgainstOurs(t *testing.T) {
	calls := fakeVMAF(t, goodVMAF)
	r := compared(t, func(c *Config) { c.CompareOptions = []string{"--cpumask", "0"} })
	c := r.Compared
	if c == nil || c.NotRun != "" {
		t.Fatalf("not compared: %+v, %s", c, r.Failure)
	}
	if c.Version != "3.2.0" || c.ItsScore != 91.5 || c.OurScore <= 0 || c.OurScore > 100 || c.PairsPerSecond.Median <= 0 || c.PeakResidentBytes == 0 {
		t.Errorf("comparison %+v", c)
	}
	if c.LargestDifference < math.Abs(c.OurScore-91.5) {
		t.Errorf("means %v and 91.5 differ by more than any frame does, %v", c.OurScore, c.LargestDifference)
	}
	if want := r.PairsPerSecond.Median / c.PairsPerSecond.Median; c.Ratio != want {
		t.Errorf("ratio %v, want %v", c.Ratio, want)
	}
	text, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 6 { // a warm-up and two runs, of two renditions
		t.Errorf("it was called %d times, want 6", len(lines))
	}
	for _, arg := range []string{"--model version=vmaf_v0.6.1", "--threads 2", "reference.y4m", "rendition1.y4m", "--cpumask 0"} {
		if !strings.Contains(lines[0], arg) {
			t.Errorf("called with %q, which has no %q", lines[0], arg)
		}
	}
}

func TestCompare_saysWhyNot(t *testing.T) {
	t.Run("no such program", func(t *testing.T) {
		r := compared(t, func(c *Config) { c.CompareProgram = "no-such-vmaf" })
		if r.Compared == nil || !strings.Contains(r.Compared.NotRun, "no no-such-vmaf on PATH") || !r.has() {
			t.Errorf("comparison %+v", r.Compared)
		}
	})
	t.Run("it fails", func(t *testing.T) {
		fakeVMAF(t, "[ \"$1\" = --version ] && exit 0\necho no such model >&2; exit 3\n")
		if r := compared(t, nil); r.has() || !strings.Contains(r.Failure+r.Compared.text(), "no such model") && !strings.Contains(r.Failure, "exit status 3") {
			t.Errorf("failure %q", r.Failure)
		}
	})
	t.Run("frames are missing from its log", func(t *testing.T) {
		fakeVMAF(t, strings.Replace(goodVMAF, `{"frameNum":2,"metrics":{"vmaf":92}},`, "", 1))
		if r := compared(t, nil); !strings.Contains(r.Failure, "measured 3 frames, and we 4") {
			t.Errorf("failure %q", r.Failure)
		}
	})
}

func (c *Comparison) text() string {
	if c == nil {
		return ""
	}
	return c.NotRun
}
