package ingest

import (
	"regexp"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/server/record"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// requestOf is what a log says.
func requestOf(log *legacy.Log, form legacy.Format) workflow.ImportRequest {
	table := log.Table()
	r := workflow.ImportRequest{
		Table: table,
		Imported: store.Imported{
			Form: form.String(), Generation: log.Generation.String(), Version: log.Version, Width: log.Width, Height: log.Height,
			Frames: int64(table.Frames), Aggregates: log.Aggregates, Details: map[string]string{}, Numbers: map[string]float64{}, Losses: log.Unknown,
		},
	}
	run, imported := log.Run, &r.Imported
	record.KeepRun(imported, run)
	if run.BitsPerComponent > 0 {
		r.Format.BitDepth = run.BitsPerComponent
	}
	r.Models = scoreModels(table, run.Model)
	for _, p := range log.Pooled {
		score := store.Score{Series: p.Name}
		for _, m := range r.Models {
			if slices.Contains(m.Series, p.Name) {
				score.Model = m.Name
			}
		}
		for _, figure := range p.Figures {
			score.Pooled = append(score.Pooled, store.Pooled{Method: vmaf.PoolMethod(figure.Name), Value: figure.Value})
		}
		imported.Pooled = append(imported.Pooled, score)
	}
	return r
}

// WriteOptions is what package legacy needs beside a measurement's table to write the same log again that the measurement was imported from, through
// a record or straight. Where no log is known to be its origin, it has pooled figures only.
func WriteOptions(i *store.Imported) legacy.WriteOptions {
	var opt legacy.WriteOptions
	if origin := record.Origin(i); origin != nil {
		opt.Version = origin.Version
		if origin.Run != nil {
			opt.Run = *origin.Run
		}
	}
	for _, score := range i.Pooled {
		p := legacy.Pooled{Name: score.Series}
		for _, pooled := range score.Pooled {
			p.Figures = append(p.Figures, legacy.Figure{Name: string(pooled.Method), Value: pooled.Value})
		}
		opt.Pooled = append(opt.Pooled, p)
	}
	return opt
}

// ofCollection matches what a bootstrap collection's name is followed by in the names of its other series.
var ofCollection = regexp.MustCompile(`^(.+)_(\d{4}|bagging|stddev|ci_p95_lo|ci_p95_hi)$`)

// scoreModels are the models whose scores a log has, as far as names tell: logs do not say what is a score. Series called vmaf, or vmaf_ and something,
// are; what else a caller of libvmaf may have called a model cannot be told from features. file is the model's, where the form says it.
func scoreModels(t *vmaf.Table, file string) []store.Model {
	names := map[string]bool{}
	for _, series := range t.Series {
		names[series.Name] = true
	}
	var models []store.Model
	place := map[string]int{}
	for _, series := range t.Series {
		name := series.Name
		if name != "vmaf" && !strings.HasPrefix(name, "vmaf_") {
			continue
		}
		base := name
		if m := ofCollection.FindStringSubmatch(name); m != nil && names[m[1]] {
			base = m[1]
		}
		i, known := place[base]
		if !known {
			i = len(models)
			place[base] = i
			models = append(models, store.Model{Name: base})
		}
		models[i].Series = append(models[i].Series, name)
	}
	for i := range models {
		if models[i].Name == "vmaf" {
			// The same model has a name without this extension since.
			models[i].Version = strings.TrimSuffix(file, ".pkl")
		}
	}
	return models
}

// listed is how many frames of a table have some figure.
func listed(t *vmaf.Table) int64 {
	if len(t.Series) == 0 {
		return 0 // of however many
	}
	n := int64(0)
	for i := range t.Frames {
		for _, series := range t.Series {
			if _, ok := series.At(i); ok {
				n++
				break
			}
		}
	}
	return n
}
