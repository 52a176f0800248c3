package legacy

// jsonScore writes null for what JSON has no number for.
func (o *writer) jsonScore(x float64) {
	if notFinite(x) {
		o.text("null")
		return
	}
	o.score(x)
}

// fps writes the speed, which Precision leaves alone.
func (o *writer) fps() {
	o.buf = appendFixed(o.buf[:0], o.t.FPS, 2)
	o.w.Write(o.buf)
}

func (o *writer) xml() {
	o.text(`<VMAF version="`, o.opt.Version, "\">\n")
	o.text(`  <params qualityWidth="`)
	o.int(o.t.Width)
	o.text(`" qualityHeight="`)
	o.int(o.t.Height)
	o.text("\" />\n  <fyi fps=\"")
	o.fps()
	o.text("\" />\n  <frames>\n")
	for i := 0; i < o.t.Frames; i++ {
		if !o.hasFrame(i) {
			continue
		}
		o.text(`    <frame frameNum="`)
		o.int(i)
		o.text(`" `)
		for _, c := range o.columns {
			if x, ok := c.At(i); ok {
				o.xmlScore(c.name, x)
			}
		}
		o.text("/>\n")
	}
	o.text("  </frames>\n  <pooled_metrics>\n")
	for _, c := range o.columns {
		o.text(`    <metric name="`, c.name, `" `)
		for _, method := range poolOrder {
			if x, ok := o.pooled(c, method); ok {
				o.xmlScore(string(method), x)
			}
		}
		o.text("/>\n")
	}
	o.text("  </pooled_metrics>\n  <aggregate_metrics ")
	for _, a := range o.t.Aggregates {
		o.xmlScore(a.Name, a.Value)
	}
	o.text("/>\n</VMAF>\n")
}

func (o *writer) xmlScore(name string, x float64) {
	o.text(name, `="`)
	o.score(x)
	o.text(`" `)
}

func (o *writer) json() {
	o.text("{\n  \"version\": \"", o.opt.Version, "\",\n  \"fps\": ")
	if notFinite(o.t.FPS) {
		o.text("null")
	} else {
		o.fps()
	}
	o.text(",\n  \"frames\": [")
	for i := 0; i < o.t.Frames; i++ {
		if o.hasFrame(i) {
			o.jsonFrame(i)
		}
	}
	o.text("\n  ],\n  \"pooled_metrics\": {")
	for k, c := range o.columns {
		o.separate(k)
		o.text(`    "`, c.name, `": {`)
		figures := 0
		for _, method := range poolOrder {
			x, ok := o.pooled(c, method)
			if !ok {
				continue
			}
			o.separate(figures)
			o.text(`      "`, string(method), `": `)
			o.jsonScore(x)
			figures++
		}
		o.text("\n    }")
	}
	o.text("\n  },\n  \"aggregate_metrics\": {")
	for k, a := range o.t.Aggregates {
		o.separate(k)
		o.text(`    "`, a.Name, `": `)
		o.jsonScore(a.Value)
	}
	o.text("\n  }\n}\n")
}

// separate begins entry k of a list on a line of its own.
func (o *writer) separate(k int) {
	if k > 0 {
		o.text(",")
	}
	o.text("\n")
}

// jsonFrame writes one element of the list of frames. After a null libvmaf forgets the line feed, which readers of
// lines have to live with, and so do we.
func (o *writer) jsonFrame(i int) {
	o.separate(i)
	o.text("    {\n      \"frameNum\": ")
	o.int(i)
	o.text(",\n      \"metrics\": {\n")
	left := 0
	for _, c := range o.columns {
		if has(c.Series, i) {
			left++
		}
	}
	for _, c := range o.columns {
		x, ok := c.At(i)
		if !ok {
			continue
		}
		left--
		o.text(`        "`, c.name, `": `)
		o.jsonScore(x)
		if left > 0 {
			o.text(",")
		}
		if !notFinite(x) {
			o.text("\n")
		}
	}
	o.text("      }\n    }")
}

func (o *writer) csv() {
	o.text("Frame,")
	for _, c := range o.columns {
		o.text(c.name, ",")
	}
	o.text("\n")
	for i := 0; i < o.t.Frames; i++ {
		if !o.hasFrame(i) {
			continue
		}
		o.int(i)
		o.text(",")
		for _, c := range o.columns {
			o.score(c.Values[i]) // present: checkFrames
			o.text(",")
		}
		o.text("\n")
	}
}

func (o *writer) sub() {
	for i := 0; i < o.t.Frames; i++ {
		if !o.hasFrame(i) {
			continue
		}
		o.text("{")
		o.int(i)
		o.text("}{")
		o.int(i + 1)
		o.text("}frame: ")
		o.int(i)
		o.text("|")
		for _, c := range o.columns {
			if x, ok := c.At(i); ok {
				o.text(c.name, ": ")
				o.score(x)
				o.text("|")
			}
		}
		o.text("\n")
	}
}
