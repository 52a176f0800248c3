// Command daemon loads a running vqsd with small measurements from many clients at once, follows them on many streams, and prints what that
// took: how long calls and measurements last, and how many a second there are.
//
//	vqsd serve --media-root demo &
//	go run ./bench/daemon -server 127.0.0.1:7330 -ref demo/reference.mp4 -dis demo/rendition-540p.mp4
//
// Every measurement is of other frames, so that nothing is stored yet, unless -cached says otherwise.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	vqsv1 "github.com/vqsd/vqsd/proto/vqs/v1"
)

type load struct {
	server       string
	ref, dis     string
	clients      int
	measurements int
	watchers     int
	frames       int64
	total        int64
	cached       bool
	timeout      time.Duration
}

func main() {
	var l load
	flag.StringVar(&l.server, "server", "127.0.0.1:7330", "address of the daemon")
	flag.StringVar(&l.ref, "ref", "", "reference, below a media root of the daemon")
	flag.StringVar(&l.dis, "dis", "", "distorted video")
	flag.IntVar(&l.clients, "clients", 50, "clients that submit at a time, each on a connection of its own")
	flag.IntVar(&l.measurements, "measurements", 1000, "measurements in all")
	flag.IntVar(&l.watchers, "watch", 200, "WatchQuality streams that are open at a time")
	flag.Int64Var(&l.frames, "frames", 2, "frames of each measurement")
	flag.Int64Var(&l.total, "total", 150, "frames of the clips")
	flag.BoolVar(&l.cached, "cached", false, "measure the same frames each time")
	flag.DurationVar(&l.timeout, "timeout", 10*time.Minute, "give up after")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
	defer cancel()
	if err := l.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench/daemon:", err)
		os.Exit(1)
	}
}

// durations are how long something took, each time.
type durations struct {
	// mu guards list.
	mu   sync.Mutex
	list []time.Duration
}

func (d *durations) since(start time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, time.Since(start))
}

func (d *durations) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.list) == 0 {
		return "none"
	}
	slices.Sort(d.list)
	at := func(percent int) time.Duration {
		return d.list[min(len(d.list)*percent/100, len(d.list)-1)].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("%d: p50 %v, p90 %v, p99 %v, longest %v", len(d.list), at(50), at(90), at(99), at(100))
}

func (l *load) run(ctx context.Context) error {
	ref, err := filepath.Abs(l.ref)
	if err != nil {
		return err
	}
	dis, err := filepath.Abs(l.dis)
	if err != nil {
		return err
	}
	var submit, whole durations
	var events atomic.Int64
	names := make(chan string, l.measurements)
	var numbers atomic.Int64
	began := time.Now()

	submitters, submitCtx := errgroup.WithContext(ctx)
	for range l.clients {
		submitters.Go(func() error {
			conn, err := grpc.NewClient(l.server, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				return err
			}
			client := vqsv1.NewQualityServiceClient(conn)
			defer func() { _ = conn.Close() }() // only read from; its error changes no figure
			for {
				n := numbers.Add(1) - 1
				if n >= int64(l.measurements) {
					return nil
				}
				first := int64(0)
				if !l.cached {
					first = n % max(1, l.total-l.frames)
				}
				start := time.Now()
				answer, err := client.MeasureQuality(submitCtx, &vqsv1.MeasureQualityRequest{
					Spec: &vqsv1.MeasurementSpec{
						Reference:  &vqsv1.VideoSource{Uri: ref},
						Renditions: []*vqsv1.RenditionSource{{Source: &vqsv1.VideoSource{Uri: dis}}},
						FirstFrame: first, EndFrame: first + l.frames, NoCache: !l.cached,
					},
					RequestId: fmt.Sprintf("load-%d-%d", began.UnixNano(), n),
				})
				if err != nil {
					return fmt.Errorf("measurement %d: %w", n, err)
				}
				submit.since(start)
				names <- answer.GetMeasurement().GetName()
			}
		})
	}
	watchers, watchCtx := errgroup.WithContext(ctx)
	conn, err := grpc.NewClient(l.server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // as above
	client := vqsv1.NewQualityServiceClient(conn)
	for range l.watchers {
		watchers.Go(func() error {
			for name := range names {
				start := time.Now()
				n, err := watch(watchCtx, client, name)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				events.Add(n)
				whole.since(start)
			}
			return nil
		})
	}
	err = submitters.Wait()
	submitted := time.Since(began)
	close(names)
	err = errors.Join(err, watchers.Wait())
	elapsed := time.Since(began)
	fmt.Printf("clients %d, measurements %d of %d frames, streams %d\n", l.clients, l.measurements, l.frames, l.watchers)
	fmt.Printf("MeasureQuality    %v\n", &submit)
	fmt.Printf("to the end        %v\n", &whole)
	fmt.Printf("all accepted in   %v, %.0f a second\n", submitted.Round(time.Millisecond), float64(l.measurements)/submitted.Seconds())
	fmt.Printf("all finished in   %v, %.1f a second; %d events\n", elapsed.Round(time.Millisecond), float64(l.measurements)/elapsed.Seconds(), events.Load())
	return err
}

// watch follows one measurement to its end and counts events.
func watch(ctx context.Context, client vqsv1.QualityServiceClient, name string) (int64, error) {
	stream, err := client.WatchQuality(ctx, &vqsv1.WatchQualityRequest{Name: name})
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for {
		event, err := stream.Recv()
		if err != nil {
			return n, fmt.Errorf("the stream ended before the measurement: %w", err)
		}
		n++
		if m := event.GetMeasurement(); m != nil && m.GetFinishTime() != nil {
			if m.GetState() != vqsv1.MeasurementState_MEASUREMENT_STATE_SUCCEEDED {
				return n, fmt.Errorf("%v: %s", m.GetState(), m.GetFailure().GetMessage())
			}
			return n, nil
		}
	}
}
