package queue_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"

	"github.com/vqsd/vqsd/workflow/queue"
)

// A daemon with a server of its own, and a worker beside it.
func Example() {
	ctx := context.Background()
	quiet := slog.New(slog.DiscardHandler)
	server, err := queue.StartServer(queue.ServerConfig{Logger: quiet})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Shutdown()

	daemon, err := queue.Connect(ctx, queue.Config{Server: server, Logger: quiet})
	if err != nil {
		log.Fatal(err)
	}
	defer daemon.Close(ctx)
	if err := daemon.EnsureStream(ctx, "urgent", "whenever"); err != nil {
		log.Fatal(err)
	}
	for _, class := range []string{"whenever", "urgent"} {
		if err := daemon.Publish(ctx, class, "task of class "+class, []byte("something "+class)); err != nil {
			log.Fatal(err)
		}
	}

	worker, err := queue.Connect(ctx, queue.Config{Server: server, Logger: quiet})
	if err != nil {
		log.Fatal(err)
	}
	defer worker.Close(ctx)
	for range 2 {
		task, err := worker.Take(ctx, "urgent", "whenever")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", task.Body)
		if err := task.Ack(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// something urgent
	// something whenever
}
