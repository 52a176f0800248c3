package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
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
	var orderly atomic.Bool
	status := make(chan int, 1)
	go func() { status <- run(withOrderly(ctx, &orderly), arguments(os.Args), os.Stdin, os.Stdout, os.Stderr) }()
	select {
	case code := <-status:
		os.Exit(code)
	case <-ctx.Done():
	}
	stop() // from here on a second signal kills
	if orderly.Load() {
		os.Exit(<-status)
	}
	select {
	case code := <-status:
		os.Exit(code)
	case <-time.After(interruptGrace):
		fmt.Fprintln(os.Stderr, interrupted)
		os.Exit(exitFailed)
	}
}

type orderlyKey struct{}

func withOrderly(ctx context.Context, flag *atomic.Bool) context.Context {
	return context.WithValue(ctx, orderlyKey{}, flag)
}

// endOrderly says that the command ends by itself when ctx has ended, however long that takes: what it has begun must not be cut
// short. A second signal kills it all the same.
func endOrderly(ctx context.Context) {
	if flag, ok := ctx.Value(orderlyKey{}).(*atomic.Bool); ok {
		flag.Store(true)
	}
}
