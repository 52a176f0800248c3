package export

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/store"
)

// libvmafVersion is the one that logs name: that of the program whose logs they equal.
const libvmafVersion = "3.2.0"

// writeLog writes a form of package legacy.
func (f *File) writeLog(w io.Writer) (losses []string, err error) {
	form, err := legacy.ParseFormat(string(f.format))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotInForm, err)
	}
	t := *f.frames.Table // shared
	t.FPS = speed(f.m, t.Frames)
	options := legacy.WriteOptions{Version: libvmafVersion, Precision: f.opt.Precision}
	if err := legacy.Write(w, form, &t, options); err != nil {
		if errors.Is(err, legacy.ErrUnwritable) {
			return nil, fmt.Errorf("%w: %w", ErrNotInForm, err)
		}
		return nil, err
	}
	return nil, nil
}

// speed is how many frames of a rendition were measured a second, as the table and the logs of the command line have it: over the time from the
// first task's beginning to the end. 0 where that is not known.
func speed(m *store.Measurement, frames int) float64 {
	if m.Started.IsZero() || m.Finished.IsZero() {
		return 0
	}
	// Through seconds and back, as a document has them, so that the figure has the same bits.
	elapsed := time.Duration(m.Finished.Sub(m.Started).Seconds() * float64(time.Second))
	if elapsed <= 0 {
		return 0
	}
	return float64(frames) / elapsed.Seconds()
}
