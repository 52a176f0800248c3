package export

import (
	"context"
	"fmt"
	"io"

	"github.com/vqsd/vqsd/store"
)

// Granularity is what a row of a table is of.
type Granularity uint8

// The granularities.
const (
	Aggregates Granularity = iota // a rendition
	Segments                      // a segment of a rendition, as long as the measurement has them
	Frames                        // a frame of a rendition
)

// String is "aggregates", "segments" or "frames".
func (g Granularity) String() string {
	switch g {
	case Aggregates:
		return "aggregates"
	case Segments:
		return "segments"
	case Frames:
		return "frames"
	}
	return fmt.Sprintf("Granularity(%d)", uint8(g))
}

// writeTable writes the table of one rendition.
func writeTable(_ context.Context, _ io.Writer, _ Source, _ *store.Measurement, _ int, f Format, _ Options) ([]string, error) {
	return nil, fmt.Errorf("%w: %s", ErrNotInForm, f)
}
