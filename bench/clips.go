package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/bench/synth"
	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
)

// Codec is what the clips are coded with.
type Codec string

// The codecs. Y4M is none: samples in a file.
const (
	H264 Codec = "h264"
	HEVC Codec = "hevc"
	AV1  Codec = "av1"
	VP9  Codec = "vp9"
	Y4M  Codec = "y4m"
)

// Codecs lists all codecs.
func Codecs() []Codec { return []Codec{H264, HEVC, AV1, VP9, Y4M} }

// Clip is a reference and the renditions made from it.
type Clip struct {
	Name       string // for people: "1920x1080 8 bit h264", or the folder that it was found in
	Reference  string // paths
	Renditions []string
	Size       engine.Size // of the reference
	Depth      int         // bits a sample
	Codec      Codec       // or what the file's own is called
	Frames     int
}

// with is the clip with only its first renditions.
func (c Clip) with(renditions int) Clip {
	c.Renditions = c.Renditions[:renditions]
	return c
}

// ErrNoEncoder is the error of a clip that cannot be made here.
var ErrNoEncoder = errors.New("no encoder")

// encoder says how clips of a codec are made: ffmpeg's encoder, the arguments of quality q, from 0 for the reference upwards, and the
// pixel formats that it takes by depth. Threads are few and fixed, so that the same ffmpeg makes the same clip.
type encoder struct {
	name   string
	args   func(q int) []string
	depths []int
}

func number(n int) string { return strconv.Itoa(n) }

var encoders = map[Codec]encoder{
	H264: {"libx264", func(q int) []string {
		return []string{"-preset", "veryfast", "-crf", number(16 + 3*q), "-threads", "2", "-g", "48"}
	}, []int{8, 10}},
	HEVC: {"libx265", func(q int) []string {
		return []string{"-preset", "ultrafast", "-crf", number(18 + 3*q), "-x265-params", "log-level=error:pools=2:frame-threads=1:keyint=48", "-tag:v", "hvc1"}
	}, []int{8, 10, 12}},
	AV1: {"libsvtav1", func(q int) []string {
		return []string{"-preset", "12", "-crf", number(24 + 5*q), "-svtav1-params", "lp=2", "-g", "48"}
	}, []int{8, 10}},
	VP9: {"libvpx-vp9", func(q int) []string {
		return []string{"-deadline", "realtime", "-cpu-used", "8", "-b:v", "0", "-crf", number(20 + 5*q), "-threads", "2", "-row-mt", "1", "-g", "48"}
	}, []int{8, 10, 12}},
}

// MakeClip makes a clip in a folder, of so many frames and renditions. Its error wraps [ErrNoEncoder] where ffmpeg, or what it would have to be built
// with, is not there.
func MakeClip(ctx context.Context, dir string, size engine.Size, depth int, codec Codec, frames, renditions int) (*Clip, error) {
	content := synth.Content{Width: size.Width, Height: size.Height, BitsPerComponent: depth, Frames: frames}
	clip := &Clip{Name: fmt.Sprintf("%v %d bit %s", size, depth, codec), Size: size, Depth: depth, Codec: codec, Frames: frames}
	if err := checkEncoder(ctx, codec, depth); err != nil {
		return nil, err
	}
	path := func(k int) string {
		name := "reference"
		if k > 0 {
			name = fmt.Sprintf("rendition%d", k)
		}
		extension := ".mp4"
		if codec == Y4M {
			extension = ".y4m"
		}
		return filepath.Join(dir, name+extension)
	}
	clip.Reference = path(0)
	var makers errgroup.Group
	makers.SetLimit(2)
	for k := range renditions + 1 {
		if k > 0 {
			clip.Renditions = append(clip.Renditions, path(k))
		}
		makers.Go(func() error {
			if codec == Y4M {
				return writeFile(ctx, path(k), content, k)
			}
			return encode(ctx, path(k), content, codec, k)
		})
	}
	if err := makers.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("make the clip %s: %w", clip.Name, err)
	}
	return clip, nil
}

// checkEncoder tells why clips of a codec cannot be made here.
func checkEncoder(ctx context.Context, codec Codec, depth int) error {
	if codec == Y4M {
		return nil
	}
	e := encoders[codec]
	if !slices.Contains(e.depths, depth) {
		return fmt.Errorf("%w for %s of %d bits: %s takes %s", ErrNoEncoder, codec, depth, e.name, numbers(e.depths))
	}
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		return fmt.Errorf("%w for %s: there is no ffmpeg on PATH to make clips with; install it, give clips with --clips, or take --codec y4m",
			ErrNoEncoder, codec)
	}
	out, err := exec.CommandContext(ctx, ffmpeg, "-hide_banner", "-encoders").Output()
	if err != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("%s -encoders: %w", ffmpeg, err))
	}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == e.name {
			return nil
		}
	}
	return fmt.Errorf("%w for %s: %s has no %s", ErrNoEncoder, codec, ffmpeg, e.name)
}

func numbers(list []int) string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = number(n)
	}
	return strings.Join(texts, ", ")
}

func writeFile(ctx context.Context, path string, content synth.Content, rendition int) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := bufio.NewWriterSize(file, 1<<20)
	if err := content.WriteY4M(ctx, w, rendition); err != nil {
		return err
	}
	return w.Flush()
}

// encode has ffmpeg code the reference with a quality. Renditions of coded clips are what coding makes of the reference, as they are in life.
func encode(ctx context.Context, path string, content synth.Content, codec Codec, quality int) error {
	e := encoders[codec]
	format := "yuv420p"
	if content.BitsPerComponent > 8 {
		format = fmt.Sprintf("yuv420p%dle", content.BitsPerComponent)
	}
	args := []string{"-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-f", "yuv4mpegpipe", "-i", "pipe:0", "-c:v", e.name, "-pix_fmt", format}
	args = append(args, e.args(quality)...)
	args = append(args, "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-f", "mp4", path)
	command := exec.CommandContext(ctx, "ffmpeg", args...)
	command.Env = append(os.Environ(), "SVT_LOG=1")
	var said bytes.Buffer
	command.Stderr = &said
	stdin, err := command.StdinPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	err = content.WriteY4M(ctx, stdin, synth.Reference)
	err = errors.Join(err, stdin.Close())
	if waited := command.Wait(); waited != nil {
		// Why it ended says more than that it would not take any more.
		return fmt.Errorf("ffmpeg -c:v %s: %w: %s", e.name, waited, strings.TrimSpace(said.String()))
	}
	return err
}

// FindClips finds clips in a folder: it is a clip itself if it has a file whose name begins with "reference", and then all other
// videos in it are its renditions, in the order of their names; otherwise each folder in it that has one is a clip. Other files
// than *.mp4, *.mkv, *.webm, *.ivf, *.obu, *.ts, *.h264, *.hevc and *.y4m are not looked at.
func FindClips(ctx context.Context, dir string) ([]Clip, error) {
	clip, err := clipIn(ctx, dir)
	if err != nil || clip != nil {
		return present(clip), err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var clips []Clip
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		clip, err := clipIn(ctx, filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		clips = append(clips, present(clip)...)
	}
	if len(clips) == 0 {
		return nil, fmt.Errorf("%s: there is no clip in it: a file named reference.* with its renditions beside it, or folders of such", dir)
	}
	return clips, nil
}

func present(c *Clip) []Clip {
	if c == nil {
		return nil
	}
	return []Clip{*c}
}

var videoExtensions = []string{".mp4", ".mkv", ".webm", ".ivf", ".obu", ".ts", ".h264", ".hevc", ".y4m"}

// clipIn is the clip that a folder is; nil: none.
func clipIn(ctx context.Context, dir string) (_ *Clip, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	clip := &Clip{Name: filepath.Base(dir)}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.IsDir() || !slices.Contains(videoExtensions, strings.ToLower(filepath.Ext(e.Name()))):
		case !strings.HasPrefix(e.Name(), "reference"):
			clip.Renditions = append(clip.Renditions, path)
		case clip.Reference != "":
			return nil, fmt.Errorf("%s: has two references, %s and %s", dir, filepath.Base(clip.Reference), e.Name())
		default:
			clip.Reference = path
		}
	}
	if clip.Reference == "" {
		return nil, nil
	}
	if len(clip.Renditions) == 0 {
		return nil, fmt.Errorf("%s: has %s and no rendition beside it", dir, filepath.Base(clip.Reference))
	}
	clip.Renditions = clip.Renditions[:min(len(clip.Renditions), MaxRenditions)]
	video, err := decode.Open(ctx, decode.Input{Path: clip.Reference}, decode.Config{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, video.Close()) }()
	info := video.Info()
	clip.Size, clip.Depth = engine.Size{Width: info.Format.Width, Height: info.Format.Height}, info.Format.BitsPerComponent
	clip.Codec, clip.Frames = Codec(info.Codec), int(info.Frames)
	if info.Container == "yuv4mpegpipe" {
		clip.Codec = Y4M
	}
	return clip, nil
}

// loadFrames reads the samples of the first frames of a video, as many as there are: plane after plane, without padding.
func loadFrames(ctx context.Context, path string, frames int) (_ [][]byte, err error) {
	video, err := decode.Open(ctx, decode.Input{Path: path}, decode.Config{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, video.Close()) }()
	reader, err := video.Read(ctx, 0, min(int64(frames), video.Info().Frames))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	var list [][]byte
	for {
		frame, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		var samples []byte
		for _, plane := range frame.Planes[:frame.Format.Subsampling.Planes()] {
			row := plane.Width * frame.Format.BytesPerSample()
			for y := range plane.Height {
				samples = append(samples, plane.Data[y*plane.StrideBytes:][:row]...)
			}
		}
		frame.Release()
		list = append(list, samples)
	}
}

// scratch makes a folder that is gone after done.
func scratch(parent string) (dir string, done func() error, err error) {
	dir, err = os.MkdirTemp(parent, "vqsd-bench-")
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = fmt.Errorf("%s: %w; TMPDIR names another folder", filepath.Dir(path.Path), path.Err)
		}
		return "", nil, err
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}
