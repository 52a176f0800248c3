package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// Comparison is a reference and the renditions made from it, all open and indexed, with what is compared with what decided.
// [Comparison.Extract] measures any run of its frames, as often as is wanted and in any order.
//
// All methods may be called from several goroutines at a time.
type Comparison struct {
	// Set by Open and not changed afterwards.
	req        *Request
	ref        *decode.Video
	refInfo    decode.Info
	renditions []*rendition
	groups     []*group
	first, end int64 // reference frames that any rendition is compared at; end −1: until an input ends

	ownBackend bool // req.Backend is closed with the comparison

	// mu guards the fields below
	mu      sync.Mutex
	running int // Extracts under way
	closed  bool
	tails   []tail // the latest kept last
}

// rendition is one distorted video of a comparison. Nothing of it changes after Open.
type rendition struct {
	video   *decode.Video // nil: it could not be opened
	info    decode.Info
	treated Treatment
	encoded vmaf.Encoded // what CAMBI is told that it was encoded in
	pairs   *pairs
	group   int   // index into Comparison.groups; −1 where err is set
	err     error // why it takes no part
}

// Open opens and indexes all inputs of a request, side by side, and decides what is compared with what.
//
// A rendition that cannot be opened or compared has its error in [Comparison.Describe], and the others can be measured. Errors
// of Open are those of the request, all of them at once; a [ReferenceError]; or ctx's, which bounds opening alone.
func Open(ctx context.Context, req Request) (*Comparison, error) {
	if err := req.validate(); err != nil {
		return nil, err
	}
	return open(ctx, &req)
}

// open is [Open] with a valid request.
func open(ctx context.Context, req *Request) (_ *Comparison, err error) {
	c := &Comparison{req: req}
	if req.Backend == nil {
		req.Backend, c.ownBackend = &Backend{}, true
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := c.openInputs(ctx); err != nil {
		return nil, err
	}
	if err := checkWhole(req, c.refInfo, 0); err != nil {
		return nil, referenceError(err)
	}
	c.first, c.end = -1, 0
	for _, d := range c.renditions {
		d.group = -1
		if d.err == nil {
			d.err = c.decide(d)
		}
		if d.err != nil {
			continue
		}
		if c.first < 0 || d.pairs.first < c.first {
			c.first = d.pairs.first
		}
		if d.pairs.end < 0 || c.end < 0 {
			c.end = -1
		} else {
			c.end = max(c.end, d.pairs.end)
		}
	}
	c.first = max(c.first, 0)
	return c, nil
}

// openInputs opens and indexes all inputs. Its error is the reference's, or the context's.
func (c *Comparison) openInputs(ctx context.Context) error {
	r := c.req
	config := decode.Config{
		Threads:  decoderThreads(r.Threads, 1+len(r.Distorted)),
		LumaOnly: !r.Chroma,
		OnDamage: r.OnDamage,
		Limits:   r.Limits,

		Hardware: r.Backend.hardware(), HoldFrames: surfacesHeld,
	}
	if r.HeatMaps != nil {
		config.Hardware = nil // the processor has to see the pictures
	}
	c.renditions = make([]*rendition, len(r.Distorted))
	var inputs errgroup.Group
	inputs.SetLimit(max(2, r.Threads))
	inputs.Go(func() (err error) {
		if c.ref, err = decode.Open(ctx, r.Reference, config); err != nil {
			return fmt.Errorf("open reference: %w", err)
		}
		c.refInfo = c.ref.Info()
		return nil
	})
	for i, input := range r.Distorted {
		d := &rendition{treated: r.treatment(i)}
		c.renditions[i] = d
		d.info.Path = input.Path
		config := config
		config.AllowFormatChange = d.treated.allowsChange()
		inputs.Go(func() error {
			video, err := decode.Open(ctx, input, config)
			if err != nil {
				d.err = fmt.Errorf("open distorted: %w", err)
				return nil
			}
			d.video, d.info = video, video.Info()
			return nil
		})
	}
	err := inputs.Wait()
	switch {
	case ctx.Err() != nil && err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return &ReferenceError{err}
	}
	return nil
}

// decoderThreads is how many threads each of n decoders gets. They run side by side, and each thread of one holds a picture
// or two; twice the processors in all keeps these busy.
func decoderThreads(threads, decoders int) int {
	return min(threads, (2*threads+decoders-1)/decoders, decode.MaxThreads)
}

// decide finds out how a rendition that is open is compared, and gives it a place in a group.
func (c *Comparison) decide(d *rendition) (err error) {
	if err := checkWhole(c.req, d.info, c.req.Offset); err != nil {
		return err
	}
	if err := checkShape(d.treated, c.refInfo, d.info); err != nil {
		return err
	}
	if d.pairs, err = pairFrames(c.req, c.ref, d.video); err != nil {
		return err
	}
	if d.group, err = c.place(d); err != nil {
		return err
	}
	g := c.groups[d.group]
	d.encoded = d.treated.encoded(d.info.Format, g.format, g.compared)
	return nil
}

// encoded is what a rendition was encoded in, as far as CAMBI is to know.
func (t Treatment) encoded(file, scaled, compared vmaf.Format) vmaf.Encoded {
	e := t.Encoded
	if !t.EncodedByFile {
		return e
	}
	own := vmaf.EncodedOf(file, scaled, compared)
	if e.Width == 0 && e.Height == 0 {
		e.Width, e.Height = own.Width, own.Height
	}
	e.BitsPerComponent = cmp.Or(e.BitsPerComponent, own.BitsPerComponent)
	return e
}

// enter counts a call that uses the videos, leave the end of it.
func (c *Comparison) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("comparison: %w", decode.ErrClosed)
	}
	c.running++
	return nil
}

func (c *Comparison) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
}

// Close closes all files and frees what is kept for the next Extract. It is an error, and closes nothing, while an Extract is
// under way. It may be called twice.
func (c *Comparison) Close() error {
	c.mu.Lock()
	closed, running := c.closed, c.running
	c.closed = closed || running == 0
	c.mu.Unlock()
	if closed {
		return nil
	}
	if running > 0 {
		return fmt.Errorf("close comparison: it is being measured (%d times)", running)
	}
	for i := range c.tails { // no lock: there is nobody else now
		c.tails[i].release()
	}
	var err error
	if c.ownBackend {
		err = c.req.Backend.Close()
	}
	if c.ref != nil {
		err = errors.Join(err, c.ref.Close())
	}
	for _, d := range c.renditions {
		if d != nil && d.video != nil {
			err = errors.Join(err, d.video.Close())
		}
	}
	return err
}
