package legacy

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/vqsd/vqsd/vmaf"
)

// Bounds of [Log.Unknown], so that a made-up file cannot have much told of it.
const (
	maxUnknown     = 16 // paths
	maxUnknownName = 40 // bytes of a name in a path
)

// moreUnknown stands in [Log.Unknown] for the paths beyond maxUnknown.
const moreUnknown = "and more"

// unknown notes something that the log has and Read does not keep: what it is called, and what the paths in its place begin with.
func (b *builder) unknown(place string, name []byte) {
	b.path = appendPathName(append(b.path[:0], place...), name)
	b.notePath()
}

// unknownText notes text that an element has.
func (b *builder) unknownText(place string) {
	b.path = append(append(b.path[:0], place...), "text()"...)
	b.notePath()
}

// notePath notes b.path, once, and allocates nothing where it is known already or beyond the bound.
func (b *builder) notePath() {
	if len(b.log.Unknown) > maxUnknown {
		return
	}
	if slices.ContainsFunc(b.log.Unknown, func(path string) bool { return path == string(b.path) }) {
		return
	}
	path := moreUnknown
	if len(b.log.Unknown) < maxUnknown {
		path = string(b.path)
	}
	b.log.Unknown = append(b.log.Unknown, path)
}

// appendPathName appends a name, cut off where it is long, in quotes where it could be taken for something else or not be shown.
func appendPathName(path, name []byte) []byte {
	short := name
	if len(name) > maxUnknownName {
		n := maxUnknownName
		for n > 0 && !utf8.RuneStart(name[n]) {
			n--
		}
		short = name[:n]
	}
	if plainName(short) {
		path = append(path, short...)
	} else {
		path = strconv.AppendQuote(path, string(short))
	}
	if len(short) < len(name) {
		path = append(path, "…"...)
	}
	return path
}

// plainName says whether a name in a path needs no quotes.
func plainName(name []byte) bool {
	for rest := name; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		rest = rest[n:]
		switch r {
		case ' ', '"', '\\', '.', '/', '@', '[', ']', '*', '(', ')', ',':
			return false
		}
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return len(name) > 0
}

// poolMethod is the method of a pooled figure by the log's name for it. One that nobody knows is noted; place is as for unknown.
func (b *builder) poolMethod(place string, name []byte) (method string, known bool) {
	m, err := vmaf.ParsePoolMethod(string(name))
	if err != nil {
		b.unknown(place, name)
		return "", false
	}
	return string(m), true
}
