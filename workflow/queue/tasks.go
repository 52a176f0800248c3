package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// dedupe is how long a task's id is remembered. It has to be longer than a publisher tries one message again, and shorter than the daemon waits
// before it publishes what seems lost.
const dedupe = 20 * time.Second

// workers is the name of each stream's one consumer, which all workers share.
const workers = "workers"

func (c *Conn) taskSubject(class string) string { return c.cfg.Prefix + ".task." + class }
func (c *Conn) stream(class string) string      { return c.cfg.Prefix + "-" + class }
func (c *Conn) moreSubject() string             { return c.cfg.Prefix + ".more" }

func checkClasses(classes []string) error {
	for _, class := range classes {
		if !word.MatchString(class) {
			return fmt.Errorf("queue: class %q is not 1 to 64 letters, digits, - and _", class)
		}
	}
	if len(classes) == 0 {
		return errors.New("queue: no class is named")
	}
	return nil
}

// EnsureStream makes the streams of classes, or brings those that exist in line with the configuration. They are made again after each
// reconnection to a server that has lost them.
func (c *Conn) EnsureStream(ctx context.Context, classes ...string) error {
	if err := checkClasses(classes); err != nil {
		return err
	}
	if err := c.makeStreams(ctx, classes); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, class := range classes {
		if !slices.Contains(c.classes, class) {
			c.classes = append(c.classes, class)
		}
	}
	return nil
}

func (c *Conn) makeStreams(ctx context.Context, classes []string) error {
	storage := jetstream.MemoryStorage
	if c.cfg.Files || c.cfg.Server != nil && c.cfg.Server.cfg.Dir != "" {
		storage = jetstream.FileStorage
	}
	for _, class := range classes {
		name := c.stream(class)
		stream, err := c.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: name, Subjects: []string{c.taskSubject(class)}, Storage: storage,
			Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
			MaxMsgs: c.cfg.Tasks, MaxBytes: c.cfg.TaskBytes, Duplicates: dedupe,
		})
		if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
			return fmt.Errorf("make the task stream %s: %w; start the server with --jetstream, and enable it for the account", name, err)
		}
		if err != nil {
			return fmt.Errorf("make the task stream %s (a stream that cannot be changed into it has to be deleted on the server): %w", name, c.translate(name, 0, err))
		}
		_, err = stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: workers, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.cfg.Lease,
			MaxDeliver: -1, MaxAckPending: -1,
		})
		if err != nil {
			return fmt.Errorf("make the consumer of %s: %w", name, c.translate(name, 0, err))
		}
	}
	return nil
}

// Publish hands a task to the workers of a class. A second one of the same id is dropped for 20 s, so that publishing may be tried again. body is not kept.
//
// Errors: [*PayloadError]; [ErrFull]; [ErrDisconnected], after which the task may have arrived or not.
func (c *Conn) Publish(ctx context.Context, class, id string, body []byte) error {
	if err := checkClasses([]string{class}); err != nil {
		return err
	}
	subject := c.taskSubject(class)
	try, over := c.try(ctx)
	defer over()
	_, err := c.js.Publish(try, subject, body, jetstream.WithMsgID(id), jetstream.WithRetryAttempts(0))
	if c.mine(class) && (errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, nats.ErrNoResponders)) {
		// Somebody has deleted it, or a reconnection is not done with it yet.
		if err := c.makeStreams(try, []string{class}); err != nil {
			return ofTry(ctx, err)
		}
		_, err = c.js.Publish(try, subject, body, jetstream.WithMsgID(id))
	}
	if err != nil {
		return c.translate(subject, len(body), ofTry(ctx, err))
	}
	// A hint that is lost costs its worker's next look, no more.
	if err := c.nats.Publish(c.moreSubject(), nil); err != nil {
		c.log.Debug("workers were not told of a task", "err", err)
	}
	return nil
}

// mine says that a class was made by this connection.
func (c *Conn) mine(class string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.classes, class)
}

// Purge drops the tasks of a class that wait. Those that are taken stay with their takers. Ids stay remembered.
func (c *Conn) Purge(ctx context.Context, class string) error {
	if err := checkClasses([]string{class}); err != nil {
		return err
	}
	stream, err := c.js.Stream(ctx, c.stream(class))
	if err == nil {
		err = stream.Purge(ctx)
	}
	return c.translate(c.stream(class), 0, err)
}

// Outstanding is what a class has.
type Outstanding struct {
	Waiting int // for a worker
	Taken   int // and neither acknowledged nor returned; those whose lease has ended and which nobody has taken again are among them
}

// Outstanding counts the tasks of a class.
func (c *Conn) Outstanding(ctx context.Context, class string) (Outstanding, error) {
	if err := checkClasses([]string{class}); err != nil {
		return Outstanding{}, err
	}
	consumer, err := c.js.Consumer(ctx, c.stream(class), workers)
	if err != nil {
		return Outstanding{}, c.translate(c.stream(class), 0, err)
	}
	info := consumer.CachedInfo() // of just now
	return Outstanding{Waiting: int(info.NumPending), Taken: info.NumAckPending}, nil
}
