package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// HeatMap shows where CAMBI finds banding in one distorted picture, at one of its scales.
type HeatMap struct {
	Rendition int   // index into Request.Distorted
	Frame     int64 // reference frame that the picture is compared with
	Scale     int   // 0 … 4; each halves the one before
	// Width and Height are the size at that scale, and Samples how strong the banding is there as a share of 65535, row after row. They are
	// valid until the function that is called with them returns.
	Width, Height int
	Samples       []uint16
}

// errNoBanding is the error of heat maps without the feature that they are of.
var errNoBanding = errors.New("heat maps: the plan has no cambi feature, and no model that uses it; add the feature cambi")

// banding is the extraction of a plan that heat maps show: its first of CAMBI.
func banding(extractions []vmaf.Extraction) (vmaf.Extraction, bool) {
	i := slices.IndexFunc(extractions, func(e vmaf.Extraction) bool { return e.Extractor() == "cambi" })
	if i < 0 {
		return vmaf.Extraction{}, false
	}
	return extractions[i], true
}

// heatMapper makes the heat maps of one group's renditions, on one goroutine. It computes on the processor, whatever the backend.
type heatMapper struct {
	tell    func(HeatMap) error
	members []*member // by slot
	configs []score.CambiConfig
	scratch *cpu.CambiScratch
	samples [score.CambiScales][]uint16
}

// newHeatMapper makes one for a group of a run, or nil where nobody wants heat maps.
func (r *run) newHeatMapper(group int) (*heatMapper, error) {
	if r.c.req.HeatMaps == nil {
		return nil, nil
	}
	e, ok := banding(r.work.Extractions)
	if !ok {
		return nil, errNoBanding
	}
	h := &heatMapper{tell: r.c.req.HeatMaps}
	format := r.groups[group].compared
	for _, m := range r.members {
		if m.slot < 0 || m.runGroup != group {
			continue
		}
		s, err := score.NewCambi(e.WithEncoded(m.encoded, format), format)
		if err != nil {
			return nil, err
		}
		h.members, h.configs = append(h.members, m), append(h.configs, s.Distorted())
	}
	var err error
	h.scratch, err = cpu.NewCambiScratch(format.Width, format.Height, format.BitsPerComponent, h.configs)
	return h, err
}

// show makes the maps of all pictures of a set.
func (h *heatMapper) show(set *FrameSet, frame int64) error {
	for slot, picture := range set.Distorted {
		if picture == nil || set.partial(slot) {
			continue
		}
		config := &h.configs[slot]
		for scale := range h.samples {
			width, height := config.ScaleSize(scale)
			h.samples[scale] = slices.Grow(h.samples[scale][:0], width*height)[:width*height]
		}
		if err := h.scratch.HeatMaps(picture.Planes[0], slot, &h.samples); err != nil {
			return fmt.Errorf("%s: reference frame %d: heat maps: %w", h.members[slot].info.Path, frame, err)
		}
		for scale, samples := range h.samples {
			width, height := config.ScaleSize(scale)
			if err := h.tell(HeatMap{h.members[slot].index, frame, scale, width, height, samples}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *heatMapper) close() error {
	if h == nil || h.scratch == nil {
		return nil
	}
	return h.scratch.Close()
}
