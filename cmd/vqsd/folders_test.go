package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a daemon watches, and how far it is, can be asked for.
func TestAdminFolders(t *testing.T) {
	dir := t.TempDir()
	clipSpec{frames: 3}.write(t, dir, "a_ref.y4m")
	clipSpec{frames: 3, noise: 12}.write(t, dir, "a_low.y4m")
	cfg := writeFile(t, filepath.Join(t.TempDir(), "vqsd.yaml"), []byte("watch:\n- folder: "+dir+"\n  name: drops\n  ready: {stable_for: 0s}\n"+
		"  pair: {reference: '{t}_ref.y4m', rendition: '{t}_low.y4m'}\n  request: {models: [vmaf_v0.6.1]}\n  reports: {formats: [xml]}\n"))
	s := startServe(t, nil, "--config", cfg, "--data", t.TempDir(), "--media-root", dir)
	var f folderInfo
	for deadline := time.Now().Add(60 * time.Second); f.Done == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) { // between looks
		var d foldersDocument
		got := vqsd(t, "admin", "folders", "--json", "--server", s.grpc)
		if err := json.Unmarshal([]byte(got.stdout), &d); err != nil || d.Schema != foldersSchema || len(d.Folders) != 1 {
			t.Fatalf("%v: %s%s", err, got.stdout, got.stderr)
		}
		f = d.Folders[0]
	}
	if f.Name != "drops" || f.Path != dir || f.Titles != 1 || f.Done != 1 || f.Failed != 0 || f.ScanTime == nil || f.Trouble != "" {
		t.Errorf("got %+v", f)
	}
	if table := vqsd(t, "admin", "folders", "--server", s.grpc); !strings.Contains(table.stdout, "drops") {
		t.Errorf("got\n%s%s", table.stdout, table.stderr)
	}
	bare := startServe(t, nil, "--data", t.TempDir(), "--media-root", dir)
	if none := vqsd(t, "admin", "folders", "--server", bare.grpc); none.stdout != "no folder is watched\n" {
		t.Errorf("got %q, %s", none.stdout, none.stderr)
	}
}
