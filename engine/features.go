package engine

import (
	"fmt"
	"slices"

	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// features is what a list of extractions asks of the kernels, with what makes figures of their sums. Extractions that differ only in
// what happens to the sums share one computation.
type features struct {
	columns Columns
	vif     []vifFigures
	adm     []admFigures
	motion  []motionFigures

	gains   []float64         // distinct gain limits of VIF
	configs []score.ADMConfig // distinct configurations of ADM
}

// vifFigures, admFigures and motionFigures are extractions with the place of their figures in a [Row] and the sums they are made of.
type vifFigures struct {
	score  *score.VIF
	offset int
	gain   int // index into features.gains
}
type admFigures struct {
	score  *score.ADM
	offset int
	config int // index into features.configs
}
type motionFigures struct {
	offset   int
	distance int  // 1 or 2 frames
	zero     bool // no pictures are looked at
}

// featuresOf sorts extractions by what the kernels compute. Its error is that of options that no kernel can serve.
func featuresOf(extractions []vmaf.Extraction) (*features, error) {
	f := &features{columns: ColumnsOf(extractions)}
	for i, e := range extractions {
		if err := f.add(e, f.columns.Offset[i]); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *features) add(e vmaf.Extraction, offset int) error {
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
	default:
		return fmt.Errorf("no kernel computes the extractor %q", e.Extractor())
	}
	return nil
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

func indexOrAppend(list *[]float64, v float64) int {
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

// pairFigures puts the figures of one pair where they belong. vif is by gain and adm by configuration; scratch is room that is reused.
func (f *features) pairFigures(row, scratch []float64, format vmaf.Format, vif func(gain int) *score.VIFSums, adm func(config int) *score.ADMSums) []float64 {
	for _, v := range f.vif {
		scratch = v.score.Figures(scratch[:0], vif(v.gain))
		copy(row[v.offset:], scratch)
	}
	for _, a := range f.adm {
		scratch = a.score.Figures(scratch[:0], adm(a.config), format.Width, format.Height)
		copy(row[a.offset:], scratch)
	}
	return scratch
}
