package grpc

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// frameScores reads a whole stream: its header, and each series' values; NaN where one is absent.
func (r *rig) frameScores(t *testing.T, req *pb.GetFrameScoresRequest) (header *pb.FrameScoresHeader, values [][]float64, first int64, seconds []float64) {
	t.Helper()
	stream, err := r.quality.GetFrameScores(as(t, ""), req)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := drain(stream)
	if err != nil {
		t.Fatal(err)
	}
	header = pages[0].GetHeader()
	if header == nil || len(pages[0].GetSeries()) > 0 {
		t.Fatalf("the first message is %v", pages[0])
	}
	values = make([][]float64, len(header.GetSeries()))
	first = -1
	next := int64(0)
	for i, p := range pages[1:] {
		if i == 0 {
			first, next = p.GetFirst(), p.GetFirst()
		}
		if p.GetFirst() != next {
			t.Errorf("a page begins at %d, want %d", p.GetFirst(), next)
		}
		if size := proto.Size(p); size > pageBytes || len(p.GetSeries()[0].GetValues()) > pageFrames {
			t.Errorf("a message of %d bytes and %d frames", size, len(p.GetSeries()[0].GetValues()))
		}
		for k, s := range p.GetSeries() {
			for _, at := range s.GetAbsent() {
				if !math.IsNaN(s.GetValues()[at]) {
					t.Errorf("absent, and %v", s.GetValues()[at])
				}
			}
			values[k] = append(values[k], s.GetValues()...)
		}
		next += int64(len(p.GetSeries()[0].GetValues()))
		seconds = append(seconds, p.GetSeconds()...)
	}
	return header, values, first, seconds
}

func TestFrameScores(t *testing.T) {
	r := newRig(t)
	m := r.finished("clips", nil)
	name := nameOf(m.ID)
	const frames = 10_000
	r.scriptFigures(frames)
	plain := r.workflow.frames
	r.workflow.frames = func(id store.MeasurementID, rendition string) (*workflow.Frames, error) {
		if rendition != "a" {
			return nil, fmt.Errorf("%w: %q; there are a, b", workflow.ErrNoRendition, rendition)
		}
		f, err := plain(id, rendition)
		for i := range frames {
			f.Seconds = append(f.Seconds, float64(i)/25)
		}
		return f, err
	}

	h, values, first, seconds := r.frameScores(t, &pb.GetFrameScoresRequest{Name: name, Rendition: "a"})
	if h.GetFrames() != frames || h.GetFirstFrame() != 10 || h.GetSubsample() != 1 || !h.GetTimes() || h.GetWidth() != 1920 || h.GetRendition() != "a" ||
		!slices.Equal(h.GetAliases(), []string{"integer_adm2", "vmaf"}) {
		t.Errorf("header %v", h)
	}
	if first != 0 || len(values[0]) != frames || len(seconds) != 0 {
		t.Fatalf("%d frames from %d, %d times", len(values[0]), first, len(seconds))
	}
	for i := range frames {
		if got := values[0][i]; math.IsNaN(got) != (i%5 == 0) || i%5 != 0 && got != float64(i) {
			t.Fatalf("adm2 of frame %d is %v", i, got)
		}
		if got := values[1][i]; got != float64(i)+0.1 {
			t.Fatalf("vmaf of frame %d is %v", i, got)
		}
	}

	h, values, first, seconds = r.frameScores(t, &pb.GetFrameScoresRequest{
		Name: name, Rendition: "a", Series: []string{"vmaf", "integer_adm2", "VMAF_integer_feature_adm2_score"}, FirstFrame: 110, EndFrame: 113, Times: true,
	})
	if first != 100 || len(h.GetSeries()) != 3 || !slices.Equal(values[0], []float64{100.1, 101.1, 102.1}) || !slices.Equal(seconds, []float64{4, 4.04, 4.08}) {
		t.Errorf("a part: %v from %d: %v, %v", h, first, values, seconds)
	}
	// Ends that lie outside of what was compared are cut.
	if _, values, first, _ := r.frameScores(t, &pb.GetFrameScoresRequest{Name: name, Rendition: "a", FirstFrame: 5, EndFrame: 1 << 40}); first != 0 || len(values[0]) != frames {
		t.Errorf("cut: %d frames from %d", len(values[0]), first)
	}
	if _, values, first, _ := r.frameScores(t, &pb.GetFrameScoresRequest{Name: name, Rendition: "a", FirstFrame: 1 << 40, EndFrame: 1 << 41}); first != -1 || len(values[0]) != 0 {
		t.Errorf("behind the end: %d frames from %d", len(values[0]), first)
	}

	fail := func(req *pb.GetFrameScoresRequest) error {
		stream, err := r.quality.GetFrameScores(as(t, ""), req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = drain(stream)
		return err
	}
	wantFields(t, fail(&pb.GetFrameScoresRequest{Name: name, Rendition: "a", Series: []string{"vmaf", "x", "y"}}), "series[1]", "series[2]")
	wantFields(t, fail(&pb.GetFrameScoresRequest{Name: name, Rendition: "a", FirstFrame: 20, EndFrame: 20}), "end_frame")
	wantFields(t, fail(&pb.GetFrameScoresRequest{Name: name, Rendition: "a", FirstFrame: 1 << 40}), "first_frame")
	wantFields(t, fail(&pb.GetFrameScoresRequest{Name: name, FirstFrame: -1}), "first_frame")
	wantCode(t, fail(&pb.GetFrameScoresRequest{Name: name, Rendition: "z"}), codes.NotFound, "there are a, b")
	wantCode(t, fail(&pb.GetFrameScoresRequest{Name: "measurements/00000000000000000000000000", Rendition: "a"}), codes.NotFound)
	r.workflow.frames = nil
	wantCode(t, fail(&pb.GetFrameScoresRequest{Name: name, Rendition: "a"}), codes.FailedPrecondition)
}

// TestFieldErrorsOfRecordsAreDefects: a caller is not told of fields that his request does not have.
func TestFieldErrorsOfRecordsAreDefects(t *testing.T) {
	r := newRig(t)
	m := r.finished("clips", nil)
	err := fmt.Errorf("plan of measurement: %w", &workflow.FieldError{Field: "models[0].spec", Err: vmaf.ErrUnknownModel})
	r.workflow.frames = func(store.MeasurementID, string) (*workflow.Frames, error) { return nil, err }
	r.workflow.watch = func(context.Context, store.MeasurementID, bool, func(workflow.Event) error) error { return err }
	stream, callErr := r.quality.GetFrameScores(as(t, ""), &pb.GetFrameScoresRequest{Name: nameOf(m.ID), Rendition: "a"})
	if callErr == nil {
		_, callErr = drain(stream)
	}
	wantCode(t, callErr, codes.Internal, "reference")
	_, callErr = drain(r.watchOne(t, as(t, ""), m))
	wantCode(t, callErr, codes.Internal, "reference")
}

// TestFewTablesAtATime: calls that need figures wait for each other, and for no longer than their callers do.
func TestFewTablesAtATime(t *testing.T) {
	r := newRig(t)
	m := r.finished("clips", nil)
	r.scriptFigures(5)
	plain := r.workflow.frames
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	r.workflow.frames = func(id store.MeasurementID, rendition string) (*workflow.Frames, error) {
		entered <- struct{}{}
		<-leave
		return plain(id, rendition)
	}
	room := max(4, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for range 3 * room {
		group.Go(func() {
			stream, err := r.quality.GetFrameScores(as(t, ""), &pb.GetFrameScoresRequest{Name: nameOf(m.ID), Rendition: "a"})
			if err == nil {
				_, err = drain(stream)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	for range room {
		<-entered
	}
	short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	stream, err := r.quality.GetFrameScores(short, &pb.GetFrameScoresRequest{Name: nameOf(m.ID), Rendition: "a"})
	if err == nil {
		_, err = drain(stream)
	}
	wantCode(t, err, codes.DeadlineExceeded)
	if n := len(entered); n > 0 {
		t.Errorf("%d more than %d at a time", n, room)
	}
	close(leave)
	group.Wait()
}

func TestFramesPerPage(t *testing.T) {
	for series, want := range map[int]int64{1: pageFrames, 4: pageFrames, 100: 235, 1 << 20: 1} {
		if got := framesPerPage(series); got != want {
			t.Errorf("%d series: %d frames, want %d", series, got, want)
		}
	}
	// The worst page: all values absent.
	columns := make([]vmaf.Series, 100)
	for i := range columns {
		columns[i] = vmaf.Series{Values: make([]float64, pageFrames), Present: make([]bool, pageFrames)}
	}
	if size := proto.Size(framePage(columns, nil, 0, framesPerPage(len(columns)))); size > pageBytes {
		t.Errorf("%d bytes", size)
	}
}
