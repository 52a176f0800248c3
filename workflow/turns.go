package workflow

import (
	"context"
	"sync"

	"github.com/vqsd/vqsd/store"
)

// turns lets one change of a measurement happen after the other: a change reads the record, decides, and writes it with what goes
// along, and nothing else about that measurement may come between. Different measurements do not wait for each other.
type turns struct {
	// mu guards the map.
	mu    sync.Mutex
	queue map[store.MeasurementID]*turn
}

type turn struct {
	free    chan struct{} // holds one token while nobody has the turn
	waiting int           // callers that have or want it
}

func newTurns() *turns { return &turns{queue: map[store.MeasurementID]*turn{}} }

// take waits for the turn; done gives it back.
func (t *turns) take(ctx context.Context, id store.MeasurementID) (done func(), err error) {
	t.mu.Lock()
	q := t.queue[id]
	if q == nil {
		q = &turn{free: make(chan struct{}, 1)}
		q.free <- struct{}{}
		t.queue[id] = q
	}
	q.waiting++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if q.waiting--; q.waiting == 0 {
			delete(t.queue, id)
		}
	}
	select {
	case <-q.free:
		return func() { q.free <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
