//go:build cuda

package gpu

import "errors"

var cambiKind = featureKind{
	name:     "cambi",
	wanted:   func(p Plan) bool { return len(p.Cambi)+len(p.CambiSource) > 0 },
	validate: func(Plan) error { return errors.New("cambi is not computed on a GPU yet") },
}
