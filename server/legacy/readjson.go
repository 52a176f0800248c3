package legacy

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader reads JSON of the shape of a log. It takes what libvmaf's releases wrote beside the standard, too:
// inf and nan as numbers, and a comma before the first frame.
type jsonReader struct {
	in        *input
	b         *builder
	depth     int
	keys      [8][]byte // scratch, one for each open object; deeper ones allocate
	text      []byte    // scratch for values
	sawFrames bool
}

func readJSON(in *input, b *builder) error {
	j := &jsonReader{in: in, b: b}
	if err := j.object(j.member); err != nil {
		return err
	}
	if c := in.space(); c != end {
		return fmt.Errorf("%s after the end of the log: %w", show(c), ErrMalformed)
	}
	if !j.sawFrames {
		return fmt.Errorf("the file has no list of frames: %w", ErrMalformed)
	}
	return nil
}

// member reads one member of the outermost object.
func (j *jsonReader) member(key []byte) error {
	var err error
	switch string(key) {
	case "version":
		if j.text, err = j.string(j.text); err == nil {
			j.b.log.Version = string(j.text)
		}
	case "fps":
		if j.text, err = j.token(j.text); err != nil {
			break
		}
		j.b.log.HasFPS = true
		if string(j.text) == "null" {
			j.b.log.FPS = math.NaN()
			j.b.marks.fpsNull = true
			break
		}
		j.b.log.FPS, err = parseScore(j.text)
		j.b.marks.fpsNotFinite = notFinite(j.b.log.FPS)
	case "frames":
		j.sawFrames = true
		err = j.array(true, j.frame)
	case "pooled_metrics":
		err = j.pooled()
	case "aggregate_metrics":
		err = j.scores(func(name []byte, x float64) error { return j.b.aggregate(string(name), x) })
	case "params":
		err = j.params()
	case "metrics":
		j.b.format = VmafossexecJSON
		err = j.array(false, func() error {
			var err error
			if j.text, err = j.string(j.text); err != nil {
				return err
			}
			if _, known := j.b.index[string(j.text)]; known {
				return fmt.Errorf("%q occurs twice in the list of metrics: %w", j.text, ErrMalformed)
			}
			_, err = j.b.addSeries(string(j.text))
			return err
		})
	default:
		if !isVmafossexecKey(string(key)) {
			return j.unknown("", key)
		}
		if j.text, err = j.token(j.text); err == nil {
			err = j.b.vmafossexecScore(string(key), j.text)
		}
	}
	return err
}

// params reads what vmafossexec says of its run.
func (j *jsonReader) params() error {
	return j.object(func(key []byte) error {
		if !isVmafossexecParam(string(key)) {
			return j.unknown("params.", key)
		}
		var err error
		if j.in.space() == '"' {
			j.text, err = j.string(j.text)
		} else {
			j.text, err = j.token(j.text)
		}
		if err != nil {
			return err
		}
		return j.b.vmafossexecParam(string(key), j.text)
	})
}

// frame reads one element of the list of frames.
func (j *jsonReader) frame() error {
	number := -1
	err := j.object(func(key []byte) error {
		var err error
		switch string(key) {
		case "frameNum":
			if j.text, err = j.token(j.text); err == nil {
				number, err = parseFrame(j.text)
			}
		case "metrics":
			err = j.scores(j.b.value)
		default:
			err = j.unknown("frames[].", key)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case number < 0:
		return fmt.Errorf("a frame without frameNum: %w", ErrMalformed)
	}
	return j.b.endFrame(number)
}

// pooled reads the pooled figures: an object by name, or in 2.0.0 an array.
func (j *jsonReader) pooled() error {
	j.b.marks.pooled = true
	if j.in.space() == '[' {
		j.b.marks.pooledArray = true
		return j.array(false, func() error {
			if err := j.b.beginPooled(); err != nil {
				return err
			}
			var name string
			err := j.object(func(key []byte) error {
				var err error
				switch string(key) {
				case "metric":
					if j.text, err = j.string(j.text); err == nil {
						name = string(j.text)
					}
				case "pooling_methods":
					err = j.figures("pooled_metrics[].pooling_methods.")
				default:
					err = j.unknown("pooled_metrics[].", key)
				}
				return err
			})
			if err != nil {
				return err
			}
			return j.b.endPooled(name)
		})
	}
	return j.object(func(key []byte) error {
		if err := j.b.beginPooled(); err != nil {
			return err
		}
		if err := j.b.endPooled(string(key)); err != nil {
			return err
		}
		return j.figures("pooled_metrics.*.")
	})
}

// figures reads an object of pooled figures by method. place is what the paths of those in it begin with that nobody knows.
func (j *jsonReader) figures(place string) error {
	return j.object(func(key []byte) error {
		method, known := j.b.poolMethod(place, key)
		if !known {
			return j.skip()
		}
		return j.score(key, func(_ []byte, x float64) error { return j.b.figure(method, x) })
	})
}

// scores reads an object of numbers.
func (j *jsonReader) scores(use func(name []byte, x float64) error) error {
	return j.object(func(key []byte) error { return j.score(key, use) })
}

// score reads a number and hands it on with its name.
func (j *jsonReader) score(name []byte, use func(name []byte, x float64) error) error {
	var err error
	if j.text, err = j.token(j.text); err != nil {
		return err
	}
	if string(j.text) == "null" {
		j.b.marks.null = true
		return use(name, math.NaN())
	}
	x, err := j.b.score(j.text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if notFinite(x) {
		j.b.marks.notFinite = true
	}
	return use(name, x)
}

// object reads an object; member reads the value of the key it is given, which is valid until it returns.
func (j *jsonReader) object(member func(key []byte) error) error {
	if err := j.open('{'); err != nil {
		return err
	}
	defer j.close()
	var key []byte
	if j.depth <= len(j.keys) {
		key = j.keys[j.depth-1]
	}
	for first := true; ; first = false {
		c := j.in.space()
		switch {
		case c == '}':
			j.in.next()
			return nil
		case !first:
			if err := j.in.expect(","); err != nil {
				return err
			}
		}
		var err error
		if key, err = j.string(key); err != nil {
			return err
		}
		if j.depth <= len(j.keys) {
			j.keys[j.depth-1] = key
		}
		j.in.space()
		if err := j.in.expect(":"); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
	}
}

// array reads an array, calling element for each. With leading, a comma may come first: libvmaf writes one where its
// list of frames does not begin with frame 0.
func (j *jsonReader) array(leading bool, element func() error) error {
	if err := j.open('['); err != nil {
		return err
	}
	defer j.close()
	for first := true; ; first = false {
		c := j.in.space()
		switch {
		case c == ']':
			j.in.next()
			return nil
		case c == ',' && first && leading:
			j.in.next()
			j.in.space()
		case !first:
			if err := j.in.expect(","); err != nil {
				return err
			}
			j.in.space()
		}
		if err := element(); err != nil {
			return err
		}
	}
}

func (j *jsonReader) open(bracket byte) error {
	j.in.space()
	if err := j.in.expect(string(rune(bracket))); err != nil {
		return err
	}
	if j.depth == maxDepth {
		return fmt.Errorf("values nested more than %d deep: %w", maxDepth, ErrLimit)
	}
	j.depth++
	return nil
}

func (j *jsonReader) close() { j.depth-- }

// token takes a number or a word such as null into buf[:0].
func (j *jsonReader) token(buf []byte) ([]byte, error) {
	buf = buf[:0]
	for c := j.in.space(); ; c = j.in.peek() {
		switch c {
		case ' ', '\t', '\r', '\n', ',', '}', ']', '{', '[', '"', ':', end:
			if len(buf) == 0 {
				return buf, fmt.Errorf("%s where a number is due: %w", show(c), ErrMalformed)
			}
			return buf, nil
		}
		if len(buf) == maxTextBytes {
			return buf, fmt.Errorf("number of more than %d characters: %w", maxTextBytes, ErrLimit)
		}
		buf = append(buf, byte(j.in.next()))
	}
}

// string takes a string into buf[:0].
func (j *jsonReader) string(buf []byte) ([]byte, error) {
	buf = buf[:0]
	j.in.space()
	if err := j.in.expect(`"`); err != nil {
		return buf, err
	}
	for {
		c := j.in.next()
		switch {
		case c == '"':
			if !utf8.Valid(buf) {
				return buf, fmt.Errorf("string %q is not valid UTF-8: %w", buf, ErrMalformed)
			}
			return buf, nil
		case c == end || c < ' ':
			return buf, fmt.Errorf("%s within a string: %w", show(c), ErrMalformed)
		case len(buf) >= maxTextBytes:
			return buf, fmt.Errorf("string of more than %d bytes: %w", maxTextBytes, ErrLimit)
		case c == '\\':
			r, err := j.escape()
			if err != nil {
				return buf, err
			}
			buf = utf8.AppendRune(buf, r)
		default:
			buf = append(buf, byte(c))
		}
	}
}

// escape reads what follows a backslash. libvmaf writes none; tools that pass a log on may.
func (j *jsonReader) escape() (rune, error) {
	switch c := j.in.next(); c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, err := j.hex4()
		if err != nil || !utf16.IsSurrogate(r) {
			return r, err
		}
		if err := j.in.expect(`\u`); err != nil {
			return 0, err
		}
		low, err := j.hex4()
		if err != nil {
			return 0, err
		}
		return utf16.DecodeRune(r, low), nil // the replacement character for half a pair
	default:
		return 0, fmt.Errorf("%s after a backslash: %w", show(c), ErrMalformed)
	}
}

func (j *jsonReader) hex4() (rune, error) {
	var digits [4]byte
	for i := range digits {
		c := j.in.next()
		if c == end {
			return 0, fmt.Errorf("the file ends within a string: %w", ErrMalformed)
		}
		digits[i] = byte(c)
	}
	n, err := strconv.ParseUint(string(digits[:]), 16, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no code of a character: %w", digits, ErrMalformed)
	}
	return rune(n), nil
}

// unknown notes a member that logs do not have, and reads its value. place is what the paths of members there begin with.
func (j *jsonReader) unknown(place string, key []byte) error {
	j.b.unknown(place, key)
	return j.skip()
}

// skip reads a value that logs do not have.
func (j *jsonReader) skip() error {
	var err error
	switch j.in.space() {
	case '{':
		return j.object(func([]byte) error { return j.skip() })
	case '[':
		return j.array(false, j.skip)
	case '"':
		j.text, err = j.string(j.text)
	default:
		j.text, err = j.token(j.text)
	}
	return err
}
