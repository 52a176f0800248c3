package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/vqsd/vqsd/engine"
)

// progress tells standard error how far a measurement is: with a bar if that is a terminal, and with one line at the end.
type progress struct {
	app   *app
	quiet bool
	draws bool
	bar   *progressbar.ProgressBar // nil before the first update
}

func (a *app) newProgress(m *measurement) *progress {
	return &progress{app: a, quiet: m.quiet, draws: !m.quiet && !m.noProgress && isTerminal(a.stderr)}
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// update is called by the engine, from one goroutine, and not after the measurement has ended.
func (p *progress) update(now engine.Progress) {
	if !p.draws {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(now.Total,
			progressbar.OptionSetWriter(p.app.stderr),
			progressbar.OptionSetDescription("measuring"),
			progressbar.OptionShowCount(),
			progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("frames"),
			progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetSpinnerChangeInterval(0), // for a length that is not known: turned by updates, not by a goroutine
			progressbar.OptionClearOnFinish(),
		)
	}
	_ = p.bar.Set64(now.Done) // its error is that of writing to the terminal, which nobody could be told
}

// end removes the bar and, after a measurement that succeeded, says how long it took. result is nil after a failure.
func (p *progress) end(result *engine.Result) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	if p.quiet || result == nil {
		return
	}
	seconds := result.Elapsed.Seconds()
	fmt.Fprintf(p.app.stderr, "measured %d frames in %.2f s (%.1f frames/s)\n", result.Frames, seconds, float64(result.Frames)/seconds)
}
