package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vqsd/vqsd/vmaf"
	"golang.org/x/sys/unix"
)

// A writer of these tests has one measurement after the other go through its life, and says what has been acknowledged:
//
//	created N           the measurement is there
//	planned N           it is running and has chunkCount tasks
//	watched N           the ledger of watched folders has its two files
//	chunk N K           its chunk K is done: columns, end, task gone
//	ended N             it has succeeded and has a score
//	deleted N           it is not there
const chunkCount = 3

func crashKey(n int) ColumnsKey { return ColumnsKey{Identity{byte(n), byte(n >> 8), 9}, "vif"} }

func chunkKey(n, k int) TaskKey {
	return TaskKey{Class: ClassLatency, Deadline: epoch, Measurement: pendingMeasurement(n).ID, Number: k + 1}
}

// live takes measurement n through its life.
func live(ctx context.Context, s *Store, n int, say func(string)) error {
	m := pendingMeasurement(n)
	if _, err := s.Create(ctx, m, fmt.Sprint("request ", n), [32]byte{byte(n)}, []Task{firstTask(m)}); err != nil {
		return err
	}
	say(fmt.Sprintf("created %d", n))
	_, err := s.Update(ctx, m.ID, func(m *Measurement) (Changes, error) {
		m.State = StateRunning
		c := Changes{DeleteTasks: []TaskKey{firstTask(m).Key}}
		for k := range chunkCount {
			c.PutTasks = append(c.PutTasks, Task{Key: chunkKey(n, k), Kind: TaskChunk, Chunk: k})
		}
		return c, nil
	})
	if err != nil {
		return err
	}
	say(fmt.Sprintf("planned %d", n))
	if err := s.PutWatchEntries(ctx, watchExample(n)...); err != nil {
		return err
	}
	say(fmt.Sprintf("watched %d", n))
	for k := range chunkCount {
		columns := noisyColumns(200, 6)
		columns.First, columns.End = int64(k)*200, int64(k+1)*200
		err := s.Apply(ctx, Changes{
			PutColumns: []ColumnsPut{{crashKey(n), columns}}, DeleteTasks: []TaskKey{chunkKey(n, k)}, PutDone: []TaskDone{{Measurement: m.ID, Number: k + 1, Frames: 200}},
		})
		if err != nil {
			return err
		}
		say(fmt.Sprintf("chunk %d %d", n, k))
	}
	_, err = s.Update(ctx, m.ID, func(m *Measurement) (Changes, error) {
		m.State, m.Finished = StateSucceeded, m.Created.Add(time.Hour)
		m.Renditions[0].Scores = []Score{{Series: "vmaf", Model: "vmaf", Pooled: []Pooled{{vmaf.PoolMean, float64(n)}}}}
		return Changes{DeleteDone: true}, nil
	})
	if err != nil {
		return err
	}
	say(fmt.Sprintf("ended %d", n))
	if n%5 == 0 {
		if err := s.Delete(ctx, m.ID); err != nil {
			return err
		}
		say(fmt.Sprintf("deleted %d", n))
	}
	return nil
}

// checkAcknowledged opens a store and checks that it is whole and has all that was acknowledged.
func checkAcknowledged(t *testing.T, dir string, said []string) {
	t.Helper()
	ctx := context.Background()
	s, err := Open(ctx, testConfig(dir))
	if err != nil {
		t.Fatalf("open after %d acknowledgements: %v", len(said), err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	verified(t, s)
	deleted := map[int]bool{}
	for _, line := range said {
		if word, n, ok := strings.Cut(line, " "); ok && word == "deleted" {
			deleted[number(t, n)] = true
		}
	}
	for _, line := range said {
		parts := strings.Fields(line)
		n := number(t, parts[1])
		m, err := s.Measurement(ctx, pendingMeasurement(n).ID)
		gone := errors.Is(err, ErrNotFound) && n%5 == 0 // it may have been deleted without a word
		if err != nil && !gone {
			t.Fatalf("%q was acknowledged: %v", line, err)
		}
		switch parts[0] {
		case "planned":
			if !gone && m.State == StatePending {
				t.Fatalf("%q was acknowledged, and the measurement is %s", line, m.State)
			}
		case "watched":
			for _, want := range watchExample(n) {
				if e, err := s.WatchEntry(ctx, want.Folder, want.Path); err != nil || e.Measurement != want.Measurement {
					t.Fatalf("%q was acknowledged, and the ledger has %+v, %v", line, e, err)
				}
			}
		case "chunk":
			k := number(t, parts[2])
			columns, err := s.Columns(ctx, crashKey(n), int64(k)*200, int64(k+1)*200)
			if err != nil || len(columns) != 1 {
				t.Fatalf("%q was acknowledged, and there are %d runs: %v", line, len(columns), err)
			}
			if _, err := s.Task(ctx, chunkKey(n, k)); !errors.Is(err, ErrNotFound) {
				t.Fatalf("%q was acknowledged, and the task is outstanding: %v", line, err)
			}
		case "ended":
			if !gone && (m.State != StateSucceeded || m.Renditions[0].Scores[0].Pooled[0].Value != float64(n)) {
				t.Fatalf("%q was acknowledged, and the measurement is %+v", line, m)
			}
		case "deleted":
			if !gone {
				t.Fatalf("%q was acknowledged, and it is there", line)
			}
		}
		if parts[0] == "created" && !gone && !deleted[n] {
			again := pendingMeasurement(n + 1<<18)
			if existing, err := s.Create(ctx, again, fmt.Sprint("request ", n), [32]byte{byte(n)}, nil); err != nil || existing == nil || existing.ID != m.ID {
				t.Fatalf("%q was acknowledged, and its request ID is not known: %v, %v", line, existing, err)
			}
		}
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A copy of the directory, taken while it is written to, is what a power failure may leave: whatever was acknowledged before is in it.
func TestCrash_CopiesOfTheDirectory(t *testing.T) {
	copies := 100
	if testing.Short() {
		copies = 10
	}
	cfg := testConfig(t.TempDir())
	s := openTest(t, cfg)
	ctx, stop := context.WithCancel(context.Background())
	var mu sync.Mutex
	var said []string
	next := 0
	wrote := make(chan struct{}, 1)
	// Writers go on while a copy is made, but only so far: otherwise the store grows by what is written during a copy, the next copy takes the
	// longer, and there is no end.
	const perCopy = 12
	allowed := make(chan struct{}, perCopy)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for {
				select {
				case <-allowed:
				case <-ctx.Done():
					return
				}
				mu.Lock()
				next++
				n := next
				mu.Unlock()
				err := live(ctx, s, n, func(line string) {
					mu.Lock()
					said = append(said, line)
					mu.Unlock()
					select {
					case wrote <- struct{}{}:
					default:
					}
				})
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
					return
				}
			}
		})
	}
	for range copies {
		mu.Lock()
		enough := len(said) + 1 + rand.IntN(4)
		mu.Unlock()
		for range perCopy {
			allowed <- struct{}{}
		}
		var before []string
		for len(before) < enough {
			<-wrote
			mu.Lock()
			before = slices.Clone(said)
			mu.Unlock()
		}
		to := filepath.Join(t.TempDir(), "copy")
		copyStore(t, cfg.Dir, to)
		checkAcknowledged(t, to, before[max(0, len(before)-200):])
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	writers.Wait()
	t.Logf("%d acknowledgements", len(said))
}

// copyStore copies a store that is written to. A file system's snapshot has all files of one moment; a copy made one by one has not, so it is
// begun again if tables came or went meanwhile, which Badger's MANIFEST tells. Tables in memory come before the value log, whose values they point
// to.
func copyStore(t *testing.T, from, to string) {
	t.Helper()
	for {
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(to, 0o700); err != nil {
			t.Fatal(err)
		}
		manifest, err := os.ReadFile(filepath.Join(from, "MANIFEST"))
		if err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(from)
		if err != nil {
			t.Fatal(err)
		}
		rank := map[string]int{".mem": 0, ".sst": 1, ".vlog": 2}
		slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { return rank[filepath.Ext(a.Name())] - rank[filepath.Ext(b.Name())] })
		for _, e := range entries {
			if e.Name() == "LOCK" {
				continue
			}
			if err = copySparse(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
				break
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		now, readErr := os.ReadFile(filepath.Join(from, "MANIFEST"))
		after, dirErr := os.ReadDir(from)
		if readErr != nil || dirErr != nil {
			t.Fatal(readErr, dirErr)
		}
		if err == nil && bytes.Equal(manifest, now) && len(after) == len(entries) {
			return
		}
	}
}

// copySparse copies a file but for its holes: Badger's files are much longer than they are filled.
func copySparse(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := out.Truncate(info.Size()); err != nil {
		return err
	}
	for at := int64(0); at < info.Size(); {
		data, err := in.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		hole, err := in.Seek(data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		buffer := make([]byte, hole-data)
		if _, err := in.ReadAt(buffer, data); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := out.WriteAt(buffer, data); err != nil {
			return err
		}
		at = hole
	}
	return nil
}

// childVariable names the store that a child process of the tests writes to, and the number that it starts at.
const childVariable = "VQSD_STORE_TEST_CHILD"

// child is the process that TestCrash_Kill kills.
func child() {
	dir, from, _ := strings.Cut(os.Getenv(childVariable), "|")
	start, err := strconv.Atoi(from)
	if err != nil {
		panic(err)
	}
	s, err := Open(context.Background(), testConfig(dir))
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("open")
	var mu sync.Mutex
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for n := start + w; ; n += 3 {
				err := live(context.Background(), s, n, func(line string) {
					mu.Lock()
					defer mu.Unlock()
					fmt.Println(line)
				})
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
			}
		})
	}
	writers.Wait()
}

// A process that is killed at any moment leaves a store that has all that was acknowledged.
func TestCrash_Kill(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	dir := filepath.Join(t.TempDir(), "data")
	var said []string
	next := 1
	for range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d", childVariable, dir, next))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It is killed after some line, or while it opens, and some time behind that.
		lines, pause := rand.IntN(60), time.Duration(rand.IntN(20_000))*time.Microsecond
		scanner := bufio.NewScanner(out)
		timer := (*time.Timer)(nil)
		kill := func() {
			timer = time.AfterFunc(pause, func() {
				if err := cmd.Process.Kill(); err != nil {
					t.Error(err)
				}
			})
		}
		for i := 0; ; i++ {
			if i == lines {
				kill()
			}
			if !scanner.Scan() {
				break
			}
			line := scanner.Text()
			if strings.HasPrefix(line, "error") {
				t.Fatalf("the child says: %s", line)
			}
			if line != "open" {
				said = append(said, line)
			}
		}
		if timer == nil {
			t.Fatal("the child ended by itself")
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child was not killed")
		}
		for _, line := range said {
			next = max(next, number(t, strings.Fields(line)[1])+10)
		}
		next += 10
		checkAcknowledged(t, dir, said)
	}
	t.Logf("%d acknowledgements in %d lives", len(said), rounds)
}
