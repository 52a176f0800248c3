package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vqsd/vqsd/vmaf"
)

// everything is a measurement with something in every field.
func everything(t testing.TB) *Measurement {
	t.Helper()
	m := synthetic(3)
	counter := 0
	set(reflect.ValueOf(m).Elem(), &counter)
	m.ID, m.Created = testID(epoch, 3), epoch
	return m
}

// set gives every field a value of its own.
func set(v reflect.Value, counter *int) {
	*counter++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(epoch.Add(time.Duration(*counter))))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Repeat("s", *counter%3) + string(rune('a'+*counter%26)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*counter))
	case reflect.Uint64, reflect.Uint8:
		v.SetUint(uint64(*counter) & 0xff)
	case reflect.Float64:
		v.SetFloat(float64(*counter) / 3)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		set(v.Elem(), counter)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			set(v.Index(i), counter)
		}
	case reflect.Array:
		for i := range v.Len() {
			set(v.Index(i), counter)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		set(key, counter)
		set(value, counter)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			set(v.Field(i), counter)
		}
	}
}

func TestRecord_RoundTrip(t *testing.T) {
	m := everything(t)
	m.Renditions[0].Scores[0].Pooled = []Pooled{{vmaf.PoolMean, math.Inf(-1)}, {vmaf.PoolMax, math.Copysign(0, -1)}, {vmaf.PoolMin, math.NaN()}}
	value, err := encodeRecord(m)
	if err != nil {
		t.Fatal(err)
	}
	var got Measurement
	if err := decodeRecord(value, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, &got, equate); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !math.Signbit(got.Renditions[0].Scores[0].Pooled[1].Value) {
		t.Error("−0 became +0")
	}
	var zero, back Measurement
	if value, err = encodeRecord(&zero); err != nil {
		t.Fatal(err)
	}
	if err := decodeRecord(value, &back); err != nil || !back.Created.IsZero() || back.Plan != nil {
		t.Errorf("zero: %+v, %v", back, err)
	}
}

func TestRecord_Refuses(t *testing.T) {
	future := struct {
		ID     string `cbor:"id"`
		Future int    `cbor:"future"`
	}{"x", 1}
	newer, err := encodeRecord(&future)
	if err != nil {
		t.Fatal(err)
	}
	good, err := encodeRecord(synthetic(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		value []byte
		err   error
	}{
		{"nothing", nil, ErrCorrupt},
		{"a version alone", []byte{1}, ErrCorrupt},
		{"version 0", []byte{0, 0, 0xa0}, ErrCorrupt},
		{"a newer version", []byte{2, 0, 0xa0}, ErrNewerFormat},
		{"a field of a newer version", newer, ErrNewerFormat},
		{"an unknown packing", []byte{1, 7, 0xa0}, ErrCorrupt},
		{"not CBOR", []byte{1, 0, 0xff}, ErrCorrupt},
		{"another type", []byte{1, 0, 0x01}, ErrCorrupt},
		{"something behind it", []byte{1, 0, 0xa0, 0}, ErrCorrupt},
		{"cut off", good[:len(good)-5], ErrCorrupt},
		{"not zstd", []byte{1, 1, 2, 3, 4}, ErrCorrupt},
	} {
		var m Measurement
		if err := decodeRecord(c.value, &m); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := decodeRecord([]byte{2}, &Measurement{}); !strings.Contains(err.Error(), "format version 2") {
		t.Errorf("the newer version is not named: %v", err)
	}
}

func TestFacts_RoundTrip(t *testing.T) {
	var got facts // used again and again
	for n := range 50 {
		m := synthetic(n)
		want := factsOf(m)
		if err := got.decode(m.ID, want.encode()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(*want, got, cmp.AllowUnexported(facts{}, labelFact{}, videoFact{}, modelFact{}, renditionFact{}, scoreFact{}, poolFact{}), equate); diff != "" {
			t.Fatalf("measurement %d (-want +got):\n%s", n, diff)
		}
	}
}

// oddColumns have all that is special among floats.
func oddColumns() Columns {
	return Columns{First: 10, End: 20, Step: 2, Figures: [][]float64{
		{0, math.Copysign(0, -1), math.NaN(), math.Float64frombits(0x7ff0000000000001), math.Inf(1)},
		{math.Float64frombits(0xfff8dead0000beef), math.MaxFloat64, math.SmallestNonzeroFloat64, 1, math.Inf(-1)},
	}}
}

func sameBits(a, b Columns) bool {
	if a.First != b.First || a.End != b.End || a.Step != b.Step || len(a.Figures) != len(b.Figures) {
		return false
	}
	for i := range a.Figures {
		if len(a.Figures[i]) != len(b.Figures[i]) {
			return false
		}
		for j := range a.Figures[i] {
			if math.Float64bits(a.Figures[i][j]) != math.Float64bits(b.Figures[i][j]) {
				return false
			}
		}
	}
	return true
}

func TestColumns_KeepBits(t *testing.T) {
	for name, c := range map[string]Columns{"odd": oddColumns(), "noisy": noisyColumns(1000, 3), "one": {First: 5, End: 6, Step: 9, Figures: [][]float64{{1}}}} {
		got, written, err := decodeColumns(Run{c.First, c.End, c.Step}, encodeColumns(c, epoch))
		if err != nil || !sameBits(c, got) || !written.Equal(epoch) {
			t.Errorf("%s: %v, written %v", name, err, written)
		}
	}
}

func TestPutColumns_RunsAndOverlaps(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, testConfig(t.TempDir()))
	key := ColumnsKey{Identity{1}, "vif"}
	long := noisyColumns(250_000, 2)
	if err := s.PutColumns(ctx, key, long); err != nil {
		t.Fatal(err)
	}
	runs, err := s.Runs(ctx, key, 0, 1<<40)
	if err != nil || len(runs) < 5 || runs[0].First != 0 || runs[len(runs)-1].End != 250_000 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	parts, err := s.Columns(ctx, key, 0, 1<<40)
	if err != nil || len(parts) != len(runs) {
		t.Fatal(len(parts), err)
	}
	joined := Columns{End: 250_000, Step: 1, Figures: make([][]float64, 2)}
	for i, p := range parts {
		if i > 0 && p.First != parts[i-1].End {
			t.Fatalf("part %d begins at %d, the one before ends at %d", i, p.First, parts[i-1].End)
		}
		for k := range p.Figures {
			joined.Figures[k] = append(joined.Figures[k], p.Figures[k]...)
		}
	}
	if !sameBits(joined, long) {
		t.Error("the parts are not the whole")
	}
	// A run that is there stays, even if other figures are claimed for it.
	other := Columns{First: 10, End: 20, Step: 2, Figures: [][]float64{{1, 2, 3, 4, 5}}}
	odd := oddColumns()
	key2 := ColumnsKey{Identity{1}, "vi"} // the beginning of the other's name
	for _, c := range []Columns{odd, other} {
		if err := s.PutColumns(ctx, key2, c); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Columns(ctx, key2, 19, 21)
	if err != nil || len(got) != 1 || !sameBits(got[0], odd) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, r := range map[string]Run{"before": {0, 10, 1}, "behind": {20, 30, 1}} {
		if got, err := s.Columns(ctx, key2, r.First, r.End); err != nil || len(got) > 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, c := range map[string]Columns{
		"no figures":       {First: 0, End: 1, Step: 1},
		"no frames":        {First: 1, End: 1, Step: 1, Figures: [][]float64{{}}},
		"no step":          {First: 0, End: 1, Figures: [][]float64{{1}}},
		"a value too many": {First: 0, End: 1, Step: 1, Figures: [][]float64{{1, 2}}},
		"a value too few":  {First: 0, End: 3, Step: 1, Figures: [][]float64{{1, 2, 3}, {1, 2}}},
		"before the start": {First: -1, End: 1, Step: 1, Figures: [][]float64{{1, 2}}},
	} {
		if err := s.PutColumns(ctx, key, c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	verified(t, s)
}

func TestBlobs(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, testConfig(t.TempDir()))
	for name, body := range map[string][]byte{"empty": {}, "short": []byte("{}"), "repetitive": bytes.Repeat([]byte("x"), 10<<20), "noise": randomBytes(5 << 20)} {
		digest, err := s.PutDocument(ctx, body)
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.PutDocument(ctx, body)
		if err != nil || again != digest {
			t.Errorf("%s, again: %s, %v", name, again, err)
		}
		if got, err := s.Document(ctx, digest); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := s.PutDocument(ctx, make([]byte, maxDocumentBytes+1)); err == nil {
		t.Error("a document that is too large was taken")
	}
	for _, digest := range []string{"", "zz", strings.Repeat("0", 64)} {
		if _, err := s.Document(ctx, digest); !errors.Is(err, ErrNotFound) {
			t.Errorf("document %q: %v", digest, err)
		}
	}
	key := NoteKey(sha256.Sum256([]byte("x")))
	for _, body := range [][]byte{randomBytes(3 << 20), []byte("short"), {}} {
		if err := s.PutNote(ctx, key, body); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Note(ctx, key); err != nil || !bytes.Equal(got, body) {
			t.Errorf("a note of %d bytes: %d, %v", len(body), len(got), err)
		}
	}
	if _, err := s.Note(ctx, NoteKey{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("no note: %v", err)
	}
	f := File{Source: Source{Root: "r", Path: "p", URI: "r:p", Raw: "1x1:gray"}, Host: "h", Stamp: Stamp{SizeBytes: 1, Inode: 1 << 63}, Fingerprint: "sha256:1"}
	if err := s.PutFile(ctx, f); err != nil {
		t.Fatal(err)
	}
	if got, err := s.File(ctx, Source{Root: "r", Path: "p", Raw: "1x1:gray"}, "h"); err != nil || *got != f {
		t.Errorf("File: %+v, %v", got, err)
	}
	for name, source := range map[string]Source{"another host": f.Source, "other raw pictures": {Root: "r", Path: "p"}} {
		host := "h"
		if name == "another host" {
			host = "g"
		}
		if _, err := s.File(ctx, source, host); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	verified(t, s)
}

func TestRemoveUnused(t *testing.T) {
	ctx := context.Background()
	now := epoch
	cfg := testConfig(t.TempDir())
	cfg.Now = func() time.Time { return now }
	s := openTest(t, cfg)
	used, unused, wanted := ColumnsKey{Identity{1}, "vif"}, ColumnsKey{Identity{2}, "vif"}, ColumnsKey{Identity{3}, "vif"}
	m := pendingMeasurement(1)
	m.Renditions[1].Identity = used.Identity
	create(t, s, m)
	for _, key := range []ColumnsKey{used, unused, wanted} {
		if err := s.PutColumns(ctx, key, oddColumns()); err != nil {
			t.Fatal(err)
		}
	}
	for _, put := range []error{s.PutNote(ctx, NoteKey{1}, randomBytes(2<<20)), s.PutFile(ctx, File{Host: "h"})} {
		if put != nil {
			t.Fatal(put)
		}
	}
	remove := func(want int) {
		t.Helper()
		if n, err := s.RemoveUnused(ctx, time.Hour); err != nil || n != want {
			t.Errorf("%d removed instead of %d, %v", n, want, err)
		}
	}
	remove(0) // all of it is new
	now = now.Add(2 * time.Hour)
	if _, err := s.Runs(ctx, wanted, 0, 100); err != nil {
		t.Fatal(err)
	}
	remove(1 + 3 + 1) // one run, a note of three parts, a file
	for key, want := range map[ColumnsKey]int{used: 1, wanted: 1, unused: 0} {
		if runs, err := s.Runs(ctx, key, 0, 100); err != nil || len(runs) != want {
			t.Errorf("%v: %v, %v", key.Identity[0], runs, err)
		}
	}
	if err := s.Delete(ctx, m.ID); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	remove(2)
	verified(t, s)
}

// goldenMeasurement is that of the golden file. Fields that come later are zero in it.
func goldenMeasurement() *Measurement {
	m := pendingMeasurement(3)
	m.State, m.Revision, m.Started, m.Finished = StatePartial, 5, m.Created.Add(time.Second), m.Created.Add(time.Minute)
	m.Request.Deadline = epoch.Add(time.Hour)
	m.Reference = &Video{Codec: "h264", Width: 1920, Height: 1080, FrameRateNum: 30000, FrameRateDen: 1001}
	m.Plan = &Plan{Class: ClassLatency, Models: []Model{{Name: "vmaf", Version: "vmaf_v0.6.1", Digest: "acf7", Series: []string{"vmaf"}}}, Chunks: []Chunk{{0, 300}}}
	m.Renditions[0].State, m.Renditions[0].Identity = StateSucceeded, Identity{1, 2, 3}
	m.Renditions[0].Video = &Video{Codec: "hevc", Width: 1280, Height: 720, BitRate: 3e6}
	m.Renditions[0].Scores = []Score{
		{Series: "vmaf", Model: "vmaf", Pooled: []Pooled{{vmaf.PoolMean, 93.25}, {"p5", math.Copysign(0, -1)}}},
		{Series: "VMAF_integer_feature_adm2_score", Pooled: []Pooled{{vmaf.PoolMin, 0.5}}},
	}
	m.Renditions[1].State, m.Renditions[1].Failure = StateFailed, &Failure{ReasonDamaged, "cut off"}
	return m
}

// The golden files are values as version 1 wrote them. They are never changed, since stores have such values: -update only adds those that are not
// there.
func TestValues_GoldenVersion1(t *testing.T) {
	m := goldenMeasurement()
	task := &Task{Kind: TaskChunk, Chunk: 3, Renditions: []int{0, 2}, Extractions: []string{"vif", "adm"}, Attempts: 2, LastWords: "killed"}
	watched := &watchExample(1)[0]
	watched.Folder, watched.Path = "", "" // these are its key
	done := &TaskDone{Worker: "1.0", Backend: "cpu", Busy: time.Second, Frames: 7, Reference: Damage{1, 2, 3, 4}, Renditions: map[int]RenditionDone{1: {EndedAt: -1}}}
	file := &fileRecord{File{Source: Source{Root: "r", Path: "p"}, Host: "h", Fingerprint: "sha256:00"}, epoch}
	request := &requestRecord{m.ID, [32]byte{1}, epoch}
	place := &taskPlace{ClassLatency, epoch}
	blob := encodeBlob([]byte("a document"), epoch)
	ops := []op{{Key: []byte("m/x"), Value: []byte{1}}, {Key: []byte("i/y"), Delete: true, Expires: 9}}
	journal, err := cborEncoder.Marshal(ops)
	if err != nil {
		t.Fatal(err)
	}
	record := func(v any) []byte {
		value, err := encodeRecord(v)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	read := func(want, into any) func(value []byte) error {
		return func(value []byte) error {
			if err := decodeRecord(value, into); err != nil {
				return err
			}
			if diff := cmp.Diff(want, into, equate); diff != "" {
				return errors.New(diff)
			}
			return nil
		}
	}
	for _, c := range []struct {
		name  string
		value []byte // as it is written now
		read  func(value []byte) error
	}{
		{"measurement", record(m), read(m, &Measurement{})},
		{"task", record(task), read(task, &Task{})},
		{"done", record(done), read(done, &TaskDone{})},
		{"file", record(file), read(file, &fileRecord{})},
		{"request", record(request), read(request, &requestRecord{})},
		{"place", record(place), read(place, &taskPlace{})},
		{"watch", record(watched), read(watched, &WatchEntry{})},
		{"facts", factsOf(m).encode(), func(value []byte) error {
			var f facts
			if err := f.decode(m.ID, value); err != nil {
				return err
			}
			if !bytes.Equal(f.encode(), factsOf(m).encode()) {
				return errors.New("other facts")
			}
			return nil
		}},
		{"columns", encodeColumns(oddColumns(), epoch), func(value []byte) error {
			got, _, err := decodeColumns(Run{10, 20, 2}, value)
			if err == nil && !sameBits(got, oddColumns()) {
				err = errors.New("other columns")
			}
			return err
		}},
		{"document", blob[0], func(value []byte) error {
			body, err := checkVersion(value, blobVersion)
			if err != nil {
				return err
			}
			got, written, err := decodeBlob(body)
			if err == nil && (string(got) != "a document" || !written.Equal(epoch)) {
				err = errors.New("another document")
			}
			return err
		}},
		{"journal", split(pack(nil, journal), journalVersion)[0], func(value []byte) error {
			body, err := checkVersion(value, journalVersion)
			if err != nil {
				return err
			}
			got, err := decodeJournal(body)
			if err == nil && !cmp.Equal(got, ops) {
				err = errors.New("other operations")
			}
			return err
		}},
	} {
		name := filepath.Join("testdata", "v1", c.name)
		if _, err := os.Stat(name); *update && errors.Is(err, os.ErrNotExist) {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, c.value, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		value, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.read(value); err != nil {
			t.Errorf("%s as version 1 wrote it: %v", c.name, err)
		}
		if err := c.read(c.value); err != nil {
			t.Errorf("%s as it is written now: %v", c.name, err)
		}
	}
}

// FuzzValues gives nonsense to everything that reads values. What is taken reads the same when it is written again.
func FuzzValues(f *testing.F) {
	names, err := filepath.Glob("testdata/v1/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		value, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, record := range []any{&Measurement{}, &Task{}, &TaskDone{}, &fileRecord{}, &requestRecord{}, &taskPlace{}, &WatchEntry{}} {
			if decodeRecord(value, record) != nil {
				continue
			}
			again, err := encodeRecord(record)
			if err != nil {
				t.Fatalf("%T: %v", record, err)
			}
			back := reflect.New(reflect.TypeOf(record).Elem()).Interface()
			if err := decodeRecord(again, back); err != nil {
				t.Fatalf("%T: %v", record, err)
			}
			if diff := cmp.Diff(record, back, equate); diff != "" {
				t.Fatalf("%T: %s", record, diff)
			}
		}
		var got facts
		if got.decode(testID(epoch, 1), value) == nil {
			var back facts
			if err := back.decode(testID(epoch, 1), got.encode()); err != nil {
				t.Fatal(err)
			}
			got.rows(ofScoreLevel, func(r *row) bool { return r.facts != nil })
		}
		if len(value) >= columnsHeader {
			n := int64(binary.LittleEndian.Uint32(value[13:]))
			if c, written, err := decodeColumns(Run{0, max(n, 1), 1}, value); err == nil {
				if back, _, err := decodeColumns(Run{0, n, 1}, encodeColumns(c, written)); err != nil || !sameBits(c, back) {
					t.Fatal(err)
				}
			}
		}
		if body, err := checkVersion(value, blobVersion); err == nil {
			_, _, _ = decodeBlob(body)    // it must not panic
			_, _ = decodeJournal(body)    // nor this
			_, _ = unpackLarge(value[1:]) // nor this
		}
	})
}

// FuzzRestore gives nonsense to the reader of backups.
func FuzzRestore(f *testing.F) {
	var backup bytes.Buffer
	out := newBackupWriter(&backup, &BackupInfo{Began: epoch})
	value, err := encodeRecord(goldenMeasurement())
	if err != nil {
		f.Fatal(err)
	}
	for _, o := range []op{{Key: formatKey, Value: uint64Value(1)}, {Key: measurementKey(goldenMeasurement().ID), Value: value, Expires: 5}} {
		if err := out.entry(o); err != nil {
			f.Fatal(err)
		}
	}
	if err := out.end(); err != nil {
		f.Fatal(err)
	}
	f.Add(backup.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		var info BackupInfo
		in := newBackupReader(bytes.NewReader(b), &info)
		if err := in.read(func(o op) error { return checkEntry(o.Key, o.Value) }); err == nil && !bytes.HasPrefix(b, []byte(backupMagic)) {
			t.Fatal("taken")
		}
	})
}
