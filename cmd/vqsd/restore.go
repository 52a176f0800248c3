package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/store"
)

const restoreLong = `Make a store of a backup, in an empty directory or one that is not there yet. No
daemon has a part in it; one that is started on the directory goes on where the
backup was made. A backup that is damaged or cut off is refused, and the
directory is empty then. - reads the backup from standard input.

With --json a document (vqsd.restore/1) is printed.`

// restoreDocument says what was restored.
type restoreDocument struct {
	Schema       string `json:"schema"` // restoreSchema
	Data         string `json:"data"`
	BeganTime    string `json:"began_time"` // when the backup was begun
	Measurements int64  `json:"measurements"`
	Entries      int64  `json:"entries"`
	SHA256       string `json:"sha256"` // as the backup states it, of all that it has
}

func (a *app) restoreCommand() *cobra.Command {
	var data string
	var asJSON bool
	c := &cobra.Command{
		Use:   "restore --data DIR FILE",
		Short: "make a store of a backup",
		Long:  restoreLong,
		Example: `  vqsd restore --data /var/lib/vqsd vqsd.backup
  zstd -dc vqsd.backup.zst | vqsd restore --data /var/lib/vqsd -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return fmt.Errorf("name one file; there are %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if data == "" {
				return usagef("--data: the directory's name is empty")
			}
			return a.restore(cmd.Context(), data, args[0], asJSON)
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&data, "data", "", "the `DIR` to make the store in")
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON document")
	for _, err := range []error{c.MarkFlagRequired("data"), c.MarkFlagDirname("data")} {
		if err != nil {
			panic(err) // no such flag: a bug
		}
	}
	return c
}

func (a *app) restore(ctx context.Context, data, path string, asJSON bool) (err error) {
	from := a.stdin
	if path != "-" {
		file, openErr := os.Open(path)
		if openErr != nil {
			return fmt.Errorf("backup %s: %w", path, bare(openErr))
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		from = file
	} else if isTerminal(from) {
		return errors.New("standard input is a terminal; pipe a backup into it")
	}
	info, err := store.Restore(ctx, store.Config{Dir: data, Logger: slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))},
		contextReader{ctx, from})
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(a.stdout, restoreDocument{
			restoreSchema, data, info.Began.UTC().Format(time.RFC3339), info.Measurements, info.Entries, hex.EncodeToString(info.SHA256[:]),
		})
	}
	fmt.Fprintf(a.stdout, "%s: %s of %s\n", printable(data), plural(info.Measurements, "measurement"), info.Began.Local().Format("2006-01-02 15:04:05"))
	return nil
}

// contextReader refuses to read once its context has ended. Its life is one call of restore.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
