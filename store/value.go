package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/zstd"
)

// The layout of a record's value (measurements, tasks, files and all else that has no layout of its own):
//
//	byte 0    format version, 1
//	byte 1    packing: 0 none, 1 zstd
//	then      the record in CBOR (RFC 8949, deterministic), packed as said
//
// A record is a map by the names in record.go's tags. Times are RFC 3339 text with nanoseconds, the zero time is null, and floats
// keep all 64 bits. A field that the reader does not know means that a newer version wrote the record, and that rewriting it would
// lose something: it is refused as a newer version number is.
const (
	recordVersion = 1

	packedNot  = 0
	packedZstd = 1
)

// packFrom is the size, in bytes, from which records are compressed: shorter ones hardly shrink.
const packFrom = 512

// maxRecordBytes bounds what a record may unpack to, whatever a damaged header says.
const maxRecordBytes = 64 << 20

// partBytes bounds the values that are written; Badger's own limit is 1 MiB.
const partBytes = 1<<20 - 4096

var (
	cborEncoder = must(cbor.EncOptions{
		Sort: cbor.SortBytewiseLexical, Time: cbor.TimeRFC3339Nano, ShortestFloat: cbor.ShortestFloatNone,
		NaNConvert: cbor.NaNConvertNone, InfConvert: cbor.InfConvertNone, IndefLength: cbor.IndefLengthForbidden,
	}.EncMode())
	cborDecoder = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, MaxArrayElements: 1 << 22, MaxMapPairs: 1 << 20,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode())
	zstdEncoder = must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20)))
	zstdDecoder = must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxRecordBytes), zstd.WithDecodeAllCapLimit(false)))
)

// must is for values that depend on nothing but this source.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// pack appends a packing byte and body, compressed if that makes it shorter.
func pack(value, body []byte) []byte {
	if len(body) >= packFrom {
		at := len(value)
		value = zstdEncoder.EncodeAll(body, append(value, packedZstd))
		if len(value)-at-1 < len(body) {
			return value
		}
		value = value[:at]
	}
	return append(append(value, packedNot), body...)
}

func unpack(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, fmt.Errorf("%w: a value without its packing", ErrCorrupt)
	}
	switch packed[0] {
	case packedNot:
		return packed[1:], nil
	case packedZstd:
		body, err := zstdDecoder.DecodeAll(packed[1:], nil)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrCorrupt, err)
		}
		return body, nil
	default:
		return nil, fmt.Errorf("%w: unknown packing %d", ErrCorrupt, packed[0])
	}
}

// checkVersion reads the first byte of a value and returns what follows.
func checkVersion(value []byte, known byte) ([]byte, error) {
	switch {
	case len(value) == 0:
		// Badger gives nothing for a value that it cannot read; every value of ours has a version.
		return nil, fmt.Errorf("%w: a value is missing or its checksum is wrong", ErrCorrupt)
	case value[0] == 0:
		return nil, fmt.Errorf("%w: a value of format version 0", ErrCorrupt)
	case value[0] > known:
		return nil, fmt.Errorf("%w: format version %d, this version reads up to %d; use a newer vqsd", ErrNewerFormat, value[0], known)
	}
	return value[1:], nil
}

func encodeRecord(record any) ([]byte, error) {
	body, err := cborEncoder.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", record, err)
	}
	return pack([]byte{recordVersion}, body), nil
}

func decodeRecord(value []byte, record any) error {
	packed, err := checkVersion(value, recordVersion)
	if err != nil {
		return fmt.Errorf("%T: %w", record, err)
	}
	body, err := unpack(packed)
	if err != nil {
		return fmt.Errorf("%T: %w", record, err)
	}
	err = cborDecoder.Unmarshal(body, record)
	var unknown *cbor.UnknownFieldError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%T: %w: %v; use a newer vqsd", record, ErrNewerFormat, err)
	}
	if err != nil {
		return fmt.Errorf("%T: %w: %v", record, ErrCorrupt, err)
	}
	return nil
}

// The layout of a columns' value:
//
//	byte 0        format version, 1
//	bytes 1…8     when it was written: seconds since 1970, int64 little endian
//	bytes 9…12    number of figures c, uint32 little endian
//	bytes 13…16   number of frames n, uint32 little endian
//	byte 17       packing of what follows: 0 none, 1 zstd
//	then          shuffled: byte 0 of the n values of figure 0, byte 1 of them, … byte 7; then figure 1. A value is the bits of an IEEE
//	              754 double, XORed with those of the value before it in the same figure; byte 0 is the lowest.
//
// First, end and step are in the key, and n = ⌈(end − first) / step⌉. Bits are kept, NaNs' and −0's too.
//
// Neighbouring frames have like exponents and high mantissa bits, so that after the XOR the high planes are nearly all zeros, which is all
// there is to win: the low planes are noise. 300 frames of 8 noisy figures, half of them in single precision, shrink to 70 % by zstd alone, to 62 %
// shuffled and to 61 % shuffled and XORed (BenchmarkColumns), at 140 MB/s on one core.
const (
	columnsVersion = 1
	columnsHeader  = 17
)

var scratch = sync.Pool{New: func() any { return new([]byte) }}

func encodeColumns(c Columns, written time.Time) []byte {
	n := len(c.Figures[0])
	value := make([]byte, columnsHeader, columnsHeader+1+len(c.Figures)*n*8)
	value[0] = columnsVersion
	binary.LittleEndian.PutUint64(value[1:], uint64(written.Unix()))
	binary.LittleEndian.PutUint32(value[9:], uint32(len(c.Figures)))
	binary.LittleEndian.PutUint32(value[13:], uint32(n))
	held := scratch.Get().(*[]byte)
	defer scratch.Put(held)
	planes := grow(*held, len(c.Figures)*n*8)
	*held = planes
	for i, column := range c.Figures {
		var before uint64
		out := planes[i*n*8 : (i+1)*n*8]
		for j, v := range column {
			bits := math.Float64bits(v)
			d := bits ^ before
			before = bits
			for b := range 8 {
				out[b*n+j] = byte(d >> (8 * b))
			}
		}
	}
	return pack(value, planes)
}

func grow(buffer []byte, n int) []byte {
	if cap(buffer) < n {
		return make([]byte, n)
	}
	return buffer[:n]
}

// decodeColumns reads what encodeColumns wrote for a run.
func decodeColumns(r Run, value []byte) (Columns, time.Time, error) {
	c := Columns{First: r.First, End: r.End, Step: r.Step}
	if _, err := checkVersion(value, columnsVersion); err != nil {
		return c, time.Time{}, fmt.Errorf("columns: %w", err)
	}
	if len(value) < columnsHeader {
		return c, time.Time{}, fmt.Errorf("%w: columns: the header is cut off", ErrCorrupt)
	}
	written := time.Unix(int64(binary.LittleEndian.Uint64(value[1:])), 0).UTC()
	figures, n := int64(binary.LittleEndian.Uint32(value[9:])), int64(binary.LittleEndian.Uint32(value[13:]))
	if n != r.frames() || figures == 0 || figures*n*8 > maxRecordBytes {
		return c, written, fmt.Errorf("%w: columns of frames [%d, %d) every %d: %d figures of %d frames", ErrCorrupt, r.First, r.End, r.Step, figures, n)
	}
	planes, err := unpack(value[columnsHeader:])
	if err != nil {
		return c, written, fmt.Errorf("columns: %w", err)
	}
	if int64(len(planes)) != figures*n*8 {
		return c, written, fmt.Errorf("%w: columns: %d bytes instead of %d", ErrCorrupt, len(planes), figures*n*8)
	}
	c.Figures = make([][]float64, figures)
	for i := range c.Figures {
		in := planes[int64(i)*n*8 : int64(i+1)*n*8]
		column := make([]float64, n)
		var before uint64
		for j := range column {
			var d uint64
			for b := range 8 {
				d |= uint64(in[int64(b)*n+int64(j)]) << (8 * b)
			}
			before ^= d
			column[j] = math.Float64frombits(before)
		}
		c.Figures[i] = column
	}
	return c, written, nil
}
