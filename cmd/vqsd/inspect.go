package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/decode"
)

const inspectLong = `Say what a video is, as measure sees it: container and streams, codec, size,
pixel format, number of frames, frame rate and whether it is constant, key
frames, start offset, rotation, and coded pictures that are no frames.

The file is read from end to end, so that frames are counted and not guessed,
but not decoded.`

func (a *app) inspectCommand() *cobra.Command {
	var asJSON bool
	var raw string
	var limits []string
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "say what a video is",
		Long:  inspectLong,
		Example: `  vqsd inspect encode.mp4
  vqsd inspect --json encode.mp4
  vqsd inspect --raw-video 1920x1080:yuv420p10le:25 frames.yuv`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one file; there are %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := parseLimits(limits)
			if err != nil {
				return &usageError{err}
			}
			in := decode.Input{Path: args[0]}
			if raw != "" {
				format, err := decode.ParseRawFormat(raw)
				if err != nil {
					return usagef("--raw-video: %w", err)
				}
				in.Raw = &format
			}
			return a.inspect(cmd.Context(), in, config, asJSON)
		},
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON document")
	c.Flags().StringVar(&raw, "raw-video", "", "what a headerless file holds: `WxH:PIXFMT[:FPS]`, such as 1920x1080:yuv420p10le:25")
	defineLimits(c, &limits)
	return c
}

// inspectDocument is what inspect --json prints.
type inspectDocument struct {
	Schema  string      `json:"schema"` // inspectSchema
	Program programInfo `json:"program"`
	Video   videoInfo   `json:"video"`
}

func (a *app) inspect(ctx context.Context, in decode.Input, limits decode.Limits, asJSON bool) (err error) {
	end, err := a.redirectStandardInput(&in)
	if err != nil {
		return err
	}
	defer end()
	video, err := decode.Open(ctx, in, decode.Config{Limits: limits})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, video.Close()) }()
	if asJSON {
		return writeJSON(a.stdout, inspectDocument{inspectSchema, program(), newVideoInfo(video.Info())})
	}
	printInfo(a.stdout, video.Info())
	return nil
}

// printInfo prints what is known of a video; lines about what it does not have are left out.
func printInfo(w io.Writer, i decode.Info) {
	g := &grid{left: 2}
	line := func(name, format string, args ...any) { g.add("  "+name, printable(fmt.Sprintf(format, args...))) }
	fmt.Fprintln(w, printable(i.Path))
	container := i.Container
	if i.SizeBytes >= 0 {
		container += fmt.Sprintf(", %d bytes", i.SizeBytes)
	}
	line("container", "%s", container)
	codec := strings.Join(present(i.Codec, i.Profile), " ")
	if i.Decoder != "" && i.Decoder != i.Codec {
		codec += ", decoded by " + i.Decoder
	}
	line("codec", "%s", codec)
	if i.BitRate > 0 {
		line("bit rate", "%.1f kbit/s", float64(i.BitRate)/1000)
	}
	size := i.Format.String()
	if i.CodedWidth != i.Format.Width || i.CodedHeight != i.Format.Height {
		size += fmt.Sprintf(", %dx%d as stored", i.CodedWidth, i.CodedHeight)
	}
	line("picture", "%s", size)
	line("pixel format", "%s, %s range", i.PixelFormat, rangeName(i.Format.FullRange))
	if !i.SampleAspect.IsZero() {
		line("sample aspect", "%d:%d", i.SampleAspect.Num, i.SampleAspect.Den)
	}
	if text := i.Rotation.String(); text != "" {
		line("rotation", "%s", text)
	}
	if i.Interlaced != "" {
		line("interlaced", "%s", i.Interlaced)
	}
	if color := strings.Join(present(i.Color.Space, i.Color.Primaries, i.Color.Transfer), ", "); color != "" {
		line("colour", "%s", color)
	}
	switch {
	case i.Frames < 0:
		line("frames", "unknown before the stream ends")
	case i.KeyFrames >= 0:
		line("frames", "%d, of which %s", i.Frames, plural(i.KeyFrames, "key frame"))
	default:
		line("frames", "%d", i.Frames)
	}
	if !i.FrameRate.IsZero() {
		kind := "constant"
		if i.VariableRate {
			kind = "variable, on average"
		}
		line("frame rate", "%s (%.6g), %s", i.FrameRate, i.FrameRate.Float(), kind)
	} else {
		line("frame rate", "unknown")
	}
	if i.Duration > 0 {
		line("duration", "%s", seconds(i.Duration))
	}
	line("start offset", "%s", seconds(i.StartOffset))
	if i.Frames >= 0 {
		line("seeking", "%s", seeking(i.Seekable))
	}
	for _, n := range []struct {
		count int64
		what  string
	}{
		{i.Discarded, "cut by the edit list"},
		{i.Hidden, "never shown"},
		{i.Undecodable, "before the first one that decoding can begin with"},
	} {
		if n.count > 0 {
			line("not frames", "%s %s", plural(n.count, "coded picture"), n.what)
		}
	}
	if i.Truncated != "" {
		line("truncated", "%s", i.Truncated)
	}
	for _, s := range i.Streams {
		text := strings.Join(present(s.Type, s.Codec, s.Language), ", ")
		if s.Selected {
			text += " (measured)"
		}
		line(fmt.Sprintf("stream %d", s.Index), "%s", text)
	}
	g.print(w)
}

func rangeName(full bool) string {
	if full {
		return "full"
	}
	return "limited"
}

func seeking(exact bool) string {
	if exact {
		return "from key frames"
	}
	return "from the start of the file"
}

// present leaves out what is empty.
func present(texts ...string) []string {
	var list []string
	for _, s := range texts {
		if s != "" {
			list = append(list, s)
		}
	}
	return list
}
