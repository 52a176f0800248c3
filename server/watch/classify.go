package watch

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vqsd/vqsd/server/export"
)

// role is what a file is for, as far as its path says.
type role uint8

const (
	roleOther     role = iota // nothing, but what a manifest may name
	roleOwn                   // a report or a failure mark
	roleTemporary             // will get another name
	roleMarker                // says that other files are complete
	roleManifest
	roleReference
	roleRendition
)

// counts says whether a file of the role can be part of a title, so that it matters what its size is and when it was written to.
func (r role) counts() bool { return r == roleOther || r >= roleManifest }

// purpose is what the path of a file says of it.
type purpose struct {
	role     role
	title    string   // the title's folder, in titles by folder
	captures []string // of the pattern that matched, in the order of its names
}

// classifier tells what files are for by their paths. It is immutable.
type classifier struct {
	by                   PairBy
	marker               string
	temporary            []string // lower case
	manifests            []*pattern
	reference, rendition *pattern
	reports              []*regexp.Regexp // base names of reports without the format's extension
	extensions           []string         // of reports
}

// newClassifier is for a folder with its defaults filled in.
func newClassifier(f Folder) (*classifier, error) {
	c := &classifier{by: f.Pair.By, marker: f.Ready.Marker}
	for _, text := range f.Ready.Temporary {
		c.temporary = append(c.temporary, strings.ToLower(text))
	}
	var err error
	if c.by == ByManifest {
		if c.manifests, err = f.Pair.manifests(); err != nil {
			return nil, err
		}
	} else {
		var errRendition error
		c.reference, err = parsePattern(f.Pair.Reference)
		c.rendition, errRendition = parsePattern(f.Pair.Rendition)
		if err := errors.Join(err, errRendition); err != nil {
			return nil, err
		}
	}
	// Reports of all formats, and under the name that is the default: those that were written under another configuration are no videos either. They have
	// a number where another file had their name.
	for _, name := range []string{f.Reports.Name, defaultName} {
		literal := holder.Split(name, -1)
		for i := range literal {
			literal[i] = regexp.QuoteMeta(literal[i])
		}
		c.reports = append(c.reports, regexp.MustCompile(`(?s)\A`+strings.Join(literal, `.+`)+`(?:-[0-9]+)?\z`))
	}
	for _, format := range export.Formats() {
		c.extensions = append(c.extensions, format.Extension())
	}
	return c, nil
}

// classify tells what the file at a path below the folder is for.
func (c *classifier) classify(file string) purpose {
	name := path.Base(file)
	switch {
	case c.isMarker(name): // before temporary names, since markers may begin with a dot
		return purpose{role: roleMarker}
	case strings.HasSuffix(name, markSuffix):
		return purpose{role: roleOwn}
	case c.isTemporary(name):
		return purpose{role: roleTemporary}
	case c.isManifest(file):
		return purpose{role: roleManifest}
	case c.isReport(name):
		return purpose{role: roleOwn}
	}
	var title string
	below := file
	switch c.by {
	case ByManifest:
		return purpose{}
	case ByFolder:
		var ok bool
		if title, below, ok = strings.Cut(file, "/"); !ok {
			return purpose{}
		}
	}
	if captures, ok := c.reference.match(below); ok {
		return purpose{roleReference, title, captures}
	}
	if captures, ok := c.rendition.match(below); ok {
		return purpose{roleRendition, title, captures}
	}
	return purpose{}
}

func (c *classifier) isMarker(name string) bool {
	return c.marker != "" && strings.HasSuffix(name, c.marker)
}

// isTemporary is of files and folders.
func (c *classifier) isTemporary(name string) bool {
	return name[0] == '.' || temporaryName(strings.ToLower(name), c.temporary)
}

// temporaryName says whether a name has one of the suffixes or prefixes*, all in lower case, and more than that.
func temporaryName(name string, list []string) bool {
	for _, text := range list {
		prefix, isPrefix := strings.CutSuffix(text, "*")
		if len(name) > len(prefix) && (isPrefix && strings.HasPrefix(name, prefix) || !isPrefix && strings.HasSuffix(name, text)) {
			return true
		}
	}
	return false
}

func (c *classifier) isManifest(file string) bool {
	for _, p := range c.manifests {
		if p.matches(file) {
			return true
		}
	}
	return false
}

func (c *classifier) isReport(name string) bool {
	for _, extension := range c.extensions {
		stem, ok := strings.CutSuffix(name, extension)
		if !ok {
			continue
		}
		if wasCut(stem, extension) {
			return true
		}
		for _, report := range c.reports {
			if report.MatchString(stem) {
				return true
			}
		}
	}
	return false
}

// checkPath says what is wrong with a path that a video's name is made of.
func checkPath(file string) error {
	if !utf8.ValidString(file) {
		return errors.New("its name is not UTF-8; rename it")
	}
	for _, r := range file {
		if unicode.IsControl(r) {
			return fmt.Errorf("its name has the control character %U; rename it", r)
		}
	}
	return nil
}
