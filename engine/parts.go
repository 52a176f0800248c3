package engine

// parts are the runs of frames that [Measure] measures each on its own where the request does not say how long a chunk is: one, unless
// decoders of a device work side by side.
func (c *Comparison) parts() [][2]int64 { return [][2]int64{{c.first, c.end}} }

// sideBySide is how many chunks are measured at a time.
func (c *Comparison) sideBySide() int { return 1 }
