package legacy

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds nesting. libvmaf's logs go three deep in XML, five in JSON.
const maxDepth = 32

// xmlReader reads the subset of XML that logs are made of: elements with attributes. Comments and processing
// instructions are skipped; a document type or CDATA section is refused, so there are no entities but the five.
type xmlReader struct {
	in                 *input
	b                  *builder
	stack              []string // names of the open elements
	sawRoot, sawFrames bool
	// The element that is being read:
	name       string
	hasNumber  bool // a frame with its frameNum
	frame      int
	metric     string // a metric's name
	attr, text []byte // scratch

	sawText bool // since the last tag
}

// What ends a name, and a value in either kind of quotes.
var (
	xmlNameEnds       = bytesOf(" \t\r\n=/><\"'&")
	xmlValueEnds      = bytesOf("\"<\n")
	xmlOtherValueEnds = bytesOf("'<\n")
)

func readXML(in *input, b *builder) error {
	x := &xmlReader{in: in, b: b}
	for {
		c := in.next()
		switch {
		case c == end && !x.sawRoot:
			return fmt.Errorf("the file holds no element: %w", ErrMalformed)
		case c == end && len(x.stack) == 0:
			if !x.sawFrames {
				return fmt.Errorf("the file has no frames element: %w", ErrMalformed)
			}
			return nil
		case c == end:
			return fmt.Errorf("the file ends within %q: %w", x.stack[len(x.stack)-1], ErrMalformed)
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			continue
		case c != '<' && len(x.stack) == 0:
			return fmt.Errorf("%s outside the VMAF element: %w", show(c), ErrMalformed)
		case c != '<':
			x.unknownText() // libvmaf writes no text but white space
			continue
		}
		x.sawText = false
		var err error
		switch in.peek() {
		case '?':
			err = x.skipTo("?>")
		case '!':
			in.next()
			if err = in.expect("--"); err == nil {
				err = x.skipTo("-->")
			}
		case '/':
			in.next()
			err = x.endTag()
		default:
			err = x.startTag()
		}
		if err != nil {
			return err
		}
	}
}

// skipTo takes everything up to and with mark.
func (x *xmlReader) skipTo(mark string) error {
	var tail []byte
	for {
		c := x.in.next()
		if c == end {
			return fmt.Errorf("the file ends before %q: %w", mark, ErrMalformed)
		}
		if tail = append(tail, byte(c)); len(tail) > len(mark) {
			tail = append(tail[:0], tail[1:]...)
		}
		if string(tail) == mark {
			return nil
		}
	}
}

// word takes the characters of a name into buf[:0].
func (x *xmlReader) word(buf []byte) ([]byte, error) {
	buf = x.in.run(buf[:0], maxTextBytes, &xmlNameEnds)
	switch c := x.in.peek(); {
	case c != end && !xmlNameEnds[c]:
		return buf, fmt.Errorf("name of more than %d bytes: %w", maxTextBytes, ErrLimit)
	case len(buf) == 0:
		return buf, fmt.Errorf("%s where a name is due: %w", show(c), ErrMalformed)
	case !utf8.Valid(buf):
		return buf, fmt.Errorf("name %q is not valid UTF-8: %w", buf, ErrMalformed)
	}
	return buf, nil
}

func (x *xmlReader) endTag() error {
	name, err := x.word(x.attr)
	if err != nil {
		return err
	}
	x.attr = name
	n := len(x.stack)
	if n == 0 || x.stack[n-1] != string(name) {
		return fmt.Errorf("%q ends but is not open: %w", name, ErrMalformed)
	}
	x.stack = x.stack[:n-1]
	x.in.space()
	return x.in.expect(">")
}

func (x *xmlReader) startTag() error {
	name, err := x.word(x.attr)
	if err != nil {
		return err
	}
	x.attr = name
	if len(x.stack) == 0 && (x.sawRoot || string(name) != "VMAF") {
		return fmt.Errorf("element %q where one VMAF element is due: %w", name, ErrMalformed)
	}
	if len(x.stack) == maxDepth {
		return fmt.Errorf("elements nested more than %d deep: %w", maxDepth, ErrLimit)
	}
	x.sawRoot = true
	x.name, x.hasNumber, x.metric = elementName(name), false, ""
	if err := x.begin(); err != nil {
		return err
	}
	for {
		switch c := x.in.space(); c {
		case '/':
			x.in.next()
			if err := x.in.expect(">"); err != nil {
				return err
			}
			return x.attributesEnd()
		case '>':
			x.in.next()
			err := x.attributesEnd()
			x.stack = append(x.stack, x.name)
			return err
		}
		if err := x.attribute(); err != nil {
			return err
		}
	}
}

// elementName makes a string of name without allocating for the common ones.
func elementName(name []byte) string {
	switch string(name) {
	case "frame":
		return "frame"
	case "metric":
		return "metric"
	}
	return string(name)
}

// inside says whether the element being read is NAME inside the element PARENT inside the root.
func (x *xmlReader) inside(parent, name string) bool {
	return len(x.stack) == 2 && x.stack[1] == parent && x.name == name
}

// part says whether the element being read is NAME directly inside the root.
func (x *xmlReader) part(name string) bool { return len(x.stack) == 1 && x.name == name }

func (x *xmlReader) begin() error {
	switch {
	case x.part("params"):
		x.b.marks.params = true
	case x.part("frames"):
		x.sawFrames = true
	case x.part("pooled_metrics"):
		x.b.marks.pooled = true
	case x.inside("pooled_metrics", "metric"):
		return x.b.beginPooled()
	case len(x.stack) == 0, x.part("fyi"), x.part("aggregate_metrics"), x.inside("frames", "frame"):
	default:
		if place, known := x.place(); known {
			x.b.unknown(place, []byte(x.name))
		}
	}
	return nil
}

// xmlPlaces are where logs have elements in the root, and in its parts, and what the paths of what is in those begin with.
var xmlPlaces = [...]struct{ part, element, path string }{
	{"params", "", "params/"},
	{"fyi", "", "fyi/"},
	{"frames", "", "frames/"},
	{"frames", "frame", "frames/frame/"},
	{"pooled_metrics", "", "pooled_metrics/"},
	{"pooled_metrics", "metric", "pooled_metrics/metric/"},
	{"aggregate_metrics", "", "aggregate_metrics/"},
}

// place is what the paths of what is in the innermost open element begin with. known: logs have that element; else it was noted itself.
func (x *xmlReader) place() (path string, known bool) {
	part, element := "", ""
	switch len(x.stack) {
	case 1:
		return "", true
	case 2:
		part = x.stack[1]
	case 3:
		part, element = x.stack[1], x.stack[2]
	}
	for _, p := range xmlPlaces {
		if p.part == part && p.element == element {
			return p.path, true
		}
	}
	return "", false
}

// unknownText notes the text that has begun.
func (x *xmlReader) unknownText() {
	if x.sawText {
		return
	}
	x.sawText = true
	if place, known := x.place(); known {
		x.b.unknownText(place)
	}
}

func (x *xmlReader) attribute() error {
	var err error
	if x.attr, err = x.word(x.attr); err != nil {
		return err
	}
	x.in.space()
	if err := x.in.expect("="); err != nil {
		return err
	}
	if err := x.value(); err != nil {
		return err
	}
	switch {
	case len(x.stack) == 0:
		if string(x.attr) != "version" {
			x.b.unknown("@", x.attr)
			break
		}
		x.b.log.Version = string(x.text)
	case x.part("params"):
		switch string(x.attr) {
		case "qualityWidth":
			x.b.log.Width, err = size(x.text)
		case "qualityHeight":
			x.b.log.Height, err = size(x.text)
		default:
			if !isVmafossexecParam(string(x.attr)) {
				x.b.unknown("params/@", x.attr)
				break
			}
			err = x.b.vmafossexecParam(string(x.attr), x.text)
		}
	case x.part("fyi"):
		if string(x.attr) == "fps" {
			x.b.log.FPS, err = parseScore(x.text)
			x.b.log.HasFPS = true
			break
		}
		if !isVmafossexecFYI(string(x.attr)) {
			x.b.unknown("fyi/@", x.attr)
			break
		}
		err = x.b.vmafossexecFYI(string(x.attr), x.text)
	case x.part("aggregate_metrics"):
		err = x.scored(func(v float64) error { return x.b.aggregate(string(x.attr), v) })
	case x.inside("frames", "frame"):
		if string(x.attr) == "frameNum" {
			if x.hasNumber {
				return fmt.Errorf("frameNum occurs twice: %w", ErrMalformed)
			}
			x.hasNumber = true
			x.frame, err = parseFrame(x.text)
			break
		}
		err = x.scored(func(v float64) error { return x.b.value(x.attr, v) })
	case x.inside("pooled_metrics", "metric"):
		if string(x.attr) == "name" {
			x.metric = string(x.text)
			break
		}
		if method, known := x.b.poolMethod("pooled_metrics/metric/@", x.attr); known {
			err = x.scored(func(v float64) error { return x.b.figure(method, v) })
		}
	case x.part("frames"):
		x.b.unknown("frames/@", x.attr)
	case x.part("pooled_metrics"):
		x.b.unknown("pooled_metrics/@", x.attr)
	}
	return err
}

// scored reads the attribute's value as a score and hands it to use.
func (x *xmlReader) scored(use func(float64) error) error {
	v, err := x.b.score(x.text)
	if err != nil {
		return fmt.Errorf("%s: %w", x.attr, err)
	}
	return use(v)
}

// attributesEnd closes what consists of attributes alone.
func (x *xmlReader) attributesEnd() error {
	switch {
	case x.inside("frames", "frame"):
		if !x.hasNumber {
			return fmt.Errorf("a frame without frameNum: %w", ErrMalformed)
		}
		return x.b.endFrame(x.frame)
	case x.inside("pooled_metrics", "metric"):
		return x.b.endPooled(x.metric)
	}
	return nil
}

// value takes a quoted attribute value into x.text.
func (x *xmlReader) value() error {
	quote := x.in.space()
	if quote != '"' && quote != '\'' {
		return fmt.Errorf("%s where a quoted value is due: %w", show(quote), ErrMalformed)
	}
	x.in.next()
	ends := &xmlValueEnds
	if quote == '\'' {
		ends = &xmlOtherValueEnds
	}
	x.text = x.in.run(x.text[:0], maxTextBytes, ends)
	switch c := x.in.next(); {
	case c == quote && bytes.IndexByte(x.text, '&') >= 0:
		return x.unescape()
	case c == quote && !utf8.Valid(x.text):
		return fmt.Errorf("value %q is not valid UTF-8: %w", x.text, ErrMalformed)
	case c == quote:
		return nil
	case c == end || ends[c]:
		return fmt.Errorf("%s within the value of %q: %w", show(c), x.attr, ErrMalformed)
	}
	return fmt.Errorf("value of more than %d bytes: %w", maxTextBytes, ErrLimit)
}

// unescape replaces the entities in x.text. libvmaf writes none; tools that pass a log on may.
func (x *xmlReader) unescape() error {
	var out []byte
	for rest := x.text; ; {
		i := bytes.IndexByte(rest, '&')
		if i < 0 {
			x.text = append(out, rest...)
			if !utf8.Valid(x.text) {
				return fmt.Errorf("value %q is not valid UTF-8: %w", x.text, ErrMalformed)
			}
			return nil
		}
		out = append(out, rest[:i]...)
		rest = rest[i+1:]
		j := bytes.IndexByte(rest, ';')
		if j < 0 {
			return fmt.Errorf("a bare & within the value of %q: %w", x.attr, ErrMalformed)
		}
		r, err := entity(string(rest[:j]))
		if err != nil {
			return err
		}
		out = utf8.AppendRune(out, r)
		rest = rest[j+1:]
	}
}

func entity(name string) (rune, error) {
	switch name {
	case "lt":
		return '<', nil
	case "gt":
		return '>', nil
	case "amp":
		return '&', nil
	case "quot":
		return '"', nil
	case "apos":
		return '\'', nil
	}
	if len(name) > 1 && name[0] == '#' {
		digits, base := name[1:], 10
		if digits[0] == 'x' {
			digits, base = digits[1:], 16
		}
		if n, err := strconv.ParseUint(digits, base, 21); err == nil && utf8.ValidRune(rune(n)) {
			return rune(n), nil
		}
	}
	return 0, fmt.Errorf("unknown entity %.40q: %w", name, ErrMalformed)
}
