package legacy

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
		for k, name := range o.names {
			if x, ok := o.t.Series[k].At(i); ok {
				o.xmlScore(name, x)
			}
		}
		o.text("/>\n")
	}
	o.text("  </frames>\n  <pooled_metrics>\n")
	for k, name := range o.names {
		o.text(`    <metric name="`, name, `" `)
		for _, p := range poolOrder {
			if x, ok := o.t.Pooled(k, p.method); ok {
				o.xmlScore(p.name, x)
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
	for k, name := range o.names {
		o.separate(k)
		o.text(`    "`, name, `": {`)
		for j, p := range poolOrder {
			x, ok := o.t.Pooled(k, p.method)
			if !ok {
				break // a series has all of them or none
			}
			o.separate(j)
			o.text(`      "`, p.name, `": `)
			o.jsonScore(x)
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
	for _, s := range o.t.Series {
		if has(s, i) {
			left++
		}
	}
	for k, name := range o.names {
		x, ok := o.t.Series[k].At(i)
		if !ok {
			continue
		}
		left--
		o.text(`        "`, name, `": `)
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
	for _, name := range o.names {
		o.text(name, ",")
	}
	o.text("\n")
	for i := 0; i < o.t.Frames; i++ {
		if !o.hasFrame(i) {
			continue
		}
		o.int(i)
		o.text(",")
		for k := range o.names {
			o.score(o.t.Series[k].Values[i]) // present: checkFrames
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
		for k, name := range o.names {
			if x, ok := o.t.Series[k].At(i); ok {
				o.text(name, ": ")
				o.score(x)
				o.text("|")
			}
		}
		o.text("\n")
	}
}
