package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/vqsd/vqsd/decode"
)

// Stamp tells, without reading it, whether a file may have changed: it differs whenever the file was written or replaced. Inode
// and device mean something on one host only.
type Stamp struct {
	SizeBytes        int64
	ModifiedUnixNano int64 // of the content
	ChangedUnixNano  int64 // of the content, the name or the rights
	Inode, Device    uint64
}

// stampOf is the stamp in what the operating system says of a file.
func stampOf(info fs.FileInfo) Stamp {
	s := Stamp{SizeBytes: info.Size(), ModifiedUnixNano: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.ChangedUnixNano, s.Inode, s.Device = st.Ctim.Nano(), st.Ino, uint64(st.Dev)
	}
	return s
}

// stampOfVideo is the stamp of an open file as it was when it was opened; zero for a stream.
func stampOfVideo(v *decode.Video) Stamp {
	if v.Info().SizeBytes < 0 {
		return Stamp{}
	}
	return stampOf(v.FileInfo())
}

// ErrNotRegular is the error of an input that is no regular file, so that neither its stamp nor its fingerprint can be told.
var ErrNotRegular = errors.New("no regular file")

// StampOf asks the operating system for the stamp of a file, within in.Root where that is set. It opens nothing.
//
// Errors: what the operating system says, such as [fs.ErrNotExist]; [ErrNotRegular].
func StampOf(in decode.Input) (Stamp, error) {
	var info fs.FileInfo
	var err error
	switch {
	case in.Path == "-":
		return Stamp{}, fmt.Errorf("standard input: %w", ErrNotRegular)
	case in.Root != nil:
		info, err = in.Root.Stat(filepath.Clean(in.Path))
	default:
		info, err = os.Stat(in.Path)
	}
	if err != nil {
		return Stamp{}, fileError(in.Path, err)
	}
	if !info.Mode().IsRegular() {
		return Stamp{}, fmt.Errorf("%s: %w", in.Path, ErrNotRegular)
	}
	return stampOf(info), nil
}

// What a fingerprint reads of a large file.
const (
	sampledAbove   = 64 << 20 // bytes; files up to this size are read whole
	sampledEnds    = 1 << 20  // bytes at the beginning and at the end, where containers keep their tables
	sampledBlocks  = 256      // between, evenly spaced
	sampledPerSpot = 16 << 10 // bytes of each
)

// Fingerprint identifies the content of a file, and returns the stamp that it had then.
//
// Of files up to 64 MiB, or of any with full set, it is "sha256:" and the SHA-256 of all bytes in hexadecimal: equal for equal
// content. Of larger ones it is "sampled:" and the SHA-256 over size, modification time, the first and the last MiB and 256
// evenly spaced blocks of 16 KiB. The modification time is in it because samples alone would miss that one frame of a y4m
// was written anew; so a copy that has another time has another fingerprint, and is measured again where a cached figure
// would have done.
//
// Errors: what the operating system says, such as [fs.ErrNotExist]; [ErrNotRegular]; [decode.ErrChanged] where the stamp is not the
// same before and after reading; ctx's, which is looked at every MiB.
func Fingerprint(ctx context.Context, in decode.Input, full bool) (sum string, stamp Stamp, err error) {
	if in.Path == "-" {
		return "", Stamp{}, fmt.Errorf("standard input: %w", ErrNotRegular)
	}
	f, err := openForReading(in)
	if err != nil {
		return "", Stamp{}, fileError(in.Path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return "", Stamp{}, fileError(in.Path, err)
	}
	if !info.Mode().IsRegular() {
		return "", Stamp{}, fmt.Errorf("%s: %w", in.Path, ErrNotRegular)
	}
	stamp = stampOf(info)
	digest := sha256.New()
	kind := "sha256"
	if full || stamp.SizeBytes <= sampledAbove {
		err = hashRange(ctx, digest, f, 0, stamp.SizeBytes)
	} else {
		kind = "sampled"
		err = hashSamples(ctx, digest, f, stamp)
	}
	changed := fmt.Errorf("%s: %w; try again once it is complete", in.Path, decode.ErrChanged)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "", Stamp{}, changed
	case err != nil:
		return "", Stamp{}, fileError(in.Path, err)
	}
	if info, err = f.Stat(); err != nil {
		return "", Stamp{}, fileError(in.Path, err)
	}
	if stampOf(info) != stamp {
		return "", Stamp{}, changed
	}
	return kind + ":" + hex.EncodeToString(digest.Sum(nil)), stamp, nil
}

// openForReading opens what in names, without waiting where that is a pipe.
func openForReading(in decode.Input) (*os.File, error) {
	const flags = os.O_RDONLY | syscall.O_NONBLOCK
	if in.Root != nil {
		return in.Root.OpenFile(filepath.Clean(in.Path), flags, 0)
	}
	return os.OpenFile(in.Path, flags, 0)
}

// hashSamples hashes size, modification time and samples. Changing any of it changes what fingerprints stored so far mean.
func hashSamples(ctx context.Context, digest hash.Hash, f io.ReaderAt, stamp Stamp) error {
	fmt.Fprintf(digest, "%d %d\n", stamp.SizeBytes, stamp.ModifiedUnixNano) // a hash's Write does not fail
	if err := hashRange(ctx, digest, f, 0, sampledEnds); err != nil {
		return err
	}
	for i := range int64(sampledBlocks) {
		at := (stamp.SizeBytes - sampledPerSpot) / (sampledBlocks - 1) * i
		if err := hashRange(ctx, digest, f, at, sampledPerSpot); err != nil {
			return err
		}
	}
	return hashRange(ctx, digest, f, stamp.SizeBytes-sampledEnds, sampledEnds)
}

// hashRange hashes n bytes from an offset on. io.ErrUnexpectedEOF: there are fewer.
func hashRange(ctx context.Context, digest hash.Hash, f io.ReaderAt, offset, n int64) error {
	const step = 1 << 20
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := min(n, step)
		copied, err := io.Copy(digest, io.NewSectionReader(f, offset, part))
		if err != nil {
			return err
		}
		if copied < part {
			return io.ErrUnexpectedEOF
		}
		offset, n = offset+part, n-part
	}
	return nil
}

// fileError names the file once and leaves the system call out.
func fileError(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}
