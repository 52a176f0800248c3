package legacy

import (
	"fmt"
	"strings"
)

// Format is one of the four layouts of a log file.
type Format uint8

// The formats. The zero value is libvmaf's default.
const (
	XML  Format = iota // frames, pooled figures, aggregates, size and speed
	JSON               // the same without the size
	CSV                // frames only, one row each
	SUB                // frames only, as MicroDVD subtitles
)

var formatNames = [...]string{XML: "xml", JSON: "json", CSV: "csv", SUB: "sub"}

// String returns the name that [ParseFormat] takes, "xml", "json", "csv" or "sub".
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// ParseFormat reads the name of a format, in upper or lower case.
func ParseFormat(name string) (Format, error) {
	for f, known := range formatNames {
		if strings.EqualFold(name, known) {
			return Format(f), nil
		}
	}
	return 0, fmt.Errorf("unknown log format %q (known: %s)", name, strings.Join(formatNames[:], ", "))
}
