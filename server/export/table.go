package export

import (
	"fmt"
	"io"

	"github.com/vqsd/vqsd/server/tabular"
)

// Table is a file with rows of many renditions, which comes into being as they are appended. It is for one goroutine.
type Table struct {
	rows tabular.Writer
}

// NewTable begins a file of a table's format; opt is to be that of the files appended. Nothing may be written to w beside it until [Table.Close].
//
// Errors: those of [Options.Check]; [ErrNotInForm] of a format that is none of tables; what w returns.
func NewTable(w io.Writer, f Format, opt Options) (*Table, error) {
	if err := opt.Check(f); err != nil {
		return nil, err
	}
	t := &Table{}
	var err error
	switch f {
	case TableCSV:
		t.rows, err = tabular.NewCSV(w, opt.Granularity)
	case TableParquet:
		t.rows, err = tabular.NewParquet(w, opt.Granularity)
	default:
		err = fmt.Errorf("%w: %s is no format of tables", ErrNotInForm, f)
	}
	return t, err
}

// Append adds the rows of a rendition that was prepared for a table. After an error the table is of no use any more.
func (t *Table) Append(f *File) error { return t.rows.Append(f.m, f.rendition, f.frames, f.segments) }

// Rows is how many have been appended.
func (t *Table) Rows() int64 { return t.rows.Rows() }

// Close completes the file. It does not close what it was written to.
func (t *Table) Close() error { return t.rows.Close() }

// writeTable writes the table of one rendition.
func (f *File) writeTable(w io.Writer) error {
	t, err := NewTable(w, f.format, f.opt)
	if err != nil {
		return err
	}
	if err := t.Append(f); err != nil {
		return err
	}
	return t.Close()
}
