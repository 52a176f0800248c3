package workflow

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vqsd/vqsd/workflow/protocol"
)

// metrics are what the workflow counts.
type metrics struct {
	hits, misses atomic.Int64 // pairs of frames

	submitted *prometheus.CounterVec
	finished  *prometheus.CounterVec
	latency   *prometheus.HistogramVec
	chunks    *prometheus.CounterVec
	frames    *prometheus.CounterVec
	busy      *prometheus.CounterVec
	decode    *prometheus.CounterVec
	kernels   *prometheus.CounterVec
	reused    *prometheus.CounterVec
	assembly  prometheus.Histogram
	lost      prometheus.Counter
	deferred  prometheus.Counter
	rescored  prometheus.Counter
	imported  prometheus.Counter
}

func newMetrics(r prometheus.Registerer, s *Service) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	plain := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		submitted: counter("vqsd_measurements_submitted_total", "Measurements accepted.", "class"),
		finished:  counter("vqsd_measurements_finished_total", "Measurements that have ended.", "state", "class"),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "vqsd_measurement_duration_seconds",
			Help: "From acceptance to the end of a measurement.", Buckets: prometheus.ExponentialBuckets(0.1, 2.5, 12)}, []string{"class"}),
		chunks:  counter("vqsd_chunks_measured_total", "Chunks that workers measured.", "host", "device"),
		frames:  counter("vqsd_frames_measured_total", "Rendition frames that workers measured.", "host", "device"),
		busy:    counter("vqsd_worker_busy_seconds_total", "Time that workers spent on chunks.", "host", "device"),
		decode:  counter("vqsd_decode_seconds_total", "Time spent decoding and converting, summed over threads.", "host", "device"),
		kernels: counter("vqsd_kernel_seconds_total", "Time spent in feature kernels, summed over threads.", "host", "device"),
		reused:  counter("vqsd_comparisons_reused_total", "Chunks whose media a worker had open already.", "host", "device"),
		assembly: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "vqsd_assembly_duration_seconds",
			Help: "Forming series and scores of a measurement.", Buckets: prometheus.ExponentialBuckets(0.001, 3, 10)}),
		lost:     plain("vqsd_tasks_lost_total", "Attempts whose worker died, hung or forgot them."),
		deferred: plain("vqsd_results_deferred_total", "Results of workers that could not be stored at once."),
		rescored: plain("vqsd_measurements_rescored_total", "Measurements made of stored features."),
		imported: plain("vqsd_measurements_imported_total", "Measurements made of files of other programs."),
	}
	if r == nil {
		return m, nil
	}
	cached := func(name, help string, v *atomic.Int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(v.Load()) })
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.submitted, m.finished, m.latency, m.chunks, m.frames, m.busy, m.decode, m.kernels, m.reused, m.assembly, m.lost, m.deferred, m.rescored, m.imported,
		cached("vqsd_cache_hit_pairs_total", "Pairs of frames asked for whose figures were stored.", &m.hits),
		cached("vqsd_cache_missed_pairs_total", "Pairs of frames asked for that had to be measured.", &m.misses),
		queueCollector{s},
	} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

// chunk counts a chunk that a worker has measured.
func (m *metrics) chunk(host, device string, f *protocol.Finish) {
	m.chunks.WithLabelValues(host, device).Inc()
	m.frames.WithLabelValues(host, device).Add(float64(f.Chunk.Frames))
	m.busy.WithLabelValues(host, device).Add(f.Elapsed.Seconds())
	m.decode.WithLabelValues(host, device).Add(f.Decode.Seconds())
	m.kernels.WithLabelValues(host, device).Add(f.Kernels.Seconds())
	if f.Reused {
		m.reused.WithLabelValues(host, device).Inc()
	}
}

// queueCollector reads the queue when metrics are asked for.
type queueCollector struct{ s *Service }

var (
	queueTasks = prometheus.NewDesc("vqsd_queue_tasks", "Outstanding tasks: stored (all of them), published, running.", []string{"class", "state"}, nil)
	queueAge   = prometheus.NewDesc("vqsd_queue_oldest_age_seconds", "Age of the oldest outstanding task.", []string{"class"}, nil)
	workerNum  = prometheus.NewDesc("vqsd_workers", "Workers by state.", []string{"state"}, nil)
)

func (c queueCollector) Describe(out chan<- *prometheus.Desc) {
	out <- queueTasks
	out <- queueAge
	out <- workerNum
}

// collectTimeout bounds how long metrics wait for the store.
const collectTimeout = 2 * time.Second

func (c queueCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	list, err := c.s.Queue(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(queueTasks, err)
		return
	}
	for _, q := range list {
		gauge(queueTasks, float64(q.Outstanding), string(q.Class), "stored")
		gauge(queueTasks, float64(q.Published), string(q.Class), "published")
		gauge(queueTasks, float64(q.Running), string(q.Class), "running")
		gauge(queueAge, q.OldestAge.Seconds(), string(q.Class))
	}
	states := map[WorkerState]int{WorkerIdle: 0, WorkerBusy: 0, WorkerDraining: 0, WorkerLost: 0}
	for _, w := range c.s.Workers() {
		states[w.State]++
	}
	for state, n := range states {
		gauge(workerNum, float64(n), string(state))
	}
}
