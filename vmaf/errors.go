package vmaf

import (
	"errors"
	"fmt"
)

// What callers branch on. Every error of this package that has one of these causes wraps it.
var (
	// ErrUnknownFeature: no extractor has that name, or no extractor reports that feature.
	ErrUnknownFeature = errors.New("unknown feature")
	// ErrUnknownOption: the extractor has no such option.
	ErrUnknownOption = errors.New("unknown option")
	// ErrOptionValue: the option's value cannot be read, or is outside its range.
	ErrOptionValue = errors.New("bad option value")
	// ErrUnknownModel: no built-in model has that name.
	ErrUnknownModel = errors.New("unknown model")
	// ErrUnknownPreset: no preset has that name and version.
	ErrUnknownPreset = errors.New("unknown preset")
	// ErrNotComputable: the extractor is known by name and options, but this version does not compute it.
	ErrNotComputable = errors.New("not computable")
	// ErrUnknownPooling: no pooling method has that name.
	ErrUnknownPooling = errors.New("unknown pooling method")
	// ErrNameTaken: two series of one plan would have the same name.
	ErrNameTaken = errors.New("name taken")
	// ErrNoFrames: there is nothing to pool or to evaluate.
	ErrNoFrames = errors.New("no frames")
	// ErrFormat: pictures that a feature is not defined for.
	ErrFormat = errors.New("pictures that a feature is not defined for")
	// ErrTooLarge: a model file exceeds one of the limits of this package.
	ErrTooLarge = errors.New("too large")
)

// OptionError says which option of which extractor was refused, and why.
type OptionError struct {
	Extractor string // "vif"
	Option    string // "vif_enhn_gain_limit"
	Value     string // as it was given
	Err       error  // wraps [ErrUnknownOption] or [ErrOptionValue]
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("%s: %s=%s: %v", e.Extractor, e.Option, e.Value, e.Err)
}

func (e *OptionError) Unwrap() error { return e.Err }

// ModelError says which member of a model was refused, and why.
type ModelError struct {
	Member string // "model_dict.slopes"; empty when the whole text is at fault
	Err    error
}

func (e *ModelError) Error() string {
	if e.Member == "" {
		return fmt.Sprintf("model: %v", e.Err)
	}
	return fmt.Sprintf("model member %s: %v", e.Member, e.Err)
}

func (e *ModelError) Unwrap() error { return e.Err }

// badMember is a [ModelError] with a formatted cause.
func badMember(member, format string, args ...any) error {
	return &ModelError{Member: member, Err: fmt.Errorf(format, args...)}
}
