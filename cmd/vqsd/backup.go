package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

const backupLong = `Write a snapshot of a daemon's store to a file, while the daemon runs. The file
holds everything: measurements, figures, and what is outstanding. It is complete
or it is not there: it gets its name when all of it has arrived and is on the
disk. Only you may read it. vqsd restore makes a store of it.

With --json a document (vqsd.backup/1) is printed, unless standard output is the
backup.`

// backupDocument says what was written.
type backupDocument struct {
	Schema    string `json:"schema"` // backupSchema
	File      string `json:"file"`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"` // of the file
}

func (a *app) backupCommand() *cobra.Command {
	var f connectFlags
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "backup -o FILE",
		Short: "write a snapshot of a daemon's store to a file",
		Long:  backupLong,
		Example: `  vqsd backup -o vqsd.backup
  vqsd backup --server media-host:7330 --token-file admin.token -o - | zstd > vqsd.backup.zst`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.backup(cmd.Context(), &f, file, asJSON)
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVarP(&file, "output", "o", "", "the `FILE` to write; - is standard output")
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON document")
	f.define(c, defaultServer)
	if err := c.MarkFlagRequired("output"); err != nil {
		panic(err) // no such flag: a bug
	}
	return c
}

func (a *app) backup(ctx context.Context, f *connectFlags, file string, asJSON bool) (err error) {
	toOutput := file == "-"
	switch {
	case file == "":
		return usagef("--output: the file name is empty")
	case toOutput && asJSON:
		return usagef("--output - and --json both write to standard output; name a file")
	case toOutput && isTerminal(a.rawOutput):
		return errors.New("standard output is a terminal; name a file, or pipe the backup somewhere")
	}
	var target place
	if !toOutput {
		if target, err = newPlace("backup", file, nil); err != nil {
			return err
		}
		target.private = true
	}
	c, err := f.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	d := backupDocument{Schema: backupSchema, File: file}
	fill := func(w io.Writer) error {
		sum := sha256.New()
		d.SizeBytes, err = c.backup(ctx, io.MultiWriter(w, sum))
		d.SHA256 = hex.EncodeToString(sum.Sum(nil))
		return err
	}
	if toOutput {
		return fill(a.stdout)
	}
	if err := target.write(ctx, fill); err != nil {
		return err
	}
	if asJSON {
		return writeJSON(a.stdout, d)
	}
	fmt.Fprintf(a.stderr, "wrote %d bytes to %s\n", d.SizeBytes, printable(file))
	return nil
}

// backup writes a snapshot of the daemon's store to w. It may have written a part when it fails.
func (c *client) backup(ctx context.Context, w io.Writer) (sizeBytes int64, err error) {
	ctx, cancel := context.WithCancel(ctx) // ends a stream that is not read to its end
	defer cancel()
	stream, err := c.admin.Backup(ctx, &pb.BackupRequest{})
	if err != nil {
		return 0, c.explain(ctx, err)
	}
	for {
		piece, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && sizeBytes == 0:
			return 0, fmt.Errorf("daemon at %s: the backup is empty", c.address)
		case errors.Is(err, io.EOF):
			return sizeBytes, nil
		case err != nil:
			return sizeBytes, c.explain(ctx, err)
		}
		n, err := w.Write(piece.GetData())
		sizeBytes += int64(n)
		if err != nil {
			return sizeBytes, err
		}
	}
}
