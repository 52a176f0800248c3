package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/server/export"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// Ledger is the part of the store that a watcher uses; *[store.Store] is one.
type Ledger interface {
	// PutWatchEntries writes entries, all of them or none.
	PutWatchEntries(ctx context.Context, entries ...store.WatchEntry) error
	// DeleteWatchEntries drops entries, all of them or none. Those that are not there are passed over.
	DeleteWatchEntries(ctx context.Context, folder string, paths ...string) error
	// WatchEntries calls fn with every entry of a folder.
	WatchEntries(ctx context.Context, folder string, fn func(store.WatchEntry) error) error
	// Query finds measurements.
	Query(ctx context.Context, q store.Query) (*store.Page, error)
}

// Workflow measures; *[workflow.Service] does.
type Workflow interface {
	export.Source
	// Measure accepts a measurement. A request ID that was used before gives the measurement of then.
	Measure(ctx context.Context, sub workflow.Submission) (*workflow.Status, error)
	// Watch returns nil once the measurement has ended, of which it has told last; [store.ErrNotFound] when it is not there (any more).
	Watch(ctx context.Context, id store.MeasurementID, segments bool, tell func(workflow.Event) error) error
}

var (
	_ Ledger   = (*store.Store)(nil)
	_ Workflow = (*workflow.Service)(nil)
)

// defaultOutstanding is how many measurements of a folder are unfinished at a time. It keeps workers busy, and the queue so short that an urgent
// class, a change of the configuration or a removed file need not wait for what was submitted days ago.
const defaultOutstanding = 32

// Config says what a [Watcher] watches and works with. Folders, Ledger, Workflow and Version are required; zero values of the rest are defaults.
type Config struct {
	// Folders have been through [Folder.Check], and have different names.
	Folders  []Folder
	Roots    auth.Roots // media roots; each folder lies in one
	Ledger   Ledger
	Workflow Workflow
	Version  string // of the program, for reports
	// Outstanding is how many measurements of one folder are unfinished at a time. Range 1 – 10,000; default 32.
	Outstanding int

	Logger     *slog.Logger          // nil: slog.Default()
	Registerer prometheus.Registerer // nil: metrics are counted and not shown
	Now        func() time.Time      // nil: time.Now
	// Tell is called with what happens, from one goroutine for each folder. nil: nobody hears.
	Tell func(Event)
}

// validate reports every problem at once and fills in defaults.
func (c *Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Folders) == 0 {
		add("watch: there is no folder to watch")
	}
	if c.Ledger == nil || c.Workflow == nil || c.Version == "" {
		add("watch needs a ledger, a workflow and the program's version")
	}
	names := map[string]bool{}
	for i := range c.Folders {
		f := &c.Folders[i]
		if names[f.Name] {
			add("watch: two folders are called %q; give one another name", f.Name)
		}
		names[f.Name] = true
	}
	if c.Outstanding == 0 {
		c.Outstanding = defaultOutstanding
	}
	if c.Outstanding < 1 || c.Outstanding > 10_000 {
		add("watch: %d outstanding measurements of a folder; the range is 1 to 10000", c.Outstanding)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Tell == nil {
		c.Tell = func(Event) {}
	}
	return errors.Join(errs...)
}

// EventKind is what an [Event] is about.
type EventKind string

// The kinds of events.
const (
	Submitted EventKind = "submitted" // renditions of a title were submitted together; Path is the reference
	Done      EventKind = "done"      // a rendition was measured, its reports are written, and it was dealt with
	Failed    EventKind = "failed"    // a rendition, or a file that is wrong in itself, and it will not be tried again before it is replaced
	Again     EventKind = "again"     // a rendition is going to be measured anew: it failed for a reason that may go away, or was replaced meanwhile
	Trouble   EventKind = "trouble"   // something is in the way of a folder or a report and is tried again; told once, until it is gone
)

// Event is something that happened in a folder.
type Event struct {
	Time        time.Time
	Kind        EventKind
	Folder      string // its name
	Path        string // of the file below it; "": the folder itself
	Title       string
	Measurement store.MeasurementID // "": none
	Renditions  int                 // of Submitted
	Scores      []store.Score       // of Done
	Reports     []string            // of Done and Failed: absolute paths of files that were written
	MovedTo     string              // of Done and Failed: where the rendition is now; "": where it was, or it was deleted
	Failure     *store.Failure      // of Failed and Again
	Err         error               // of Trouble
}

// FolderStatus is how far the work on a folder is.
type FolderStatus struct {
	Name, Path string
	Files      int // that the last scan saw
	Titles     int
	Incomplete int // files that are not complete yet
	Waiting    int // renditions that are complete and neither submitted nor done: the bound of outstanding measurements, or a limit, keeps them
	Measuring  int // renditions that are submitted, or whose reports are being written
	Done       int // renditions in the ledger
	Failed     int // likewise, with files that are wrong in themselves
	Again      int // of Failed: will be tried again after a while
	// Outstanding is how many measurements Measuring is in.
	Outstanding  int
	LastScan     time.Time // zero: none yet
	ScanDuration time.Duration
	Err          string // what is in the way; "": nothing
	soon         bool   // there is more to do, and a scan is about to find out what
	settling     bool   // some files only have to stay as they are for a while
}

// Idle says that there is nothing to do before a file comes or changes. Files that are not complete may be there: those whose marker, or
// whose reference, is missing.
func (s *FolderStatus) Idle() bool {
	return !s.LastScan.IsZero() && !s.soon && s.Err == "" && !s.settling && s.Waiting == 0 && s.Measuring == 0 && s.Again == 0
}

// Watcher watches folders. Make one with [New].
type Watcher struct {
	cfg     Config
	metrics *metrics
	folders []*watched
}

// New makes a watcher. It opens nothing yet, but looks at file systems. Errors: every problem of cfg, and of moving files, at once.
func New(cfg Config) (*Watcher, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	w := &Watcher{cfg: cfg}
	errs := []error{Apart(cfg.Folders)}
	for _, f := range cfg.Folders {
		errs = append(errs, InRoots(f, cfg.Roots))
		w.folders = append(w.folders, newWatched(&w.cfg, f))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var err error
	if w.metrics, err = newMetrics(cfg.Registerer, w); err != nil {
		return nil, fmt.Errorf("watch metrics: %w", err)
	}
	for _, f := range w.folders {
		f.counts = w.metrics.of(f.cfg.Name)
	}
	return w, nil
}

// Run watches until ctx ends, and then returns nil. It goes on where an earlier run with the same ledger was. An error is one of reading the
// ledger; what else is in the way is logged, shown by [Watcher.Status], and tried again.
func (w *Watcher) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, f := range w.folders {
		group.Go(func() error {
			if err := f.run(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("watched folder %s: %w", f.cfg.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// Status says how far each folder is, in the order of the configuration.
func (w *Watcher) Status() []FolderStatus {
	var list []FolderStatus
	for _, f := range w.folders {
		list = append(list, f.statusNow())
	}
	return slices.Clip(list)
}

// shown is a status that others may read while it is written.
type shown struct {
	mu     sync.Mutex
	status FolderStatus
}
