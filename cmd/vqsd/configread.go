package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vqsd/vqsd/server/watch"
)

// configEnvironment names the configuration file, as --config does.
const configEnvironment = "VQSD_CONFIG"

// maxConfigBytes bounds the file.
const maxConfigBytes = 1 << 20

// configSource is where a configuration comes from. What stands later wins.
type configSource struct {
	file        string   // "": none
	environment []string // NAME=VALUE, as os.Environ has it
	flags       []assignment
	defaults    func(*config) // what a command has other defaults for; nil: nothing
	folder      *watch.Folder // the only one to watch, whatever the file says; nil: as the file says
}

// assignment is a setting on the command line.
type assignment struct {
	flag  string // as it was given, for messages: "--listen"
	key   string
	value string
	more  bool // adds to a list that a flag before it began
}

// read makes a configuration of defaults, file, environment and flags, and reports every problem of all of them. A file
// that cannot be read is a [runtimeError].
func (s configSource) read() (*config, error) {
	c := defaultConfig()
	if s.defaults != nil {
		s.defaults(c)
	}
	var errs []error
	if s.file != "" {
		text, err := readConfigFile(s.file)
		if err != nil {
			return nil, &runtimeError{fmt.Errorf("configuration: %w", err)}
		}
		errs = append(errs, applyFile(c, s.file, text)...)
	}
	errs = append(errs, applyEnvironment(c, s.environment)...)
	for _, a := range s.flags {
		errs = append(errs, a.apply(c)...)
	}
	if s.folder != nil {
		c.watch = []watch.Folder{*s.folder}
	}
	if len(errs) == 0 {
		errs = append(errs, c.check())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, &usageError{err}
	}
	return c, nil
}

func readConfigFile(path string) (text []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	text, err = io.ReadAll(io.LimitReader(file, maxConfigBytes+1))
	if err == nil && len(text) > maxConfigBytes {
		err = fmt.Errorf("%s is larger than 1 MiB", path)
	}
	return text, err
}

// applyFile sets what a file says, and returns what is wrong with it.
func applyFile(c *config, name string, text []byte) []error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, more yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil // nothing, or comments only
	case err != nil:
		return []error{fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))}
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return []error{fmt.Errorf("%s: a second document begins, or what follows the first is not YAML; the configuration is one document", name)}
	}
	f := &configFile{c: c, name: name}
	f.section("", document.Content[0])
	return f.errs
}

// configFile is a file while it is applied.
type configFile struct {
	c    *config
	name string
	errs []error
}

func (f *configFile) fail(n *yaml.Node, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("%s:%d: %w", f.name, n.Line, fmt.Errorf(format, args...)))
}

// section goes through a mapping. prefix is the keys above, with a dot behind.
func (f *configFile) section(prefix string, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return // a section whose keys are all commented out
	}
	if n.Kind != yaml.MappingNode {
		f.fail(n, "%s: want keys with values", orWhole(strings.TrimSuffix(prefix, ".")))
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := prefix + name.Value
		if lines[key] > 0 {
			f.fail(name, "%s: comes twice, first in line %d", key, lines[key])
			continue
		}
		lines[key] = name.Line
		switch s := settingOf(key); {
		case name.Kind != yaml.ScalarNode:
			f.fail(name, "want a key, not a list or mapping")
		case key == watchKey:
			f.watchFolders(value)
		case s != nil:
			if err := f.value(s, value); err != nil {
				f.fail(value, "%s: %w", key, err)
			}
		case slices.ContainsFunc(allSettings, func(s *setting) bool { return strings.HasPrefix(s.key, key+".") }):
			f.section(key+".", value)
		default:
			f.fail(name, "unknown key %s%s", key, didYouMean(key))
		}
	}
}

func orWhole(key string) string {
	if key == "" {
		return "the configuration"
	}
	return key
}

// value sets one key.
func (f *configFile) value(s *setting, n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode:
		return errors.New("aliases are not read; write it out")
	case s.texts == nil && n.Kind != yaml.ScalarNode:
		return errors.New("want one value, not a list or mapping")
	case s.texts == nil && n.ShortTag() == "!!null":
		return errors.New(`has no value; leave the key out for the default, or write ""`)
	case s.texts == nil:
		return s.set(f.c, n.Value)
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		*s.texts(f.c) = nil
		return nil
	case n.Kind != yaml.SequenceNode:
		return errors.New("want a list, such as [a, b]")
	}
	var list []string
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || item.Value == "" {
			return errors.New("want a list of texts, none of them empty")
		}
		list = append(list, item.Value)
	}
	*s.texts(f.c) = list
	return nil
}

// applyEnvironment sets what variables say. Variables that are none of ours are left alone, but for those that look like a slip.
func applyEnvironment(c *config, environment []string) []error {
	var errs []error
	values := map[string]string{}
	for _, pair := range environment {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	known := map[string]bool{}
	for _, s := range allSettings {
		name := s.environment()
		known[name] = true
		if value, ok := values[name]; ok {
			if err := s.assign(c, value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", s.shown(name, value), s.key, err))
			}
		}
	}
	for name := range values {
		if strings.HasPrefix(name, "VQSD_") && !known[name] && !otherVariables[name] {
			if near, distance := nearest(name, slices.Collect(maps.Keys(known))); distance <= 2 {
				errs = append(errs, fmt.Errorf("%s: there is no such setting; did you mean %s?", name, near))
			}
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// otherVariables are those with our prefix that are no settings.
var otherVariables = map[string]bool{
	configEnvironment: true, serverEnvironment: true, tokenEnvironment: true, tokenFileEnvironment: true,
	"VQSD_CPU": true, "VQSD_GOLDEN": true,
}

// apply sets one flag.
func (a assignment) apply(c *config) []error {
	s := settingOf(a.key)
	if a.key == watchKey {
		return []error{fmt.Errorf("%s %s: folders to watch are mappings, which only a configuration file has", a.flag, a.key)}
	}
	if s == nil {
		return []error{fmt.Errorf("%s %s: unknown key%s", a.flag, a.key, didYouMean(a.key))}
	}
	if s.texts != nil && a.flag != setFlag {
		list := s.texts(c)
		if !a.more {
			*list = nil
		}
		*list = append(*list, a.value)
		return nil
	}
	if err := s.assign(c, a.value); err != nil {
		return []error{fmt.Errorf("%s: %w", s.shown(a.flag, a.value), err)}
	}
	return nil
}

// shown is who set a value and which, for messages.
func (s *setting) shown(who, value string) string {
	switch {
	case who == setFlag:
		who += " " + s.key + "="
	case strings.HasPrefix(who, "--"):
		who += " "
	default:
		who += "="
	}
	if s.secret {
		return who + "…"
	}
	return who + value
}

// didYouMean names the known key that is nearest, with what it belongs to in mind.
func didYouMean(key string) string {
	var names []string
	for _, s := range allSettings {
		names = append(names, s.key)
	}
	near, distance := nearest(key, names)
	last := key[strings.LastIndex(key, ".")+1:]
	for _, name := range names { // the right key in the wrong section
		if name == last || strings.HasSuffix(name, "."+last) {
			near, distance = name, 0
		}
	}
	if distance > max(3, len(key)/2) {
		return "; vqsd serve --print-config lists them all"
	}
	return "; did you mean " + near + "?"
}

// nearest finds the name with the fewest characters to insert, remove or replace.
func nearest(text string, names []string) (best string, distance int) {
	slices.Sort(names)
	distance = len(text) + 1
	for _, name := range names {
		if d := editDistance(text, name); d < distance {
			best, distance = name, d
		}
	}
	return best, distance
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
