package legacy

import (
	"math"
	"slices"

	"github.com/vqsd/vqsd/vmaf"
)

// Log is what one log file says. Figures have the precision of the text they were read from.
type Log struct {
	// Version is what the writing program called itself; empty in CSV, SUB and FFmpeg's files. Of libvmaf, often a commit hash.
	Version string
	// Generation is which program writes such a file, and which of its releases.
	Generation Generation
	// Width, Height are the size of the pictures in samples; 0 where the log has none.
	Width, Height int
	// FPS is the speed of the measurement; NaN if HasFPS and the log says that it was not finite.
	FPS    float64
	HasFPS bool
	// Subsample is every how many frames the log says that it lists; 0 where it does not say.
	Subsample int
	// Frames are the numbers of the listed frames that have any value, ascending, from 0. With subsampling there are gaps.
	Frames []int
	// Series are the columns in order of appearance, named as the log names them, but for FFmpeg's: see the package comment. Element k of
	// Values and Present belongs to frame Frames[k]; Values has NaN where Present is false. JSON's null is a present NaN: the log does not
	// say which of infinity and NaN it stands for.
	Series []vmaf.Series
	// Pooled are the pooled figures of each series that has some, in the order of the file.
	Pooled []Pooled
	// Aggregates are figures over the whole clip, such as apsnr_y.
	Aggregates []vmaf.Aggregate
	// Run is what only the logs of the older tools say.
	Run Run
	// Unknown are what the log has and this package neither knows nor keeps: members, elements, attributes and text where no known log has any,
	// pooled figures by no method that package vmaf knows. They are paths from the outermost level, such as frames[].pts and pooled_metrics.*.median in
	// JSON, frames/frame/sub, params/@codec and frames/text() in XML, in order of appearance: of what lies one in another the outermost, what occurs in
	// many frames or series once. Long names are cut off, and others than plain ones quoted. At most 16, of less than 256 bytes, and then "and more".
	Unknown []string
}

// Pooled holds one series' pooled figures by method, in the order of the file, named as package vmaf names them: "min", "max", "mean",
// "harmonic_mean", and percentiles such as "p5", which no known program writes. There is none where the writing library could not pool.
type Pooled struct {
	Name    string
	Figures []Figure
}

// Figure is one named number.
type Figure struct {
	Name  string
	Value float64
}

// Run is what the forms of the 1.x tools and of FFmpeg say of a run beside its figures and [vmaf.Table] has no place for. The zero value says
// nothing; libvmaf's own forms use none of it.
type Run struct {
	// Model is the name of the model's file, without folders: "vmaf_v0.6.1.pkl". Written by the XML and JSON of the 1.x tools.
	Model string
	// Score is which series Write takes for the score of that model, as stored or aliased. Empty: "vmaf". Never read: their logs call it vmaf.
	Score string
	// Pool is the method of the score's pooled figure, where it was asked for: "mean", "harmonic_mean" or "min". Empty: the mean.
	Pool string
	// TimeTaken is how long the run took, in seconds. 0 or NaN: not known.
	TimeTaken float64
	// BootstrapModels is how many models a collection has, BootstrapNames their list as the log has it.
	BootstrapModels int
	BootstrapNames  string

	// BitsPerComponent and Subsampling are of the compared pictures; 0 bits: neither is known. FFmpeg's PSNR needs them where it is made of
	// libvmaf's figures. Read knows the bits where a log tells the peak, and never the subsampling.
	BitsPerComponent int
	Subsampling      vmaf.Subsampling
	// StatsVersion is the version of FFmpeg's PSNR file, 1 or 2, which has a line that names its fields. 0 is 1.
	StatsVersion int
	// OutputMax says that FFmpeg's PSNR file, of version 2, gives the peak with each frame.
	OutputMax bool
}

// Column returns the series with that name.
func (l *Log) Column(name string) (vmaf.Series, bool) {
	for _, s := range l.Series {
		if s.Name == name {
			return s, true
		}
	}
	return vmaf.Series{}, false
}

// PooledFigure returns the figure that the log itself gives for a series and a method such as "mean".
func (l *Log) PooledFigure(name, method string) (float64, bool) {
	return pooledFigure(l.Pooled, name, method)
}

func pooledFigure(pooled []Pooled, name, method string) (float64, bool) {
	for _, p := range pooled {
		if p.Name != name {
			continue
		}
		for _, f := range p.Figures {
			if f.Name == method {
				return f.Value, true
			}
		}
	}
	return 0, false
}

// Table returns the log's figures as a table: frames 0 up to the last listed one, with values absent where the log has none. Subsample is
// what the log says, where it lists only multiples of that, else more than 1 where the listed frames are just the multiples of it. FPS is NaN
// where the log has none.
//
// Together with [Log.WriteOptions] it is everything that [Write] needs to write the same file again. Series without gaps are shared with the
// log, so neither may be changed.
func (l *Log) Table() *vmaf.Table {
	t := &vmaf.Table{Subsample: 1, Width: l.Width, Height: l.Height, FPS: math.NaN(), Aggregates: l.Aggregates}
	if l.HasFPS {
		t.FPS = l.FPS
	}
	n := len(l.Frames)
	if n == 0 {
		t.Subsample = max(l.Subsample, 1)
		return t
	}
	t.Frames = l.Frames[n-1] + 1
	t.Subsample = l.step()
	t.Series = make([]vmaf.Series, len(l.Series))
	for k, s := range l.Series {
		if t.Frames > n {
			s = spread(s, l.Frames)
		}
		t.Series[k] = s
	}
	return t
}

// step is every how many frames the log lists: as it says itself where that can be, else where it is so without a gap, else 1.
func (l *Log) step() int {
	if l.Subsample > 0 && !slices.ContainsFunc(l.Frames, func(frame int) bool { return frame%l.Subsample != 0 }) {
		return l.Subsample
	}
	if len(l.Frames) < 2 {
		return 1
	}
	step := l.Frames[1]
	for k, frame := range l.Frames {
		if frame != k*step {
			return 1
		}
	}
	return step
}

// spread puts the values of s to their frames.
func spread(s vmaf.Series, frames []int) vmaf.Series {
	n := frames[len(frames)-1] + 1
	wide := vmaf.Series{Name: s.Name, Values: make([]float64, n), Present: make([]bool, n)}
	for i := range wide.Values {
		wide.Values[i] = math.NaN()
	}
	for row, frame := range frames {
		wide.Values[frame], wide.Present[frame] = s.At(row)
		if !wide.Present[frame] {
			wide.Values[frame] = math.NaN()
		}
	}
	return wide
}

// WriteOptions returns what [Write] needs beside [Log.Table] to write the same file again.
func (l *Log) WriteOptions() WriteOptions {
	return WriteOptions{Version: l.Version, Pooled: l.Pooled, Run: l.Run}
}
