package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Format is how log lines are written.
type Format string

// The formats.
const (
	Text Format = "text" // key=value, for people
	JSON Format = "json" // an object a line, for machines
)

// ParseFormat reads a format's name.
func ParseFormat(text string) (Format, error) {
	switch f := Format(text); f {
	case Text, JSON:
		return f, nil
	}
	return "", fmt.Errorf("unknown format %q; use text or json", text)
}

// ParseLevel reads a level's name: debug, info, warn or error.
func ParseLevel(text string) (slog.Level, error) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if text == strings.ToLower(level.String()) {
			return level, nil
		}
	}
	return 0, fmt.Errorf("unknown level %q; use debug, info, warn or error", text)
}

// NewLogger makes a logger that writes lines of at least a level to w. Writes are whole lines, one at a time.
func NewLogger(w io.Writer, level slog.Level, format Format) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == JSON {
		options.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindDuration { // with its unit, as everywhere else, and not a number of nanoseconds
				a.Value = slog.StringValue(a.Value.Duration().String())
			}
			return a
		}
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
