//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"math"

	"github.com/vqsd/vqsd/kernels/score"
)

// The launch shape of kernels/cuda/vif.cu. A block has a strip of the picture: 256 columns, of which those of the halo on both sides, 8 at
// scale 0 and 4 after, are filtered vertically alone. It goes down its rows in bands of 4.
const (
	vifThreads = 256
	vifScales  = 4
	vifBand    = 4
	// A block that has more rows reads more of what it needs from the first-level cache, where the band before has brought it, and forms
	// its sums over the warps less often. By the count of instructions, 64 rows leave either below a
	// thirtieth of the block's.
	vifMostRows = 64
	// With fewer, most of a block's time goes into beginning and end.
	vifFewestRows = 2 * vifBand
	// As many blocks as a multiprocessor has room for: by registers, of which a thread takes up to 80. Compute capability 7.5 has shared
	// memory for two.
	vifResident = 3
	// Blocks have about equally much to do, so that the last of them leave multiprocessors idle for a part of 1/vifWaves at the most.
	vifWaves = 4

	minVIFSize = 16 // below, a plane of the pyramid is one row or column, which has no mirror image; spec/vif.md §8

	// Rows of the pyramid begin at multiples of a sector of memory.
	vifPitchAlignment = 32
	vifLevels         = vifScales - 1 // of the pyramid that lie in memory of ours
)

// vif sums VIF under the plan's gain limits.
type vif struct {
	device *Device
	gains  []float64
	scales [vifScales]*kernel
	// Tables of VqsPicture that describe the pyramid: by level the reference of each frame, then the distorted picture of each pair.
	references, distorted [vifLevels]uint64
}

// vifLevel is a level of the pyramid for a plan.
type vifLevel struct{ width, height, pitchBytes, planeBytes int }

func vifPyramid(p Plan) (levels [vifLevels]vifLevel) {
	width, height := p.Format.Width, p.Format.Height
	for i := range levels {
		width, height = width/2, height/2
		pitch := (2*width + vifPitchAlignment - 1) / vifPitchAlignment * vifPitchAlignment
		levels[i] = vifLevel{width, height, pitch, pitch * height}
	}
	return levels
}

var vifKind = featureKind{
	name:     "vif",
	wanted:   func(p Plan) bool { return len(p.VIFGains) > 0 },
	validate: vifValidate, bytes: vifBytes, words: vifWords, open: newVIF,
}

// vifValidate says what of a plan VIF can not do.
func vifValidate(p Plan) error {
	var errs []error
	for i, gain := range p.VIFGains {
		if !(gain >= 1 && gain <= 100) {
			errs = append(errs, fmt.Errorf("VIF gain limit %d is %g; must be 1 … 100", i, gain))
		}
	}
	if f := p.Format; min(f.Width, f.Height) < minVIFSize {
		errs = append(errs, fmt.Errorf("pictures of %dx%d; VIF needs at least %dx%d", f.Width, f.Height, minVIFSize, minVIFSize))
	}
	return errors.Join(errs...)
}

// newVIF makes the feature that sums VIF, for a plan that has been found valid.
func newVIF(d *Device, p Plan, m *memory) (feature, error) {
	v := &vif{device: d, gains: p.VIFGains}
	for scale := range v.scales {
		k, err := d.kernel("vif", fmt.Sprintf("vqs_vif_scale%d_%s", scale, sampleSuffix(scale > 0 || p.Format.BytesPerSample() == 2)))
		if err != nil {
			return nil, err
		}
		v.scales[scale] = k
	}
	for i, level := range vifPyramid(p) {
		pictures := p.Frames + p.pairs()
		planes, err := m.alloc(fmt.Sprintf("pictures of scale %d", i+1), int64(pictures)*int64(level.planeBytes))
		if err != nil {
			return nil, err
		}
		var table []byte
		for n := range pictures {
			table = picture{address: planes + uint64(n)*uint64(level.planeBytes), pitchBytes: uint32(level.pitchBytes)}.append(table)
		}
		if v.references[i], err = m.upload(fmt.Sprintf("table of scale %d", i+1), table); err != nil {
			return nil, err
		}
		v.distorted[i] = v.references[i] + uint64(p.Frames*pictureBytes)
	}
	return v, nil
}

// vifBytes is the device memory that newVIF allocates for a plan.
func vifBytes(p Plan) int64 {
	bytes := int64(0)
	for _, level := range vifPyramid(p) {
		bytes += int64(p.Frames+p.pairs()) * int64(level.planeBytes+pictureBytes)
	}
	return bytes
}

// vifPairWords is how many numbers the kernels give for a pair: DL, C, NV and NL under each limit, each by scale.
func vifPairWords(gains int) int { return (3 + gains) * vifScales }

// vifWords is how many numbers a batch gives, the feature's resultWords.
func vifWords(p Plan, _, pairs int) int { return pairs * vifPairWords(len(p.VIFGains)) }

func (v *vif) name() string { return "vif" }

func (v *vif) resultWords(_, pairs int) int { return pairs * vifPairWords(len(v.gains)) }

// vifStrip is how many columns of a scale a block has for itself.
func vifStrip(scale int) int {
	if scale == 0 {
		return vifThreads - 2*8
	}
	return vifThreads - 2*4
}

// vifGrid is the grid for planes of a scale, and the rows of each block: fewer where there would not be enough blocks to keep the device
// busy.
func vifGrid(scale, width, height, frames, multiprocessors int) (grid dim3, rows int) {
	strips := (width + vifStrip(scale) - 1) / vifStrip(scale)
	segments := func() int { return (height + rows - 1) / rows }
	for rows = vifMostRows; rows > vifFewestRows && strips*segments()*frames < vifWaves*vifResident*multiprocessors; {
		rows /= 2
	}
	return dim3{strips, segments(), frames}, rows
}

// launch: each scale's kernel makes the pictures of the next scale, so they follow each other. Limits go two by two, since that is what a
// measurement has, the plain model's and that of the one without enhancement gain; a third one costs the moments again.
func (v *vif) launch(s *stream, b *batch, results uint64) error {
	if b.pairs == 0 {
		return nil
	}
	for gain := 0; gain < len(v.gains); gain += 2 {
		first, second := v.gains[gain], v.gains[min(gain+1, len(v.gains)-1)]
		references, distorted := b.referenceTable, b.distortedTable
		for scale, k := range v.scales {
			width, height := b.width>>scale, b.height>>scale
			var nextReferences, nextDistorted uint64
			if scale < vifLevels {
				nextReferences, nextDistorted = v.references[scale], v.distorted[scale]
			}
			grid, rows := vifGrid(scale, width, height, b.frames, v.device.info.Multiprocessors)
			err := s.launch(k, grid, dim3{vifThreads, 1, 1}, references, distorted, b.frameTable, nextReferences, nextDistorted,
				uint64(width), uint64(height), uint64(rows), uint64(gain), uint64(len(v.gains)),
				math.Float64bits(first), math.Float64bits(second), results)
			if err != nil {
				return err
			}
			references, distorted = nextReferences, nextDistorted
		}
	}
	return nil
}

func (v *vif) collect(words []uint64, b *batch, out *Sums) {
	for pair := range b.pairs {
		of := words[pair*vifPairWords(len(v.gains)):]
		for gain := range v.gains {
			sums := score.VIFSums{}
			for scale := range vifScales {
				sums.DL[scale] = int64(of[scale])
				sums.C[scale] = int64(of[vifScales+scale])
				sums.NV[scale] = int64(of[2*vifScales+scale])
				sums.NL[scale] = int64(of[(3+gain)*vifScales+scale])
			}
			out.VIF[gain][pair] = sums
		}
	}
}

func (v *vif) close() error { return nil }
