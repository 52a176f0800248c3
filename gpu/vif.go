//go:build cuda

package gpu

import "errors"

// newVIF makes the feature that sums VIF.
func newVIF(*Device, Plan, *memory) (feature, error) {
	return nil, errors.New("vif is not among the kernels yet")
}

// vifBytes is the device memory that newVIF allocates for a plan.
func vifBytes(Plan) int64 { return 0 }

// vifWords is how many numbers a batch gives, the feature's resultWords.
func vifWords(_ Plan, frames, pairs int) int { return 0 }
