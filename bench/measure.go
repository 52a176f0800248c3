package bench

import (
	"context"
	"errors"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/vmaf"
)

// MeasureConfig says what to measure.
type MeasureConfig struct {
	Clip             Clip
	Plan             *vmaf.Plan
	Models, Features []string // as text
	Backend          *engine.Backend
	Threads          int
	Runs             int

	// Compare runs the vmaf command as well, by turns.
	Compare        bool
	CompareProgram string
	CompareOptions []string
	Scratch        string // for the logs of that
	hardware       *decode.Hardware
	machine        *environment
}

// Measure times whole measurements, from opening the files to scores, by turns with decoding the same files alone.
func Measure(ctx context.Context, c MeasureConfig) (Result, error) {
	r := c.Clip.result(ScenarioMeasure)
	var last *engine.Result
	measure := own("measure", func(ctx context.Context) (err error) {
		last, err = measureClip(ctx, c.Clip, c.Plan, c.Backend, c.Threads)
		return err
	})
	if device := c.Backend.GPU(); device != nil {
		measure = watchDevice(measure, device)
	}
	var by decodedBy
	contenders := []contender{measure, own("decode", func(ctx context.Context) error { return decodeClip(ctx, c.Clip, c.Threads, c.hardware, &by) })}
	var theirs *vmafCommand
	if c.Compare {
		var err error
		if theirs, err = newVMAFCommand(ctx, &c); err != nil {
			r.Compared = &Comparison{NotRun: err.Error(), Program: c.CompareProgram}
		} else {
			contenders = append(contenders, theirs.contender())
		}
	}
	samples, err := takeTurns(ctx, c.Runs, contenders...)
	if err != nil {
		return r, err
	}
	r.Backend, r.Emulated = last.Backend, c.machine.emulated()
	r.figures(samples[0], c.Clip.Frames, c.Threads)
	r.decodeAlone(samples[1], c.Clip.Frames)
	bandwidth, basis := c.machine.bandwidth(c.Backend)
	r.memory(planeBytes(r.Width, r.Height, r.Depth, r.Renditions), bandwidth, basis)
	r.Bound = r.boundOfMeasure(c.Threads)
	if theirs != nil {
		r.Compared, err = theirs.compare(&r, samples[2], last)
	}
	return r, err
}

// decodeAlone fills in how fast decoding alone is.
func (r *Result) decodeAlone(samples []sample, frames int) {
	alone := rate(samples, frames)
	share := r.FramesPerSecond.Median / alone.Median
	r.DecodeAlone, r.DecoderShare = &alone, &share
}

// measureClip measures a clip in this process. A rendition that failed is an error.
func measureClip(ctx context.Context, clip Clip, plan *vmaf.Plan, backend *engine.Backend, threads int) (*engine.Result, error) {
	request := engine.Request{
		Reference: decode.Input{Path: clip.Reference}, Plan: plan, Pairing: engine.PairIndex, End: int64(clip.Frames), Threads: threads, Backend: backend,
	}
	for _, path := range clip.Renditions {
		request.Distorted = append(request.Distorted, decode.Input{Path: path})
	}
	result, err := engine.Measure(ctx, request)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, d := range result.Renditions {
		errs = append(errs, d.Err)
	}
	return result, errors.Join(errs...)
}
