package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/vmaf"
)

func (a *app) modelsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "models",
		Short: "list the built-in models",
		Long: `List the built-in models: their features by full name, the depth that they are made for, and the digest of all that
decides their scores. Below them stand the features that "vqsd measure" takes with --feature, and the test conditions
that it takes with --aom-ctc and --nflx-ctc.`,
		Example: `  vqsd models
  vqsd models --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.models(asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON document")
	return c
}

// modelsDocument is what models --json prints.
type modelsDocument struct {
	Schema     string         `json:"schema"` // modelsSchema
	Program    programInfo    `json:"program"`
	Default    string         `json:"default"`
	Models     []builtinModel `json:"models"`
	Extractors []string       `json:"extractors"` // what --feature takes
	Presets    []string       `json:"presets"`    // what --aom-ctc and --nflx-ctc take, as name=version
}

// builtinModel is a model with what it needs.
type builtinModel struct {
	modelInfo
	Extractions   []string `json:"extractions"`    // as --feature has them
	BitDepth      *int     `json:"bit_depth"`      // bits that it is made for; null: no preference
	HasTransform  bool     `json:"has_transform"`  // enable_transform has an effect
	NotComputable *string  `json:"not_computable"` // why this version cannot compute it; null: it can
}

func (a *app) models(asJSON bool) error {
	d := modelsDocument{modelsSchema, program(), defaultModel, nil, vmaf.ExtractorNames(), vmaf.PresetNames()}
	for _, name := range vmaf.BuiltinNames() {
		model, err := vmaf.Builtin(name)
		if err != nil {
			return err
		}
		m := builtinModel{modelInfo: newModelInfo(model)}
		m.HasTransform, _ = model.HasTransform()
		if bits := model.PreferredBitsPerComponent(); bits > 0 {
			m.BitDepth = &bits
		}
		for _, e := range model.Extractions() {
			m.Extractions = append(m.Extractions, e.String())
		}
		if err := model.Computable(); err != nil {
			text := err.Error()
			m.NotComputable = &text
		}
		d.Models = append(d.Models, m)
	}
	if asJSON {
		return writeJSON(a.stdout, d)
	}
	for i, m := range d.Models {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		title := m.Version
		if m.Version == defaultModel {
			title += " (default)"
		}
		fmt.Fprintln(a.stdout, title)
		g := &grid{left: 2}
		if m.NotComputable != nil {
			g.add("  not computable", *m.NotComputable)
		}
		if m.Collection {
			g.add("  collection", "score, bagging score, standard deviation, 95 % confidence interval")
		}
		if m.Clip != nil {
			g.add("  range", fmt.Sprintf("%g … %g", m.Clip.Low, m.Clip.High))
		}
		if m.BitDepth != nil {
			g.add("  made for", fmt.Sprintf("%d bits", *m.BitDepth))
		}
		if m.HasTransform {
			g.add("  transform", "with :enable_transform")
		}
		g.add("  extractors", strings.Join(m.Extractions, " "))
		for i, feature := range m.Features {
			name := ""
			if i == 0 {
				name = "  features"
			}
			g.add(name, feature)
		}
		g.add("  sha256", m.Digest)
		g.print(a.stdout)
	}
	fmt.Fprintln(a.stdout)
	g := &grid{left: 2}
	g.add("features", strings.Join(d.Extractors, " "))
	g.add("test conditions", strings.Join(d.Presets, " "))
	g.print(a.stdout)
	return nil
}
