package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// againHeader marks an answer that says: ask again.
const againHeader = "Vqsd-Again"

// answerers is the queue group of those who answer: of several, one gets a request.
const answerers = "daemon"

func (c *Conn) messageSubject(subject string) string { return c.cfg.Prefix + ".msg." + subject }

// Handle has requests on a subject answered until Close, several at a time ([Config.Concurrency]). A nil answer makes whoever asks
// ask again after a while. ctx ends when Close has no more patience; body is the function's to keep.
func (c *Conn) Handle(subject string, answer func(ctx context.Context, body []byte) []byte) error {
	full := c.messageSubject(subject)
	err := c.subscribe(func() (*nats.Subscription, error) {
		return c.nats.QueueSubscribe(full, answerers, func(m *nats.Msg) {
			select {
			case c.busy <- struct{}{}:
			case <-c.ctx.Done():
				return
			}
			if !c.begin() {
				<-c.busy
				return
			}
			go func() {
				defer c.work.Done()
				defer func() { <-c.busy }()
				reply := nats.NewMsg(m.Reply)
				if reply.Data = answer(c.ctx, m.Data); reply.Data == nil {
					reply.Header.Set(againHeader, "1")
				}
				err := m.RespondMsg(reply)
				if errors.Is(err, nats.ErrMaxPayload) {
					// Asking again would not make it smaller.
					err = c.translate(full, len(reply.Data), err)
				}
				if err != nil {
					c.log.Warn("an answer could not be sent", "subject", full, "err", err)
				}
			}()
		})
	})
	if err != nil {
		return err
	}
	return c.translate(full, 0, c.nats.Publish(c.upSubject(subject), nil))
}

func (c *Conn) upSubject(subject string) string { return c.cfg.Prefix + ".up." + subject }

// Renewals gives an element whenever whoever answers a subject may be another one than before, which knows nothing of us: after a reconnection, and when
// somebody has begun to [Conn.Handle] it. Elements that are not taken are not collected.
func (c *Conn) Renewals(subject string) (<-chan struct{}, error) {
	renewed := make(chan struct{}, 1)
	err := c.subscribe(func() (*nats.Subscription, error) {
		return c.nats.Subscribe(c.upSubject(subject), func(*nats.Msg) { tell(renewed) })
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renewals = append(c.renewals, renewed)
	return renewed, nil
}

func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// begin counts a piece of work that Close waits for. false: Close has been called.
func (c *Conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.work.Add(1)
	return true
}

// subscribe keeps a subscription that make makes, with room for what may come while all are busy.
func (c *Conn) subscribe(make func() (*nats.Subscription, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	sub, err := make()
	if err == nil {
		c.subs = append(c.subs, sub)
		err = sub.SetPendingLimits(pendingMessages, pendingBytes)
	}
	if err != nil {
		return c.translate("subscribe", 0, err)
	}
	return nil
}

// Bounds of what waits in one subscription. Beyond them messages are lost, and requests asked again.
const (
	pendingMessages = 100_000
	pendingBytes    = 256 << 20
)

// Request asks the daemon and waits for an answer. Whatever prevents one is tried again until ctx ends, so that the daemon may come later or restart, and may get
// a request twice.
//
// Errors: [*PayloadError]; [ErrClosed]; ctx's error, with [ErrNoDaemon] where nobody answered.
func (c *Conn) Request(ctx context.Context, subject string, body []byte) ([]byte, error) {
	full := c.messageSubject(subject)
	pauses := c.cfg.retries()
	var last error
	for {
		back := c.backs.next()
		try, over := c.try(ctx)
		reply, err := c.nats.RequestWithContext(try, full, body)
		over()
		err = ofTry(ctx, err)
		switch {
		case err == nil && reply.Header.Get(againHeader) == "":
			return reply.Data, nil
		case err == nil:
			last = errors.New("the daemon asks for patience")
		case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
			return nil, c.translate(full, len(body), err)
		case ctx.Err() == nil || last == nil:
			last = fmt.Errorf("%w: %w", ErrNoDaemon, err)
		}
		select {
		case <-time.After(pauses.NextBackOff()):
		case <-back:
			pauses.Reset()
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w (%w)", full, last, ctx.Err())
		case <-c.ctx.Done():
			return nil, fmt.Errorf("%s: %w", full, ErrClosed)
		}
	}
}

// Broadcast sends a message to all who listen now.
//
// Errors: [*PayloadError]; [ErrDisconnected]; [ErrClosed].
func (c *Conn) Broadcast(subject string, body []byte) error {
	full := c.messageSubject(subject)
	return c.translate(full, len(body), c.nats.Publish(full, body))
}

// Listen has messages on a subject heard until Close, one at a time and in each sender's order. body is the function's to keep.
func (c *Conn) Listen(subject string, hear func(body []byte)) error {
	return c.subscribe(func() (*nats.Subscription, error) {
		return c.nats.Subscribe(c.messageSubject(subject), func(m *nats.Msg) {
			if c.begin() {
				defer c.work.Done()
				hear(m.Data)
			}
		})
	})
}
