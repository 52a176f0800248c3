package vmaf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Extraction is one feature extractor with its options: what a backend is asked to compute for every frame. Make one
// with [ParseExtraction] or [NewExtraction]; the zero value is not usable. An Extraction is immutable.
type Extraction struct {
	extractor *extractor
	values    []value // one per option of the extractor, in table order
	suffix    string  // what the options add to names, "" when nothing; "_egl_1"
}

// maxNameBytes is where names are cut. Source: spec/prediction.md §3.
const maxNameBytes = 255

// ParseExtraction reads an extractor with options, as in "vif" or "adm:adm_enhn_gain_limit=1.0:debug=true". The first
// separator may be "=" as well, which is how libvmaf's --feature has it: "vif=debug=true". Three extractors have a second
// name: ssim for float_ssim, ms_ssim for float_ms_ssim, ciede2000 for ciede.
//
// Unlike there, an option that the extractor does not have, a value that is not wholly a number, and a
// second, different value for one option are errors: see [NewExtraction].
func ParseExtraction(text string) (Extraction, error) {
	name, rest := text, ""
	if i := strings.IndexAny(text, ":="); i >= 0 {
		name, rest = text[:i], text[i+1:]
		if rest == "" {
			return Extraction{}, fmt.Errorf("feature %q: no option after %q", clip(text), text[i:])
		}
	}
	options := map[string]string{}
	if rest != "" {
		for field := range strings.SplitSeq(rest, ":") {
			key, val, found := strings.Cut(field, "=")
			if !found || key == "" || val == "" {
				return Extraction{}, fmt.Errorf("feature %q: option %q is not of the form name=value", clip(text), clip(field))
			}
			if earlier, twice := options[key]; twice && earlier != val {
				return Extraction{}, &OptionError{Extractor: name, Option: key, Value: clip(val),
					Err: fmt.Errorf("%w: already given as %s", ErrOptionValue, clip(earlier))}
			}
			options[key] = val
		}
	}
	return NewExtraction(name, options)
}

// NewExtraction makes an extraction from the extractor's name and its options by full key, those left out at
// their defaults.
//
// A number is taken as libvmaf takes it: as a 32-bit float printed with six significant digits. So 100.000001
// means 100.
//
// Errors: [ErrUnknownFeature]; an [*OptionError] for an option that is not there, unreadable or out of range. An extractor
// that this version knows but does not compute is no error here: see [Extraction.Computable].
func NewExtraction(name string, options map[string]string) (Extraction, error) {
	x := extractorByName[name]
	if x == nil {
		return Extraction{}, fmt.Errorf("%w: %q; want one of %s", ErrUnknownFeature, clip(name), strings.Join(ExtractorNames(), ", "))
	}
	e := Extraction{extractor: x, values: make([]value, len(x.options))}
	for i, o := range x.options {
		e.values[i] = o.fallback
	}
	for _, key := range slices.Sorted(maps.Keys(options)) { // sorted, so that of several errors it is always the same
		i := x.optionIndex(key)
		if i < 0 {
			return Extraction{}, &OptionError{Extractor: name, Option: clip(key), Value: clip(options[key]),
				Err: fmt.Errorf("%w; %s", ErrUnknownOption, x.optionHint())}
		}
		v, err := x.options[i].parse(options[key])
		if err != nil {
			return Extraction{}, &OptionError{Extractor: name, Option: key, Value: clip(options[key]), Err: err}
		}
		e.values[i] = v
	}
	if x.check != nil {
		if err := x.check(e); err != nil {
			return Extraction{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	e.suffix = e.makeSuffix(anyOption)
	return e, nil
}

// ExtractorNames lists the extractors that this version computes.
func ExtractorNames() []string {
	var names []string
	for _, x := range extractors {
		if x.computable {
			names = append(names, x.name)
		}
	}
	return names
}

func (x *extractor) optionIndex(key string) int {
	return slices.IndexFunc(x.options, func(o option) bool { return o.key == key })
}

// optionHint says what options there are.
func (x *extractor) optionHint() string {
	if len(x.options) == 0 {
		return "it has none"
	}
	return "want one of " + strings.Join(x.optionKeys(), ", ")
}

func (x *extractor) optionKeys() []string {
	keys := make([]string, len(x.options))
	for i, o := range x.options {
		keys[i] = o.key
	}
	return keys
}

// makeSuffix is the part of a name that the wanted options make: those that differ from their defaults, ascending by full key.
// Source: spec/prediction.md §3, "Name construction".
func (e Extraction) makeSuffix(wanted func(option) bool) string {
	var b strings.Builder
	for i, o := range e.extractor.options {
		if o.unnamed || !wanted(o) || e.values[i] == o.fallback {
			continue
		}
		b.WriteByte('_')
		if o.short != "" {
			b.WriteString(o.short)
		} else {
			b.WriteString(o.key)
		}
		if o.kind != boolOption {
			b.WriteByte('_')
			b.WriteString(o.format(e.values[i]))
		}
	}
	return b.String()
}

// Extractor is the extractor's name, such as "vif" or "float_ssim".
func (e Extraction) Extractor() string { return e.extractor.name }

// Key is the extraction's canonical name, such as "vif" or "vif_egl_1". Extractions with equal keys report under
// equal names, and one computation serves both, unless their unnamed options differ: see [NewPlan].
func (e Extraction) Key() string { return e.extractor.name + e.suffix }

// RawKey identifies the raw figures: extractions with equal raw keys have equal [Extraction.Raw] columns, even where their
// series differ. It is what raw figures are kept under. Options that take effect when series are formed do not enter.
// For motion it tells only the temporal distance, "motion" or "motion_mffw", since everything else is applied to the
// sums later; and "motion_force_0" where none are computed, which must not stand in for sums.
func (e Extraction) RawKey() string {
	if e.extractor.rawKey != nil {
		return e.extractor.rawKey(e)
	}
	measured := func(o option) bool { return !o.applied }
	return e.extractor.name + e.makeSuffix(measured) + e.unnamedSuffix(measured)
}

func anyOption(option) bool { return true }

// unnamedSuffix tells apart those of the wanted options that names do not.
func (e Extraction) unnamedSuffix(wanted func(option) bool) string {
	var b strings.Builder
	for i, o := range e.extractor.options {
		if o.unnamed && wanted(o) && e.values[i] != o.fallback {
			b.WriteString(":" + o.key + "=" + o.format(e.values[i]))
		}
	}
	return b.String()
}

// String is the extraction in the form that [ParseExtraction] reads, with the options that differ from their
// defaults.
func (e Extraction) String() string {
	var b strings.Builder
	b.WriteString(e.extractor.name)
	for i, o := range e.extractor.options {
		if e.values[i] != o.fallback {
			b.WriteString(":" + o.key + "=" + o.format(e.values[i]))
		}
	}
	return b.String()
}

// options are the values that differ from their defaults, as text by full key.
func (e Extraction) options() map[string]string {
	options := map[string]string{}
	for i, o := range e.extractor.options {
		if e.values[i] != o.fallback {
			options[o.key] = o.format(e.values[i])
		}
	}
	return options
}

// Float is the effective value of a floating-point option. It panics when there is no such option: that is a bug in
// the caller, as for [Extraction.Int], [Extraction.Bool] and [Extraction.Text].
func (e Extraction) Float(key string) float64 { return e.value(key, floatOption).number }

// Int is the effective value of an integer option.
func (e Extraction) Int(key string) int { return int(e.value(key, intOption).number) }

// Bool is the effective value of a boolean option.
func (e Extraction) Bool(key string) bool { return e.value(key, boolOption).truth }

// Text is the effective value of a text option.
func (e Extraction) Text(key string) string { return e.value(key, textOption).text }

func (e Extraction) value(key string, kind optionKind) value {
	i := e.extractor.optionIndex(key)
	if i < 0 || e.extractor.options[i].kind != kind {
		panic(fmt.Sprintf("vmaf: extractor %s has no option %s of that type", e.extractor.name, key))
	}
	return e.values[i]
}

// Raw names the figures that a backend delivers for each frame, in order:
//
//	vif, adm        the scores themselves; with debug on, followed by the aggregate, its numerator and denominator, and those of each scale
//	motion          sad: the integer sum of absolute differences to the reference picture [Extraction.Halo] before, as a float64,
//	                and 0 for the first pictures, which have none
//	cambi           cambi, with full_ref then cambi_source: not clipped
//	speed_chroma    u, v, uv: not clipped
//	psnr            sse_y, with enable_chroma then sse_cb and sse_cr: the integer sums of squared differences, as float64; 0 for
//	                planes that the pictures do not have
//	float_ssim      ssim, l, c, s: the means over all positions
//	float_ms_ssim   l0 … l4, c0 … c4, s0 … s4: those of each scale
//	psnr_hvs        score_y, score_cb, score_cr: before the logarithm
//	ciede           de: the mean colour difference
func (e Extraction) Raw() []string {
	if e.extractor.raw != nil {
		return e.extractor.raw(e)
	}
	var names []string
	for _, o := range e.outputs() {
		names = append(names, o.raw)
	}
	return names
}

// Series names the series that the extraction yields, by stored name, in the order in which they are reported.
func (e Extraction) Series() []string {
	var names []string
	for _, o := range e.outputs() {
		names = append(names, e.seriesName(o))
	}
	return names
}

// outputs are those that are reported with these options.
func (e Extraction) outputs() []output {
	var list []output
	for _, o := range e.extractor.outputs {
		if !slices.ContainsFunc(o.when, func(key string) bool { return !e.Bool(key) }) {
			list = append(list, o)
		}
	}
	return list
}

// seriesName is the stored name of one output: the internal name, or with options in it, alias and suffix.
func (e Extraction) seriesName(o output) string {
	if e.suffix == "" || o.plain {
		return o.stored
	}
	name := Alias(o.stored) + e.suffix
	if len(name) > maxNameBytes {
		name = name[:maxNameBytes]
	}
	return name
}

// ReferenceOnly reports whether the extraction does not look at the distorted picture, so that one computation serves
// all renditions of a reference.
func (e Extraction) ReferenceOnly() bool { return e.extractor.referenceOnly }

// NeedsChroma reports whether the extraction looks at the chroma planes.
func (e Extraction) NeedsChroma() bool { return e.extractor.chroma != nil && e.extractor.chroma(e) }

// EveryFrame reports whether raw figures of all frames are needed even where subsampling leaves some out: for motion, whose frames depend on
// their neighbours, and for aggregates over the whole sequence.
func (e Extraction) EveryFrame() bool {
	return e.extractor.sequence != nil || e.extractor.aggregates != nil && e.Bool("enable_apsnr")
}

// Halo is how many reference pictures before the first one of a chunk are needed. For motion it is the temporal distance
// too: 1, or 2 with the five-frame window.
func (e Extraction) Halo() int {
	if e.extractor.name != "motion" {
		return 0
	}
	if e.Bool("motion_five_frame_window") {
		return 2
	}
	return 1
}

// Computable returns nil if this version computes the extraction, else an error that wraps [ErrNotComputable].
func (e Extraction) Computable() error {
	if e.extractor.computable {
		return nil
	}
	return fmt.Errorf("%w: %s is not among the extractors of this version (%s)",
		ErrNotComputable, e.extractor.name, strings.Join(ExtractorNames(), ", "))
}
