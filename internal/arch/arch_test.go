package arch

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pkg is one folder of Go files, read under every build tag.
type pkg struct {
	path       string // relative to the module root: "server/legacy"
	name       string // of its non-test files, else of its tests
	documented bool
	imports    map[string][]string // import path → the non-test files that have it
	tests      map[string][]string // the same of test files
}

// folder is the part of a root-relative path that the layers name.
func folder(p string) string { first, _, _ := strings.Cut(p, "/"); return first }

// ours turns an import path into a root-relative one.
func ours(imported string) (string, bool) { return strings.CutPrefix(imported, module+"/") }

// below reports whether p is root or lies under it.
func below(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

func under(p string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return below(p, root) })
}

// moduleRoot is the nearest folder above the test's that has a go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil {
			if !strings.Contains(string(text), "module "+module+"\n") {
				t.Fatalf("%s/go.mod is not that of %s", dir, module)
			}
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test's folder")
		}
	}
}

// load reads the package clause, comment and imports of every Go file below root. As the go command does, it
// passes over testdata and folders whose names begin with a dot or an underscore.
func load(root string) (map[string]*pkg, error) {
	packages := map[string]*pkg{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			built := filepath.Dir(name) == filepath.Clean(root) && (base == "bin" || base == "demo") // by make, and in no repository
			if name != root && (built || base == "testdata" || base[0] == '.' || base[0] == '_') {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || base[0] == '.' || base[0] == '_' {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		dir = filepath.ToSlash(dir)
		p := packages[dir]
		if p == nil {
			p = &pkg{path: dir, imports: map[string][]string{}, tests: map[string][]string{}}
			packages[dir] = p
		}
		into := p.imports
		if strings.HasSuffix(base, "_test.go") {
			into = p.tests
			if p.name == "" {
				p.name = strings.TrimSuffix(file.Name.Name, "_test")
			}
		} else {
			p.name = file.Name.Name
			p.documented = p.documented || strings.TrimSpace(file.Doc.Text()) != ""
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: import %s: %w", name, spec.Path.Value, err)
			}
			into[imported] = append(into[imported], path.Join(dir, base))
		}
		return nil
	})
	return packages, err
}

// violations applies the whole table and returns one line for each breach, with its reason.
func violations(packages map[string]*pkg) []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		p := packages[dir]
		checkLayer(p, say)
		checkBans(p, say)
		checkStandardOnly(p, say)
		checkClosure(p, packages, say)
		checkNaming(p, say)
	}
	return found
}

func checkLayer(p *pkg, say func(string, ...any)) {
	at := slices.IndexFunc(layers, func(l layer) bool { return l.folder == folder(p.path) })
	if at < 0 {
		say("%s: no layer: give the folder %q its line in internal/arch/rules_test.go", p.path, folder(p.path))
		return
	}
	for _, imported := range slices.Sorted(maps.Keys(p.imports)) {
		other, isOurs := ours(imported)
		if !isOurs || folder(other) == folder(p.path) || slices.Contains(layers[at].may, folder(other)) {
			continue
		}
		if p.path == "kernels/check" && folder(other) == "internal" {
			continue // the harness is itself test support
		}
		say("%s must not import %s: %s (in %s)", p.path, other, layers[at].reason, strings.Join(p.imports[imported], ", "))
	}
}

func checkBans(p *pkg, say func(string, ...any)) {
	for _, b := range bans {
		if under(p.path, b.only) {
			continue
		}
		of := []map[string][]string{p.imports}
		if b.tests {
			of = append(of, p.tests)
		}
		for _, imports := range of {
			for _, imported := range slices.Sorted(maps.Keys(imports)) {
				if under(imported, b.imports) {
					say("%s must not import %s: %s (in %s)", p.path, imported, b.reason, strings.Join(imports[imported], ", "))
				}
			}
		}
	}
}

func checkStandardOnly(p *pkg, say func(string, ...any)) {
	reason, bound := standardOnly[folder(p.path)]
	if !bound {
		return
	}
	for _, imported := range slices.Sorted(maps.Keys(p.imports)) {
		other, isOurs := ours(imported)
		standard := !strings.Contains(folder(imported), ".") && imported != "C"
		if !(isOurs && folder(other) == folder(p.path)) && !standard {
			say("%s must not import %s: %s (in %s)", p.path, imported, reason, strings.Join(p.imports[imported], ", "))
		}
	}
}

// checkClosure follows imports breadth first and reports the shortest way to each forbidden package.
func checkClosure(p *pkg, packages map[string]*pkg, say func(string, ...any)) {
	for _, c := range closures {
		if !below(p.path, c.folder) {
			continue
		}
		from := map[string]string{p.path: ""}
		for queue := []string{p.path}; len(queue) > 0; queue = queue[1:] {
			at := packages[queue[0]]
			if at == nil {
				continue
			}
			for _, imported := range slices.Sorted(maps.Keys(at.imports)) {
				next, isOurs := ours(imported)
				if _, seen := from[next]; !isOurs || seen {
					continue
				}
				from[next] = at.path
				if under(next, c.never) {
					way := []string{next}
					for step := at.path; step != ""; step = from[step] {
						way = append(way, step)
					}
					slices.Reverse(way)
					say("%s must not reach %s: %s (%s)", p.path, next, c.reason, strings.Join(way, " → "))
					continue
				}
				queue = append(queue, next)
			}
		}
	}
}

func checkNaming(p *pkg, say func(string, ...any)) {
	if slices.Contains(noNames, p.name) && p.path != "kernels/common" { // C headers; its Go only makes the build see them
		say("%s: package name %q says nothing: name it for what it does, or move its code beside its only user", p.path, p.name)
	}
	if !p.documented {
		say("%s: no package comment: open the package (doc.go) with what it is for, in one sentence", p.path)
	}
}

func TestImportsPointDown(t *testing.T) {
	root := moduleRoot(t)
	packages, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	if packages["vmaf"] == nil || packages["internal/arch"] == nil {
		t.Fatalf("read %d packages below %s, and vmaf or this one is not among them", len(packages), root)
	}
	for _, line := range violations(packages) {
		t.Error(line)
	}
}

// TestRulesBite gives each rule a tree that breaks it, so that a rule that went blind is noticed.
func TestRulesBite(t *testing.T) {
	const doc = "// Package p is for something.\n"
	for _, row := range []struct {
		name  string
		files map[string]string
		want  []string // a part of each expected line, in order; empty: the tree is clean
	}{
		{"a clean tree",
			map[string]string{
				"vmaf/a.go":        doc + `package vmaf; import "math"`,
				"vmaf/a_test.go":   `package vmaf_test; import _ "github.com/google/go-cmp/cmp"; import _ "github.com/vqsd/vqsd/internal/golden"`,
				"decode/a.go":      doc + `package decode; import "C"; import _ "github.com/asticode/go-astiav"; import _ "github.com/vqsd/vqsd/vmaf"`,
				"internal/g/a.go":  doc + `package g; import "testing"`,
				"cmd/vqsd/main.go": doc + `package main; import _ "github.com/vqsd/vqsd/decode"`,
			}, nil},
		{"an entrance that decodes",
			map[string]string{"server/http/a.go": doc + `package http; import _ "github.com/vqsd/vqsd/decode"`},
			[]string{"server/http must not import decode: entrances", "server/http must not reach decode: hostile media stays in worker processes"}},
		{"an entrance that reaches kernels through another package",
			map[string]string{
				"server/a.go": doc + `package server; import _ "github.com/vqsd/vqsd/store"`,
				"store/a.go":  doc + `package store; import _ "github.com/vqsd/vqsd/kernels/cpu"`,
			},
			[]string{"server must not reach kernels/cpu: hostile media stays in worker processes, and the daemon's process has neither FFmpeg nor CUDA in it (server → store → kernels/cpu)",
				"store must not import kernels/cpu"}},
		{"FFmpeg outside decode, behind a build tag",
			map[string]string{"engine/a_windows.go": "//go:build windows\n\n" + doc + `package engine; import _ "github.com/asticode/go-astiav"`},
			[]string{"engine must not import github.com/asticode/go-astiav: FFmpeg's types"}},
		{"FFmpeg in a test outside decode",
			map[string]string{
				"engine/a.go":      doc + `package engine`,
				"engine/a_test.go": `package engine; import _ "github.com/asticode/go-astiav"`,
			},
			[]string{"(in engine/a_test.go)"}},
		{"the domain with a dependency",
			map[string]string{"vmaf/a.go": doc + `package vmaf; import _ "golang.org/x/sync/errgroup"`},
			[]string{"vmaf must not import golang.org/x/sync/errgroup: anyone can read"}},
		{"the domain with C",
			map[string]string{"vmaf/a.go": doc + `package vmaf; import "C"`},
			[]string{"vmaf must not import C: C is confined", "vmaf must not import C: anyone can read"}},
		{"chance in the domain",
			map[string]string{"vmaf/a.go": doc + `package vmaf; import _ "math/rand/v2"`},
			[]string{"vmaf must not import math/rand/v2"}},
		{"a package that imports a command",
			map[string]string{"engine/a_test.go": `package engine; import _ "github.com/vqsd/vqsd/cmd/vqsd"`, "engine/a.go": doc + `package engine`},
			[]string{"engine must not import github.com/vqsd/vqsd/cmd/vqsd: commands are entered by people"}},
		{"test support in the product",
			map[string]string{"engine/a.go": doc + `package engine; import _ "github.com/vqsd/vqsd/internal/golden"`},
			[]string{"engine must not import internal/golden", "engine must not import github.com/vqsd/vqsd/internal/golden: test support"}},
		{"a folder without a layer",
			map[string]string{"extras/a.go": doc + `package extras`},
			[]string{`extras: no layer: give the folder "extras" its line`}},
		{"no package comment",
			map[string]string{"vmaf/a.go": "package vmaf\n\n// F does.\nfunc F() {}"},
			[]string{"vmaf: no package comment"}},
		{"a name that says nothing",
			map[string]string{"vmaf/util/a.go": doc + `package util`},
			[]string{`vmaf/util: package name "util" says nothing`}},
		{"testdata is not read",
			map[string]string{"vmaf/a.go": doc + `package vmaf`, "vmaf/testdata/a.go": `not Go at all`},
			nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range row.files {
				name = filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			packages, err := load(root)
			if err != nil {
				t.Fatal(err)
			}
			got := violations(packages)
			if len(got) != len(row.want) {
				t.Fatalf("got %d lines, want %d:\n%s", len(got), len(row.want), strings.Join(got, "\n"))
			}
			for i, want := range row.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("line %d: got %q, want it to contain %q", i, got[i], want)
				}
			}
		})
	}
}

// TestTableIsWhole keeps the table itself honest: known folders, and a reason for everything.
func TestTableIsWhole(t *testing.T) {
	known := map[string]bool{}
	for _, l := range layers {
		if known[l.folder] {
			t.Errorf("layer %s is listed twice", l.folder)
		}
		known[l.folder] = true
		if l.reason == "" {
			t.Errorf("layer %s has no reason", l.folder)
		}
	}
	named := func(where string, paths []string) {
		for _, p := range paths {
			if !known[folder(p)] {
				t.Errorf("%s names %q, which is no layer", where, p)
			}
		}
	}
	for _, l := range layers {
		named("layer "+l.folder, l.may)
		for _, other := range l.may {
			at := slices.IndexFunc(layers, func(o layer) bool { return o.folder == other })
			if at >= 0 && slices.Contains(layers[at].may, l.folder) {
				t.Errorf("%s and %s may import each other: that is no order", l.folder, other)
			}
		}
	}
	for _, b := range bans {
		named("ban of "+b.imports[0], b.only)
		if b.reason == "" {
			t.Errorf("ban of %s has no reason", b.imports[0])
		}
	}
	for _, c := range closures {
		named("closure of "+c.folder, append(c.never, c.folder))
		if c.reason == "" {
			t.Errorf("closure of %s has no reason", c.folder)
		}
	}
}
