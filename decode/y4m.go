package decode

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/vqsd/vqsd/vmaf"
)

// The y4m container: one header line, then for each frame a line that begins "FRAME" and its planes, rows
// without padding. Parameters of a line are separated by spaces; the first letter says which one it is.
const (
	y4mMagic       = "YUV4MPEG2"
	y4mFrame       = "FRAME"
	y4mMaxHeader   = 4096 // bytes of the header line, comments included
	y4mMaxFrameTag = 1024 // bytes of a FRAME line
)

var plainFrame = []byte(y4mFrame + "\n")

// y4mHeader is what the first line says.
type y4mHeader struct {
	format     vmaf.Format
	rate       Rational
	aspect     Rational
	interlaced string // "", "tff", "bff" or "mixed"
	colour     string // the C parameter, "420" when there is none
}

// y4mColours are the C parameters that can be read. Chroma siting (jpeg, mpeg2, paldv) is of no consequence here.
var y4mColours = map[string]vmaf.Format{
	"420":      {Subsampling: vmaf.Chroma420, BitsPerComponent: 8},
	"420jpeg":  {Subsampling: vmaf.Chroma420, BitsPerComponent: 8},
	"420mpeg2": {Subsampling: vmaf.Chroma420, BitsPerComponent: 8},
	"420paldv": {Subsampling: vmaf.Chroma420, BitsPerComponent: 8},
	"422":      {Subsampling: vmaf.Chroma422, BitsPerComponent: 8},
	"444":      {Subsampling: vmaf.Chroma444, BitsPerComponent: 8},
	"mono":     {Subsampling: vmaf.Gray, BitsPerComponent: 8},
}

func init() {
	for _, bits := range planarDepths[1:] {
		y4mColours[fmt.Sprintf("420p%d", bits)] = vmaf.Format{Subsampling: vmaf.Chroma420, BitsPerComponent: bits}
		y4mColours[fmt.Sprintf("422p%d", bits)] = vmaf.Format{Subsampling: vmaf.Chroma422, BitsPerComponent: bits}
		y4mColours[fmt.Sprintf("444p%d", bits)] = vmaf.Format{Subsampling: vmaf.Chroma444, BitsPerComponent: bits}
		y4mColours[fmt.Sprintf("mono%d", bits)] = vmaf.Format{Subsampling: vmaf.Gray, BitsPerComponent: bits}
	}
}

// isY4M says whether a file begins as y4m does.
func isY4M(head []byte) bool { return bytes.HasPrefix(head, []byte(y4mMagic)) }

// parseY4MHeader reads the first line, without its newline.
func parseY4MHeader(line string) (y4mHeader, error) {
	h := y4mHeader{colour: "420"}
	fields := strings.Split(line, " ")
	if fields[0] != y4mMagic {
		return h, fmt.Errorf("y4m header begins %.20q instead of %q", fields[0], y4mMagic)
	}
	full := false
	bad := func(field string) error {
		return fmt.Errorf("y4m header has the parameter %.40q, which makes no sense", field)
	}
	for _, field := range fields[1:] {
		if field == "" {
			continue
		}
		value := field[1:]
		switch field[0] {
		case 'W', 'H':
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil || n == 0 {
				return h, bad(field)
			}
			if field[0] == 'W' {
				h.format.Width = int(n)
			} else {
				h.format.Height = int(n)
			}
		case 'F', 'A':
			r, err := parseY4MRatio(value)
			if err != nil {
				return h, bad(field)
			}
			if field[0] == 'F' {
				h.rate = r
			} else {
				h.aspect = r
			}
		case 'I':
			known := false
			h.interlaced, known = map[string]string{"p": "", "?": "", "t": "tff", "b": "bff", "m": "mixed"}[value]
			if !known {
				return h, bad(field)
			}
		case 'C':
			h.colour = value
		case 'X':
			if strings.EqualFold(value, "COLORRANGE=FULL") {
				full = true
			}
			// older writers put the depth only here
			if v, ok := strings.CutPrefix(value, "YSCSS="); ok && !strings.Contains(line, " C") {
				h.colour = strings.ToLower(v)
			}
		default:
			return h, bad(field)
		}
	}
	if h.format.Width == 0 || h.format.Height == 0 {
		return h, errors.New("y4m header does not say width and height")
	}
	c, ok := y4mColours[h.colour]
	if !ok {
		return h, fmt.Errorf("%w y4m colour format C%.20s; supported are C420, C422, C444 and Cmono with 8 to 16 bits", ErrUnsupported, h.colour)
	}
	h.format.Subsampling, h.format.BitsPerComponent, h.format.FullRange = c.Subsampling, c.BitsPerComponent, full
	return h, nil
}

// parseY4M is parseY4MHeader, as the input has it.
func (in Input) parseY4M(line string) (y4mHeader, error) {
	h, err := parseY4MHeader(line)
	h.format.FullRange = h.format.FullRange && !in.IgnoreRange
	return h, err
}

// parseY4MRatio reads "25:1"; "0:0" is unknown.
func parseY4MRatio(s string) (Rational, error) {
	num, den, ok := strings.Cut(s, ":")
	n, err1 := strconv.ParseUint(num, 10, 31)
	d, err2 := strconv.ParseUint(den, 10, 31)
	if !ok || err1 != nil || err2 != nil {
		return Rational{}, fmt.Errorf("%q is no ratio", s)
	}
	if n == 0 || d == 0 {
		return Rational{}, nil
	}
	return Rational{int64(n), int64(d)}.reduced(), nil
}

// checkFrameLine checks a FRAME line, without its newline. Its parameters change nothing: fields of interlaced
// frames lie interleaved whatever they say, and chroma siting is of no consequence.
func checkFrameLine(line []byte) error {
	rest, ok := bytes.CutPrefix(line, []byte(y4mFrame))
	if !ok || len(rest) > 0 && rest[0] != ' ' {
		return fmt.Errorf("%w: %q where a FRAME line should be", ErrDamaged, printable(line))
	}
	return nil
}

// printable is the beginning of b for a message.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, string(b[:min(len(b), 16)]))
}
