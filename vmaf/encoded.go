package vmaf

import "slices"

// Encoded says how a rendition was encoded, where that differs from how it is compared: banding looks different after scaling and
// dithering, and CAMBI wants to know. The zero value says nothing.
type Encoded struct {
	Width, Height    int // luma samples; 0: as compared
	BitsPerComponent int // 0: as compared
}

// WithEncoded is the extraction told how the rendition was encoded, for pictures compared in a format: for cambi, enc_width, enc_height and
// enc_bitdepth are set where the extraction does not state them itself. What equals the format, what is larger than it (CAMBI does not
// enlarge) and what CAMBI refuses, alone or beside the other sizes, is not set. Other extractions are returned as they are.
func (e Extraction) WithEncoded(enc Encoded, f Format) Extraction {
	if e.extractor.name != "cambi" {
		return e
	}
	e.values = slices.Clone(e.values)
	set := func(key string, number int) {
		e.values[e.extractor.optionIndex(key)].number = float64(number)
	}
	inRange := func(key string, number int) bool {
		o := e.extractor.options[e.extractor.optionIndex(key)]
		return float64(number) >= o.lo && float64(number) <= o.hi
	}
	stated := e.Int("enc_width") != 0 || e.Int("enc_height") != 0
	smaller := enc.Width <= f.Width && enc.Height <= f.Height && (enc.Width < f.Width || enc.Height < f.Height)
	if !stated && smaller && inRange("enc_width", enc.Width) && inRange("enc_height", enc.Height) {
		set("enc_width", enc.Width)
		set("enc_height", enc.Height)
		if e.CheckFormat(f) != nil { // it would be too small, or take the speed-up from a window that needs it
			set("enc_width", 0)
			set("enc_height", 0)
		}
	}
	if bits := enc.BitsPerComponent; e.Int("enc_bitdepth") == 0 && bits != f.BitsPerComponent && inRange("enc_bitdepth", bits) {
		set("enc_bitdepth", bits)
	}
	e.suffix = e.makeSuffix(anyOption)
	return e
}

// WithEncoded is the plan for a rendition that was encoded in a certain way: its extractions are those that [Extraction.WithEncoded] gives,
// and its models are overloaded alike, so that names are those of libvmaf called with cambi.enc_width=… and so on. Where nothing
// changes it is the plan itself.
func (p *Plan) WithEncoded(enc Encoded, f Format) (*Plan, error) {
	changed := false
	told := &Plan{Models: slices.Clone(p.Models)}
	for i, m := range p.Models {
		var err error
		if told.Models[i], err = m.withEncoded(enc, f); err != nil {
			return nil, err
		}
		changed = changed || told.Models[i] != m
	}
	for _, e := range p.Extractions {
		with := e.WithEncoded(enc, f)
		changed = changed || with.Key() != e.Key()
		if err := told.add(with); err != nil {
			return nil, err
		}
	}
	if !changed {
		return p, nil
	}
	if err := told.checkNames(); err != nil {
		return nil, err
	}
	if err := told.wire(); err != nil {
		return nil, err
	}
	if p.used != nil {
		return told.Lean(), nil
	}
	return told, nil
}

// withEncoded overloads the model's options as its extractions have them with WithEncoded. Where nothing changes it is the model itself.
func (m *Model) withEncoded(enc Encoded, f Format) (*Model, error) {
	o := m.Options()
	changed := false
	for _, e := range m.Extractions() {
		before, after := e.options(), e.WithEncoded(enc, f).options()
		for key, text := range after {
			if before[key] == text {
				continue
			}
			if o.Overloads == nil {
				o.Overloads = map[string]map[string]string{}
			}
			if o.Overloads[e.Extractor()] == nil {
				o.Overloads[e.Extractor()] = map[string]string{}
			}
			o.Overloads[e.Extractor()][key] = text
			changed = true
		}
	}
	if !changed {
		return m, nil
	}
	return m.With(o)
}
