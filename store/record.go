package store

import (
	"time"

	"github.com/vqsd/vqsd/vmaf"
)

// MeasurementID names a measurement: the 26 characters of a lower-case ULID, so that IDs sort by creation time. The resource name is
// "measurements/" and the ID.
type MeasurementID string

// State is how far a measurement, or one rendition of it, is.
type State string

// The states. The last four are final.
const (
	StatePending   State = "pending"   // accepted; its media have not been inspected yet
	StateRunning   State = "running"   // planned; chunks are outstanding
	StateSucceeded State = "succeeded" // everything that was asked for is there
	StatePartial   State = "partial"   // some renditions have scores and some failed; of measurements only
	StateFailed    State = "failed"    // nothing could be measured; Failure says why
	StateCancelled State = "cancelled"
)

// Final says that nothing will change any more.
func (s State) Final() bool {
	return s == StateSucceeded || s == StatePartial || s == StateFailed || s == StateCancelled
}

// Class is how urgent a measurement is. Chunks of an earlier class go before all of a later one.
type Class string

// The classes, in dispatch order.
const (
	ClassLatency    Class = "latency"
	ClassThroughput Class = "throughput" // the default
	ClassBackground Class = "background"
)

// Classes lists the classes in dispatch order.
func Classes() []Class { return []Class{ClassLatency, ClassThroughput, ClassBackground} }

// Reason says what kind of failure a [Failure] is, for programs.
type Reason string

// The reasons.
const (
	ReasonNotFound    Reason = "not_found"   // the file is not there
	ReasonDenied      Reason = "denied"      // the file is outside the media roots, or may not be read
	ReasonUnsupported Reason = "unsupported" // not a video this version can read, or pictures a feature is not defined for
	ReasonAmbiguous   Reason = "ambiguous"   // the comparison could mean several things; the message names the choices
	ReasonDamaged     Reason = "damaged"     // the media are damaged or cut off
	ReasonChanged     Reason = "changed"     // the file changed while it was measured
	ReasonLimit       Reason = "limit"       // a configured limit; the message names its key
	ReasonInvalid     Reason = "invalid"     // the request does not fit the media (range, crop …)
	ReasonRefused     Reason = "refused"     // a rule refused the comparison
	ReasonWorker      Reason = "worker"      // workers died or hung on it, as often as is allowed
	ReasonInternal    Reason = "internal"    // a defect of ours
	ReasonNotStored   Reason = "not_stored"  // figures that are needed are not in the store
)

// Failure is why something could not be measured. It is kept and shown, so Message has no path outside what the request named.
type Failure struct {
	Reason  Reason `cbor:"reason"`
	Message string `cbor:"message"`
}

// Source names a video: a file below a media root.
type Source struct {
	Root string `cbor:"root"`          // the media root's name
	Path string `cbor:"path"`          // below the root, with forward slashes, clean and without ".."
	URI  string `cbor:"uri"`           // as the request had it, for people
	Raw  string `cbor:"raw,omitempty"` // how the pictures of a headerless file look: WxH:PIXFMT[:RATE]; "": the file says
}

// ModelSpec is a model that a request names.
type ModelSpec struct {
	Spec     string `cbor:"spec"`               // as vmaf.ParseModel reads it; with Document its path= is only a label
	Document string `cbor:"document,omitempty"` // SHA-256 (hexadecimal) of the JSON document that the client sent; "": built in
}

// Size is a picture size in luma samples.
type Size struct {
	Width  int `cbor:"width"`
	Height int `cbor:"height"`
}

// Rect is a part of a picture, in luma samples.
type Rect struct {
	X      int `cbor:"x"`
	Y      int `cbor:"y"`
	Width  int `cbor:"width"`
	Height int `cbor:"height"`
}

// RenditionRequest is one distorted video of a request.
type RenditionRequest struct {
	Source Source `cbor:"source"`
	Name   string `cbor:"name"` // unique in the request; by default the file's name
}

// Request is what a client asked for, checked and with its sources resolved. Zero values are defaults.
type Request struct {
	Reference  Source             `cbor:"reference"`
	Renditions []RenditionRequest `cbor:"renditions"` // 1 … 64

	Models   []ModelSpec       `cbor:"models"`            // none: rules choose
	Features []string          `cbor:"features"`          // beside the models', as vmaf.ParseExtraction reads them
	Presets  []string          `cbor:"presets,omitempty"` // whose models and features come first, as vmaf.ParsePreset reads them
	Pools    []vmaf.PoolMethod `cbor:"pools"`             // of the aggregate scores; none: mean, harmonic_mean, min, max, p1, p5, p50 (see workflow)

	Class    Class             `cbor:"class"` // "": rules choose, else throughput
	Deadline time.Time         `cbor:"deadline"`
	Labels   map[string]string `cbor:"labels"`

	Pairing   string `cbor:"pairing"`   // "auto", "index" or "timestamp"; "": rules choose, else auto
	Shortest  bool   `cbor:"shortest"`  // where one side has more frames, ignore the rest of the longer one
	Offset    int64  `cbor:"offset"`    // frames
	First     int64  `cbor:"first"`     // reference frames [First, End)
	End       int64  `cbor:"end"`       // 0: to the last one
	Subsample int    `cbor:"subsample"` // every how many frames are measured; 0 and 1: all
	Scale     string `cbor:"scale"`     // scaling filter; "": rules choose, else bicubic, refusing other shapes
	Geometry  *Size  `cbor:"geometry"`  // compare at this size; nil: the reference's
	Crop      *Rect  `cbor:"crop"`
	BitDepth  string `cbor:"bit_depth,omitempty"` // "auto", "native", "10", "12" or "16"; "": rules choose, else auto
	Encoded   string `cbor:"encoded,omitempty"`   // "auto", "compared" or WxH[:DEPTH]; "": rules choose, else auto
	OnDamage  string `cbor:"on_damage"`           // "strict" or "conceal"; "": strict

	ChunkFrames   int64   `cbor:"chunk_frames"`   // 0: the planner chooses
	SegmentFrames int64   `cbor:"segment_frames"` // reporting granularity; 0: see SegmentSeconds
	SegmentSecond float64 `cbor:"segment_second"` // seconds of a reported segment; 0: chunks are the segments
	FullHash      bool    `cbor:"full_hash"`      // identify files by the SHA-256 of all their bytes, however large
	NoCache       bool    `cbor:"no_cache"`       // measure anew what the store already has
}

// ModelsAuto says that rules choose the models: the request names none.
func (r *Request) ModelsAuto() bool { return len(r.Models) == 0 && len(r.Presets) == 0 }

// Video is what inspection found out about a file. Sizes are in samples, after rotation unless they say otherwise; it mirrors
// decode.Info, which this layer does not know.
type Video struct {
	SizeBytes   int64  `cbor:"size_bytes"`
	Container   string `cbor:"container"`
	Codec       string `cbor:"codec"`
	Decoder     string `cbor:"decoder"` // "": none is needed
	Profile     string `cbor:"profile"`
	PixelFormat string `cbor:"pixel_format"`

	Width       int    `cbor:"width"`
	Height      int    `cbor:"height"`
	BitDepth    int    `cbor:"bit_depth"`
	Subsampling string `cbor:"subsampling"` // "4:2:0" …
	FullRange   bool   `cbor:"full_range"`

	CodedWidth      int    `cbor:"coded_width"`
	CodedHeight     int    `cbor:"coded_height"`
	SampleAspectNum int64  `cbor:"sar_num"` // width : height of a sample; 0: unknown
	SampleAspectDen int64  `cbor:"sar_den"`
	Rotation        string `cbor:"rotation"`   // "90°" …, "": none
	Interlaced      string `cbor:"interlaced"` // "tff", "bff", "mixed"; "": progressive or unknown
	ColorRange      string `cbor:"color_range"`
	ColorSpace      string `cbor:"color_space"`
	ColorPrimaries  string `cbor:"color_primaries"`
	ColorTransfer   string `cbor:"color_transfer"`

	FrameRateNum int64         `cbor:"rate_num"` // average frames a second; 0: unknown
	FrameRateDen int64         `cbor:"rate_den"`
	VariableRate bool          `cbor:"variable_rate"`
	TimeBaseNum  int64         `cbor:"time_base_num"` // seconds of a timestamp unit; 0: unknown
	TimeBaseDen  int64         `cbor:"time_base_den"`
	Timestamps   bool          `cbor:"timestamps"` // every frame has one
	StartOffset  time.Duration `cbor:"start_offset"`
	Duration     time.Duration `cbor:"duration"` // 0: unknown
	BitRate      int64         `cbor:"bit_rate"` // bit/s; 0: unknown

	Frames      int64         `cbor:"frames"`
	KeyFrames   int64         `cbor:"key_frames"`
	Seekable    bool          `cbor:"seekable"`
	Discarded   int64         `cbor:"discarded"`
	Hidden      int64         `cbor:"hidden"`
	Undecodable int64         `cbor:"undecodable"`
	Truncated   string        `cbor:"truncated"` // why the file is known to end too early, or ""
	Streams     []VideoStream `cbor:"streams"`
}

// VideoStream is one of the streams in a container.
type VideoStream struct {
	Index    int    `cbor:"index"`
	Type     string `cbor:"type"`
	Codec    string `cbor:"codec"`
	Language string `cbor:"language"`
	Selected bool   `cbor:"selected"`
}

// Stamp tells, without reading it, whether a file may have changed: it differs whenever the file was written or replaced.
type Stamp struct {
	SizeBytes        int64  `cbor:"size"`
	ModifiedUnixNano int64  `cbor:"mtime"`
	ChangedUnixNano  int64  `cbor:"ctime"`
	Inode            uint64 `cbor:"inode"`
	Device           uint64 `cbor:"device"`
}

// Fingerprint identifies a file's content: "sha256:…" of all of it, or "sampled:…" (see engine.Fingerprint).
type Fingerprint string

// File is what is known of a media file, as of one stamp.
type File struct {
	Source      Source      `cbor:"source"` // Root, Path and Raw are its key
	Host        string      `cbor:"host"`   // of the worker that saw the stamp: inode and device mean something only there
	Stamp       Stamp       `cbor:"stamp"`
	Fingerprint Fingerprint `cbor:"fingerprint"`
}

// Format is what pictures are compared in, after scaling and cropping.
type Format struct {
	Width       int    `cbor:"width"`
	Height      int    `cbor:"height"`
	BitDepth    int    `cbor:"bit_depth"`
	Subsampling string `cbor:"subsampling"`
	FullRange   bool   `cbor:"full_range"`
}

// Encoded is what a rendition's pictures were encoded as. A zero field is as compared.
type Encoded struct {
	Width    int `cbor:"width"`
	Height   int `cbor:"height"`
	BitDepth int `cbor:"bit_depth"`
}

// Identity is everything beside the frames and the figure itself that a stored figure depends on: the SHA-256 of a canonical
// text (package workflow, identity.go).
type Identity [32]byte

// IsZero says that there is none.
func (id Identity) IsZero() bool { return id == Identity{} }

// Columns are the raw figures of one extraction for a run of frames, in the order of vmaf.Extraction.Raw. Frame First + i·Step has
// Figures[c][i]; frames between are not measured.
type Columns struct {
	First, End int64 // reference frames, [First, End)
	Step       int64 // ≥ 1
	Figures    [][]float64
}

// ColumnsKey says whose figures [Columns] are.
type ColumnsKey struct {
	Identity Identity
	Figure   string // vmaf.Extraction.RawKey
}

// Damage counts what the decoder met in one file.
type Damage struct {
	Decoded       int64 `cbor:"decoded"`
	Damaged       int64 `cbor:"damaged"`
	Missing       int64 `cbor:"missing"`
	FormatChanges int64 `cbor:"format_changes"`
}

// Pooled is one figure of a series.
type Pooled struct {
	Method vmaf.PoolMethod `cbor:"method"`
	Value  float64         `cbor:"value"`
}

// Score is a series' aggregate: a model's score, a feature that a model uses, or one that was asked for.
type Score struct {
	Series string   `cbor:"series"` // stored name; vmaf.Alias gives the one that logs print
	Model  string   `cbor:"model"`  // the name of the model whose score it is; "": a feature
	Pooled []Pooled `cbor:"pooled"` // methods that cannot be had of the series are left out
}

// Model is a model as it was used.
type Model struct {
	ModelSpec
	Name    string   `cbor:"name"`    // what its score is called
	Version string   `cbor:"version"` // the built-in model's name, or the file's
	Digest  string   `cbor:"digest"`  // of all that decides scores
	Series  []string `cbor:"series"`  // stored names; the first is the score
}

// Chunk is a run of reference frames, the unit of work.
type Chunk struct {
	First int64 `cbor:"first"`
	End   int64 `cbor:"end"`
}

// Rendition is one distorted video of a measurement. What follows Failure is known once the media are inspected, Scores when all of
// its chunks are in.
type Rendition struct {
	Name    string   `cbor:"name"`
	State   State    `cbor:"state"`
	Failure *Failure `cbor:"failure"`

	Fingerprint Fingerprint `cbor:"fingerprint"`
	Video       *Video      `cbor:"video"`
	Format      Format      `cbor:"format"`
	Conversion  string      `cbor:"conversion"`           // what is done to the distorted pictures; "": nothing
	RefConvert  string      `cbor:"reference_conversion"` // and to the reference's
	Encoded     *Encoded    `cbor:"encoded,omitempty"`    // what CAMBI is told that the distorted pictures were encoded as; nil: as compared
	Pairing     string      `cbor:"pairing"`              // as applied: "index" or "timestamp"
	First       int64       `cbor:"first"`                // reference frames compared, [First, End)
	End         int64       `cbor:"end"`
	Offset      int64       `cbor:"offset"`
	Repeated    int64       `cbor:"repeated"`
	Dropped     int64       `cbor:"dropped"`
	Group       int         `cbor:"group"` // renditions of one group share reference-only figures

	Identity          Identity `cbor:"identity"`           // of figures of the pair
	ReferenceIdentity Identity `cbor:"reference_identity"` // of figures of the reference alone, in this format

	Damage Damage  `cbor:"damage"`
	Scores []Score `cbor:"scores"`
}

// FiredRule is a rule that applied.
type FiredRule struct {
	Rule      string `cbor:"rule"`
	Rendition int    `cbor:"rendition"` // index; −1: all
	Settings  string `cbor:"settings"`
}

// Plan is what was decided once the media were known.
type Plan struct {
	Models      []Model           `cbor:"models"`
	Features    []string          `cbor:"features"`    // extractions asked for beside the models'
	Extractions []string          `cbor:"extractions"` // all, in the order of vmaf.Plan
	Pools       []vmaf.PoolMethod `cbor:"pools"`
	Class       Class             `cbor:"class"`
	Pairing     string            `cbor:"pairing"`
	// Scales and Geometries are in force, by rendition: the scaling filter ("": bicubic, refusing other shapes), and the size compared
	// at (zero: the reference's).
	Scales     []string `cbor:"scales"`
	Geometries []Size   `cbor:"geometries"`
	// BitDepth is what samples are widened to for the comparison; 0: to the larger depth of the two files. DepthReason says why.
	BitDepth    int    `cbor:"bit_depth,omitempty"`
	DepthReason string `cbor:"depth_reason,omitempty"`
	Chroma      bool   `cbor:"chroma,omitempty"` // a feature looks at chroma planes
	// Encodeds are in force, by rendition: "auto", "compared" or WxH[:DEPTH]. None: all as compared.
	Encodeds    []string    `cbor:"encodeds,omitempty"`
	Chunks      []Chunk     `cbor:"chunks"`
	Rules       []FiredRule `cbor:"rules"`
	RulesDigest string      `cbor:"rules_digest"`
	Warnings    []string    `cbor:"warnings"`
	// Reinspections is how often the media were inspected again, since rules had chosen otherwise than these were inspected with.
	Reinspections int `cbor:"reinspections,omitempty"`
}

// Measurement is one request and all that came of it.
type Measurement struct {
	ID      MeasurementID `cbor:"id"`
	Owner   string        `cbor:"owner"` // the client's name; "": no authentication
	Request Request       `cbor:"request"`
	State   State         `cbor:"state"`
	Failure *Failure      `cbor:"failure"`

	Created  time.Time `cbor:"created"`
	Started  time.Time `cbor:"started"`  // the first task began; zero: not yet
	Finished time.Time `cbor:"finished"` // zero: not yet

	Reference            *Video      `cbor:"reference"`
	ReferenceFingerprint Fingerprint `cbor:"reference_fingerprint"`
	ReferenceDamage      Damage      `cbor:"reference_damage"`
	Plan                 *Plan       `cbor:"plan"` // nil before inspection
	Renditions           []Rendition `cbor:"renditions"`

	Backends       []string      `cbor:"backends"`        // what computed: "cpu (avx2)"; none where all was stored already
	Workers        []string      `cbor:"workers"`         // versions of the workers that took part
	Daemon         string        `cbor:"daemon"`          // version of the daemon that formed the scores; "": none has
	CachedFrames   int64         `cbor:"cached_frames"`   // rendition frames whose figures were stored already
	MeasuredFrames int64         `cbor:"measured_frames"` // rendition frames that workers measured
	Busy           time.Duration `cbor:"busy"`            // of workers, summed over tasks
	// ExpectDepth and ExpectChroma are what Plan.BitDepth and Plan.Chroma are likely to be, so that media are inspected with these.
	ExpectDepth  int           `cbor:"expect_depth,omitempty"`
	ExpectChroma bool          `cbor:"expect_chroma,omitempty"`
	Rescored     MeasurementID `cbor:"rescored"`           // the measurement whose features this one was made of; "": none
	Imported     *Imported     `cbor:"imported,omitempty"` // the file that it was made of; nil: it was measured
	Revision     uint64        `cbor:"revision"`           // counts writes
}

// Imported is what is kept of the file of another program that a measurement was made of.
type Imported struct {
	Form       string `cbor:"form"`       // as the API names forms: "xml", "vmafossexec-json", "record" …
	Digest     string `cbor:"digest"`     // SHA-256 of the file in hexadecimal
	File       string `cbor:"file"`       // its name, as the client gave it
	Generation string `cbor:"generation"` // who may have written it: "libvmaf 2.2.0 to 2.3.1"
	Version    string `cbor:"version"`    // what the writer called itself; "": it did not say
	// Series are the names of the columns in the file's order, as it has them. Their figures are kept as columns under the rendition's identity. Of a
	// measurement that was made of an imported one by scoring it anew, those that are not the old models'.
	Series []string `cbor:"series"`
	// Pooled are the file's own pooled figures, which were formed of more digits than it lists, in its order; Scores of the rendition have them, too.
	Pooled     []Score          `cbor:"pooled"`
	Aggregates []vmaf.Aggregate `cbor:"aggregates"`
	// Segmented says that the file has scores of chunks, as a record has. They may be many, so that they are kept as columns, and the plan has the chunks.
	Segmented bool               `cbor:"segmented"`
	Width     int                `cbor:"width"` // of the compared pictures; 0: not known
	Height    int                `cbor:"height"`
	Frames    int64              `cbor:"frames"`  // of the table: the last listed one and those before
	Step      int64              `cbor:"step"`    // of listed frames, where it is constant; 0: it is not
	Details   map[string]string  `cbor:"details"` // what else the form says and has to say again, by names of package legacy
	Numbers   map[string]float64 `cbor:"numbers"` // likewise: speed, time taken
	Losses    []string           `cbor:"losses"`  // what the file has and is not kept
}

// TaskKind says what a task is.
type TaskKind string

// The kinds of task.
const (
	TaskInspect TaskKind = "inspect" // what the media are
	TaskChunk   TaskKind = "chunk"   // the features of a run of frames
)

// TaskKey is where a task is outstanding. Keys order tasks as they are dispatched: by class, then deadline (zero time: last),
// then age, then number.
type TaskKey struct {
	Class       Class
	Deadline    time.Time
	Measurement MeasurementID
	Number      int // 0: the inspection; from 1: chunk tasks
}

// Task is a piece of work that is outstanding.
type Task struct {
	Key         TaskKey  `cbor:"-"`
	Kind        TaskKind `cbor:"kind"`
	Chunk       int      `cbor:"chunk"`       // index into Plan.Chunks
	Renditions  []int    `cbor:"renditions"`  // which of the measurement's
	Extractions []string `cbor:"extractions"` // what is missing of the chunk for these
	Attempts    int      `cbor:"attempts"`    // begun so far, those that the daemon's own end cut short left out
	Open        bool     `cbor:"open"`        // the last attempt has not ended, as far as is known
	Interrupted int      `cbor:"interrupted"` // attempts that were open when the daemon ended
	LastWords   string   `cbor:"last_words"`  // how the last attempt ended
}

// TaskDone is what is kept of a chunk task that is done, until the measurement is assembled.
type TaskDone struct {
	Measurement MeasurementID         `cbor:"-"`
	Number      int                   `cbor:"-"`
	Worker      string                `cbor:"worker"`  // version of the program, for provenance
	Backend     string                `cbor:"backend"` // what computed
	Busy        time.Duration         `cbor:"busy"`    // of the worker
	Frames      int64                 `cbor:"frames"`  // rendition frames measured
	Reference   Damage                `cbor:"reference"`
	Renditions  map[int]RenditionDone `cbor:"renditions"` // by index into the measurement's
}

// RenditionDone is how one rendition fared in a task.
type RenditionDone struct {
	Failure *Failure `cbor:"failure"`
	Damage  Damage   `cbor:"damage"`
	EndedAt int64    `cbor:"ended_at"` // the reference frame at which it ended early, as the request allows; −1: it did not
}
