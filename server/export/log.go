package export

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/vqsd/vqsd/server/ingest"
	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/server/record"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// The versions that logs name: those of the programs whose logs they equal.
const (
	libvmafVersion     = "3.2.0"
	vmafossexecVersion = "1.3.15"
)

// writeLog writes a form of package legacy.
func (f *File) writeLog(w io.Writer) (losses []string, err error) {
	form, err := legacy.ParseFormat(string(f.format))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotInForm, err)
	}
	t := *f.frames.Table // shared
	var options legacy.WriteOptions
	if f.m.Imported != nil && f.m.Rescored == "" {
		options = f.importedOptions()
	} else {
		t.FPS = speed(f.m, t.Frames)
		options = f.measuredOptions()
	}
	options.Precision = f.opt.Precision
	if err := legacy.Write(w, form, &t, options); err != nil {
		if errors.Is(err, legacy.ErrUnwritable) {
			return nil, fmt.Errorf("%w: %w", ErrNotInForm, err)
		}
		return nil, err
	}
	return legacy.Losses(form, &t, options), nil
}

// importedOptions are what the log said that a measurement was imported from, through a record or straight. In another form it says what that form
// says otherwise, but for the file's own pooled figures and what is known of the run. Only logs of libvmaf's name its version: that of a record is of
// the program that wrote the record.
func (f *File) importedOptions() legacy.WriteOptions {
	options := ingest.WriteOptions(f.m.Imported)
	options.Run.Pool = cmp.Or(f.opt.Pool, options.Run.Pool)
	from := Record
	if origin := record.Origin(f.m.Imported); origin != nil {
		from = Format(origin.Form)
	}
	if from == f.format {
		return options
	}
	own := f.measuredOptions()
	if options.Version == "" || !from.libvmaf() || !f.format.libvmaf() {
		options.Version = own.Version
	}
	options.Run.Score, options.Run.Model = own.Run.Score, cmp.Or(options.Run.Model, own.Run.Model)
	if options.Run.BitsPerComponent == 0 {
		options.Run.BitsPerComponent = own.Run.BitsPerComponent
	}
	if own.Run.BitsPerComponent != 0 {
		options.Run.Subsampling = own.Run.Subsampling
	}
	return options
}

// older says whether a format is one of the 1.x tools.
func (f Format) older() bool {
	return f == VmafossexecXML || f == VmafossexecJSON || f == VmafossexecCSV
}

// libvmaf says whether a format is one of libvmaf's own.
func (f Format) libvmaf() bool { return f == XML || f == JSON || f == CSV || f == SUB }

// measuredOptions are what forms say beside the figures of a measurement that vqsd made.
func (f *File) measuredOptions() legacy.WriteOptions {
	d := f.of()
	options := legacy.WriteOptions{Version: libvmafVersion, Run: legacy.Run{Pool: f.opt.Pool, TimeTaken: elapsed(f.m).Seconds()}}
	if f.format.older() {
		options.Version = vmafossexecVersion
	}
	if f.m.Plan != nil && len(f.m.Plan.Models) > 0 {
		model := &f.m.Plan.Models[0]
		options.Run.Model, options.Run.Score = modelFile(model), model.Name
		if len(model.Series) > 0 {
			options.Run.Score = model.Series[0]
		}
	}
	if subsampling, err := vmaf.ParseSubsampling(d.Format.Subsampling); err == nil {
		options.Run.BitsPerComponent, options.Run.Subsampling = d.Format.BitDepth, subsampling
	}
	return options
}

// modelFile is what the 1.x tools would call a model: the name of a file, which of the built-in ones had this extension. "":
// none is known.
func modelFile(m *store.Model) string {
	name := path.Base(m.Version)
	if name == "." || name == "/" {
		return "" // not known, as with most logs
	}
	if path.Ext(name) == ".json" || path.Ext(name) == ".pkl" {
		return name
	}
	return name + ".pkl"
}

// speed is how many frames of a rendition were measured a second, as the table and the logs of the command line have it. 0 where that is not
// known.
func speed(m *store.Measurement, frames int) float64 {
	if d := elapsed(m); d > 0 {
		return float64(frames) / d.Seconds()
	}
	return 0
}

// elapsed is the time from the first task's beginning to the end; 0 where that is not known.
func elapsed(m *store.Measurement) time.Duration {
	if m.Started.IsZero() || m.Finished.IsZero() {
		return 0
	}
	// Through seconds and back, as documents have it, so that what is made of it has the same bits.
	return max(0, time.Duration(m.Finished.Sub(m.Started).Seconds()*float64(time.Second)))
}
