package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestPlaceReplacesWholly(t *testing.T) {
	dir := t.TempDir()
	old := writeFile(t, filepath.Join(dir, "old"), []byte("old"))
	if err := os.Chmod(old, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("old", link); err != nil {
		t.Fatal(err)
	}
	p, err := newPlace("log", link, nil)
	if err != nil {
		t.Fatal(err)
	}
	folderHas(t, dir, "link", "old")

	broken := errors.New("broken")
	if err := p.write(t.Context(), func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v, want that of the writer", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	hello := func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }
	if err := p.write(ended, hello); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	folderHas(t, dir, "link", "old")
	if text, _ := os.ReadFile(old); string(text) != "old" {
		t.Errorf("the file reads %q after failures", text)
	}

	if err := p.write(t.Context(), hello); err != nil {
		t.Fatal(err)
	}
	folderHas(t, dir, "link", "old")
	if text, _ := os.ReadFile(old); string(text) != "new" {
		t.Errorf("the file reads %q", text)
	}
	if info, err := os.Stat(old); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("permissions %v, %v: those of the older file are not kept", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
}

func TestPlaceRefuses(t *testing.T) {
	dir := t.TempDir()
	input := writeFile(t, filepath.Join(dir, "input"), []byte("video"))
	for name, target := range map[string]string{"dangling": "nowhere", "alias": "input"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, dir + "/dangling", dir + "/alias", dir + "/none/x", "/dev/null/x", input} {
		if p, err := newPlace("log", path, []string{input}); err == nil {
			t.Errorf("%s is accepted: %+v", path, p)
		}
	}
	folderHas(t, dir, "alias", "dangling", "input")
}

func TestPlaceWritesToDevices(t *testing.T) {
	p, err := newPlace("log", os.DevNull, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.write(t.Context(), func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%s was replaced: %v, %v", os.DevNull, info, err)
	}
}
