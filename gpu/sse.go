//go:build cuda

package gpu

import "errors"

var sseKind = featureKind{
	name:     "sse",
	wanted:   func(p Plan) bool { return p.SSEPlanes > 0 },
	validate: func(Plan) error { return errors.New("sse is not computed on a GPU yet") },
}
