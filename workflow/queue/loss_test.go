package queue

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

// restart ends a server that listens and starts another at the same place, which knows nothing of the first one's messages.
func restart(t *testing.T, s *Server, cfg ServerConfig) *Server {
	t.Helper()
	_, port, _ := strings.Cut(strings.TrimPrefix(s.ClientURL(), "nats://"), ":")
	s.Shutdown()
	var err error
	if cfg.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	return startServer(t, cfg)
}

func TestStreamsAreMadeAgainOnAServerThatLostThem(t *testing.T) {
	cfg := ServerConfig{Port: -1}
	s := startServer(t, cfg)
	urls := []string{s.ClientURL()}
	lost, back := make(chan struct{}, 8), make(chan struct{}, 8)
	daemon := connect(t, Config{URLs: urls, OnDisconnect: func() { lost <- struct{}{} }, OnReconnect: func() { back <- struct{}{} }})
	workerBack := make(chan struct{}, 8)
	worker := connect(t, Config{URLs: urls, Poll: 20 * time.Millisecond, OnReconnect: func() { workerBack <- struct{}{} }})
	renewed, err := worker.Renewals("hello")
	must(t, err)
	must(t, worker.nats.Flush())
	must(t, daemon.Handle("hello", func(_ context.Context, body []byte) []byte { return body }))
	ctx := deadline(t)
	wait := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-ctx.Done():
			t.Fatal(what)
		}
	}
	wait("a new answerer is not noticed", renewed)
	must(t, daemon.EnsureStream(ctx, order...))
	must(t, daemon.Publish(ctx, "latency", "1", []byte("before")))
	before := take(t, worker, order...)
	must(t, daemon.Publish(ctx, "latency", "2", []byte("lost")))

	restart(t, s, cfg)
	wait("the loss is not noticed", lost)
	wait("the daemon does not come back", back)
	wait("the worker does not come back", workerBack)
	wait("a reconnection is not noticed", renewed)

	if !before.Stale() {
		t.Error("a delivery of before passes for one of now")
	}
	must(t, daemon.Publish(ctx, "latency", "3", []byte("after")))
	after := take(t, worker, order...)
	if string(after.Body) != "after" {
		t.Errorf("got %q", after.Body)
	}
	// The two have the same sequence number. What happens to the one must not happen to the other.
	must(t, before.Ack(ctx))
	must(t, before.Return(0))
	if out, err := daemon.Outstanding(ctx, "latency"); err != nil || out != (Outstanding{Taken: 1}) {
		t.Errorf("outstanding %+v, %v; want the task of now as it was", out, err)
	}
	must(t, after.Ack(ctx))
	if answer, err := worker.Request(ctx, "hello", []byte("again")); err != nil || string(answer) != "again" {
		t.Errorf("after the restart: %q, %v", answer, err)
	}
}

func TestWhatIsAskedWhileTheServerGoesIsAskedAgain(t *testing.T) {
	cfg := ServerConfig{Port: -1}
	s := startServer(t, cfg)
	urls := []string{s.ClientURL()}
	// Only the connection's end tells that there will be no answer: a try has far more time than the test.
	daemon := connect(t, Config{URLs: urls, RequestTimeout: 10 * time.Minute})
	worker := connect(t, Config{URLs: urls, RequestTimeout: 10 * time.Minute})
	asked := make(chan struct{}, 10)
	answer := make(chan struct{})
	must(t, daemon.Handle("record", func(context.Context, []byte) []byte {
		asked <- struct{}{}
		<-answer
		return []byte("taken")
	}))
	answers := make(chan string, 1)
	ctx := deadline(t)
	go func() {
		got, err := worker.Request(ctx, "record", nil)
		if err != nil {
			t.Errorf("request: %v", err)
		}
		answers <- string(got)
	}()
	<-asked
	restart(t, s, cfg)
	close(answer)
	select {
	case got := <-answers:
		if got != "taken" {
			t.Errorf("got %q", got)
		}
	case <-ctx.Done():
		t.Fatal("the answer was lost with the connection, and never asked for again")
	}
}

func TestWithoutAConnectionThereIsAnErrorAtOnce(t *testing.T) {
	s := startServer(t, ServerConfig{Port: -1})
	lost := make(chan struct{}, 1)
	c := connect(t, Config{URLs: []string{s.ClientURL()}, OnDisconnect: func() { lost <- struct{}{} }})
	ctx := deadline(t)
	must(t, c.EnsureStream(ctx, "latency"))
	s.Shutdown()
	select {
	case <-lost:
	case <-ctx.Done():
		t.Fatal("the loss is not noticed")
	}
	if err := c.Publish(ctx, "latency", "1", nil); !errors.Is(err, ErrDisconnected) {
		t.Errorf("publish: got %v, want ErrDisconnected", err)
	}
	if err := c.Broadcast("cancel", nil); !errors.Is(err, ErrDisconnected) {
		t.Errorf("broadcast: got %v, want ErrDisconnected", err)
	}
	if c.Connected() {
		t.Error("it says to be connected")
	}
}
