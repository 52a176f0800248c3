package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vqsd/vqsd/vmaf"
)

// epoch is when tests begin.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// testConfig is a small store without a reserve.
func testConfig(dir string) Config {
	return Config{Dir: dir, MemoryBytes: 16 << 20, MinFreeBytes: -1, Logger: slog.New(slog.DiscardHandler), upkeepEvery: time.Hour}
}

// openTest opens a store that is closed when the test ends.
func openTest(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// testID is a name of a moment, told apart by a number.
func testID(at time.Time, n int) MeasurementID {
	id := []byte(firstID(at.UnixMilli()))
	for i := idLength - 1; n > 0; i-- {
		id[i] = crockford[n&31]
		n >>= 5
	}
	return MeasurementID(id)
}

// pendingMeasurement is one as it is created.
func pendingMeasurement(n int) *Measurement {
	at := epoch.Add(time.Duration(n) * time.Second)
	m := &Measurement{
		ID: testID(at, n), Owner: "owner", State: StatePending, Created: at,
		Request: Request{
			Reference: Source{Root: "media", Path: fmt.Sprintf("ref/%d.mp4", n), URI: fmt.Sprintf("media:ref/%d.mp4", n)},
			Labels:    map[string]string{"title": fmt.Sprintf("t%d", n)},
		},
	}
	for i := range 2 {
		name := fmt.Sprintf("r%d", i)
		m.Request.Renditions = append(m.Request.Renditions, RenditionRequest{Name: name, Source: Source{Root: "media", Path: fmt.Sprintf("dis/%d-%d.mp4", n, i)}})
		m.Renditions = append(m.Renditions, Rendition{Name: name, State: StatePending})
	}
	return m
}

func firstTask(m *Measurement) Task {
	return Task{Key: TaskKey{Class: ClassThroughput, Deadline: m.Request.Deadline, Measurement: m.ID}, Kind: TaskInspect}
}

// equate compares records: no list and an empty one are the same after a round trip.
var equate = cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateNaNs()}

func create(t testing.TB, s *Store, m *Measurement) {
	t.Helper()
	if _, err := s.Create(context.Background(), m, "", [32]byte{}, []Task{firstTask(m)}); err != nil {
		t.Fatal(err)
	}
}

// verified fails the test if the store is damaged.
func verified(t testing.TB, s *Store) {
	t.Helper()
	report, err := s.Verify(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !report.OK() {
		t.Fatalf("the store is damaged:\n%s", strings.Join(report.Problems, "\n"))
	}
}

func TestStore_LifeOfAMeasurement(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "data")
	s := openTest(t, testConfig(dir))
	m := pendingMeasurement(1)
	create(t, s, m)

	got, err := s.Measurement(ctx, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got, equate); diff != "" || got.Revision != 1 {
		t.Fatalf("created and read, revision %d (-want +got):\n%s", got.Revision, diff)
	}
	tasks := []Task{}
	for i := range 3 {
		tasks = append(tasks, Task{Key: TaskKey{ClassLatency, epoch.Add(time.Hour), m.ID, i + 1}, Kind: TaskChunk, Chunk: i, Extractions: []string{"vif"}})
	}
	key := ColumnsKey{Identity{1}, "vif"}
	columns := Columns{First: 0, End: 4, Step: 2, Figures: [][]float64{{1, math.Copysign(0, -1)}}}
	got, err = s.Update(ctx, m.ID, func(m *Measurement) (Changes, error) {
		m.State = StateRunning
		return Changes{DeleteTasks: []TaskKey{firstTask(m).Key}, PutTasks: tasks, PutColumns: []ColumnsPut{{key, columns}}}, nil
	})
	if err != nil || got.State != StateRunning || got.Revision != 2 {
		t.Fatalf("Update: %v, %+v", err, got)
	}
	outstanding, err := s.MeasurementTasks(ctx, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tasks, outstanding, equate); diff != "" {
		t.Fatalf("tasks (-want +got):\n%s", diff)
	}
	depths, err := s.QueueDepths(ctx)
	if err != nil || depths[ClassLatency].Tasks != 3 || depths[ClassThroughput].Tasks != 0 || depths[ClassLatency].OldestAge <= 0 {
		t.Fatalf("QueueDepths: %+v, %v", depths, err)
	}
	verified(t, s)

	for i := range tasks {
		done := TaskDone{Measurement: m.ID, Number: i + 1, Worker: "w", Frames: 10, Renditions: map[int]RenditionDone{0: {EndedAt: -1}}}
		if err := s.Apply(ctx, Changes{DeleteTasks: []TaskKey{tasks[i].Key}, PutDone: []TaskDone{done}}); err != nil {
			t.Fatal(err)
		}
	}
	ended, err := s.Done(ctx, m.ID)
	if err != nil || len(ended) != 3 || ended[2].Number != 3 || ended[0].Measurement != m.ID || ended[1].Renditions[0].EndedAt != -1 {
		t.Fatalf("Done: %+v, %v", ended, err)
	}
	ids, err := s.MeasurementsInState(ctx, StateRunning)
	if err != nil || !slices.Equal(ids, []MeasurementID{m.ID}) {
		t.Fatalf("MeasurementsInState: %v, %v", ids, err)
	}
	_, err = s.Update(ctx, m.ID, func(m *Measurement) (Changes, error) {
		m.State, m.Finished = StateSucceeded, epoch.Add(time.Minute)
		m.Renditions[0].Scores = []Score{{Series: "vmaf", Model: "vmaf", Pooled: []Pooled{{vmaf.PoolMean, 93.5}, {vmaf.PoolMin, math.NaN()}}}}
		return Changes{DeleteDone: true}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if ended, err := s.Done(ctx, m.ID); err != nil || len(ended) != 0 {
		t.Fatalf("after DeleteDone: %v, %v", ended, err)
	}
	verified(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openTest(t, testConfig(dir))
	if got, err = s.Measurement(ctx, m.ID); err != nil || got.State != StateSucceeded || got.Revision != 3 {
		t.Fatalf("opened again: %v, %+v", err, got)
	}
	stored, err := s.Columns(ctx, key, 0, 100)
	if err != nil || len(stored) != 1 || math.Float64bits(stored[0].Figures[0][1]) != 1<<63 {
		t.Fatalf("Columns: %v, %v", stored, err)
	}
	if err := s.Delete(ctx, m.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Measurement(ctx, m.ID); !errors.Is(err, ErrNotFound) {
		t.Fatalf("deleted: %v", err)
	}
	if err := s.Delete(ctx, m.ID); !errors.Is(err, ErrNotFound) {
		t.Fatalf("deleted twice: %v", err)
	}
	if page, err := s.Query(ctx, Query{}); err != nil || len(page.Measurements) != 0 {
		t.Fatalf("Query after Delete: %+v, %v", page, err)
	}
	verified(t, s)
}

func TestCreate_RequestIDs(t *testing.T) {
	ctx := context.Background()
	now := epoch
	cfg := testConfig(t.TempDir())
	cfg.Now, cfg.RequestIDLife = func() time.Time { return now }, time.Hour
	s := openTest(t, cfg)
	// Badger's own expiry goes by the wall clock, which is later than the test's; what is tested is the record's.
	now = time.Now()
	first := pendingMeasurement(1)
	if existing, err := s.Create(ctx, first, "a", [32]byte{1}, nil); err != nil || existing != nil {
		t.Fatalf("first: %v, %v", existing, err)
	}
	for _, c := range []struct {
		name     string
		m        *Measurement
		owner    string
		id       string
		digest   byte
		later    time.Duration
		existing bool
		err      error
	}{
		{name: "the same again", m: pendingMeasurement(2), id: "a", digest: 1, existing: true},
		{name: "another body", m: pendingMeasurement(3), id: "a", digest: 2, err: ErrExists},
		{name: "another owner's", m: pendingMeasurement(4), owner: "else", id: "a", digest: 2},
		{name: "another request ID", m: pendingMeasurement(5), id: "b", digest: 1},
		{name: "no request ID", m: pendingMeasurement(6), digest: 1},
		{name: "a name that is taken", m: pendingMeasurement(1), digest: 1, err: ErrExists},
		{name: "when its life is over", m: pendingMeasurement(7), id: "a", digest: 2, later: time.Hour},
	} {
		now = now.Add(c.later)
		if c.owner != "" {
			c.m.Owner = c.owner
		}
		existing, err := s.Create(ctx, c.m, c.id, [32]byte{c.digest}, nil)
		if !errors.Is(err, c.err) || (existing != nil) != c.existing || c.existing && existing.ID != first.ID {
			t.Errorf("%s: %v, %v", c.name, existing, err)
		}
		_, err = s.Measurement(ctx, c.m.ID)
		if written := err == nil; written == (c.existing || c.err != nil && c.m.ID != first.ID) {
			t.Errorf("%s: written %t", c.name, written)
		}
	}
	if err := s.Delete(ctx, pendingMeasurement(7).ID); err != nil {
		t.Fatal(err)
	}
	if existing, err := s.Create(ctx, pendingMeasurement(8), "a", [32]byte{3}, nil); err != nil || existing != nil {
		t.Errorf("when its measurement was deleted: %v, %v", existing, err)
	}
	verified(t, s)
}

func TestCreate_NamesAreULIDsOfTheTimeOfCreation(t *testing.T) {
	s := openTest(t, testConfig(t.TempDir()))
	for name, change := range map[string]func(m *Measurement){
		"too short":        func(m *Measurement) { m.ID = m.ID[1:] },
		"upper case":       func(m *Measurement) { m.ID = MeasurementID(strings.ToUpper(string(m.ID))) },
		"another moment's": func(m *Measurement) { m.Created = m.Created.Add(time.Millisecond) },
		"above 2¹²⁸":       func(m *Measurement) { m.ID = "8" + m.ID[1:] },
	} {
		m := pendingMeasurement(1)
		change(m)
		if _, err := s.Create(context.Background(), m, "", [32]byte{}, nil); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestUpdate_Errors(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, testConfig(t.TempDir()))
	m := pendingMeasurement(1)
	create(t, s, m)
	if _, err := s.Update(ctx, pendingMeasurement(2).ID, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("of none: %v", err)
	}
	if _, err := s.Update(ctx, "nonsense", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nonsense: %v", err)
	}
	mine := errors.New("mine")
	if _, err := s.Update(ctx, m.ID, func(m *Measurement) (Changes, error) { m.State = StateFailed; return Changes{}, mine }); !errors.Is(err, mine) {
		t.Errorf("the function's error: %v", err)
	}
	got, err := s.Update(ctx, m.ID, func(m *Measurement) (Changes, error) { m.State = StateFailed; return Changes{}, ErrUnchanged })
	if err != nil || got.State != StatePending || got.Revision != 1 {
		t.Errorf("ErrUnchanged: %v, %+v", err, got)
	}
	if _, err := s.Update(ctx, m.ID, func(m *Measurement) (Changes, error) { m.Created = epoch; return Changes{}, nil }); err == nil {
		t.Error("the time of creation was changed")
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Update(cancelled, m.ID, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if got, err := s.Measurement(ctx, m.ID); err != nil || got.State != StatePending || got.Revision != 1 {
		t.Errorf("afterwards: %v, %+v", err, got)
	}
}

func TestUpdate_ConcurrentCallsAllCount(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, testConfig(t.TempDir()))
	m := pendingMeasurement(1)
	create(t, s, m)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 10 {
				_, err := s.Update(ctx, m.ID, func(m *Measurement) (Changes, error) { m.MeasuredFrames++; return Changes{}, nil })
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := s.Measurement(ctx, m.ID)
	if err != nil || got.MeasuredFrames != 200 || got.Revision != 201 {
		t.Fatalf("%v: %d updates, revision %d", err, got.MeasuredFrames, got.Revision)
	}
}

// A plan of many chunks takes more entries than fit into a transaction of Badger's.
func TestUpdate_LargerThanATransaction(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := openTest(t, testConfig(dir))
	m := pendingMeasurement(1)
	create(t, s, m)
	const n = 10_000
	changes := Changes{DeleteTasks: []TaskKey{firstTask(m).Key}}
	for i := range n {
		changes.PutTasks = append(changes.PutTasks, Task{Key: TaskKey{ClassThroughput, time.Time{}, m.ID, i + 1}, Kind: TaskChunk, Chunk: i})
	}
	if s.transactionRoom().count > n {
		t.Fatal("this fits into a transaction and tests nothing")
	}
	if _, err := s.Update(ctx, m.ID, func(m *Measurement) (Changes, error) { m.State = StateRunning; return changes, nil }); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		tasks, err := s.MeasurementTasks(ctx, m.ID)
		if err != nil || len(tasks) != n {
			t.Fatalf("%d tasks: %v", len(tasks), err)
		}
		verified(t, s)
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, testConfig(dir))
	check()
	if err := s.Delete(ctx, m.ID); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Measurements != 0 || st.Tasks[ClassThroughput] != 0 {
		t.Errorf("after Delete: %+v", st)
	}
	verified(t, s)
}

// Many columns at once are more than Badger's value log takes in a transaction.
func TestApply_LargerThanAValueLogFile(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 60 MB")
	}
	ctx := context.Background()
	s := openTest(t, testConfig(t.TempDir()))
	c := noisyColumns(80_000, 1)
	changes := Changes{PutDone: []TaskDone{{Measurement: pendingMeasurement(1).ID, Number: 1}}}
	m := pendingMeasurement(1)
	create(t, s, m)
	var raw int
	for i := range 220 {
		changes.PutColumns = append(changes.PutColumns, ColumnsPut{ColumnsKey{Identity{byte(i)}, "vif"}, c})
		raw += len(encodeColumns(c, epoch))
	}
	if raw < transactionValues {
		t.Fatalf("%d bytes test nothing", raw)
	}
	if err := s.Apply(ctx, changes); err != nil {
		t.Fatal(err)
	}
	for i := range 220 {
		got, err := s.Columns(ctx, ColumnsKey{Identity{byte(i)}, "vif"}, 0, 80_000)
		if err != nil || len(got) != 1 || !sameBits(got[0], c) {
			t.Fatalf("columns %d: %d runs, %v", i, len(got), err)
		}
	}
	if done, err := s.Done(ctx, m.ID); err != nil || len(done) != 1 {
		t.Errorf("Done: %v, %v", done, err)
	}
	verified(t, s)
}

func TestTasks_DispatchOrder(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, testConfig(t.TempDir()))
	older, newer := pendingMeasurement(1), pendingMeasurement(2)
	soon, late := epoch.Add(time.Minute), epoch.Add(time.Hour)
	want := []TaskKey{ // of the class, in order
		{ClassThroughput, soon, newer.ID, 1},
		{ClassThroughput, late, older.ID, 1},
		{ClassThroughput, late, older.ID, 2},
		{ClassThroughput, late, newer.ID, 1 << 20},
		{ClassThroughput, time.Time{}, older.ID, 7},
		{ClassThroughput, time.Time{}, newer.ID, 0},
	}
	all := append([]TaskKey{{ClassLatency, late, newer.ID, 30}, {ClassBackground, soon, newer.ID, 31}}, want...)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, key := range all {
		if err := s.PutTask(ctx, Task{Key: key, Kind: TaskChunk}); err != nil {
			t.Fatal(err)
		}
	}
	var got []TaskKey
	var behind *TaskKey
	for {
		list, err := s.Tasks(ctx, ClassThroughput, behind, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, task := range list {
			got = append(got, task.Key)
		}
		behind = &list[len(list)-1].Key
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	moved := TaskKey{ClassLatency, time.Time{}, older.ID, 7}
	if err := s.Apply(ctx, Changes{PutTasks: []Task{{Key: moved}}, DeleteTasks: []TaskKey{{ClassThroughput, time.Time{}, older.ID, 7}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Task(ctx, TaskKey{ClassThroughput, time.Time{}, older.ID, 7}); !errors.Is(err, ErrNotFound) {
		t.Errorf("at its old place: %v", err)
	}
	if task, err := s.Task(ctx, moved); err != nil || task.Key != moved {
		t.Errorf("at its new place: %v, %v", task, err)
	}
	if st := s.Stats(); st.Tasks[ClassThroughput] != 5 || st.Tasks[ClassLatency] != 2 {
		t.Errorf("counted: %v", st.Tasks)
	}
	if _, err := s.Tasks(ctx, "rush", nil, 1); err == nil {
		t.Error("an unknown class was taken")
	}
}

func TestOpen_OneProcessAtATime(t *testing.T) {
	cfg := testConfig(t.TempDir())
	openTest(t, cfg)
	_, err := Open(context.Background(), cfg)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("opened twice: %v", err)
	}
}

func TestOpen_EverythingIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	openTest(t, testConfig(dir))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{dir}
	for _, e := range entries {
		names = append(names, filepath.Join(dir, e.Name()))
	}
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestConfig_ReportsEveryProblem(t *testing.T) {
	_, err := Open(context.Background(), Config{MemoryBytes: 1, MinFreeBytes: 1, RequestIDLife: time.Second})
	for _, part := range []string{"directory", "store.memory", "store.request_id_life"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
}

func TestClose_IsTheEndOfEverything(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, testConfig(t.TempDir()))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m := pendingMeasurement(1)
	if _, err := s.Create(ctx, m, "", [32]byte{}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Create: %v", err)
	}
	if _, err := s.Measurement(ctx, m.ID); !errors.Is(err, ErrClosed) {
		t.Errorf("Measurement: %v", err)
	}
	if _, err := s.Query(ctx, Query{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Query: %v", err)
	}
}
