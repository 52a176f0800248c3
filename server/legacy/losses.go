package legacy

import "github.com/vqsd/vqsd/vmaf"

// Losses names what a table has and its file in the format will not, in words for people: one element for each kind of loss, none if the file
// holds everything. It is meaningful where [Write] takes the same arguments.
func Losses(f Format, t *vmaf.Table, opt WriteOptions) []string { return nil }
