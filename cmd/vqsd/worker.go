package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/server/telemetry"
	"github.com/vqsd/vqsd/workflow/queue"
	"github.com/vqsd/vqsd/workflow/supervise"
	worklayer "github.com/vqsd/vqsd/workflow/worker"
)

const workerLong = `Do the tasks of a daemon: open videos, decode them and measure. vqsd serve starts
workers of its own on its host; this joins others, through a NATS server that
both reach (nats.url or nats.listen of the daemon).

Media roots have the names that they have at the daemon; the folders may be
elsewhere. The configuration is that of vqsd serve, of which workers look at the
keys that are marked so.

On SIGTERM or SIGINT it finishes what it does, for drain_timeout at most, gives
back the rest, and ends.`

func (a *app) workerCommand() *cobra.Command {
	var flags configFlags
	c := &cobra.Command{
		Use:   "worker",
		Short: "measure for a daemon, here or on another host",
		Long:  workerLong,
		Example: `  vqsd worker --nats nats://daemon-host:4222 --token-file token --media-root clips=/mnt/clips
  vqsd worker --config worker.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.source(os.Environ()).read()
			if err != nil {
				return err
			}
			if cfg.nats.url == "" {
				return usagef("--nats is missing: the address of the NATS server, such as nats://daemon-host:4222")
			}
			if err := cpu.EnvironmentError(); err != nil {
				return &usageError{err}
			}
			endOrderly(cmd.Context())
			return a.worker(cmd.Context(), cfg)
		},
	}
	c.Flags().SortFlags = false
	flags.define(c, "nats", "nats.url", "URL", "take tasks from the NATS server at `URL`")
	flags.define(c, "token-file", "nats.token_file", "FILE", "get in with the token in `FILE`")
	flags.define(c, "credentials", "nats.credentials", "FILE", "get in with the credentials in `FILE`, as nsc writes it")
	flags.define(c, "ca", "nats.ca", "FILE", "check the server's certificate against those in `FILE`, PEM")
	flags.define(c, "media-root", "media_roots", "[NAME=]DIR", "read videos below `[NAME=]DIR` only; repeatable (default the working directory)")
	flags.define(c, "slots", "workers.slots", "N", "do `N` tasks at a time (default 2)")
	flags.define(c, "threads", "workers.threads", "N", "measure `N` frames of each task at a time (default one for each processor)")
	flags.define(c, "memory-limit", "workers.memory_limit", "SIZE", "end above `SIZE` of memory (default three quarters of the host's)")
	flags.define(c, "device", "workers.device", "DEVICE", "compute on `DEVICE` auto (default), cpu, cuda, or with a GPU's number auto:N or cuda:N")
	flags.define(c, "log-level", "log.level", "LEVEL", "log `LEVEL` and what is more severe: debug, info (default), warn, error")
	flags.define(c, "log-format", "log.format", "FORMAT", "log as `FORMAT` text (default) or json")
	flags.defineFile(c)
	completeConfigFlags(c)
	return c
}

// oomScore makes the kernel end a worker, which costs an attempt at a chunk, before it ends the daemon. proc(5), oom_score_adj.
const oomScore = "500"

// worker works until ctx ends, or the daemon that started it does.
func (a *app) worker(ctx context.Context, cfg *config) (err error) {
	log := a.logger(cfg)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if gone := supervise.ParentGone(); gone != nil {
		go func() { // for as long as the process lives
			<-gone
			os.Exit(exitFailed) // whoever would take the results is not there
		}()
	}
	limit := cfg.workers.memoryLimit
	if limit == 0 {
		limit = hostMemory() / 4 * 3
	}
	// Pictures and FFmpeg's memory are not Go's. The collector need not hurry before Go itself has half of what there is.
	debug.SetMemoryLimit(limit / 2)
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(oomScore), 0); err != nil {
		log.Debug("the kernel is not told to end workers first", "err", err)
	}
	roots, err := openRoots(cfg)
	if err != nil {
		return err
	}
	access, err := queueAccess(cfg)
	if err != nil {
		return err
	}
	tracing, err := telemetry.NewTracing(ctx, telemetry.TracingConfig{
		Endpoint: cfg.telemetry.otlpEndpoint, Ratio: cfg.telemetry.traceRatio, Service: "vqsd worker", Version: version, Logger: log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTracing(tracing, log)) }()
	host := hostName()
	hc := handlerConfig{
		Host: host, Roots: map[string]string{}, Device: engine.Device(cfg.workers.device), DeviceMemory: cfg.workers.deviceMemory, Decoding: engine.Decoding(cfg.workers.decoding), Threads: cfg.workers.threads, Limits: cfg.limits.decode,
		Keep: cfg.workers.keepOpen, KeepFor: cfg.workers.keepOpenFor, Logger: log,
	}
	var names []string
	for _, r := range roots {
		hc.Roots[r.Name] = r.Dir
		names = append(names, r.Name)
	}
	handler, err := newHandler(hc)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, handler.Close()) }()
	log.Info("connecting to the queue", "urls", withoutSecrets(access.urls), "media_roots", rootTexts(roots), "device", handler.Device().Backend)
	conn, err := queue.Connect(ctx, queue.Config{
		URLs: access.urls, Token: access.token, User: access.user, Password: access.password, CredentialsFile: access.credentials, TLS: access.tls,
		Prefix: cfg.nats.prefix, Name: "vqsd worker on " + host, Logger: log,
	})
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("connect to the queue: %w", err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.Background(), queueGrace)
		defer cancel()
		err = errors.Join(err, conn.Close(closing))
	}()
	return worklayer.Run(ctx, worklayer.Config{
		Conn: conn, Handler: handler, ID: workerID(host, time.Now()), Host: host, Version: version, Roots: names, Slots: cfg.workers.slots,
		TaskTimeout: cfg.workers.taskTimeout, MemoryLimit: limit, DrainGrace: cfg.drainTimeout, ResultPatience: cfg.workers.resultPatience,
		Tracer: tracing.Provider().Tracer("github.com/vqsd/vqsd/workflow/worker"), Logger: log,
	})
}

// workerID is new with every process, and says where it is.
func workerID(host string, now time.Time) string {
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), strings.ToLower(ulid.MustNew(ulid.Timestamp(now), rand.Reader).String())[16:])
}
