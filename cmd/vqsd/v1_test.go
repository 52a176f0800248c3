package main

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// v1Clips writes a reference into a rig's media, and two encodes of it: of its size, and smaller.
func v1Clips(t *testing.T, r *daemonRig, frames int) (ref, dis, small string) {
	t.Helper()
	ref = clipSpec{width: 352, height: 320, frames: frames, colour: true}.write(t, r.media, "ref.y4m")
	dis = clipSpec{width: 352, height: 320, frames: frames, colour: true, noise: 9}.write(t, r.media, "dis.y4m")
	small = clipSpec{width: 264, height: 240, frames: frames, colour: true, noise: 5}.write(t, r.media, "small.y4m")
	return ref, dis, small
}

// Both generations, with metrics beside them: a daemon gives the bits of one process, in chunks of any length, with motion across the cuts,
// aggregates of every frame and encodes of several sizes.
func TestDaemonGivesTheBitsOfMeasure_v1AndMetrics(t *testing.T) {
	r := newDaemonRig(t, nil, "--workers", "2")
	const frames = 23
	ref, dis, small := v1Clips(t, r, frames)
	args := []string{"-r", ref, "-d", dis, "-d", small, "--model", "vmaf_v0.6.1", "--model", "vmaf_v1.0.16_3d0h", "--model", "vmaf_v1.0.16_hfr_3d0h",
		"--feature", "psnr:enable_apsnr=true", "--feature", "ssim", "--feature", "ms_ssim", "--feature", "psnr_hvs", "--feature", "ciede2000",
		"--feature", "cambi:full_ref=true", "--subsample", "2"}
	want := logsOf(t, 2, args)
	random := rand.New(rand.NewPCG(17, 18))
	for range 2 {
		chunk := strconv.FormatInt(1+random.Int64N(frames), 10)
		got := logsOf(t, 2, args, "--server", r.address, "--chunk", chunk, "--no-cache")
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("chunks of %s frames: the log of rendition %d differs:\n%s\nwant\n%s", chunk, i+1, tail(got[i], 3000), tail(want[i], 3000))
			}
		}
	}
	for _, name := range []string{"apsnr_y", "float_ssim", "ciede2000", "cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8_ench_240_encw_264"} {
		if !strings.Contains(want[1], name) {
			t.Errorf("the log has no %s: %s", name, tail(want[1], 3000))
		}
	}
}

// CAMBI of v1 takes encodes of pictures so large that CAMBI without its speed-up takes none: a daemon tells it of them, as one process does.
func TestDaemonGivesTheBitsOfMeasure_encodesOfLargePictures(t *testing.T) {
	r := newDaemonRig(t, nil, "--workers", "1")
	ref := clipSpec{width: 4096, height: 2160, frames: 1, colour: true}.write(t, r.media, "ref.y4m")
	half := clipSpec{width: 2048, height: 1080, frames: 1, colour: true, noise: 5}.write(t, r.media, "half.y4m")
	args := []string{"-r", ref, "-d", half, "--model", "vmaf_v1.0.16_3d0h"}
	want, got := logsOf(t, 1, args), logsOf(t, 1, args, "--server", r.address)
	if got[0] != want[0] {
		t.Errorf("the log differs:\n%s\nwant\n%s", tail(got[0], 3000), tail(want[0], 3000))
	}
	if name := "cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8_ench_1080_encw_2048"; !strings.Contains(want[0], name) {
		t.Errorf("the log has no %s: %s", name, tail(want[0], 3000))
	}
	document := vqsd(t, append([]string{"measure", "--json", "--server", r.address}, args...)...)
	document.want(t, exitDone)
	if strings.Contains(document.stdout, "no encoded size") || !strings.Contains(document.stdout, `"width": 2048`) {
		t.Errorf("of an encode that CAMBI takes it says %s", document.stdout)
	}
}

// chosenDocument is what the tests look at of a document.
type chosenDocument struct {
	Computed struct {
		Daemon struct {
			Measurement   string
			CachedPairs   int64 `json:"cached_pairs"`
			MeasuredPairs int64 `json:"measured_pairs"`
		}
	}
	Models     []struct{ Name, Version string }
	Renditions []struct {
		Compared struct {
			BitDepth       int    `json:"bit_depth"`
			BitDepthReason string `json:"bit_depth_reason"`
			Encoded        struct {
				Width, Height int
				BitDepth      int `json:"bit_depth"`
			}
		}
		Scores   []struct{ Name string }
		Features []struct{ Name string }
	}
}

// What rules choose by default: both generations, at 10 bits, and CAMBI told how each rendition was encoded. What was measured is
// kept: asked again nothing is measured, and other models are scored of it. What was measured at 8 bits is kept apart.
func TestDaemonChoosesV1(t *testing.T) {
	r := newDaemonRig(t, nil, "--workers", "1")
	ref, dis, small := v1Clips(t, r, 30)
	measure := func(args ...string) (d chosenDocument) {
		t.Helper()
		got := vqsd(t, append([]string{"measure", "--json", "-r", ref, "-d", dis, "-d", small, "--server", r.address}, args...)...)
		got.want(t, exitDone)
		if err := json.Unmarshal([]byte(got.stdout), &d); err != nil {
			t.Fatal(err)
		}
		if len(d.Renditions) != 2 {
			t.Fatalf("%d renditions", len(d.Renditions))
		}
		return d
	}
	names := func(d chosenDocument) (list []string) {
		for _, m := range d.Models {
			list = append(list, m.Version)
		}
		return list
	}

	chosen := measure("--model", "auto")
	if got, want := names(chosen), []string{"vmaf_v0.6.1", "vmaf_v1.0.16_3d0h"}; !slices.Equal(got, want) {
		t.Errorf("rules chose %v, want %v", got, want)
	}
	for i, d := range chosen.Renditions {
		c := d.Compared
		if c.BitDepth != 10 || c.BitDepthReason != "vmaf_v1.0.16_3d0h is made for 10 bits" || c.Encoded.BitDepth != 8 {
			t.Errorf("rendition %d was compared at %+v, want 10 bits, for v1, of an encode of 8", i, c)
		}
		if len(d.Scores) != 2 {
			t.Errorf("rendition %d has %d scores, want one of each model", i, len(d.Scores))
		}
	}
	if e := chosen.Renditions[0].Compared.Encoded; e.Width != 0 {
		t.Errorf("an encode of the reference's size is %+v, want its depth alone", e)
	}
	if e := chosen.Renditions[1].Compared.Encoded; e.Width != 264 || e.Height != 240 {
		t.Errorf("the small encode is %+v, want 264x240", e)
	}
	for i, name := range []string{"cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8", "cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8_ench_240_encw_264"} {
		if !slices.ContainsFunc(chosen.Renditions[i].Features, func(f struct{ Name string }) bool { return f.Name == name }) {
			t.Errorf("rendition %d has %+v, want %s among its features", i, chosen.Renditions[i].Features, name)
		}
	}

	again := measure("--model", "vmaf_v1.0.16_3d0h")
	if d := again.Computed.Daemon; d.MeasuredPairs != 0 || d.CachedPairs != 60 {
		t.Errorf("of stored figures %d pairs were measured again and %d not, want 60", d.MeasuredPairs, d.CachedPairs)
	}
	native := measure("--model", "vmaf_v0.6.1")
	if d := native; d.Renditions[0].Compared.BitDepth != 8 || d.Computed.Daemon.MeasuredPairs != 60 {
		t.Errorf("vmaf_v0.6.1 alone: %d bits and %d pairs measured, want 8 and all 60: figures of 10 bits are others",
			d.Renditions[0].Compared.BitDepth, d.Computed.Daemon.MeasuredPairs)
	}
	name := chosen.Computed.Daemon.Measurement
	vqsd(t, "rescore", name, "--model", "vmaf_v1.0.16_3d0h:disable_clip", "--server", r.address).want(t, exitDone, "1 measurement scored")
	vqsd(t, "rescore", name, "--model", "vmaf_v1.0.16_5d0h", "--server", r.address).want(t, exitFailed, "speed_chroma")
	got := vqsd(t, "query", `series = "cambi_*" AND name = "`+name+`" AND pooling = "mean"`, "--server", r.address)
	got.want(t, exitDone)
	if !strings.Contains(got.stdout, "encw_264") {
		t.Errorf("a query for cambi gives %s", got.stdout)
	}
}
