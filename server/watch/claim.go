package watch

import (
	"errors"
	"path"
)

// claims are files that have a use which no title may tell of, so that they stay where they are.
type claims struct {
	// references are those that a title or a manifest, complete or not, has as its reference, as far as is known.
	references map[string]bool
	// named are those that manifests name of which there is no title, since they are wrong, not complete or lack their reference; and references whose
	// renditions are all still to be complete.
	named map[string]bool
	// unknown says that there is a manifest of which nobody knows what it names.
	unknown bool
}

func newClaims() claims { return claims{references: map[string]bool{}, named: map[string]bool{}} }

// has says whether a manifest of which there is no title names a file, or may do so.
func (c *claims) has(file string) bool { return c.unknown || c.named[file] }

// claim notes what a manifest names of which there is no title.
func (p *pairing) claim(e *entry) {
	m, c := e.manifest, &p.out.claims
	if !e.read && !e.peeked || m == nil {
		c.unknown = true
		return
	}
	// What is wrong may be changed to name others, and what is not complete may be half of it.
	if m.reference == "" || e.peeked && e.wrong != nil {
		c.unknown = true
	}
	references := []string{m.reference}
	if m.reference == "" {
		references = m.mentioned // one of them may be meant
	}
	for _, file := range references {
		c.references[file], c.named[file] = true, true
	}
	for _, r := range m.renditions {
		c.named[r.path] = true
	}
	for _, file := range m.mentioned {
		c.named[file] = true
	}
}

// peek reads a manifest that is not complete, as far as it can be read. It is read again when it is.
func (s *scanner) peek(e *entry) {
	if e.peeked {
		return
	}
	e.read, e.manifest, e.wrong = false, nil, nil
	text, err := s.readSmall(e)
	switch {
	case err == nil:
		e.manifest, e.wrong = parseManifest(e.path, text, s.classifier, s.excluded, s.folder.Request)
		e.peeked = true
	case errors.Is(err, errTooLarge), errors.Is(err, errNotAsSeen): // it takes another file, which the next scan sees
	default:
		s.again = true // it may be readable another time
	}
}

// mentioned adds to paths those that any text of a manifest's node would be, in a manifest that is in dir.
func mentioned(n *node, dir string, paths []string) []string {
	if n.kind == textNode && n.text != "" {
		paths = append(paths, path.Join(dir, n.text))
	}
	for _, item := range n.items {
		paths = mentioned(item, dir, paths)
	}
	for _, pair := range n.pairs {
		paths = mentioned(pair.value, dir, paths)
	}
	return paths
}
