package decode

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vqsd/vqsd/internal/emulator"
)

// What a device can not do, does not do, or does badly.

// TestHardware_whatItCannotDo is decoded in software, and Info says why.
func TestHardware_whatItCannotDo(t *testing.T) {
	x264 := func(more ...string) []string {
		return append([]string{"-c:v", "libx264", "-preset", "ultrafast"}, more...)
	}
	vp9 := func(more ...string) []string {
		return append([]string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"}, more...)
	}
	av1 := func(more ...string) []string {
		return append([]string{"-c:v", "libsvtav1", "-preset", "12", "-pix_fmt", "yuv420p"}, more...)
	}
	for _, c := range []struct {
		name, file, size string
		args             []string
		cfg              Config
		settings         []string
		why              string
	}{
		{name: "codec without a standard for every bit", file: "a.ts", args: []string{"-c:v", "mpeg2video"}, why: "mpeg2video of 4:2:0 and 8 bits is not decoded by hardware"},
		{name: "codec that the device lacks", file: "a.mp4", args: x264(), settings: []string{"VQSD_EMU_NVDEC_CAPS", "vp8:8:48x16-4096x4096"}, why: "the device does not decode h264 of 8 bits"},
		{name: "larger than the device decodes", file: "a.mp4", args: x264(), settings: []string{"VQSD_EMU_NVDEC_CAPS", "h264:8:48x16-160x160"}, why: "larger than the device decodes (160x160"},
		{name: "larger as coded than the device decodes", file: "a.mp4", size: "176x140", args: x264(), settings: []string{"VQSD_EMU_NVDEC_CAPS", "h264:8:48x16-176x140"}, why: "the device's decoder cannot be set up (Video height 144 not within range from 16 to 140)"},
		{name: "smaller than the device decodes", file: "a.webm", size: "96x96", args: vp9(), why: "96x96 are smaller than the device decodes (128x128)"},
		{name: "deeper than the device decodes", file: "a.mp4", args: x264("-pix_fmt", "yuv420p10le"), why: "h264 of 4:2:0 and 10 bits is not decoded by hardware"},
		{name: "other chroma", file: "a.mp4", args: x264("-pix_fmt", "yuv422p"), why: "h264 of 4:2:2 and 8 bits is not decoded by hardware"},
		{name: "lossless", file: "a.mp4", args: x264("-qp", "0"), why: "profile High 4:4:4 Predictive"},
		{name: "interlaced", file: "a.mkv", args: x264("-x264-params", "interlaced=1"), why: "interlaced"},
		{name: "cropped at the left and the top", file: "a.mp4", args: x264("-bsf:v", "h264_metadata=crop_left=16:crop_top=8"), why: "pictures are cropped at the left or the top"},
		{name: "odd size", file: "a.webm", args: vp9("-s", "177x145"), why: "odd picture size 177x145"},
		{name: "av1 with film grain", file: "a.mkv", args: av1("-svtav1-params", "film-grain=20"), settings: []string{"VQSD_EMU_NVDEC_CAPS", "av1:8:128x128-8192x8192"}, why: "film grain"},
		{name: "av1 whose first picture fails", file: "a.mkv", args: av1(), settings: []string{"VQSD_EMU_NVDEC_CAPS", "av1:8:128x128-8192x8192"}, why: "cuvidDecodePicture"},
		{name: "concealment", file: "a.mp4", args: x264(), cfg: Config{OnDamage: Conceal}, why: "damage is to be concealed as software does it"},
		{name: "more references than surfaces", file: "a.mp4", args: x264("-preset", "medium", "-x264-params", "ref=16:bframes=16:b-pyramid=2"), why: ""},
		{name: "no decoder to be had", file: "a.mp4", args: x264(), settings: []string{"VQSD_EMU_NVDEC_FAULT", "cuvidCreateDecoder 2 0"}, why: "the device's decoder cannot be set up (cuvidCreateDecoder: CUDA_ERROR_OUT_OF_MEMORY)"},
		{name: "first picture fails", file: "a.mp4", args: x264(), settings: []string{"VQSD_EMU_NVDEC_FAULT", "cuvidDecodePicture 999 0"}, why: "cuvidDecodePicture: CUDA_ERROR_UNKNOWN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := openHardware(t, c.settings...)
			size := c.size
			if size == "" {
				size = "176x144"
			}
			path := generate(t, c.file, 6, size, c.args...)
			cfg := c.cfg
			cfg.LumaOnly = true
			want := softwareSums(t, path)
			name := open(t, path, cfg).Info().Decoder
			cfg.Hardware = h
			v := open(t, path, cfg)
			if c.why != "" && (v.Info().Decoder != name || !strings.Contains(v.Info().SoftwareReason, c.why)) {
				t.Errorf("decoder %s; software because %q, want %q", v.Info().Decoder, v.Info().SoftwareReason, c.why)
			}
			got, onDevice, stats, err := tryDeviceSums(v, 0, -1)
			if err != nil || stats.Fallbacks != 0 || c.why != "" && onDevice != 0 {
				t.Errorf("%d on the device, %+v, %v", onDevice, stats, err)
			}
			if i := firstDifference(got, want); i >= 0 {
				t.Errorf("frame %d differs", i)
			}
		})
	}
}

// TestHardware_failsOnTheWay: the Reader goes on in software with the frame it was at, and later Readers use the device again.
func TestHardware_failsOnTheWay(t *testing.T) {
	for _, fault := range []string{"cuvidDecodePicture 999 30", "cuvidMapVideoFrame64 2 25", "cuvidCreateDecoder 2 1"} {
		t.Run(fault, func(t *testing.T) {
			h := openHardware(t, "VQSD_EMU_NVDEC_FAULT", fmt.Sprintf("%s %d", fault[:strings.LastIndexByte(fault, ' ')], 1<<40))
			path := hardwareClip(t, 54)
			want := softwareSums(t, path)
			v := open(t, path, Config{LumaOnly: true, Hardware: h})
			if v.Info().Decoder != "h264_nvdec" {
				t.Fatal(v.Info().SoftwareReason)
			}
			if strings.Contains(fault, "Create") {
				// another session than the one that opening left behind
				idle, err := v.Read(context.Background(), 0, -1)
				if err != nil {
					t.Fatal(err)
				}
				defer idle.Close()
				f, err := idle.Next()
				if err != nil {
					t.Fatal(err)
				}
				f.Release()
				fault = "cuvidCreateDecoder 2 0"
			}
			t.Setenv("VQSD_EMU_NVDEC_FAULT", fault)
			got, onDevice, stats, err := tryDeviceSums(v, 0, -1)
			if err != nil || stats.Fallbacks != 1 || onDevice >= len(got) {
				t.Errorf("%d of %d on the device, %+v, %v", onDevice, len(got), stats, err)
			}
			if i := firstDifference(got, want); i >= 0 {
				t.Errorf("frame %d differs", i)
			}
			t.Setenv("VQSD_EMU_NVDEC_FAULT", "")
			if got, onDevice, stats, err := tryDeviceSums(v, 20, 30); err != nil || onDevice != 10 || stats.Fallbacks != 0 || !slices.Equal(got, want[20:30]) {
				t.Errorf("afterwards: %d on the device, %+v, %v", onDevice, stats, err)
			}
			if v.Stats().Fallbacks != 1 {
				t.Errorf("%+v", v.Stats())
			}
		})
	}
}

// TestHardware_damage: what ends a Reader in software ends it with hardware, with the same words.
func TestHardware_damage(t *testing.T) {
	h := openHardware(t)
	path := generate(t, "a.ts", 54, "176x144", "-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "keyint=12:bframes=2:slices=2")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"packets are missing": func(b []byte) []byte {
			at := len(b) / 188 / 2 * 188
			return slices.Delete(b, at, at+12*188)
		},
		"the end is missing": func(b []byte) []byte { return b[:len(b)/188*3/4*188] },
	} {
		t.Run(name, func(t *testing.T) {
			bad := writeFile(t, "bad.ts", damage(slices.Clone(whole)))
			read := func(cfg Config) (int, string) {
				cfg.LumaOnly = true
				v := open(t, bad, cfg)
				got, _, _, err := tryDeviceSums(v, 0, -1)
				return len(got), fmt.Sprint(err)
			}
			n, want := read(Config{})
			if m, got := read(Config{Hardware: h}); m != n || got != want {
				t.Errorf("hardware: %d frames, then %s\nsoftware: %d frames, then %s", m, got, n, want)
			}
			t.Log(n, want)
		})
	}
}

// TestHardware_filmGrain: software adds the grain that a message in the stream describes, and a device does not.
func TestHardware_filmGrain(t *testing.T) {
	h := openHardware(t)
	plain := generate(t, "a.h264", 10, "176x144", "-c:v", "libx264", "-preset", "ultrafast")
	data, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	// film grain characteristics: not cancelled, model 0, no colour description, blending 0, scale 2^2, luma alone, one interval
	// (0–255) of one value (30), repeated until further notice; and padding
	const message = "0" + "00" + "0" + "00" + "0010" + "100" + "00000000" + "000" + "00000000" + "11111111" + "00000111100" + "010" + "1"
	var payload []byte
	for i, bit := range message {
		if i%8 == 0 {
			payload = append(payload, 0)
		}
		payload[i/8] |= byte(bit-'0') << (7 - i%8)
	}
	unit := append([]byte{0, 0, 0, 1, 6, 19, byte(len(payload))}, payload...)
	unit = append(unit, 0x80)
	at := bytes.Index(data, []byte{0, 0, 1, 0x65}) // the first slice
	if at < 0 {
		t.Fatal("no IDR picture")
	}
	path := writeFile(t, "grain.h264", slices.Concat(data[:at], unit, data[at:]))
	want := softwareSums(t, path)
	if firstDifference(want, softwareSums(t, plain)) < 0 {
		t.Error("software adds no grain")
	}
	v := open(t, path, Config{LumaOnly: true, Hardware: h})
	got, onDevice, _, err := tryDeviceSums(v, 0, -1)
	if err != nil || onDevice != 0 || !strings.Contains(v.Info().SoftwareReason, "film grain") {
		t.Errorf("%d on the device, because %q, %v", onDevice, v.Info().SoftwareReason, err)
	}
	if i := firstDifference(got, want); i >= 0 {
		t.Errorf("frame %d differs", i)
	}
}

// TestHardware_picturesChangeSize joins two streams of VP9, whose decoder on a device must not change size.
func TestHardware_picturesChangeSize(t *testing.T) {
	h := openHardware(t)
	args := []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0"}
	var joined []byte
	for i, size := range []string{"176x144", "192x160"} {
		data, err := os.ReadFile(generate(t, "a.ivf", 10, size, args...))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			joined = data
			continue
		}
		for at := 32; at < len(data); {
			n := int(binary.LittleEndian.Uint32(data[at:]))
			binary.LittleEndian.PutUint64(data[at+4:], binary.LittleEndian.Uint64(data[at+4:])+10)
			joined = append(joined, data[at:at+12+n]...)
			at += 12 + n
		}
	}
	path := writeFile(t, "a.ivf", joined)
	cfg := Config{LumaOnly: true, AllowFormatChange: true}
	want, _, _, err := tryDeviceSums(open(t, path, cfg), 0, -1)
	if err != nil || len(want) != 20 {
		t.Fatal(len(want), err)
	}
	cfg.Hardware = h
	got, onDevice, stats, err := tryDeviceSums(open(t, path, cfg), 0, -1)
	if err != nil || onDevice != 10 || stats.Fallbacks != 1 || stats.FormatChanges != 1 {
		t.Errorf("%d on the device, %+v, %v", onDevice, stats, err)
	}
	if i := firstDifference(got, want); i >= 0 {
		t.Errorf("frame %d differs", i)
	}
}

// again runs the test that calls it in a process of its own with more environment: the software libcuda reads its settings once. It
// returns false in that process. There is none on a device.
func again(t *testing.T, settings ...string) bool {
	t.Helper()
	const inside = "VQSD_TEST_AGAIN"
	if os.Getenv(inside) != "" {
		return false
	}
	if emulator.Library(t) == "" {
		return true
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(append(os.Environ(), inside+"=1"), settings...)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("with %v: %v\n%s", settings, err, out)
	}
	return true
}

// TestHardware_driverFails: whatever the driver refuses while a decoder is set up, or while it runs, software goes on.
func TestHardware_driverFails(t *testing.T) {
	calls := []string{"cuStreamCreate 2 0", "cuMemAlloc_v2 2 20", "cuStreamSynchronize 2 20", "cuDevicePrimaryCtxRetain 2 2"}
	for _, fault := range calls {
		if again(t, "VQSD_EMU_FAULT="+fault) && fault == calls[len(calls)-1] {
			return
		}
	}
	h := openHardware(t)
	path := hardwareClip(t, 40)
	v := open(t, path, Config{LumaOnly: true, Hardware: h})
	r, err := v.Read(context.Background(), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var want []string
	software := open(t, path, Config{LumaOnly: true})
	want, _, _, err = tryDeviceSums(software, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	onDevice := 0
	for i := range want {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.OnDevice() {
			// reading it may be what fails
			onDevice++
		} else if got, err := lumaAnywhere(f); err != nil || got != want[i] {
			t.Errorf("frame %d: %v", i, err)
		}
		f.Release()
	}
	if r.Stats().Fallbacks == 0 && v.Info().SoftwareReason == "" {
		t.Errorf("nothing failed: %d frames on the device, %+v", onDevice, r.Stats())
	}
}
