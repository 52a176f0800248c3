package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// within is how long anything may take that is about to happen.
const within = 30 * time.Second

// quiet keeps the log to what fails.
func quiet(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	return ctx
}

func startServer(t *testing.T, cfg ServerConfig) *Server {
	t.Helper()
	cfg.Logger = quiet(t)
	s, err := StartServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func connect(t *testing.T, cfg Config) *Conn {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = quiet(t)
	}
	if cfg.RetryMost == 0 {
		cfg.RetryFirst, cfg.RetryMost = time.Millisecond, 50*time.Millisecond
	}
	c, err := Connect(deadline(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// pair is a daemon's and a worker's connection to one server: the daemon's in process, the worker's over loopback.
func pair(t *testing.T, daemon, worker Config) (*Conn, *Conn) {
	s := startServer(t, ServerConfig{Port: -1, Token: "secret"})
	daemon.Server = s
	worker.URLs, worker.Token = []string{s.ClientURL()}, "secret"
	return connect(t, daemon), connect(t, worker)
}

func take(t *testing.T, c *Conn, classes ...string) *Delivery {
	t.Helper()
	d, err := c.Take(deadline(t), classes...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var order = []string{"latency", "throughput", "background"}

func TestTakeFollowsTheOrderOfClasses(t *testing.T) {
	daemon, worker := pair(t, Config{}, Config{})
	ctx := deadline(t)
	must(t, daemon.EnsureStream(ctx, order...))
	for _, class := range []string{"background", "throughput", "latency", "background", "latency"} {
		must(t, daemon.Publish(ctx, class, class+"/"+strconv.Itoa(int(time.Now().UnixNano())), []byte(class)))
	}
	// A consumer hears of what its stream has stored a moment later.
	for class, n := range map[string]int{"latency": 2, "throughput": 1, "background": 2} {
		for {
			out, err := daemon.Outstanding(ctx, class)
			must(t, err)
			if out.Waiting == n {
				break
			}
		}
	}
	var got []string
	for range 5 {
		d := take(t, worker, order...)
		got = append(got, string(d.Body))
		if d.Class != string(d.Body) || d.Redelivered {
			t.Errorf("delivery of class %s with body %q, redelivered %v", d.Class, d.Body, d.Redelivered)
		}
		must(t, d.Ack(ctx))
	}
	if s := strings.Join(got, " "); s != "latency latency throughput background background" {
		t.Errorf("got %s", s)
	}
	out, err := daemon.Outstanding(ctx, "latency")
	if err != nil || out != (Outstanding{}) {
		t.Errorf("outstanding %+v, %v; all was acknowledged", out, err)
	}
}

func TestAWaitingTakerIsWokenByPublish(t *testing.T) {
	daemon, worker := pair(t, Config{}, Config{Poll: time.Minute})
	ctx := deadline(t)
	must(t, daemon.EnsureStream(ctx, order...))
	got := make(chan *Delivery)
	go func() {
		d, _ := worker.Take(ctx, order...)
		got <- d
	}()
	must(t, daemon.Publish(ctx, "background", "1", []byte("task")))
	select {
	case d := <-got:
		if d == nil {
			t.Fatal("nothing was taken")
		}
		must(t, d.Ack(ctx))
	case <-ctx.Done():
		t.Fatal("the hint did not wake the taker")
	}
}

func TestAnIDIsPublishedOnce(t *testing.T) {
	daemon, worker := pair(t, Config{}, Config{})
	ctx := deadline(t)
	must(t, daemon.EnsureStream(ctx, "latency"))
	for range 3 {
		must(t, daemon.Publish(ctx, "latency", "same", []byte("task")))
	}
	out, err := daemon.Outstanding(ctx, "latency")
	if err != nil || out.Waiting != 1 {
		t.Fatalf("outstanding %+v, %v; want one", out, err)
	}
	d := take(t, worker, "latency")
	if out, err := daemon.Outstanding(ctx, "latency"); err != nil || out != (Outstanding{Taken: 1}) {
		t.Errorf("outstanding %+v, %v; want one taken", out, err)
	}
	must(t, d.Ack(ctx))
	must(t, daemon.Publish(ctx, "latency", "other", []byte("task")))
	must(t, daemon.Purge(ctx, "latency"))
	if out, err := daemon.Outstanding(ctx, "latency"); err != nil || out != (Outstanding{}) {
		t.Errorf("outstanding %+v, %v after a purge", out, err)
	}
}

func TestAnEndedLeaseGivesTheTaskToAnother(t *testing.T) {
	s := startServer(t, ServerConfig{})
	daemon := connect(t, Config{Server: s, Lease: 400 * time.Millisecond})
	one, other := connect(t, Config{Server: s, Poll: 20 * time.Millisecond}), connect(t, Config{Server: s, Poll: 20 * time.Millisecond})
	ctx := deadline(t)
	must(t, daemon.EnsureStream(ctx, "latency"))
	must(t, daemon.Publish(ctx, "latency", "1", []byte("task")))
	begun := time.Now()
	lost := take(t, one, "latency")
	// Extended once, it is away from the other for longer than one lease.
	extended := time.AfterFunc(200*time.Millisecond, func() {
		if err := lost.Extend(); err != nil {
			t.Errorf("extend: %v", err)
		}
	})
	defer extended.Stop()
	again := take(t, other, "latency")
	if !again.Redelivered {
		t.Error("the second delivery does not know that it is one")
	}
	if took := time.Since(begun); took < 500*time.Millisecond {
		t.Errorf("another got it after %v, although the lease of 400ms was extended at 200ms", took)
	}
	must(t, again.Ack(ctx))
}

func TestAReturnedTaskComesAtOnceOrLater(t *testing.T) {
	daemon, worker := pair(t, Config{}, Config{Poll: 20 * time.Millisecond})
	ctx := deadline(t)
	must(t, daemon.EnsureStream(ctx, "latency"))
	must(t, daemon.Publish(ctx, "latency", "1", []byte("task")))
	must(t, take(t, worker, "latency").Return(0))
	d := take(t, worker, "latency")
	begun := time.Now()
	must(t, d.Return(300*time.Millisecond))
	d = take(t, worker, "latency")
	if took := time.Since(begun); took < 250*time.Millisecond {
		t.Errorf("came back after %v, not after 300ms", took)
	}
	must(t, d.Ack(ctx))
}

func TestTakeEndsWithItsContextAndLosesNothing(t *testing.T) {
	daemon, worker := pair(t, Config{}, Config{})
	ctx := deadline(t)
	must(t, daemon.EnsureStream(ctx, "latency"))
	short, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := worker.Take(short, "latency")
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	must(t, daemon.Publish(ctx, "latency", "1", nil))
	must(t, take(t, worker, "latency").Ack(ctx))
}

func TestBoundsOfAClass(t *testing.T) {
	s := startServer(t, ServerConfig{MaxPayload: 8 << 10})
	c := connect(t, Config{Server: s, Tasks: 2})
	ctx := deadline(t)
	must(t, c.EnsureStream(ctx, "latency"))
	must(t, c.Publish(ctx, "latency", "1", nil))
	must(t, c.Publish(ctx, "latency", "2", nil))
	if err := c.Publish(ctx, "latency", "3", nil); !errors.Is(err, ErrFull) {
		t.Errorf("a third of two: got %v, want ErrFull", err)
	}
	var large *PayloadError
	big := make([]byte, 9<<10)
	if err := c.Publish(ctx, "latency", "4", big); !errors.As(err, &large) || large.Limit != 8<<10 || large.Bytes != len(big) {
		t.Errorf("publish: got %v, want a PayloadError", err)
	}
	if _, err := c.Request(ctx, "hello", big); !errors.As(err, &large) {
		t.Errorf("request: got %v, want a PayloadError", err)
	}
	if err := c.Broadcast("cancel", big); !errors.As(err, &large) {
		t.Errorf("broadcast: got %v, want a PayloadError", err)
	}
}

func TestRequestsAreAskedUntilSomebodyAnswers(t *testing.T) {
	daemon, worker := pair(t, Config{}, Config{})
	ctx := deadline(t)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := worker.Request(short, "begin", nil); !errors.Is(err, ErrNoDaemon) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody there: got %v, want ErrNoDaemon", err)
	}
	answers := make(chan []byte, 1)
	go func() {
		answer, err := worker.Request(ctx, "begin", []byte("may I?"))
		if err != nil {
			t.Errorf("request: %v", err)
		}
		answers <- answer
	}()
	asked := 0 // by one goroutine at a time, since each request is the first's repeat
	must(t, daemon.Handle("begin", func(_ context.Context, body []byte) []byte {
		if asked++; asked < 3 {
			return nil // ask again
		}
		return append(body, " yes"...)
	}))
	select {
	case answer := <-answers:
		if string(answer) != "may I? yes" {
			t.Errorf("got %q", answer)
		}
	case <-ctx.Done():
		t.Fatal("no answer")
	}
}

func TestAnEmptyAnswerIsOne(t *testing.T) {
	daemon, worker := pair(t, Config{}, Config{})
	must(t, daemon.Handle("begin", func(context.Context, []byte) []byte { return []byte{} }))
	if answer, err := worker.Request(deadline(t), "begin", nil); err != nil || len(answer) != 0 {
		t.Errorf("got %q, %v", answer, err)
	}
}

func TestRequestsAreAnsweredSeveralAtATime(t *testing.T) {
	const wide, asked = 4, 20
	daemon, worker := pair(t, Config{Concurrency: wide}, Config{})
	ctx := deadline(t)
	var mu sync.Mutex
	now, most := 0, 0
	together := make(chan struct{}) // closed once as many are at work as may be
	must(t, daemon.Handle("record", func(ctx context.Context, body []byte) []byte {
		mu.Lock()
		now++
		if now > most {
			if most = now; most == wide {
				close(together)
			}
		}
		mu.Unlock()
		select {
		case <-together:
		case <-ctx.Done():
		}
		mu.Lock()
		now--
		mu.Unlock()
		return body
	}))
	var group sync.WaitGroup
	for i := range asked {
		group.Go(func() {
			body := []byte(strconv.Itoa(i))
			if answer, err := worker.Request(ctx, "record", body); err != nil || !bytes.Equal(answer, body) {
				t.Errorf("request %d: %q, %v", i, answer, err)
			}
		})
	}
	group.Wait()
	mu.Lock()
	defer mu.Unlock()
	if most != wide {
		t.Errorf("%d were answered at a time, want %d", most, wide)
	}
}

func TestBroadcastsReachAllInOrder(t *testing.T) {
	daemon, worker := pair(t, Config{}, Config{})
	other := connect(t, Config{URLs: worker.cfg.URLs, Token: "secret"})
	heard := make(chan string, 200)
	for i, c := range []*Conn{worker, other} {
		next := 0
		must(t, c.Listen("cancel", func(body []byte) {
			if string(body) != strconv.Itoa(next) {
				t.Errorf("listener %d heard %s, want %d", i, body, next)
			}
			next++
			heard <- string(body)
		}))
		must(t, c.nats.Flush())
	}
	for i := range 100 {
		must(t, daemon.Broadcast("cancel", []byte(strconv.Itoa(i))))
	}
	ctx := deadline(t)
	for range 200 {
		select {
		case <-heard:
		case <-ctx.Done():
			t.Fatal("a message was not heard")
		}
	}
}

func TestCloseWaitsForAnswersAtHand(t *testing.T) {
	s := startServer(t, ServerConfig{})
	daemon := connect(t, Config{Server: s})
	worker := connect(t, Config{Server: s})
	begun, release := make(chan struct{}), make(chan struct{})
	must(t, daemon.Handle("finish", func(context.Context, []byte) []byte {
		close(begun)
		<-release
		return []byte("done")
	}))
	ctx := deadline(t)
	answers := make(chan string, 1)
	go func() {
		answer, _ := worker.Request(ctx, "finish", nil)
		answers <- string(answer)
	}()
	<-begun
	closed := make(chan error, 1)
	go func() { closed <- daemon.Close(ctx) }()
	select {
	case <-closed:
		t.Error("Close did not wait")
	default:
	}
	close(release)
	must(t, <-closed)
	if answer := <-answers; answer != "done" {
		t.Errorf("got %q", answer)
	}
	if err := daemon.Broadcast("cancel", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
	if err := daemon.Handle("finish", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
	if _, err := daemon.Take(ctx, "latency"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
	if err := daemon.Publish(ctx, "latency", "1", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
	if _, err := daemon.Request(ctx, "hello", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
}

func TestCloseCancelsWhatTakesTooLong(t *testing.T) {
	s := startServer(t, ServerConfig{})
	daemon := connect(t, Config{Server: s})
	begun := make(chan struct{})
	must(t, daemon.Handle("finish", func(ctx context.Context, _ []byte) []byte {
		close(begun)
		<-ctx.Done()
		return nil
	}))
	must(t, daemon.nats.PublishRequest(daemon.messageSubject("finish"), daemon.nats.NewInbox(), nil))
	<-begun
	now, cancel := context.WithCancel(context.Background())
	cancel()
	must(t, daemon.Close(now))
}

func TestPublishMakesAStreamThatSomebodyDeleted(t *testing.T) {
	s := startServer(t, ServerConfig{})
	c := connect(t, Config{Server: s})
	ctx := deadline(t)
	must(t, c.EnsureStream(ctx, "latency"))
	must(t, c.js.DeleteStream(ctx, "vqsd-latency"))
	must(t, c.Publish(ctx, "latency", "1", []byte("task")))
	must(t, take(t, c, "latency").Ack(ctx))
}

func TestStreamsInFilesOutlastTheServer(t *testing.T) {
	cfg := ServerConfig{Dir: t.TempDir()}
	s := startServer(t, cfg)
	c := connect(t, Config{Server: s})
	ctx := deadline(t)
	must(t, c.EnsureStream(ctx, "latency"))
	must(t, c.Publish(ctx, "latency", "1", []byte("kept")))
	must(t, c.Close(ctx))
	s.Shutdown()
	c = connect(t, Config{Server: startServer(t, cfg)})
	must(t, c.EnsureStream(ctx, "latency"))
	if d := take(t, c, "latency"); string(d.Body) != "kept" {
		t.Errorf("got %q", d.Body)
	}
}

func TestManyTakersShareWithoutLossOrDouble(t *testing.T) {
	const tasks, takers = 300, 4
	daemon, worker := pair(t, Config{Lease: time.Minute}, Config{Poll: 50 * time.Millisecond})
	ctx := deadline(t)
	must(t, daemon.EnsureStream(ctx, order...))
	go func() {
		for i := range tasks {
			if err := daemon.Publish(ctx, order[i%3], fmt.Sprint(i), []byte(strconv.Itoa(i))); err != nil {
				t.Errorf("publish: %v", err)
			}
		}
	}()
	all, cancel := context.WithCancel(ctx)
	var mu sync.Mutex
	seen := map[string]int{}
	var group sync.WaitGroup
	for range takers {
		group.Go(func() {
			for {
				d, err := worker.Take(all, order...)
				if err != nil {
					return
				}
				if err := d.Ack(ctx); err != nil {
					t.Errorf("ack: %v", err)
				}
				mu.Lock()
				if seen[string(d.Body)]++; len(seen) == tasks {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	cancel()
	if len(seen) != tasks {
		t.Errorf("%d of %d tasks were taken", len(seen), tasks)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("task %s was taken %d times", id, n)
		}
	}
}

func TestScratchIsRemoved(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, ServerConfig{Scratch: dir})
	s.Shutdown()
	s.Shutdown() // twice is as good as once
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
