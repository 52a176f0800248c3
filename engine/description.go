package engine

import (
	"time"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// Description is what a [Comparison] knows before anything is measured.
type Description struct {
	Reference      decode.Info
	ReferenceStamp Stamp                  // of the file as it was opened; zero for a stream
	Renditions     []RenditionDescription // in the order of [Request.Distorted]

	// First and End are the reference frames at which any rendition is compared, [First, End). End is −1 where inputs do not
	// say how many frames they have, and 0 where no rendition can be compared.
	First, End int64
	// Times are the presentation times of the reference's frames since its first; nil where it has none.
	Times []time.Duration
	// RandomAccess are the reference's frames at which decoding can begin, ascending; nil for a stream.
	RandomAccess []int64
}

// RenditionDescription is what is known of one rendition, and how it is compared. Fields after Err are set where that is nil.
type RenditionDescription struct {
	Info  decode.Info // only its Path where the file could not be opened
	Stamp Stamp       // of the file as it was opened; zero for a stream
	Err   error       // why it cannot be compared

	Format vmaf.Format // what pictures are compared in, after scaling and cropping
	// Conversion and ReferenceConversion say what is done to the pictures for that; empty: nothing.
	Conversion, ReferenceConversion string
	// Encoded is what CAMBI is told that the rendition was encoded in; zero: what pictures are compared in. Its columns are those of
	// the extractions with it ([vmaf.Extraction.WithEncoded]).
	Encoded vmaf.Encoded
	// Group is equal for renditions that share figures of the reference: these depend on the format compared in, and on how
	// the reference is brought into it. Groups count from 0.
	Group int

	Pairing    Pairing // as applied: by index or by timestamp
	First, End int64   // reference frames that are compared, [First, End); End −1: until an input ends
	Offset     int64   // by index: distorted frame less reference frame
	Repeated   int64   // distorted frames compared more than once, each further time counted
	Dropped    int64   // distorted frames passed over
}

// Describe says all that is known before anything is measured. The caller owns what it gets.
func (c *Comparison) Describe() Description {
	d := Description{Reference: c.refInfo, ReferenceStamp: stampOfVideo(c.ref), First: c.first, End: c.end}
	if list, err := times(c.ref); err == nil {
		d.Times = list
	} // an error says why there are none, which is no failure here
	if index := c.ref.Index(); index != nil {
		d.RandomAccess = []int64{}
		for i, f := range index.Frames {
			if f.Key {
				d.RandomAccess = append(d.RandomAccess, int64(i))
			}
		}
	}
	for _, r := range c.renditions {
		d.Renditions = append(d.Renditions, c.describe(r))
	}
	return d
}

func (c *Comparison) describe(d *rendition) RenditionDescription {
	out := RenditionDescription{Info: d.info, Err: d.err}
	if d.video != nil {
		out.Stamp = stampOfVideo(d.video)
	}
	if d.err != nil {
		return out
	}
	g := c.groups[d.group]
	out.Format, out.Group, out.Encoded = g.compared, d.group, d.encoded
	out.Conversion = c.conversion(g.format, d.treated.filter(), d.info)
	out.ReferenceConversion = c.conversion(g.format, g.filter, c.refInfo)
	out.First, out.End, out.Offset = d.pairs.first, d.pairs.end, d.pairs.offset
	out.Pairing = PairIndex
	if d.pairs.table != nil {
		out.Pairing = PairTimestamp
		out.Repeated, out.Dropped = d.pairs.repeated, d.pairs.dropped
	}
	return out
}

// conversion says how pictures of an input come into a format; "" where a converter for it cannot be made, which measuring
// reports.
func (c *Comparison) conversion(to vmaf.Format, filter decode.ScaleFilter, from decode.Info) string {
	converter, err := decode.NewConverter(to, filter, !c.req.Chroma)
	if err != nil {
		return ""
	}
	defer converter.Close()
	return converter.Describe(from.Format)
}
