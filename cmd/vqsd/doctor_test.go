package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// diagnose runs doctor --json, and returns what was found, by name.
func diagnose(t *testing.T, args ...string) (map[string]finding, answer) {
	t.Helper()
	got := vqsd(t, append([]string{"doctor", "--json", "--set", "listen=127.0.0.1:0", "--set", "http.listen=127.0.0.1:0"}, args...)...)
	var d doctorDocument
	if err := json.Unmarshal([]byte(got.stdout), &d); err != nil {
		t.Fatalf("%v: %s%s", err, got.stdout, got.stderr)
	}
	found := map[string]finding{}
	n := 0
	for _, f := range d.Findings {
		found[f.Name] = f
		if f.State == broken {
			n++
		}
	}
	if n != d.Broken || (n > 0) != (got.code == exitFailed) || (n == 0) != (got.code == exitDone) {
		t.Errorf("status %d, %d broken of %+v", got.code, d.Broken, d.Findings)
	}
	return found, got
}

func TestDoctorHere(t *testing.T) {
	dir := t.TempDir()
	found, got := diagnose(t, "--data", dir+"/data", "--media-root", dir)
	got.want(t, exitDone)
	for _, name := range []string{"program", "processor", "ffmpeg", "decoders", "open files", "memory", "clock", "data", "disk", "gRPC port", "HTTP port", "media roots", "files"} {
		if f := found[name]; f.Text == "" || f.State == broken {
			t.Errorf("%s: %+v", name, f)
		}
	}
	folderHas(t, dir)
	text := vqsd(t, "doctor", "--data", dir+"/none/data", "--media-root", dir+"/none", "--set", "listen=127.0.0.1:0")
	text.want(t, exitFailed, "vqsd: broken: 1 of ")
	for _, want := range []string{"broken   media roots  media root " + dir + "/none: open ", "→ make them readable", "none/data, which will be made"} {
		if !strings.Contains(text.stdout, want) {
			t.Errorf("it does not say %q:\n%s", want, text.stdout)
		}
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "file"), []byte("x"))
	port := freePort(t)
	for name, row := range map[string]struct {
		args  []string
		thing string
		says  string
	}{
		"data is a file":          {[]string{"--data", file}, "data", "is not a folder"},
		"data below a file":       {[]string{"--data", file + "/data"}, "data", "not a directory"},
		"too little room":         {[]string{"--set", "store.min_free=1000TiB"}, "disk", "have to stay free"},
		"rules missing":           {[]string{"--set", "rules=" + dir + "/none"}, "files", "rules: open"},
		"address of another host": {[]string{"--set", "listen=192.0.2.1:1", "--set", "insecure=true"}, "gRPC port", "cannot assign"},
		"no daemon":               {[]string{"--server", "127.0.0.1:" + port}, "daemon", "cannot be reached"},
		"no store":                {[]string{"--store", dir}, "store", "there is no store"},
	} {
		t.Run(name, func(t *testing.T) {
			found, got := diagnose(t, append([]string{"--data", filepath.Join(t.TempDir(), "data"), "--media-root", dir}, row.args...)...)
			got.want(t, exitFailed)
			if f := found[row.thing]; f.State != broken || !strings.Contains(f.Text, row.says) {
				t.Errorf("got %+v", f)
			}
		})
	}
	vqsd(t, "doctor", "--set", "limits.chunks=none").want(t, exitUsage, "limits.chunks=none")
	vqsd(t, "doctor", "--server", "host:port:x").want(t, exitUsage, "--server host:port:x")
}

// A running daemon is looked at, its store is not, and after its end the store is.
func TestDoctorOfADaemon(t *testing.T) {
	ref, dis := pair(t, 10)
	data := t.TempDir()
	s := startServe(t, nil, "--data", data, "--media-root", filepath.Dir(ref))
	s.worker()
	vqsd(t, "measure", "-r", ref, "-d", dis, "--server", s.grpc).want(t, exitDone)
	found, got := diagnose(t, "--data", data, "--media-root", filepath.Dir(ref), "--server", s.grpc)
	got.want(t, exitDone)
	for name, want := range map[string]string{
		"data": "open in process ", "daemon": "vqsd " + version + " at " + s.grpc, "health": "SERVING", "workers": "cpu (", "queue": "nothing is outstanding",
	} {
		if f := found[name]; f.State != good || !strings.Contains(f.Text, want) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	found, _ = diagnose(t, "--data", data, "--media-root", filepath.Dir(ref), "--store", data)
	if f := found["store"]; f.State != broken || !strings.Contains(f.Text, "has it open") {
		t.Errorf("a store in use: %+v", f)
	}
	vqsd(t, "admin", "drain", "--server", s.grpc).want(t, exitDone)
	found, got = diagnose(t, "--data", data, "--media-root", filepath.Dir(ref), "--server", s.grpc)
	got.want(t, exitDone)
	if f := found["health"]; f.State != warning || !strings.Contains(f.Advice, "--resume") {
		t.Errorf("while it drains: %+v", f)
	}
	if code, text := s.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "draining") {
		t.Errorf("while it drains /readyz gives %d, %q", code, text)
	}
	s.end(syscall.SIGTERM, exitDone)
	found, got = diagnose(t, "--data", data, "--media-root", filepath.Dir(ref), "--store", data)
	got.want(t, exitDone)
	if f := found["store"]; f.State != good || !strings.Contains(f.Text, "1 measurement") {
		t.Errorf("a store at rest: %+v", f)
	}
	damageTables(t, data)
	found, got = diagnose(t, "--data", data, "--media-root", filepath.Dir(ref), "--store", data)
	got.want(t, exitFailed)
	if f := found["store"]; f.State != broken || !strings.Contains(f.Advice, "restore") {
		t.Errorf("a damaged store: %+v", f)
	}
}

// damageTables overwrites the middle of every table of a store.
func damageTables(t *testing.T, dir string) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("the store has no tables: %v", err)
	}
	for _, name := range tables {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		copy(text[len(text)/3:], strings.Repeat("damage", 20))
		writeFile(t, name, text)
	}
}

func TestDoctorJudges(t *testing.T) {
	now := time.Now()
	worker := func(state pb.WorkerState, of string, silent time.Duration) *pb.Worker {
		return &pb.Worker{Id: "w", Host: "h", Version: of, State: state, Device: &pb.Device{Backend: "cpu (plain)"}, HeartbeatTime: timestamppb.New(now.Add(-silent))}
	}
	class := func(outstanding, running int64, age time.Duration) *pb.QueueClass {
		return &pb.QueueClass{Outstanding: outstanding, Running: running, OldestAge: durationpb.New(age)}
	}
	idle, lost := pb.WorkerState_WORKER_STATE_IDLE, pb.WorkerState_WORKER_STATE_LOST
	for name, row := range map[string]struct {
		workers []*pb.Worker
		queue   []*pb.QueueClass
		thing   string
		want    verdict
	}{
		"a worker":                         {[]*pb.Worker{worker(idle, version, 0)}, nil, "workers", good},
		"no worker":                        {nil, nil, "workers", broken},
		"a lost one only":                  {[]*pb.Worker{worker(lost, version, 0)}, nil, "workers", broken},
		"one was lost":                     {[]*pb.Worker{worker(idle, version, 0), worker(lost, version, 0)}, nil, "workers", warning},
		"another version":                  {[]*pb.Worker{worker(idle, "0.1", 0)}, nil, "workers", warning},
		"clocks apart":                     {[]*pb.Worker{worker(idle, version, time.Minute)}, nil, "clocks", warning},
		"nothing to do":                    {nil, []*pb.QueueClass{class(0, 0, 0)}, "queue", good},
		"long queue that moves":            {nil, []*pb.QueueClass{class(9, 1, time.Hour)}, "queue", good},
		"young queue that does not move":   {nil, []*pb.QueueClass{class(9, 0, time.Minute)}, "queue", good},
		"queue that has long stood still":  {nil, []*pb.QueueClass{class(1, 0, 0), class(2, 0, time.Hour)}, "queue", broken},
		"classes of which one still moves": {nil, []*pb.QueueClass{class(1, 1, 0), class(2, 0, time.Hour)}, "queue", good},
	} {
		t.Run(name, func(t *testing.T) {
			d := &doctor{}
			d.judgeWorkers(row.workers, now)
			d.judgeQueue(row.queue)
			for _, f := range d.findings {
				if f.Name == row.thing {
					if f.State != row.want {
						t.Errorf("got %+v", f)
					}
					return
				}
			}
			t.Errorf("nothing was found of %s: %+v", row.thing, d.findings)
		})
	}
}
