package rules

import (
	"strings"
	"testing"

	"github.com/vqsd/vqsd/vmaf"
)

func TestParseEncoded(t *testing.T) {
	for text, want := range map[string]Encoded{
		"auto": {Auto: true}, "compared": {Compared: true}, "960x540": {Width: 960, Height: 540}, "180x150:6": {Width: 180, Height: 150, BitDepth: 6},
		"7680x7680:16": {Width: 7680, Height: 7680, BitDepth: 16},
	} {
		got, err := ParseEncoded(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v (%s), %v; want %+v", text, got, got, err, want)
		}
	}
	for _, text := range []string{"", "Auto", "960", "x540", "960x", "960x540:", "960x540:5", "960x540:17", "960x540:8:8", "179x540", "960x149", "7681x540", "0960x540", "+960x540", "960x540:08"} {
		if got, err := ParseEncoded(text); err == nil || !strings.Contains(err.Error(), "want WxH or WxH:DEPTH from 180x150:6") {
			t.Errorf("%q: %+v, %v; want what it may be", text, got, err)
		}
	}
}

func TestDepth(t *testing.T) {
	model := func(name string) *vmaf.Model {
		m, err := vmaf.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	v0, v1 := model("vmaf_v0.6.1"), model("vmaf_v1.0.16_hfr_5d0h")
	for name, row := range map[string]struct {
		word   string
		models []*vmaf.Model
		bits   int
		reason string
	}{
		"nothing said, v0":        {"", []*vmaf.Model{v0}, 0, "the larger depth of the two files"},
		"nothing said, both":      {"", []*vmaf.Model{v0, v1}, 10, "vmaf_v1.0.16_hfr_5d0h is made for 10 bits"},
		"left to the models":      {"auto", []*vmaf.Model{v1}, 10, "vmaf_v1.0.16_hfr_5d0h is made for 10 bits"},
		"as the files are":        {"native", []*vmaf.Model{v1}, 0, "the larger depth of the two files, by rule x"},
		"a number above v1's":     {"16", []*vmaf.Model{v1}, 16, "at least 16 bits, by rule x"},
		"a number without models": {"10", nil, 10, "at least 10 bits, by rule x"},
	} {
		if bits, reason := Depth(row.word, "rule x", row.models); bits != row.bits || reason != row.reason {
			t.Errorf("%s: %d bits, %q; want %d, %q", name, bits, reason, row.bits, row.reason)
		}
	}
}

func TestFitsV1(t *testing.T) {
	full := vmaf.Format{Width: 1920, Height: 1080, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	for name, row := range map[string]struct {
		change func(*vmaf.Format)
		want   bool
	}{
		"8 bits, which are widened":    {func(*vmaf.Format) {}, true},
		"9 bits, which are widened":    {func(f *vmaf.Format) { f.BitsPerComponent = 9 }, true},
		"a depth that SpEED knows not": {func(f *vmaf.Format) { f.BitsPerComponent = 14 }, false},
		"no colour":                    {func(f *vmaf.Format) { f.Subsampling = vmaf.Gray }, false},
		"the least size":               {func(f *vmaf.Format) { f.Width, f.Height = 320, 320 }, true},
		"a line less":                  {func(f *vmaf.Format) { f.Height = 319 }, false},
		"8K":                           {func(f *vmaf.Format) { f.Width, f.Height = 7680, 4320 }, true},
		"beyond CAMBI's window":        {func(f *vmaf.Format) { f.Width, f.Height = 12000, 8000 }, false},
	} {
		f := full
		row.change(&f)
		if got := FitsV1(f); got != row.want {
			t.Errorf("%s: %v: %t, want %t", name, f, got, row.want)
		}
	}
}

func TestEncodedWarning(t *testing.T) {
	said := func(w, h, bits int) vmaf.Encoded { return vmaf.Encoded{Width: w, Height: h, BitsPerComponent: bits} }
	small, large := vmaf.Format{Width: 640, Height: 360, BitsPerComponent: 10}, vmaf.Format{Width: 4096, Height: 2160, BitsPerComponent: 10}
	const speedUp = "cambi:cambi_high_res_speedup=1080"
	for name, row := range map[string]struct {
		features []string
		compared vmaf.Format
		encoded  vmaf.Encoded
		force    vmaf.Encoded
		warns    bool
	}{
		"as compared":         {[]string{"cambi"}, small, said(0, 0, 0), said(0, 0, 0), false},
		"smaller":             {[]string{"cambi"}, small, said(480, 270, 8), said(480, 270, 8), false},
		"too small":           {[]string{"cambi"}, small, said(240, 136, 8), said(0, 0, 8), true},
		"larger, scaled down": {[]string{"cambi"}, small, said(1280, 720, 0), said(0, 0, 0), false},
		"without CAMBI":       {[]string{"psnr"}, small, said(240, 136, 8), said(0, 0, 0), false},
		"with a size of its own, which is not what it was told": {[]string{"cambi:enc_width=400:enc_height=300"}, small, said(240, 136, 8), said(0, 0, 8), false},
		"large, and taken with the speed-up":                    {[]string{speedUp}, large, said(2048, 1080, 8), said(2048, 1080, 8), false},
		"large, and too small for the speed-up":                 {[]string{speedUp}, large, said(1280, 720, 8), said(0, 0, 8), true},
		"large, beside one that takes no such picture":          {[]string{"cambi", "psnr", speedUp}, large, said(2048, 1080, 8), said(2048, 1080, 8), false},
	} {
		var list []vmaf.Extraction
		for _, text := range row.features {
			e, err := vmaf.ParseExtraction(text)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, e)
		}
		if got := InForce(row.encoded, row.compared, list); got != row.force {
			t.Errorf("%s: in force is %+v, want %+v", name, got, row.force)
		}
		if got := EncodedWarning(row.encoded, row.compared, list); (got != "") != row.warns {
			t.Errorf("%s: %q", name, got)
		}
	}
}
