package watch

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vqsd/vqsd/store"
)

// metrics are what watchers count, by folder.
type metrics struct {
	scans, scanErrors, submissions, refusals, renditions, reports, reportErrors, problems *prometheus.CounterVec
	scanSeconds                                                                           *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, w *Watcher) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"folder"}, labels...))
	}
	m := &metrics{
		scans:        counter("vqsd_watch_scans_total", "Scans of a watched folder."),
		scanErrors:   counter("vqsd_watch_scan_errors_total", "Scans that could not be made."),
		scanSeconds:  counter("vqsd_watch_scan_seconds_total", "Time that scans took, acting on them left out."),
		submissions:  counter("vqsd_watch_submissions_total", "Measurements submitted."),
		refusals:     counter("vqsd_watch_refusals_total", "Submissions that a limit, a full disk or draining has put off."),
		renditions:   counter("vqsd_watch_renditions_total", "Renditions whose measurement has ended: done, failed, or again, which are measured anew.", "result"),
		reports:      counter("vqsd_watch_reports_total", "Reports written."),
		reportErrors: counter("vqsd_watch_report_errors_total", "Reports, marks and moves that did not succeed and are tried again."),
		problems:     counter("vqsd_watch_problems_total", "Files that are wrong in themselves."),
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.scans, m.scanErrors, m.scanSeconds, m.submissions, m.refusals, m.renditions, m.reports, m.reportErrors, m.problems, statusCollector{w},
	} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

// counts are the metrics of one folder.
type counts struct {
	scans, scanErrors, scanSeconds, submissions, refusals, done, failed, again, reports, reportErrors, problems prometheus.Counter
}

func (m *metrics) of(folder string) *counts {
	return &counts{
		scans: m.scans.WithLabelValues(folder), scanErrors: m.scanErrors.WithLabelValues(folder), scanSeconds: m.scanSeconds.WithLabelValues(folder),
		submissions: m.submissions.WithLabelValues(folder), refusals: m.refusals.WithLabelValues(folder),
		done: m.renditions.WithLabelValues(folder, "done"), failed: m.renditions.WithLabelValues(folder, "failed"), again: m.renditions.WithLabelValues(folder, "again"),
		reports: m.reports.WithLabelValues(folder), reportErrors: m.reportErrors.WithLabelValues(folder), problems: m.problems.WithLabelValues(folder),
	}
}

// statusCollector shows what [Watcher.Status] says.
type statusCollector struct{ w *Watcher }

var (
	filesNum     = prometheus.NewDesc("vqsd_watch_files", "Files of a watched folder at the last scan: all, and those not complete yet.", []string{"folder", "state"}, nil)
	renditionNum = prometheus.NewDesc("vqsd_watch_ledger_renditions", "Renditions by how far they are; waiting ones are not in the ledger.", []string{"folder", "state"}, nil)
	unfinished   = prometheus.NewDesc("vqsd_watch_outstanding_measurements", "Measurements of a folder that have not been dealt with.", []string{"folder"}, nil)
	lastScan     = prometheus.NewDesc("vqsd_watch_last_scan_timestamp_seconds", "When the last scan ended; 0: there was none.", []string{"folder"}, nil)
	inTrouble    = prometheus.NewDesc("vqsd_watch_trouble", "1 while something is in the way of a folder or its reports, see the log.", []string{"folder"}, nil)
)

func (c statusCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{filesNum, renditionNum, unfinished, lastScan, inTrouble} {
		out <- d
	}
}

func (c statusCollector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.w.Status() {
		gauge := func(d *prometheus.Desc, v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{s.Name}, labels...)...)
		}
		gauge(filesNum, float64(s.Files), "all")
		gauge(filesNum, float64(s.Incomplete), "incomplete")
		gauge(renditionNum, float64(s.Waiting), "waiting")
		gauge(renditionNum, float64(s.Measuring), string(store.WatchMeasuring))
		gauge(renditionNum, float64(s.Done), string(store.WatchDone))
		gauge(renditionNum, float64(s.Failed), string(store.WatchFailed))
		gauge(unfinished, float64(s.Outstanding))
		at, trouble := 0.0, 0.0
		if !s.LastScan.IsZero() {
			at = float64(s.LastScan.UnixMilli()) / 1000
		}
		if s.Err != "" {
			trouble = 1
		}
		gauge(lastScan, at)
		gauge(inTrouble, trouble)
	}
}
