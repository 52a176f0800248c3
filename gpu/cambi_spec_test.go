//go:build cuda

package gpu

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// cambiSpec is spec/cambi.md §5 to §7 word for word, as a second opinion beside the CPU's: it shares nothing with the kernels, and no
// table of theirs.
type cambiSpec struct {
	score.CambiConfig
	width, height int
	image         []int
	mask          []bool
}

func (s *cambiSpec) at(r, c int) int { return s.image[r*s.width+c] }

// cambiSpecSums are the sums of a plane of samples of f.
func cambiSpecSums(config score.CambiConfig, f vmaf.Format, p *vmaf.Plane) (sums score.CambiSums) {
	s := &cambiSpec{CambiConfig: config, width: config.Width, height: config.Height}
	s.convert(f, p)
	if config.AntiDither {
		s.antiDither()
	}
	s.spatialMask()
	for scale := range sums {
		if scale > 0 || config.HighRes {
			s.decimate()
		}
		s.filter()
		sums[scale] = s.pool(s.values())
	}
	return sums
}

func (s *cambiSpec) convert(f vmaf.Format, p *vmaf.Plane) {
	s.image = make([]int, s.width*s.height)
	n, bpc := f.BytesPerSample(), f.BitsPerComponent
	rows, columns := cambiSpecPositions(f.Height, s.height), cambiSpecPositions(f.Width, s.width)
	for r := range s.height {
		for c := range s.width {
			at := rows[r]*p.StrideBytes + columns[c]*n
			v := int(p.Data[at])
			if n == 2 {
				v |= int(p.Data[at+1]) << 8
			}
			switch {
			case bpc <= 9:
				v <<= 10 - bpc
			case bpc > 10:
				v = (v + 1<<(bpc-11)) >> (bpc - 10)
			}
			s.image[r*s.width+c] = v
		}
	}
}

func cambiSpecPositions(in, out int) []int {
	positions := make([]int, out)
	ratio := float32(in) / float32(out)
	x := float32(float64(ratio/2) - 0.5)
	for c := range positions {
		positions[c] = min(int(math.Trunc(float64(x)+0.5)), in-1)
		x = x + ratio
	}
	if in == out {
		for c := range positions {
			positions[c] = c
		}
	}
	return positions
}

func (s *cambiSpec) antiDither() {
	out := slices.Clone(s.image)
	for r := range s.height {
		for c := range s.width {
			switch down, right := r < s.height-1, c < s.width-1; {
			case down && right:
				out[r*s.width+c] = (s.at(r, c) + s.at(r, c+1) + s.at(r+1, c) + s.at(r+1, c+1)) >> 2
			case down:
				out[r*s.width+c] = (s.at(r, c) + s.at(r+1, c)) >> 1
			case right:
				out[r*s.width+c] = (s.at(r, c) + s.at(r, c+1)) >> 1
			}
		}
	}
	s.image = out
}

func (s *cambiSpec) spatialMask() {
	flat := func(r, c int) int {
		if r < 0 || c < 0 || r >= s.height || c >= s.width || c < s.width-1 && s.at(r, c) != s.at(r, c+1) ||
			r < s.height-1 && s.at(r, c) != s.at(r+1, c) {
			return 0
		}
		return 1
	}
	k, lg := (s.width>>6)*(s.height>>6), 0
	for 1<<lg < k {
		lg++
	}
	threshold := (49 + 3*(lg-11) - 1) >> 1
	s.mask = make([]bool, len(s.image))
	for r := range s.height {
		for c := range s.width {
			box := 0
			for i := -3; i <= 3; i++ {
				for j := -3; j <= 3; j++ {
					box += flat(r+i, c+j)
				}
			}
			s.mask[r*s.width+c] = box > threshold
		}
	}
}

func (s *cambiSpec) decimate() {
	width, height := (s.width+1)>>1, (s.height+1)>>1
	image, mask := make([]int, width*height), make([]bool, width*height)
	for r := range height {
		for c := range width {
			image[r*width+c], mask[r*width+c] = s.at(2*r, 2*c), s.mask[2*r*s.width+2*c]
		}
	}
	s.width, s.height, s.image, s.mask = width, height, image, mask
}

func (s *cambiSpec) filter() {
	mode3 := func(a, b, c int) int {
		switch {
		case a == b || a == c:
			return a
		case b == c:
			return b
		}
		return min(a, b, c)
	}
	across, out := slices.Clone(s.image), slices.Clone(s.image)
	for r := range s.height {
		for c := 1; c <= s.width-2; c++ {
			across[r*s.width+c] = mode3(s.at(r, c-1), s.at(r, c), s.at(r, c+1))
		}
	}
	for r := 1; r <= s.height-2; r++ {
		for c := range s.width {
			out[r*s.width+c] = mode3(across[(r-1)*s.width+c], across[r*s.width+c], across[(r+1)*s.width+c])
		}
	}
	s.image = out
}

var cambiSpecWeights = [32]int{1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}

var cambiSpecReciprocals = func() (table [4226]float32) {
	for i := 1; i < len(table); i++ {
		v, err := strconv.ParseFloat(fmt.Sprintf("%.8e", 1/float64(i)), 32)
		if err != nil {
			panic(err)
		}
		table[i] = float32(v)
	}
	return table
}()

func (s *cambiSpec) values() []float32 {
	values := make([]float32, len(s.image))
	half, n := s.Window/2, s.Contrasts
	counts := make([]int, 1100)
	for r := range s.height {
		for c := range s.width {
			if !s.mask[r*s.width+c] {
				continue
			}
			clear(counts)
			for i := max(r-half, 0); i <= min(r+half, s.height-1); i++ {
				for j := max(c-half, 0); j <= min(c+half, s.width-1); j++ {
					if s.mask[i*s.width+j] {
						counts[s.at(i, j)]++
					}
				}
			}
			v := s.at(r, c)
			for d := range n {
				if v > s.Visible[d] || v+n+d+1 <= s.DarkLimit {
					continue
				}
				m := counts[v+d+1]
				if v-d-1 >= 0 {
					m = max(m, counts[v-d-1])
				}
				product := float32(int32(cambiSpecWeights[d] * counts[v] * m))
				values[r*s.width+c] = max(values[r*s.width+c], product*cambiSpecReciprocals[m+counts[v]])
			}
		}
	}
	return values
}

func (s *cambiSpec) pool(values []float32) uint64 {
	k := min(max(int(math.Trunc(s.TopShare*float64(len(values)))), 1), len(values))
	slices.SortFunc(values, func(a, b float32) int { return int(math.Float32bits(b)) - int(math.Float32bits(a)) })
	sum := uint64(0)
	for _, c := range values[:k] {
		sum += uint64(float64(c) * (1 << 24))
	}
	return sum
}
