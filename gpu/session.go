//go:build cuda

package gpu

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// Session measures batches of frames of one plan. It is for one goroutine at a time; the caller closes it.
type Session struct {
	device   *Device
	plan     Plan
	memory   memory
	stream   *stream
	stage    *stage
	features []feature
	assembly *assembly
	batch    batch

	// On the device, with room for the plan's largest batch.
	referenceTable, distortedTable, frameTable, renditionTable uint64
	referenceChroma, distortedChroma                           uint64 // 0 where the plan needs none
	results                                                    uint64
	// In pinned memory, on the way to and from there: the tables one after the other, and the results.
	tables, words *pinned
	// Before the first kernel and behind the last.
	start, end *event

	numbers []uint64 // the results
	closed  bool
}

// NewSession makes a session. All the memory that it needs is allocated now.
//
// Errors: every fault of the plan; [ErrOutOfMemory]; [ErrLost]; [*CallError].
func (d *Device) NewSession(p Plan) (*Session, error) {
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("plan of a session: %w", err)
	}
	s := &Session{device: d, plan: p, memory: memory{device: d}}
	err := d.do(func() error {
		if err := s.open(); err != nil {
			return errors.Join(err, d.unlessLost(s.free()))
		}
		d.users.Add(1)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("session for %v on device %d: %w", p.Format, d.info.Ordinal, err)
	}
	return s, nil
}

// resultWords is how many numbers the largest batch of the plan gives.
func (p Plan) resultWords() int {
	words := 0
	for _, k := range p.kinds() {
		words += k.words(p, p.Frames, p.pairs())
	}
	return words
}

// open allocates. What it has got before an error is for free to give back.
func (s *Session) open() (err error) {
	d, p := s.device, s.plan
	if s.stream, err = d.newStream(); err != nil {
		return err
	}
	if s.start, err = d.newEvent(true); err != nil {
		return err
	}
	if s.end, err = d.newEvent(true); err != nil {
		return err
	}
	if s.stage, err = newStage(d, p, &s.memory); err != nil {
		return err
	}
	s.assembly = newAssembly(p, s.stage)
	words := p.resultWords()
	for _, table := range []struct {
		what    string
		bytes   int
		address *uint64
	}{
		{"table of references", p.references() * pictureBytes, &s.referenceTable},
		{"table of distorted pictures", p.pairs() * pictureBytes, &s.distortedTable},
		{"table of frames", p.Frames * frameBytes, &s.frameTable},
		{"table of renditions", p.pairs() * renditionBytes, &s.renditionTable},
		{"table of the references' chroma", p.chromaTables() * p.references() * chromaBytes, &s.referenceChroma},
		{"table of the distorted pictures' chroma", p.chromaTables() * p.pairs() * chromaBytes, &s.distortedChroma},
		{"results", words * 8, &s.results},
	} {
		if table.bytes == 0 {
			continue
		}
		if *table.address, err = s.memory.alloc(table.what, int64(table.bytes)); err != nil {
			return err
		}
	}
	if s.tables, err = d.newPinned("tables", p.tableBytes()); err != nil {
		return err
	}
	if s.words, err = d.newPinned("results", words*8); err != nil {
		return err
	}
	return s.openFeatures()
}

func (s *Session) openFeatures() error {
	for _, k := range s.plan.kinds() {
		feature, err := k.open(s.device, s.plan, &s.memory)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		s.features = append(s.features, feature)
	}
	return nil
}

// Measure forms the sums of a batch, 1 frame to as many as the plan has. out's slices are reused where they are long enough. When Measure
// returns, also with an error, the device no longer reads any of the pictures, and the session keeps no reference to them.
//
// A cancelled ctx makes it return soon, that is when the device has done what it has been given. After an error out is as it was.
//
// Errors: every fault of the frames; ctx's; [ErrLost]; [*CallError]. The session may be used again after any but those that match ErrLost.
func (s *Session) Measure(ctx context.Context, frames []Frame, out *Sums) error {
	if s.closed {
		return fmt.Errorf("session: %w", ErrClosed)
	}
	if err := s.plan.validateFrames(frames); err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	defer s.assembly.forget()
	if err := s.assembly.assemble(frames, &s.batch); err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	err := s.device.do(func() error {
		err := s.submit(ctx)
		// Whatever has been given to the device has to end, and that it did not is news only where nothing else failed.
		if drained := s.stream.drain(); err == nil {
			err = drained
		}
		if err == nil {
			out.DeviceTime, err = s.end.since(s.start)
		}
		return err
	})
	switch {
	case err == nil:
		s.collect(out)
		return nil
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return err
	}
	return fmt.Errorf("batch of %d frames and %d pairs on device %d: %w", s.batch.frames, s.batch.pairs, s.device.info.Ordinal, err)
}

// submit gives the whole batch to the device.
func (s *Session) submit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.stage.send(ctx, s.stream, s.assembly.host); err != nil {
		return err
	}
	if err := s.sendTables(); err != nil {
		return err
	}
	words := s.usedWords()
	if err := s.stream.zero(s.results, int64(words)*8); err != nil {
		return err
	}
	if err := s.start.record(s.stream); err != nil {
		return err
	}
	at := s.results
	for _, f := range s.features {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.launch(s.stream, &s.batch, at); err != nil {
			return fmt.Errorf("%s: %w", f.name(), err)
		}
		at += uint64(f.resultWords(s.batch.frames, s.batch.pairs)) * 8
	}
	if err := s.end.record(s.stream); err != nil {
		return err
	}
	return s.stream.copyOut(s.words.data[:words*8], s.results)
}

func (s *Session) sendTables() error {
	a, at := s.assembly, 0
	for _, table := range []struct {
		data    []byte
		to      uint64
		address *uint64
	}{
		{a.referenceTable, s.referenceTable, &s.batch.referenceTable},
		{a.distortedTable, s.distortedTable, &s.batch.distortedTable},
		{a.frameTable, s.frameTable, &s.batch.frameTable},
		{a.renditionTable, s.renditionTable, &s.batch.renditionTable},
		{a.referenceChroma, s.referenceChroma, &s.batch.referenceChroma},
		{a.distortedChroma, s.distortedChroma, &s.batch.distortedChroma},
	} {
		if len(table.data) == 0 {
			continue
		}
		from := s.tables.data[at : at+len(table.data)]
		copy(from, table.data)
		at += len(table.data)
		if err := s.stream.copyIn(table.to, from); err != nil {
			return err
		}
		*table.address = table.to
	}
	return nil
}

// usedWords is how many numbers the batch gives.
func (s *Session) usedWords() int {
	words := 0
	for _, f := range s.features {
		words += f.resultWords(s.batch.frames, s.batch.pairs)
	}
	return words
}

func (s *Session) collect(out *Sums) {
	out.Motion = sized(out.Motion, s.batch.frames)
	clear(out.Motion)
	out.VIF = sized(out.VIF, len(s.plan.VIFGains))
	for i := range out.VIF {
		out.VIF[i] = sized(out.VIF[i], s.batch.pairs)
		clear(out.VIF[i])
	}
	out.ADM = sized(out.ADM, len(s.plan.ADM))
	for i := range out.ADM {
		out.ADM[i] = sized(out.ADM[i], s.batch.pairs)
		clear(out.ADM[i])
	}
	out.SSE, out.MSSSIM, out.PSNRHVS, out.CIEDE = out.SSE[:0], out.MSSSIM[:0], out.PSNRHVS[:0], out.CIEDE[:0]
	out.SSIM, out.Cambi, out.CambiSource, out.Speed = out.SSIM[:0], out.Cambi[:0], out.CambiSource[:0], out.Speed[:0]
	s.numbers = s.numbers[:0]
	for at := range s.usedWords() {
		s.numbers = append(s.numbers, binary.LittleEndian.Uint64(s.words.data[at*8:]))
	}
	words := s.numbers
	for _, f := range s.features {
		n := f.resultWords(s.batch.frames, s.batch.pairs)
		f.collect(words[:n], &s.batch, out)
		words = words[n:]
	}
}

// sized is a slice of n elements, s itself where it is long enough.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Close frees what the session holds. It may be called twice, and succeeds on a lost device. No Measure may be running.
func (s *Session) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	defer s.device.users.Add(-1)
	return s.device.release(s.free)
}

// free gives everything back, in the reverse order of open.
func (s *Session) free() error {
	var err error
	for _, f := range s.features {
		err = errors.Join(err, f.close())
	}
	err = errors.Join(err, s.words.close(), s.tables.close(), s.stage.close(), s.end.close(), s.start.close(), s.stream.close(),
		s.memory.close())
	s.features = nil
	return err
}
