package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/vmaf"
)

// What the vmaf tool takes and refuses was tried with the tool itself, built from the release.
func TestVmafOptionSyntax(t *testing.T) {
	for _, c := range []struct {
		name     string
		args     string // separated by blanks
		posix    bool
		want     string // options found, as name=value
		operands string
		notices  []string
	}{
		{name: "long, value apart", args: "--reference a --distorted b", want: "reference=a distorted=b"},
		{name: "long, value joined", args: "--reference=a --distorted=b=c", want: "reference=a distorted=b=c"},
		{name: "cut short", args: "--ref a --d b --frame_c 3 --cs --th=2", want: "reference=a distorted=b frame_cnt=3 csv= threads=2"},
		{name: "a whole name that begins another", args: "--sub", want: "sub="},
		{name: "cut too short", args: "--frame_skip 2 --n --sub", want: "sub=", operands: "2", notices: []string{
			"option --frame_skip could be --frame_skip_ref or --frame_skip_dist", "option --n could be --nflx_ctc or --no_prediction",
		}},
		{name: "an empty name", args: "--=x --xml", want: "xml=", notices: []string{"option -- could be --reference or"}},
		{name: "short, value apart and joined", args: "-r a -db -w64", want: "reference=a distorted=b width=64"},
		{name: "cluster", args: "-nqra -vq", want: "no_prediction= quiet= reference=a version= quiet="},
		{name: "cluster before a value", args: "-nqr a", want: "no_prediction= quiet= reference=a"},
		{name: "a long name with one dash", args: "-width 64", want: "width=idth", operands: "64"},
		{name: "a value that looks like an option", args: "-r -n --output --", want: "reference=-n output=--"},
		{name: "other arguments in between", args: "a -r b - c -d d", want: "reference=b distorted=d", operands: "a - c"},
		{name: "nothing but arguments after --", args: "-r a -- -d b", want: "reference=a", operands: "-d b"},
		{name: "POSIX ends at an argument", args: "-r a b -d c", posix: true, want: "reference=a", operands: "b -d c"},
		{name: "POSIX ends at --", args: "-r a -- -d c", posix: true, want: "reference=a", operands: "-d c"},
		{name: "-c means nothing", args: "-c 5 -c6 --csv", want: "=5 =6 csv="},
		{name: "no such option", args: "--bogus -x -xn --phone-model=1", want: "no_prediction=", notices: []string{
			"there is no option --bogus", "there is no option -x", "there is no option -x", "there is no option --phone-model",
		}},
		{name: "a value where none is taken", args: "--json=1 -n=1", want: "no_prediction=", notices: []string{
			"option --json takes no value", "there is no option -=", "there is no option -1",
		}},
		{name: "a value is missing", args: "-n --output", want: "no_prediction=", notices: []string{"option --output needs a value"}},
		{name: "a short one's value is missing", args: "-nr", want: "no_prediction=", notices: []string{"option -r needs a value"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			scanner := &optionScanner{args: strings.Fields(c.args), long: vmafOptions, ignored: vmafIgnored, posix: c.posix}
			var got, notices []string
			for {
				option, more, err := scanner.next()
				if !more {
					break
				}
				if err != nil {
					notices = append(notices, err.Error())
					continue
				}
				got = append(got, option.name+"="+option.value)
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("found %q, want %q", text, c.want)
			}
			if text := strings.Join(scanner.operands(), " "); text != c.operands {
				t.Errorf("operands %q, want %q", text, c.operands)
			}
			if !slices.EqualFunc(notices, c.notices, strings.HasPrefix) {
				t.Errorf("notices %q, want %q", notices, c.notices)
			}
		})
	}
}

func TestVmafNumbers(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "2": 2, "0x10": 16, "0X1f": 31, "010": 8, "+2": 2, " \t2": 2, "-1": 1<<32 - 1, "-0x10": 1<<32 - 16,
		"4294967298": 2, "99999999999999999999": 1<<32 - 1, "-99999999999999999999": 1<<32 - 1,
		"": -1, " ": -1, "08": -1, "0x": -1, "2x": -1, "1e1": -1, "1_0": -1, "0_1": -1, "- 2": -1, "+-2": -1, "2 ": -1, "0x+1": -1, "x": -1, "-": -1,
	} {
		got, err := cNumber(text)
		if (err != nil) != (want < 0) || err == nil && int64(got) != want {
			t.Errorf("%q is %d (%v), want %d", text, got, err, want)
		}
	}
}

// parsed reads arguments separated by blanks, after a reference and a distorted file.
func parsed(t *testing.T, args string) *vmafSettings {
	t.Helper()
	s, err := parseVmafArguments(append([]string{"-r", "a", "-d", "b"}, strings.Fields(args)...), false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVmafModels(t *testing.T) {
	plain := func(m vmafModel) vmafModel {
		if m.name == "" {
			m.name = vmaf.DefaultName
		}
		return m
	}
	for _, c := range []struct {
		name, text string
		want       vmafModel
		err        string
	}{
		{name: "built-in", text: "version=vmaf_v0.6.1", want: vmafModel{version: "vmaf_v0.6.1", hasVersion: true}},
		{name: "file", text: "path=m.json:name=own", want: vmafModel{path: "m.json", name: "own"}},
		{name: "the version wins over the path", text: "version=v:path=m.json", want: vmafModel{version: "v", hasVersion: true, path: "m.json"}},
		{name: "the last of a kind counts", text: "version=v:version=w:name=a:name=b", want: vmafModel{version: "w", hasVersion: true, name: "b"}},
		{name: "flags", text: "version=v:disable_clip:enable_transform", want: vmafModel{version: "v", hasVersion: true, disableClip: true, enableTransform: true}},
		{name: "flags with values", text: "version=v:disable_clip=yes:enable_transform=true:enable_transform=false",
			want: vmafModel{version: "v", hasVersion: true, enableTransform: true}},
		{name: "a second = ends the value", text: "version=v:name=a=b", want: vmafModel{version: "v", hasVersion: true, name: "a"}},
		{name: "overloads in order", text: "version=v:vif.x=1:adm.y.z=2", want: vmafModel{version: "v", hasVersion: true,
			overloads: []vmafOption{{"vif", "x", "1"}, {"adm", "y", "2"}}}},
		{name: "no key", text: "vmaf_v0.6.1", err: `"vmaf_v0.6.1" is not of the form key=value`},
		{name: "empty", text: "", err: "not of the form"},
		{name: "empty field", text: "version=v:", err: "not of the form"},
		{name: "no such key", text: "version=v:foo=1", err: `there is no key "foo"`},
		{name: "no model", text: "name=x", err: "names no model"},
		{name: "empty version", text: "version=", err: "names no model"},
		{name: "empty name", text: "version=v:name=", err: "the name is empty"},
		{name: "too many options", text: "version=v" + strings.Repeat(":vif.x=1", vmafMost+1), err: "more than 32 options"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &vmafSettings{}
			err := s.addModel(c.text)
			switch {
			case c.err != "":
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
			case err != nil:
				t.Error(err)
			case !reflect.DeepEqual(s.models[0], plain(c.want)):
				t.Errorf("got %+v, want %+v", s.models[0], plain(c.want))
			}
		})
	}
}

func TestVmafFeatures(t *testing.T) {
	for text, want := range map[string]string{
		"psnr":                               "[{psnr []}]",
		"psnr=enable_mse=true:min_sse=0.5":   "[{psnr [{psnr enable_mse true} {psnr min_sse 0.5}]}]",
		"psnr=a=b=c":                         "[{psnr [{psnr a b}]}]",
		"psnr=min_sse=":                      "[{psnr [{psnr min_sse }]}]",
		"psnr:enable_mse=true":               "error",
		"psnr=":                              "error",
		"psnr=enable_mse":                    "error",
		"psnr=enable_mse=true:":              "error",
		"":                                   "[{ []}]", // there is no extractor of that name, which shows later
		"cambi=full_ref=true:full_ref=false": "[{cambi [{cambi full_ref true} {cambi full_ref false}]}]",
	} {
		s := &vmafSettings{}
		got := "error"
		if err := s.addFeature(text, false); err == nil {
			got = fmt.Sprint(s.features)
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// listed names models and features for comparison.
func (s *vmafSettings) listed() string {
	var names []string
	for _, m := range s.models {
		names = append(names, m.version+":"+m.name)
	}
	for _, f := range s.features {
		text := f.name
		for _, o := range f.options {
			text += ":" + o.key + "=" + o.value
		}
		names = append(names, text)
	}
	return strings.Join(names, " ")
}

// Source: spec/classic-metrics.md §8.
func TestVmafConditions(t *testing.T) {
	const (
		models = "vmaf_v0.6.1:vmaf vmaf_v0.6.1neg:vmaf_neg"
		psnr   = "psnr:reduced_hbd_peak=true:enable_apsnr=true:min_sse=0.5"
		ssim   = "float_ssim:enable_db=true:clip_db=true"
		scale1 = "float_ssim:scale=1:enable_db=true:clip_db=true"
		rest   = "float_ms_ssim:enable_db=true:clip_db=true psnr_hvs"
	)
	for _, c := range []struct{ args, want string }{
		{"--aom_ctc v1.0", models + " " + psnr + " ciede " + ssim + " " + rest},
		{"--aom_ctc=v5.0", models + " " + psnr + " ciede " + ssim + " " + rest + " cambi"},
		{"--aom_ctc v7.0", models + " " + psnr + " ciede " + scale1 + " " + rest + " cambi"},
		{"--nflx_ctc v1.0", "vmaf_4k_v0.6.1:vmaf vmaf_4k_v0.6.1neg:vmaf_neg psnr:enable_chroma=true:enable_apsnr=true " + ssim + " cambi"},
		// v7.0 puts its SSIM where one was asked for; other versions add theirs.
		{"--feature float_ssim --feature vif --aom_ctc v7.0", models + " " + scale1 + " vif " + psnr + " ciede " + rest + " cambi"},
		{"--feature float_ssim --aom_ctc v1.0", models + " float_ssim " + psnr + " ciede " + ssim + " " + rest},
		{"-m version=vmaf_b_v0.6.3:name=b --nflx_ctc v1.0 --feature psnr", "vmaf_b_v0.6.3:b vmaf_4k_v0.6.1:vmaf vmaf_4k_v0.6.1neg:vmaf_neg psnr:enable_chroma=true:enable_apsnr=true " + ssim + " cambi psnr"},
	} {
		if got := parsed(t, c.args).listed(); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.args, got, c.want)
		}
	}
	for args, want := range map[string]bool{"": false, "--aom_ctc v5.0": false, "--aom_ctc v6.0": true, "--aom_ctc v7.0": true, "--nflx_ctc v1.0": false} {
		if got := parsed(t, args).anyDepth; got != want {
			t.Errorf("%q: files of two depths: %v", args, got)
		}
	}
}

func TestVmafSettings(t *testing.T) {
	s := parsed(t, "-w 0x60 -h 80 -p 422 -b 10 --xml --json --csv --threads 3 --subsample 2 --frame_cnt 7 --frame_skip_ref 1 --frame_skip_dist 2 --gpumask -1 --cpumask 5 -nq -o log -r c")
	want := &vmafSettings{
		reference: "c", distorted: "b", headerless: true, width: 96, height: 80, subsampling: vmaf.Chroma422, hasSubsampling: true, bitsPerComponent: 10,
		output: "log", format: legacy.CSV, threads: 3, subsample: 2, frames: 7, skipReference: 1, skipDistorted: 2, gpuMask: 1<<32 - 1,
		noPrediction: true, quiet: true,
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	if got := parsed(t, "").listed(); got != "vmaf_v0.6.1:vmaf" {
		t.Errorf("by default %q is measured", got)
	}
}

func TestVmafRefusals(t *testing.T) {
	repeated := func(n int, text string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, text, i)
		}
		return b.String()
	}
	for _, c := range []struct{ args, want string }{
		{"", "no reference"},
		{"-d b", "no reference"},
		{"-r a", "no distorted video"},
		{"-r a -d b -w 64", "need all of"},
		{"-r a -d b -w 64 -h 48 -p 420", "need all of"},
		{"-r a -d b -w 0 -h 48 -p 420 -b 8", "need all of"},
		{"-r a -d b -w x", "--width x: want a whole number"},
		{"-r a -d b -b 9", "--bitdepth 9: want 8, 10, 12 or 16"},
		{"-r a -d b -p 411", "--pixel_format 411: want 420, 422 or 444"},
		{"-r a -d b --threads many", "--threads many: want a whole number"},
		{"-r a -d b --cpumask x", "--cpumask x: want a whole number"},
		{"-r a -d b --aom_ctc proposed", "--aom_ctc proposed: unknown preset"},
		{"-r a -d b --nflx_ctc v2.0", "unknown preset"},
		{"-r a -d b -m version=v -m version=w", `two models are called "vmaf"`},
		{"-r a -d b --aom_ctc v1.0 -m version=w", `two models are called "vmaf"`},
		{"-r a -d b --aom_ctc v1.0 --nflx_ctc v1.0", `two models are called "vmaf_neg"`},
		{"-r a -d b" + repeated(33, " -m version=v:name=m%d"), "more than 32 models"},
		{"-r a -d b" + repeated(33, " --feature f%d"), "more than 32 features"},
	} {
		_, err := parseVmafArguments(strings.Fields(c.args), false)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.args, err, c.want)
		}
	}
	// What comes before a wrong argument counts, what comes after does not.
	if s, err := parseVmafArguments([]string{"--bogus", "-v", "-w", "x"}, false); err != nil || !s.version {
		t.Errorf("--version before a wrong argument: %v", err)
	}
	if _, err := parseVmafArguments([]string{"-w", "x", "-v"}, false); err == nil {
		t.Error("--version after a wrong argument hides it")
	}
}

// Whatever is given, it is understood or refused; and arguments that belong to no option change nothing, wherever they stand.
func FuzzVmafArguments(f *testing.F) {
	for _, seed := range []string{
		"-r a -d b", "--ref=a --dist b -w 64 -h 48 -p 420 -b 8 -nq", "-nqra -db --frame_c 0x3 -- x --json", "-m version=vmaf_v0.6.1:vif.x=1:name=a=b --feature psnr=x=y:z=w",
		"--aom_ctc v7.0 --feature float_ssim -r a -d b", "-m : --feature = -c", "--= - -- -", "-w -1 -h 99999999999999999999 -b 010 --threads ' 2'", "-v", "--help",
	} {
		f.Add(strings.ReplaceAll(seed, " ", "\x00"), false)
	}
	f.Fuzz(func(t *testing.T, text string, posix bool) {
		args := strings.Split(text, "\x00")
		s, err := parseVmafArguments(args, posix)
		if err != nil {
			if s != nil && err.Error() == "" {
				t.Error("an error without text")
			}
			return
		}
		if s.help || s.version {
			return
		}
		if s.reference == "" || s.distorted == "" || len(s.models) > vmafMost || len(s.features) > vmafMost || !s.noPrediction && len(s.models) == 0 {
			t.Errorf("%q was taken as %+v", args, s)
		}
		if s.headerless && (s.width == 0 || s.height == 0 || s.bitsPerComponent == 0) {
			t.Errorf("%q: no size or depth: %+v", args, s)
		}
		for _, m := range s.models {
			if m.label() == "" || m.name == "" {
				t.Errorf("%q: a model without a name: %+v", args, m)
			}
		}
		if posix {
			return
		}
		again, err := parseVmafArguments(append([]string{"operand"}, args...), false)
		if err != nil {
			t.Fatalf("%q is refused after an argument that belongs to no option: %v", args, err)
		}
		again.notices, s.notices = nil, nil
		if !reflect.DeepEqual(again, s) {
			t.Errorf("%q: an argument that belongs to no option changes\n%+v into\n%+v", args, s, again)
		}
	})
}
