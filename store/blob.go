package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/klauspost/compress/zstd"
)

// NoteKey names a note: a digest of what it depends on.
type NoteKey [32]byte

// The layout of documents and notes, which are cut into parts below Badger's limit; each part's value is a version byte (1) and its share of:
//
//	bytes 0…7   when it was written: seconds since 1970, int64 little endian
//	bytes 8…11  the body's length in bytes, uint32 little endian
//	then        the SHA-256 of the body, 32 bytes
//	then        a packing byte (0 none, 1 zstd) and the body, packed as said
const (
	blobVersion = 1
	blobHeader  = 8 + 4 + sha256.Size

	maxDocumentBytes = 16 << 20
	maxNoteBytes     = 32 << 20
)

// largeDecoder is for what may be longer than a record.
var largeDecoder = must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(journalBytes)))

// unpackLarge is unpack for journals and notes.
func unpackLarge(packed []byte) ([]byte, error) {
	if len(packed) > 0 && packed[0] == packedZstd {
		body, err := largeDecoder.DecodeAll(packed[1:], nil)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrCorrupt, err)
		}
		return body, nil
	}
	return unpack(packed)
}

func encodeBlob(body []byte, written time.Time) [][]byte {
	head := binary.LittleEndian.AppendUint64(nil, uint64(written.Unix()))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(body)))
	digest := sha256.Sum256(body)
	return split(pack(append(head, digest[:]...), body), blobVersion)
}

func decodeBlob(value []byte) (body []byte, written time.Time, err error) {
	if len(value) < blobHeader+1 {
		return nil, time.Time{}, fmt.Errorf("%w: a document's header is cut off", ErrCorrupt)
	}
	written = time.Unix(int64(binary.LittleEndian.Uint64(value)), 0).UTC()
	if body, err = unpackLarge(value[blobHeader:]); err != nil {
		return nil, written, err
	}
	if digest := sha256.Sum256(body); uint32(len(body)) != binary.LittleEndian.Uint32(value[8:]) || digest != [32]byte(value[12:blobHeader]) {
		return nil, written, fmt.Errorf("%w: a document is not what was written", ErrCorrupt)
	}
	return body, written, nil
}

// readBlob puts the parts together. Errors: ErrNotFound.
func readBlob(txn *badger.Txn, k kind, digest [32]byte) ([]byte, error) {
	var value []byte
	parts := 0
	err := scan(txn, blobPrefix(k, digest), true, func(item *badger.Item) error {
		_, part, err := parseBlobKey(k, item.Key())
		if err != nil {
			return err
		}
		if part != parts {
			return fmt.Errorf("%w: part %d of %x is missing", ErrCorrupt, parts, digest)
		}
		parts++
		return item.Value(func(v []byte) error {
			v, err := checkVersion(v, blobVersion)
			value = append(value, v...)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	if parts == 0 {
		return nil, ErrNotFound
	}
	body, _, err := decodeBlob(value)
	return body, err
}

// putBlob writes the parts in place of those that are there.
func (s *Store) putBlob(txn *badger.Txn, b *batch, k kind, digest [32]byte, body []byte) error {
	if err := removeAll(txn, b, blobPrefix(k, digest)); err != nil {
		return err
	}
	for i, part := range encodeBlob(body, s.cfg.Now()) {
		b.set(blobKey(k, digest, i), part)
	}
	return nil
}

// PutDocument stores a model's document of at most 16 MiB and returns its name: its SHA-256 in hexadecimal. One that is there stays.
func (s *Store) PutDocument(ctx context.Context, body []byte) (digest string, err error) {
	if len(body) > maxDocumentBytes {
		return "", fmt.Errorf("a document of %d bytes is too large: the limit is %d", len(body), maxDocumentBytes)
	}
	sum := sha256.Sum256(body)
	err = s.write(ctx, false, func(txn *badger.Txn, b *batch) error {
		there, err := hasPrefix(txn, blobPrefix(kindDocument, sum))
		if err != nil || there {
			return err
		}
		return s.putBlob(txn, b, kindDocument, sum, body)
	})
	return hex.EncodeToString(sum[:]), err
}

// Document reads a document by its SHA-256 in hexadecimal. Errors: [ErrNotFound].
func (s *Store) Document(ctx context.Context, digest string) ([]byte, error) {
	sum, err := hex.DecodeString(digest)
	if err != nil || len(sum) != sha256.Size {
		return nil, fmt.Errorf("document %.80q: %w", digest, ErrNotFound)
	}
	var body []byte
	err = s.view(ctx, func(txn *badger.Txn) error {
		body, err = readBlob(txn, kindDocument, [32]byte(sum))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("document %s: %w", digest, err)
	}
	return body, nil
}

// PutNote keeps something that was found out, up to 32 MiB, in place of what is there. A note saves work and is no more than that:
// [Store.RemoveUnused] drops old ones.
func (s *Store) PutNote(ctx context.Context, key NoteKey, body []byte) error {
	if len(body) > maxNoteBytes {
		return fmt.Errorf("a note of %d bytes is too large: the limit is %d", len(body), maxNoteBytes)
	}
	return s.write(ctx, false, func(txn *badger.Txn, b *batch) error { return s.putBlob(txn, b, kindNote, key, body) })
}

// Note reads a note. Errors: [ErrNotFound].
func (s *Store) Note(ctx context.Context, key NoteKey) ([]byte, error) {
	var body []byte
	err := s.view(ctx, func(txn *badger.Txn) (err error) {
		body, err = readBlob(txn, kindNote, key)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("note %x: %w", key[:8], err)
	}
	return body, nil
}

// fileRecord is a File with the time when it was written.
type fileRecord struct {
	File    File      `cbor:"file"`
	Written time.Time `cbor:"written"`
}

// PutFile keeps what is known of a file, in place of what was known of the same source on the same host.
func (s *Store) PutFile(ctx context.Context, f File) error {
	return s.write(ctx, false, func(_ *badger.Txn, b *batch) error {
		return b.setRecord(fileKey(f.Source, f.Host), &fileRecord{f, s.cfg.Now().UTC()})
	})
}

// File reads what is known of a source (by Root, Path and Raw) on a host. Errors: [ErrNotFound].
func (s *Store) File(ctx context.Context, source Source, host string) (*File, error) {
	var r fileRecord
	err := s.view(ctx, func(txn *badger.Txn) error {
		return get(txn, fileKey(source, host), func(value []byte) error { return decodeRecord(value, &r) })
	})
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", source.URI, err)
	}
	return &r.File, nil
}

// unusedNotes gives the keys of notes and files that were written before earliest.
func (s *Store) unusedNotes(txn *badger.Txn, earliest time.Time, drop func(key []byte)) error {
	old := false
	err := scan(txn, prefixOf(kindNote), false, func(item *badger.Item) error {
		_, part, err := parseBlobKey(kindNote, item.Key())
		if err != nil {
			return err
		}
		if part == 0 {
			err = item.Value(func(value []byte) error {
				value, err := checkVersion(value, blobVersion)
				if err == nil && len(value) < 8 {
					err = fmt.Errorf("%w: a note's header is cut off", ErrCorrupt)
				}
				if err == nil {
					old = time.Unix(int64(binary.LittleEndian.Uint64(value)), 0).Before(earliest)
				}
				return err
			})
		}
		if err == nil && old {
			drop(item.KeyCopy(nil))
		}
		return err
	})
	if err != nil {
		return err
	}
	return scan(txn, prefixOf(kindFile), true, func(item *badger.Item) error {
		var r fileRecord
		err := item.Value(func(value []byte) error { return decodeRecord(value, &r) })
		if errors.Is(err, ErrNewerFormat) {
			return nil
		}
		if err == nil && r.Written.Before(earliest) {
			drop(item.KeyCopy(nil))
		}
		return err
	})
}
