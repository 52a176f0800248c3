package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/server/telemetry"
)

func TestRelay(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(relay{telemetry.NewLogger(&out, slog.LevelWarn, telemetry.Text).Handler()}).With("process", "worker 1")
	for name, row := range map[string]struct {
		line string
		want []string // nil: nothing is logged
	}{
		"line of a worker":     {`{"time":"2026-01-02T03:04:05.5Z","level":"WARN","msg":"task given back","measurement":"01","b":1,"a":[2]}`, []string{`time=2026-01-02T03:04:05.500Z level=WARN msg="task given back" process="worker 1" a=[2] b=1 measurement=01` + "\n"}},
		"too little for a log": {`{"time":"2026-01-02T03:04:05.5Z","level":"INFO","msg":"task done"}`, nil},
		"crash":                {"panic: at the disco", nil},
		"JSON that is no log":  {`{"msg":"x"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			out.Reset()
			log.Info(wroteMessage, wroteLine, row.line)
			if row.want == nil && out.Len() > 0 {
				t.Errorf("got %q", out.String())
			}
			for _, want := range row.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("got %q, want %q", out.String(), want)
				}
			}
		})
	}
	out.Reset()
	verbose := slog.New(relay{telemetry.NewLogger(&out, slog.LevelInfo, telemetry.Text).Handler()})
	verbose.Info(wroteMessage, wroteLine, "panic: at the disco")
	if !strings.Contains(out.String(), `msg="process wrote" line="panic: at the disco"`) {
		t.Errorf("got %q", out.String())
	}
}
