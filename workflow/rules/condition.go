package rules

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"
)

// What bounds a condition.
const (
	maxConditionBytes = 4096
	// maxNesting is how deep brackets and operators nest: far above what can be read. Checking takes time with the third power of it
	// for lists in lists, at the parser's own 250 more than a second.
	maxNesting = 64
	// maxRecovery is how often the parser goes on behind a mistake to find more of them.
	maxRecovery = 10
	maxNodes    = 2000
	// maxCost is in the language's unit, about one operation or ten characters looked at: a fraction of a millisecond. It bounds the
	// estimate when rules are read, and the cost when they run.
	maxCost = 100_000
	// maxRegexpSize is in instructions.
	maxRegexpSize = 1000
	// What the estimate takes text and labels for at most.
	maxTextLength = 256
	maxLabels     = 64
)

// withoutClock are functions that conditions have no use for, and that would let them ask the machine for its time zones,
// or get around the check of types.
var withoutClock = []string{
	"timestamp", "duration", "getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek", "getHours", "getMinutes",
	"getSeconds", "getMilliseconds", "dyn", "type",
}

// environment is the language of conditions. It does not change once made.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	subset := env.NewLibrarySubset()
	for _, name := range withoutClock {
		subset.AddExcludedFunctions(env.NewFunction(name))
	}
	return cel.NewCustomEnv(
		cel.CustomTypeAdapter(registry),
		cel.CustomTypeProvider(provider{registry}),
		cel.StdLib(cel.StdLibSubset(subset)),
		cel.Variable(referenceVariable, objects[videoType].kind),
		cel.Variable(distortedVariable, objects[videoType].kind),
		cel.Variable(requestVariable, objects[requestType].kind),
		cel.CrossTypeNumericComparisons(true), // reference.frame_rate >= 48
		cel.ParserExpressionSizeLimit(maxConditionBytes),
		cel.ParserRecursionLimit(maxNesting),
		cel.ParserErrorRecoveryLimit(maxRecovery),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateHomogeneousAggregateLiterals(), cel.ValidateComprehensionNestingLimit(1)),
		cel.RegexProgramSizeLimit(maxRegexpSize),
	)
})

// condition is a compiled expression.
type condition struct {
	program cel.Program
	reads   []variableField // in the order of the text, each once
}

type variableField struct{ variable, field string }

// mistake is something wrong with an expression.
type mistake struct {
	line, column int // both from 1, the column in characters
	text         string
}

// compile checks an expression and prepares it. Either mistakes or the condition is nil.
func compile(expression string) (*condition, []mistake) {
	if len(expression) > maxConditionBytes {
		return nil, []mistake{{1, 1, fmt.Sprintf("the condition has %d bytes; %d are allowed; split the rule in two", len(expression), maxConditionBytes)}}
	}
	e, err := environment()
	if err != nil {
		return nil, []mistake{{1, 1, err.Error()}}
	}
	parsed, issues := e.Parse(expression)
	if issues.Err() != nil {
		return nil, mistakes(issues, nil)
	}
	if found := unusable(parsed.NativeRep()); found != nil {
		return nil, found
	}
	checked, issues := e.Check(parsed)
	if issues.Err() != nil {
		return nil, mistakes(issues, parsed.NativeRep())
	}
	if kind := checked.OutputType(); !kind.IsExactType(types.BoolType) {
		return nil, []mistake{{1, 1, fmt.Sprintf("a condition is true or false, and this one is of type %v; compare it with something", kind)}}
	}
	cost, err := e.EstimateCost(checked, sizes{})
	switch {
	case err != nil:
		return nil, []mistake{{1, 1, err.Error()}}
	case cost.Max > maxCost:
		return nil, []mistake{{1, 1, fmt.Sprintf("evaluating it may cost %d; %d is allowed; make it simpler", cost.Max, maxCost)}}
	}
	program, err := e.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil {
		return nil, []mistake{{1, 1, err.Error()}}
	}
	return &condition{program, fieldsRead(checked.NativeRep())}, nil
}

// holds evaluates the condition.
func (c *condition) holds(p *pair) (bool, error) {
	value, _, err := c.program.Eval(activation{p})
	if err != nil {
		if strings.Contains(err.Error(), "no such key") {
			return false, fmt.Errorf("%w; ask first whether it is there, as in %q in request.labels && …", err, "KEY")
		}
		return false, err
	}
	truth, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("gives %v, neither true nor false", value.Type())
	}
	return bool(truth), nil
}

// activation is a pair as the interpreter wants it.
type activation struct{ *pair }

func (a activation) ResolveName(name string) (any, bool) { return a.resolve(name) }

func (activation) Parent() cel.Activation { return nil }

// sizes bounds the length of what conditions look at.
type sizes struct{}

func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	size := uint64(maxTextLength)
	if kind := node.Type(); kind != nil && kind.Kind() == types.MapKind {
		size = maxLabels
	}
	if len(node.Path()) == 0 {
		return nil // not one of the inputs: the estimator knows better
	}
	return &checker.SizeEstimate{Max: size}
}

func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// mistakes are a compiler's, with what to write instead. parsed may be nil.
func mistakes(issues *cel.Issues, parsed *ast.AST) []mistake {
	var list []mistake
	for _, e := range issues.Errors() {
		list = append(list, mistake{max(e.Location.Line(), 1), max(e.Location.Column()+1, 1), explain(e, parsed)})
	}
	if len(list) == 0 {
		list = []mistake{{1, 1, issues.Err().Error()}}
	}
	return list
}

// explain is the compiler's message, with the names that there are where one is unknown.
func explain(e *common.Error, parsed *ast.AST) string {
	message := strings.ReplaceAll(e.Message, " (in container '')", "")
	message = strings.TrimPrefix(message, "Syntax error: ")
	if name, ok := quoted(message, "undefined field '"); ok && parsed != nil {
		if o, ok := owner(parsed, e.ExprID); ok {
			return fmt.Sprintf("there is no field %q%s; there are %s", name, suggest(name, o.names), strings.Join(o.names, ", "))
		}
	}
	if name, ok := quoted(message, "undeclared reference to '"); ok {
		if slices.Contains(withoutClock, name) {
			return fmt.Sprintf("conditions have no function %s", name)
		}
		return fmt.Sprintf("nothing is called %q%s; there are %s, and the language's functions", name, suggest(name, variableNames), strings.Join(variableNames, ", "))
	}
	if operands, ok := quoted(message, "applied to '"); ok {
		operator, _ := quoted(message, "overload for '")
		return fmt.Sprintf("%s cannot be applied to %s", strings.Trim(operator, "_"), operands)
	}
	if strings.Contains(message, "'<EOF>'") {
		return "the condition ends too early"
	}
	if strings.Contains(message, "invalid matches argument") {
		return "that is no regular expression (RE2), or a very large one"
	}
	return strings.Join(strings.Fields(message), " ")
}

// quoted is the name in a message behind some text that ends in a quote.
func quoted(message, before string) (string, bool) {
	_, rest, found := strings.Cut(message, before)
	if !found {
		return "", false
	}
	name, _, found := strings.Cut(rest, "'")
	return name, found
}

// owner is the type of the variable whose field the expression of that id selects.
func owner(parsed *ast.AST, id int64) (found object, ok bool) {
	ast.PreOrderVisit(parsed.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == id && e.Kind() == ast.SelectKind && e.AsSelect().Operand().Kind() == ast.IdentKind {
			found, ok = objectOf(e.AsSelect().Operand().AsIdent())
		}
	}))
	return found, ok
}

// unusable are uses of the inputs that could only fail when the condition is evaluated: as a whole, or made up.
func unusable(parsed *ast.AST) []mistake {
	selected := map[int64]bool{}
	ast.PreOrderVisit(parsed.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.SelectKind {
			selected[e.AsSelect().Operand().ID()] = true
		}
	}))
	var list []mistake
	add := func(e ast.Expr, format string, args ...any) {
		at := parsed.SourceInfo().GetStartLocation(e.ID())
		list = append(list, mistake{max(at.Line(), 1), max(at.Column()+1, 1), fmt.Sprintf(format, args...)})
	}
	ast.PreOrderVisit(parsed.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.StructKind:
			add(e, "conditions cannot make a value of a type such as %s", e.AsStruct().TypeName())
		case ast.IdentKind:
			if o, ok := objectOf(e.AsIdent()); ok && !selected[e.ID()] {
				add(e, "%s has no value of its own; name one of its fields: %s", e.AsIdent(), strings.Join(o.names, ", "))
			}
		case ast.ComprehensionKind:
			for _, name := range []string{e.AsComprehension().IterVar(), e.AsComprehension().IterVar2()} {
				if slices.Contains(variableNames, name) {
					add(e, "%s is taken; give the variable of the macro another name", name)
				}
			}
		}
	}))
	return list
}

// fieldsRead lists what a condition depends on.
func fieldsRead(checked *ast.AST) []variableField {
	type read struct {
		at int32
		variableField
	}
	var reads []read
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.SelectKind || e.AsSelect().Operand().Kind() != ast.IdentKind {
			return
		}
		f := variableField{e.AsSelect().Operand().AsIdent(), e.AsSelect().FieldName()}
		if _, ok := objectOf(f.variable); !ok || slices.ContainsFunc(reads, func(r read) bool { return r.variableField == f }) {
			return
		}
		offset, _ := checked.SourceInfo().GetOffsetRange(e.ID())
		reads = append(reads, read{offset.Start, f})
	}))
	slices.SortStableFunc(reads, func(a, b read) int { return int(a.at - b.at) })
	var list []variableField
	for _, r := range reads {
		list = append(list, r.variableField)
	}
	return list
}

// value is the field's value, as text.
func (f variableField) value(p *pair) string {
	o, _ := objectOf(f.variable)
	variable, _ := p.resolve(f.variable)
	return show(o.get[f.field](variable))
}
