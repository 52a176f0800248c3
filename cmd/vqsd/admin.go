package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// adminFlags are the flags that all administrative commands have.
type adminFlags struct {
	connectFlags
	json bool
}

func (a *app) adminCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "admin",
		Short: "look after a daemon: workers, queue, watched folders, cache, draining",
		Long: `Look after a daemon. The token or certificate that is shown needs the right
"admin". With --json each command prints one document.`,
		Example: `  vqsd admin workers
  vqsd admin queue --json
  vqsd admin drain --wait 5m`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("name a command: workers, queue, folders, cache or drain")
		},
	}
	c.AddCommand(a.workersCommand(), a.queueCommand(), a.foldersCommand(), a.cacheCommand(), a.drainCommand())
	return c
}

// admin makes an administrative command of what it does.
func (a *app) admin(c *cobra.Command, do func(ctx context.Context, c *client, asJSON bool) error) *cobra.Command {
	var f adminFlags
	c.Args = cobra.NoArgs
	c.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		client, err := f.open()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, client.close()) }()
		return client.explain(cmd.Context(), do(cmd.Context(), client, f.json))
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVar(&f.json, "json", false, "print a JSON document")
	f.define(c, defaultServer)
	return c
}

// workersDocument is what admin workers --json prints.
type workersDocument struct {
	Schema  string       `json:"schema"` // workersSchema
	Workers []workerInfo `json:"workers"`
}

// workerInfo is a process that measures.
type workerInfo struct {
	ID            string        `json:"id"` // new with every process
	Host          string        `json:"host"`
	PID           int32         `json:"pid"`
	Version       string        `json:"version"`
	State         string        `json:"state"` // idle, busy, draining or lost
	Device        string        `json:"device"`
	Backend       string        `json:"backend"`
	Threads       int32         `json:"threads"`
	MediaRoots    []string      `json:"media_roots"`
	Slots         int32         `json:"slots"` // tasks at a time
	Running       []runningTask `json:"running"`
	StartTime     *string       `json:"start_time"`
	HeartbeatTime *string       `json:"heartbeat_time"` // its last sign of life
	RSSBytes      int64         `json:"rss_bytes"`
	TasksDone     int64         `json:"tasks_done"`
	FramesDone    int64         `json:"frames_done"` // rendition frames
}

// runningTask is a task in a worker's hand.
type runningTask struct {
	Measurement string `json:"measurement"`
	Number      int32  `json:"number"`  // 0: the inspection
	Attempt     int32  `json:"attempt"` // from 1
	FramesDone  int64  `json:"frames_done"`
	FramesTotal int64  `json:"frames_total"`
}

func (a *app) workersCommand() *cobra.Command {
	return a.admin(&cobra.Command{
		Use:   "workers",
		Short: "list a daemon's workers, and what they do",
		Long: `List the workers that gave a daemon a sign of life lately, and what they do.

With --json a document (vqsd.workers/1) is printed.`,
		Example: `  vqsd admin workers`,
	}, func(ctx context.Context, c *client, asJSON bool) error {
		answer, err := c.admin.ListWorkers(ctx, &pb.ListWorkersRequest{})
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(a.stdout, newWorkersDocument(answer.GetWorkers()))
		}
		g := &grid{left: 6}
		g.add("worker", "host", "state", "device", "version", "task", "progress", "tasks", "frames", "memory")
		for _, w := range answer.GetWorkers() {
			head := []string{printable(w.GetId()), printable(fmt.Sprintf("%s:%d", w.GetHost(), w.GetPid())), workerStateWord(w.GetState()),
				printable(w.GetDevice().GetBackend()), printable(w.GetVersion())}
			tail := []string{fmt.Sprint(w.GetTasksDone()), fmt.Sprint(w.GetFramesDone()), humanize.IBytes(uint64(max(0, w.GetRssBytes())))}
			if len(w.GetRunning()) == 0 {
				g.add(append(append(head, "-", "-"), tail...)...)
			}
			for i, t := range w.GetRunning() {
				task := fmt.Sprintf("%s/%d", shortName(t.GetMeasurement()), t.GetNumber())
				frames := fmt.Sprintf("%d/%d", t.GetFramesDone(), t.GetFramesTotal())
				if i > 0 {
					head, tail = []string{"", "", "", "", ""}, nil
				}
				g.add(append(append(head[:5:5], task, frames), tail...)...)
			}
		}
		g.print(a.stdout)
		return nil
	})
}

func newWorkersDocument(workers []*pb.Worker) workersDocument {
	d := workersDocument{Schema: workersSchema, Workers: []workerInfo{}}
	for _, w := range workers {
		info := workerInfo{
			ID: w.GetId(), Host: w.GetHost(), PID: w.GetPid(), Version: w.GetVersion(), State: workerStateWord(w.GetState()),
			Device: w.GetDevice().GetName(), Backend: w.GetDevice().GetBackend(), Threads: w.GetDevice().GetThreads(),
			MediaRoots: nonNil(w.GetMediaRoots()), Slots: w.GetSlots(), Running: []runningTask{},
			StartTime: instant(w.GetStartTime()), HeartbeatTime: instant(w.GetHeartbeatTime()),
			RSSBytes: w.GetRssBytes(), TasksDone: w.GetTasksDone(), FramesDone: w.GetFramesDone(),
		}
		for _, t := range w.GetRunning() {
			info.Running = append(info.Running, runningTask{t.GetMeasurement(), t.GetNumber(), t.GetAttempt(), t.GetFramesDone(), t.GetFramesTotal()})
		}
		d.Workers = append(d.Workers, info)
	}
	return d
}

// queueDocument is what admin queue --json prints.
type queueDocument struct {
	Schema  string       `json:"schema"` // queueSchema
	Classes []queueClass `json:"classes"`
}

// queueClass is what is outstanding of one class.
type queueClass struct {
	Class            string   `json:"class"`
	Outstanding      int64    `json:"outstanding"` // tasks in the store
	Published        int64    `json:"published"`   // of these, handed to the queue
	Running          int64    `json:"running"`     // of these, begun by workers
	OldestAgeSeconds *float64 `json:"oldest_age_seconds"`
}

func (a *app) queueCommand() *cobra.Command {
	return a.admin(&cobra.Command{
		Use:   "queue",
		Short: "say how much a daemon has outstanding",
		Long: `Say how many tasks a daemon has outstanding, for each service class.

With --json a document (vqsd.queue/1) is printed.`,
		Example: `  vqsd admin queue`,
	}, func(ctx context.Context, c *client, asJSON bool) error {
		answer, err := c.admin.GetQueue(ctx, &pb.GetQueueRequest{})
		if err != nil {
			return err
		}
		d := queueDocument{Schema: queueSchema, Classes: []queueClass{}}
		g := &grid{left: 1}
		g.add("class", "outstanding", "published", "running", "oldest")
		for _, q := range answer.GetClasses() {
			info := queueClass{Class: classWord(q.GetServiceClass()), Outstanding: q.GetOutstanding(), Published: q.GetPublished(), Running: q.GetRunning()}
			age := "-"
			if q.GetOldestAge() != nil {
				seconds := q.GetOldestAge().AsDuration().Seconds()
				info.OldestAgeSeconds, age = &seconds, q.GetOldestAge().AsDuration().Round(time.Second).String()
			}
			d.Classes = append(d.Classes, info)
			g.add(info.Class, fmt.Sprint(info.Outstanding), fmt.Sprint(info.Published), fmt.Sprint(info.Running), age)
		}
		if asJSON {
			return writeJSON(a.stdout, d)
		}
		g.print(a.stdout)
		return nil
	})
}

// cacheDocument is what admin cache --json prints.
type cacheDocument struct {
	Schema        string `json:"schema"`       // cacheSchema
	Measurements  int64  `json:"measurements"` // about
	TableBytes    int64  `json:"table_bytes"`
	ValueLogBytes int64  `json:"value_log_bytes"`
	FreeBytes     int64  `json:"free_bytes"` // of the file system
	HitPairs      int64  `json:"hit_pairs"`  // pairs of frames, since the daemon's start
	MissedPairs   int64  `json:"missed_pairs"`
	Removed       *int64 `json:"removed"` // runs of figures; null: nobody asked for it
}

func (a *app) cacheCommand() *cobra.Command {
	var clean bool
	var unused time.Duration
	c := a.admin(&cobra.Command{
		Use:   "cache",
		Short: "say what a daemon has stored, and how often it served",
		Long: `Say what a daemon has stored, and of how many pairs of frames the figures were
stored already. --clean removes figures that no measurement has named for a
while.

With --json a document (vqsd.cache/1) is printed.`,
		Example: `  vqsd admin cache
  vqsd admin cache --clean --unused-for 720h`,
	}, func(ctx context.Context, c *client, asJSON bool) error {
		d := cacheDocument{Schema: cacheSchema}
		if clean {
			request := &pb.CleanCacheRequest{}
			if unused != 0 {
				request.UnusedFor = durationpb.New(unused)
			}
			answer, err := c.admin.CleanCache(ctx, request)
			if err != nil {
				return err
			}
			removed := answer.GetRemoved()
			d.Removed = &removed
		} else if unused != 0 {
			return usagef("--unused-for goes with --clean")
		}
		answer, err := c.admin.GetCache(ctx, &pb.GetCacheRequest{})
		if err != nil {
			return err
		}
		d.Measurements, d.TableBytes, d.ValueLogBytes = answer.GetMeasurements(), answer.GetTableBytes(), answer.GetValueLogBytes()
		d.FreeBytes, d.HitPairs, d.MissedPairs = answer.GetFreeBytes(), answer.GetHitPairs(), answer.GetMissedPairs()
		if asJSON {
			return writeJSON(a.stdout, d)
		}
		g := &grid{left: 2}
		if d.Removed != nil {
			g.add("removed", plural(*d.Removed, "run")+" of figures")
		}
		g.add("measurements", fmt.Sprintf("about %d", d.Measurements))
		g.add("on disk", fmt.Sprintf("%s of tables, %s of values", humanize.IBytes(uint64(max(0, d.TableBytes))), humanize.IBytes(uint64(max(0, d.ValueLogBytes)))))
		g.add("free", humanize.IBytes(uint64(max(0, d.FreeBytes))))
		served := "none asked for yet"
		if all := d.HitPairs + d.MissedPairs; all > 0 {
			served = fmt.Sprintf("%d of %d pairs of frames (%.0f %%)", d.HitPairs, all, 100*float64(d.HitPairs)/float64(all))
		}
		g.add("served", served)
		g.print(a.stdout)
		return nil
	})
	c.Flags().BoolVar(&clean, "clean", false, "remove figures that no measurement names")
	c.Flags().DurationVar(&unused, "unused-for", 0, "with --clean: if none has for `TIME` (default 720h)")
	return c
}

// drainDocument is what admin drain --json prints.
type drainDocument struct {
	Schema   string `json:"schema"` // drainSchema
	Draining bool   `json:"draining"`
	Running  int32  `json:"running"` // tasks that still run
}

func (a *app) drainCommand() *cobra.Command {
	var resume bool
	var wait time.Duration
	var flags *cobra.Command
	c := a.admin(&cobra.Command{
		Use:   "drain",
		Short: "have a daemon take no more measurements, or take them again",
		Long: `Have a daemon take no more measurements and let running tasks end, before it is
stopped; or, with --resume, take measurements again. What is outstanding stays in
the store. With --wait the status is 1 if tasks still run after that time.

With --json a document (vqsd.drain/1) is printed.`,
		Example: `  vqsd admin drain --wait 5m
  vqsd admin drain --resume`,
	}, func(ctx context.Context, c *client, asJSON bool) error {
		request := &pb.DrainRequest{Resume: resume}
		if flags.Flags().Changed("wait") {
			if wait < 0 || resume {
				return usagef("--wait %v: want a time that is not negative, and no --resume", wait)
			}
			request.Wait = durationpb.New(wait)
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, wait+c.timeout)
			defer cancel()
		}
		answer, err := c.admin.Drain(ctx, request)
		if err != nil {
			return err
		}
		switch {
		case asJSON:
			err = writeJSON(a.stdout, drainDocument{drainSchema, answer.GetDraining(), answer.GetRunning()})
		case answer.GetDraining():
			fmt.Fprintf(a.stdout, "draining; %s\n", runningTasks(answer.GetRunning()))
		default:
			fmt.Fprintf(a.stdout, "taking measurements; %s\n", runningTasks(answer.GetRunning()))
		}
		if request.GetWait() != nil && answer.GetRunning() > 0 {
			err = errors.Join(err, fmt.Errorf("after %v %s", wait, runningTasks(answer.GetRunning())))
		}
		return err
	})
	flags = c
	c.Flags().BoolVar(&resume, "resume", false, "take measurements again")
	c.Flags().DurationVar(&wait, "wait", 0, "wait until no task runs, at most `TIME`")
	return c
}

func runningTasks(n int32) string {
	switch n {
	case 0:
		return "no task runs"
	case 1:
		return "1 task still runs"
	}
	return fmt.Sprintf("%d tasks still run", n)
}
