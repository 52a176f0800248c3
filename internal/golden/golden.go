package golden

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// EnvDir names the environment variable that says where the golden material is.
const EnvDir = "VQSD_GOLDEN"

// Dir is the folder of the golden material. The test is skipped where there is none; it fails where [EnvDir] names a
// folder that is not there.
func Dir(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv(EnvDir); dir != "" {
		if !isDir(filepath.Join(dir, "scores")) {
			tb.Fatalf("%s=%s: no folder scores in it", EnvDir, dir)
		}
		return dir
	}
	root, err := repositoryRoot()
	if err != nil {
		tb.Fatal(err)
	}
	dir := filepath.Join(root, "..", "shared", "golden")
	if !isDir(filepath.Join(dir, "scores")) {
		tb.Skipf("golden material is not here; set %s to its folder", EnvDir)
	}
	return dir
}

// Pairs are the names of all pairs that have a score file, sorted. The names of the additional files that
// hold what a SIMD path of the reference implementation gave are left out: they are not the figures to match.
func Pairs(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(Dir(tb), "scores", "*.tsv"))
	if err != nil {
		tb.Fatal(err)
	}
	var pairs []string
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".tsv")
		if strings.HasSuffix(name, ".pooled") || strings.HasSuffix(name, ".simd-path") {
			continue
		}
		pairs = append(pairs, name)
	}
	if len(pairs) == 0 {
		tb.Fatalf("no score files in %s", filepath.Join(Dir(tb), "scores"))
	}
	slices.Sort(pairs)
	return pairs
}

// Scores reads the per-frame figures of one pair.
func Scores(tb testing.TB, pair string) *Table {
	tb.Helper()
	return read(tb, filepath.Join(Dir(tb), "scores", pair+".tsv"), readTable)
}

// Pooled reads the pooled figures of one pair, in file order.
func Pooled(tb testing.TB, pair string) []PooledRow {
	tb.Helper()
	return read(tb, filepath.Join(Dir(tb), "scores", pair+".pooled.tsv"), readPooled)
}

// Clip is the path of a clip or encode by its file name, as [Table.Reference] and [Table.Distorted] give it.
func Clip(tb testing.TB, name string) string {
	tb.Helper()
	path := filepath.Join(Dir(tb), "clips", name)
	if _, err := os.Stat(path); err != nil {
		tb.Fatal(err)
	}
	return path
}

// FrameMD5 is the path of the list of decoded frames of a coded clip.
func FrameMD5(tb testing.TB, clip string) string {
	tb.Helper()
	path := filepath.Join(Dir(tb), "framemd5", clip+".framemd5")
	if _, err := os.Stat(path); err != nil {
		tb.Fatal(err)
	}
	return path
}

func read[T any](tb testing.TB, path string, parse func(text string) (T, error)) T {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	v, err := parse(string(text))
	if err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
	return v
}

// repositoryRoot is the nearest folder above the working directory (a test's package folder) that has a go.mod.
func repositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", os.ErrNotExist
		}
		dir = parent
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
