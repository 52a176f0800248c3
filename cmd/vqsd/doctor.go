package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

const doctorLong = `Look at what vqsd needs here, say what is wrong, and what to do about it: the
program and its FFmpeg, the data directory, disk, ports, media roots, limits and
clock, as the configuration of vqsd serve has them. Nothing is changed.

With --server it looks at a running daemon besides: whether it can be reached, is
healthy, has the same version and workers, and how old its queue is.

With --store it reads a whole store, which no daemon may have open, and compares
checksums, records and indexes.

The status is 1 when something is broken; what could become a problem is a
warning.`

func (a *app) doctorCommand() *cobra.Command {
	var flags configFlags
	var connect connectFlags
	var storeDir string
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "say what is wrong here, and what to do",
		Long:  doctorLong,
		Example: `  vqsd doctor
  vqsd doctor --config /etc/vqsd/vqsd.yaml
  vqsd doctor --server 127.0.0.1:7330
  vqsd doctor --store /var/lib/vqsd`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.source(os.Environ()).read()
			if err != nil {
				return err
			}
			d := &doctor{cfg: cfg, storeDir: storeDir}
			if connect.address() != "" {
				if d.server, err = connect.parse(); err != nil {
					return err
				}
			}
			return a.doctor(cmd.Context(), d, asJSON)
		},
	}
	c.Flags().SortFlags = false
	flags.define(c, "data", "data", "DIR", "look at the data directory `DIR` (default as vqsd serve)")
	flags.define(c, "media-root", "media_roots", "[NAME=]DIR", "look at the media root `[NAME=]DIR`; repeatable (default the working directory)")
	flags.defineFile(c)
	c.Flags().StringVar(&storeDir, "store", "", "read and check the whole store in `DIR`")
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON document")
	connect.define(c, "none is looked at")
	completeConfigFlags(c)
	if err := c.MarkFlagDirname("store"); err != nil {
		panic(err) // no such flag: a bug
	}
	return c
}

// doctorSchema is that of doctor --json.
const doctorSchema = "vqsd.doctor/1"

// doctorDocument is what doctor --json prints.
type doctorDocument struct {
	Schema   string      `json:"schema"` // doctorSchema
	Program  programInfo `json:"program"`
	Findings []finding   `json:"findings"`
	Broken   int         `json:"broken"` // findings that are
}

// finding is what was found of one thing.
type finding struct {
	Name   string  `json:"name"`  // of what was looked at, such as "disk"
	State  verdict `json:"state"` // good, warning or broken
	Text   string  `json:"text"`  // what was found
	Advice string  `json:"advice,omitempty"`
}

type verdict string

const (
	good    verdict = "good"
	warning verdict = "warning"
	broken  verdict = "broken"
)

// doctor looks at things.
type doctor struct {
	cfg      *config
	server   *connection // nil: none
	storeDir string      // "": none

	findings []finding
	locked   bool // a vqsd has the data directory open
}

func (d *doctor) found(name string, state verdict, advice, format string, args ...any) {
	d.findings = append(d.findings, finding{name, state, fmt.Sprintf(format, args...), advice})
}

// doctor looks at everything and prints what it found.
func (a *app) doctor(ctx context.Context, d *doctor, asJSON bool) error {
	d.lookAtProgram()
	d.lookAtGPUs(ctx)
	d.lookAtLimits()
	d.lookAtClock()
	d.lookAtData()
	d.lookAtPorts()
	d.lookAtMedia()
	d.lookAtFiles()
	if d.server != nil {
		if err := d.lookAtServer(ctx); err != nil {
			return err
		}
	}
	if d.storeDir != "" {
		if err := d.lookAtStore(ctx); err != nil {
			return err
		}
	}
	n := 0
	for _, f := range d.findings {
		if f.State == broken {
			n++
		}
	}
	if asJSON {
		if err := writeJSON(a.stdout, doctorDocument{doctorSchema, program(), d.findings, n}); err != nil {
			return err
		}
	} else {
		d.print(a)
	}
	if n > 0 {
		return fmt.Errorf("broken: %d of %s", n, plural(int64(len(d.findings)), "thing"))
	}
	return nil
}

func (d *doctor) print(a *app) {
	g := &grid{left: 3}
	for _, f := range d.findings {
		for i, line := range strings.Split(f.Text, "\n") {
			if i == 0 {
				g.add(string(f.State), f.Name, printable(line))
			} else {
				g.add("", "", printable(line))
			}
		}
		if f.Advice != "" {
			g.add("", "", "→ "+printable(f.Advice))
		}
	}
	g.print(a.stdout)
}
