package supervise

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// Bounds of what is kept of a process's output, in bytes.
const (
	tailBytes = 8 << 10
	lineBytes = 4 << 10 // longer lines are logged in pieces
)

// tail keeps the last that was written to it, and logs it line by line.
type tail struct {
	log *slog.Logger

	// mu guards the fields below.
	mu   sync.Mutex
	last []byte // at most twice tailBytes
	line []byte // begun and not logged
}

func newTail(log *slog.Logger) *tail { return &tail{log: log} }

// Write takes all that there is.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p[max(0, len(p)-tailBytes):]...)
	if len(t.last) > tailBytes {
		t.last = append(t.last[:0], t.last[len(t.last)-tailBytes:]...)
	}
	for rest := p; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte("\n"))
		if room := lineBytes - len(t.line); len(part) > room {
			part, after, ended = part[:room], rest[room:], true
		}
		t.line = append(t.line, part...)
		if ended {
			t.say()
		}
		rest = after
	}
	return len(p), nil
}

// end logs a last line that has no end.
func (t *tail) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.say()
}

func (t *tail) say() {
	if len(t.line) > 0 {
		t.log.Info("process wrote", "line", strings.ToValidUTF8(string(t.line), "�"))
	}
	t.line = t.line[:0]
}

// String is the last that was written.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(t.last), "�")
}
