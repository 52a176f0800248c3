package workflow

import (
	"errors"
	"fmt"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/protocol"
)

// What callers branch on, beside the errors of package store, which come through as they are.
var (
	ErrDraining    = errors.New("the daemon is draining and takes no new measurements")
	ErrState       = errors.New("wrong state")            // what is asked for cannot be done to a measurement in its state
	ErrNotStored   = errors.New("figures are not stored") // what is asked for needs figures that the store does not have (yet)
	ErrNoRendition = errors.New("no such rendition")
	ErrNoSeries    = errors.New("no such series")
)

// FieldError is a field of a request that will not do. Field is its path in the API's words, such as "spec.models[0].spec".
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }
func (e *FieldError) Unwrap() error { return e.Err }

// LimitError is a limit of the configuration that was reached.
type LimitError struct {
	Key  string // the configuration's, such as "limits.outstanding_measurements"
	Max  int64
	What string // what there would be too many of
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("too many %s: %s is %d", e.What, e.Key, e.Max)
}

// Submission is a request on its way in.
type Submission struct {
	Owner     string // the client's name; "": no authentication
	Request   store.Request
	Documents map[string][]byte // documents of models, by SHA-256 in hexadecimal
	RequestID string            // "": none
	Body      [32]byte          // digest of what was asked, to tell another request under the same ID
}

// Status is a measurement and how far it is.
type Status struct {
	*store.Measurement
	Progress Progress
	// Renditions has, for each rendition, pairs of frames whose figures are there, and how many there will be (0: not known yet).
	Renditions []RenditionProgress
}

// RenditionProgress counts pairs of frames.
type RenditionProgress struct{ Done, Total int64 }

// Progress is how far a measurement is.
type Progress struct {
	Done, Total  int64         // reference frames; Total 0: not known yet
	Rate         float64       // reference frames a second over the last seconds; 0: not known
	Remaining    time.Duration // at that rate; 0: not known
	ChunksDone   int
	ChunksTotal  int
	TasksRunning int
}

// Event is something that happened to a measurement; one field is set.
type Event struct {
	Progress  *Progress
	Segment   *SegmentScore
	Rendition *RenditionEnd
	Status    *Status // when it was planned, and at its end
}

// RenditionEnd is a rendition that has ended.
type RenditionEnd struct {
	Index  int
	Status *Status // of the measurement at that moment
}

// SegmentLength is how long a segment is; of several set, the first counts. The zero value: chunks are the segments.
type SegmentLength struct {
	Frames  int64
	Seconds float64
}

// SegmentScore is the aggregates of a run of frames of one rendition.
type SegmentScore struct {
	Rendition  int // index
	First, End int64
	Scores     []store.Score
}

// Frames is every frame's figures of one rendition.
type Frames struct {
	Rendition int // index
	Name      string
	First     int64       // the reference frame of the table's frame 0
	Table     *vmaf.Table // shared: not to be written to
	// Seconds are the presentation times of the table's frames since the reference's first. Nil: not known.
	Seconds []float64
}

// RescoreRequest says with what to score a measurement anew.
type RescoreRequest struct {
	Owner     string
	Models    []store.ModelSpec
	Documents map[string][]byte
	Pools     []vmaf.PoolMethod // none: as the measurement did
	Labels    map[string]string // beside those of the old
	DryRun    bool              // store nothing
}

// ImportRequest is what a file of another program says of one pair of videos.
type ImportRequest struct {
	Owner     string
	Labels    map[string]string
	Reference store.Source           // never opened; Root "": not below a media root, or unknown
	Rendition store.RenditionRequest // likewise
	// ReferenceVideo and Video are what the file says of the media; nil: nothing.
	ReferenceVideo, Video *store.Video
	Format                store.Format // pictures were compared in; zero fields: unknown
	First                 int64        // the reference frame of the table's frame 0
	Table                 *vmaf.Table  // stored names; its frames need not all have values
	Models                []store.Model
	Seconds               []float64 // presentation times of the table's frames; nil: unknown
	Measured              time.Time // zero: now
	Imported              store.Imported
	Segments              []SegmentScore // scores of chunks as a record gives them, ascending; none in logs
	DryRun                bool           // store nothing
}

// WorkerState is what a worker does.
type WorkerState string

// The states of a worker.
const (
	WorkerIdle     WorkerState = "idle"
	WorkerBusy     WorkerState = "busy"
	WorkerDraining WorkerState = "draining"
	WorkerLost     WorkerState = "lost" // no sign of life for longer than the lease
)

// WorkerStatus is a worker.
type WorkerStatus struct {
	Hello      protocol.Hello
	State      WorkerState
	Heartbeat  time.Time
	RSSBytes   int64
	Running    []protocol.Progress
	TasksDone  int64
	FramesDone int64 // rendition frames measured
}

// ClassStatus is what is outstanding of one class.
type ClassStatus struct {
	Class       store.Class
	Outstanding int64         // tasks in the store
	Published   int64         // of these, handed to the queue
	Running     int64         // of these, begun
	OldestAge   time.Duration // 0: there is none
}

// CacheStatus says how often stored figures served.
type CacheStatus struct {
	HitPairs, MissedPairs int64 // pairs of frames asked for since the start
}
