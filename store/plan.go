package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/vqsd/vqsd/vmaf"
)

// planLimits are what planning goes by.
//
// How a query is answered: whatever way is taken, each candidate's facts are looked at, so that an index only has to give all that may match and
// may give more.
//
//  1. Comparisons that every answer has to meet are looked for: the top-level And's. Those of create_time and name bound the names. Of the others,
//     each that an index serves is a way to candidates: either an ordered one, whose entries are in the order of names (an equality; a range with few
//     different values, as heights are; an Or of these), or one in the order of values (scores).
//  2. A way that gives few candidates (fewEntries) is taken alone.
//  3. Else the ordered ways are walked side by side, newest first or oldest first as is asked for, leaping over what not all of them have; or, if there
//     is none, the facts themselves. Where much matches, this fills a page at once. A way that has many times what the sparsest has is left
//     out: to seek in it costs as much as to look at a candidate's facts.
//  4. If that has looked at many (walkBudget) without filling the page, the candidates of the ways in value order are collected too, up to manyEntries
//     each, and joined in.
//
// Sorted by finish_time or score, a selective way's candidates (2.) are collected and sorted; else the index of what is sorted by is walked.
//
// The limits decide which way is taken and never what is found, which a test checks with tiny ones.
type planLimits struct {
	fewEntries   int
	walkBudget   int
	manyEntries  int
	sortEntries  int     // as fewEntries where candidates have to be sorted
	fewDistinct  int     // values of a range that are walked side by side
	stepsPerSeek int     // entries that are stepped over before a seek is cheaper
	denserBy     float64 // how much denser than the sparsest way another may be to be walked beside it
}

var usualLimits = planLimits{
	fewEntries: 256, walkBudget: 1500, manyEntries: 1 << 15, sortEntries: 2048, fewDistinct: 64, stepsPerSeek: 6, denserBy: 4,
}

// compareIDs orders names.
func compareIDs(a, b MeasurementID) int { return cmp.Compare(a, b) }

// span is a range of index keys below a prefix, [from, to).
type span struct{ prefix, from, to []byte }

// way is how an index leads to candidates.
type way struct {
	ordered [][]byte // prefixes that only a name follows
	spans   []span   // entries in value order
	density float64  // of an ordered one: about how many entries there are for a second of creation times
}

// conjuncts lists what has to hold of every answer.
func conjuncts(n *node) []*node {
	if n.op != nodeAnd {
		return []*node{n}
	}
	var list []*node
	for _, kid := range n.kids {
		list = append(list, conjuncts(kid)...)
	}
	return list
}

// bounds are the names that the filter leaves, [lo, hi].
type bounds struct{ lo, hi MeasurementID }

func (b bounds) has(id MeasurementID) bool { return b.lo <= id && id <= b.hi }

const lastID MeasurementID = "7zzzzzzzzzzzzzzzzzzzzzzzzz"

func boundsOf(list []*node) bounds {
	b := bounds{firstID(0), lastID}
	lower := func(id MeasurementID) { b.lo = max(b.lo, id) }
	upper := func(id MeasurementID) { b.hi = min(b.hi, id) }
	for _, n := range list {
		if n.op != nodeCompare {
			continue
		}
		least := n.cmp == Equal || n.cmp == Greater || n.cmp == GreaterOrEqual
		most := n.cmp == Equal || n.cmp == Less || n.cmp == LessOrEqual
		switch n.field {
		case FieldName:
			if least {
				lower(MeasurementID(n.text))
			}
			if most {
				upper(MeasurementID(n.text))
			}
		case FieldCreateTime:
			ms := n.time.UnixMilli() // of any time within that millisecond
			if least {
				lower(firstID(ms))
			}
			if most {
				upper(firstID(min(max(ms, -1), 1<<48-2) + 1)) // one name too many is none too few
			}
		}
	}
	return b
}

var textIndexes = map[Field]index{
	FieldState: indexState, FieldClass: indexClass, FieldOwner: indexOwner, FieldReferencePath: indexReferencePath,
	FieldReferenceCodec: indexReferenceCodec, FieldRenditionName: indexRendition, FieldRenditionPath: indexRenditionPath,
	FieldRenditionCodec: indexCodec, FieldModel: indexModel, FieldModelVersion: indexModel,
}

// wayOf finds how an index serves an expression; nil: none does.
func (r *search) wayOf(n *node) (*way, error) {
	switch n.op {
	case nodeAnd:
		ways, err := r.waysOf(conjuncts(n))
		if err != nil || len(ways) == 0 {
			return nil, err
		}
		return ways[len(ways)-1], nil
	case nodeOr:
		all := &way{}
		for _, kid := range n.kids {
			w, err := r.wayOf(kid)
			if err != nil || w == nil {
				return nil, err
			}
			all.ordered = append(all.ordered, w.ordered...)
			all.spans = append(all.spans, w.spans...)
		}
		if len(n.kids) == 0 || len(all.ordered) > r.limits().fewDistinct || len(all.spans) > r.limits().fewDistinct {
			return nil, nil
		}
		return all, nil
	case nodeHasLabel:
		return &way{spans: []span{whole(stringIndex(indexLabel, n.label))}}, nil
	case nodeLabel:
		return textWay(n, stringIndex(indexLabel, n.label)), nil
	case nodeCompare:
		if x, ok := textIndexes[n.field]; ok {
			if x == indexModel && n.cmp != Equal {
				return nil, nil
			}
			if n.cmp == NotEqual && x != indexReferencePath && x != indexRenditionPath {
				return r.otherWay(n, x)
			}
			return textWay(n, indexPrefix(x)), nil
		}
		switch n.field {
		case FieldHeight:
			return r.countWay(n, indexHeight)
		case FieldReferenceHeight:
			return r.countWay(n, indexReferenceLines)
		case FieldFinishTime:
			return finishWay(n), nil
		}
	}
	return nil, nil
}

// waysOf finds the ways that serve a list of conjuncts, the better ones last.
func (r *search) waysOf(list []*node) ([]*way, error) {
	var ordered, others []*way
	for _, n := range list {
		w, err := r.wayOf(n)
		if err != nil {
			return nil, err
		}
		switch {
		case w == nil:
		case len(w.spans) == 0:
			ordered = append(ordered, w)
		default:
			others = append(others, w)
		}
	}
	spans, err := r.scoreSpans(list, true)
	if err != nil {
		return nil, err
	}
	if spans != nil {
		others = append(others, &way{spans: spans}) // without any: nothing matches
	}
	return append(others, ordered...), nil
}

func whole(prefix []byte) span { return span{prefix, prefix, after(prefix)} }

// textWay serves comparisons of a string behind a prefix.
func textWay(n *node, prefix []byte) *way {
	switch n.cmp {
	case Equal:
		return &way{ordered: [][]byte{appendString(slices.Clone(prefix), n.text)}}
	case HasPrefix:
		p := appendString(slices.Clone(prefix), n.text)
		return &way{spans: []span{whole(p[:len(p)-2])}} // without the terminator
	}
	return nil
}

// otherWay serves != of a string that takes few different values, such as a state: the others.
func (r *search) otherWay(n *node, x index) (*way, error) {
	names, err := r.names(indexPrefix(x))
	if err != nil || names == nil {
		return nil, err
	}
	w := &way{}
	for _, name := range names {
		if name != n.text {
			w.ordered = append(w.ordered, stringIndex(x, name))
		}
	}
	return w, nil
}

// numberSpan is where the entries are that meet a comparison with a number behind a prefix; false: there is no one span.
func numberSpan(prefix []byte, lists ...*node) (span, bool) {
	lo, hi := uint64(0), uint64(math.MaxUint64)
	for _, n := range lists {
		if math.IsNaN(n.number) {
			return span{}, false
		}
		at := sortable(n.number)
		switch n.cmp {
		case Equal:
			lo, hi = max(lo, at), min(hi, at+1)
		case Less:
			hi = min(hi, at)
		case LessOrEqual:
			hi = min(hi, at+1)
		case Greater:
			lo = max(lo, at+1)
		case GreaterOrEqual:
			lo = max(lo, at)
		default:
			return span{}, false
		}
	}
	key := func(at uint64) []byte { return binary.BigEndian.AppendUint64(slices.Clone(prefix), at) }
	s := span{prefix, prefix, after(prefix)}
	if lo > 0 {
		s.from = key(lo)
	}
	if hi < math.MaxUint64 {
		s.to = key(hi)
	}
	return s, true
}

// countWay serves comparisons of a number that takes few different values.
func (r *search) countWay(n *node, x index) (*way, error) {
	prefix := indexPrefix(x)
	s, ok := numberSpan(prefix, n)
	if !ok {
		return nil, nil
	}
	if n.cmp == Equal {
		return &way{ordered: [][]byte{floatIndex(x, n.number)}}, nil
	}
	values, err := r.distinct(s, len(prefix)+8)
	if err != nil {
		return nil, err
	}
	if values == nil {
		return &way{spans: []span{s}}, nil
	}
	return &way{ordered: values}, nil
}

// distinct lists the different beginnings, of a certain length, of the keys in a span; nil: there are too many. An empty list is not nil.
func (r *search) distinct(s span, length int) ([][]byte, error) {
	it := r.keys(s.prefix, false)
	defer it.Close()
	values := [][]byte{}
	for it.Seek(s.from); it.ValidForPrefix(s.prefix) && bytes.Compare(it.Item().Key(), s.to) < 0; {
		key := it.Item().Key()
		if len(key) < length {
			return nil, keyError(key, "too short")
		}
		if len(values) == r.limits().fewDistinct {
			return nil, nil
		}
		value := slices.Clone(key[:length])
		values = append(values, value)
		it.Seek(after(value))
	}
	return values, nil
}

// finishWay serves comparisons of the time of the end.
func finishWay(n *node) *way {
	if n.time.IsZero() {
		return nil
	}
	s := whole(indexPrefix(indexFinished))
	s.from = after(endIndex(time.Time{})) // behind what has not ended
	at := endIndex(n.time)
	switch n.cmp {
	case Less:
		s.to = at
	case LessOrEqual, Equal:
		s.to = after(at)
	}
	switch n.cmp {
	case Greater, GreaterOrEqual, Equal:
		s.from = at
	}
	return &way{spans: []span{s}}
}

// scoreSpans finds where the index has the scores that conjuncts ask for: of a model or series, of a pooling, in a range. bounded: only if there is
// a range. nil: too many, or nothing that an index serves; empty: there are no such scores.
func (r *search) scoreSpans(list []*node, bounded bool) ([]span, error) {
	type base struct {
		index index
		name  string
	}
	var bases []base
	pooling, pooled := "", false
	var ranges []*node
	for _, n := range list {
		if n.op != nodeCompare {
			continue
		}
		switch {
		case n.field == FieldScore && n.cmp != NotEqual:
			ranges = append(ranges, n)
		case n.cmp != Equal:
		case n.field == FieldPooling:
			pooling, pooled = n.text, true
		case n.field == FieldSeries:
			bases = []base{{indexSeriesScore, n.text}, {indexSeriesScore, vmaf.Alias(n.text)}}
		case n.field == FieldModel && bases == nil:
			bases = []base{{indexModelScore, n.text}, {indexSeriesScore, n.text}}
		case n.field == FieldModelVersion && bases == nil:
			bases = []base{{indexModelScore, n.text}}
		}
	}
	if bounded && len(ranges) == 0 {
		return nil, nil
	}
	if bases == nil {
		names, err := r.names(indexPrefix(indexSeriesScore))
		if err != nil || names == nil {
			return nil, err
		}
		for _, name := range names {
			bases = append(bases, base{indexSeriesScore, name})
		}
	}
	spans := []span{}
	for i, b := range bases {
		if slices.Contains(bases[:i], b) {
			continue
		}
		poolings := []string{pooling}
		if !pooled {
			var err error
			if poolings, err = r.names(stringIndex(b.index, b.name)); err != nil || poolings == nil {
				return nil, err
			}
		}
		for _, p := range poolings {
			s, ok := numberSpan(stringIndex(b.index, b.name, p), ranges...)
			if !ok || len(spans) == r.limits().fewDistinct {
				return nil, nil
			}
			spans = append(spans, s)
		}
	}
	return spans, nil
}

// names lists the different strings that follow a prefix; nil: there are too many. An empty list is not nil.
func (r *search) names(prefix []byte) ([]string, error) {
	it := r.keys(prefix, false)
	defer it.Close()
	names := []string{}
	for it.Seek(prefix); it.ValidForPrefix(prefix); {
		if len(names) == r.limits().fewDistinct {
			return nil, nil
		}
		key := keyReader{key: it.Item().Key(), rest: it.Item().Key()[len(prefix):]}
		name := key.string()
		if key.err != nil {
			return nil, key.err
		}
		names = append(names, name)
		it.Seek(after(appendString(slices.Clone(prefix), name)))
	}
	return names, nil
}

// keys iterates over the keys below a prefix.
func (r *search) keys(prefix []byte, reverse bool) *badger.Iterator {
	options := badger.DefaultIteratorOptions
	options.Prefix, options.PrefetchValues, options.Reverse = prefix, false, reverse
	return r.txn.NewIterator(options)
}

// collect lists the candidates of a way within bounds, each once, in the order of names; false: there are more than most entries, and these are
// some.
func (r *search) collect(w *way, b bounds, most int) ([]MeasurementID, bool, error) {
	var ids []MeasurementID
	n := 0
	gather := func(prefix, from, to []byte) (bool, error) {
		it := r.keys(prefix, false)
		defer it.Close()
		for it.Seek(from); it.ValidForPrefix(prefix); it.Next() {
			key := it.Item().Key()
			if bytes.Compare(key, to) >= 0 {
				break
			}
			if n++; n > most {
				return false, nil
			}
			if err := r.step(); err != nil {
				return false, err
			}
			if id := trailing(key); b.has(id) {
				ids = append(ids, id)
			}
		}
		return true, nil
	}
	for _, prefix := range w.ordered {
		if ok, err := gather(prefix, entry(slices.Clone(prefix), b.lo), append(entry(slices.Clone(prefix), b.hi), 0)); !ok {
			return ids, false, err
		}
	}
	for _, s := range w.spans {
		if ok, err := gather(s.prefix, s.from, s.to); !ok {
			return nil, false, err
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), true, nil
}

// run finds what belongs into the page.
func (r *search) run() error {
	list := conjuncts(r.filter)
	b := boundsOf(list)
	ways, err := r.waysOf(list)
	if err != nil {
		return err
	}
	few := r.limits().fewEntries
	if r.order != FieldName {
		few = r.limits().sortEntries
	}
	var best []MeasurementID
	selective := false
	for i := len(ways) - 1; i >= 0; i-- {
		ids, complete, err := r.collect(ways[i], b, few)
		if err != nil {
			return err
		}
		if !complete && len(ids) > 0 {
			span := ids[len(ids)-1].Time().Sub(ids[0].Time()).Seconds()
			ways[i].density = float64(len(ids)*len(ways[i].ordered)) / max(span, 0.001)
		}
		if complete && (!selective || len(ids) < len(best)) {
			best, selective = ids, true
		}
		if selective && len(best) <= r.limits().fewEntries/4 {
			break
		}
	}
	switch {
	case r.order != FieldName && selective:
		return r.sorted(best)
	case r.order == FieldFinishTime:
		return r.byFinish(list, b)
	case r.order == FieldScore:
		return r.byScore(list, b)
	case selective:
		return r.byName(b, []cursor{r.listCursor(best)}, nil)
	}
	return r.byName(b, nil, ways)
}
