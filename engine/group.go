package engine

import (
	"errors"
	"fmt"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// group is the renditions that are compared in one format, and so share all that depends on the reference alone.
type group struct {
	format  vmaf.Format // before cropping: what pictures are converted to
	members []int       // renditions
	extract Extractor
}

// lumaOnly says whether a plan needs no chroma, so that none is read or converted.
func lumaOnly(*vmaf.Plan) bool {
	// VIF, ADM and motion, all there is so far, are of luma alone.
	return true
}

// makeGroups sorts renditions into groups and makes an extractor for each.
func makeGroups(r *Request, ref decode.Info, renditions []*rendition) (groups []*group, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, closeGroups(groups))
			groups = nil
		}
	}()
	for i, d := range renditions {
		if d.err != nil {
			continue
		}
		format := decode.CommonFormat(ref.Format, d.info.Format)
		at := -1
		for g := range groups {
			if groups[g].format == format {
				at = g
			}
		}
		if at < 0 {
			at = len(groups)
			groups = append(groups, &group{format: format})
		}
		groups[at].members = append(groups[at].members, i)
		d.group, d.slot = at, len(groups[at].members)-1
	}
	for _, g := range groups {
		format, err := cropped(g.format, r.Crop)
		if err != nil {
			return groups, err
		}
		if err := checkSize(r.Plan, format); err != nil {
			return groups, err
		}
		if g.extract, err = NewCPU(format, len(g.members), r.Plan.Extractions, r.Threads); err != nil {
			return groups, err
		}
	}
	return groups, nil
}

func closeGroups(groups []*group) error {
	var errs []error
	for _, g := range groups {
		if g.extract != nil {
			errs = append(errs, g.extract.Close())
		}
	}
	return errors.Join(errs...)
}

// cropped is a format after cropping.
func cropped(f vmaf.Format, r *decode.Rect) (vmaf.Format, error) {
	if r == nil {
		return f, nil
	}
	if r.X < 0 || r.Y < 0 || r.Width < 1 || r.Height < 1 || r.X+r.Width > f.Width || r.Y+r.Height > f.Height {
		return f, fmt.Errorf("%w: %v leaves the picture of %dx%d", decode.ErrCrop, *r, f.Width, f.Height)
	}
	f.Width, f.Height = r.Width, r.Height
	return f, nil
}

// checkSize refuses pictures that a feature is not defined for.
func checkSize(plan *vmaf.Plan, f vmaf.Format) error {
	var errs []error
	for _, e := range plan.Extractions {
		if f.Width < e.MinWidth() || f.Height < e.MinHeight() {
			errs = append(errs, fmt.Errorf("feature %s needs pictures of at least %dx%d, these are %dx%d",
				e.Extractor(), e.MinWidth(), e.MinHeight(), f.Width, f.Height))
		}
	}
	return errors.Join(errs...)
}
