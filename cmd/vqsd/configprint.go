package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// printConfig writes the reference with the values of c in place of the defaults. Secrets are left out. Read again, it gives the same
// configuration.
func printConfig(w io.Writer, c *config) error {
	var document yaml.Node
	if err := yaml.Unmarshal(referenceConfig, &document); err != nil {
		return fmt.Errorf("the built-in reference of the configuration: %w", err)
	}
	folders, err := c.watchYAML()
	if err != nil {
		return fmt.Errorf("watched folders: %w", err)
	}
	lines := strings.Split(string(referenceConfig), "\n")
	eachValue("", document.Content[0], func(key string, n *yaml.Node) {
		line := &lines[n.Line-1]
		if s := settingOf(key); s != nil {
			*line = (*line)[:n.Column-1] + s.yaml(c)
		} else if key == watchKey {
			*line = (*line)[:n.Column-1] + folders
		}
	})
	_, err = io.WriteString(w, strings.Join(lines, "\n"))
	return err
}

// eachValue calls fn with every value of a mapping that is none itself, and its key.
func eachValue(prefix string, n *yaml.Node, fn func(key string, n *yaml.Node)) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := prefix+n.Content[i].Value, n.Content[i+1]
		if value.Kind == yaml.MappingNode {
			eachValue(key+".", value, fn)
		} else {
			fn(key, value)
		}
	}
}

// yaml is the value as the file has it, on one line.
func (s *setting) yaml(c *config) string {
	switch {
	case s.kind == listSetting:
		var texts []string
		for _, text := range *s.texts(c) {
			texts = append(texts, quoted(text))
		}
		return "[" + strings.Join(texts, ", ") + "]"
	case s.secret && s.get(c) != "":
		return `"" # it is set, and not shown`
	case s.kind == textSetting:
		return quoted(s.get(c))
	}
	return s.get(c)
}

// quoted is a text for YAML: as it is where that is safe, else in quotes, which YAML reads as Go writes them.
func quoted(text string) string {
	plain := text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=+-") == ""
	if !plain {
		return strconv.Quote(text)
	}
	var n yaml.Node // what would be taken for a number, a date or a mapping is none of it
	if err := yaml.Unmarshal([]byte("["+text+"]"), &n); err != nil || len(n.Content[0].Content) != 1 || n.Content[0].Content[0].ShortTag() != "!!str" ||
		n.Content[0].Content[0].Value != text {
		return strconv.Quote(text)
	}
	return text
}
