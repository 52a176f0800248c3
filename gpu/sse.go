//go:build cuda

package gpu

import (
	"fmt"

	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// The launch shape of kernels/cuda/psnr.cu: a warp makes a piece of 128 columns × 16 rows, which keeps 16 loads of each picture in flight
// and forms one sum over the lanes for 2048 samples.
const (
	ssePieceColumns = 128
	ssePieceRows    = 16
	sseThreads      = 256
)

var sseKind = featureKind{
	name:     "sse",
	wanted:   func(p Plan) bool { return p.SSEPlanes > 0 },
	validate: sseValidate,
	bytes:    func(Plan) int64 { return 0 },
	words:    func(p Plan, _, pairs int) int { return pairs * p.SSEPlanes },
	open:     newSSE,
}

// sseValidate leaves it to the plan to say that there is no chroma at all.
func sseValidate(p Plan) error {
	if width, height := p.ChromaSize(); p.SSEPlanes == 3 && p.Format.Subsampling != vmaf.Gray && min(width, height) < 1 {
		return fmt.Errorf("chroma of %v is %dx%d samples, of which no squared differences can be summed; the least luma size is 2x2", p.Format, width, height)
	}
	return nil
}

// sse sums squared differences.
type sse struct {
	planes int
	sum    *kernel
}

func newSSE(d *Device, p Plan, _ *memory) (feature, error) {
	k, err := d.kernel("psnr", "vqs_psnr_sse_"+sampleSuffix(p.Format.BytesPerSample() == 2))
	return &sse{p.SSEPlanes, k}, err
}

func (s *sse) name() string { return "sse" }

func (s *sse) resultWords(_, pairs int) int { return pairs * s.planes }

// sseWarps is how many pieces a plane has.
func sseWarps(width, height int) int {
	return (width + ssePieceColumns - 1) / ssePieceColumns * ((height + ssePieceRows - 1) / ssePieceRows)
}

func (s *sse) launch(stream *stream, b *batch, results uint64) error {
	if b.pairs == 0 {
		return nil
	}
	warps := sseWarps(b.width, b.height)
	if s.planes == 3 {
		warps += 2 * sseWarps(b.chromaWidth, b.chromaHeight)
	}
	const each = sseThreads / 32
	return stream.launch(s.sum, dim3{(warps + each - 1) / each, 1, b.frames}, dim3{sseThreads, 1, 1},
		b.referenceTable, b.distortedTable, b.referenceChroma, b.distortedChroma, b.frameTable, uint64(s.planes),
		uint64(b.width), uint64(b.height), uint64(b.chromaWidth), uint64(b.chromaHeight), uint64(b.bpc), results)
}

func (s *sse) collect(words []uint64, b *batch, out *Sums) {
	out.SSE = sized(out.SSE, b.pairs)
	for pair := range out.SSE {
		out.SSE[pair] = score.SSESums{}
		copy(out.SSE[pair][:], words[pair*s.planes:(pair+1)*s.planes])
	}
}

func (s *sse) close() error { return nil }
