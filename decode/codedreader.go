package decode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/vqsd/vqsd/decode/internal/avx"
)

// codedReader is one Reader's view of a coded file.
type codedReader struct {
	file      *codedFile
	next, end int64
	session   *session    // nil until the first frame, and after an error
	stop      func() bool // detaches the session from the Reader's context
	bad       map[int64]string
	missing   int64 // under Conceal
	probing   bool  // see codedFile.decodeHead
	only      bool  // errors of hardware are returned, see codedFile.tryHardware
	software  bool  // the file's hardware is not used, or no longer
	fallbacks int64
	fellFor   string // why, the first time
}

// frame gives the next frame.
func (r *codedReader) frame(ctx context.Context) (*Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if r.end >= 0 && r.next >= r.end {
		return nil, io.EOF
	}
	f, err := r.file.pool.decoded()
	if err != nil {
		return nil, err
	}
	for {
		err := r.attach(ctx)
		if err == nil {
			r.session.control.SetTimeout(r.file.cfg.Limits.StallTimeout)
			err = r.decode(ctx, f)
		}
		if err == nil {
			break
		}
		if !r.fallBack(err) {
			f.Release()
			return nil, r.explain(err)
		}
		f.reset()
	}
	r.next++
	r.session.frame = r.next
	return f, nil
}

// onHardware says whether the next session is to be one on the file's hardware.
func (r *codedReader) onHardware() bool { return r.file.hardware != nil && !r.software }

// fallBack has software decode on where hardware failed or found anything odd. Software decodes again from a random-access point, and
// then says what of a damaged file is damaged: the hardware reports too little for that.
func (r *codedReader) fallBack(err error) bool {
	if !r.onHardware() || r.only || !hardwareTrouble(err) {
		return false
	}
	r.close(true)
	r.software = true
	r.bad = nil
	r.fallbacks++
	r.fellFor = cmp.Or(r.fellFor, err.Error())
	return true
}

// explain says which limit a bare ErrTimeout is about.
func (r *codedReader) explain(err error) error {
	if err == ErrTimeout {
		return fmt.Errorf("%w: nothing decoded for longer than limits.stall_timeout (%v)", err, r.file.cfg.Limits.StallTimeout)
	}
	return err
}

// attach gets a session that is at, or on its way to, the next frame.
func (r *codedReader) attach(ctx context.Context) error {
	if r.session != nil {
		return nil
	}
	s, err := r.file.sessionFor(ctx, r.next, r.onHardware())
	if err != nil {
		return err
	}
	s.running = true
	r.session = s
	r.stop = context.AfterFunc(ctx, s.control.Stop)
	return nil
}

// close gives the session back if it can go on.
func (r *codedReader) close(failed bool) {
	if r.session == nil {
		return
	}
	s := r.session
	r.session = nil
	// once the context is done, its function may be about to stop the session
	if !r.stop() || failed {
		s.close()
		return
	}
	s.control.SetTimeout(0)
	r.file.giveBack(s)
}

// decode finds frame r.next among the pictures that come.
func (r *codedReader) decode(ctx context.Context, f *Frame) error {
	x := &r.file.index
	s := r.session
	for {
		info, err := s.picture(ctx, f.av)
		var de *errDecode
		switch {
		case errors.As(err, &de) && s.hardware:
			return s.refused(de.text)
		case errors.As(err, &de):
			if err := r.failed(de); err != nil {
				return err
			}
			continue
		case err == io.EOF:
			return r.ended()
		case err != nil:
			return err
		}
		damage := r.damage(info)
		if !x.timestamps || r.file.cfg.OnDamage == Conceal {
			n := s.frame
			if damage != "" && r.file.cfg.OnDamage == Strict {
				return r.at(n, fmt.Errorf("%w: %s", ErrDamaged, damage))
			}
			if n < r.next {
				s.frame++
				f.av.Unref()
				continue
			}
			return r.take(f, info, damage != "")
		}
		n := r.rank(info.Tag)
		if n < 0 || x.packets[info.Tag].pts < s.entry.pts && s.entry.packet != x.start {
			f.av.Unref()
			continue
		}
		if damage != "" {
			return r.at(n, fmt.Errorf("%w: %s", ErrDamaged, damage))
		}
		if n < r.next {
			f.av.Unref()
			continue
		}
		if n > r.next {
			return r.lost("")
		}
		return r.take(f, info, false)
	}
}

// rank is the frame that a packet gives, or -1.
func (r *codedReader) rank(tag int64) int64 {
	if tag < 0 || tag >= int64(len(r.file.index.rank)) {
		return -1
	}
	return int64(r.file.index.rank[tag])
}

// damage says what is wrong with a picture, or "".
func (r *codedReader) damage(info avx.FrameInfo) string {
	text, spoils, logged := r.session.control.Find(info.Tag)
	corrupt := info.Tag >= 0 && info.Tag < int64(len(r.file.index.packets)) && r.file.index.packets[info.Tag].flags&packetCorrupt != 0
	switch decoder := r.session.decoder; {
	case info.Damaged && logged, spoils:
		return decoder + " concealed errors: " + text
	case info.Damaged:
		return decoder + " concealed errors"
	case logged && (r.session.hardware || !reportsDamage[decoder]):
		return decoder + " says: " + text
	case corrupt:
		return "the demuxer says its packet is corrupt"
	}
	return ""
}

// failed handles a packet that could not be decoded.
func (r *codedReader) failed(de *errDecode) error {
	x := &r.file.index
	text := r.file.decoder + " says: " + de.text
	if r.file.cfg.OnDamage == Conceal {
		r.missing++
		return nil
	}
	if !x.timestamps {
		return r.at(r.session.frame, fmt.Errorf("%w: %s", ErrDamaged, text))
	}
	// good frames that come before it are still to be given
	n := r.rank(de.tag)
	if n >= 0 && x.packets[de.tag].pts < r.session.entry.pts && r.session.entry.packet != x.start {
		return nil
	}
	if n >= 0 && n < r.next {
		return r.at(n, fmt.Errorf("%w: %s", ErrDamaged, text))
	}
	if r.bad == nil {
		r.bad = map[int64]string{}
	}
	if len(r.bad) < 64 {
		r.bad[n] = text
	}
	return nil
}

// ended is what the end of decoding means for the next frame.
func (r *codedReader) ended() error {
	x := &r.file.index
	if r.file.cfg.OnDamage == Conceal || r.probing {
		return io.EOF
	}
	if !x.timestamps {
		return r.at(r.session.frame, fmt.Errorf("%w: the decoder gives %d of %d pictures", ErrDamaged, r.session.frame, len(x.frames)))
	}
	return r.lost(r.file.info.Truncated)
}

// lost is the error for a frame that the decoder skips.
func (r *codedReader) lost(truncated string) error {
	text, ok := r.bad[r.next]
	if !ok {
		text, ok = r.bad[-1]
	}
	if !ok {
		text = "the decoder gives no picture for it"
	}
	if truncated != "" {
		return fmt.Errorf("%w: %s (%s)", ErrTruncated, truncated, text)
	}
	return fmt.Errorf("%w: %s", ErrDamaged, text)
}

// at makes an error about frame n, which is not the one that was asked for if a frame depends on it.
func (r *codedReader) at(n int64, err error) error {
	return &FrameError{Path: r.file.path, Frame: n, Err: err}
}

// take fills in the frame that was asked for.
func (r *codedReader) take(f *Frame, info avx.FrameInfo, damaged bool) error {
	c := r.file
	if err := c.takePicture(f, info); err != nil {
		return err
	}
	f.Index, f.Damaged = r.next, damaged
	f.Key = info.Tag >= 0 && info.Tag < int64(len(c.index.packets)) && c.index.packets[info.Tag].flags&packetClean != 0
	f.PTS, f.Time = NoPTS, 0
	switch {
	case c.index.timestamps:
		f.PTS = info.PTS
		if f.PTS == NoPTS {
			f.PTS = info.BestEffort
		}
		f.Time = c.timeOf(f.PTS - c.index.packets[c.index.frames[0]].pts)
	default:
		f.Time = frameTime(r.next, c.info.FrameRate)
	}
	return nil
}

// probed is a picture that decodeHead looks at.
type probed struct {
	frame   *Frame
	info    avx.FrameInfo
	damaged bool
}

// probe gives the next picture of the decoder whatever it is.
func (r *codedReader) probe(ctx context.Context) (probed, error) {
	if err := r.attach(ctx); err != nil {
		return probed{}, err
	}
	r.session.control.SetTimeout(r.file.cfg.Limits.StallTimeout)
	f, err := r.file.pool.decoded()
	if err != nil {
		return probed{}, err
	}
	for {
		info, err := r.session.picture(ctx, f.av)
		var de *errDecode
		if errors.As(err, &de) {
			continue
		}
		if err != nil {
			f.Release()
			return probed{}, err
		}
		return probed{f, info, r.damage(info) != ""}, nil
	}
}
