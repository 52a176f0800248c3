package record

import (
	"strings"

	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/store"
)

// What logs say of a run, by its name in [store.Imported.Details] and Numbers.
const (
	runModel = "run.model"
	runPool  = "run.pool"
	runNames = "run.bootstrap_names"

	runTime         = "run.time_taken" // seconds
	runModels       = "run.bootstrap_models"
	runBits         = "run.bits_per_component"
	runStatsVersion = "run.stats_version"
	runOutputMax    = "run.output_max" // 1: yes
)

// KeepRun notes in i what a log says of its run beside its figures, where [Origin] finds it. Details and Numbers may be written to.
func KeepRun(i *store.Imported, run legacy.Run) {
	text := func(key, value string) {
		if value != "" {
			i.Details[key] = value
		}
	}
	number := func(key string, value float64) {
		if value != 0 {
			i.Numbers[key] = value
		}
	}
	text(runModel, run.Model)
	text(runPool, run.Pool)
	text(runNames, run.BootstrapNames)
	number(runTime, run.TimeTaken)
	number(runModels, float64(run.BootstrapModels))
	number(runBits, float64(run.BitsPerComponent))
	number(runStatsVersion, float64(run.StatsVersion))
	if run.OutputMax {
		number(runOutputMax, 1)
	}
}

// keptRun is what KeepRun has noted; nil: nothing.
func keptRun(i *store.Imported) *legacy.Run {
	run := legacy.Run{
		Model: i.Details[runModel], Pool: i.Details[runPool], BootstrapNames: i.Details[runNames], TimeTaken: i.Numbers[runTime],
		BootstrapModels: int(i.Numbers[runModels]), BitsPerComponent: int(i.Numbers[runBits]), StatsVersion: int(i.Numbers[runStatsVersion]),
		OutputMax: i.Numbers[runOutputMax] == 1,
	}
	if run == (legacy.Run{}) {
		return nil
	}
	return &run
}

// Origin is the log that the scores of an imported measurement first came from: the imported file itself, or where that is a record, the one that the
// record says it was made of. nil: there is none, as with the record of a measurement that vqsd made or has scored anew.
func Origin(i *store.Imported) *Imported {
	if i.Form != Form {
		return originOf(i)
	}
	var was Provenance
	text, ok := i.Details[detailProvenance]
	if !ok || newReader(strings.NewReader(text), Limits{}.withDefaults()).document(was.value()) != nil {
		return nil // kept by a version that kept something else
	}
	if was.Imported == nil || was.Imported.Form == Form || was.RescoredFrom != "" {
		return nil
	}
	return was.Imported
}

// originOf is the imported file.
func originOf(i *store.Imported) *Imported {
	return &Imported{i.Form, i.Digest, i.File, i.Generation, i.Version, keptRun(i), i.Losses}
}

// runValue has no place for what legacy.Read never reads, Score and Subsampling.
func runValue(r *legacy.Run) value {
	return flat{object{
		{"model", false, label(&r.Model)},
		{"pool", false, word(&r.Pool)},
		{"time_taken_seconds", false, figure{&r.TimeTaken}},
		{"bootstrap_models", false, count(&r.BootstrapModels)},
		{"bootstrap_names", false, label(&r.BootstrapNames)},
		{"bits_per_component", false, count(&r.BitsPerComponent)},
		{"stats_version", false, count(&r.StatsVersion)},
		{"output_max", false, truth{&r.OutputMax}},
	}}
}
