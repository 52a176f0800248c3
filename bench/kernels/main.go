// Command kernels times every kernel on every vector target of this machine and prints a table: time a picture, ratio to the
// plain reference, and the share of memory bandwidth that the pictures' bytes are. make bench runs it.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/vqsd/vqsd/kernels/check"
)

func main() {
	var c check.BenchConfig
	match := flag.String("match", "", "regular expression of the cases to time, such as vif/1920x1080/8; empty: all")
	flag.IntVar(&c.Runs, "runs", 0, "timed runs of each case; 0: the default")
	flag.DurationVar(&c.Budget, "budget", 0*time.Second, "longest time for the runs of one case; 0: the default")
	flag.Parse()
	var err error
	if c.Match, err = regexp.Compile(*match); err != nil {
		fmt.Fprintf(os.Stderr, "kernels: -match: %v\n", err)
		os.Exit(2)
	}
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "kernels: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := check.Bench(os.Stdout, c); err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(1)
	}
}
