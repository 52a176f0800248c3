package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxErrors is how many problems are reported; the rest are likely to follow from these.
const maxErrors = 50

const maxDocBytes = 4096

var (
	ruleKeys    = []string{"name", "doc", "when", "then"}
	ruleName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
	lineBreak   = regexp.MustCompile(`\r\n|[\n\r\x{85}\x{2028}\x{2029}]`) // as YAML counts lines
	yamlMessage = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
)

// reader makes rules of YAML and collects what is wrong.
type reader struct {
	file  string
	text  []byte
	lines []string
	rule  string // the one being read
	errs  []*Error
}

func newReader(file string, text []byte) *reader {
	return &reader{file: file, text: text, lines: lineBreak.Split(string(text), -1)}
}

func (r *reader) fail(line, column int, err error) {
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, &Error{r.file, line, column, r.rule, err})
	}
}

func (r *reader) failAt(n *yaml.Node, format string, args ...any) {
	r.fail(n.Line, n.Column, fmt.Errorf(format, args...))
}

// document reads the whole text.
func (r *reader) document() []Rule {
	if !utf8.Valid(r.text) {
		r.fail(0, 0, errors.New("the text is not UTF-8"))
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(r.text))
	var document, more yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		r.fail(1, 1, errors.New("the text is empty; want rules: and a list"))
		return nil
	} else if err != nil {
		r.syntax(err)
		return nil
	}
	if err := decoder.Decode(&more); err == nil {
		r.failAt(&more, "a second document begins; rules are one document")
		return nil
	} else if !errors.Is(err, io.EOF) {
		r.syntax(err)
		return nil
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		r.failAt(root, "want a mapping with the key rules, not %s", kindOf(root))
		return nil
	}
	top := r.mapping(root, []string{"rules"})
	n, ok := top["rules"]
	switch {
	case !ok:
		r.failAt(root, "rules: is missing")
		return nil
	case n.Kind != yaml.SequenceNode:
		r.failAt(n, "rules: want a list, not %s", kindOf(n))
		return nil
	case len(n.Content) > MaxRules:
		r.failAt(n, "there are %d rules; %d are allowed", len(n.Content), MaxRules)
		return nil
	}
	var rules []Rule
	lines := map[string]int{}
	for _, item := range n.Content {
		rule := r.readRule(item)
		if first, taken := lines[rule.Name]; taken && rule.Name != "" {
			r.rule = rule.Name
			r.failAt(item, "the name is taken by the rule in line %d", first)
		}
		lines[rule.Name] = item.Line
		rules = append(rules, rule)
	}
	r.rule = ""
	return rules
}

// syntax reports text that is no YAML.
func (r *reader) syntax(err error) {
	line, message := 0, err.Error()
	if found := yamlMessage.FindStringSubmatch(message); found != nil {
		message = found[2]
		line, _ = strconv.Atoi(found[1]) // not a number only where there is none: the line is unknown
	}
	if strings.Contains(message, "mapping values are not allowed") {
		message += `; put text that has ": " in quotes`
	}
	r.fail(line, 0, fmt.Errorf("not YAML: %s", message))
}

// readRule reads one entry of the list.
func (r *reader) readRule(n *yaml.Node) Rule {
	r.rule = ""
	rule := Rule{Line: n.Line}
	if n.Kind != yaml.MappingNode {
		r.failAt(n, "want a rule with name, when and then, not %s", kindOf(n))
		return rule
	}
	for i := 0; i+1 < len(n.Content); i += 2 { // first of all, so that every message can name the rule
		if n.Content[i].Value == "name" && ruleName.MatchString(n.Content[i+1].Value) {
			r.rule = n.Content[i+1].Value
		}
	}
	keys := r.mapping(n, ruleKeys)
	rule.Name = r.ruleText(n, keys, "name")
	if v := keys["name"]; v != nil && rule.Name != "" && !ruleName.MatchString(rule.Name) {
		r.failAt(v, "name: %q: want up to 64 letters, digits and - _ . beginning with a letter or digit", clip(rule.Name))
	}
	if v := keys["doc"]; v != nil {
		rule.Doc = strings.Join(strings.Fields(r.ruleText(n, keys, "doc")), " ")
		if len(rule.Doc) > maxDocBytes {
			r.failAt(v, "doc: %d bytes; %d are allowed", len(rule.Doc), maxDocBytes)
		}
	}
	r.readCondition(n, keys["when"], &rule)
	r.readSettings(n, keys["then"], &rule.Then)
	return rule
}

// ruleText is the text below a key of a rule; "" where it is missing, which is reported.
func (r *reader) ruleText(n *yaml.Node, keys map[string]*yaml.Node, key string) string {
	v, ok := keys[key]
	if !ok {
		r.failAt(n, "%s: is missing", key)
		return ""
	}
	text, err := value{v}.text()
	if err == nil && strings.TrimSpace(text) == "" {
		err = errors.New("is empty")
	}
	if err != nil {
		r.failAt(v, "%s: %w", key, err)
		return ""
	}
	return text
}

// readCondition reads and compiles what stands behind when.
func (r *reader) readCondition(n, v *yaml.Node, rule *Rule) {
	switch {
	case v == nil:
		r.failAt(n, "when: is missing; when: true makes a rule that always fires")
		return
	case v.Kind != yaml.ScalarNode || !slices.Contains([]string{"!!str", "!!bool", "!!int", "!!float"}, v.ShortTag()):
		r.failAt(v, "when: want a condition, not %s", kindOf(v))
		return
	case strings.TrimSpace(v.Value) == "":
		r.failAt(v, "when: is empty; when: true makes a rule that always fires")
		return
	}
	rule.When = strings.TrimSpace(v.Value)
	compiled, mistakes := compile(v.Value)
	for _, m := range mistakes {
		line, column := r.locate(v, m)
		r.fail(line, column, fmt.Errorf("when: %s", m.text))
	}
	rule.condition = compiled
}

// locate is where in the file a mistake in a condition is. YAML changes nothing in a text but the space between its words, so
// the words before it are counted. Where a quoted text has escapes, which change more, it is where the condition begins.
func (r *reader) locate(v *yaml.Node, m mistake) (line, column int) {
	expression := []rune(v.Value)
	left := wordsBefore(expression, m)
	words := slices.DeleteFunc(expression, unicode.IsSpace)
	n, from := v.Line, v.Column
	switch {
	case v.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		n, from = v.Line+1, 1
	case v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		from++
	}
	line, column = v.Line, v.Column
	for ; n <= len(r.lines); n++ {
		text := []rune(r.lines[n-1])
		for i := from - 1; i < len(text); i++ {
			switch {
			case unicode.IsSpace(text[i]):
			case left == 0:
				return n, i + 1
			case text[i] != words[0]:
				return v.Line, v.Column
			default:
				left, words = left-1, words[1:]
				line, column = n, i+2
			}
			if left == 0 && len(words) == 0 {
				return line, column // behind the last word
			}
		}
		from = 1
	}
	return line, column
}

// wordsBefore counts the characters before a mistake, spaces left out.
func wordsBefore(expression []rune, m mistake) int {
	count, line, column := 0, 1, 1
	for _, c := range expression {
		if line > m.line || line == m.line && column >= m.column {
			break
		}
		if !unicode.IsSpace(c) {
			count++
		}
		if column++; c == '\n' {
			line, column = line+1, 1
		}
	}
	return count
}

// readSettings reads what stands behind then.
func (r *reader) readSettings(n, v *yaml.Node, s *Settings) {
	switch {
	case v == nil:
		r.failAt(n, "then: is missing")
		return
	case v.Kind != yaml.MappingNode:
		r.failAt(v, "then: want settings (%s), not %s", strings.Join(settingNames, ", "), kindOf(v))
		return
	case len(v.Content) == 0:
		r.failAt(v, "then: is empty; want settings (%s)", strings.Join(settingNames, ", "))
		return
	}
	keys := r.mapping(v, settingNames)
	before := len(r.errs)
	for _, f := range settings {
		if at, ok := keys[f.name]; ok {
			if err := f.read(s, value{at}); err != nil {
				r.failAt(at, "%s: %w", f.name, err)
			}
		}
	}
	if len(r.errs) == before {
		if err := s.check(); err != nil {
			r.failAt(v, "then: %w", err)
		}
	}
}

// mapping is a mapping's values by key. Unknown keys and keys that come twice are reported.
func (r *reader) mapping(n *yaml.Node, names []string) map[string]*yaml.Node {
	known := map[string]bool{}
	for _, name := range names {
		known[name] = true
	}
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			r.failAt(key, "want one of the keys %s, not %s", strings.Join(names, ", "), kindOf(key))
		case !known[key.Value]:
			r.failAt(key, "unknown key %q%s; want %s", clip(key.Value), suggest(key.Value, names), strings.Join(names, ", "))
		case values[key.Value] != nil:
			r.failAt(key, "%s: comes twice, first in line %d", key.Value, values[key.Value].Line)
		default:
			values[key.Value] = v
		}
	}
	return values
}

// value is a setting's value in the file.
type value struct{ node *yaml.Node }

// text is a value that is text, or would be if YAML did not take it for something else.
func (v value) text() (string, error) {
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!str" {
		return "", fmt.Errorf("want text, not %s; put it in quotes if it is meant so", kindOf(v.node))
	}
	return v.node.Value, nil
}

func (v value) texts() ([]string, error) {
	if v.node.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("want a list such as [a, b], not %s", kindOf(v.node))
	}
	var texts []string
	for _, item := range v.node.Content {
		text, err := value{item}.text()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", item.Line, err)
		}
		texts = append(texts, text)
	}
	return texts, nil
}

func (v value) number() (float64, error) {
	if tag := v.node.ShortTag(); v.node.Kind != yaml.ScalarNode || tag != "!!float" && tag != "!!int" {
		return 0, errors.New("not a number")
	}
	n, err := strconv.ParseFloat(v.node.Value, 64)
	if err == nil && (math.IsNaN(n) || math.IsInf(n, 0)) {
		err = errors.New("not a number")
	}
	return n, err
}

func (v value) whole() (int64, error) {
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!int" {
		return 0, errors.New("not a whole number")
	}
	return strconv.ParseInt(v.node.Value, 10, 64)
}

// kindOf says what a node is.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias; write it out"
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!null":
			return "nothing"
		case "!!str":
			return "text"
		case "!!int", "!!float":
			return "a number"
		case "!!bool":
			return "true or false"
		case "!!timestamp":
			return "a date"
		}
	}
	return "a value with the tag " + clip(n.Tag)
}
