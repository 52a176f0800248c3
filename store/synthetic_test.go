package store

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/ristretto/v2/z"
	"github.com/vqsd/vqsd/vmaf"
)

var syntheticPools = []vmaf.PoolMethod{"mean", "harmonic_mean", "min", "max", "p1", "p5", "p50"}

// syntheticHeights are those of a ladder.
var syntheticHeights = []int{2160, 1440, 1080, 720, 540, 360, 270}

// synthetic makes measurement number n as a farm might have stored it: 2 renditions, 2 models, 7 poolings, a feature. They are a second or so apart;
// most have succeeded.
func synthetic(n int) *Measurement {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	at := epoch.Add(time.Duration(n)*time.Second + time.Duration(r.IntN(1000))*time.Millisecond)
	title := r.IntN(2000)
	reference := 2160
	if r.IntN(4) > 0 {
		reference = 1080
	}
	codecs := []string{"h264", "hevc", "av1"}
	m := &Measurement{
		ID: testID(at, n), Owner: fmt.Sprintf("team-%d", r.IntN(5)), State: StateSucceeded, Created: at.Add(time.Duration(r.IntN(1e6))), Revision: 4,
		Request: Request{
			Reference: Source{Root: fmt.Sprintf("root-%d", r.IntN(3)), Path: fmt.Sprintf("mezzanine/%05d/main.mov", title)},
			Labels:    map[string]string{"title": fmt.Sprintf("title-%05d", title), "campaign": fmt.Sprint(r.IntN(10)), "note": "x\x00y"},
		},
		Reference: &Video{Codec: "prores", Width: reference * 16 / 9, Height: reference, BitDepth: 10, FrameRateNum: 24000, FrameRateDen: 1001, BitRate: 2e8},
		Plan: &Plan{Class: Classes()[r.IntN(3)], Models: []Model{
			{Name: "vmaf", Version: "vmaf_v0.6.1", Digest: "acf70d30155b", Series: []string{"vmaf"}},
			{Name: "vmaf_neg", Version: "vmaf_v0.6.1neg", Digest: "0815", Series: []string{"vmaf_neg"}}}},
		Started: at.Add(time.Second),
	}
	if r.IntN(20) == 0 {
		m.Plan.Models[1] = Model{Name: "phone", Version: "vmaf_v0.6.1", Digest: "acf70d30155b", Series: []string{"vmaf_phone"}}
	}
	m.Request.Class = m.Plan.Class
	switch r.IntN(50) {
	case 0:
		m.State, m.Plan = StatePending, nil
	case 1:
		m.State = StateRunning
	case 2:
		m.State = StateFailed
	}
	if m.State.Final() {
		m.Finished = at.Add(time.Duration(10+r.IntN(3600)) * time.Second)
	}
	for i := range 2 {
		name := fmt.Sprintf("%dp", syntheticHeights[i])
		height := syntheticHeights[r.IntN(len(syntheticHeights))]
		source := Source{Root: m.Request.Reference.Root, Path: fmt.Sprintf("out/%05d/%d.mp4", title, n*2+i)}
		m.Request.Renditions = append(m.Request.Renditions, RenditionRequest{Source: source, Name: name})
		d := Rendition{Name: name, State: m.State, Identity: Identity{byte(n), byte(n >> 8), byte(n >> 16), byte(i)}}
		if m.State != StatePending {
			d.Video = &Video{Codec: codecs[r.IntN(3)], Width: height * 16 / 9, Height: height, BitDepth: 8 + 2*r.IntN(2), BitRate: int64(1e5 + r.IntN(1e7)), FrameRateNum: 24000, FrameRateDen: 1001}
		}
		if m.State == StateSucceeded {
			for _, model := range m.Plan.Models {
				score := Score{Series: model.Series[0], Model: model.Name}
				quality := 100 - 60*r.Float64()*r.Float64()
				for _, p := range syntheticPools {
					score.Pooled = append(score.Pooled, Pooled{p, quality - 10*r.Float64()})
				}
				d.Scores = append(d.Scores, score)
			}
			d.Scores = append(d.Scores, Score{Series: "VMAF_integer_feature_adm2_score", Pooled: []Pooled{{"mean", r.Float64()}, {"min", r.Float64()}}})
		}
		m.Renditions = append(m.Renditions, d)
	}
	if m.State == StatePending {
		m.Reference, m.Started = nil, time.Time{}
	}
	return m
}

// bulkLoad puts measurements into an empty store much faster than Create does: sorted, past the tables in memory.
func bulkLoad(t testing.TB, s *Store, count int, make func(n int) *Measurement) {
	t.Helper()
	type pair struct{ key, value []byte }
	var pairs []pair
	put := func(key, value []byte) { pairs = append(pairs, pair{key, value}) }
	put(formatKey, uint64Value(storeFormat))
	put(indexFormatKey, uint64Value(indexFormat))
	put(secretKey, append([]byte{1}, s.secret...))
	for n := range count {
		m := make(n)
		value, err := encodeRecord(m)
		if err != nil {
			t.Fatal(err)
		}
		put(measurementKey(m.ID), value)
		f := factsOf(m)
		put(factsKey(m.ID), f.encode())
		for _, key := range entriesOfFacts(f, m.Renditions) {
			put(key, nil)
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
	w := s.db.NewStreamWriter()
	if err := w.Prepare(); err != nil {
		t.Fatal(err)
	}
	buffer := z.NewBuffer(16<<20, "bulk")
	defer func() {
		if err := buffer.Release(); err != nil {
			t.Error(err)
		}
	}()
	write := func() {
		if err := w.Write(buffer); err != nil {
			t.Fatal(err)
		}
		buffer.Reset()
	}
	for _, p := range pairs {
		badger.KVToBuffer(&pb.KV{Key: p.key, Value: p.value, Version: 1, StreamId: 1}, buffer)
		if buffer.LenNoPadding() > 8<<20 {
			write()
		}
	}
	write()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	s.metrics.count.Store(0)
	if err := s.countAll(context.Background()); err != nil {
		t.Fatal(err)
	}
}
