package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// smallLog is a log of two frames with a score of n in the first.
func smallLog(n int) string {
	return fmt.Sprintf("Frame,integer_adm2,vmaf,\n0,0.950000,%d.000000,\n1,0.960000,91.000000,\n", n)
}

// importLines runs vqsd import --json and reads its lines.
func importLines(t *testing.T, code int, args ...string) (list []importDocument) {
	t.Helper()
	got := vqsd(t, append([]string{"import", "--json", "-q"}, args...)...)
	if got.code != code {
		t.Fatalf("status %d, want %d\n%s", got.code, code, got.stderr)
	}
	for line := range strings.Lines(got.stdout) {
		var d importDocument
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		list = append(list, d)
	}
	return list
}

func TestImport(t *testing.T) {
	data, logs := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(logs, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(logs, name), []byte(text))
	}
	write("one/720p.csv", smallLog(1))
	write("one/bad.csv", smallLog(2)[:40])
	write("two/360p.csv", smallLog(3))
	write("two/.hidden.csv", smallLog(4))
	write("two/notes.txt", "not a log")
	start := func() *served {
		return startServe(t, nil, "--data", data, "--workers", "0", "--media-root", "clips="+logs)
	}
	s := start()
	flags := []string{
		"--server", s.grpc, "--pattern", `(?P<title>[^/]+)/(?P<rung>[^/.]+)\.csv`, "--reference", "clips:{title}.mov", "--rendition", "{title} at {rung}",
		"--label", "title={title}", "--label", "from={dir}/{file}", logs,
	}

	if dry := importLines(t, exitFailed, append(flags, "--dry-run")...); len(dry) != 3 || dry[0].Measurement != "" || dry[1].Failure == nil {
		t.Errorf("dry run: %+v", dry)
	}
	first := importLines(t, exitFailed, flags...)
	if len(first) != 3 || first[0].Rendition != "one at 720p" || first[0].Frames != 2 || first[0].Existed || first[1].Failure == nil || first[1].Failure.Reason != "invalid" ||
		first[2].Measurement == "" || first[2].Schema != importSchema {
		t.Fatalf("imported %+v", first)
	}
	got := vqsd(t, "import", "--server", s.grpc, filepath.Join(logs, "one"))
	got.want(t, exitFailed, "1 file imported, 0 of them before, 1 failed", "bad.csv: line 2")
	vqsd(t, "list", `labels.title = "two"`, "--server", s.grpc).want(t, exitDone)
	if list := vqsd(t, "list", `labels.from = "two/360p.csv"`, "--server", s.grpc); !strings.Contains(list.stdout, "two.mov") || !strings.Contains(list.stdout, "two at 360p") {
		t.Errorf("list:\n%s", list.stdout)
	}
	shown := vqsd(t, "get", shortName(first[2].Measurement), "--server", s.grpc)
	shown.want(t, exitDone)
	if !strings.Contains(shown.stdout, "imported from  "+logs+"/two/360p.csv (csv, libvmaf") || !strings.Contains(shown.stdout, "47.000000") {
		t.Errorf("get:\n%s", shown.stdout)
	}

	// A file that cannot be read to its end breaks the stream off, and costs the others nothing. Of this one the kernel refuses to read the first page.
	unreadable := importLines(t, exitFailed, "--server", s.grpc, "--label", "why=broken", filepath.Join(logs, "one/720p.csv"), "/proc/self/mem", filepath.Join(logs, "two/360p.csv"))
	if len(unreadable) != 3 || unreadable[0].Measurement == "" || unreadable[1].Failure == nil || unreadable[1].Measurement != "" || unreadable[2].Measurement == "" {
		t.Errorf("with a file that cannot be read: %+v", unreadable)
	}

	// What was answered is there after the daemon's death, and a second run finds it.
	s.end(syscall.SIGKILL, -1)
	vqsd(t, "doctor", "--store", data).want(t, exitDone)
	s = start()
	flags[1] = s.grpc
	again := importLines(t, exitFailed, flags...)
	if len(again) != 3 || !again[0].Existed || again[0].Measurement != first[0].Measurement || again[2].Measurement != first[2].Measurement {
		t.Errorf("imported again: %+v, want what was there: %+v", again, first)
	}
	s.end(syscall.SIGTERM, exitDone)
}

func TestImport_timeOfFiles(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.csv")
	writeFile(t, name, []byte(smallLog(1)))
	when := time.Date(2021, 6, 7, 8, 9, 10, 0, time.UTC)
	if err := os.Chtimes(name, when, when); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]time.Time{fileTime: when, "2020-01-02T03:04:05Z": time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)} {
		f := importFlags{time: flag}
		plan, err := f.parse()
		if err != nil {
			t.Fatal(err)
		}
		if got := plan.about(&importedFile{path: name, below: "a.csv"}, when).GetMeasureTime().AsTime(); !got.Equal(want) {
			t.Errorf("--time %s: %v, want %v", flag, got, want)
		}
	}
}

// busyImports is a daemon that refuses some imports, since it has too many, before it takes one.
type busyImports struct {
	pb.UnimplementedLegacyServiceServer
	refuse int
}

func (b *busyImports) ImportLegacy(stream grpc.BidiStreamingServer[pb.ImportLegacyRequest, pb.ImportLegacyResponse]) error {
	if b.refuse > 0 {
		b.refuse--
		st, err := status.New(codes.ResourceExhausted, "too many imports at a time").WithDetails(
			&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: "limits.import_streams"}}})
		if err != nil {
			return err
		}
		return st.Err()
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil // the client has sent all
		}
		if file := m.GetFile(); file != nil {
			if err := stream.Send(&pb.ImportLegacyResponse{File: file.GetName(), Measurement: &pb.Measurement{Name: "measurements/" + strings.Repeat("0", 26)}}); err != nil {
				return err
			}
		}
	}
}

func TestImport_waitsForOtherImports(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterLegacyServiceServer(server, &busyImports{refuse: 2})
	go func() { _ = server.Serve(listener) }() // it ends with Stop
	defer server.Stop()
	path := filepath.Join(t.TempDir(), "a.csv")
	writeFile(t, path, []byte(smallLog(1)))
	vqsd(t, "import", "--server", listener.Addr().String(), path).want(t, exitDone, "too many imports at a time", "trying again", "1 file imported")
}

func TestImport_linksInFolders(t *testing.T) {
	logs, elsewhere := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(logs, "own.csv"), nil)
	writeFile(t, filepath.Join(elsewhere, "a.csv"), nil)
	for name, target := range map[string]string{"link.csv": filepath.Join(elsewhere, "a.csv"), "folder.csv": elsewhere, "nothing.csv": "none", "pipe.csv": os.DevNull} {
		if err := os.Symlink(target, filepath.Join(logs, name)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := findImports([]string{logs}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		names = append(names, file.below)
	}
	if got, want := strings.Join(names, " "), "link.csv nothing.csv own.csv"; got != want {
		t.Errorf("taken: %s, want %s", got, want)
	}
}

func TestImport_tooLongAValueFailsAlone(t *testing.T) {
	logs := t.TempDir()
	deep := filepath.Join(logs, strings.Repeat(strings.Repeat("d", 200)+"/", 6))
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for n, path := range []string{filepath.Join(logs, "a.csv"), filepath.Join(deep, "x.csv"), filepath.Join(logs, "z.csv")} {
		writeFile(t, path, []byte(smallLog(n)))
	}
	s := startServe(t, nil, "--data", t.TempDir(), "--workers", "0", "--media-root", "clips="+logs)
	for _, flag := range []string{"--label=p={path}", "--rendition={path}", "--reference={path}{path}{path}{path}", "--distorted={path}{path}{path}{path}"} {
		got := vqsd(t, "import", "--server", s.grpc, flag, logs)
		name, _, _ := strings.Cut(strings.Replace(flag, "=p=", " p=", 1), "=")
		got.want(t, exitFailed, "2 files imported", "x.csv: "+name+" is too long: it comes to", "can be kept")
	}
}

func TestImport_usage(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.csv"), []byte(smallLog(1)))
	for _, row := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"nothing to import", nil, exitUsage, []string{"name files or folders"}},
		{"every problem at once", []string{dir, "--reference", "{x}", "--rendition", "{name", "--label", "a=}", "--format", "html", "--time", "yesterday"}, exitUsage,
			[]string{"--reference: unknown placeholder {x}; there are {name}, {file}", "--rendition: a { without", "--label a: a } without", "--format html: cannot be imported", "--time yesterday"}},
		{"no expression", []string{dir, "--pattern", "("}, exitUsage, []string{"--pattern"}},
		{"a group that stands in no expression", []string{dir, "--pattern", "(?P<a>.*)", "--rendition", "{b}"}, exitUsage, []string{"there are {name}, {file}, {dir}, {path}, {a}"}},
		{"a folder that is not there", []string{dir + "/none"}, exitFailed, []string{"none: no such file"}},
		{"a pattern that nothing matches", []string{dir, "--pattern", "b"}, exitFailed, []string{"none of 1 file matches --pattern"}},
		{"no daemon", []string{dir, "--server", "127.0.0.1:1"}, exitFailed, []string{"cannot be reached"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			vqsd(t, append([]string{"import"}, row.args...)...).want(t, row.code, row.want...)
		})
	}
	empty := t.TempDir()
	writeFile(t, filepath.Join(empty, "notes.txt"), nil)
	vqsd(t, "import", empty).want(t, exitFailed, "no file to import: of folders those are taken that end in .xml")
}

func TestTemplate(t *testing.T) {
	values := map[string]string{"name": "a", "title": "b\xff"}
	for text, want := range map[string]string{"": "", "plain": "plain", "{name}": "a", "x{name}y{title}{name}": "xayb?a"} {
		parsed, err := parseTemplate(text, []string{"name", "title"})
		if err != nil || parsed.fill(values) != want {
			t.Errorf("%q: %q, %v; want %q", text, parsed.fill(values), err, want)
		}
	}
}
