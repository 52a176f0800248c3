package main

import (
	"math"
	"slices"
	"time"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/protocol"
	"github.com/vqsd/vqsd/workflow/rules"
)

const (
	maxRandomAccess = 10_000  // of Inspection.RandomAccess
	maxTimes        = 100_000 // of Inspection.Times
)

// inspection tells what is open.
func (h *handler) inspection(c *protocol.Comparison, files []*mediaFile, o *openComparison) *protocol.Inspection {
	d := &o.description
	out := &protocol.Inspection{
		Reference: storedVideo(d.Reference), ReferenceFile: files[0].file(h.cfg.Host), RandomAccess: thinned(d.RandomAccess, maxRandomAccess),
		Times: unevenTimes(d), Backend: h.backend.Describe(),
	}
	for k, m := range files[1:] {
		in := protocol.InspectedVideo{Failure: m.failure, File: m.file(h.cfg.Host)}
		if i := o.index[k]; i >= 0 {
			h.inspected(&in, c, k, &d.Renditions[i])
		}
		out.Renditions = append(out.Renditions, in)
	}
	return out
}

func (h *handler) inspected(in *protocol.InspectedVideo, c *protocol.Comparison, k int, d *engine.RenditionDescription) {
	if d.Stamp != (engine.Stamp{}) {
		in.Video = storedVideo(d.Info)
	}
	err := d.Err
	if err == nil && (d.Format.Width < c.MinWidth || d.Format.Height < c.MinHeight) {
		err = &tooSmallError{c.Renditions[k].URI, engine.Size{Width: c.MinWidth, Height: c.MinHeight}, engine.Size{Width: d.Format.Width, Height: d.Format.Height}}
	}
	if err != nil {
		in.Failure = failureOf(err)
		return
	}
	in.Format = storedFormat(d.Format)
	in.Encoded = store.Encoded{Width: d.Encoded.Width, Height: d.Encoded.Height, BitDepth: d.Encoded.BitsPerComponent}
	in.Conversion, in.RefConvert = d.Conversion, d.ReferenceConversion
	in.Pairing, in.First, in.End, in.Offset = d.Pairing.String(), d.First, d.End, d.Offset
	in.Repeated, in.Dropped = d.Repeated, d.Dropped
	in.RandomEntry = d.Info.Seekable
	// Figures of the reference are told by a rendition that they are of: the engine's groups are numbered anew when a rendition
	// cannot be opened any more.
	in.Group = k
}

// storedVideo is what is kept of a video.
func storedVideo(i decode.Info) store.Video {
	v := store.Video{
		SizeBytes: i.SizeBytes, Container: validText(i.Container), Codec: validText(i.Codec), Decoder: i.Decoder, Profile: validText(i.Profile),
		PixelFormat: i.PixelFormat,
		Width:       i.Format.Width, Height: i.Format.Height, BitDepth: i.Format.BitsPerComponent, Subsampling: i.Format.Subsampling.String(),
		FullRange: i.Format.FullRange, CodedWidth: i.CodedWidth, CodedHeight: i.CodedHeight,
		SampleAspectNum: i.SampleAspect.Num, SampleAspectDen: i.SampleAspect.Den, Rotation: i.Rotation.String(), Interlaced: i.Interlaced,
		ColorRange: i.Color.Range, ColorSpace: i.Color.Space, ColorPrimaries: i.Color.Primaries, ColorTransfer: i.Color.Transfer,
		FrameRateNum: i.FrameRate.Num, FrameRateDen: i.FrameRate.Den, VariableRate: i.VariableRate,
		TimeBaseNum: i.TimeBase.Num, TimeBaseDen: i.TimeBase.Den, Timestamps: i.Timestamps, StartOffset: i.StartOffset, Duration: i.Duration,
		BitRate: i.BitRate, Frames: i.Frames, KeyFrames: i.KeyFrames, Seekable: i.Seekable,
		Discarded: i.Discarded, Hidden: i.Hidden, Undecodable: i.Undecodable, Truncated: validText(i.Truncated),
	}
	for _, s := range i.Streams {
		v.Streams = append(v.Streams, store.VideoStream{
			Index: s.Index, Type: s.Type, Codec: validText(s.Codec), Language: validText(s.Language), Selected: s.Selected,
		})
	}
	return v
}

// vmafEncoded is what was given of a rendition's encoding; the zero value where it is left to its file, or to what is compared.
func vmafEncoded(e rules.Encoded) vmaf.Encoded {
	return vmaf.Encoded{Width: e.Width, Height: e.Height, BitsPerComponent: e.BitDepth}
}

func storedFormat(f vmaf.Format) store.Format {
	return store.Format{
		Width: f.Width, Height: f.Height, BitDepth: f.BitsPerComponent, Subsampling: f.Subsampling.String(), FullRange: f.FullRange,
	}
}

func storedDamage(s decode.Stats) store.Damage {
	return store.Damage{Decoded: s.Delivered, Damaged: s.Damaged, Missing: s.Missing, FormatChanges: s.FormatChanges}
}

// thinned leaves out so many, evenly, that at most that many are left.
func thinned(list []int64, most int) []int64 {
	step := (len(list) + most - 1) / most
	if step <= 1 {
		return list
	}
	var out []int64
	for i := 0; i < len(list); i += step {
		out = append(out, list[i])
	}
	return out
}

// unevenTimes are the reference's presentation times in units of its time base, where the frame rate does not give them.
func unevenTimes(d *engine.Description) []int64 {
	info := &d.Reference
	if !info.VariableRate || info.TimeBase.IsZero() || len(d.Times) > maxTimes {
		return nil
	}
	unit := info.TimeBase.Float() * float64(time.Second)
	times := make([]int64, len(d.Times))
	for i, t := range d.Times {
		times[i] = int64(math.Round(float64(t) / unit))
	}
	return times
}

// figureParts are the figures of a work as they are told to the daemon.
func figureParts(c *protocol.Comparison, o *openComparison, texts []string, f *engine.Figures) []protocol.Part {
	var list []protocol.Part
	for _, g := range f.Groups {
		for _, k := range tellers(c, o, f, g.Group) {
			for e, columns := range g.Columns {
				if first := g.Valid[e]; columns != nil && first < g.End {
					list = append(list, protocol.Part{
						Extraction: texts[e], Rendition: -1, Group: k, First: first, End: g.End, Step: 1, Figures: stepped(columns, first-g.First, 1),
					})
				}
			}
		}
	}
	step := int64(max(c.Subsample, 1))
	for _, r := range f.Renditions {
		for e, columns := range r.Columns {
			first, step := r.First, step
			if f.Extractions[e].EveryFrame() {
				step = 1
			}
			if past := (first - o.description.Renditions[r.Rendition].First) % step; past != 0 {
				first += step - past
			}
			if r.Err != nil || columns == nil || first >= r.End {
				continue
			}
			list = append(list, protocol.Part{
				Extraction: texts[e], Rendition: slices.Index(o.index, r.Rendition), First: first, End: r.End, Step: step,
				Figures: stepped(columns, first-r.First, step),
			})
		}
	}
	return list
}

// tellers are the renditions by which figures of one of the engine's groups are told: one for each way in which the daemon may tell
// figures of the reference apart, which is finer than the engine's.
func tellers(c *protocol.Comparison, o *openComparison, f *engine.Figures, group int) []int {
	type way struct {
		geometry store.Size
		scale    string
	}
	var list []int
	told := map[way]bool{}
	for _, r := range f.Renditions {
		d := &o.description.Renditions[r.Rendition]
		k := slices.Index(o.index, r.Rendition)
		w := way{c.Geometries[k], c.Scales[k]}
		if d.Err == nil && d.Group == group && !told[w] {
			told[w] = true
			list = append(list, k)
		}
	}
	return list
}

// stepped is every step-th figure of columns from an index on.
func stepped(columns [][]float64, first, step int64) [][]float64 {
	out := make([][]float64, len(columns))
	for c, column := range columns {
		if step == 1 {
			out[c] = column[first:]
			continue
		}
		for i := first; i < int64(len(column)); i += step {
			out[c] = append(out[c], column[i])
		}
	}
	return out
}

// storedStamp is a stamp as it is kept.
func storedStamp(s engine.Stamp) store.Stamp {
	return store.Stamp{
		SizeBytes: s.SizeBytes, ModifiedUnixNano: s.ModifiedUnixNano, ChangedUnixNano: s.ChangedUnixNano, Inode: s.Inode, Device: s.Device,
	}
}
