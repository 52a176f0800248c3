//go:build cuda

package gpu

import (
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// The launch shape of kernels/cuda/ciede.cu: a block makes 128 columns × 8 rows, a thread for each column. That is a thousand blocks for a
// picture of 1080 rows and more, and one sum over the lanes for 256 pixels.
const (
	ciedeThreads = 128
	ciedeRows    = 8
)

var ciedeKind = featureKind{
	name:     "ciede",
	wanted:   func(p Plan) bool { return p.CIEDE },
	validate: func(p Plan) error { return score.CheckCIEDE(p.Format) },
	bytes:    func(Plan) int64 { return 0 },
	words:    func(_ Plan, _, pairs int) int { return 2 * pairs },
	open:     newCIEDE,
}

// ciede sums colour differences.
type ciede struct {
	layout uint64 // Layout of the kernel's source
	sum    *kernel
}

func newCIEDE(d *Device, p Plan, _ *memory) (feature, error) {
	layout := map[vmaf.Subsampling]uint64{vmaf.Chroma420: 0, vmaf.Chroma422: 1, vmaf.Chroma444: 2}[p.Format.Subsampling]
	k, err := d.kernel("ciede", "vqs_ciede_sum_"+sampleSuffix(p.Format.BytesPerSample() == 2))
	return &ciede{layout, k}, err
}

func (c *ciede) name() string { return "ciede" }

// resultWords: of each pair the sum of whole parts and that of fractions.
func (c *ciede) resultWords(_, pairs int) int { return 2 * pairs }

func (c *ciede) launch(s *stream, b *batch, results uint64) error {
	if b.pairs == 0 {
		return nil
	}
	grid := dim3{(b.width + ciedeThreads - 1) / ciedeThreads, (b.height + ciedeRows - 1) / ciedeRows, b.frames}
	return s.launch(c.sum, grid, dim3{ciedeThreads, 1, 1},
		b.referenceTable, b.distortedTable, b.referenceChroma, b.distortedChroma, b.frameTable,
		uint64(b.width), uint64(b.height), uint64(b.chromaWidth), uint64(b.chromaHeight), c.layout, uint64(b.bpc), results)
}

func (c *ciede) collect(words []uint64, b *batch, out *Sums) {
	out.CIEDE = sized(out.CIEDE, b.pairs)
	for pair := range out.CIEDE {
		out.CIEDE[pair] = score.NewCIEDESums(words[2*pair], words[2*pair+1])
	}
}

func (c *ciede) close() error { return nil }
