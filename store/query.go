package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/vqsd/vqsd/vmaf"
)

// Granularity is what a query gives: a line for each measurement, or for each aggregate score.
type Granularity int

// The granularities.
const (
	Measurements Granularity = iota
	Scores
)

// OrderBy is what a query's answers are sorted by: FieldCreateTime and FieldName, which are the same order; FieldFinishTime, for Measurements, where
// those that have not ended count as ending first; FieldScore, for Scores.
type OrderBy struct {
	Field Field
	Desc  bool
}

// Query asks for measurements or scores.
type Query struct {
	Filter Expr // nil: all
	// Order has one element at most; empty: newest first. Equals are in the order of their names, in the same direction.
	Order       []OrderBy
	Granularity Granularity
	// PageSize is how many there are at most: 1–1000; 0: 50.
	PageSize int
	// PageToken is where the page before ended: its NextPageToken. Filter, Order, Granularity, Roots and Owner have to be the same.
	PageToken string
	// Roots are the media roots that may be seen: a measurement is left out unless all of its sources are in them. nil: all roots.
	Roots []string
	// Owner sees his own sources that are in no media root, too, as those of imported measurements may be. "": nobody; Roots nil: it has no effect.
	Owner string
}

// Row is one aggregate score. Measurement is shared between rows.
type Row struct {
	Measurement *Measurement
	Rendition   int // index into Measurement.Renditions
	Series      string
	Model       string // "": a feature
	Pooling     vmaf.PoolMethod
	Value       float64
}

// Page is a part of an answer.
type Page struct {
	Measurements  []*Measurement // of granularity Measurements
	Rows          []Row          // of granularity Scores
	NextPageToken string         // "": this is the last one
	Examined      int            // measurements that were looked at
}

const (
	defaultPage = 50
	maxPage     = 1000
)

// Query answers a query. Pages follow each other without gaps and repetitions, whatever is stored or deleted in between; what is stored meanwhile
// is in them if it sorts behind what was given already.
//
// Comparisons with =, and ranges of height, scores and finish_time, are served from indexes, create_time and name from the order of names; see plan.go.
// Errors: [ErrQuery].
func (s *Store) Query(ctx context.Context, q Query) (*Page, error) {
	began := time.Now()
	r, err := s.newSearch(ctx, q)
	if err != nil {
		return nil, err
	}
	var page *Page
	err = s.view(ctx, func(txn *badger.Txn) error {
		r.txn = txn
		if err := r.run(); err != nil {
			return err
		}
		page, err = r.page()
		return err
	})
	if err != nil {
		return nil, err
	}
	s.metrics.examined.Observe(float64(page.Examined))
	s.metrics.queryTimes.Observe(time.Since(began).Seconds())
	return page, nil
}

// position is a place in an answer: that of something that was given.
type position struct {
	key     []byte // what it is sorted by, as in an index key; empty: by name alone
	id      MeasurementID
	ordinal int // of scores: which row of the measurement
}

// compare orders positions as answers are; rows of one measurement ascend in any case.
func (p *position) compare(o *position, desc bool) int {
	c := slices.Compare(p.key, o.key)
	if c == 0 {
		c = compareIDs(p.id, o.id)
	}
	if desc {
		c = -c
	}
	if c == 0 {
		c = p.ordinal - o.ordinal
	}
	return c
}

// search is a query at work. Its life is that of ctx, the call's.
type search struct {
	store *Store
	ctx   context.Context
	txn   *badger.Txn

	filter *node
	roots  []string // nil: all
	owner  string   // sees his own without a root
	rows   bool
	order  Field // FieldName, FieldFinishTime or FieldScore
	desc   bool
	size   int
	digest []byte
	after  *position // nil: from the start

	facts    facts
	examined int
	steps    int   // taken, so as to look at ctx now and then
	found    []hit // size + 1 at most
}

// hit is something that belongs into the page.
type hit struct {
	position
	rendition int
	series    string
	model     string
	pooling   string
	value     float64
}

func (s *Store) newSearch(ctx context.Context, q Query) (*search, error) {
	filter, err := compile(q.Filter)
	if err != nil {
		return nil, err
	}
	r := &search{store: s, ctx: ctx, filter: filter, rows: q.Granularity == Scores, order: FieldName, desc: true, size: q.PageSize}
	if q.Granularity != Measurements && q.Granularity != Scores {
		return nil, fmt.Errorf("%w: no granularity %d", ErrQuery, q.Granularity)
	}
	if len(q.Order) > 1 {
		return nil, fmt.Errorf("%w: more than one field to sort by", ErrQuery)
	}
	for _, o := range q.Order {
		r.desc = o.Desc
		switch {
		case o.Field == FieldCreateTime || o.Field == FieldName:
		case o.Field == FieldFinishTime && !r.rows, o.Field == FieldScore && r.rows:
			r.order = o.Field
		default:
			return nil, fmt.Errorf("%w: cannot sort by %q here", ErrQuery, o.Field)
		}
	}
	if r.size == 0 {
		r.size = defaultPage
	}
	if r.size < 1 || r.size > maxPage {
		return nil, fmt.Errorf("%w: a page of %d; the range is 1 to %d", ErrQuery, r.size, maxPage)
	}
	if q.Roots != nil {
		r.roots = slices.Sorted(slices.Values(q.Roots))
		if r.roots == nil {
			r.roots = []string{}
		}
		r.owner = q.Owner
	}
	r.digest = r.describe()
	if q.PageToken != "" {
		if r.after, err = r.readToken(q.PageToken); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *search) limits() *planLimits { return &r.store.limits }

// step ends the search if its context has ended.
func (r *search) step() error {
	if r.steps++; r.steps&1023 == 0 {
		return r.ctx.Err()
	}
	return nil
}

// load reads the facts of a measurement; false: there is none.
func (r *search) load(id MeasurementID) (bool, error) {
	item, err := r.txn.Get(factsKey(id))
	if err == badger.ErrKeyNotFound {
		return false, nil // an entry that outlived its measurement; Verify tells
	}
	if err != nil {
		return false, badgerError(err)
	}
	return true, item.Value(func(value []byte) error { return r.facts.decode(id, value) })
}

// visible says whether the caller may see the measurement whose facts are loaded.
func (r *search) visible() bool {
	if r.roots == nil {
		return true
	}
	for _, root := range r.facts.roots {
		if root == "" && r.owner != "" && r.facts.owner == r.owner {
			continue
		}
		if _, ok := slices.BinarySearch(r.roots, root); !ok {
			return false
		}
	}
	return true
}

// full says that the page, and one more to know that there is another page, are there.
func (r *search) full() bool { return len(r.found) > r.size }

// take looks at the measurement whose facts are loaded and adds what belongs into the page. With a key only rows of that score, in the layout of index
// keys, are taken.
func (r *search) take(key []byte) error {
	r.examined++
	if !r.visible() {
		return nil
	}
	if !r.rows {
		h := hit{position: position{key: slices.Clone(key), id: r.facts.id}}
		if r.behind(&h.position) && r.filter.matches(&r.facts) {
			r.found = append(r.found, h)
		}
		return nil
	}
	r.takeRows(key)
	return nil
}

// takeRows adds the rows that hold.
func (r *search) takeRows(key []byte) {
	ordinal := -1
	r.facts.rows(ofScoreLevel, func(row *row) bool {
		if row.score < 0 {
			return true
		}
		ordinal++
		s := &r.facts.renditions[row.rendition].scores[row.score]
		value := s.pools[row.pool].value
		if key != nil && (value != value || slices.Compare(appendFloat(nil, value), key) != 0) {
			return true
		}
		h := hit{
			position:  position{key: slices.Clone(key), id: r.facts.id, ordinal: ordinal},
			rendition: row.rendition, series: s.series, pooling: s.pools[row.pool].method, value: value,
		}
		if s.model >= 0 {
			h.model = r.facts.models[s.model].name
		}
		if r.behind(&h.position) && r.filter.holds(row) {
			r.found = append(r.found, h)
		}
		return !r.full()
	})
}

// behind says that something comes behind the page before.
func (r *search) behind(p *position) bool { return r.after == nil || p.compare(r.after, r.desc) > 0 }

// page reads the records of what was found.
func (r *search) page() (*Page, error) {
	p := &Page{Examined: r.examined}
	more := len(r.found) > r.size
	if more {
		r.found = r.found[:r.size]
	}
	read := map[MeasurementID]*Measurement{}
	for i := range r.found {
		h := &r.found[i]
		m := read[h.id]
		if m == nil {
			var err error
			if m, err = measurement(r.txn, h.id); err != nil {
				return nil, fmt.Errorf("%w: facts without a record: %w", ErrCorrupt, err)
			}
			read[h.id] = m
		}
		if !r.rows {
			p.Measurements = append(p.Measurements, m)
			continue
		}
		p.Rows = append(p.Rows, Row{m, h.rendition, h.series, h.model, vmaf.PoolMethod(h.pooling), h.value})
	}
	if more {
		p.NextPageToken = r.token(&r.found[len(r.found)-1].position)
	}
	return p, nil
}
