package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/store"
)

// numbered is the name of the n-th canned measurement.
func numbered(n int) string { return fmt.Sprintf("%s%026d", namePrefix, n) }

// canned is a measurement in some state.
func canned(n int, state pb.MeasurementState) *pb.Measurement {
	at := time.Date(2026, 1, 2, 3, 4, n, 0, time.UTC)
	m := &pb.Measurement{
		Name: numbered(n), Owner: "farm", State: state, CreateTime: timestamppb.New(at), ServiceClass: pb.ServiceClass_SERVICE_CLASS_LATENCY,
		Spec: &pb.MeasurementSpec{
			Reference: &pb.VideoSource{Uri: "MEDIA:a/ref.mp4"}, Labels: map[string]string{"title": "x", "a": "b"}, Deadline: timestamppb.New(at.Add(time.Hour)),
			Renditions: []*pb.RenditionSource{{Source: &pb.VideoSource{Uri: "MEDIA:a/1080p.mp4"}}, {Source: &pb.VideoSource{Uri: "MEDIA:a/720p.mp4"}}},
		},
		Renditions: []*pb.Rendition{{Name: "1080p", State: state}, {Name: "720p", State: state}},
		Progress: &pb.Progress{
			FramesDone: 30, FramesTotal: 120, FramesPerSecond: 24.5, Remaining: durationpb.New(3700 * time.Millisecond), ChunksDone: 1, ChunksTotal: 4, TasksRunning: 2,
		},
		Warnings: []string{"One is larger."},
	}
	switch state {
	case pb.MeasurementState_MEASUREMENT_STATE_PENDING:
		m.Progress, m.Warnings = nil, nil
	case pb.MeasurementState_MEASUREMENT_STATE_FAILED:
		m.FinishTime, m.Progress = timestamppb.New(at.Add(time.Minute)), nil
		m.Failure = &pb.Failure{Reason: pb.FailureReason_FAILURE_REASON_NOT_FOUND, Message: "MEDIA:a/ref.mp4: no such file"}
	case pb.MeasurementState_MEASUREMENT_STATE_PARTIAL:
		m.FinishTime = timestamppb.New(at.Add(time.Minute))
		m.Models = []*pb.ModelInfo{{Name: "vmaf", Version: "vmaf_v0.6.1", Digest: "12", Spec: "vmaf_v0.6.1", Series: []string{"vmaf"}}}
		m.Renditions[0].State = pb.MeasurementState_MEASUREMENT_STATE_SUCCEEDED
		m.Renditions[0].Scores = []*pb.Score{{Series: "vmaf", Model: "vmaf", Pooled: []*pb.PooledValue{
			{Pooling: "mean", Value: 93.25}, {Pooling: "harmonic_mean", Value: 93.125}, {Pooling: "min", Value: 80.5},
		}}, {Series: "integer_motion2", Pooled: []*pb.PooledValue{{Pooling: "mean", Value: 3}}}}
		m.Renditions[1].State = pb.MeasurementState_MEASUREMENT_STATE_FAILED
		m.Renditions[1].Failure = &pb.Failure{Reason: pb.FailureReason_FAILURE_REASON_DAMAGED, Message: "MEDIA:a/720p.mp4: frame 3: is damaged"}
	}
	return m
}

var cannedStates = []pb.MeasurementState{
	pb.MeasurementState_MEASUREMENT_STATE_PENDING, pb.MeasurementState_MEASUREMENT_STATE_RUNNING, pb.MeasurementState_MEASUREMENT_STATE_PARTIAL,
	pb.MeasurementState_MEASUREMENT_STATE_FAILED, pb.MeasurementState_MEASUREMENT_STATE_CANCELLED,
}

// newCannedDaemon knows a measurement of each state, scores, workers and the rest.
func newCannedDaemon(t *testing.T) *fakeDaemon {
	return newFakeDaemon(t, func(d *fakeDaemon) {
		var all []*pb.Measurement
		for n, state := range cannedStates {
			all = append(all, canned(n+1, state))
			d.kept[numbered(n+1)] = &keptMeasurement{m: all[n]}
		}
		d.list = func(r *pb.ListMeasurementsRequest) (*pb.ListMeasurementsResponse, error) {
			if r.GetFilter() == "bad" {
				return nil, status.Error(codes.InvalidArgument, "filter: at 1: no such field")
			}
			first, end, next := page(len(all), r.GetPageSize(), r.GetPageToken())
			return &pb.ListMeasurementsResponse{Measurements: all[first:end], NextPageToken: next}, nil
		}
		d.query = func(r *pb.QueryScoresRequest) (*pb.QueryScoresResponse, error) {
			const rows = 2500
			first, end, next := page(rows, r.GetPageSize(), r.GetPageToken())
			out := &pb.QueryScoresResponse{NextPageToken: next}
			for n := first; n < end; n++ {
				row := &pb.ScoreRow{
					Measurement: numbered(n), Rendition: "720p", Series: "vmaf", Model: "vmaf", ModelVersion: "vmaf_v0.6.1", Pooling: "mean",
					Value: float64(n) / 8, EndFrame: 100,
				}
				if r.GetGranularity() == pb.Granularity_GRANULARITY_FRAME {
					row.Pooling, row.FirstFrame, row.EndFrame = "", int64(n), int64(n+1)
				}
				out.Rows = append(out.Rows, row)
			}
			return out, nil
		}
		d.rescore = func(r *pb.RescoreQualityRequest, stream grpc.ServerStreamingServer[pb.RescoreQualityResponse]) error {
			answers := []*pb.RescoreQualityResponse{
				{Source: numbered(3), Measurement: all[2], Done: 1},
				{Source: numbered(4), Failure: &pb.Failure{Reason: pb.FailureReason_FAILURE_REASON_UNSUPPORTED, Message: "figures are not stored: motion"}, Done: 2},
			}
			if r.GetName() != "" {
				answers = answers[:1]
				answers[0].Source = r.GetName()
			}
			for _, a := range answers {
				if err := stream.Send(a); err != nil {
					return err
				}
			}
			return nil
		}
	})
}

// page is a range of n rows, and the token of the next one.
func page(n int, size int32, token string) (first, end int, next string) {
	if token != "" {
		if _, err := fmt.Sscan(token, &first); err != nil {
			return 0, 0, ""
		}
	}
	if end = min(n, first+int(size)); end < n {
		next = fmt.Sprint(end)
	}
	return first, end, next
}

func (d *fakeDaemon) ListWorkers(context.Context, *pb.ListWorkersRequest) (*pb.ListWorkersResponse, error) {
	at := timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	return &pb.ListWorkersResponse{Workers: []*pb.Worker{
		{
			Id: "w1", Host: "media-host", Pid: 12, Version: "1.2.3", State: pb.WorkerState_WORKER_STATE_BUSY, Device: &pb.Device{Name: "cpu", Backend: "cpu (avx2)", Threads: 8},
			MediaRoots: []string{"MEDIA"}, Slots: 2, StartTime: at, HeartbeatTime: at, RssBytes: 300 << 20, TasksDone: 9, FramesDone: 900,
			Running: []*pb.RunningTask{
				{Measurement: numbered(2), Number: 1, Attempt: 1, FramesDone: 5, FramesTotal: 30}, {Measurement: numbered(2), Number: 2, Attempt: 2, FramesTotal: 30},
			},
		},
		{Id: "w2", Host: "other", Pid: 7, Version: "1.2.3", State: pb.WorkerState_WORKER_STATE_IDLE, Device: &pb.Device{Name: "cpu", Backend: "cpu (neon)", Threads: 4}},
	}}, nil
}

func (d *fakeDaemon) GetQueue(context.Context, *pb.GetQueueRequest) (*pb.GetQueueResponse, error) {
	return &pb.GetQueueResponse{Classes: []*pb.QueueClass{
		{ServiceClass: pb.ServiceClass_SERVICE_CLASS_LATENCY, Outstanding: 3, Published: 2, Running: 1, OldestAge: durationpb.New(90 * time.Second)},
		{ServiceClass: pb.ServiceClass_SERVICE_CLASS_BACKGROUND},
	}}, nil
}

func (d *fakeDaemon) GetCache(context.Context, *pb.GetCacheRequest) (*pb.GetCacheResponse, error) {
	return &pb.GetCacheResponse{Measurements: 5, TableBytes: 3 << 20, ValueLogBytes: 1 << 30, FreeBytes: 1 << 40, HitPairs: 3, MissedPairs: 1}, nil
}

func (d *fakeDaemon) CleanCache(_ context.Context, r *pb.CleanCacheRequest) (*pb.CleanCacheResponse, error) {
	return &pb.CleanCacheResponse{Removed: int64(r.GetUnusedFor().AsDuration() / time.Hour)}, nil
}

func (d *fakeDaemon) Drain(_ context.Context, r *pb.DrainRequest) (*pb.DrainResponse, error) {
	return &pb.DrainResponse{Draining: !r.GetResume(), Running: 1}, nil
}

// What the client commands print is a promise, too.
func TestClientSnapshots(t *testing.T) {
	d := newCannedDaemon(t)
	name := func(n int) string { return shortName(numbered(n)) }
	for file, row := range map[string]struct {
		args []string
		code int
	}{
		"get-running.txt":         {[]string{"get", name(2)}, exitDone},
		"get-running.json":        {[]string{"get", numbered(2), "--json"}, exitDone},
		"get-pending.txt":         {[]string{"get", name(1)}, exitDone},
		"get-failed.txt":          {[]string{"get", name(4)}, exitFailed},
		"get-failed.json":         {[]string{"get", name(4), "--json"}, exitFailed},
		"list.txt":                {[]string{"list"}, exitDone},
		"list.json":               {[]string{"list", "--json", "--limit", "3"}, exitDone},
		"query.txt":               {[]string{"query", "--limit", "3"}, exitDone},
		"query.json":              {[]string{"query", "--limit", "2", "--json"}, exitDone},
		"query-frame.txt":         {[]string{"query", "--limit", "3", "--granularity", "frame"}, exitDone},
		"cancel.txt":              {[]string{"cancel", name(2), name(3)}, exitDone},
		"cancel.json":             {[]string{"cancel", name(2), "--json"}, exitDone},
		"delete.txt":              {[]string{"delete", name(3), name(2)}, exitFailed},
		"delete.json":             {[]string{"delete", name(3), "--json"}, exitDone},
		"rescore.txt":             {[]string{"rescore", "--filter", "*", "--model", "vmaf_v0.6.1neg"}, exitFailed},
		"rescore.json":            {[]string{"rescore", "--filter", "*", "--model", "vmaf_v0.6.1neg", "--json"}, exitFailed},
		"admin-workers.txt":       {[]string{"admin", "workers"}, exitDone},
		"admin-workers.json":      {[]string{"admin", "workers", "--json"}, exitDone},
		"admin-queue.txt":         {[]string{"admin", "queue"}, exitDone},
		"admin-queue.json":        {[]string{"admin", "queue", "--json"}, exitDone},
		"admin-cache.txt":         {[]string{"admin", "cache"}, exitDone},
		"admin-cache-clean.json":  {[]string{"admin", "cache", "--clean", "--unused-for", "48h", "--json"}, exitDone},
		"admin-drain.txt":         {[]string{"admin", "drain"}, exitDone},
		"admin-drain-resume.json": {[]string{"admin", "drain", "--resume", "--json"}, exitDone},
	} {
		t.Run(file, func(t *testing.T) {
			got := vqsd(t, d.remotely(row.args...)...)
			got.want(t, row.code)
			snapshot(t, file, got.stdout, "\x00")
			if !strings.HasSuffix(file, ".json") {
				return
			}
			for decoder := json.NewDecoder(strings.NewReader(got.stdout)); decoder.More(); {
				var document struct{ Schema string }
				if err := decoder.Decode(&document); err != nil || !strings.HasPrefix(document.Schema, "vqsd.") {
					t.Fatalf("schema %q, %v", document.Schema, err)
				}
			}
		})
	}
}

func TestGetShowsWhatMeasureDid(t *testing.T) {
	d := newFakeDaemon(t, nil)
	_, ref, dis, _, cut := clips(t)
	for name, args := range map[string][]string{"table": nil, "document": {"--json"}, "log": {"--log", "-", "--log-format", "csv"}} {
		videos := []string{"measure", "-r", ref, "-d", dis, "-d", cut, "--feature", "motion"}
		if name == "log" {
			videos = []string{"measure", "-r", ref, "-d", dis}
		}
		measured := vqsd(t, d.remotely(append(videos, args...)...)...)
		got := vqsd(t, d.remotely(append([]string{"get", testID, "--follow"}, args...)...)...)
		got.want(t, measured.code)
		if got.stdout != measured.stdout || got.stderr != measured.stderr {
			t.Errorf("%s: %s", name, firstDifference(got.stdout+got.stderr, measured.stdout+measured.stderr))
		}
		d.forget()
	}
}

// A model of which only the daemon has the document, and one whose figures are other than this program's, are shown as far as they are known.
func TestGetOfForeignModels(t *testing.T) {
	d := newFakeDaemon(t, nil)
	_, ref, dis, _, _ := clips(t)
	vqsd(t, d.remotely("measure", "-r", ref, "-d", dis, "--quiet")...).want(t, exitDone)
	model := d.kept[namePrefix+testID].m.GetModels()[0]
	model.Spec, model.Digest = "path=own.json", "feed"
	got := vqsd(t, d.remotely("get", testID)...)
	got.want(t, exitDone)
	if !strings.Contains(got.stdout, "model vmaf   path=own.json, sha256 feed\n") || !strings.Contains(got.stdout, "98.") {
		t.Errorf("it says %s", got.stdout)
	}
	document := vqsd(t, d.remotely("get", testID, "--json")...)
	document.want(t, exitDone)
	if !strings.Contains(document.stdout, `"name": "vmaf"`) {
		t.Errorf("it says %s", document.stdout)
	}
}

// Lists are read page by page, to the last row that was asked for.
func TestPages(t *testing.T) {
	d := newCannedDaemon(t)
	for limit, lines := range map[string]int{"0": 2500, "1": 1, "1000": 1000, "1001": 1001, "9999": 2500} {
		got := vqsd(t, d.remotely("query", "--json", "--limit", limit)...)
		got.want(t, exitDone)
		if n := strings.Count(got.stdout, "\n"); n != lines {
			t.Errorf("limit %s: %d lines, want %d", limit, n, lines)
		}
	}
	table := vqsd(t, d.remotely("query", "--limit", "0")...)
	if n := strings.Count(table.stdout, "\n"); n != 2501 {
		t.Errorf("%d lines, want 2501", n)
	}
	vqsd(t, d.remotely("list", "bad")...).want(t, exitFailed, "filter: at 1: no such field")
}

func TestDrainThatTakesTooLong(t *testing.T) {
	d := newCannedDaemon(t)
	vqsd(t, d.remotely("admin", "drain", "--wait", "1s")...).want(t, exitFailed, "after 1s 1 task still runs")
	got := vqsd(t, d.remotely("admin", "drain", "--resume")...)
	got.want(t, exitDone)
	if !strings.HasPrefix(got.stdout, "taking measurements") {
		t.Errorf("it says %q", got.stdout)
	}
}

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	var snapshot bytes.Buffer
	s, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(dir, "old"), MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), &snapshot); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	broken := false
	d := newFakeDaemon(t, func(d *fakeDaemon) {
		d.backup = func(stream grpc.ServerStreamingServer[pb.BackupResponse]) error {
			text := snapshot.Bytes()
			for at := 0; at < len(text); at += 40 {
				if broken && at > 0 {
					return status.Error(codes.Unavailable, "the daemon is shutting down")
				}
				if err := stream.Send(&pb.BackupResponse{Data: text[at:min(at+40, len(text))]}); err != nil {
					return err
				}
			}
			return nil
		}
	})
	file := filepath.Join(dir, "x.backup")
	vqsd(t, d.remotely("backup", "-o", file)...).want(t, exitDone, fmt.Sprintf("wrote %d bytes", snapshot.Len()))
	info, err := os.Stat(file)
	if err != nil || info.Size() != int64(snapshot.Len()) || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is %v, %v", info, err)
	}
	if got := vqsd(t, d.remotely("backup", "-o", "-")...); got.stdout != snapshot.String() {
		t.Error("standard output does not have the backup")
	}
	document := vqsd(t, d.remotely("backup", "-o", file, "--json")...)
	document.want(t, exitDone)
	if !strings.Contains(document.stdout, fmt.Sprintf(`"size_bytes": %d`, snapshot.Len())) {
		t.Errorf("the document is %s", document.stdout)
	}
	broken = true
	vqsd(t, d.remotely("backup", "-o", file+"2")...).want(t, exitFailed, "the daemon is shutting down")
	folderHas(t, dir, "old", "x.backup")

	fresh := filepath.Join(dir, "new")
	vqsd(t, "restore", "--data", fresh, file).want(t, exitDone)
	vqsd(t, "restore", "--data", fresh, file).want(t, exitFailed, "the directory is not empty")
	again := vqsdInput(t, bytes.NewReader(snapshot.Bytes()), "restore", "--data", filepath.Join(dir, "again"), "--json", "-")
	again.want(t, exitDone)
	if !strings.Contains(again.stdout, `"schema": "vqsd.restore/1"`) {
		t.Errorf("the document is %s", again.stdout)
	}
	cut := filepath.Join(dir, "cut")
	vqsdInput(t, bytes.NewReader(snapshot.Bytes()[:snapshot.Len()-3]), "restore", "--data", cut, "-").want(t, exitFailed, "restore into "+cut)
	folderHas(t, cut)
	vqsd(t, "restore", "--data", cut, file+"2").want(t, exitFailed, "x.backup2: no such file")
}

// The shell is offered what the daemon has, and no error if there is none.
func TestCompletion(t *testing.T) {
	d := newCannedDaemon(t)
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"get", ""}, "00000000000000000000000002\trunning, MEDIA:a/ref.mp4\n"},
		{[]string{"cancel", numbered(2), namePrefix}, numbered(1) + "\tpending"},
		{[]string{"measure", "--class", ""}, "latency\nthroughput\nbackground\n"},
		{[]string{"measure", "--model", "au"}, "auto\n"},
		{[]string{"query", "--granularity", ""}, "aggregate\nsegment\nframe\n"},
		{[]string{"list", "--order-by", ""}, "create_time desc\n"},
		{[]string{"rescore", "--model", ""}, "vmaf_v0.6.1neg\n"},
	} {
		args := append([]string{"__complete", row.args[0], "--server", d.address}, row.args[1:]...)
		got := vqsd(t, args...)
		if !strings.Contains(got.stdout, row.want) {
			t.Errorf("%q: %q, want %q", row.args, got.stdout, row.want)
		}
		if row.args[0] == "cancel" && strings.Contains(got.stdout, numbered(2)) {
			t.Errorf("%q: what is there already is offered again: %q", row.args, got.stdout)
		}
	}
	d.stop()
	got := vqsd(t, append([]string{"__complete"}, d.remotely("get", "")...)...)
	if strings.Contains(got.stdout, "reached") || strings.Contains(got.stderr, "reached") {
		t.Errorf("it says %q and %q", got.stdout, got.stderr)
	}
}
