//go:build cuda

package gpu

import "errors"

var speedKind = featureKind{
	name:     "speed",
	wanted:   func(p Plan) bool { return len(p.Speed) > 0 },
	validate: func(Plan) error { return errors.New("speed is not computed on a GPU yet") },
}
