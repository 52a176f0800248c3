package workflow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

const (
	// maxImportedSeries and maxSeriesName bound what the record of a measurement and its index entries come to: a full log of libvmaf's, with a
	// bootstrap model of a hundred members, has 150 series.
	maxImportedSeries = 512
	maxSeriesName     = 255 // bytes; where libvmaf itself cuts names
	// What the API allows of labels, names and URIs it allows those of a file, too. Bytes.
	maxLabels        = 64
	maxLabelKey      = 64
	maxLabelValue    = 1024
	maxRendition     = 1024
	maxURI           = 4096
	maxImportedPools = 32
	// maxImportedChunks is the largest number of chunks that a configuration allows of a measurement.
	maxImportedChunks = 16384
	// columnsApart is from how many values on a file's columns are written one by one, since every other write of the store waits for each.
	columnsApart = 1 << 17
	// clockSkew is how far in the future a file may say that it was measured.
	clockSkew = 24 * time.Hour
)

// Import makes a measurement, which has ended, of what a file of another program says. It is idempotent for good: where the same owner has imported the
// same content with the same particulars (sources, name of the rendition, labels, time) before and the measurement is still there, that one is returned,
// and existed is true. No media are opened.
//
// Errors: joined *[FieldError]s; those of the store.
func (s *Service) Import(ctx context.Context, r ImportRequest) (st *Status, existed bool, err error) {
	if err := s.checkImport(&r); err != nil {
		return nil, false, err
	}
	identity := importedIdentity(&r)
	before, err := s.importedBefore(ctx, identity)
	if err != nil {
		return nil, false, err
	}
	if before != nil {
		return s.Describe(before), true, nil
	}
	m := s.importedMeasurement(&r, identity)
	if r.DryRun {
		m.ID = ""
		return s.Describe(m), false, nil
	}
	puts := importedColumns(&r, identity)
	if r.Table != nil && valuesOf(r.Table) > columnsApart {
		for _, put := range puts {
			if err := s.store.Apply(ctx, store.Changes{PutColumns: []store.ColumnsPut{put}}); err != nil {
				return nil, false, err
			}
		}
		puts = nil
	}
	// The request ID decides between imports of the same file at the same moment. What it says, the identity says as well, and does not expire.
	m.ID, m.Created = s.name()
	m.Started, m.Finished = m.Created, m.Created
	if !r.Measured.IsZero() {
		m.Started, m.Finished = r.Measured, r.Measured
	}
	existing, err := s.store.CreateEnded(ctx, m, "import/"+hex.EncodeToString(identity[:]), identity, puts)
	if err != nil {
		return nil, false, err
	}
	if existing != nil {
		return s.Describe(existing), true, nil
	}
	s.metrics.imported.Inc()
	return s.Describe(m), false, nil
}

// checkImport reports every problem of a request.
func (s *Service) checkImport(r *ImportRequest) error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, &FieldError{field, fmt.Errorf(format, args...)})
	}
	if r.Rendition.Name == "" {
		bad("rendition", "it has no name")
	}
	if n := len(r.Rendition.Name); n > maxRendition {
		bad("rendition", "a name of %d bytes; at most %d can be kept", n, maxRendition)
	}
	if len(r.Reference.URI) > maxURI || len(r.Rendition.Source.URI) > maxURI {
		bad("reference", "the name of a video has at most %d bytes", maxURI)
	}
	if n := len(r.Labels); n > maxLabels {
		bad("labels", "%d; at most %d can be kept", n, maxLabels)
	}
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
		if key == "" || len(key) > maxLabelKey || len(r.Labels[key]) > maxLabelValue {
			bad("labels", "%.80q: a key has 1 to %d bytes, and its value up to %d", key, maxLabelKey, maxLabelValue)
			break
		}
	}
	if raw, err := hex.DecodeString(r.Imported.Digest); err != nil || len(raw) != sha256.Size {
		bad("digest", "%.80q is no SHA-256 in hexadecimal", r.Imported.Digest)
	}
	if t := r.Measured; !t.IsZero() && (t.Year() < 1970 || t.After(s.cfg.Now().Add(clockSkew))) {
		bad("measure_time", "%s is not between 1970 and now", t.Format(time.RFC3339))
	}
	frames := importedFrames(r)
	if r.First < 0 || frames < 1 || r.First > math.MaxInt64-frames {
		bad("frames", "there are none: %d frames from %d on", frames, r.First)
	}
	if (r.Table == nil || len(r.Table.Series) == 0) && len(r.Imported.Pooled) == 0 {
		bad("frames", "the file has no figures")
	}
	if t := r.Table; t != nil {
		errs = append(errs, checkTable(t))
	}
	if r.Seconds != nil && int64(len(r.Seconds)) != frames {
		bad("times", "%d for %d frames", len(r.Seconds), frames)
	}
	if n := len(r.Imported.Pooled); n > maxImportedSeries {
		bad("pooled", "figures of %d series; at most %d can be kept", n, maxImportedSeries)
	}
	if n := len(importedPools(r)); n > maxImportedPools {
		bad("pooled", "%d kinds of pooling; at most %d can be kept", n, maxImportedPools)
	}
	if len(r.Imported.Aggregates) > maxImportedSeries {
		bad("aggregates", "%d; at most %d can be kept", len(r.Imported.Aggregates), maxImportedSeries)
	}
	if n := len(r.Segments); n > maxImportedChunks {
		bad("chunks", "%d; at most %d can be kept", n, maxImportedChunks)
	}
	at := r.First
	for i, segment := range r.Segments {
		if segment.First < at || segment.End <= segment.First || segment.End > r.First+frames {
			bad(fmt.Sprintf("chunks[%d]", i), "frames [%d, %d) are not behind the chunk before, within frames [%d, %d)", segment.First, segment.End, r.First, r.First+frames)
			break
		}
		at = segment.End
	}
	return errors.Join(errs...)
}

// importedFrames is how many frames were compared, listed or not.
func importedFrames(r *ImportRequest) int64 {
	if r.Table != nil && r.Table.Frames > 0 {
		return int64(r.Table.Frames)
	}
	return r.Imported.Frames
}

// checkTable requires of a table what can be kept and read again.
func checkTable(t *vmaf.Table) error {
	if len(t.Series) > maxImportedSeries {
		return &FieldError{"series", fmt.Errorf("%d; at most %d can be kept", len(t.Series), maxImportedSeries)}
	}
	if t.Subsample < 0 {
		return &FieldError{"subsample", fmt.Errorf("%d is negative", t.Subsample)}
	}
	seen := map[string]bool{}
	var errs []error
	for i, series := range t.Series {
		bad := func(format string, args ...any) {
			errs = append(errs, &FieldError{fmt.Sprintf("series[%d]", i), fmt.Errorf("%.80q: "+format, append([]any{series.Name}, args...)...)})
		}
		name := vmaf.Alias(series.Name)
		switch {
		case series.Name == "" || len(series.Name) > maxSeriesName:
			bad("a name has 1 to %d bytes", maxSeriesName)
		case seen[name]:
			bad("it is there twice")
		case len(series.Values) != t.Frames || series.Present != nil && len(series.Present) != t.Frames:
			bad("%d values for %d frames", len(series.Values), t.Frames)
		case skippedHasValue(t, series):
			bad("a frame that subsampling every %d frames leaves out has a value", t.Subsample)
		}
		seen[name] = true
	}
	return errors.Join(errs...)
}

// skippedHasValue says whether a series has a value at a frame that subsampling leaves out.
func skippedHasValue(t *vmaf.Table, series vmaf.Series) bool {
	if t.Subsample <= 1 {
		return false
	}
	for i := range t.Frames {
		if _, ok := series.At(i); ok && !t.Measured(i) {
			return true
		}
	}
	return false
}

// importedIdentity is the identity of an imported file's figures. Unlike that of measured ones it holds all that tells one import from another, so that
// there is one measurement to an identity, not counting those that were made of it by scoring it anew.
func importedIdentity(r *ImportRequest) store.Identity {
	var b strings.Builder
	line(&b, "vqsd imported figures", "1")
	line(&b, "file", r.Imported.Digest)
	line(&b, "form", r.Imported.Form)
	line(&b, "owner", r.Owner)
	for _, source := range []store.Source{r.Reference, r.Rendition.Source} {
		line(&b, "root", source.Root)
		line(&b, "path", source.Path)
	}
	line(&b, "rendition", r.Rendition.Name)
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
		line(&b, "label", key)
		line(&b, "value", r.Labels[key])
	}
	if !r.Measured.IsZero() {
		line(&b, "measured", r.Measured.UTC().Format(time.RFC3339Nano))
	}
	return sha256.Sum256([]byte(b.String()))
}

// importedBefore is the measurement that an import has made already; nil: there is none.
func (s *Service) importedBefore(ctx context.Context, identity store.Identity) (*store.Measurement, error) {
	ids, err := s.store.MeasurementsOf(ctx, identity)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		m, err := s.store.Measurement(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		if m.Imported != nil && m.Rescored == "" {
			return m, nil
		}
	}
	return nil, nil
}

// importedMeasurement is the record, without a name yet.
func (s *Service) importedMeasurement(r *ImportRequest, identity store.Identity) *store.Measurement {
	frames := importedFrames(r)
	imported := r.Imported
	imported.Frames, imported.Step = frames, 1
	imported.Series, imported.Segmented = nil, len(r.Segments) > 0
	if t := r.Table; t != nil {
		imported.Step = int64(max(t.Subsample, 1))
		for _, series := range t.Series {
			imported.Series = append(imported.Series, series.Name)
		}
		if _, stated := imported.Numbers[importedSpeed]; !stated && t.FPS != 0 {
			imported.Numbers = maps.Clone(imported.Numbers)
			if imported.Numbers == nil {
				imported.Numbers = map[string]float64{}
			}
			imported.Numbers[importedSpeed] = t.FPS
		}
		if imported.Aggregates == nil {
			imported.Aggregates = t.Aggregates
		}
		if imported.Width == 0 && imported.Height == 0 {
			imported.Width, imported.Height = t.Width, t.Height
		}
	}
	format := r.Format
	if format.Width == 0 && format.Height == 0 {
		format.Width, format.Height = imported.Width, imported.Height
	}
	plan := &store.Plan{Models: r.Models, Pools: importedPools(r), Class: store.ClassThroughput, Chunks: []store.Chunk{{First: r.First, End: r.First + frames}}}
	if imported.Segmented {
		plan.Chunks = nil
		for _, segment := range r.Segments {
			plan.Chunks = append(plan.Chunks, store.Chunk{First: segment.First, End: segment.End})
		}
	}
	request := store.Request{Reference: r.Reference, Renditions: []store.RenditionRequest{r.Rendition}, Labels: r.Labels}
	if imported.Step > 1 {
		request.Subsample = int(imported.Step)
	}
	now := s.cfg.Now()
	m := &store.Measurement{
		Owner: r.Owner, Request: request, State: store.StateSucceeded, Created: now, Started: now, Finished: now,
		Reference: r.ReferenceVideo, Plan: plan, Daemon: s.cfg.Version, Imported: &imported,
	}
	d := store.Rendition{
		Name: r.Rendition.Name, State: store.StateSucceeded, Video: r.Video, Format: format, First: r.First, End: r.First + frames, Identity: identity,
	}
	d.Scores, plan.Warnings = scoresOfImport(plan, &imported, r.Table)
	m.Renditions = []store.Rendition{d}
	return m
}
