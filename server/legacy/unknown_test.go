package legacy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// unknowns are logs with what no program writes into them, and the paths of that.
var unknowns = []struct {
	what, text string
	want       []string
}{
	{"JSON, at every level", `{"encoder":{"name":"x264"},"params":{"model":"a","crf":23},"frames":[{"frameNum":0,"pts":0.04,"metrics":{"vmaf":1}},` +
		`{"frameNum":1,"pts":0.08,"extra":[{"pts":1}],"metrics":{"vmaf":2}}],"pooled_metrics":{"vmaf":{"mean":1.5,"median":"none"},"psnr_y":{"median":3}}}`,
		[]string{"encoder", "params.crf", "frames[].pts", "frames[].extra", "pooled_metrics.*.median"}},
	{"JSON of 2.0.0", `{"frames":[],"pooled_metrics":[{"metric":"vmaf","unit":"dB","pooling_methods":{"mean":1,"":2}}]}`,
		[]string{"pooled_metrics[].unit", `pooled_metrics[].pooling_methods.""`}},
	{"XML, at every level", `<VMAF version="1" host="a">x<params model="a" codec="b"/><fyi fps="1" numOfPictures="2"><x/></fyi><encoder name="c"><frames><frame/></frames>y</encoder>` +
		`<frames step="1"><frame frameNum="0" vmaf="1"><sub depth="2">5</sub></frame><frame frameNum="1" vmaf="1"> 5 <sub/></frame> y <!-- --> z </frames>` +
		`<pooled_metrics by="d"><metric name="vmaf" mean="1" median="none"/><entry/></pooled_metrics><aggregate_metrics apsnr_y="3">t</aggregate_metrics></VMAF>`,
		[]string{"@host", "text()", "params/@codec", "fyi/@numOfPictures", "fyi/x", "encoder", "frames/@step", "frames/frame/sub", "frames/frame/text()", "frames/text()",
			"pooled_metrics/@by", "pooled_metrics/metric/@median", "pooled_metrics/entry", "aggregate_metrics/text()"}},
	{"vmafossexec's XML", `<VMAF><params scaledWidth="1" cpu="a"/><fyi numOfFrames="1" aggregateVMAF="1" aggregateVIF="1"/><frames/></VMAF>`,
		[]string{"params/@cpu", "fyi/@aggregateVIF"}},
	{"names that have to be quoted or cut off", `{"frames":[],"a.b":1,"":1,"\u001b[2J":1,"größe":1,"\u202e":1,"o` + strings.Repeat("ö", 500) + `":1,"` + strings.Repeat(`\u0001`, 500) + `":1}`,
		[]string{`"a.b"`, `""`, `"\x1b[2J"`, "größe", `"\u202e"`, "o" + strings.Repeat("ö", 19) + "…", `"` + strings.Repeat(`\x01`, 40) + `"…`}},
}

func TestRead_Unknown(t *testing.T) {
	for _, c := range unknowns {
		log, _, err := Read(strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if !slices.Equal(log.Unknown, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.what, log.Unknown, c.want)
		}
		checkLog(t, log)
	}
}

// A pooled figure whose method nobody knows is not among the figures, and what comes with it is.
func TestRead_UnknownPooling(t *testing.T) {
	for _, text := range []string{
		`{"frames":[],"pooled_metrics":{"vmaf":{"median":1,"mean":2,"p05":3}}}`,
		`<VMAF><frames/><pooled_metrics><metric name="vmaf" median="1" mean="2" p05="3"/></pooled_metrics></VMAF>`,
	} {
		log, _, err := Read(strings.NewReader(text))
		if err != nil || fmt.Sprint(log.Pooled) != "[{vmaf [{mean 2} {p5 3}]}]" {
			t.Errorf("%s: pooled %v, error %v", text, log.Pooled, err)
		}
	}
}

// vmafossexec's pooled figures do not name their method; of a log that has one, they are by its default.
func TestRead_VmafossexecPooledAlone(t *testing.T) {
	log, format, err := Read(strings.NewReader(`<VMAF><fyi aggregateVMAF="5"/><frames/></VMAF>`))
	if err != nil || format != VmafossexecXML || fmt.Sprint(log.Pooled) != "[{vmaf [{mean 5}]}]" {
		t.Errorf("%v: pooled %v, error %v", format, log.Pooled, err)
	}
}

// What is unknown costs next to nothing, however much of it there is.
func TestRead_UnknownBounded(t *testing.T) {
	const members = 100_000
	var text bytes.Buffer
	text.WriteString(`{"frames":[]`)
	for i := range members {
		fmt.Fprintf(&text, `,"m%d":1`, i)
	}
	text.WriteString("}")
	b := newBuilder(Limits{}.withDefaults(), JSON)
	if err := readJSON(newInput(&text, b.limits), b); err != nil {
		t.Fatal(err)
	}
	log := b.finish()
	if n := len(log.Unknown); n != 17 || log.Unknown[0] != "m0" || log.Unknown[15] != "m15" || log.Unknown[16] != "and more" {
		t.Errorf("unknown: %q", log.Unknown)
	}
	for what, builder := range map[string]*builder{"one beyond the bound": b, "one that is noted": newBuilder(b.limits, JSON)} {
		if n := testing.AllocsPerRun(100, func() { builder.unknown("frames[].", []byte("pts")) }); n > 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}
