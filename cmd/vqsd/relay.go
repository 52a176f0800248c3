package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// wroteMessage is how package supervise logs a line that a process wrote, which is its attribute wroteLine.
const (
	wroteMessage = "process wrote"
	wroteLine    = "line"
)

// relay makes log lines of workers, which are JSON, lines of the daemon's own log, with their time, level and facts. Whatever else a
// worker writes is logged as it is.
type relay struct{ slog.Handler }

var _ slog.Handler = relay{}

// Enabled passes what may turn out to be severe.
func (r relay) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || r.Handler.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (r relay) Handle(ctx context.Context, record slog.Record) error {
	if record.Message == wroteMessage {
		record.Attrs(func(a slog.Attr) bool {
			if a.Key == wroteLine {
				if said, ok := parseLogLine(a.Value.String()); ok {
					record = said
				}
			}
			return true
		})
	}
	if !r.Handler.Enabled(ctx, record.Level) {
		return nil
	}
	return r.Handler.Handle(ctx, record)
}

// WithAttrs implements [slog.Handler].
func (r relay) WithAttrs(attrs []slog.Attr) slog.Handler { return relay{r.Handler.WithAttrs(attrs)} }

// WithGroup implements [slog.Handler].
func (r relay) WithGroup(name string) slog.Handler { return relay{r.Handler.WithGroup(name)} }

// parseLogLine reads a line of [slog.JSONHandler]. ok is false where it is none.
func parseLogLine(line string) (record slog.Record, ok bool) {
	var facts map[string]any
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber() // large ones stay what they are
	if err := decoder.Decode(&facts); err != nil {
		return slog.Record{}, false
	}
	text := func(key string) string {
		value, _ := facts[key].(string)
		delete(facts, key)
		return value
	}
	var level slog.Level
	at, timeErr := time.Parse(time.RFC3339Nano, text(slog.TimeKey))
	levelErr := level.UnmarshalText([]byte(text(slog.LevelKey)))
	message := text(slog.MessageKey)
	if timeErr != nil || levelErr != nil || message == "" {
		return slog.Record{}, false
	}
	record = slog.NewRecord(at, level, message, 0)
	for _, key := range slices.Sorted(maps.Keys(facts)) {
		record.AddAttrs(slog.Any(key, facts[key]))
	}
	return record, true
}
