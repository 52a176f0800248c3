package legacy

import (
	"bytes"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// readFFmpegPSNR reads the stats file of FFmpeg's psnr filter, of version 1 or 2: n:1 mse_avg:265.17 … one line a frame, numbered from 1.
func readFFmpegPSNR(in *input, b *builder) error {
	if in.peek() == 'p' {
		if err := b.ffmpegHead(in); err != nil {
			return err
		}
	}
	names := make(map[string][]byte) // series by field
	return b.ffmpegLines(in, func(field, value []byte) error {
		if bytes.HasPrefix(field, []byte("max_")) {
			return b.ffmpegPeak(field, value)
		}
		return b.ffmpegValue(names, psnrSeries, field, value)
	})
}

// readFFmpegSSIM reads the stats file of FFmpeg's ssim filter: n:1 Y:0.933641 U:0.945792 V:0.944403 All:0.937460 (12.038390) a frame.
func readFFmpegSSIM(in *input, b *builder) error {
	names := make(map[string][]byte)
	return b.ffmpegLines(in, func(field, value []byte) error {
		if len(field) > 0 {
			return b.ffmpegValue(names, ssimSeries, field, value)
		}
		if len(value) < 2 || value[0] != '(' || value[len(value)-1] != ')' {
			return fmt.Errorf("%.40q where FFmpeg writes name:value: %w", value, ErrMalformed)
		}
		x, err := b.score(value[1 : len(value)-1])
		if err != nil {
			return err
		}
		return b.value([]byte(ffmpegDB), x)
	})
}

// ffmpegHead reads the line that a PSNR file of version 2 begins with. The fields it lists have their names in each line, too.
func (b *builder) ffmpegHead(in *input) error {
	if err := in.expect("psnr_log_version:"); err != nil {
		return err
	}
	version, stop, err := in.until(nil, " ")
	if err != nil {
		return err
	}
	if string(version) != "2" {
		return fmt.Errorf("version %.40q of FFmpeg's PSNR file, where 2 is known: %w", version, ErrOtherTool)
	}
	b.log.Run.StatsVersion = 2
	if stop == ' ' {
		_, _, err = in.until(nil, "")
	}
	return err
}

// ffmpegLines reads all lines, which are fields with a blank between them, and hands on each field but the number. What has no colon comes
// without a name.
func (b *builder) ffmpegLines(in *input, use func(name, value []byte) error) error {
	buf := make([]byte, 0, maxTextBytes)
	for in.peek() != end {
		number, fields := -1, 0
		for stop := int(' '); stop != '\n'; {
			field, c, err := in.until(buf[:0], " ")
			if err != nil {
				return err
			}
			if stop = c; c == '\n' {
				field = bytes.TrimSuffix(field, []byte("\r"))
			}
			if len(field) == 0 {
				continue // FFmpeg ends its lines with a blank
			}
			fields++
			name, value, named := bytes.Cut(field, []byte(":"))
			switch {
			case !named:
				name, value = nil, field
			case len(name) == 0:
				return fmt.Errorf("%.40q: a value without a name: %w", field, ErrMalformed)
			}
			if fields > 1 {
				if err := use(name, value); err != nil {
					return err
				}
				continue
			}
			if string(name) != "n" {
				return fmt.Errorf("the line begins with %.40q where FFmpeg writes n:, the number of the frame: %w", field, ErrMalformed)
			}
			if number, err = parseFrame(value); err != nil {
				return err
			}
			if number == 0 {
				return fmt.Errorf("frame 0 where FFmpeg counts from 1: %w", ErrMalformed)
			}
		}
		if fields == 0 {
			continue // an empty line
		}
		if err := b.endFrame(number - 1); err != nil {
			return err
		}
	}
	return in.ended()
}

// ffmpegValue adds a value whose series has the name that rename gives. names keeps what it gave.
func (b *builder) ffmpegValue(names map[string][]byte, rename func(string) (string, bool), field, text []byte) error {
	name, known := names[string(field)]
	if !known {
		series, ok := rename(string(field))
		if !ok {
			return fmt.Errorf("field %.40q, which FFmpeg does not write: %w", field, ErrMalformed)
		}
		name = []byte(series)
		names[string(field)] = name
	}
	x, err := b.score(text)
	if err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return b.value(name, x)
}

// ffmpegPeak takes the largest value of a plane's samples, which is the same for all planes of the pictures that FFmpeg compares.
func (b *builder) ffmpegPeak(field, text []byte) error {
	if letter := strings.TrimPrefix(string(field), "max_"); letter != "avg" {
		if _, ok := ffmpegPlane(letter); !ok {
			return fmt.Errorf("field %.40q, which FFmpeg does not write: %w", field, ErrMalformed)
		}
	}
	peak, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil || peak == 0 || peak&(peak+1) != 0 {
		return fmt.Errorf("%s: %.40q is no peak of 1 … 16 bits: %w", field, text, ErrMalformed)
	}
	depth := bits.Len64(peak)
	run := &b.log.Run
	if run.StatsVersion != 2 {
		return fmt.Errorf("field %.40q, which FFmpeg writes in version 2 only, where the first line says so: %w", field, ErrMalformed)
	}
	if run.OutputMax && run.BitsPerComponent != depth {
		return fmt.Errorf("%s: a peak of %d bits, where it was %d before: %w", field, depth, run.BitsPerComponent, ErrMalformed)
	}
	run.OutputMax, run.BitsPerComponent = true, depth
	return nil
}
