package store

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files of this package")

func encoded(t testing.TB, k TaskKey) []byte {
	t.Helper()
	key, err := k.encode()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// exampleKeys has a key of every kind.
func exampleKeys(t testing.TB) [][]byte {
	const id MeasurementID = "01kjpc2g00000000000000000z"
	identity := Identity{0xab, 0, 0xff}
	at := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	return [][]byte{
		measurementKey(id),
		factsKey(id),
		encoded(t, TaskKey{ClassLatency, at, id, 1}),
		encoded(t, TaskKey{ClassBackground, time.Time{}, id, 1 << 20}),
		encoded(t, TaskKey{ClassThroughput, time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), id, 0}),
		numbered(kindTaskPlace, id, 7),
		numbered(kindDone, id, 7),
		ColumnsKey{identity, "vif"}.run(Run{0, 300, 1}),
		ColumnsKey{identity, "adm=a:b\x00c"}.run(Run{1 << 40, 1<<40 + 1, 5}),
		fileKey(Source{Root: "media", Path: "a/b c.mp4", Raw: ""}, "host"),
		blobKey(kindDocument, identity, 0),
		blobKey(kindNote, identity, 258),
		watchKey("folder", "a/b\x00\xff.mp4"),
		requestKey("", "id\x00"),
		requestKey("owner", "id"),
		journalKey(3, 1),
		selfKey("format"),
		entry(stringIndex(indexState, "running"), id),
		entry(stringIndex(indexLabel, "title", "ü\x00\x01\xff"), id),
		entry(stringIndex(indexOwner, ""), id),
		entry(floatIndex(indexHeight, 1080), id),
		entry(endIndex(at), id),
		entry(endIndex(time.Time{}), id),
		entry(identityIndex(identity), id),
		scoreIndex(indexSeriesScore, "integer_adm2", "mean", 0.5, id, 2),
		scoreIndex(indexModelScore, "vmaf_v0.6.1", "p5", -93.25, id, 63),
	}
}

// reencode takes a key apart and puts it together again.
func reencode(key []byte) ([]byte, error) {
	if len(key) < 2 {
		return nil, errKey
	}
	switch k := kind(key[0]); k {
	case kindMeasurement, kindFacts:
		id, err := parseMeasurementKey(k, key)
		return append(prefixOf(k), id...), err
	case kindTask:
		task, err := parseTaskKey(key)
		if err != nil {
			return nil, err
		}
		return task.encode()
	case kindTaskPlace, kindDone:
		id, number, err := parseNumbered(k, key)
		return numbered(k, id, number), err
	case kindColumns:
		columns, run, err := parseColumnsKey(key)
		return columns.run(run), err
	case kindFile:
		source, host, err := parseFileKey(key)
		return fileKey(source, host), err
	case kindWatch:
		folder, path, err := parseWatchKey(key)
		return watchKey(folder, path), err
	case kindDocument, kindNote:
		digest, part, err := parseBlobKey(k, key)
		return blobKey(k, digest, part), err
	case kindRequest:
		owner, id, err := parseRequestKey(key)
		return requestKey(owner, id), err
	case kindJournal:
		number, part, err := parseJournalKey(key)
		return journalKey(number, part), err
	case kindSelf:
		name, err := parseSelfKey(key)
		return selfKey(name), err
	case kindIndex:
		e, err := parseIndexKey(key)
		if err != nil {
			return nil, err
		}
		return reencodeIndex(e), nil
	}
	return nil, errKey
}

func reencodeIndex(e indexEntry) []byte {
	switch shapes[e.index] {
	case "s", "ss":
		return entry(stringIndex(e.index, e.texts...), e.id)
	case "f":
		return entry(floatIndex(e.index, e.number), e.id)
	case "e":
		return entry(endIndex(e.time), e.id)
	case "3":
		return entry(identityIndex(e.identity), e.id)
	}
	return scoreIndex(e.index, e.texts[0], e.texts[1], e.number, e.id, e.rendition)
}

func TestKeys_Golden(t *testing.T) {
	var text strings.Builder
	for _, key := range exampleKeys(t) {
		fmt.Fprintf(&text, "%q\n", key)
	}
	const name = "testdata/keys.golden"
	if *update {
		if err := os.WriteFile(name, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("keys are not those that stores have (-want +got):\n%s", diff)
	}
}

func TestKeys_RoundTripAndNothingElse(t *testing.T) {
	for _, key := range exampleKeys(t) {
		got, err := reencode(key)
		if err != nil || !bytes.Equal(got, key) {
			t.Errorf("%q became %q, %v", key, got, err)
		}
		if kind(key[0]) == kindSelf {
			continue // any name will do
		}
		for name, wrong := range map[string][]byte{"cut off": key[:len(key)-1], "with a rest": append(slices.Clone(key), 'x')} {
			if _, err := reencode(wrong); !errors.Is(err, errKey) {
				t.Errorf("%q, %s: %v", key, name, err)
			}
		}
	}
}

func TestKeys_NoneIsTheBeginningOfAnother(t *testing.T) {
	keys := exampleKeys(t)
	for _, a := range keys {
		for _, b := range keys {
			if !bytes.Equal(a, b) && bytes.HasPrefix(b, a) && kind(a[0]) != kindSelf {
				t.Errorf("%q begins %q", a, b)
			}
		}
	}
}

func TestKeys_SortAsWhatTheyAreOf(t *testing.T) {
	floats := []float64{math.Inf(-1), -1e300, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1, 1e300, math.Inf(1)}
	times := []time.Time{time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 999, time.UTC), time.Unix(0, 0), time.Unix(0, 1), epoch, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), {}}
	texts := []string{"", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "a", "a\x00", "a\x00b", "a\x01", "ab", "b", "\xff", "\xff\xff"}
	sorted := func(what string, n int, key func(i int) []byte) {
		for i := range n {
			for j := range n {
				if got := bytes.Compare(append(key(i), "rest"...), append(key(j), "rest"...)); got != cmp.Compare(i, j) {
					t.Errorf("%s %d and %d: %d", what, i, j, got)
				}
			}
		}
	}
	sorted("floats", len(floats), func(i int) []byte { return appendFloat(nil, floats[i]) })
	sorted("times", len(times), func(i int) []byte { return appendTime(nil, times[i]) })
	sorted("texts", len(texts), func(i int) []byte { return appendString(nil, texts[i]) })
	if !bytes.Equal(appendFloat(nil, math.Copysign(0, -1)), appendFloat(nil, 0)) {
		t.Error("−0 and +0 differ")
	}
}

func TestMeasurementID_Time(t *testing.T) {
	for _, at := range []time.Time{time.UnixMilli(0), epoch, time.UnixMilli(1<<48 - 1)} {
		if got := firstID(at.UnixMilli()).Time(); !got.Equal(at) {
			t.Errorf("%v became %v", at, got)
		}
	}
	if got := MeasurementID("nonsense").Time(); !got.IsZero() {
		t.Errorf("of nonsense: %v", got)
	}
	if firstID(1<<50) != firstID(1<<48-1) || firstID(-1) != firstID(0) {
		t.Error("times out of range are not cut")
	}
}

func FuzzKeys(f *testing.F) {
	for _, key := range exampleKeys(f) {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		again, err := reencode(key)
		if err != nil {
			return
		}
		if !bytes.Equal(key, again) {
			t.Fatalf("%q was taken, and is %q", key, again)
		}
	})
}

func FuzzKeyOrder(f *testing.F) {
	f.Add("a", "a\x00", 1.0, -1.0)
	f.Fuzz(func(t *testing.T, a, b string, v, w float64) {
		if got := bytes.Compare(append(appendString(nil, a), b...), append(appendString(nil, b), a...)); got != strings.Compare(a, b) {
			t.Errorf("%q and %q: %d", a, b, got)
		}
		if v != v || w != w {
			return
		}
		if got := bytes.Compare(appendFloat(nil, v), appendFloat(nil, w)); got != cmp.Compare(v, w) {
			t.Errorf("%v and %v: %d", v, w, got)
		}
		if got := unsortable(sortable(v)); got != v {
			t.Errorf("%v became %v", v, got)
		}
	})
}
