package store

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the store counts, shown through a Prometheus registry.
type metrics struct {
	store *Store
	tasks taskCounts
	count atomic.Int64 // measurements
	lsm   atomic.Int64 // bytes, as of the last upkeep
	vlog  atomic.Int64

	sizes, measurements, free *prometheus.Desc

	latency    prometheus.Histogram
	refused    prometheus.Counter
	failed     prometheus.Counter
	collected  *prometheus.CounterVec
	examined   prometheus.Histogram
	queryTimes prometheus.Histogram
}

func newMetrics(s *Store) *metrics {
	m := &metrics{
		store:        s,
		sizes:        prometheus.NewDesc("vqsd_store_size_bytes", "Size of the store's files, by part: lsm (keys, small values, indexes), vlog (large values).", []string{"part"}, nil),
		measurements: prometheus.NewDesc("vqsd_store_measurements", "Measurements stored.", nil, nil),
		free:         prometheus.NewDesc("vqsd_store_reserve_bytes", "Disk space that has to stay free; below it writes are refused.", nil, nil),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vqsd_store_write_seconds", Help: "Time from a write's call until it is on the disk, waiting included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "vqsd_store_refused_writes_total", Help: "Writes refused for lack of disk space."}),
		failed:  prometheus.NewCounter(prometheus.CounterOpts{Name: "vqsd_store_failed_writes_total", Help: "Writes that ended with another error than a refusal or what the caller decided."}),
		collected: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vqsd_store_value_log_collections_total",
			Help: "Attempts to collect garbage in the value log, by what came of them: rewritten, nothing, failed."}, []string{"outcome"}),
		examined: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "vqsd_store_query_examined",
			Help: "Measurements that a query looked at.", Buckets: prometheus.ExponentialBuckets(1, 4, 10)}),
		queryTimes: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "vqsd_store_query_seconds",
			Help: "Time of a query.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
	}
	for _, outcome := range []string{"rewritten", "nothing", "failed"} {
		m.collected.WithLabelValues(outcome)
	}
	return m
}

// parts lists the collectors that describe themselves.
func (m *metrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.latency, m.refused, m.failed, m.collected, m.examined, m.queryTimes}
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.sizes
	out <- m.measurements
	out <- m.free
	for _, part := range m.parts() {
		part.Describe(out)
	}
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, v int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(v), labels...)
	}
	gauge(m.sizes, m.lsm.Load(), "lsm")
	gauge(m.sizes, m.vlog.Load(), "vlog")
	gauge(m.measurements, m.count.Load())
	gauge(m.free, max(m.store.cfg.MinFreeBytes, 0))
	for _, part := range m.parts() {
		part.Collect(out)
	}
}

// observeWrite counts a write that has ended.
func (m *metrics) observeWrite(began time.Time, err error) {
	switch {
	case err == nil:
		m.latency.Observe(time.Since(began).Seconds())
	case errors.Is(err, ErrFull):
		m.refused.Inc()
	case errors.Is(err, errBroken):
		m.failed.Inc()
	}
}

// Stats are figures of a store.
type Stats struct {
	Measurements int64
	Tasks        map[Class]int64 // outstanding
	LSMBytes     int64           // keys, small values and indexes; as of the last minute, as the next
	ValueBytes   int64           // the value log
	FreeBytes    int64           // on the disk; −1: not known
	ReserveBytes int64           // have to stay free; 0: none
}

// Stats gives figures of the store; it is cheap.
func (s *Store) Stats() Stats {
	st := Stats{
		Measurements: s.metrics.count.Load(), Tasks: map[Class]int64{},
		LSMBytes: s.metrics.lsm.Load(), ValueBytes: s.metrics.vlog.Load(), ReserveBytes: max(s.cfg.MinFreeBytes, 0),
	}
	for rank, class := range Classes() {
		st.Tasks[class] = s.metrics.tasks[rank].Load()
	}
	free, err := s.cfg.FreeBytes(s.cfg.Dir)
	if err != nil {
		free = -1
	}
	st.FreeBytes = free
	return st
}
