package watch

import "time"

// Folder is a folder to watch, and what becomes of what falls into it: an entry of "watch" in the configuration, or the flags of vqsd watch. Zero
// values are defaults; [Folder.Check] fills them in.
type Folder struct {
	// Name tells the folder apart in the ledger, in labels ("watch") and messages; at most 64 letters, digits, "-", "_" and ".". Default: the
	// folder's base name. Under another name everything is measured anew.
	Name string `yaml:"name"`
	// Path is the folder, absolute, or relative to the working directory. It has to be a media root or lie below one.
	Path string `yaml:"folder"`
	// Interval is the time between scans. 1s – 24h; default 10s.
	Interval time.Duration `yaml:"interval"`
	// Events false does without file events. Default: true.
	Events *bool `yaml:"events"`

	Ready   Ready   `yaml:"ready"`
	Pair    Pair    `yaml:"pair"`
	Request Request `yaml:"request"`
	Reports Reports `yaml:"reports"`
	After   After   `yaml:"after"`
}

// Ready says when a file is complete. All that is set has to hold.
type Ready struct {
	// StableFor is how long size and modification time have to have stayed the same. 0s – 24h; default 10s, and 0s where a marker is set.
	StableFor *time.Duration `yaml:"stable_for"`
	// Marker is the suffix of an empty file beside a file that says it is complete, such as ".done": clip.mp4.done, or clip.done; in titles by folder
	// also a file of that very name in the title's folder, and with manifests one beside the manifest, which both say that the whole title is. Whoever
	// replaces a file removes its marker first. "": none is waited for.
	Marker string `yaml:"marker"`
	// Temporary are suffixes and prefixes* of names that files have before they are renamed to their own. Default: .part, .tmp, .temp, .filepart,
	// .crdownload, .partial, .~tmp, and names that begin with a dot, which always counts.
	Temporary []string `yaml:"temporary"`
}

// PairBy is how references and renditions find each other.
type PairBy string

// The ways.
const (
	ByPattern  PairBy = "pattern"  // names have something in common
	ByManifest PairBy = "manifest" // a file beside them says
	ByFolder   PairBy = "folder"   // each subfolder is a title
)

// Pair says how references and renditions find each other.
type Pair struct {
	By PairBy `yaml:"by"` // default: pattern, if Reference or Rendition is set, else manifest
	// Reference and Rendition are patterns of paths below the folder, with forward slashes, that match whole paths, in upper and lower case: * and ?
	// match within a path segment, ** as a whole segment matches any number of them, {NAME} matches one or more characters within a segment and
	// captures them, {NAME:REGEXP} captures what the expression (RE2) matches, and \ before a character takes its meaning. A NAME is made of a-z, 0-9,
	// "_" and "-", begins with a letter and comes once in a pattern; captures become labels. A rendition belongs to the reference whose captures of
	// equal names are equal; where two references are that, neither is used before one is gone. A file that matches Reference is never a rendition. In
	// titles by folder they match within the title's folder, and default to "reference.*" and "*".
	Reference string `yaml:"reference"`
	Rendition string `yaml:"rendition"`
	// Manifest is the pattern of manifests' paths, or, without a slash, of their names at any depth; default "*.vqsd.yaml", "*.vqsd.yml" and
	// "*.vqsd.json". What a manifest says is described at type manifest.
	Manifest string `yaml:"manifest"`
}

// Request is what to measure. It means what the fields of a request to the API mean; what is not said, rules decide. Labels "watch" (the folder's name) and
// the captures of patterns as labels of their names are added, so that rules may look at them.
type Request struct {
	Models    []string          `yaml:"models"`
	Features  []string          `yaml:"features"`
	Presets   []string          `yaml:"presets"`
	Class     string            `yaml:"class"` // latency, throughput or background; default background
	Labels    map[string]string `yaml:"labels"`
	Pairing   string            `yaml:"pairing"`
	Shortest  bool              `yaml:"shortest"`
	Subsample int               `yaml:"subsample"`
	Scale     string            `yaml:"scale"`
	BitDepth  string            `yaml:"bit_depth"`
	OnDamage  string            `yaml:"on_damage"`
	RawVideo  string            `yaml:"raw_video"` // of headerless files: WxH:PIXFMT[:FPS]
}

// Reports say what is written of a measurement.
type Reports struct {
	// Formats are names of package export's formats: xml, json, csv, sub, record, html …; default xml, record and html. An empty list that is
	// there writes none.
	Formats []string `yaml:"formats"`
	// To is the folder of reports, absolute or relative to the working directory, with the watched folder's structure below; "": beside the
	// rendition.
	To string `yaml:"to"`
	// Name of a report without its extension: {name} is the rendition's file name without extension, {file} with it, {title} the title's
	// name, {measurement} the measurement's ID. Default "{file}.vmaf". Where another file has that name, it gets a number: only reports of the same
	// rendition are written over.
	Name string `yaml:"name"`
}

// Disposal is what happens to files.
type Disposal string

// What happens to files. [Keep] is the default.
const (
	Keep   Disposal = "keep"
	Move   Disposal = "move"   // into MoveTo, with the folder's structure below
	Delete Disposal = "delete" // renditions only; references are kept, also where they are renditions of another title
)

// After says what happens to files when their measurement has ended and its reports are written: to a rendition and its marker, and, where a manifest or a
// folder says which renditions there are, to reference and manifest when the last of these has ended. A rendition that is the reference of another title, or
// of a manifest of which there is no title yet, is dealt with as references are: it is never deleted, and moved with the last title that has a use for it,
// while what was written beside it stays. Files that a manifest names which is wrong, not complete or lacks its reference are not moved as references, and none
// is while one cannot be understood.
type After struct {
	Success Disposal `yaml:"success"`
	Failure Disposal `yaml:"failure"` // keep or move
	MoveTo  string   `yaml:"move_to"` // absolute, or relative to the watched folder; on the same file system. Nothing in it is watched.
	// Attempts is how often a rendition is submitted that fails for a reason that may go away (a worker died, a limit was reached). 1 – 100; default 3.
	// What fails for a reason of its own is not tried again before it is replaced.
	Attempts int `yaml:"attempts"`
}
