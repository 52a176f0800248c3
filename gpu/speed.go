//go:build cuda

package gpu

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/vqsd/vqsd/kernels/score"
)

// The launch shapes of kernels/cuda/speed.cu. What a plane needs after decimation is small, so that the number of planes, not the size of
// blocks, decides how busy the device is: the matrices have a warp each.
const (
	speedDecimateThreads   = 160 // 16 columns with 9 taps each, and as many warps as that takes
	speedDecimateColumns   = 16
	speedDetailThreads     = 128
	speedCovarianceThreads = 96 // 91 parts of 2×2 entries of the covariance matrix
	speedSolveThreads      = 32
	speedVarianceThreads   = 64
	speedEntropyThreads    = 128
	speedScoreThreads      = 128

	speedMatrix = 25 * 25                // floats
	speedRecord = 25 + 1 + 2*speedMatrix // floats of what is known of a plane; kRecord in speed.cu
	speedBlock  = 5                      // samples of the detail along the side of a block
	speedFlag   = uint64(1) << 32        // of a result: either plane is degenerate
)

var speedKind = featureKind{
	name:     "speed",
	wanted:   func(p Plan) bool { return len(p.Speed) > 0 },
	validate: speedValidate,
	bytes:    speedBytes,
	words:    func(p Plan, _, pairs int) int { return speedWords(len(p.Speed), pairs) },
	open:     newSpeed,
}

// speedWords: a word for each plane of a pair, configuration after configuration.
func speedWords(configs, pairs int) int { return 2 * configs * pairs }

// speedValidate leaves it to the plan to say that there is no chroma at all.
func speedValidate(p Plan) error {
	var errs []error
	switch p.Format.BitsPerComponent {
	case 8, 10, 12, 16:
	default:
		errs = append(errs, fmt.Errorf("SpEED of %d bits per component; must be 8, 10, 12 or 16", p.Format.BitsPerComponent))
	}
	if width, height := p.ChromaSize(); width > 0 && height > 0 {
		work, err := score.NewSpeedPlan(p.Speed, width, height)
		if err != nil {
			errs = append(errs, err)
		}
		for i := 0; work != nil && i < len(work.Filters); i++ {
			if f := &work.Filters[i]; speedDecimateParts(f) > maxGridYZ {
				errs = append(errs, fmt.Errorf("chroma of %dx%d, resampled and decimated to %dx%d, is more than SpEED takes on a GPU in one go; let the processor measure it",
					width, height, f.Width, f.Height))
			}
		}
	}
	return errors.Join(errs...)
}

// speed compares chroma planes under the plan's option sets. Its memory serves one filter after the other.
type speed struct {
	work    *score.SpeedPlan
	filters []speedTables

	decimate, detail, covariance, solve, variance, entropy, score *kernel
	// Device addresses, by plane of a batch: decimated and mean-free samples, matrices, records, and by block of the plane variances and
	// entropies.
	decimated, details, matrices, records, variances, entropies uint64
}

// speedTables are the device addresses of a filter's tables.
type speedTables struct{ kernels, indices, weights uint64 }

// speedPlanes is how many planes there are in a batch: two of each reference and of each distorted picture.
func speedPlanes(frames, pairs int) int { return 2 * (frames + pairs) }

// speedRoom is one allocation.
type speedRoom struct {
	what  string
	bytes int64
	at    *uint64
}

// rooms are the allocations for a plan but the tables.
func (s *speed) rooms(p Plan) []speedRoom {
	samples, blocks := 0, 0
	for _, f := range s.work.Filters {
		across, down := f.Blocks()
		samples, blocks = max(samples, f.Width*f.Height), max(blocks, across*down)
	}
	floats := func(n int) int64 { return 4 * int64(n) * int64(speedPlanes(p.Frames, p.pairs())) }
	return []speedRoom{
		{"decimated planes", floats(samples), &s.decimated},
		{"mean-free planes", floats(samples), &s.details},
		{"covariance matrices", floats(speedMatrix), &s.matrices},
		{"solutions", floats(speedRecord), &s.records},
		{"variances", floats(blocks), &s.variances},
		{"entropies", floats(blocks), &s.entropies},
	}
}

// speedTablesOf are the bytes of a filter's tables: as speed.cu takes them.
func speedTablesOf(f *score.SpeedFilter) (kernels, indices, weights []byte) {
	floats := func(dst []byte, values []float32) []byte {
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
		}
		return dst
	}
	kernels = floats(floats(nil, f.AntiAlias), f.Mean)
	for _, axis := range []score.SpeedAxis{f.Columns, f.Rows} {
		for _, i := range axis.Index {
			indices = binary.LittleEndian.AppendUint32(indices, uint32(i))
		}
		weights = floats(weights, axis.Weight)
	}
	return kernels, indices, weights
}

// speedBytes is the device memory that newSpeed allocates for a plan that has been found valid.
func speedBytes(p Plan) int64 {
	width, height := p.ChromaSize()
	work, err := score.NewSpeedPlan(p.Speed, width, height)
	if err != nil {
		return 0 // speedValidate refuses the plan
	}
	bytes := int64(0)
	for _, room := range (&speed{work: work}).rooms(p) {
		bytes += room.bytes
	}
	for i := range work.Filters {
		f := &work.Filters[i]
		bytes += 4 * int64(len(f.AntiAlias)+len(f.Mean)+2*len(f.Columns.Index)+2*len(f.Rows.Index))
	}
	return bytes
}

func newSpeed(d *Device, p Plan, m *memory) (feature, error) {
	width, height := p.ChromaSize()
	work, err := score.NewSpeedPlan(p.Speed, width, height)
	if err != nil {
		return nil, err
	}
	s := &speed{work: work}
	for _, k := range []struct {
		name string
		to   **kernel
	}{
		{"decimate_" + sampleSuffix(p.Format.BytesPerSample() == 2), &s.decimate}, {"detail", &s.detail}, {"covariance", &s.covariance},
		{"solve", &s.solve}, {"variance", &s.variance}, {"entropy", &s.entropy}, {"score", &s.score},
	} {
		if *k.to, err = d.kernel("speed", "vqs_speed_"+k.name); err != nil {
			return nil, err
		}
	}
	for _, room := range s.rooms(p) {
		if *room.at, err = m.alloc(room.what, room.bytes); err != nil {
			return nil, err
		}
	}
	for i := range work.Filters {
		var t speedTables
		kernels, indices, weights := speedTablesOf(&work.Filters[i])
		if t.kernels, err = m.upload("filters", kernels); err != nil {
			return nil, err
		}
		if t.indices, err = m.upload("places of samples", indices); err != nil {
			return nil, err
		}
		if t.weights, err = m.upload("weights of samples", weights); err != nil {
			return nil, err
		}
		s.filters = append(s.filters, t)
	}
	return s, nil
}

func (s *speed) name() string { return "speed" }

func (s *speed) resultWords(_, pairs int) int { return speedWords(len(s.work.Scores), pairs) }

// launch takes one filter after the other to the end, so that they can share memory.
func (s *speed) launch(stream *stream, b *batch, results uint64) error {
	if b.pairs == 0 {
		return nil
	}
	for i := range s.work.Filters {
		if err := s.planes(stream, b, &s.work.Filters[i], s.filters[i]); err != nil {
			return err
		}
		for j, e := range s.work.Entropies {
			if e.Filter != i {
				continue
			}
			if err := s.scores(stream, b, &s.work.Filters[i], j, results); err != nil {
				return err
			}
		}
	}
	return nil
}

// speedParts is how many blocks of n threads have one for each of count things.
func speedParts(count, n int) int { return (count + n - 1) / n }

// speedDecimateParts is how many blocks a plane is decimated by: some columns of one row each.
func speedDecimateParts(f *score.SpeedFilter) int {
	return f.Height * speedParts(f.Width, speedDecimateColumns)
}

// planes finds eigenvalues and variances of all planes under a filter.
func (s *speed) planes(stream *stream, b *batch, f *score.SpeedFilter, t speedTables) error {
	n := speedPlanes(b.frames, b.pairs)
	across, down := f.Blocks()
	width, height := across*speedBlock, down*speedBlock
	err := stream.launch(s.decimate, dim3{n, speedDecimateParts(f), 1}, dim3{speedDecimateThreads, 1, 1},
		b.referenceChroma, b.distortedChroma, b.frameTable, uint64(b.frames), uint64(b.bpc), uint64(f.Width), uint64(f.Height),
		uint64(len(f.AntiAlias)), uint64(f.Points), t.kernels, t.indices, t.weights, s.decimated)
	if err != nil {
		return err
	}
	err = stream.launch(s.detail, dim3{n, speedParts(width*height, speedDetailThreads), 1}, dim3{speedDetailThreads, 1, 1},
		s.decimated, uint64(f.Width), uint64(f.Height), uint64(len(f.Mean)), t.kernels+uint64(4*len(f.AntiAlias)), s.details)
	if err != nil {
		return err
	}
	err = stream.launch(s.covariance, dim3{n, 1, 1}, dim3{speedCovarianceThreads, 1, 1}, s.details, uint64(width), uint64(height), s.matrices)
	if err != nil {
		return err
	}
	if err := stream.launch(s.solve, dim3{n, 1, 1}, dim3{speedSolveThreads, 1, 1}, s.matrices, s.records); err != nil {
		return err
	}
	return stream.launch(s.variance, dim3{n, speedParts(across*down, speedVarianceThreads), 1}, dim3{speedVarianceThreads, 1, 1},
		s.details, s.records, uint64(width), uint64(height), s.variances)
}

// scores finds entropies number j of all planes and compares those of the pairs under each configuration that is of these.
func (s *speed) scores(stream *stream, b *batch, f *score.SpeedFilter, j int, results uint64) error {
	across, down := f.Blocks()
	blocks := across * down
	sigma := uint64(math.Float32bits(s.work.Entropies[j].SigmaNN))
	err := stream.launch(s.entropy, dim3{speedPlanes(b.frames, b.pairs), speedParts(blocks, speedEntropyThreads), 1},
		dim3{speedEntropyThreads, 1, 1}, s.records, s.variances, uint64(blocks), sigma, s.entropies)
	if err != nil {
		return err
	}
	for i, c := range s.work.Scores {
		if c.Entropy != j {
			continue
		}
		err := stream.launch(s.score, dim3{b.frames, b.renditions, 2}, dim3{speedScoreThreads, 1, 1}, b.frameTable, uint64(b.frames),
			s.records, s.variances, s.entropies, uint64(blocks), sigma, uint64(math.Float32bits(c.NNFloor)), uint64(c.WeightVarMode),
			results+uint64(8*speedWords(i, b.pairs)))
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *speed) collect(words []uint64, b *batch, out *Sums) {
	out.Speed = sized(out.Speed, len(s.work.Scores))
	for i := range out.Speed {
		out.Speed[i] = sized(out.Speed[i], b.pairs)
		for pair := range out.Speed[i] {
			of := words[speedWords(i, b.pairs)+2*pair:]
			out.Speed[i][pair] = score.SpeedSums{
				U: math.Float32frombits(uint32(of[0])), V: math.Float32frombits(uint32(of[1])),
				DegenerateU: of[0]&speedFlag != 0, DegenerateV: of[1]&speedFlag != 0,
			}
		}
	}
}

func (s *speed) close() error { return nil }
