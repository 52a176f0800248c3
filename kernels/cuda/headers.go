package cuda

import "embed"

// Headers are the headers of this folder. Packages that compile them import this one, so that a changed header rebuilds them; see
// kernels/common.
//
//go:embed *.h
var Headers embed.FS
