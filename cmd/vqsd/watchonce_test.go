package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// watchOnce runs vqsd watch --once as a process, with a data folder of the test's own.
func watchOnce(t *testing.T, data string, args ...string) answer {
	t.Helper()
	c := process(t, append([]string{"watch", "--once", "--data", data, "--stable-for", "0s"}, args...)...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	_ = c.Run() // its status is looked at by the caller
	return answer{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func TestWatchOnce(t *testing.T) {
	dir, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	clipSpec{frames: 3}.write(t, dir, "a_ref.y4m")
	clipSpec{frames: 3, noise: 12}.write(t, dir, "a_low.y4m")
	patterns := []string{dir, "--reference", "{title}_ref.y4m", "--rendition", "{title}_{rung}.y4m", "--model", "vmaf_v0.6.1", "--format", "xml,record"}

	t.Run("what is there", func(t *testing.T) {
		got := watchOnce(t, data, patterns...)
		got.want(t, exitDone)
		if !strings.Contains(got.stdout, "a_ref.y4m: measuring 1 rendition\na_low.y4m: vmaf ") {
			t.Errorf("got\n%s", got.stdout)
		}
		folderHas(t, dir, "a_low.y4m", "a_low.y4m.vmaf.record.json", "a_low.y4m.vmaf.xml", "a_ref.y4m")
		log, err := os.ReadFile(filepath.Join(dir, "a_low.y4m.vmaf.xml"))
		if err != nil {
			t.Fatal(err)
		}
		direct := vqsd(t, "measure", "-r", dir+"/a_ref.y4m", "-d", dir+"/a_low.y4m", "--model", "vmaf_v0.6.1", "--log", "-")
		if timeless(string(log)) != timeless(direct.stdout) {
			t.Errorf("the report differs from the log of vqsd measure:\n%s\n%s", log, direct.stdout)
		}
	})
	t.Run("nothing twice", func(t *testing.T) {
		got := watchOnce(t, data, patterns...)
		if got.want(t, exitDone); got.stdout != "" {
			t.Errorf("measured again:\n%s", got.stdout)
		}
	})
	t.Run("what is new and what was replaced, as documents", func(t *testing.T) {
		writeFile(t, dir+"/a_bad.y4m", []byte("no video"))
		if err := os.Remove(dir + "/a_low.y4m"); err != nil {
			t.Fatal(err)
		}
		clipSpec{frames: 3, noise: 30}.write(t, dir, "a_low.y4m")
		got := watchOnce(t, data, append(patterns, "--json")...)
		got.want(t, exitFailed, "1 file could not be measured")
		kinds := map[string]string{}
		for line := range strings.Lines(got.stdout) {
			var d struct {
				Schema, Kind, Path string
				Scores             []struct{ Name string }
				Reports            []string
			}
			if err := json.Unmarshal([]byte(line), &d); err != nil || d.Schema != watchEventSchema {
				t.Fatalf("%v: %s", err, line)
			}
			if d.Kind == "done" && (len(d.Scores) != 1 || d.Scores[0].Name != "vmaf" || len(d.Reports) != 2) {
				t.Errorf("got %s", line)
			}
			if d.Kind != "submitted" {
				kinds[d.Path] = d.Kind
			}
		}
		if len(kinds) != 2 || kinds["a_bad.y4m"] != "failed" || kinds["a_low.y4m"] != "done" {
			t.Errorf("got %v of\n%s", kinds, got.stdout)
		}
		if mark, err := os.ReadFile(dir + "/a_bad.y4m.vqsd-failed.txt"); err != nil || !strings.Contains(string(mark), "headerless video") {
			t.Errorf("%v: %s", err, mark)
		}
	})
	t.Run("what has no marker, and what has gone", func(t *testing.T) {
		if err := os.Remove(dir + "/a_bad.y4m"); err != nil {
			t.Fatal(err)
		}
		clipSpec{frames: 3, noise: 9}.write(t, dir, "a_new.y4m")
		writeFile(t, dir+"/a_ref.y4m.done", nil)
		writeFile(t, dir+"/a_low.y4m.done", nil)
		got := watchOnce(t, data, append(patterns, "--marker", ".done")...)
		if got.want(t, exitDone, "passed over, since it is not complete: 1 file"); got.stdout != "" {
			t.Errorf("measured\n%s", got.stdout)
		}
	})
	t.Run("several problems on one line", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, dir+"/x.vqsd.yaml", []byte("rendition: a\n"))
		got := watchOnce(t, filepath.Join(t.TempDir(), "data"), dir)
		if got.want(t, exitFailed); strings.Count(got.stdout, "\n") != 1 || strings.Contains(got.stdout, "\uFFFD") {
			t.Errorf("got %q", got.stdout)
		}
	})
	t.Run("no pair", func(t *testing.T) {
		watchOnce(t, filepath.Join(t.TempDir(), "data"), dir, "--reference", "*.mov", "--rendition", "*.mp4").want(t, exitFailed, "no rendition with a reference was found")
	})
}

func TestWatch_usage(t *testing.T) {
	dir := t.TempDir()
	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"no folder":          {nil, "name one folder"},
		"two folders":        {[]string{dir, dir}, "name one folder"},
		"half a pattern":     {[]string{dir, "--reference", "{a}.mov"}, "pair.rendition"},
		"unknown way":        {[]string{dir, "--by", "magic"}, "pair.by"},
		"unknown format":     {[]string{dir, "--format", "pdf"}, "reports.formats"},
		"unknown disposal":   {[]string{dir, "--after", "burn"}, "after.success"},
		"moved nowhere":      {[]string{dir, "--after", "move"}, "after.move_to"},
		"unknown model":      {[]string{dir, "--model", "vmaf_v9"}, "vmaf_v9"},
		"too often":          {[]string{dir, "--interval", "1ms"}, "interval"},
		"labels without key": {[]string{dir, "--label", "x"}, "x must be formatted as key=value"},
	} {
		t.Run(name, func(t *testing.T) {
			vqsd(t, append([]string{"watch"}, row.args...)...).want(t, exitUsage, row.want)
		})
	}
	vqsd(t, "watch", filepath.Join(dir, "nosuch"), "--data", filepath.Join(dir, "data")).want(t, exitFailed, "no such file or directory")
}

// What happens is told when it happens, not at the end.
func TestWatch_tellsAtOnce(t *testing.T) {
	dir := t.TempDir()
	clipSpec{frames: 3}.write(t, dir, "a_ref.y4m")
	clipSpec{frames: 3, noise: 12}.write(t, dir, "a_low.y4m")
	c := process(t, "watch", dir, "--reference", "{t}_ref.y4m", "--rendition", "{t}_low.y4m", "--data", filepath.Join(t.TempDir(), "data"), "--stable-for", "0s", "--model", "vmaf_v0.6.1")
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := &logLines{}
	lines.more = sync.NewCond(&lines.mu)
	go lines.read(stdout)
	if lines.wait(func(line string) bool { return strings.HasPrefix(line, "a_low.y4m: vmaf ") }) == "" {
		t.Errorf("it ended, having said %q", lines)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	lines.wait(nil)
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}
