package watch

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// pairing puts titles together from what a scan saw. The outcome depends on which files there are and which of them are complete, and on nothing else: not on the
// order in which they came, and not on what was there before.
type pairing struct {
	*scanner
	out    *found
	common []string // captures of both patterns, sorted
}

// pair makes titles of the scanner's entries.
func (s *scanner) pair() *found {
	p := &pairing{scanner: s, out: &found{files: make(map[string]File, len(s.entries)), claims: newClaims()}}
	for _, e := range s.entries {
		if e.role.counts() {
			p.out.files[e.path] = s.file(e)
		}
	}
	if s.folder.Pair.By == ByManifest {
		p.byManifest()
	} else {
		p.byNames()
	}
	slices.SortFunc(p.out.titles, func(a, b Title) int { return strings.Compare(a.Key, b.Key) })
	slices.SortStableFunc(p.out.problems, func(a, b Problem) int { return strings.Compare(a.File.Path, b.File.Path) })
	slices.Sort(p.out.unpaired)
	return p.out
}

// problem is what is wrong with a file.
func (p *pairing) problem(e *entry, err error) {
	p.out.problems = append(p.out.problems, Problem{p.out.files[e.path], err})
}

// complete says whether a file is: it has been left alone for long enough, and a marker, where they are used, is beside it or covers it.
func (p *pairing) complete(e *entry, covered bool) bool {
	return e.steady && !e.hidden && (p.folder.Ready.Marker == "" || covered || p.out.files[e.path].Marker != "")
}

// group is the files of one title.
type group struct {
	marker                 string // that covers all of them
	references, renditions []*entry
	unusable               []string // paths of renditions that are wrong or cannot be read
}

// byNames pairs by pattern and by folder.
func (p *pairing) byNames() {
	for _, name := range p.classifier.reference.names {
		if p.classifier.rendition.index(name) >= 0 {
			p.common = append(p.common, name)
		}
	}
	slices.Sort(p.common)
	groups := map[string]*group{}
	for _, e := range p.entries {
		if e.role != roleReference && e.role != roleRendition {
			continue
		}
		key := p.key(e)
		g := groups[key]
		if g == nil {
			g = &group{}
			groups[key] = g
		}
		if e.role == roleReference {
			p.out.claims.references[e.path] = true
		}
		usable := !e.hidden
		if usable {
			if err := p.usable(e); err != nil {
				p.problem(e, err)
				usable = false
			}
		}
		switch {
		case usable && e.role == roleReference:
			g.references = append(g.references, e)
		case usable:
			g.renditions = append(g.renditions, e)
		case e.role == roleRendition:
			g.unusable = append(g.unusable, e.path)
		}
	}
	for key, g := range groups {
		if len(g.references)+len(g.renditions) > 0 {
			p.title(key, g)
		}
	}
}

// usable says what is wrong with a file that a pattern matches.
func (p *pairing) usable(e *entry) error {
	if err := checkPath(e.path); err != nil {
		return err
	}
	for i, name := range p.patternOf(e).names {
		if n := len(e.captures[i]); n > maxLabelBytes {
			return fmt.Errorf("{%s} captures %d bytes of its name, and labels hold %d; rename it, or make the pattern capture less", name, n, maxLabelBytes)
		}
	}
	return nil
}

func (p *pairing) patternOf(e *entry) *pattern {
	if e.role == roleReference {
		return p.classifier.reference
	}
	return p.classifier.rendition
}

// key is that of the file's title.
func (p *pairing) key(e *entry) string {
	var b strings.Builder
	b.WriteString(e.title)
	exp := p.patternOf(e)
	for _, name := range p.common {
		if b.Len() > 0 {
			b.WriteString(" ")
		}
		b.WriteString(name)
		b.WriteString("=")
		b.WriteString(strconv.Quote(e.captures[exp.index(name)]))
	}
	if b.Len() == 0 {
		return "*" // the folder is one title
	}
	return b.String()
}

// title makes a title of a group, if it has what it takes.
func (p *pairing) title(key string, g *group) {
	byPath := func(a, b *entry) int { return strings.Compare(a.path, b.path) }
	slices.SortFunc(g.references, byPath)
	slices.SortFunc(g.renditions, byPath)
	any := slices.Concat(g.references, g.renditions)[0]
	if marker := any.title + "/" + p.folder.Ready.Marker; any.title != "" && p.has(marker, roleMarker) {
		g.marker = marker
	}
	complete := func(e *entry) bool { return p.complete(e, g.marker != "") }
	ready := slices.DeleteFunc(slices.Clone(g.renditions), func(e *entry) bool { return !complete(e) })
	var awaited []string
	for _, e := range g.renditions {
		if !complete(e) {
			awaited = append(awaited, e.path)
		}
	}
	p.out.waiting += len(awaited)
	awaited = append(awaited, g.unusable...)
	slices.Sort(awaited)
	incomplete := 0
	for _, e := range g.references {
		if !complete(e) {
			incomplete++
		}
	}
	p.out.waiting += incomplete
	if len(g.references) != 1 || incomplete > 0 {
		if incomplete == 0 {
			p.ambiguous(g.references)
		}
		for _, e := range ready {
			p.out.unpaired = append(p.out.unpaired, e.path)
		}
		return
	}
	reference := g.references[0]
	t := Title{
		Key: key, Name: reference.title, Reference: p.out.files[reference.path], Request: p.folder.Request,
		Closed: g.marker != "", Marker: g.marker, Awaited: awaited,
	}
	if t.Name == "" {
		t.Name = nameOf(reference)
	}
	if len(ready) == 0 && !t.Closed {
		p.out.claims.named[reference.path] = len(awaited) > 0
		return
	}
	own := captureLabels(p.classifier.reference, reference, nil)
	t.Request.Labels = withLabels(p.labels, own)
	for i, name := range renditionNames(ready) {
		t.Renditions = append(t.Renditions, Rendition{p.out.files[ready[i].path], name, captureLabels(p.classifier.rendition, ready[i], own)})
	}
	p.out.titles = append(p.out.titles, t)
}

// ambiguous reports references of which nobody can say which one is meant.
func (p *pairing) ambiguous(references []*entry) {
	for i, e := range references {
		other := references[0]
		if i == 0 && len(references) > 1 {
			other = references[1]
		}
		p.problem(e, fmt.Errorf("%s is a reference of the same title, too, so that it is not clear which one renditions are to be compared with; "+
			"keep one of them, or change pair.reference so that it matches one only", other.path))
	}
}

// nameOf is the first capture that is something, else the file's name without extension.
func nameOf(e *entry) string {
	return cmp.Or(append(slices.Clone(e.captures), stemOf(e.path))...)
}

// stemOf is a file's name without extension, but never nothing.
func stemOf(file string) string {
	name := path.Base(file)
	return cmp.Or(strings.TrimSuffix(name, path.Ext(name)), name)
}

// captureLabels are a file's captures that are something, but for those that are in but.
func captureLabels(exp *pattern, e *entry, but map[string]string) map[string]string {
	var labels map[string]string
	for i, name := range exp.names {
		if e.captures[i] == "" || but[name] == e.captures[i] {
			continue
		}
		if labels == nil {
			labels = make(map[string]string, len(exp.names))
		}
		labels[name] = e.captures[i]
	}
	return labels
}

// renditionNames names renditions, which are sorted by path, after their files: without extension where that tells them apart, else with it, and with a number
// where it takes that.
func renditionNames(list []*entry) []string {
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = stemOf(e.path)
	}
	distinct(names, func(i int) string { return path.Base(list[i].path) })
	return names
}

// distinct makes every name of a list another one: of those that are the same, each becomes what other says, and is numbered where that is not enough.
func distinct(names []string, other func(i int) string) {
	if len(names) < 2 {
		return
	}
	uses := make(map[string]int, len(names))
	for _, name := range names {
		uses[name]++
	}
	taken := make(map[string]bool, len(names))
	for i, name := range names {
		if uses[name] == 1 {
			taken[name] = true
		} else {
			names[i] = ""
		}
	}
	for i := range names {
		if names[i] != "" {
			continue
		}
		first := other(i)
		name := first
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s-%d", first, n)
		}
		names[i], taken[name] = name, true
	}
}

// byManifest pairs as manifests say.
func (p *pairing) byManifest() {
	var manifests []*entry
	for _, e := range p.entries {
		switch {
		case e.role != roleManifest:
		case e.hidden:
			p.claim(e)
		default:
			manifests = append(manifests, e)
		}
	}
	slices.SortFunc(manifests, func(a, b *entry) int { return strings.Compare(a.path, b.path) })
	var good []*entry
	named := map[string][]*entry{} // renditions, by path: the manifests that name them
	for _, e := range manifests {
		if err := checkPath(e.path); err != nil {
			p.problem(e, err)
			p.peek(e)
			p.claim(e)
			continue
		}
		if !p.complete(e, false) {
			p.out.waiting++
			p.peek(e)
			p.claim(e)
			continue
		}
		p.readManifest(e)
		switch {
		case !e.steady:
			p.out.waiting++
			p.await(e)
			p.claim(e)
		case e.wrong != nil:
			p.problem(e, e.wrong)
			p.claim(e)
		default:
			good = append(good, e)
			for _, r := range e.manifest.renditions {
				named[r.path] = append(named[r.path], e)
			}
		}
	}
	for _, e := range good {
		if err := p.conflicts(e, named); err != nil {
			p.problem(e, err)
			p.claim(e)
			continue
		}
		p.manifestTitle(e)
	}
}

// conflicts says what is wrong with a manifest because of other files.
func (p *pairing) conflicts(e *entry, named map[string][]*entry) error {
	var errs []error
	there := func(file string) {
		if p.skipped[file] != nil {
			errs = append(errs, fmt.Errorf("%s is neither file nor folder, but a link, pipe or device, and such are not read; put the file itself there", file))
		} else if p.folders[file] != nil {
			errs = append(errs, fmt.Errorf("%s is a folder; name a file", file))
		}
		for above := path.Dir(file); above != "."; above = path.Dir(above) {
			if p.skipped[above] != nil {
				errs = append(errs, fmt.Errorf("%s: %s is a link, or no folder, and links are not followed; name the file where it is", file, above))
			}
		}
	}
	there(e.manifest.reference)
	for _, r := range e.manifest.renditions {
		there(r.path)
		for _, other := range named[r.path] {
			if other != e {
				errs = append(errs, fmt.Errorf("%s names the rendition %s, too; a rendition belongs to one title: take it out of one of them", other.path, r.path))
			}
		}
	}
	return joinSome(errs)
}

// manifestTitle makes a title of a manifest that is right.
func (p *pairing) manifestTitle(e *entry) {
	m := e.manifest
	file := p.out.files[e.path]
	complete := func(path string) *entry {
		other := p.entries[path]
		if other == nil || other.hidden {
			return nil
		}
		if !p.complete(other, file.Marker != "") {
			p.out.waiting++
			return nil
		}
		return other
	}
	reference := complete(m.reference)
	t := Title{Key: e.path, Name: m.title, Request: m.request, Closed: true, Manifest: file}
	for _, r := range m.renditions {
		if complete(r.path) == nil {
			t.Awaited = append(t.Awaited, r.path)
		} else {
			t.Renditions = append(t.Renditions, Rendition{p.out.files[r.path], r.name, r.labels})
		}
	}
	if reference == nil {
		for _, r := range t.Renditions {
			p.out.unpaired = append(p.out.unpaired, r.File.Path)
		}
		p.claim(e)
		return
	}
	p.out.claims.references[reference.path] = true
	t.Reference = p.out.files[reference.path]
	t.Request.Labels = withLabels(m.request.Labels, map[string]string{watchLabel: p.folder.Name})
	p.out.titles = append(p.out.titles, t)
}

// maxJoined is how many problems of one file are told; the rest are likely to be of the same kind.
const maxJoined = 20

func joinSome(errs []error) error {
	if n := len(errs); n > maxJoined {
		errs = append(errs[:maxJoined:maxJoined], fmt.Errorf("and %d more", n-maxJoined))
	}
	return errors.Join(errs...)
}
