package synth

import (
	"context"
	"fmt"
	"io"
)

// Rate is the frame rate that clips say they have, in frames a second.
const Rate = 25

// WriteY4M writes all frames of a rendition as a y4m file. It ends soon after ctx does, with its error.
func (c Content) WriteY4M(ctx context.Context, w io.Writer, rendition int) error {
	if err := c.Validate(); err != nil {
		return err
	}
	colour := "420jpeg"
	if c.BitsPerComponent > 8 {
		colour = fmt.Sprintf("420p%d XYSCSS=420P%d", c.BitsPerComponent, c.BitsPerComponent)
	}
	if _, err := fmt.Fprintf(w, "YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C%s\n", c.Width, c.Height, Rate, colour); err != nil {
		return err
	}
	frame := make([]byte, c.FrameBytes())
	for n := range c.Frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.Frame(frame, n, rendition)
		if _, err := io.WriteString(w, "FRAME\n"); err != nil {
			return err
		}
		if _, err := w.Write(frame); err != nil {
			return err
		}
	}
	return nil
}
