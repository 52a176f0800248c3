package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vqsd/vqsd/internal/golden"
)

func TestBadInput(t *testing.T) {
	ref, dis := pair(t, 4)
	dir := t.TempDir()
	good := clipSpec{frames: 4}.y4m()
	file := func(name string, content []byte) string { return writeFile(t, filepath.Join(dir, name), content) }
	clip := func(name string, c clipSpec) string { return c.write(t, dir, name) }
	replace := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	locked := filepath.Join(dir, "nowhere", "x.xml")

	text := file("notes.txt", []byte("not a video\n"))
	sound := file("sound.wav", silence())
	cut := file("cut.y4m", good[:len(good)-100])
	late := file("late.y4m", append(bytes.Clone(good), "FRMAE\n"...))
	longer := clip("longer.y4m", clipSpec{frames: 6, noise: 3})
	faster := clip("faster.y4m", clipSpec{frames: 4, rate: "30:1"})
	small := clip("small.y4m", clipSpec{width: 32, height: 20, frames: 2})
	wide := clip("wide.y4m", clipSpec{width: 128, height: 48, frames: 4})
	larger := clip("larger.y4m", clipSpec{width: 128, height: 96, frames: 4})
	absurd := file("absurd.y4m", replace("W64 H48", "W64000 H48"))
	absurdArea := file("area.y4m", replace("W64 H48", "W16384 H16384"))
	noModel := file("model.json", []byte(`{"model_dict": 7}`))
	noJSON := file("text.json", []byte("model"))
	headerless := file("frames.yuv", make([]byte, 64*48*3/2*2+5))

	for name, row := range map[string]struct {
		args []string
		says []string
	}{
		"missing reference":          {[]string{"-r", dir + "/none.mp4", "-d", dis}, []string{"open reference", "none.mp4: no such file or directory"}},
		"missing distorted":          {[]string{"-r", ref, "-d", dir + "/none.mp4"}, []string{"open distorted", "none.mp4: no such file or directory"}},
		"directory":                  {[]string{"-r", dir, "-d", dis}, []string{dir + ": is a directory"}},
		"empty file":                 {[]string{"-r", file("empty.mp4", nil), "-d", dis}, []string{"empty.mp4: no video stream: the file is empty"}},
		"no video at all":            {[]string{"-r", text, "-d", dis}, []string{"notes.txt: "}},
		"sound only":                 {[]string{"-r", sound, "-d", dis}, []string{"sound.wav: "}},
		"unsupported samples":        {[]string{"-r", file("mono.y4m", replace("C420jpeg", "C411")), "-d", dis}, []string{"mono.y4m: ", "C411"}},
		"header that does not parse": {[]string{"-r", file("header.y4m", replace("W64", "Wide")), "-d", dis}, []string{"header.y4m: "}},
		"truncated in a frame":       {[]string{"-r", cut, "-d", dis}, []string{"cut.y4m: frame 3: file is truncated"}},
		"truncated distorted":        {[]string{"-r", ref, "-d", cut}, []string{"cut.y4m: frame 3: file is truncated"}},
		"what is no frame":           {[]string{"-r", late, "-d", longer, "--shortest"}, []string{"late.y4m: "}},
		"no frames":                  {[]string{"-r", clip("zero.y4m", clipSpec{}), "-d", dis}, []string{"zero.y4m: no frames"}},
		"lengths differ": {[]string{"-r", ref, "-d", longer},
			[]string{"longer.y4m: has 6 frames and the reference 4; to decide, use --pairing index --shortest"}},
		"rates differ": {[]string{"-r", ref, "-d", faster},
			[]string{"faster.y4m: has 30 frames a second and the reference 25; to decide, use --pairing"}},
		"shapes differ":             {[]string{"-r", ref, "-d", wide}, []string{"wide.y4m: is 128x48 with an aspect ratio of 2.667", "--scale"}},
		"sizes differ, no scaling":  {[]string{"-r", ref, "-d", larger, "--scale", "none"}, []string{"larger.y4m: picture sizes differ: 128x96", "--scale"}},
		"picture too small":         {[]string{"-r", small, "-d", small}, []string{"32x20", "33"}},
		"crop too small":            {[]string{"-r", ref, "-d", dis, "--crop", "32x32+0+0"}, []string{"32x32", "33"}},
		"crop beyond the picture":   {[]string{"-r", ref, "-d", dis, "--crop", "64x48+2+0"}, []string{"invalid crop rectangle"}},
		"absurd width":              {[]string{"-r", absurd, "-d", dis}, []string{"absurd.y4m: width 64000 exceeds limits.max_width (16384)", "--limit max_width=N"}},
		"absurd area":               {[]string{"-r", absurdArea, "-d", dis}, []string{"area.y4m: ", "exceeds limits.max_pixels", "--limit max_pixels=N"}},
		"more frames than allowed":  {[]string{"-r", ref, "-d", dis, "--limit", "max_frames=3"}, []string{"exceeds limits.max_frames (3)", "--limit max_frames=N"}},
		"range beyond the end":      {[]string{"-r", ref, "-d", dis, "--frames", "2:9"}, []string{"range 2:9", "4 frames"}},
		"offset beyond the end":     {[]string{"-r", ref, "-d", dis, "--offset", "2"}, []string{"--shortest"}},
		"offset that leaves none":   {[]string{"-r", ref, "-d", dis, "--offset", "9", "--shortest"}, []string{"no frame to compare"}},
		"model file missing":        {[]string{"-r", ref, "-d", dis, "--model", "path=" + dir + "/none.json"}, []string{"none.json: no such file"}},
		"model file a directory":    {[]string{"-r", ref, "-d", dis, "--model", "path=" + dir}, []string{dir + ": is a directory"}},
		"model file that is none":   {[]string{"-r", ref, "-d", dis, "--model", "path=" + noModel}, []string{"model.json: ", "model_dict"}},
		"model file of no JSON":     {[]string{"-r", ref, "-d", dis, "--model", "path=" + noJSON}, []string{"text.json: "}},
		"pictures below v1's least": {[]string{"-r", ref, "-d", dis, "--model", "vmaf_v1.0.16_3d0h"}, []string{"feature cambi needs pictures at least 216", "feature speed_chroma needs"}},
		"a device that nobody has":  {[]string{"-r", ref, "-d", dis, "--device", "cuda:200"}, []string{"device not available: cuda:200"}},
		"log in no folder":          {[]string{"-r", ref, "-d", dis, "--log", locked}, []string{"log " + locked, "no such file or directory"}},
		"log that is a folder":      {[]string{"-r", ref, "-d", dis, "--log", dir}, []string{"log " + dir + ": is a directory"}},
		"log over an input":         {[]string{"-r", ref, "-d", dis, "--log", dis}, []string{"is the input " + dis}},
		"plot in no folder":         {[]string{"-r", ref, "-d", dis, "--plot", dir + "/nowhere/x.svg"}, []string{"plot ", "no such file or directory"}},
		"raw file of odd length":    {[]string{"-r", headerless, "-d", headerless, "--raw-video", "64x48:yuv420p"}, []string{"frames.yuv: frame 2: file is truncated"}},
		"raw file described as y4m": {[]string{"-r", file("really.yuv", good), "-d", dis, "--raw-video", "64x48:yuv420p"}, []string{"really.yuv: is y4m"}},
		"standard input of nothing": {[]string{"-r", ref, "-d", "-"}, []string{"no video stream"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := vqsd(t, append([]string{"measure"}, row.args...)...)
			got.want(t, exitFailed, append(row.says, "vqsd: ")...)
			if got.stdout != "" {
				t.Errorf("standard output has %q", got.stdout)
			}
		})
	}
	for _, name := range []string{"none.mp4", ".", "empty.mp4", "notes.txt", "sound.wav", "zero.y4m", "absurd.y4m"} {
		t.Run("inspect "+name, func(t *testing.T) {
			got := vqsd(t, "inspect", filepath.Join(dir, name))
			got.want(t, exitFailed, "vqsd: "+filepath.Join(dir, name)+": ")
			if got.stdout != "" {
				t.Errorf("standard output has %q", got.stdout)
			}
		})
	}
}

// silence is a short WAV file.
func silence() []byte {
	samples := make([]byte, 8000)
	var b bytes.Buffer
	b.WriteString("RIFF\x64\x1f\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x40\x1f\x00\x00")
	b.Write(samples)
	return b.Bytes()
}

func TestVeryShortClips(t *testing.T) {
	for _, frames := range []int{1, 2} {
		t.Run(fmt.Sprint(frames), func(t *testing.T) {
			ref, dis := pair(t, frames)
			log := filepath.Join(filepath.Dir(ref), "x.csv")
			vqsd(t, "measure", "-r", ref, "-d", dis, "--log", log, "--plot", filepath.Join(filepath.Dir(ref), "x.html")).want(t, exitDone)
			text, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if lines := strings.Count(string(text), "\n"); lines != frames+1 {
				t.Errorf("the log has %d lines:\n%s", lines, text)
			}
		})
	}
}

func TestGoldenBadInput(t *testing.T) {
	ref := golden.Clip(t, "cockatoo_1280x720_20fps_420p8_ref_h264.mp4")
	for name, row := range map[string]struct {
		dis  string
		args []string
		says []string
	}{
		"truncated mp4":       {"cockatoo_1280x720_x264_crf18_truncated-tail.mp4", []string{"--shortest"}, []string{"truncated-tail.mp4: frame ", "truncated"}},
		"size changes midway": {"cockatoo_reschange_1280x720-to-640x360_at_frame30_x264.h264", nil, []string{"frame 30: picture format changes"}},
		"edit list":           {"cockatoo_1280x720_x264_crf18_editlist-skip13frames.mp4", nil, []string{"has 47 frames and the reference 60"}},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("decodes much")
			}
			got := vqsd(t, append([]string{"measure", "-r", ref, "-d", golden.Clip(t, row.dis)}, row.args...)...)
			got.want(t, exitFailed, row.says...)
		})
	}
}

// A rendition that fails does not take the others with it: they are printed and logged, and the status is 1.
func TestOneRenditionFails(t *testing.T) {
	ref, dis := pair(t, 4)
	dir := t.TempDir()
	cut := writeFile(t, filepath.Join(dir, "cut.y4m"), clipSpec{frames: 4, noise: 5}.y4m()[:9000])
	got := vqsd(t, "measure", "-r", ref, "-d", cut, "-d", dis, "--log", dir+"/{name}.xml", "--json")
	got.want(t, exitFailed, "vqsd: ", "cut.y4m: frame 1: file is truncated")
	folderHas(t, dir, "cut.y4m", "dis.xml")
	for _, text := range []string{`"error": "` + cut + `: frame 1`, `"error": null`} {
		if !strings.Contains(got.stdout, text) {
			t.Errorf("the document has no %s:\n%s", text, got.stdout)
		}
	}
	got = vqsd(t, "measure", "-r", ref, "-d", cut, "-d", dis, "--quiet")
	got.want(t, exitFailed)
	if !strings.Contains(got.stdout, "cut.y4m    failed\n") {
		t.Errorf("the table does not say what failed:\n%s", got.stdout)
	}
	if strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("quiet, and yet standard error has %q", got.stderr)
	}
}

func TestUnwritableFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere")
	}
	ref, dis := pair(t, 2)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	vqsd(t, "measure", "-r", ref, "-d", dis, "--log", dir+"/x.xml").want(t, exitFailed, "log "+dir+"/x.xml: cannot make a file in "+dir+": permission denied")
}

// On a disk that is full nothing stays, and an older log is kept.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8k"); err != nil {
		t.Skipf("a small disk cannot be made here: %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	ref, dis := pair(t, 30)
	log := writeFile(t, filepath.Join(dir, "x.xml"), []byte("older"))
	got := vqsd(t, "measure", "-r", ref, "-d", dis, "--log", log)
	got.want(t, exitFailed, "log "+log+": no space left on device")
	if !strings.Contains(got.stdout, "vmaf") {
		t.Errorf("what was measured is not printed: %q", got.stdout)
	}
	folderHas(t, dir, "x.xml")
	if text, err := os.ReadFile(log); err != nil || string(text) != "older" {
		t.Errorf("the older log reads %q, %v", text, err)
	}
}

func TestFullDevice(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	ref, dis := pair(t, 2)
	vqsd(t, "measure", "-r", ref, "-d", dis, "--log", "/dev/full").want(t, exitFailed, "log /dev/full: no space left on device")
}

func TestFullStandardOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	ref, dis := pair(t, 2)
	for _, args := range [][]string{{"measure", "-r", ref, "-d", dis}, {"measure", "-r", ref, "-d", dis, "--json"}, {"inspect", ref}, {"models"}, {"version"}, {"--help"}, {"completion", "bash"}} {
		t.Run(args[0], func(t *testing.T) {
			var stderr bytes.Buffer
			code := run(t.Context(), args, nil, full, &stderr)
			answer{code: code, stderr: stderr.String()}.want(t, exitFailed, "vqsd: write standard output: ", "no space left on device")
		})
	}
}
