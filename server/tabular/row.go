package tabular

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// row is a row. The order of its fields is that of the columns, in Parquet and in CSV; the package comment describes them. Optional fields are null where
// they are zero, or nil.
type row struct {
	Measurement          string  `parquet:"measurement,dict"`
	CreateTime           int64   `parquet:"create_time,timestamp(microsecond),dict"`
	FinishTime           int64   `parquet:"finish_time,timestamp(microsecond),optional,dict"`
	Labels               string  `parquet:"labels,dict"`
	Reference            string  `parquet:"reference,dict"`
	ReferenceFingerprint string  `parquet:"reference_fingerprint,dict"`
	Rendition            string  `parquet:"rendition,dict"`
	Distorted            string  `parquet:"distorted,dict"`
	Fingerprint          string  `parquet:"fingerprint,dict"`
	Codec                string  `parquet:"codec,dict"`
	Width                int32   `parquet:"width,optional,dict"`
	Height               int32   `parquet:"height,optional,dict"`
	BitDepth             int32   `parquet:"bit_depth,optional,dict"`
	FrameRate            float64 `parquet:"frame_rate,optional,dict"`
	BitRate              int64   `parquet:"bit_rate,optional,dict"`

	Granularity  string   `parquet:"granularity,dict"`
	FirstFrame   int64    `parquet:"first_frame,delta"`
	EndFrame     int64    `parquet:"end_frame,delta"`
	Seconds      *float64 `parquet:"seconds,optional"`
	Series       string   `parquet:"series,dict"`
	Model        string   `parquet:"model,dict"`
	ModelVersion string   `parquet:"model_version,dict"`
	Pooling      string   `parquet:"pooling,dict"`
	Value        float64  `parquet:"value"`
}

// common is a row with what all rows of a rendition have.
func common(m *store.Measurement, k int, g Granularity) (row, error) {
	d := &m.Renditions[k]
	r := row{
		Measurement: "measurements/" + string(m.ID), CreateTime: m.Created.UnixMicro(), Labels: "{}",
		Reference: m.Request.Reference.URI, ReferenceFingerprint: string(m.ReferenceFingerprint),
		Rendition: d.Name, Distorted: m.Request.Renditions[k].Source.URI, Fingerprint: string(d.Fingerprint), Granularity: g.String(),
	}
	if !m.Finished.IsZero() {
		r.FinishTime = m.Finished.UnixMicro()
	}
	if len(m.Request.Labels) > 0 {
		text, err := json.Marshal(m.Request.Labels) // in the order of their names
		if err != nil {
			return row{}, err
		}
		r.Labels = string(text)
	}
	if v := d.Video; v != nil {
		r.Codec, r.Width, r.Height, r.BitDepth, r.BitRate = v.Codec, int32(v.Width), int32(v.Height), int32(v.BitDepth), v.BitRate
		if v.FrameRateNum != 0 && v.FrameRateDen != 0 {
			r.FrameRate = float64(v.FrameRateNum) / float64(v.FrameRateDen)
		}
	}
	return r, nil
}

// texts is how many bytes of text the rows of a rendition share.
func (r *row) texts() int {
	return len(r.Measurement) + len(r.Labels) + len(r.Reference) + len(r.ReferenceFingerprint) + len(r.Rendition) + len(r.Distorted) + len(r.Fingerprint) + len(r.Codec)
}

// rows makes the rows of rendition k of a measurement out of r, which has what they share, and hands them to put, one at a time. Rows of a series
// follow each other.
func rows(r row, m *store.Measurement, k int, g Granularity, f *workflow.Frames, segments []workflow.SegmentScore, put func(*row) error) error {
	d := &m.Renditions[k]
	versions, models := map[string]string{}, map[string]string{} // of models by name, and models by series
	if m.Plan != nil {
		for _, model := range m.Plan.Models {
			versions[model.Name] = model.Version
			for _, s := range model.Series {
				models[s] = model.Name
			}
		}
	}
	for _, s := range d.Scores {
		if s.Model != "" {
			models[s.Series] = s.Model
		}
	}
	of := func(series string) {
		r.Series, r.Model = vmaf.Alias(series), models[series]
		r.ModelVersion = versions[r.Model]
	}
	pooled := func(scores []store.Score) error {
		for _, s := range scores {
			of(s.Series)
			for _, p := range s.Pooled {
				r.Pooling, r.Value = string(p.Method), p.Value
				if err := put(&r); err != nil {
					return err
				}
			}
		}
		return nil
	}
	times := timesOf(m, f)
	switch g {
	case Aggregate:
		r.FirstFrame, r.EndFrame, r.Seconds = d.First, d.End, times(d.First)
		return pooled(d.Scores)
	case Segment:
		for _, s := range segments {
			r.FirstFrame, r.EndFrame, r.Seconds = s.First, s.End, times(s.First)
			if err := pooled(s.Scores); err != nil {
				return err
			}
		}
		return nil
	default:
		if f == nil {
			return errors.New("rows of frames want the frames")
		}
		for _, s := range f.Table.Series {
			of(s.Name)
			for i := range f.Table.Frames {
				v, ok := s.At(i)
				if !ok {
					continue
				}
				r.FirstFrame = f.First + int64(i)
				r.EndFrame, r.Seconds, r.Value = r.FirstFrame+1, times(r.FirstFrame), v
				if err := put(&r); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// timesOf tells when frames are shown: as the frames' own times say, or the reference's rate where that is constant; nil where neither is known.
func timesOf(m *store.Measurement, f *workflow.Frames) func(frame int64) *float64 {
	if f != nil && f.Seconds != nil {
		return func(frame int64) *float64 {
			if i := frame - f.First; i >= 0 && i < int64(len(f.Seconds)) {
				return &f.Seconds[i]
			}
			return nil
		}
	}
	v := m.Reference
	if v == nil || !v.Timestamps || v.VariableRate || v.FrameRateNum == 0 {
		return func(int64) *float64 { return nil }
	}
	return func(frame int64) *float64 {
		s := float64(frame*v.FrameRateDen) / float64(v.FrameRateNum)
		return &s
	}
}

// instant is a time of a row.
func instant(micro int64) time.Time { return time.UnixMicro(micro).UTC() }

// check says what is wrong with arguments of Append.
func check(m *store.Measurement, k int) error {
	if k < 0 || k >= len(m.Renditions) || k >= len(m.Request.Renditions) {
		return fmt.Errorf("measurement %s has no rendition %d", m.ID, k)
	}
	return nil
}
