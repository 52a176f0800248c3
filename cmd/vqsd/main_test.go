package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// roleEnvironment makes the test binary play another role: "program" is vqsd itself, "batch" is the worker of the tests on
// broken files, "nats" a NATS server.
const roleEnvironment = "VQSD_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnvironment); role {
	case "program":
		main()
	case "nats":
		os.Exit(natsRole(os.Args[1]))
	case "batch":
		os.Exit(batch(os.Stdin, os.Stdout))
	case "":
		os.Exit(m.Run())
	default:
		panic("unknown role " + role)
	}
}

// answer is what a run of the program gave.
type answer struct {
	code           int
	stdout, stderr string
}

// vqsd runs the program without a process.
func vqsd(t *testing.T, args ...string) answer {
	t.Helper()
	return vqsdInput(t, strings.NewReader(""), args...)
}

func vqsdInput(t *testing.T, stdin io.Reader, args ...string) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, stdin, &stdout, &stderr)
	return answer{code, stdout.String(), stderr.String()}
}

// want fails the test unless the program ended with that status and said all of texts on standard error.
func (a answer) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if a.code != code {
		t.Errorf("status %d, want %d\nstdout: %s\nstderr: %s", a.code, code, a.stdout, a.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(a.stderr, text) {
			t.Errorf("standard error has no %q:\n%s", text, a.stderr)
		}
	}
}

// clipSpec is a clip that a test makes: a drifting pattern, and for a distorted one noise on top. The zero value of a field
// is the default that make fills in.
type clipSpec struct {
	width, height int    // 64x48
	frames        int    // as it is: 0 is a clip without frames
	rate          string // "25:1"
	noise         int    // peak
	shift         int    // first frame's position in the pattern
	colour        bool   // a pattern with noise in chroma, too; otherwise there is none
}

// y4m is the clip as a file.
func (c clipSpec) y4m() []byte {
	if c.width == 0 {
		c.width, c.height = 64, 48
	}
	if c.rate == "" {
		c.rate = "25:1"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "YUV4MPEG2 W%d H%d F%s Ip A1:1 C420jpeg\n", c.width, c.height, c.rate)
	random := rand.New(rand.NewPCG(1, uint64(c.noise)))
	for n := range c.frames {
		b.WriteString("FRAME\n")
		for y := range c.height {
			for x := range c.width {
				v := 16 + (x*5+y*3+(n+c.shift)*7)%160 + (x/8+y/8)%2*40
				if c.noise > 0 {
					v += random.IntN(2*c.noise+1) - c.noise
				}
				b.WriteByte(byte(max(0, min(255, v))))
			}
		}
		chroma := bytes.Repeat([]byte{128}, 2*((c.width+1)/2)*((c.height+1)/2))
		for i := range chroma {
			if c.colour {
				chroma[i] = byte(90 + (i*3+n)%77 + random.IntN(c.noise+1))
			}
		}
		b.Write(chroma)
	}
	return b.Bytes()
}

// write puts the clip into a folder.
func (c clipSpec) write(t *testing.T, folder, name string) string {
	t.Helper()
	return writeFile(t, filepath.Join(folder, name), c.y4m())
}

func writeFile(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// pair writes a reference and a distorted clip of n frames.
func pair(t *testing.T, n int) (ref, dis string) {
	t.Helper()
	dir := t.TempDir()
	return clipSpec{frames: n}.write(t, dir, "ref.y4m"), clipSpec{frames: n, noise: 12}.write(t, dir, "dis.y4m")
}

// folderHas fails the test unless the folder holds just these files.
func folderHas(t *testing.T, folder string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	if got, want := strings.Join(have, " "), strings.Join(names, " "); got != want {
		t.Errorf("%s holds %q, want %q", folder, got, want)
	}
}

func TestRunEndsWhenItsContextDoes(t *testing.T) {
	ref, dis := pair(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, []string{"measure", "-r", ref, "-d", dis}, nil, &stdout, &stderr)
	answer{code, stdout.String(), stderr.String()}.want(t, exitFailed, interrupted)
	if stdout.Len() > 0 {
		t.Errorf("standard output has %q", stdout.String())
	}
}
