package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is the name of a file of the report. What an emulated device gave is never called what a report of a real one is.
func (c *check) file(name string) string {
	if c.report.Emulated {
		return "emulated-" + name
	}
	return name
}

// write writes report.json and report.md.
func (c *check) write() error {
	text, err := json.MarshalIndent(&c.report, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.out, c.file("report.json")), append(text, '\n'), 0o644); err != nil {
		return err
	}
	markdown, err := c.report.markdown()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.out, c.file("report.md")), []byte(markdown), 0o644)
}

// benchmarkDocument is what is shown of vqsd bench's document.
type benchmarkDocument struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Machine struct {
		Processor  string     `json:"processor"`
		Processors int        `json:"processors"`
		CPUTarget  string     `json:"cpu_target"`
		ClockGHz   [2]float64 `json:"clock_ghz"`
		MemoryGBs  float64    `json:"memory_gb_per_second"`
		FFmpeg     string     `json:"ffmpeg"`
		Kernel     string     `json:"kernel"`
	} `json:"machine"`
	Results []struct {
		Scenario, Clip, Backend, Bound string
		Renditions                     int
		NotRun                         string `json:"not_run"`
		Failure                        string
		PairsPerSecond                 spread   `json:"pairs_per_second"`
		ProcessorMilliseconds          spread   `json:"processor_ms_per_pair"`
		DeviceBytes                    *int64   `json:"device_bytes"`
		MemoryShare                    *float64 `json:"memory_share"`
		DecoderShare                   *float64 `json:"decoder_share"`
		Compared                       *struct {
			NotRun            string `json:"not_run"`
			Version           string
			PairsPerSecond    spread  `json:"pairs_per_second"`
			Ratio             float64 `json:"ratio"`
			LargestDifference float64 `json:"largest_difference"`
		}
	} `json:"results"`
}

type spread struct{ Median, Low, High float64 }

func (s spread) text() string {
	return fmt.Sprintf("%.4g ± %.2g", s.Median, (s.High-s.Low)/2)
}

// markdown is the report for people.
func (r *report) markdown() (string, error) {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	title := r.Device.Name
	if r.Emulated {
		title += ": an emulated device, no GPU"
	}
	p("# gpu-check: %s\n", title)
	if r.Emulated {
		p("**This device is a program that runs on the processor. Nothing here was read off a GPU; times mean nothing.**\n")
	}
	verdict := "Everything that ran was good."
	if !r.Good {
		verdict = "**Not everything was good.**"
	}
	p("%s Began %s, took %s.\n", verdict, r.Began.Format(time.RFC3339), r.Ended.Sub(r.Began).Round(time.Second))
	p("| fact | |\n| --- | --- |")
	p("| device | %s, %s, compute capability %s, %d multiprocessors |", cell(r.Device.Name), r.Device.UUID, r.Device.ComputeCapability, r.Device.Multiprocessors)
	p("| memory | %.1f GiB, bus of %d bits |", float64(r.Device.MemoryBytes)/(1<<30), r.Device.MemoryBusBits)
	p("| highest clocks | multiprocessors %d MHz, memory %d MHz |", r.Device.ClockKHz/1000, r.Device.MemoryClockKHz/1000)
	p("| driver | for CUDA %s, %s |", r.Driver.CUDA, cell(r.Driver.Library))
	documents := make([]benchmarkDocument, len(r.Benchmarks))
	for i, text := range r.Benchmarks {
		if err := json.Unmarshal(text, &documents[i]); err != nil {
			return "", err
		}
	}
	if len(documents) > 0 {
		d := documents[0]
		p("| vqsd | %s (%s), FFmpeg %s |", cell(d.Version), cell(d.Commit), d.Machine.FFmpeg)
		p("| host | %s, %d processors, %s, %.2f GHz before and %.2f after, memory %.0f GB/s (measured), %s |", cell(d.Machine.Processor), d.Machine.Processors,
			d.Machine.CPUTarget, d.Machine.ClockGHz[0], d.Machine.ClockGHz[1], d.Machine.MemoryGBs, cell(d.Machine.Kernel))
	}
	var names []string
	for name := range r.FactsBefore {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p("| %s | %s before, %s after |", name, cell(r.FactsBefore[name]), cell(r.FactsAfter[name]))
	}
	p("\n## Benchmarks\n\nMedian ± half the distance between the quartiles of the runs; bench/README.md says what each column is.")
	for _, d := range documents {
		p("\n| scenario | clip | renditions | by | pairs/s | CPU ms/pair | device MiB | memory | decoder | bound by |\n| --- | --- | --: | --- | --: | --: | --: | --: | --: | --- |")
		for _, x := range d.Results {
			if x.NotRun != "" || x.Failure != "" {
				p("| %s | %s | %d | %s | | | | | | %s |", x.Scenario, cell(x.Clip), x.Renditions, "not run", cell(x.NotRun+x.Failure))
				continue
			}
			device := ""
			if x.DeviceBytes != nil {
				device = fmt.Sprint(*x.DeviceBytes >> 20)
			}
			p("| %s | %s | %d | %s | %s | %s | %s | %s | %s | %s |", x.Scenario, cell(x.Clip), x.Renditions, cell(x.Backend), x.PairsPerSecond.text(),
				x.ProcessorMilliseconds.text(), device, percent(x.MemoryShare), percent(x.DecoderShare), cell(x.Bound))
			if k := x.Compared; k != nil && k.NotRun == "" {
				p("| vmaf | %s | %d | %s | %s | | | | | vqsd does %.2f × as many; largest difference of a frame %.2g |", cell(x.Clip), x.Renditions, cell(k.Version),
					k.PairsPerSecond.text(), k.Ratio, k.LargestDifference)
			}
		}
	}
	p("\n## Steps\n\n| step | state | | s |\n| --- | --- | --- | --: |")
	for _, s := range r.Steps {
		p("| %s | %s | %s | %.1f |", cell(s.Name), s.State, cell(s.Text), s.Seconds)
	}
	p("\n## Commands\n\nIn the folder of the bundle:\n")
	for _, s := range r.Steps {
		if s.Command != "" {
			p("    %s", s.Command)
		}
	}
	return b.String(), nil
}

// cell is text that does not break a table.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(text)
}

func percent(share *float64) string {
	if share == nil {
		return ""
	}
	return fmt.Sprintf("%.0f %%", 100**share)
}
