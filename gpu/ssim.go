//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"math"

	"github.com/vqsd/vqsd/kernels/score"
)

// The launch shape of kernels/cuda/ssim.cu.
const (
	ssimThreads = 256
	// Positions each way of a block's tile. A block that has more shares less of what it filters with its neighbours, 42 rows across
	// for 32, but 48 KiB of shared memory are all there is.
	ssimTile = 32
	// Samples of a block of decimate and halve.
	ssimColumns, ssimRows = 32, 8
	ssimSums              = 4
	// Rows of decimated images begin at multiples of a sector of memory.
	ssimPitchAlignment = 32
)

var ssimKind = featureKind{
	name:     "ssim",
	wanted:   func(p Plan) bool { return len(p.SSIMScales) > 0 || p.MSSSIM },
	validate: ssimValidate, bytes: ssimBytes, words: ssimWords, open: newSSIM,
}

func ssimValidate(p Plan) error {
	var errs []error
	for _, scale := range p.SSIMScales {
		errs = append(errs, score.CheckSSIM(p.Format, scale))
	}
	if p.MSSSIM {
		errs = append(errs, score.CheckMSSSIM(p.Format))
	}
	return errors.Join(errs...)
}

// ssimPass is one pair of images that statistics are formed of: the pictures themselves, or images made of them in memory of ours.
type ssimPass struct {
	scale, level  int // as in kernels/cpu/native/ssim: a factor of decimation, or a level of the pyramid beyond 0
	width, height int
}

// own says whether the pass has images of its own.
func (s ssimPass) own() bool { return s.scale > 1 || s.level > 0 }

// pitchBytes and planeBytes are those of its images.
func (s ssimPass) pitchBytes() int {
	return (4*s.width + ssimPitchAlignment - 1) / ssimPitchAlignment * ssimPitchAlignment
}
func (s ssimPass) planeBytes() int { return s.pitchBytes() * s.height }

// ssimPasses are the passes of a plan, each once and levels in ascending order, and which of them are those of the plan's scales and of
// MS-SSIM's levels.
func ssimPasses(p Plan) (passes []ssimPass, scales, levels []int) {
	add := func(pass ssimPass) int {
		for i, other := range passes {
			if other == pass {
				return i
			}
		}
		passes = append(passes, pass)
		return len(passes) - 1
	}
	for _, scale := range p.SSIMScales {
		width, height := score.SSIMDecimated(p.Format.Width, p.Format.Height, scale)
		scales = append(scales, add(ssimPass{scale, 0, width, height}))
	}
	if p.MSSSIM {
		for level := range score.MSSSIMLevels {
			width, height := score.MSSSIMSize(p.Format.Width, p.Format.Height, level)
			levels = append(levels, add(ssimPass{1, level, width, height}))
		}
	}
	return passes, scales, levels
}

// ssim sums structural similarity at the plan's scales, and at five for MS-SSIM.
type ssim struct {
	passes         []ssimPass
	scales, levels []int // passes of the plan's scales and of MS-SSIM's levels
	// Tables of VqsPicture that describe the images of a pass: the reference of each frame, then the distorted picture of each pair.
	references, distorted []uint64 // by pass; 0 where it has none

	statistics, decimate, halve *kernel // on pictures
	statisticsOwn, halveOwn     *kernel // on images
}

// newSSIM makes the feature for a plan that has been found valid.
func newSSIM(d *Device, p Plan, m *memory) (feature, error) {
	s := &ssim{}
	s.passes, s.scales, s.levels = ssimPasses(p)
	suffix := sampleSuffix(p.Format.BytesPerSample() == 2)
	for _, k := range []struct {
		kernel **kernel
		name   string
	}{
		{&s.statistics, "statistics_" + suffix}, {&s.statisticsOwn, "statistics_f32"},
		{&s.decimate, "decimate_" + suffix}, {&s.halve, "halve_" + suffix}, {&s.halveOwn, "halve_f32"},
	} {
		var err error
		if *k.kernel, err = d.kernel("ssim", "vqs_ssim_"+k.name); err != nil {
			return nil, err
		}
	}
	s.references, s.distorted = make([]uint64, len(s.passes)), make([]uint64, len(s.passes))
	for i, pass := range s.passes {
		if !pass.own() {
			continue
		}
		what := fmt.Sprintf("pictures of %dx%d", pass.width, pass.height)
		pictures := p.Frames + p.pairs()
		planes, err := m.alloc(what, int64(pictures)*int64(pass.planeBytes()))
		if err != nil {
			return nil, err
		}
		var table []byte
		for n := range pictures {
			table = picture{address: planes + uint64(n)*uint64(pass.planeBytes()), pitchBytes: uint32(pass.pitchBytes())}.append(table)
		}
		if s.references[i], err = m.upload("table of "+what, table); err != nil {
			return nil, err
		}
		s.distorted[i] = s.references[i] + uint64(p.Frames*pictureBytes)
	}
	return s, nil
}

// ssimBytes is the device memory that newSSIM allocates for a plan.
func ssimBytes(p Plan) int64 {
	passes, _, _ := ssimPasses(p)
	bytes := int64(0)
	for _, pass := range passes {
		if pass.own() {
			bytes += int64(p.Frames+p.pairs()) * int64(pass.planeBytes()+pictureBytes)
		}
	}
	return bytes
}

// ssimWords is how many numbers a batch gives, the feature's resultWords.
func ssimWords(p Plan, _, pairs int) int {
	passes, _, _ := ssimPasses(p)
	return len(passes) * pairs * ssimSums
}

func (s *ssim) name() string { return "ssim" }

// resultWords: four sums for each pair, pass after pass.
func (s *ssim) resultWords(_, pairs int) int { return len(s.passes) * pairs * ssimSums }

// launch: a level's images are made of those of the level before, so they follow each other.
func (s *ssim) launch(st *stream, b *batch, results uint64) error {
	if b.pairs == 0 {
		return nil
	}
	// What the level before was made of: at first the pictures.
	level := ssimImages{width: b.width, height: b.height, references: b.referenceTable, distorted: b.distortedTable}
	pictures := level
	for i, pass := range s.passes {
		images, statistics := pictures, s.statistics
		if pass.own() {
			images = ssimImages{pass.width, pass.height, s.references[i], s.distorted[i], true}
			statistics = s.statisticsOwn
			from := pictures
			if pass.level > 0 {
				from = level
				level = images
			}
			if err := s.make(st, b, pass, from, images); err != nil {
				return err
			}
		}
		positions := score.SSIMTaps - 1
		grid := dim3{ssimBlocks(pass.width-positions, ssimTile), ssimBlocks(pass.height-positions, ssimTile), b.frames}
		shift := math.Ldexp(1.5, 52-score.SSIMFraction(pass.width, pass.height)) // SsimShift of kernels/common/ssim
		err := st.launch(statistics, grid, dim3{ssimThreads, 1, 1}, images.references, images.distorted, b.frameTable,
			uint64(images.width), uint64(images.height), uint64(b.bpc), math.Float64bits(shift), results+uint64(i*b.pairs*ssimSums*8))
		if err != nil {
			return err
		}
	}
	return nil
}

// ssimImages are what a pass looks at: tables of pictures of one size.
type ssimImages struct {
	width, height         int
	references, distorted uint64
	own                   bool // the references are numbered as the frames are
}

// make fills the images of a pass, references first.
func (s *ssim) make(st *stream, b *batch, pass ssimPass, from, to ssimImages) error {
	for _, side := range []struct {
		count                int
		source, frames, dest uint64
	}{
		{b.frames, from.references, b.frameTable, to.references},
		{b.pairs, from.distorted, 0, to.distorted},
	} {
		if from.own {
			side.frames = 0
		}
		grid := dim3{ssimBlocks(to.width, ssimColumns), ssimBlocks(to.height, ssimRows), side.count}
		k, args := s.decimate, []uint64{side.source, side.frames, uint64(from.width), uint64(from.height), uint64(b.bpc)}
		switch {
		case pass.level == 0:
			args = append(args, uint64(pass.scale))
		case from.own:
			k = s.halveOwn
		default:
			k = s.halve
		}
		if err := st.launch(k, grid, dim3{ssimThreads, 1, 1}, append(args, side.dest)...); err != nil {
			return err
		}
	}
	return nil
}

// ssimBlocks is how many blocks of size cover length.
func ssimBlocks(length, size int) int { return (length + size - 1) / size }

func (s *ssim) collect(words []uint64, b *batch, out *Sums) {
	sums := func(pass, pair int) score.SSIMSums {
		of := words[(pass*b.pairs+pair)*ssimSums:]
		return score.SSIMSums{Total: int64(of[0]), Luminance: int64(of[1]), Contrast: int64(of[2]), Structure: int64(of[3])}
	}
	out.SSIM = sized(out.SSIM, len(s.scales))
	for i, pass := range s.scales {
		out.SSIM[i] = sized(out.SSIM[i], b.pairs)
		for pair := range b.pairs {
			out.SSIM[i][pair] = sums(pass, pair)
		}
	}
	if len(s.levels) == 0 {
		return
	}
	out.MSSSIM = sized(out.MSSSIM, b.pairs)
	for pair := range b.pairs {
		for level, pass := range s.levels {
			of := sums(pass, pair)
			of.Total = 0
			out.MSSSIM[pair][level] = of
		}
	}
}

func (s *ssim) close() error { return nil }
