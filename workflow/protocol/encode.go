package protocol

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Bounds of a message. What exceeds one is refused on both sides, before memory is spent on it.
const (
	MaxMessageBytes = 8 << 20 // of a message as encoded
	maxNesting      = 16      // maps and arrays within each other
	maxElements     = 1 << 17 // of one array: 100,000 presentation times are the longest there may be
	maxPairs        = 1 << 12 // of one map
)

// Message is one of the messages of this package, by pointer.
type Message interface {
	// Validate reports all that is wrong with a message, [ErrInvalid] in each: numbers out of range, lengths that do not match, parts that are missing.
	Validate() error
}

// Errors of messages.
var (
	ErrMalformed = errors.New("malformed message")
	ErrInvalid   = errors.New("invalid message")
)

// SizeError says that a message is too large.
type SizeError struct {
	Bytes int // as encoded
	Limit int // [MaxMessageBytes]
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("message of %d bytes exceeds the limit of %d", e.Bytes, e.Limit)
}

// Floats keep their 64 bits, whatever NaN they are: figures are compared by bits. Times keep their nanoseconds and their zero.
var encoding = must(cbor.EncOptions{
	Sort:          cbor.SortNone,
	ShortestFloat: cbor.ShortestFloatNone,
	NaNConvert:    cbor.NaNConvertNone,
	InfConvert:    cbor.InfConvertNone,
	Time:          cbor.TimeRFC3339Nano,
	IndefLength:   cbor.IndefLengthForbidden,
	TagsMd:        cbor.TagsForbidden,
}.EncMode())

var decoding = must(cbor.DecOptions{
	DupMapKey:         cbor.DupMapKeyEnforcedAPF,
	MaxNestedLevels:   maxNesting,
	MaxArrayElements:  maxElements,
	MaxMapPairs:       maxPairs,
	IndefLength:       cbor.IndefLengthForbidden,
	TagsMd:            cbor.TagsForbidden,
	FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	UTF8:              cbor.UTF8RejectInvalid,
}.DecMode())

// must is for options that are constants: a mode that cannot be made of them is a bug of this file.
func must[M any](mode M, err error) M {
	if err != nil {
		panic(err)
	}
	return mode
}

// Encode writes a message, which has to be a [Message]. The result is the caller's.
//
// Errors: [ErrInvalid] where the receiver would refuse it; [*SizeError].
func Encode(message any) ([]byte, error) {
	m, err := asMessage(message)
	if err != nil {
		return nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("encode %T: %w", message, err)
	}
	body, err := encoding.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", message, err)
	}
	if len(body) > MaxMessageBytes {
		return nil, fmt.Errorf("encode %T: %w", message, &SizeError{len(body), MaxMessageBytes})
	}
	return body, nil
}

// Decode reads a message of the type that message, a [Message], points to, and validates it. Fields that the type does not have are passed over, fields
// that are missing stay as they are. message keeps nothing of body. After an error its content is of no use.
//
// Errors: [*SizeError]; [ErrMalformed] where body is not such a message; [ErrInvalid] where it says what cannot be.
func Decode(body []byte, message any) error {
	m, err := asMessage(message)
	if err != nil {
		return err
	}
	if len(body) > MaxMessageBytes {
		return fmt.Errorf("decode %T: %w", message, &SizeError{len(body), MaxMessageBytes})
	}
	// A null would leave the message as it was, and pass for an empty one.
	if len(body) == 0 || body[0]>>5 != cborMap {
		return fmt.Errorf("decode %T: %w: it is not a CBOR map", message, ErrMalformed)
	}
	if err := decoding.Unmarshal(body, message); err != nil {
		return fmt.Errorf("decode %T: %w: %w", message, ErrMalformed, err)
	}
	if err := m.Validate(); err != nil {
		return fmt.Errorf("decode %T: %w", message, err)
	}
	return nil
}

// cborMap is the major type of maps, the upper three bits of an item's first byte. RFC 8949 §3.1.
const cborMap = 5

func asMessage(message any) (Message, error) {
	m, ok := message.(Message)
	if !ok {
		return nil, fmt.Errorf("%w: %T is no message of this protocol; pass a pointer to one that is", ErrInvalid, message)
	}
	return m, nil
}
