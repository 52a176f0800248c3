//go:build cuda

package gpu

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"unsafe"

	"github.com/vqsd/vqsd/kernels/score"
)

// The launch shape of kernels/cuda/adm.cu. A block makes the details of 32×32 positions of a band, at scale 0 with 4 rows a thread,
// which keeps them packed to 16 bits, and with 2 at the others, so that either gets by with 64 registers. Of these it sums those
// that have all their neighbours, 30×30: an eighth of the work is done twice.
const (
	admTile         = 30
	admThreads0     = 256
	admThreads      = 512
	admFinishLanes  = 32
	admScales       = 4
	admBands        = 3
	admAccumulators = admScales * admBands
	// How many blocks a multiprocessor has room for, by registers; compute capability 7.5 has shared memory for two at scale 0.
	admResident0 = 4
	admResident  = 2
	// Blocks of a wave begin together; with fewer waves than this, the last one, which leaves multiprocessors idle, should weigh
	// more than filtering the reference again for other pairs does. No device has been asked.
	admWaves = 2

	minADMSize = 33 // below, a mirror image would leave the picture at scale 3; spec/adm.md §13
	maxADMSize = 32768

	// Rows of approximations begin at multiples of a sector of memory, so at those of pairs of samples, which are loaded together.
	admPitchAlignment = 32
)

// admRange is a range of rows or columns, without its end.
type admRange struct{ first, end int }

func (r admRange) length() int { return r.end - r.first }

// widened is r and one more on each side, within a band of n.
func (r admRange) widened(n int) admRange { return admRange{max(0, r.first-1), min(n, r.end+1)} }

// with is the range that covers both.
func (r admRange) with(other admRange) admRange {
	if other.first == other.end {
		return r
	}
	return admRange{min(r.first, other.first), max(r.end, other.end)}
}

// inputs is the range of a signal of n samples that outputs in r depend on.
func (r admRange) inputs(n int) admRange { return admRange{max(0, 2*r.first-1), min(n, 2*r.end+1)} }

// admActive is the active part of a band of n; spec/adm.md §5.
func admActive(n int) admRange {
	margin := max(0, n-5) / 10
	return admRange{margin, n - margin}
}

// admLevel is a scale along one axis.
type admLevel struct {
	in, out  int      // samples of the signal, and of a band
	active   admRange // of the band
	approx   admRange // what the next scale needs of the approximation; empty at the last
	computed admRange // what tiles cover: the union of both
	needed   admRange // of the signal
}

// admAxis are the scales along one axis of n samples.
func admAxis(n int) (levels [admScales]admLevel) {
	for s := range levels {
		l := &levels[s]
		l.in, l.out = n, (n+1)/2
		l.active = admActive(l.out)
		n = l.out
	}
	approx := admRange{}
	for s := admScales - 1; s >= 0; s-- {
		l := &levels[s]
		l.approx = approx
		l.computed = l.active.with(approx)
		l.needed = l.active.widened(l.out).with(approx).inputs(l.in)
		approx = l.needed
	}
	return levels
}

// tiles is how many tiles cover the level.
func (l *admLevel) tiles() int { return (l.computed.length() + admTile - 1) / admTile }

// admScale mirrors VqsAdmScale of kernels/cuda/adm.cu.
type admScale struct {
	InPlane, OutPlane                                uint64
	InPitch, OutPitch                                uint32
	InWidth, InHeight                                int32
	InLeft, InRight, InTop, InBottom                 int32
	Width, Height                                    int32
	Left, Right, Top, Bottom                         int32
	ApproxLeft, ApproxRight, ApproxTop, ApproxBottom int32
	FirstColumn, FirstRow                            int32
	ColumnShift                                      int32
	TermShiftHV, TermShiftD                          int32
	DenominatorRowShift, RowShift                    int32
	FirstSum                                         int32
}

// admSetting mirrors VqsAdmSetting.
type admSetting struct {
	Gain      float64
	Weights   [admScales][2]uint32
	Kind      int32
	WholeGain int32
	Largest   int32
	AIM       uint32
	Series    uint32
	Zero      uint32
}

// The kinds of gain, AdmGainKind.
const (
	admGainNone = iota
	admGainWhole
	admGainFraction
)

// The sizes that the kernels assert on their side. A difference fails to compile.
var (
	_ [admScaleBytes]struct{}   = [unsafe.Sizeof(admScale{})]struct{}{}
	_ [admSettingBytes]struct{} = [unsafe.Sizeof(admSetting{})]struct{}{}
)

const (
	admScaleBytes   = 120
	admSettingBytes = 64
)

// admLayout is all that follows from the size of pictures.
type admLayout struct {
	scales   [admScales]admScale
	tiles    [admScales][2]int // across and down
	rowCount int               // active rows of all scales
}

func ceilLog2(n int) int32 { return int32(bits.Len(uint(n - 1))) }

func layADM(width, height int) *admLayout {
	l := &admLayout{}
	columns, rows := admAxis(width), admAxis(height)
	for s := range l.scales {
		x, y := &columns[s], &rows[s]
		area := x.active.length() * y.active.length()
		g := admScale{
			InWidth: int32(x.in), InHeight: int32(y.in),
			InLeft: int32(x.needed.first), InRight: int32(x.needed.end), InTop: int32(y.needed.first), InBottom: int32(y.needed.end),
			Width: int32(x.out), Height: int32(y.out),
			Left: int32(x.active.first), Right: int32(x.active.end), Top: int32(y.active.first), Bottom: int32(y.active.end),
			ApproxLeft: int32(x.approx.first), ApproxRight: int32(x.approx.end),
			ApproxTop: int32(y.approx.first), ApproxBottom: int32(y.approx.end),
			FirstColumn: int32(x.computed.first), FirstRow: int32(y.computed.first),
			// spec/adm.md §8, §10.
			ColumnShift: ceilLog2(x.active.length()), DenominatorRowShift: ceilLog2(y.active.length()),
			TermShiftHV: ceilLog2(x.out), TermShiftD: ceilLog2(x.out), RowShift: ceilLog2(y.out),
			FirstSum: int32(l.rowCount),
		}
		sampleBytes := 4
		if s == 0 {
			g.TermShiftHV -= 4
			g.TermShiftD -= 3
			g.DenominatorRowShift = max(0, ceilLog2(area)-20)
			sampleBytes = 2
		} else {
			g.InPitch, g.InPlane = l.scales[s-1].OutPitch, l.scales[s-1].OutPlane
		}
		if s < admScales-1 {
			g.OutPitch = uint32((x.out*sampleBytes + admPitchAlignment - 1) / admPitchAlignment * admPitchAlignment)
			g.OutPlane = uint64(g.OutPitch) * uint64(y.out)
		}
		l.scales[s] = g
		l.tiles[s] = [2]int{x.tiles(), y.tiles()}
		l.rowCount += y.active.length()
	}
	return l
}

// admSettings are the plan's option sets as the kernels take them, and how many series of sums a pair has under them.
func admSettings(configs []score.ADMConfig) (settings []admSetting, series int) {
	for _, c := range configs {
		s := admSetting{Gain: c.Gain, Weights: c.Weights, Kind: admGainFraction, Series: uint32(series)}
		if whole := math.Trunc(c.Gain); whole == c.Gain {
			s.Kind = admGainWhole
			if whole == 1 {
				s.Kind = admGainNone
			}
			s.WholeGain = int32(whole)
			s.Largest = math.MaxInt32 / s.WholeGain
		}
		series++
		if c.AIM {
			s.AIM = 1
			series++
		}
		settings = append(settings, s)
	}
	return settings, series
}

// adm sums ADM under the plan's option sets.
type adm struct {
	device     *Device
	layout     *admLayout
	settings   []admSetting
	series     int // of a pair, but the denominator's
	enhances   bool
	scales     [admScales]*kernel
	finish     *kernel
	approx     [admScales - 1]admApprox
	geometry   uint64 // VqsAdmScale[4]
	settingsAt uint64 // VqsAdmSetting[len(settings)]
	rows       uint64 // u64[frames + series·pairs][3][rowCount]
}

// admApprox is where the approximations of a scale lie: those of the references by frame, those of the distorted pictures by pair.
type admApprox struct{ references, distorted uint64 }

var admKind = featureKind{
	name:     "adm",
	wanted:   func(p Plan) bool { return len(p.ADM) > 0 },
	validate: admValidate, bytes: admBytes, words: admWords, open: newADM,
}

// admValidate says what of a plan ADM can not do.
func admValidate(p Plan) error {
	var errs []error
	if f := p.Format; min(f.Width, f.Height) < minADMSize || max(f.Width, f.Height) > maxADMSize {
		errs = append(errs, fmt.Errorf("pictures of %dx%d; ADM takes %dx%d to %dx%d",
			f.Width, f.Height, minADMSize, minADMSize, maxADMSize, maxADMSize))
	}
	for i, c := range p.ADM {
		if !(c.Gain >= 1 && c.Gain <= 100) {
			errs = append(errs, fmt.Errorf("ADM gain limit %d is %g; must be 1 … 100", i, c.Gain))
		}
		for scale, w := range c.Weights {
			limit := uint32(1 << 31)
			if scale == 0 {
				limit = 1 << 16
			}
			if max(w[0], w[1]) >= limit {
				errs = append(errs, fmt.Errorf("option set %d: weights %d of scale %d are not below %d", i, w, scale, limit))
			}
		}
	}
	return errors.Join(errs...)
}

// newADM makes the feature that sums ADM, for a plan that has been found valid.
func newADM(d *Device, p Plan, m *memory) (feature, error) {
	a := &adm{device: d, layout: layADM(p.Format.Width, p.Format.Height)}
	a.settings, a.series = admSettings(p.ADM)
	for _, s := range a.settings {
		a.enhances = a.enhances || s.Kind != admGainNone
	}
	names := [admScales]string{
		"vqs_adm_scale0_" + sampleSuffix(p.Format.BytesPerSample() == 2), "vqs_adm_scale1", "vqs_adm_scale2", "vqs_adm_scale3",
	}
	var err error
	for s, name := range names {
		if a.scales[s], err = d.kernel("adm", name); err != nil {
			return nil, err
		}
	}
	if a.finish, err = d.kernel("adm", "vqs_adm_finish"); err != nil {
		return nil, err
	}
	for s := range a.approx {
		plane := a.layout.scales[s].OutPlane
		planes, err := m.alloc(fmt.Sprintf("approximations of scale %d", s), int64(plane)*int64(p.Frames+p.pairs()))
		if err != nil {
			return nil, err
		}
		a.approx[s] = admApprox{planes, planes + plane*uint64(p.Frames)}
	}
	if a.rows, err = m.alloc("sums of rows", int64(a.rowBytes(p.Frames, p.pairs()))); err != nil {
		return nil, err
	}
	if a.geometry, err = a.uploadTable(m, "geometry", a.layout.scales[:]); err != nil {
		return nil, err
	}
	if a.settingsAt, err = a.uploadTable(m, "option sets", a.settings); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *adm) uploadTable(m *memory, what string, table any) (uint64, error) {
	data, err := binary.Append(nil, binary.LittleEndian, table)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return m.upload(what, data)
}

// rowBytes is the memory for the sums of rows of a batch.
func (a *adm) rowBytes(frames, pairs int) int {
	return (frames + a.series*pairs) * admBands * a.layout.rowCount * 8
}

// admBytes is the device memory that newADM allocates for a plan.
func admBytes(p Plan) int64 {
	a := adm{layout: layADM(p.Format.Width, p.Format.Height)}
	a.settings, a.series = admSettings(p.ADM)
	bytes := int64(a.rowBytes(p.Frames, p.pairs())) + admScales*admScaleBytes + int64(len(a.settings))*admSettingBytes
	for _, scale := range a.layout.scales {
		bytes += int64(scale.OutPlane) * int64(p.Frames+p.pairs())
	}
	return bytes
}

// admWords is how many numbers a batch gives, the feature's resultWords.
func admWords(p Plan, _, pairs int) int {
	_, series := admSettings(p.ADM)
	return admPairWords(series) * pairs
}

// admPairWords is how many numbers the kernels give for a pair: the denominator's, then each series'.
func admPairWords(series int) int { return (1 + series) * admAccumulators }

func (a *adm) name() string { return "adm" }

func (a *adm) resultWords(_, pairs int) int { return admPairWords(a.series) * pairs }

// admGroups is in how many groups the pairs of each frame are done, so that there are enough blocks to keep the device busy. The fewer
// the less often a reference is filtered.
func admGroups(tiles, resident, frames, renditions, multiprocessors int) int {
	wanted := admWaves * resident * multiprocessors
	return max(1, min(renditions, (wanted+tiles*frames-1)/(tiles*frames)))
}

// launch: each scale's kernel makes what the next one filters, so they follow each other. Each covers the whole batch.
func (a *adm) launch(s *stream, b *batch, results uint64) error {
	if b.pairs == 0 {
		return nil
	}
	if err := s.zero(a.rows, int64(a.rowBytes(b.frames, b.pairs))); err != nil {
		return err
	}
	enhances := uint64(0)
	if a.enhances {
		enhances = 1
	}
	references, distorted := b.referenceTable, b.distortedTable
	for scale, k := range a.scales {
		var out admApprox
		if scale < len(a.approx) {
			out = a.approx[scale]
		}
		threads, resident := admThreads, admResident
		in := []uint64{references, distorted}
		if scale == 0 {
			threads, resident = admThreads0, admResident0
		}
		tiles := a.layout.tiles[scale]
		groups := admGroups(tiles[0]*tiles[1], resident, b.frames, b.renditions, a.device.info.Multiprocessors)
		args := append(in, b.frameTable, a.geometry+uint64(scale*admScaleBytes), a.settingsAt,
			uint64(len(a.settings)), enhances, uint64(groups), uint64(b.frames), uint64(b.pairs),
			out.references, out.distorted, a.rows, uint64(a.layout.rowCount))
		if err := s.launch(k, dim3{tiles[0], tiles[1], b.frames * groups}, dim3{threads, 1, 1}, args...); err != nil {
			return err
		}
		references, distorted = out.references, out.distorted
	}
	return s.launch(a.finish, dim3{b.frames + a.series*b.pairs, 1, 1}, dim3{admAccumulators * admFinishLanes, 1, 1},
		b.frameTable, a.geometry, a.rows, uint64(a.layout.rowCount), uint64(b.frames), uint64(b.pairs), uint64(a.series), results)
}

func (a *adm) collect(words []uint64, b *batch, out *Sums) {
	for pair := range b.pairs {
		of := words[pair*admPairWords(a.series):]
		series := func(n int) (sums [admScales][admBands]uint64) {
			for i := range admAccumulators {
				sums[i/admBands][i%admBands] = of[n*admAccumulators+i]
			}
			return sums
		}
		den := series(0)
		for c, s := range a.settings {
			sums := score.ADMSums{Den: den, Num: signed(series(1 + int(s.Series)))}
			if s.AIM != 0 {
				sums.AIM = signed(series(2 + int(s.Series)))
			}
			out.ADM[c][pair] = sums
		}
	}
}

func signed(sums [admScales][admBands]uint64) (out [admScales][admBands]int64) {
	for scale := range sums {
		for band, v := range sums[scale] {
			out[scale][band] = int64(v)
		}
	}
	return out
}

func (a *adm) close() error { return nil }
