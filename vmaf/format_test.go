package vmaf

import (
	"errors"
	"strings"
	"testing"
)

// Each format is the smallest or the deepest that a feature takes, or one sample or bit beyond.
func TestExtraction_CheckFormat(t *testing.T) {
	for _, c := range []struct {
		text   string
		format Format
		want   string // "" for a format that is taken
	}{
		{"vif", pictures(16, 16, 9, Gray), ""},
		{"vif", pictures(15, 16, 8, Gray), "feature vif needs pictures of at least 16×16; the compared pictures are 15x16 4:0:0 8 bit"},
		{"adm", pictures(33, 33, 15, Chroma422), ""},
		{"adm", pictures(33, 32, 8, Chroma422), "adm needs pictures of at least 33×33"},
		{"motion", pictures(3, 3, 16, Gray), ""},
		{"motion", pictures(2, 3, 16, Gray), "motion needs pictures of at least 3×3"},

		{"psnr", pictures(2, 2, 8, Chroma420), ""},
		{"psnr", pictures(1, 1, 8, Gray), ""},
		{"psnr", pictures(1, 2, 8, Chroma420), "psnr needs chroma planes of at least 1×1, a last odd column or row not counted"},
		{"psnr:enable_chroma=false", pictures(1, 2, 8, Chroma420), ""},
		{"psnr", pictures(64, 64, 9, Chroma420), "psnr needs 8, 10, 12 or 16 bits per component; the compared pictures are 64x64 4:2:0 9 bit"},

		{"ssim", pictures(11, 11, 16, Gray), ""},
		{"ssim", pictures(11, 10, 8, Gray), "float_ssim needs pictures of at least 11×11"},
		{"ssim", pictures(64, 64, 14, Gray), "float_ssim needs 8, 10, 12 or 16 bits"},
		{"ssim:scale=4", pictures(44, 44, 8, Gray), ""},
		{"ssim:scale=4", pictures(44, 43, 8, Gray), ""}, // an odd height adds a row
		{"ssim:scale=4", pictures(43, 44, 8, Gray), ""}, // and an odd width a column
		{"ssim:scale=4", pictures(44, 42, 8, Gray), "float_ssim needs pictures of at least 44×44, as scale 4 decimates them"},
		{"ssim:scale=10", pictures(1920, 100, 8, Gray), "as scale 10 decimates them"},
		{"ms_ssim", pictures(176, 176, 8, Gray), ""},
		{"ms_ssim", pictures(176, 175, 8, Gray), "float_ms_ssim needs pictures of at least 176×176"},
		{"ms_ssim", pictures(176, 176, 11, Gray), "float_ms_ssim needs 8, 10, 12 or 16 bits"},

		{"psnr_hvs", pictures(16, 16, 12, Chroma420), ""},
		{"psnr_hvs", pictures(15, 16, 8, Chroma420), "psnr_hvs needs chroma planes of at least 8×8"},
		{"psnr_hvs", pictures(16, 8, 8, Chroma422), ""},
		{"psnr_hvs", pictures(8, 8, 8, Chroma444), ""},
		{"psnr_hvs", pictures(64, 64, 16, Chroma420), "psnr_hvs needs 8, 9, 10, 11 or 12 bits per component"},
		{"psnr_hvs", pictures(64, 64, 8, Gray), "psnr_hvs needs chroma planes; the compared pictures are 64x64 4:0:0 8 bit"},
		{"ciede", pictures(2, 2, 16, Chroma420), ""},
		{"ciede", pictures(64, 64, 8, Gray), "ciede needs chroma planes"},
		{"ciede", pictures(64, 64, 13, Chroma444), "ciede needs 8, 10, 12 or 16 bits"},

		{"cambi", pictures(216, 16, 8, Gray), ""},
		{"cambi", pictures(16, 216, 15, Gray), ""},
		{"cambi", pictures(215, 215, 8, Gray), "cambi needs pictures at least 216 wide or high"},
		{"cambi", pictures(3840, 2160, 8, Gray), ""}, // a window of 65
		{"cambi", pictures(4096, 2160, 8, Gray), "cambi needs a window of at most 65 samples, here it is 67"},
		{"cambi:window_size=63", pictures(4096, 2160, 8, Gray), ""},
		{"cambi:cambi_high_res_speedup=1080", pictures(7680, 4320, 8, Gray), ""},
		{"cambi:window_size=127", pictures(1920, 1080, 8, Gray), ""}, // 63
		{"cambi:window_size=127", pictures(2560, 1440, 8, Gray), "here it is 85"},
		{"cambi:window_size=127:cambi_high_res_speedup=1440", pictures(2560, 1440, 8, Gray), ""},
		{"cambi:window_size=127:cambi_high_res_speedup=2160", pictures(2560, 1440, 8, Gray), "here it is 85"}, // too small for that speed-up
		{"cambi:enc_width=180:enc_height=150", pictures(1920, 1080, 8, Gray), "cambi needs enc_width or enc_height of at least 216, these are 180×150"},
		{"cambi:enc_width=3840:enc_height=2160", pictures(216, 216, 8, Gray), ""}, // never enlarged
		{"cambi:enc_width=3840", pictures(216, 216, 8, Gray), ""},                 // one without the other does not count
		{"cambi:src_width=7680:src_height=4320", pictures(1920, 1080, 8, Gray), "here it is 131"},
		{"cambi:src_width=7680:src_height=4320:cambi_high_res_speedup=1080", pictures(1920, 1080, 8, Gray), ""},
		{"cambi:src_width=7680:src_height=4320:cambi_high_res_speedup=1080", pictures(1920, 1079, 8, Gray), "here it is 131"},
		{"cambi:src_width=1280:src_height=1440", pictures(1920, 1080, 8, Gray), "src_width×src_height is 1280×1440, enc_width×enc_height 1920×1080"},

		{"speed_chroma", pictures(160, 160, 8, Chroma420), ""},
		{"speed_chroma", pictures(161, 159, 8, Chroma420), "speed_chroma needs chroma planes of at least 80×80"},
		{"speed_chroma", pictures(160, 80, 16, Chroma422), ""},
		{"speed_chroma", pictures(80, 80, 12, Chroma444), ""},
		{"speed_chroma", pictures(320, 320, 8, Gray), "speed_chroma needs chroma planes"},
		{"speed_chroma", pictures(320, 320, 9, Chroma420), "speed_chroma needs 8, 10, 12 or 16 bits"},
		// spec/speed.md §3.1: "luma sides of at least 160 (prescale 1), 266 (0.6) or 318 (0.5)"
		{"speed_chroma:speed_prescale=0.6", pictures(266, 266, 8, Chroma420), ""},
		{"speed_chroma:speed_prescale=0.6", pictures(266, 264, 8, Chroma420), "chroma planes of at least 133×133"},
		{"speed_chroma:speed_prescale=0.5", pictures(318, 318, 8, Chroma420), ""},
		{"speed_chroma:speed_prescale=0.5", pictures(317, 318, 8, Chroma420), "chroma planes of at least 159×159"},
		{"speed_chroma:speed_prescale=4", pictures(40, 40, 8, Chroma420), ""},
		{"speed_chroma:speed_prescale=4", pictures(38, 40, 8, Chroma420), "chroma planes of at least 20×20"},
		{"speed_chroma:speed_prescale=4", pictures(20, 19, 8, Chroma444), "pictures of at least 20×20"},
		{"speed_chroma:speed_prescale=1.0009", pictures(160, 160, 8, Chroma420), ""}, // as good as 1
	} {
		err := mustExtraction(t, c.text).CheckFormat(c.format)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s of %v: %v", c.text, c.format, err)
			}
			continue
		}
		var fe *FormatError
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrFormat) || !errors.As(err, &fe) || fe.Format != c.format {
			t.Errorf("%s of %v: got %v, want %q", c.text, c.format, err, c.want)
		}
	}
}

func TestExtraction_CheckFormat_tellsAllAndWhetherSizeHelps(t *testing.T) {
	err := mustExtraction(t, "psnr_hvs").CheckFormat(pictures(8, 8, 16, Chroma420))
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 2 {
		t.Fatalf("got %v, want two errors", err)
	}
	for i, want := range []FormatError{
		{"psnr_hvs", "8, 9, 10, 11 or 12 bits per component", pictures(8, 8, 16, Chroma420), false},
		{"psnr_hvs", "chroma planes of at least 8×8, a last odd column or row not counted", pictures(8, 8, 16, Chroma420), true},
	} {
		var got *FormatError
		if !errors.As(joined.Unwrap()[i], &got) || *got != want {
			t.Errorf("error %d: %+v, want %+v", i, got, want)
		}
	}
}

func TestPlan_CheckFormat(t *testing.T) {
	p := mustPlan(t, []string{"vmaf_v1.0.16_3d0h"}, []string{"vif"})
	if err := p.CheckFormat(pictures(1920, 1080, 10, Chroma420)); err != nil {
		t.Error(err)
	}
	err := p.CheckFormat(pictures(176, 144, 8, Chroma420))
	if err == nil || !strings.Contains(err.Error(), "feature cambi needs") || !strings.Contains(err.Error(), "feature speed_chroma needs") ||
		strings.Contains(err.Error(), "feature vif") {
		t.Errorf("got %v", err)
	}
}

func TestParseSubsampling(t *testing.T) {
	for _, s := range []Subsampling{Gray, Chroma420, Chroma422, Chroma444} {
		if got, err := ParseSubsampling(s.String()); err != nil || got != s {
			t.Errorf("%v reads back as %v %v", s, got, err)
		}
	}
	if s, err := ParseSubsampling("4:1:1"); err == nil || !strings.Contains(err.Error(), `"4:1:1"; want 4:0:0, 4:2:0`) {
		t.Errorf("4:1:1: %v %v", s, err)
	}
}
