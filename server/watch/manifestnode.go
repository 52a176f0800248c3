package watch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxManifestDepth is how deep lists and mappings of a manifest may lie in one another; what has a meaning lies in four.
const maxManifestDepth = 16

// nodeKind is what a value in a manifest is.
type nodeKind uint8

const (
	nullNode nodeKind = iota
	textNode
	numberNode
	boolNode
	otherNode // of YAML: dates, binary data, tags
	listNode
	mappingNode
)

// node is a value in a manifest, read from YAML or from JSON.
type node struct {
	kind         nodeKind
	line, column int    // from 1
	text         string // as it is written, but for quotes and escapes; of lists and mappings ""
	items        []*node
	pairs        []nodePair // in order; keys may come twice
}

type nodePair struct{ key, value *node }

// what says what a value is, for messages.
func (n *node) what() string {
	switch n.kind {
	case nullNode:
		return "nothing"
	case textNode:
		return "text"
	case numberNode:
		return "a number"
	case boolNode:
		return "true or false"
	case listNode:
		return "a list"
	case mappingNode:
		return "keys with values"
	}
	return "a date, or a value with a tag"
}

// quoteIt is advice for what was meant to be text.
func (n *node) quoteIt() string {
	if n.text == "" {
		return ""
	}
	return "; put it in quotes if it is meant so"
}

var yamlMessage = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// parseYAML reads one document.
func parseYAML(text []byte) (*node, *ManifestError) {
	syntax := func(err error) *ManifestError {
		line, message := 0, err.Error()
		if found := yamlMessage.FindStringSubmatch(message); found != nil {
			line, _ = strconv.Atoi(found[1]) // not a number only where there is none: the line is unknown
			message = found[2]
		}
		return &ManifestError{Line: line, Err: fmt.Errorf("not YAML: %s", message)}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, more yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, &ManifestError{Err: errors.New("the file is empty; want the keys reference and renditions")}
	case err != nil:
		return nil, syntax(err)
	}
	if err := decoder.Decode(&more); err == nil {
		return nil, &ManifestError{Line: more.Line, Column: more.Column, Err: errors.New("a second document begins; a manifest is one")}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntax(err)
	}
	return fromYAML(document.Content[0], 0)
}

func fromYAML(y *yaml.Node, depth int) (*node, *ManifestError) {
	n := &node{line: y.Line, column: y.Column}
	fail := func(text string) (*node, *ManifestError) {
		return nil, &ManifestError{Line: y.Line, Column: y.Column, Err: errors.New(text)}
	}
	if depth > maxManifestDepth {
		return fail("lists and keys lie too deep in one another")
	}
	switch y.Kind {
	case yaml.AliasNode:
		return fail("aliases are not read; write it out")
	case yaml.SequenceNode:
		n.kind = listNode
		for _, item := range y.Content {
			value, err := fromYAML(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, value)
		}
	case yaml.MappingNode:
		n.kind = mappingNode
		for i := 0; i+1 < len(y.Content); i += 2 {
			key, err := fromYAML(y.Content[i], depth+1)
			if err != nil {
				return nil, err
			}
			if key.kind == listNode || key.kind == mappingNode {
				return fail("want text for a key, not " + key.what())
			}
			value, err := fromYAML(y.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			n.pairs = append(n.pairs, nodePair{key, value})
		}
	default:
		n.text = y.Value
		switch y.ShortTag() {
		case "!!str":
			n.kind = textNode
		case "!!int", "!!float":
			n.kind = numberNode
		case "!!bool":
			n.kind = boolNode
		case "!!null":
			n.kind = nullNode
		default:
			n.kind = otherNode
		}
	}
	return n, nil
}

// parseJSON reads one value.
func parseJSON(text []byte) (*node, *ManifestError) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	r := &jsonReader{text: text, decoder: json.NewDecoder(bytes.NewReader(text))}
	r.decoder.UseNumber()
	for i, b := range text {
		if b == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	n, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if rest := r.begin(); rest < len(text) {
		return nil, r.fail(rest, errors.New("something follows the manifest; it is one value"))
	}
	return n, nil
}

// jsonReader makes nodes of JSON.
type jsonReader struct {
	text    []byte
	lines   []int // where lines but the first begin
	decoder *json.Decoder
}

// begin is where the next value or bracket begins.
func (r *jsonReader) begin() int {
	at := int(r.decoder.InputOffset())
	for at < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[at]) >= 0 {
		at++
	}
	return at
}

// place is a byte's line and column, in characters.
func (r *jsonReader) place(at int) (line, column int) {
	at = min(at, len(r.text))
	line = sort.SearchInts(r.lines, at+1)
	begin := 0
	if line > 0 {
		begin = r.lines[line-1]
	}
	return line + 1, utf8.RuneCount(r.text[begin:at]) + 1
}

func (r *jsonReader) fail(at int, err error) *ManifestError {
	line, column := r.place(at)
	return &ManifestError{Line: line, Column: column, Err: err}
}

func (r *jsonReader) value(depth int) (*node, *ManifestError) {
	at := r.begin()
	token, problem := r.token()
	if problem != nil {
		return nil, problem
	}
	n := &node{}
	n.line, n.column = r.place(at)
	switch t := token.(type) {
	case json.Delim:
		if depth > maxManifestDepth {
			return nil, r.fail(at, errors.New("lists and keys lie too deep in one another"))
		}
		return r.compound(n, t, depth)
	case string:
		n.kind, n.text = textNode, t
	case json.Number:
		n.kind, n.text = numberNode, t.String()
	case bool:
		n.kind, n.text = boolNode, strconv.FormatBool(t)
	}
	return n, nil
}

// compound reads what is in a list or an object, and what closes it.
func (r *jsonReader) compound(n *node, open json.Delim, depth int) (*node, *ManifestError) {
	n.kind = listNode
	if open == '{' {
		n.kind = mappingNode
	}
	for r.decoder.More() {
		value, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if n.kind == listNode {
			n.items = append(n.items, value)
			continue
		}
		key := value
		if value, err = r.value(depth + 1); err != nil {
			return nil, err
		}
		n.pairs = append(n.pairs, nodePair{key, value})
	}
	_, problem := r.token() // what closes it
	return n, problem
}

// token reads a bracket or a value that is no list and no object.
func (r *jsonReader) token() (json.Token, *ManifestError) {
	at := r.begin()
	token, err := r.decoder.Token()
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &syntax):
		at = max(at, int(syntax.Offset)-1)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		at, err = len(r.text), errors.New("the file ends too early")
	}
	return nil, r.fail(at, fmt.Errorf("not JSON: %w", err))
}

// clip shortens what was read for a message.
func clip(text string) string {
	const most = 80
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
