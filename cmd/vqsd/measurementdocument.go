package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// The schemas of what the client commands print with --json. Documents are indented; lists are lines, one document each.
const (
	measurementSchema = "vqsd.measurement/1"
	scoreSchema       = "vqsd.score/1"
	deletedSchema     = "vqsd.deleted/1"
	rescoreSchema     = "vqsd.rescore/1"
	backupSchema      = "vqsd.backup/1"
	restoreSchema     = "vqsd.restore/1"
	workersSchema     = "vqsd.workers/1"
	queueSchema       = "vqsd.queue/1"
	foldersSchema     = "vqsd.folders/1"
	cacheSchema       = "vqsd.cache/1"
	drainSchema       = "vqsd.drain/1"
)

// writeLine writes a document as one line.
func writeLine(w io.Writer, document any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(document)
}

// measurementDocument is a measurement of a daemon's, and how far it is. Times are RFC 3339 in UTC; members without a value are null.
type measurementDocument struct {
	Schema     string            `json:"schema"` // measurementSchema
	Name       string            `json:"name"`   // "": it was only validated
	State      string            `json:"state"`  // pending, running, succeeded, partial, failed or cancelled
	Failure    *failure          `json:"failure"`
	Owner      string            `json:"owner"` // "": no authentication
	Class      string            `json:"class"` // "unspecified": not decided yet
	Deadline   *string           `json:"deadline"`
	Labels     map[string]string `json:"labels"`
	CreateTime *string           `json:"create_time"`
	StartTime  *string           `json:"start_time"`
	FinishTime *string           `json:"finish_time"`
	Progress   progressInfo      `json:"progress"`
	Models     []modelName       `json:"models"` // none: not planned yet
	Warnings   []string          `json:"warnings"`
	Reference  string            `json:"reference"`
	Renditions []renditionInfo   `json:"renditions"`
	Imported   *importedInfo     `json:"imported,omitempty"` // absent: it was measured
}

// importedInfo is the file of another program that a measurement was made of.
type importedInfo struct {
	Form       string   `json:"form"`
	File       string   `json:"file"`
	SHA256     string   `json:"sha256"`
	Generation string   `json:"generation"` // who may have written it
	Version    string   `json:"version"`    // what the writer called itself; "": it did not say
	Frames     int64    `json:"frames"`     // up to the last listed one
	Losses     []string `json:"losses"`     // what the file has and is not kept

	series []string // none: it has no figures of frames, or was read of a list
}

func newImportedInfo(i *pb.Imported) *importedInfo {
	if i == nil {
		return nil
	}
	return &importedInfo{
		Form: i.GetForm(), File: i.GetFile(), SHA256: i.GetSha256(), Generation: i.GetGeneration(), Version: i.GetVersion(), Frames: i.GetFrames(),
		Losses: nonNil(i.GetLosses()), series: i.GetSeries(),
	}
}

// String reads "vmaf.xml (xml, libvmaf 2.2.0 to 2.3.1)".
func (i *importedInfo) String() string {
	text := i.Form
	if i.Generation != "" {
		text += ", " + i.Generation
	}
	return i.File + " (" + text + ")"
}

// failure is why something could not be measured.
type failure struct {
	Reason  string `json:"reason"` // for programs, such as "not_found"
	Message string `json:"message"`
}

// progressInfo counts reference frames.
type progressInfo struct {
	FramesDone       int64    `json:"frames_done"`
	FramesTotal      *int64   `json:"frames_total"` // null: not known yet
	FramesPerSecond  *float64 `json:"frames_per_second"`
	RemainingSeconds *float64 `json:"remaining_seconds"`
	ChunksDone       int32    `json:"chunks_done"`
	ChunksTotal      *int32   `json:"chunks_total"`
	TasksRunning     int32    `json:"tasks_running"`
}

type modelName struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
}

// renditionInfo is one distorted video of a measurement.
type renditionInfo struct {
	Name    string        `json:"name"`
	Path    string        `json:"path"`
	State   string        `json:"state"`
	Failure *failure      `json:"failure"`
	Scores  []namedFigure `json:"scores"` // of the models, once there are any
}

func newMeasurementDocument(m *pb.Measurement) *measurementDocument {
	p, spec := m.GetProgress(), m.GetSpec()
	class := m.GetServiceClass()
	if class == pb.ServiceClass_SERVICE_CLASS_UNSPECIFIED {
		class = spec.GetServiceClass()
	}
	d := &measurementDocument{
		Schema: measurementSchema, Name: m.GetName(), State: stateWord(m.GetState()), Failure: newFailure(m.GetFailure()), Owner: m.GetOwner(),
		Class: classWord(class), Deadline: instant(spec.GetDeadline()), Labels: spec.GetLabels(),
		CreateTime: instant(m.GetCreateTime()), StartTime: instant(m.GetStartTime()), FinishTime: instant(m.GetFinishTime()),
		Progress: progressInfo{
			FramesDone: p.GetFramesDone(), FramesTotal: positive(p.GetFramesTotal()), FramesPerSecond: positive(p.GetFramesPerSecond()),
			ChunksDone: p.GetChunksDone(), ChunksTotal: positive(p.GetChunksTotal()), TasksRunning: p.GetTasksRunning(),
		},
		Models: []modelName{}, Warnings: nonNil(m.GetWarnings()), Reference: spec.GetReference().GetUri(), Renditions: []renditionInfo{},
		Imported: newImportedInfo(m.GetImported()),
	}
	if d.Labels == nil {
		d.Labels = map[string]string{}
	}
	if p.GetRemaining() != nil {
		d.Progress.RemainingSeconds = positive(p.GetRemaining().AsDuration().Seconds())
	}
	for _, model := range m.GetModels() {
		d.Models = append(d.Models, modelName{model.GetName(), model.GetVersion(), model.GetDigest()})
	}
	for i, rendition := range m.GetRenditions() {
		info := renditionInfo{
			Name: rendition.GetName(), Path: renditionURI(m, i), State: stateWord(rendition.GetState()), Failure: newFailure(rendition.GetFailure()),
			Scores: []namedFigure{},
		}
		for _, score := range rendition.GetScores() {
			if score.GetModel() != "" {
				info.Scores = append(info.Scores, namedFigure{score.GetSeries(), score.GetModel(), newFigures(score.GetPooled())})
			}
		}
		d.Renditions = append(d.Renditions, info)
	}
	return d
}

// renditionURI is where a rendition's video is; "" where the answer does not say.
func renditionURI(m *pb.Measurement, i int) string {
	if list := m.GetSpec().GetRenditions(); i < len(list) {
		return list[i].GetSource().GetUri()
	}
	return ""
}

func newFailure(f *pb.Failure) *failure {
	if f == nil {
		return nil
	}
	return &failure{reasonWord(f.GetReason()), f.GetMessage()}
}

func newFigures(list []*pb.PooledValue) figures {
	out := figures{}
	for _, p := range list {
		out = append(out, figure{p.GetPooling(), p.GetValue()})
	}
	return out
}

// instant is a time as text; nil for none.
func instant(t *timestamppb.Timestamp) *string {
	if t == nil {
		return nil
	}
	text := t.AsTime().Format(time.RFC3339Nano)
	return &text
}

// localTime is a time for people.
func localTime(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().Local().Format("2006-01-02 15:04:05")
}

// positive is n, or nil where 0 stands for unknown.
func positive[T int32 | int64 | float64](n T) *T {
	if n <= 0 {
		return nil
	}
	return &n
}

// printMeasurement prints a measurement that has not ended, or that has no result.
func printMeasurement(w io.Writer, m *pb.Measurement) {
	g := &grid{left: 2}
	line := func(name, format string, args ...any) { g.add("  "+name, printable(fmt.Sprintf(format, args...))) }
	fmt.Fprintln(w, shortName(m.GetName()))
	d := newMeasurementDocument(m)
	state := d.State
	if d.Failure != nil {
		state += ": " + d.Failure.Message
	}
	line("state", "%s", state)
	if text := progressText(m.GetProgress()); text != "" {
		line("progress", "%s", text)
	}
	line("class", "%s", d.Class)
	if spec := m.GetSpec(); spec.GetDeadline() != nil {
		line("deadline", "%s", localTime(spec.GetDeadline()))
	}
	if d.Owner != "" {
		line("owner", "%s", d.Owner)
	}
	line("created", "%s", localTime(m.GetCreateTime()))
	if m.GetFinishTime() != nil {
		line("finished", "%s", localTime(m.GetFinishTime()))
	}
	for _, key := range slices.Sorted(maps.Keys(d.Labels)) {
		line("label", "%s=%s", key, d.Labels[key])
	}
	if d.Reference != "" {
		line("reference", "%s", d.Reference)
	}
	for _, r := range d.Renditions {
		text := cmp.Or(r.Path, r.Name) + ": " + r.State
		if r.Failure != nil {
			text += ": " + r.Failure.Message
		}
		line("rendition", "%s", text)
	}
	if d.Imported != nil {
		line("imported", "%s", d.Imported)
	}
	for _, warning := range d.Warnings {
		line("warning", "%s", warning)
	}
	g.print(w)
}

// progressText says how far a measurement is; "" where there is nothing to say.
func progressText(p *pb.Progress) string {
	if p.GetFramesTotal() == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %s (%.0f %%)", p.GetFramesDone(), plural(p.GetFramesTotal(), "frame"),
		100*float64(p.GetFramesDone())/float64(p.GetFramesTotal()))
	if p.GetFramesPerSecond() > 0 {
		text += fmt.Sprintf(", %.1f frames/s", p.GetFramesPerSecond())
	}
	if p.GetRemaining() != nil {
		text += fmt.Sprintf(", %v left", p.GetRemaining().AsDuration().Round(time.Second))
	}
	return text
}
