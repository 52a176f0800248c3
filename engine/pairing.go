package engine

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/vqsd/vqsd/decode"
)

// Pairing says which distorted frame is compared with a reference frame.
type Pairing uint8

const (
	// PairAuto pairs by index, and refuses videos whose frame counts or rates differ.
	PairAuto Pairing = iota
	// PairIndex pairs frame n with frame n + offset, whatever the rates say.
	PairIndex
	// PairTimestamp pairs each reference frame with the distorted frame nearest in time, the earlier one in a tie. Times
	// count from each video's first frame.
	PairTimestamp
)

var pairingNames = [...]string{"auto", "index", "timestamp"}

// String is the pairing's name on the command line.
func (p Pairing) String() string { return pairingNames[p] }

// ParsePairing reads "auto", "index" or "timestamp".
func ParsePairing(text string) (Pairing, error) {
	for i, name := range pairingNames {
		if name == text {
			return Pairing(i), nil
		}
	}
	return 0, fmt.Errorf("unknown pairing %q; use %s", text, strings.Join(pairingNames[:], ", "))
}

// pairs is which frames of one rendition are compared with which of the reference.
type pairs struct {
	first, end int64 // reference frames [first, end); end −1: until an input ends
	offset     int64 // distorted frame of reference frame i is i + offset, unless table says otherwise
	table      []int64
	// open is set for a stream beside a reference of known length, or a range that it may fall short of: where the stream ends is seen only there.
	open     bool
	repeated int64 // distorted frames that are compared more than once, counted each further time
	dropped  int64 // distorted frames between the first and the last compared that are not compared
}

// distorted is the index of the distorted frame for reference frame i.
func (p *pairs) distorted(i int64) int64 {
	if p.table != nil {
		return p.table[i-p.first]
	}
	return i + p.offset
}

// disRange is the range of distorted frames to decode for reference frames [first, end).
func (p *pairs) disRange(first, end int64) (int64, int64) {
	if end < 0 {
		return p.distorted(first), -1
	}
	return p.distorted(first), p.distorted(end-1) + 1
}

// rateTolerance is how far average frame rates may differ before a comparison by index is questioned: 29.97 against 30 is
// 0.1 %, 24 against 25 is 4 %. Averages of short clips with a variable rate scatter by some tenths of a percent.
const rateTolerance = 0.005

// pairFrames decides what is compared for one rendition.
func pairFrames(r *Request, ref, dis *decode.Video) (*pairs, error) {
	path := dis.Info().Path
	if r.Pairing == PairTimestamp {
		return pairByTime(r, ref, dis)
	}
	a, b := ref.Info().FrameRate, dis.Info().FrameRate
	if r.Pairing == PairAuto && !a.IsZero() && !b.IsZero() && math.Abs(a.Float()/b.Float()-1) > rateTolerance {
		return nil, &AmbiguousError{path, fmt.Sprintf("has %.4g frames a second and the reference %.4g", b.Float(), a.Float()), chooseRate}
	}
	return pairByIndex(r, path, ref.Info().Frames, dis.Info().Frames)
}

// checkWhole refuses an input that is known to be cut off where the frames asked for reach its end, unless damage is concealed.
func checkWhole(r *Request, info decode.Info, offset int64) error {
	if info.Truncated == "" || r.OnDamage == decode.Conceal || r.End != 0 && info.Frames >= 0 && r.End+offset < info.Frames {
		return nil
	}
	return &decode.FrameError{Path: info.Path, Frame: max(info.Frames, 0),
		Err: fmt.Errorf("%w: %s; to measure what is there, use --on-damage conceal", decode.ErrTruncated, info.Truncated)}
}

// pairByIndex pairs reference frame i with distorted frame i + offset. Counts of −1 are not known before the end.
func pairByIndex(r *Request, path string, refFrames, disFrames int64) (*pairs, error) {
	p := &pairs{first: r.First, end: -1, offset: r.Offset}
	if r.End != 0 {
		p.end = r.End
	} else if refFrames >= 0 {
		p.end = refFrames
	}
	if refFrames >= 0 && (p.first >= refFrames || p.end > refFrames) {
		return nil, unfit("frames: range %d:%d leaves the reference, which has %d frames", r.First, p.end, refFrames)
	}
	before := p.first+p.offset < 0
	after := disFrames >= 0 && p.end >= 0 && p.end+p.offset > disFrames
	more := disFrames >= 0 && p.end >= 0 && r.End == 0 && p.end+p.offset < disFrames
	if (before || after || more) && !r.Shortest {
		reason := fmt.Sprintf("has %d frames and the reference %d", disFrames, refFrames)
		choices := chooseShortest
		if r.Offset != 0 || r.End != 0 || r.First != 0 {
			reason = fmt.Sprintf("frames %d:%d would be compared, of %d there are", p.first+p.offset, p.end+p.offset, disFrames)
			choices = chooseTail
		}
		return nil, &AmbiguousError{path, reason, choices}
	}
	p.open = disFrames < 0 && p.end >= 0 && (r.End == 0 || r.Shortest)
	if before {
		p.first = -p.offset
	}
	if after {
		p.end = disFrames - p.offset
	}
	if (after || p.end >= 0) && p.first >= p.end {
		return nil, unfit("%s: no frame to compare: an offset of %d frames leaves none of its %d beside the reference", path, p.offset, disFrames)
	}
	return p, nil
}

// pairByTime pairs each reference frame with the nearest distorted one.
func pairByTime(r *Request, ref, dis *decode.Video) (*pairs, error) {
	path := dis.Info().Path
	refTimes, err := times(ref)
	if err != nil {
		return nil, err
	}
	disTimes, err := times(dis)
	if err != nil {
		return nil, err
	}
	end := r.End
	if end == 0 {
		end = int64(len(refTimes))
	}
	if r.First >= int64(len(refTimes)) || end > int64(len(refTimes)) {
		return nil, unfit("frames: range %d:%d leaves the reference, which has %d frames", r.First, end, len(refTimes))
	}
	// A reference frame that lies further behind the last distorted frame than that one is shown has no counterpart.
	last := disTimes[len(disTimes)-1] + interval(disTimes)
	covered := r.First + int64(sort.Search(int(end-r.First), func(i int) bool { return refTimes[r.First+int64(i)] >= last }))
	if covered < end {
		if !r.Shortest {
			return nil, &AmbiguousError{path, fmt.Sprintf("ends at %v, before reference frame %d at %v",
				last.Round(time.Millisecond), covered, refTimes[covered].Round(time.Millisecond)), chooseTail}
		}
		end = covered
	}
	if refEnd := refTimes[len(refTimes)-1] + interval(refTimes); !r.Shortest && r.End == 0 && disTimes[len(disTimes)-1] >= refEnd {
		return nil, &AmbiguousError{path, fmt.Sprintf("has frames after %v, where the reference ends", refEnd.Round(time.Millisecond)), chooseTail}
	}
	if r.First >= end {
		return nil, unfit("%s: no frame to compare in the range asked for", path)
	}
	p := &pairs{first: r.First, end: end, table: make([]int64, 0, end-r.First)}
	for i := r.First; i < end; i++ {
		d := nearest(disTimes, refTimes[i])
		if n := len(p.table); n > 0 {
			switch skipped := d - p.table[n-1]; {
			case skipped == 0:
				p.repeated++
			default:
				p.dropped += skipped - 1
			}
		}
		p.table = append(p.table, d)
	}
	return p, nil
}

// times are the presentation times of a video's frames since its first.
func times(v *decode.Video) ([]time.Duration, error) {
	index, path := v.Index(), v.Info().Path
	if index == nil {
		return nil, unfit("%s: a stream's times are not known beforehand; pair it by index", path)
	}
	if len(index.Frames) == 0 {
		return nil, fmt.Errorf("%s: %w", path, decode.ErrNoFrames)
	}
	seconds := index.TimeBase.Float()
	list := make([]time.Duration, len(index.Frames))
	for i, f := range index.Frames {
		if f.PTS == decode.NoPTS {
			return nil, unfit("%s: frame %d has no time; pair by index", path, i)
		}
		list[i] = time.Duration(float64(f.PTS-index.Frames[0].PTS) * seconds * float64(time.Second))
	}
	if !sort.SliceIsSorted(list, func(i, j int) bool { return list[i] < list[j] }) {
		return nil, unfit("%s: frame times do not ascend; pair by index", path)
	}
	return list, nil
}

// interval is how long the last frame of a video is taken to be shown: the average interval.
func interval(list []time.Duration) time.Duration {
	if len(list) < 2 {
		return 0
	}
	return list[len(list)-1] / time.Duration(len(list)-1)
}

// nearest is the index of the ascending list's entry that is nearest to t, the earlier one in a tie.
func nearest(list []time.Duration, t time.Duration) int64 {
	i := sort.Search(len(list), func(i int) bool { return list[i] >= t })
	if i == len(list) || i > 0 && t-list[i-1] <= list[i]-t {
		i--
	}
	return int64(i)
}

// aspectTolerance is how far display aspect ratios may differ: a rendition's size is rounded to even samples.
const aspectTolerance = 0.015

// checkShape refuses to stretch a picture to another shape unless the request says how to scale.
func checkShape(to Treatment, ref, dis decode.Info) error {
	target, differs := to.size(ref), "and the reference"
	if to.Geometry != nil {
		differs = "and they are to be compared at"
		if err := checkGeometry(to, ref); err != nil {
			return err
		}
	}
	if sizeOf(dis) == target {
		return nil
	}
	if to.filter() == decode.NoScale {
		return fmt.Errorf("%s: %w: %dx%d, %s %v; choose a scaling filter with --scale", dis.Path,
			decode.ErrSizeMismatch, dis.Format.Width, dis.Format.Height, differs, target)
	}
	if to.Scale != nil || sizeOf(dis) == sizeOf(ref) {
		return nil
	}
	a, b := aspect(ref), aspect(dis)
	if math.Abs(a/b-1) > aspectTolerance {
		return &AmbiguousError{dis.Path, fmt.Sprintf("is %dx%d with an aspect ratio of %.3f, and the reference %dx%d with %.3f",
			dis.Format.Width, dis.Format.Height, b, ref.Format.Width, ref.Format.Height, a), chooseAspect}
	}
	return nil
}

// checkGeometry is checkShape for the reference itself. Its samples may stay as wide as they are, or become square.
func checkGeometry(to Treatment, ref decode.Info) error {
	target := *to.Geometry
	if sizeOf(ref) == target {
		return nil
	}
	if to.filter() == decode.NoScale {
		return fmt.Errorf("%s: %w: %dx%d, and it is to be compared at %v; choose a scaling filter with --scale", ref.Path,
			decode.ErrSizeMismatch, ref.Format.Width, ref.Format.Height, target)
	}
	shown := float64(target.Width) / float64(target.Height)
	stored := float64(ref.Format.Width) / float64(ref.Format.Height)
	if to.Scale != nil || math.Abs(shown/stored-1) <= aspectTolerance || math.Abs(shown/aspect(ref)-1) <= aspectTolerance {
		return nil
	}
	return &AmbiguousError{ref.Path, fmt.Sprintf("is %dx%d with an aspect ratio of %.3f, and is to be compared at %v with %.3f",
		ref.Format.Width, ref.Format.Height, aspect(ref), target, shown), chooseStretch}
}

func sizeOf(info decode.Info) Size { return Size{info.Format.Width, info.Format.Height} }

// aspect is the display aspect ratio.
func aspect(info decode.Info) float64 {
	a := float64(info.Format.Width) / float64(info.Format.Height)
	if !info.SampleAspect.IsZero() {
		a *= info.SampleAspect.Float()
	}
	return a
}
