package engine

// rowStore holds the raw figures of a run of reference frames, each at a place of its own: the collector makes the places, in
// order, and workers fill them in any order.
type rowStore struct {
	columns Columns
	members []int       // renditions of each group
	rows    [][]Row     // by frame from the run's first on, and by group
	slab    []float64   // what the next rows are cut from
	lists   [][]float64 // what the next lists of rows are cut from
}

// slabFrames is how many frames' figures are allocated at a time.
const slabFrames = 256

// add makes the rows of the next reference frame, one for each group.
func (s *rowStore) add() []Row {
	row := make([]Row, len(s.members))
	for g, members := range s.members {
		row[g].Reference = s.take(s.columns.Reference)
		row[g].Distorted = s.takeList(members)
		for k := range members {
			row[g].Distorted[k] = s.take(s.columns.Distorted)
		}
	}
	s.rows = append(s.rows, row)
	return row
}

func (s *rowStore) take(n int) []float64 {
	if len(s.slab) < n {
		perFrame := 0
		for _, members := range s.members {
			perFrame += s.columns.Reference + members*s.columns.Distorted
		}
		s.slab = make([]float64, max(n, slabFrames*perFrame))
	}
	part := s.slab[:n:n]
	s.slab = s.slab[n:]
	return part
}

func (s *rowStore) takeList(n int) [][]float64 {
	if len(s.lists) < n {
		perFrame := 0
		for _, members := range s.members {
			perFrame += members
		}
		s.lists = make([][]float64, max(n, slabFrames*perFrame))
	}
	part := s.lists[:n:n]
	s.lists = s.lists[n:]
	return part
}

// reference puts figures of the reference into columns: by extraction, figure and frame, for frames [first, end) of the store.
// Extractions of pairs have nil.
func (s *rowStore) reference(g int, first, end int64) [][][]float64 {
	return s.extract(first, end, true, func(row []Row) []float64 { return row[g].Reference })
}

// distorted puts figures of one rendition into columns, likewise. Extractions of the reference alone have nil.
func (s *rowStore) distorted(g, slot int, first, end int64) [][][]float64 {
	return s.extract(first, end, false, func(row []Row) []float64 { return row[g].Distorted[slot] })
}

func (s *rowStore) extract(first, end int64, referenceOnly bool, figures func([]Row) []float64) [][][]float64 {
	raw := make([][][]float64, len(s.columns.Offset))
	for e := range raw {
		if s.columns.ReferenceOnly[e] != referenceOnly {
			continue
		}
		raw[e] = make([][]float64, s.columns.Count[e])
		for c := range raw[e] {
			column := make([]float64, end-first)
			for i := range column {
				column[i] = figures(s.rows[first+int64(i)])[s.columns.Offset[e]+c]
			}
			raw[e][c] = column
		}
	}
	return raw
}
