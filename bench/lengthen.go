package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// errNotLengthened is the error of a file that cannot be made longer.
var errNotLengthened = errors.New("only mp4 files with their index at the end, as ffmpeg writes them, can be made longer")

// lengthened makes copies of a clip's files that show it so many times over. Their samples are there once: what is repeated is the index
// that points to them, so that a clip of a second that travels easily can be decoded for as long as it takes to time it.
func (c Clip) lengthened(ctx context.Context, dir string, times int) (Clip, error) {
	if times <= 1 {
		return c, nil
	}
	out := c
	out.Name, out.Frames = fmt.Sprintf("%s ×%d", c.Name, times), c.Frames*times
	out.Renditions = nil
	for k, path := range append([]string{c.Reference}, c.Renditions...) {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		longer := filepath.Join(dir, filepath.Base(path))
		if err := lengthen(path, longer, times); err != nil {
			return c, fmt.Errorf("%s: %w", path, err)
		}
		if k == 0 {
			out.Reference = longer
		} else {
			out.Renditions = append(out.Renditions, longer)
		}
	}
	return out, nil
}

// lengthen writes a copy of an mp4 file whose index names every sample so many times, one pass after the other.
func lengthen(path, out string, times int) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	boxes, err := splitBoxes(file)
	if err != nil || len(boxes) == 0 || boxes[len(boxes)-1].kind != "moov" {
		// With the index in front, the samples would move when it grows.
		return errNotLengthened
	}
	moov := boxes[len(boxes)-1]
	l := lengthener{times: uint64(times)}
	longer, err := l.box(moov)
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(file[:len(file)-len(moov.body)-8:len(file)-len(moov.body)-8], longer...), 0o600)
}

// mp4Box is a part of an mp4 file: ISO/IEC 14496-12, 4.2.
type mp4Box struct {
	kind string
	body []byte
}

// splitBoxes cuts a run of boxes apart.
func splitBoxes(data []byte) ([]mp4Box, error) {
	var list []mp4Box
	for len(data) > 0 {
		if len(data) < 8 {
			return nil, errNotLengthened
		}
		size, header := uint64(binary.BigEndian.Uint32(data)), uint64(8)
		if size == 1 && len(data) >= 16 {
			size, header = binary.BigEndian.Uint64(data[8:]), 16
		}
		if size < header || size > uint64(len(data)) {
			return nil, errNotLengthened
		}
		list = append(list, mp4Box{string(data[4:8]), data[header:size]})
		data = data[size:]
	}
	return list, nil
}

func (b mp4Box) bytes() []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(b.body)+8))
	return append(append(out, b.kind...), b.body...)
}

// lengthener repeats the tables of an index.
type lengthener struct {
	times   uint64
	samples uint64 // of one pass
	chunks  uint64
}

// box is a box with all tables in it repeated.
func (l *lengthener) box(b mp4Box) ([]byte, error) {
	switch b.kind {
	case "moov", "trak", "edts", "mdia", "minf", "stbl":
		inner, err := splitBoxes(b.body)
		if err != nil {
			return nil, err
		}
		if b.kind == "stbl" { // tables count in samples and chunks, of which others tell the number
			if err := l.count(inner); err != nil {
				return nil, err
			}
		}
		var body []byte
		for _, i := range inner {
			if slices.Contains([]string{"sbgp", "sgpd", "sdtp", "udta"}, i.kind) {
				continue // groups and hints that decoding does without
			}
			part, err := l.box(i)
			if err != nil {
				return nil, err
			}
			body = append(body, part...)
		}
		return mp4Box{b.kind, body}.bytes(), nil
	case "mvhd", "mdhd", "tkhd", "elst", "stts", "ctts", "stss", "stsc", "stsz", "stco", "co64":
		body, err := l.table(b)
		if err != nil {
			return nil, err
		}
		return mp4Box{b.kind, body}.bytes(), nil
	}
	return b.bytes(), nil
}

// count finds how many samples and chunks one pass has.
func (l *lengthener) count(boxes []mp4Box) error {
	if l.samples != 0 {
		return fmt.Errorf("%w: it has several tracks", errNotLengthened)
	}
	for _, b := range boxes {
		switch {
		case b.kind == "stsz" && len(b.body) >= 12:
			l.samples = uint64(binary.BigEndian.Uint32(b.body[8:]))
		case (b.kind == "stco" || b.kind == "co64") && len(b.body) >= 8:
			l.chunks = uint64(binary.BigEndian.Uint32(b.body[4:]))
		}
	}
	if l.samples == 0 || l.chunks == 0 {
		return errNotLengthened
	}
	return nil
}

// durations say where the boxes with times have their duration: the offset of it in version 0 and 1.
var durations = map[string][2]int{"mvhd": {16, 24}, "mdhd": {16, 24}, "tkhd": {20, 28}}

// table is the body of a box that counts, repeated.
func (l *lengthener) table(b mp4Box) ([]byte, error) {
	if len(b.body) < 8 {
		return nil, errNotLengthened
	}
	body, version := bytes.Clone(b.body), b.body[0]
	if version > 1 {
		return nil, errNotLengthened
	}
	if at, found := durations[b.kind]; found {
		return body, l.longer(body, at[version], version)
	}
	if b.kind == "elst" {
		if binary.BigEndian.Uint32(body[4:]) != 1 {
			return nil, fmt.Errorf("%w: it is cut by an edit list", errNotLengthened)
		}
		return body, l.longer(body, 8, version)
	}
	// The others are a count, and entries of so many 32-bit words, of which the first may have to move on with each pass.
	head, words, step := 8, 1, uint64(0)
	switch b.kind {
	case "stts", "ctts":
		words = 2
	case "stss":
		step = l.samples
	case "stsc":
		words, step = 3, l.chunks
	case "co64":
		words = 2
	case "stsz":
		head = 12
		if binary.BigEndian.Uint32(body[4:]) != 0 { // all samples have one size, and there are no entries
			binary.BigEndian.PutUint32(body[8:], uint32(l.samples*l.times))
			return body, nil
		}
	}
	if len(body) < head {
		return nil, errNotLengthened
	}
	count := uint64(binary.BigEndian.Uint32(body[head-4:]))
	if count*l.times > 1<<28 || uint64(len(body)-head) != count*uint64(words)*4 {
		return nil, errNotLengthened
	}
	out := slices.Clone(body[:head])
	binary.BigEndian.PutUint32(out[head-4:], uint32(count*l.times))
	for pass := range l.times {
		entries := bytes.Clone(body[head:])
		for i := 0; step > 0 && i < len(entries); i += words * 4 {
			binary.BigEndian.PutUint32(entries[i:], binary.BigEndian.Uint32(entries[i:])+uint32(pass*step))
		}
		out = append(out, entries...)
	}
	return out, nil
}

// longer multiplies a duration.
func (l *lengthener) longer(body []byte, at int, version byte) error {
	switch {
	case version == 0 && len(body) >= at+4:
		d := uint64(binary.BigEndian.Uint32(body[at:])) * l.times
		if d > 1<<32-1 {
			return fmt.Errorf("%w: it would be longer than its index can say", errNotLengthened)
		}
		binary.BigEndian.PutUint32(body[at:], uint32(d))
	case version == 1 && len(body) >= at+8:
		binary.BigEndian.PutUint64(body[at:], binary.BigEndian.Uint64(body[at:])*l.times)
	default:
		return errNotLengthened
	}
	return nil
}
