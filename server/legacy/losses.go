package legacy

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/vmaf"
)

// Losses names what a table has and its file in the format will not, in words for people: one element for each kind of loss, none if the file
// holds all figures. How many digits a format has is no loss here, nor are size and speed, which every format but libvmaf's XML lacks one of.
// It is meaningful where [Write] takes the same arguments, and nil where Write does not.
func Losses(f Format, t *vmaf.Table, opt WriteOptions) []string {
	o, err := newWriter(io.Discard, f, t, opt)
	if err != nil {
		return nil
	}
	var losses []string
	lose := func(format string, args ...any) { losses = append(losses, fmt.Sprintf(format, args...)) }
	scores, others := o.withoutColumn(f)
	if len(scores) > 0 {
		lose("%s: only one model's score has a place", strings.Join(scores, ", "))
	}
	if len(others) > 0 {
		lose("%s: no column in this form", strings.Join(others, ", "))
	}
	if stands := o.standing(f); len(stands) > 0 {
		lose("%s: features in integer arithmetic, under the names of those that vmafossexec computed in floating point", strings.Join(stands, ", "))
	}
	if f == JSON {
		for _, c := range o.columns {
			if n := o.count(c.Series, notFinite); n > 0 {
				lose("%s: infinite or undefined in %d of %d frames, written as null", c.name, n, o.listed())
			}
		}
		for _, a := range t.Aggregates {
			if notFinite(a.Value) {
				lose("%s: infinite or undefined, written as null", a.Name)
			}
		}
	}
	if f == FFmpegPSNR {
		losses = append(losses, o.psnrLosses()...)
	}
	if names := aggregateNames(t); f != XML && f != JSON && len(names) > 0 {
		lose("aggregates: %s", strings.Join(names, ", "))
	}
	if names := o.poolsWithoutPlace(f); len(names) > 0 {
		lose("pooled figures of the imported log: %s", strings.Join(names, ", "))
	}
	return losses
}

// withoutColumn are the series that are not written: models' scores, as their names have it, and others.
func (o *writer) withoutColumn(f Format) (scores, others []string) {
	for k, s := range o.t.Series {
		name := vmaf.Alias(s.Name)
		written := f.libvmaf() || slices.ContainsFunc(o.columns, func(c column) bool {
			// Of FFmpeg's PSNR, either figure is formed of the other one.
			return c.index == k || f == FFmpegPSNR && "psnr_"+strings.TrimPrefix(c.name, "mse_") == name
		})
		switch {
		case written:
		case strings.HasPrefix(name, "vmaf") && f != FFmpegPSNR && f != FFmpegSSIM:
			scores = append(scores, name)
		default:
			others = append(others, name)
		}
	}
	return scores, others
}

// standing are the integer features in the places of vmafossexec's.
func (o *writer) standing(f Format) (names []string) {
	if f != VmafossexecXML && f != VmafossexecJSON && f != VmafossexecCSV {
		return nil
	}
	for _, c := range o.columns {
		if name := vmaf.Alias(c.Series.Name); strings.HasPrefix(name, "integer_") {
			names = append(names, name)
		}
	}
	return names
}

// count is how many listed values are of a kind.
func (o *writer) count(s vmaf.Series, is func(float64) bool) (n int) {
	for i := range o.t.Frames {
		if x, ok := s.At(i); ok && o.t.Measured(i) && is(x) {
			n++
		}
	}
	return n
}

// psnrLosses are what FFmpeg's PSNR file cannot say of libvmaf's PSNR.
func (o *writer) psnrLosses() (losses []string) {
	if o.psnr.mse != nil {
		return nil // FFmpeg's own
	}
	limit := float64(6*o.opt.Run.BitsPerComponent + 12) // spec/classic-metrics.md §2
	for _, p := range o.psnr.planes {
		if p.psnr == nil {
			continue
		}
		if n := o.count(*p.psnr, func(x float64) bool { return x >= limit }); n > 0 {
			losses = append(losses, fmt.Sprintf("psnr_%s: at libvmaf's limit of %v dB in %d of %d frames, where FFmpeg writes what is beyond", p.suffix, limit, n, o.listed()))
		}
	}
	width, height := o.t.Width, o.t.Height
	odd := o.opt.Run.Subsampling == vmaf.Chroma420 && (width|height)&1 == 1 || o.opt.Run.Subsampling == vmaf.Chroma422 && width&1 == 1
	if odd && len(o.psnr.planes) > 1 {
		losses = append(losses, "chroma planes: libvmaf leaves out their last odd column and row, which FFmpeg counts")
	}
	return losses
}

func aggregateNames(t *vmaf.Table) (names []string) {
	for _, a := range t.Aggregates {
		names = append(names, a.Name)
	}
	return names
}

// poolsWithoutPlace are the pooled figures given that are not written.
func (o *writer) poolsWithoutPlace(f Format) (names []string) {
	for _, p := range o.opt.Pooled {
		var methods []string
		for _, figure := range p.Figures {
			if !o.writesPooled(f, p.Name, figure.Name) {
				methods = append(methods, figure.Name)
			}
		}
		if len(methods) > 0 {
			names = append(names, p.Name+" ("+strings.Join(methods, ", ")+")")
		}
	}
	return names
}

// writesPooled says whether a pooled figure of a series has a place.
func (o *writer) writesPooled(f Format, series, method string) bool {
	column := slices.IndexFunc(o.columns, func(c column) bool { return vmaf.Alias(c.Series.Name) == series })
	if column < 0 {
		return false
	}
	switch f {
	case XML, JSON:
		return slices.Contains(poolOrder[:], vmaf.PoolMethod(method))
	case VmafossexecXML, VmafossexecJSON:
		for _, p := range vmafossexecPooled {
			if p.column == o.columns[column].name {
				return method == string(o.method) && (f == VmafossexecXML || p.key != "")
			}
		}
	}
	return false
}
