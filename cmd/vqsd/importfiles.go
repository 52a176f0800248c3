package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// importExtensions are what the names of files end in that are taken of folders.
var importExtensions = []string{".xml", ".json", ".csv", ".sub", ".log"}

// importedFile is a file to import.
type importedFile struct {
	path  string // as the system knows it
	below string // below the folder that was named, or as it was named itself; with forward slashes
	err   error  // why it cannot be read; nil: it can, as far as is known
}

// findImports lists files, and those of folders, by their names. Links to folders within folders are not followed, those to files are, and names that
// begin with a dot are passed over. It is an error if there is none.
func findImports(args []string, pattern *regexp.Regexp) ([]*importedFile, error) {
	var files []*importedFile
	left := 0
	take := func(path, below string) {
		if pattern != nil && !pattern.MatchString(below) {
			left++
			return
		}
		files = append(files, &importedFile{path: path, below: below})
	}
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, bare(err))
		}
		if !info.IsDir() {
			take(arg, filepath.ToSlash(filepath.Clean(arg)))
			continue
		}
		err = filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return fmt.Errorf("%s: %w", path, bare(err))
			}
			if path == arg {
				return nil
			}
			if strings.HasPrefix(entry.Name(), ".") {
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			below, err := filepath.Rel(arg, path)
			if err != nil {
				return err
			}
			if slices.Contains(importExtensions, strings.ToLower(filepath.Ext(path))) && isFile(path, entry) {
				take(path, filepath.ToSlash(below))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	switch {
	case len(files) == 0 && left > 0:
		return nil, fmt.Errorf("none of %s matches --pattern, which has to match the whole path below the folder", plural(int64(left), "file"))
	case len(files) == 0:
		return nil, fmt.Errorf("no file to import: of folders those are taken that end in %s", strings.Join(importExtensions, ", "))
	}
	return files, nil
}

// isFile says whether what a folder has at path is a file, or a link to one. A link to nothing is one as well: opening it says what is wrong.
func isFile(path string, entry fs.DirEntry) bool {
	if entry.Type()&fs.ModeSymlink == 0 {
		return entry.Type().IsRegular()
	}
	info, err := os.Stat(path)
	return err != nil || info.Mode().IsRegular()
}

// placeholders are what can stand in braces beside a pattern's groups.
var placeholders = []string{"name", "file", "dir", "path"}

// values are what a file's placeholders stand for.
func (f *importedFile) values(pattern *regexp.Regexp) map[string]string {
	file := path.Base(f.below)
	absolute, err := filepath.Abs(f.path)
	if err != nil {
		absolute = f.path // the working directory is gone: the name as it was given has to do
	}
	values := map[string]string{
		"file": file, "name": strings.TrimSuffix(file, path.Ext(file)), "path": f.below, "dir": filepath.Base(filepath.Dir(absolute)),
	}
	if pattern == nil {
		return values
	}
	found := pattern.FindStringSubmatch(f.below)
	for i, name := range pattern.SubexpNames() {
		if name != "" && i < len(found) {
			values[name] = found[i]
		}
	}
	return values
}

// template is text with placeholders: every other part is one's name.
type template []string

// parseTemplate reads text with placeholders, of which these are known.
func parseTemplate(text string, known []string) (template, error) {
	var t template
	for {
		before, rest, found := strings.Cut(text, "{")
		if strings.Contains(before, "}") {
			return nil, errors.New("a } without its {")
		}
		t = append(t, before)
		if !found {
			return t, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, errors.New("a { without its }")
		}
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown placeholder {%.40s}; there are {%s}", name, strings.Join(known, "}, {"))
		}
		t, text = append(t, name), after
	}
}

// fill puts values in the places.
func (t template) fill(values map[string]string) string {
	var b strings.Builder
	for i, part := range t {
		if i%2 == 1 {
			part = values[part]
		}
		b.WriteString(part)
	}
	return strings.ToValidUTF8(b.String(), "?")
}
