package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/bench/synth"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/gpu"
	"github.com/vqsd/vqsd/vmaf"
)

// KernelsConfig says of which pictures to compute features.
type KernelsConfig struct {
	// Clip is where pictures come from: the first ones of its files. Without a reference they are made.
	Clip    Clip
	Plan    *vmaf.Plan
	Backend *engine.Backend
	Threads int
	Frames  int // of a run at the least; a run lasts about kernelsRun
	Runs    int
	machine *environment
}

const (
	// kernelsMemory is how much host or device memory the pictures take that runs go through again and again: more than caches hold.
	kernelsMemory = 256 << 20
	// kernelsRun is how long a run should last, so that beginning and end do not count.
	kernelsRun = 400 * time.Millisecond
	// kernelsFrames bounds the frames of a run.
	kernelsFrames = 1 << 20
)

// Kernels times the features of pictures that are in memory: in the host's for the processor, in the device's for a GPU.
func Kernels(ctx context.Context, c KernelsConfig) (r Result, err error) {
	r = c.Clip.result(ScenarioKernels)
	r.Codec = ""
	p, err := newPictures(ctx, &c)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	extractor, err := c.Backend.NewExtractor(p.format, c.Plan.Extractions, len(c.Clip.Renditions), c.Threads)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, extractor.Close()) }()

	frames := max(c.Frames, extractor.BatchFrames()*extractor.Workers())
	run := func(ctx context.Context) error { return p.extract(ctx, extractor, c.Plan, frames) }
	started := time.Now()
	if err := run(ctx); err != nil {
		return r, err
	}
	if once := time.Since(started); once < kernelsRun && !c.machine.emulated() {
		frames = min(int(float64(frames)*float64(kernelsRun)/float64(once))+1, kernelsFrames)
	}
	timed := own("kernels", run)
	if device := c.Backend.GPU(); device != nil {
		timed = watchDevice(timed, device)
	}
	samples, err := takeTurns(ctx, c.Runs, timed)
	if err != nil {
		return r, err
	}
	r.Backend, r.Emulated = extractor.Describe(), c.machine.emulated()
	r.figures(samples[0], frames, c.Threads)
	bandwidth, basis := c.machine.bandwidth(c.Backend)
	r.memory(planeBytes(r.Width, r.Height, r.Depth, r.Renditions), bandwidth, basis)
	r.Bound = r.boundOfKernels(c.Backend.GPU() != nil, c.Threads)
	return r, nil
}

// pictures are frames in memory, with their renditions.
type pictures struct {
	format  vmaf.Format
	frames  [][]vmaf.Picture // by frame: the reference, then its renditions
	uploads []*gpu.Upload
}

// newPictures makes or reads as many frames as kernelsMemory allows, and takes them to the device if there is one.
func newPictures(ctx context.Context, c *KernelsConfig) (_ *pictures, err error) {
	renditions := len(c.Clip.Renditions)
	content := synth.Content{Width: c.Clip.Size.Width, Height: c.Clip.Size.Height, BitsPerComponent: c.Clip.Depth, Frames: 1}
	p := &pictures{format: content.Format()}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	count := min(max(kernelsMemory/(content.FrameBytes()*(1+renditions)), 3), 64)
	if c.Frames > 0 {
		count = min(count, c.Frames)
	}
	frames := make([][][]byte, 1+renditions) // by input and frame
	for k := range frames {
		if c.Clip.Reference == "" {
			for n := range count {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				samples := make([]byte, content.FrameBytes())
				content.Frame(samples, n, k)
				frames[k] = append(frames[k], samples)
			}
			continue
		}
		path := c.Clip.Reference
		if k > 0 {
			path = c.Clip.Renditions[k-1]
		}
		if frames[k], err = loadFrames(ctx, path, count); err != nil {
			return nil, err
		}
		count = min(count, len(frames[k]))
	}
	for n := range count {
		frame := make([]vmaf.Picture, 1+renditions)
		for k := range frame {
			if len(frames[k][n]) != content.FrameBytes() {
				return nil, fmt.Errorf("%s: rendition %d has pictures of another size, depth or subsampling than 4:2:0 ones of the reference, which are converted before features are computed",
					c.Clip.Name, k)
			}
			if frame[k], err = p.picture(frames[k][n], c.Backend.GPU()); err != nil {
				return nil, err
			}
		}
		p.frames = append(p.frames, frame)
	}
	return p, nil
}

// picture makes one of the samples of its planes.
func (p *pictures) picture(samples []byte, device *gpu.Device) (vmaf.Picture, error) {
	picture := vmaf.Picture{Format: p.format}
	for i := range picture.Planes {
		width, height := p.format.Width, p.format.Height
		if i > 0 {
			width, height = p.format.Subsampling.ChromaSize(width, height)
		}
		n := width * height * p.format.BytesPerSample()
		plane, err := p.place(samples[:n], width, height, device)
		if err != nil {
			return vmaf.Picture{}, err
		}
		picture.Planes[i], samples = plane, samples[n:]
	}
	return picture, nil
}

// place puts samples where the extractor reads them, with rows as decoders align them.
func (p *pictures) place(samples []byte, width, height int, device *gpu.Device) (vmaf.Plane, error) {
	row := width * p.format.BytesPerSample()
	plane := vmaf.Plane{Data: samples, StrideBytes: row, Width: width, Height: height}
	if device != nil {
		upload, err := device.Upload(plane, p.format.BytesPerSample())
		if err != nil {
			return vmaf.Plane{}, err
		}
		p.uploads = append(p.uploads, upload)
		return upload.Plane, nil
	}
	aligned := vmaf.Plane{StrideBytes: (row + 63) &^ 63, Width: width, Height: height}
	aligned.Data = make([]byte, aligned.StrideBytes*height)
	for y := range height {
		copy(aligned.Data[y*aligned.StrideBytes:], samples[y*row:][:row])
	}
	return aligned, nil
}

func (p *pictures) close() error {
	var errs []error
	for _, u := range p.uploads {
		errs = append(errs, u.Close())
	}
	p.uploads = nil
	return errors.Join(errs...)
}

// extract computes the features of so many frames, going through the pictures again and again. Batches are handed to as many goroutines as
// the extractor wants.
func (p *pictures) extract(ctx context.Context, extractor engine.Extractor, plan *vmaf.Plan, frames int) error {
	columns := engine.ColumnsOf(plan.Extractions)
	lookback := 0
	for _, e := range plan.Extractions {
		lookback = max(lookback, e.Halo())
	}
	batches := make(chan [2]int)
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		defer close(batches)
		for first := 0; first < frames; first += extractor.BatchFrames() {
			select {
			case batches <- [2]int{first, min(first+extractor.BatchFrames(), frames)}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range extractor.Workers() {
		all.Go(func() error {
			sets := make([]engine.FrameSet, extractor.BatchFrames())
			rows := make([]engine.Row, len(sets))
			for i := range rows {
				rows[i].Reference = make([]float64, columns.Reference)
				sets[i].Distorted = make([]*vmaf.Picture, len(p.frames[0])-1)
				for range sets[i].Distorted {
					rows[i].Distorted = append(rows[i].Distorted, make([]float64, columns.Distorted))
				}
			}
			for b := range batches {
				for n := b[0]; n < b[1]; n++ {
					p.set(&sets[n-b[0]], n, lookback)
				}
				if err := extractor.Extract(ctx, sets[:b[1]-b[0]], rows[:b[1]-b[0]]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// set puts frame n, counted on and on, into a set.
func (p *pictures) set(s *engine.FrameSet, n, lookback int) {
	at := func(n int) []vmaf.Picture { return p.frames[n%len(p.frames)] }
	s.Reference = &at(n)[0]
	for k := range s.Distorted {
		s.Distorted[k] = &at(n)[1+k]
	}
	s.Previous = [2]*vmaf.Picture{}
	for back := 1; back <= min(lookback, n); back++ {
		s.Previous[back-1] = &at(n - back)[0]
	}
}
