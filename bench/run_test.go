package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/internal/emulator"
	"github.com/vqsd/vqsd/vmaf"
)

// The driver of this process is the software libcuda, where it has been built; the test that needs it skips elsewhere.
func TestMain(m *testing.M) {
	_ = emulator.Prepare() // emulator.Library says what is wrong, in the test that needs it
	os.Exit(m.Run())
}

func plan(t *testing.T) *vmaf.Plan {
	t.Helper()
	p, err := PlanOf([]string{"vmaf_v0.6.1"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// small is a configuration whose cases take no time.
func small(t *testing.T) Config {
	t.Helper()
	return Config{
		Scenarios: []Scenario{ScenarioDecode, ScenarioKernels, ScenarioMeasure}, Device: engine.DeviceCPU, Sizes: []engine.Size{{Width: 64, Height: 48}},
		Codecs: []Codec{Y4M}, Renditions: []int{1, 2}, Plan: plan(t), Models: []string{"vmaf_v0.6.1"}, Frames: 4, Runs: 2, Threads: 2, Scratch: t.TempDir(),
	}
}

// run runs a configuration and wants nothing left on the disk.
func run(t *testing.T, cfg Config) *Report {
	t.Helper()
	report, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	empty(t, cfg.Scratch)
	return report
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 0 {
		t.Errorf("%s is left in the scratch folder", entries[0].Name())
	}
}

func TestRun_reportsEveryCase(t *testing.T) {
	cfg := small(t)
	cfg.Depths = []int{8, 10}
	report := run(t, cfg)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	var cases []string
	for _, r := range report.Results {
		cases = append(cases, string(r.Scenario)+" "+r.Clip+" "+number(r.Renditions))
		if r.FramesPerSecond.Median <= 0 || r.PairsPerSecond.Low > r.PairsPerSecond.High || r.Frames < 4 || r.Bound == "" || r.Backend == "" {
			t.Errorf("%s lacks figures: %+v", cases[len(cases)-1], r)
		}
		if measured := r.Scenario == ScenarioMeasure; measured != (r.DecoderShare != nil) || measured != (r.DecodeAlone != nil) {
			t.Errorf("%s: decoder share %v", cases[len(cases)-1], r.DecoderShare)
		}
		if r.Emulated || r.DeviceBytes != nil || r.MemoryBasis != "measured" {
			t.Errorf("%s: a device has been at work", cases[len(cases)-1])
		}
	}
	want := []string{
		"decode 64x48 8 bit y4m 1", "decode 64x48 8 bit y4m 2", "decode 64x48 10 bit y4m 1", "decode 64x48 10 bit y4m 2",
		"kernels 64x48 8 bit 1", "kernels 64x48 8 bit 2", "kernels 64x48 10 bit 1", "kernels 64x48 10 bit 2",
		"measure 64x48 8 bit y4m 1", "measure 64x48 8 bit y4m 2", "measure 64x48 10 bit y4m 1", "measure 64x48 10 bit y4m 2",
	}
	if !slices.Equal(cases, want) {
		t.Errorf("cases %q, want %q", cases, want)
	}
	if m := report.Machine; m.MemoryGBs <= 0 || m.ClockGHz[0] <= 0 || m.ClockGHz[1] <= 0 || m.CPUTarget == "" || m.FFmpeg == "" || m.Device != nil {
		t.Errorf("machine %+v", m)
	}
}

func TestRun_takesCodedClips(t *testing.T) {
	cfg := small(t)
	cfg.Codecs, cfg.Renditions = []Codec{H264, HEVC, AV1, VP9}, []int{1}
	cfg.Sizes = []engine.Size{{Width: 96, Height: 64}} // SVT-AV1 takes no smaller ones
	cfg.Scenarios = []Scenario{ScenarioDecode}
	report := run(t, cfg)
	for _, r := range report.Results {
		if strings.Contains(r.NotRun, "no ffmpeg on PATH") || strings.Contains(r.NotRun, " has no lib") {
			t.Skip(r.NotRun)
		}
	}
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	for _, r := range report.Results {
		if !r.has() {
			t.Errorf("%s: %s", r.Codec, r.NotRun)
		}
	}
}

func TestRun_showsClipsInLoops(t *testing.T) {
	dir := t.TempDir()
	_, err := MakeClip(t.Context(), dir, engine.Size{Width: 96, Height: 64}, 8, H264, 5, 1)
	if errors.Is(err, ErrNoEncoder) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg := small(t)
	cfg.Clips, cfg.Loops, cfg.Frames, cfg.Renditions = dir, 4, 0, []int{1}
	for _, r := range run(t, cfg).Results {
		if r.Scenario != ScenarioKernels && (r.Frames != 20 || !strings.HasSuffix(r.Clip, " ×4")) || !r.has() {
			t.Errorf("%s of %s: %d frames, %s", r.Scenario, r.Clip, r.Frames, r.Failure)
		}
	}
	cfg = small(t)
	cfg.Loops, cfg.Scenarios = 2, []Scenario{ScenarioDecode}
	if r := run(t, cfg).Results[0]; !strings.Contains(r.NotRun, "only mp4 files") {
		t.Errorf("y4m in loops: %+v", r)
	}
}

func TestRun_saysWhatCannotBeMade(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	cfg := small(t)
	cfg.Codecs = []Codec{HEVC}
	report := run(t, cfg)
	for _, r := range report.Results {
		if ran := r.Scenario == ScenarioKernels; ran != r.has() || !ran && !strings.Contains(r.NotRun, "no ffmpeg on PATH") || r.Failure != "" {
			t.Errorf("%s: not run for %q, failed for %q", r.Scenario, r.NotRun, r.Failure)
		}
	}
	var text strings.Builder
	if err := report.Print(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "not run: measure 64x48 8 bit hevc, 2 renditions: no encoder for hevc") {
		t.Errorf("the table does not say what was not run:\n%s", &text)
	}
	if err := report.Err(); err != nil {
		t.Errorf("what ran has figures, and yet: %v", err)
	}
	cfg.Scenarios = []Scenario{ScenarioDecode}
	if err := run(t, cfg).Err(); err == nil {
		t.Error("nothing was run, and that is no error")
	}
}

func TestRun_failureIsNoFigure(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"reference.y4m", "worse.y4m"} {
		clip, err := MakeClip(t.Context(), t.TempDir(), engine.Size{Width: 64, Height: 48}, 8, Y4M, 4, 1)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(clip.Reference)
		if err != nil {
			t.Fatal(err)
		}
		if name == "worse.y4m" {
			text = text[:len(text)/2] // cut off
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := small(t)
	cfg.Clips = dir
	cfg.Scenarios = []Scenario{ScenarioMeasure}
	report := run(t, cfg)
	r := report.Results[0]
	if r.Failure == "" || r.has() || r.FramesPerSecond.Median != 0 {
		t.Errorf("a broken clip gave %+v", r)
	}
	if two := report.Results[1]; !strings.Contains(two.NotRun, "the clip has 1 rendition") {
		t.Errorf("2 renditions of a clip with one: %q", two.NotRun)
	}
	if err := report.Err(); err == nil || !strings.Contains(err.Error(), "worse.y4m") {
		t.Errorf("error %v", err)
	}
}

func TestRun_endsWithItsContext(t *testing.T) {
	for after, row := range map[string]struct {
		scenario Scenario
		frames   int
	}{"making clips of": {ScenarioMeasure, 1 << 20}, "kernels:": {ScenarioKernels, 500}, "measure:": {ScenarioMeasure, 500}} {
		t.Run(after, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cfg := small(t)
			cfg.Scenarios, cfg.Frames, cfg.Runs = []Scenario{row.scenario}, row.frames, MaxRuns
			cfg.Progress = func(text string) {
				if strings.HasPrefix(text, after) {
					cancel()
				}
			}
			if _, err := Run(ctx, cfg); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want that of the context", err)
			}
			empty(t, cfg.Scratch)
		})
	}
}

func TestRun_refuses(t *testing.T) {
	cfg := Config{
		Scenarios: []Scenario{"sleep", ScenarioDaemon}, Device: "abacus", Sizes: []engine.Size{{Width: 3, Height: 4}}, Depths: []int{7}, Codecs: []Codec{"theora"},
		Renditions: []int{0}, Frames: 1, Runs: -1, Threads: -1,
	}
	_, err := Run(t.Context(), cfg)
	if err == nil {
		t.Fatal("no error")
	}
	for _, text := range []string{
		`scenario "sleep" is not one of decode, kernels, measure, daemon`, "pictures of 3x4, 7 bit", `codec "theora" is not one of`,
		"renditions: 0 is not in 1 … 16", "plan: nothing", "frames: 1", "runs: -1", "threads: -1", "program: none",
	} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error has no %q:\n%v", text, err)
		}
	}
}

// What a reader of the document finds must be there under its name.
func TestReport_documentIsStable(t *testing.T) {
	text, err := json.Marshal(run(t, small(t)))
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	if document["schema"] != "vqsd.bench/1" {
		t.Errorf("schema %v", document["schema"])
	}
	names := func(from any) string {
		var list []string
		for name := range from.(map[string]any) {
			list = append(list, name)
		}
		slices.Sort(list)
		return strings.Join(list, " ")
	}
	for what, row := range map[string]struct {
		part any
		want string
	}{
		"report":  {document, "commit machine models notes results runs schema threads version"},
		"machine": {document["machine"], "clock_ghz cpu_target device ffmpeg go kernel memory_bytes memory_gb_per_second processor processors"},
		"result": {document["results"].([]any)[0], "backend bound bytes_per_pair clip codec compared decode_alone_frames_per_second decoder_share depth device_bytes emulated" +
			" frames frames_per_second height in_process_frames_per_second memory_basis memory_share others_share pairs_per_second peak_resident_bytes processor_ms_per_pair" +
			" processor_share renditions scenario width"},
	} {
		if got := names(row.part); got != row.want {
			t.Errorf("%s has\n%s\nwant\n%s", what, got, row.want)
		}
	}
}

func TestRun_onADeviceSaysWhetherThatIsOne(t *testing.T) {
	emulator.Library(t)
	cfg := small(t)
	cfg.Device = engine.DeviceCUDA
	report := run(t, cfg)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if report.Machine.Device == nil {
		t.Fatal("no device in the report")
	}
	emulated := report.Machine.Device.Emulated
	for _, r := range report.Results {
		if r.Scenario == ScenarioDecode {
			continue // y4m needs no decoder
		}
		if r.Emulated != emulated || !strings.HasPrefix(r.Backend, "cuda (") || r.MemoryBasis != "nominal" {
			t.Errorf("%s: emulated %v, by %s, memory %s", r.Scenario, r.Emulated, r.Backend, r.MemoryBasis)
		}
	}
	var text bytes.Buffer
	if err := report.Print(&text); err != nil {
		t.Fatal(err)
	}
	if said := strings.Contains(text.String(), "is no GPU") && strings.Contains(text.String(), "kernels (emulated)"); said != emulated {
		t.Errorf("the table does not say what the device is:\n%s", &text)
	}
}
