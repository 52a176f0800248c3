package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// unitFile is the systemd unit.
const unitFile = "../../packaging/systemd/vqsd.service"

// unit reads the unit's settings; a key that comes again adds to a list.
func unit(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		key, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if found && !strings.HasPrefix(line, "#") {
			values[key] = append(values[key], value)
		}
	}
	return values
}

// Every command of the unit is one that the program understands.
func TestUnitCommandsExist(t *testing.T) {
	values := unit(t)
	commands := values["ExecStart"]
	if len(commands) != 1 {
		t.Fatalf("the unit has the commands %q", commands)
	}
	for _, command := range commands {
		fields := strings.Fields(command)
		if fields[0] != "/usr/local/bin/vqsd" {
			t.Errorf("%s is not where vqsd is installed", fields[0])
		}
		found, rest, err := (&app{}).command().Find(fields[1:])
		if err != nil || found.Name() != "serve" {
			t.Errorf("%s: %v, %v", command, found.Name(), err)
			continue
		}
		if err := found.ParseFlags(rest); err != nil || found.Flags().NArg() > 0 {
			t.Errorf("%s: %v, and %q is left", command, err, found.Flags().Args())
		}
	}
}

// What the unit counts on is so.
func TestUnitFitsTheProgram(t *testing.T) {
	values := unit(t)
	for key, want := range map[string]string{
		"Type": "notify", "RestartPreventExitStatus": "2", "StateDirectory": "vqsd", "NoNewPrivileges": "yes", "ProtectSystem": "strict",
	} {
		if got := values[key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if exitUsage != 2 {
		t.Errorf("RestartPreventExitStatus is 2, and wrong usage ends with %d", exitUsage)
	}
	limit, parts := unitSeconds(t, values["TimeoutStopSec"][0]), defaultConfig().drainTimeout+childGrace+callsGrace+queueGrace+tracesGrace
	if limit < parts.Seconds() {
		t.Errorf("TimeoutStopSec is %v s, and an end may take %v", limit, parts)
	}
}

func unitSeconds(t *testing.T, text string) float64 {
	t.Helper()
	c := defaultConfig()
	if err := settingOf("drain_timeout").assign(c, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c.drainTimeout.Seconds()
}

func TestUnitVerifies(t *testing.T) {
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	// It wants the program to be there.
	file := filepath.Join(t.TempDir(), "vqsd.service")
	writeFile(t, file, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/vqsd", os.Args[0])))
	out, err := exec.CommandContext(t.Context(), verify, "verify", file).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "vqsd.service") {
			t.Errorf("systemd-analyze: %s", line)
		}
	}
	if err != nil && len(out) == 0 {
		t.Skipf("systemd-analyze does not work here: %v", err)
	}
}
