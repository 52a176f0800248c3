package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// group is the renditions beside which the reference's pictures are the same to the bit, and so all that depends on these alone.
type group struct {
	format   vmaf.Format        // what pictures are converted to
	filter   decode.ScaleFilter // how the reference's are scaled, where they are
	compared vmaf.Format        // format after cropping
}

// place finds, or makes, the group of a rendition and returns its index.
func (c *Comparison) place(d *rendition) (int, error) {
	g := group{format: decode.CommonFormat(c.refInfo.Format, d.info.Format)}
	g.format.BitsPerComponent = max(g.format.BitsPerComponent, d.treated.BitsPerComponent)
	size := d.treated.size(c.refInfo)
	g.format.Width, g.format.Height = size.Width, size.Height
	if size != sizeOf(c.refInfo) {
		g.filter = d.treated.filter()
	}
	var err error
	if g.compared, err = cropped(g.format, c.req.Crop); err != nil {
		return -1, err
	}
	for i, have := range c.groups {
		if *have == g {
			return i, nil
		}
	}
	c.groups = append(c.groups, &g)
	return len(c.groups) - 1, nil
}

// cropped is a format after cropping.
func cropped(f vmaf.Format, r *decode.Rect) (vmaf.Format, error) {
	if r == nil {
		return f, nil
	}
	if r.X < 0 || r.Y < 0 || r.Width < 1 || r.Height < 1 || r.X+r.Width > f.Width || r.Y+r.Height > f.Height {
		return f, fmt.Errorf("%w: %v leaves the picture of %dx%d", decode.ErrCrop, *r, f.Width, f.Height)
	}
	if err := r.Check(f); err != nil {
		return f, err
	}
	f.Width, f.Height = r.Width, r.Height
	return f, nil
}

// ErrTooSmall is the error of pictures that are smaller than a feature is defined for, or of a depth or subsampling that it is not.
var ErrTooSmall = vmaf.ErrFormat

// checkFormat refuses pictures that a feature is not defined for. encoded is what the rendition was encoded in. What several option
// sets of one extractor need is said once.
func checkFormat(extractions []vmaf.Extraction, encoded vmaf.Encoded, f vmaf.Format) error {
	var errs []error
	for _, e := range extractions {
		err := e.WithEncoded(encoded, f).CheckFormat(f)
		if err != nil && !slices.ContainsFunc(errs, func(have error) bool { return have.Error() == err.Error() }) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
