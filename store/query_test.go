package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/vqsd/vqsd/vmaf"
)

// answerOf answers a query by looking at every record: what Query has to equal. It shares nothing with it but what an expression is.
func answerOf(all []*Measurement, q Query) []string {
	type line struct {
		text  string
		id    MeasurementID
		key   float64
		time  time.Time
		order int
	}
	var lines []line
	for _, m := range all {
		if q.Roots != nil {
			if !slices.Contains(q.Roots, m.Request.Reference.Root) || slices.ContainsFunc(m.Request.Renditions, func(r RenditionRequest) bool { return !slices.Contains(q.Roots, r.Source.Root) }) {
				continue
			}
		}
		any := false
		for i := range m.Renditions {
			d := &m.Renditions[i]
			rows := 0
			for j := range d.Scores {
				for _, p := range d.Scores[j].Pooled {
					rows++
					if !naive(q.Filter, m, i, &d.Scores[j], &p) {
						continue
					}
					any = true
					if q.Granularity == Scores {
						lines = append(lines, line{fmt.Sprintf("%s %d %s %s %v", m.ID, i, d.Scores[j].Series, p.Method, p.Value), m.ID, p.Value, m.Created, len(lines)})
					}
				}
			}
			if rows == 0 && naive(q.Filter, m, i, nil, nil) {
				any = true
			}
		}
		if any && q.Granularity == Measurements {
			lines = append(lines, line{string(m.ID), m.ID, 0, m.Finished, len(lines)})
		}
	}
	order := OrderBy{FieldCreateTime, true}
	if len(q.Order) > 0 {
		order = q.Order[0]
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		c := 0
		switch order.Field {
		case FieldScore:
			c = cmp.Compare(a.key, b.key)
		case FieldFinishTime:
			c = a.time.Compare(b.time) // those that have not ended have the zero time
		}
		if c == 0 {
			c = cmp.Compare(a.id, b.id)
		}
		if order.Desc {
			c = -c
		}
		if c == 0 {
			c = a.order - b.order
		}
		return c
	})
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = l.text
	}
	return texts
}

// naive evaluates an expression on one row of a record.
func naive(e Expr, m *Measurement, rendition int, s *Score, p *Pooled) bool {
	switch e := e.(type) {
	case nil:
		return true
	case And:
		return !slices.ContainsFunc(e, func(k Expr) bool { return !naive(k, m, rendition, s, p) })
	case Or:
		return slices.ContainsFunc(e, func(k Expr) bool { return naive(k, m, rendition, s, p) })
	case Not:
		return !naive(e.Expr, m, rendition, s, p)
	case HasLabel:
		_, ok := m.Request.Labels[e.Key]
		return ok
	case Compare:
		values := naiveValues(e.Field, m, rendition, s, p)
		switch e.Op {
		case NotEqual:
			return len(values) > 0 && !slices.ContainsFunc(values, func(v any) bool { return naiveCompare(v, e.Value, Equal) })
		case Equal:
			return slices.ContainsFunc(values, func(v any) bool { return naiveCompare(v, e.Value, Equal) })
		}
		return len(values) > 0 && naiveCompare(values[0], e.Value, e.Op)
	}
	panic("unknown expression")
}

// naiveValues gives what a row has for a field: none, one, or two names.
func naiveValues(f Field, m *Measurement, rendition int, s *Score, p *Pooled) []any {
	text := func(v string) []any {
		if v == "" {
			return nil
		}
		return []any{v}
	}
	number := func(v float64) []any {
		if v <= 0 {
			return nil
		}
		return []any{v}
	}
	class := m.Request.Class
	if m.Plan != nil {
		class = m.Plan.Class
	}
	if key, ok := strings.CutPrefix(string(f), "labels."); ok {
		if v, ok := m.Request.Labels[key]; ok {
			return []any{v}
		}
		return nil
	}
	rate := func(v *Video) []any { return number(float64(v.FrameRateNum) / float64(v.FrameRateDen)) }
	switch f {
	case FieldName:
		return []any{string(m.ID)}
	case FieldState:
		return []any{string(m.State)}
	case FieldClass:
		return []any{string(class)}
	case FieldOwner:
		return []any{m.Owner}
	case FieldCreateTime:
		return []any{m.Created}
	case FieldFinishTime:
		if m.Finished.IsZero() {
			return nil
		}
		return []any{m.Finished}
	case FieldReferencePath:
		return []any{m.Request.Reference.Path}
	case FieldRenditionName:
		return []any{m.Request.Renditions[rendition].Name}
	case FieldRenditionPath:
		return []any{m.Request.Renditions[rendition].Source.Path}
	case FieldReferenceCodec, FieldReferenceWidth, FieldReferenceHeight, FieldReferenceFrameRate:
		v := m.Reference
		if v == nil {
			return nil
		}
		return map[Field][]any{FieldReferenceCodec: text(v.Codec), FieldReferenceWidth: number(float64(v.Width)), FieldReferenceHeight: number(float64(v.Height)), FieldReferenceFrameRate: rate(v)}[f]
	case FieldRenditionCodec, FieldWidth, FieldHeight, FieldBitDepth, FieldBitRate, FieldFrameRate:
		v := m.Renditions[rendition].Video
		if v == nil {
			return nil
		}
		return map[Field][]any{FieldRenditionCodec: text(v.Codec), FieldWidth: number(float64(v.Width)), FieldHeight: number(float64(v.Height)),
			FieldBitDepth: number(float64(v.BitDepth)), FieldBitRate: number(float64(v.BitRate)), FieldFrameRate: rate(v)}[f]
	}
	if s == nil {
		return nil
	}
	switch f {
	case FieldSeries:
		return []any{s.Series, vmaf.Alias(s.Series)}
	case FieldPooling:
		return []any{string(p.Method)}
	case FieldScore:
		return []any{p.Value}
	}
	for _, model := range m.Plan.Models {
		if model.Name == s.Model {
			switch f {
			case FieldModel:
				return []any{model.Name, model.Version}
			case FieldModelVersion:
				return []any{model.Version}
			case FieldModelDigest:
				return []any{model.Digest}
			}
		}
	}
	return nil
}

func naiveCompare(v, with any, op Op) bool {
	c := 0
	switch v := v.(type) {
	case string:
		w := fmt.Sprint(with)
		switch op {
		case HasPrefix:
			return strings.HasPrefix(v, w)
		case Contains:
			return strings.Contains(v, w)
		}
		c = cmp.Compare(v, w)
	case float64:
		w, err := strconv.ParseFloat(fmt.Sprint(with), 64)
		if err != nil {
			panic(err)
		}
		c = cmp.Compare(v, w)
	case time.Time:
		c = v.Compare(with.(time.Time))
	}
	switch op {
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
	}
	return c >= 0
}

// allPages follows a query through all of its pages.
func allPages(t testing.TB, s *Store, q Query) []string {
	t.Helper()
	var texts []string
	for {
		page, err := s.Query(context.Background(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if n := len(page.Measurements) + len(page.Rows); n > max(q.PageSize, 0) && q.PageSize > 0 || n == 0 && page.NextPageToken != "" {
			t.Fatalf("%+v: a page of %d", q, n)
		}
		for _, m := range page.Measurements {
			texts = append(texts, string(m.ID))
		}
		for _, r := range page.Rows {
			texts = append(texts, fmt.Sprintf("%s %d %s %s %v", r.Measurement.ID, r.Rendition, r.Series, r.Pooling, r.Value))
		}
		if page.NextPageToken == "" {
			return texts
		}
		q.PageToken = page.NextPageToken
	}
}

// randomExpr makes an expression over what synthetic measurements have.
func randomExpr(r *rand.Rand, all []*Measurement, depth int) Expr {
	if depth > 0 && r.IntN(3) > 0 {
		kids := make([]Expr, 1+r.IntN(3))
		for i := range kids {
			kids[i] = randomExpr(r, all, depth-1)
		}
		switch r.IntN(5) {
		case 0:
			return Or(kids)
		case 1:
			return Not{kids[0]}
		}
		return And(kids)
	}
	if r.IntN(20) == 0 {
		return HasLabel{[]string{"title", "campaign", "nothing"}[r.IntN(3)]}
	}
	names := []Field{"labels.title", "labels.campaign", "labels.note", "labels.nothing"}
	for f := range fields {
		names = append(names, f)
	}
	slices.Sort(names)
	c := Compare{Field: names[r.IntN(len(names))]}
	// The value is one that some measurement has.
	m := all[r.IntN(len(all))]
	var s *Score
	var p *Pooled
	rendition := r.IntN(2)
	if scores := m.Renditions[rendition].Scores; len(scores) > 0 {
		s = &scores[r.IntN(len(scores))]
		p = &s.Pooled[r.IntN(len(s.Pooled))]
	}
	values := naiveValues(c.Field, m, rendition, s, p)
	if len(values) == 0 {
		return randomExpr(r, all, depth)
	}
	c.Value = values[r.IntN(len(values))]
	ops := []Op{Equal, Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual, HasPrefix, Contains}
	if text, ok := c.Value.(string); !ok {
		ops = ops[:7]
	} else if c.Op = ops[r.IntN(len(ops))]; c.Op == HasPrefix || c.Op == Contains {
		c.Value = text[:r.IntN(len(text)+1)]
		return c
	}
	c.Op = ops[r.IntN(len(ops))]
	if c.Op == HasPrefix || c.Op == Contains {
		c.Op = Equal
	}
	return c
}

func randomQuery(r *rand.Rand, all []*Measurement) Query {
	q := Query{Filter: randomExpr(r, all, r.IntN(4)), Granularity: Granularity(r.IntN(2)), PageSize: 1 + r.IntN(maxPage)}
	orders := []Field{"", FieldCreateTime, FieldName, FieldFinishTime}
	if q.Granularity == Scores {
		orders[3] = FieldScore
	}
	if f := orders[r.IntN(len(orders))]; f != "" {
		q.Order = []OrderBy{{f, r.IntN(2) == 0}}
	}
	if r.IntN(4) == 0 {
		q.Roots = []string{"root-0", "root-2"}[:r.IntN(3)]
	}
	return q
}

// Every query gives exactly what looking at every record does, in order, page by page: with the limits as they are, and with tiny ones, which lead to
// every way of answering.
func TestQuery_EqualsLookingAtEverything(t *testing.T) {
	count := 2000
	if testing.Short() {
		count = 300
	}
	t.Run("usual limits", func(t *testing.T) { testQueries(t, count, usualLimits) })
	t.Run("tiny limits", func(t *testing.T) {
		testQueries(t, 300, planLimits{fewEntries: 8, walkBudget: 10, manyEntries: 300, sortEntries: 12, fewDistinct: 5, stepsPerSeek: 1, denserBy: 2})
	})
}

func testQueries(t *testing.T, count int, limits planLimits) {
	queries := 80
	if testing.Short() {
		queries = 25
	}
	s := openTest(t, testConfig(t.TempDir()))
	all := make([]*Measurement, count)
	bulkLoad(t, s, count, func(n int) *Measurement { all[n] = synthetic(n); return all[n] })
	s.limits = limits
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("VQSD_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	r := rand.New(rand.NewPCG(seed, 0))
	matched := 0
	for i := range queries {
		q := randomQuery(r, all)
		want := answerOf(all, q)
		if len(want) > 100 {
			q.PageSize = max(q.PageSize, len(want)/20+1)
		}
		q.PageSize = min(q.PageSize, maxPage)
		got := allPages(t, s, q)
		if !slices.Equal(want, got) {
			t.Fatalf("VQSD_SEED=%d, query %d\n%+v\n%d lines instead of %d (-want +got):\n%.4000s", seed, i, q, len(got), len(want), gocmp.Diff(want, got))
		}
		if len(want) > 0 {
			matched++
		}
	}
	t.Logf("VQSD_SEED=%d: %d of %d queries have answers", seed, matched, queries)
}

func TestQuery_Refuses(t *testing.T) {
	s := openTest(t, testConfig(t.TempDir()))
	deep := Expr(And{})
	for range maxDepth + 1 {
		deep = Not{deep}
	}
	for name, q := range map[string]Query{
		"an unknown field":         {Filter: Compare{"colour", Equal, "red"}},
		"an unknown operator":      {Filter: Compare{FieldState, "~", "x"}},
		"a number for text":        {Filter: Compare{FieldState, Equal, 1}},
		"text for a number":        {Filter: Compare{FieldScore, Less, "1"}},
		"text for a time":          {Filter: Compare{FieldCreateTime, Less, "now"}},
		"a prefix of a number":     {Filter: Compare{FieldScore, HasPrefix, 1}},
		"no expression":            {Filter: And{Not{Or{nil}}, (*bad)(nil)}},
		"too deep":                 {Filter: deep},
		"too long":                 {Filter: make(And, maxNodes)},
		"two orders":               {Order: []OrderBy{{FieldName, true}, {FieldName, true}}},
		"an order of other things": {Order: []OrderBy{{FieldState, true}}},
		"scores of measurements":   {Order: []OrderBy{{FieldScore, true}}},
		"ends of scores":           {Order: []OrderBy{{FieldFinishTime, true}}, Granularity: Scores},
		"a granularity":            {Granularity: 7},
		"a page too large":         {PageSize: maxPage + 1},
		"a page of less than one":  {PageSize: -1},
		"a token of nonsense":      {PageToken: "nonsense"},
	} {
		if _, err := s.Query(context.Background(), q); !errors.Is(err, ErrQuery) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// bad is an expression from elsewhere.
type bad struct{}

func (*bad) expr() {}

// A query whose caller has gone ends soon, whatever it is walking.
func TestQuery_EndsWithItsContext(t *testing.T) {
	s := openTest(t, testConfig(t.TempDir()))
	bulkLoad(t, s, 3000, synthetic)
	none := Compare{FieldBitRate, Less, 0}
	for name, q := range map[string]Query{
		"over everything":     {Filter: none},
		"beside each other":   {Filter: And{none, Compare{FieldClass, Equal, string(ClassLatency)}, Compare{FieldOwner, NotEqual, "team-1"}, Compare{FieldRenditionCodec, Equal, "av1"}}},
		"by the end":          {Filter: none, Order: []OrderBy{{FieldFinishTime, true}}},
		"by score":            {Filter: none, Granularity: Scores, Order: []OrderBy{{FieldScore, true}}},
		"in a range":          {Filter: And{none, Compare{FieldScore, Greater, 1}}},
		"nothing in its time": {Filter: Compare{FieldCreateTime, Less, epoch}, Order: []OrderBy{{FieldFinishTime, true}}},
	} {
		ctx := &countdown{Context: context.Background(), left: 1} // over when it is looked at a second time
		if _, err := s.Query(ctx, q); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// countdown is a context that is cancelled when it has been looked at so often.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestQuery_PageTokens(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, testConfig(t.TempDir()))
	for n := range 10 {
		create(t, s, pendingMeasurement(n))
	}
	q := Query{PageSize: 4}
	page, err := s.Query(ctx, q)
	if err != nil || page.NextPageToken == "" {
		t.Fatalf("%+v, %v", page, err)
	}
	token := page.NextPageToken
	for i := range len(token) {
		forged := []byte(token)
		forged[i] ^= 1
		if _, err := s.Query(ctx, Query{PageSize: 4, PageToken: string(forged)}); !errors.Is(err, ErrQuery) {
			t.Errorf("forged at %d: %v", i, err)
		}
	}
	for name, other := range map[string]Query{
		"another filter":      {Filter: Compare{FieldState, Equal, "pending"}},
		"another order":       {Order: []OrderBy{{FieldName, false}}},
		"another granularity": {Granularity: Scores},
		"other roots":         {Roots: []string{"media"}},
	} {
		other.PageToken = token
		if _, err := s.Query(ctx, other); !errors.Is(err, ErrQuery) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is stored or deleted between pages neither repeats nor hides anything else.
	create(t, s, pendingMeasurement(20))
	if err := s.Delete(ctx, pendingMeasurement(4).ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, page.Measurements[3].ID); err != nil { // the one that the token names
		t.Fatal(err)
	}
	q.PageToken, q.PageSize = token, 100
	page, err = s.Query(ctx, q)
	if err != nil || page.NextPageToken != "" {
		t.Fatalf("%+v, %v", page, err)
	}
	var got []MeasurementID
	for _, m := range page.Measurements {
		got = append(got, m.ID)
	}
	var want []MeasurementID
	for _, n := range []int{5, 3, 2, 1, 0} {
		want = append(want, pendingMeasurement(n).ID)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
}

func TestQuery_OwnersSeeTheirOwnWithoutARoot(t *testing.T) {
	s := openTest(t, testConfig(t.TempDir()))
	put := func(n int, owner, root string) MeasurementID {
		m := synthetic(n)
		m.Owner = owner
		m.Request.Reference.Root = root
		for i := range m.Request.Renditions {
			m.Request.Renditions[i].Source.Root = "clips"
		}
		if _, err := s.Create(t.Context(), m, "", [32]byte{}, nil); err != nil {
			t.Fatal(err)
		}
		return m.ID
	}
	mine, others, rooted := put(1, "me", ""), put(2, "else", ""), put(3, "else", "clips")
	for _, c := range []struct {
		name  string
		query Query
		want  []MeasurementID
	}{
		{"who may use all roots", Query{}, []MeasurementID{mine, others, rooted}},
		{"the owner", Query{Roots: []string{"clips"}, Owner: "me"}, []MeasurementID{mine, rooted}},
		{"the owner without the other root", Query{Roots: []string{}, Owner: "me"}, nil},
		{"somebody without a name", Query{Roots: []string{"clips"}}, []MeasurementID{rooted}},
	} {
		c.query.Order = []OrderBy{{Field: FieldCreateTime}}
		page, err := s.Query(t.Context(), c.query)
		if err != nil {
			t.Fatal(err)
		}
		var got []MeasurementID
		for _, m := range page.Measurements {
			got = append(got, m.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s sees %v, want %v", c.name, got, c.want)
		}
	}
}
