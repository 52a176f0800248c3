package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
	grpcserver "github.com/vqsd/vqsd/server/grpc"
	httpserver "github.com/vqsd/vqsd/server/http"
	"github.com/vqsd/vqsd/server/telemetry"
	"github.com/vqsd/vqsd/server/watch"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
	"github.com/vqsd/vqsd/workflow/queue"
)

// What the steps of a shutdown may take beside drain_timeout.
const (
	callsGrace     = 5 * time.Second // calls under way, once workers have ended
	queueGrace     = 5 * time.Second // answers to workers of other hosts
	tracesGrace    = 3 * time.Second
	childGrace     = 10 * time.Second // a worker that has been told to give its tasks back
	checkTimeout   = 2 * time.Second  // a look at the store
	removeInterval = 24 * time.Hour   // between removals of unused features
)

// daemon is a running vqsd serve. Its fields are set by start, in the order in which close undoes them backwards.
type daemon struct {
	cfg *config
	log *slog.Logger
	say io.Writer // people

	roots    []auth.Root
	registry *prometheus.Registry
	tracing  *telemetry.Tracing
	store    *store.Store
	queue    *queue.Server // nil: another's is used
	conn     *queue.Conn
	workflow *workflow.Service
	running  atomic.Pointer[workflow.Service] // the same, for the connection that is made before it
	grpc     *grpcserver.Server
	http     *httpserver.Server // nil: off
	workers  *localWorkers
	watcher  *watch.Watcher       // nil: no folder is watched
	tell     func(watch.Event)    // hears what happens in watched folders; nil: nobody
	watching func(*watch.Watcher) // is called when watching has begun; nil: nothing is

	grpcListener, httpListener net.Listener
	closers                    []func() error // last first
}

func (d *daemon) onClose(f func() error) { d.closers = append(d.closers, f) }

// close undoes what start has done.
func (d *daemon) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	d.closers = nil
	return errors.Join(errs...)
}

// start makes everything ready, and has nothing running yet but the queue and the local workers' supervisors.
func (d *daemon) start(ctx context.Context) (err error) {
	if d.roots, err = openRoots(d.cfg); err != nil {
		return err
	}
	set, err := readRules(d.cfg.rules)
	if err != nil {
		return err
	}
	authority, err := authOf(d.cfg, d.roots, d.log)
	if err != nil {
		return err
	}
	encryption, err := tlsOf(d.cfg).Config()
	if err != nil {
		return err
	}
	roots, err := auth.NewRoots(d.roots)
	if err != nil {
		return err
	}
	d.registry = telemetry.NewRegistry(version, commit)
	if d.tracing, err = d.newTracing(ctx, "vqsd serve"); err != nil {
		return err
	}
	if err := d.openStore(ctx); err != nil {
		return err
	}
	if err := d.listen(); err != nil {
		return err
	}
	access, err := d.openQueue(ctx)
	if err != nil {
		return err
	}
	if d.workflow, err = workflow.New(workflow.Config{
		Store: d.store, Transport: d.conn, Rules: set, Version: version,
		Attempts: d.cfg.workers.attempts, Lease: d.cfg.workers.lease, RetryDelay: d.cfg.workers.retryDelay,
		Window: d.cfg.queue.window, ReconcileInterval: d.cfg.queue.reconcileInterval,
		Limits: workflow.Limits{
			Measurements: d.cfg.limits.outstandingMeasurements, OwnerMeasurements: d.cfg.limits.ownerMeasurements, Chunks: d.cfg.limits.chunks,
		},
		Logger: d.log, Registerer: d.registry, Tracer: d.tracing.Provider().Tracer("github.com/vqsd/vqsd/workflow"), NewID: newNamer().name,
	}); err != nil {
		return err
	}
	d.running.Store(d.workflow)
	if err := d.openWatcher(roots); err != nil {
		return err
	}
	if err := d.openServers(authority, roots, encryption); err != nil {
		return err
	}
	d.workers = &localWorkers{daemon: d, access: access}
	return nil
}

// openWatcher looks at the folders that are to be watched.
func (d *daemon) openWatcher(roots auth.Roots) (err error) {
	if len(d.cfg.watch) == 0 {
		return nil
	}
	if err := checkWatched(d.cfg, roots); err != nil {
		return err
	}
	d.watcher, err = watch.New(watch.Config{
		Folders: d.cfg.watch, Roots: roots, Ledger: d.store, Workflow: d.workflow, Version: version,
		Logger: d.log, Registerer: d.registry, Tell: d.tell,
	})
	return err
}

func (d *daemon) newTracing(ctx context.Context, service string) (*telemetry.Tracing, error) {
	t, err := telemetry.NewTracing(ctx, telemetry.TracingConfig{
		Endpoint: d.cfg.telemetry.otlpEndpoint, Ratio: d.cfg.telemetry.traceRatio, Service: service, Version: version, Logger: d.log,
	})
	if err != nil {
		return nil, err
	}
	d.onClose(func() error { return closeTracing(t, d.log) })
	return t, nil
}

// closeTracing sends the last traces. That a collector does not take them is worth a line, and no failure of ours.
func closeTracing(t *telemetry.Tracing, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), tracesGrace)
	defer cancel()
	if err := t.Close(ctx); err != nil {
		log.Warn("traces are lost", "err", err)
	}
	return nil
}

func (d *daemon) openStore(ctx context.Context) error {
	dir, err := d.cfg.dataDir()
	if err != nil {
		return err
	}
	d.store, err = store.Open(ctx, storeConfig(d.cfg, dir, d.log, d.registry))
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; the data directory has to be writable for this user: choose another with --data DIR", err)
	case err != nil:
		return err
	}
	d.onClose(d.store.Close)
	return nil
}

// storeConfig is the store's part of the configuration.
func storeConfig(cfg *config, dir string, log *slog.Logger, registry prometheus.Registerer) store.Config {
	return store.Config{
		Dir: dir, Logger: log, MinFreeBytes: cfg.store.minFree, MemoryBytes: cfg.store.memory, RequestIDLife: cfg.store.requestIDLife, Registerer: registry,
	}
}

// listen takes the ports.
func (d *daemon) listen() (err error) {
	if d.grpcListener, err = listenAt(d.cfg.listen, "--listen"); err != nil {
		return err
	}
	d.onClose(closeListener(d.grpcListener))
	if d.cfg.http.listen == "" {
		return nil
	}
	if d.httpListener, err = listenAt(d.cfg.http.listen, "--http-listen"); err != nil {
		return err
	}
	d.onClose(closeListener(d.httpListener))
	return nil
}

// closeListener closes a listener that nobody may have served on.
func closeListener(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// listenAt listens, or says what to do.
func listenAt(address, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	advice := ""
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		advice = "; another program has that port: end it, or choose another with " + flag
	case errors.Is(err, syscall.EACCES):
		advice = "; this user may not: choose a port from 1024 on with " + flag
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "; this host does not have that address: choose another with " + flag
	}
	return nil, fmt.Errorf("%w%s", err, advice)
}

func (d *daemon) openServers(authority *auth.Auth, roots auth.Roots, encryption *tls.Config) (err error) {
	l := d.cfg.limits
	if d.grpc, err = grpcserver.New(grpcserver.Config{
		Workflow: d.workflow, Store: d.store, Auth: authority, Roots: roots, TLS: encryption, Version: version, Commit: commit, Folders: d.folders,
		Limits: grpcserver.Limits{
			RequestsPerSecond: l.requestsPerSecond, RequestBurst: l.requestBurst, WatchStreams: l.watchStreams, Streams: l.streamsPerConnection,
			Connections: l.connections, MessageBytes: int(l.messageSize), StalledStream: l.stalledStream, Rescores: l.rescoreConcurrency,
			ImportBytes: l.importSize, ImportStreams: l.importStreams,
		},
		Logger: d.log, Registerer: d.registry, TracerProvider: d.tracing.Provider(),
	}); err != nil {
		return err
	}
	if d.httpListener == nil {
		return nil
	}
	d.http, err = httpserver.New(httpserver.Config{
		Auth: authority, Gatherer: d.registry, Ready: d.ready, TLS: encryption, Pprof: d.cfg.telemetry.pprof, Version: version,
		API: d.grpcListener.Addr().String(), Logger: d.log,
	})
	return err
}

// ready says why a measurement would not be taken.
func (d *daemon) ready(ctx context.Context) error {
	if d.workflow.Draining() {
		return workflow.ErrDraining
	}
	if !d.conn.Connected() {
		return errors.New("the queue is not connected")
	}
	if st := d.store.Stats(); st.FreeBytes >= 0 && st.FreeBytes < st.ReserveBytes {
		return fmt.Errorf("%w: %s are free, and %s have to stay free (store.min_free)", store.ErrFull, roughSize(st.FreeBytes), roughSize(st.ReserveBytes))
	}
	return d.alive(ctx)
}

// alive says whether the store answers.
func (d *daemon) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if _, err := d.store.QueueDepths(ctx); err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	return nil
}

// run serves until ctx ends or a part fails, and then ends everything in order.
func (d *daemon) run(ctx context.Context) error {
	parts, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	serving, stopWorkflow := context.WithCancel(failed)
	defer stopWorkflow()
	parts.Go(func() error { return named("workflow", d.workflow.Run(serving)) })
	stopWatching := d.watchFolders(serving, parts)
	shutdown := func() error { return d.shutdown(stopWatching, stopWorkflow) }
	parts.Go(func() error { return named("gRPC server", d.grpc.Serve(d.grpcListener)) })
	if d.http != nil {
		parts.Go(func() error { return named("HTTP server", d.http.Serve(d.httpListener)) })
	}
	parts.Go(func() error { d.removeUnused(serving); return nil })
	parts.Go(func() error { d.watchdog(serving); return nil })
	if err := d.workers.start(); err != nil {
		return errors.Join(err, shutdown(), parts.Wait())
	}
	parts.Go(func() error { d.workers.watch(serving); return nil })
	d.announce()
	notify(d.log, notifyReady)
	select {
	case <-ctx.Done():
		d.log.Info("told to end", "drain_timeout", d.cfg.drainTimeout)
	case <-failed.Done():
		d.log.Error("a part has failed, and the rest ends with it")
	}
	notify(d.log, notifyStopping)
	return errors.Join(shutdown(), parts.Wait())
}

// folders says how far the work on watched folders is.
func (d *daemon) folders() []*pb.WatchFolder {
	if d.watcher == nil {
		return nil
	}
	var list []*pb.WatchFolder
	for _, f := range d.watcher.Status() {
		folder := &pb.WatchFolder{
			Name: f.Name, Path: f.Path, Files: int64(f.Files), Titles: int64(f.Titles), Incomplete: int64(f.Incomplete), Waiting: int64(f.Waiting),
			Measuring: int64(f.Measuring), Done: int64(f.Done), Failed: int64(f.Failed), ScanDuration: durationpb.New(f.ScanDuration), Trouble: f.Err,
		}
		if !f.LastScan.IsZero() {
			folder.ScanTime = timestamppb.New(f.LastScan)
		}
		list = append(list, folder)
	}
	return list
}

// watchFolders begins to watch, and returns what ends that and waits for it.
func (d *daemon) watchFolders(ctx context.Context, parts *errgroup.Group) (stop func()) {
	if d.watcher == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	parts.Go(func() error {
		defer close(ended)
		return d.watcher.Run(ctx)
	})
	if d.watching != nil {
		d.watching(d.watcher)
	}
	return func() {
		cancel()
		<-ended
	}
}

// shutdown ends the parts that run, in order. What is left is the queue and the store, which close does.
func (d *daemon) shutdown(stopWatching, stopWorkflow func()) error {
	d.workflow.Drain(true)   // takes no more measurements
	d.grpc.SetServing(false) // says so
	stopWatching()
	err := d.workers.stop() // finish or give back, and tell the workflow
	err = errors.Join(err, d.shutServers())
	stopWorkflow()
	return err
}

// shutServers ends calls. Clients that do not end theirs in time are cut off, which is not our failure.
func (d *daemon) shutServers() error {
	ctx, cancel := context.WithTimeout(context.Background(), callsGrace)
	defer cancel()
	servers := []func(context.Context) error{d.grpc.Shutdown}
	if d.http != nil {
		servers = append(servers, d.http.Shutdown)
	}
	var errs []error
	for _, shutdown := range servers {
		if err := shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
			d.log.Warn("calls that did not end were cut off", "after", callsGrace)
		} else if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// announce says where the daemon is and what it may read.
func (d *daemon) announce() {
	where, http := d.grpcListener.Addr().String(), "off"
	if d.httpListener != nil {
		http = d.httpListener.Addr().String()
	}
	dir, err := d.cfg.dataDir()
	if err != nil {
		panic(err) // the store is there
	}
	if telemetry.Format(d.cfg.log.format) == telemetry.JSON {
		d.log.Info("serving", "listen", where, "http", http, "data", dir, "media_roots", rootTexts(d.roots), "workers", d.cfg.workers.local)
		return
	}
	fmt.Fprintf(d.say, "vqsd: serving at %s (http %s); media roots: %s; data in %s\n", where, http, printable(rootTexts(d.roots)), printable(dir))
}

// removeUnused removes features that nobody has needed for long, at the start and once a day.
func (d *daemon) removeUnused(ctx context.Context) {
	if d.cfg.store.keepUnused == 0 {
		return
	}
	tick := time.NewTicker(removeInterval)
	defer tick.Stop()
	for {
		removed, err := d.store.RemoveUnused(ctx, d.cfg.store.keepUnused)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			d.log.Warn("unused features could not be removed", "err", err)
		case removed > 0:
			d.log.Info("unused features removed", "runs", removed)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// named says which part an error is of.
func named(part string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	return nil
}

// roughSize is a size for people.
func roughSize(bytes int64) string {
	for _, unit := range byteUnits {
		if bytes >= unit.bytes {
			return strconv.FormatFloat(float64(bytes)/float64(unit.bytes), 'f', 1, 64) + " " + unit.name
		}
	}
	return strconv.FormatInt(bytes, 10) + " B"
}

// namer makes names of measurements. They ascend, even where several are made within a millisecond or the clock is set back.
type namer struct {
	// mu guards the fields below.
	mu      sync.Mutex
	last    uint64 // milliseconds
	entropy *ulid.MonotonicEntropy
}

func newNamer() *namer { return &namer{entropy: ulid.Monotonic(ulid.DefaultEntropy(), 0)} }

func (n *namer) name(now time.Time) store.MeasurementID {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = max(n.last, ulid.Timestamp(now))
	id, err := ulid.New(n.last, n.entropy)
	for err != nil { // 2^80 names have been used up in this millisecond, or its random beginning was next to the end
		n.last++
		id, err = ulid.New(n.last, n.entropy)
	}
	return store.MeasurementID(strings.ToLower(id.String()))
}

// hostName tells this host apart from others: stamps of files mean something on one only.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		name = "localhost"
	}
	// Hosts may share a name; each has an ID of its own, but for containers, which have names of their own.
	if id, err := os.ReadFile("/etc/machine-id"); err == nil {
		if text := strings.TrimSpace(string(id)); len(text) >= 8 {
			name += "-" + text[:8]
		}
	}
	return name
}

// scratchDir is where the queue's own server keeps what it wants a folder for.
func scratchDir(data string) string { return filepath.Join(data, "queue") }
