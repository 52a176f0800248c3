package grpc

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/vqsd/vqsd/workflow"
)

// Limits bound what clients may ask of the daemon. In each field 0 means the default. The names in parentheses are the configuration's, and what
// errors name.
type Limits struct {
	// RequestsPerSecond is how many calls a caller may make a second, over some seconds (limits.requests_per_second). Default 1000. −1: any.
	RequestsPerSecond float64
	// RequestBurst is how many he may make at once (limits.request_burst). Default: twice RequestsPerSecond.
	RequestBurst int
	// WatchStreams is how many streams without an end of their own, WatchQuality above all, a caller may have open (limits.watch_streams). Those of
	// health checks, which need no credentials, count together. Default 1000.
	WatchStreams int
	// Streams is how many calls one connection may have open; further ones wait at the client (limits.streams_per_connection). Default 1024.
	Streams int
	// Connections is how many connections may be open; further ones wait (limits.connections). Default 1024.
	Connections int
	// MessageBytes is the largest message that is read (limits.message_size). Default 16 MiB. Range 64 KiB – 1 GiB.
	MessageBytes int
	// StalledStream is how long a message of a stream may wait for a client that does not read (limits.stalled_stream). Default 1 min.
	StalledStream time.Duration
	// Rescores is how many measurements one RescoreQuality call scores at a time (limits.rescore_concurrency). Default 4.
	Rescores int
	// ImportBytes is the largest file that ImportLegacy reads (limits.import_size). Default 256 MiB. Range 1 MiB – 16 GiB.
	ImportBytes int64
	// ImportStreams is how many ImportLegacy calls are answered at a time (limits.import_streams). Each holds the figures of one file. Default 4.
	ImportStreams int
}

// withDefaults fills in defaults and reports every problem.
func (l Limits) withDefaults() (Limits, error) {
	def := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	if l.RequestsPerSecond == 0 {
		l.RequestsPerSecond = 1000
	}
	def(&l.RequestBurst, int(math.Ceil(min(2*max(l.RequestsPerSecond, 1), 1e6))))
	def(&l.WatchStreams, 1000)
	def(&l.Streams, 1024)
	def(&l.Connections, 1024)
	def(&l.MessageBytes, 16<<20)
	def(&l.Rescores, 4)
	def(&l.ImportStreams, 4)
	if l.ImportBytes == 0 {
		l.ImportBytes = 256 << 20
	}
	if l.StalledStream == 0 {
		l.StalledStream = time.Minute
	}
	var errs []error
	check := func(ok bool, key string, value any, allowed string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s is %v; the range is %s", key, value, allowed))
		}
	}
	check(l.RequestsPerSecond == -1 || l.RequestsPerSecond > 0 && l.RequestsPerSecond <= 1e6, "limits.requests_per_second", l.RequestsPerSecond, "above 0 to 1000000, or -1 for any number")
	check(l.RequestBurst >= 1 && l.RequestBurst <= 1e6, "limits.request_burst", l.RequestBurst, "1 to 1000000")
	check(l.WatchStreams >= 1 && l.WatchStreams <= 1e6, "limits.watch_streams", l.WatchStreams, "1 to 1000000")
	check(l.Streams >= 1 && l.Streams <= 1e6, "limits.streams_per_connection", l.Streams, "1 to 1000000")
	check(l.Connections >= 1 && l.Connections <= 1e6, "limits.connections", l.Connections, "1 to 1000000")
	check(l.MessageBytes >= 64<<10 && l.MessageBytes <= 1<<30, "limits.message_size", l.MessageBytes, "64KiB to 1GiB")
	check(l.StalledStream >= time.Second && l.StalledStream <= time.Hour, "limits.stalled_stream", l.StalledStream, "1s to 1h")
	check(l.Rescores >= 1 && l.Rescores <= 256, "limits.rescore_concurrency", l.Rescores, "1 to 256")
	check(l.ImportBytes >= 1<<20 && l.ImportBytes <= 16<<30, "limits.import_size", l.ImportBytes, "1MiB to 16GiB")
	check(l.ImportStreams >= 1 && l.ImportStreams <= 256, "limits.import_streams", l.ImportStreams, "1 to 256")
	return l, errors.Join(errs...)
}

// openAccount is that of calls that need no credentials. No caller is called so.
const openAccount = "\x00open"

// maxCallers is of how many callers accounts are kept. More can only come up where names are those of certificates.
const maxCallers = 10_000

// accounts are what callers have used of their limits.
type accounts struct {
	limits Limits

	// mu guards the maps.
	mu      sync.Mutex
	rates   map[string]*rate.Limiter
	watches map[string]int
}

func newAccounts(l Limits) *accounts {
	return &accounts{limits: l, rates: map[string]*rate.Limiter{}, watches: map[string]int{}}
}

// request counts a call. Error: *[workflow.LimitError].
func (a *accounts) request(caller string) error {
	if a.limits.RequestsPerSecond < 0 {
		return nil
	}
	a.mu.Lock()
	r := a.rates[caller]
	if r == nil {
		if len(a.rates) >= maxCallers {
			clear(a.rates) // everybody begins anew; better than to grow
		}
		r = rate.NewLimiter(rate.Limit(a.limits.RequestsPerSecond), a.limits.RequestBurst)
		a.rates[caller] = r
	}
	a.mu.Unlock()
	if !r.Allow() {
		return &workflow.LimitError{Key: "limits.requests_per_second", Max: int64(math.Ceil(a.limits.RequestsPerSecond)), What: "requests"}
	}
	return nil
}

// watch counts a stream, until done is called. Error: *[workflow.LimitError].
func (a *accounts) watch(caller string) (done func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.watches[caller] >= a.limits.WatchStreams {
		return nil, &workflow.LimitError{Key: "limits.watch_streams", Max: int64(a.limits.WatchStreams), What: "open streams"}
	}
	a.watches[caller]++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.watches[caller]--; a.watches[caller] == 0 {
			delete(a.watches, caller)
		}
	}, nil
}
