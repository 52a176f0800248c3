package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// foldersDocument is what admin folders --json prints.
type foldersDocument struct {
	Schema  string       `json:"schema"` // foldersSchema
	Folders []folderInfo `json:"folders"`
}

// folderInfo is a watched folder.
type folderInfo struct {
	Name        string  `json:"name"`
	Path        string  `json:"path"` // for the daemon
	Files       int64   `json:"files"`
	Titles      int64   `json:"titles"`
	Incomplete  int64   `json:"incomplete"`   // files
	Waiting     int64   `json:"waiting"`      // renditions that are complete and not submitted yet
	Measuring   int64   `json:"measuring"`    // renditions
	Done        int64   `json:"done"`         // renditions
	Failed      int64   `json:"failed"`       // files
	ScanTime    *string `json:"scan_time"`    // of the last scan; null: there was none yet
	ScanSeconds float64 `json:"scan_seconds"` // how long it took
	Trouble     string  `json:"trouble"`      // what is in the way; "": nothing
}

func (a *app) foldersCommand() *cobra.Command {
	return a.admin(&cobra.Command{
		Use:   "folders",
		Short: "list the folders that a daemon watches, and how far it is with each",
		Long: `List the folders that a daemon watches, and how far it is with each.

With --json a document (vqsd.folders/1) is printed.`,
		Example: `  vqsd admin folders`,
	}, func(ctx context.Context, c *client, asJSON bool) error {
		answer, err := c.admin.ListWatchFolders(ctx, &pb.ListWatchFoldersRequest{})
		if err != nil {
			return err
		}
		d := foldersDocument{Schema: foldersSchema, Folders: []folderInfo{}}
		g := &grid{left: 2}
		g.add("folder", "path", "files", "incomplete", "waiting", "measuring", "done", "failed", "scanned")
		for _, f := range answer.GetFolders() {
			info := folderInfo{
				Name: f.GetName(), Path: f.GetPath(), Files: f.GetFiles(), Titles: f.GetTitles(), Incomplete: f.GetIncomplete(), Waiting: f.GetWaiting(),
				Measuring: f.GetMeasuring(), Done: f.GetDone(), Failed: f.GetFailed(), ScanTime: instant(f.GetScanTime()),
				ScanSeconds: f.GetScanDuration().AsDuration().Seconds(), Trouble: f.GetTrouble(),
			}
			d.Folders = append(d.Folders, info)
			scanned := localTime(f.GetScanTime())
			if info.Trouble != "" {
				scanned += ": " + info.Trouble
			} else if info.ScanTime != nil {
				scanned += " in " + f.GetScanDuration().AsDuration().Round(time.Microsecond).String()
			}
			g.add(printable(info.Name), printable(info.Path), fmt.Sprint(info.Files), fmt.Sprint(info.Incomplete), fmt.Sprint(info.Waiting),
				fmt.Sprint(info.Measuring), fmt.Sprint(info.Done), fmt.Sprint(info.Failed), printable(scanned))
		}
		if asJSON {
			return writeJSON(a.stdout, d)
		}
		if len(d.Folders) == 0 {
			fmt.Fprintln(a.stdout, "no folder is watched")
			return nil
		}
		g.print(a.stdout)
		return nil
	})
}
