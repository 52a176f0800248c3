package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/vmaf"
)

var speed = regexp.MustCompile(`(?m)fps="[^"]*"|"fps": [^,]*,`)

// timeless is a log without its speed.
func timeless(log string) string { return speed.ReplaceAllString(log, "fps") }

// src01 are the flags for a golden pair of headerless files.
func src01(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{"measure", "--raw-video", "576x324:yuv420p10le",
		"-r", golden.Clip(t, "src01_576x324_420p10le_3frames_ref.yuv"), "-d", golden.Clip(t, "src01_576x324_420p10le_3frames_dis.yuv")}, more...)
}

// The logs that libvmaf's own program wrote, byte for byte.
func TestLogsOfLibvmaf(t *testing.T) {
	folder := filepath.Join(golden.Dir(t), "legacy-logs", "libvmaf-3.2.0")
	pair := slices.Clip(src01(t))
	identical := append(slices.Clone(pair[:len(pair)-1]), golden.Clip(t, "src01_576x324_420p10le_3frames_ref.yuv"))
	for name, args := range map[string][]string{
		"two-models": append(pair, "--model", "version=vmaf_v0.6.1", "--model", "version=vmaf_v0.6.1neg:name=vmaf_neg",
			"--feature", "psnr=enable_apsnr=true", "--feature", "float_ssim"),
		"subsample2":    append(pair, "--subsample", "2", "--feature", "psnr=enable_apsnr=true"),
		"collection":    append(pair, "--model", "version=vmaf_b_v0.6.3", "--frames", "0:1"),
		"aom-ctc-v7.0":  append(pair, "--aom-ctc", "v7.0"),
		"nflx-ctc-v1.0": append(pair, "--nflx-ctc", "v1.0"),
		"identical-inf": append(identical, "--no-prediction", "--feature", "psnr_hvs", "--feature", "ciede", "--feature", "float_ssim=enable_db=true",
			"--feature", "psnr=enable_chroma=false:enable_apsnr=true"),
	} {
		for _, format := range []string{"xml", "json", "csv", "sub"} {
			text, err := os.ReadFile(filepath.Join(folder, name+"."+format))
			if os.IsNotExist(err) {
				continue
			}
			t.Run(name+"."+format, func(t *testing.T) {
				if err != nil {
					t.Fatal(err)
				}
				got := vqsd(t, append(slices.Clone(args), "--log", "-", "--log-format", format)...)
				got.want(t, exitDone)
				if got, want := timeless(got.stdout), timeless(ofRelease(string(text))); got != want {
					t.Error(firstDifference(got, want))
				}
			})
		}
	}
}

// The stats file that FFmpeg's psnr filter wrote, byte for byte, from libvmaf's PSNR. What it is made of must have been measured.
func TestLogOfFFmpeg(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(golden.Dir(t), "legacy-logs", "ffmpeg-5.1", "psnr-v1.log"))
	if err != nil {
		t.Fatal(err)
	}
	got := vqsd(t, src01(t, "--no-prediction", "--feature", "psnr", "--log", "-", "--log-format", "ffmpeg-psnr")...)
	got.want(t, exitDone)
	if got.stdout != string(want) {
		t.Error(firstDifference(got.stdout, string(want)))
	}
	got = vqsd(t, src01(t, "--no-prediction", "--feature", "float_ssim", "--log", "-", "--log-format", "ffmpeg-psnr")...)
	got.want(t, exitFailed)
	if !strings.Contains(got.stderr, "PSNR or MSE of the planes y, cb, cr is missing") {
		t.Errorf("without PSNR: %s", got.stderr)
	}
}

// The forms of the 1.x tools name them, and the model as they would.
func TestLogOfVmafossexec(t *testing.T) {
	got := vqsd(t, src01(t, "--feature", "psnr", "--log", "-", "--log-format", "vmafossexec-xml")...)
	got.want(t, exitDone)
	for _, want := range []string{
		"<?xml version=\"1.0\"?>\n<VMAF version=\"1.3.15\">\n\t<params model=\"vmaf_v0.6.1.pkl\" scaledWidth=\"576\" scaledHeight=\"324\" subsample=\"1\" ",
		`<fyi numOfFrames="3" aggregateVMAF="82.5642" aggregatePSNR="32.5715" execFps="`,
		` psnr="34.7863" `,
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %s in:\n%s", want, got.stdout)
		}
	}
}

var (
	xmlVersion  = regexp.MustCompile(`VMAF version="[^"]*"`)
	jsonVersion = regexp.MustCompile(`"version": "[^"]*"`)
)

// ofRelease is a log with the version of the release.
func ofRelease(text string) string {
	return jsonVersion.ReplaceAllString(xmlVersion.ReplaceAllString(text, `VMAF version="3.2.0"`), `"version": "3.2.0"`)
}

// Logs of every format, from figures that libvmaf gave for whole clips.
func TestLogsOfGoldenFigures(t *testing.T) {
	for _, p := range []goldenPair{
		{name: "src01_576x324_420p10le_3frames_dis", raw: "576x324:yuv420p10le"},
		{name: "cockatoo_161x91_odd_420p8_dis"},
		{name: "carphone_176x144_x264_crf30"},
	} {
		t.Run(p.name, func(t *testing.T) {
			scores := golden.Scores(t, p.name)
			want := &vmaf.Table{Frames: scores.Frames, Subsample: 1, Width: scores.Width, Height: scores.Height}
			for _, name := range strings.Fields(`integer_adm2 integer_aim integer_adm3 integer_adm_scale0 integer_adm_scale1 integer_adm_scale2
				integer_adm_scale3 VMAF_integer_feature_motion_sad_score integer_vif_scale0 integer_vif_scale1 integer_vif_scale2
				integer_vif_scale3 integer_motion2 integer_motion3 vmaf_v0.6.1`) {
				column, found := scores.Column(name)
				if !found {
					t.Fatalf("no golden %s", name)
				}
				if name == "vmaf_v0.6.1" {
					name = "vmaf"
				}
				want.Series = append(want.Series, vmaf.Series{Name: name, Values: column.Values})
			}
			for _, format := range []legacy.Format{legacy.XML, legacy.JSON, legacy.CSV, legacy.SUB} {
				for _, digits := range []int{0, 17} {
					log := filepath.Join(t.TempDir(), "log."+format.String())
					args := p.args(t, "--log", log)
					if digits != 0 {
						args = append(args, "--log-precision", fmt.Sprint(digits))
					}
					vqsd(t, args...).want(t, exitDone)
					got, err := os.ReadFile(log)
					if err != nil {
						t.Fatal(err)
					}
					var b bytes.Buffer
					if err := legacy.Write(&b, format, want, legacy.WriteOptions{Version: "3.2.0", Precision: digits}); err != nil {
						t.Fatal(err)
					}
					if got, want := timeless(string(got)), timeless(b.String()); got != want {
						t.Errorf("%v with %d digits differs: %s", format, digits, firstDifference(got, want))
					}
				}
			}
		})
	}
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d\ngot  %s\nwant %s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(a), len(b))
}

// goldenPair is a pair of clips with the flags it needs.
type goldenPair struct {
	name string
	raw  string // --raw-video
	more []string
}

func (p goldenPair) args(t *testing.T, more ...string) []string {
	t.Helper()
	scores := golden.Scores(t, p.name)
	args := []string{"measure", "-r", golden.Clip(t, scores.Reference), "-d", golden.Clip(t, scores.Distorted)}
	if p.raw != "" {
		args = append(args, "--raw-video", p.raw)
	}
	return slices.Concat(args, p.more, more)
}

// Every feature has libvmaf's very bits and every score is within 1e-9 of libvmaf's, from the command line to the log.
func TestGoldenScores(t *testing.T) {
	short := []string{"--pairing", "index", "--shortest"}
	for _, p := range []goldenPair{
		{name: "src01_576x324_420p10le_3frames_dis", raw: "576x324:yuv420p10le"},
		{name: "cockatoo_321x241_420p10le_8frames_odd_dis", raw: "321x241:yuv420p10le"},
		{name: "cockatoo_161x91_odd_420p8_dis"},
		{name: "archer_1920x1080_420p8_1frame_dis", raw: "1920x1080:yuv420p"},
		{name: "cockatoo_1280x720_2frames_x264_crf35", more: short},
		{name: "black-vs-grey_640x360"},
		{name: "bikes_320x136_svtav1_crf38"},
		{name: "signbook_640x480_fullrange_x264_crf32"},
		{name: "garden_720x480_422p10_x264_crf32"},
		{name: "dog_640x360_vfr_vp9_crf38", more: short},
	} {
		t.Run(p.name, func(t *testing.T) {
			if testing.Short() && !strings.HasPrefix(p.name, "src01") {
				t.Skip("one pair is enough for a short test")
			}
			scores := golden.Scores(t, p.name)
			log := filepath.Join(t.TempDir(), "log.xml")
			args := p.args(t, "--log", log, "--log-precision", "17", "--feature", "vif:debug=true", "--feature", "adm:debug=true",
				"--feature", "motion:debug=true", "--model", "vmaf_v0.6.1:name=vmaf_v0.6.1_noclip:disable_clip",
				"--model", "vmaf_v0.6.1:name=vmaf_v0.6.1_phone:enable_transform")
			for _, model := range []string{"vmaf_v0.6.1", "vmaf_v0.6.1neg", "vmaf_4k_v0.6.1", "vmaf_4k_v0.6.1neg", "vmaf_b_v0.6.3"} {
				args = append(args, "--model", model)
			}
			vqsd(t, args...).want(t, exitDone)
			file, err := os.Open(log)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			got, _, err := legacy.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Frames) != scores.Frames {
				t.Fatalf("%d frames, want %d", len(got.Frames), scores.Frames)
			}
			compared := 0
			for _, series := range got.Series {
				want, found := scores.Column(vmaf.Alias(series.Name))
				if !found {
					t.Errorf("there is no golden %s", series.Name)
					continue
				}
				compared++
				tolerance := 0.0
				if strings.HasPrefix(series.Name, "vmaf_") {
					tolerance = 1e-9
				}
				for i, v := range series.Values {
					same := v == want.Values[i] || math.IsNaN(v) && math.IsNaN(want.Values[i])
					if !same && !(math.Abs(v-want.Values[i]) <= tolerance) {
						t.Errorf("%s of frame %d is %.17g, want %.17g", series.Name, i, v, want.Values[i])
						break
					}
				}
			}
			if compared < 60 {
				t.Errorf("only %d series were compared", compared)
			}
		})
	}
}

func TestLogPlaceholders(t *testing.T) {
	ref, dis := pair(t, 2)
	other := clipSpec{frames: 2, noise: 30}.write(t, t.TempDir(), "low.y4m")
	for pattern, want := range map[string][]string{
		"{}.csv":          {"dis.csv", "low.csv"},
		"{name}-{n}.json": {"dis-1.json", "low-2.json"},
		"{n}.sub":         {"1.sub", "2.sub"},
		"{name}.log":      {"dis.log", "low.log"},
	} {
		t.Run(filepath.Ext(pattern), func(t *testing.T) {
			dir := t.TempDir()
			vqsd(t, "measure", "-r", ref, "-d", dis, "-d", other, "--log", filepath.Join(dir, pattern)).want(t, exitDone)
			folderHas(t, dir, want...)
			text, err := os.ReadFile(filepath.Join(dir, want[0]))
			if err != nil {
				t.Fatal(err)
			}
			begins := map[string]string{".csv": "Frame,", ".json": "{\n", ".sub": "{0}{1}", ".log": "<VMAF"}[filepath.Ext(pattern)]
			if !strings.HasPrefix(string(text), begins) {
				t.Errorf("the log begins %.20q, want %q", text, begins)
			}
		})
	}
}
