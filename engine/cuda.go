package engine

import (
	"context"
	"errors"

	"github.com/vqsd/vqsd/gpu"
	"github.com/vqsd/vqsd/vmaf"
)

// How much one batch holds. A launch has to cover all multiprocessors several times over: a block of VIF's first scale has 240 × 64 samples, so
// 16 Mi samples are 1,100 of them, and ADM's and motion's are smaller. More would take memory, on the host, too, where a batch waits for its
// last frame. Chosen by that count; no device has been asked.
const (
	batchSamples = 16 << 20 // luma samples of all pictures of a batch
	batchMost    = 64       // frames

	// surfaceBatch is how many frames a batch has at the most where a decoder of the device delivers them. A decoder has 32 surfaces, of which
	// it needs 11 to 15 itself; where those that are held do not fit beside, it copies every picture. Several parts of a video are measured at a
	// time, so that small batches do not leave the device idle.
	surfaceBatch = 4
	// surfacesHeld is how many frames of one decoder are in use: batches that are measured, one that fills, and what the feeds and the
	// look-back hold.
	surfacesHeld = (sessionsOfCUDA+1)*surfaceBatch + decodeAhead + 5

	// sessionsOfCUDA is how many batches are on the device at a time: while one is computed, the next is uploaded.
	sessionsOfCUDA = 2
)

// batchFrames is how many frames to measure in one go if memory allows.
func batchFrames(format vmaf.Format, renditions int) int {
	return min(batchMost, max(1, batchSamples/(format.Width*format.Height*(1+renditions))))
}

// plan is what a session on the GPU is made for.
func (f *features) plan(renditions, frames int) gpu.Plan {
	lookback := 0
	if d := f.distances(); len(d) > 0 {
		lookback = d[len(d)-1]
	}
	return gpu.Plan{
		Format: f.format, Frames: frames, Renditions: renditions, HostPlanes: lookback + frames*(1+renditions),
		VIFGains: f.gains, ADM: f.configs, MotionDistances: f.distances(),
		SSEPlanes: f.planes, SSIMScales: f.scales, MSSSIM: len(f.msssim) > 0, PSNRHVS: len(f.psnrHVS) > 0, CIEDE: len(f.ciede) > 0,
		Cambi: f.cambiConfigs(), CambiSource: f.sources, Speed: f.speeds,
	}
}

// CUDA is the [Extractor] of a GPU: a batch of frames a call, and a few batches at a time.
type CUDA struct {
	*features
	device   *gpu.Device
	frames   int
	sessions chan *cudaSession // those that no call uses
}

// cudaSession is what one call needs.
type cudaSession struct {
	*gpu.Session
	frames  []gpu.Frame
	sums    gpu.Sums
	figures []float64
}

var _ Extractor = (*CUDA)(nil)

// newCUDA makes an extractor for batches of up to so many frames. The caller keeps the device open. Errors are those of package gpu.
func newCUDA(device *gpu.Device, f *features, renditions, frames int) (*CUDA, error) {
	c := &CUDA{features: f, device: device, frames: frames, sessions: make(chan *cudaSession, sessionsOfCUDA)}
	for range sessionsOfCUDA {
		s, err := device.NewSession(f.plan(renditions, frames))
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.sessions <- &cudaSession{Session: s}
	}
	return c, nil
}

// BatchFrames is the number of frames that fill the device, as far as its memory goes.
func (c *CUDA) BatchFrames() int { return c.frames }

// Workers is the number of batches on the device at a time.
func (c *CUDA) Workers() int { return sessionsOfCUDA }

// Describe names the device.
func (c *CUDA) Describe() string { return describeGPU(c.device.Info()) }

// Close frees the device's memory.
func (c *CUDA) Close() error {
	var errs []error
	for {
		select {
		case s := <-c.sessions:
			errs = append(errs, s.Close())
		default:
			return errors.Join(errs...)
		}
	}
}

// Extract measures the sets as one batch.
func (c *CUDA) Extract(ctx context.Context, sets []FrameSet, rows []Row) error {
	var s *cudaSession
	select {
	case s = <-c.sessions:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		clear(s.frames)
		s.frames = s.frames[:0]
		c.sessions <- s
	}()
	for i := range sets {
		if err := c.checkSamples(&sets[i]); err != nil {
			return err
		}
		s.frames = append(s.frames, c.frame(&sets[i]))
	}
	if err := s.Measure(ctx, s.frames, &s.sums); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &deviceError{err}
	}
	pair := 0
	for i := range sets {
		c.referenceFigures(rows[i].Reference, &sets[i], s.sums.Motion, i)
		for k, picture := range sets[i].Distorted {
			if picture == nil {
				continue
			}
			at := place{pair: pair, frame: i, rendition: k}
			s.figures = c.pairFigures(rows[i].Distorted[k], s.figures, &s.sums, at, sets[i].partial(k))
			pair++
		}
	}
	return nil
}

// referenceFigures puts what depends on the reference alone where it belongs.
func (c *CUDA) referenceFigures(row []float64, set *FrameSet, motion [][2]uint64, frame int) {
	for _, m := range c.motion {
		sad := uint64(0)
		if !m.zero && set.Previous[m.distance-1] != nil {
			sad = motion[frame][m.distance-1]
		}
		row[m.offset] = float64(sad) // exact: below 2^53 for any picture that fits memory
	}
}

func (c *CUDA) frame(set *FrameSet) gpu.Frame {
	f := gpu.Frame{Reference: &set.Reference.Planes[0]}
	chroma := c.chroma()
	if chroma {
		f.ReferenceChroma = chromaOf(set.Reference)
	}
	for i, p := range set.Previous {
		if p != nil {
			f.Previous[i] = &p.Planes[0]
		}
	}
	// A rendition that is not there has its place all the same: which one a picture is of decides how CAMBI looks at it.
	for _, p := range set.Distorted {
		var luma *vmaf.Plane
		var planes [2]*vmaf.Plane
		if p != nil {
			luma = &p.Planes[0]
			if chroma {
				planes = chromaOf(p)
			}
		}
		f.Distorted = append(f.Distorted, luma)
		f.DistortedChroma = append(f.DistortedChroma, planes)
	}
	return f
}

func chromaOf(p *vmaf.Picture) [2]*vmaf.Plane { return [2]*vmaf.Plane{&p.Planes[1], &p.Planes[2]} }
