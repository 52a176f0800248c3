package vmaf

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ParseModel reads a model in the form of libvmaf's --model: fields separated by ":",
//
//	version=NAME or just NAME         a built-in model
//	path=FILE                         a file in the public JSON layout
//	name=NAME                         what the score is called
//	disable_clip, enable_transform    see [ModelOptions]; "=true" and "=false" may follow
//	EXTRACTOR.OPTION=VALUE            an option of the model's features, as in vif.vif_enhn_gain_limit=1
//
// Exactly one of the first two is required. open opens the file; nil means that files are not allowed. ParseModel
// closes what it opened.
//
// Unlike libvmaf, it refuses an option that the extractor does not have and a field that is given twice.
//
// Errors: [ErrUnknownModel], [ErrNotComputable], those of [ReadModelJSON] and [NewExtraction].
func ParseModel(spec string, open func(path string) (io.ReadCloser, error)) (*Model, error) {
	s, err := parseModelSpec(spec)
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", clip(spec), err)
	}
	m, err := s.load(open)
	if err != nil {
		return nil, err
	}
	if m, err = m.With(s.options); err != nil {
		return nil, err
	}
	if err := m.Computable(); err != nil {
		return nil, err
	}
	return m, nil
}

// modelSpec is the text of a model, taken apart.
type modelSpec struct {
	version, path string
	options       ModelOptions
}

func (s modelSpec) load(open func(path string) (io.ReadCloser, error)) (m *Model, err error) {
	if s.path == "" {
		return Builtin(s.version)
	}
	if open == nil {
		return nil, fmt.Errorf("model file %q: model files are not allowed here; name a built-in model", clip(s.path))
	}
	file, err := open(s.path)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if m, err = ReadModelJSON(file, s.path); err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	return m, nil
}

func parseModelSpec(spec string) (modelSpec, error) {
	var s modelSpec
	seen := map[string]bool{}
	for i, field := range strings.Split(spec, ":") {
		key, value, hasValue := strings.Cut(field, "=")
		isFlag := key == "disable_clip" || key == "enable_transform"
		if i == 0 && !hasValue && !isFlag {
			key, value, hasValue = "version", field, true
		}
		if seen[key] {
			return s, fmt.Errorf("%s given twice", clip(key))
		}
		seen[key] = true
		if value == "" && (hasValue || !isFlag) {
			return s, fmt.Errorf("%q has no value", clip(field))
		}
		var err error
		switch key {
		case "version":
			s.version = value
		case "path":
			s.path = value
		case "name":
			s.options.Name = value
		case "disable_clip":
			s.options.DisableClip, err = parseFlag(value)
		case "enable_transform":
			s.options.EnableTransform, err = parseFlag(value)
		default:
			err = s.overload(key, value)
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", clip(key), err)
		}
	}
	if (s.version == "") == (s.path == "") {
		return s, errors.New("want either a built-in model (version=NAME) or a file (path=FILE)")
	}
	return s, nil
}

// parseFlag reads a flag's value; a flag that merely stands there is on.
func parseFlag(value string) (bool, error) {
	switch value {
	case "", "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", clip(value))
}

func (s *modelSpec) overload(key, value string) error {
	extractor, option, found := strings.Cut(key, ".")
	if !found || extractor == "" || option == "" {
		return errors.New("unknown; want version, path, name, disable_clip, enable_transform or EXTRACTOR.OPTION")
	}
	if s.options.Overloads == nil {
		s.options.Overloads = map[string]map[string]string{}
	}
	if s.options.Overloads[extractor] == nil {
		s.options.Overloads[extractor] = map[string]string{}
	}
	s.options.Overloads[extractor][option] = value
	return nil
}
