package decode

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/vqsd/vqsd/vmaf"
)

// Rotation says how stored pictures are turned for showing: first transposed (rows become columns), then mirrored. The
// zero value leaves them as they are.
type Rotation struct{ Transpose, HFlip, VFlip bool }

// String reads "90°" for a clockwise turn, or names the mirroring; "" for none.
func (r Rotation) String() string {
	switch r {
	case Rotation{}:
		return ""
	case Rotation{Transpose: true, HFlip: true}:
		return "90°"
	case Rotation{HFlip: true, VFlip: true}:
		return "180°"
	case Rotation{Transpose: true, VFlip: true}:
		return "270°"
	case Rotation{HFlip: true}:
		return "mirrored left to right"
	case Rotation{VFlip: true}:
		return "mirrored top to bottom"
	case Rotation{Transpose: true}:
		return "90° and mirrored left to right"
	}
	return "270° and mirrored left to right"
}

// rotationOf does with a display matrix (row by row, 16.16 fixed point) what the ffmpeg command of version 5.1 does by default: the angle,
// rounded to a degree, selects one of its transpose, hflip and vflip filters. Other angles would need resampling and are an error.
func rotationOf(m [9]int32) (Rotation, error) {
	f := func(i int) float64 { return float64(m[i]) }
	across, down := math.Hypot(f(0), f(3)), math.Hypot(f(1), f(4))
	if across == 0 || down == 0 {
		return Rotation{}, nil
	}
	theta := math.Round(math.Atan2(f(1)/down, f(0)/across) * 180 / math.Pi)
	theta -= 360 * math.Floor(theta/360+0.9/360)
	switch {
	case math.Abs(theta-90) < 1:
		return Rotation{Transpose: true, HFlip: m[3] <= 0}, nil
	case math.Abs(theta-180) < 1:
		return Rotation{HFlip: m[0] < 0, VFlip: m[4] < 0}, nil
	case math.Abs(theta-270) < 1:
		return Rotation{Transpose: true, HFlip: m[3] < 0, VFlip: true}, nil
	case math.Abs(theta) < 1:
		return Rotation{VFlip: m[4] < 0}, nil
	}
	return Rotation{}, fmt.Errorf("%w: metadata turn pictures by %v°; only multiples of 90° can be applied, or none (no rotation)", ErrUnsupported, theta)
}

// parseMatrix reads the bytes of a display matrix as FFmpeg keeps them, in the machine's order.
func parseMatrix(b []byte) (m [9]int32, ok bool) {
	if len(b) < 36 {
		return m, false
	}
	for i := range m {
		m[i] = int32(binary.NativeEndian.Uint32(b[4*i:]))
	}
	return m, true
}

// format is what pictures of format f become.
func (r Rotation) format(f vmaf.Format) (vmaf.Format, error) {
	if !r.Transpose {
		return f, nil
	}
	if f.Subsampling == vmaf.Chroma422 {
		return f, fmt.Errorf("%w: 4:2:2 pictures turned by 90° are not 4:2:2 any more; ignore the rotation (no rotation)", ErrUnsupported)
	}
	f.Width, f.Height = f.Height, f.Width
	return f, nil
}

// apply returns a turned copy of f, with memory from p.
func (r Rotation) apply(f *Frame, p *pool, lumaOnly bool) (*Frame, error) {
	format, err := r.format(f.Format)
	if err != nil {
		return nil, err
	}
	out := p.frame()
	out.describeAs(f)
	if err := out.allocate(format, 64, lumaOnly); err != nil {
		out.Release()
		return nil, err
	}
	for i := range f.Format.Subsampling.Planes() {
		if out.Planes[i].Data == nil || f.Planes[i].Data == nil {
			continue
		}
		if format.BytesPerSample() == 1 {
			turn[uint8](r, f.Planes[i], out.Planes[i], 1)
		} else {
			turn[uint16](r, f.Planes[i], out.Planes[i], 2)
		}
	}
	return out, nil
}

// turn copies a plane sample by sample, in squares that stay in the cache.
func turn[S uint8 | uint16](r Rotation, from, to vmaf.Plane, bytes int) {
	const square = 32
	row := func(p vmaf.Plane, y int) []S {
		return samples[S](p.Data[y*p.StrideBytes : y*p.StrideBytes+p.Width*bytes])
	}
	for y0 := 0; y0 < to.Height; y0 += square {
		for x0 := 0; x0 < to.Width; x0 += square {
			for y := y0; y < min(y0+square, to.Height); y++ {
				out := row(to, y)
				sy := y
				if r.VFlip {
					sy = to.Height - 1 - y
				}
				if !r.Transpose {
					in := row(from, sy)
					for x := x0; x < min(x0+square, to.Width); x++ {
						if r.HFlip {
							out[x] = in[to.Width-1-x]
						} else {
							out[x] = in[x]
						}
					}
					continue
				}
				for x := x0; x < min(x0+square, to.Width); x++ {
					sx := x
					if r.HFlip {
						sx = to.Width - 1 - x
					}
					out[x] = row(from, sx)[sy]
				}
			}
		}
	}
}
