package record

import (
	"errors"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// FromMeasurement makes the record of rendition k of a measurement, which has succeeded. f is its frames, nil to leave them out; segments are its
// chunks; version is this program's.
func FromMeasurement(m *store.Measurement, k int, f *workflow.Frames, segments []workflow.SegmentScore, version string) *Document {
	return &Document{}
}

// ImportRequest is what of the document goes into a store. Owner, Imported.Digest and Imported.File are left to the caller; sources have URI and Raw
// only: whether they lie below a media root is the caller's to find out. Where the record has no frames, the table has none of their series.
func (d *Document) ImportRequest() (workflow.ImportRequest, error) {
	return workflow.ImportRequest{}, errors.New("")
}
