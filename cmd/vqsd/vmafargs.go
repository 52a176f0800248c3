package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/vmaf"
)

// vmafMost is how many models, features, and options set on one model the vmaf tool takes.
const vmafMost = 32

// vmafOptions are the options of the vmaf tool of libvmaf 3.2.0.
var vmafOptions = []longOption{
	{"reference", 'r', true}, {"distorted", 'd', true},
	{"width", 'w', true}, {"height", 'h', true}, {"pixel_format", 'p', true}, {"bitdepth", 'b', true},
	{"model", 'm', true}, {"output", 'o', true},
	{"xml", 0, false}, {"json", 0, false}, {"csv", 0, false}, {"sub", 0, false},
	{"threads", 0, true}, {"feature", 0, true}, {"subsample", 0, true}, {"cpumask", 0, true}, {"gpumask", 0, true},
	{"aom_ctc", 0, true}, {"nflx_ctc", 0, true},
	{"frame_cnt", 0, true}, {"frame_skip_ref", 0, true}, {"frame_skip_dist", 0, true},
	{"no_prediction", 'n', false}, {"version", 'v', false}, {"quiet", 'q', false},
}

// vmafIgnored are short options that take a value and mean nothing.
const vmafIgnored = "c"

// vmafSettings are the arguments of the vmaf tool, read.
type vmafSettings struct {
	reference, distorted string

	headerless       bool // any of the four below was given, so that files have no header
	width, height    uint32
	subsampling      vmaf.Subsampling
	hasSubsampling   bool
	bitsPerComponent int

	models   []vmafModel
	features []vmafFeature
	anyDepth bool // the two may differ in depth

	output string
	format legacy.Format

	threads, subsample, gpuMask          uint32
	frames, skipReference, skipDistorted uint32
	noPrediction, quiet                  bool
	help, version                        bool
	notices                              []string // what was passed over, as the tool passes it over
}

// vmafModel is a model as --model has it.
type vmafModel struct {
	version, path                string
	hasVersion                   bool
	name                         string
	disableClip, enableTransform bool
	overloads                    []vmafOption
}

// label is what the scores on a terminal are called.
func (m *vmafModel) label() string { return cmp.Or(m.version, m.path) }

// vmafFeature is a feature as --feature has it.
type vmafFeature struct {
	name    string
	options []vmafOption
}

// vmafOption is an option of an extractor.
type vmafOption struct{ extractor, key, value string }

// parseVmafArguments reads arguments as the vmaf tool does: in order, to the first that cannot be read, or to one that ends it (--version).
//
// posix says that the environment has POSIXLY_CORRECT. Options that there are none of, and arguments that are no options, are
// passed over with a notice: the tool does so, and scripts have such.
func parseVmafArguments(args []string, posix bool) (*vmafSettings, error) {
	s := &vmafSettings{format: legacy.XML}
	if slices.Contains(args, "--help") { // which the tool lacks; nobody measures with it
		s.help = true
		return s, nil
	}
	scanner := &optionScanner{args: args, long: vmafOptions, ignored: vmafIgnored, posix: posix}
	for {
		option, more, err := scanner.next()
		if !more {
			break
		}
		if err != nil {
			s.notices = append(s.notices, err.Error()+"; passed over")
			continue
		}
		if err := s.set(option.name, option.value); err != nil {
			return nil, err
		}
		if s.version {
			return s, nil
		}
	}
	for _, arg := range scanner.operands() {
		s.notices = append(s.notices, fmt.Sprintf("argument %q belongs to no option; passed over", arg))
	}
	return s, s.check()
}

// set takes one option.
func (s *vmafSettings) set(name, value string) (err error) {
	switch name {
	case "reference":
		s.reference = value
	case "distorted":
		s.distorted = value
	case "width", "height", "pixel_format", "bitdepth":
		s.headerless = true
		err = s.setFormat(name, value)
	case "model":
		err = s.addModel(value)
	case "feature":
		err = s.addFeature(value, false)
	case "aom_ctc", "nflx_ctc":
		err = s.addConditions(name, value)
	case "output":
		s.output = value
	case "xml", "json", "csv", "sub":
		s.format, err = legacy.ParseFormat(name)
	case "no_prediction":
		s.noPrediction = true
	case "quiet":
		s.quiet = true
	case "version":
		s.version = true
	case "": // -c VALUE
	default:
		numbers := map[string]*uint32{
			"threads": &s.threads, "subsample": &s.subsample, "cpumask": new(uint32), "gpumask": &s.gpuMask,
			"frame_cnt": &s.frames, "frame_skip_ref": &s.skipReference, "frame_skip_dist": &s.skipDistorted,
		}
		*numbers[name], err = cNumber(value)
	}
	if err != nil {
		return fmt.Errorf("--%s %s: %w", name, value, err)
	}
	return nil
}

// setFormat takes one of the options that say what headerless files hold.
func (s *vmafSettings) setFormat(name, value string) (err error) {
	switch name {
	case "width":
		s.width, err = cNumber(value)
	case "height":
		s.height, err = cNumber(value)
	case "bitdepth":
		var n uint32
		n, err = cNumber(value)
		if err == nil && n != 8 && n != 10 && n != 12 && n != 16 {
			err = errors.New("want 8, 10, 12 or 16")
		}
		s.bitsPerComponent = int(n)
	case "pixel_format":
		layouts := map[string]vmaf.Subsampling{"420": vmaf.Chroma420, "422": vmaf.Chroma422, "444": vmaf.Chroma444}
		if s.subsampling, s.hasSubsampling = layouts[value]; !s.hasSubsampling {
			err = errors.New("want 420, 422 or 444")
		}
	}
	return err
}

// cNumber reads a number as C's strtoul does with base 0, the whole text of it, and keeps its low 32 bits: "0x10", "010" for 8, and "-1" for
// the largest.
func cNumber(text string) (uint32, error) {
	bad := errors.New("want a whole number")
	digits := strings.TrimLeft(text, " \t\n\v\f\r")
	negative := strings.HasPrefix(digits, "-")
	if negative || strings.HasPrefix(digits, "+") {
		digits = digits[1:]
	}
	base := 10
	switch {
	case len(digits) > 2 && (strings.HasPrefix(digits, "0x") || strings.HasPrefix(digits, "0X")):
		digits, base = digits[2:], 16
	case len(digits) > 1 && digits[0] == '0':
		base = 8
	}
	if strings.HasPrefix(digits, "+") || strings.HasPrefix(digits, "-") {
		return 0, bad // strconv would take a second sign
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 1<<32 - 1, nil // the largest, whatever its sign
	}
	if err != nil {
		return 0, bad
	}
	if negative {
		n = -n
	}
	return uint32(n), nil
}

// addModel reads fields separated by ":", of which the last of a kind counts.
func (s *vmafSettings) addModel(text string) error {
	m := vmafModel{name: vmaf.DefaultName}
	for field := range strings.SplitSeq(text, ":") {
		parts := strings.Split(field, "=")
		key, value := parts[0], ""
		switch {
		case len(parts) > 1:
			value = parts[1] // and what follows a second "=" counts for nothing
		case key == "disable_clip", key == "enable_transform":
			value = "true"
		default:
			return fmt.Errorf("%q is not of the form key=value", field)
		}
		switch key {
		case "version":
			m.version, m.hasVersion = value, true
		case "path":
			m.path = value
		case "name":
			m.name = value
		case "disable_clip":
			m.disableClip = m.disableClip || value == "true"
		case "enable_transform":
			m.enableTransform = m.enableTransform || value == "true"
		default:
			names := strings.Split(key, ".")
			if len(names) < 2 {
				return fmt.Errorf("%q: there is no key %q; want version, path, name, disable_clip, enable_transform or EXTRACTOR.OPTION", field, key)
			}
			if len(m.overloads) == vmafMost {
				return fmt.Errorf("more than %d options are set on one model", vmafMost)
			}
			m.overloads = append(m.overloads, vmafOption{names[0], names[1], value})
		}
	}
	switch {
	case m.label() == "":
		return errors.New("names no model; want version=NAME or path=FILE")
	case m.name == "":
		return errors.New("the name is empty, and would be so in the log")
	}
	return s.appendModel(m)
}

func (s *vmafSettings) appendModel(m vmafModel) error {
	if len(s.models) == vmafMost {
		return fmt.Errorf("more than %d models", vmafMost)
	}
	s.models = append(s.models, m)
	return nil
}

// addFeature reads an extractor and its options, "name=key=value:key=value". With replace it takes the place of the first of that name, where there
// is one.
func (s *vmafSettings) addFeature(text string, replace bool) error {
	name, rest, hasOptions := strings.Cut(text, "=")
	f := vmafFeature{name: name}
	if hasOptions {
		for field := range strings.SplitSeq(rest, ":") {
			parts := strings.Split(field, "=")
			if len(parts) < 2 {
				return fmt.Errorf("option %q of feature %q is not of the form key=value", field, name)
			}
			f.options = append(f.options, vmafOption{name, parts[0], parts[1]})
		}
	}
	if replace {
		if i := slices.IndexFunc(s.features, func(have vmafFeature) bool { return have.name == name }); i >= 0 {
			s.features[i] = f
			return nil
		}
	}
	if len(s.features) == vmafMost {
		return fmt.Errorf("more than %d features", vmafMost)
	}
	s.features = append(s.features, f)
	return nil
}

// addConditions adds models and features of published test conditions to those that were given before.
func (s *vmafSettings) addConditions(preset, version string) error {
	models, features, err := vmaf.Preset(preset, version)
	if err != nil {
		return err
	}
	for _, text := range models {
		name, rest, _ := strings.Cut(text, ":name=")
		if err := s.appendModel(vmafModel{version: name, hasVersion: true, name: rest}); err != nil {
			return err
		}
	}
	// From v6.0 of the Alliance's on, files of two depths may be compared; v7.0 has its SSIM replace one that was asked for before.
	s.anyDepth = s.anyDepth || preset == aomPreset && (version == "v6.0" || version == "v7.0")
	for _, text := range features {
		name, options, hasOptions := strings.Cut(text, ":")
		if hasOptions {
			name += "=" + options
		}
		replace := preset == aomPreset && version == "v7.0" && strings.HasPrefix(text, "float_ssim:")
		if err := s.addFeature(name, replace); err != nil {
			return err
		}
	}
	return nil
}

// check finds what is missing, and what contradicts, once all arguments have been read.
func (s *vmafSettings) check() error {
	var errs []error
	if s.reference == "" {
		errs = append(errs, errors.New("no reference: name it with --reference (-r)"))
	}
	if s.distorted == "" {
		errs = append(errs, errors.New("no distorted video: name it with --distorted (-d)"))
	}
	if s.headerless && (s.width == 0 || s.height == 0 || !s.hasSubsampling || s.bitsPerComponent == 0) {
		errs = append(errs, errors.New("files without a header need all of --width (-w), --height (-h), --pixel_format (-p) and --bitdepth (-b)"))
	}
	if len(s.models) == 0 && !s.noPrediction {
		s.models = []vmafModel{{version: defaultModel, hasVersion: true, name: vmaf.DefaultName}}
	}
	taken := map[string]bool{}
	for _, m := range s.models {
		if taken[m.name] {
			errs = append(errs, fmt.Errorf("two models are called %q: give each a name=… of its own", m.name))
		}
		taken[m.name] = true
	}
	return errors.Join(errs...)
}
