package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/store"
)

func TestFailureOf(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, escape := root.Stat("../x")
	for name, c := range map[string]struct {
		err       error
		reason    store.Reason
		transient bool
	}{
		"missing":                {fmt.Errorf("x: %w", fs.ErrNotExist), store.ReasonNotFound, false},
		"a file for a folder":    {fmt.Errorf("x: %w", syscall.ENOTDIR), store.ReasonNotFound, false},
		"forbidden":              {fmt.Errorf("x: %w", syscall.EACCES), store.ReasonDenied, false},
		"outside the root":       {escape, store.ReasonDenied, false},
		"bad disk in mid-file":   {&decode.FrameError{Path: "x", Err: syscall.EIO}, store.ReasonInternal, true},
		"too many files":         {syscall.EMFILE, store.ReasonInternal, true},
		"changed":                {&decode.FrameError{Path: "x", Err: decode.ErrChanged}, store.ReasonChanged, false},
		"timeout":                {fmt.Errorf("x: %w", decode.ErrTimeout), store.ReasonLimit, true},
		"limit":                  {fmt.Errorf("x: %w", &decode.LimitError{Name: "max_width"}), store.ReasonLimit, false},
		"ambiguous":              {&engine.AmbiguousError{Path: "x"}, store.ReasonAmbiguous, false},
		"format change":          {&decode.FrameError{Path: "x", Err: decode.ErrFormatChanged}, store.ReasonAmbiguous, false},
		"no such frames":         {fmt.Errorf("x: %w", engine.ErrUnfit), store.ReasonInvalid, false},
		"crop":                   {fmt.Errorf("x: %w", decode.ErrCrop), store.ReasonInvalid, false},
		"no video":               {fmt.Errorf("x: %w", decode.ErrNoVideo), store.ReasonUnsupported, false},
		"damaged":                {&decode.FrameError{Path: "x", Err: decode.ErrDamaged}, store.ReasonDamaged, false},
		"frame, for some reason": {&decode.FrameError{Path: "x", Err: errors.New("y")}, store.ReasonDamaged, false},
		"anything else":          {errors.New("no memory for adm"), store.ReasonInternal, true},
	} {
		if e := failureOf(c.err); e.Reason != c.reason || e.Transient != c.transient || e.Message != c.err.Error() {
			t.Errorf("%s: %+v, want %s, transient %v", name, e, c.reason, c.transient)
		}
	}
	if e := openFailure(errors.New("frames: range 3:2 is empty")); e.Reason != store.ReasonInvalid || e.Transient {
		t.Errorf("a wrong request: %+v", e)
	}
	if e := openFailure(&engine.ReferenceError{Err: errors.New("y")}); e.Reason != store.ReasonInternal || !e.Transient {
		t.Errorf("an unknown error of the reference: %+v", e)
	}
	// What FFmpeg quotes of a file may be anything.
	long := failureMessage(errors.New("\xff" + strings.Repeat("ü", maxMessageBytes)))
	if !utf8.ValidString(long) || len(long) > maxMessageBytes+40 || !strings.HasSuffix(long, "bytes more)") {
		t.Errorf("%d bytes, %q", len(long), long[len(long)-40:])
	}
}

func TestThinned(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 1, 10: 10, 11: 6, 20: 10, 21: 7, 1000: 10} {
		if got := thinned(make([]int64, n), 10); len(got) != want {
			t.Errorf("%d: %d are left, want %d", n, len(got), want)
		}
	}
	if got := thinned([]int64{0, 5, 9, 12, 20}, 3); !slices.Equal(got, []int64{0, 9, 20}) {
		t.Errorf("%v", got)
	}
}

func TestUnevenTimes(t *testing.T) {
	d := engine.Description{Times: []time.Duration{0, 33366667, 66733333}}
	d.Reference.TimeBase = decode.Rational{Num: 1, Den: 90000}
	if got := unevenTimes(&d); got != nil {
		t.Errorf("a constant rate: %v", got)
	}
	d.Reference.VariableRate = true
	if got := unevenTimes(&d); !slices.Equal(got, []int64{0, 3003, 6006}) {
		t.Errorf("%v, want 0, 3003, 6006", got)
	}
	d.Times = make([]time.Duration, maxTimes+1)
	if got := unevenTimes(&d); got != nil {
		t.Errorf("%d times are told", len(got))
	}
}

// opener makes comparisons of one clip for a cache.
type opener struct {
	request engine.Request
	opened  atomic.Int32
}

func newOpener(t *testing.T) *opener {
	ref, dis := pair(t, 3)
	return &opener{request: engine.Request{Reference: decode.Input{Path: ref}, Distorted: []decode.Input{{Path: dis}}}}
}

func (o *opener) open(ctx context.Context) (*liveComparison, error) {
	o.opened.Add(1)
	e, err := engine.Open(ctx, o.request)
	if err != nil {
		return nil, err
	}
	return &liveComparison{engine: e, description: e.Describe(), index: []int{0}}, nil
}

// use acquires and releases.
func use(t *testing.T, c *comparisonCache, key string, o *opener) (reused bool) {
	t.Helper()
	e, reused, err := c.acquire(t.Context(), key, o.open)
	if err != nil {
		t.Fatal(err)
	}
	c.release(e)
	return reused
}

func TestComparisonCache_keepsTheLatestUsed(t *testing.T) {
	o := newOpener(t)
	c := newComparisonCache(2, time.Hour, slog.Default())
	for i, step := range []struct {
		key    string
		reused bool
	}{{"a", false}, {"b", false}, {"a", true}, {"c", false}, {"a", true}, {"b", false}, {"c", false}} {
		if got := use(t, c, step.key, o); got != step.reused {
			t.Errorf("step %d, %s: reused %v, want %v", i, step.key, got, step.reused)
		}
		if open, idle := c.sizes(); open > 2 || idle > 2 {
			t.Errorf("step %d: %d open, %d idle; at most 2 are to be kept", i, open, idle)
		}
	}
	if err := errors.Join(c.close(), c.close()); err != nil {
		t.Fatal(err)
	}
	if use(t, c, "c", o) {
		t.Error("a comparison is kept after close")
	}
	if open, _ := c.sizes(); open != 0 {
		t.Errorf("%d are open after close", open)
	}
}

func TestComparisonCache_usedByOneWhileClosed(t *testing.T) {
	o := newOpener(t)
	c := newComparisonCache(2, time.Hour, slog.Default())
	e, _, err := c.acquire(t.Context(), "a", o.open)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	vif, err := parseExtractions([]string{"vif"})
	if err != nil {
		t.Fatal(err)
	}
	work := engine.Work{Extractions: vif, Renditions: []int{0}, End: 3}
	if _, err := e.engine.Extract(t.Context(), work); err != nil {
		t.Errorf("in use while the cache is closed: %v", err)
	}
	c.release(e)
	if _, err := e.engine.Extract(t.Context(), work); !errors.Is(err, decode.ErrClosed) {
		t.Errorf("after its last use: %v", err)
	}
}

func TestComparisonCache_lettingGo(t *testing.T) {
	o := newOpener(t)
	c := newComparisonCache(2, time.Millisecond, slog.Default())
	use(t, c, "a", o)
	deadline := time.Now().Add(10 * time.Second)
	for open, _ := c.sizes(); open > 0 && time.Now().Before(deadline); open, _ = c.sizes() {
	}
	if open, _ := c.sizes(); open != 0 {
		t.Error("a comparison that nobody uses stays open")
	}
	c = newComparisonCache(2, time.Hour, slog.Default())
	e, _, err := c.acquire(t.Context(), "a", o.open)
	if err != nil {
		t.Fatal(err)
	}
	c.spoil(e)
	if use(t, c, "a", o) {
		t.Error("a spoiled comparison is used again")
	}
	c.release(e)
	if !use(t, c, "a", o) {
		t.Error("the one opened in its place is not kept")
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
}

// Tasks that want the same comparison at a time open it once, and one that is cancelled while it opens takes no other with it.
func TestComparisonCache_together(t *testing.T) {
	o := newOpener(t)
	c := newComparisonCache(2, time.Hour, slog.Default())
	began, gone := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		_, _, err := c.acquire(ctx, "a", func(ctx context.Context) (*liveComparison, error) {
			close(began)
			<-gone
			cancel()
			return nil, ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
	<-began
	for range 8 {
		group.Go(func() { use(t, c, "a", o) })
	}
	close(gone)
	group.Wait()
	if n := o.opened.Load(); n != 1 {
		t.Errorf("opened %d times", n)
	}
	bad := errors.New("bad")
	if _, _, err := c.acquire(t.Context(), "b", func(context.Context) (*liveComparison, error) { return nil, bad }); !errors.Is(err, bad) {
		t.Errorf("got %v, want the opener's error", err)
	}
	if open, idle := c.sizes(); open != 1 || idle != 1 {
		t.Errorf("%d open, %d idle; want one of each", open, idle)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
}
