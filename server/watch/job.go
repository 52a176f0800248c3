package watch

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// job is a measurement that has not been dealt with: renditions that share a request ID.
type job struct {
	requestID string
	paths     []string // of renditions that are not settled
	id        store.MeasurementID
	// Set by the one who follows it, before it comes through watched.ended.
	m *store.Measurement // as it ended; nil: it was deleted

	unsure bool // whether it was accepted is not known
	stuck  bool // something was in the way of dealing with it; it is tried again
	rest   backoff
}

// name is what trouble with the job is of.
func (j *job) name() string {
	if j.id == "" { // it was refused
		return j.requestID
	}
	return string(j.id)
}

// load reads the ledger.
func (f *watched) load(ctx context.Context) error {
	return f.all.Ledger.WatchEntries(ctx, f.cfg.Name, func(e store.WatchEntry) error {
		f.keep(e)
		if e.State == store.WatchReporting {
			f.left[e.Path] = true
		}
		return nil
	})
}

// takeUp goes on with what an earlier process has left.
func (f *watched) takeUp(ctx context.Context) {
	for path, e := range f.entries {
		if e.State.Settled() {
			continue
		}
		j := f.jobs[e.RequestID]
		if j == nil {
			j = &job{requestID: e.RequestID, id: e.Measurement}
			f.jobs[e.RequestID] = j
		}
		j.unsure = j.unsure || e.State == store.WatchSubmitting
		j.paths = append(j.paths, path)
	}
	for _, j := range f.jobs {
		slices.Sort(j.paths)
		switch {
		case j.unsure:
			f.adopt(ctx, j)
		case j.id == "":
			j.stuck = true // it was refused, and there is only that to say
		default:
			f.follow(ctx, j)
		}
	}
	if n := len(f.jobs); n > 0 {
		f.log.Info("unfinished work taken up", "measurements", n)
	}
}

// adopt finds out whether a submission was accepted, and goes on with it, or forgets it, so that it is submitted again.
func (f *watched) adopt(ctx context.Context, j *job) {
	id, err := f.accepted(ctx, j)
	switch {
	case err != nil:
		j.stuck = true
		j.rest.more(f.all.Now())
		f.trouble(ofSubmission, err)
	case id != "":
		j.unsure, j.stuck = false, false
		f.log.Info("a submission of before has arrived", "measurement", id, "renditions", len(j.paths))
		f.measuring(ctx, j, id)
	default:
		if err := f.remove(ctx, j.paths...); err != nil {
			j.stuck = true
			j.rest.more(f.all.Now())
			f.trouble(ofSubmission, err)
			return
		}
		delete(f.jobs, j.requestID)
		f.soon = true
	}
}

// accepted looks for the measurement of a submission; "": there is none. Its request ID need not be known any more, but it was made after the
// ledger was written, and is of the same files.
func (f *watched) accepted(ctx context.Context, j *job) (store.MeasurementID, error) {
	first := f.entries[j.paths[0]]
	ref, err := f.source(first.Reference, nil)
	if err != nil {
		return "", nil // what cannot be asked for was not asked for
	}
	var want []string
	for _, path := range j.paths {
		s, err := f.source(path, nil)
		if err != nil {
			return "", nil // likewise
		}
		want = append(want, s.Root+":"+s.Path)
	}
	slices.Sort(want)
	q := store.Query{
		Filter: store.And{
			store.Compare{Field: store.FieldOwner, Op: store.Equal, Value: f.owner()},
			store.Compare{Field: store.FieldReferencePath, Op: store.Equal, Value: ref.Path},
			store.Compare{Field: store.FieldCreateTime, Op: store.GreaterOrEqual, Value: first.Changed.Truncate(time.Millisecond)},
		},
		PageSize: 100,
	}
	for {
		page, err := f.all.Ledger.Query(ctx, q)
		if err != nil {
			return "", err
		}
		for _, m := range page.Measurements {
			var got []string
			for _, r := range m.Request.Renditions {
				got = append(got, r.Source.Root+":"+r.Source.Path)
			}
			slices.Sort(got)
			if m.Request.Reference.Root == ref.Root && slices.Equal(got, want) {
				return m.ID, nil
			}
		}
		if q.PageToken = page.NextPageToken; q.PageToken == "" {
			return "", nil
		}
	}
}

// measuring notes that a submission was accepted, and follows it.
func (f *watched) measuring(ctx context.Context, j *job, id store.MeasurementID) {
	j.id = id
	f.jobs[j.requestID] = j
	var entries []store.WatchEntry
	for _, path := range j.paths {
		e := *f.entries[path]
		e.State, e.Measurement, e.Changed = store.WatchMeasuring, id, f.all.Now()
		entries = append(entries, e)
	}
	if err := f.put(ctx, entries...); err != nil {
		// It is found again should this process end before the next write.
		f.log.Debug("the ledger does not have a measurement yet", "measurement", id, "err", err)
		f.keep(entries...)
	}
	f.follow(ctx, j)
}

// followPause is how long is waited when a measurement cannot be read.
const followPause = 5 * time.Second

// follow waits for the end of a measurement, and hands it to run().
func (f *watched) follow(ctx context.Context, j *job) {
	f.following.Go(func() {
		for {
			var last *workflow.Status
			err := f.all.Workflow.Watch(ctx, j.id, false, func(e workflow.Event) error {
				if e.Status != nil && e.Status.State.Final() {
					last = e.Status
				}
				return nil
			})
			switch {
			case ctx.Err() != nil:
				return
			case err == nil && last != nil:
				j.m = last.Measurement
			case !errors.Is(err, store.ErrNotFound):
				f.log.Warn("a measurement cannot be followed; it is tried again", "measurement", j.id, "err", err)
				select {
				case <-time.After(followPause):
				case <-ctx.Done():
					return
				}
				continue
			}
			select {
			case f.ended <- j:
			case <-ctx.Done():
			}
			return
		}
	})
}
