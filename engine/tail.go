package engine

import (
	"slices"

	"github.com/vqsd/vqsd/decode"
)

// tail is the last few reference pictures of a run of frames, decoded and not converted. The run that begins where it ended looks back to
// them: without, its decoder would have to go back to the random-access picture before, and decode up to here again.
type tail struct {
	end    int64           // the reference frame after the last one
	frames []*decode.Frame // end − len(frames) … end − 1
}

// maxTails is how many tails a comparison keeps. Whoever measures one run after the other needs one; more serve as many who do so
// side by side.
const maxTails = 2

// push adds a frame, which is the tail's then, and lets go of those before the last n.
func (t *tail) push(frame *decode.Frame, n int) {
	t.end++
	t.frames = append(t.frames, frame)
	for len(t.frames) > n {
		t.frames[0].Release()
		t.frames = slices.Delete(t.frames, 0, 1)
	}
}

// next takes out the first frame; nil: there is none.
func (t *tail) next() *decode.Frame {
	if t == nil || len(t.frames) == 0 {
		return nil
	}
	frame := t.frames[0]
	t.frames = t.frames[1:]
	return frame
}

func (t *tail) release() {
	if t == nil {
		return
	}
	for _, f := range t.frames {
		f.Release()
	}
	t.frames = nil
}

// takeTail returns the n ≥ 1 pictures before a reference frame if they are kept, and nil otherwise. They are the caller's.
func (c *Comparison) takeTail(end int64, n int) *tail {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.tails, func(t tail) bool { return t.end == end && len(t.frames) >= n })
	if n < 1 || i < 0 {
		return nil
	}
	t := c.tails[i]
	c.tails = slices.Delete(c.tails, i, i+1)
	for len(t.frames) > n {
		t.frames[0].Release()
		t.frames = t.frames[1:]
	}
	return &t
}

// keepTail keeps a tail for the run that begins at its end, in place of the oldest one where there are enough. What it returns
// is the caller's.
func (c *Comparison) keepTail(t tail) tail {
	if len(t.frames) == 0 || t.end == c.end {
		return t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tails = append(c.tails, t)
	if len(c.tails) <= maxTails {
		return tail{}
	}
	oldest := c.tails[0]
	c.tails = slices.Delete(c.tails, 0, 1)
	return oldest
}
