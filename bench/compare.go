package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/vmaf"
)

// vmafCommand is libvmaf's command on the files of a case. It takes one rendition at a time, so a ladder is one call after the other.
type vmafCommand struct {
	config  *MeasureConfig
	path    string
	version string
	logs    []string // by rendition
}

// errNotCompared is the error of a case that the vmaf command cannot do.
var errNotCompared = errors.New("not compared")

// newVMAFCommand looks for the command. Its error says why there is nothing to compare with.
func newVMAFCommand(ctx context.Context, c *MeasureConfig) (*vmafCommand, error) {
	path, err := exec.LookPath(c.CompareProgram)
	if err != nil {
		return nil, fmt.Errorf("%w: there is no %s on PATH", errNotCompared, c.CompareProgram)
	}
	if c.Clip.Codec != Y4M {
		return nil, fmt.Errorf("%w: %s reads y4m only, and the clip is %s; --codec y4m makes some that both read", errNotCompared, path, c.Clip.Codec)
	}
	v := &vmafCommand{config: c, path: path}
	// It prints its version on either stream, and says by its status nothing about it.
	out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	if text := strings.TrimSpace(string(out)); text != "" {
		v.version, _, _ = strings.Cut(text, "\n")
	} else if err != nil {
		return nil, fmt.Errorf("%w: %s --version: %w", errNotCompared, path, err)
	}
	for k := range c.Clip.Renditions {
		v.logs = append(v.logs, filepath.Join(c.Scratch, fmt.Sprintf("vmaf%d.json", k+1)))
	}
	return v, nil
}

// args are the arguments for a rendition.
func (v *vmafCommand) args(k int) []string {
	c := v.config
	args := []string{"--reference", c.Clip.Reference, "--distorted", c.Clip.Renditions[k], "--threads", number(c.Threads), "--json", "--output", v.logs[k], "--quiet"}
	for _, model := range c.Models {
		// vqsd takes a name for version=NAME; the command does not.
		if first, _, _ := strings.Cut(model, ":"); !strings.Contains(first, "=") {
			model = "version=" + model
		}
		args = append(args, "--model", model)
	}
	for _, feature := range c.Features {
		args = append(args, "--feature", theirFeature(feature))
	}
	if len(c.Models) == 0 {
		args = append(args, "--no_prediction")
	}
	return append(args, c.CompareOptions...)
}

// theirFeature spells an extraction as the command wants it, which knows none of our other names and separates the first option by "=".
func theirFeature(text string) string {
	e, err := vmaf.ParseExtraction(text)
	if err != nil {
		return text // which the command will refuse
	}
	return strings.Replace(e.String(), ":", "=", 1)
}

// contender runs the command on every rendition.
func (v *vmafCommand) contender() contender {
	return contender{v.path, func(ctx context.Context) (usage, error) {
		var total usage
		for k := range v.config.Clip.Renditions {
			command := exec.CommandContext(ctx, v.path, v.args(k)...)
			out, err := command.CombinedOutput()
			if err != nil {
				return usage{}, fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, strings.TrimSpace(string(out)))
			}
			total.processor += command.ProcessState.UserTime() + command.ProcessState.SystemTime()
			if r, ok := command.ProcessState.SysUsage().(*syscall.Rusage); ok {
				total.resident = max(total.resident, r.Maxrss<<10)
			}
		}
		return total, nil
	}}
}

// vmafLog is what is read of the command's log.
type vmafLog struct {
	Frames []struct {
		Metrics map[string]float64 `json:"metrics"`
	} `json:"frames"`
}

// compare holds its speed and its scores against ours.
func (v *vmafCommand) compare(r *Result, samples []sample, ours *engine.Result) (*Comparison, error) {
	c := v.config
	pairs := c.Clip.Frames * len(c.Clip.Renditions)
	out := &Comparison{
		Program: v.path, Version: v.version, Command: strings.Join(append([]string{v.path}, v.args(0)...), " "), PairsPerSecond: rate(samples, pairs),
		ProcessorMilliseconds: spreadOf(samples, func(s sample) float64 { return s.processor.Seconds() * 1e3 / float64(pairs) }),
		PeakResidentBytes:     most(samples, func(s sample) int64 { return s.resident }),
	}
	out.Ratio = r.PairsPerSecond.Median / out.PairsPerSecond.Median
	name := ""
	if len(c.Plan.Models) > 0 {
		name = c.Plan.Models[0].Name
	} else {
		name = c.Plan.Extractions[0].Series()[0]
	}
	for k, path := range v.logs {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var log vmafLog
		if err := json.Unmarshal(text, &log); err != nil {
			return nil, fmt.Errorf("log of %s: %w", v.path, err)
		}
		column, found := ours.Renditions[k].Table.Column(name)
		if !found || len(log.Frames) != len(column.Values) {
			return nil, fmt.Errorf("%s measured %d frames, and we %d", v.path, len(log.Frames), len(column.Values))
		}
		sum := 0.0
		for n, frame := range log.Frames {
			score, found := frame.Metrics[vmaf.Alias(name)]
			if !found {
				return nil, fmt.Errorf("log of %s: frame %d has no %s", v.path, n, name)
			}
			sum += score
			out.LargestDifference = math.Max(out.LargestDifference, math.Abs(score-column.Values[n]))
		}
		if k == 0 {
			out.ItsScore = sum / float64(len(log.Frames))
			total := 0.0
			for _, s := range column.Values {
				total += s
			}
			out.OurScore = total / float64(len(column.Values))
		}
	}
	return out, nil
}

// grace is how long a process may take to end that was told to.
const grace = 20 * time.Second
