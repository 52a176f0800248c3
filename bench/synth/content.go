package synth

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/vqsd/vqsd/vmaf"
)

// Content is a clip: a reference and any number of renditions of it, all of one size and depth.
type Content struct {
	Width, Height    int    // luma samples, 16 … 16384 each
	BitsPerComponent int    // 8 … 16
	Frames           int    // at least 1
	Seed             uint64 // another seed is another clip
}

// Reference is the rendition that is the reference itself. Renditions count from 1, each worse than the one before.
const Reference = 0

// MaxRendition is the worst rendition.
const MaxRendition = 64

// Sizes of what pictures are made from, in samples; powers of two.
const (
	textureSize = 512
	grainSize   = 1 << 16
)

// sceneFrames is how long a scene lasts; between two there is a cut.
const sceneFrames = 24

// Validate reports every field that is out of range.
func (c Content) Validate() error {
	var errs []error
	check := func(name string, value, least, most int) {
		if value < least || value > most {
			errs = append(errs, fmt.Errorf("%s is %d; the range is %d to %d", name, value, least, most))
		}
	}
	check("width", c.Width, 16, 16384)
	check("height", c.Height, 16, 16384)
	check("bits per component", c.BitsPerComponent, 8, 16)
	check("frames", c.Frames, 1, 1<<20)
	return errors.Join(errs...)
}

// Format is that of the pictures: 4:2:0, limited range.
func (c Content) Format() vmaf.Format {
	return vmaf.Format{Width: c.Width, Height: c.Height, BitsPerComponent: c.BitsPerComponent, Subsampling: vmaf.Chroma420}
}

// material is what pictures of one seed are cut from: values of 16 bits.
type material struct {
	texture [textureSize * textureSize]uint16
	grain   [grainSize]int16 // around 0, up to ±1024
}

// materials are those in use, since making one takes longer than a small picture.
var materials sync.Map // uint64 → *material

func materialOf(seed uint64) *material {
	if m, ok := materials.Load(seed); ok {
		return m.(*material)
	}
	m := &material{}
	random := rand.New(rand.NewPCG(seed, 0x76717364))
	for i := range m.grain {
		// The sum of three is bell-shaped enough for grain.
		m.grain[i] = int16(random.IntN(683) + random.IntN(683) + random.IntN(683) - 1023)
	}
	// Value noise in four octaves: a coarse grid of random heights with straight lines between, and finer and lower ones on top.
	for octave, period := range []int{64, 32, 16, 8} {
		n := textureSize / period
		grid := make([]int, n*n)
		for i := range grid {
			grid[i] = random.IntN(24000 >> octave)
		}
		at := func(y, x int) int { return grid[y%n*n+x%n] }
		for y := range textureSize {
			gy, fy := y/period, y%period
			for x := range textureSize {
				gx, fx := x/period, x%period
				top := at(gy, gx)*(period-fx) + at(gy, gx+1)*fx
				bottom := at(gy+1, gx)*(period-fx) + at(gy+1, gx+1)*fx
				m.texture[y*textureSize+x] += uint16((top*(period-fy) + bottom*fy) / (period * period))
			}
		}
	}
	kept, _ := materials.LoadOrStore(seed, m)
	return kept.(*material)
}

// The limited range of luma, at 16 bits.
const (
	black = 16 << 8
	white = 235 << 8
)

// Luma writes the luma samples of frame n of a rendition into dst, row after row without gaps, each a little-endian word at more than 8
// bits. dst has Width × Height × bytes per sample bytes. Frames may lie beyond Frames.
func (c Content) Luma(dst []byte, n, rendition int) {
	m := materialOf(c.Seed)
	wide := c.Format().BytesPerSample() == 2
	shift := 16 - c.BitsPerComponent
	row, blurred := make([]int32, c.Width), make([]int32, c.Width)
	for y := range c.Height {
		c.row(row, m, n, y)
		if rendition > Reference {
			degrade(blurred, row, m, n, y, rendition)
			row, blurred = blurred, row
		}
		if wide {
			out := dst[y*c.Width*2:]
			for x, v := range row {
				s := clip(v) >> shift
				out[2*x], out[2*x+1] = byte(s), byte(s>>8)
			}
		} else {
			out := dst[y*c.Width:]
			for x, v := range row {
				out[x] = byte(clip(v) >> 8)
			}
		}
	}
}

// row makes a row of the reference, at 16 bits: texture that pans, bars that cross it, and grain.
func (c Content) row(dst []int32, m *material, n, y int) {
	scene := n / sceneFrames
	panX, panY := 3*n+scene*171, n+scene*97
	texture := m.texture[(y+panY)%textureSize*textureSize:][:textureSize]
	// Grain is new in every row of every frame: it begins somewhere else in the table.
	grain := (n*7919 + y*104729 + scene*31) & 0x7fffffff
	// A bright bar leans to the right and moves fast; a dark box drifts the other way.
	barWidth := max(4, c.Width/24)
	bar := (n*c.Width/40 + y/3) % (c.Width + barWidth)
	boxSide := max(8, c.Height/4)
	boxLeft := (c.Width - n*2%c.Width) % c.Width
	boxTop := c.Height / 3
	inBox := y >= boxTop && y < boxTop+boxSide
	for x := range dst {
		v := int32(texture[(x+panX)%textureSize]) + 6000
		switch {
		case x >= bar-barWidth && x < bar:
			v += 16000
		case inBox && x >= boxLeft && x < boxLeft+boxSide:
			v = v/4 + 4000
		}
		dst[x] = v + int32(m.grain[(grain+x*3)&(grainSize-1)])
	}
}

// degrade makes a row of a rendition of one of the reference: softer, coarser and with noise of its own, all by its number.
func degrade(dst, src []int32, m *material, n, y, rendition int) {
	last := len(src) - 1
	soft := int32(min(rendition, 8)) // of 8
	step := int32(256 + 160*rendition)
	grain := n*3571 + y*6151 + rendition*977
	for x, v := range src {
		around := (src[max(x-1, 0)] + 2*v + src[min(x+1, last)]) / 4
		v += (around - v) * soft / 8
		v = v / step * step
		dst[x] = v + int32(m.grain[(grain+x*5)&(grainSize-1)])*int32(rendition)/16
	}
}

func clip(v int32) int32 { return min(max(v, black), white) }

// FrameBytes is how many bytes [Content.Frame] writes.
func (c Content) FrameBytes() int {
	luma, chroma := c.planeBytes()
	return luma + 2*chroma
}

func (c Content) planeBytes() (luma, chroma int) {
	bytes := c.Format().BytesPerSample()
	width, height := vmaf.Chroma420.ChromaSize(c.Width, c.Height)
	return c.Width * c.Height * bytes, width * height * bytes
}

// Frame writes the samples of frame n of a rendition into dst, plane after plane, each as Luma writes it.
func (c Content) Frame(dst []byte, n, rendition int) {
	luma, chroma := c.planeBytes()
	c.Luma(dst[:luma], n, rendition)
	c.chroma(dst[luma:luma+chroma], n, rendition, 1)
	c.chroma(dst[luma+chroma:luma+2*chroma], n, rendition, 2)
}

// chroma writes one chroma plane: slow gradients with a little of luma's texture and grain, in renditions in coarser steps.
func (c Content) chroma(dst []byte, n, rendition, plane int) {
	m := materialOf(c.Seed)
	width, height := vmaf.Chroma420.ChromaSize(c.Width, c.Height)
	wide := c.Format().BytesPerSample() == 2
	shift := 16 - c.BitsPerComponent
	step := int32(1)
	if rendition > Reference {
		step = int32(192 + 128*rendition)
	}
	at := 0
	for y := range height {
		texture := m.texture[(y+n)%textureSize*textureSize:][:textureSize]
		grain := (n*7919 + y*104729 + plane*53) & 0x7fffffff
		for x := range width {
			v := int32(128<<8) + int32(x*9000/width-4500)*int32(2*plane-3) + int32(y*5000/height-2500) + int32(n*64%4096) - 2048
			v += int32(texture[(x+3*n+plane*91)%textureSize])/8 + int32(m.grain[(grain+x*3)&(grainSize-1)])/4
			v = v / step * step
			s := min(max(v, 16<<8), 240<<8) >> shift
			if wide {
				dst[at], dst[at+1] = byte(s), byte(s>>8)
				at += 2
			} else {
				dst[at] = byte(s)
				at++
			}
		}
	}
}
