package score

// Stand-ins until the real ones are there, so that the engine compiles. Whoever brings one deletes its part here.

import (
	"errors"

	"github.com/vqsd/vqsd/vmaf"
)

var errPending = errors.New("not computed yet")

// SSIMScale is pending.
func SSIMScale(vmaf.Extraction, vmaf.Format) int { return 1 }

// SSIMFigures is pending.
func SSIMFigures(dst []float64, _ *SSIMSums, _ vmaf.Format, _ int) []float64 { return dst }

// MSSSIMFigures is pending.
func MSSSIMFigures(dst []float64, _ *MSSSIMSums, _ vmaf.Format) []float64 { return dst }

// PSNRHVSFigures is pending.
func PSNRHVSFigures(dst []float64, _ *PSNRHVSSums, _ vmaf.Format) []float64 { return dst }

// CIEDEFigures is pending.
func CIEDEFigures(dst []float64, _ CIEDESums, _ vmaf.Format) []float64 { return dst }

// Speed is pending.
type Speed struct{}

// NewSpeed is pending.
func NewSpeed(vmaf.Extraction, vmaf.Format) (*Speed, error) { return nil, errPending }

// Config is pending.
func (*Speed) Config() SpeedConfig { return SpeedConfig{} }

// Figures is pending.
func (*Speed) Figures(dst []float64, _ *SpeedSums) []float64 { return dst }
