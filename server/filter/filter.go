package filter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.einride.tech/aip/filtering"
	expr "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"github.com/vqsd/vqsd/store"
)

// Bounds of a filter.
const (
	MaxBytes       = 4096
	MaxDepth       = 16  // parentheses within each other
	MaxComparisons = 100 // in all
)

// Error says what is wrong with a filter, and where.
type Error struct {
	Line, Column int // from 1, in characters
	Err          error
}

func (e *Error) Error() string {
	if e.Line > 1 {
		return fmt.Sprintf("line %d, column %d: %v", e.Line, e.Column, e.Err)
	}
	return fmt.Sprintf("column %d: %v", e.Column, e.Err)
}
func (e *Error) Unwrap() error { return e.Err }

// Parse makes an expression of a filter; nil, which is all, of an empty one. Errors: *[Error].
func Parse(text string) (store.Expr, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if len(text) > MaxBytes {
		return nil, &Error{1, 1, fmt.Errorf("the filter has %d bytes; at most %d are allowed", len(text), MaxBytes)}
	}
	// The parser trims what it gets, and counts from there.
	lead := text[:len(text)-len(strings.TrimLeft(text, " \t\r\n\v\f"))]
	t := translator{text: text, lead: len(lead)}
	if err := t.scan(); err != nil {
		return nil, err
	}
	var p filtering.Parser
	p.Init(text[t.lead:])
	parsed, err := p.Parse()
	if err != nil {
		return nil, t.parserError(err)
	}
	t.positions = parsed.GetSourceInfo().GetPositions()
	return t.expression(parsed.GetExpr())
}

// translator makes store expressions of the parser's.
type translator struct {
	text        string
	lead        int // bytes of white space in front, which the parser does not see
	positions   map[int64]int32
	comparisons int
}

// at is an error at an offset of what the parser saw.
func (t *translator) at(offset int, err error) *Error {
	before := t.text[:min(t.lead+max(offset, 0), len(t.text))]
	line := strings.Count(before, "\n")
	return &Error{Line: line + 1, Column: len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1, Err: err}
}

// of is an error at an expression.
func (t *translator) of(e *expr.Expr, format string, args ...any) *Error {
	return t.at(int(t.positions[e.GetId()]), fmt.Errorf(format, args...))
}

// scan refuses what is too deep before the parser, which recurses, and backtracks, gets to see it.
func (t *translator) scan() error {
	var lexer filtering.Lexer
	lexer.Init(strings.TrimSpace(t.text))
	depth := 0
	for {
		token, err := lexer.Lex()
		if err != nil {
			return t.lexerEnd(err)
		}
		switch token.Type {
		case filtering.TokenTypeLeftParen:
			if depth++; depth > MaxDepth {
				return t.at(int(token.Position.Offset), fmt.Errorf("more than %d parentheses within each other", MaxDepth))
			}
		case filtering.TokenTypeRightParen:
			depth--
		}
	}
}

// positioned is an error of the parser or the lexer.
type positioned interface {
	error
	Position() filtering.Position
	Message() string
}

// lexerEnd is nil at the end of the text.
func (t *translator) lexerEnd(err error) error {
	if e, ok := errors.AsType[positioned](err); ok {
		return t.at(int(e.Position().Offset), errors.New(e.Message()))
	}
	return nil
}

// parserError has the innermost of the parser's errors, which says what is wrong; those around it say what was being read.
func (t *translator) parserError(err error) error {
	offset, message := 0, "it cannot be read"
	for ; err != nil; err = errors.Unwrap(err) {
		if e, ok := errors.AsType[positioned](err); ok {
			offset, message = int(e.Position().Offset), e.Message()
			err = e
		} else if err.Error() == "EOF" {
			offset, message = len(t.text)-t.lead, "it ends too early"
		} else {
			message = err.Error() // of a number
		}
	}
	return t.at(offset, errors.New(message))
}

func (t *translator) expression(e *expr.Expr) (store.Expr, error) {
	call := e.GetCallExpr()
	if call == nil {
		return nil, t.of(e, "a comparison is expected, as in state = SUCCEEDED")
	}
	args := call.GetArgs()
	switch f := call.GetFunction(); f {
	case filtering.FunctionAnd, filtering.FunctionFuzzyAnd, filtering.FunctionOr:
		// Long chains lean to the left: they are walked, not recursed into.
		var terms []*expr.Expr
		for {
			c := e.GetCallExpr()
			if c == nil || c.GetFunction() != f || len(c.GetArgs()) != 2 {
				break
			}
			terms = append(terms, c.GetArgs()[1])
			e = c.GetArgs()[0]
		}
		list := make([]store.Expr, len(terms)+1)
		var err error
		if list[0], err = t.expression(e); err != nil {
			return nil, err
		}
		for i := range terms {
			if list[i+1], err = t.expression(terms[len(terms)-1-i]); err != nil {
				return nil, err
			}
		}
		if f == filtering.FunctionOr {
			return store.Or(list), nil
		}
		return store.And(list), nil
	case filtering.FunctionNot:
		if len(args) != 1 {
			return nil, t.of(e, "NOT takes one expression")
		}
		x, err := t.expression(args[0])
		if err != nil {
			return nil, err
		}
		return store.Not{Expr: x}, nil
	case filtering.FunctionEquals, filtering.FunctionNotEquals, filtering.FunctionLessThan, filtering.FunctionLessEquals,
		filtering.FunctionGreaterThan, filtering.FunctionGreaterEquals, filtering.FunctionHas:
		if len(args) != 2 {
			return nil, t.of(e, "%s takes two sides", f)
		}
		if t.comparisons++; t.comparisons > MaxComparisons {
			return nil, t.of(e, "more than %d comparisons", MaxComparisons)
		}
		return t.comparison(e, f, args[0], args[1])
	default:
		return nil, t.of(e, "there is no function %q", f)
	}
}

// comparison is one restriction.
func (t *translator) comparison(e *expr.Expr, op string, left, right *expr.Expr) (store.Expr, error) {
	path, ok := pathOf(left)
	if !ok {
		return nil, t.of(left, "a field's name is expected on the left")
	}
	value, err := t.literal(right)
	if err != nil {
		return nil, err
	}
	if path[0] == "labels" {
		return t.label(e, op, path[1:], left, value)
	}
	f, err := find(strings.Join(path, "."))
	if err != nil {
		return nil, t.at(int(t.positions[left.GetId()]), err)
	}
	if op == filtering.FunctionHas && !f.kind.wild {
		return nil, t.of(e, "%q is for text and labels; compare %s with =", op, f.name)
	}
	if !f.kind.ordered && op != filtering.FunctionEquals && op != filtering.FunctionNotEquals {
		return nil, t.of(e, "%s has no order: it is compared with = and !=", f.name)
	}
	v, err := f.kind.value(value)
	if err != nil {
		return nil, t.at(int(t.positions[right.GetId()]), fmt.Errorf("%s: %w", f.name, err))
	}
	return comparing(f, op, v), nil
}

// label compares a label, or asks whether there is one: labels.KEY = "x", labels.KEY:*, labels:KEY.
func (t *translator) label(e *expr.Expr, op string, path []string, left *expr.Expr, value literal) (store.Expr, error) {
	key := strings.Join(path, ".")
	has := op == filtering.FunctionHas
	switch {
	case has && key == "":
		key = value.text
	case has && value.text != "*":
		return nil, t.of(e, `labels.%s:* asks whether there is the label; compare its value with =`, key)
	case key == "":
		return nil, t.of(left, "labels.KEY is expected, with a label's key")
	case !has && op != filtering.FunctionEquals && op != filtering.FunctionNotEquals:
		return nil, t.of(e, "labels have no order: they are compared with = and !=")
	}
	if !labelKey.MatchString(key) {
		return nil, t.of(left, `%q is no label's key; one with a "-" is written in quotes, as in labels."my-key"`, key)
	}
	if has {
		return store.HasLabel{Key: key}, nil
	}
	return comparing(field{store: store.LabelPrefix + store.Field(key), kind: text}, op, value.text), nil
}

// pathOf is the parts of a name with dots between them.
func pathOf(e *expr.Expr) ([]string, bool) {
	var parts []string
	for {
		switch k := e.GetExprKind().(type) {
		case *expr.Expr_IdentExpr:
			parts = append(parts, k.IdentExpr.GetName())
			for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
				parts[i], parts[j] = parts[j], parts[i]
			}
			return parts, true
		case *expr.Expr_SelectExpr:
			parts = append(parts, k.SelectExpr.GetField())
			e = k.SelectExpr.GetOperand()
		default:
			return nil, false
		}
	}
}

// literal is the right side: a string, a number, or text without quotes.
func (t *translator) literal(e *expr.Expr) (literal, error) {
	if path, ok := pathOf(e); ok {
		return textual(strings.Join(path, ".")), nil
	}
	switch k := e.GetConstExpr().GetConstantKind().(type) {
	case *expr.Constant_StringValue:
		return textual(k.StringValue), nil
	case *expr.Constant_Int64Value:
		return literal{text: strconv.FormatInt(k.Int64Value, 10), number: float64(k.Int64Value), isNum: true, isInt: true, int: k.Int64Value}, nil
	case *expr.Constant_DoubleValue:
		return literal{text: strconv.FormatFloat(k.DoubleValue, 'g', -1, 64), number: k.DoubleValue, isNum: true}, nil
	}
	return literal{}, t.of(e, "a value is expected on the right")
}

// textual is a literal that was written as text. Digits in quotes are no number.
func textual(s string) literal { return literal{text: s} }
