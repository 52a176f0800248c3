package synth

import (
	"context"
	"fmt"
	"io"

	"github.com/vqsd/vqsd/vmaf"
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
	bytes := c.Format().BytesPerSample()
	luma := c.Width * c.Height * bytes
	chromaWidth, chromaHeight := vmaf.Chroma420.ChromaSize(c.Width, c.Height)
	chroma := chromaWidth * chromaHeight * bytes
	frame := make([]byte, luma+2*chroma)
	for n := range c.Frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.Luma(frame[:luma], n, rendition)
		c.chroma(frame[luma:luma+chroma], n, 1)
		c.chroma(frame[luma+chroma:], n, 2)
		if _, err := io.WriteString(w, "FRAME\n"); err != nil {
			return err
		}
		if _, err := w.Write(frame); err != nil {
			return err
		}
	}
	return nil
}
