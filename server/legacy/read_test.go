package legacy

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// What each generation writes, by spec/legacy-logs.md §B.1.
func TestRead_Generations(t *testing.T) {
	const (
		floatFrame = `<frame frameNum="0" adm2="0.962084" motion2="0.000000" vif_scale0="0.505712" vmaf="83.856284" />`
		intFrame   = `<frame frameNum="0" integer_adm2="0.962084" integer_motion2="0.000000" integer_motion="0.000000" vmaf="83.856284" />`
		head       = "\n<params qualityWidth=\"576\" qualityHeight=\"324\" />\n<fyi fps=\"24.81\" />\n"
		pooled     = `<pooled_metrics><metric name="vmaf" min="83.856284" max="83.856284" mean="83.856284" harmonic_mean="83.856284" /></pooled_metrics><aggregate_metrics />`
		jsonFrames = `"frames": [ { "frameNum": 0, "metrics": { "%s": %s, "vmaf": 83.856284 } } ]`
		jsonPooled = `"pooled_metrics": { "vmaf": { "min": 1, "max": 3, "mean": 2, "harmonic_mean": 1.9 } }, "aggregate_metrics": { }`
	)
	frames := func(name, value string) string { return fmt.Sprintf(jsonFrames, name, value) }
	for _, c := range []struct{ what, text, want string }{
		{"XML of 1.5.1 has frames only", `<VMAF version="abc"><frames>` + floatFrame + `</frames></VMAF>`, "1.5.1"},
		{"XML of 1.5.2 has a head", `<VMAF version="abc">` + head + `<frames>` + floatFrame + `</frames></VMAF>`, "1.5.2 to 1.5.3"},
		{"XML with pooled figures and float features", `<VMAF version="abc">` + head + `<frames>` + floatFrame + `</frames>` + pooled + `</VMAF>`, "2.0.0 to 3.2.0"},
		{"XML with integer_motion", `<VMAF version="abc">` + head + `<frames>` + intFrame + `</frames>` + pooled + `</VMAF>`, "2.0.0 to 3.1.0"},
		{"XML with a release as version", `<VMAF version="2.3.1">` + head + `<frames>` + intFrame + `</frames>` + pooled + `</VMAF>`, "2.3.1"},
		{"XML with a description as version", `<VMAF version="v2.3.1-12-g0123abcd">` + head + `<frames>` + intFrame + `</frames>` + pooled + `</VMAF>`, "2.3.1"},
		{"XML with a version that cannot be", `<VMAF version="1.5.1">` + head + `<frames>` + intFrame + `</frames>` + pooled + `</VMAF>`, "2.0.0 to 3.1.0"},
		{"JSON of 1.5.2", `{ "version": "abc", ` + frames("adm2", "0.5") + ` }`, "1.5.2 to 1.5.3"},
		{"JSON of 2.0.0 has an array", `{ "version": "abc", ` + frames("integer_adm2", "0.5") +
			`, "pooled_metrics": [ { "metric": "vmaf", "pooling_methods": { "min": 1, "max": 3, "mean": 2, "harmonic_mean": 1.9 } } ], "aggregate_metrics": {} }`, "2.0.0"},
		{"JSON of 2.1 has no speed", `{ "version": "abc", ` + frames("integer_adm2", "0.5") + `, ` + jsonPooled + ` }`, "2.1.0 to 2.1.1"},
		{"JSON of 2.1 with an infinity", `{ "version": "abc", ` + frames("psnr_hvs", "inf") + `, ` + jsonPooled + ` }`, "2.1.0 to 2.1.1"},
		{"JSON with a speed", `{ "version": "abc", "fps": 24.81, ` + frames("integer_adm2", "0.5") + `, ` + jsonPooled + ` }`, "2.2.0 to 3.2.0"},
		{"JSON with a speed that is not finite", `{ "version": "abc", "fps": inf, ` + frames("integer_motion", "0.5") + `, ` + jsonPooled + ` }`, "2.2.0 to 2.3.1"},
		{"JSON with a speed of null", `{ "version": "abc", "fps": null, ` + frames("integer_motion", "0.5") + `, ` + jsonPooled + ` }`, "3.0.0 to 3.1.0"},
		{"JSON with sixteen decimals", `{ "version": "abc", "fps": 24.81, ` + frames("mse_y", "0.0000004822530864") + `, ` + jsonPooled + ` }`, "3.1.0 to 3.2.0"},
		{"JSON with a feature of 3.2", `{ "version": "abc", "fps": 24.81, ` + frames("integer_aim", "0.5") + `, ` + jsonPooled + ` }`, "3.2.0"},
		{"CSV with float features", "Frame,adm2,vmaf,\n0,0.962084,83.856284,\n", "1.5.2 to 3.2.0"},
		{"CSV with integer features", "Frame,integer_adm2,vmaf,\n0,0.962084,83.856284,\n", "2.0.0 to 3.2.0"},
		{"SUB with a feature of 3.2", "{0}{1}frame: 0|integer_aim: 0.5|vmaf: 83.856284|\n", "3.2.0"},
	} {
		log, _, err := Read(strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if got := log.Generation.String(); got != "libvmaf "+c.want {
			t.Errorf("%s: generation %s, want %s", c.what, got, c.want)
		}
		if len(log.Unknown) > 0 {
			t.Errorf("%s: unknown: %q, want nothing", c.what, log.Unknown)
		}
		if vmaf, ok := log.Column("vmaf"); !ok || len(vmaf.Values) != 1 || vmaf.Values[0] != 83.856284 {
			t.Errorf("%s: vmaf %+v", c.what, vmaf)
		}
		if strings.Contains(c.text, "harmonic") {
			if _, ok := log.PooledFigure("vmaf", "harmonic_mean"); !ok {
				t.Errorf("%s: pooled figures missing: %+v", c.what, log.Pooled)
			}
		}
	}
}

// Tools that pass logs on lay them out anew. What the log says stays the same.
func TestRead_Variants(t *testing.T) {
	for what, text := range map[string]string{
		"XML with prolog, comments, other quotes, entities": "\xef\xbb\xbf<?xml version='1.0'?>\r\n<!-- <frame> -->\n<VMAF version='v&quot;&#65;&#x42;'><params qualityWidth='4' qualityHeight='2'></params>" +
			"<fyi fps='1.50'/><frames><frame vmaf='1.5' frameNum='0' psnr_y='2'><extra a='1'>text</extra></frame><frame frameNum='2' vmaf='-inf' psnr_y='nan'/></frames>" +
			"<pooled_metrics><metric mean='1.5' name='vmaf'/></pooled_metrics><aggregate_metrics apsnr_y='3'/></VMAF>\n<!-- end -->\n",
		"JSON in one line, members in another order": `{"aggregate_metrics":{"apsnr_y":3},"other":{"a":[1,[true,null],{"b":"c"}]},"pooled_metrics":{"vmaf":{"mean":1.5}},"fps":1.5,` +
			`"frames":[{"metrics":{"vmaf":1.5,"psnr_y":2},"frameNum":0,"x":"y"},{"frameNum":2,"metrics":{"vmaf":-inf,"psnr_y":null}}],"version":"v\"A\u0042"}`,
		"CSV with the other line ends, no last comma": "Frame,vmaf,psnr_y\r\n0,1.5,2\r\n\r\n2,-inf,-nan(ind)\r\n",
		"SUB with the other line ends":                "{0}{1}frame: 0|vmaf: 1.5|psnr_y: 2|\r\n{2}{3}frame: 2|vmaf: -inf|psnr_y: -nan|\r\n",
	} {
		log, format, err := Read(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		vmaf, _ := log.Column("vmaf")
		psnr, _ := log.Column("psnr_y")
		if fmt.Sprint(log.Frames, vmaf.Values, psnr.Values) != "[0 2] [1.5 -Inf] [2 NaN]" {
			t.Errorf("%s: read %v %v %v", what, log.Frames, vmaf.Values, psnr.Values)
		}
		if format == CSV || format == SUB {
			continue
		}
		mean, _ := log.PooledFigure("vmaf", "mean")
		if log.Version != `v"AB` || log.FPS != 1.5 || mean != 1.5 || len(log.Aggregates) != 1 || log.Aggregates[0].Value != 3 {
			t.Errorf("%s: read %+v", what, log)
		}
	}
}

// libvmaf's own JSON begins its list with a comma when frame 0 has no value.
func TestRead_JSONLeadingComma(t *testing.T) {
	log, _, err := Read(strings.NewReader("{\n  \"version\": \"v\",\n  \"frames\": [,\n    {\n      \"frameNum\": 1,\n      \"metrics\": {\n        \"a\": 1.000000\n      }\n    }\n  ]\n}\n"))
	if err != nil || len(log.Frames) != 1 || log.Frames[0] != 1 {
		t.Errorf("%+v, %v", log, err)
	}
}

func TestRead_Refuses(t *testing.T) {
	xml := func(body string) string { return "<VMAF>\n<frames>\n" + body + "\n</frames>\n</VMAF>" }
	for _, c := range []struct {
		what, text string
		is         error
		message    string
	}{
		{"nothing", "", ErrMalformed, "line 1: the file is empty"},
		{"white space", " \n\n ", ErrMalformed, "empty"},
		{"something else", "\x00\x01", ErrMalformed, "line 1: the file begins with '\\x00'"},
		{"XML of something else", "<svg></svg>", ErrMalformed, `"svg"`},
		{"XML without frames", "<VMAF></VMAF>", ErrMalformed, "no frames"},
		{"XML cut off", "<VMAF>\n<frames>\n", ErrMalformed, `within "frames"`},
		{"XML cut off within a value", "<VMAF><frames><frame frameNum=\"0", ErrMalformed, "the end of the file within the value"},
		{"XML with two roots", "<VMAF><frames/></VMAF><VMAF/>", ErrMalformed, "one VMAF element"},
		{"XML with text after the root", "<VMAF><frames/></VMAF>x", ErrMalformed, "outside"},
		{"XML closes another element", "<VMAF><frames></VMAF>", ErrMalformed, "not open"},
		{"XML with a document type", "<!DOCTYPE VMAF []><VMAF/>", ErrMalformed, `"--" is due`},
		{"XML with an unknown entity", "<VMAF version='&x;'/>", ErrMalformed, `entity "x"`},
		{"XML with a bare ampersand", xml(`<frame frameNum="0" a&b="1"/>`), ErrMalformed, "line 3"},
		{"XML too deep", "<VMAF>" + strings.Repeat("<a>", 40), ErrLimit, "32 deep"},
		{"frame without number", xml(`<frame a="1"/>`), ErrMalformed, "line 3: a frame without frameNum"},
		{"frame numbered twice", xml(`<frame frameNum="0" a="1" frameNum="1"/>`), ErrMalformed, "twice"},
		{"value twice", xml(`<frame frameNum="0" a="1" a="2"/>`), ErrMalformed, `"a" occurs twice`},
		{"value is a word", xml(`<frame frameNum="0" a="yes"/>`), ErrMalformed, `a: "yes" is no number`},
		{"value is hexadecimal", xml(`<frame frameNum="0" a="0x1p4"/>`), ErrMalformed, "no number"},
		{"value too large", xml(`<frame frameNum="0" a="1e999"/>`), ErrMalformed, "exceeds what a double holds"},
		{"value empty", xml(`<frame frameNum="0" a=""/>`), ErrMalformed, "empty"},
		{"frame number negative", xml(`<frame frameNum="-1" a="1"/>`), ErrMalformed, "no frame number"},
		{"frame number huge", xml(`<frame frameNum="99999999999" a="1"/>`), ErrMalformed, "no frame number"},
		{"frames descend", xml("<frame frameNum=\"1\" a=\"1\"/>\n<frame frameNum=\"1\" a=\"1\"/>"), ErrMalformed, "line 4: frame 1 comes after frame 1"},
		{"metric without name", "<VMAF><frames/><pooled_metrics><metric mean='1'/></pooled_metrics></VMAF>", ErrMalformed, "without a name"},
		{"metric twice", "<VMAF><frames/><pooled_metrics><metric name='a'/><metric name='a'/></pooled_metrics></VMAF>", ErrMalformed, "twice"},
		{"aggregate twice", "<VMAF><frames/><aggregate_metrics a='1' a='1'/></VMAF>", ErrMalformed, "twice"},
		{"JSON of something else", `{"a": 1}`, ErrMalformed, "no list of frames"},
		{"JSON cut off", "{\n\"frames\": [\n", ErrMalformed, "line 2: the end of the file"},
		{"JSON with something after it", `{"frames": []} x`, ErrMalformed, "after the end"},
		{"JSON frame without number", `{"frames": [{"metrics": {}}]}`, ErrMalformed, "without frameNum"},
		{"JSON comma too many", `{"frames": [{"frameNum":0,"metrics": {"a":1,}}]}`, ErrMalformed, `'}' where "\"" is due`},
		{"JSON too deep", `{"x": ` + strings.Repeat("[", 40), ErrLimit, "32 deep"},
		{"JSON control character", "{\"a\nb\": 1}", ErrMalformed, "within a string"},
		{"JSON bad escape", `{"\q": 1}`, ErrMalformed, "after a backslash"},
		{"CSV of something else", "Foo,bar\n", ErrMalformed, `"Foo"`},
		{"CSV row short", "Frame,a,b,\n0,1,2,\n1,1,\n", ErrMalformed, "line 3: 2 fields where the header has 3"},
		{"CSV row long", "Frame,a,\n0,1,2,\n", ErrMalformed, "more fields"},
		{"CSV cut off", "Frame,a,\n0,1", ErrMalformed, "ends within a line"},
		{"CSV column twice", "Frame,a,a,\n", ErrMalformed, "twice"},
		{"SUB shows another frame", "{0}{1}frame: 1|a: 1|\n", ErrMalformed, "frame 1 is shown from 0 to 1"},
		{"SUB cut off", "{0}{1}frame: 0|a: 1|", ErrMalformed, "within a line"},
		{"SUB without value", "{0}{1}frame: 0|a|\n", ErrMalformed, "':' is due"},
		{"vmafossexec's pool method", `<VMAF><params scaledWidth="1"/><fyi poolMethod="max"/><frames/></VMAF>`, ErrMalformed, `poolMethod "max"`},
		{"vmafossexec's pooled figure is a word", `<VMAF><fyi numOfFrames="1" aggregateVMAF="x"/><frames/></VMAF>`, ErrMalformed, `pooled vmaf: "x" is no number`},
		{"vmafossexec's pooled figure twice", "<VMAF><fyi aggregateVMAF='1'\n aggregateVMAF='2'/><frames/></VMAF>", ErrMalformed, `line 2: pooled figures of "vmaf" occur twice`},
		{"vmafossexec's interval is a word", "{\n\"params\": {\"subsample\": \"x\"}}", ErrMalformed, `line 2: subsample: "x" is no count`},
		{"vmafossexec's list of metrics repeats", `{"metrics": ["a", "a"]}`, ErrMalformed, `"a" occurs twice in the list`},
		{"vmafossexec's JSON cut off", "{\n\"params\":{\n\"scaledWidth\":5", ErrMalformed, "line 3: the end of the file"},
		{"vmafossexec's CSV without height", "Frame,Width,vmaf,\n", ErrMalformed, `"vmaf" after the column Width`},
		{"vmafossexec's CSV with two sizes", "Frame,Width,Height,vmaf,\n0,4,2,1,\n1,4,3,1,\n", ErrMalformed, "line 3: pictures of another size: 3 where it was 2"},
		{"vmafossexec's CSV with a width that is none", "Frame,Width,Height,vmaf,\n0,-4,2,1,\n", ErrMalformed, `"-4" is no picture size`},
		{"vmafossexec's CSV row short", "Frame,Width,Height,vmaf,\n0,4,2,\n", ErrMalformed, "3 fields where the header has 4"},
		{"vmafossexec's CSV row long", "Frame,Width,Height,vmaf,\n0,4,2,1,2,\n", ErrMalformed, "more fields than the header has (4)"},
		{"FFmpeg's frame 0", "n:0 mse_avg:1 \n", ErrMalformed, "line 1: frame 0 where FFmpeg counts from 1"},
		{"FFmpeg's frames descend", "n:2 mse_y:1 \nn:2 mse_y:1 \n", ErrMalformed, "line 2: frame 1 comes after frame 1"},
		{"FFmpeg's line without number", "n:1 Y:1 All:1 (inf)\nY:1 All:1 (inf)\n", ErrMalformed, `line 2: the line begins with "Y:1"`},
		{"FFmpeg's PSNR has a field of its own", "n:1 mse_avg:1 mse_x:2 \n", ErrMalformed, `field "mse_x"`},
		{"FFmpeg's PSNR with a bare value", "n:1 mse_avg:1 2 \n", ErrMalformed, `field "", which`},
		{"FFmpeg's PSNR field twice", "n:1 mse_avg:1 mse_avg:2 \n", ErrMalformed, "twice"},
		{"FFmpeg's PSNR cut off", "n:1 mse_avg:1 \nn:2 mse_avg:1", ErrMalformed, "line 2: the file ends within a line"},
		{"FFmpeg's PSNR of another version", "psnr_log_version:3 fields:n\n", ErrOtherTool, `version "3"`},
		{"FFmpeg's PSNR of no version", "psnr_log_vision:2 fields:n\n", ErrMalformed, "is due"},
		{"FFmpeg's peaks in version 1", "n:1 mse_y:1 max_y:255 \n", ErrMalformed, "version 2 only"},
		{"FFmpeg's peak of no bit depth", "psnr_log_version:2 fields:n\nn:1 mse_y:1 max_y:254 \n", ErrMalformed, `"254" is no peak`},
		{"FFmpeg's peaks differ", "psnr_log_version:2 fields:n\nn:1 mse_y:1 max_avg:255 max_y:1023 \n", ErrMalformed, "line 2: max_y: a peak of 10 bits, where it was 8"},
		{"FFmpeg's peak of no plane", "psnr_log_version:2 fields:n\nn:1 mse_y:1 max_x:255 \n", ErrMalformed, `field "max_x"`},
		{"FFmpeg's SSIM has a field of its own", "n:1 Z:1 All:1 (inf)\n", ErrMalformed, `field "Z"`},
		{"FFmpeg's SSIM in small letters", "n:1 y:1 All:1 (inf)\n", ErrMalformed, `field "y"`},
		{"FFmpeg's SSIM without parentheses", "n:1 Y:1 All:1 inf\n", ErrMalformed, `"inf" where FFmpeg writes name:value`},
		{"FFmpeg's SSIM with a word for decibels", "n:1 Y:1 All:1 (x)\n", ErrMalformed, `"x" is no number`},
		{"FFmpeg's value without a name", "n:1 :1 All:1 (inf)\n", ErrMalformed, "a value without a name"},
		{"a frame number that would need much memory", "n:2000000000 Y:1 All:1 (inf)\n", ErrLimit, "more than 4194304 frames"},
		{"name too long", xml(`<frame frameNum="0" ` + strings.Repeat("a", 2000) + `="1"/>`), ErrLimit, "1024 bytes"},
		{"number too long", xml(`<frame frameNum="0" a="` + strings.Repeat("1", 500) + `"/>`), ErrMalformed, "500 characters"},
	} {
		_, _, err := Read(strings.NewReader(c.text))
		var at *ReadError
		if !errors.Is(err, c.is) || !errors.As(err, &at) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: error %v, want one that is %q and says %q", c.what, err, c.is, c.message)
		}
	}
}

func TestReadLimited(t *testing.T) {
	var logs [len(formatNames)]bytes.Buffer
	longest := int64(0)
	for f := range Format(len(logs)) {
		if err := Write(&logs[f], f, tableFor(f), WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, int64(logs[f].Len()))
	}
	for what, c := range map[string]struct {
		limits Limits
		ok     bool
	}{
		"just enough":      {Limits{Bytes: longest, Frames: 20, Names: 6, Cells: 6 * 21}, true},
		"too many bytes":   {Limits{Bytes: 100}, false},
		"too many frames":  {Limits{Frames: 19}, false},
		"too many names":   {Limits{Names: 1}, false},
		"too many values":  {Limits{Cells: 39}, false},
		"the zero default": {Limits{}, true},
	} {
		for f := range Format(len(logs)) {
			_, _, err := ReadLimited(bytes.NewReader(logs[f].Bytes()), c.limits)
			if c.ok && err != nil || !c.ok && !errors.Is(err, ErrLimit) {
				t.Errorf("%s: %v: error %v, want none: %v", what, f, err, c.ok)
			}
		}
	}
}

// Memory goes with the limit on values, whatever the file does: here many series that appear late.
func TestReadLimited_LateSeries(t *testing.T) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "{%d}{%d}frame: %d|a: 1|\n", i, i+1, i)
	}
	text.WriteString("{1000}{1001}frame: 1000|")
	for i := range 1000 {
		fmt.Fprintf(&text, "n%d: 1|", i)
	}
	text.WriteString("\n")
	if _, _, err := ReadLimited(strings.NewReader(text.String()), Limits{Cells: 100_000}); !errors.Is(err, ErrLimit) {
		t.Errorf("error %v, want one about the number of values", err)
	}
	log, _, err := Read(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	n999, _ := log.Column("n999")
	if len(n999.Values) != 1001 || !math.IsNaN(n999.Values[0]) || n999.Present[999] || !n999.Present[1000] {
		t.Errorf("late series: %d values, first %v", len(n999.Values), n999.Values[0])
	}
}
