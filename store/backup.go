package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// The layout of a backup, integers little endian:
//
//	bytes 0…7    "vqsdbkup"
//	byte 8       format version, 1
//	bytes 9…16   when it was begun: seconds since 1970, int64
//	then blocks  uint32 length of what follows the checksum, uint32 CRC-32C of it, then a packing byte (0 none, 1 zstd) and entries, packed as said;
//	             an entry is uvarint length of the key, the key, uvarint length of the value, the value, uvarint expiry (Unix seconds, 0: never)
//	then         uint32 0: no more blocks
//	then         uint64 number of entries
//	then         SHA-256 of all bytes before it
//
// Entries are those of one moment, in the order of keys. Indexes and facts are not part of it: they are made anew. Nor is the secret that
// signs page tokens.
const (
	backupMagic   = "vqsdbkup"
	backupVersion = 1
	blockBytes    = 1 << 20  // entries are gathered into blocks of about that
	maxBlock      = 16 << 20 // a longer one is damage
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// BackupInfo says what a backup has.
type BackupInfo struct {
	Began        time.Time
	Entries      int64
	Measurements int64
	Bytes        int64 // written
	SHA256       [32]byte
}

// inBackup says whether keys of a kind are part of backups.
func inBackup(key []byte) bool {
	switch kind(key[0]) {
	case kindIndex, kindFacts:
		return false
	case kindSelf:
		return bytes.Equal(key, formatKey)
	}
	return true
}

// Backup writes all that is stored at the moment of the call to w, while others go on writing. What it writes is complete only if there is no error:
// [Restore] refuses anything else.
func (s *Store) Backup(ctx context.Context, w io.Writer) (BackupInfo, error) {
	info := BackupInfo{Began: s.cfg.Now().UTC()}
	out := newBackupWriter(w, &info)
	err := s.view(ctx, func(txn *badger.Txn) error {
		for _, k := range kinds {
			if k == kindIndex || k == kindFacts {
				continue
			}
			err := scan(txn, prefixOf(k), false, func(item *badger.Item) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				if !inBackup(item.Key()) {
					return nil
				}
				return item.Value(func(value []byte) error {
					if len(value) == 0 {
						return fmt.Errorf("%w: the value of %.80q is missing or its checksum is wrong", ErrCorrupt, item.Key())
					}
					return out.entry(op{Key: item.Key(), Value: value, Expires: item.ExpiresAt()})
				})
			})
			if err != nil {
				return err
			}
		}
		return out.end()
	})
	if err != nil {
		return info, fmt.Errorf("backup: %w", err)
	}
	return info, nil
}

type backupWriter struct {
	w     io.Writer
	sum   hash.Hash
	block []byte
	info  *BackupInfo
	err   error
}

// newBackupWriter begins a backup.
func newBackupWriter(w io.Writer, info *BackupInfo) *backupWriter {
	b := &backupWriter{w: w, sum: sha256.New(), info: info}
	head := append([]byte(backupMagic), backupVersion)
	b.write(binary.LittleEndian.AppendUint64(head, uint64(info.Began.Unix())))
	return b
}

func (b *backupWriter) write(p []byte) {
	if b.err != nil {
		return
	}
	b.sum.Write(p)
	n, err := b.w.Write(p)
	b.info.Bytes += int64(n)
	b.err = err
}

func (b *backupWriter) entry(o op) error {
	b.block = binary.AppendUvarint(b.block, uint64(len(o.Key)))
	b.block = append(b.block, o.Key...)
	b.block = binary.AppendUvarint(b.block, uint64(len(o.Value)))
	b.block = append(b.block, o.Value...)
	b.block = binary.AppendUvarint(b.block, o.Expires)
	b.info.Entries++
	if kind(o.Key[0]) == kindMeasurement {
		b.info.Measurements++
	}
	if len(b.block) >= blockBytes {
		b.flush()
	}
	return b.err
}

func (b *backupWriter) flush() {
	if len(b.block) == 0 {
		return
	}
	packed := pack(nil, b.block)
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(packed)))
	b.write(binary.LittleEndian.AppendUint32(head, crc32.Checksum(packed, castagnoli)))
	b.write(packed)
	b.block = b.block[:0]
}

func (b *backupWriter) end() error {
	b.flush()
	b.write(binary.LittleEndian.AppendUint64(make([]byte, 4), uint64(b.info.Entries)))
	b.info.SHA256 = [32]byte(b.sum.Sum(nil))
	b.write(b.info.SHA256[:])
	return b.err
}

// Restore makes a store in cfg.Dir out of a backup. The directory has to be empty or absent, and on an error it is empty again. Errors: [ErrExists]
// for a directory that is not empty; [ErrCorrupt] for a backup that is damaged or cut off; [ErrNewerFormat]; [ErrFull].
func Restore(ctx context.Context, cfg Config, r io.Reader) (BackupInfo, error) {
	if err := cfg.validate(); err != nil {
		return BackupInfo{}, err
	}
	info, err := restore(ctx, cfg, r)
	if err != nil {
		return info, fmt.Errorf("restore into %s: %w", cfg.Dir, err)
	}
	return info, nil
}

func restore(ctx context.Context, cfg Config, r io.Reader) (info BackupInfo, err error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return info, err
	}
	there, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return info, err
	}
	if len(there) > 0 {
		return info, fmt.Errorf("%w: the directory is not empty (it has %s); give an empty one", ErrExists, there[0].Name())
	}
	// If this process dies, Open refuses what it leaves.
	mark := filepath.Join(cfg.Dir, restoringName)
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return info, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, empty(cfg.Dir))
		}
	}()
	cfg.Registerer = nil
	if err := fill(ctx, cfg, r, &info); err != nil {
		return info, err
	}
	if err := os.Remove(mark); err != nil {
		return info, err
	}
	return info, syncDir(cfg.Dir)
}

// empty removes all that is in a directory.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// fill writes what a backup has into the empty store of a directory.
func fill(ctx context.Context, cfg Config, r io.Reader, info *BackupInfo) (err error) {
	space := &space{dir: cfg.Dir, min: cfg.MinFreeBytes, measure: cfg.FreeBytes}
	if err := space.admit(0, false); err != nil {
		return err
	}
	db, err := badger.Open(badgerOptions(cfg).WithSyncWrites(false)) // synced at the end: before that there is nothing to keep
	if err != nil {
		return badgerError(err)
	}
	s := &Store{cfg: cfg, db: db, log: cfg.Logger, space: space}
	defer func() { err = errors.Join(err, db.Close()) }()
	out := db.NewWriteBatch()
	defer out.Cancel()
	err = newBackupReader(r, info).read(func(o op) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := checkEntry(o.Key, o.Value); err != nil {
			return err
		}
		if !inBackup(o.Key) {
			return fmt.Errorf("%w: a backup does not have %.80q", ErrCorrupt, o.Key)
		}
		if err := space.admit(int64(len(o.Key)+len(o.Value)), false); err != nil {
			return err
		}
		e := badger.NewEntry(o.Key, o.Value)
		e.ExpiresAt = o.Expires
		return out.SetEntry(e)
	})
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := s.replayJournals(); err != nil {
		return err
	}
	if err := s.checkFormat(); err != nil {
		return err
	}
	if err := s.reindex(ctx); err != nil {
		return err
	}
	return db.Sync()
}

type backupReader struct {
	r    *bufio.Reader
	sum  hash.Hash
	info *BackupInfo
}

func newBackupReader(r io.Reader, info *BackupInfo) *backupReader {
	return &backupReader{r: bufio.NewReaderSize(r, 64<<10), sum: sha256.New(), info: info}
}

// full reads exactly so many bytes.
func (b *backupReader) full(p []byte) error {
	n, err := io.ReadFull(b.r, p)
	b.sum.Write(p[:n])
	b.info.Bytes += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the backup is cut off after %d bytes", ErrCorrupt, b.info.Bytes)
	}
	return err
}

// read gives every entry to put, and then checks that these were all.
func (b *backupReader) read(put func(op) error) error {
	head := make([]byte, len(backupMagic)+1+8)
	if err := b.full(head); err != nil {
		return err
	}
	if string(head[:len(backupMagic)]) != backupMagic {
		return fmt.Errorf("%w: not a backup of vqsd", ErrCorrupt)
	}
	if v := head[len(backupMagic)]; v > backupVersion {
		return fmt.Errorf("%w: backup format %d, this version reads up to %d; use a newer vqsd", ErrNewerFormat, v, backupVersion)
	} else if v == 0 {
		return fmt.Errorf("%w: backup format 0", ErrCorrupt)
	}
	b.info.Began = time.Unix(int64(binary.LittleEndian.Uint64(head[len(backupMagic)+1:])), 0).UTC()
	for {
		var length [4]byte
		if err := b.full(length[:]); err != nil {
			return err
		}
		n := binary.LittleEndian.Uint32(length[:])
		if n == 0 {
			return b.end()
		}
		if n > maxBlock {
			return fmt.Errorf("%w: a block of %d bytes", ErrCorrupt, n)
		}
		block := make([]byte, 4+n)
		if err := b.full(block); err != nil {
			return err
		}
		if crc32.Checksum(block[4:], castagnoli) != binary.LittleEndian.Uint32(block) {
			return fmt.Errorf("%w: the checksum of a block is wrong, before byte %d", ErrCorrupt, b.info.Bytes)
		}
		entries, err := unpack(block[4:])
		if err != nil {
			return err
		}
		if err := b.entries(entries, put); err != nil {
			return err
		}
	}
}

func (b *backupReader) entries(block []byte, put func(op) error) error {
	part := func() []byte {
		n, used := binary.Uvarint(block)
		if used <= 0 || n > uint64(len(block)-used) {
			block = nil
			return nil
		}
		p := block[used : used+int(n)]
		block = block[used+int(n):]
		return p
	}
	for len(block) > 0 {
		o := op{Key: part(), Value: part()}
		expires, used := binary.Uvarint(block)
		if used <= 0 || len(o.Key) == 0 {
			return fmt.Errorf("%w: an entry is cut off", ErrCorrupt)
		}
		o.Expires, block = expires, block[used:]
		b.info.Entries++
		if kind(o.Key[0]) == kindMeasurement {
			b.info.Measurements++
		}
		if err := put(o); err != nil {
			return err
		}
	}
	return nil
}

func (b *backupReader) end() error {
	var count [8]byte
	if err := b.full(count[:]); err != nil {
		return err
	}
	b.info.SHA256 = [32]byte(b.sum.Sum(nil))
	var sum [32]byte
	if err := b.full(sum[:]); err != nil {
		return err
	}
	if sum != b.info.SHA256 || binary.LittleEndian.Uint64(count[:]) != uint64(b.info.Entries) {
		return fmt.Errorf("%w: the backup's checksum is wrong", ErrCorrupt)
	}
	if _, err := b.r.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the backup", ErrCorrupt)
	}
	return nil
}
