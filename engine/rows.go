package engine

import (
	"sync"

	"github.com/vqsd/vqsd/vmaf"
)

// rowStore holds the raw figures of every reference frame measured, each at a place of its own: the collector makes
// the places, in order, and workers fill them in any order.
type rowStore struct {
	m    *measurement
	mu   sync.Mutex
	rows []frameRow // of reference frames m.first, m.first + 1, …
	slab []float64  // what the next rows are cut from
	last bool       // the reference has ended
}

// frameRow is one reference frame: a row for each group.
type frameRow []Row

// slabFrames is how many frames' figures are allocated at a time.
const slabFrames = 256

func (s *rowStore) init(m *measurement) {
	s.m = m
	if m.end > 0 {
		s.rows = make([]frameRow, 0, m.end-m.first)
	}
}

// add makes the rows of the next reference frame.
func (s *rowStore) add() frameRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := make(frameRow, len(s.m.groups))
	for g, group := range s.m.groups {
		row[g].Reference = s.take(s.m.columns.Reference)
		row[g].Distorted = make([][]float64, len(group.members))
		for k := range group.members {
			row[g].Distorted[k] = s.take(s.m.columns.Distorted)
		}
	}
	s.rows = append(s.rows, row)
	return row
}

func (s *rowStore) take(n int) []float64 {
	if len(s.slab) < n {
		perFrame := 0
		for _, group := range s.m.groups {
			perFrame += s.m.columns.Reference + len(group.members)*s.m.columns.Distorted
		}
		s.slab = make([]float64, max(n, slabFrames*perFrame))
	}
	part := s.slab[:n:n]
	s.slab = s.slab[n:]
	return part
}

// len is the number of reference frames so far.
func (s *rowStore) len() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.rows))
}

// ended says that the reference ended before frame next.
func (s *rowStore) ended(next int64) bool { return s.last || s.m.first+s.len() < next }

// raw puts one rendition's figures into columns: by extraction, figure and frame, for frames [first, end) of the store.
func (s *rowStore) raw(extractions []vmaf.Extraction, columns Columns, d *rendition, first, end int64) [][][]float64 {
	raw := make([][][]float64, len(extractions))
	for e, x := range extractions {
		raw[e] = make([][]float64, columns.Count[e])
		for c := range raw[e] {
			column := make([]float64, end-first)
			at := columns.Offset[e] + c
			for i := range column {
				row := &s.rows[first+int64(i)][d.group]
				if columns.ReferenceOnly[e] {
					column[i] = row.Reference[at]
				} else {
					column[i] = row.Distorted[d.slot][at]
				}
			}
			if columns.ReferenceOnly[e] {
				clear(column[:min(motionFrames(x), len(column))])
			}
			raw[e][c] = column
		}
	}
	return raw
}
