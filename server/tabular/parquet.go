package tabular

import (
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

const (
	// groupRows is how many rows a row group has at most. A group is held in memory, compressed, until it is full: some MiB.
	groupRows = 1 << 16
	// groupTexts is how many bytes of text the rows of a group may share, rendition by rendition, before it is ended with fewer rows: dictionaries are
	// held in memory as they are, and labels and URIs may be long.
	groupTexts = 4 << 20
	// batchRows is how many rows the library is handed at a time.
	batchRows = 1 << 10
)

// parquetWriter writes Parquet.
type parquetWriter struct {
	w           *parquet.GenericWriter[row]
	granularity Granularity
	rows        int64
	batch       []row
	texts       int // bytes that the rows of this group share
	closed      bool
}

// NewParquet begins a Parquet file. Pages are compressed with Zstandard.
func NewParquet(w io.Writer, g Granularity) (Writer, error) {
	return &parquetWriter{
		w: parquet.NewGenericWriter[row](w, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(groupRows),
			parquet.KeyValueMetadata("vqsd.schema", "vqsd.scores/1")),
		granularity: g, batch: make([]row, 0, batchRows),
	}, nil
}

func (p *parquetWriter) Rows() int64 { return p.rows }

func (p *parquetWriter) Append(m *store.Measurement, k int, f *workflow.Frames, segments []workflow.SegmentScore) error {
	if p.closed {
		return errClosed
	}
	if err := check(m, k); err != nil {
		return err
	}
	r, err := common(m, k, p.granularity)
	if err != nil {
		return err
	}
	if p.texts += r.texts(); p.texts > groupTexts {
		p.texts = r.texts()
		if err := p.flush(); err != nil {
			return err
		}
		if err := p.w.Flush(); err != nil {
			return err
		}
	}
	return rows(r, m, k, p.granularity, f, segments, p.put)
}

func (p *parquetWriter) put(r *row) error {
	p.batch = append(p.batch, *r)
	p.rows++
	if len(p.batch) < batchRows {
		return nil
	}
	return p.flush()
}

// flush hands the batch to the library.
func (p *parquetWriter) flush() error {
	_, err := p.w.Write(p.batch)
	p.batch = p.batch[:0]
	return err
}

func (p *parquetWriter) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	if err := p.flush(); err != nil {
		return err
	}
	return p.w.Close()
}
