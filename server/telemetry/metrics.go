package telemetry

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry makes a registry that has the Go runtime's and the process's metrics in it, and vqsd_build_info.
func NewRegistry(version, commit string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister( // an error would be a metric that is there twice, in a registry that is new
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "vqsd_build_info", Help: "Always 1; labels say which program this is.",
			ConstLabels: prometheus.Labels{"version": version, "commit": commit, "go": runtime.Version()},
		}, func() float64 { return 1 }),
	)
	return r
}
