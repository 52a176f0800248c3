//go:build cuda

package gpu

import "errors"

var ciedeKind = featureKind{
	name:     "ciede",
	wanted:   func(p Plan) bool { return p.CIEDE },
	validate: func(Plan) error { return errors.New("ciede is not computed on a GPU yet") },
}
