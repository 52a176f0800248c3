//go:build cuda

package gpu

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/vqsd/vqsd/kernels/score"
)

// The launch shapes of kernels/cuda/cambi.cu.
const (
	cambiScales     = score.CambiScales
	cambiBegin      = 256 // threads
	cambiTileWidth  = 64  // of a block of the front end, in samples of the working size
	cambiTileHeight = 32
	cambiFront      = 256
	cambiFilter     = 128 // threads, a piece for each 32
	cambiFilterRows = 8
	cambiSelect     = 256
	cambiSelectRows = 64
	cambiPasses     = 3 // of the selection
	cambiBins       = 512
	cambiColumns    = 32 // of a piece of the c-values, and what rows of planes begin at multiples of

	// A piece of the c-values fills its table with the rows around its first one before it has a value, up to 64 at the largest window, so
	// segments are to be long; but not so long that most multiprocessors have nothing to do. By the registers and the table of a block, of
	// one warp, a multiprocessor holds 14 to 28.
	cambiMostRows   = 64
	cambiFewestRows = 16
	cambiResident   = 28
	cambiWaves      = 2

	// Pictures are handled in groups that share memory, cambiSampleBytes a sample of the planes of all scales and cambiSlotBytes a picture.
	// This much is a wave or two of blocks of the largest devices at cambiMostRows.
	cambiGroupBytes = 96 << 20

	// A selection's sums stay below 2^64 for as many pixels.
	cambiMaxPixels = 1 << 26

	cambiMaxWindow    = 65
	cambiMaxContrasts = len(score.CambiConfig{}.Visible)
	cambiMaxCode      = 1023
	cambiFour         = 4 // contrasts that have a kernel of their own
)

// cambiScale mirrors VqsCambiScale of kernels/cuda/cambi_device.h.
type cambiScale struct{ width, height, pitch, offset, pooled uint32 }

// cambiParameters mirrors VqsCambiConfig.
type cambiParameters struct {
	columns, rows         uint64
	width, height         uint32
	step, antiDither      uint32
	halfWindow, contrasts uint32
	darkLimit             uint32
	lowest, highest       uint32
	scales                [cambiScales]cambiScale
	visible               [cambiMaxContrasts]int32
}

// The sizes that the kernels assert on their side. A difference fails to compile.
var (
	_ [20]struct{}  = [unsafe.Sizeof(cambiScale{})]struct{}{}
	_ [280]struct{} = [unsafe.Sizeof(cambiParameters{})]struct{}{}
)

const (
	cambiParameterBytes       = 280
	cambiStateBytes     int64 = 136 // of VqsCambiState
	cambiHistogramBytes int64 = 4 * cambiScales * cambiPasses * cambiBins
	cambiSampleBytes    int64 = 2 + 4 // of a plane: its code and its c-value
	cambiSlotBytes            = cambiStateBytes + cambiHistogramBytes
)

func (c cambiParameters) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, c.columns)
	dst = binary.LittleEndian.AppendUint64(dst, c.rows)
	for _, v := range [9]uint32{c.width, c.height, c.step, c.antiDither, c.halfWindow, c.contrasts, c.darkLimit, c.lowest, c.highest} {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	for _, s := range c.scales {
		for _, v := range [5]uint32{s.width, s.height, s.pitch, s.offset, s.pooled} {
			dst = binary.LittleEndian.AppendUint32(dst, v)
		}
	}
	for _, v := range c.visible {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(v))
	}
	return dst
}

// newCambiParameters are those of a configuration without the tables of sampled positions.
func newCambiParameters(c score.CambiConfig) cambiParameters {
	p := cambiParameters{
		width: uint32(c.Width), height: uint32(c.Height), step: 1,
		halfWindow: uint32(c.Window / 2), contrasts: uint32(c.Contrasts), darkLimit: uint32(c.DarkLimit),
	}
	if c.AntiDither {
		p.antiDither = 1
	}
	if c.HighRes {
		p.step = 2
	}
	offset := 0
	for i := range p.scales {
		width, height := c.ScaleSize(i)
		pitch := blocks(width, cambiColumns) * cambiColumns
		p.scales[i] = cambiScale{uint32(width), uint32(height), uint32(pitch), uint32(offset), uint32(c.Pooled(i))}
		offset += pitch * height
	}
	// A step counts from some code on up to another (spec/cambi.md §7.3); the last step begins lowest, and which reaches highest is in the table.
	p.lowest = uint32(max(0, c.DarkLimit-2*c.Contrasts+1))
	for i := range c.Contrasts {
		p.visible[i] = int32(c.Visible[i])
		p.highest = max(p.highest, uint32(c.Visible[i]))
	}
	return p
}

// samples is how many a slot's planes have, all scales together.
func (c cambiParameters) samples() int {
	last := c.scales[cambiScales-1]
	return int(last.offset + last.pitch*last.height)
}

// cambiSet is what is launched for one configuration: all frames' pictures that are to be scored with it.
type cambiSet struct {
	config score.CambiConfig
	// source says that it is for references. Else mask has a bit for each rendition that any extraction wants it of.
	source bool
	mask   uint64
	number int // in the tables of configurations by list and rendition
}

// each is how many pictures of a frame the set is for.
func (c cambiSet) each() int {
	if c.source {
		return 1
	}
	return bits.OnesCount64(c.mask)
}

// cambiSets are the sets of a plan. Each configuration is in one for renditions and one for references, at the most.
func cambiSets(p Plan) []cambiSet {
	var sets []cambiSet
	find := func(config score.CambiConfig, source bool) *cambiSet {
		for i := range sets {
			if sets[i].source == source && sets[i].config == config {
				return &sets[i]
			}
		}
		sets = append(sets, cambiSet{config: config, source: source, number: len(sets)})
		return &sets[len(sets)-1]
	}
	for _, renditions := range p.Cambi {
		for k, config := range renditions {
			find(config, false).mask |= 1 << k
		}
	}
	for _, config := range p.CambiSource {
		find(config, true)
	}
	return sets
}

// slots is how many pictures the set handles at once.
func (c cambiSet) slots(frames int) int {
	picture := cambiSampleBytes*int64(newCambiParameters(c.config).samples()) + cambiSlotBytes
	return max(1, min(frames*c.each(), int(cambiGroupBytes/picture)))
}

// resampled says whether pictures do not have the working size.
func (c cambiSet) resampled(p Plan) bool {
	return c.config.Width != p.Format.Width || c.config.Height != p.Format.Height
}

// cambiScratch is how much the largest of a plan's sets needs.
type cambiScratch struct{ samples, slots int64 }

func newCambiScratch(p Plan) (most cambiScratch) {
	for _, set := range cambiSets(p) {
		slots := int64(set.slots(p.Frames))
		most.slots = max(most.slots, slots)
		most.samples = max(most.samples, slots*int64(newCambiParameters(set.config).samples()))
	}
	return most
}

// cambiNumbers is, by list and rendition, which set scores it, as the kernel that writes results looks it up: first for the extractions of
// pairs, then for those of references, as of their rendition 0.
func cambiNumbers(p Plan) (pairs, sources []byte) {
	of := map[bool]map[score.CambiConfig]int{false: {}, true: {}}
	for _, set := range cambiSets(p) {
		of[set.source][set.config] = set.number
	}
	for _, renditions := range p.Cambi {
		for _, config := range renditions {
			pairs = binary.LittleEndian.AppendUint32(pairs, uint32(of[false][config]))
		}
	}
	for _, config := range p.CambiSource {
		sources = binary.LittleEndian.AppendUint32(sources, uint32(of[true][config]))
	}
	return pairs, sources
}

var cambiKind = featureKind{
	name:     "cambi",
	wanted:   func(p Plan) bool { return len(p.Cambi)+len(p.CambiSource) > 0 },
	validate: cambiValidate, bytes: cambiBytes, words: cambiWords, open: newCambi,
}

// cambiValidate says what of a plan CAMBI can not do.
func cambiValidate(p Plan) error {
	var errs []error
	for e, renditions := range p.Cambi {
		if len(renditions) != p.Renditions {
			errs = append(errs, fmt.Errorf("CAMBI extraction %d has configurations for %d renditions; must be for all %d",
				e, len(renditions), p.Renditions))
		}
		for k, config := range renditions {
			if err := cambiValidateConfig(config); err != nil {
				errs = append(errs, fmt.Errorf("CAMBI extraction %d, rendition %d: %w", e, k, err))
			}
		}
	}
	for i, config := range p.CambiSource {
		if err := cambiValidateConfig(config); err != nil {
			errs = append(errs, fmt.Errorf("CAMBI configuration %d of references: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

func cambiValidateConfig(c score.CambiConfig) error {
	var errs []error
	fault := func(format string, arguments ...any) { errs = append(errs, fmt.Errorf(format, arguments...)) }
	if c.Width < 1 || c.Width > maxSize || c.Height < 1 || c.Height > maxSize {
		fault("working size %dx%d; width and height must be 1 … %d", c.Width, c.Height, maxSize)
	} else if c.Width*c.Height > cambiMaxPixels {
		fault("working size %dx%d has %d pixels; at most %d are possible", c.Width, c.Height, c.Width*c.Height, cambiMaxPixels)
	}
	if c.Window < 1 || c.Window > cambiMaxWindow || c.Window%2 == 0 {
		fault("window of %d; must be odd, 1 … %d", c.Window, cambiMaxWindow)
	}
	if c.Contrasts < 1 || c.Contrasts > cambiMaxContrasts {
		fault("%d contrasts; must be 1 … %d", c.Contrasts, cambiMaxContrasts)
	} else {
		for d, code := range c.Visible[:c.Contrasts] {
			if code < 0 || code > cambiMaxCode {
				fault("contrast %d is visible up to code %d; must be 0 … %d", d+1, code, cambiMaxCode)
			}
		}
	}
	if c.DarkLimit < 0 || c.DarkLimit > cambiMaxCode {
		fault("dark limit %d; must be 0 … %d", c.DarkLimit, cambiMaxCode)
	}
	if !(c.TopShare > 0 && c.TopShare <= 1) {
		fault("pooled share %g; must be above 0, and 1 at the most", c.TopShare)
	}
	return errors.Join(errs...)
}

// cambiBytes is the device memory that newCambi allocates for a plan.
func cambiBytes(p Plan) int64 {
	bytes := int64(0)
	for _, set := range cambiSets(p) {
		bytes += cambiParameterBytes
		if set.resampled(p) {
			bytes += 4 * int64(set.config.Width+set.config.Height)
		}
	}
	pairs, sources := cambiNumbers(p)
	most := newCambiScratch(p)
	return bytes + int64(len(pairs)+len(sources)) + most.samples*cambiSampleBytes + most.slots*cambiSlotBytes
}

// cambiWords is how many numbers a batch gives, the feature's resultWords.
func cambiWords(p Plan, frames, pairs int) int {
	return cambiScales * (len(p.Cambi)*pairs + len(p.CambiSource)*frames)
}

// cambi sums c-values under the plan's configurations.
type cambi struct {
	device *Device
	plan   Plan

	begin, front, filter, valuesFour, valuesMany, selection, finish *kernel

	sets []cambiLaunch
	// Device addresses: which set scores what, and what groups of pictures share.
	pairNumbers, sourceNumbers            uint64
	planes, contrasts, states, histograms uint64
}

// cambiLaunch is a set with what a launch for it needs.
type cambiLaunch struct {
	cambiSet
	parameters cambiParameters
	slots      int
	config     uint64 // address of the parameters
}

// newCambi makes the feature that sums c-values, for a plan that has been found valid.
func newCambi(d *Device, p Plan, m *memory) (feature, error) {
	c := &cambi{device: d, plan: p}
	for _, k := range []struct {
		kernel **kernel
		name   string
	}{
		{&c.begin, "begin"}, {&c.front, "front_" + sampleSuffix(p.Format.BytesPerSample() == 2)}, {&c.filter, "filter"},
		{&c.valuesFour, "values_four"}, {&c.valuesMany, "values_many"}, {&c.selection, "select"}, {&c.finish, "finish"},
	} {
		var err error
		if *k.kernel, err = d.kernel("cambi", "vqs_cambi_"+k.name); err != nil {
			return nil, err
		}
	}
	for _, set := range cambiSets(p) {
		launch, err := newCambiLaunch(p, set, m)
		if err != nil {
			return nil, err
		}
		c.sets = append(c.sets, launch)
	}
	var err error
	pairs, sources := cambiNumbers(p)
	if len(pairs) > 0 {
		if c.pairNumbers, err = m.upload("CAMBI configurations of renditions", pairs); err != nil {
			return nil, err
		}
	}
	if len(sources) > 0 {
		if c.sourceNumbers, err = m.upload("CAMBI configurations of references", sources); err != nil {
			return nil, err
		}
	}
	most := newCambiScratch(p)
	for _, block := range []struct {
		address *uint64
		what    string
		bytes   int64
	}{
		{&c.planes, "CAMBI planes", 2 * most.samples},
		{&c.contrasts, "CAMBI c-values", 4 * most.samples},
		{&c.states, "CAMBI states", cambiStateBytes * most.slots},
		{&c.histograms, "CAMBI histograms", cambiHistogramBytes * most.slots},
	} {
		if *block.address, err = m.alloc(block.what, block.bytes); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func newCambiLaunch(p Plan, set cambiSet, m *memory) (l cambiLaunch, err error) {
	l = cambiLaunch{cambiSet: set, parameters: newCambiParameters(set.config), slots: set.slots(p.Frames)}
	if set.resampled(p) {
		table := appendPositions(nil, p.Format.Width, set.config.Width)
		table = appendPositions(table, p.Format.Height, set.config.Height)
		if l.parameters.columns, err = m.upload("CAMBI sample positions", table); err != nil {
			return l, err
		}
		l.parameters.rows = l.parameters.columns + 4*uint64(set.config.Width)
	}
	l.config, err = m.upload("CAMBI parameters", l.parameters.append(nil))
	return l, err
}

// appendPositions appends which of in samples a working size of out takes, all of them where the other direction alone is sampled.
func appendPositions(dst []byte, in, out int) []byte {
	positions := score.CambiPositions(in, out)
	for i := range out {
		at := uint32(i)
		if positions != nil {
			at = positions[i]
		}
		dst = binary.LittleEndian.AppendUint32(dst, at)
	}
	return dst
}

func (c *cambi) name() string { return "cambi" }

func (c *cambi) resultWords(frames, pairs int) int { return cambiWords(c.plan, frames, pairs) }

func (c *cambi) launch(s *stream, b *batch, results uint64) error {
	for i := range c.sets {
		set := &c.sets[i]
		if !set.source && b.pairs == 0 {
			continue
		}
		pictures := b.frames * set.each()
		for first := 0; first < pictures; first += set.slots {
			if err := c.launchGroup(s, b, set, first, min(set.slots, pictures-first), results); err != nil {
				return err
			}
		}
	}
	return nil
}

// launchGroup starts all kernels for n of the pictures that a set is for, from the first on.
func (c *cambi) launchGroup(s *stream, b *batch, set *cambiLaunch, first, n int, results uint64) error {
	p := &set.parameters
	samples := uint64(p.samples())
	pictures, numbers, lists, renditions, entries := b.distortedTable, c.pairNumbers, len(c.plan.Cambi), c.plan.Renditions, b.pairs
	if set.source {
		pictures, numbers, lists, renditions, entries = b.referenceTable, c.sourceNumbers, len(c.plan.CambiSource), 1, b.frames
		results += uint64(8 * cambiScales * len(c.plan.Cambi) * b.pairs)
	}

	err := s.launch(c.begin, dim3{1, 1, n}, dim3{cambiBegin, 1, 1},
		set.config, b.frameTable, b.renditionTable, set.mask, uint64(first), c.states, c.histograms)
	if err != nil {
		return err
	}
	tiles := blocks(int(p.width), cambiTileWidth) * blocks(int(p.height), cambiTileHeight)
	err = s.launch(c.front, dim3{tiles, 1, n}, dim3{cambiFront, 1, 1}, set.config, pictures, c.states, c.planes, samples, uint64(b.bpc))
	if err != nil {
		return err
	}
	for scale := 1; scale < cambiScales; scale++ {
		pieces := blocks(int(p.scales[scale].pitch), cambiColumns) * blocks(int(p.scales[scale].height), cambiFilterRows)
		err := s.launch(c.filter, dim3{blocks(pieces, cambiFilter/32), 1, n}, dim3{cambiFilter, 1, 1},
			set.config, c.states, c.planes, samples, uint64(scale))
		if err != nil {
			return err
		}
	}
	values, rows := c.valuesMany, cambiRows(p, n, c.device.info.Multiprocessors)
	if p.contrasts == cambiFour {
		values = c.valuesFour
	}
	err = s.launch(values, dim3{p.pieces(rows), 1, n}, dim3{cambiColumns, 1, 1},
		set.config, c.states, c.planes, c.contrasts, samples, uint64(rows))
	if err != nil {
		return err
	}
	bands := 0
	for _, scale := range p.scales {
		bands += blocks(int(scale.height), cambiSelectRows)
	}
	for pass := range cambiPasses {
		err := s.launch(c.selection, dim3{bands, 1, n}, dim3{cambiSelect, 1, 1},
			set.config, c.states, c.planes, c.contrasts, samples, c.histograms, uint64(pass))
		if err != nil {
			return err
		}
	}
	return s.launch(c.finish, dim3{1, 1, n}, dim3{32 * cambiScales, 1, 1}, set.config, c.states, c.histograms, numbers,
		uint64(set.number), uint64(lists), uint64(renditions), uint64(entries), results)
}

// blocks is how many of a size cover a length.
func blocks(length, size int) int { return (length + size - 1) / size }

// pieces is how many pieces of rows rows all scales have.
func (c *cambiParameters) pieces(rows int) int {
	pieces := 0
	for _, s := range c.scales {
		pieces += int(s.pitch) / cambiColumns * blocks(int(s.height), rows)
	}
	return pieces
}

// cambiRows is how many rows pieces are to have for n pictures: fewer where there would not be enough pieces to keep the device busy.
func cambiRows(p *cambiParameters, n, multiprocessors int) int {
	rows := cambiMostRows
	for rows > cambiFewestRows && p.pieces(rows)*n < cambiWaves*cambiResident*multiprocessors {
		rows /= 2
	}
	return rows
}

func (c *cambi) collect(words []uint64, b *batch, out *Sums) {
	out.Cambi = sized(out.Cambi, len(c.plan.Cambi))
	for e := range out.Cambi {
		out.Cambi[e] = sized(out.Cambi[e], b.pairs)
		words = takeCambi(out.Cambi[e], words)
	}
	out.CambiSource = sized(out.CambiSource, len(c.plan.CambiSource))
	for i := range out.CambiSource {
		out.CambiSource[i] = sized(out.CambiSource[i], b.frames)
		words = takeCambi(out.CambiSource[i], words)
	}
}

// takeCambi fills sums from the first words and gives the others back.
func takeCambi(sums []score.CambiSums, words []uint64) []uint64 {
	for i := range sums {
		words = words[copy(sums[i][:], words):]
	}
	return words
}

func (c *cambi) close() error { return nil }
