package psnrhvs

import "embed"

// Headers are the headers of this folder.
//
//go:embed *.h
var Headers embed.FS
