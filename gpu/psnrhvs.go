//go:build cuda

package gpu

import (
	"math"

	"github.com/vqsd/vqsd/kernels/score"
)

// The launch shape of kernels/cuda/psnrhvs.cu: a warp makes a group of 32 blocks of one plane, a thread each with the block's 64 values in
// registers. The sum of a plane is one block's, whose threads take as many of those blocks at once: it is the smaller part of the work where
// there are many pairs, and would be the larger with a warp.
const (
	hvsGroup      = 32
	hvsThreads    = 128
	hvsSumThreads = 256
	// hvsGroupBytes is what the contributions of a group take.
	hvsGroupBytes = hvsGroup * 64 * 4
)

var psnrHVSKind = featureKind{
	name:     "psnrhvs",
	wanted:   func(p Plan) bool { return p.PSNRHVS },
	validate: func(p Plan) error { return score.CheckPSNRHVS(p.Format) },
	bytes:    psnrHVSBytes,
	words:    func(_ Plan, _, pairs int) int { return 3 * pairs },
	open:     newPSNRHVS,
}

// psnrHVS sums visible differences.
type psnrHVS struct {
	blocks, sum   *kernel
	groups        int    // of a pair
	contributions uint64 // of all pairs
}

// psnrHVSGroups is how many groups of blocks the planes of a picture have.
func psnrHVSGroups(p Plan) int {
	groups := 0
	for plane := range 3 {
		blocks := score.PSNRHVSBlocks(p.Format, plane)
		groups += (blocks + hvsGroup - 1) / hvsGroup
	}
	return groups
}

// psnrHVSBytes is the device memory that newPSNRHVS allocates for a plan: all contributions of all pairs, since sums add them in their order.
func psnrHVSBytes(p Plan) int64 { return int64(p.pairs()) * int64(psnrHVSGroups(p)) * hvsGroupBytes }

func newPSNRHVS(d *Device, p Plan, m *memory) (feature, error) {
	h := &psnrHVS{groups: psnrHVSGroups(p)}
	var err error
	if h.blocks, err = d.kernel("psnrhvs", "vqs_psnrhvs_blocks_"+sampleSuffix(p.Format.BytesPerSample() == 2)); err != nil {
		return nil, err
	}
	if h.sum, err = d.kernel("psnrhvs", "vqs_psnrhvs_sum"); err != nil {
		return nil, err
	}
	h.contributions, err = m.alloc("contributions", psnrHVSBytes(p))
	return h, err
}

func (h *psnrHVS) name() string { return "psnrhvs" }

func (h *psnrHVS) resultWords(_, pairs int) int { return 3 * pairs }

func (h *psnrHVS) launch(s *stream, b *batch, results uint64) error {
	if b.pairs == 0 {
		return nil
	}
	sizes := []uint64{uint64(b.width), uint64(b.height), uint64(b.chromaWidth), uint64(b.chromaHeight)}
	const each = hvsThreads / 32
	err := s.launch(h.blocks, dim3{(h.groups + each - 1) / each, 1, b.frames}, dim3{hvsThreads, 1, 1},
		b.referenceTable, b.distortedTable, b.referenceChroma, b.distortedChroma, b.frameTable,
		sizes[0], sizes[1], sizes[2], sizes[3], uint64(b.bpc), h.contributions)
	if err != nil {
		return err
	}
	return s.launch(h.sum, dim3{3, b.pairs, 1}, dim3{hvsSumThreads, 1, 1},
		h.contributions, sizes[0], sizes[1], sizes[2], sizes[3], results)
}

func (h *psnrHVS) collect(words []uint64, b *batch, out *Sums) {
	out.PSNRHVS = sized(out.PSNRHVS, b.pairs)
	for pair := range out.PSNRHVS {
		for plane := range out.PSNRHVS[pair] {
			out.PSNRHVS[pair][plane] = math.Float32frombits(uint32(words[3*pair+plane]))
		}
	}
}

func (h *psnrHVS) close() error { return nil }
