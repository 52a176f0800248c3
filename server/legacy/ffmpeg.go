package legacy

import "strings"

// What the columns of FFmpeg's stats files are called as series. Those of the planes of PSNR mean the same as libvmaf's, but for its caps and
// how it cuts chroma planes of odd pictures; SSIM is another metric than libvmaf's, and the figures over all planes are FFmpeg's alone.
// Source: spec/legacy-logs.md §C.2, C.3.
const (
	ffmpegMSE  = "ffmpeg_mse_avg"
	ffmpegPSNR = "ffmpeg_psnr_avg"
	ffmpegSSIM = "ffmpeg_ssim_all"
	ffmpegDB   = "ffmpeg_ssim_db" // of ffmpegSSIM, −10·log10(1 − it), with digits that it does not have
)

// plane is one of a picture's components.
type plane struct {
	letter byte   // FFmpeg's name; a capital in SSIM
	suffix string // of the series of PSNR: libvmaf's
}

// ffmpegPlanes are the components of pictures in FFmpeg's order: YUV, or RGB, and then alpha.
var ffmpegPlanes = [...]plane{{'y', "y"}, {'u', "cb"}, {'v', "cr"}, {'r', "r"}, {'g', "g"}, {'b', "b"}, {'a', "a"}}

// ffmpegPlane finds a component by FFmpeg's name.
func ffmpegPlane(letter string) (plane, bool) {
	for _, p := range ffmpegPlanes {
		if letter == string(rune(p.letter)) {
			return p, true
		}
	}
	return plane{}, false
}

// psnrSeries is what a field of FFmpeg's PSNR file is called as a series.
func psnrSeries(field string) (name string, ok bool) {
	switch field {
	case "mse_avg":
		return ffmpegMSE, true
	case "psnr_avg":
		return ffmpegPSNR, true
	}
	for _, kind := range [...]string{"mse_", "psnr_"} {
		if letter, found := strings.CutPrefix(field, kind); found {
			p, ok := ffmpegPlane(letter)
			return kind + p.suffix, ok
		}
	}
	return "", false
}

// ssimSeries is what a field of FFmpeg's SSIM file is called as a series.
func ssimSeries(field string) (name string, ok bool) {
	if field == "All" {
		return ffmpegSSIM, true
	}
	lower := strings.ToLower(field)
	_, ok = ffmpegPlane(lower)
	return "ffmpeg_ssim_" + lower, ok && lower != field
}
