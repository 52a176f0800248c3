package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/protocol"
)

// failureKinds tells kinds of errors apart. The first row that fits counts: an error of reading a frame is the operating system's
// before it is a damaged picture.
var failureKinds = []struct {
	fits      func(error) bool
	reason    store.Reason
	transient bool
}{
	{fits: errorIs(decode.ErrChanged), reason: store.ReasonChanged},
	{fits: errorIs(fs.ErrNotExist, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP), reason: store.ReasonNotFound},
	{fits: errorIs(fs.ErrPermission), reason: store.ReasonDenied},
	{fits: leavesRoot, reason: store.ReasonDenied},
	{fits: errorIs(engine.ErrDeviceFailed), reason: store.ReasonInternal, transient: true},
	{fits: isErrno, reason: store.ReasonInternal, transient: true}, // input and output, memory, descriptors
	{fits: errorIs(decode.ErrTimeout), reason: store.ReasonLimit, transient: true},
	{fits: errorIsA[*decode.LimitError], reason: store.ReasonLimit},
	{fits: errorIsA[*engine.AmbiguousError], reason: store.ReasonAmbiguous},
	{fits: errorIs(decode.ErrSizeMismatch, decode.ErrFormatChanged), reason: store.ReasonAmbiguous},
	{fits: errorIs(decode.ErrCrop, engine.ErrUnfit), reason: store.ReasonInvalid},
	{fits: errorIs(decode.ErrNoVideo, decode.ErrUnsupported, decode.ErrNoFrames, engine.ErrTooSmall, engine.ErrNotRegular, vmaf.ErrNotComputable, vmaf.ErrUnknownFeature),
		reason: store.ReasonUnsupported},
	{fits: errorIs(decode.ErrDamaged, decode.ErrTruncated), reason: store.ReasonDamaged},
	{fits: errorIsA[*decode.FrameError], reason: store.ReasonDamaged},
	{fits: func(error) bool { return true }, reason: store.ReasonInternal, transient: true},
}

func errorIs(targets ...error) func(error) bool {
	return func(err error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
}

func errorIsA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func isErrno(err error) bool { return errorIsA[syscall.Errno](err) }

// leavesRoot says whether a path left its os.Root. Package os has no name for that error; a test holds this against the one it gives.
func leavesRoot(err error) bool { return strings.Contains(err.Error(), "path escapes from parent") }

// failureOf tells an error to the daemon.
func failureOf(err error) *protocol.Error {
	for _, k := range failureKinds {
		if k.fits(err) {
			return &protocol.Error{Reason: k.reason, Message: failureMessage(err), Transient: k.transient}
		}
	}
	panic("not reached") // the last row fits
}

// openFailure is failureOf for an error of opening a comparison: what is not of the reference is of the request. A file that
// changes while it is opened may be complete soon.
func openFailure(err error) *protocol.Error {
	f := failureOf(err)
	if f.Reason == store.ReasonInternal && !errorIsA[*engine.ReferenceError](err) && !isErrno(err) {
		f.Reason, f.Transient = store.ReasonInvalid, false
	}
	f.Transient = f.Transient || f.Reason == store.ReasonChanged
	return f
}

// maxMessageBytes bounds what is kept of an error.
const maxMessageBytes = 4096

// failureMessage is an error's text, which may quote what FFmpeg says of a hostile file.
func failureMessage(err error) string {
	text := validText(err.Error())
	if len(text) <= maxMessageBytes {
		return text
	}
	cut := maxMessageBytes
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes more)", text[:cut], len(text)-cut)
}

// validText makes text from a file fit to be stored and sent.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
