package cpu

// Stand-ins until the kernels are there, so that the engine compiles. Whoever brings the real one deletes its part here.

import (
	"errors"

	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

var errPending = errors.New("not computed yet")

// SSIMScratch is pending.
type SSIMScratch struct{}

// NewSSIMScratch is pending.
func NewSSIMScratch(int, int, int, int, []int, bool) (*SSIMScratch, error) { return nil, errPending }

// SSIM is pending.
func (*SSIMScratch) SSIM(vmaf.Plane, []vmaf.Plane, [][]score.SSIMSums, []score.MSSSIMSums) error {
	return errPending
}

// Close is pending.
func (*SSIMScratch) Close() error { return nil }

// PSNRHVSScratch is pending.
type PSNRHVSScratch struct{}

// NewPSNRHVSScratch is pending.
func NewPSNRHVSScratch(vmaf.Format, int) (*PSNRHVSScratch, error) { return nil, errPending }

// PSNRHVS is pending.
func (*PSNRHVSScratch) PSNRHVS(*vmaf.Picture, []*vmaf.Picture, []score.PSNRHVSSums) error {
	return errPending
}

// Close is pending.
func (*PSNRHVSScratch) Close() error { return nil }

// CIEDEScratch is pending.
type CIEDEScratch struct{}

// NewCIEDEScratch is pending.
func NewCIEDEScratch(vmaf.Format, int) (*CIEDEScratch, error) { return nil, errPending }

// CIEDE is pending.
func (*CIEDEScratch) CIEDE(*vmaf.Picture, []*vmaf.Picture, []score.CIEDESums) error {
	return errPending
}

// Close is pending.
func (*CIEDEScratch) Close() error { return nil }

// CambiScratch is pending.
type CambiScratch struct{}

// NewCambiScratch is pending.
func NewCambiScratch(int, int, int, []score.CambiConfig) (*CambiScratch, error) {
	return nil, errPending
}

// Cambi is pending.
func (*CambiScratch) Cambi(vmaf.Plane, int, *score.CambiSums) error { return errPending }

// Close is pending.
func (*CambiScratch) Close() error { return nil }

// SpeedScratch is pending.
type SpeedScratch struct{}

// NewSpeedScratch is pending.
func NewSpeedScratch(vmaf.Format, int, []score.SpeedConfig) (*SpeedScratch, error) {
	return nil, errPending
}

// Speed is pending.
func (*SpeedScratch) Speed(*vmaf.Picture, []*vmaf.Picture, [][]score.SpeedSums) error {
	return errPending
}

// Close is pending.
func (*SpeedScratch) Close() error { return nil }
