package decode_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/vqsd/vqsd/decode"
)

// A clip of three grey pictures, read from the second one on and brought to another size.
func Example() {
	dir, err := os.MkdirTemp("", "decode")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "clip.y4m")
	clip := "YUV4MPEG2 W64 H36 F25:1 Cmono\n"
	for _, shade := range []string{"a", "b", "c"} {
		clip += "FRAME\n" + strings.Repeat(shade, 64*36)
	}
	if err := os.WriteFile(path, []byte(clip), 0o600); err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	video, err := decode.Open(ctx, decode.Input{Path: path}, decode.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer video.Close()
	fmt.Println(video.Info().Frames, "frames of", video.Info().Format, "at", video.Info().FrameRate, "a second")

	target := video.Info().Format
	target.Width, target.Height = 128, 72
	converter, err := decode.NewConverter(target, decode.Bicubic, false)
	if err != nil {
		log.Fatal(err)
	}
	defer converter.Close()
	fmt.Println("does:", converter.Describe(video.Info().Format))

	reader, err := video.Read(ctx, 1, -1)
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Close()
	for {
		frame, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		large, err := converter.Convert(frame)
		frame.Release()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("frame %d at %v: %dx%d of %c\n", large.Index, large.Time, large.Format.Width, large.Format.Height, large.Planes[0].Data[0])
		large.Release()
	}
	// Output:
	// 3 frames of 64x36 4:0:0 8 bit at 25 a second
	// does: bicubic 64x36 to 128x72
	// frame 1 at 40ms: 128x72 of b
	// frame 2 at 80ms: 128x72 of c
}
