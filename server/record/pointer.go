package record

import (
	"strconv"
	"strings"
)

// path is the way to a value in a document.
type path []step

// step leads into an object, or an array.
type step struct {
	name  string
	index int
	array bool
}

// String is the path as a JSON pointer (RFC 6901).
func (p path) String() string {
	var b strings.Builder
	for _, s := range p {
		b.WriteByte('/')
		if s.array {
			b.WriteString(strconv.Itoa(s.index))
		} else {
			b.WriteString(pointerEscape.Replace(s.name))
		}
	}
	return b.String()
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")
