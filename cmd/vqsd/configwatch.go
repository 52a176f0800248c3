package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/server/watch"
)

// watchKey is the one key of the configuration whose value is a list of mappings. It is set by the file only.
const watchKey = "watch"

// watchFolders reads the entries of "watch". They are checked together with the rest of the configuration.
func (f *configFile) watchFolders(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		f.c.watch = nil
		return
	}
	if n.Kind != yaml.SequenceNode {
		f.fail(n, "%s: want a list of folders, each with keys such as folder and pair", watchKey)
		return
	}
	problems := len(f.errs)
	f.c.watch = nil
	for i, entry := range n.Content {
		key := fmt.Sprintf("%s[%d]", watchKey, i)
		f.fits(entry, key, reflect.TypeFor[watch.Folder]())
		if len(f.errs) > problems {
			continue
		}
		var folder watch.Folder
		if err := entry.Decode(&folder); err != nil {
			var wrong *yaml.TypeError
			if errors.As(err, &wrong) {
				f.errs = append(f.errs, fmt.Errorf("%s: %s: %s", f.name, key, strings.Join(wrong.Errors, "; ")))
			} else {
				f.fail(entry, "%s: %w", key, err)
			}
			continue
		}
		f.c.watch = append(f.c.watch, folder)
	}
}

// fits checks that a value has the shape of a type: the decoder by itself takes a bare number for nanoseconds, null for the default, and names a
// key that it does not know without saying which are meant.
func (f *configFile) fits(n *yaml.Node, key string, t reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.Kind == yaml.AliasNode {
		f.fail(n, "%s: aliases are not read; write it out", key)
		return
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		f.fail(n, `%s: has no value; leave the key out for the default, or write ""`, key)
		return
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		if _, err := time.ParseDuration(n.Value); n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" || err != nil {
			f.fail(n, "%s: want a time with a unit, such as 90s", key)
		}
	case t.Kind() == reflect.Struct:
		f.fitsStruct(n, key, t)
	case t.Kind() == reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			f.fail(n, "%s: want a list, such as [a, b]", key)
			return
		}
		for i, item := range n.Content {
			f.fits(item, fmt.Sprintf("%s[%d]", key, i), t.Elem())
		}
	case t.Kind() == reflect.Map:
		if n.Kind != yaml.MappingNode {
			f.fail(n, "%s: want keys with values", key)
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			f.fits(n.Content[i+1], key+"."+n.Content[i].Value, t.Elem())
		}
	case n.Kind != yaml.ScalarNode:
		f.fail(n, "%s: want one value, not a list or mapping", key)
	}
}

func (f *configFile) fitsStruct(n *yaml.Node, key string, t reflect.Type) {
	if n.Kind != yaml.MappingNode {
		f.fail(n, "%s: want keys with values", key)
		return
	}
	fields := map[string]reflect.Type{}
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		fields[name] = t.Field(i).Type
		names = append(names, name)
	}
	var seen []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		field, known := fields[name.Value]
		switch {
		case slices.Contains(seen, name.Value):
			f.fail(name, "%s.%s: comes twice", key, name.Value)
		case !known:
			hint := "; there are " + strings.Join(names, ", ")
			if near, distance := nearest(name.Value, slices.Clone(names)); distance <= 2 {
				hint = "; did you mean " + near + "?"
			}
			f.fail(name, "unknown key %s.%s%s", key, name.Value, hint)
		default:
			f.fits(value, key+"."+name.Value, field)
		}
		seen = append(seen, name.Value)
	}
}

// checkWatch checks the folders, fills their defaults in, and reports every problem.
func (c *config) checkWatch() error {
	var errs []error
	names := map[string]int{}
	for i := range c.watch {
		key := fmt.Sprintf("%s[%d]", watchKey, i)
		folder := &c.watch[i]
		if err := folder.Check(); err != nil {
			for line := range strings.Lines(err.Error()) {
				errs = append(errs, fmt.Errorf("%s: %s", key, strings.TrimSpace(line)))
			}
			continue
		}
		if first, taken := names[folder.Name]; taken {
			errs = append(errs, fmt.Errorf("%s: its name %q is that of %s[%d], too: give one of them another name", key, folder.Name, watchKey, first))
		}
		names[folder.Name] = i
	}
	return errors.Join(errs...)
}

// checkWatched looks at the folders themselves: each lies in a media root, and they are apart.
func checkWatched(cfg *config, roots auth.Roots) error {
	errs := []error{watch.Apart(cfg.watch)}
	for i, f := range cfg.watch {
		if err := watch.InRoots(f, roots); err != nil {
			errs = append(errs, fmt.Errorf("%s[%d]: %w", watchKey, i, err))
		}
	}
	return errors.Join(errs...)
}

// watchYAML is the folders on one line, for --print-config.
func (c *config) watchYAML() (string, error) {
	if len(c.watch) == 0 {
		return "[]", nil
	}
	var n yaml.Node
	if err := n.Encode(c.watch); err != nil {
		return "", err
	}
	n.Style = yaml.FlowStyle
	text, err := yaml.Marshal(&n)
	return strings.TrimSpace(string(text)), err
}
