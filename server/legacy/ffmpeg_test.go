package legacy

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/vmaf"
)

func TestRead_FFmpegSamples(t *testing.T) {
	for _, c := range []struct{ file, series, first, run string }{
		{"psnr-v1.log", "ffmpeg_mse_avg mse_y mse_cb mse_cr ffmpeg_psnr_avg psnr_y psnr_cb psnr_cr", "265.17 347.63 124.22 76.25 35.96 34.79 39.26 41.38", "0 0 false"},
		{"psnr-v2-max.log", "ffmpeg_mse_avg mse_y mse_cb mse_cr ffmpeg_psnr_avg psnr_y psnr_cb psnr_cr", "265.17 347.63 124.22 76.25 35.96 34.79 39.26 41.38", "10 2 true"},
		{"ssim.log", "ffmpeg_ssim_y ffmpeg_ssim_u ffmpeg_ssim_v ffmpeg_ssim_all ffmpeg_ssim_db", "0.933641 0.945792 0.944403 0.93746 12.03839", "0 0 false"},
	} {
		log := sample(t, "ffmpeg-5.1/"+c.file)
		var series, first []string
		for _, s := range log.Series {
			series = append(series, s.Name)
			first = append(first, fmt.Sprint(s.Values[0]))
		}
		if got := strings.Join(series, " "); got != c.series {
			t.Errorf("%s: series %s\nwant %s", c.file, got, c.series)
		}
		if got := strings.Join(first, " "); got != c.first {
			t.Errorf("%s: first frame %s\nwant %s", c.file, got, c.first)
		}
		if got := fmt.Sprint(log.Run.BitsPerComponent, log.Run.StatsVersion, log.Run.OutputMax); got != c.run {
			t.Errorf("%s: run %s, want %s", c.file, got, c.run)
		}
		if got := fmt.Sprint(log.Frames, log.HasFPS, log.Generation); got != "[0 1 2] false FFmpeg" {
			t.Errorf("%s: %s", c.file, got)
		}
	}
}

// Other layouts of pictures, and what editors do to line ends.
func TestRead_FFmpegVariants(t *testing.T) {
	for _, c := range []struct{ what, text, want string }{
		{"grey", "n:1 mse_avg:0.00 mse_y:0.00 psnr_avg:inf psnr_y:inf \n", "ffmpeg_mse_avg=0 mse_y=0 ffmpeg_psnr_avg=+Inf psnr_y=+Inf"},
		{"RGB with alpha", "n:1 mse_avg:1 mse_r:2 mse_g:3 mse_b:4 mse_a:5 psnr_avg:6 psnr_r:7 psnr_g:8 psnr_b:9 psnr_a:10 \n",
			"ffmpeg_mse_avg=1 mse_r=2 mse_g=3 mse_b=4 mse_a=5 ffmpeg_psnr_avg=6 psnr_r=7 psnr_g=8 psnr_b=9 psnr_a=10"},
		{"SSIM of RGB", "n:1 R:1.000000 G:0.5 B:0.25 All:0.5 (3.0)\r\n\r\n", "ffmpeg_ssim_r=1 ffmpeg_ssim_g=0.5 ffmpeg_ssim_b=0.25 ffmpeg_ssim_all=0.5 ffmpeg_ssim_db=3"},
		{"a mark in front", "\xef\xbb\xbfn:1 Y:1 All:1 (inf)\n", "ffmpeg_ssim_y=1 ffmpeg_ssim_all=1 ffmpeg_ssim_db=+Inf"},
		{"version 2 without fields", "psnr_log_version:2\nn:1 mse_y:1 \n", "mse_y=1"},
	} {
		log, _, err := Read(strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		var got []string
		for _, s := range log.Series {
			got = append(got, fmt.Sprintf("%s=%v", s.Name, s.Values[0]))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

// libvmaf's MSE of the sample clip, with all its digits, gives FFmpeg's PSNR file byte for byte; so does its PSNR where no digit is lost on the way.
func TestWrite_FFmpegPSNRGolden(t *testing.T) {
	c := readClip(t)
	for _, kind := range []string{"mse_", "psnr_"} {
		table := &vmaf.Table{Frames: 3, Width: 576, Height: 324}
		for _, plane := range []string{"y", "cb", "cr"} {
			table.Series = append(table.Series, vmaf.Series{Name: kind + plane, Values: c.column(t, kind+plane)})
		}
		run := Run{BitsPerComponent: 10, Subsampling: vmaf.Chroma420}
		for file, run := range map[string]Run{
			"psnr-v1.log":     run,
			"psnr-v2-max.log": {BitsPerComponent: 10, Subsampling: vmaf.Chroma420, StatsVersion: 2, OutputMax: true},
		} {
			want, err := os.ReadFile(filepath.Join(golden.Dir(t), "legacy-logs", "ffmpeg-5.1", file))
			if err != nil {
				t.Fatal(err)
			}
			if got := written(t, FFmpegPSNR, table, WriteOptions{Run: run}); got != string(want) {
				t.Errorf("%s of %s*: %s", file, kind, firstDifference(got, string(want)))
			}
		}
	}
}

func TestWrite_FFmpegPSNR(t *testing.T) {
	table := func(names ...string) *vmaf.Table {
		t := &vmaf.Table{Frames: 2, Width: 3, Height: 3}
		for k, name := range names {
			t.Series = append(t.Series, vmaf.Series{Name: name, Values: []float64{0, float64(k + 1)}})
		}
		return t
	}
	for _, c := range []struct {
		what  string
		table *vmaf.Table
		run   Run
		want  string
	}{
		{"grey; equal pictures have no finite PSNR", table("mse_y"), Run{BitsPerComponent: 8},
			"n:1 mse_avg:0.00 mse_y:0.00 psnr_avg:inf psnr_y:inf \nn:2 mse_avg:1.00 mse_y:1.00 psnr_avg:48.13 psnr_y:48.13 \n"},
		{"libvmaf's PSNR has a cap, its MSE has not", table("psnr_y", "mse_y"), Run{BitsPerComponent: 8},
			"n:1 mse_avg:0.00 mse_y:0.00 psnr_avg:inf psnr_y:inf \nn:2 mse_avg:2.00 mse_y:2.00 psnr_avg:45.12 psnr_y:45.12 \n"},
		// Chroma planes of 3×3 have 2×2 samples: (9·1 + 4·2 + 4·3) / 17.
		{"odd 4:2:0", table("mse_y", "mse_cb", "mse_cr"), Run{BitsPerComponent: 8, Subsampling: vmaf.Chroma420},
			"n:1 mse_avg:0.00 mse_y:0.00 mse_u:0.00 mse_v:0.00 psnr_avg:inf psnr_y:inf psnr_u:inf psnr_v:inf \n" +
				"n:2 mse_avg:1.71 mse_y:1.00 mse_u:2.00 mse_v:3.00 psnr_avg:45.81 psnr_y:48.13 psnr_u:45.12 psnr_v:43.36 \n"},
		// 2×3 samples: (9·1 + 6·2 + 6·3) / 21.
		{"odd 4:2:2", table("mse_y", "mse_cb", "mse_cr"), Run{BitsPerComponent: 8, Subsampling: vmaf.Chroma422},
			"n:1 mse_avg:0.00 mse_y:0.00 mse_u:0.00 mse_v:0.00 psnr_avg:inf psnr_y:inf psnr_u:inf psnr_v:inf \n" +
				"n:2 mse_avg:1.86 mse_y:1.00 mse_u:2.00 mse_v:3.00 psnr_avg:45.44 psnr_y:48.13 psnr_u:45.12 psnr_v:43.36 \n"},
		{"FFmpeg's own, version 2", table("mse_r", "mse_g", "mse_b", "psnr_r", "psnr_g", "psnr_b", "ffmpeg_mse_avg", "ffmpeg_psnr_avg"), Run{StatsVersion: 2},
			"psnr_log_version:2 fields:n,mse_avg,mse_r,mse_g,mse_b,psnr_avg,psnr_r,psnr_g,psnr_b\n" +
				"n:1 mse_avg:0.00 mse_r:0.00 mse_g:0.00 mse_b:0.00 psnr_avg:0.00 psnr_r:0.00 psnr_g:0.00 psnr_b:0.00 \n" +
				"n:2 mse_avg:7.00 mse_r:1.00 mse_g:2.00 mse_b:3.00 psnr_avg:8.00 psnr_r:4.00 psnr_g:5.00 psnr_b:6.00 \n"},
	} {
		if got := written(t, FFmpegPSNR, c.table, WriteOptions{Run: c.run}); got != c.want {
			t.Errorf("%s: %s", c.what, firstDifference(got, c.want))
		}
	}
	for _, c := range []struct {
		what    string
		table   *vmaf.Table
		run     Run
		message string
	}{
		{"no PSNR", table("vmaf"), Run{BitsPerComponent: 8}, "of the planes y, cb, cr is missing"},
		{"one chroma plane", table("mse_y", "mse_cr"), Run{BitsPerComponent: 8, Subsampling: vmaf.Chroma420}, "of the planes cb is missing"},
		{"no blue", table("mse_r", "mse_g"), Run{BitsPerComponent: 8}, "of the planes b is missing"},
		{"luma alone of coloured pictures", table("psnr_y"), Run{BitsPerComponent: 8, Subsampling: vmaf.Chroma420}, "the pictures have chroma planes"},
		{"chroma of grey pictures", table("mse_y", "mse_cb", "mse_cr"), Run{BitsPerComponent: 8}, "the pictures have none"},
		{"depth not known", table("mse_y", "mse_cb", "mse_cr"), Run{Subsampling: vmaf.Chroma420}, "bit depth and chroma subsampling"},
		{"FFmpeg's own with a part missing", table("mse_y", "ffmpeg_mse_avg", "ffmpeg_psnr_avg"), Run{}, "bit depth"},
		{"size not known", &vmaf.Table{Frames: 2, Series: table("mse_y", "mse_cb", "mse_cr").Series}, Run{BitsPerComponent: 8, Subsampling: vmaf.Chroma420}, "size of the pictures"},
		{"a frame lacks a plane", &vmaf.Table{Frames: 2, Width: 2, Height: 2, Series: []vmaf.Series{table("mse_y").Series[0], {Name: "mse_cb", Values: []float64{1}}, {Name: "mse_cr", Values: []float64{1, 1}}}},
			Run{BitsPerComponent: 8, Subsampling: vmaf.Chroma420}, "frame 1 has no mse_cb"},
	} {
		var out bytes.Buffer
		err := Write(&out, FFmpegPSNR, c.table, WriteOptions{Run: c.run})
		if !errors.Is(err, ErrUnwritable) || !strings.Contains(err.Error(), c.message) || out.Len() > 0 {
			t.Errorf("%s: error %v after %d bytes, want one that says %q", c.what, err, out.Len(), c.message)
		}
	}
	for what, run := range map[string]Run{
		"version 3": {BitsPerComponent: 8, StatsVersion: 3}, "peaks in version 1": {BitsPerComponent: 8, OutputMax: true}, "17 bits": {BitsPerComponent: 17},
	} {
		if err := Write(&bytes.Buffer{}, FFmpegPSNR, table("mse_y"), WriteOptions{Run: run}); err == nil || errors.Is(err, ErrUnwritable) {
			t.Errorf("%s: error %v, want one about the options", what, err)
		}
	}
}

func TestWrite_FFmpegSSIM(t *testing.T) {
	table := func(names ...string) *vmaf.Table {
		t := &vmaf.Table{Frames: 3, Width: 3, Height: 3, Subsample: 2}
		for _, name := range names {
			t.Series = append(t.Series, vmaf.Series{Name: name, Values: []float64{0.9, 0, 1}})
		}
		return t
	}
	if got, want := written(t, FFmpegSSIM, table("vmaf", "ffmpeg_ssim_all", "ffmpeg_ssim_v", "ffmpeg_ssim_u", "ffmpeg_ssim_y"), WriteOptions{}),
		"n:1 Y:0.900000 U:0.900000 V:0.900000 All:0.900000 (10.000000)\nn:3 Y:1.000000 U:1.000000 V:1.000000 All:1.000000 (inf)\n"; got != want {
		t.Error(firstDifference(got, want))
	}
	for what, names := range map[string][]string{
		"libvmaf's SSIM":              {"float_ssim", "vmaf"},
		"no figure of the whole":      {"ffmpeg_ssim_y", "ffmpeg_ssim_u", "ffmpeg_ssim_v"},
		"no figure of a chroma plane": {"ffmpeg_ssim_y", "ffmpeg_ssim_u", "ffmpeg_ssim_all"},
	} {
		err := Write(&bytes.Buffer{}, FFmpegSSIM, table(names...), WriteOptions{})
		if !errors.Is(err, ErrUnwritable) || !strings.Contains(err.Error(), "float_ssim is another metric") {
			t.Errorf("%s: error %v", what, err)
		}
	}
}
