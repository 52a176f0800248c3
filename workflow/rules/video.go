package rules

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Video is what rules know of a video. Text is in FFmpeg's names; "" and 0 mean unknown.
type Video struct {
	Path      string // rules see the last element only, so that they cannot depend on where files lie
	Container string // such as "matroska,webm"
	Codec     string // such as "h264"
	Profile   string

	Width, Height           int // in samples, after rotation
	CodedWidth, CodedHeight int // as stored
	BitDepth                int
	Subsampling             string // "4:2:0", "4:2:2", "4:4:4", "4:0:0"
	FullRange               bool   // luma spans all values, not the limited (video) range

	FrameRate         float64 // frames a second, on average
	VariableFrameRate bool
	DurationSeconds   float64
	Frames            int64
	BitRate           int64 // bit/s
	Interlaced        bool

	Transfer, Primaries, ColorSpace string // such as "smpte2084", "bt2020", "bt2020nc"

	// FitsV1 is of a distorted video: VMAF v1 can be measured of it in the format that it is compared in. See [FitsV1].
	FitsV1 bool
}

// base is the file's name without its folders.
func (v *Video) base() string {
	if v.Path == "" {
		return ""
	}
	return path.Base(v.Path)
}

// Request is what rules know of what was asked for.
type Request struct {
	ModelsAuto bool              // no model is named: rules choose
	Class      string            // as asked for, or the default: "latency", "throughput", "background"
	Labels     map[string]string // at most 64, of at most 256 characters each: conditions that look at all of them are costed so
	Renditions int               // of the ladder; 0: as many as are decided on
	Frames     int64             // reference frames to measure; 0 unknown

	// Given says what the request sets itself. What rules say of that is left out of the decision, and is no reason for
	// a [ConflictError]. Rules do not see it. Models are not among it: see ModelsAuto. Where that is false, the setting models is
	// left out, while add_models counts still.
	Given Given
}

// Given are settings that a request makes itself.
type Given struct{ Scale, Geometry, BitDepth, Encoded, Chunk, Pairing, Class, Pools bool }

// field is one thing that conditions can name of a T.
type field[T any] struct {
	name  string
	kind  *types.Type
	value func(*T) ref.Val
}

// videoFields are those of reference and distorted, in the order in which messages list them.
var videoFields = []field[Video]{
	text("path", (*Video).base),
	text("container", func(v *Video) string { return v.Container }),
	text("codec", func(v *Video) string { return v.Codec }),
	text("profile", func(v *Video) string { return v.Profile }),
	whole("width", func(v *Video) int64 { return int64(v.Width) }),
	whole("height", func(v *Video) int64 { return int64(v.Height) }),
	whole("coded_width", func(v *Video) int64 { return int64(v.CodedWidth) }),
	whole("coded_height", func(v *Video) int64 { return int64(v.CodedHeight) }),
	whole("bit_depth", func(v *Video) int64 { return int64(v.BitDepth) }),
	text("subsampling", func(v *Video) string { return v.Subsampling }),
	truth("full_range", func(v *Video) bool { return v.FullRange }),
	number("frame_rate", func(v *Video) float64 { return v.FrameRate }),
	truth("variable_frame_rate", func(v *Video) bool { return v.VariableFrameRate }),
	number("duration_seconds", func(v *Video) float64 { return v.DurationSeconds }),
	whole("frames", func(v *Video) int64 { return v.Frames }),
	whole("bit_rate", func(v *Video) int64 { return v.BitRate }),
	truth("interlaced", func(v *Video) bool { return v.Interlaced }),
	text("transfer", func(v *Video) string { return v.Transfer }),
	text("primaries", func(v *Video) string { return v.Primaries }),
	text("color_space", func(v *Video) string { return v.ColorSpace }),
	truth("fits_v1", func(v *Video) bool { return v.FitsV1 }),
}

var requestFields = []field[Request]{
	truth("models_auto", func(r *Request) bool { return r.ModelsAuto }),
	text("class", func(r *Request) string { return r.Class }),
	{"labels", types.NewMapType(types.StringType, types.StringType), func(r *Request) ref.Val {
		return types.NewStringStringMap(types.DefaultTypeAdapter, r.Labels)
	}},
	whole("renditions", func(r *Request) int64 { return int64(r.Renditions) }),
	whole("frames", func(r *Request) int64 { return r.Frames }),
}

func text[T any](name string, get func(*T) string) field[T] {
	return field[T]{name, types.StringType, func(v *T) ref.Val { return types.String(get(v)) }}
}

func whole[T any](name string, get func(*T) int64) field[T] {
	return field[T]{name, types.IntType, func(v *T) ref.Val { return types.Int(get(v)) }}
}

func number[T any](name string, get func(*T) float64) field[T] {
	return field[T]{name, types.DoubleType, func(v *T) ref.Val { return types.Double(get(v)) }}
}

func truth[T any](name string, get func(*T) bool) field[T] {
	return field[T]{name, types.BoolType, func(v *T) ref.Val { return types.Bool(get(v)) }}
}

// show writes a value as a condition would have it, so that facts can be copied into one.
func show(v ref.Val) string {
	switch v := v.Value().(type) {
	case string:
		return strconv.Quote(v)
	case map[string]string:
		var entries []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			entries = append(entries, strconv.Quote(key)+": "+strconv.Quote(v[key]))
		}
		return "{" + strings.Join(entries, ", ") + "}"
	default:
		return fmt.Sprint(v)
	}
}

// The names of the types in messages, and of the variables of these types.
const (
	videoType   = "Video"
	requestType = "Request"

	referenceVariable = "reference"
	distortedVariable = "distorted"
	requestVariable   = "request"
)

var variableNames = []string{referenceVariable, distortedVariable, requestVariable}

// object is a type as the checker and the interpreter want it.
type object struct {
	kind   *types.Type
	names  []string
	get    map[string]func(target any) ref.Val
	fields map[string]*types.FieldType
}

func newObject[T any](name string, fields []field[T]) object {
	o := object{types.NewObjectType(name), nil, map[string]func(any) ref.Val{}, map[string]*types.FieldType{}}
	for _, f := range fields {
		get := func(target any) ref.Val { return f.value(target.(*T)) }
		o.names = append(o.names, f.name)
		o.get[f.name] = get
		o.fields[f.name] = &types.FieldType{
			Type: f.kind,
			// has(reference.transfer) asks whether it is known.
			IsSet:   func(target any) bool { return !isZero(get(target)) },
			GetFrom: func(target any) (any, error) { return get(target), nil },
		}
	}
	return o
}

func isZero(v ref.Val) bool {
	z, ok := v.(interface{ IsZeroValue() bool })
	return ok && z.IsZeroValue()
}

// objects are the types by name; they never change.
var objects = map[string]object{
	videoType:   newObject(videoType, videoFields),
	requestType: newObject(requestType, requestFields),
}

// objectOf is the type of a variable.
func objectOf(variable string) (object, bool) {
	switch variable {
	case referenceVariable, distortedVariable:
		return objects[videoType], true
	case requestVariable:
		return objects[requestType], true
	}
	return object{}, false
}

// provider adds the two types to the language's own.
type provider struct{ *types.Registry }

func (p provider) FindStructType(name string) (*types.Type, bool) {
	if o, ok := objects[name]; ok {
		return types.NewTypeTypeWithParam(o.kind), true
	}
	return p.Registry.FindStructType(name)
}

func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	if o, ok := objects[name]; ok {
		return o.names, true
	}
	return p.Registry.FindStructFieldNames(name)
}

func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if o, ok := objects[name]; ok {
		f, ok := o.fields[field]
		return f, ok
	}
	return p.Registry.FindStructFieldType(name, field)
}

// pair is what one evaluation sees.
type pair struct {
	ref, dis *Video
	request  *Request
}

// resolve is the value of a variable.
func (p *pair) resolve(name string) (any, bool) {
	switch name {
	case referenceVariable:
		return p.ref, true
	case distortedVariable:
		return p.dis, true
	case requestVariable:
		return p.request, true
	}
	return nil, false
}
