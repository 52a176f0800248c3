package protocol

import (
	"time"

	"github.com/vqsd/vqsd/store"
)

// Version is the protocol's. A daemon and a worker of different versions do not work together.
const Version = 2

// Subjects of the messages, below the deployment's prefix. Hello, Begin, Record and Finish are requests with an answer; Heartbeat,
// Progress and Cancel are not answered.
const (
	SubjectHello     = "hello"     // worker → daemon: Hello, answered by Welcome
	SubjectHeartbeat = "heartbeat" // worker → daemon: Heartbeat
	SubjectBegin     = "begin"     // worker → daemon: Begin, answered by Leave
	SubjectRecord    = "record"    // worker → daemon: Record, answered by Receipt
	SubjectFinish    = "finish"    // worker → daemon: Finish, answered by Receipt
	SubjectProgress  = "progress"  // worker → daemon: Progress
	SubjectCancel    = "cancel"    // daemon → all workers: Cancel
)

// Device is what a worker computes on.
type Device struct {
	Name     string `cbor:"name"`     // "cpu", "cuda:0"
	Backend  string `cbor:"backend"`  // as results state it: "cpu (avx2)"
	Threads  int    `cbor:"threads"`  // frames measured at a time
	Memory   int64  `cbor:"memory"`   // bytes of the device; 0: the host's
	Emulated bool   `cbor:"emulated"` // a software stand-in
}

// Hello is how a worker introduces itself, on start and after each reconnection.
type Hello struct {
	Protocol int       `cbor:"protocol"`
	Worker   string    `cbor:"worker"`  // unique; new with every process
	Host     string    `cbor:"host"`    // tells hosts apart, since file stamps mean something on one only
	PID      int       `cbor:"pid"`     //
	Version  string    `cbor:"version"` // of the program
	Device   Device    `cbor:"device"`
	Roots    []string  `cbor:"roots"` // names of its media roots
	Slots    int       `cbor:"slots"` // tasks at a time
	Started  time.Time `cbor:"started"`
	// Running are the tasks in hand, so that a daemon that restarted knows of them.
	Running []TaskID `cbor:"running"`
}

// Welcome answers Hello.
type Welcome struct {
	Refused  string        `cbor:"refused"`  // why the worker is not wanted, and what to do; "": it is
	Lease    time.Duration `cbor:"lease"`    // how long a task may go without a sign of life before another worker gets it
	Version  string        `cbor:"version"`  // of the daemon's program
	Draining bool          `cbor:"draining"` // take no more tasks
}

// Heartbeat is a worker's sign of life, every second or so.
type Heartbeat struct {
	Worker   string    `cbor:"worker"`
	Running  []TaskID  `cbor:"running"`
	Draining bool      `cbor:"draining"`
	RSSBytes int64     `cbor:"rss_bytes"` // resident memory
	Sent     time.Time `cbor:"sent"`
}

// TaskID names one attempt at a task.
type TaskID struct {
	Measurement store.MeasurementID `cbor:"measurement"`
	Number      int                 `cbor:"number"`
	Attempt     int                 `cbor:"attempt"` // from 1
}

// Task is what a worker is asked to do. It is complete: the worker looks nothing up.
type Task struct {
	ID         TaskID         `cbor:"id"`
	Kind       store.TaskKind `cbor:"kind"`
	Class      store.Class    `cbor:"class"`
	Deadline   time.Time      `cbor:"deadline"` // of the measurement; zero: none
	Comparison Comparison     `cbor:"comparison"`
	Inspect    *Inspect       `cbor:"inspect"` // of TaskInspect
	Chunk      *Chunk         `cbor:"chunk"`   // of TaskChunk
	// Trace carries the trace context from the request to the worker (W3C: traceparent, tracestate).
	Trace map[string]string `cbor:"trace"`
}

// Comparison is what is compared with what. Equal comparisons of unchanged files behave equally, which is what workers cache them by.
type Comparison struct {
	Reference  store.Source   `cbor:"reference"`
	Renditions []store.Source `cbor:"renditions"` // all of the measurement, whichever a task is about
	// What the inspection saw, so that a file that changed since is noticed; nil before.
	ReferenceFile  *store.File   `cbor:"reference_file"`
	RenditionFiles []*store.File `cbor:"rendition_files"`

	Pairing    string       `cbor:"pairing"`
	Shortest   bool         `cbor:"shortest"`
	Offset     int64        `cbor:"offset"`
	First      int64        `cbor:"first"`
	End        int64        `cbor:"end"`
	Subsample  int          `cbor:"subsample"`
	Scales     []string     `cbor:"scales"`     // by rendition; "": bicubic, refusing other shapes
	Geometries []store.Size `cbor:"geometries"` // by rendition; zero: the reference's
	Crop       *store.Rect  `cbor:"crop"`
	BitDepth   int          `cbor:"bit_depth"` // samples are widened to, at least; 0: to the larger depth of the two files
	Encodeds   []string     `cbor:"encodeds"`  // by rendition: what CAMBI takes it to have been encoded as, "auto", "compared" or WxH[:DEPTH]
	Chroma     bool         `cbor:"chroma"`    // features look at chroma planes
	OnDamage   string       `cbor:"on_damage"`
	FullHash   bool         `cbor:"full_hash"`
	// MinWidth and MinHeight are the least size that every feature of the measurement is defined for; 0: not known yet.
	MinWidth  int `cbor:"min_width"`
	MinHeight int `cbor:"min_height"`
}

// Inspect asks what the media are.
type Inspect struct {
	// Known are files whose content the daemon knows already, as seen by any host: where the worker's own host saw the same stamp,
	// the fingerprint is not computed again.
	Known []store.File `cbor:"known"`
	// Described says that the daemon has kept the inspection of this very comparison. If every file is Known to the worker's host and has its stamp still,
	// the answer is Unchanged, and no file is opened.
	Described bool `cbor:"described"`
}

// Chunk asks for figures of a run of reference frames.
type Chunk struct {
	First       int64    `cbor:"first"`
	End         int64    `cbor:"end"`
	Renditions  []int    `cbor:"renditions"`  // indexes into Comparison.Renditions
	Extractions []string `cbor:"extractions"` // as vmaf.ParseExtraction reads them
}

// Begin asks leave to begin a task. The daemon counts the attempt.
type Begin struct {
	Worker string `cbor:"worker"`
	Task   TaskID `cbor:"task"`
}

// Leave answers Begin.
type Leave struct {
	Granted bool   `cbor:"granted"`
	Why     string `cbor:"why"` // it is not: done already, cancelled, superseded by a later attempt; the queue's copy is to be dropped
}

// Record is a part of what came of a task. Recording a part again changes nothing.
type Record struct {
	Worker string `cbor:"worker"`
	Task   TaskID `cbor:"task"`
	Parts  []Part `cbor:"parts"`
}

// Part is the figures of one extraction, for one rendition, or for a whole group where they depend on the reference alone.
type Part struct {
	Extraction string      `cbor:"extraction"`
	Rendition  int         `cbor:"rendition"` // −1: reference-only, of Group
	Group      int         `cbor:"group"`
	First      int64       `cbor:"first"`   // reference frames for which the figures are valid, [First, End)
	End        int64       `cbor:"end"`     //
	Step       int64       `cbor:"step"`    // ≥ 1
	Figures    [][]float64 `cbor:"figures"` // in the order of vmaf.Extraction.Raw; ⌈(End − First) / Step⌉ each
}

// Finish says how a task ended. Exactly one of Failure, Inspection and Chunk is set.
type Finish struct {
	Worker  string `cbor:"worker"`
	Task    TaskID `cbor:"task"`
	Failure *Error `cbor:"failure"`
	// Returned says that the worker gives the task back undone (it is draining): the attempt does not count. Failure is then set, too.
	Returned   bool          `cbor:"returned"`
	Inspection *Inspection   `cbor:"inspection"`
	Chunk      *ChunkDone    `cbor:"chunk"`
	Elapsed    time.Duration `cbor:"elapsed"`
	Decode     time.Duration `cbor:"decode"`  // summed over goroutines
	Kernels    time.Duration `cbor:"kernels"` // summed over goroutines
	Reused     bool          `cbor:"reused"`  // the worker had the comparison open already
}

// Error is why a task, or one video of it, failed.
type Error struct {
	Reason  store.Reason `cbor:"reason"`
	Message string       `cbor:"message"`
	// Transient errors (memory, a device, the file system) may go away: the task is tried again. All others would only repeat
	// themselves.
	Transient bool `cbor:"transient"`
}

// Inspection is what the media are and what would be compared with what.
type Inspection struct {
	// Unchanged says that every file is as Inspect.Known has it. Then only ReferenceFile and the renditions' File are set.
	Unchanged     bool             `cbor:"unchanged"`
	Reference     store.Video      `cbor:"reference"`
	ReferenceFile store.File       `cbor:"reference_file"`
	Renditions    []InspectedVideo `cbor:"renditions"`
	RandomAccess  []int64          `cbor:"random_access"` // reference frames where decoding can begin, ascending; thinned to at most 10,000
	// Times are the presentation times of the reference's frames since the first, in units of Video.TimeBase. Nil where frames are evenly
	// spaced, where the file has no times, and above 100,000 frames: then the frame rate gives them.
	Times   []int64 `cbor:"times"`
	Backend string  `cbor:"backend"`
}

// InspectedVideo is one rendition.
type InspectedVideo struct {
	Failure     *Error        `cbor:"failure"` // what follows has values only without one, but for Video and File, which have what was found
	Video       store.Video   `cbor:"video"`
	File        store.File    `cbor:"file"`
	Format      store.Format  `cbor:"format"`
	Conversion  string        `cbor:"conversion"`
	RefConvert  string        `cbor:"reference_conversion"`
	Encoded     store.Encoded `cbor:"encoded"` // what CAMBI takes the pictures to have been encoded as
	Pairing     string        `cbor:"pairing"`
	First       int64         `cbor:"first"`
	End         int64         `cbor:"end"`
	Offset      int64         `cbor:"offset"`
	Repeated    int64         `cbor:"repeated"`
	Dropped     int64         `cbor:"dropped"`
	Group       int           `cbor:"group"`
	RandomEntry bool          `cbor:"random_entry"` // decoding from the middle is cheap
}

// ChunkDone is what there is to say of a measured chunk beside its figures.
type ChunkDone struct {
	Backend    string                      `cbor:"backend"`
	Frames     int64                       `cbor:"frames"` // rendition frames measured
	Reference  store.Damage                `cbor:"reference"`
	Renditions map[int]store.RenditionDone `cbor:"renditions"` // by index into Comparison.Renditions; of each that the task is about
}

// Receipt answers Record and Finish.
type Receipt struct {
	// Refused is set where the daemon does not want it (cancelled, unknown): the worker drops the task.
	Refused string `cbor:"refused"`
	// Retry asks to send it again later: the store is full, say.
	Retry string `cbor:"retry"`
}

// Progress says how far a task is, a few times a second.
type Progress struct {
	Worker string `cbor:"worker"`
	Task   TaskID `cbor:"task"`
	Done   int64  `cbor:"done"`  // reference frames of the chunk measured
	Total  int64  `cbor:"total"` // of these there are
}

// Cancel tells workers to stop what they do for a measurement.
type Cancel struct {
	Measurement store.MeasurementID `cbor:"measurement"`
	// Number is the one task meant; −1: all of the measurement's.
	Number int `cbor:"number"`
}

// Timing is where a chunk's time went.
type Timing struct {
	Decode, Kernels time.Duration // summed over goroutines
	Reused          bool          // the comparison was open already
}
