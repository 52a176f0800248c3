package bench

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/bench/synth"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/vmaf"
)

// Scenario is one way of measuring.
type Scenario string

// The scenarios, in the order in which they are reported.
const (
	ScenarioDecode  Scenario = "decode"  // decoding alone
	ScenarioKernels Scenario = "kernels" // features alone, of pictures in memory
	ScenarioMeasure Scenario = "measure" // from files to scores, in this process
	ScenarioDaemon  Scenario = "daemon"  // the same by a daemon and its worker
)

// Scenarios lists all scenarios.
func Scenarios() []Scenario {
	return []Scenario{ScenarioDecode, ScenarioKernels, ScenarioMeasure, ScenarioDaemon}
}

// The limits of a configuration.
const (
	MaxRuns = 1000
	// MaxRenditions is less than a measurement takes: pictures of all of them are in memory at a time.
	MaxRenditions = 16
	MaxLoops      = 1000
)

// Config says what to run. Zero values are defaults, but for Plan and, where the daemon is to be run, Program.
type Config struct {
	Scenarios []Scenario // none: all
	// Device is what computes, and decodes what it can.
	Device engine.Device

	// The axes: every combination is a case. None: the defaults, which take some minutes on two processors.
	Sizes      []engine.Size // default 576x324 and 1920x1080
	Depths     []int         // bits a sample, 8 … 16 as the codecs allow; default 8
	Codecs     []Codec       // default H264; the kernels have no use for them
	Renditions []int         // 1 … [MaxRenditions] measured together; default 1 and 5

	// Clips is a folder of clips to take instead of making some; see [FindClips]. Sizes, Depths and Codecs are then not looked at, and
	// Renditions leaves out what there are not enough of.
	Clips string

	Plan *vmaf.Plan // what is measured
	// Models and Features are those of Plan, as text. Features are measured beside the models, or alone where there are none.
	Models, Features []string

	// Loops has coded clips show their pictures so many times over, from the same bytes: those that travel easily are short. 0: once.
	Loops   int
	Frames  int // of each clip; 0: by size, see [defaultFrames]
	Runs    int // timed, after one that warms up; 0: 5
	Threads int // 0: one a processor

	// Compare runs the vmaf command beside whole measurements. CompareProgram is its name or path; "": vmaf. CompareOptions are given to
	// it besides.
	Compare        bool
	CompareProgram string
	CompareOptions []string

	Program  string // vqsd, for the daemon
	Progress func(string)
	Scratch  string // where clips and a daemon's data are kept while it runs; "": the system's folder for that
	Version  string // of this program, for the report
	Commit   string
}

// validate reports every problem, and fills in defaults.
func (c *Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Scenarios) == 0 {
		c.Scenarios = Scenarios()
	}
	for _, s := range c.Scenarios {
		if !slices.Contains(Scenarios(), s) {
			add("scenario %q is not one of %s", s, join(Scenarios()))
		}
	}
	if c.Device == "" {
		c.Device = engine.DeviceAuto
	}
	if len(c.Sizes) == 0 {
		c.Sizes = []engine.Size{{Width: 576, Height: 324}, {Width: 1920, Height: 1080}}
	}
	if len(c.Depths) == 0 {
		c.Depths = []int{8}
	}
	for _, size := range c.Sizes {
		for _, depth := range c.Depths {
			if err := (synth.Content{Width: size.Width, Height: size.Height, BitsPerComponent: depth, Frames: 1}).Validate(); err != nil {
				add("pictures of %v, %d bit: %w", size, depth, err)
			}
		}
	}
	if len(c.Codecs) == 0 {
		c.Codecs = []Codec{H264}
	}
	for _, codec := range c.Codecs {
		if !slices.Contains(Codecs(), codec) {
			add("codec %q is not one of %s", codec, join(Codecs()))
		}
	}
	if len(c.Renditions) == 0 {
		c.Renditions = []int{1, 5}
	}
	for _, n := range c.Renditions {
		if n < 1 || n > MaxRenditions {
			add("renditions: %d is not in 1 … %d", n, MaxRenditions)
		}
	}
	if c.Plan == nil {
		add("plan: nothing to measure")
	}
	if c.Frames < 0 || c.Frames == 1 || c.Frames > 1<<20 {
		add("frames: %d is not in 2 … %d, or 0 for a number that fits the size", c.Frames, 1<<20)
	}
	if c.Loops < 0 || c.Loops > MaxLoops {
		add("loops: %d is not in 1 … %d", c.Loops, MaxLoops)
	}
	if c.Runs < 0 || c.Runs > MaxRuns {
		add("runs: %d is not in 1 … %d", c.Runs, MaxRuns)
	}
	if c.Runs == 0 {
		c.Runs = 5
	}
	if c.Threads < 0 || c.Threads > engine.MaxThreads {
		add("threads: %d is not in 0 … %d", c.Threads, engine.MaxThreads)
	}
	if c.Threads == 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	if c.CompareProgram == "" {
		c.CompareProgram = "vmaf"
	}
	if c.Program == "" && slices.Contains(c.Scenarios, ScenarioDaemon) {
		add("program: none is named, which would be the daemon")
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	return errors.Join(errs...)
}

// defaultFrames is how many frames a clip gets when nobody says: about 64 million samples, so that a run lasts around a second on a
// processor, but never so few that the first and the last decide.
func defaultFrames(size engine.Size) int {
	return min(max(64_000_000/(size.Width*size.Height), 12), 240)
}

// PlanOf reads models and features as measure does, and plans what they need.
func PlanOf(specs, features []string, open func(path string) (io.ReadCloser, error)) (*vmaf.Plan, error) {
	var models []*vmaf.Model
	var extractions []vmaf.Extraction
	var errs []error
	for _, text := range features {
		e, err := vmaf.ParseExtraction(text)
		if err == nil {
			err = e.Computable()
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		extractions = append(extractions, e)
	}
	for _, spec := range specs {
		m, err := vmaf.ParseModel(spec, open)
		if err == nil {
			err = m.Computable()
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		models = append(models, m)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	models, err := vmaf.DistinctNames(models)
	if err != nil {
		return nil, err
	}
	plan, err := vmaf.NewPlan(models, extractions)
	if err != nil {
		return nil, err
	}
	if len(extractions) > 0 {
		return plan, nil // a lean one would leave the features' series out
	}
	return plan.Lean(), nil
}

func join[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = string(v)
	}
	return strings.Join(texts, ", ")
}
