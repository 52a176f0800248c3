//go:build cuda

package gpu

import "errors"

// newADM makes the feature that sums ADM.
func newADM(*Device, Plan, *memory) (feature, error) {
	return nil, errors.New("adm is not among the kernels yet")
}

// admBytes is the device memory that newADM allocates for a plan.
func admBytes(Plan) int64 { return 0 }

// admWords is how many numbers a batch gives, the feature's resultWords.
func admWords(_ Plan, frames, pairs int) int { return 0 }
