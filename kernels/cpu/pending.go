package cpu

// Stand-ins until the kernels are there, so that the engine compiles. Whoever brings the real one deletes its part here.

import (
	"errors"

	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

var errPending = errors.New("not computed yet")

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
