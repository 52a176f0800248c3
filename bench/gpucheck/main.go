// Command gpucheck is the gpu-check of the bundle that scripts/gpu-bundle.sh makes: on a machine with a GPU it runs vqsd's parity checks,
// tests and benchmarks there, and writes one report of them, report.md and report.json, as bench/results keeps them.
//
//	gpu-check --out FOLDER          $OUT is the default of --out
//	gpu-check --quick               parity, and each benchmark in small
//	VQSD_GOLDEN=DIR gpu-check       also measures the golden clips in DIR
//
// It takes everything else from the bundle that it lies in, and needs neither a shell nor any other program; nvidia-smi, vmaf,
// compute-sanitizer and ncu are used where they are on PATH. The status is 0 when everything that ran was good, 1 when anything was not, 2 for
// wrong usage, and 3 where there is no device, and then no report is written.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// The exit statuses.
const (
	exitGood     = 0
	exitBad      = 1
	exitUsage    = 2
	exitNoDevice = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	c := &check{}
	flags := flag.NewFlagSet("gpu-check", flag.ContinueOnError)
	flags.StringVar(&c.out, "out", os.Getenv("OUT"), "write the report into `FOLDER`, made if it is not there (default $OUT)")
	flags.StringVar(&c.device, "device", "cuda:0", "check the `DEVICE` cuda:N")
	flags.DurationVar(&c.soak, "soak", time.Minute, "measure again and again for `TIME`, and look at memory; 0 does not")
	flags.BoolVar(&c.quick, "quick", false, "run each benchmark in small")
	flags.DurationVar(&c.limit, "limit", 20*time.Minute, "end any one step after `TIME`")
	bundle := flags.String("bundle", "", "the `FOLDER` of the bundle (default the one that this program is in)")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitGood
		}
		return exitUsage
	}
	if problem := c.usage(flags.Args()); problem != "" {
		fmt.Fprintln(os.Stderr, "gpu-check: "+problem)
		return exitUsage
	}
	if *bundle == "" {
		program, err := os.Executable()
		if err != nil {
			fmt.Fprintln(os.Stderr, "gpu-check: find the bundle:", err)
			return exitBad
		}
		*bundle = filepath.Dir(program)
	}
	c.bundle = *bundle
	err := c.run(ctx)
	switch {
	case errors.Is(err, errNoDevice):
		fmt.Fprintln(os.Stderr, "gpu-check:", err)
		fmt.Fprintln(os.Stderr, "gpu-check: nothing was checked, and no report is written")
		return exitNoDevice
	case err != nil:
		fmt.Fprintln(os.Stderr, "gpu-check:", err)
		return exitBad
	}
	return exitGood
}

// usage says what is wrong with the command line; "": nothing is.
func (c *check) usage(rest []string) string {
	switch {
	case len(rest) > 0:
		return fmt.Sprintf("unexpected argument %q", rest[0])
	case c.out == "":
		return "name a folder for the report, with --out FOLDER or in $OUT"
	case c.soak < 0 || c.limit <= 0:
		return "--soak and --limit are times, such as 90s"
	}
	return ""
}
