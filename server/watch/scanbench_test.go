package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what this process has used of all processors.
func processorTime(t testing.TB) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// fill makes titles of a reference and four renditions each, as files of no size.
func (f *testFolder) fill(files int, place func(title int, file string) string) {
	f.t.Helper()
	for title := range files / 5 {
		for i, name := range []string{"ref.mov", "1080p.mp4", "720p.mp4", "480p.mp4", "240p.mp4"} {
			path := f.path(place(title, name))
			if i == 0 {
				f.must(os.MkdirAll(filepath.Dir(path), 0o755))
			}
			f.must(unix.Mknod(path, unix.S_IFREG|0o644, 0))
		}
	}
}

func flat(title int, file string) string { return fmt.Sprintf("title-%06d_%s", title, file) }

func folderEach(title int, file string) string {
	if file == "ref.mov" {
		file = "reference.mov"
	}
	return fmt.Sprintf("title-%06d/%s", title, file)
}

// A scan that changes nothing allocates the same few bytes however many files there are: nothing for each file but the copy of its name that the system call takes.
func TestScanOfUnchangedFolderAllocates(t *testing.T) {
	f := newTestFolder(t, byPattern())
	f.fill(1000, flat)
	f.settled()
	allocations := testing.AllocsPerRun(10, func() { f.scan() })
	if allocations > 1100 {
		t.Errorf("%v allocations of a scan of 1000 files", allocations)
	}
}

func BenchmarkScan(b *testing.B) {
	for _, c := range []struct {
		name  string
		cfg   Folder
		place func(int, string) string
	}{{"flat", byPattern(), flat}, {"folders", Folder{Pair: Pair{By: ByFolder}}, folderEach}} {
		for _, files := range []int{10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d/unchanged", c.name, files), func(b *testing.B) {
				f := newTestFolder(b, c.cfg)
				f.fill(files, c.place)
				f.settled()
				measureScans(b, f, func() {})
			})
			b.Run(fmt.Sprintf("%s/%d/one-changes", c.name, files), func(b *testing.B) {
				f := newTestFolder(b, c.cfg)
				f.fill(files, c.place)
				f.settled()
				n := int64(0)
				measureScans(b, f, func() {
					n++
					f.must(os.Truncate(f.path(c.place(0, "720p.mp4")), n))
				})
			})
		}
	}
}

func measureScans(b *testing.B, f *testFolder, before func()) {
	b.ReportAllocs()
	b.ResetTimer()
	begin := processorTime(b)
	for range b.N {
		before()
		if _, err := f.s.scan(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processorTime(b)-begin)/float64(b.N)/1e6, "cpu-ms/op")
}
