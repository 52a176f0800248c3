package vmaf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// FormatError says what a feature needs of pictures that these do not have. It is an [ErrFormat].
type FormatError struct {
	Extractor string // "psnr_hvs"
	Needs     string // "8 … 12 bits per component"
	Format    Format // of the pictures
	TooSmall  bool   // larger pictures of the same kind would do
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("feature %s needs %s; the compared pictures are %v", e.Extractor, e.Needs, e.Format)
}

// Is lets errors.Is find [ErrFormat].
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// CheckFormat returns nil if the extraction is defined for pictures of a format, else an error of [*FormatError]s, one for each thing that
// they lack, joined.
func (e Extraction) CheckFormat(f Format) error {
	c := formatCheck{extractor: e.extractor.name, format: f}
	if f.Width < e.extractor.minWidth || f.Height < e.extractor.minHeight {
		c.tooSmall("pictures of at least %d×%d", e.extractor.minWidth, e.extractor.minHeight)
	} else if e.extractor.fit != nil {
		e.extractor.fit(e, &c)
	}
	return errors.Join(c.errs...)
}

// CheckFormat is [Extraction.CheckFormat] for all extractions of the plan.
func (p *Plan) CheckFormat(f Format) error {
	var errs []error
	for _, e := range p.Extractions {
		errs = append(errs, e.CheckFormat(f))
	}
	return errors.Join(errs...)
}

// formatCheck collects what an extractor needs of a format and does not find.
type formatCheck struct {
	extractor string
	format    Format
	errs      []error
}

func (c *formatCheck) refuse(tooSmall bool, needs string, args ...any) {
	c.errs = append(c.errs, &FormatError{Extractor: c.extractor, Needs: fmt.Sprintf(needs, args...), Format: c.format, TooSmall: tooSmall})
}

func (c *formatCheck) tooSmall(needs string, args ...any) { c.refuse(true, needs, args...) }

// depth requires one of some bit depths.
func (c *formatCheck) depth(allowed ...int) {
	if slices.Contains(allowed, c.format.BitsPerComponent) {
		return
	}
	var list strings.Builder
	for i, bits := range allowed {
		switch {
		case i == len(allowed)-1 && i > 0:
			list.WriteString(" or ")
		case i > 0:
			list.WriteString(", ")
		}
		fmt.Fprint(&list, bits)
	}
	c.refuse(false, "%s bits per component", list.String())
}

// chroma requires chroma planes of at least width × height samples, counted as the metrics see them: [Format.MeasuredChroma].
func (c *formatCheck) chroma(width, height int) {
	if c.format.Subsampling == Gray {
		c.refuse(false, "chroma planes")
		return
	}
	if w, h := c.format.MeasuredChroma(); w < width || h < height {
		c.tooSmall("chroma planes of at least %d×%d, a last odd column or row not counted", width, height)
	}
}

// MeasuredChroma is how many samples of each chroma plane the metrics look at: of odd luma sizes, the last column or row of the chroma planes, which
// covers only half as much, is left out. Source: spec/classic-metrics.md §1.1.
func (f Format) MeasuredChroma() (width, height int) {
	switch f.Subsampling {
	case Chroma420:
		return f.Width / 2, f.Height / 2
	case Chroma422:
		return f.Width / 2, f.Height
	case Chroma444:
		return f.Width, f.Height
	}
	return 0, 0
}
