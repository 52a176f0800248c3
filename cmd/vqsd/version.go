package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/kernels/cpu"
)

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "say which version this is, and what it was built with",
		Long: `Say which version this is, what it was built with, and which instruction sets its kernels use here. The environment
variable ` + cpu.TargetEnvironment + ` forces one of those.`,
		Example: `  vqsd version
  ` + cpu.TargetEnvironment + `=avx2 vqsd version --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := cpu.EnvironmentError(); err != nil {
				return &usageError{err}
			}
			return a.version(asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON document")
	return c
}

// versionDocument is what version --json prints.
type versionDocument struct {
	Schema  string      `json:"schema"` // versionSchema
	Program programInfo `json:"program"`
	// LogVersion is the libvmaf version that logs name.
	LogVersion string   `json:"log_version"`
	Go         string   `json:"go"`
	Platform   string   `json:"platform"`
	Target     string   `json:"cpu_target"`  // in force
	Targets    []string `json:"cpu_targets"` // that run here, the plain one first
}

func (a *app) version(asJSON bool) error {
	d := versionDocument{
		Schema: versionSchema, Program: program(), LogVersion: libvmafVersion, Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Target: cpu.Target(), Targets: cpu.Targets(),
	}
	if asJSON {
		return writeJSON(a.stdout, d)
	}
	fmt.Fprintf(a.stdout, "vqsd %s (%s)\n", version, commit)
	g := &grid{left: 2}
	g.add("  figures of", "libvmaf "+d.LogVersion)
	g.add("  built with", d.Go+" for "+d.Platform)
	g.add("  computes with", d.Target+", of "+strings.Join(d.Targets, " "))
	g.print(a.stdout)
	return nil
}
