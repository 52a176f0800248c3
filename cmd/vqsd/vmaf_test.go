package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/vmaf"
)

// shell runs a shell script in a folder, where vmaf is a link to this program.
func shell(t *testing.T, folder string, script ...string) (stdout, stderr string, err error) {
	t.Helper()
	links := t.TempDir()
	if err := os.Symlink(testBinary(t), filepath.Join(links, "vmaf")); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "sh", script...)
	c.Dir = folder
	c.Env = append(os.Environ(), roleEnvironment+"=program", "PATH="+links+string(os.PathListSeparator)+os.Getenv("PATH"),
		serverEnvironment+"=there-is-none.invalid:1")
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err = c.Run()
	return out.String(), errs.String(), err
}

func testBinary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// linkClips puts the clips of the sample logs into a folder, by the names that the commands beside these logs have.
func linkClips(t *testing.T, folder string) {
	t.Helper()
	for name, clip := range map[string]string{"src01_hrc00_576x324.yuv420p10le.yuv": "ref", "src01_hrc01_576x324.yuv420p10le.yuv": "dis"} {
		if err := os.Symlink(golden.Clip(t, "src01_576x324_420p10le_3frames_"+clip+".yuv"), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	flat := bytes.Repeat([]byte{0x80}, 1920*1080*3/2)
	writeFile(t, filepath.Join(folder, "flat_ref.yuv"), flat)
	flat[0] = 0x81
	writeFile(t, filepath.Join(folder, "flat_dis.yuv"), flat)
}

// The commands that made the sample logs, as the README beside these has them, through a link named vmaf.
func TestVmafWritesTheSampleLogs(t *testing.T) {
	samples := filepath.Join(golden.Dir(t), "legacy-logs")
	text, err := os.ReadFile(filepath.Join(samples, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	abbreviation := regexp.MustCompile(`(?m)^    (-r (\S+) -d (\S+) .*)$`).FindStringSubmatch(string(text))
	if abbreviation == nil {
		t.Fatal("the README does not say what $A stands for")
	}
	pair := abbreviation[1]
	same := strings.Replace(pair, abbreviation[3], abbreviation[2], 1)
	folder := t.TempDir()
	linkClips(t, folder)
	compared := 0
	for _, row := range regexp.MustCompile("(?m)^\\| (\\S+)\\.\\w+(?:, \\.\\w+)? \\| `(vmaf [^`]*)`").FindAllStringSubmatch(string(text), -1) {
		for _, format := range []string{"xml", "json", "csv", "sub"} {
			name := row[1] + "." + format
			want, err := os.ReadFile(filepath.Join(samples, "libvmaf-3.2.0", name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			command := strings.ReplaceAll(row[2], "FMT", format)
			t.Run(name, func(t *testing.T) {
				stdout, stderr, err := shell(t, folder, "-c", fmt.Sprintf("A='%s'; I='%s'; %s", pair, same, command))
				if err != nil || stdout != "" || stderr != "" {
					t.Fatalf("%s: %v\n%s%s", command, err, stdout, stderr)
				}
				got, err := os.ReadFile(filepath.Join(folder, name))
				if err != nil {
					t.Fatal(err)
				}
				a, b := timeless(string(got)), ofRelease(timeless(string(want)))
				if strings.Contains(command, "--threads") { // where threads race for the order of columns
					a, b = columnsSorted(a), columnsSorted(b)
				}
				if a != b {
					t.Errorf("%s differs: %s", command, firstDifference(a, b))
				}
			})
			compared++
		}
	}
	if compared < 23 {
		t.Errorf("only %d logs were compared; the README's table reads otherwise than this test expects", compared)
	}
}

// columnsSorted is a CSV log with its columns in the order of their names.
func columnsSorted(log string) string {
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	columns := make([]string, strings.Count(lines[0], ","))
	for _, line := range lines {
		for i, field := range strings.Split(strings.TrimSuffix(line, ","), ",") {
			columns[i] += field + "\n"
		}
	}
	slices.Sort(columns)
	return strings.Join(columns, "\n")
}

// A script of an encoder farm, unchanged, through a link named vmaf. A daemon named by the environment is left alone.
func TestVmafInAScript(t *testing.T) {
	folder := t.TempDir()
	ref := clipSpec{frames: 4}.write(t, folder, "source.y4m")
	clipSpec{frames: 4, noise: 4}.write(t, folder, "high.y4m")
	clipSpec{frames: 3, noise: 20}.write(t, folder, "low short.y4m")
	clipSpec{frames: 4, width: 80, height: 48}.write(t, folder, "wrong.y4m")
	script, err := filepath.Abs(filepath.Join("testdata", "farm.sh"))
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, err := shell(t, folder, script, ref, "high.y4m", "low short.y4m", "wrong.y4m", "missing.y4m")
	if err != nil || stdout != "" || stderr != "" {
		t.Fatalf("the script ends with %v\n%s%s", err, stdout, stderr)
	}
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	scores := strings.Split(strings.TrimSpace(read("scores.txt")), "\n")
	want := []string{`^high \d+\.\d{6}$`, `^low short \d+\.\d{6}$`, `^wrong failed with 255$`, `^missing failed with 255$`}
	for i, pattern := range want {
		if i >= len(scores) || !regexp.MustCompile(pattern).MatchString(scores[i]) {
			t.Fatalf("scores are %q, want %q", scores, want)
		}
	}
	if got, want := read("low short.err"), fmt.Sprintf("%q ended before %q.\n", "low short.y4m", ref); got != want {
		t.Errorf("of the short encode the script was told %q, want %q", got, want)
	}
	if got := read("high.err"); got != "" {
		t.Errorf("of the whole encode the script was told %q", got)
	}
	measured := vqsd(t, "measure", "-r", ref, "-d", filepath.Join(folder, "high.y4m"), "--model", "vmaf_v0.6.1:name=vmaf", "--model", "vmaf_v0.6.1neg:name=vmaf_neg",
		"--feature", "psnr:enable_apsnr=true", "--log", "-", "--log-format", "json")
	measured.want(t, exitDone)
	if got, want := timeless(read("high.json")), timeless(measured.stdout); got != want {
		t.Errorf("the log differs from that of measure: %s", firstDifference(got, want))
	}
	folderHas(t, folder, "high.err", "high.json", "high.y4m", "low short.err", "low short.json", "low short.y4m", "missing.err", "scores.txt", "source.y4m", "wrong.err", "wrong.y4m")
}

// vmafRun is a run of the tool, with the log that it left.
func vmafRun(t *testing.T, args ...string) (answer, string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	got := vqsd(t, append([]string{"vmaf", "-o", log}, args...)...)
	if got.stdout != "" {
		t.Errorf("standard output has %q", got.stdout)
	}
	content, err := os.ReadFile(log)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return got, string(content)
}

func TestVmafPairs(t *testing.T) {
	folder := t.TempDir()
	six := clipSpec{frames: 6}.write(t, folder, "six.y4m")
	three := clipSpec{frames: 3, noise: 9}.write(t, folder, "three.y4m")
	none := clipSpec{frames: 0}.write(t, folder, "none.y4m")
	slow := clipSpec{frames: 6, rate: "24:1", noise: 9}.write(t, folder, "slow.y4m")
	ended := func(first, other string) string { return fmt.Sprintf("%q ended before %q.\n", first, other) }
	for _, c := range []struct {
		name, ref, dis, args string
		frames               int // in the log; 0: none, and status 234
		stderr               string
	}{
		{name: "distorted shorter", ref: six, dis: three, frames: 3, stderr: ended(three, six)},
		{name: "reference shorter", ref: three, dis: six, frames: 3, stderr: ended(three, six)},
		{name: "another rate", ref: six, dis: slow, frames: 6},
		{name: "frame_cnt before both end", ref: six, dis: three, args: "--frame_cnt 2", frames: 2},
		{name: "frame_cnt as one ends", ref: six, dis: three, args: "--frame_cnt 3", frames: 3},
		{name: "frame_cnt beyond", ref: six, dis: three, args: "--frame_cnt 100", frames: 3, stderr: ended(three, six)},
		{name: "skips make them even", ref: six, dis: three, args: "--frame_skip_ref 3", frames: 3},
		{name: "skips on both sides", ref: six, dis: three, args: "--frame_skip_ref 2 --frame_skip_dist 1", frames: 2, stderr: ended(three, six)},
		{name: "subsampled", ref: six, dis: slow, args: "--subsample 4", frames: 2},
		{name: "everything is skipped", ref: six, dis: three, args: "--frame_skip_dist 3", stderr: ended(three, six) + "vqsd: there is no pair"},
		{name: "nothing on either side", ref: none, dis: none, stderr: "vqsd: " + none + ": no frames"},
		{name: "more is skipped than there is", ref: six, dis: three, args: "--frame_skip_ref 4000000000 --frame_skip_dist 9", stderr: "vqsd: there is no pair"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, log := vmafRun(t, append([]string{"-r", c.ref, "-d", c.dis, "-n", "--feature", "psnr"}, strings.Fields(c.args)...)...)
			status := 0
			if c.frames == 0 {
				status = vmafUnfinished
			}
			got.want(t, status)
			if got.stderr != c.stderr && (c.frames > 0 || !strings.HasPrefix(got.stderr, c.stderr)) {
				t.Errorf("standard error has %q, want %q", got.stderr, c.stderr)
			}
			if n := strings.Count(log, "<frame "); n != c.frames || c.frames == 0 && log != "" {
				t.Errorf("the log has %d frames, want %d:\n%s", n, c.frames, log)
			}
		})
	}
}

// Which frames are compared, told by identical ones.
func TestVmafSkipsFromEachSide(t *testing.T) {
	folder := t.TempDir()
	ref := clipSpec{frames: 6}.write(t, folder, "ref.y4m")
	later := clipSpec{frames: 5, shift: 2}.write(t, folder, "later.y4m") // its frame n is the reference's n + 2
	_, log := vmafRun(t, "-r", ref, "-d", later, "--frame_skip_ref", "3", "--frame_skip_dist=1", "-n", "--feature", "psnr", "--csv")
	if want := "Frame,psnr_y,psnr_cb,psnr_cr,\n0,60.000000,60.000000,60.000000,\n1,60.000000,60.000000,60.000000,\n2,60.000000,60.000000,60.000000,\n"; log != want {
		t.Errorf("got\n%s\nwant\n%s", log, want)
	}
}

func TestVmafRefusesAndKeepsTheLog(t *testing.T) {
	folder := t.TempDir()
	good := clipSpec{frames: 2}.write(t, folder, "good.y4m")
	wide := clipSpec{frames: 2, width: 80, height: 48}.write(t, folder, "wide.y4m")
	deep := writeFile(t, filepath.Join(folder, "deep.y4m"), append([]byte("YUV4MPEG2 W64 H48 F25:1 C420p10\nFRAME\n"), make([]byte, 64*48*3)...))
	full := writeFile(t, filepath.Join(folder, "444.y4m"), append([]byte("YUV4MPEG2 W64 H48 F25:1 C444\nFRAME\n"), make([]byte, 64*48*3)...))
	cut := writeFile(t, filepath.Join(folder, "cut.y4m"), clipSpec{frames: 3, noise: 5}.y4m()[:3*64*48*3/2])
	raw := writeFile(t, filepath.Join(folder, "raw.yuv"), make([]byte, 64*48*3/2))
	text := writeFile(t, filepath.Join(folder, "text"), []byte("no video\n"))
	for _, c := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"no such file", []string{"-r", folder + "/none", "-d", good}, vmafRefused, "/none: no such file"},
		{"- is a file's name", []string{"-r", "-", "-d", good}, vmafRefused, "./-: no such file"},
		{"no video", []string{"-r", good, "-d", text}, vmafRefused, "text: "},
		{"sizes differ", []string{"-r", good, "-d", wide}, vmafRefused, "size differs: 64x48 of " + good + ", 80x48 of " + wide},
		{"layouts differ", []string{"-r", good, "-d", full}, vmafRefused, "chroma subsampling differs: 4:2:0"},
		{"depths differ", []string{"-r", good, "-d", deep, "--aom_ctc", "v5.0"}, vmafRefused, "bit depth differs: 8 of "},
		{"y4m said to have no header", []string{"-r", good, "-d", raw, "-w", "64", "-h", "48", "-p", "420", "-b", "8"}, vmafRefused, "is y4m, which has a header"},
		{"headerless without a word", []string{"-r", raw, "-d", raw}, vmafRefused, "raw.yuv: "},
		{"breaks off", []string{"-r", good, "-d", cut, "--frame_skip_dist", "1"}, vmafRefused, "cut.y4m: file is truncated after 2 frames"},
		{"no such model", []string{"-r", good, "-d", good, "-m", "version=vmaf_v9"}, vmafRefused, "--model vmaf_v9: unknown model"},
		{"no such model file", []string{"-r", good, "-d", good, "-m", "path=" + folder + "/none.json"}, vmafRefused, "none.json: no such file"},
		{"no such feature", []string{"-r", good, "-d", good, "--feature", "nope"}, vmafRefused, "--feature nope: unknown feature"},
		{"in floating point", []string{"-r", good, "-d", good, "--feature", "float_vif"}, vmafRefused, "--feature float_vif: vqsd has no extractor of that name; use vif"},
		{"not computed", []string{"-r", good, "-d", good, "--feature", "speed_temporal"}, vmafRefused, "speed_temporal: vqsd has no extractor of that name; leave it out"},
		{"another name of ours", []string{"-r", good, "-d", good, "--feature", "ssim"}, vmafRefused, "use float_ssim"},
		{"a value out of range", []string{"-r", good, "-d", good, "--feature", "float_ssim=scale=11"}, vmafRefused, "scale=11: bad option value"},
		{"a fraction of a whole number", []string{"-r", good, "-d", good, "--feature", "float_ssim=scale=1.5"}, vmafRefused, "scale=1.5: bad option value"},
		{"a switch in numbers", []string{"-r", good, "-d", good, "-m", "version=vmaf_v0.6.1:vif.debug=1"}, vmafRefused, "debug=1: bad option value"},
		{"a name that breaks the log", []string{"-r", good, "-d", good, "-m", `version=vmaf_v0.6.1:name=a"b`}, vmafRefused, "name"},
		{"too small for a feature", []string{"-r", good, "-d", good, "--feature", "float_ms_ssim"}, vmafUnfinished, "176"},
		{"usage", []string{"-r", good}, vmafUsage, "no distorted video: name it with --distorted (-d)\nvqsd: vqsd vmaf --help lists the options"},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := writeFile(t, filepath.Join(t.TempDir(), "log"), []byte("of yesterday"))
			got := vqsd(t, append([]string{"vmaf", "-o", log}, c.args...)...)
			got.want(t, c.status, c.want)
			if content, err := os.ReadFile(log); err != nil || string(content) != "of yesterday" {
				t.Errorf("the log is %q (%v)", content, err)
			}
			folderHas(t, filepath.Dir(log), "log")
		})
	}
	// A log that cannot be written is noticed before anything is measured, and no input is overwritten.
	vqsd(t, "vmaf", "-r", good, "-d", good, "-o", folder+"/none/log").want(t, vmafRefused, "cannot make a file")
	vqsd(t, "vmaf", "-r", good, "-d", good, "-o", good).want(t, vmafRefused, "is the input "+good)
	// The break lies beyond what is compared.
	for _, args := range [][]string{{"--frame_cnt", "2"}, {}} {
		got, log := vmafRun(t, append([]string{"-r", good, "-d", cut}, args...)...)
		if len(args) == 0 {
			got.want(t, vmafRefused, "file is truncated") // where a third frame is looked for
			continue
		}
		got.want(t, exitDone)
		if n := strings.Count(log, "<frame "); n != 2 {
			t.Errorf("%d frames were compared, want 2", n)
		}
	}
}

func TestVmafPassesOver(t *testing.T) {
	ref, dis := pair(t, 2)
	plain, want := vmafRun(t, "-r", ref, "-d", dis, "--feature", "psnr")
	plain.want(t, exitDone)
	if plain.stderr != "" {
		t.Errorf("standard error has %q", plain.stderr)
	}
	args := []string{"stray", "--phone-model", "-r", ref, "-d", dis, "-m", "version=vmaf_v0.6.1:vif.nothing=1:cambi.full_ref=true",
		"--feature", "psnr=nothing=1", "--feature", "psnr=enable_apsnr=true", "--feature", "vif=debug=true", "--output"}
	got, log := vmafRun(t, args...)
	got.want(t, exitDone, `argument "stray" belongs to no option`, "there is no option --phone-model", "vif.nothing: there is no such option",
		"cambi.full_ref: the model has no feature of that extractor", "--feature psnr: there is no option nothing", "--feature psnr: psnr is measured already",
		"--feature vif: vif is measured already", "option --output needs a value")
	if n := strings.Count(got.stderr, "passed over\n"); n != 8 || strings.Count(got.stderr, "\n") != n {
		t.Errorf("%d notices:\n%s", n, got.stderr)
	}
	if timeless(log) != timeless(want) {
		t.Errorf("what is passed over changes the log: %s", firstDifference(timeless(log), timeless(want)))
	}
	if got, _ := vmafRun(t, append([]string{"-q"}, args...)...); got.stderr != "" {
		t.Errorf("--quiet leaves %q", got.stderr)
	}
}

// Of models whose extractors differ in options that names do not tell, the first one's count.
func TestVmafFirstOptionsCount(t *testing.T) {
	ref, dis := pair(t, 2)
	log := func(first, second string) string {
		got, log := vmafRun(t, "-r", ref, "-d", dis, "-m", "version=vmaf_v0.6.1:name=a"+first, "-m", "version=vmaf_v0.6.1:name=b"+second, "--csv")
		got.want(t, exitDone)
		return log
	}
	plain, debug, skip := log("", ""), log(":vif.debug=true", ""), log(":adm.adm_skip_aim=true", "")
	for first, want := range map[string]string{"": plain, ":vif.debug=true": debug, ":adm.adm_skip_aim=true": skip} {
		for _, second := range []string{":vif.debug=true", ":adm.adm_skip_aim=true"} {
			if got := log(first, second); got != want {
				t.Errorf("%q of the first model and %q of the second: got\n%s\nwant\n%s", first, second, got, want)
			}
		}
	}
	if !strings.Contains(debug, ",integer_vif_num,") || skip == plain {
		t.Errorf("the first model's options do not count:\n%s\n%s", debug, skip)
	}
}

func TestVmafWithoutPrediction(t *testing.T) {
	ref, dis := pair(t, 2)
	got, log := vmafRun(t, "-r", ref, "-d", dis, "-n", "-m", "version=vmaf_v0.6.1neg", "--csv")
	got.want(t, exitDone)
	if head := strings.SplitN(log, "\n", 2)[0]; !strings.Contains(head, "integer_adm2_egl_1,") || strings.Contains(head, "vmaf,") {
		t.Errorf("features alone: %s", head)
	}
	got, log = vmafRun(t, "-r", ref, "-d", dis, "-n")
	got.want(t, exitDone)
	want := `<VMAF version="3.2.0">
  <params qualityWidth="64" qualityHeight="48" />
  <fyi fps />
  <frames>
  </frames>
  <pooled_metrics>
  </pooled_metrics>
  <aggregate_metrics />
</VMAF>
`
	if timeless(log) != want {
		t.Errorf("nothing was asked for: got\n%s\nwant\n%s", timeless(log), want)
	}
}

// What y4m says of its range counts for nothing; samples of two depths are shifted to the larger, where test conditions allow them.
func TestVmafComparesSamplesAsTheyAre(t *testing.T) {
	folder := t.TempDir()
	ref := clipSpec{frames: 2}.write(t, folder, "ref.y4m")
	content := clipSpec{frames: 2, noise: 8}.y4m()
	dis := writeFile(t, filepath.Join(folder, "dis.y4m"), content)
	tagged := writeFile(t, filepath.Join(folder, "tagged.y4m"), bytes.Replace(content, []byte("C420jpeg"), []byte("C420jpeg XCOLORRANGE=FULL"), 1))
	_, want := vmafRun(t, "-r", ref, "-d", dis, "--feature", "psnr")
	if _, got := vmafRun(t, "-r", ref, "-d", tagged, "--feature", "psnr"); timeless(got) != timeless(want) || got == "" {
		t.Errorf("the range counts: %s", firstDifference(timeless(got), timeless(want)))
	}
	_, got := vmafRun(t, "-r", tagged, "-d", widened(t, folder, ref), "-n", "--feature", "psnr", "--csv")
	if got != "" {
		t.Errorf("depths differ, and there is a log:\n%s", got)
	}
	// The presets need larger pictures.
	large := clipSpec{width: 224, height: 176, frames: 1}.write(t, folder, "large.y4m")
	answer, log := vmafRun(t, "-r", large, "-d", widened(t, folder, large), "--aom_ctc", "v6.0")
	answer.want(t, exitDone)
	if !strings.Contains(log, `psnr_y="`) || !strings.Contains(log, `name="vmaf" min="97.4`) {
		t.Errorf("a clip beside itself in 10 bits:\n%s", log)
	}
}

// widened is a y4m file with samples of 10 bits, four times what they were.
func widened(t *testing.T, folder, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := bytes.Cut(content, []byte("\n"))
	out := append(bytes.Replace(head, []byte("C420jpeg"), []byte("C420p10"), 1), '\n')
	var width, height int
	if _, err := fmt.Sscanf(string(head), "YUV4MPEG2 W%d H%d", &width, &height); err != nil {
		t.Fatal(err)
	}
	for size := width * height * 3 / 2; len(rest) > 0; rest = rest[size:] {
		rest = bytes.TrimPrefix(rest, []byte("FRAME\n"))
		out = append(out, "FRAME\n"...)
		for _, v := range rest[:size] {
			out = append(out, v<<2, v>>6)
		}
	}
	return writeFile(t, filepath.Join(folder, "wide-"+filepath.Base(path)), out)
}

func TestVmafStreams(t *testing.T) {
	folder := t.TempDir()
	ref := clipSpec{frames: 5}.write(t, folder, "ref.y4m")
	content := clipSpec{frames: 4, noise: 12}.y4m()
	dis := writeFile(t, filepath.Join(folder, "dis.y4m"), content)
	for _, args := range []string{"", "--frame_cnt 2", "--frame_cnt 4", "--frame_cnt 9", "--frame_skip_ref 2 --frame_skip_dist 1"} {
		file, want := vmafRun(t, append([]string{"-r", ref, "-d", dis}, strings.Fields(args)...)...)
		file.want(t, exitDone)
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		written := make(chan error, 1)
		go func() {
			f, err := os.OpenFile(pipe, os.O_WRONLY, 0)
			if err == nil {
				_, _ = f.Write(content) // whoever reads may have enough before the end
				err = f.Close()
			}
			written <- err
		}()
		stream, got := vmafRun(t, append([]string{"-r", ref, "-d", pipe}, strings.Fields(args)...)...)
		stream.want(t, exitDone)
		if timeless(got) != timeless(want) {
			t.Errorf("%q: a pipe gives another log than a file: %s", args, firstDifference(timeless(got), timeless(want)))
		}
		if want := strings.ReplaceAll(file.stderr, dis, pipe); stream.stderr != want {
			t.Errorf("%q: standard error has %q, want %q", args, stream.stderr, want)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
	// What a pipe holds is known once it is open: it is refused all the same.
	wide := clipSpec{frames: 1, width: 80, height: 48}.y4m()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		if f, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
			_, _ = f.Write(wide)
			_ = f.Close()
		}
	}()
	if got, log := vmafRun(t, "-r", ref, "-d", pipe); got.code == 0 || log != "" {
		t.Errorf("pictures of two sizes: status %d, log %q", got.code, log)
	}
}

func TestVmafSaysItsVersion(t *testing.T) {
	for _, args := range [][]string{{"vmaf", "-v"}, {"vmaf", "--vers", "-r"}} {
		got := vqsd(t, args...)
		got.want(t, exitDone)
		if want := libvmafVersion + " (vqsd " + version + ")\n"; got.stderr != want || got.stdout != "" {
			t.Errorf("%q: got %q and %q, want %q", args, got.stdout, got.stderr, want)
		}
	}
	got := vqsd(t, "vmaf", "-r", "a", "--help")
	got.want(t, exitDone)
	if !strings.Contains(got.stdout, "--frame_skip_dist N") {
		t.Errorf("help is\n%s", got.stdout)
	}
}

// Scores are for terminals; this is their text. Source: spec/legacy-logs.md A.7.
func TestVmafScores(t *testing.T) {
	s := parsed(t, "-m version=vmaf_b_v0.6.3:name=b -m version=vmaf_v0.6.1:name=a")
	p, err := s.plan()
	if err != nil {
		t.Fatal(err)
	}
	table := &vmaf.Table{Frames: 3, Subsample: 2, Width: 1, Height: 1}
	for i, name := range []string{"b", "a", "b_bagging", "b_stddev", "b_ci_p95_lo", "b_ci_p95_hi"} {
		table.Series = append(table.Series, vmaf.Series{Name: name, Values: []float64{float64(i), 99, float64(i + 1)}})
	}
	want := "vmaf_b_v0.6.3: 0.500000\nvmaf_v0.6.1: 1.500000\nvmaf_b_v0.6.3: 2.500000, ci.p95: [4.500000, 5.500000], stddev: 3.500000\n"
	if got := p.scores(table); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestVmafByTheNameOfALink(t *testing.T) {
	for _, c := range []struct{ process, want string }{
		{"/usr/bin/vqsd vmaf -v", "vmaf -v"}, {"/usr/local/bin/vmaf -v", "vmaf -v"}, {"vmaf", "vmaf"}, {"vqsd measure vmaf", "measure vmaf"}, {"./vmaf vmaf", "vmaf vmaf"},
	} {
		if got := strings.Join(arguments(strings.Fields(c.process)), " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.process, got, c.want)
		}
	}
}
