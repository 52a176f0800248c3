package workflow

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/protocol"
)

// inspectTask says what is known already of the media, so that a worker that finds them unchanged need not open them.
func (s *Service) inspectTask(ctx context.Context, c *protocol.Comparison) (*protocol.Inspect, error) {
	inspect := &protocol.Inspect{}
	for _, host := range s.workers.hosts() {
		var files []store.File
		for _, source := range append([]store.Source{c.Reference}, c.Renditions...) {
			f, err := s.store.File(ctx, source, host)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			files = append(files, *f)
		}
		inspect.Known = append(inspect.Known, files...)
		if len(files) == 1+len(c.Renditions) && !inspect.Described {
			_, err := s.store.Note(ctx, noteOf(c, fingerprints(files)))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			inspect.Described = err == nil
		}
	}
	return inspect, nil
}

func fingerprints(files []store.File) []store.Fingerprint {
	list := make([]store.Fingerprint, len(files))
	for i, f := range files {
		list[i] = f.Fingerprint
	}
	return list
}

// noteOf names the inspection of a comparison of certain contents: reference first, then the renditions. How many frames are passed over makes no
// difference to it.
func noteOf(c *protocol.Comparison, contents []store.Fingerprint) store.NoteKey {
	whole := *c
	whole.Subsample = 1
	h := sha256.New()
	fmt.Fprintf(h, "inspection %d\n%x\n", protocol.Version, whole.Digest())
	for _, f := range contents {
		fmt.Fprintf(h, "%q\n", f)
	}
	return store.NoteKey(h.Sum(nil))
}

// inspected takes up what a worker found out about the media, and plans.
func (s *Service) inspected(ctx context.Context, a *active, t *store.Task, f *protocol.Finish) error {
	m, err := s.store.Measurement(ctx, a.id)
	if err != nil {
		return err
	}
	c := comparisonOf(m)
	found := f.Inspection
	if len(found.Renditions) != len(c.Renditions) {
		return s.failTask(ctx, a, t, &store.Failure{Reason: store.ReasonInternal,
			Message: fmt.Sprintf("the worker inspected %d renditions of %d", len(found.Renditions), len(c.Renditions))})
	}
	files := []store.File{found.ReferenceFile}
	whole := true
	for _, d := range found.Renditions {
		files = append(files, d.File)
		whole = whole && d.Failure == nil && d.File.Fingerprint != ""
	}
	if found.Unchanged {
		kept, err := s.keptInspection(ctx, noteOf(&c, fingerprints(files)))
		if errors.Is(err, store.ErrNotFound) {
			s.mu.Lock()
			a.redescribe = true
			s.mu.Unlock()
			t.Attempts, t.Open = t.Attempts-1, false
			return s.rest(ctx, a, t, 0)
		}
		if err != nil {
			return err
		}
		kept.ReferenceFile = found.ReferenceFile
		for k := range kept.Renditions {
			kept.Renditions[k].File = found.Renditions[k].File
		}
		found = kept
	} else {
		for _, file := range files {
			if file.Fingerprint == "" {
				continue
			}
			if err := s.store.PutFile(ctx, file); err != nil {
				return err
			}
		}
		if whole {
			if err := s.keepInspection(ctx, noteOf(&c, fingerprints(files)), f); err != nil {
				return err
			}
		}
	}
	return s.plan(ctx, a, m, &c, t, found)
}

func (s *Service) keptInspection(ctx context.Context, key store.NoteKey) (*protocol.Inspection, error) {
	body, err := s.store.Note(ctx, key)
	if err != nil {
		return nil, err
	}
	var kept protocol.Finish
	if err := protocol.Decode(body, &kept); err != nil || kept.Inspection == nil {
		return nil, fmt.Errorf("%w: the kept inspection is of another version: %w", store.ErrNotFound, err)
	}
	return kept.Inspection, nil
}

// keepInspection keeps the message that told of an inspection.
func (s *Service) keepInspection(ctx context.Context, key store.NoteKey, f *protocol.Finish) error {
	body, err := protocol.Encode(f)
	if err != nil {
		return err
	}
	return s.store.PutNote(ctx, key, body)
}
