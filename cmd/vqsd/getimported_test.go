package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
)

// ownLog is a log whose pooled figures were formed over more frames than it lists, as those of libvmaf 2.0 to 2.3 with subsampling were.
const ownLog = `<VMAF version="2.1.0">
  <params qualityWidth="576" qualityHeight="324" />
  <fyi fps="12.50" />
  <frames>
    <frame frameNum="0" integer_adm2="0.900000" vmaf="80.000000" />
    <frame frameNum="1" integer_adm2="0.950000" vmaf="90.000000" />
  </frames>
  <pooled_metrics>
    <metric name="integer_adm2" min="0.900000" max="0.950000" mean="0.925000" harmonic_mean="0.924675" />
    <metric name="vmaf" min="70.000000" max="91.000000" mean="81.500000" harmonic_mean="81.250000" />
  </pooled_metrics>
  <aggregate_metrics />
</VMAF>
`

// importedAs imports a file and returns its measurement's short name.
func importedAs(t *testing.T, server, path string) string {
	t.Helper()
	list := importLines(t, exitDone, "--server", server, path)
	if len(list) != 1 || list[0].Measurement == "" {
		t.Fatalf("imported %+v", list)
	}
	return shortName(list[0].Measurement)
}

func TestGet_importedShowsTheFilesOwnFigures(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "own.xml")
	writeFile(t, own, []byte(ownLog))
	s := startServe(t, nil, "--data", t.TempDir(), "--workers", "0", "--media-root", "clips="+dir)
	id := importedAs(t, s.grpc, own)
	get := func(args ...string) answer {
		t.Helper()
		got := vqsd(t, append([]string{"get", id, "--server", s.grpc}, args...)...)
		got.want(t, exitDone)
		return got
	}

	for _, row := range []struct{ pool, want string }{
		{"mean", "81.500000"}, {"harmonic_mean", "81.250000"}, {"min", "70.000000"}, {"max", "91.000000"},
		{"p50", "85.000000"}, // which the file does not have
		{"p33", "83.300000"}, // nor the measurement
	} {
		if got := get("--pool", row.pool); !strings.Contains(got.stdout, row.want) {
			t.Errorf("%s: no %s in\n%s", row.pool, row.want, got.stdout)
		}
	}

	text := get("--json", "--pool", "mean,max,p50").stdout
	for _, want := range []string{`"mean": 81.5`, `"max": 91`, `"p50": 85`, `"name": "integer_adm2"`, `"mean": 0.925`} {
		if !strings.Contains(text, want) {
			t.Errorf("document: no %s in\n%s", want, text)
		}
	}

	for _, form := range []string{"xml", "json", "csv", "sub", "vmafossexec-xml"} {
		log, exported := get("--log", "-", "--log-format", form).stdout, vqsd(t, "export", id, "--server", s.grpc, "--format", form, "--to", "-")
		exported.want(t, exitDone)
		if log != exported.stdout {
			t.Errorf("%s: the log of get is\n%s\nand that of export\n%s", form, log, exported.stdout)
		}
	}
	again := filepath.Join(dir, "again.xml")
	get("--log", again)
	if text, err := os.ReadFile(again); err != nil || string(text) != ownLog {
		t.Errorf("log %v\n%s", err, text)
	}
	drawn := filepath.Join(dir, "plot.svg")
	get("--plot", drawn)
	if text, err := os.ReadFile(drawn); err != nil || !strings.Contains(string(text), "81.5") {
		t.Errorf("plot %v has no mean of the file:\n%s", err, text)
	}
}

func TestGet_importedLogsOfOriginalTools(t *testing.T) {
	logs := filepath.Join(golden.Dir(t), "legacy-logs")
	dir := t.TempDir()
	s := startServe(t, nil, "--data", t.TempDir(), "--workers", "0", "--media-root", "clips="+dir)
	for name, form := range map[string]string{
		"vmafossexec-1.3.15/psnr-ssim-msssim.xml": "vmafossexec-xml", "libvmaf-3.2.0/two-models.xml": "xml", "ffmpeg-5.1/psnr-v2-max.log": "ffmpeg-psnr",
	} {
		path := filepath.Join(logs, name)
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		id := importedAs(t, s.grpc, path)
		got := vqsd(t, "get", id, "--server", s.grpc, "--log", "-", "--log-format", form)
		got.want(t, exitDone)
		if got.stdout != string(want) {
			t.Errorf("%s: got\n%s", name, got.stdout)
		}
		// Of one without a score, too: that of its first series.
		vqsd(t, "get", id, "--server", s.grpc, "--plot", filepath.Join(dir, "plot.svg")).want(t, exitDone)
	}
}

func TestGet_importedThatHasNoSuchLog(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "own.xml")
	writeFile(t, own, []byte(ownLog))
	s := startServe(t, nil, "--data", t.TempDir(), "--workers", "0", "--media-root", "clips="+dir)
	id := importedAs(t, s.grpc, own)
	got := vqsd(t, "get", id, "--server", s.grpc, "--log", filepath.Join(dir, "psnr.log"), "--log-format", "ffmpeg-psnr")
	got.want(t, exitFailed, "log "+filepath.Join(dir, "psnr.log"), "cannot be written in this form")
	if !strings.Contains(got.stdout, "81.500000") {
		t.Errorf("without its table:\n%s", got.stdout)
	}

	// A record without figures of frames has no log at all.
	record := filepath.Join(dir, "record.json")
	vqsd(t, "export", id, "--server", s.grpc, "--format", "record", "--omit-frames", "--to", record).want(t, exitDone)
	id = importedAs(t, s.grpc, record)
	got = vqsd(t, "get", id, "--server", s.grpc, "--log", filepath.Join(dir, "x.xml"))
	got.want(t, exitFailed, "without figures of frames")
	if !strings.Contains(got.stdout, "record.json") {
		t.Errorf("without the measurement:\n%s", got.stdout)
	}
}
