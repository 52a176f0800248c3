package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// TestExportIsTheLogOfGet has a daemon measure, and holds what is exported of it against what get writes.
func TestExportIsTheLogOfGet(t *testing.T) {
	r := newDaemonRig(t, nil)
	write := func(name string, c clipSpec) string {
		path := filepath.Join(r.media, name)
		writeFile(t, path, c.y4m())
		return path
	}
	ref := write("ref.y4m", clipSpec{frames: 9})
	dis := []string{write("a b.y4m", clipSpec{frames: 9, noise: 9}), write("c.y4m", clipSpec{frames: 9, noise: 30})}
	got := vqsd(t, "measure", "--server", r.address, "-r", ref, "-d", dis[0], "-d", dis[1], "--feature", "psnr", "--json")
	got.want(t, exitDone)
	id := shortName(between(t, got.stdout, `"measurement": "`, `"`))
	dir := t.TempDir()
	for _, format := range []string{"xml", "json", "csv", "sub"} {
		for _, digits := range []string{"6", "17"} {
			vqsd(t, "get", "--server", r.address, id, "--log", filepath.Join(dir, "{n}."+format), "--log-precision", digits, "--quiet").want(t, exitDone)
			to := filepath.Join(dir, format+digits)
			vqsd(t, "export", "--server", r.address, id, "--format", format, "--log-precision", digits, "--to", to+"/").want(t, exitDone, "2 files exported")
			folderHas(t, to, "a_b-"+id+"-1."+format, "c-"+id+"."+format)
			for n, name := range []string{"a_b-" + id + "-1." + format, "c-" + id + "." + format} {
				want, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.%s", n+1, format)))
				if err != nil {
					t.Fatal(err)
				}
				have, err := os.ReadFile(filepath.Join(to, name))
				if err != nil {
					t.Fatal(err)
				}
				if string(have) != string(want) {
					t.Errorf("%s with %s digits: export has\n%s\nget has\n%s", format, digits, have, want)
				}
			}
		}
	}
	for format, part := range map[string]string{"html": "<svg", "record": "vqsd.encode-record/1", "table-csv": "pooling", "vmafossexec-xml": `version="1.3.15"`} {
		args := []string{"export", "--server", r.address, id, "--rendition", "c", "--format", format, "--to", "-"}
		got := vqsd(t, args...)
		got.want(t, exitDone, "1 file exported")
		if !strings.Contains(got.stdout, part) {
			t.Errorf("%s has no %q:\n%.2000s", format, part, got.stdout)
		}
	}
	vqsd(t, "export", "--server", r.address, id, "--format", "xml", "--to", "-").want(t, exitFailed, "2 renditions", "choose one with --rendition")
}

// between is the text between two others.
func between(t *testing.T, text, before, after string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, before)
	part, _, ended := strings.Cut(rest, after)
	if !found || !ended {
		t.Fatalf("there is nothing between %q and %q in\n%s", before, after, text)
	}
	return part
}

// importLogs has a daemon import logs of a length, with 16 series each.
func importLogs(b *testing.B, address string, logs, frames int) {
	b.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second}))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	stream, err := pb.NewLegacyServiceClient(conn).ImportLegacy(ctx, grpc.WaitForReady(true))
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		for i := range logs {
			name := fmt.Sprintf("x%d.csv", i)
			_ = stream.Send(&pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_File{File: &pb.ImportFile{Name: name}}}) // Recv says what is wrong
			var text strings.Builder
			text.WriteString("Frame,vmaf,")
			for k := range 15 {
				fmt.Fprintf(&text, "series_%d,", k)
			}
			for n := range frames {
				fmt.Fprintf(&text, "\n%d,%d.5,", n, 50+(n+i)%50)
				for k := range 15 {
					fmt.Fprintf(&text, "0.%06d,", (n*7919+k*104729+i)%1_000_000)
				}
			}
			text.WriteString("\n")
			for rest := text.String(); rest != ""; {
				piece := rest[:min(len(rest), 1<<20)]
				rest = rest[len(piece):]
				_ = stream.Send(&pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_Data{Data: []byte(piece)}}) // the same
			}
		}
		_ = stream.CloseSend() // the same
	}()
	done := 0
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || answer.GetFailure() != nil {
			b.Fatalf("%v, %v", answer.GetFailure(), err)
		}
		done++
	}
	if done != logs {
		b.Fatalf("%d of %d logs were imported", done, logs)
	}
}

// roleProcess is vqsd as a process, as process has it, but for benchmarks.
func roleProcess(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), roleEnvironment+"=program")
	return c
}

// BenchmarkExport is one export of many measurements, through a daemon that is a process of its own.
func BenchmarkExport(b *testing.B) {
	for _, c := range []struct {
		name         string
		logs, frames int
		flags        []string
	}{
		{"1000 logs of 100 frames as xml", 1000, 100, []string{"--format", "xml"}},
		{"1000 logs of 100 frames as record", 1000, 100, []string{"--format", "record"}},
		{"1000000 rows of frames as table-parquet", 5, 12_500, []string{"--format", "table-parquet", "--granularity", "frame"}},
		{"1000000 rows of frames as table-csv", 5, 12_500, []string{"--format", "table-csv", "--granularity", "frame"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			data := b.TempDir()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			address := l.Addr().String()
			if err := l.Close(); err != nil { // the port is the daemon's
				b.Fatal(err)
			}
			daemon := roleProcess("serve", "--listen", address, "--http-listen", "", "--data", data, "--media-root", "media="+b.TempDir(), "--workers", "0")
			if err := daemon.Start(); err != nil {
				b.Fatal(err)
			}
			defer func() {
				_ = daemon.Process.Kill() // it may have ended
				_ = daemon.Wait()         // it was killed
			}()
			importLogs(b, address, c.logs, c.frames)
			var bytes int64
			for b.Loop() {
				dir := b.TempDir()
				args := append([]string{"export", "--server", address, "--filter", "*", "--to", dir + "/", "--quiet"}, c.flags...)
				if out, err := roleProcess(args...).CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				bytes = 0
				entries, err := os.ReadDir(dir)
				if err != nil {
					b.Fatal(err)
				}
				for _, e := range entries {
					if info, err := e.Info(); err == nil {
						bytes += info.Size()
					}
				}
			}
			b.ReportMetric(float64(bytes)/1e6, "MB")
		})
	}
}
