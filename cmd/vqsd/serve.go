package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/server/telemetry"
)

const serveLong = `Run the daemon: it takes measurements over gRPC, keeps what was measured in its
store, and hands chunks of work to worker processes, of which it starts one by
itself. It needs no configuration: it then listens on loopback, keeps its data
in the user's data directory, and reads videos below the working directory.

Every flag has a key in the configuration, and many keys have no flag of their
own: --set reaches them, or a file, or a variable such as VQSD_LIMITS_CHUNKS.
--print-config prints them all.

On SIGTERM or SIGINT it takes no more, lets workers finish for drain_timeout,
gives back what they have not finished, and ends. What was acknowledged is on
the disk at any moment, so that killing it loses nothing. A second signal kills
it.`

func (a *app) serveCommand() *cobra.Command {
	var flags configFlags
	var check, printOnly bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "run the daemon",
		Long:  serveLong,
		Example: `  vqsd serve --media-root /srv/clips
  vqsd serve --media-root clips=/srv/clips --workers 2 --data /var/lib/vqsd
  vqsd serve --config vqsd.yaml --check-config
  vqsd serve --listen 0.0.0.0:7330 --set auth.tokens=tokens.yaml --set tls.cert=cert.pem --set tls.key=key.pem`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.source(os.Environ()).read()
			switch {
			case err != nil:
				return err
			case printOnly:
				return printConfig(a.stdout, cfg)
			case check:
				return a.checkConfig(cfg)
			}
			endOrderly(cmd.Context())
			return a.serve(cmd.Context(), cfg)
		},
	}
	c.Flags().SortFlags = false
	flags.define(c, "listen", "listen", "HOST:PORT", "serve the gRPC API at `HOST:PORT` (default 127.0.0.1:7330); port 0 is any that is free")
	flags.define(c, "http-listen", "http.listen", "HOST:PORT", "serve metrics and health at `HOST:PORT` (default 127.0.0.1:7331); \"\" does not")
	flags.define(c, "data", "data", "DIR", "keep measurements in `DIR` (default vqsd in $XDG_DATA_HOME, else ~/.local/share/vqsd)")
	flags.define(c, "media-root", "media_roots", "[NAME=]DIR", "read videos below `[NAME=]DIR` only; repeatable (default the working directory)")
	flags.define(c, "workers", "workers.local", "N", "start `N` local workers (default 1), or one for each GPU if there are more; 0 leaves the work to others")
	flags.define(c, "nats", "nats.url", "URL", "send tasks through the NATS server at `URL` (default one inside this process)")
	flags.define(c, "rules", "rules", "FILE", "decide by the rules in `FILE` (default the built-in ones)")
	flags.define(c, "insecure", "insecure", "", "listen where others reach the daemon, although everybody may do everything")
	flags.define(c, "log-level", "log.level", "LEVEL", "log `LEVEL` and what is more severe: debug, info (default), warn, error")
	flags.define(c, "log-format", "log.format", "FORMAT", "log as `FORMAT` text (default) or json")
	flags.defineFile(c)
	c.Flags().BoolVar(&check, "check-config", false, "check the configuration and the files it names, and do not start")
	c.Flags().BoolVar(&printOnly, "print-config", false, "print the configuration in force, with the meaning of every key, and do not start")
	c.MarkFlagsMutuallyExclusive("check-config", "print-config")
	completeConfigFlags(c)
	return c
}

// completeConfigFlags has the shell complete values.
func completeConfigFlags(c *cobra.Command) {
	for flag, values := range map[string][]string{
		"log-level": {"debug", "info", "warn", "error"}, "log-format": {"text", "json"}, "device": {"auto", "cpu", "cuda"},
	} {
		if c.Flags().Lookup(flag) == nil {
			continue
		}
		if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // declared twice: a bug
		}
	}
	for _, flag := range []string{"data", "media-root"} {
		if c.Flags().Lookup(flag) != nil {
			if err := c.MarkFlagDirname(flag); err != nil {
				panic(err) // no such flag: a bug
			}
		}
	}
}

// checkConfig looks at all that a start would look at, but for what only a running process can tell.
func (a *app) checkConfig(cfg *config) error {
	_, errs := readRules(cfg.rules)
	roots, err := openRoots(cfg)
	errs = errors.Join(errs, err)
	_, err = authOf(cfg, roots, slog.New(slog.DiscardHandler))
	errs = errors.Join(errs, err)
	_, err = tlsOf(cfg).Config()
	errs = errors.Join(errs, err)
	_, err = queueAccess(cfg)
	errs = errors.Join(errs, err)
	if below, err := auth.NewRoots(roots); err == nil { // else it has been said
		errs = errors.Join(errs, checkWatched(cfg, below))
	}
	dir, err := cfg.dataDir()
	if errs = errors.Join(errs, err); errs != nil {
		return errs
	}
	fmt.Fprintf(a.stdout, "the configuration is good: gRPC at %s, data in %s, media roots %s\n", cfg.listen, printable(dir), printable(rootTexts(roots)))
	return nil
}

// rootTexts lists roots for people.
func rootTexts(roots []auth.Root) string {
	var texts []string
	for _, r := range roots {
		texts = append(texts, rootText(r))
	}
	return strings.Join(texts, ", ")
}

// openRoots are the media roots, each of which is a folder that can be read.
func openRoots(cfg *config) ([]auth.Root, error) {
	roots, err := cfg.roots()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, r := range roots {
		if len(cfg.mediaRoots) == 0 && r.Dir == "/" {
			errs = append(errs, errors.New("media_roots: none is given, and the working directory, which would be it, is /: name one with --media-root DIR"))
			continue
		}
		folder, err := os.Open(r.Dir)
		if err == nil {
			if _, err = folder.ReadDir(1); errors.Is(err, io.EOF) {
				err = nil // empty
			}
			err = errors.Join(err, folder.Close())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("media root %s: %w; it has to be a folder that this user can read", r.Name, err))
		}
	}
	return roots, errors.Join(errs...)
}

func tlsOf(cfg *config) auth.TLS {
	return auth.TLS{Cert: cfg.tls.cert, Key: cfg.tls.key, ClientCA: cfg.auth.clientCA}
}

func authOf(cfg *config, roots []auth.Root, log *slog.Logger) (*auth.Auth, error) {
	var names []string
	for _, r := range roots {
		names = append(names, r.Name)
	}
	return auth.Open(auth.Config{File: cfg.auth.tokens, Certificates: cfg.auth.clientCA != "", Roots: names, Logger: log})
}

// logger writes the log to standard error. The configuration was checked.
func (a *app) logger(cfg *config) *slog.Logger {
	level, err := telemetry.ParseLevel(cfg.log.level)
	if err != nil {
		panic(err)
	}
	return telemetry.NewLogger(a.stderr, level, telemetry.Format(cfg.log.format))
}

// serve runs the daemon until ctx ends, or something it cannot do without does.
func (a *app) serve(ctx context.Context, cfg *config) error {
	return (&daemon{cfg: cfg, log: a.logger(cfg), say: a.stderr}).serve(ctx)
}

// serve starts a daemon, has it serve until ctx ends or something it cannot do without does, and undoes the start.
func (d *daemon) serve(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.start(ctx); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return nil // told to end before it had begun
		}
		return err
	}
	return d.run(ctx)
}
