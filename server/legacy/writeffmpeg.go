package legacy

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vqsd/vqsd/vmaf"
)

// psnrForm is what FFmpeg's PSNR file of a table is made of.
type psnrForm struct {
	planes    []psnrPlane
	mse, psnr *vmaf.Series // over all planes; nil: formed of the planes'
	peak      float64      // of the samples; 0: not known, nor needed
}

// psnrPlane is a plane's figures: either is formed of the other one where that is nil.
type psnrPlane struct {
	plane
	mse, psnr *vmaf.Series
	weight    float64 // share of the picture's samples
}

// use finds a series and makes it a column, so that frames need it.
func (o *writer) use(name string) *vmaf.Series {
	k := slices.IndexFunc(o.t.Series, func(s vmaf.Series) bool { return s.Name == name })
	if k < 0 {
		return nil
	}
	o.columns = append(o.columns, column{o.t.Series[k], k, name})
	return &o.t.Series[k]
}

func (o *writer) has(name string) bool {
	return slices.ContainsFunc(o.t.Series, func(s vmaf.Series) bool { return s.Name == name })
}

// prepareFFmpegPSNR decides what of the table is written, and refuses what would have to be made up.
func (o *writer) prepareFFmpegPSNR() error {
	run := o.opt.Run
	switch {
	case run.StatsVersion < 0 || run.StatsVersion > 2:
		return fmt.Errorf("stats version %d, where FFmpeg has 1 and 2", run.StatsVersion)
	case run.OutputMax && run.StatsVersion != 2:
		return fmt.Errorf("peaks need stats version 2")
	case run.BitsPerComponent < 0 || run.BitsPerComponent > 16:
		return fmt.Errorf("%d bits per component, outside 1 … 16", run.BitsPerComponent)
	}
	form := &o.psnr
	form.peak = float64(int(1)<<run.BitsPerComponent - 1)
	present := func(p plane) bool { return o.has("mse_"+p.suffix) || o.has("psnr_"+p.suffix) }
	planes, err := ffmpegFormOf(present)
	if err != nil {
		return fmt.Errorf("PSNR or MSE %w", err)
	}
	measured := o.has(ffmpegMSE) && o.has(ffmpegPSNR) // by FFmpeg
	if measured {
		form.mse, form.psnr = o.use(ffmpegMSE), o.use(ffmpegPSNR)
	} else if err := o.checkAverages(planes); err != nil {
		return err
	}
	needPeak := run.OutputMax || !measured
	for _, p := range planes {
		figures := psnrPlane{plane: p, mse: o.use("mse_" + p.suffix)}
		// libvmaf's PSNR stops at a cap that FFmpeg does not know, its MSE does not.
		if figures.mse == nil || measured {
			figures.psnr = o.use("psnr_" + p.suffix)
		}
		needPeak = needPeak || figures.mse == nil || figures.psnr == nil
		figures.weight = o.samples(p)
		form.planes = append(form.planes, figures)
	}
	if needPeak && run.BitsPerComponent == 0 {
		return fmt.Errorf("the bit depth of the pictures is not known: %w without the peak of the samples", ErrUnwritable)
	}
	total := 0.0
	for _, p := range form.planes {
		total += p.weight
	}
	for k := range form.planes {
		form.planes[k].weight /= total
	}
	return o.checkComplete()
}

// ffmpegFormOf is the planes of the pictures, as far as there are figures of them: Y, YUV or RGB, and alpha.
func ffmpegFormOf(present func(plane) bool) ([]plane, error) {
	y, rgb, alpha := ffmpegPlanes[:3], ffmpegPlanes[3:6], ffmpegPlanes[6]
	planes := y
	if present(rgb[0]) && !present(y[0]) {
		planes = rgb
	}
	var missing []string
	for _, p := range planes {
		if !present(p) {
			missing = append(missing, p.suffix)
		}
	}
	switch {
	case planes[0] == y[0] && len(missing) == 2 && present(y[0]):
		planes = y[:1]
	case len(missing) > 0:
		return nil, fmt.Errorf("of the planes %s is missing: %w; measure it, or choose another log format", strings.Join(missing, ", "), ErrUnwritable)
	}
	planes = planes[:len(planes):len(planes)]
	if present(alpha) {
		planes = append(planes, alpha)
	}
	return planes, nil
}

// checkAverages requires what FFmpeg's figures over all planes are formed of.
func (o *writer) checkAverages(planes []plane) error {
	run := o.opt.Run
	luma := planes[0].letter == 'y'
	colour := luma && len(planes) >= 3
	switch {
	case run.BitsPerComponent == 0:
		return fmt.Errorf("bit depth and chroma subsampling of the pictures are not known: %w without the figures over all planes", ErrUnwritable)
	case luma && !colour && run.Subsampling != vmaf.Gray:
		return fmt.Errorf("the pictures have chroma planes and there is no PSNR of them: %w; measure it, or choose another log format", ErrUnwritable)
	case colour && run.Subsampling == vmaf.Gray:
		return fmt.Errorf("there is PSNR of chroma planes and the pictures have none: %w", ErrUnwritable)
	case len(planes) > 1 && (o.t.Width < 1 || o.t.Height < 1):
		return fmt.Errorf("the size of the pictures is not known: %w without the figures over all planes", ErrUnwritable)
	}
	return nil
}

// samples is how many samples a plane has. FFmpeg rounds the size of chroma planes up.
func (o *writer) samples(p plane) float64 {
	w, h := max(o.t.Width, 1), max(o.t.Height, 1)
	if p.letter == 'u' || p.letter == 'v' {
		switch o.opt.Run.Subsampling {
		case vmaf.Chroma420:
			w, h = (w+1)/2, (h+1)/2
		case vmaf.Chroma422:
			w = (w + 1) / 2
		}
	}
	return float64(w) * float64(h)
}

// toPSNR and toMSE turn one figure into the other. There is no cap: of equal pictures, PSNR is infinite.
func (f *psnrForm) toPSNR(mse float64) float64 { return 10 * math.Log10(f.peak*f.peak/mse) }
func (f *psnrForm) toMSE(psnr float64) float64 { return f.peak * f.peak / math.Pow(10, psnr/10) }

// at are both figures of frame i.
func (f *psnrForm) at(p psnrPlane, i int) (mse, psnr float64) {
	switch {
	case p.mse == nil:
		return f.toMSE(p.psnr.Values[i]), p.psnr.Values[i]
	case p.psnr == nil:
		return p.mse.Values[i], f.toPSNR(p.mse.Values[i])
	}
	return p.mse.Values[i], p.psnr.Values[i]
}

func (o *writer) ffmpegPSNR() {
	form, run := &o.psnr, o.opt.Run
	if run.StatsVersion == 2 {
		o.text("psnr_log_version:2 fields:n")
		kinds := []string{"mse_", "psnr_", "max_"}
		if !run.OutputMax {
			kinds = kinds[:2]
		}
		for _, kind := range kinds {
			o.text(",", kind, "avg")
			for _, p := range form.planes {
				o.text(",", kind, string(rune(p.letter)))
			}
		}
		o.text("\n")
	}
	field := func(name, letter string, x float64) {
		o.text(name, letter, ":")
		o.fixed(x, 2)
		o.text(" ")
	}
	peak := strconv.Itoa(int(form.peak)) + " "
	mse, psnr := make([]float64, len(form.planes)), make([]float64, len(form.planes))
	for i := range o.t.Frames {
		if !o.hasFrame(i) {
			continue
		}
		average := 0.0
		for k, p := range form.planes {
			mse[k], psnr[k] = form.at(p, i)
			average += float64(mse[k] * p.weight)
		}
		averagePSNR := form.toPSNR(average)
		if form.mse != nil {
			average, averagePSNR = form.mse.Values[i], form.psnr.Values[i]
		}
		o.text("n:")
		o.int(i + 1)
		o.text(" ")
		field("mse_", "avg", average)
		for k, p := range form.planes {
			field("mse_", string(rune(p.letter)), mse[k])
		}
		field("psnr_", "avg", averagePSNR)
		for k, p := range form.planes {
			field("psnr_", string(rune(p.letter)), psnr[k])
		}
		if run.OutputMax {
			o.text("max_avg:", peak)
			for _, p := range form.planes {
				o.text("max_", string(rune(p.letter)), ":", peak)
			}
		}
		o.text("\n")
	}
}

// prepareFFmpegSSIM finds the series that FFmpeg's SSIM file consists of. No other metric stands for them.
func (o *writer) prepareFFmpegSSIM() error {
	planes, err := ffmpegFormOf(func(p plane) bool { return o.has(ssimName(p)) })
	if err != nil || !o.has(ffmpegSSIM) {
		return fmt.Errorf("there are no figures of FFmpeg's SSIM (%s and one for each plane), and float_ssim is another metric: %w; choose another log format",
			ffmpegSSIM, ErrUnwritable)
	}
	for _, p := range planes {
		o.use(ssimName(p))
	}
	o.use(ffmpegSSIM)
	o.use(ffmpegDB)
	return o.checkComplete()
}

func ssimName(p plane) string { return "ffmpeg_ssim_" + string(rune(p.letter)) }

func (o *writer) ffmpegSSIM() {
	for i := range o.t.Frames {
		if !o.hasFrame(i) {
			continue
		}
		o.text("n:")
		o.int(i + 1)
		decibels := 0.0
		for _, c := range o.columns {
			x := c.Values[i] // present: checkComplete
			switch c.name {
			case ffmpegDB:
				decibels = x
				continue
			case ffmpegSSIM:
				o.text(" All:")
				decibels = -10 * math.Log10(1-x)
			default:
				o.text(" ", strings.ToUpper(c.name[len(c.name)-1:]), ":")
			}
			o.fixed(x, 6)
		}
		o.text(" (")
		o.fixed(decibels, 6)
		o.text(")\n")
	}
}
