package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vqsd/vqsd/gpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// features is what a list of extractions asks of the kernels, with what makes figures of their sums. Extractions that differ only in
// what happens to the sums share one computation.
type features struct {
	format  vmaf.Format
	columns Columns

	vif    []vifFigures
	adm    []admFigures
	motion []motionFigures
	sse    []sseFigures
	ssim   []ssimFigures
	cambi  []cambiFigures
	speed  []speedFigures
	// Extractions without options that sums depend on: all that is to be known is where their figures are.
	msssim, psnrHVS, ciede []int

	gains   []float64           // distinct gain limits of VIF
	configs []score.ADMConfig   // distinct configurations of ADM
	planes  int                 // of which squared errors are summed: 0, 1 or 3
	scales  []int               // distinct scales of SSIM
	speeds  []score.SpeedConfig // distinct configurations of SpEED
	sources []score.CambiConfig // distinct configurations of CAMBI of the reference
}

// The figures of an extraction: their place in a [Row], and the sums they are made of.
type (
	vifFigures struct {
		score  *score.VIF
		offset int
		gain   int // index into features.gains
	}
	admFigures struct {
		score  *score.ADM
		offset int
		config int // index into features.configs
	}
	motionFigures struct {
		offset   int
		distance int  // 1 or 2 frames
		zero     bool // no pictures are looked at
	}
	sseFigures struct {
		offset, planes int
		every          bool
	}
	ssimFigures struct {
		offset int
		scale  int // index into features.scales
	}
	cambiFigures struct {
		offset int
		score  []*score.Cambi // by rendition, whose encoded sizes may differ
		source []int          // by rendition: index into features.sources, or −1
	}
	speedFigures struct {
		score  *score.Speed
		offset int
		config int // index into features.speeds
	}
)

// featuresOf sorts extractions by what the kernels compute, for pictures of one format and for renditions that were encoded as encoded says, which
// has one for each. Its error is that of options that no kernel can serve.
func featuresOf(extractions []vmaf.Extraction, format vmaf.Format, encoded []vmaf.Encoded) (*features, error) {
	f := &features{format: format, columns: ColumnsOf(extractions)}
	for i, e := range extractions {
		if err := f.add(e, f.columns.Offset[i], encoded); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *features) add(e vmaf.Extraction, offset int, encoded []vmaf.Encoded) error {
	switch e.Extractor() {
	case "vif":
		v, err := score.NewVIF(e)
		if err != nil {
			return err
		}
		f.vif = append(f.vif, vifFigures{score: v, offset: offset, gain: indexOrAppend(&f.gains, v.GainLimit())})
	case "adm":
		a, err := score.ADMWeights(e)
		if err != nil {
			return err
		}
		f.adm = append(f.adm, admFigures{score: a, offset: offset, config: f.addConfig(a.Config())})
	case "motion":
		m := motionFigures{offset: offset, distance: e.Halo(), zero: e.Bool("motion_force_zero")}
		f.motion = append(f.motion, m)
	case "psnr":
		s := sseFigures{offset: offset, planes: len(e.Raw()), every: e.EveryFrame()}
		if f.format.Subsampling == vmaf.Gray {
			s.planes = 1
		}
		f.planes = max(f.planes, s.planes)
		f.sse = append(f.sse, s)
	case "float_ssim":
		f.ssim = append(f.ssim, ssimFigures{offset, indexOrAppend(&f.scales, score.SSIMScale(e, f.format))})
	case "float_ms_ssim":
		f.msssim = append(f.msssim, offset)
	case "psnr_hvs":
		f.psnrHVS = append(f.psnrHVS, offset)
	case "ciede":
		f.ciede = append(f.ciede, offset)
	case "cambi":
		return f.addCambi(e, offset, encoded)
	case "speed_chroma":
		s, err := score.NewSpeed(e, f.format)
		if err != nil {
			return err
		}
		f.speed = append(f.speed, speedFigures{score: s, offset: offset, config: indexOrAppend(&f.speeds, s.Config())})
	default:
		return fmt.Errorf("no kernel computes the extractor %q", e.Extractor())
	}
	return nil
}

func (f *features) addCambi(e vmaf.Extraction, offset int, encoded []vmaf.Encoded) error {
	c := cambiFigures{offset: offset}
	var errs []error
	for _, enc := range encoded {
		s, err := score.NewCambi(e.WithEncoded(enc, f.format), f.format)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		source := -1
		if config, ok := s.Source(); ok {
			source = indexOrAppend(&f.sources, config)
		}
		c.score, c.source = append(c.score, s), append(c.source, source)
	}
	f.cambi = append(f.cambi, c)
	return errors.Join(errs...)
}

// addConfig shares a configuration between extractions that differ only in whether the additive impairment is wanted.
func (f *features) addConfig(config score.ADMConfig) int {
	for i := range f.configs {
		with := f.configs[i]
		with.AIM = config.AIM
		if with == config {
			f.configs[i].AIM = f.configs[i].AIM || config.AIM
			return i
		}
	}
	f.configs = append(f.configs, config)
	return len(f.configs) - 1
}

func indexOrAppend[T comparable](list *[]T, v T) int {
	if i := slices.Index(*list, v); i >= 0 {
		return i
	}
	*list = append(*list, v)
	return len(*list) - 1
}

// distances are the distinct distances at which motion looks at pictures, ascending.
func (f *features) distances() []int {
	var list []int
	for _, m := range f.motion {
		if !m.zero && !slices.Contains(list, m.distance) {
			list = append(list, m.distance)
		}
	}
	slices.Sort(list)
	return list
}

// chroma says whether any feature looks at chroma.
func (f *features) chroma() bool {
	return f.planes == 3 || len(f.psnrHVS)+len(f.ciede)+len(f.speed) > 0
}

// cambiConfigs are, by CAMBI extraction and by rendition, the configurations for which distorted pictures are scored.
func (f *features) cambiConfigs() [][]score.CambiConfig {
	var lists [][]score.CambiConfig
	for _, c := range f.cambi {
		var list []score.CambiConfig
		for _, s := range c.score {
			list = append(list, s.Distorted())
		}
		lists = append(lists, list)
	}
	return lists
}

// place says which sums are those of a pair: its own number in them, that of its frame, and its rendition.
type place struct{ pair, frame, rendition int }

// pairFigures puts the figures of one pair where they belong. scratch is room that is reused. partial: subsampling leaves the pair out, so
// that only what is formed of every pair is wanted, and the sums have nothing else.
func (f *features) pairFigures(row, scratch []float64, sums *gpu.Sums, at place, partial bool) []float64 {
	put := func(offset int) { copy(row[offset:], scratch) }
	for _, s := range f.sse {
		if partial && !s.every {
			continue
		}
		for plane := range s.planes {
			// Exact below 2^53. Above, which takes 16 bits and hardly any likeness, it is rounded as psnr rounds it before the division.
			row[s.offset+plane] = float64(sums.SSE[at.pair][plane])
		}
	}
	if partial {
		return scratch
	}
	for _, v := range f.vif {
		scratch = v.score.Figures(scratch[:0], &sums.VIF[v.gain][at.pair])
		put(v.offset)
	}
	for _, a := range f.adm {
		scratch = a.score.Figures(scratch[:0], &sums.ADM[a.config][at.pair], f.format.Width, f.format.Height)
		put(a.offset)
	}
	for _, s := range f.ssim {
		scratch = score.SSIMFigures(scratch[:0], &sums.SSIM[s.scale][at.pair], f.format, f.scales[s.scale])
		put(s.offset)
	}
	for _, offset := range f.msssim {
		scratch = score.MSSSIMFigures(scratch[:0], &sums.MSSSIM[at.pair], f.format)
		put(offset)
	}
	for _, offset := range f.psnrHVS {
		scratch = score.PSNRHVSFigures(scratch[:0], &sums.PSNRHVS[at.pair], f.format)
		put(offset)
	}
	for _, offset := range f.ciede {
		scratch = score.CIEDEFigures(scratch[:0], sums.CIEDE[at.pair], f.format)
		put(offset)
	}
	for i, c := range f.cambi {
		var source *score.CambiSums
		if s := c.source[at.rendition]; s >= 0 {
			source = &sums.CambiSource[s][at.frame]
		}
		scratch = c.score[at.rendition].Figures(scratch[:0], &sums.Cambi[i][at.pair], source)
		put(c.offset)
	}
	for _, s := range f.speed {
		scratch = s.score.Figures(scratch[:0], &sums.Speed[s.config][at.pair])
		put(s.offset)
	}
	return scratch
}
