package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
)

// Run goes through all cases of a configuration and reports what it found. A case that cannot be run here is in the report with the
// reason. Errors are those of the configuration, all at once; of the device, where it is asked for and not there; ctx's, soon after it
// was cancelled. Whatever Run makes on disk is gone when it returns.
func Run(ctx context.Context, cfg Config) (_ *Report, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	var clips []Clip
	if cfg.Clips != "" {
		if clips, err = FindClips(ctx, cfg.Clips); err != nil {
			return nil, err
		}
	}
	backend, err := engine.OpenBackend(engine.BackendConfig{Device: cfg.Device})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	dir, done, err := scratch(cfg.Scratch)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()

	cfg.Progress("looking at the machine")
	s := &suite{Config: cfg, backend: backend, dir: dir, report: &Report{
		Schema: Schema, Version: cfg.Version, Commit: cfg.Commit, Machine: machine(cfg.Threads), Models: cfg.Models, Features: cfg.Features, Threads: cfg.Threads, Runs: cfg.Runs,
		Results: []Result{}, Notes: []string{},
	}}
	s.machine.hostBandwidth = s.report.Machine.MemoryGBs * 1e9
	if err := s.openDevice(); err != nil {
		return nil, err
	}
	defer func() {
		if s.hardware != nil {
			err = errors.Join(err, s.hardware.Close())
		}
	}()
	if cfg.Clips != "" {
		err = s.clips(ctx, clips)
	} else {
		err = s.generated(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.report.Machine.ClockGHz[1] = clockGHz()
	// By scenario, as cases that use the same clip were run one after the other.
	slices.SortStableFunc(s.report.Results, func(a, b Result) int {
		return slices.Index(Scenarios(), a.Scenario) - slices.Index(Scenarios(), b.Scenario)
	})
	return s.report, nil
}

// suite is one call of [Run].
type suite struct {
	Config
	backend  *engine.Backend
	hardware *decode.Hardware // nil: decoding is in software
	machine  environment
	dir      string
	report   *Report
}

// openDevice looks at the GPU, and opens its decoder.
func (s *suite) openDevice() error {
	if notice := s.backend.Notice(); notice != "" {
		s.note("%s; the processor computes", notice)
	}
	device := describeDevice(s.backend)
	if device == nil {
		return nil
	}
	s.report.Machine.Device, s.machine.device = device, device
	if device.MemoryGBs != nil {
		s.machine.deviceBandwidth = *device.MemoryGBs * 1e9
	}
	if device.Emulated {
		s.note("The device is emulated on the processor and is no GPU: its figures show that the code runs, and nothing about the speed of any device.")
	}
	var err error
	s.hardware, err = decode.OpenHardware(s.backend.GPU().Info().Ordinal)
	if errors.Is(err, decode.ErrNoHardware) {
		s.note("decoding is in software: %v", err)
		return nil
	}
	return err
}

func (s *suite) note(format string, args ...any) {
	s.report.Notes = append(s.report.Notes, fmt.Sprintf(format, args...))
}

func (s *suite) wants(scenario Scenario) bool { return slices.Contains(s.Scenarios, scenario) }

// generated goes through cases of generated content.
func (s *suite) generated(ctx context.Context) error {
	for _, size := range s.Sizes {
		for _, depth := range s.Depths {
			frames := s.Frames
			if frames == 0 {
				frames = defaultFrames(size)
			}
			if s.wants(ScenarioKernels) {
				clip := Clip{Name: fmt.Sprintf("%v %d bit", size, depth), Size: size, Depth: depth, Frames: frames, Renditions: make([]string, slices.Max(s.Renditions))}
				if err := s.kernels(ctx, clip); err != nil {
					return err
				}
			}
			if !s.wants(ScenarioDecode) && !s.wants(ScenarioMeasure) && !s.wants(ScenarioDaemon) {
				continue
			}
			for _, codec := range s.Codecs {
				if err := s.codec(ctx, size, depth, codec, frames); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// codec makes the clip of a size, depth and codec, goes through the cases that need it and removes it.
func (s *suite) codec(ctx context.Context, size engine.Size, depth int, codec Codec, frames int) (err error) {
	dir, done, err := scratch(s.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	s.Progress(fmt.Sprintf("making clips of %v, %d bit, %s", size, depth, codec))
	clip, err := MakeClip(ctx, dir, size, depth, codec, frames, slices.Max(s.Renditions))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		missing := Clip{Name: fmt.Sprintf("%v %d bit %s", size, depth, codec), Size: size, Depth: depth, Codec: codec, Renditions: make([]string, slices.Max(s.Renditions))}
		return s.notRun(ctx, missing, err)
	}
	return s.files(ctx, *clip)
}

// notRun reports why the cases of a clip's files are not run.
func (s *suite) notRun(ctx context.Context, clip Clip, why error) error {
	for _, scenario := range []Scenario{ScenarioDecode, ScenarioMeasure, ScenarioDaemon} {
		if err := s.each(ctx, scenario, clip, func(context.Context, Clip) (Result, error) { return Result{}, why }); err != nil {
			return err
		}
	}
	return nil
}

// clips goes through the cases of clips that are there.
func (s *suite) clips(ctx context.Context, clips []Clip) error {
	for _, clip := range clips {
		if s.Frames > 0 && s.Loops <= 1 {
			clip.Frames = min(clip.Frames, s.Frames)
		}
		if s.wants(ScenarioKernels) {
			if err := s.kernels(ctx, clip); err != nil {
				return err
			}
		}
		if err := s.files(ctx, clip); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) kernels(ctx context.Context, clip Clip) error {
	return s.each(ctx, ScenarioKernels, clip, func(ctx context.Context, clip Clip) (Result, error) {
		return Kernels(ctx, KernelsConfig{
			Clip: clip, Plan: s.Plan, Backend: s.backend, Threads: s.Threads, Frames: clip.Frames, Runs: s.Runs, machine: &s.machine,
		})
	})
}

// files goes through the scenarios that read files.
func (s *suite) files(ctx context.Context, clip Clip) (err error) {
	dir, done, err := scratch(s.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	longer, err := clip.lengthened(ctx, dir, s.Loops)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return s.notRun(ctx, clip, err)
	}
	clip = longer
	err = s.each(ctx, ScenarioDecode, clip, func(ctx context.Context, clip Clip) (Result, error) {
		return Decode(ctx, DecodeConfig{Clip: clip, Threads: s.Threads, Hardware: s.hardware, Runs: s.Runs, machine: &s.machine})
	})
	if err != nil {
		return err
	}
	err = s.each(ctx, ScenarioMeasure, clip, func(ctx context.Context, clip Clip) (Result, error) {
		return Measure(ctx, MeasureConfig{
			Clip: clip, Plan: s.Plan, Models: s.Models, Features: s.Features, Backend: s.backend, Threads: s.Threads, Runs: s.Runs,
			Compare: s.Compare, CompareProgram: s.CompareProgram, CompareOptions: s.CompareOptions, Scratch: s.dir,
			hardware: s.hardware, machine: &s.machine,
		})
	})
	if err != nil {
		return err
	}
	return s.each(ctx, ScenarioDaemon, clip, func(ctx context.Context, clip Clip) (r Result, err error) {
		dir, done, err := scratch(s.dir)
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, done()) }()
		return Daemon(ctx, DaemonConfig{
			Clip: clip, Plan: s.Plan, Models: s.Models, Features: s.Features, Backend: s.backend, Threads: s.Threads, Runs: s.Runs, Program: s.Program, Scratch: dir,
			hardware: s.hardware, machine: &s.machine,
		})
	})
}

// each runs a case for each number of renditions, if its scenario is asked for. What goes wrong with a case is its result; the error is the
// context's, or that of a device which takes no more work.
func (s *suite) each(ctx context.Context, scenario Scenario, clip Clip, run func(context.Context, Clip) (Result, error)) error {
	if !s.wants(scenario) {
		return nil
	}
	for _, n := range s.Renditions {
		if n > len(clip.Renditions) {
			r := clip.result(scenario)
			r.Renditions, r.NotRun = n, fmt.Sprintf("the clip has %s", plural(len(clip.Renditions), "rendition"))
			s.report.Results = append(s.report.Results, r)
			continue
		}
		some := clip.with(n)
		s.Progress(fmt.Sprintf("%s: %s, %s", scenario, some.Name, plural(n, "rendition")))
		r, err := run(ctx, some)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r = some.result(scenario)
			if errors.Is(err, ErrNoEncoder) || errors.Is(err, errNotLengthened) {
				r.NotRun = err.Error()
			} else {
				r.Failure = err.Error()
			}
		}
		s.report.Results = append(s.report.Results, r)
		if err := s.backend.Err(); err != nil {
			return fmt.Errorf("%s, %s: %w", scenario, filepath.Base(some.Name), err)
		}
	}
	return nil
}
