package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	vqsv1 "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/workflow/queue"
)

// killRounds is how often the test of killed processes kills one: some in the ordinary tests, VQSD_KILL_ROUNDS=100 by hand.
func killRounds(t *testing.T) int {
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	if text := os.Getenv("VQSD_KILL_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("VQSD_KILL_ROUNDS: %v", err)
		}
		rounds = n
	}
	return rounds
}

// natsRole is the test binary as a NATS server on the port that its argument names, until it is killed.
func natsRole(port string) int {
	n, err := strconv.Atoi(port)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if _, err := queue.StartServer(queue.ServerConfig{Host: "127.0.0.1", Port: n, Token: killToken, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	select {}
}

const killToken = "for-the-test-of-killed-processes"

// victim is a process of the rig that can be killed and started again.
type victim struct {
	t       *testing.T
	command func() *exec.Cmd
	running *exec.Cmd
	log     *logEnd
}

// logEnd keeps the end of what a process says.
type logEnd struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logEnd) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() > 8<<20 {
		l.b.Next(4 << 20)
	}
	return l.b.Write(p)
}

func (l *logEnd) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (v *victim) start() {
	v.t.Helper()
	v.running = v.command()
	v.running.Stderr = v.log
	v.running.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that panics cleans nothing up
	if err := v.running.Start(); err != nil {
		v.t.Fatal(err)
	}
}

func (v *victim) kill() {
	if v.running == nil {
		return
	}
	_ = v.running.Process.Kill() // it may have ended by itself; Wait says so
	_ = v.running.Wait()
	v.running = nil
}

// freePort is a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// daemonRig is a daemon in a process of its own, with clips to measure.
type daemonRig struct {
	t       *testing.T
	media   string
	address string
	daemon  *victim
	quality vqsv1.QualityServiceClient
	admin   vqsv1.AdminServiceClient
}

func newDaemonRig(t *testing.T, environment []string, flags ...string) *daemonRig {
	t.Helper()
	r := &daemonRig{t: t, media: t.TempDir()}
	r.address = "127.0.0.1:" + freePort(t)
	args := append([]string{"serve", "--listen", r.address, "--http-listen", "", "--data", filepath.Join(t.TempDir(), "data"), "--media-root", "media=" + r.media}, flags...)
	r.daemon = &victim{t: t, log: &logEnd{}, command: func() *exec.Cmd {
		c := exec.Command(os.Args[0], args...)
		c.Env = append(append(os.Environ(), roleEnvironment+"=program"), environment...)
		return c
	}}
	t.Cleanup(func() {
		r.daemon.kill()
		if t.Failed() {
			t.Logf("the daemon's log ends:\n%s", tail(r.daemon.log.String(), 8000))
		}
	})
	conn, err := grpc.NewClient(r.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	r.quality, r.admin = vqsv1.NewQualityServiceClient(conn), vqsv1.NewAdminServiceClient(conn)
	r.daemon.start()
	call(r, "GetServerInfo", func(ctx context.Context) (*vqsv1.GetServerInfoResponse, error) {
		return r.admin.GetServerInfo(ctx, &vqsv1.GetServerInfoRequest{})
	})
	return r
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }

// call repeats a call while the daemon is away.
func call[A any](r *daemonRig, what string, f func(ctx context.Context) (A, error)) A {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	for {
		answer, err := f(ctx)
		if err == nil {
			return answer
		}
		if status.Code(err) != codes.Unavailable || ctx.Err() != nil {
			r.t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(10 * time.Millisecond) // between tries to reach a process that announces nothing
	}
}

// submit asks for a measurement and returns its name.
func (r *daemonRig) submit(requestID string, spec *vqsv1.MeasurementSpec) string {
	r.t.Helper()
	return call(r, "MeasureQuality", func(ctx context.Context) (*vqsv1.MeasureQualityResponse, error) {
		return r.quality.MeasureQuality(ctx, &vqsv1.MeasureQualityRequest{Spec: spec, RequestId: requestID})
	}).GetMeasurement().GetName()
}

func (r *daemonRig) get(name string) *vqsv1.Measurement {
	r.t.Helper()
	return call(r, "GetQuality", func(ctx context.Context) (*vqsv1.GetQualityResponse, error) {
		return r.quality.GetQuality(ctx, &vqsv1.GetQualityRequest{Name: name})
	}).GetMeasurement()
}

// until waits for something that a process does not announce.
func (r *daemonRig) until(what string, holds func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
			defer cancel()
			queue, queueErr := r.admin.GetQueue(ctx, &vqsv1.GetQueueRequest{})
			workers, workersErr := r.admin.ListWorkers(ctx, &vqsv1.ListWorkersRequest{})
			r.t.Fatalf("waited in vain: %s\nqueue: %v %v\nworkers: %v %v", what, queue, queueErr, workers, workersErr)
		}
		time.Sleep(10 * time.Millisecond) // between looks
	}
}

// workers waits until n workers are there, and returns their process IDs.
func (r *daemonRig) workers(n int) []int {
	r.t.Helper()
	var pids []int
	r.until(fmt.Sprintf("there are %d workers", n), func() bool {
		answer := call(r, "ListWorkers", func(ctx context.Context) (*vqsv1.ListWorkersResponse, error) {
			return r.admin.ListWorkers(ctx, &vqsv1.ListWorkersRequest{})
		})
		pids = nil
		for _, w := range answer.GetWorkers() {
			if s := w.GetState(); s == vqsv1.WorkerState_WORKER_STATE_IDLE || s == vqsv1.WorkerState_WORKER_STATE_BUSY {
				pids = append(pids, int(w.GetPid()))
			}
		}
		return len(pids) >= n
	})
	return pids
}

// submission is a measurement that was asked for, and what has to come of it.
type submission struct {
	name       string
	renditions []string
	pairs      int64
}

// expectedScores are the pooled scores of the clips, measured in this process: rendition → series → pooling → figure.
func (r *daemonRig) expectedScores(ref string, dis ...string) map[string]map[string]map[string]float64 {
	r.t.Helper()
	args := []string{"measure", "-r", ref, "--json", "--pool", "mean,harmonic_mean,min,max,p1,p5,p50"}
	for _, d := range dis {
		args = append(args, "-d", d)
	}
	a := vqsd(r.t, args...)
	a.want(r.t, exitDone)
	var document struct {
		Renditions []struct {
			Video  struct{ Path string }
			Scores []struct {
				Name   string
				Pooled map[string]float64
			}
		}
	}
	if err := json.Unmarshal([]byte(a.stdout), &document); err != nil {
		r.t.Fatal(err)
	}
	all := map[string]map[string]map[string]float64{}
	for _, d := range document.Renditions {
		name := strings.TrimSuffix(filepath.Base(d.Video.Path), ".y4m")
		all[name] = map[string]map[string]float64{}
		for _, s := range d.Scores {
			all[name][s.Name] = s.Pooled
		}
	}
	return all
}

func TestKilledProcessesLoseNothing(t *testing.T) {
	for _, c := range []struct {
		name     string
		external bool
	}{{"the daemon and its workers", false}, {"and a NATS server of its own", true}} {
		t.Run(c.name, func(t *testing.T) { killRandomly(t, c.external) })
	}
}

// killRandom decides when to kill what. VQSD_KILL_SEED has it decide as it did before.
func killRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("VQSD_KILL_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("seed %d (VQSD_KILL_SEED)", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func killRandomly(t *testing.T, external bool) {
	random := killRandom(t)

	// With so many murders one chunk may meet three of them; that it then fails is right, and tested elsewhere.
	environment := []string{"VQSD_WORKERS_ATTEMPTS=50", "VQSD_WORKERS_LEASE=2s"}
	flags := []string{"--workers", "2"}
	var nats *victim
	if external {
		port := freePort(t)
		nats = &victim{t: t, log: &logEnd{}, command: func() *exec.Cmd {
			c := exec.Command(os.Args[0], port)
			c.Env = append(os.Environ(), roleEnvironment+"=nats")
			return c
		}}
		nats.start()
		t.Cleanup(nats.kill)
		environment = append(environment, "VQSD_NATS_TOKEN="+killToken)
		flags = append(flags, "--nats", "nats://127.0.0.1:"+port)
	}
	r := newDaemonRig(t, environment, flags...)
	const frames = 90
	ref := clipSpec{width: 160, height: 96, frames: frames}.write(t, r.media, "ref.y4m")
	names := []string{"low", "mid", "high"}
	var paths []string
	for i, name := range names {
		paths = append(paths, clipSpec{width: 160, height: 96, frames: frames, noise: 4 + 8*i}.write(t, r.media, name+".y4m"))
	}
	want := r.expectedScores(ref, paths...)

	var submitted []submission
	submit := func() {
		s := submission{}
		spec := &vqsv1.MeasurementSpec{Reference: &vqsv1.VideoSource{Uri: ref}, ChunkFrames: 3 + random.Int64N(20), NoCache: true,
			Models: []*vqsv1.ModelSpec{{Spec: "vmaf_v0.6.1"}}}
		for i, name := range names {
			if len(s.renditions) == 0 && i == len(names)-1 || random.IntN(2) == 0 {
				spec.Renditions = append(spec.Renditions, &vqsv1.RenditionSource{Source: &vqsv1.VideoSource{Uri: paths[i]}})
				s.renditions = append(s.renditions, name)
				s.pairs += frames
			}
		}
		s.name = r.submit(fmt.Sprintf("kill-%d", len(submitted)), spec)
		submitted = append(submitted, s)
	}
	for round := range killRounds(t) {
		submit()
		submit()
		time.Sleep(time.Duration(random.Int64N(int64(400 * time.Millisecond)))) // the random moment
		switch v := random.IntN(3); {
		case v == 0:
			pids := r.workers(1)
			pid := pids[random.IntN(len(pids))]
			t.Logf("round %d: kill worker %d", round, pid)
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone
		case v == 1 && nats != nil:
			t.Logf("round %d: kill NATS", round)
			nats.kill()
			nats.start()
		default:
			t.Logf("round %d: kill the daemon", round)
			r.daemon.kill()
			r.daemon.start()
		}
	}
	seen := map[string]bool{}
	for _, s := range submitted {
		if seen[s.name] {
			t.Errorf("%s was given twice", s.name)
		}
		seen[s.name] = true
		r.check(s, want)
	}
	r.checkListed(seen)
}

// check waits for a measurement to end and requires that its scores are those of one process, and that each pair was measured once.
func (r *daemonRig) check(s submission, want map[string]map[string]map[string]float64) {
	r.t.Helper()
	defer func() {
		if !r.t.Failed() {
			return
		}
		for line := range strings.Lines(r.daemon.log.String()) {
			if strings.Contains(line, strings.TrimPrefix(s.name, "measurements/")) {
				r.t.Log(strings.TrimSpace(line))
			}
		}
	}()
	var m *vqsv1.Measurement
	r.until(s.name+" finishes", func() bool {
		m = r.get(s.name)
		return m.GetFinishTime() != nil
	})
	if m.GetState() != vqsv1.MeasurementState_MEASUREMENT_STATE_SUCCEEDED {
		r.t.Errorf("%s: %v, %v, %v", s.name, m.GetState(), m.GetFailure(), m.GetRenditions())
		return
	}
	if got := m.GetProvenance().GetMeasuredPairs(); got != s.pairs {
		r.t.Errorf("%s: %d pairs were measured and recorded, of %d there are", s.name, got, s.pairs)
	}
	for k, d := range m.GetRenditions() {
		got := map[string]map[string]float64{}
		for _, score := range d.GetScores() {
			if score.GetModel() == "" {
				continue
			}
			got[score.GetSeries()] = map[string]float64{}
			for _, p := range score.GetPooled() {
				got[score.GetSeries()][p.GetPooling()] = p.GetValue()
			}
		}
		if diff := cmp.Diff(want[s.renditions[k]], got); diff != "" {
			r.t.Errorf("%s, rendition %s (−one process +daemon):\n%s", s.name, d.GetName(), diff)
		}
	}
}

// checkListed requires that the daemon lists just these measurements.
func (r *daemonRig) checkListed(want map[string]bool) {
	r.t.Helper()
	got := map[string]bool{}
	token := ""
	for {
		page := call(r, "ListMeasurements", func(ctx context.Context) (*vqsv1.ListMeasurementsResponse, error) {
			return r.quality.ListMeasurements(ctx, &vqsv1.ListMeasurementsRequest{PageSize: 7, PageToken: token})
		})
		for _, m := range page.GetMeasurements() {
			if got[m.GetName()] {
				r.t.Errorf("%s is listed twice", m.GetName())
			}
			got[m.GetName()] = true
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("listed (−want +got):\n%s", diff)
	}
}
