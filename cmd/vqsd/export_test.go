package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// exportDaemon answers exports with files that a test makes up. Its tokens are the numbers of files that are behind.
type exportDaemon struct {
	pb.UnimplementedLegacyServiceServer
	pb.UnimplementedQualityServiceServer
	address string
	files   []exportedFile

	// mu guards the fields below.
	mu       sync.Mutex
	requests []*pb.ExportLegacyRequest
	sent     func(file, piece int) error // before a piece is sent; nil: nothing
}

// exportedFile is a file, or a failure in place of one.
type exportedFile struct {
	name    string
	pieces  []string
	losses  []string
	failure string
	within  string // the failure of a rendition in a table
	damaged bool   // it comes with another digest
}

func newExportDaemon(t *testing.T, files ...exportedFile) *exportDaemon {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &exportDaemon{address: l.Addr().String(), files: files}
	server := grpc.NewServer()
	pb.RegisterLegacyServiceServer(server, d)
	pb.RegisterQualityServiceServer(server, d)
	go func() { _ = server.Serve(l) }() // ends by Stop
	t.Cleanup(server.Stop)
	return d
}

func (d *exportDaemon) GetQuality(_ context.Context, r *pb.GetQualityRequest) (*pb.GetQualityResponse, error) {
	m := &pb.Measurement{Name: r.GetName()}
	for _, f := range d.files {
		m.Renditions = append(m.Renditions, &pb.Rendition{Name: f.name})
	}
	return &pb.GetQualityResponse{Measurement: m}, nil
}

func (d *exportDaemon) ExportLegacy(r *pb.ExportLegacyRequest, stream grpc.ServerStreamingServer[pb.ExportLegacyResponse]) error {
	d.mu.Lock()
	d.requests = append(d.requests, r)
	sent := d.sent
	d.mu.Unlock()
	from, _ := strconv.Atoi(r.GetResumeToken()) // "": 0
	for i := from; i < len(d.files); i++ {
		token := strconv.Itoa(i + 1)
		for k, piece := range d.files[i].stream(token) {
			if sent != nil {
				if err := sent(i, k); err != nil {
					return err
				}
			}
			if err := stream.Send(piece); err != nil {
				return err
			}
		}
	}
	return nil
}

// stream is what is sent of the file.
func (f exportedFile) stream(token string) []*pb.ExportLegacyResponse {
	failed := func(message, token string) *pb.ExportLegacyResponse {
		return &pb.ExportLegacyResponse{Piece: &pb.ExportLegacyResponse_Failure{Failure: &pb.ExportFailure{
			Measurement: namePrefix + testID, Rendition: "x", ResumeToken: token,
			Failure: &pb.Failure{Reason: pb.FailureReason_FAILURE_REASON_NOT_STORED, Message: message},
		}}}
	}
	if f.failure != "" {
		return []*pb.ExportLegacyResponse{failed(f.failure, token)}
	}
	list := []*pb.ExportLegacyResponse{{Piece: &pb.ExportLegacyResponse_File{
		File: &pb.ExportFile{Name: f.name, Measurement: namePrefix + testID, Rendition: strings.ToUpper(f.name)},
	}}}
	for _, piece := range f.pieces {
		list = append(list, &pb.ExportLegacyResponse{Piece: &pb.ExportLegacyResponse_Data{Data: []byte(piece)}})
	}
	if f.within != "" {
		list = append(list, failed(f.within, ""))
	}
	all := strings.Join(f.pieces, "")
	sum := sha256.Sum256([]byte(all))
	if f.damaged {
		sum[0]++
	}
	return append(list, &pb.ExportLegacyResponse{Piece: &pb.ExportLegacyResponse_End{
		End: &pb.ExportFileEnd{Bytes: int64(len(all)), Sha256: sum[:], Losses: f.losses, ResumeToken: token},
	}})
}

// cut has the stream end before a piece of a file, once.
func (d *exportDaemon) cut(file, piece int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent = func(i, k int) error {
		if i != file || k != piece {
			return nil
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.sent = nil
		return status.Error(codes.Unavailable, "gone")
	}
}

func (d *exportDaemon) run(t *testing.T, args ...string) answer {
	t.Helper()
	return vqsd(t, append(append([]string{"export", "--server", d.address, "--filter", "*"}, args...), "--patience", "0s")...)
}

// threeFiles are what most tests here export.
func threeFiles() []exportedFile {
	return []exportedFile{
		{name: "a.xml", pieces: []string{"first ", "file"}, losses: []string{"aggregates: apsnr_y"}},
		{name: "b.xml", pieces: []string{"second"}},
		{name: "c.xml", pieces: []string{"third ", "", "file"}, losses: []string{"aggregates: apsnr_y"}},
	}
}

func folderContent(t *testing.T, dir string, files []exportedFile) {
	t.Helper()
	var names []string
	for _, f := range files {
		if f.failure != "" {
			continue
		}
		names = append(names, f.name)
		content, err := os.ReadFile(filepath.Join(dir, f.name))
		if want := strings.Join(f.pieces, ""); err != nil || string(content) != want {
			t.Errorf("%s has %q, %v; want %q", f.name, content, err, want)
		}
	}
	folderHas(t, dir, names...)
}

func TestExportIntoFolder(t *testing.T) {
	d := newExportDaemon(t, threeFiles()...)
	dir := filepath.Join(t.TempDir(), "new", "folder")
	got := d.run(t, "--format", "XML", "--to", dir)
	got.want(t, exitDone, "3 files exported", "not held by xml: aggregates: apsnr_y (2 files)")
	if want := fmt.Sprintf("%[1]s/a.xml\n%[1]s/b.xml\n%[1]s/c.xml\n", dir); got.stdout != want {
		t.Errorf("it printed\n%swant\n%s", got.stdout, want)
	}
	folderContent(t, dir, d.files)
	again := d.run(t, "--format", "xml", "--to", dir, "--json", "--quiet")
	again.want(t, exitDone)
	if again.stderr != "" {
		t.Errorf("--quiet says %q", again.stderr)
	}
	for i, line := range strings.Split(strings.TrimSpace(again.stdout), "\n") {
		var document exportDocument
		if err := json.Unmarshal([]byte(line), &document); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		name := filepath.Join(dir, d.files[i].name)
		if document.Schema != "vqsd.export/1" || *document.File != name || !document.Existed || document.Losses == nil || document.SHA256 == "" || document.Rendition != strings.ToUpper(d.files[i].name) {
			t.Errorf("line %d is %s", i, line)
		}
	}
}

func TestExportTellsFailures(t *testing.T) {
	files := append(threeFiles(), exportedFile{failure: "adm is not stored"}, exportedFile{name: "t.parquet", pieces: []string{"rows"}, within: "vif is\nnot stored"})
	d := newExportDaemon(t, files...)
	dir := t.TempDir()
	got := d.run(t, "--format", "xml", "--to", dir)
	got.want(t, exitFailed, "vqsd: "+testID+", x: adm is not stored", "vqsd: "+testID+", x: vif is not stored", "4 files exported")
	folderContent(t, dir, files)
	got = d.run(t, "--format", "xml", "--to", dir, "--json")
	if n := strings.Count(got.stdout, `"reason":"not_stored"`); n != 2 || strings.Count(got.stdout, `"file":null`) != 2 {
		t.Errorf("%d failures in\n%s", n, got.stdout)
	}
}

// TestExportStaysInItsFolder is with a daemon that calls files what it likes.
func TestExportStaysInItsFolder(t *testing.T) {
	for _, name := range []string{"../outside.xml", "/tmp/vqsd-outside.xml", "..", ".", "", ".hidden", ".vqsd-export.jsonl", "sub/x.xml", "a\x00.xml", "NUL.xml", "-rf", strings.Repeat("x", 300)} {
		d := newExportDaemon(t, exportedFile{name: name, pieces: []string{"bad"}})
		base := t.TempDir()
		dir := filepath.Join(base, "to")
		if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o777); err != nil {
			t.Fatal(err)
		}
		d.run(t, "--format", "xml", "--to", dir).want(t, exitFailed, "the daemon calls a file")
		folderHas(t, base, "to")
		folderHas(t, dir, "sub")
		folderHas(t, filepath.Join(dir, "sub"))
	}
}

func TestExportReplacesNothing(t *testing.T) {
	d := newExportDaemon(t, threeFiles()...)
	outside := filepath.Join(t.TempDir(), "precious")
	writeFile(t, outside, []byte("precious"))
	for name, prepare := range map[string]func(t *testing.T, path string){
		"another file": func(t *testing.T, path string) { writeFile(t, path, []byte("mine")) },
		"a link to a file elsewhere": func(t *testing.T, path string) {
			if err := os.Symlink(outside, path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			prepare(t, filepath.Join(dir, "b.xml"))
			d.run(t, "--format", "xml", "--to", dir).want(t, exitFailed, "b.xml: is there already, with other content; --force replaces it", "goes on here with --resume")
			if content, _ := os.ReadFile(filepath.Join(dir, "b.xml")); string(content) == "second" {
				t.Error("it was replaced")
			}
			d.run(t, "--format", "xml", "--to", dir, "--resume", "--force").want(t, exitDone, "going on behind 1 file", "2 files exported")
			folderContent(t, dir, d.files)
			if content, err := os.ReadFile(outside); err != nil || string(content) != "precious" {
				t.Errorf("the file elsewhere has %q, %v", content, err)
			}
		})
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a.xml"), 0o777); err != nil {
		t.Fatal(err)
	}
	d.run(t, "--format", "xml", "--to", dir, "--force").want(t, exitFailed, "a.xml: is a folder")
	folderHas(t, dir, "a.xml")

	twice := newExportDaemon(t, exportedFile{name: "a.xml", pieces: []string{"1"}}, exportedFile{name: "A.XML", pieces: []string{"2"}})
	dir = t.TempDir()
	twice.run(t, "--format", "xml", "--to", dir, "--force").want(t, exitFailed, "A.XML: the daemon calls two files so")
}

func TestExportGoesOn(t *testing.T) {
	d := newExportDaemon(t, threeFiles()...)
	for _, at := range []struct {
		file, piece int
		behind      int // files that are kept
	}{{0, 0, 0}, {0, 1, 0}, {1, 0, 1}, {1, 1, 1}, {2, 2, 2}, {2, 4, 2}} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			dir := t.TempDir()
			d.cut(at.file, at.piece)
			d.run(t, "--format", "xml", "--to", dir).want(t, exitFailed, "gone")
			if at.behind == 0 {
				folderHas(t, dir)
			} else {
				d.run(t, "--format", "xml", "--to", dir).want(t, exitFailed, "an export to it was cut short: --resume goes on with it")
				d.run(t, "--format", "xml", "--to", dir, "--log-precision", "17", "--resume").want(t, exitFailed, "other flags")
			}
			d.run(t, "--format", "xml", "--to", dir, "--resume").want(t, exitDone, fmt.Sprintf("%s exported", plural(int64(3-at.behind), "file")))
			folderContent(t, dir, d.files)
		})
	}
	t.Run("in the same run, where it is waited for", func(t *testing.T) {
		dir := t.TempDir()
		d.cut(1, 1)
		vqsd(t, "export", "--server", d.address, "--filter", "*", "--format", "xml", "--to", dir).want(t, exitDone, "3 files exported")
		folderContent(t, dir, d.files)
	})
}

// TestExportJournal goes on with journals that a killed export, or somebody else, may have left.
func TestExportJournal(t *testing.T) {
	d := newExportDaemon(t, threeFiles()...)
	prepare := func(t *testing.T) (dir, journal string, lines []string) {
		t.Helper()
		dir = t.TempDir()
		d.cut(2, 1)
		d.run(t, "--format", "xml", "--to", dir).want(t, exitFailed)
		journal = filepath.Join(dir, exportJournalName)
		content, err := os.ReadFile(journal)
		if err != nil {
			t.Fatal(err)
		}
		return dir, journal, strings.SplitAfter(string(content), "\n")[:3]
	}
	goOn := func(dir string) answer { return d.run(t, "--format", "xml", "--to", dir, "--resume") }
	for name, row := range map[string]struct {
		damage func(t *testing.T, dir, journal string, lines []string)
		behind int
	}{
		"nothing happened": {func(*testing.T, string, string, []string) {}, 2},
		"the last file did not get its name": {func(t *testing.T, dir, _ string, _ []string) {
			if err := os.Rename(filepath.Join(dir, "b.xml"), filepath.Join(dir, exportPartName)); err != nil {
				t.Fatal(err)
			}
		}, 1},
		"the first line was cut off": {func(t *testing.T, _, journal string, lines []string) {
			writeFile(t, journal, []byte(lines[0][:10]))
		}, 0},
		"the last line was cut off": {func(t *testing.T, _, journal string, lines []string) {
			writeFile(t, journal, []byte(lines[0]+lines[1]+lines[2][:20]))
		}, 1},
		"an earlier file was removed": {func(t *testing.T, dir, _ string, _ []string) {
			if err := os.Remove(filepath.Join(dir, "a.xml")); err != nil {
				t.Fatal(err)
			}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir, journal, lines := prepare(t)
			row.damage(t, dir, journal, lines)
			got := goOn(dir)
			got.want(t, exitDone)
			d.mu.Lock()
			token := d.requests[len(d.requests)-1].GetResumeToken()
			d.mu.Unlock()
			if n, _ := strconv.Atoi(token); n != row.behind { // "": 0
				t.Errorf("it goes on behind %q, want %d", token, row.behind)
			}
			folderContent(t, dir, d.files)
		})
	}
	t.Run("a file of the last one's size", func(t *testing.T) {
		dir, _, _ := prepare(t)
		writeFile(t, filepath.Join(dir, "b.xml"), []byte("SECOND"))
		goOn(dir).want(t, exitFailed, "b.xml: is there already, with other content")
		d.run(t, "--format", "xml", "--to", dir, "--resume", "--force").want(t, exitDone)
		folderContent(t, dir, d.files)
	})
	for name, damage := range map[string]func(lines []string) string{
		"a line that is none":       func(lines []string) string { return lines[0] + "nonsense\n" },
		"a path":                    func(lines []string) string { return lines[0] + strings.Replace(lines[1], "a.xml", "../a.xml", 1) },
		"another program's journal": func([]string) string { return `{"schema":"other/1"}` + "\n" },
	} {
		t.Run(name, func(t *testing.T) {
			dir, journal, lines := prepare(t)
			writeFile(t, journal, []byte(damage(lines)))
			goOn(dir).want(t, exitFailed, "--force begins anew")
			d.run(t, "--format", "xml", "--to", dir, "--force").want(t, exitDone)
			folderContent(t, dir, d.files)
		})
	}
	t.Run("an export that goes on now", func(t *testing.T) {
		dir := t.TempDir()
		d.mu.Lock()
		d.sent = func(i, k int) error {
			if i == 1 && k == 0 {
				d.mu.Lock()
				d.sent = nil
				d.mu.Unlock()
				d.run(t, "--format", "xml", "--to", dir, "--force").want(t, exitFailed, "another export is writing to it")
			}
			return nil
		}
		d.mu.Unlock()
		d.run(t, "--format", "xml", "--to", dir).want(t, exitDone)
		folderContent(t, dir, d.files)
	})
}

func FuzzExportJournal(f *testing.F) {
	f.Add([]byte(`{"schema":"vqsd.export-journal/1","request":{"filter":"*","format":"xml"}}` + "\n" + `{"name":"a.xml","bytes":1,"sha256":"x","token":"1"}` + "\n"))
	f.Add([]byte(`{"schema":"vqsd.export-journal/1","request":{"filter":"*","format":"xml"}}` + "\n" + `{"name":"../a","token":"1"}` + "\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, journal []byte) {
		base := t.TempDir()
		dir := filepath.Join(base, "to")
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, exportJournalName), journal)
		d, err := openExportFolder(dir, &pb.ExportLegacyRequest{Filter: "*", Format: "xml"}, true, false)
		if err != nil {
			return
		}
		for _, r := range d.past {
			if r.Name != "" {
				t.Errorf("it says that %q is there", r.Name)
			}
		}
		if err := d.close(true); err != nil {
			t.Fatal(err)
		}
		folderHas(t, base, "to")
		folderHas(t, dir)
	})
}

func TestExportIntoOneFile(t *testing.T) {
	one := newExportDaemon(t, threeFiles()[0])
	dir := t.TempDir()
	file := filepath.Join(dir, "x.xml")
	named := func(d *exportDaemon, args ...string) answer {
		return vqsd(t, append([]string{"export", "--server", d.address, testID, "--format", "xml", "--patience", "0s"}, args...)...)
	}
	named(one, "--to", file).want(t, exitDone, "1 file exported")
	if content, err := os.ReadFile(file); err != nil || string(content) != "first file" {
		t.Errorf("%q, %v", content, err)
	}
	named(one, "--to", file).want(t, exitFailed, "is there already; --force replaces it")
	named(one, "--to", file, "--force").want(t, exitDone)
	if got := named(one, "--to", "-"); got.code != exitDone || got.stdout != "first file" {
		t.Errorf("standard output has %q, and %s", got.stdout, got.stderr)
	}
	three := newExportDaemon(t, threeFiles()...)
	named(three, "--to", filepath.Join(dir, "y.xml")).want(t, exitFailed, "has 3 renditions, and each has a file of its own")
	vqsd(t, "export", "--server", three.address, "--filter", "*", "--format", "table-csv", "--to", filepath.Join(dir, "y.csv")).want(t, exitFailed, "holds one file, and there are more; name a folder")
	none := newExportDaemon(t)
	named(none, "--to", filepath.Join(dir, "y.xml")).want(t, exitFailed, "there is nothing to write")
	bad := newExportDaemon(t, exportedFile{name: "x.xml", pieces: []string{"x"}, damaged: true})
	named(bad, "--to", filepath.Join(dir, "y.xml")).want(t, exitFailed, "came with 1 bytes")
	one.cut(0, 2)
	named(one, "--to", "-").want(t, exitFailed, "gone; a part of the file had come by then; export it again")
	folderHas(t, dir, "x.xml")
}

// TestExportToAReaderThatHasGone says one thing: that standard output could not be written.
func TestExportToAReaderThatHasGone(t *testing.T) {
	for name, pieces := range map[string][]string{
		"a file of a buffer's size": {"first ", "file"},
		"a large file":              slices.Repeat([]string{strings.Repeat("x", 64<<10)}, 16),
	} {
		t.Run(name, func(t *testing.T) {
			d := newExportDaemon(t, exportedFile{name: "a.xml", pieces: pieces})
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			c := process(t, "export", "--server", d.address, testID, "--format", "xml", "--to", "-")
			var stderr bytes.Buffer
			c.Stdout, c.Stderr = w, &stderr
			_ = c.Run() // its status is looked at below
			answer{code: c.ProcessState.ExitCode(), stderr: stderr.String()}.want(t, exitFailed, "vqsd: write standard output: ", "broken pipe")
			if n := strings.Count(stderr.String(), "\n"); n != 1 {
				t.Errorf("it says %d things:\n%s", n, &stderr)
			}
		})
	}
}

func TestExportToAFullDevice(t *testing.T) {
	for _, pieces := range [][]string{{"x"}, slices.Repeat([]string{strings.Repeat("x", 64<<10)}, 16)} {
		d := newExportDaemon(t, exportedFile{name: "a.xml", pieces: pieces})
		got := vqsd(t, "export", "--server", d.address, testID, "--format", "xml", "--to", "/dev/full", "--force")
		got.want(t, exitFailed, "no space left on device")
		if strings.Contains(got.stderr, "export it again") || strings.Contains(got.stderr, "exported") {
			t.Errorf("it says more than that the device is full:\n%s", got.stderr)
		}
	}
}

// TestExportFollowsNoLinks is with links in the place of the files that an export makes for itself.
func TestExportFollowsNoLinks(t *testing.T) {
	d := newExportDaemon(t, threeFiles()...)
	for name, row := range map[string]struct{ link, to string }{
		"part file":                {exportPartName, "precious"},
		"part file, nothing there": {exportPartName, "absent"},
		"journal":                  {exportJournalName, "precious"},
		"journal, nothing there":   {exportJournalName, "absent"},
		"journal, an empty file":   {exportJournalName, "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files := map[string]string{"precious": "precious", "empty": ""}
			for name, text := range files {
				writeFile(t, filepath.Join(dir, name), []byte(text))
			}
			if err := os.Symlink(row.to, filepath.Join(dir, row.link)); err != nil {
				t.Fatal(err)
			}
			args := []string{"--format", "xml", "--to", dir, "--force"}
			if row.link == exportJournalName {
				d.run(t, args...).want(t, exitFailed, exportJournalName+" in it is not a file that an export has made; remove it")
				folderHas(t, dir, exportJournalName, "empty", "precious")
			} else {
				d.run(t, args...).want(t, exitDone, "3 files exported")
				folderHas(t, dir, "a.xml", "b.xml", "c.xml", "empty", "precious")
				for _, f := range d.files {
					path := filepath.Join(dir, f.name)
					info, err := os.Lstat(path)
					if err != nil {
						t.Fatal(err)
					}
					if content, err := os.ReadFile(path); err != nil || string(content) != strings.Join(f.pieces, "") || !info.Mode().IsRegular() {
						t.Errorf("%s is %v with %q, %v", f.name, info.Mode(), content, err)
					}
				}
			}
			for name, text := range files {
				if content, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(content) != text {
					t.Errorf("%s has %q, %v", name, content, err)
				}
			}
		})
	}
}

func TestWrongUsageOfExport(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	writeFile(t, file, nil)
	for name, row := range map[string]struct {
		args []string
		says string
	}{
		"neither name nor filter":  {[]string{"--format", "xml", "--to", dir}, "name a measurement"},
		"both":                     {[]string{testID, "--filter", "*", "--format", "xml", "--to", dir}, "not both"},
		"an empty filter":          {[]string{"--filter", "", "--format", "xml", "--to", dir}, "--filter is empty"},
		"two names":                {[]string{testID, testID, "--format", "xml", "--to", dir}, "accepts at most 1 arg"},
		"no name":                  {[]string{"x.mp4", "--format", "xml", "--to", dir}, "is no measurement's name"},
		"no format":                {[]string{testID, "--to", dir}, `required flag(s) "format" not set`},
		"no place":                 {[]string{testID, "--format", "xml"}, `required flag(s) "to" not set`},
		"an empty place":           {[]string{testID, "--format", "xml", "--to", ""}, "--to: the name is empty"},
		"an unknown format":        {[]string{testID, "--format", "yaml", "--to", dir}, `unknown format "yaml"`},
		"a folder that is a file":  {[]string{testID, "--format", "xml", "--to", file + "/"}, "not a "},
		"files of a filter":        {[]string{"--filter", "*", "--format", "xml", "--to", file}, "name a folder"},
		"files of a filter to -":   {[]string{"--filter", "*", "--format", "xml", "--to", "-"}, "name a folder"},
		"documents among the file": {[]string{testID, "--format", "xml", "--to", "-", "--json"}, "both write to standard output"},
		"going on with a file":     {[]string{testID, "--format", "xml", "--to", file, "--resume"}, "--resume goes with a folder"},
		"digits":                   {[]string{testID, "--format", "xml", "--to", dir, "--log-precision", "9"}, "must be 6 or 17"},
		"digits of a page":         {[]string{testID, "--format", "html", "--to", dir, "--log-precision", "17"}, "--log-precision goes with libvmaf's logs: xml, json, csv, sub only"},
		"a pool of libvmaf's logs": {[]string{testID, "--format", "xml", "--to", dir, "--pool", "min"}, "--pool goes with vmafossexec-xml"},
		"an unknown pool":          {[]string{testID, "--format", "vmafossexec-xml", "--to", dir, "--pool", "p5"}, `--pool: unknown "p5"`},
		"no frames of a log":       {[]string{testID, "--format", "xml", "--to", dir, "--omit-frames"}, "--omit-frames goes with record only"},
		"rows of a log":            {[]string{testID, "--format", "xml", "--to", dir, "--granularity", "frame"}, "--granularity goes with table-csv, table-parquet only"},
		"rows of pixels":           {[]string{testID, "--format", "table-csv", "--to", dir, "--granularity", "pixel"}, `unknown "pixel"`},
		"negative patience":        {[]string{testID, "--format", "xml", "--to", dir, "--patience", "-1s"}, "must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			got := vqsd(t, append([]string{"export", "--server", "127.0.0.1:1"}, row.args...)...)
			got.want(t, exitUsage, row.says, `see "vqsd export --help"`)
		})
	}
	folderHas(t, dir, "file")
	got := vqsd(t, "__complete", "export", "--format", "")
	if !strings.Contains(got.stdout, "vmafossexec-json\n") || !strings.Contains(got.stdout, "table-parquet\n") {
		t.Errorf("the shell is offered\n%s", got.stdout)
	}
}

// TestExportIsKilled kills processes that export 500 measurements, over and over, until one comes to the end.
func TestExportIsKilled(t *testing.T) {
	const n = 500
	var files []exportedFile
	for i := range n {
		files = append(files, exportedFile{
			name: fmt.Sprintf("x%03d.xml", i), pieces: []string{fmt.Sprintf("file %d: ", i), strings.Repeat("figures ", 20_000), "end"},
		})
	}
	d := newExportDaemon(t, files...)
	dir := t.TempDir()
	args := []string{"export", "--server", d.address, "--filter", "*", "--format", "xml", "--to", dir, "--resume", "--patience", "0s"}
	kills := 0
	for at := 20; at < n; at += 55 {
		var once sync.Once
		c := process(t, args...)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		killing := make(chan struct{})
		d.mu.Lock()
		d.sent = func(i, k int) error {
			if i >= at && k == at%5 { // at every kind of piece
				once.Do(func() { close(killing) })
			}
			return nil
		}
		d.mu.Unlock()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		select {
		case <-killing:
			_ = c.Process.Kill() // it may just have ended
			<-ended
			kills++
		case err := <-ended:
			t.Fatalf("it ended by itself: %v, %s", err, stderr.String())
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			i := slices.IndexFunc(files, func(f exportedFile) bool { return f.name == e.Name() })
			if i < 0 && e.Name() != exportPartName && e.Name() != exportJournalName {
				t.Errorf("there is a file %s", e.Name())
			}
			if i < 0 {
				continue
			}
			if content, err := os.ReadFile(filepath.Join(dir, e.Name())); err != nil || string(content) != strings.Join(files[i].pieces, "") {
				t.Errorf("%s has %d bytes, %v", e.Name(), len(content), err)
			}
		}
	}
	d.mu.Lock()
	d.sent = nil
	d.mu.Unlock()
	c := process(t, args...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	folderContent(t, dir, files)
	d.mu.Lock()
	defer d.mu.Unlock()
	gone := 0
	for _, r := range d.requests {
		if r.GetResumeToken() != "" {
			gone++
		}
	}
	if kills < 9 || gone < kills {
		t.Errorf("%d kills, and %d exports went on behind what there was", kills, gone)
	}
}
