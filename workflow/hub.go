package workflow

import (
	"sync"

	"github.com/vqsd/vqsd/store"
)

// hub tells those who watch a measurement that something about it changed. It carries no events: watchers look for themselves, so
// that a slow one holds nothing up and misses nothing that matters.
type hub struct {
	// mu guards the map.
	mu       sync.Mutex
	watchers map[store.MeasurementID]map[chan struct{}]bool
}

func newHub() *hub { return &hub{watchers: map[store.MeasurementID]map[chan struct{}]bool{}} }

// watch returns a channel that has a token whenever something changed since the last one was taken.
func (h *hub) watch(id store.MeasurementID) (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers[id] == nil {
		h.watchers[id] = map[chan struct{}]bool{}
	}
	h.watchers[id][c] = true
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if delete(h.watchers[id], c); len(h.watchers[id]) == 0 {
			delete(h.watchers, id)
		}
	}
}

func (h *hub) notify(id store.MeasurementID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.watchers[id] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
