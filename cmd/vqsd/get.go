package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

const getLong = `Show a measurement of a daemon's. Of one that has ended, get shows what
vqsd measure would have shown, in the same forms: table, document, logs and
plot. Of one that has not, it shows how far it is; --follow waits for the end.

With --json a measurement that has a result is the document of vqsd measure
(vqsd.measure/1), and any other a vqsd.measurement/1.`

// getFlags are the flags of get as they were given.
type getFlags struct {
	outputFlags
	connectFlags
	follow   bool
	patience time.Duration
}

func (a *app) getCommand() *cobra.Command {
	var f getFlags
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "show a measurement of a daemon's",
		Long:  getLong,
		Example: `  vqsd get 01jd9k3v5q8x2m7n4p6r0s1t2w
  vqsd get 01jd9k3v5q8x2m7n4p6r0s1t2w --follow --log vmaf.xml
  vqsd get measurements/01jd9k3v5q8x2m7n4p6r0s1t2w --json --server media-host:7330`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one measurement; there are %d", len(args))
			}
			_, err := measurementName(args[0])
			return err
		},
		ValidArgsFunction: completeMeasurements(&f.connectFlags, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.get(cmd.Context(), &f, args[0], cmd.Flags().Changed)
		},
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVarP(&f.follow, "follow", "f", false, "wait for the measurement's end")
	f.outputFlags.define(c)
	f.connectFlags.define(c, defaultServer)
	c.Flags().DurationVar(&f.patience, "patience", defaultPatience, "how long --follow waits for a daemon that has gone away: `TIME`")
	return c
}

func (a *app) get(ctx context.Context, f *getFlags, text string, changed func(string) bool) (err error) {
	name, err := measurementName(text)
	if err != nil {
		return &usageError{err}
	}
	show, err := f.outputFlags.parse(changed)
	if f.patience < 0 {
		err = errors.Join(err, fmt.Errorf("--patience %v: must not be negative", f.patience))
	}
	if err != nil {
		return &usageError{err}
	}
	c, err := f.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	p := &patience{client: c, tell: a.teller(show.quiet)}
	if f.follow {
		p.limit, p.eager = f.patience, changed("patience")
	}
	m, err := p.get(ctx, name)
	if err != nil {
		return err
	}
	// Before a long wait, not after it: a log that cannot be written is an error now.
	if err := f.prepare(&show, m); err != nil {
		return err
	}
	if f.follow && !isFinal(m.GetState()) {
		if m, err = a.await(ctx, p, &show, m); err != nil {
			return err
		}
	}
	return a.showGot(ctx, p, &show, m)
}

// prepare names the renditions, and checks that logs and plot can be written.
func (f *getFlags) prepare(show *presentation, m *pb.Measurement) error {
	var uris []string
	for _, r := range m.GetSpec().GetRenditions() {
		uris = append(uris, cmp.Or(r.GetSource().GetUri(), r.GetName()))
	}
	// What the flags come to depends on the measurement, so that these are not errors of usage.
	if err := f.name(show, uris); err != nil {
		return &runtimeError{err}
	}
	return f.preparePlaces(show, uris, append(uris, m.GetSpec().GetReference().GetUri()))
}

// showGot shows a measurement, whatever its state.
func (a *app) showGot(ctx context.Context, p *patience, show *presentation, m *pb.Measurement) error {
	err := ending(m, nil)
	frameless := m.GetImported() != nil && len(m.GetImported().GetSeries()) == 0
	if isFinal(m.GetState()) && err == nil && !frameless {
		return a.showRemote(ctx, p, show, m, nil)
	}
	if !isFinal(m.GetState()) {
		err = nil
	}
	switch drawn := show.writesLog() || show.plot != nil; {
	case drawn && !isFinal(m.GetState()):
		err = fmt.Errorf("measurement %s is %s: log and plot need its end, which --follow waits for", shortName(m.GetName()), stateWord(m.GetState()))
	case drawn && frameless:
		err = fmt.Errorf("measurement %s was imported from a file without figures of frames, which log and plot need", shortName(m.GetName()))
	}
	if show.json {
		return errors.Join(writeJSON(a.stdout, newMeasurementDocument(m)), err)
	}
	printMeasurement(a.stdout, m)
	return err
}

// open makes a client of flags.
func (f *connectFlags) open() (*client, error) {
	connection, err := f.parse()
	if err != nil {
		return nil, err
	}
	return connection.dial()
}
