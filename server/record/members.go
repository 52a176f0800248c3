package record

import (
	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/store"
)

// The members of a record, in the order in which they are written. encode-record.schema.json describes them.

func (d *Document) value() value {
	return object{
		{"schema", true, constant(SchemaName)},
		{"program", false, d.Program.value()},
		{"measurement", false, d.Measurement.value()},
		{"reference", false, d.Reference.value(false)},
		{"distorted", true, d.Distorted.value(true)},
		{"comparison", false, d.Comparison.value()},
		{"provenance", false, d.Provenance.value()},
		{"series", false, list[Series]{&d.Series, namesLimit, (*Series).value}},
		{"scores", false, scores{&d.Scores}},
		{"aggregates", false, aggregates{&d.Aggregates}},
		{"chunks", false, list[Chunk]{&d.Chunks, chunksLimit, (*Chunk).value}},
		{"frames", false, pointed[Frames]{&d.Frames, (*Frames).value}},
	}
}

func (p *Program) value() value {
	return flat{object{
		{"name", false, word(&p.Name)},
		{"version", false, word(&p.Version)},
	}}
}

func (m *Measurement) value() value {
	return object{
		{"name", false, label(&m.Name)},
		{"create_time", false, instant{&m.Created}},
		{"finish_time", false, instant{&m.Finished}},
		{"labels", false, labels{&m.Labels}},
	}
}

func (v *Video) value(distorted bool) value {
	o := object{
		{"uri", false, uri(&v.URI)},
		{"raw_format", false, word(&v.Raw)},
		{"fingerprint", false, word(&v.Fingerprint)},
		{"video", false, pointed[store.Video]{&v.Info, videoValue}},
		{"damage", false, damageValue(&v.Damage)},
	}
	if distorted {
		return append(object{{"name", true, name(&v.Name)}}, o...)
	}
	return o
}

func damageValue(d *store.Damage) value {
	return flat{object{
		{"decoded", false, count(&d.Decoded)},
		{"damaged", false, count(&d.Damaged)},
		{"missing", false, count(&d.Missing)},
		{"format_changes", false, count(&d.FormatChanges)},
	}}
}

func videoValue(v *store.Video) value {
	return object{
		{"size_bytes", false, count(&v.SizeBytes)},
		{"container", false, word(&v.Container)},
		{"codec", false, word(&v.Codec)},
		{"decoder", false, word(&v.Decoder)},
		{"profile", false, word(&v.Profile)},
		{"pixel_format", false, word(&v.PixelFormat)},
		{"width", false, count(&v.Width)},
		{"height", false, count(&v.Height)},
		{"bit_depth", false, count(&v.BitDepth)},
		{"subsampling", false, word(&v.Subsampling)},
		{"full_range", false, truth{&v.FullRange}},
		{"coded_width", false, count(&v.CodedWidth)},
		{"coded_height", false, count(&v.CodedHeight)},
		{"sample_aspect_ratio", false, ratio{&v.SampleAspectNum, &v.SampleAspectDen}},
		{"rotation", false, word(&v.Rotation)},
		{"interlaced", false, word(&v.Interlaced)},
		{"color_range", false, word(&v.ColorRange)},
		{"color_space", false, word(&v.ColorSpace)},
		{"color_primaries", false, word(&v.ColorPrimaries)},
		{"color_transfer", false, word(&v.ColorTransfer)},
		{"frame_rate", false, ratio{&v.FrameRateNum, &v.FrameRateDen}},
		{"variable_frame_rate", false, truth{&v.VariableRate}},
		{"time_base", false, ratio{&v.TimeBaseNum, &v.TimeBaseDen}},
		{"timestamps", false, truth{&v.Timestamps}},
		{"start_offset_seconds", false, duration{&v.StartOffset, true}},
		{"duration_seconds", false, duration{&v.Duration, false}},
		{"bit_rate", false, count(&v.BitRate)},
		{"frames", false, count(&v.Frames)},
		{"key_frames", false, count(&v.KeyFrames)},
		{"seekable", false, truth{&v.Seekable}},
		{"discarded", false, count(&v.Discarded)},
		{"hidden", false, count(&v.Hidden)},
		{"undecodable", false, count(&v.Undecodable)},
		{"truncated", false, prose(&v.Truncated)},
		{"streams", false, list[store.VideoStream]{&v.Streams, nil, streamValue}},
	}
}

func streamValue(s *store.VideoStream) value {
	return flat{object{
		{"index", true, count(&s.Index)},
		{"type", false, word(&s.Type)},
		{"codec", false, word(&s.Codec)},
		{"language", false, word(&s.Language)},
		{"selected", false, truth{&s.Selected}},
	}}
}

func (c *Comparison) value() value {
	return object{
		{"pairing", false, choice{&c.Pairing, []string{"", "index", "timestamp"}}},
		{"offset", false, signed(&c.Offset)},
		{"first_frame", false, count(&c.First)},
		{"end_frame", false, count(&c.End)},
		{"subsample", false, interval[int]{&c.Subsample}},
		{"shortest", false, truth{&c.Shortest}},
		{"repeated_frames", false, count(&c.Repeated)},
		{"dropped_frames", false, count(&c.Dropped)},
		{"on_damage", false, choice{&c.OnDamage, []string{"", "strict", "conceal"}}},
		{"scale", false, word(&c.Scale)},
		{"geometry", false, pointed[store.Size]{&c.Geometry, sizeValue}},
		{"crop", false, pointed[store.Rect]{&c.Crop, rectValue}},
		{"format", false, unlessZero(&c.Format, formatValue(&c.Format))},
		{"bit_depth_reason", false, prose(&c.DepthReason)},
		{"conversion", false, prose(&c.Conversion)},
		{"reference_conversion", false, prose(&c.RefConversion)},
		{"encoded", false, pointed[store.Encoded]{&c.Encoded, encodedValue}},
		{"extra_features", false, texts(&c.ExtraFeatures, name[string])},
	}
}

func sizeValue(s *store.Size) value {
	return flat{object{{"width", true, positive(&s.Width)}, {"height", true, positive(&s.Height)}}}
}

func rectValue(r *store.Rect) value {
	return flat{object{
		{"x", true, count(&r.X)},
		{"y", true, count(&r.Y)},
		{"width", true, positive(&r.Width)},
		{"height", true, positive(&r.Height)},
	}}
}

func formatValue(f *store.Format) value {
	return flat{object{
		{"width", true, count(&f.Width)},
		{"height", true, count(&f.Height)},
		{"bit_depth", false, count(&f.BitDepth)},
		{"subsampling", false, word(&f.Subsampling)},
		{"full_range", false, truth{&f.FullRange}},
	}}
}

func encodedValue(e *store.Encoded) value {
	return flat{object{
		{"width", false, count(&e.Width)},
		{"height", false, count(&e.Height)},
		{"bit_depth", false, count(&e.BitDepth)},
	}}
}

func (p *Provenance) value() value {
	return object{
		{"daemon", false, word(&p.Daemon)},
		{"workers", false, texts(&p.Workers, word[string])},
		{"backends", false, texts(&p.Backends, word[string])},
		{"frames_per_second", false, figure{&p.FPS}},
		{"models", false, list[store.Model]{&p.Models, nil, modelValue}},
		{"rules", false, list[Rule]{&p.Rules, nil, (*Rule).value}},
		{"rules_digest", false, word(&p.RulesDigest)},
		{"warnings", false, list[string]{&p.Warnings, nil, prose[string]}},
		{"rescored_from", false, label(&p.RescoredFrom)},
		{"imported", false, pointed[Imported]{&p.Imported, (*Imported).value}},
	}
}

func modelValue(m *store.Model) value {
	return object{
		{"name", true, name(&m.Name)},
		{"version", false, label(&m.Version)},
		{"spec", false, uri(&m.Spec)},
		{"document", false, word(&m.Document)},
		{"digest", false, word(&m.Digest)},
		{"series", false, texts(&m.Series, name[string])},
	}
}

func (r *Rule) value() value {
	return flat{object{{"rule", true, name(&r.Name)}, {"settings", false, prose(&r.Settings)}}}
}

func (i *Imported) value() value {
	return object{
		{"form", false, word(&i.Form)},
		{"digest", false, word(&i.Digest)},
		{"file", false, uri(&i.File)},
		{"generation", false, word(&i.Generation)},
		{"version", false, label(&i.Version)},
		{"run", false, pointed[legacy.Run]{&i.Run, runValue}},
		{"losses", false, list[string]{&i.Losses, nil, prose[string]}},
	}
}

func (s *Series) value() value {
	return flat{object{
		{"name", true, name(&s.Name)},
		{"stored", false, label(&s.Stored)},
		{"model", false, label(&s.Model)},
	}}
}

func (c *Chunk) value() value {
	return flat{object{
		{"first_frame", true, count(&c.First)},
		{"end_frame", true, count(&c.End)},
		{"first_second", false, pointed[float64]{&c.FirstSecond, func(v *float64) value { return finite{v, true} }}},
		{"scores", true, scores{&c.Scores}},
	}}
}

func (f *Frames) value() value {
	return object{
		{"first_frame", false, count(&f.First)},
		{"end_frame", true, count(&f.End)},
		{"step", false, interval[int64]{&f.Step}},
		{"numbers", false, orNull{numbers{&f.Numbers}, func() bool { return f.Numbers == nil }}},
		{"times", false, orNull{seconds{&f.Seconds}, func() bool { return f.Seconds == nil }}},
		{"series", true, columns{&f.Columns}},
	}
}
