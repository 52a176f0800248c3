package legacy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/vqsd/vqsd/vmaf"
)

// movie is 10⁵ frames of 15 series, a bit more than an hour.
func movie(f Format) (*vmaf.Table, WriteOptions) {
	const frames = 100_000
	names := []string{"integer_adm2", "integer_adm_scale0", "integer_adm_scale1", "integer_adm_scale2", "integer_adm_scale3", "integer_motion", "integer_motion2",
		"integer_vif_scale0", "integer_vif_scale1", "integer_vif_scale2", "integer_vif_scale3", "psnr_y", "float_ssim", "float_ms_ssim", "vmaf"}
	opt := WriteOptions{Version: "3.2.0"}
	switch f {
	case FFmpegPSNR:
		names = []string{"mse_y", "mse_cb", "mse_cr"}
		opt.Run = Run{BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	case FFmpegSSIM:
		names = []string{"ffmpeg_ssim_y", "ffmpeg_ssim_u", "ffmpeg_ssim_v", ffmpegSSIM}
	}
	r := rand.New(rand.NewPCG(1, 2))
	t := &vmaf.Table{Frames: frames, Width: 1920, Height: 1080, FPS: 100}
	for _, name := range names {
		s := vmaf.Series{Name: name, Values: make([]float64, frames)}
		for i := range s.Values {
			s.Values[i] = r.Float64()
		}
		t.Series = append(t.Series, s)
	}
	return t, opt
}

func BenchmarkWrite(b *testing.B) {
	for f := range Format(len(formatNames)) {
		table, opt := movie(f)
		b.Run(fmt.Sprint(f), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Write(io.Discard, f, table, opt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for f := range Format(len(formatNames)) {
		table, opt := movie(f)
		var log bytes.Buffer
		if err := Write(&log, f, table, opt); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(f), func(b *testing.B) {
			b.SetBytes(int64(log.Len()))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Read(bytes.NewReader(log.Bytes())); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
