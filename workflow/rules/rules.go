package rules

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// What bounds a list of rules.
const (
	MaxFileBytes = 1 << 20
	MaxRules     = 256
)

// Rule is one rule as it was read.
type Rule struct {
	Name string // letters, digits and - _ . up to 64, unique in the list
	Doc  string // why there is such a rule; "" where nobody said
	When string // the condition
	Then Settings
	Line int // where the rule begins, from 1

	condition *condition
}

// Set is a list of rules, checked and compiled. It does not change, and any number of goroutines may use it.
type Set struct {
	name  string
	text  string
	rules []Rule
}

// Name is where the rules came from, as given to [Parse].
func (s *Set) Name() string { return s.name }

// Rules are the rules in order. The caller owns the list, not what Then points to.
func (s *Set) Rules() []Rule { return slices.Clone(s.rules) }

// YAML is the text that the rules were read from.
func (s *Set) YAML() string { return s.text }

// Digest is the SHA-256 of the text, in hexadecimal: what sha256sum says of the file.
func (s *Set) Digest() string {
	sum := sha256.Sum256([]byte(s.text))
	return hex.EncodeToString(sum[:])
}

// Error is one thing wrong with a list of rules.
type Error struct {
	File         string
	Line, Column int    // from 1; 0: not known
	Rule         string // "" outside of rules, and where the name is what is wrong
	Err          error
}

func (e *Error) Error() string {
	place := e.File
	if e.Line > 0 {
		place += fmt.Sprintf(":%d", e.Line)
		if e.Column > 0 {
			place += fmt.Sprintf(":%d", e.Column)
		}
	}
	if e.Rule != "" {
		return fmt.Sprintf("%s: rule %q: %v", place, e.Rule, e.Err)
	}
	return fmt.Sprintf("%s: %v", place, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

//go:embed builtin.yaml
var builtinText []byte

// BuiltinName is the name of the built-in rules in messages and results.
const BuiltinName = "builtin"

// Builtin are the rules that are used when nobody names others: those of a careful engineer.
func Builtin() *Set { return builtin() }

var builtin = sync.OnceValue(func() *Set {
	s, err := Parse(BuiltinName, builtinText)
	if err != nil {
		panic(err) // a test reads them
	}
	return s
})

// Parse reads rules from YAML. name is where the text came from, for messages.
//
// Every problem is found that can be, each an [*Error] in one joined error, in the order of the text. What has to be right for that: the
// text is YAML. Nothing that Parse accepts can fail later but by a condition that asks for a label that is not there, divides
// by zero or the like.
func Parse(name string, text []byte) (*Set, error) {
	if len(text) > MaxFileBytes {
		return nil, &Error{File: name, Err: fmt.Errorf("rules of %d bytes; %d are allowed", len(text), MaxFileBytes)}
	}
	r := newReader(name, text)
	rules := r.document()
	if len(r.errs) > 0 {
		slices.SortStableFunc(r.errs, func(a, b *Error) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		var errs []error
		for _, e := range r.errs {
			errs = append(errs, e)
		}
		return nil, errors.Join(errs...)
	}
	return &Set{name, string(text), rules}, nil
}
