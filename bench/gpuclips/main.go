// Command gpuclips makes the clips of the bundle for machines with GPUs: small ones of every codec and depth for parity, and some of
// 1080 lines to time; vqsd bench --loops makes these longer.
//
//	gpuclips FOLDER
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/vqsd/vqsd/bench"
	"github.com/vqsd/vqsd/engine"
)

// What is measured of clips, as arguments of vqsd measure: between them they ask for every sum of every kernel. The smallest clips are too small for
// VMAF v1, and have too many bits for some.
var (
	firstGeneration = []string{"--model=vmaf_v0.6.1", "--model=vmaf_v0.6.1neg:name=neg", "--feature=psnr", "--feature=float_ssim"}
	everything      = append([]string{
		"--model=vmaf_v1.0.16_3d0h:name=v1", "--model=vmaf_v1.0.16_hfr_5d0h:name=v1_hfr_phone", "--bit-depth=native",
		"--feature=float_ms_ssim", "--feature=psnr_hvs", "--feature=ciede", "--feature=cambi:full_ref=true", "--feature=speed_chroma",
	}, firstGeneration...)
)

// clips are those of the bundle. Sizes that are no multiple of 16 have pictures that a decoder crops; the odd ones have a last row and column that
// vectors and blocks do not reach. Coded renditions are small, so these carry most of the frames.
var clips = []struct {
	name              string
	width, height     int
	depth             int
	codec             bench.Codec
	frames, rendition int
	measured          []string
}{
	{"h264-576x324-8", 576, 324, 8, bench.H264, 24, 2, everything},
	{"hevc-354x290-8", 354, 290, 8, bench.HEVC, 24, 2, everything},
	{"hevc-576x324-10", 576, 324, 10, bench.HEVC, 24, 1, everything},
	{"av1-480x270-8", 480, 270, 8, bench.AV1, 24, 1, everything},
	{"av1-480x270-10", 480, 270, 10, bench.AV1, 24, 1, everything},
	{"vp9-480x270-8", 480, 270, 8, bench.VP9, 24, 1, everything},
	{"vp9-354x290-10", 354, 290, 10, bench.VP9, 12, 1, everything},
	{"y4m-131x97-8", 131, 97, 8, bench.Y4M, 4, 2, firstGeneration},
	{"y4m-98x67-12", 98, 67, 12, bench.Y4M, 4, 1, firstGeneration},
	{"y4m-98x67-16", 98, 67, 16, bench.Y4M, 4, 1, firstGeneration},
	{"h264-1920x1080-8", 1920, 1080, 8, bench.H264, 12, 1, everything},
	{"hevc-1920x1080-10", 1920, 1080, 10, bench.HEVC, 12, 1, everything},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gpuclips FOLDER")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gpuclips:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder string) error {
	for _, c := range clips {
		dir := filepath.Join(folder, c.name)
		if err := os.MkdirAll(filepath.Join(dir, "measured"), 0o755); err != nil {
			return err
		}
		if _, err := bench.MakeClip(ctx, dir, engine.Size{Width: c.width, Height: c.height}, c.depth, c.codec, c.frames, c.rendition); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "measured", "arguments"), []byte(strings.Join(c.measured, "\n")+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}
