package watch

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// What bounds patterns. A match costs time in proportion to the path's length times the program's size, however hostile either of them is.
const (
	maxPatternBytes    = 1024
	maxPatternCaptures = 16
	maxPatternProgram  = 4096 // instructions
)

// pattern is a pattern of paths below a folder. It is immutable.
//
// A pattern matches a whole path, byte for byte in upper and lower case:
//
//   - any characters within a path segment, or none
//     ?              one character within a path segment
//     **             as a whole segment: any number of segments, or none; as the last one, all that is below
//     {NAME}         one or more characters within a segment, captured as NAME. As many as can be: of a_b_720.mp4, {title}_{height}.mp4 captures a_b and 720
//     {NAME:REGEXP}  what the regular expression (RE2) matches, captured as NAME; it may go over segments, and may match nothing
//     \C             the character C itself, where it would mean something
//
// NAME is made of a-z, 0-9, "_" and "-" and begins with a letter, as the keys of labels, and comes once in a pattern. In REGEXP, braces that are no
// repetition are written with a \ before.
type pattern struct {
	text    string
	exp     *regexp.Regexp
	names   []string // of captures, in order
	literal string   // where nothing in the pattern is special: what it matches; else ""
	suffix  string   // what every path that matches ends in
}

var (
	captureName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	groupPrefix = "c" // the groups of captures are c0, c1 …, since not every name of a capture could be one of a group
)

// parsePattern reads a pattern. Errors say where in the text it is wrong.
func parsePattern(text string) (*pattern, error) {
	switch {
	case text == "":
		return nil, errors.New("the pattern is empty")
	case len(text) > maxPatternBytes:
		return nil, fmt.Errorf("the pattern has %d bytes; %d are allowed", len(text), maxPatternBytes)
	case !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\n"):
		return nil, fmt.Errorf("%q is no text of one line", text)
	case strings.HasPrefix(text, "/"):
		return nil, fmt.Errorf("%q begins with /; paths are those below the folder", text)
	}
	c := patternCompiler{text: text}
	if err := c.compile(); err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	expression := `\A(?:` + c.out.String() + `)\z`
	parsed, err := syntax.Parse(expression, syntax.Perl|syntax.DotNL)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	if n := len(program.Inst); n > maxPatternProgram {
		return nil, fmt.Errorf("%q: it takes %d steps to match; %d are allowed: make repetitions shorter", text, n, maxPatternProgram)
	}
	exp, err := regexp.Compile("(?s)" + expression)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	p := &pattern{text: text, exp: exp, names: c.names}
	if plain := c.plain.String(); !c.special {
		p.literal = plain
	} else {
		p.suffix = plain[c.after:]
	}
	return p, nil
}

// patternCompiler turns a pattern into a regular expression.
type patternCompiler struct {
	text    string
	at      int // byte
	out     strings.Builder
	plain   strings.Builder // the characters that stand for themselves
	after   int             // length of plain after the last special
	special bool
	names   []string

	segment        int // where the segment begins in plain
	segmentSpecial bool
}

func (c *patternCompiler) compile() error {
	for c.at < len(c.text) {
		switch c.text[c.at] {
		case '/':
			if err := c.endSegment(); err != nil {
				return err
			}
			c.literal()
			c.segment, c.segmentSpecial = c.plain.Len(), false
		case '*':
			if err := c.stars(); err != nil {
				return err
			}
		case '?':
			c.put(`[^/]`, 1)
		case '{':
			if err := c.capture(); err != nil {
				return err
			}
		case '}':
			return fmt.Errorf(`} at %d closes nothing; write \} for the character`, c.at+1)
		case '\\':
			if c.at++; c.at == len(c.text) {
				return errors.New(`the \ at its end stands before nothing`)
			}
			c.literal()
		default:
			c.literal()
		}
	}
	return c.endSegment()
}

// endSegment refuses a segment that no path below a folder has.
func (c *patternCompiler) endSegment() error {
	if segment := c.plain.String()[c.segment:]; !c.segmentSpecial && (segment == "" || segment == "." || segment == "..") {
		return fmt.Errorf("no path below the folder has a segment %q", segment)
	}
	return nil
}

// put writes an expression for what takes n bytes of the pattern.
func (c *patternCompiler) put(expression string, n int) {
	c.out.WriteString(expression)
	c.at += n
	c.special, c.segmentSpecial, c.after = true, true, c.plain.Len()
}

func (c *patternCompiler) literal() {
	_, n := utf8.DecodeRuneInString(c.text[c.at:])
	c.out.WriteString(regexp.QuoteMeta(c.text[c.at : c.at+n]))
	c.plain.WriteString(c.text[c.at : c.at+n])
	c.at += n
}

// stars reads * and **.
func (c *patternCompiler) stars() error {
	rest := c.text[c.at:]
	if !strings.HasPrefix(rest, "**") {
		c.put(`[^/]*`, 1)
		return nil
	}
	begins := c.at == 0 || c.text[c.at-1] == '/'
	switch {
	case begins && rest == "**":
		c.put(`.+`, 2)
	case begins && strings.HasPrefix(rest, "**/"):
		c.put(`(?:[^/]+/)*`, 3)
		c.segmentSpecial = false
	default:
		return fmt.Errorf("** at %d is not a whole segment of the path", c.at+1)
	}
	return nil
}

// capture reads {NAME} and {NAME:REGEXP}.
func (c *patternCompiler) capture() error {
	end := c.closing()
	if end < 0 {
		return fmt.Errorf(`{ at %d is not closed; write \{ for the character`, c.at+1)
	}
	name, expression, given := strings.Cut(c.text[c.at+1:end], ":")
	switch {
	case !captureName.MatchString(name):
		return fmt.Errorf(`{%s}: a capture's name is made of a-z, 0-9, "_" and "-", begins with a letter and has at most 63 characters`, name)
	case slices.Contains(c.names, name):
		return fmt.Errorf("{%s} comes twice; write * where it comes again", name)
	case name == watchLabel:
		return fmt.Errorf("{%s}: the name is that of the label with the folder's name; choose another one", name)
	case len(c.names) == maxPatternCaptures:
		return fmt.Errorf("it has more than %d captures", maxPatternCaptures)
	case !given:
		expression = `[^/]+`
	case expression == "":
		return fmt.Errorf("{%s:}: the expression is missing", name)
	}
	if given {
		parsed, err := syntax.Parse(expression, syntax.Perl|syntax.DotNL)
		if err != nil {
			return fmt.Errorf("{%s}: %w", name, err)
		}
		if slices.ContainsFunc(parsed.CapNames(), func(name string) bool { return name != "" }) {
			return fmt.Errorf("{%s}: the expression has a group with a name; write (…) for (?P<NAME>…)", name)
		}
		expression = parsed.String() // with all that was opened closed, such as \Q
	}
	group := fmt.Sprintf("(?P<%s%d>%s)", groupPrefix, len(c.names), expression)
	c.names = append(c.names, name)
	c.put(group, end+1-c.at)
	return nil
}

// closing is where the { at c.at is closed; -1: nowhere. Braces of repetitions nest; those after a \ and in [classes] do not count.
func (c *patternCompiler) closing() int {
	depth, class := 0, false
	for i := c.at; i < len(c.text); i++ {
		switch b := c.text[i]; {
		case b == '\\':
			i++
		case class:
			class = b != ']'
		case b == '[':
			// A ] that comes first is one of the class.
			class = true
			if strings.HasPrefix(c.text[i+1:], "^]") {
				i += 2
			} else if strings.HasPrefix(c.text[i+1:], "]") {
				i++
			}
		case b == '{':
			depth++
		case b == '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// matches says whether the path matches.
func (p *pattern) matches(path string) bool {
	switch {
	case p.literal != "":
		return path == p.literal
	case !strings.HasSuffix(path, p.suffix):
		return false
	}
	return p.exp.MatchString(path)
}

// match gives what the pattern captures of a path, in the order of names. Captures that took no part are "".
func (p *pattern) match(path string) (captures []string, ok bool) {
	if !p.matches(path) {
		return nil, false
	}
	if len(p.names) == 0 {
		return nil, true
	}
	groups := p.exp.FindStringSubmatch(path)
	captures = make([]string, 0, len(p.names))
	for i, name := range p.exp.SubexpNames() {
		if name != "" {
			captures = append(captures, groups[i])
		}
	}
	return captures, true
}

// index is where a capture is in what match gives; -1: the pattern has none of that name.
func (p *pattern) index(name string) int { return slices.Index(p.names, name) }
