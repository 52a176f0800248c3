package watch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// mostRenditions is how many renditions a measurement has at most.
const mostRenditions = 64

// headerless are the extensions of files that only Request.RawVideo says the format of.
var headerless = []string{".yuv", ".raw", ".i420"}

// anyRoot is the caller that a folder's measurements are checked as: the configuration is the operator's word.
var anyRoot = &auth.Caller{Rights: auth.AllRights()}

// owner is whose measurements those of a folder are. Who sees them is a matter of the media roots that its videos are in, as of all measurements.
func (f *watched) owner() string { return "watch/" + f.cfg.Name }

// want is a rendition that is to be measured.
type want struct {
	rendition *Rendition
	attempt   int       // from 1
	since     time.Time // when the same file was moved away before it was put here again; zero: it was not
}

// submit submits what the last scan has and the ledger does not, as far as there is room.
func (f *watched) submit(ctx context.Context) {
	f.waiting = 0
	clear(f.again)
	now := f.all.Now()
	for i := range f.found.titles {
		t := &f.found.titles[i]
		for group := range slices.Chunk(f.wanted(t, now), mostRenditions) {
			if ctx.Err() != nil {
				return
			}
			if len(f.jobs) >= f.all.Outstanding || !f.rest.over(now) {
				f.waiting += len(group)
				continue
			}
			f.submitGroup(ctx, t, group)
		}
	}
}

// wanted are the renditions of a title that are to be submitted now.
func (f *watched) wanted(t *Title, now time.Time) []want {
	var list []want
	settings := ""
	for i := range t.Renditions {
		r := &t.Renditions[i]
		e := f.entries[r.File.Path]
		switch {
		case e == nil:
			list = append(list, want{rendition: r, attempt: 1})
			continue
		case !e.State.Settled():
			continue // at its end it is looked whether it is still the same
		case !holds(e, r.File), !holds(e, t.Reference):
			if e.State == store.WatchDone {
				f.log.Info("a file was replaced, and is measured again", "dis", r.File.Path, "ref", t.Reference.Path)
			}
			list = append(list, want{rendition: r, attempt: 1})
			continue
		case e.Disposed: // it was moved away or deleted, and has been put here again
			list = append(list, want{r, 1, e.Changed})
			continue
		case e.State == store.WatchDone:
			continue
		}
		if settings == "" {
			settings = settingsOf(&t.Request)
		}
		switch {
		case e.Failure != nil && e.Failure.Reason == reasonProblem, e.Settings != settings:
			list = append(list, want{rendition: r, attempt: 1})
		case f.mayPass(e):
			at := e.Changed.Add(retryAfter(e.Attempts))
			if now.Before(at) {
				f.again[r.File.Path] = at
				continue
			}
			list = append(list, want{rendition: r, attempt: e.Attempts + 1})
		}
	}
	return list
}

// holds says that the ledger has a file as it is now.
func holds(e *store.WatchEntry, file File) bool {
	stamp, known := e.Stamps[file.Path]
	return known && sameStamp(stamp, file.Stamp())
}

// sameStamp compares stamps; an inode 0 is one that the file system does not keep.
func sameStamp(a, b store.WatchStamp) bool {
	return a.SizeBytes == b.SizeBytes && a.ModifiedUnixNano == b.ModifiedUnixNano && (a.Inode == b.Inode || a.Inode == 0 || b.Inode == 0)
}

// retryAfter is the pause before a rendition that failed for a reason that may go away is submitted again: it doubles with each attempt.
func retryAfter(attempts int) time.Duration {
	return min(30*time.Second<<min(max(attempts-1, 0), 20), time.Hour)
}

// settingsOf is the digest of what is asked for.
func settingsOf(r *Request) string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // texts, numbers and lists of them
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// submitGroup submits renditions of a title in one measurement. The ledger says so first.
func (f *watched) submitGroup(ctx context.Context, t *Title, group []want) {
	settings := settingsOf(&t.Request)
	requestID := f.requestID(t, group, settings)
	sub, err := f.submission(t, group, requestID)
	j := &job{requestID: requestID}
	now := f.all.Now()
	var entries []store.WatchEntry
	var before []*store.WatchEntry
	for _, w := range group {
		r := w.rendition
		e := store.WatchEntry{
			Folder: f.cfg.Name, Path: r.File.Path, State: store.WatchSubmitting, Title: t.Name, Reference: t.Reference.Path, Settings: settings,
			Stamps:    map[string]store.WatchStamp{t.Reference.Path: t.Reference.Stamp(), r.File.Path: r.File.Stamp()},
			RequestID: requestID, Rendition: r.Name, Attempts: w.attempt, Changed: now,
		}
		if t.Manifest.Path != "" {
			e.Stamps[t.Manifest.Path] = t.Manifest.Stamp()
		}
		old := f.entries[r.File.Path]
		if old != nil && !old.Disposed {
			e.Reports = old.Reports // which are replaced, or removed
		}
		before = append(before, old)
		entries = append(entries, e)
		j.paths = append(j.paths, r.File.Path)
	}
	if err != nil { // it cannot even be asked for
		f.refuse(ctx, j, entries, &store.Failure{Reason: store.ReasonDenied, Message: err.Error()})
		return
	}
	if err := f.put(ctx, entries...); err != nil {
		f.putOff(len(group), err)
		return
	}
	st, err := f.all.Workflow.Measure(ctx, sub)
	var field *workflow.FieldError
	var limit *workflow.LimitError
	switch {
	case err == nil:
		f.rest = backoff{}
		f.trouble(ofSubmission, nil)
		f.counts.submissions.Inc()
		f.log.Info("renditions are measured", "measurement", st.ID, "ref", t.Reference.Path, "renditions", len(group))
		f.tell(Event{Kind: Submitted, Path: t.Reference.Path, Title: t.Name, Measurement: st.ID, Renditions: len(group)})
		f.measuring(ctx, j, st.ID)
	case errors.As(err, &field):
		f.refuse(ctx, j, entries, &store.Failure{Reason: store.ReasonInvalid, Message: err.Error()})
	case errors.As(err, &limit), errors.Is(err, workflow.ErrDraining), errors.Is(err, store.ErrFull):
		// Nothing was accepted. That the ledger does not hear of it does no harm: it is looked for, and not found.
		f.restore(ctx, j.paths, before)
		f.putOff(len(group), err)
	default:
		if ctx.Err() == nil {
			f.putOff(len(group), err)
		}
		// It may have been accepted all the same.
		f.jobs[j.requestID] = j
		j.unsure, j.stuck = true, true
		j.rest.more(now)
	}
}

// ofSubmission is what trouble with submissions is of.
const ofSubmission = "(submission)"

// putOff has no further submissions for a while.
func (f *watched) putOff(renditions int, err error) {
	f.waiting += renditions
	f.counts.refusals.Inc()
	f.rest.more(f.all.Now())
	f.trouble(ofSubmission, err)
}

// restore brings entries back to what they were before a submission.
func (f *watched) restore(ctx context.Context, paths []string, before []*store.WatchEntry) {
	var gone []string
	for i, e := range before {
		if e == nil {
			gone = append(gone, paths[i])
			continue
		}
		if err := f.all.Ledger.PutWatchEntries(ctx, *e); err != nil {
			f.log.Debug("the ledger keeps a submission that was refused", "dis", e.Path, "err", err)
		}
		f.keep(*e)
	}
	if len(gone) > 0 {
		if err := f.all.Ledger.DeleteWatchEntries(ctx, f.cfg.Name, gone...); err != nil {
			f.log.Debug("the ledger keeps submissions that were refused", "renditions", len(gone), "err", err)
		}
		f.drop(gone...)
	}
}

// requestID names a submission by all that makes it what it is.
func (f *watched) requestID(t *Title, group []want, settings string) string {
	h := sha256.New()
	stamp := func(file File) {
		s := file.Stamp()
		fmt.Fprintf(h, "%q %d %d %d\n", file.Path, s.SizeBytes, s.ModifiedUnixNano, s.Inode)
	}
	fmt.Fprintf(h, "%q %s\n", t.Key, settings)
	stamp(t.Reference)
	for _, w := range group {
		stamp(w.rendition.File)
		fmt.Fprintf(h, "%q %d %d\n", w.rendition.Name, w.attempt, w.since.UnixNano())
	}
	return f.owner() + "/" + hex.EncodeToString(h.Sum(nil)[:16])
}

// source is a file of the folder as the workflow names it.
func (f *watched) source(file string, r *Request) (store.Source, error) {
	s, err := f.all.Roots.Resolve(anyRoot, path.Join(f.cfg.Path, file))
	if err != nil {
		return s, fmt.Errorf("%s: %w", file, err)
	}
	if r != nil && slices.Contains(headerless, strings.ToLower(path.Ext(file))) {
		s.Raw = r.RawVideo
	}
	return s, nil
}

// submission is the request for renditions of a title.
func (f *watched) submission(t *Title, group []want, requestID string) (workflow.Submission, error) {
	q := &t.Request
	r := store.Request{
		Features: q.Features, Presets: q.Presets, Class: store.Class(q.Class), Labels: map[string]string{}, Pairing: q.Pairing, Shortest: q.Shortest,
		Subsample: q.Subsample, Scale: q.Scale, BitDepth: q.BitDepth, OnDamage: q.OnDamage,
	}
	for _, spec := range q.Models {
		r.Models = append(r.Models, store.ModelSpec{Spec: spec})
	}
	// What only some renditions have cannot be a label of the measurement.
	shared := maps.Clone(group[0].rendition.Labels)
	for _, w := range group[1:] {
		maps.DeleteFunc(shared, func(key, value string) bool {
			other, there := w.rendition.Labels[key]
			return !there || other != value
		})
	}
	maps.Copy(r.Labels, shared)
	maps.Copy(r.Labels, q.Labels)
	r.Labels["watch"] = f.cfg.Name
	var err error
	r.Reference, err = f.source(t.Reference.Path, q)
	errs := []error{err}
	for _, w := range group {
		s, err := f.source(w.rendition.File.Path, q)
		errs = append(errs, err)
		r.Renditions = append(r.Renditions, store.RenditionRequest{Source: s, Name: w.rendition.Name})
	}
	return workflow.Submission{Owner: f.owner(), Request: r, RequestID: requestID, Body: sha256.Sum256([]byte(requestID))}, errors.Join(errs...)
}
