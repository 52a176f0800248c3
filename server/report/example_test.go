//go:build !noplot

package report_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/vqsd/vqsd/server/report"
)

func ExampleWritePlot() {
	dir, err := os.MkdirTemp("", "plot")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	path := filepath.Join(dir, "vmaf.svg")
	format, err := report.PlotFormatOf(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	file, err := os.Create(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = report.WritePlot(file, format, report.Plot{
		Title:  "VMAF of reference.mp4",
		Metric: "vmaf",
		Series: []report.PlotSeries{
			{Name: "1080p.mp4", Y: []float64{96, 95, 97}},
			{Name: "540p.mp4", Y: []float64{71, 64, 72}},
		},
	})
	if err == nil {
		err = file.Close()
	}
	fmt.Println(format, err)
	// Output: svg <nil>
}
