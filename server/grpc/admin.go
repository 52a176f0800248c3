package grpc

import (
	"bufio"
	"bytes"
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/workflow"
)

// admin is the AdminService.
type admin struct {
	pb.UnimplementedAdminServiceServer
	*Server
}

var _ pb.AdminServiceServer = (*admin)(nil)

func (a *admin) GetServerInfo(ctx context.Context, _ *pb.GetServerInfoRequest) (*pb.GetServerInfoResponse, error) {
	caller := auth.FromContext(ctx)
	info := &pb.GetServerInfoResponse{
		Version: a.cfg.Version, Commit: a.cfg.Commit, StartTime: timestamppb.New(a.started), Draining: a.cfg.Workflow.Draining(),
		MediaRoots: a.cfg.Roots.Names(caller), Caller: caller.Name,
	}
	for _, r := range auth.AllRights() {
		if caller.May(r) {
			info.Rights = append(info.Rights, string(r))
		}
	}
	return info, nil
}

func (a *admin) ListWorkers(context.Context, *pb.ListWorkersRequest) (*pb.ListWorkersResponse, error) {
	resp := &pb.ListWorkersResponse{}
	for _, w := range a.cfg.Workflow.Workers() {
		resp.Workers = append(resp.Workers, workerToProto(w))
	}
	return resp, nil
}

func workerToProto(w workflow.WorkerStatus) *pb.Worker {
	h := w.Hello
	out := &pb.Worker{
		Id: h.Worker, Host: h.Host, Pid: int32(h.PID), Version: h.Version, State: number[pb.WorkerState](workerStateWords, w.State),
		Device: &pb.Device{
			Name: h.Device.Name, Backend: h.Device.Backend, Threads: int32(h.Device.Threads), MemoryBytes: h.Device.Memory, Emulated: h.Device.Emulated,
		},
		MediaRoots: h.Roots, Slots: int32(h.Slots), StartTime: timeToProto(h.Started), HeartbeatTime: timeToProto(w.Heartbeat),
		RssBytes: w.RSSBytes, TasksDone: w.TasksDone, FramesDone: w.FramesDone,
	}
	for _, r := range w.Running {
		out.Running = append(out.Running, &pb.RunningTask{
			Measurement: nameOf(r.Task.Measurement), Number: int32(r.Task.Number), Attempt: int32(r.Task.Attempt), FramesDone: r.Done, FramesTotal: r.Total,
		})
	}
	return out
}

func (a *admin) ListWatchFolders(context.Context, *pb.ListWatchFoldersRequest) (*pb.ListWatchFoldersResponse, error) {
	resp := &pb.ListWatchFoldersResponse{}
	if a.cfg.Folders != nil {
		resp.Folders = a.cfg.Folders()
	}
	return resp, nil
}

func (a *admin) GetQueue(ctx context.Context, _ *pb.GetQueueRequest) (*pb.GetQueueResponse, error) {
	classes, err := a.cfg.Workflow.Queue(ctx)
	if err != nil {
		return nil, err
	}
	resp := &pb.GetQueueResponse{}
	for _, c := range classes {
		resp.Classes = append(resp.Classes, &pb.QueueClass{
			ServiceClass: number[pb.ServiceClass](classWords, c.Class), Outstanding: c.Outstanding, Published: c.Published, Running: c.Running,
			OldestAge: durationToProto(c.OldestAge),
		})
	}
	return resp, nil
}

func (a *admin) GetCache(context.Context, *pb.GetCacheRequest) (*pb.GetCacheResponse, error) {
	served, stored := a.cfg.Workflow.Cache(), a.cfg.Store.Stats()
	return &pb.GetCacheResponse{
		Measurements: stored.Measurements, TableBytes: stored.LSMBytes, ValueLogBytes: stored.ValueBytes, FreeBytes: stored.FreeBytes,
		HitPairs: served.HitPairs, MissedPairs: served.MissedPairs,
	}, nil
}

// unusedFor is how long figures are kept that no measurement names, unless the request says otherwise.
const unusedFor = 30 * 24 * time.Hour

func (a *admin) CleanCache(ctx context.Context, req *pb.CleanCacheRequest) (*pb.CleanCacheResponse, error) {
	age := unusedFor
	if d := req.GetUnusedFor(); d != nil {
		age = d.AsDuration()
	}
	removed, err := a.cfg.Store.RemoveUnused(ctx, age)
	if err != nil {
		return nil, err
	}
	a.log.Info("stored figures removed", "runs", removed, "unused_for", age, "caller", auth.FromContext(ctx).String())
	return &pb.CleanCacheResponse{Removed: int64(removed)}, nil
}

// drainPoll is how often Drain looks whether tasks still run.
const drainPoll = 100 * time.Millisecond

func (a *admin) Drain(ctx context.Context, req *pb.DrainRequest) (*pb.DrainResponse, error) {
	w := a.cfg.Workflow
	on := !req.GetResume()
	a.log.Info("draining asked for", "on", on, "caller", auth.FromContext(ctx).String())
	w.Drain(on)
	a.SetServing(!on)
	if wait := req.GetWait().AsDuration(); on && wait > 0 {
		if err := a.untilIdle(ctx, wait); err != nil {
			return nil, err
		}
	}
	return &pb.DrainResponse{Draining: w.Draining(), Running: int32(w.Running())}, nil
}

// untilIdle waits until no task runs, at most so long, or until the daemon takes measurements again.
func (a *admin) untilIdle(ctx context.Context, wait time.Duration) error {
	limit := time.NewTimer(wait)
	defer limit.Stop()
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	for a.cfg.Workflow.Draining() && a.cfg.Workflow.Running() > 0 {
		select {
		case <-poll.C:
		case <-limit.C:
			return nil
		case <-a.closing.Done():
			return errShutdown
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// backupBytes is the size of a message of Backup.
const backupBytes = 256 << 10

func (a *admin) Backup(_ *pb.BackupRequest, stream grpc.ServerStreamingServer[pb.BackupResponse]) error {
	ctx := stream.Context()
	out := &backupWriter{newSender(stream, a.cfg.Limits)}
	buffered := bufio.NewWriterSize(out, backupBytes)
	begun := a.cfg.Now()
	if _, err := a.cfg.Store.Backup(ctx, buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	a.log.Info("backup sent", "elapsed", a.cfg.Now().Sub(begun), "caller", auth.FromContext(ctx).String())
	return nil
}

// backupWriter sends what is written, in messages of at most backupBytes.
type backupWriter struct{ out sender[pb.BackupResponse] }

func (w *backupWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		piece := bytes.Clone(p[n:min(n+backupBytes, len(p))]) // the writer may use its own again
		if err := w.out.send(&pb.BackupResponse{Data: piece}); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}
