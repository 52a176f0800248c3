package decode

// What the index must know of a coded picture and containers do not say reliably, read off the first bytes of its packet.
// All functions accept any bytes.

// scanner classifies the packets of one stream.
type scanner struct {
	codec     string // FFmpeg's decoder-independent name
	nalLength int    // bytes of a NAL unit's length prefix; 0: start codes
}

// newScanner reads the NAL layout from a stream's extradata.
func newScanner(codec string, extradata []byte) scanner {
	s := scanner{codec: codec}
	switch {
	case codec == "h264" && len(extradata) >= 7 && extradata[0] == 1:
		s.nalLength = int(extradata[4]&3) + 1
	case codec == "hevc" && len(extradata) >= 23 && (extradata[0]|extradata[1] != 0 || extradata[2] > 1):
		s.nalLength = int(extradata[21]&3) + 1
	}
	return s
}

// isHidden says whether the packet decodes to a picture that is never shown. Only VP8 and VP9 have packets of their own for these.
func (s scanner) isHidden(data []byte) bool {
	switch s.codec {
	case "vp8":
		return len(data) > 0 && data[0]&0x10 == 0 // frame tag: key frame, version (3), show_frame
	case "vp9":
		return vp9Hidden(data)
	}
	return false
}

// vp9Hidden reads the uncompressed header up to show_frame. A superframe, several pictures in one packet, shows one.
func vp9Hidden(data []byte) bool {
	if n := len(data); n > 0 && data[n-1]&0xe0 == 0xc0 {
		size := int(data[n-1]&7) + 1
		size *= int(data[n-1]>>3&3) + 1
		if size += 2; n >= size && data[n-size] == data[n-1] && data[n-1]&7 > 0 {
			return false
		}
	}
	b := bitReader{data: data}
	if b.bits(2) != 2 {
		return false
	}
	profile := b.bits(1) | b.bits(1)<<1
	if profile == 3 {
		b.bits(1)
	}
	if b.bits(1) == 1 { // show_existing_frame
		return false
	}
	b.bits(1) // frame_type
	show := b.bits(1)
	return show == 0 && !b.over
}

// isClean says whether decoding can start at a packet that the container flags as a key frame, and give the same bits from
// its timestamp on as decoding from the start.
func (s scanner) isClean(data []byte) bool {
	switch s.codec {
	case "h264":
		return s.h264Clean(data)
	case "hevc":
		return s.hevcClean(data)
	case "vp8":
		return len(data) > 0 && data[0]&1 == 0
	case "vp9":
		return vp9Key(data)
	}
	return true
}

// vp9Key says whether the packet begins with a key frame.
func vp9Key(data []byte) bool {
	b := bitReader{data: data}
	if b.bits(2) != 2 {
		return false
	}
	profile := b.bits(1) | b.bits(1)<<1
	if profile == 3 {
		b.bits(1)
	}
	if b.bits(1) == 1 {
		return false
	}
	return b.bits(1) == 0 && !b.over
}

// h264Clean looks for an IDR slice, or a recovery point that recovers with this very picture.
func (s scanner) h264Clean(data []byte) bool {
	clean := false
	s.nals(data, func(nal []byte) bool {
		switch nal[0] & 31 {
		case 5:
			clean = true
			return false
		case 6:
			if cnt, ok := recoveryFrames(nal[1:]); ok && cnt == 0 {
				clean = true
				return false
			}
		case 1, 2:
			return false
		}
		return true
	})
	return clean
}

// hevcClean looks for an IRAP picture: BLA, IDR or CRA.
func (s scanner) hevcClean(data []byte) bool {
	clean := false
	s.nals(data, func(nal []byte) bool {
		t := nal[0] >> 1 & 63
		if t < 32 { // the first slice decides
			clean = t >= 16 && t <= 21
			return false
		}
		return true
	})
	return clean
}

// nals calls f for each NAL unit that is not empty until f returns false.
func (s scanner) nals(data []byte, f func(nal []byte) bool) {
	if s.nalLength > 0 {
		for len(data) > s.nalLength {
			n := 0
			for _, b := range data[:s.nalLength] {
				n = n<<8 | int(b)
			}
			data = data[s.nalLength:]
			if n < 0 || n > len(data) {
				n = len(data)
			}
			if n > 0 && !f(data[:n]) {
				return
			}
			data = data[n:]
		}
		return
	}
	start := -1
	for i := 0; i+3 <= len(data); i++ {
		if data[i+2] > 1 {
			i += 2 // no start code can begin at any of these three bytes
			continue
		}
		if data[i] != 0 || data[i+1] != 0 || data[i+2] != 1 {
			continue
		}
		if start >= 0 && i > start && !f(data[start:i]) {
			return
		}
		start = i + 3
		i += 2
	}
	if start >= 0 && start < len(data) {
		f(data[start:])
	}
}

// recoveryFrames finds the recovery point message in an H.264 SEI and returns its recovery_frame_cnt.
func recoveryFrames(sei []byte) (int, bool) {
	sei = unescape(sei, 512)
	for len(sei) > 2 {
		kind, size := 0, 0
		for len(sei) > 0 && sei[0] == 255 {
			kind, sei = kind+255, sei[1:]
		}
		if len(sei) < 2 {
			return 0, false
		}
		kind, sei = kind+int(sei[0]), sei[1:]
		for len(sei) > 0 && sei[0] == 255 {
			size, sei = size+255, sei[1:]
		}
		if len(sei) < 1 {
			return 0, false
		}
		size, sei = size+int(sei[0]), sei[1:]
		if kind == 6 {
			b := bitReader{data: sei[:min(size, len(sei))]}
			n := b.golomb()
			return n, !b.over
		}
		if size > len(sei) {
			return 0, false
		}
		sei = sei[size:]
	}
	return 0, false
}

// unescape removes emulation prevention bytes from the first n bytes of a NAL unit.
func unescape(nal []byte, n int) []byte {
	nal = nal[:min(n, len(nal))]
	out := make([]byte, 0, len(nal))
	zeros := 0
	for _, b := range nal {
		if zeros >= 2 && b == 3 {
			zeros = 0
			continue
		}
		if b == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, b)
	}
	return out
}

// bitReader reads bits from the top; past the end it reads zeros and says so.
type bitReader struct {
	data []byte
	at   int // bits
	over bool
}

func (b *bitReader) bits(n int) int {
	v := 0
	for range n {
		v <<= 1
		if b.at>>3 >= len(b.data) {
			b.over = true
			continue
		}
		v |= int(b.data[b.at>>3]>>(7-b.at&7)) & 1
		b.at++
	}
	return v
}

// golomb reads an unsigned Exp-Golomb code of at most 32 bits.
func (b *bitReader) golomb() int {
	zeros := 0
	for b.bits(1) == 0 {
		if zeros++; zeros > 31 || b.over {
			b.over = true
			return 0
		}
	}
	return 1<<zeros - 1 + b.bits(zeros)
}
