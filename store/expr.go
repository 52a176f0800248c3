package store

import (
	"fmt"
	"strings"
	"time"
)

// Expr is what a query asks for: one of [And], [Or], [Not], [Compare] and [HasLabel], which may be nested.
//
// It is evaluated on rows. A measurement has a row for each score and pooling of each rendition, and one for a rendition without scores, so that
// all comparisons of one row are about one and the same rendition and score. A comparison with something that a row does not have (the score of a
// rendition without one, a codec that is not known) does not hold, whatever its operator; the Not of it does.
type Expr interface{ expr() }

// And holds where all hold; the empty And does.
type And []Expr

// Or holds where any holds; the empty Or does not.
type Or []Expr

// Not holds where the expression does not.
type Not struct{ Expr Expr }

// Compare compares a field with a value: string, int, int64, float64 or time.Time, as the field is.
type Compare struct {
	Field Field
	Op    Op
	Value any
}

// HasLabel holds where there is a label with that key.
type HasLabel struct{ Key string }

func (And) expr()      {}
func (Or) expr()       {}
func (Not) expr()      {}
func (Compare) expr()  {}
func (HasLabel) expr() {}

// Op is how a field is compared.
type Op string

// The operators. Strings are compared bytewise; the last two are for strings only.
const (
	Equal          Op = "="
	NotEqual       Op = "!="
	Less           Op = "<"
	LessOrEqual    Op = "<="
	Greater        Op = ">"
	GreaterOrEqual Op = ">="
	HasPrefix      Op = "prefix"
	Contains       Op = "contains"
)

// Field is what a comparison is about. A label's is LabelPrefix and its key.
type Field string

// The fields of measurements, of renditions, and of scores.
const (
	FieldName       Field = "name" // the ID
	FieldState      Field = "state"
	FieldClass      Field = "class"
	FieldOwner      Field = "owner"
	FieldCreateTime Field = "create_time"
	FieldFinishTime Field = "finish_time" // not there before the end
	LabelPrefix     Field = "labels."

	FieldReferencePath      Field = "reference.path" // below its media root
	FieldReferenceCodec     Field = "reference.codec"
	FieldReferenceWidth     Field = "reference.width" // in samples, as decoded
	FieldReferenceHeight    Field = "reference.height"
	FieldReferenceFrameRate Field = "reference.frame_rate" // frames a second

	FieldRenditionName  Field = "rendition.name"
	FieldRenditionPath  Field = "rendition.path"
	FieldRenditionCodec Field = "rendition.codec"
	FieldWidth          Field = "width" // of the rendition, in samples, as decoded
	FieldHeight         Field = "height"
	FieldBitDepth       Field = "bit_depth"
	FieldBitRate        Field = "bit_rate" // bit/s
	FieldFrameRate      Field = "frame_rate"

	FieldModel        Field = "model" // name or version: = and != look at both, the others at the name
	FieldModelVersion Field = "model_version"
	FieldModelDigest  Field = "model_digest"
	FieldSeries       Field = "series" // stored name, or as logs have it; likewise
	FieldPooling      Field = "pooling"
	FieldScore        Field = "score"
)

type fieldType byte

const (
	textField fieldType = iota
	numberField
	timeField
)

// level is what a field belongs to.
type level byte

const (
	ofMeasurementLevel level = iota
	ofRenditionLevel
	ofScoreLevel
)

var fields = map[Field]struct {
	kind  fieldType
	level level
}{
	FieldName: {textField, ofMeasurementLevel}, FieldState: {textField, ofMeasurementLevel}, FieldClass: {textField, ofMeasurementLevel},
	FieldOwner: {textField, ofMeasurementLevel}, FieldCreateTime: {timeField, ofMeasurementLevel}, FieldFinishTime: {timeField, ofMeasurementLevel},
	FieldReferencePath: {textField, ofMeasurementLevel}, FieldReferenceCodec: {textField, ofMeasurementLevel},
	FieldReferenceWidth: {numberField, ofMeasurementLevel}, FieldReferenceHeight: {numberField, ofMeasurementLevel},
	FieldReferenceFrameRate: {numberField, ofMeasurementLevel},
	FieldRenditionName:      {textField, ofRenditionLevel}, FieldRenditionPath: {textField, ofRenditionLevel},
	FieldRenditionCodec: {textField, ofRenditionLevel}, FieldWidth: {numberField, ofRenditionLevel}, FieldHeight: {numberField, ofRenditionLevel},
	FieldBitDepth: {numberField, ofRenditionLevel}, FieldBitRate: {numberField, ofRenditionLevel}, FieldFrameRate: {numberField, ofRenditionLevel},
	FieldModel: {textField, ofScoreLevel}, FieldModelVersion: {textField, ofScoreLevel}, FieldModelDigest: {textField, ofScoreLevel},
	FieldSeries: {textField, ofScoreLevel}, FieldPooling: {textField, ofScoreLevel}, FieldScore: {numberField, ofScoreLevel},
}

// node is an expression made ready for evaluation.
type node struct {
	op     nodeOp
	kids   []*node
	level  level // the lowest that any comparison below is about
	field  Field
	label  string // the key, of a label's comparison
	cmp    Op
	text   string
	number float64
	time   time.Time
}

type nodeOp byte

const (
	nodeAnd nodeOp = iota
	nodeOr
	nodeNot
	nodeCompare
	nodeLabel // label = its key; text, cmp
	nodeHasLabel
)

// maxDepth and maxNodes bound expressions: they may come from far.
const (
	maxDepth = 64
	maxNodes = 2048
)

// compile checks an expression and makes it ready. nil stands for all.
func compile(e Expr) (*node, error) {
	n := 0
	return compileAt(e, 0, &n)
}

func compileAt(e Expr, depth int, count *int) (*node, error) {
	if *count++; *count > maxNodes || depth > maxDepth {
		return nil, fmt.Errorf("%w: more than %d terms, or nested more than %d deep", ErrQuery, maxNodes, maxDepth)
	}
	list := func(op nodeOp, of []Expr) (*node, error) {
		n := &node{op: op}
		for _, kid := range of {
			k, err := compileAt(kid, depth+1, count)
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, k)
			n.level = max(n.level, k.level)
		}
		return n, nil
	}
	switch e := e.(type) {
	case nil:
		return &node{op: nodeAnd}, nil
	case And:
		return list(nodeAnd, e)
	case Or:
		return list(nodeOr, e)
	case Not:
		return list(nodeNot, []Expr{e.Expr})
	case HasLabel:
		return &node{op: nodeHasLabel, label: e.Key}, nil
	case Compare:
		return compileCompare(e)
	}
	return nil, fmt.Errorf("%w: %T is not an expression", ErrQuery, e)
}

func compileCompare(c Compare) (*node, error) {
	n := &node{op: nodeCompare, field: c.Field, cmp: c.Op}
	kind := textField
	if key, ok := strings.CutPrefix(string(c.Field), string(LabelPrefix)); ok {
		n.op, n.label = nodeLabel, key
	} else if f, ok := fields[c.Field]; ok {
		kind, n.level = f.kind, f.level
	} else {
		return nil, fmt.Errorf("%w: no field %q", ErrQuery, c.Field)
	}
	switch c.Op {
	case Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual:
	case HasPrefix, Contains:
		if kind != textField {
			return nil, fmt.Errorf("%w: %s is not text: %q cannot be asked of it", ErrQuery, c.Field, c.Op)
		}
	default:
		return nil, fmt.Errorf("%w: no operator %q", ErrQuery, c.Op)
	}
	ok := false
	switch kind {
	case textField:
		switch v := c.Value.(type) {
		case string:
			n.text, ok = v, true
		case State:
			n.text, ok = string(v), true
		case Class:
			n.text, ok = string(v), true
		case MeasurementID:
			n.text, ok = string(v), true
		}
	case numberField:
		switch v := c.Value.(type) {
		case int:
			n.number, ok = float64(v), true
		case int64:
			n.number, ok = float64(v), true
		case float64:
			n.number, ok = v, true
		}
	case timeField:
		n.time, ok = c.Value.(time.Time)
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s cannot be compared with %v, a %T", ErrQuery, c.Field, c.Value, c.Value)
	}
	return n, nil
}

// row is what an expression is evaluated on; indexes of −1: it has none.
type row struct {
	facts     *facts
	rendition int
	score     int
	pool      int
}

// holds evaluates the expression on a row.
func (n *node) holds(r *row) bool {
	switch n.op {
	case nodeAnd:
		for _, kid := range n.kids {
			if !kid.holds(r) {
				return false
			}
		}
		return true
	case nodeOr:
		for _, kid := range n.kids {
			if kid.holds(r) {
				return true
			}
		}
		return false
	case nodeNot:
		return !n.kids[0].holds(r)
	case nodeHasLabel:
		_, ok := r.facts.label(n.label)
		return ok
	case nodeLabel:
		v, ok := r.facts.label(n.label)
		return ok && n.textHolds(v)
	}
	return n.compareHolds(r)
}

func (n *node) compareHolds(r *row) bool {
	f := r.facts
	switch n.level {
	case ofMeasurementLevel:
		switch n.field {
		case FieldName:
			return n.textHolds(string(f.id))
		case FieldState:
			return n.textHolds(f.state)
		case FieldClass:
			return n.textHolds(f.class)
		case FieldOwner:
			return n.textHolds(f.owner)
		case FieldCreateTime:
			return n.timeHolds(f.created)
		case FieldFinishTime:
			return !f.finished.IsZero() && n.timeHolds(f.finished)
		case FieldReferencePath:
			return n.textHolds(f.reference.path)
		case FieldReferenceCodec:
			return f.reference.codec != "" && n.textHolds(f.reference.codec)
		case FieldReferenceWidth:
			return n.countHolds(f.reference.width)
		case FieldReferenceHeight:
			return n.countHolds(f.reference.height)
		case FieldReferenceFrameRate:
			return f.reference.rate > 0 && n.numberHolds(f.reference.rate)
		}
	case ofRenditionLevel:
		if r.rendition < 0 {
			return false
		}
		d := &f.renditions[r.rendition]
		switch n.field {
		case FieldRenditionName:
			return n.textHolds(d.name)
		case FieldRenditionPath:
			return n.textHolds(d.video.path)
		case FieldRenditionCodec:
			return d.video.codec != "" && n.textHolds(d.video.codec)
		case FieldWidth:
			return n.countHolds(d.video.width)
		case FieldHeight:
			return n.countHolds(d.video.height)
		case FieldBitDepth:
			return n.countHolds(d.video.depth)
		case FieldBitRate:
			return d.video.bitRate > 0 && n.numberHolds(float64(d.video.bitRate))
		case FieldFrameRate:
			return d.video.rate > 0 && n.numberHolds(d.video.rate)
		}
	case ofScoreLevel:
		if r.score < 0 {
			return false
		}
		return n.scoreHolds(f, &f.renditions[r.rendition].scores[r.score], r.pool)
	}
	return false
}

func (n *node) scoreHolds(f *facts, s *scoreFact, pool int) bool {
	switch n.field {
	case FieldSeries:
		return n.eitherHolds(s.series, s.alias)
	case FieldPooling:
		return n.textHolds(s.pools[pool].method)
	case FieldScore:
		return n.numberHolds(s.pools[pool].value)
	}
	if s.model < 0 {
		return false
	}
	m := &f.models[s.model]
	switch n.field {
	case FieldModel:
		return n.eitherHolds(m.name, m.version)
	case FieldModelVersion:
		return m.version != "" && n.textHolds(m.version)
	case FieldModelDigest:
		return m.digest != "" && n.textHolds(m.digest)
	}
	return false
}

// eitherHolds compares with something that has two names.
func (n *node) eitherHolds(name, other string) bool {
	switch n.cmp {
	case Equal:
		return name == n.text || other != "" && other == n.text
	case NotEqual:
		return name != n.text && other != n.text
	}
	return n.textHolds(name)
}

func (n *node) textHolds(v string) bool {
	switch n.cmp {
	case HasPrefix:
		return strings.HasPrefix(v, n.text)
	case Contains:
		return strings.Contains(v, n.text)
	case Equal:
		return v == n.text
	case NotEqual:
		return v != n.text
	}
	return n.ordered(strings.Compare(v, n.text))
}

func (n *node) timeHolds(v time.Time) bool { return n.ordered(v.Compare(n.time)) }

// countHolds compares a number of which 0 stands for not known.
func (n *node) countHolds(v int) bool { return v > 0 && n.numberHolds(float64(v)) }

// numberHolds compares as IEEE 754 does, but for NaN, with which not even != holds.
func (n *node) numberHolds(v float64) bool {
	switch {
	case v < n.number:
		return n.ordered(-1)
	case v > n.number:
		return n.ordered(1)
	case v == n.number:
		return n.ordered(0)
	}
	return false
}

func (n *node) ordered(c int) bool {
	switch n.cmp {
	case Equal:
		return c == 0
	case NotEqual:
		return c != 0
	case Less:
		return c < 0
	case LessOrEqual:
		return c <= 0
	case Greater:
		return c > 0
	default:
		return c >= 0
	}
}

// matches says whether any row of a measurement holds.
func (n *node) matches(f *facts) bool {
	found := false
	f.rows(n.level, func(r *row) bool {
		found = n.holds(r)
		return !found
	})
	return found
}

// rows gives the rows of a measurement, told apart as far down as a level, until fn returns false. The row is used again.
func (f *facts) rows(to level, fn func(r *row) bool) {
	r := row{facts: f, rendition: -1, score: -1, pool: -1}
	if to == ofMeasurementLevel || len(f.renditions) == 0 {
		fn(&r)
		return
	}
	for r.rendition = range f.renditions {
		r.score, r.pool = -1, -1
		scored := false
		if to == ofScoreLevel {
			for r.score = range f.renditions[r.rendition].scores {
				for r.pool = range f.renditions[r.rendition].scores[r.score].pools {
					scored = true
					if !fn(&r) {
						return
					}
				}
			}
			r.score, r.pool = -1, -1
		}
		if !scored && !fn(&r) {
			return
		}
	}
}
