package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// hint tells those who wait that it may be worth looking again.
type hint struct {
	// mu guards more.
	mu   sync.Mutex
	more chan struct{} // closed by the next hint
}

func (h *hint) init() { h.more = make(chan struct{}) }

// next is closed by the first hint after the call.
func (h *hint) next() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.more
}

func (h *hint) give() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.more)
	h.more = make(chan struct{})
}

// Take waits for a task of the first class that has one. When ctx ends it returns as soon as the server has answered what it was asked last. While there is no connection, or nobody has made the streams, it waits.
//
// Errors: ctx's; [ErrClosed].
func (c *Conn) Take(ctx context.Context, classes ...string) (*Delivery, error) {
	if err := checkClasses(classes); err != nil {
		return nil, err
	}
	if err := c.hear(); err != nil {
		return nil, err
	}
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		more := c.hints.next() // before looking, so that what comes meanwhile is not missed
		for _, class := range classes {
			d, err := c.takeNow(class)
			if ctx.Err() != nil {
				if d != nil {
					if err := d.Return(0); err != nil {
						c.log.Debug("a task could not be given back; its lease will end", "err", err)
					}
				}
				return nil, ctx.Err()
			}
			if errors.Is(err, ErrClosed) {
				return nil, err
			}
			if err != nil {
				c.log.Debug("no task could be taken", "class", class, "err", err)
			}
			if d != nil {
				return d, nil
			}
		}
		look.Reset(c.cfg.Poll)
		select {
		case <-more:
		case <-look.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.ctx.Done():
			return nil, ErrClosed
		}
	}
}

// hear begins to listen to hints.
func (c *Conn) hear() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if c.listening {
		return nil
	}
	sub, err := c.nats.Subscribe(c.moreSubject(), func(*nats.Msg) { c.hints.give() })
	if err != nil {
		return c.translate(c.moreSubject(), 0, err)
	}
	c.subs, c.listening = append(c.subs, sub), true
	return nil
}

// takeNow takes a task if there is one. Both results may be nil.
//
// The library's own FetchNoWait gives up after a second, and a task that comes later than that is nobody's until its lease ends. Here an
// answer is waited for as long as the connection lives, whatever becomes of the caller.
func (c *Conn) takeNow(class string) (*Delivery, error) {
	if !c.nats.IsConnected() && !c.nats.IsClosed() {
		return nil, ErrDisconnected
	}
	epoch := c.epoch.Load()
	msg, err := c.pull(class)
	if err != nil {
		return nil, c.translate(class, 0, err)
	}
	switch status := msg.Header.Get("Status"); status {
	case "":
	case "404":
		return nil, nil
	default:
		return nil, fmt.Errorf("class %s: %s %s", class, status, msg.Header.Get("Description"))
	}
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("class %s: a message without metadata: %w", class, err)
	}
	return &Delivery{Class: class, Body: msg.Data, Redelivered: meta.NumDelivered > 1, conn: c, msg: msg, epoch: epoch}, nil
}

// pull asks a class's consumer for one message, and for a status (404) if there is none. This is the JetStream API's
// CONSUMER.MSG.NEXT; what it sends comes under its own subject, so that the answer needs a subscription of its own.
func (c *Conn) pull(class string) (*nats.Msg, error) {
	inbox := c.nats.NewInbox()
	sub, err := c.nats.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() {
		// Only a connection that is closed refuses, and with it the subscription has ended.
		_ = sub.Unsubscribe()
	}()
	if err := c.nats.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+c.stream(class)+"."+workers, inbox, []byte(`{"batch":1,"no_wait":true}`)); err != nil {
		return nil, err
	}
	try, over := c.try(context.Background())
	defer over()
	msg, err := sub.NextMsgWithContext(try)
	return msg, ofTry(context.Background(), err)
}

// Delivery is a task that was taken. It is its taker's until it is acknowledged or returned, or the lease ends. After a
// reconnection the methods do nothing, and the lease ends by itself: see the package's decisions.
type Delivery struct {
	Class       string
	Body        []byte
	Redelivered bool // it was taken before, and neither acknowledged nor returned in time

	conn  *Conn
	msg   *nats.Msg
	epoch int64
}

// Stale says that the connection is another one by now.
func (d *Delivery) Stale() bool { return d.epoch != d.conn.epoch.Load() }

// Extend begins the lease anew.
func (d *Delivery) Extend() error {
	if d.Stale() {
		return nil
	}
	return d.conn.translate("extend the lease", 0, d.msg.InProgress())
}

// Ack says that the task is done with, and waits until the queue has forgotten it. Where that fails, somebody gets the task again after the
// lease.
func (d *Delivery) Ack(ctx context.Context) error {
	if d.Stale() {
		return nil
	}
	try, over := d.conn.try(ctx)
	defer over()
	return d.conn.translate("acknowledge a task", 0, ofTry(ctx, d.msg.AckSync(nats.Context(try))))
}

// Return gives the task back, to be taken by anyone after a delay of at least 0.
func (d *Delivery) Return(delay time.Duration) error {
	if d.Stale() {
		return nil
	}
	if delay > 0 {
		return d.conn.translate("return a task", 0, d.msg.NakWithDelay(delay))
	}
	err := d.msg.Nak()
	if err == nil {
		err = d.conn.nats.Publish(d.conn.moreSubject(), nil)
	}
	return d.conn.translate("return a task", 0, err)
}
