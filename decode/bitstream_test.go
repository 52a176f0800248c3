package decode

import (
	"slices"
	"testing"
)

func TestScanner(t *testing.T) {
	avcc := []byte{1, 100, 0, 31, 0xff, 0xe1, 0, 0}
	hvcc := append(append([]byte{1}, make([]byte, 20)...), 0xff, 0)
	for _, c := range []struct {
		name  string
		codec string
		extra []byte
		data  []byte
		clean bool
	}{
		{"IDR behind a delimiter", "h264", avcc, []byte{0, 0, 0, 2, 9, 16, 0, 0, 0, 2, 0x65, 1}, true},
		{"recovery at once", "h264", avcc, []byte{0, 0, 0, 4, 6, 6, 1, 0xc4, 0, 0, 0, 2, 0x41, 1}, true},
		{"recovery in two frames", "h264", avcc, []byte{0, 0, 0, 4, 6, 6, 1, 0x64, 0, 0, 0, 2, 0x41, 1}, false},
		{"recovery after another message", "h264", avcc, []byte{0, 0, 0, 7, 6, 5, 1, 0xaa, 6, 1, 0xc4, 0, 0, 0, 2, 0x41, 1}, true},
		{"no mark", "h264", avcc, []byte{0, 0, 0, 2, 0x41, 1}, false},
		{"a length that is too long", "h264", avcc, []byte{0, 0, 1, 2, 0x65, 1}, true},
		{"IDR with start codes", "h264", nil, []byte{0, 0, 0, 1, 9, 16, 0, 0, 1, 0x65, 1}, true},
		{"a slice before an IDR slice", "h264", nil, []byte{0, 0, 1, 0x41, 16, 0, 0, 1, 0x65, 1}, false},
		{"CRA", "hevc", hvcc, []byte{0, 0, 0, 3, 21 << 1, 1, 0}, true},
		{"trailing picture", "hevc", hvcc, []byte{0, 0, 0, 3, 1 << 1, 1, 0}, false},
		{"IDR behind parameter sets", "hevc", nil, []byte{0, 0, 0, 1, 32 << 1, 1, 0, 0, 1, 19 << 1, 1, 0}, true},
		{"nothing", "hevc", nil, nil, false},
		{"VP8 key", "vp8", nil, []byte{0x10}, true},
		{"VP8 other", "vp8", nil, []byte{0x11}, false},
		{"VP9 key", "vp9", nil, []byte{0x82}, true},
		{"VP9 other", "vp9", nil, []byte{0x86}, false},
		{"any other codec", "prores", nil, []byte{1}, true},
	} {
		if got := newScanner(c.codec, c.extra).isClean(c.data); got != c.clean {
			t.Errorf("%s: clean is %v", c.name, got)
		}
	}
	for _, c := range []struct {
		name   string
		codec  string
		data   []byte
		hidden bool
	}{
		{"VP8 shown", "vp8", []byte{0x11}, false}, {"VP8 hidden", "vp8", []byte{0x01}, true}, {"VP8 nothing", "vp8", nil, false},
		{"VP9 shown", "vp9", []byte{0x86}, false}, {"VP9 hidden", "vp9", []byte{0x84, 1}, true}, {"VP9 existing", "vp9", []byte{0x88}, false},
		{"VP9 hidden and shown in one packet", "vp9", []byte{0x84, 0x86, 0xc1, 1, 1, 0xc1}, false},
		{"no VP9", "vp9", []byte{0x04}, false}, {"H.264", "h264", []byte{1}, false},
	} {
		if got := newScanner(c.codec, nil).isHidden(c.data); got != c.hidden {
			t.Errorf("%s: hidden is %v", c.name, got)
		}
	}
}

func FuzzScanner(f *testing.F) {
	f.Add(byte(0), []byte{1, 100, 0, 31, 0xff, 0xe1, 0, 0}, []byte{0, 0, 0, 4, 6, 6, 1, 0xc4, 0, 0, 0, 2, 0x41, 1})
	f.Add(byte(1), []byte{}, []byte{0, 0, 1, 21 << 1, 1, 0})
	f.Add(byte(3), []byte{}, []byte{0x84, 0x86, 0xc1, 1, 1, 0xc1})
	f.Fuzz(func(t *testing.T, codec byte, extradata, data []byte) {
		s := newScanner([]string{"h264", "hevc", "vp8", "vp9", "av1"}[codec%5], extradata)
		s.isClean(data)
		s.isHidden(data)
		s.nals(data, func(nal []byte) bool { return len(nal) > 0 })
	})
}

// FuzzIndex builds indexes from arbitrary timestamps and checks what must hold of every one.
func FuzzIndex(f *testing.F) {
	f.Add([]byte{1, 0, 0, 4, 0, 2, 1, 8, 0, 6})
	f.Add([]byte{1, 10, 4, 20, 0, 5, 16, 3, 3, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		var x packetIndex
		for i := 0; i+1 < len(data); i += 2 {
			p := packetEntry{pts: int64(int8(data[i+1])), sizeBytes: int32(i), flags: packetFlags(data[i]) & 31}
			if data[i]&32 != 0 {
				p.pts = NoPTS
			}
			if p.flags&packetClean != 0 {
				x.entries = append(x.entries, entryPoint{packet: len(x.packets), pts: p.pts, dts: p.pts})
			}
			x.packets = append(x.packets, p)
		}
		x.build()
		for n, p := range x.frames {
			if x.rank[p] != int32(n) || x.packets[p].flags&noFrame != 0 || int(p) < x.start {
				t.Fatalf("frame %d is packet %d", n, p)
			}
			if x.timestamps && n > 0 && x.packets[p].pts <= x.packets[x.frames[n-1]].pts {
				t.Fatalf("frame %d is not after the one before", n)
			}
			e := x.entryFor(int64(n))
			if e.packet > int(p) || e.packet < x.start {
				t.Fatalf("frame %d: packet %d is decoded from packet %d", n, p, e.packet)
			}
			if x.timestamps && e.packet != x.start && e.pts > x.packets[p].pts {
				t.Fatalf("frame %d leads its entry", n)
			}
		}
		for i, p := range x.packets {
			if x.timestamps && i >= x.start && x.find(p.pts, int(p.sizeBytes)) != i {
				t.Fatalf("packet %d is not found", i)
			}
		}
		before := len(x.frames)
		if before > 1 {
			gone := int(x.frames[before/2])
			x.drop(map[int]bool{gone: true})
			if len(x.frames) != before-1 || slices.Contains(x.frames, int32(gone)) || x.rank[gone] != -1 {
				t.Fatal("a frame is not dropped")
			}
		}
		x.public(Rational{1, 25}).rate(Rational{25, 1})
	})
}
