package main

import (
	"io"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/vmaf"
)

// Whatever a daemon says of a measurement, it is shown or refused.
func FuzzRemoteMeasurement(f *testing.F) {
	for n, state := range cannedStates {
		text, err := proto.Marshal(canned(n+1, state))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var m pb.Measurement
		if proto.Unmarshal(text, &m) != nil {
			return
		}
		if err := writeLine(io.Discard, newMeasurementDocument(&m)); err != nil {
			t.Errorf("document: %v", err)
		}
		printMeasurement(io.Discard, &m)
		addMeasurement(&grid{}, &m)
		if ending(&m, nil) != nil {
			return
		}
		r, err := newRemoteResult(&m, nil)
		if err != nil {
			return
		}
		p := presentation{pools: tablePools}
		for i := range r.renditions {
			if r.renditions[i].err == nil {
				r.renditions[i].table = &vmaf.Table{Frames: 1, Series: []vmaf.Series{{Name: "vmaf", Values: []float64{1}}}}
			}
			p.names, p.titles = append(p.names, ""), append(p.titles, "")
		}
		for i := range r.renditions {
			p.wants(r, &r.renditions[i])
		}
		p.printTable(io.Discard, r)
		if err := writeJSON(io.Discard, p.document(r)); err != nil {
			t.Errorf("document: %v", err)
		}
	})
}

// Whatever pages of figures a daemon sends, a table that is taken is whole.
func FuzzFrames(f *testing.F) {
	add := func(list ...*pb.GetFrameScoresResponse) {
		var texts [2][]byte
		for i, page := range list {
			text, err := proto.Marshal(page)
			if err != nil {
				f.Fatal(err)
			}
			texts[i] = text
		}
		f.Add(texts[0], texts[1])
	}
	header := &pb.FrameScoresHeader{Frames: 3, Subsample: 2, Series: []string{"vmaf"}, Aliases: []string{"vmaf"}}
	add(&pb.GetFrameScoresResponse{Header: header}, &pb.GetFrameScoresResponse{Series: []*pb.FrameValues{{Values: []float64{1, math.NaN(), 3}, Absent: []int32{1}}}})
	add(&pb.GetFrameScoresResponse{Header: header}, &pb.GetFrameScoresResponse{First: 1, Series: []*pb.FrameValues{{Values: []float64{1, 2}}}})
	add(&pb.GetFrameScoresResponse{Header: header, Series: []*pb.FrameValues{{Values: []float64{1}}}, Seconds: []float64{0}},
		&pb.GetFrameScoresResponse{First: 1, Series: []*pb.FrameValues{{Values: []float64{1, 2}, Absent: []int32{7}}}})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var pages [2]pb.GetFrameScoresResponse
		if proto.Unmarshal(first, &pages[0]) != nil || proto.Unmarshal(second, &pages[1]) != nil {
			return
		}
		got, err := newFrames(pages[0].GetHeader())
		if err != nil || got.add(&pages[0]) != nil || got.add(&pages[1]) != nil || got.finish() != nil {
			return
		}
		for i, s := range got.table.Series {
			if len(s.Values) != got.table.Frames || s.Present != nil && len(s.Present) != len(s.Values) {
				t.Errorf("series %d has %d values and %d marks of %d frames", i, len(s.Values), len(s.Present), got.table.Frames)
			}
			for k := range s.Values {
				if _, ok := s.At(k); ok && s.Present != nil && !s.Present[k] {
					t.Errorf("frame %d is absent and has a value", k)
				}
			}
		}
	})
}
