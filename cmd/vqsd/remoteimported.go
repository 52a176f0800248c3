package main

import (
	"bytes"
	"context"
	"errors"
	"io"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/vmaf"
)

// newStoredFigures are the pooled figures of a rendition that was imported.
func newStoredFigures(m *pb.Measurement, d *pb.Rendition) *storedFigures {
	s := &storedFigures{of: map[string]map[vmaf.PoolMethod]float64{}}
	for _, method := range m.GetPools() {
		s.pools = append(s.pools, vmaf.PoolMethod(method))
	}
	for _, score := range d.GetScores() {
		of := map[vmaf.PoolMethod]float64{}
		for _, pooled := range score.GetPooled() {
			if pooled.GetPooling() == aggregateMethod {
				of = nil // the table has those of all frames together
				break
			}
			of[vmaf.PoolMethod(pooled.GetPooling())] = pooled.GetValue()
		}
		if of != nil {
			s.names, s.of[score.GetSeries()] = append(s.names, score.GetSeries()), of
		}
	}
	return s
}

// exportedLog writes the log of an imported rendition as the daemon exports it: with the file's own pooled figures, version and speed.
func (a *app) exportedLog(p *patience, show *presentation, name, rendition string) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		whole := &onlyFile{}
		run := &exporting{
			app: a, flags: &exportFlags{}, legacy: pb.NewLegacyServiceClient(p.client.conn), patience: p, bar: a.newProgress(&presentation{quiet: true}), target: whole,
			request: &pb.ExportLegacyRequest{Name: name, Rendition: rendition, Format: show.logFormat.String(), Precision: int32(show.logDigits)},
		}
		err := run.all(ctx)
		if err := errors.Join(append(run.failures, err)...); err != nil {
			return err
		}
		if !whole.ended {
			return errNothingExported
		}
		tell := a.teller(show.quiet)
		for _, loss := range run.losses {
			tell("not held by %s: %s", show.logFormat, loss.what)
		}
		_, err = whole.WriteTo(w)
		return err
	}
}

// onlyFile is a target that keeps one file until it is whole.
type onlyFile struct {
	bytes.Buffer
	ended bool
}

func (f *onlyFile) begin(string) (io.Writer, error) {
	f.Reset()
	return &f.Buffer, nil
}

func (f *onlyFile) end(*exportResult) (string, bool, error) {
	f.ended = true
	return "-", false, nil
}

func (f *onlyFile) drop() error { return nil }

func (f *onlyFile) pass(*exportResult) error { return nil }
