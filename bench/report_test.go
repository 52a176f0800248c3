package bench

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func seconds(list ...float64) []sample {
	var samples []sample
	for _, s := range list {
		samples = append(samples, sample{elapsed: time.Duration(s * float64(time.Second)), usage: usage{processor: time.Duration(s * float64(time.Second)), resident: int64(s * 100)}})
	}
	return samples
}

func TestResult_figures(t *testing.T) {
	r := Result{Width: 100, Height: 10, Depth: 10, Renditions: 4}
	r.figures(seconds(1, 2, 4), 8, 2)
	if want := (Spread{4, 3, 6}); r.FramesPerSecond != want {
		t.Errorf("frames a second %v, want %v", r.FramesPerSecond, want)
	}
	if want := (Spread{16, 12, 24}); r.PairsPerSecond != want {
		t.Errorf("pairs a second %v, want %v", r.PairsPerSecond, want)
	}
	if got := r.ProcessorMilliseconds.Median; got != 62.5 { // 2 s for 32 pairs
		t.Errorf("processor time a pair %v ms, want 62.5", got)
	}
	if r.ProcessorShare != 0.5 || *r.PeakResidentBytes != 400 || r.DeviceBytes != nil {
		t.Errorf("share %v, peak %v, device %v", r.ProcessorShare, *r.PeakResidentBytes, r.DeviceBytes)
	}
	if got, want := planeBytes(100, 10, 10, 4), 2500.0; got != want { // 5 planes of 2000 bytes for 4 pairs
		t.Errorf("bytes a pair %v, want %v", got, want)
	}
	r.memory(2500, 400_000, "measured")
	if *r.MemoryShare != 0.1 { // 2500 · 16 / 400000
		t.Errorf("share of memory %v, want 0.1", *r.MemoryShare)
	}
	r.MemoryShare = nil
	if r.memory(2500, 0, "nominal"); r.MemoryShare != nil {
		t.Error("a share of a bandwidth that nobody knows")
	}
	r.decodeAlone(seconds(1), 16)
	if *r.DecoderShare != 0.25 || r.DecodeAlone.Median != 16 {
		t.Errorf("share of the decoder %v of %v", *r.DecoderShare, r.DecodeAlone)
	}
}

func TestQuantile(t *testing.T) {
	for _, row := range []struct {
		values  []float64
		q, want float64
	}{{[]float64{3}, 0.5, 3}, {[]float64{1, 2}, 0.5, 1.5}, {[]float64{1, 2, 3, 10}, 0.75, 4.75}, {[]float64{1, 2}, 1, 2}} {
		if got := quantile(row.values, row.q); got != row.want {
			t.Errorf("quantile %v of %v is %v, want %v", row.q, row.values, got, row.want)
		}
	}
	if !math.IsNaN(quantile(nil, 0.5)) {
		t.Error("the median of nothing is a number")
	}
}

func TestBound(t *testing.T) {
	share := func(v float64) *float64 { return &v }
	for name, row := range map[string]struct {
		r    Result
		by   func(*Result) string
		want string
	}{
		"decoding is all of it": {Result{DecoderShare: share(0.93)}, func(r *Result) string { return r.boundOfMeasure(2) }, "decoding: 93 % of decode alone"},
		"the processor is":      {Result{DecoderShare: share(0.4), ProcessorShare: 0.97}, func(r *Result) string { return r.boundOfMeasure(2) }, "processor: 97 % of 2 threads busy, 40 % of decode alone"},
		"others have the processor": {Result{DecoderShare: share(0.4), ProcessorShare: 0.5, OthersShare: 0.45}, func(r *Result) string { return r.boundOfMeasure(2) },
			"processor: 50 % of 2 threads busy (other processes took 45 % of the machine), 40 % of decode alone"},
		"nothing is": {Result{DecoderShare: share(0.4), ProcessorShare: 0.5}, func(r *Result) string { return r.boundOfMeasure(1) },
			"waiting between decoders and kernels: 40 % of decode alone, 50 % of 1 thread busy"},
		"kernels bound by memory": {Result{MemoryShare: share(0.7), MemoryBasis: "nominal"}, func(r *Result) string { return r.boundOfKernels(true, 2) }, "memory 70 % (nominal)"},
		"kernels of a device": {Result{MemoryShare: share(0.2), MemoryBasis: "nominal"}, func(r *Result) string { return r.boundOfKernels(true, 2) },
			"not the memory the pictures take: kernels; memory 20 % (nominal)"},
		"kernels of unknown memory": {Result{ProcessorShare: 1}, func(r *Result) string { return r.boundOfKernels(false, 2) }, "arithmetic: 100 % of 2 threads busy, share of memory unknown"},
		"hardware decodes":          {Result{ProcessorShare: 0.1}, func(r *Result) string { return r.boundOfDecode(true, 2) }, "the device's decoders; 10 % of 2 threads busy"},
		"files are read":            {Result{Codec: "y4m", ProcessorShare: 1}, func(r *Result) string { return r.boundOfDecode(false, 2) }, "reading files; 100 % of 2 threads busy"},
		"a daemon in the way": {Result{FramesPerSecond: Spread{Median: 5}, InProcess: &Spread{Median: 10}}, func(r *Result) string { return r.boundOfDaemon(2) },
			"planning, chunks and hand-over: 50 % of measuring in one process"},
		"a daemon that measures": {Result{FramesPerSecond: Spread{Median: 9}, InProcess: &Spread{Median: 10}, DecoderShare: share(0.9)}, func(r *Result) string { return r.boundOfDaemon(2) },
			"measuring: 90 % of measuring in one process; decoding: 90 % of decode alone"},
	} {
		if got := row.by(&row.r); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

func TestTakeTurns(t *testing.T) {
	var order []string
	take := func(name string) contender {
		return contender{name, func(context.Context) (usage, error) {
			order = append(order, name)
			return usage{resident: int64(len(order))}, nil
		}}
	}
	samples, err := takeTurns(t.Context(), 2, take("a"), take("b"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "a", "b", "a", "b"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
	if len(samples[0]) != 2 || samples[0][0].resident != 3 || samples[1][1].resident != 6 {
		t.Errorf("samples %v have the warm-up in them", samples)
	}
	bad := contender{"c", func(context.Context) (usage, error) { return usage{}, errors.New("broken") }}
	if _, err := takeTurns(t.Context(), 2, take("a"), bad); err == nil || !strings.Contains(err.Error(), "c: broken") {
		t.Errorf("error %v", err)
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.01234: "0.012", 1.234: "1.23", 12.34: "12.3", 1234.5: "1234"} {
		if got := figure(v); got != want {
			t.Errorf("%v is printed as %q, want %q", v, got, want)
		}
	}
}

func TestOwnUsage_seesMemoryAndTime(t *testing.T) {
	const size = 64 << 20
	small, err := ownUsage(t.Context(), func(context.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	large, err := ownUsage(t.Context(), func(context.Context) error {
		b := make([]byte, size)
		for range 20 {
			for i := range b {
				b[i]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if small.resident == 0 {
		t.Skip("this system does not let a peak begin anew")
	}
	if large.resident < small.resident+size/2 || large.processor <= small.processor {
		t.Errorf("nothing took %+v, and %d MiB took %+v", small, size>>20, large)
	}
}
