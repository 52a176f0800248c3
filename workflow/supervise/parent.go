package supervise

import (
	"io"
	"os"
	"strconv"
	"syscall"
)

// parentVariable names, in a process's environment, the file that ends with its supervisor; parentFD is which one it is.
const (
	parentVariable = "VQSD_SUPERVISOR_FD"
	parentFD       = 3
)

// ParentGone gives a channel that is closed when the supervisor that started this process has ended. nil: none did. It is to be called once,
// early: the process's own children have no part in it.
func ParentGone() <-chan struct{} {
	fd, err := strconv.Atoi(os.Getenv(parentVariable))
	if err != nil || fd < parentFD {
		return nil
	}
	// Setenv of a name that is valid does not fail, nor does taking it away.
	_ = os.Unsetenv(parentVariable)
	syscall.CloseOnExec(fd)
	pipe := os.NewFile(uintptr(fd), "supervisor")
	if pipe == nil {
		return nil
	}
	gone := make(chan struct{})
	go func() { // for as long as the process lives
		defer close(gone)
		// Nobody writes: reading ends when the other end is closed, and any error means that we can no longer tell.
		_, _ = io.Copy(io.Discard, pipe)
	}()
	return gone
}
