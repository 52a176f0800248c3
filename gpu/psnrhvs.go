//go:build cuda

package gpu

import "errors"

var psnrHVSKind = featureKind{
	name:     "psnrhvs",
	wanted:   func(p Plan) bool { return p.PSNRHVS },
	validate: func(Plan) error { return errors.New("psnrhvs is not computed on a GPU yet") },
}
