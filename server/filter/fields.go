package filter

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/vqsd/vqsd/store"
)

// field is what can be compared.
type field struct {
	name  string // in filters
	store store.Field
	kind  kind
}

// kind is a type, with how its values are written.
type kind struct {
	ordered bool // <, <=, > and >= are defined
	wild    bool // text of all sorts: ":" and a "*" at the end are defined
	value   func(literal) (any, error)
}

// literal is the right side of a comparison.
type literal struct {
	text   string
	number float64
	isInt  bool // a number without a fraction, that integer holds
	int    int64
	isNum  bool
}

var (
	text     = kind{true, true, func(l literal) (any, error) { return l.text, nil }}
	number   = kind{true, false, parseNumber}
	integer  = kind{true, false, parseInteger}
	when     = kind{true, false, parseTime}
	resource = kind{true, false, parseName}
	state    = kind{false, false, parseState}
	class    = kind{false, false, parseClass}
)

// fields are all there are, beside labels. The comments of ListMeasurementsRequest.filter list them.
var fields = []field{
	{"name", store.FieldName, resource},
	{"state", store.FieldState, state},
	{"service_class", store.FieldClass, class},
	{"owner", store.FieldOwner, text},
	{"create_time", store.FieldCreateTime, when},
	{"finish_time", store.FieldFinishTime, when},

	{"reference.path", store.FieldReferencePath, text},
	{"reference.codec", store.FieldReferenceCodec, text},
	{"reference.width", store.FieldReferenceWidth, integer},
	{"reference.height", store.FieldReferenceHeight, integer},
	{"reference.frame_rate", store.FieldReferenceFrameRate, number},

	{"rendition", store.FieldRenditionName, text},
	{"path", store.FieldRenditionPath, text},
	{"codec", store.FieldRenditionCodec, text},
	{"width", store.FieldWidth, integer},
	{"height", store.FieldHeight, integer},
	{"bit_depth", store.FieldBitDepth, integer},
	{"bit_rate", store.FieldBitRate, integer},
	{"frame_rate", store.FieldFrameRate, number},

	{"model", store.FieldModel, text},
	{"model_digest", store.FieldModelDigest, text},
	{"series", store.FieldSeries, text},
	{"pooling", store.FieldPooling, text},
	{"score", store.FieldScore, number},
}

func parseNumber(l literal) (any, error) {
	if !l.isNum || math.IsInf(l.number, 0) {
		return nil, fmt.Errorf("%q is no number", l.text)
	}
	return l.number, nil
}

func parseInteger(l literal) (any, error) {
	if !l.isInt {
		return nil, fmt.Errorf("%q is no whole number", l.text)
	}
	return l.int, nil
}

func parseTime(l literal) (any, error) {
	t, err := time.Parse(time.RFC3339, l.text)
	if err != nil {
		return nil, fmt.Errorf(`%q is no time: write it like "2026-01-31T12:00:00Z"`, l.text)
	}
	return t.UTC(), nil
}

var resourceName = regexp.MustCompile(`^(measurements/)?([0-9a-z]{26})$`)

func parseName(l literal) (any, error) {
	m := resourceName.FindStringSubmatch(l.text)
	if m == nil {
		return nil, fmt.Errorf(`%q is no measurement's name: it is "measurements/" and 26 letters and digits`, l.text)
	}
	return m[2], nil
}

// parseState takes a state as the API has it, with or without its prefix.
func parseState(l literal) (any, error) {
	states := []store.State{store.StatePending, store.StateRunning, store.StateSucceeded, store.StatePartial, store.StateFailed, store.StateCancelled}
	name := store.State(strings.ToLower(strings.TrimPrefix(l.text, "MEASUREMENT_STATE_")))
	if !slices.Contains(states, name) {
		return nil, fmt.Errorf("%q is no state: there are PENDING, RUNNING, SUCCEEDED, PARTIAL, FAILED and CANCELLED", l.text)
	}
	return string(name), nil
}

func parseClass(l literal) (any, error) {
	name := store.Class(strings.ToLower(strings.TrimPrefix(l.text, "SERVICE_CLASS_")))
	if !slices.Contains(store.Classes(), name) {
		return nil, fmt.Errorf("%q is no service class: there are LATENCY, THROUGHPUT and BACKGROUND", l.text)
	}
	return string(name), nil
}

// find is the field of that name.
func find(name string) (field, error) {
	if i := slices.IndexFunc(fields, func(f field) bool { return f.name == name }); i >= 0 {
		return fields[i], nil
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	best := slices.MaxFunc(names, func(a, b string) int { return cmp.Compare(common(a, name), common(b, name)) })
	if common(best, name) < 3 {
		return field{}, fmt.Errorf("there is no field %q; there are %s and labels.KEY", name, strings.Join(names, ", "))
	}
	return field{}, fmt.Errorf("there is no field %q; did you mean %s, or labels.KEY?", name, best)
}

// common is how alike two names are: the length of what they begin with, and end with, in common.
func common(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	m := 0
	for m < len(a)-n && m < len(b)-n && a[len(a)-1-m] == b[len(b)-1-m] {
		m++
	}
	return n + m
}

var labelKey = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
