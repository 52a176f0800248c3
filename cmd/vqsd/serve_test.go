package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/vqsd/vqsd/workflow/supervise"
)

// served is vqsd serve as a process.
type served struct {
	t         *testing.T
	command   *exec.Cmd
	grpc      string // addresses
	http      string
	announced string // the line that says where it is

	lines *logLines
}

// logLines is what a process has said, and lets one wait for a line.
type logLines struct {
	mu   sync.Mutex // guards text, and more is broadcast when it grows or ends
	more *sync.Cond
	text []string
	done bool
}

var announcement = regexp.MustCompile(`^vqsd: serving at (\S+) \(http (\S+)\); media roots: (.*); data in (.*)$`)

// startServe starts a daemon on ports of its own and waits until it serves. adapt changes the command before it is started.
func startServe(t *testing.T, adapt func(*exec.Cmd), args ...string) *served {
	t.Helper()
	s := &served{t: t, command: process(t, append([]string{"serve"}, args...)...)}
	s.command.Env = append(s.command.Env, "VQSD_LISTEN=127.0.0.1:0", "VQSD_HTTP_LISTEN=127.0.0.1:0")
	if adapt != nil {
		adapt(s.command)
	}
	s.lines = &logLines{}
	s.lines.more = sync.NewCond(&s.lines.mu)
	stderr, err := s.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	go s.lines.read(stderr)
	t.Cleanup(func() {
		_ = s.command.Process.Kill() // it may have ended
		s.lines.wait(nil)
		_ = s.command.Wait() // the same
		if t.Failed() {
			t.Logf("the daemon said:\n%s", s.lines)
		}
	})
	found := announcement.FindStringSubmatch(s.await(`^vqsd: serving at `))
	if found == nil {
		t.Fatalf("it did not say where it serves:\n%s", s.lines)
	}
	s.announced, s.grpc, s.http = found[0], found[1], found[2]
	return s
}

func (l *logLines) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		l.mu.Lock()
		l.text = append(l.text, lines.Text())
		l.more.Broadcast()
		l.mu.Unlock()
	}
	l.mu.Lock()
	l.done = true
	l.more.Broadcast()
	l.mu.Unlock()
}

// wait waits until a line is there that fits, and returns it; "": there will be none. nil fits none.
func (l *logLines) wait(fits func(string) bool) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for seen := 0; ; {
		for ; seen < len(l.text); seen++ {
			if fits != nil && fits(l.text[seen]) {
				return l.text[seen]
			}
		}
		if l.done {
			return ""
		}
		l.more.Wait()
	}
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, "\n")
}

// await waits for a line; the process's own time limit bounds that.
func (s *served) await(pattern string) string {
	s.t.Helper()
	line := s.lines.wait(regexp.MustCompile(pattern).MatchString)
	if line == "" {
		s.t.Fatalf("it ended without a line of %s:\n%s", pattern, s.lines)
	}
	return line
}

// end sends a signal, and wants the process to end with a status.
func (s *served) end(signal syscall.Signal, code int) {
	s.t.Helper()
	if err := s.command.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	s.lines.wait(nil)
	_ = s.command.Wait() // its status is looked at below
	if got := s.command.ProcessState.ExitCode(); got != code {
		s.t.Errorf("status %d, want %d", got, code)
	}
}

// worker waits for a worker, and returns its process.
func (s *served) worker() int {
	s.t.Helper()
	found := regexp.MustCompile(`pid=(\d+)`).FindStringSubmatch(s.await(`msg="process started"`))
	s.await(`msg="worker joined"`)
	pid, err := strconv.Atoi(found[1])
	if err != nil {
		s.t.Fatal(err)
	}
	return pid
}

func (s *served) get(path string) (code int, text string) {
	s.t.Helper()
	answer, err := http.Get("http://" + s.http + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// awaitMetric waits until metrics have a line.
func (s *served) awaitMetric(line string) {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		if _, text := s.get("/metrics"); strings.Contains(text, line) {
			return
		}
		time.Sleep(time.Millisecond) // between looks at what announces nothing
	}
	s.t.Fatalf("metrics do not come to have %s", line)
}

// awaitChunk waits until the worker says that it measures a chunk. The task that the daemon counts as running may be the inspection before it, or not have
// reached the worker yet.
func (s *served) awaitChunk() {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		got := vqsd(s.t, "admin", "workers", "--json", "--server", s.grpc)
		var d workersDocument
		if err := json.Unmarshal([]byte(got.stdout), &d); err != nil {
			s.t.Fatalf("%v: %s%s", err, got.stdout, got.stderr)
		}
		for _, w := range d.Workers {
			for _, task := range w.Running {
				if task.Number > 0 {
					return
				}
			}
		}
		time.Sleep(time.Millisecond) // between looks at what announces nothing
	}
	s.t.Fatal("no worker comes to measure a chunk")
}

const oneTaskRuns = `vqsd_queue_tasks{class="throughput",state="running"} 1`

// awaitGone waits for the end of a process that is not our child.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(state), ") Z ") { // a zombie whose new parent does not look
			return
		}
		time.Sleep(time.Millisecond) // between looks at /proc, which announces nothing
	}
	t.Errorf("process %d is still there", pid)
}

// The whole way without any configuration: start, health, a measurement with the figures of an in-process one, and an end in order.
func TestServe(t *testing.T) {
	ref, dis := pair(t, 30)
	media := filepath.Dir(ref)
	home := t.TempDir()
	s := startServe(t, func(c *exec.Cmd) {
		c.Dir = media
		c.Env = append(c.Env, "XDG_DATA_HOME="+home)
	})
	if want := "media roots: " + media + "; data in " + filepath.Join(home, "vqsd"); !strings.HasSuffix(s.announced, want) {
		t.Errorf("it says %q, want %q", s.announced, want)
	}
	pid := s.worker()
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ready", "/": "vqsd measure --server " + s.grpc, "/metrics": `vqsd_workers{state="idle"} 1`,
	} {
		if code, text := s.get(path); code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d, %q", path, code, text)
		}
	}
	conn, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	health, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || health.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", health, err)
	}
	here := vqsd(t, "measure", "-r", ref, "-d", dis, "--log", "-", "--log-precision", "17")
	there := vqsd(t, "measure", "-r", ref, "-d", dis, "--log", "-", "--log-precision", "17", "--server", s.grpc)
	here.want(t, exitDone)
	there.want(t, exitDone)
	if timeless(here.stdout) != timeless(there.stdout) {
		t.Errorf("the daemon's figures\n%s\nare not those in-process\n%s", there.stdout, here.stdout)
	}
	if _, text := s.get("/metrics"); !strings.Contains(text, `vqsd_measurements_finished_total{class="throughput",state="succeeded"} 1`) {
		t.Errorf("metrics do not count the measurement:\n%s", text)
	}
	score, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
	if err != nil || strings.TrimSpace(string(score)) != oomScore {
		t.Errorf("the worker's oom_score_adj is %q, %v", score, err)
	}
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || strings.Contains(string(arguments), "TOKEN") || strings.Contains(string(arguments), "token") {
		t.Errorf("the worker's arguments are %q, %v", arguments, err)
	}
	second := process(t, "serve", "--data", filepath.Join(home, "vqsd"), "--listen", "127.0.0.1:0", "--http-listen", "", "--media-root", media)
	out, err := second.CombinedOutput()
	if err == nil || second.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(out), fmt.Sprintf("process %d has it open", s.command.Process.Pid)) {
		t.Errorf("a second one on the same data: %v, %s", err, out)
	}
	s.end(syscall.SIGTERM, exitDone)
	awaitGone(t, pid)
	for _, said := range []string{`msg="told to end"`, `msg=draining on=true`, `reason="exit status 0"`} {
		if !strings.Contains(s.lines.String(), said) {
			t.Errorf("it did not say %s", said)
		}
	}
	if strings.Contains(s.lines.String(), "level=ERROR") || strings.Contains(s.lines.String(), "level=WARN") {
		t.Errorf("something was wrong:\n%s", s.lines)
	}
}

// A worker that dies is replaced, and what it did is done by the next.
func TestKilledWorkerIsReplaced(t *testing.T) {
	ref, dis := pair(t, 10)
	s := startServe(t, nil, "--data", t.TempDir(), "--media-root", filepath.Dir(ref))
	pid := s.worker()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.await(`msg="worker gone".*killed by signal 9`)
	vqsd(t, "measure", "-r", ref, "-d", dis, "--server", s.grpc).want(t, exitDone)
	s.end(syscall.SIGINT, exitDone)
}

// A worker that hangs is killed once its lease is over, and replaced.
func TestHungWorkerIsReplaced(t *testing.T) {
	ref, dis := pair(t, 10)
	s := startServe(t, nil, "--data", t.TempDir(), "--media-root", filepath.Dir(ref), "--set", "workers.lease=1s")
	pid := s.worker()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.await(`msg="worker lost"`)
	s.await(`msg="process ended".*no sign of life for 1s`)
	awaitGone(t, pid)
	vqsd(t, "measure", "-r", ref, "-d", dis, "--server", s.grpc).want(t, exitDone)
	s.end(syscall.SIGTERM, exitDone)
}

// When the daemon is killed its workers go, too, and the next daemon finishes what was acknowledged.
func TestKilledDaemon(t *testing.T) {
	ref, dis := pair(t, 10)
	data := t.TempDir()
	s := startServe(t, nil, "--data", data, "--media-root", filepath.Dir(ref))
	pid := s.worker()
	accepted := vqsd(t, "measure", "-r", ref, "-d", dis, "--server", s.grpc, "--no-wait")
	accepted.want(t, exitDone)
	name := strings.TrimSpace(accepted.stdout)
	s.end(syscall.SIGKILL, -1)
	awaitGone(t, pid)
	s = startServe(t, nil, "--data", data, "--media-root", filepath.Dir(ref))
	vqsd(t, "get", name, "--follow", "--server", s.grpc).want(t, exitDone)
	s.end(syscall.SIGTERM, exitDone)
}

// A daemon that is told to end in the middle of a measurement ends soon, and the next one finishes it.
func TestServeEndsInMidMeasurement(t *testing.T) {
	dir := t.TempDir()
	ref, dis := emptyRaw(t, filepath.Join(dir, "ref.yuv"), 3000), emptyRaw(t, filepath.Join(dir, "dis.yuv"), 3000)
	data := t.TempDir()
	s := startServe(t, nil, "--data", data, "--media-root", dir, "--set", "drain_timeout=10ms", "--set", "workers.slots=1")
	s.worker()
	accepted := vqsd(t, "measure", "-r", ref, "-d", dis, "--raw-video", "1920x1080:yuv420p:25", "--no-wait", "--chunk", "100", "--server", s.grpc)
	accepted.want(t, exitDone)
	s.await(`msg="measurement planned"`)
	s.awaitMetric(oneTaskRuns)
	signalled := time.Now()
	s.end(syscall.SIGTERM, exitDone)
	if took := time.Since(signalled); took > 20*time.Second {
		t.Errorf("it took %v to end", took)
	}
	s = startServe(t, nil, "--data", data, "--media-root", dir)
	s.await(`msg="unfinished measurements taken up".* measurements=1`)
	vqsd(t, "cancel", strings.TrimSpace(accepted.stdout), "--server", s.grpc).want(t, exitDone)
	s.end(syscall.SIGTERM, exitDone)
}

// The second signal kills.
func TestSecondSignalKills(t *testing.T) {
	dir := t.TempDir()
	ref, dis := emptyRaw(t, filepath.Join(dir, "ref.yuv"), 20000), emptyRaw(t, filepath.Join(dir, "dis.yuv"), 20000)
	s := startServe(t, nil, "--data", t.TempDir(), "--media-root", dir, "--set", "drain_timeout=1h")
	pid := s.worker()
	vqsd(t, "measure", "-r", ref, "-d", dis, "--raw-video", "1920x1080:yuv420p:25", "--chunk", "20000", "--no-wait", "--server", s.grpc).want(t, exitDone)
	s.await(`msg="measurement planned"`)
	s.awaitChunk()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.await(`msg="finishing tasks before the worker ends"`) // one signal has been heard and passed on
	s.end(syscall.SIGTERM, -1)
	awaitGone(t, pid)
}

// A worker of another host, which has the media elsewhere, joins over the network with the token.
func TestWorkerJoins(t *testing.T) {
	ref, dis := pair(t, 10)
	token := filepath.Join(t.TempDir(), "token")
	writeFile(t, token, []byte("a-token-of-the-test\n"))
	port := freePort(t)
	s := startServe(t, nil, "--data", t.TempDir(), "--media-root", "clips="+filepath.Join(filepath.Dir(ref)), "--workers", "0",
		"--set", "nats.listen=127.0.0.1:"+port, "--set", "nats.token_file="+token)
	stranger := process(t, "worker", "--nats", "nats://127.0.0.1:"+port, "--media-root", "clips="+t.TempDir())
	if out, err := stranger.CombinedOutput(); err == nil || stranger.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(out), "vqsd: connect to the queue: ") {
		t.Errorf("a worker without the token: %v, %s", err, out)
	}
	elsewhere := t.TempDir()
	for _, file := range []string{ref, dis} {
		if err := os.Link(file, filepath.Join(elsewhere, filepath.Base(file))); err != nil {
			t.Fatal(err)
		}
	}
	worker := process(t, "worker", "--nats", "nats://127.0.0.1:"+port, "--token-file", token, "--media-root", "clips="+elsewhere, "--slots", "1", "--threads", "1")
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	s.await(`msg="worker joined".*slots=1`)
	vqsd(t, "measure", "-r", "clips:ref.y4m", "-d", "clips:dis.y4m", "--server", s.grpc).want(t, exitDone)
	if err := worker.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := worker.Wait(); err != nil {
		t.Errorf("the worker ended with %v", err)
	}
	s.end(syscall.SIGTERM, exitDone)
}

// A service manager hears when the daemon is ready, that it lives, and when it ends; workers have no part in that.
func TestServiceManagerIsTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	hear := func(want string) {
		t.Helper()
		for b := make([]byte, 100); ; {
			n, err := l.Read(b)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if got := string(b[:n]); got == want {
				return
			} else if got != notifyAlive {
				t.Errorf("got %q while waiting for %q", got, want)
			}
		}
	}
	s := startServe(t, func(c *exec.Cmd) {
		c.Env = append(c.Env, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=200000")
	}, "--data", t.TempDir(), "--media-root", t.TempDir())
	hear(notifyReady)
	s.worker()
	hear(notifyAlive)
	hear(notifyAlive)
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hear(notifyStopping)
	s.lines.wait(nil)
}

// What keeps a daemon from starting is said together with what to do, and told from a configuration that cannot be.
func TestServeDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := writeFile(t, filepath.Join(dir, "file"), []byte("text\n"))
	open := filepath.Join(dir, "open.yaml")
	writeFile(t, open, []byte("tokens: [{name: a, token: 0123456789abcdef, rights: [read]}]\n")) // mode 644
	for name, row := range map[string]struct {
		args []string
		code int
		says string
	}{
		"port taken":               {[]string{"--listen", taken.Addr().String()}, exitFailed, "another program has that port: end it, or choose another with --listen"},
		"HTTP port taken":          {[]string{"--http-listen", taken.Addr().String()}, exitFailed, "choose another with --http-listen"},
		"address of another host":  {[]string{"--listen", "192.0.2.1:1", "--insecure"}, exitFailed, "this host does not have that address"},
		"open to all":              {[]string{"--listen", "0.0.0.0:0"}, exitUsage, "not a loopback address"},
		"media root missing":       {[]string{"--media-root", dir + "/none"}, exitFailed, "none: no such file or directory; it has to be a folder"},
		"media root a file":        {[]string{"--media-root", file}, exitFailed, "media root " + file},
		"data a file":              {[]string{"--data", file}, exitFailed, "open store " + file},
		"rules missing":            {[]string{"--rules", dir + "/none.yaml"}, exitFailed, "rules: open " + dir + "/none.yaml"},
		"rules that are none":      {[]string{"--rules", file}, exitFailed, file},
		"tokens missing":           {[]string{"--set", "auth.tokens=" + dir + "/none"}, exitFailed, "auth.tokens: open " + dir + "/none"},
		"tokens that all may read": {[]string{"--set", "auth.tokens=" + open}, exitFailed, "chmod 600"},
		"certificate missing":      {[]string{"--set", "tls.cert=" + dir + "/c", "--set", "tls.key=" + dir + "/k"}, exitFailed, "tls.cert " + dir + "/c"},
		"token of NATS missing":    {[]string{"--set", "nats.listen=127.0.0.1:0", "--set", "nats.token_file=" + dir + "/t"}, exitFailed, "nats.token_file: open"},
		"configuration missing":    {[]string{"--config", dir + "/none.yaml"}, exitFailed, "configuration: open"},
		"configuration that errs":  {[]string{"--config", file}, exitUsage, file + ":1: the configuration: want keys"},
		"unknown key":              {[]string{"--set", "limit.chunks=1"}, exitUsage, "did you mean limits.chunks?"},
		"value out of range":       {[]string{"--workers", "100"}, exitUsage, "--workers 100: want a whole number from 0 to 64"},
		"stray argument":           {[]string{"now"}, exitUsage, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"serve", "--listen", "127.0.0.1:0", "--http-listen", "", "--data", filepath.Join(t.TempDir(), "data"), "--media-root", dir, "--workers", "0"}, row.args...)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // one that does start
			defer cancel()
			var stderr strings.Builder
			code := run(ctx, withoutRoot(args, row.args), strings.NewReader(""), io.Discard, &stderr)
			answer{code: code, stderr: stderr.String()}.want(t, row.code, "vqsd: ", row.says)
		})
	}
	t.Run("working directory /", func(t *testing.T) {
		t.Chdir("/")
		vqsd(t, "serve", "--check-config").want(t, exitFailed, "the working directory, which would be it, is /")
	})
}

// withoutRoot leaves the default media root out where a row has its own.
func withoutRoot(args, row []string) []string {
	if len(row) == 0 || row[0] != "--media-root" {
		return args
	}
	var list []string
	for i := 0; i < len(args)-len(row); i++ {
		if args[i] == "--media-root" {
			i++
			continue
		}
		list = append(list, args[i])
	}
	return append(list, row...)
}

func TestCheckAndPrintConfig(t *testing.T) {
	dir := t.TempDir()
	got := vqsd(t, "serve", "--check-config", "--media-root", "clips="+dir, "--data", dir+"/d", "--listen", "127.0.0.1:1")
	got.want(t, exitDone)
	if want := "the configuration is good: gRPC at 127.0.0.1:1, data in " + dir + "/d, media roots clips=" + dir + "\n"; got.stdout != want {
		t.Errorf("got %q, want %q", got.stdout, want)
	}
	if _, err := os.Stat(dir + "/d"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("checking made the data directory: %v", err)
	}
	got = vqsd(t, "serve", "--check-config", "--media-root", dir+"/none", "--rules", dir+"/none.yaml", "--set", "auth.tokens="+dir+"/t")
	got.want(t, exitFailed, "media root", "rules: ", "auth.tokens: ")
	got = vqsd(t, "serve", "--print-config", "--workers", "3", "--set", "limits.chunks=7")
	got.want(t, exitDone)
	for _, want := range []string{"\n  local: 3\n", "\n  chunks: 7\n", "\n  lease: 15s\n"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("it does not print %q", want)
		}
	}
	vqsd(t, "serve", "--print-config", "--check-config").want(t, exitUsage, "check-config")
	vqsd(t, "worker").want(t, exitUsage, "--nats is missing")
	vqsd(t, "worker", "--nats", "http://x").want(t, exitUsage, "--nats http://x: want nats://HOST:PORT")
}

// The environment of a worker has the configuration of its daemon, and nothing that is not its business.
func TestWorkerEnvironment(t *testing.T) {
	c := defaultConfig()
	c.nats.url, c.nats.token, c.workers.slots, c.auth.tokens = "nats://127.0.0.1:9", "secret", 7, "/etc/tokens"
	list := workerEnvironment(c, []string{"HOME=/root", "NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=1", "VQSD_CONFIG=/etc/vqsd.yaml", "VQSD_WORKERS_SLOTS=1", "VQSD_CPU=plain"})
	again, err := configSource{environment: list}.read()
	if err != nil {
		t.Fatal(err)
	}
	if again.nats.token != "secret" || again.workers.slots != 7 || again.nats.url != c.nats.url || again.auth.tokens != "" {
		t.Errorf("the worker reads %+v", again)
	}
	text := "\n" + strings.Join(list, "\n") + "\n"
	for _, want := range []string{"\nHOME=/root\n", "\nVQSD_CPU=plain\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q", want)
		}
	}
	for _, not := range []string{"NOTIFY_SOCKET", "WATCHDOG", "VQSD_CONFIG", "VQSD_AUTH", "SLOTS=1\n"} {
		if strings.Contains(text, not) {
			t.Errorf("it has %q", not)
		}
	}
}

// Names ascend within a millisecond and when the clock is set back.
func TestNamer(t *testing.T) {
	n := newNamer()
	now := time.Now()
	last := n.name(now)
	for i := range 1000 {
		next := n.name(now.Add(-time.Duration(i) * time.Second))
		if next <= last || len(next) != 26 || strings.ToLower(string(next)) != string(next) {
			t.Fatalf("%s follows %s", next, last)
		}
		last = next
	}
}

func TestLastWords(t *testing.T) {
	for name, row := range map[string]struct{ stderr, want string }{
		"nothing said":          {"", "exit status 2"},
		"log lines":             {`{"msg":"task begun"}` + "\n", "exit status 2"},
		"panic":                 {`{"msg":"task begun"}` + "\npanic: index out of range\n\ngoroutine 1 [running]:\n", "exit status 2: panic: index out of range"},
		"signal in C":           {"SIGSEGV: segmentation violation\nPC=0x0\n", "exit status 2: SIGSEGV: segmentation violation"},
		"C++ exception":         {"terminate called after throwing an instance of 'std::bad_alloc'\n", "exit status 2: terminate called after throwing an instance of 'std::bad_alloc'"},
		"control characters":    {"panic: \x1b[31mred\n", "exit status 2: panic: \ufffd[31mred"},
		"a file called panic: ": {`{"ref":"panic: x"}` + "\n", "exit status 2"},
	} {
		if got := lastWords(supervise.Exit{Reason: "exit status 2", Stderr: row.stderr}); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

func TestHostMemory(t *testing.T) {
	if m := hostMemory(); m < 64<<20 || m > 1<<50 {
		t.Errorf("there are %d bytes of memory", m)
	}
}
