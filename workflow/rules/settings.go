package rules

import (
	"encoding"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vqsd/vqsd/vmaf"
)

// Settings are what a rule sets. A zero field sets nothing.
type Settings struct {
	Models       []string // specifications as [vmaf.ParseModel] reads them, without files; they replace those of earlier rules
	AddModels    []string // the same, beside those of earlier rules
	Features     []string // as [vmaf.ParseExtraction] reads them; beside those of the models and of earlier rules
	Scale        string   // one of [ScaleNames]; as in a request, naming a filter also lets pictures of another shape be stretched
	Geometry     Geometry // the size that both sides are compared in
	BitDepth     string   // one of [BitDepthNames]: what samples are widened to for the comparison, of the whole ladder
	Encoded      Encoded  // what CAMBI takes the distorted pictures to have been encoded as
	ChunkSeconds float64  // of the reference, above 0 and at most 3600; not with ChunkFrames
	ChunkFrames  int64    // of the reference, 1–1,000,000; not with ChunkSeconds
	Pairing      string   // one of [PairingNames]
	Class        string   // one of [ClassNames]
	Pools        []string // in the form of [vmaf.PoolMethod]; they replace those of earlier rules
	Refuse       string   // the comparison is refused, with this message
	Warn         string   // the message is kept with the measurement
}

// ScaleNames are the scaling filters; none means that another size is an error.
func ScaleNames() []string { return []string{"bicubic", "bilinear", "lanczos", "none"} }

// PairingNames are the ways to pair frames.
func PairingNames() []string { return []string{"auto", "index", "timestamp"} }

// ClassNames are the service classes, the most urgent one first.
func ClassNames() []string { return []string{"latency", "throughput", "background"} }

// Geometry is a size in samples that pictures are brought to. The zero value is none.
type Geometry struct {
	Reference     bool // the reference's own size; Width and Height are 0
	Width, Height int
}

// The range of a geometry's sides: below the first VIF has no meaning, and decoders end at the second.
const (
	minSide = 16
	maxSide = 32768
)

// ParseGeometry reads "WxH" or "reference".
func ParseGeometry(text string) (Geometry, error) {
	if text == "reference" {
		return Geometry{Reference: true}, nil
	}
	w, h, _ := strings.Cut(text, "x")
	width, errW := side(w)
	height, errH := side(h)
	if errW != nil || errH != nil {
		return Geometry{}, fmt.Errorf("%q is not a size; want reference, or WxH with sides of %d to %d such as 1920x1080", clip(text), minSide, maxSide)
	}
	return Geometry{Width: width, Height: height}, nil
}

func side(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n < minSide || n > maxSide || text[0] == '0' {
		return 0, errors.New("not a side")
	}
	return int(n), nil
}

// String is what [ParseGeometry] reads, "" for none.
func (g Geometry) String() string {
	switch {
	case g.Reference:
		return "reference"
	case g == Geometry{}:
		return ""
	}
	return fmt.Sprintf("%dx%d", g.Width, g.Height)
}

var _ encoding.TextMarshaler = Geometry{}

// MarshalText gives String.
func (g Geometry) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// What bounds settings.
const (
	maxListLength   = 32
	maxMessageBytes = 1024
	maxChunkSeconds = 3600
	maxChunkFrames  = 1_000_000
)

// setting is one key below then.
type setting struct {
	name  string
	read  func(s *Settings, v value) error
	write func(s *Settings) string // "" where it is not set
}

// settings are the keys in the order in which String and messages list them.
var settings = []setting{
	list("models", func(s *Settings) *[]string { return &s.Models }, readModel),
	list("add_models", func(s *Settings) *[]string { return &s.AddModels }, readModel),
	list("features", func(s *Settings) *[]string { return &s.Features }, readFeature),
	choice("scale", func(s *Settings) *string { return &s.Scale }, ScaleNames()),
	{"geometry", func(s *Settings, v value) error {
		text, err := v.text()
		if err != nil {
			return err
		}
		s.Geometry, err = ParseGeometry(text)
		return err
	}, func(s *Settings) string { return s.Geometry.String() }},
	{"bit_depth", func(s *Settings, v value) error {
		text := v.node.Value // 10 is a number to YAML
		if v.node.Kind != yaml.ScalarNode || !slices.Contains(BitDepthNames(), text) {
			return fmt.Errorf("want one of %s", strings.Join(BitDepthNames(), ", "))
		}
		s.BitDepth = text
		return nil
	}, func(s *Settings) string { return s.BitDepth }},
	{"encoded", func(s *Settings, v value) error {
		text, err := v.text()
		if err != nil {
			return err
		}
		s.Encoded, err = ParseEncoded(text)
		return err
	}, func(s *Settings) string { return s.Encoded.String() }},
	{"chunk_seconds", func(s *Settings, v value) error {
		n, err := v.number()
		if err != nil || !(n > 0 && n <= maxChunkSeconds) {
			return fmt.Errorf("want a number above 0 and at most %d", maxChunkSeconds)
		}
		s.ChunkSeconds = n
		return nil
	}, func(s *Settings) string {
		if s.ChunkSeconds == 0 {
			return ""
		}
		return strconv.FormatFloat(s.ChunkSeconds, 'f', -1, 64)
	}},
	{"chunk_frames", func(s *Settings, v value) error {
		n, err := v.whole()
		if err != nil || n < 1 || n > maxChunkFrames {
			return fmt.Errorf("want a whole number from 1 to %d", maxChunkFrames)
		}
		s.ChunkFrames = n
		return nil
	}, func(s *Settings) string {
		if s.ChunkFrames == 0 {
			return ""
		}
		return strconv.FormatInt(s.ChunkFrames, 10)
	}},
	choice("pairing", func(s *Settings) *string { return &s.Pairing }, PairingNames()),
	choice("class", func(s *Settings) *string { return &s.Class }, ClassNames()),
	list("pools", func(s *Settings) *[]string { return &s.Pools }, readPool),
	message("refuse", func(s *Settings) *string { return &s.Refuse }),
	message("warn", func(s *Settings) *string { return &s.Warn }),
}

var settingNames = func() (names []string) {
	for _, s := range settings {
		names = append(names, s.name)
	}
	return names
}()

// String lists what is set, as in "models [vmaf_v0.6.1], scale bicubic".
func (s Settings) String() string {
	var parts []string
	for _, f := range settings {
		if text := f.write(&s); text != "" {
			parts = append(parts, f.name+" "+text)
		}
	}
	return strings.Join(parts, ", ")
}

// check finds what is wrong with settings that are each right.
func (s *Settings) check() error {
	var errs []error
	if s.ChunkSeconds != 0 && s.ChunkFrames != 0 {
		errs = append(errs, errors.New("chunk_seconds and chunk_frames exclude each other; keep one"))
	}
	if err := checkTogether(slices.Concat(s.Models, s.AddModels), s.Features); err != nil {
		errs = append(errs, fmt.Errorf("its models and features cannot be measured together: %w", err))
	}
	return errors.Join(errs...)
}

// list is a setting of several texts. read checks one and gives the form in which it is kept.
func list(name string, field func(*Settings) *[]string, read func(string) (string, error)) setting {
	return setting{name, func(s *Settings, v value) error {
		texts, err := v.texts()
		if err != nil {
			return err
		}
		if len(texts) == 0 || len(texts) > maxListLength {
			return fmt.Errorf("the list has %d entries; want 1 to %d", len(texts), maxListLength)
		}
		var errs []error
		for i, text := range texts {
			if texts[i], err = read(text); err != nil {
				errs = append(errs, err)
			} else if slices.Contains(texts[:i], texts[i]) {
				errs = append(errs, fmt.Errorf("%q is listed twice", clip(text)))
			}
		}
		*field(s) = texts
		return errors.Join(errs...)
	}, func(s *Settings) string {
		if len(*field(s)) == 0 {
			return ""
		}
		return "[" + strings.Join(*field(s), ", ") + "]"
	}}
}

// choice is a setting of one of a few names.
func choice(name string, field func(*Settings) *string, names []string) setting {
	return setting{name, func(s *Settings, v value) error {
		text, err := v.text()
		if err != nil {
			return err
		}
		if !slices.Contains(names, text) {
			return fmt.Errorf("%q is none of %s%s", clip(text), strings.Join(names, ", "), suggest(text, names))
		}
		*field(s) = text
		return nil
	}, func(s *Settings) string { return *field(s) }}
}

// message is a setting that people read.
func message(name string, field func(*Settings) *string) setting {
	return setting{name, func(s *Settings, v value) error {
		text, err := v.text()
		if err != nil {
			return err
		}
		text = strings.Join(strings.Fields(text), " ")
		if text == "" || len(text) > maxMessageBytes {
			return fmt.Errorf("the message has %d bytes; want 1 to %d", len(text), maxMessageBytes)
		}
		*field(s) = text
		return nil
	}, func(s *Settings) string {
		if *field(s) == "" {
			return ""
		}
		return strconv.Quote(*field(s))
	}}
}

func readModel(spec string) (string, error) {
	_, err := vmaf.ParseModel(spec, nil)
	return spec, err
}

func readFeature(text string) (string, error) {
	e, err := vmaf.ParseExtraction(text)
	if err == nil {
		err = e.Computable()
	}
	return text, err
}

func readPool(text string) (string, error) {
	method, err := vmaf.ParsePoolMethod(text)
	return string(method), err
}

// checkTogether finds models and features that cannot be measured together, such as two models that were given one name. Those that
// were given none are told apart by their versions. All have been checked one by one.
func checkTogether(models, features []string) error {
	if len(models)+len(features) < 2 {
		return nil
	}
	var parsed []*vmaf.Model
	for _, spec := range models {
		m, err := vmaf.ParseModel(spec, nil)
		if err != nil {
			return err
		}
		parsed = append(parsed, m)
	}
	parsed, err := vmaf.DistinctNames(parsed)
	if err != nil {
		return err
	}
	var extra []vmaf.Extraction
	for _, text := range features {
		e, err := vmaf.ParseExtraction(text)
		if err != nil {
			return err
		}
		extra = append(extra, e)
	}
	_, err = vmaf.NewPlan(parsed, extra)
	return err
}

// clip shortens what was read for a message.
func clip(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// suggest is the known name nearest to a misspelt one, as a half-sentence; "" where none is near.
func suggest(word string, names []string) string {
	best, least := "", len(word)/3+2
	if len(word) > 64 {
		return ""
	}
	for _, name := range names {
		if d := distance(word, name); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is how many letters have to be changed, put in or taken out to make one word of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
