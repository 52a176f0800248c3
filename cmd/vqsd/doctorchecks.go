package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/kernels/cpu"
	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/store"
)

// What is enough.
const (
	enoughOpenFiles = 4096
	enoughFreeBytes = 2 << 30
	maxClockSkew    = 5 * time.Second
	maxQueueAge     = 10 * time.Minute // of a task while nothing runs
)

// importantCodecs are those that encoder farms make.
var importantCodecs = []string{"h264", "hevc", "av1", "vp9", "mpeg2video", "prores", "ffv1", "rawvideo"}

func (d *doctor) lookAtProgram() {
	d.found("program", good, "", "vqsd %s (%s), %s, %s/%s", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if err := cpu.EnvironmentError(); err != nil {
		d.found("processor", broken, "take "+cpu.TargetEnvironment+" out of the environment", "%v", err)
	} else if targets := cpu.Targets(); len(targets) == 1 {
		d.found("processor", warning, "measuring works, at a fraction of the speed: use a processor with AVX2 or NEON", "%s of it: no vector instructions that the kernels know", plural(int64(runtime.NumCPU()), "core"))
	} else {
		d.found("processor", good, "", "computes with %s, of %s; %s", cpu.Target(), strings.Join(targets, " "), plural(int64(runtime.NumCPU()), "core"))
	}
	libraries, release := decode.Libraries()
	var texts, wrong []string
	for _, l := range libraries {
		texts = append(texts, l.Name+" "+l.Running)
		if !l.Fits {
			wrong = append(wrong, fmt.Sprintf("%s %s, built with %s", l.Name, l.Running, l.Built))
		}
	}
	if len(wrong) > 0 {
		d.found("ffmpeg", broken, "install the FFmpeg that this program was built with, or build it again", "%s: %s", release, strings.Join(wrong, "; "))
	} else {
		d.found("ffmpeg", good, "", "%s: %s", release, strings.Join(texts, ", "))
	}
	var there, missing []string
	for _, codec := range importantCodecs {
		if decode.DecoderOf(codec) == "" {
			missing = append(missing, codec)
		} else {
			there = append(there, codec)
		}
	}
	if len(missing) > 0 {
		d.found("decoders", warning, "files of these codecs cannot be measured: install an FFmpeg that has their decoders", "missing: %s; there are %s", strings.Join(missing, ", "), strings.Join(there, ", "))
	} else {
		d.found("decoders", good, "", "%s", strings.Join(there, ", "))
	}
}

func (d *doctor) lookAtLimits() {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		d.found("open files", warning, "", "the limit is not known: %v", err)
	} else if limit.Max < enoughOpenFiles {
		d.found("open files", warning, fmt.Sprintf("raise it to %d or more: ulimit -Hn, or LimitNOFILE in the systemd unit", enoughOpenFiles), "at most %d", limit.Max)
	} else {
		d.found("open files", good, "", "at most %d", limit.Max)
	}
	memory := hostMemory()
	share := d.cfg.workers.memoryLimit
	if share == 0 {
		share = memory / 4 * 3 / int64(max(d.cfg.workers.local, 1))
	}
	if n := int64(d.cfg.workers.local); share*n > memory {
		d.found("memory", warning, "lower workers.memory_limit or workers.local", "%s, and %s may take %s each", roughSize(memory), plural(n, "worker"), roughSize(share))
	} else {
		d.found("memory", good, "", "%s; each local worker may take %s", roughSize(memory), roughSize(share))
	}
}

func (d *doctor) lookAtClock() {
	now := time.Now()
	var state unix.Timex
	code, err := unix.Adjtimex(&state)
	switch {
	case now.Year() < 2025 || now.Year() > 2100:
		d.found("clock", broken, "set it: names of measurements ascend in time", "it is %s", now.UTC().Format(time.RFC3339))
	case err == nil && code == unix.TIME_ERROR:
		d.found("clock", warning, "run an NTP client, so that times and deadlines mean the same on all hosts", "it is %s, and nothing sets it", now.UTC().Format(time.RFC3339))
	default:
		d.found("clock", good, "", "it is %s", now.UTC().Format(time.RFC3339))
	}
}

func (d *doctor) lookAtData() {
	dir, err := d.cfg.dataDir()
	if err != nil {
		d.found("data", broken, "", "%v", err)
		return
	}
	// What is not there yet is made below the nearest folder that is.
	there, info, err := nearestFolder(dir)
	switch {
	case err != nil:
		d.found("data", broken, "name another place with --data DIR", "%s: %v", dir, bare(err))
		return
	case !info.IsDir():
		d.found("data", broken, "name another place with --data DIR", "%s: %s is not a folder", dir, there)
		return
	}
	switch holder, err := storeHolder(dir); {
	case err != nil:
		d.found("data", broken, "let this user read it, or name another place with --data DIR", "%s: %v", dir, err)
	case holder != "":
		d.locked = true
		d.found("data", good, "", "%s, open in %s", dir, holder)
	case unix.Access(there, unix.W_OK|unix.X_OK) != nil:
		d.found("data", broken, "let this user write there, or name another place with --data DIR", "%s cannot be written to", there)
	case there != dir:
		d.found("data", good, "", "%s, which will be made", dir)
	default:
		d.found("data", good, "", "%s", dir)
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(there, &stat); err != nil {
		d.found("disk", warning, "", "free space is not known: %v", err)
		return
	}
	free, reserve := int64(stat.Bavail)*stat.Bsize, max(d.cfg.store.minFree, 256<<20, 2*d.cfg.store.memory)
	switch {
	case free < reserve:
		d.found("disk", broken, "make room, or name another place with --data DIR", "%s are free, and %s have to stay free (store.min_free): requests would be refused", roughSize(free), roughSize(reserve))
	case free < enoughFreeBytes:
		d.found("disk", warning, "make room before long", "%s are free at %s", roughSize(free), there)
	default:
		d.found("disk", good, "", "%s are free at %s", roughSize(free), there)
	}
}

// nearestFolder is a path, or the innermost part of it that is there.
func nearestFolder(path string) (string, fs.FileInfo, error) {
	for {
		info, err := os.Stat(path)
		if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return path, info, err
		}
		path = filepath.Dir(path)
	}
}

// storeHolder says which process has the store in a folder open; "": none has. Badger holds a lock on the folder itself.
func storeHolder(dir string) (holder string, err error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", bare(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }() // which gives the lock back
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); {
	case err == nil:
		return "", nil
	case !errors.Is(err, unix.EWOULDBLOCK):
		return "", fmt.Errorf("whether it is in use cannot be told: %w", err)
	}
	if pid, err := os.ReadFile(filepath.Join(dir, "LOCK")); err == nil && strings.TrimSpace(string(pid)) != "" {
		return "process " + strings.TrimSpace(string(pid)), nil
	}
	return "another process", nil
}

func (d *doctor) lookAtPorts() {
	for _, p := range []struct{ name, key, address string }{{"gRPC port", "listen", d.cfg.listen}, {"HTTP port", "http.listen", d.cfg.http.listen}} {
		if p.address == "" {
			d.found(p.name, good, "", "off")
			continue
		}
		l, err := net.Listen("tcp", p.address)
		switch {
		case err == nil:
			if err := l.Close(); err != nil {
				d.found(p.name, warning, "", "%s: %v", p.address, err)
				continue
			}
			d.found(p.name, good, "", "%s is free", p.address)
		case errors.Is(err, syscall.EADDRINUSE) && d.locked:
			d.found(p.name, good, "", "%s is taken, and a daemon runs", p.address)
		case errors.Is(err, syscall.EADDRINUSE):
			d.found(p.name, warning, "end the program that has it, or set "+p.key+" to another port", "%s is taken", p.address)
		default:
			d.found(p.name, broken, "set "+p.key+" to an address of this host", "%v", err)
		}
	}
}

func (d *doctor) lookAtMedia() {
	if roots, err := openRoots(d.cfg); err != nil {
		d.found("media roots", broken, "make them readable for this user, or name others with --media-root DIR", "%v", err)
	} else {
		d.found("media roots", good, "", "%s", rootTexts(roots))
	}
}

// lookAtFiles reads what the configuration names.
func (d *doctor) lookAtFiles() {
	_, rulesErr := readRules(d.cfg.rules)
	roots, err := d.cfg.roots()
	if err != nil {
		panic(err) // the configuration was checked
	}
	_, authErr := authOf(d.cfg, roots, slog.New(slog.DiscardHandler))
	_, tlsErr := tlsOf(d.cfg).Config()
	_, queueErr := queueAccess(d.cfg)
	if err := errors.Join(rulesErr, authErr, tlsErr, queueErr); err != nil {
		d.found("files", broken, "correct the configuration, or the files it names", "%v", err)
	} else {
		d.found("files", good, "", "those that the configuration names can be read")
	}
}

// lookAtServer asks a daemon. Its error is ctx's.
func (d *doctor) lookAtServer(ctx context.Context) (err error) {
	c, err := d.server.dial()
	if err != nil {
		d.found("daemon", broken, "", "%v", err)
		return nil
	}
	defer func() { err = errors.Join(err, c.close()) }()
	info, err := c.admin.GetServerInfo(ctx, &pb.GetServerInfoRequest{})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.found("daemon", broken, "", "%v", c.explain(ctx, err))
		return nil
	}
	d.found("daemon", good, "", "vqsd %s at %s, since %s", info.GetVersion(), c.address, info.GetStartTime().AsTime().Format(time.RFC3339))
	if info.GetVersion() != version || info.GetCommit() != commit {
		d.found("version", warning, "use the same version on both sides", "this is %s (%s), and the daemon %s (%s)", version, commit, info.GetVersion(), info.GetCommit())
	}
	health, err := healthpb.NewHealthClient(c.conn).Check(ctx, &healthpb.HealthCheckRequest{})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		d.found("health", broken, "", "%v", c.explain(ctx, err))
	case info.GetDraining():
		d.found("health", warning, "vqsd admin drain --resume has it take measurements again", "it is draining")
	case health.GetStatus() != healthpb.HealthCheckResponse_SERVING:
		d.found("health", broken, "see its log", "it says %s", health.GetStatus())
	default:
		d.found("health", good, "", "it says %s", health.GetStatus())
	}
	return d.lookAtWork(ctx, c)
}

// lookAtWork asks a daemon for its workers and its queue, which takes the right admin.
func (d *doctor) lookAtWork(ctx context.Context, c *client) error {
	workers, err := c.admin.ListWorkers(ctx, &pb.ListWorkersRequest{})
	if err == nil {
		d.judgeWorkers(workers.GetWorkers(), time.Now())
		var queue *pb.GetQueueResponse
		if queue, err = c.admin.GetQueue(ctx, &pb.GetQueueRequest{}); err == nil {
			d.judgeQueue(queue.GetClasses())
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.found("work", warning, "a token with the right admin sees workers and queue", "%v", c.explain(ctx, err))
	return nil
}

func (d *doctor) judgeWorkers(workers []*pb.Worker, now time.Time) {
	var alive, lost, others []string
	skew := time.Duration(0)
	for _, w := range workers {
		if w.GetState() == pb.WorkerState_WORKER_STATE_LOST {
			lost = append(lost, w.GetId())
			continue
		}
		alive = append(alive, fmt.Sprintf("%s on %s", w.GetDevice().GetBackend(), w.GetHost()))
		if w.GetVersion() != version {
			others = append(others, fmt.Sprintf("%s has %s", w.GetId(), w.GetVersion()))
		}
		skew = now.Sub(w.GetHeartbeatTime().AsTime()) // the last sign of life was a moment ago, by the daemon's clock
	}
	switch {
	case len(alive) == 0:
		d.found("workers", broken, "see the daemon's log for why they ended, or start some: vqsd worker --nats URL", "there are none; %d were lost lately", len(lost))
	case len(lost) > 0:
		d.found("workers", warning, "see the daemon's log for why", "%s; lost lately: %s", strings.Join(alive, ", "), strings.Join(lost, ", "))
	case len(others) > 0:
		d.found("workers", warning, "run the same version everywhere", "%s; of other versions: %s", strings.Join(alive, ", "), strings.Join(others, ", "))
	default:
		d.found("workers", good, "", "%s", strings.Join(alive, ", "))
	}
	if skew.Abs() > maxClockSkew && len(alive) > 0 {
		d.found("clocks", warning, "set both by NTP", "this host's and the daemon's are %v apart", skew.Round(time.Second))
	}
}

func (d *doctor) judgeQueue(classes []*pb.QueueClass) {
	var outstanding, running int64
	oldest := time.Duration(0)
	for _, q := range classes {
		outstanding += q.GetOutstanding()
		running += q.GetRunning()
		oldest = max(oldest, q.GetOldestAge().AsDuration())
	}
	switch {
	case outstanding == 0:
		d.found("queue", good, "", "nothing is outstanding")
	case running == 0 && oldest > maxQueueAge:
		d.found("queue", broken, "see the daemon's log: workers may lack the media root that a task needs", "%s outstanding, the oldest for %v, and none runs", plural(outstanding, "task"), oldest.Round(time.Second))
	default:
		d.found("queue", good, "", "%s outstanding, the oldest for %v; %d running", plural(outstanding, "task"), oldest.Round(time.Second), running)
	}
}

// lookAtStore reads a whole store.
func (d *doctor) lookAtStore(ctx context.Context) (err error) {
	if _, err := os.Stat(filepath.Join(d.storeDir, "MANIFEST")); err != nil {
		d.found("store", broken, "name the directory that vqsd serve has as --data", "%s: there is no store: %v", d.storeDir, bare(err))
		return nil
	}
	s, err := store.Open(ctx, storeConfig(d.cfg, d.storeDir, slog.New(slog.DiscardHandler), nil))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, store.ErrInUse):
		d.found("store", broken, "end the daemon first, or look at a backup that was restored elsewhere", "%v", err)
		return nil
	case errors.Is(err, store.ErrCorrupt):
		d.found("store", broken, "restore a backup: vqsd restore", "%v", err)
		return nil
	case err != nil:
		d.found("store", broken, "", "%v", err)
		return nil
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	report, err := s.Verify(ctx, nil)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		d.found("store", broken, "restore a backup: vqsd restore", "%v", err)
	case !report.OK():
		text := strings.Join(report.Problems, "\n")
		if report.Further > 0 {
			text += fmt.Sprintf("\nand %d more", report.Further)
		}
		d.found("store", broken, "restore a backup: vqsd restore", "%s", text)
	default:
		d.found("store", good, "", "%s: %s, %s of features, index entries: %d; all in order", d.storeDir,
			plural(report.Measurements, "measurement"), plural(report.Columns, "run"), report.IndexEntries)
	}
	return nil
}
