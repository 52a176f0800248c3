package check

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/vmaf"
)

// The environment variables of the tests.
const (
	envSeed    = "VQSD_CHECK_SEED"    // the flag -seed wins
	envTargets = "VQSD_CHECK_TARGETS" // comma-separated targets that must run here
)

var seedFlag = flag.Uint64("seed", 0, "seed of the kernel checks; 0: environment variable "+envSeed+", else the clock")

func seed(t *testing.T) uint64 {
	t.Helper()
	s := *seedFlag
	if s == 0 {
		var err error
		if s, err = strconv.ParseUint(cmp.Or(os.Getenv(envSeed), "0"), 10, 64); err != nil {
			t.Fatalf("environment variable %s: %v", envSeed, err)
		}
	}
	if s == 0 {
		s = uint64(time.Now().UnixNano()) % 1e9
	}
	t.Logf("seed %d: repeat with -seed %d or %s=%d", s, s, envSeed, s)
	return s
}

func TestParity(t *testing.T) {
	s := seed(t)
	var missing []string
	for _, name := range cpu.KnownTargets() {
		if !slices.Contains(cpu.Targets(), name) {
			missing = append(missing, name)
		}
	}
	t.Logf("run: %s; NOT RUN, since this machine cannot: %s", strings.Join(cpu.Targets(), ", "), strings.Join(missing, ", "))
	for name := range strings.SplitSeq(os.Getenv(envTargets), ",") {
		if name != "" && !slices.Contains(cpu.Targets(), name) {
			t.Errorf("target %s was not run, and %s says it must be", name, envTargets)
		}
	}
	for _, k := range Kernels() {
		t.Run(k.Name, func(t *testing.T) {
			if err := k.Check(s, testing.Short()); err != nil {
				t.Error(err)
			}
		})
	}
}

// BenchmarkKernels times the same kernels as [Bench], without scrubbing the caches: what it reports as ns/op is with pictures
// at hand. Beside it: half the interquartile range, the ratio to the plain reference, the share of memory bandwidth.
func BenchmarkKernels(b *testing.B) {
	before := cpu.Target()
	defer cpu.SetTarget(before)
	bandwidth := memoryBandwidth()
	for _, k := range Kernels() {
		for _, size := range k.BenchSizes {
			for _, bpc := range k.BenchDepths {
				c, err := k.benchCase(size, bpc)
				if err != nil {
					b.Fatal(err)
				}
				var plain float64
				for _, target := range cpu.Targets() {
					b.Run(fmt.Sprintf("%s/%v/%d/%s", k.Name, size, bpc, target), func(b *testing.B) {
						if plain == 0 {
							plain = measureCase(b, c, plainTarget, func(n int) bool { return n < 3 }).median()
						}
						b.SetBytes(int64(k.traffic(size, bpc)))
						b.ReportAllocs()
						t := measureCase(b, c, target, func(int) bool { return b.Loop() })
						b.ReportMetric(t.spread(), "±ns")
						b.ReportMetric(plain/t.median(), "×plain")
						b.ReportMetric(100*float64(k.traffic(size, bpc))/t.median()/bandwidth, "%memory")
					})
				}
				if err := c.runner.Close(); err != nil {
					b.Error(err)
				}
			}
		}
	}
}

// measureCase times a case on a target as long as more agrees.
func measureCase(b *testing.B, c *benchCase, target string, more func(runs int) bool) timing {
	if err := cpu.SetTarget(target); err != nil {
		b.Fatal(err)
	}
	t := timing{target: target, ns: make([]float64, 0, 1<<12)}
	for more(len(t.ns)) {
		start := time.Now()
		if err := c.run(); err != nil {
			b.Fatal(err)
		}
		t.ns = append(t.ns, float64(time.Since(start).Nanoseconds()))
	}
	return t
}

func TestBenchTable(t *testing.T) {
	var text strings.Builder
	cfg := BenchConfig{Match: regexp.MustCompile(`^motion/640x360/8/`), Runs: 2}
	if err := Bench(&text, cfg); err != nil {
		t.Fatal(err)
	}
	for _, target := range cpu.Targets() {
		line := regexp.MustCompile(`(?m)^ +motion +640x360 +8 +` + target + ` +\d+ +\d+ +2 +\d+\.\d +\d+\.\d\d +\d+ %$`)
		if !line.MatchString(text.String()) {
			t.Errorf("no line for %s in\n%s", target, &text)
		}
	}
}

// fake is a kernel in Go that sums its planes' samples, or does worse.
type fake struct {
	size    Size
	bpc     int
	misdeed string
	calls   int
}

func (f *fake) Close() error { return nil }

func (f *fake) Run(planes []vmaf.Plane, results []int64) error {
	f.calls++
	clear(results)
	for i, p := range planes {
		for y := range p.Height {
			for x := range p.Width {
				results[i] += int64(p.Data[y*p.StrideBytes+x])
			}
		}
	}
	if cpu.Target() == plainTarget && !strings.HasSuffix(f.misdeed, "plain") {
		return nil
	}
	p := planes[1]
	switch strings.TrimSuffix(f.misdeed, " on plain") {
	case "adds one to the second result where column 5 of row 3 is above 200":
		if p.Data[3*p.StrideBytes+5] > 200 {
			results[1]++
		}
	case "reads padding":
		if p.StrideBytes > p.Width {
			results[1] += int64(p.Data[p.Width])
		}
	case "writes a sample":
		p.Data[0]++
	case "writes past its results":
		whole := slices.Grow(results, 1)
		whole[:cap(whole)][len(results)]++
	case "keeps state":
		results[0] += int64(f.calls)
	case "fails":
		return errors.New("status 3")
	}
	return nil
}

func TestHarnessNotices(t *testing.T) {
	for _, c := range []struct {
		misdeed string
		want    []string // in the error
	}{
		{"", nil},
		{"adds one to the second result where column 5 of row 3 is above 200", []string{
			"fake 9x7 8 bit AllMax, seed 5: target", "results differ: 1 of 2, the first is b", "off by 1",
			"still with zeros outside columns 5 … 5 of rows 3 … 3"}},
		{"reads padding", []string{"results differ", "the memory layout matters"}},
		{"reads padding on plain", []string{"target plain", "results differ"}},
		{"writes a sample", []string{"plane second was written to: byte 0 of 63"}},
		{"writes past its results", []string{"wrote outside its results"}},
		{"keeps state", []string{"a second call with the same planes", "results differ"}},
		{"keeps state on plain", []string{"target plain", "a second call with the same planes"}},
		{"fails", []string{"status 3"}},
	} {
		t.Run(cmp.Or(c.misdeed, "nothing wrong"), func(t *testing.T) {
			k := &Kernel{
				Name: "fake", Planes: []string{"first", "second"}, Results: []string{"a", "b"},
				Sizes: []Size{{9, 7}}, Depths: []int{8}, Inputs: Standard,
				New: func(size Size, bpc int) (Runner, error) { return &fake{size: size, bpc: bpc, misdeed: c.misdeed}, nil },
			}
			targets := cpu.Targets()
			if len(targets) < 2 {
				t.Skip("this machine runs the plain target alone")
			}
			before := cpu.Target()
			err := k.checkTargets(targets[:2], 5, false)
			if got := cpu.Target(); got != before {
				t.Errorf("left target %s in force, was %s", got, before)
			}
			if c.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("nothing was noticed")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in:\n%v", want, err)
				}
			}
			if strings.Contains(c.want[0], ErrDiffers.Error()) && !errors.Is(err, ErrDiffers) {
				t.Error("the error is not ErrDiffers")
			}
		})
	}
}

// Chroma planes have their own size, and where a difference comes from is said in luma samples all the same.
func TestHarnessNotices_InChroma(t *testing.T) {
	targets := cpu.Targets()
	if len(targets) < 2 {
		t.Skip("this machine runs the plain target alone")
	}
	k := &Kernel{
		Name: "fake", Planes: []string{"ref y", "ref cb", "ref cr", "dis y", "dis cb", "dis cr"}, Chroma: vmaf.Chroma420,
		Results: []string{"a", "b", "c", "d", "e", "f"}, Sizes: []Size{{17, 11}}, Depths: []int{8}, Inputs: Standard,
	}
	for _, c := range []struct {
		misdeed string
		want    []string // in the error
	}{
		{"", nil},
		{"reads padding", []string{"the memory layout matters"}},
		{"writes a sample", []string{"plane ref cb was written to: byte 0 of 54"}},
		{"adds one to the second result where column 5 of row 3 is above 200", []string{
			"fake 17x11 8 bit AllMax", "1 of 6, the first is b", "outside columns 10 … 10 of rows 6 … 6", "ref cb [255]"}},
	} {
		t.Run(cmp.Or(c.misdeed, "nothing wrong"), func(t *testing.T) {
			k.New = func(size Size, bpc int) (Runner, error) { return &fake{size: size, bpc: bpc, misdeed: c.misdeed}, nil }
			err := k.checkTargets(targets[:2], 5, false)
			if len(c.want) == 0 && err != nil {
				t.Error(err)
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in:\n%v", want, err)
				}
			}
		})
	}
}

// CheckAgainst holds an implementation against the plain target, whatever target was in force, and names it.
func TestCheckAgainst(t *testing.T) {
	k := &Kernel{
		Name: "fake", Planes: []string{"first", "second"}, Results: []string{"a", "b"},
		Sizes: []Size{{9, 7}}, Depths: []int{8}, Inputs: Standard,
		New: func(size Size, bpc int) (Runner, error) { return &fake{size: size, bpc: bpc}, nil },
	}
	for _, c := range []struct{ misdeed, want string }{
		{"", ""},
		{"adds one to the second result where column 5 of row 3 is above 200 on plain", "device 3, planes with"},
		{"reads padding on plain", "the memory layout matters"},
		{"fails on plain", "status 3"},
	} {
		t.Run(cmp.Or(c.misdeed, "nothing wrong"), func(t *testing.T) {
			other := func(size Size, bpc int) (Runner, error) { return &fake{size: size, bpc: bpc, misdeed: c.misdeed}, nil }
			before := cpu.Target()
			err := k.CheckAgainst("device 3", other, 5, false)
			if got := cpu.Target(); got != before {
				t.Errorf("left target %s in force, was %s", got, before)
			}
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("no %q in: %v", c.want, err)
			}
		})
	}
}

// A case must not depend on which cases ran before it, else a seed would not bring a failure back.
func TestCaseIsReproducible(t *testing.T) {
	k := Kernels()[0]
	c := testCase{k, Size{20, 10}, 10, Random, 3}
	first := c.content()
	other := testCase{k, Size{20, 10}, 12, Random, 3}
	other.content()
	second := c.content()
	for i := range first.Planes {
		if !slices.Equal(first.Planes[i], second.Planes[i]) {
			t.Errorf("plane %d differs the second time", i)
		}
		if slices.Equal(first.Planes[i], other.content().Planes[i]) {
			t.Errorf("plane %d is the same at another depth", i)
		}
	}
}

func TestInputsStayInRange(t *testing.T) {
	for _, k := range Kernels() {
		for _, input := range k.Inputs {
			for _, bpc := range []int{8, 10, 16} {
				content := testCase{k, Size{70, 40}, bpc, input, 1}.content()
				for i, p := range content.Planes {
					if top := int(slices.Max(p)); top > content.Top() {
						t.Errorf("%s %s %d bit: plane %d has a sample of %d", k.Name, input.Name, bpc, i, top)
					}
				}
			}
		}
	}
}

// Layouts have to cover what kernels get wrong.
func TestLayoutsVary(t *testing.T) {
	c := testCase{kernel: Kernels()[0], seed: 1}
	rng := c.random("layouts")
	seen := map[string]bool{}
	for range 300 {
		l := randomLayout(rng, Size{21, 5}, 10)
		if l.strideBytes%2 != 0 || l.slackBytes%2 != 0 || l.strideBytes < 42 {
			t.Fatalf("impossible layout %v", l)
		}
		seen["minimal"] = seen["minimal"] || l.strideBytes == 42
		seen["odd in samples"] = seen["odd in samples"] || l.strideBytes/2%2 == 1 && l.strideBytes > 42
		seen["aligned"] = seen["aligned"] || l.strideBytes == 64
		seen["pages"] = seen["pages"] || l.strideBytes == 4096
		seen["at the end"] = seen["at the end"] || l.atEnd && l.slackBytes == 0
		seen["at the start"] = seen["at the start"] || !l.atEnd && l.slackBytes == 0
		seen["unaligned"] = seen["unaligned"] || !l.atEnd && l.slackBytes%4 == 2
	}
	for what, ok := range seen {
		if !ok {
			t.Errorf("no layout was %s", what)
		}
	}
}
