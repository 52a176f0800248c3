package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// namesFlags are the flags of commands that do one thing to each of several measurements.
type namesFlags struct {
	connectFlags
	json bool
}

// namesCommand makes such a command; do does it and prints what came of it.
func (a *app) namesCommand(c *cobra.Command, do func(ctx context.Context, c *client, name string, asJSON bool) error) *cobra.Command {
	var f namesFlags
	c.Args = func(_ *cobra.Command, args []string) error {
		_, err := measurementNames(args)
		return err
	}
	c.ValidArgsFunction = completeMeasurements(&f.connectFlags, 0)
	c.RunE = func(cmd *cobra.Command, args []string) (err error) {
		names, err := measurementNames(args)
		if err != nil {
			return &usageError{err}
		}
		client, err := f.open()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, client.close()) }()
		var errs []error
		for _, name := range names {
			err := do(cmd.Context(), client, name, f.json)
			if err == nil {
				continue
			}
			err = client.explain(cmd.Context(), err)
			if cmd.Context().Err() != nil || isUnavailable(err) {
				return errors.Join(append(errs, err)...) // the others would fail alike
			}
			errs = append(errs, fmt.Errorf("%s: %w", shortName(name), err))
		}
		return errors.Join(errs...)
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVar(&f.json, "json", false, "print JSON, one document a line")
	f.define(c, defaultServer)
	return c
}

func (a *app) cancelCommand() *cobra.Command {
	return a.namesCommand(&cobra.Command{
		Use:   "cancel NAME…",
		Short: "cancel measurements of a daemon's",
		Long: `Cancel measurements of a daemon's. What was measured is kept, and may serve
others. One that has ended is left as it is, and its state is printed.

With --json every line is a document (vqsd.measurement/1).`,
		Example: `  vqsd cancel 01jd9k3v5q8x2m7n4p6r0s1t2w`,
	}, func(ctx context.Context, c *client, name string, asJSON bool) error {
		answer, err := c.CancelQuality(ctx, &pb.CancelQualityRequest{Name: name})
		if err != nil {
			return err
		}
		m := answer.GetMeasurement()
		if asJSON {
			return writeLine(a.stdout, newMeasurementDocument(m))
		}
		fmt.Fprintf(a.stdout, "%s  %s\n", shortName(name), stateWord(m.GetState()))
		return nil
	})
}

// deletedDocument says that a measurement is gone.
type deletedDocument struct {
	Schema string `json:"schema"` // deletedSchema
	Name   string `json:"name"`
}

func (a *app) deleteCommand() *cobra.Command {
	return a.namesCommand(&cobra.Command{
		Use:   "delete NAME…",
		Short: "delete measurements of a daemon's that have ended",
		Long: `Delete measurements of a daemon's that have ended. Figures of frames stay for
others, until none has named them for a while.

With --json every line is a document (vqsd.deleted/1).`,
		Example: `  vqsd delete 01jd9k3v5q8x2m7n4p6r0s1t2w`,
	}, func(ctx context.Context, c *client, name string, asJSON bool) error {
		if _, err := c.DeleteMeasurement(ctx, &pb.DeleteMeasurementRequest{Name: name}); err != nil {
			return err
		}
		if asJSON {
			return writeLine(a.stdout, deletedDocument{deletedSchema, name})
		}
		fmt.Fprintf(a.stdout, "%s  deleted\n", shortName(name))
		return nil
	})
}
