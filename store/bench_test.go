package store

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vqsd/vqsd/vmaf"
	"golang.org/x/sys/unix"
)

// benchmarkCount is how many measurements the query benchmark has; VQSD_STORE_COUNT sets another number.
const benchmarkCount = 100_000

var benchmarkStore = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "vqsd-store-bench")
	if err != nil {
		panic(err)
	}
	return dir
})

// TestMain removes what benchmarks share.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		child()
		return
	}
	code := m.Run()
	if benchmarkUsed {
		if err := os.RemoveAll(benchmarkStore()); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

var benchmarkUsed bool

// queries are filters as people write them, with values that vary.
var benchmarkQueries = []struct {
	name string
	q    func(r *rand.Rand, m *Measurement, count int) Query
}{
	{"newest", func(*rand.Rand, *Measurement, int) Query { return Query{} }},
	{"label", func(_ *rand.Rand, m *Measurement, _ int) Query {
		return Query{Filter: Compare{"labels.title", Equal, m.Request.Labels["title"]}}
	}},
	{"label of a tenth", func(_ *rand.Rand, m *Measurement, _ int) Query {
		return Query{Filter: Compare{"labels.campaign", Equal, m.Request.Labels["campaign"]}}
	}},
	{"state", func(_ *rand.Rand, m *Measurement, _ int) Query {
		return Query{Filter: Compare{FieldState, Equal, string(m.State)}}
	}},
	{"state failed", func(*rand.Rand, *Measurement, int) Query {
		return Query{Filter: Compare{FieldState, Equal, string(StateFailed)}}
	}},
	{"height", func(r *rand.Rand, _ *Measurement, _ int) Query {
		return Query{Filter: Compare{FieldHeight, GreaterOrEqual, syntheticHeights[r.IntN(len(syntheticHeights))]}}
	}},
	{"create_time range", func(r *rand.Rand, m *Measurement, count int) Query {
		return Query{Filter: And{Compare{FieldCreateTime, GreaterOrEqual, m.Created}, Compare{FieldCreateTime, Less, m.Created.Add(time.Duration(r.IntN(count)) * time.Second)}}}
	}},
	{"reference.path", func(_ *rand.Rand, m *Measurement, _ int) Query {
		return Query{Filter: Compare{FieldReferencePath, Equal, m.Request.Reference.Path}}
	}},
	{"reference.path prefix", func(_ *rand.Rand, m *Measurement, _ int) Query {
		return Query{Filter: Compare{FieldReferencePath, HasPrefix, m.Request.Reference.Path[:13]}}
	}},
	{"model and score", func(r *rand.Rand, _ *Measurement, _ int) Query {
		return Query{Filter: And{Compare{FieldModel, Equal, "vmaf_v0.6.1"}, Compare{FieldScore, Less, 28 + 70*r.Float64()}}}
	}},
	{"model, pooling and low score", func(r *rand.Rand, _ *Measurement, _ int) Query {
		return Query{Filter: And{Compare{FieldModel, Equal, "vmaf"}, Compare{FieldPooling, Equal, "mean"}, Compare{FieldScore, Less, 31 + 8*r.Float64()}}}
	}},
	{"model and score range, as scores", func(r *rand.Rand, _ *Measurement, _ int) Query {
		lo := 30 + 60*r.Float64()
		return Query{Granularity: Scores, Filter: And{Compare{FieldModel, Equal, "vmaf_v0.6.1"}, Compare{FieldScore, GreaterOrEqual, lo}, Compare{FieldScore, Less, lo + r.Float64()}}}
	}},
	{"worst scores of a model", func(*rand.Rand, *Measurement, int) Query {
		return Query{Granularity: Scores, Filter: And{Compare{FieldModel, Equal, "vmaf_v0.6.1"}, Compare{FieldPooling, Equal, "mean"}}, Order: []OrderBy{{FieldScore, false}}}
	}},
	{"score alone", func(r *rand.Rand, _ *Measurement, _ int) Query {
		return Query{Filter: Compare{FieldScore, GreaterOrEqual, 90 + 10*r.Float64()}}
	}},
	{"last ended", func(*rand.Rand, *Measurement, int) Query {
		return Query{Filter: Compare{FieldState, Equal, string(StateSucceeded)}, Order: []OrderBy{{FieldFinishTime, true}}}
	}},
	{"label, model and score", func(r *rand.Rand, m *Measurement, _ int) Query {
		return Query{Filter: And{Compare{"labels.campaign", Equal, m.Request.Labels["campaign"]}, Compare{FieldModel, Equal, "vmaf_v0.6.1neg"}, Compare{FieldScore, Less, 28 + 70*r.Float64()}}}
	}},
	{"codec, height, owner and state", func(r *rand.Rand, m *Measurement, _ int) Query {
		return Query{Filter: And{Compare{FieldRenditionCodec, Equal, "av1"}, Compare{FieldHeight, LessOrEqual, syntheticHeights[r.IntN(len(syntheticHeights))]},
			Compare{FieldOwner, Equal, m.Owner}, Compare{FieldState, NotEqual, string(StateSucceeded)}}}
	}},
	{"class, path, time and score", func(r *rand.Rand, m *Measurement, count int) Query {
		return Query{Filter: And{Compare{FieldClass, Equal, string(ClassLatency)}, Compare{FieldReferencePath, Equal, m.Request.Reference.Path},
			Compare{FieldCreateTime, Less, epoch.Add(time.Duration(r.IntN(count)) * time.Second)}, Compare{FieldScore, Less, 60}}}
	}},
}

// BenchmarkQuery times pages of 50 out of 10⁵ measurements and reports percentiles for each kind of filter; p99 has to stay below 50 ms. The time on the
// processor, of the thread that asks, is reported too: on a machine with other work it is what a query takes without it.
func BenchmarkQuery(b *testing.B) {
	count := benchmarkCount
	if text := os.Getenv("VQSD_STORE_COUNT"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		count = n
	}
	cfg := testConfig(benchmarkStore())
	cfg.MemoryBytes = 128 << 20
	s := openTest(b, cfg)
	if !benchmarkUsed {
		benchmarkUsed = true
		began := time.Now()
		bulkLoad(b, s, count, synthetic)
		b.Logf("%d measurements stored in %v", count, time.Since(began))
	}
	defer func() {
		runtime.GC()
		debug.FreeOSMemory()
		b.Logf("resident after the queries: %s", resident(b))
	}()
	for _, c := range benchmarkQueries {
		b.Run(c.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			r := rand.New(rand.NewPCG(1, 1))
			var times, cpu []time.Duration
			examined, most := 0, 0
			for b.Loop() {
				b.StopTimer()
				q := c.q(r, synthetic(r.IntN(count)), count)
				b.StartTimer()
				began, beganCPU := time.Now(), threadTime(b)
				page, err := s.Query(context.Background(), q)
				times, cpu = append(times, time.Since(began)), append(cpu, threadTime(b)-beganCPU)
				if err != nil {
					b.Fatal(err)
				}
				examined += page.Examined
				most = max(most, page.Examined)
			}
			at := func(times []time.Duration, p float64) float64 {
				slices.Sort(times)
				return float64(times[min(int(p*float64(len(times))), len(times)-1)].Microseconds()) / 1000
			}
			b.ReportMetric(at(times, 0.5), "p50-ms")
			b.ReportMetric(at(times, 0.99), "p99-ms")
			b.ReportMetric(at(cpu, 0.99), "cpu-p99-ms")
			b.ReportMetric(float64(examined)/float64(len(times)), "examined/op")
			b.ReportMetric(float64(most), "examined-max")
		})
	}
}

// threadTime is how long this thread has been on a processor.
func threadTime(b *testing.B) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		b.Fatal(err)
	}
	return time.Duration(now.Nano())
}

// resident says how much memory the process holds: its own, and pages of files, which the kernel takes back when it needs them.
func resident(b *testing.B) string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "RssAnon") || strings.HasPrefix(line, "RssFile") {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(lines, ", ")
}

// BenchmarkColumns packs a chunk of 300 frames of figures as VIF's are, and says what shuffling and compression win.
func BenchmarkColumns(b *testing.B) {
	c := noisyColumns(300, 8)
	raw := 8 * 300 * 8
	var value []byte
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(raw))
		for b.Loop() {
			value = encodeColumns(c, epoch)
		}
		b.ReportMetric(float64(len(value))/float64(raw), "of-raw")
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(raw))
		for b.Loop() {
			if _, _, err := decodeColumns(Run{0, 300, 1}, value); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// noisyColumns are figures that go up and down as those of film do: slowly, with noise, in single precision half of the time.
func noisyColumns(frames, figures int) Columns {
	r := rand.New(rand.NewPCG(5, 5))
	c := Columns{End: int64(frames), Step: 1}
	for i := range figures {
		column := make([]float64, frames)
		level := 0.5 + 0.4*r.Float64()
		for j := range column {
			level = min(max(level+0.01*r.NormFloat64(), 0), 1)
			column[j] = level
			if i%2 == 0 {
				column[j] = float64(float32(level))
			}
		}
		c.Figures = append(c.Figures, column)
	}
	return c
}

// BenchmarkApply writes the ends of chunks from several goroutines, which share the disk's syncs.
func BenchmarkApply(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := openTest(b, testConfig(b.TempDir()))
			c := noisyColumns(60, 8)
			b.SetParallelism(writers)
			var mu sync.Mutex
			n := 0
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					mu.Lock()
					n++
					at := int64(n) * 60
					mu.Unlock()
					c := Columns{First: at, End: at + 60, Step: 1, Figures: c.Figures}
					if err := s.PutColumns(context.Background(), ColumnsKey{Identity{1}, "vif"}, c); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(math.Round(float64(b.N)/b.Elapsed().Seconds()), "writes/s")
		})
	}
}

// BenchmarkRecord times a measurement's value.
func BenchmarkRecord(b *testing.B) {
	m := synthetic(3)
	m.Request.Models = []ModelSpec{{Spec: "version=vmaf_v0.6.1"}}
	m.Plan.Pools = []vmaf.PoolMethod{vmaf.PoolMean}
	value, err := encodeRecord(m)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			if _, err := encodeRecord(m); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(value)), "bytes")
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			var got Measurement
			if err := decodeRecord(value, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("facts", func(b *testing.B) {
		value := factsOf(m).encode()
		var f facts
		b.ReportAllocs()
		for b.Loop() {
			if err := f.decode(m.ID, value); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(value)), "bytes")
	})
}
