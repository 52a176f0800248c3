package store

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// cursor goes through names in the direction of the search.
type cursor interface {
	// seek moves to a name, or the first one behind it. It only moves onwards.
	seek(id MeasurementID)
	// at is where it is; false: at the end.
	at() (MeasurementID, bool)
	close()
}

// listCursor goes through a sorted list.
type listCursor struct {
	ids  []MeasurementID
	desc bool
}

// listCursor takes names in ascending order.
func (r *search) listCursor(ids []MeasurementID) *listCursor { return &listCursor{ids, r.desc} }

func (c *listCursor) seek(id MeasurementID) {
	i, found := slices.BinarySearch(c.ids, id)
	if !c.desc {
		c.ids = c.ids[i:]
		return
	}
	if found {
		i++
	}
	c.ids = c.ids[:i]
}

func (c *listCursor) at() (MeasurementID, bool) {
	switch {
	case len(c.ids) == 0:
		return "", false
	case c.desc:
		return c.ids[len(c.ids)-1], true
	}
	return c.ids[0], true
}

func (c *listCursor) close() {}

// prefixCursor goes through the entries of an index that have one value.
type prefixCursor struct {
	it     *badger.Iterator
	prefix []byte
	desc   bool
	id     MeasurementID
	ok     bool
	moved  bool
	steps  int // to try before a seek
}

func (r *search) prefixCursor(prefix []byte) *prefixCursor {
	return &prefixCursor{it: r.keys(prefix, r.desc), prefix: prefix, desc: r.desc, steps: r.limits().stepsPerSeek}
}

func (c *prefixCursor) before(id MeasurementID) bool {
	if c.desc {
		return c.id > id
	}
	return c.id < id
}

func (c *prefixCursor) take() {
	if c.ok = c.it.ValidForPrefix(c.prefix); c.ok {
		c.id = MeasurementID(c.it.Item().Key()[len(c.prefix):])
	}
}

func (c *prefixCursor) seek(id MeasurementID) {
	if c.moved && (!c.ok || !c.before(id)) {
		return
	}
	for range c.steps {
		if !c.moved {
			break
		}
		c.it.Next()
		if c.take(); !c.ok || !c.before(id) {
			return
		}
	}
	c.moved = true
	c.it.Seek(entry(slices.Clone(c.prefix), id))
	c.take()
}

func (c *prefixCursor) at() (MeasurementID, bool) { return c.id, c.ok }
func (c *prefixCursor) close()                    { c.it.Close() }

// unionCursor goes through several at once.
type unionCursor struct {
	all  []cursor
	desc bool
}

func (c *unionCursor) seek(id MeasurementID) {
	for _, one := range c.all {
		one.seek(id)
	}
}

func (c *unionCursor) at() (MeasurementID, bool) {
	var first MeasurementID
	found := false
	for _, one := range c.all {
		if id, ok := one.at(); ok && (!found || c.desc == (id > first)) {
			first, found = id, true
		}
	}
	return first, found
}

func (c *unionCursor) close() {
	for _, one := range c.all {
		one.close()
	}
}

// orderedCursor goes through an ordered way.
func (r *search) orderedCursor(w *way) cursor {
	c := &unionCursor{desc: r.desc}
	for i, prefix := range w.ordered {
		if !slices.ContainsFunc(w.ordered[:i], func(p []byte) bool { return bytes.Equal(p, prefix) }) {
			c.all = append(c.all, r.prefixCursor(prefix))
		}
	}
	if len(c.all) == 1 {
		return c.all[0]
	}
	return c
}

// next is the name behind one, in the direction of the search: none lies between.
func (r *search) next(id MeasurementID) MeasurementID {
	b := []byte(id)
	for i := len(b) - 1; i >= 0; i-- {
		at := bytes.IndexByte([]byte(crockford), b[i])
		if r.desc && at > 0 {
			b[i] = crockford[at-1]
			return MeasurementID(b)
		}
		if !r.desc && at < 31 {
			b[i] = crockford[at+1]
			return MeasurementID(b)
		}
		if r.desc {
			b[i] = crockford[31]
		} else {
			b[i] = crockford[0]
		}
	}
	return "" // behind the last name
}

// start is where a search by name begins and ends.
func (r *search) start(b bounds) (from, to MeasurementID) {
	from, to = b.lo, b.hi
	if r.desc {
		from, to = b.hi, b.lo
	}
	if r.after != nil && (r.desc && r.after.id < from || !r.desc && r.after.id > from) {
		from = r.after.id
	}
	return from, to
}

func (r *search) past(id, to MeasurementID) bool {
	if r.desc {
		return id < to
	}
	return id > to
}

// byName walks what the cursors have in common; or, given ways, what ordered ones have in common, and after walkBudget all.
func (r *search) byName(b bounds, cursors []cursor, ways []*way) error {
	defer func() {
		for _, c := range cursors {
			c.close()
		}
	}()
	valued := false
	var ordered []*way
	for _, w := range ways {
		if len(w.spans) > 0 {
			valued = true
		} else {
			ordered = append(ordered, w)
		}
	}
	slices.SortStableFunc(ordered, func(a, b *way) int { return cmp.Compare(a.density, b.density) })
	for _, w := range ordered {
		if w.density <= r.limits().denserBy*ordered[0].density {
			cursors = append(cursors, r.orderedCursor(w))
		}
	}
	from, to := r.start(b)
	if valued {
		at, err := r.walk(cursors, from, to, r.limits().walkBudget)
		if err != nil || at == "" {
			return err
		}
		from = at
		rest := bounds{from, to}
		if r.desc {
			rest = bounds{to, from}
		}
		for _, w := range ways {
			if len(w.spans) == 0 {
				continue
			}
			ids, complete, err := r.collect(w, rest, r.limits().manyEntries)
			if err != nil {
				return err
			}
			if complete {
				cursors = append([]cursor{r.listCursor(ids)}, cursors...)
			}
		}
	}
	_, err := r.walk(cursors, from, to, 0)
	return err
}

// walk looks at what the cursors have in common, until the page is full or the end is reached; or, with a budget, so many have been looked at: then it
// returns where to go on.
func (r *search) walk(cursors []cursor, from, to MeasurementID, budget int) (MeasurementID, error) {
	if len(cursors) == 0 {
		return r.walkFacts(from, to, budget)
	}
	begun := r.examined
	for at := from; at != "" && !r.full(); {
		if err := r.step(); err != nil {
			return "", err
		}
		if budget > 0 && r.examined-begun >= budget {
			return at, nil
		}
		agreed := true
		for _, c := range cursors {
			c.seek(at)
			id, ok := c.at()
			if !ok || r.past(id, to) {
				return "", nil
			}
			if id != at {
				at, agreed = id, false
				break
			}
		}
		if !agreed {
			continue
		}
		there, err := r.load(at)
		if err != nil {
			return "", err
		}
		if there {
			if err := r.take(nil); err != nil {
				return "", err
			}
		}
		at = r.next(at)
	}
	return "", nil
}

// walkFacts is walk over all measurements.
func (r *search) walkFacts(from, to MeasurementID, budget int) (MeasurementID, error) {
	prefix := prefixOf(kindFacts)
	it := r.keys(prefix, r.desc)
	defer it.Close()
	begun := r.examined
	for it.Seek(factsKey(from)); it.ValidForPrefix(prefix) && !r.full(); it.Next() {
		item := it.Item()
		id, err := parseMeasurementKey(kindFacts, item.Key())
		if err == nil {
			err = r.step()
		}
		if err != nil {
			return "", err
		}
		if r.past(id, to) {
			break
		}
		if budget > 0 && r.examined-begun >= budget {
			return id, nil
		}
		if err := item.Value(func(value []byte) error { return r.facts.decode(id, value) }); err != nil {
			return "", err
		}
		if err := r.take(nil); err != nil {
			return "", err
		}
	}
	return "", nil
}

// sorted looks at all candidates and sorts what belongs into the page.
func (r *search) sorted(ids []MeasurementID) error {
	size := r.size
	for _, id := range ids {
		if err := r.step(); err != nil {
			return err
		}
		there, err := r.load(id)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		r.size = len(r.found) + 1<<20 // take all: what comes first is not known yet
		if err := r.takeSorted(); err != nil {
			return err
		}
		if len(r.found) > 8*maxPage {
			r.cut(size)
		}
	}
	r.size = size
	r.cut(size)
	return nil
}

// takeSorted takes what the loaded measurement has, with the keys that it is sorted by.
func (r *search) takeSorted() error {
	if r.order == FieldFinishTime {
		return r.take(appendEnd(nil, r.facts.finished))
	}
	var values []float64
	r.facts.rows(ofScoreLevel, func(row *row) bool {
		if row.score >= 0 {
			if v := r.facts.renditions[row.rendition].scores[row.score].pools[row.pool].value; v == v {
				values = append(values, v+0)
			}
		}
		return true
	})
	slices.Sort(values)
	for _, v := range slices.Compact(values) {
		if err := r.take(appendFloat(nil, v)); err != nil {
			return err
		}
	}
	return nil
}

// cut sorts what was found and keeps a page and one more.
func (r *search) cut(size int) {
	slices.SortFunc(r.found, func(a, b hit) int { return a.compare(&b.position, r.desc) })
	r.found = r.found[:min(len(r.found), size+1)]
}

// byFinish walks the index of ends.
func (r *search) byFinish(list []*node, b bounds) error {
	s := whole(indexPrefix(indexFinished))
	for _, n := range list {
		if n.op != nodeCompare || n.field != FieldFinishTime {
			continue
		}
		if w := finishWay(n); w != nil {
			if bytes.Compare(w.spans[0].from, s.from) > 0 {
				s.from = w.spans[0].from
			}
			if bytes.Compare(w.spans[0].to, s.to) < 0 {
				s.to = w.spans[0].to
			}
		}
	}
	return r.byValue([]span{s}, timeLength, b)
}

// byScore walks the indexes of scores, several side by side, or looks at everything where there are too many.
func (r *search) byScore(list []*node, b bounds) error {
	spans, err := r.scoreSpans(list, false)
	if err != nil {
		return err
	}
	if spans == nil {
		var all []MeasurementID
		err := scan(r.txn, prefixOf(kindFacts), false, func(item *badger.Item) error {
			id, err := parseMeasurementKey(kindFacts, item.Key())
			if err == nil && b.has(id) {
				all = append(all, id)
			}
			return err
		})
		if err != nil {
			return err
		}
		return r.sorted(all)
	}
	return r.byValue(spans, 8, b)
}

// valueCursor goes through a span in the direction of the search.
type valueCursor struct {
	it   *badger.Iterator
	span span
	ok   bool
	key  []byte        // the value's bytes
	id   MeasurementID // behind it
}

func (c *valueCursor) take(length int) error {
	c.ok = false
	if !c.it.ValidForPrefix(c.span.prefix) {
		return nil
	}
	key := c.it.Item().Key()
	if bytes.Compare(key, c.span.from) < 0 || bytes.Compare(key, c.span.to) >= 0 {
		return nil
	}
	rest := key[len(c.span.prefix):]
	if len(rest) < length+idLength {
		return keyError(key, "too short")
	}
	c.key = append(c.key[:0], rest[:length]...)
	c.id, c.ok = MeasurementID(rest[length:length+idLength]), true
	return nil
}

// byValue walks spans side by side, whose keys go on with a value of some length and a name behind their prefix.
func (r *search) byValue(spans []span, length int, b bounds) error {
	cursors := make([]*valueCursor, len(spans))
	for i, s := range spans {
		c := &valueCursor{it: r.keys(s.prefix, r.desc), span: s}
		defer c.it.Close()
		from := s.from
		if r.desc {
			from = s.to // the bound itself is out; take sees to it
		}
		if r.after != nil {
			at := slices.Concat(s.prefix, r.after.key, []byte(r.after.id))
			if r.desc {
				at = append(at, 0xff, 0xff, 0xff) // behind all renditions
			}
			if r.desc == (bytes.Compare(at, from) < 0) {
				from = at
			}
		}
		c.it.Seek(from)
		if r.desc && c.it.ValidForPrefix(s.prefix) && bytes.Compare(c.it.Item().Key(), s.to) >= 0 {
			c.it.Next()
		}
		if err := c.take(length); err != nil {
			return err
		}
		cursors[i] = c
	}
	for !r.full() {
		if err := r.step(); err != nil {
			return err
		}
		var first *valueCursor
		for _, c := range cursors {
			if c.ok && (first == nil || r.before(c, first)) {
				first = c
			}
		}
		if first == nil {
			return nil
		}
		key, id := slices.Clone(first.key), first.id
		if b.has(id) {
			there, err := r.load(id)
			if err != nil {
				return err
			}
			if there {
				if err := r.take(key); err != nil {
					return err
				}
			}
		}
		for _, c := range cursors { // a measurement may have this value several times
			for c.ok && bytes.Equal(c.key, key) && c.id == id {
				c.it.Next()
				if err := c.take(length); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r *search) before(a, b *valueCursor) bool {
	c := bytes.Compare(a.key, b.key)
	if c == 0 {
		c = compareIDs(a.id, b.id)
	}
	return c != 0 && (c < 0) != r.desc
}
