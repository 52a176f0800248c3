package grpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
	"github.com/vqsd/vqsd/workflow/rules"
)

const (
	// patience is how long tests wait for what has to happen.
	patience = 20 * time.Second
	// Tokens; readers and measurers may use the root "clips" only.
	readToken    = "read-token-0123456789"
	measureToken = "measure-token-0123456789"
	adminToken   = "admin-token-0123456789"
	otherToken   = "other-token-0123456789" // another root
)

const tokens = `
tokens:
  - {name: reader, token: ` + readToken + `, rights: [read], media_roots: [clips]}
  - {name: measurer, token: ` + measureToken + `, rights: [measure], media_roots: [clips]}
  - {name: other, token: ` + otherToken + `, rights: [measure, read], media_roots: [other]}
  - {name: boss, token: ` + adminToken + `, rights: [admin]}
`

// silent is a transport without workers.
type silent struct{}

func (silent) Publish(context.Context, string, string, []byte) error              { return nil }
func (silent) Handle(string, func(ctx context.Context, body []byte) []byte) error { return nil }
func (silent) Listen(string, func(body []byte)) error                             { return nil }
func (silent) Broadcast(string, []byte) error                                     { return nil }

// fakeWorkflow is the real one, but for what needs workers and figures. A nil func is the real method.
type fakeWorkflow struct {
	*workflow.Service
	watch    func(ctx context.Context, id store.MeasurementID, segments bool, tell func(workflow.Event) error) error
	frames   func(id store.MeasurementID, rendition string) (*workflow.Frames, error)
	segments func(m *store.Measurement, rendition int, length workflow.SegmentLength) ([]workflow.SegmentScore, error)
	rescore  func(ctx context.Context, id store.MeasurementID, r workflow.RescoreRequest) (*workflow.Status, error)
	measure  func() error // called before Measure
	// importErr is what Import returns, where it is set.
	importErr error
	running   atomic.Int64
}

func (f *fakeWorkflow) Watch(ctx context.Context, id store.MeasurementID, segments bool, tell func(workflow.Event) error) error {
	if f.watch == nil {
		return f.Service.Watch(ctx, id, segments, tell)
	}
	return f.watch(ctx, id, segments, tell)
}

func (f *fakeWorkflow) Frames(ctx context.Context, id store.MeasurementID, rendition string) (*workflow.Frames, error) {
	if f.frames == nil {
		return f.Service.Frames(ctx, id, rendition)
	}
	return f.frames(id, rendition)
}

func (f *fakeWorkflow) Segments(ctx context.Context, m *store.Measurement, rendition int, length workflow.SegmentLength) ([]workflow.SegmentScore, error) {
	if f.segments == nil {
		return f.Service.Segments(ctx, m, rendition, length)
	}
	return f.segments(m, rendition, length)
}

func (f *fakeWorkflow) Rescore(ctx context.Context, id store.MeasurementID, r workflow.RescoreRequest) (*workflow.Status, error) {
	if f.rescore == nil {
		return f.Service.Rescore(ctx, id, r)
	}
	return f.rescore(ctx, id, r)
}

func (f *fakeWorkflow) Measure(ctx context.Context, sub workflow.Submission) (*workflow.Status, error) {
	if f.measure != nil {
		if err := f.measure(); err != nil {
			return nil, err
		}
	}
	return f.Service.Measure(ctx, sub)
}

func (f *fakeWorkflow) Import(ctx context.Context, r workflow.ImportRequest) (*workflow.Status, bool, error) {
	if f.importErr != nil {
		return nil, false, f.importErr
	}
	return f.Service.Import(ctx, r)
}

func (f *fakeWorkflow) Running() int { return int(f.running.Load()) }

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// rig is a server with all that it stands on, and a connection to it.
type rig struct {
	t        testing.TB
	store    *store.Store
	workflow *fakeWorkflow
	server   *Server
	metrics  *prometheus.Registry
	log      *lockedBuffer
	conn     *grpc.ClientConn
	quality  pb.QualityServiceClient
	admin    pb.AdminServiceClient
	listener *bufconn.Listener
	served   chan error
	made     atomic.Int64 // measurements
}

// newRig serves without credentials, unless change says otherwise.
func newRig(t testing.TB, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, log: &lockedBuffer{}, metrics: prometheus.NewRegistry(), served: make(chan error, 1)}
	logger := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if r.store, err = store.Open(context.Background(), store.Config{Dir: filepath.Join(t.TempDir(), "store"), Logger: logger, MinFreeBytes: -1, MemoryBytes: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.store.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	service, err := workflow.New(workflow.Config{
		Store: r.store, Transport: silent{}, Rules: rules.Builtin(), Logger: logger, NewID: func(now time.Time) store.MeasurementID { return r.newID(now) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.workflow = &fakeWorkflow{Service: service}
	authority, err := auth.Open(auth.Config{})
	if err != nil {
		t.Fatal(err)
	}
	roots, err := auth.NewRoots([]auth.Root{{Name: "clips", Dir: "/srv/clips"}, {Name: "other", Dir: "/srv/other"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Workflow: r.workflow, Store: r.store, Auth: authority, Roots: roots, Version: "v1.2.3", Commit: "abc", Logger: logger, Registerer: r.metrics,
	}
	for _, c := range change {
		c(&cfg)
	}
	if r.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	r.listener = bufconn.Listen(64 << 10)
	go func() { r.served <- r.server.Serve(r.listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-r.served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	r.conn = r.dial()
	r.quality, r.admin = pb.NewQualityServiceClient(r.conn), pb.NewAdminServiceClient(r.conn)
	return r
}

func (r *rig) dial(options ...grpc.DialOption) *grpc.ClientConn {
	r.t.Helper()
	options = append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return r.listener.DialContext(ctx) }),
	}, options...)
	conn, err := grpc.NewClient("passthrough:///bufconn", options...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := conn.Close(); err != nil && status.Code(err) != codes.Canceled {
			r.t.Errorf("close the connection: %v", err)
		}
	})
	return conn
}

// withTokens asks for credentials.
func withTokens(t testing.TB) func(*Config) {
	name := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(name, []byte(tokens), 0o600); err != nil {
		t.Fatal(err)
	}
	authority, err := auth.Open(auth.Config{File: name})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Auth = authority }
}

// as is a context with a token and a deadline.
func as(t testing.TB, token string) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	if token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// newID makes a ULID that is unique and ascends.
func (r *rig) newID(now time.Time) store.MeasurementID {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	text := []byte(strings.Repeat("0", 26))
	for i, ms := 9, now.UnixMilli(); i >= 0; i, ms = i-1, ms>>5 {
		text[i] = digits[ms&31]
	}
	for i, n := 25, r.made.Add(1); n > 0; i, n = i-1, n>>5 {
		text[i] = digits[n&31]
	}
	return store.MeasurementID(text)
}

func specOf(reference string, renditions ...string) *pb.MeasurementSpec {
	s := &pb.MeasurementSpec{Reference: &pb.VideoSource{Uri: reference}}
	for _, d := range renditions {
		s.Renditions = append(s.Renditions, &pb.RenditionSource{Source: &pb.VideoSource{Uri: d}})
	}
	return s
}

// finished stores a measurement that has succeeded: its renditions "a" and "b" have two series with two poolings each.
func (r *rig) finished(root string, labels map[string]string) *store.Measurement {
	r.t.Helper()
	now := time.Now().UTC()
	model, err := vmaf.Builtin("vmaf_v0.6.1")
	if err != nil {
		r.t.Fatal(err)
	}
	source := func(name string) store.Source { return store.Source{Root: root, Path: name, URI: root + ":" + name} }
	m := &store.Measurement{
		ID: r.newID(now), Owner: "someone", Created: now, Started: now, Finished: now, State: store.StateSucceeded,
		Request: store.Request{Reference: source("ref.mp4"), Labels: labels},
		Plan: &store.Plan{
			Class: store.ClassThroughput, Pools: []vmaf.PoolMethod{vmaf.PoolMean, vmaf.PoolMin}, Chunks: []store.Chunk{{First: 0, End: 100}},
			Models: []store.Model{{ModelSpec: store.ModelSpec{Spec: model.Version}, Name: "vmaf", Version: model.Version, Digest: model.Digest}},
		},
		Reference: &store.Video{Codec: "h264", Width: 1920, Height: 1080, Frames: 100},
	}
	for k, name := range []string{"a", "b"} {
		m.Request.Renditions = append(m.Request.Renditions, store.RenditionRequest{Source: source(name + ".mp4"), Name: name})
		pooled := func(v float64) []store.Pooled {
			return []store.Pooled{{Method: vmaf.PoolMean, Value: v}, {Method: vmaf.PoolMin, Value: v - 10}}
		}
		m.Renditions = append(m.Renditions, store.Rendition{
			Name: name, State: store.StateSucceeded, End: 100, Video: &store.Video{Codec: "hevc", Width: 1280, Height: 720},
			Scores: []store.Score{
				{Series: "vmaf", Model: "vmaf", Pooled: pooled(float64(90 + k))},
				{Series: "VMAF_integer_feature_adm2_score", Pooled: pooled(float64(k))},
			},
		})
	}
	if _, err := r.store.Create(context.Background(), m, "", [32]byte{}, nil); err != nil {
		r.t.Fatal(err)
	}
	return m
}

// figures are what scriptedFigures gives: figure(measurement, rendition, series, frame) is unique.
func (r *rig) scriptFigures(frames int) {
	r.workflow.frames = func(id store.MeasurementID, rendition string) (*workflow.Frames, error) {
		t := &vmaf.Table{Frames: frames, Subsample: 1, Width: 1920, Height: 1080}
		for s, name := range []string{"VMAF_integer_feature_adm2_score", "vmaf"} {
			column := vmaf.Series{Name: name, Present: make([]bool, frames)}
			for i := range frames {
				column.Values = append(column.Values, float64(i)+float64(s)/10)
				column.Present[i] = s == 1 || i%5 != 0
			}
			t.Series = append(t.Series, column)
		}
		return &workflow.Frames{Name: rendition, First: 10, Table: t}, nil
	}
	r.workflow.segments = func(m *store.Measurement, rendition int, length workflow.SegmentLength) ([]workflow.SegmentScore, error) {
		step := max(length.Frames, 10)
		var list []workflow.SegmentScore
		for first := int64(0); first < int64(frames); first += step {
			list = append(list, workflow.SegmentScore{Rendition: rendition, First: first, End: min(first+step, int64(frames)), Scores: m.Renditions[rendition].Scores})
		}
		return list, nil
	}
}

// wantCode fails the test unless err has that code.
func wantCode(t testing.TB, err error, want codes.Code, parts ...string) {
	t.Helper()
	if status.Code(err) != want {
		t.Fatalf("%v, want %v", err, want)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v, want %q in it", err, part)
		}
	}
}

// wantFields fails the test unless err names exactly these fields.
func wantFields(t *testing.T, err error, want ...string) {
	t.Helper()
	wantCode(t, err, codes.InvalidArgument)
	if got := detailsOf(t, status.Convert(err)).fields; !slices.Equal(got, want) {
		t.Fatalf("fields %v, want %v (%v)", got, want, err)
	}
}

// drain reads a stream to its end.
func drain[T any](stream grpc.ServerStreamingClient[T]) (list []*T, err error) {
	for {
		m, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return list, nil
			}
			return list, err
		}
		list = append(list, m)
	}
}

// eventually waits for a condition that nothing tells of.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("it does not happen that %s", what)
		}
	}
}
