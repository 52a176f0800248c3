package grpc

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// withSuggestions has errors about names that nobody knows say which names are like them, in place of all that there are.
func withSuggestions(err error) error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // the tree itself is rebuilt
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, withSuggestions(e))
		}
		return errors.Join(errs...)
	}
	var field *workflow.FieldError
	if !errors.As(err, &field) {
		return err
	}
	var kind error
	var known []string
	switch {
	case errors.Is(err, vmaf.ErrUnknownModel):
		kind, known = vmaf.ErrUnknownModel, vmaf.BuiltinNames()
	case errors.Is(err, vmaf.ErrUnknownFeature):
		kind, known = vmaf.ErrUnknownFeature, vmaf.ExtractorNames()
	default:
		return err
	}
	quoted := firstQuoted.FindStringSubmatch(field.Err.Error())
	if quoted == nil {
		return err
	}
	near := nearest(quoted[1], known)
	if len(near) == 0 {
		return err
	}
	return &workflow.FieldError{Field: field.Field, Err: fmt.Errorf("%w %q; did you mean %s?", kind, quoted[1], strings.Join(near, " or "))}
}

// firstQuoted finds the name that an error is about: the domain's errors quote it first.
var firstQuoted = regexp.MustCompile(`"([^"\\]{1,200})"`)

// nearest are up to three names that differ from name by at most two letters, or a third of them, the nearest first.
func nearest(name string, known []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var list []candidate
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d <= max(2, len(name)/3) {
			list = append(list, candidate{k, d})
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var names []string
	for _, c := range list[:min(3, len(list))] {
		names = append(names, c.name)
	}
	return names
}

// distance is Levenshtein's: how many letters have to be changed, added or removed to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
