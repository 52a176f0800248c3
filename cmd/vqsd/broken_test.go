package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/internal/golden"
)

// brokenTimeEnvironment is how long the test on broken files goes on making more of them, as a duration such as 10m.
const (
	brokenTimeEnvironment = "VQSD_BROKEN_TIME"
	brokenTime            = 45 * time.Second
)

const (
	// brokenLimit is how long one command on one broken file may take. The clips have a few small frames.
	brokenLimit = 20 * time.Second
	// cutsPerFile bounds the truncations of one file; they are spread over it.
	cutsPerFile = 24
	// brokenWorkers are processes at a time.
	brokenWorkers = 2
)

// source is a good file that is damaged.
type source struct {
	name    string
	content []byte
	frames  int
	ref     string // what it is compared with
}

// damaged is one broken file and how it came about, which is all that it takes to make it again.
type damaged struct {
	source  *source
	how     string
	content []byte
}

// job is what a worker is asked to do: arguments of the program.
type job struct{ Args []string }

// batch runs the program for every job on in, one a line, and answers with the exit status of each. It plays in a process of
// its own, since what is tested is whether that process lives.
func batch(in io.Reader, out io.Writer) int {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var j job
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitUsage
		}
		fmt.Fprintln(out, run(context.Background(), j.Args, strings.NewReader(""), io.Discard, io.Discard))
	}
	return exitDone
}

// worker is a process that runs jobs, and is started anew after it died.
type worker struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	stderr  *lockedBuffer
}

// lockedBuffer keeps the first part of what a worker says before it dies.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer // mu guards it
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if room := 4096 - b.text.Len(); room > 0 {
		b.text.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (w *worker) start() (err error) {
	w.command = exec.Command(os.Args[0])
	w.command.Env = append(os.Environ(), roleEnvironment+"=batch")
	w.stderr = &lockedBuffer{}
	w.command.Stderr = w.stderr
	if w.in, err = w.command.StdinPipe(); err != nil {
		return err
	}
	out, err := w.command.StdoutPipe()
	if err != nil {
		return err
	}
	w.out = bufio.NewReader(out)
	return w.command.Start()
}

// do runs one job and says what is wrong with how it ended; "" is nothing.
func (w *worker) do(args []string) (complaint string, err error) {
	if w.command == nil {
		if err := w.start(); err != nil {
			return "", err
		}
	}
	line, err := json.Marshal(job{args})
	if err != nil {
		return "", err
	}
	process := w.command.Process
	expired := time.AfterFunc(brokenLimit, func() { _ = process.Kill() })
	_, _ = w.in.Write(append(line, '\n')) // a worker that has died gives no answer, which is noticed below
	answer, err := w.out.ReadString('\n')
	if err == nil {
		expired.Stop()
		if code := strings.TrimSpace(answer); code != "0" && code != "1" {
			return "ended with status " + code, nil
		}
		return "", nil
	}
	inTime := expired.Stop()
	died := w.command.Wait()
	w.command = nil
	if !inTime {
		return fmt.Sprintf("was not done after %v", brokenLimit), nil
	}
	return fmt.Sprintf("died: %v: %s", died, w.stderr), nil
}

func (w *worker) stop() error {
	if w.command == nil {
		return nil
	}
	return errors.Join(w.in.Close(), w.command.Wait())
}

// However a file is damaged, inspect and measure end, in time, with status 0 or 1: they neither crash nor hang. Cuts at
// every kind of boundary come first, then bits flip at random places until the time is up.
func TestBrokenFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about a minute")
	}
	duration := brokenTime
	if text := os.Getenv(brokenTimeEnvironment); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", brokenTimeEnvironment, err)
		}
	}
	sources := brokenSources(t)
	dir := t.TempDir()
	var tasks errgroup.Group
	queue := make(chan damaged)
	done := make(chan struct{}) // closed once something is wrong with the test itself
	var stop sync.Once
	for n := range brokenWorkers {
		tasks.Go(func() (err error) {
			w := &worker{}
			defer func() { err = errors.Join(err, w.stop()) }()
			for d := range queue {
				path := filepath.Join(dir, fmt.Sprintf("%d%s", n, filepath.Ext(d.source.name)))
				if err := os.WriteFile(path, d.content, 0o644); err != nil {
					stop.Do(func() { close(done) })
					return err
				}
				for _, args := range d.commands(path) {
					complaint, err := w.do(args)
					if err != nil {
						stop.Do(func() { close(done) })
						return err
					}
					if complaint != "" {
						t.Errorf("%s, %s (kept as %s): vqsd %s %s", d.source.name, d.how, keep(t, path), strings.Join(args, " "), complaint)
					}
				}
			}
			return nil
		})
	}
	started := time.Now()
	made := 0
	give := func(d damaged) bool {
		select {
		case queue <- d:
			made++
			return true
		case <-done:
			return false
		}
	}
	makeAll(sources, func() bool { return time.Since(started) < duration }, give)
	close(queue)
	if err := tasks.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d broken files of %d good ones in %v", made, len(sources), time.Since(started).Round(time.Second))
}

// makeAll gives every cut of every file, then flipped bits until the time is up.
func makeAll(sources []*source, inTime func() bool, give func(damaged) bool) {
	for _, s := range sources {
		if !give(damaged{s, "whole", s.content}) {
			return
		}
		for _, at := range s.cuts() {
			if !give(damaged{s, fmt.Sprintf("cut off at byte %d", at), s.content[:at]}) {
				return
			}
		}
	}
	for seed := uint64(1); inTime(); seed++ {
		for _, s := range sources {
			if !give(s.flipped(seed)) {
				return
			}
		}
	}
}

// keep copies a file that broke the program to where it outlives the test.
func keep(t *testing.T, path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return path
	}
	file, err := os.CreateTemp("", "vqsd-broken-*"+filepath.Ext(path))
	if err != nil {
		t.Error(err)
		return path
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Error(err)
	}
	return file.Name()
}

// commands are what is tried on a broken file: inspect, and one way to measure, chosen by what is in the file.
func (d damaged) commands(path string) [][]string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(d.source.name + d.how)) // never an error
	random := rand.New(rand.NewPCG(h.Sum64(), 1))
	ref, dis := d.source.ref, path
	if random.IntN(4) == 0 {
		ref, dis = dis, ref
	}
	first := random.IntN(max(1, d.source.frames-4))
	measure := []string{"measure", "-r", ref, "-d", dis, "--pairing", "index", "--shortest", "--frames", fmt.Sprintf("%d:%d", first, first+5)}
	switch random.IntN(4) {
	case 0:
		measure = append(measure, "--on-damage", "conceal")
	case 1:
		measure = append(measure, "--scale", "bilinear", "--on-damage", "conceal", "--threads", "1")
	case 2:
		measure = append(measure, "--chunk", "2")
	}
	inspect := []string{"inspect", path}
	if random.IntN(2) == 0 {
		inspect = append(inspect, "--json")
	}
	return [][]string{inspect, measure}
}

// flipped is the file with bits flipped: a few, or a burst, often near the start, where headers are.
func (s *source) flipped(seed uint64) damaged {
	random := rand.New(rand.NewPCG(seed, uint64(len(s.content))))
	content := bytes.Clone(s.content)
	span := len(content)
	if random.IntN(2) == 0 {
		span = min(span, 1024)
	}
	count := 1 + random.IntN(12)
	for range count {
		content[random.IntN(span)] ^= 1 << random.IntN(8)
	}
	return damaged{s, fmt.Sprintf("%d bits of the first %d bytes flipped, seed %d", count, span, seed), content}
}

// cuts are places to cut a file off at: around the boundaries of its structure, and within.
func (s *source) cuts() []int {
	var marks []int
	switch filepath.Ext(s.name) {
	case ".mp4":
		marks = boxes(s.content, 0)
	case ".mkv", ".webm":
		marks = elements(s.content, 0, len(s.content))
	case ".ts":
		for at := 0; at < len(s.content); at += 188 {
			marks = append(marks, at)
		}
	case ".y4m":
		for at := 0; at < len(s.content); {
			marks = append(marks, at)
			next := bytes.Index(s.content[at:], []byte("FRAME\n"))
			if next < 0 {
				break
			}
			marks = append(marks, at+next)
			at += next + len("FRAME\n")
		}
	}
	slices.Sort(marks)
	marks = slices.Compact(marks)
	// Thinned out evenly, and each place is met just before, at, and a little after the boundary in turn.
	var cuts []int
	step := max(1, (len(marks)+cutsPerFile-1)/cutsPerFile)
	for i := 0; i < len(marks); i += step {
		at := marks[i] + []int{0, 5, -1}[len(cuts)%3]
		if at >= 0 && at < len(s.content) {
			cuts = append(cuts, at)
		}
	}
	return cuts
}

// boxes are where ISO base media boxes begin, those within boxes too.
func boxes(content []byte, base int) []int {
	var marks []int
	for at := 0; at+8 <= len(content); {
		size := int(binary.BigEndian.Uint32(content[at:]))
		if size < 8 || size > len(content)-at {
			size = len(content) - at
		}
		marks = append(marks, base+at)
		switch string(content[at+4 : at+8]) {
		case "moov", "trak", "edts", "mdia", "minf", "dinf", "stbl", "mvex", "moof", "traf", "udta":
			marks = append(marks, boxes(content[at+8:at+size], base+at+8)...)
		case "stsd": // version and count, then a sample entry with boxes behind its 78 bytes
			if size > 16+86 {
				marks = append(marks, boxes(content[at+16+86:at+size], base+at+16+86)...)
			}
		}
		at += size
	}
	return marks
}

// elements are where EBML elements begin, those within elements too.
func elements(content []byte, at, end int) []int {
	var marks []int
	for at < end {
		id, idBytes := ebmlNumber(content[at:end], false)
		size, sizeBytes := ebmlNumber(content[min(at+idBytes, end):end], true)
		if idBytes == 0 || sizeBytes == 0 {
			break
		}
		marks = append(marks, at)
		body := at + idBytes + sizeBytes
		next := end
		if size >= 0 && size < int64(end-body) {
			next = body + int(size)
		}
		switch id {
		case 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE, 0xE0, 0x1549A966, 0x114D9B74, 0x1C53BB6B, 0xA0, 0xBB, 0x4DBB, 0x1254C367:
			// header, segment, cluster, tracks, track, video, info, seek head, cues, block group, cue point, seek, tags
			marks = append(marks, elements(content, body, next)...)
		}
		at = next
	}
	return marks
}

// ebmlNumber reads an identifier, or, with the length marker taken away, a size; −1 is an unknown size.
func ebmlNumber(content []byte, size bool) (value int64, length int) {
	if len(content) == 0 || content[0] == 0 {
		return 0, 0
	}
	for length = 1; content[0]&(0x80>>(length-1)) == 0; length++ {
	}
	if length > len(content) {
		return 0, 0
	}
	value = int64(content[0])
	if size {
		value &= 0x7f >> (length - 1)
	}
	ones := size && value == 0x7f>>(length-1)
	for _, b := range content[1:length] {
		value = value<<8 | int64(b)
		ones = ones && b == 0xff
	}
	if ones {
		value = -1
	}
	return value, length
}

// brokenSources are good files of all kinds: small golden clips where there are any, clips that ffmpeg makes where it is
// installed, and one that needs neither.
func brokenSources(t *testing.T) []*source {
	t.Helper()
	dir := t.TempDir()
	var sources []*source
	add := func(path, ref string, frames int) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, &source{name: filepath.Base(path), content: content, frames: frames, ref: ref})
	}
	const frames = 16
	ref := clipSpec{width: 96, height: 80, frames: frames}.write(t, dir, "ref.y4m")
	add(clipSpec{width: 96, height: 80, frames: frames, noise: 9}.write(t, dir, "dis.y4m"), ref, frames)

	if ffmpeg, err := exec.LookPath("ffmpeg"); err != nil {
		t.Log("ffmpeg is not installed: no clips of its making")
	} else {
		for name, flags := range map[string]string{
			"plain.mp4":       "-c:v libx264 -bf 2 -g 6",
			"fast.mp4":        "-c:v libx264 -bf 2 -g 6 -movflags +faststart",
			"fragmented.mp4":  "-c:v libx264 -g 4 -movflags +frag_keyframe+empty_moov",
			"hevc.mp4":        "-c:v libx265 -x265-params log-level=none:keyint=6",
			"avc.mkv":         "-c:v libx264 -bf 3 -g 8",
			"vp9.webm":        "-c:v libvpx-vp9 -g 8 -auto-alt-ref 1 -lag-in-frames 8",
			"vp8.webm":        "-c:v libvpx -g 8",
			"avc.ts":          "-c:v libx264 -bf 2 -g 6",
			"mpeg2.ts":        "-c:v mpeg2video -bf 2 -g 6",
			"elementary.h264": "-c:v libx264 -bf 2 -g 6",
		} {
			path := filepath.Join(dir, name)
			args := append([]string{"-v", "error", "-i", ref}, strings.Fields(flags)...)
			if out, err := exec.Command(ffmpeg, append(args, path)...).CombinedOutput(); err != nil {
				t.Logf("ffmpeg does not make %s here: %v: %s", name, err, out)
				continue
			}
			add(path, ref, frames)
		}
	}
	t.Run("golden clips", func(t *testing.T) {
		folder := golden.Dir(t)
		clips := filepath.Join(folder, "clips")
		carphone := filepath.Join(clips, "carphone_176x144_30fps_420p8_ref_h264.mp4")
		add(filepath.Join(clips, "carphone_176x144_30fps_420p8_dis_h264_as-published.mp4"), carphone, 120)
		add(filepath.Join(clips, "cockatoo_853x479_odd_aom-av1_crf50.mkv"), filepath.Join(clips, "cockatoo_853x479_odd_vp9_crf45.webm"), 12)
	})
	slices.SortFunc(sources, func(a, b *source) int { return strings.Compare(a.name, b.name) })
	return sources
}
