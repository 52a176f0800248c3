package engine

import (
	"errors"
	"fmt"
)

// ReferenceError is an error of the reference: it cannot be opened, decoded, or is not what it was. No rendition can be measured
// beside it. Errors of a rendition are found beside that rendition instead, in [Rendition], [RenditionDescription] or
// [RenditionFigures].
type ReferenceError struct{ Err error }

func (e *ReferenceError) Error() string { return e.Err.Error() }
func (e *ReferenceError) Unwrap() error { return e.Err }

// referenceError says what failed of the reference.
func referenceError(err error) error { return &ReferenceError{fmt.Errorf("reference: %w", err)} }

// ErrUnfit is the error of a comparison that the request asks for and that these inputs do not allow: a range of frames that they do
// not have, pairing by times that they lack.
var ErrUnfit = errors.New("the request does not fit the inputs")

// unfitError is ErrUnfit. Its text tells all, so that ErrUnfit's is not said, too.
type unfitError struct{ error }

func (e *unfitError) Is(target error) bool { return target == ErrUnfit }
func (e *unfitError) Unwrap() error        { return e.error }

func unfit(format string, args ...any) error { return &unfitError{fmt.Errorf(format, args...)} }

// AmbiguousError is a comparison that could mean several things, and is refused until the request says which.
type AmbiguousError struct {
	Path    string // the rendition, or the reference where it is that one's shape
	Reason  string // what does not match
	Choices string // which flags decide
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%s: %s; to decide, use %s", e.Path, e.Reason, e.Choices)
}

// What decides.
const (
	chooseShortest = "--pairing index --shortest to compare frame by frame and ignore the longer side's rest, or --pairing timestamp to pair by time"
	chooseRate     = "--pairing index to compare frame by frame whatever the rates, or --pairing timestamp to pair by time"
	chooseTail     = "--shortest to leave out what has no counterpart"
	chooseAspect   = "--scale bicubic (or bilinear, lanczos) to stretch it to the reference's size"
	chooseStretch  = "--scale bicubic (or bilinear, lanczos) to stretch it to that size"
)

var errNoRendition = errors.New("no rendition could be measured")

// anyLeft is nil while there is a rendition without an error. Errors that are the same for all renditions are said once.
func anyLeft(failures []error) error {
	var errs []error
	said := map[string]bool{}
	for _, err := range failures {
		if err == nil {
			return nil
		}
		if !said[err.Error()] {
			said[err.Error()] = true
			errs = append(errs, err)
		}
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return fmt.Errorf("%w: %w", errNoRendition, errors.Join(errs...))
}
