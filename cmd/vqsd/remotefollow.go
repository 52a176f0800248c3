package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// defaultPatience is how long a daemon that has gone is waited for.
const defaultPatience = 5 * time.Minute

// patience calls again what a daemon could not answer because it is not there: while it starts anew, or drains.
type patience struct {
	client *client
	limit  time.Duration // how long it may be away, from the last answer on
	eager  bool          // wait even for a daemon that was never reached
	tell   func(format string, args ...any)
}

// try calls until call succeeds, fails for another reason than that the daemon is not there, or patience has run out. call says by progressed that
// the daemon has answered something, from which on patience counts anew. Errors are explained.
func (p *patience) try(ctx context.Context, call func(ctx context.Context, progressed func()) error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 3*time.Second
	var since time.Time // of the first failure in a row; zero: there is none
	progressed := func() {
		since = time.Time{}
		pause.Reset()
	}
	for {
		err := call(ctx, progressed)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || !isUnavailable(err) || !p.client.reached.Load() && !p.eager {
			return p.client.explain(ctx, err)
		}
		if since.IsZero() {
			since = time.Now()
			p.tell("%v; trying again for %v", p.client.explain(ctx, err), p.limit)
		}
		wait := pause.NextBackOff()
		if time.Since(since)+wait > p.limit {
			return fmt.Errorf("%w; it was waited for %v, which --patience says", p.client.explain(ctx, err), p.limit)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// get reads a measurement, all of it.
func (p *patience) get(ctx context.Context, name string) (m *pb.Measurement, err error) {
	err = p.try(ctx, func(ctx context.Context, _ func()) error {
		answer, err := p.client.GetQuality(ctx, &pb.GetQualityRequest{Name: name, View: pb.MeasurementView_MEASUREMENT_VIEW_FULL})
		m = answer.GetMeasurement()
		return err
	})
	return m, err
}

// follow waits until a measurement has ended, and returns it. update is called as it progresses. A daemon that goes away and comes again is
// found again.
func (p *patience) follow(ctx context.Context, name string, update func(*pb.Progress)) (*pb.Measurement, error) {
	err := p.try(ctx, func(ctx context.Context, progressed func()) error {
		stream, err := p.client.WatchQuality(ctx, &pb.WatchQualityRequest{Name: name, NoSegments: true})
		if err != nil {
			return err
		}
		for {
			event, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			progressed()
			if now := event.GetProgress(); now != nil {
				update(now)
			}
			if now := event.GetMeasurement().GetProgress(); now != nil {
				update(now)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	m, err := p.get(ctx, name)
	if err != nil {
		return nil, err
	}
	if !isFinal(m.GetState()) {
		return nil, fmt.Errorf("daemon at %s: stopped telling of %s, which is %s", p.client.address, shortName(name), stateWord(m.GetState()))
	}
	return m, nil
}

// isFinal says whether a measurement has ended.
func isFinal(s pb.MeasurementState) bool {
	return s != pb.MeasurementState_MEASUREMENT_STATE_PENDING && s != pb.MeasurementState_MEASUREMENT_STATE_RUNNING
}

// namePrefix begins the names of measurements. People may leave it out, and are shown names without it.
const namePrefix = "measurements/"

// measurementName is the full name of a measurement. Error: it can be none.
func measurementName(text string) (string, error) {
	id := strings.TrimPrefix(text, namePrefix)
	if len(id) != 26 || strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyz") != "" {
		return "", fmt.Errorf("%q is no measurement's name: want 26 letters and digits, as vqsd list shows them", text)
	}
	return namePrefix + id, nil
}

// measurementNames reads several.
func measurementNames(texts []string) ([]string, error) {
	if len(texts) == 0 {
		return nil, errors.New("name at least one measurement; vqsd list shows them")
	}
	var names []string
	var errs []error
	for _, text := range texts {
		name, err := measurementName(text)
		names, errs = append(names, name), append(errs, err)
	}
	return unique(names), errors.Join(errs...)
}

// shortName is a measurement's name for people.
func shortName(name string) string { return strings.TrimPrefix(name, namePrefix) }

// enumWord is the word for a value of an enum of the API, less the enum's name: "running" for MEASUREMENT_STATE_RUNNING.
func enumWord(value fmt.Stringer, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(value.String(), prefix+"_"))
}

func stateWord(s pb.MeasurementState) string    { return enumWord(s, "MEASUREMENT_STATE") }
func classWord(c pb.ServiceClass) string        { return enumWord(c, "SERVICE_CLASS") }
func reasonWord(r pb.FailureReason) string      { return enumWord(r, "FAILURE_REASON") }
func workerStateWord(s pb.WorkerState) string   { return enumWord(s, "WORKER_STATE") }
func pairingWord(p pb.Pairing) string           { return enumWord(p, "PAIRING") }
func scaleWord(f pb.ScaleFilter) string         { return enumWord(f, "SCALE_FILTER") }
func damagePolicyWord(p pb.DamagePolicy) string { return enumWord(p, "DAMAGE_POLICY") }
func bitDepthWord(d pb.BitDepth) string         { return enumWord(d, "BIT_DEPTH") }
