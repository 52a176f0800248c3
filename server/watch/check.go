package watch

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vqsd/vqsd/server/export"
)

// watchLabel is the key of the label that has the folder's name.
const watchLabel = "watch"

// What bounds the configuration of a folder. Limits of labels are those of requests to the API.
const (
	maxLabels         = 64
	maxLabelBytes     = 255
	maxListLength     = 64 // of models, features, presets and temporary names
	maxTemporaryBytes = 64
	maxInterval       = 24 * time.Hour
	maxAttempts       = 100
)

// Defaults of a folder.
const (
	defaultInterval  = 10 * time.Second
	defaultStableFor = 10 * time.Second
	defaultAttempts  = 3
	defaultName      = "{file}.vmaf"
	defaultReference = "reference.*" // in titles by folder
	defaultRendition = "*"
)

var (
	defaultTemporary = []string{".part", ".tmp", ".temp", ".filepart", ".crdownload", ".partial", ".~tmp"}
	defaultManifests = []string{"*.vqsd.yaml", "*.vqsd.yml", "*.vqsd.json"}
	defaultFormats   = []string{string(export.XML), string(export.Record), string(export.HTML)}

	folderName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	labelKey   = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	noName     = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)
	holder     = regexp.MustCompile(`\{[^{}]*\}?|\}`)
)

// problems collects what is wrong with a folder, each with the key that it is about.
type problems struct{ errs []error }

func (p *problems) add(key, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...)))
}

// Check fills in defaults, makes paths absolute and reports every problem, each with the key that it is about. It may be called again. It looks at no
// file.
func (f *Folder) Check() error {
	var p problems
	f.checkPlace(&p)
	if f.Interval == 0 {
		f.Interval = defaultInterval
	}
	if f.Interval < time.Second || f.Interval > maxInterval {
		p.add("interval", "%v is out of range; want 1s to 24h", f.Interval)
	}
	if f.Events == nil {
		f.Events = new(bool)
		*f.Events = true
	}
	f.Ready.check(&p)
	f.Pair.check(&p)
	for _, problem := range f.Request.problems() {
		p.add("request."+problem.key, "%w", problem.err)
	}
	f.checkCaptures(&p)
	f.Reports.check(&p, f.Path)
	f.After.check(&p, f.Path)
	if f.Pair.By == ByManifest && len(p.errs) == 0 {
		f.checkReportNames(&p)
	}
	return errors.Join(p.errs...)
}

// checkPlace looks at name and path.
func (f *Folder) checkPlace(p *problems) {
	switch abs, err := filepath.Abs(f.Path); {
	case f.Path == "":
		p.add("folder", "name the folder to watch")
	case !utf8.ValidString(f.Path) || strings.ContainsRune(f.Path, 0):
		p.add("folder", "%q is not UTF-8, or has a NUL", f.Path)
	case err != nil:
		p.add("folder", "%q: %w", f.Path, err)
	case abs == "/":
		p.add("folder", "the whole file system cannot be watched; name a folder in it")
	default:
		f.Path = abs
		if f.Name == "" {
			f.Name = strings.Trim(noName.ReplaceAllString(filepath.Base(abs), "-"), "-")
			f.Name = f.Name[:min(len(f.Name), 64)]
		}
	}
	if !folderName.MatchString(f.Name) && (f.Path != "" || f.Name != "") {
		p.add("name", `%q: want 1 to 64 letters, digits, "-", "_" and "."`, f.Name)
	}
}

func (r *Ready) check(p *problems) {
	if r.StableFor == nil {
		r.StableFor = new(time.Duration)
		if r.Marker == "" {
			*r.StableFor = defaultStableFor
		}
	}
	if d := *r.StableFor; d < 0 || d > maxInterval {
		p.add("ready.stable_for", "%v is out of range; want 0s to 24h", d)
	}
	if r.Marker != "" {
		if err := checkAffix(r.Marker); err != nil {
			p.add("ready.marker", "%q: %w", r.Marker, err)
		}
	}
	if r.Temporary == nil {
		r.Temporary = slices.Clone(defaultTemporary)
	}
	if n := len(r.Temporary); n > maxListLength {
		p.add("ready.temporary", "%d names; %d are allowed", n, maxListLength)
	}
	for _, text := range r.Temporary {
		affix, _ := strings.CutSuffix(text, "*")
		err := checkAffix(affix)
		switch {
		case err != nil:
			p.add("ready.temporary", "%q: %w; want a suffix such as .part, or a prefix and * such as tmp-*", text, err)
		case r.Marker != "" && temporaryName(strings.ToLower("x"+r.Marker), []string{strings.ToLower(text)}):
			p.add("ready.temporary", "%q makes the markers %q temporary files; change one of them", text, r.Marker)
		}
	}
}

// checkAffix looks at what names begin or end with.
func checkAffix(text string) error {
	switch {
	case text == "":
		return errors.New("it is empty")
	case len(text) > maxTemporaryBytes:
		return fmt.Errorf("it has %d bytes; %d are allowed", len(text), maxTemporaryBytes)
	case strings.ContainsAny(text, "/*\x00\n") || !utf8.ValidString(text):
		return errors.New("it is no part of a file's name")
	}
	return nil
}

func (pair *Pair) check(p *problems) {
	if pair.By == "" {
		pair.By = ByManifest
		if pair.Reference != "" || pair.Rendition != "" {
			pair.By = ByPattern
		}
	}
	if pair.By == ByFolder && pair.Reference == "" {
		pair.Reference = defaultReference
	}
	if pair.By == ByFolder && pair.Rendition == "" {
		pair.Rendition = defaultRendition
	}
	switch pair.By {
	case ByPattern, ByFolder:
		if pair.Manifest != "" {
			p.add("pair.manifest", "goes with by: manifest, and by is %s", pair.By)
		}
		for _, side := range []struct{ key, text string }{{"pair.reference", pair.Reference}, {"pair.rendition", pair.Rendition}} {
			if side.text == "" {
				p.add(side.key, `is missing; want a pattern such as {title}_source.mov, or by: manifest`)
			} else if _, err := parsePattern(side.text); err != nil {
				p.add(side.key, "%w", err)
			}
		}
	case ByManifest:
		if pair.Reference != "" || pair.Rendition != "" {
			p.add("pair.reference", "and pair.rendition go with by: pattern and by: folder; with by: manifest, the manifest says it")
		}
		if _, err := pair.manifests(); err != nil {
			p.add("pair.manifest", "%w", err)
		}
	default:
		p.add("pair.by", "unknown way %q; want %s, %s or %s", pair.By, ByPattern, ByManifest, ByFolder)
	}
}

// manifests are the patterns of manifests. One without a slash is one of names at any depth.
func (pair *Pair) manifests() ([]*pattern, error) {
	texts := defaultManifests
	if pair.Manifest != "" {
		texts = []string{pair.Manifest}
	}
	var list []*pattern
	for _, text := range texts {
		if !strings.Contains(text, "/") {
			text = "**/" + text
		}
		exp, err := parsePattern(text)
		if err != nil {
			return nil, err
		}
		if len(exp.names) > 0 {
			return nil, fmt.Errorf("%q: names of manifests have no captures; write * for {%s}", pair.Manifest, exp.names[0])
		}
		list = append(list, exp)
	}
	return list, nil
}

// checkCaptures sees that captures and labels are not called the same, and are not too many.
func (f *Folder) checkCaptures(p *problems) {
	keys := map[string]bool{watchLabel: true}
	for key := range f.Request.Labels {
		keys[key] = true
	}
	if f.Pair.By == ByPattern || f.Pair.By == ByFolder {
		reported := map[string]bool{}
		for _, text := range []string{f.Pair.Reference, f.Pair.Rendition} {
			exp, err := parsePattern(text)
			if err != nil {
				continue // has been reported
			}
			for _, name := range exp.names {
				if _, taken := f.Request.Labels[name]; taken && !reported[name] {
					p.add("request.labels", "%q is what a pattern captures, too, and captures become labels; give one of them another name", name)
					reported[name] = true
				}
				keys[name] = true
			}
		}
	}
	if n := len(keys); n > maxLabels {
		p.add("request.labels", "with the folder's name and captures there are %d labels; %d are allowed", n, maxLabels)
	}
}

func (r *Reports) check(p *problems, folder string) {
	if r.Formats == nil {
		r.Formats = slices.Clone(defaultFormats)
	}
	seen := map[export.Format]bool{}
	for i, name := range r.Formats {
		format, err := export.ParseFormat(name)
		switch {
		case err != nil:
			p.add("reports.formats", "%w", err)
			continue
		case format.Table():
			p.add("reports.formats", "%s is for many measurements in one file; write it with vqsd export", format)
		case seen[format]:
			p.add("reports.formats", "%s is there twice", format)
		}
		seen[format] = true
		r.Formats[i] = string(format)
	}
	if r.To != "" {
		to, err := filepath.Abs(r.To)
		if err != nil || !utf8.ValidString(to) || strings.ContainsRune(to, 0) {
			p.add("reports.to", "%q is no folder's path", r.To)
		}
		if r.To = to; to == folder {
			r.To = "" // the structure of the folder below itself is the same as beside the renditions
		}
	}
	if r.Name == "" {
		r.Name = defaultName
	}
	if strings.ContainsAny(r.Name, "/\x00\n") || !utf8.ValidString(r.Name) || len(r.Name) > 200 {
		p.add("reports.name", "%.80q is no file name of up to 200 bytes", r.Name)
	}
	for _, text := range holder.FindAllString(r.Name, -1) {
		if !slices.Contains(reportHolders, text) {
			p.add("reports.name", "%s means nothing there; want %s", text, strings.Join(reportHolders, ", "))
		}
	}
	if !strings.Contains(r.Name, "{file}") && !strings.Contains(r.Name, "{name}") {
		p.add("reports.name", "%q is the same for all renditions of a title; put {file} or {name} in it", r.Name)
	}
}

// reportHolders are what may stand in names of reports.
var reportHolders = []string{"{name}", "{file}", "{title}", "{measurement}"}

func (a *After) check(p *problems, folder string) {
	if a.Success == "" {
		a.Success = Keep
	}
	if a.Failure == "" {
		a.Failure = Keep
	}
	if !slices.Contains([]Disposal{Keep, Move, Delete}, a.Success) {
		p.add("after.success", "unknown %q; want %s, %s or %s", a.Success, Keep, Move, Delete)
	}
	switch a.Failure {
	case Keep, Move:
	case Delete:
		p.add("after.failure", "what could not be measured is not deleted; want %s or %s", Keep, Move)
	default:
		p.add("after.failure", "unknown %q; want %s or %s", a.Failure, Keep, Move)
	}
	moves := a.Success == Move || a.Failure == Move
	switch {
	case moves && a.MoveTo == "":
		p.add("after.move_to", "is missing; files are to be moved, so name the folder to move them to")
	case !moves && a.MoveTo != "":
		p.add("after.move_to", "is set, and nothing is moved; set after.success or after.failure to %s, or leave it out", Move)
	case !utf8.ValidString(a.MoveTo) || strings.ContainsRune(a.MoveTo, 0):
		p.add("after.move_to", "%q is no folder's path", a.MoveTo)
	case moves && folder != "":
		if !filepath.IsAbs(a.MoveTo) {
			a.MoveTo = filepath.Join(folder, a.MoveTo)
		}
		a.MoveTo = filepath.Clean(a.MoveTo)
		if _, outside := within(a.MoveTo, folder); !outside {
			p.add("after.move_to", "%s is or holds the watched folder, and nothing in it is watched; name another folder", a.MoveTo)
		}
	}
	if a.Attempts == 0 {
		a.Attempts = defaultAttempts
	}
	if a.Attempts < 1 || a.Attempts > maxAttempts {
		p.add("after.attempts", "%d is out of range; want 1 to %d", a.Attempts, maxAttempts)
	}
}

// within gives the path of file below folder, "." for the folder itself. Both are absolute and clean. outside says that it is not there.
func within(folder, file string) (below string, outside bool) {
	if folder == file {
		return ".", false
	}
	below, inside := strings.CutPrefix(file, strings.TrimSuffix(folder, "/")+"/")
	return below, !inside
}

// checkReportNames sees that no report would be read as a manifest.
func (f *Folder) checkReportNames(p *problems) {
	c, err := newClassifier(*f)
	if err != nil {
		p.add("pair.manifest", "%w", err)
		return
	}
	for _, name := range f.Reports.Formats {
		file := holder.ReplaceAllString(f.Reports.Name, "x") + export.Format(name).Extension()
		if c.isManifest(file) {
			p.add("reports.name", "a report called %s would be read as a manifest; choose another name", file)
		}
	}
}

// withLabels are labels with those of more beside them, which win.
func withLabels(labels, more map[string]string) map[string]string {
	if len(more) == 0 {
		return labels
	}
	all := make(map[string]string, len(labels)+len(more))
	maps.Copy(all, labels)
	maps.Copy(all, more)
	return all
}
