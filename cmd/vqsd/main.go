package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version and commit are set by the linker: -ldflags "-X main.version=… -X main.commit=…".
var (
	version = "devel"
	commit  = "unknown"
)

// interruptGrace is how long an interrupted command may take to end on its own. A decoder that is within a large picture
// cannot be stopped, and then its process ends without it.
const interruptGrace = 800 * time.Millisecond

func main() {
	// A reader of our output that goes away is an error like others, with a message and status 1.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := make(chan int, 1)
	go func() { status <- run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr) }()
	select {
	case code := <-status:
		os.Exit(code)
	case <-ctx.Done():
	}
	stop() // from here on a second signal kills
	select {
	case code := <-status:
		os.Exit(code)
	case <-time.After(interruptGrace):
		fmt.Fprintln(os.Stderr, interrupted)
		os.Exit(exitFailed)
	}
}
