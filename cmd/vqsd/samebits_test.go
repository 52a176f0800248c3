package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
)

// TestDaemonGivesTheBitsOfMeasure compares every frame's figures, as logs print them in full precision, between one process and a daemon with one
// to eight workers, for chunks of any length.
func TestDaemonGivesTheBitsOfMeasure(t *testing.T) {
	workers := []int{1, 3, 8}
	if testing.Short() {
		workers = []int{2}
	}
	random := rand.New(rand.NewPCG(7, 8))
	for _, n := range workers {
		t.Run(fmt.Sprintf("%d workers", n), func(t *testing.T) {
			r := newDaemonRig(t, nil, "--workers", strconv.Itoa(n))
			const frames = 97
			ref := clipSpec{width: 176, height: 144, frames: frames}.write(t, r.media, "ref.y4m")
			args := []string{"-r", ref}
			for i, size := range [][2]int{{176, 144}, {88, 72}} {
				args = append(args, "-d", clipSpec{width: size[0], height: size[1], frames: frames, noise: 6 + i}.write(t, r.media, fmt.Sprintf("dis%d.y4m", i)))
			}
			args = append(args, "--model", "vmaf_v0.6.1", "--model", "vmaf_b_v0.6.3", "--feature", "motion:motion_five_frame_window=true")
			want := logsOf(t, 2, args)
			for range 4 {
				chunk := strconv.FormatInt(1+random.Int64N(frames), 10)
				got := logsOf(t, 2, args, "--server", r.address, "--chunk", chunk, "--no-cache")
				for i := range want {
					if got[i] != want[i] {
						t.Errorf("chunks of %s frames: the log of rendition %d differs:\n%s\nwant\n%s", chunk, i+1, tail(got[i], 3000), tail(want[i], 3000))
					}
				}
			}
		})
	}
}

// logsOf measures and returns the logs of n renditions, every bit of every figure, less what says how fast it was.
func logsOf(t *testing.T, n int, args []string, more ...string) (list []string) {
	t.Helper()
	dir := t.TempDir()
	all := append([]string{"measure", "--log", filepath.Join(dir, "{n}.json"), "--log-precision", "17"}, args...)
	vqsd(t, append(all, more...)...).want(t, exitDone)
	for i := range n {
		text, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.json", i+1)))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, timeless(string(text)))
	}
	return list
}

// TestDaemonGivesTheBitsOfMeasureForCodedMedia does the same with real media: open and closed groups of pictures, reordering, other sizes and
// depths, four codecs.
func TestDaemonGivesTheBitsOfMeasureForCodedMedia(t *testing.T) {
	if testing.Short() {
		t.Skip("real media take too long under the race detector")
	}
	args := []string{"-r", golden.Clip(t, "bunny_1280x720_25fps_420p8_audio_ref_h264.mp4"), "--frames", "5:45"}
	clips := []string{"bunny_1280x720_audio_x264_crf24_opengop_keyint25.mp4", "bunny_1280x720_svtav1_10bit_crf50.mp4", "bunny_1280x720_x265_main8_crf32.mp4",
		"bunny_640x360_vp9_crf36.webm"}
	for _, clip := range clips {
		args = append(args, "-d", golden.Clip(t, clip))
	}
	want := logsOf(t, len(clips), args)
	r := newDaemonRig(t, nil, "--workers", "2", "--media-root", golden.Dir(t))
	for _, chunk := range []string{"0", "7"} {
		got := logsOf(t, len(clips), args, "--server", r.address, "--chunk", chunk, "--no-cache")
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("chunks of %s frames: the log of %s differs:\n%s\nwant\n%s", chunk, clips[i], tail(got[i], 3000), tail(want[i], 3000))
			}
		}
	}
}
