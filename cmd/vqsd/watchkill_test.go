package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	vqsv1 "github.com/vqsd/vqsd/proto/vqs/v1"
)

// dropRig is a daemon that watches two folders: one whose files stay, and one whose files are moved.
type dropRig struct {
	*daemonRig
	random  *rand.Rand
	folders string // has in "kept" and "moved"
	clips   map[int][]byte
	scores  map[int]float64 // mean VMAF, by noise
	copies  sync.WaitGroup
	dropped map[string]*drop // by path below folders
}

// drop is a rendition that was put into a folder.
type drop struct {
	noise    int // of the clip that it is by now; −1: no video
	versions int // that were there in turn
	moved    bool
	deleted  bool
}

const dropFrames = 12

func newDropRig(t *testing.T, random *rand.Rand) *dropRig {
	t.Helper()
	r := &dropRig{random: random, folders: t.TempDir(), clips: map[int][]byte{}, scores: map[int]float64{}, dropped: map[string]*drop{}}
	config := "watch:\n"
	for _, folder := range []string{"kept", "moved"} {
		if err := os.Mkdir(filepath.Join(r.folders, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		config += fmt.Sprintf("- folder: %s\n  interval: 1s\n  ready: {stable_for: 400ms}\n", filepath.Join(r.folders, folder)) +
			"  pair: {reference: '{title}_ref.y4m', rendition: '{title}_{rung}.y4m'}\n  request: {models: [vmaf_v0.6.1]}\n  reports: {formats: [json, html]}\n"
	}
	config += "  after: {success: move, failure: move, move_to: done}\n" // of the second
	path := writeFile(t, filepath.Join(t.TempDir(), "vqsd.yaml"), []byte(config))
	// With so many murders one chunk may meet three of them; that it then fails is right, and tested elsewhere.
	r.daemonRig = newDaemonRig(t, []string{"VQSD_WORKERS_ATTEMPTS=50", "VQSD_WORKERS_LEASE=2s"}, "--media-root", "drop="+r.folders, "--config", path)

	scratch := t.TempDir()
	ref := clipSpec{frames: dropFrames}.write(t, scratch, "ref.y4m")
	r.clips[0] = clipSpec{frames: dropFrames}.y4m()
	var paths []string
	for noise := 4; noise <= 40; noise += 4 {
		r.clips[noise] = clipSpec{frames: dropFrames, noise: noise}.y4m()
		paths = append(paths, clipSpec{frames: dropFrames, noise: noise}.write(t, scratch, fmt.Sprintf("%d.y4m", noise)))
	}
	for name, series := range r.expectedScores(ref, paths...) {
		noise, err := strconv.Atoi(name)
		if err != nil {
			t.Fatal(err)
		}
		r.scores[noise] = series["vmaf"]["mean"]
	}
	return r
}

// noise is one of the distorted clips.
func (r *dropRig) noise() int { return 4 + 4*r.random.IntN(10) }

// put has content appear in a folder: renamed from a temporary name, or copied slowly under its own.
func (r *dropRig) put(path string, content []byte, slowly bool) {
	full := filepath.Join(r.folders, path)
	if !slowly {
		writeFile(r.t, full+".part", content)
		if err := os.Rename(full+".part", full); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	var pauses []time.Duration
	for range 4 {
		pauses = append(pauses, time.Duration(r.random.Int64N(int64(250*time.Millisecond))))
	}
	r.copies.Go(func() {
		file, err := os.OpenFile(full, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
		if err != nil {
			r.t.Error(err)
			return
		}
		defer file.Close() // its content is compared in the end
		for i, pause := range pauses {
			end := len(content) * (i + 1) / len(pauses)
			if _, err := file.Write(content[len(content)*i/len(pauses) : end]); err != nil {
				r.t.Error(err)
			}
			time.Sleep(pause) // the copy is slow
		}
	})
}

// newTitle drops a reference and up to three renditions.
func (r *dropRig) newTitle(number int) {
	folder := []string{"kept", "moved"}[r.random.IntN(2)]
	title := fmt.Sprintf("%s/t%03d", folder, number)
	r.put(title+"_ref.y4m", r.clips[0], r.random.IntN(2) == 0)
	for k := range 1 + r.random.IntN(3) {
		d := &drop{noise: r.noise(), versions: 1, moved: folder == "moved"}
		content := r.clips[d.noise]
		if r.random.IntN(8) == 0 {
			d.noise, content = -1, []byte("no video, and not that of another one either: "+title)
		}
		path := fmt.Sprintf("%s_%d.y4m", title, k)
		r.dropped[path] = d
		r.put(path, content, r.random.IntN(2) == 0)
	}
}

// disturb replaces or deletes a rendition that was reported before.
func (r *dropRig) disturb() {
	paths := slices.Sorted(maps.Keys(r.dropped))
	path := paths[r.random.IntN(len(paths))]
	d := r.dropped[path]
	if d.moved || d.deleted || d.noise < 0 || !r.reported(path, d) {
		return
	}
	if r.random.IntN(4) == 0 {
		d.deleted = true
		if err := os.Remove(filepath.Join(r.folders, path)); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	for before := d.noise; d.noise == before; {
		d.noise = r.noise()
	}
	d.versions++
	r.put(path, r.clips[d.noise], false)
}

// reported says whether a rendition's reports are those of what it is now.
func (r *dropRig) reported(path string, d *drop) bool {
	at := filepath.Join(r.folders, path)
	if d.moved {
		folder, name := filepath.Split(path)
		at = filepath.Join(r.folders, folder, "done", name)
	}
	if d.noise < 0 {
		_, err := os.Stat(at + ".vqsd-failed.txt")
		return err == nil
	}
	text, err := os.ReadFile(at + ".vmaf.json")
	if err != nil {
		return false
	}
	var log struct {
		Pooled map[string]map[string]float64 `json:"pooled_metrics"`
	}
	if err := json.Unmarshal(text, &log); err != nil {
		r.t.Fatalf("%s: a report is there in part: %v: %.200q", path, err, text)
	}
	_, err = os.Stat(at + ".vmaf.html")
	// Logs have six digits behind the point.
	return err == nil && fmt.Sprintf("%.6f", r.scores[d.noise]) == fmt.Sprintf("%.6f", log.Pooled["vmaf"]["mean"])
}

// measured counts the measurements of each path, by path below folders.
func (r *dropRig) measured() map[string]int {
	r.t.Helper()
	got := map[string]int{}
	token := ""
	for {
		page := call(r.daemonRig, "ListMeasurements", func(ctx context.Context) (*vqsv1.ListMeasurementsResponse, error) {
			return r.quality.ListMeasurements(ctx, &vqsv1.ListMeasurementsRequest{PageSize: 500, PageToken: token})
		})
		for _, m := range page.GetMeasurements() {
			if m.GetFinishTime() == nil {
				r.t.Errorf("%s has not ended", m.GetName())
			}
			for _, d := range m.GetSpec().GetRenditions() {
				below, err := filepath.Rel(r.folders, d.GetSource().GetUri())
				if err != nil {
					r.t.Fatal(err)
				}
				got[below]++
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			return got
		}
	}
}

// check requires that everything was measured once, reported, and dealt with, and nothing else is there.
func (r *dropRig) check() {
	r.t.Helper()
	r.copies.Wait()
	versions, renditions := 0, 0
	for path, d := range r.dropped {
		r.until(fmt.Sprintf("%s (%+v) is reported", path, *d), func() bool { return d.deleted || r.reported(path, d) })
	}
	want := map[string]int{}
	for path, d := range r.dropped {
		want[path] = d.versions
		versions += d.versions
		renditions++
	}
	got := r.measured()
	for path, n := range want {
		if got[path] != n {
			r.t.Errorf("%s: %d measurements of %d versions", path, got[path], n)
		}
	}
	for path := range got {
		if want[path] == 0 {
			r.t.Errorf("%s was measured and never dropped", path)
		}
	}
	allowed := map[string]bool{}
	for path, d := range r.dropped {
		name := path
		if d.moved {
			name = filepath.Join(filepath.Dir(path), "done", filepath.Base(path))
		}
		allowed[name] = !d.deleted
		allowed[name+".vqsd-failed.txt"] = d.noise < 0
		allowed[name+".vmaf.json"], allowed[name+".vmaf.html"] = d.noise >= 0, d.noise >= 0
	}
	err := filepath.WalkDir(r.folders, func(path string, e fs.DirEntry, err error) error {
		below, _ := filepath.Rel(r.folders, path) // it is below
		if err == nil && !e.IsDir() && !allowed[below] && !strings.HasSuffix(below, "_ref.y4m") {
			r.t.Errorf("%s should not be there", below)
		}
		delete(allowed, below)
		return err
	})
	if err != nil {
		r.t.Error(err)
	}
	for path, needed := range allowed {
		if needed {
			r.t.Errorf("%s is missing", path)
		}
	}
	r.t.Logf("%d renditions, %d versions of them", renditions, versions)
}

// TestKilledWatcherLosesAndRepeatsNothing kills the daemon at random moments while files are copied into its folders, renamed, replaced and deleted.
func TestKilledWatcherLosesAndRepeatsNothing(t *testing.T) {
	r := newDropRig(t, killRandom(t))
	for round := range killRounds(t) {
		r.newTitle(round)
		r.disturb()
		time.Sleep(time.Duration(r.random.Int64N(int64(2500 * time.Millisecond)))) // the random moment
		r.daemon.kill()
		r.disturb()
		r.daemon.start()
		r.disturb()
	}
	r.check()
}
