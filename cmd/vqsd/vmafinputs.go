package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/vmaf"
)

// vmafInputs are the two videos of a command line of the vmaf tool.
type vmafInputs struct {
	reference, distorted decode.Input
	ref, dis             *decode.Info // what is known of files beforehand; nil for a stream, which can be opened but once
}

// inputs looks at the videos.
func (s *vmafSettings) inputs(ctx context.Context) (*vmafInputs, error) {
	in := &vmafInputs{reference: s.input(s.reference), distorted: s.input(s.distorted)}
	var err1, err2 error
	in.ref, err1 = inspectVMAFInput(ctx, in.reference)
	in.dis, err2 = inspectVMAFInput(ctx, in.distorted)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	// What y4m says of the range of its samples is nothing to the tool. Files that need a decoder are ours alone, and are brought to one range.
	in.reference.IgnoreRange = isPlain(in.ref) && isPlain(in.dis)
	in.distorted.IgnoreRange = in.reference.IgnoreRange
	return in, nil
}

// isPlain says whether an input is y4m or headerless, as every stream is.
func isPlain(info *decode.Info) bool { return info == nil || info.Codec == plainCodec }

// plainCodec is the codec of files that need no decoder.
const plainCodec = "rawvideo"

// input says what a file holds. "-" is a file of that name, as for the tool.
func (s *vmafSettings) input(path string) decode.Input {
	in := decode.Input{Path: path}
	if path == "-" {
		in.Path = "." + string(filepath.Separator) + path
	}
	if s.headerless {
		format := vmaf.Format{Width: int(s.width), Height: int(s.height), BitsPerComponent: s.bitsPerComponent, Subsampling: s.subsampling}
		in.Raw = &decode.RawFormat{PixelFormat: rawPixelFormat(format), Format: format}
	}
	return in
}

// rawPixelFormat is FFmpeg's name of planar samples.
func rawPixelFormat(f vmaf.Format) string {
	name := "yuv" + strings.ReplaceAll(f.Subsampling.String(), ":", "") + "p"
	if f.BitsPerComponent > 8 {
		name += fmt.Sprintf("%dle", f.BitsPerComponent)
	}
	return name
}

// inspectVMAFInput opens a file and closes it again; a stream it leaves alone.
func inspectVMAFInput(ctx context.Context, in decode.Input) (*decode.Info, error) {
	if in.Path == "" {
		return nil, errors.New("the file name is empty")
	}
	if isStream(in.Path) {
		return nil, nil
	}
	video, err := decode.Open(ctx, in, decode.Config{LumaOnly: true, OnDamage: decode.Conceal})
	if err != nil {
		return nil, err
	}
	info := video.Info()
	return &info, video.Close()
}

// checkComparable refuses videos that the tool refuses to compare: it neither scales nor converts.
func (s *vmafSettings) checkComparable(ref, dis decode.Info) error {
	var errs []error
	differ := func(what string, a, b any) {
		errs = append(errs, fmt.Errorf("%s differs: %v of %s, %v of %s", what, a, ref.Path, b, dis.Path))
	}
	a, b := ref.Format, dis.Format
	if a.Width != b.Width || a.Height != b.Height {
		differ("size", fmt.Sprintf("%dx%d", a.Width, a.Height), fmt.Sprintf("%dx%d", b.Width, b.Height))
	}
	if a.Subsampling != b.Subsampling {
		differ("chroma subsampling", a.Subsampling, b.Subsampling)
	}
	if a.BitsPerComponent != b.BitsPerComponent && !s.anyDepth {
		differ("bit depth", a.BitsPerComponent, b.BitsPerComponent)
	}
	if len(errs) > 0 {
		errs = append(errs, errors.New(`"vqsd measure" scales and converts`))
	}
	return errors.Join(errs...)
}

// vmafPairs is which frames are compared: by their order in the files, whatever times and rates say.
type vmafPairs struct {
	count   int64  // pairs; −1: not known before the end
	limited bool   // --frame_cnt ends it, not the end of a file
	ended   string // the file that ended before the other one; "": none did, or it is not known yet
	other   string
}

// pairs finds out what is compared with what, as far as it is known beforehand.
func (s *vmafSettings) pairs(in *vmafInputs) vmafPairs {
	left := func(info *decode.Info, skipped uint32) int64 {
		if info == nil {
			return -1
		}
		return max(0, info.Frames-int64(skipped))
	}
	ref, dis := left(in.ref, s.skipReference), left(in.dis, s.skipDistorted)
	p := vmafPairs{count: ref}
	if dis >= 0 && (ref < 0 || dis < ref) {
		p.count = dis
	}
	if limit := int64(s.frames); limit > 0 && p.count >= limit || p.count < 0 && limit > 0 {
		p.count, p.limited = limit, p.count >= 0
		return p
	}
	if ref >= 0 && dis >= 0 {
		p.end(s, ref, dis)
	}
	return p
}

// end says which file ends first, by the frames that they have after those that are skipped.
func (p *vmafPairs) end(s *vmafSettings, ref, dis int64) {
	switch {
	case ref < dis:
		p.ended, p.other = s.reference, s.distorted
	case dis < ref:
		p.ended, p.other = s.distorted, s.reference
	}
}

// cutOff refuses a file that breaks off within a picture that would be compared: the tool crashes there. It says whether damage has to be allowed for the
// sake of a break that lies beyond.
func (s *vmafSettings) cutOff(in *vmafInputs, p vmafPairs) (beyond bool, err error) {
	for _, one := range []struct {
		info    *decode.Info
		skipped uint32
	}{{in.ref, s.skipReference}, {in.dis, s.skipDistorted}} {
		if one.info == nil || one.info.Truncated == "" {
			continue
		}
		if !p.limited && p.count >= max(0, one.info.Frames-int64(one.skipped)) {
			return false, fmt.Errorf("%s: %w after %s: %s; to measure what is there, use --frame_cnt", one.info.Path, decode.ErrTruncated,
				plural(one.info.Frames, "frame"), one.info.Truncated)
		}
		// Nothing is concealed in files that need no decoder: only whole pictures are read.
		beyond = beyond || isPlain(one.info)
	}
	return beyond, nil
}

// request is what the engine is asked.
func (s *vmafSettings) request(in *vmafInputs, p vmafPairs, beyond bool) engine.Request {
	unscaled := decode.NoScale
	r := engine.Request{
		Reference: in.reference, Distorted: []decode.Input{in.distorted},
		Pairing: engine.PairIndex, Shortest: true,
		First: int64(s.skipReference), Offset: int64(s.skipDistorted) - int64(s.skipReference),
		Subsample: max(1, int(s.subsample)),
		Scale:     &unscaled,
		Threads:   max(1, min(int(s.threads), engine.MaxThreads)),
	}
	if p.count >= 0 {
		r.End = r.First + p.count
	}
	if beyond {
		r.OnDamage = decode.Conceal
	}
	return r
}
