package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress tells standard error how far a measurement is: with a bar if that is a terminal, and with one line at the end.
type progress struct {
	app   *app
	quiet bool
	draws bool
	doing string                   // "measuring"
	unit  string                   // what is counted: "frames"
	bar   *progressbar.ProgressBar // nil before the first update
}

func (a *app) newProgress(p *presentation) *progress {
	return &progress{app: a, quiet: p.quiet, doing: "measuring", unit: "frames", draws: !p.quiet && !p.noProgress && isTerminal(a.stderr)}
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// update tells how many of the reference's frames are measured; total −1 is a number that is not known. It is called from one
// goroutine at a time, and not after the measurement has ended.
func (p *progress) update(done, total int64) {
	if !p.draws {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.app.stderr),
			progressbar.OptionSetDescription(p.doing),
			progressbar.OptionShowCount(),
			progressbar.OptionShowIts(),
			progressbar.OptionSetItsString(p.unit),
			progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetSpinnerChangeInterval(0), // for a length that is not known: turned by updates, not by a goroutine
			progressbar.OptionClearOnFinish(),
		)
	}
	_ = p.bar.Set64(done) // its error is that of writing to the terminal, which nobody could be told
}

// end removes the bar and, after a measurement that succeeded, says how long it took. r is nil after a failure.
func (p *progress) end(r *result) {
	p.clear()
	if p.quiet || r == nil {
		return
	}
	if r.imported != nil {
		return
	}
	if d := r.computed.Daemon; d != nil && d.MeasuredPairs == 0 {
		fmt.Fprintf(p.app.stderr, "all figures of %s were stored already\n", plural(r.computed.Frames, "frame"))
		return
	}
	fmt.Fprintf(p.app.stderr, "measured %d frames in %.2f s (%.1f frames/s)\n", r.computed.Frames, r.computed.ElapsedSeconds, r.computed.FramesPerSecond)
}

// clear removes the bar until the next update.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear() // as in update
	}
}
