//go:build cuda

package gpu

import "errors"

var ssimKind = featureKind{
	name:     "ssim",
	wanted:   func(p Plan) bool { return len(p.SSIMScales) > 0 || p.MSSSIM },
	validate: func(Plan) error { return errors.New("ssim is not computed on a GPU yet") },
}
