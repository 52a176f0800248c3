package filter

import (
	"strings"

	"go.einride.tech/aip/filtering"

	"github.com/vqsd/vqsd/store"
)

// comparing is one comparison in the store's form. Text that ends in "*" is compared by what is before it; ":" asks whether text contains the
// value, and whether there is any at all if that is "*".
func comparing(f field, op string, value any) store.Expr {
	text, isText := value.(string)
	if f.kind.wild && isText {
		prefix, wild := strings.CutSuffix(text, "*")
		switch {
		case op == filtering.FunctionHas && text != "*":
			return store.Compare{Field: f.store, Op: store.Contains, Value: text}
		case wild && op == filtering.FunctionNotEquals:
			return store.Not{Expr: store.Compare{Field: f.store, Op: store.HasPrefix, Value: prefix}}
		case wild:
			return store.Compare{Field: f.store, Op: store.HasPrefix, Value: prefix}
		}
	}
	return store.Compare{Field: f.store, Op: operators[op], Value: value}
}

// operators are the language's.
var operators = map[string]store.Op{
	filtering.FunctionEquals: store.Equal, filtering.FunctionNotEquals: store.NotEqual,
	filtering.FunctionLessThan: store.Less, filtering.FunctionLessEquals: store.LessOrEqual,
	filtering.FunctionGreaterThan: store.Greater, filtering.FunctionGreaterEquals: store.GreaterOrEqual,
}
