package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vqsd/vqsd/decode"
)

func fingerprint(t *testing.T, path string, full bool) (string, Stamp) {
	t.Helper()
	sum, stamp, err := Fingerprint(context.Background(), decode.Input{Path: path}, full)
	if err != nil {
		t.Fatal(err)
	}
	return sum, stamp
}

// sparse makes a file of that size whose content is zero.
func sparse(t *testing.T, sizeBytes int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sparse")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, sizeBytes); err != nil {
		t.Fatal(err)
	}
	return path
}

// poke writes one byte and puts the modification time back.
func poke(t *testing.T, path string, at int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{1}, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

func TestFingerprint_smallFilesByContent(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, path := range []string{a, b} {
		if err := os.WriteFile(path, []byte("the same"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sum, stamp := fingerprint(t, a, false)
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("the same"))); sum != want {
		t.Errorf("%s, want %s", sum, want)
	}
	if now, err := StampOf(decode.Input{Path: a}); err != nil || now != stamp || now.SizeBytes != 8 {
		t.Errorf("stamp %+v, then %+v (%v)", stamp, now, err)
	}
	copied, other := fingerprint(t, b, false)
	if copied != sum || other == stamp {
		t.Errorf("copy: %s %+v; want the same sum and another stamp", copied, other)
	}
	empty, _ := fingerprint(t, sparse(t, 0), false)
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256(nil)); empty != want {
		t.Errorf("empty file: %s", empty)
	}
}

// A file of more than 64 MiB is sampled; what is not sampled shows in the time, or in the full sum.
func TestFingerprint_largeFilesBySamples(t *testing.T) {
	path := sparse(t, sampledAbove)
	if sum, _ := fingerprint(t, path, false); !strings.HasPrefix(sum, "sha256:") {
		t.Errorf("64 MiB: %s", sum)
	}
	const size = sampledAbove + 4097
	path = sparse(t, size)
	sum, _ := fingerprint(t, path, false)
	if !strings.HasPrefix(sum, "sampled:") || len(sum) != len("sampled:")+64 {
		t.Errorf("more than 64 MiB: %s", sum)
	}
	// pinned: stored figures are found by it
	at := time.Unix(1700000000, 5)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	pinned, _ := fingerprint(t, path, false)
	if pinned == sum {
		t.Error("another modification time gives the same sum")
	}
	digest := sha256.New()
	fmt.Fprintf(digest, "%d %d\n", size, at.UnixNano())
	digest.Write(make([]byte, 2*sampledEnds+sampledBlocks*sampledPerSpot))
	if want := fmt.Sprintf("sampled:%x", digest.Sum(nil)); pinned != want {
		t.Errorf("%s, want %s", pinned, want)
	}
	whole, _ := fingerprint(t, path, true)
	seen := map[string]string{pinned: "nothing"}
	step := int64(size-sampledPerSpot) / (sampledBlocks - 1)
	for name, offset := range map[string]int64{
		"first byte": 0, "end of the first MiB": sampledEnds - 1, "start of the last MiB": size - sampledEnds, "last byte": size - 1,
		"start of a block": 100 * step, "end of a block": 100*step + sampledPerSpot - 1,
	} {
		poke(t, path, offset)
		changed, _ := fingerprint(t, path, false)
		if before, ok := seen[changed]; ok {
			t.Errorf("%s is changed, and the sum is the one after %s", name, before)
		}
		seen[changed] = name
	}
	before, _ := fingerprint(t, path, false)
	_, stamp := fingerprint(t, path, true)
	poke(t, path, 100*step+sampledPerSpot)
	if after, _ := fingerprint(t, path, false); after != before {
		t.Error("a byte between blocks is sampled")
	}
	if full, now := fingerprint(t, path, true); full == whole || now == stamp {
		t.Error("a byte between blocks shows neither in the full sum nor in the stamp, although the time was put back")
	}
}

func TestFingerprint_refuses(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "inside"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, c := range map[string]struct {
		in   decode.Input
		want error // nil: any
		text string
	}{
		"standard input":            {decode.Input{Path: "-"}, ErrNotRegular, "standard input"},
		"folder":                    {decode.Input{Path: dir}, ErrNotRegular, dir},
		"pipe":                      {decode.Input{Path: fifo}, ErrNotRegular, fifo},
		"missing":                   {decode.Input{Path: filepath.Join(dir, "none")}, os.ErrNotExist, "none: "},
		"link that leaves the root": {decode.Input{Path: "link", Root: root}, nil, "link: "},
		"path that leaves the root": {decode.Input{Path: "../x", Root: root}, nil, "../x: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Fingerprint(context.Background(), c.in, false)
			_, stampErr := StampOf(c.in)
			for _, err := range []error{err, stampErr} {
				if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("got %v, want %v and %q in it", err, c.want, c.text)
				}
			}
		})
	}
	in := decode.Input{Path: "inside", Root: root}
	sum, stamp, err := Fingerprint(context.Background(), in, false)
	if now, stampErr := StampOf(in); err != nil || stampErr != nil || now != stamp || !strings.HasPrefix(sum, "sha256:2d7116") {
		t.Errorf("inside the root: %s %+v %v, %+v %v", sum, stamp, err, now, stampErr)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Fingerprint(ctx, in, true); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
