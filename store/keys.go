package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// The layout of keys. Every key starts with a letter for its kind and a slash. Parts of variable length are strings, escaped and
// terminated so that they sort as the strings do and no part can be taken for another; all others have a fixed length:
//
//	string    the bytes, 00 written as 00 ff, then 00 01
//	id        a measurement's 26 characters
//	time      seconds since 1970 plus 2⁶³, 8 bytes big endian, then nanoseconds, 4 bytes; the zero time is twelve bytes ff: last of all
//	float     IEEE 754 bits, 8 bytes big endian, the sign bit flipped if it is clear and all bits if it is set; −0 is written as +0,
//	          NaN is never written
//	uint16, uint32, uint64, int64: big endian; int64 plus 2⁶³
//
//	m/ id                                         Measurement
//	q/ id                                         facts: what filters look at of it
//	t/ class(1) time id uint32                    Task; class: its place in [Classes]
//	k/ id uint32                                  where the task of that number is: class and deadline
//	c/ id uint32                                  TaskDone
//	f/ identity(32) string int64 int64 int64      Columns: figure, first, end, step
//	v/ string string string string                File: host, root, path, raw
//	w/ string string                              WatchEntry: folder, path
//	d/ digest(32) uint16                          a part of a document
//	n/ key(32) uint16                             a part of a note
//	r/ string string                              request ID: owner, request ID
//	i/ index(1) … id                              index entries; see [index]
//	j/ uint64 uint16                              a part of a write that is too large for one transaction
//	s/ name                                       what the store notes of itself
type kind byte

const (
	kindMeasurement kind = 'm'
	kindFacts       kind = 'q'
	kindTask        kind = 't'
	kindTaskPlace   kind = 'k'
	kindDone        kind = 'c'
	kindColumns     kind = 'f'
	kindFile        kind = 'v'
	kindWatch       kind = 'w'
	kindDocument    kind = 'd'
	kindNote        kind = 'n'
	kindRequest     kind = 'r'
	kindIndex       kind = 'i'
	kindJournal     kind = 'j'
	kindSelf        kind = 's'
)

// kinds lists them all, in key order.
var kinds = []kind{kindDone, kindDocument, kindColumns, kindIndex, kindJournal, kindTaskPlace, kindMeasurement, kindNote, kindFacts,
	kindRequest, kindSelf, kindTask, kindFile, kindWatch}

// index says what an index is of. Its letter is the third byte of an entry's key; the value follows, then the ID.
type index byte

// Indexes of measurements have one entry for each value that a measurement has; those of scores one for each figure.
const (
	indexState          index = 's' // string
	indexClass          index = 'c' // string
	indexOwner          index = 'o' // string
	indexLabel          index = 'l' // string key, string value
	indexModel          index = 'm' // string: a model's name, or its version
	indexReferencePath  index = 'r' // string
	indexReferenceCodec index = 'q' // string
	indexRendition      index = 'n' // string: the rendition's name
	indexRenditionPath  index = 'p' // string
	indexCodec          index = 'k' // string
	indexHeight         index = 'h' // float
	indexReferenceLines index = 'y' // float: the reference's height
	indexFinished       index = 'f' // end: a time, but twelve bytes 00 for what has not ended
	indexIdentity       index = 'i' // identity(32): the columns that a measurement is made of
	indexSeriesScore    index = 'S' // string alias, string pooling, float; uint16 rendition behind the ID
	indexModelScore     index = 'M' // string model name or version, string pooling, float; uint16 rendition behind the ID
)

// shapes says what the value of an index consists of: s string, f float, e end, 3 identity.
var shapes = map[index]string{
	indexState: "s", indexClass: "s", indexOwner: "s", indexLabel: "ss", indexModel: "s", indexReferencePath: "s", indexReferenceCodec: "s",
	indexRendition: "s", indexRenditionPath: "s", indexCodec: "s", indexHeight: "f", indexReferenceLines: "f", indexFinished: "e",
	indexIdentity: "3", indexSeriesScore: "ssf", indexModelScore: "ssf",
}

// ofScores says that entries have a rendition's number behind the ID.
func (x index) ofScores() bool { return x == indexSeriesScore || x == indexModelScore }

var errKey = errors.New("not a key of the store")

func keyError(key []byte, why string) error {
	return fmt.Errorf("%w: %w: %s in %.100q", ErrCorrupt, errKey, why, key)
}

const (
	idLength   = 26
	timeLength = 12
	crockford  = "0123456789abcdefghjkmnpqrstvwxyz"
)

// valid says whether it is one: 26 characters of Crockford's base 32, of a number below 2¹²⁸.
func (id MeasurementID) valid() bool {
	if len(id) != idLength || id[0] > '7' {
		return false
	}
	for i := range len(id) {
		if strings.IndexByte(crockford, id[i]) < 0 {
			return false
		}
	}
	return true
}

// Time is when it was made, to the millisecond; the zero time of what is not an ID.
func (id MeasurementID) Time() time.Time {
	if !id.valid() {
		return time.Time{}
	}
	var ms int64
	for i := range 10 {
		ms = ms<<5 | int64(strings.IndexByte(crockford, id[i]))
	}
	return time.UnixMilli(ms).UTC()
}

// firstID is the smallest ID of a millisecond since 1970; ms is cut to what IDs can say.
func firstID(ms int64) MeasurementID {
	ms = min(max(ms, 0), 1<<48-1)
	var text [idLength]byte
	for i := 9; i >= 0; i-- {
		text[i] = crockford[ms&31]
		ms >>= 5
	}
	for i := 10; i < idLength; i++ {
		text[i] = '0'
	}
	return MeasurementID(text[:])
}

// prefixOf is what all keys of a kind start with.
func prefixOf(k kind) []byte { return []byte{byte(k), '/'} }

func appendString(key []byte, s string) []byte {
	for i := range len(s) {
		key = append(key, s[i])
		if s[i] == 0 {
			key = append(key, 0xff)
		}
	}
	return append(key, 0, 1)
}

func appendTime(key []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(key, bytes.Repeat([]byte{0xff}, timeLength)...)
	}
	key = appendInt64(key, t.Unix())
	return binary.BigEndian.AppendUint32(key, uint32(t.Nanosecond()))
}

// appendEnd is appendTime for the end of a measurement: what has not ended comes first, so that the latest comes first in descending order.
func appendEnd(key []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(key, make([]byte, timeLength)...)
	}
	return appendTime(key, t)
}

func appendInt64(key []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(key, uint64(n)^1<<63)
}

func appendFloat(key []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(key, sortable(v))
}

// sortable maps floats to integers of the same order. v is not NaN; −0 and +0 are the same.
func sortable(v float64) uint64 {
	bits := math.Float64bits(v + 0) // −0 + 0 is +0
	if bits>>63 == 1 {
		return ^bits
	}
	return bits | 1<<63
}

func unsortable(n uint64) float64 {
	if n>>63 == 1 {
		return math.Float64frombits(n &^ (1 << 63))
	}
	return math.Float64frombits(^n)
}

func measurementKey(id MeasurementID) []byte { return append(prefixOf(kindMeasurement), id...) }
func factsKey(id MeasurementID) []byte       { return append(prefixOf(kindFacts), id...) }

// classRank is a class's place in dispatch order.
func classRank(c Class) (byte, error) {
	i := slices.Index(Classes(), c)
	if i < 0 {
		return 0, fmt.Errorf("class %q is none of %v", c, Classes())
	}
	return byte(i), nil
}

func (k TaskKey) encode() ([]byte, error) {
	rank, err := classRank(k.Class)
	if err != nil {
		return nil, err
	}
	if !k.Measurement.valid() {
		return nil, fmt.Errorf("task of %q: not a measurement's ID", k.Measurement)
	}
	if k.Number < 0 || int64(k.Number) > math.MaxUint32 {
		return nil, fmt.Errorf("task number %d is out of range", k.Number)
	}
	key := append(prefixOf(kindTask), rank)
	key = appendTime(key, k.Deadline)
	key = append(key, k.Measurement...)
	return binary.BigEndian.AppendUint32(key, uint32(k.Number)), nil
}

// classPrefix is what all tasks of a class start with.
func classPrefix(c Class) ([]byte, error) {
	rank, err := classRank(c)
	return append(prefixOf(kindTask), rank), err
}

// numbered is a key of a measurement's task: of its place (kindTaskPlace) or its end (kindDone).
func numbered(k kind, id MeasurementID, number int) []byte {
	return binary.BigEndian.AppendUint32(append(prefixOf(k), id...), uint32(number))
}

func ofMeasurement(k kind, id MeasurementID) []byte { return append(prefixOf(k), id...) }

// prefix is what all runs of these columns start with.
func (k ColumnsKey) prefix() []byte {
	return appendString(append(prefixOf(kindColumns), k.Identity[:]...), k.Figure)
}

func (k ColumnsKey) run(r Run) []byte {
	return appendInt64(appendInt64(appendInt64(k.prefix(), r.First), r.End), r.Step)
}

func fileKey(s Source, host string) []byte {
	return appendString(appendString(appendString(appendString(prefixOf(kindFile), host), s.Root), s.Path), s.Raw)
}

// watchPrefix is what all entries of a watched folder start with.
func watchPrefix(folder string) []byte { return appendString(prefixOf(kindWatch), folder) }

func watchKey(folder, path string) []byte { return appendString(watchPrefix(folder), path) }

// blobPrefix is what all parts of a document or note start with.
func blobPrefix(k kind, digest [32]byte) []byte { return append(prefixOf(k), digest[:]...) }

func blobKey(k kind, digest [32]byte, part int) []byte {
	return binary.BigEndian.AppendUint16(blobPrefix(k, digest), uint16(part))
}

func requestKey(owner, requestID string) []byte {
	return appendString(appendString(prefixOf(kindRequest), owner), requestID)
}

func journalKey(number uint64, part int) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint64(prefixOf(kindJournal), number), uint16(part))
}

func selfKey(name string) []byte { return append(prefixOf(kindSelf), name...) }

func indexPrefix(x index) []byte { return append(prefixOf(kindIndex), byte(x)) }

// stringIndex is what all entries of an index with these strings start with.
func stringIndex(x index, values ...string) []byte {
	key := indexPrefix(x)
	for _, v := range values {
		key = appendString(key, v)
	}
	return key
}

func floatIndex(x index, v float64) []byte         { return appendFloat(indexPrefix(x), v) }
func endIndex(t time.Time) []byte                  { return appendEnd(indexPrefix(indexFinished), t) }
func identityIndex(id Identity) []byte             { return append(indexPrefix(indexIdentity), id[:]...) }
func entry(prefix []byte, id MeasurementID) []byte { return append(prefix, id...) }

func scoreIndex(x index, name, pooling string, v float64, id MeasurementID, rendition int) []byte {
	key := append(appendFloat(stringIndex(x, name, pooling), v), id...)
	return binary.BigEndian.AppendUint16(key, uint16(rendition))
}

// keyReader takes a key apart. The first thing that does not fit is kept, and everything after it is zero.
type keyReader struct {
	key  []byte
	rest []byte
	err  error
}

// readKey starts to take a key of a certain kind apart.
func readKey(k kind, key []byte) *keyReader {
	r := &keyReader{key: key, rest: key}
	if len(key) < 2 || key[0] != byte(k) || key[1] != '/' {
		r.fail("another kind of key")
		return r
	}
	r.rest = key[2:]
	return r
}

func (r *keyReader) fail(why string) {
	if r.err == nil {
		r.err = keyError(r.key, why)
	}
}

func (r *keyReader) take(n int) []byte {
	if r.err != nil || len(r.rest) < n {
		r.fail("too short")
		return make([]byte, n)
	}
	part := r.rest[:n]
	r.rest = r.rest[n:]
	return part
}

func (r *keyReader) string() string {
	if r.err != nil {
		return ""
	}
	var out []byte
	for i := 0; i < len(r.rest); i++ {
		b := r.rest[i]
		if b != 0 {
			out = append(out, b)
			continue
		}
		if i+1 == len(r.rest) {
			break
		}
		i++
		switch r.rest[i] {
		case 0xff:
			out = append(out, 0)
		case 1:
			r.rest = r.rest[i+1:]
			return string(out)
		default:
			r.fail("an unknown escape")
			return ""
		}
	}
	r.fail("a string without its end")
	return ""
}

func (r *keyReader) id() MeasurementID {
	id := MeasurementID(r.take(idLength))
	if r.err == nil && !id.valid() {
		r.fail("not a measurement's ID")
	}
	return id
}

func (r *keyReader) time() time.Time {
	part := r.take(timeLength)
	if bytes.Count(part, []byte{0xff}) == timeLength {
		return time.Time{}
	}
	seconds, nanos := int64(binary.BigEndian.Uint64(part)^1<<63), binary.BigEndian.Uint32(part[8:])
	if r.err == nil && nanos >= 1e9 {
		r.fail("a second with too many nanoseconds")
	}
	if r.err != nil {
		return time.Time{}
	}
	t := time.Unix(seconds, int64(nanos)).UTC()
	if t.IsZero() {
		r.fail("the zero time spelled out")
	}
	return t
}

func (r *keyReader) ended() time.Time {
	if len(r.rest) >= timeLength && bytes.Count(r.rest[:timeLength], []byte{0}) == timeLength {
		r.take(timeLength)
		return time.Time{}
	}
	t := r.time()
	if r.err == nil && t.IsZero() {
		r.fail("the zero time of a task")
	}
	return t
}

func (r *keyReader) float() float64 {
	v := unsortable(binary.BigEndian.Uint64(r.take(8)))
	if r.err == nil && (v != v || v == 0 && math.Signbit(v)) {
		r.fail("a float that is never written")
	}
	return v
}

func (r *keyReader) int64() int64   { return int64(binary.BigEndian.Uint64(r.take(8)) ^ 1<<63) }
func (r *keyReader) uint64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }
func (r *keyReader) uint32() int    { return int(binary.BigEndian.Uint32(r.take(4))) }
func (r *keyReader) uint16() int    { return int(binary.BigEndian.Uint16(r.take(2))) }

// end reports what did not fit, a rest included.
func (r *keyReader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		r.fail("a rest")
	}
	return r.err
}

func parseMeasurementKey(k kind, key []byte) (MeasurementID, error) {
	r := readKey(k, key)
	id := r.id()
	return id, r.end()
}

func parseTaskKey(key []byte) (TaskKey, error) {
	r := readKey(kindTask, key)
	rank := int(r.take(1)[0])
	if rank >= len(Classes()) {
		r.fail("an unknown class")
		return TaskKey{}, r.err
	}
	k := TaskKey{Class: Classes()[rank], Deadline: r.time(), Measurement: r.id(), Number: r.uint32()}
	return k, r.end()
}

func parseNumbered(k kind, key []byte) (MeasurementID, int, error) {
	r := readKey(k, key)
	id, number := r.id(), r.uint32()
	return id, number, r.end()
}

func parseColumnsKey(key []byte) (ColumnsKey, Run, error) {
	r := readKey(kindColumns, key)
	k := ColumnsKey{Identity: Identity(r.take(32)), Figure: r.string()}
	run := Run{First: r.int64(), End: r.int64(), Step: r.int64()}
	if r.err == nil && !run.valid() {
		r.fail("not a run of frames")
	}
	return k, run, r.end()
}

// parseFileKey gives Root, Path and Raw of the source.
func parseFileKey(key []byte) (s Source, host string, err error) {
	r := readKey(kindFile, key)
	host = r.string()
	s = Source{Root: r.string(), Path: r.string(), Raw: r.string()}
	return s, host, r.end()
}

func parseWatchKey(key []byte) (folder, path string, err error) {
	r := readKey(kindWatch, key)
	folder, path = r.string(), r.string()
	return folder, path, r.end()
}

func parseBlobKey(k kind, key []byte) (digest [32]byte, part int, err error) {
	r := readKey(k, key)
	digest, part = [32]byte(r.take(32)), r.uint16()
	return digest, part, r.end()
}

func parseRequestKey(key []byte) (owner, requestID string, err error) {
	r := readKey(kindRequest, key)
	owner, requestID = r.string(), r.string()
	return owner, requestID, r.end()
}

func parseJournalKey(key []byte) (number uint64, part int, err error) {
	r := readKey(kindJournal, key)
	number, part = r.uint64(), r.uint16()
	return number, part, r.end()
}

func parseSelfKey(key []byte) (string, error) {
	r := readKey(kindSelf, key)
	return string(r.rest), r.err
}

// indexEntry is an index key taken apart.
type indexEntry struct {
	index     index
	texts     []string // the strings of its value
	number    float64
	time      time.Time
	identity  Identity
	id        MeasurementID
	rendition int // of scores
}

func parseIndexKey(key []byte) (indexEntry, error) {
	r := readKey(kindIndex, key)
	e := indexEntry{index: index(r.take(1)[0])}
	shape, known := shapes[e.index]
	if !known {
		r.fail("an unknown index")
	}
	for _, part := range shape {
		switch part {
		case 's':
			e.texts = append(e.texts, r.string())
		case 'f':
			e.number = r.float()
		case 'e':
			e.time = r.ended()
		case '3':
			e.identity = Identity(r.take(32))
		}
	}
	e.id = r.id()
	if e.index.ofScores() {
		e.rendition = r.uint16()
	}
	return e, r.end()
}

// trailing gives the ID in an index key without taking all of it apart: the hot path of queries.
func trailing(key []byte) MeasurementID {
	end := len(key)
	if index(key[2]).ofScores() {
		end -= 2
	}
	return MeasurementID(key[end-idLength : end])
}

// after is the first key behind all that start with a prefix. The prefix does not consist of ff alone.
func after(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}
