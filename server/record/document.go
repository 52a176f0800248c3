package record

import (
	"time"

	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// SchemaName is the value of a record's member schema.
const SchemaName = "vqsd.encode-record/1"

// Document is the record of one encode: of one rendition and the reference that it was compared with.
//
// Series have the names that logs print for them. Frames are numbered from 0 in the reference's display order, and ranges are half-open.
type Document struct {
	Program     Program // that wrote the record
	Measurement Measurement
	Reference   Video
	Distorted   Video
	Comparison  Comparison
	Provenance  Provenance
	// Series say more of series than their names. They need not name all; the ones that they do name come first, in this order.
	Series     []Series
	Scores     []Score          // over all frames
	Aggregates []vmaf.Aggregate // of the whole sequence, that no pooling of frames gives
	Chunks     []Chunk          // ascending, without overlap
	Frames     *Frames          // nil: left out

	// Unknown are JSON pointers to members that Read did not know, at most 100 of them. Write ignores it.
	Unknown []string
}

// Program is a program.
type Program struct {
	Name    string
	Version string
}

// Measurement says which measurement it was.
type Measurement struct {
	Name     string            // as the API has it; "": none
	Created  time.Time         // zero: unknown
	Finished time.Time         // zero: unknown
	Labels   map[string]string // nil: none
}

// Video is one of the two videos.
type Video struct {
	Name        string // of the rendition; of a reference ""
	URI         string // as whoever asked for the measurement had it; "": unknown
	Raw         string // how the pictures of a headerless file look, see [store.Source]
	Fingerprint store.Fingerprint
	Info        *store.Video // nil: unknown
	Damage      store.Damage
}

// Comparison says what was compared with what. Zero values are unknown or none.
type Comparison struct {
	Pairing       string // "index" or "timestamp"
	Offset        int64  // frames
	First, End    int64  // reference frames
	Subsample     int    // every how many frames were measured; 0 and 1 are all
	Shortest      bool   // the rest of the longer video was ignored
	Repeated      int64  // distorted frames compared again, each time counted
	Dropped       int64  // distorted frames passed over
	OnDamage      string // "strict" or "conceal"
	Scale         string // filter
	Geometry      *store.Size
	Crop          *store.Rect
	Format        store.Format // that pictures were compared in
	DepthReason   string       // why its bit depth was chosen
	Conversion    string       // of the distorted pictures
	RefConversion string       // of the reference's
	Encoded       *store.Encoded
	ExtraFeatures []string // that were asked for beside the models'
}

// Provenance says what made the figures.
type Provenance struct {
	Daemon       string   // version of the program that formed the scores
	Workers      []string // versions of those that measured
	Backends     []string
	FPS          float64 // speed of the measurement, as logs state it; 0: unknown
	Models       []store.Model
	Rules        []Rule
	RulesDigest  string
	Warnings     []string
	RescoredFrom string    // measurement
	Imported     *Imported // nil: vqsd measured
}

// Rule is a rule that fired for this comparison.
type Rule struct {
	Name     string
	Settings string
}

// Imported is the file of another program that the figures come from.
type Imported struct {
	Form       string
	Digest     string
	File       string
	Generation string
	Version    string
	Run        *legacy.Run // what a log says of its run beside its figures; nil: nothing
	Losses     []string
}

// Series says more of a series than its name.
type Series struct {
	Name   string
	Stored string // its name in the store; "": the same
	Model  string // the name of the model whose score it is; "": it is a feature
}

// Score is the pooled figures of one series, in order.
type Score struct {
	Series string
	Pooled []store.Pooled
}

// Chunk is a run of reference frames with its scores.
type Chunk struct {
	First, End  int64
	FirstSecond *float64 // presentation time of the first frame since the reference's first; nil: unknown
	Scores      []Score
}

// Frames are figures by frame. Values are of listed frames only: those of Numbers, or where that is nil, First, First + Step, … below End.
type Frames struct {
	First, End int64
	Step       int64 // 0 is 1
	Numbers    []int64
	Seconds    []float64 // presentation times of all frames [First, End) since the reference's first; nil: unknown
	Columns    []Column
}

// Column is one series' values, one for each listed frame.
type Column struct {
	Name    string
	Values  []float64 // NaN where there is none
	Present []bool    // nil: all frames have a value
}

// Listed is how many frames are listed.
func (f *Frames) Listed() int {
	if f.Numbers != nil {
		return len(f.Numbers)
	}
	step := max(f.Step, 1)
	return int((f.End - f.First + step - 1) / step)
}

// number is the reference frame that is listed at an index.
func (f *Frames) number(i int) int64 {
	if f.Numbers != nil {
		return f.Numbers[i]
	}
	return f.First + int64(i)*max(f.Step, 1)
}
