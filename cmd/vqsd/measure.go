package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/vmaf"
)

// libvmafVersion is the version that logs name: that of the program whose logs they equal.
const libvmafVersion = "3.2.0"

const measureLong = `Compare one or more distorted videos with the reference they were made from,
frame by frame, and print pooled scores. All of them share one decode of the
reference and all computation that depends on it alone.

Files. A file's format is told by its contents. "-" is standard input, which
must be y4m, or headerless with --raw-video. --raw-video describes standard
input, pipes, and files named *.yuv, *.raw or *.i420; other files have a
header.

Pairs. Frame n of the reference is compared with frame n of the distorted
video, counting shown frames from 0. Where frame counts or rates differ that
would be a guess, and vqsd refuses and names the flags that decide: --pairing
index counts whatever the rates, --pairing timestamp takes the frame nearest in
time, --shortest leaves out what has no counterpart, --offset and --frames
choose by hand.

Pictures. A distorted picture of another size is scaled to the reference's
(--scale, swscale with that filter's flag alone); one of fewer bits is widened,
or the reference is if it has fewer, and both are where a model is made for
more: those of VMAF v1 for 10 (--bit-depth). --geometry scales both to another
size instead, and --crop cuts both after that. CAMBI, which looks for banding,
is told the size and depth that the file has where they are not those compared;
its figures are then named accordingly (--encoded).

Models. --model takes a built-in model's name (vqsd models lists them) or
path=FILE.json for a file in the public layout, and, separated by colons,
name=NAME, enable_transform, disable_clip and options of features, as libvmaf
does. One model's score is called vmaf unless it is named; several are called
by their versions. --feature asks for the figures of a feature extractor beside
those of the models, with options, as in vif:vif_enhn_gain_limit=1: vif, adm,
motion, cambi, speed_chroma, psnr, ssim, ms_ssim, psnr_hvs or ciede2000.
--nflx-ctc and --aom-ctc stand for the models and features of published test
conditions.

Devices. --device auto computes on the first GPU where there is one that works,
else on the processor, and goes on there should the GPU fail; auto:N prefers the
GPU of that number; cuda and cuda:N fail instead. The figures are the same to the bit. A GPU also decodes what it
decodes to the bits of software; --decoding software leaves that to software.
vqsd devices lists what there is.

Output. A table, or with --json a document; --log writes every frame's figures
as libvmaf 3.2.0 does, to the byte, and --plot draws the first model's score
over time. With several distorted videos the log's name needs a placeholder:
{name} (or {}) is the video's name without folder and extension, {n} its number
from 1. --cambi-heatmaps draws where CAMBI finds banding, white where it is
strongest, as 16-bit grey in DIR/{name}/frame000012_scale0.png and so on; each
scale is half the size of the one before.

Daemons. With --server, or $VQSD_SERVER unless --server is empty, a daemon
measures, and everything looks as if this process had: the same figures to the
bit, the same logs. The daemon reads the videos below its media roots: a path is
made absolute, and ROOT:PATH is left as it is. --model auto leaves the choice of
models to the daemon's rules. Should the daemon go away, it is waited for; an
interruption cancels the measurement, unless --no-cancel is given. --no-wait
prints its name instead of waiting, with --json as a document
(vqsd.measurement/1); vqsd get shows the result later.`

const measureExample = `  vqsd measure -r reference.mp4 -d encode.mp4
  vqsd measure -r reference.mp4 -d 1080p.mp4 -d 720p.mp4 --log 'vmaf-{name}.xml' --plot vmaf.svg
  vqsd measure -r reference.mp4 -d encode.mp4 --model vmaf_v0.6.1 --model vmaf_v0.6.1neg --json
  vqsd measure -r reference.mp4 -d encode.mp4 --model vmaf_v0.6.1:enable_transform:name=phone
  vqsd measure -r reference.mp4 -d 540p.mp4 --model vmaf_v1.0.16_3d0h --feature psnr --feature ssim
  vqsd measure -r reference.mov -d broadcast.ts --pairing timestamp --shortest --frames 0:1500
  vqsd measure -r ref_1920x1080.yuv -d dis_1920x1080.yuv --raw-video 1920x1080:yuv420p10le:25
  vqsd measure -r MEDIA:reference.mp4 -d MEDIA:encode.mp4 --server media-host --class background --no-wait
  ffmpeg -v error -i encode.mp4 -f yuv4mpegpipe - | vqsd measure -r reference.y4m -d -`

func (a *app) measureCommand() *cobra.Command {
	var f measureFlags
	c := &cobra.Command{
		Use:     "measure -r REFERENCE -d DISTORTED [-d DISTORTED …]",
		Short:   "compare distorted videos with their reference",
		Long:    measureLong,
		Example: measureExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := f.parse(cmd.Flags().Changed)
			if err != nil {
				return err
			}
			if m.remote != nil {
				return a.measureRemotely(cmd.Context(), m)
			}
			return a.measure(cmd.Context(), m)
		},
	}
	f.define(c)
	return c
}

// measurement is what the flags of measure ask for, wholly checked.
type measurement struct {
	request engine.Request
	backend engine.BackendConfig
	asked   []vmaf.Extraction // features asked for beside the models'

	depth, depthReason string // as --bit-depth has it, and why it is what it comes to
	encoded            string // as --encoded has it
	presentation
	maps   *heatMaps          // nil: none are drawn
	remote *remoteMeasurement // nil: measure in this process
}

// measure does what was asked. Whatever could be measured is written and printed even where a rendition failed.
func (a *app) measure(ctx context.Context, m *measurement) (err error) {
	if m.maps != nil {
		defer func() { err = errors.Join(err, m.maps.tidy()) }()
	}
	p := a.newProgress(&m.presentation)
	found, err := a.find(ctx, m, p)
	if err != nil {
		p.end(nil)
		return err
	}
	r := m.result(found)
	p.end(r)
	return m.show(ctx, a.stdout, r)
}

// find has the engine of this process measure, and tells p how far it is.
func (a *app) find(ctx context.Context, m *measurement, p *progress) (found *engine.Result, err error) {
	inputs, err := a.openStandardInput(&m.request)
	if err != nil {
		return nil, err
	}
	defer inputs()
	backend, err := engine.OpenBackend(m.backend)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	if notice := backend.Notice(); notice != "" {
		fmt.Fprintf(a.stderr, "vqsd: %s; measuring on the processor\n", printable(notice))
	}
	m.request.Backend = backend
	m.request.Progress = func(now engine.Progress) { p.update(now.Done, now.Total) }
	return engine.Measure(ctx, m.request)
}
