package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/rules"
)

// Names of the published test conditions, as [vmaf.Preset] has them.
const (
	nflxPreset = "nflx_ctc"
	aomPreset  = "aom_ctc"
)

// onceFlag is the text of a flag that may be given once: of several test conditions all but the last would not be measured.
type onceFlag struct {
	value *string
	given bool
}

// Set takes the text, the first time.
func (f *onceFlag) Set(text string) error {
	if f.given {
		return errors.New("the flag is given more than once; run vqsd once for each version")
	}
	*f.value, f.given = text, true
	return nil
}

// String is the text.
func (f *onceFlag) String() string {
	if f.value == nil { // help compares with the zero flag
		return ""
	}
	return *f.value
}

// Type is what help calls the text.
func (f *onceFlag) Type() string { return "string" }

// preset is the test conditions that the flags name, as [vmaf.ParsePreset] reads them; "" for none.
func (f *measureFlags) preset() string {
	switch {
	case f.nflxCTC != "":
		return nflxPreset + "=" + f.nflxCTC
	case f.aomCTC != "":
		return aomPreset + "=" + f.aomCTC
	}
	return ""
}

// parsePreset checks the flags that name test conditions.
func (f *measureFlags) parsePreset() error {
	if f.nflxCTC != "" && f.aomCTC != "" {
		return errors.New("--nflx-ctc and --aom-ctc both name their models vmaf and vmaf_neg; give one of the two")
	}
	if f.preset() != "" && slices.Contains(f.models, autoModel) {
		return errors.New("--model auto leaves the choice of models to rules, and test conditions make it; give one of the two")
	}
	if _, _, err := f.conditions(); err != nil {
		return fmt.Errorf("--nflx-ctc, --aom-ctc: %w", err)
	}
	return nil
}

// conditions are the models and features of the test conditions that the flags name.
func (f *measureFlags) conditions() (models, features []string, err error) {
	if f.preset() == "" {
		return nil, nil, nil
	}
	return vmaf.ParsePreset(f.preset())
}

// presetVersions are the versions that there are of some test conditions.
func presetVersions(preset string) (versions []string) {
	for _, name := range vmaf.PresetNames() {
		if version, ok := strings.CutPrefix(name, preset+"="); ok {
			versions = append(versions, version)
		}
	}
	return versions
}

// treat decides what pictures are compared in, and what they are taken to have been encoded as, where this process measures. The flags have been
// checked.
func (f *measureFlags) treat(m *measurement, models []*vmaf.Model, changed func(string) bool) {
	r := &m.request
	r.BitsPerComponent, m.depthReason = rules.Depth(f.bitDepth, "request", models)
	if f.preset() != "" && !changed("encoded") {
		m.encoded = "compared" // as a daemon does: test conditions know nothing of it
	}
	encoded, err := rules.ParseEncoded(m.encoded)
	switch {
	case err != nil: // it has been reported
	case encoded.Auto:
		r.EncodedByFile = true
	case !encoded.Compared:
		t := engine.Treatment{Scale: r.Scale, Geometry: r.Geometry, BitsPerComponent: r.BitsPerComponent, Encoded: vmafEncoded(encoded)}
		r.Treatments = nil
		for range r.Distorted {
			r.Treatments = append(r.Treatments, t)
		}
		r.Scale, r.Geometry, r.BitsPerComponent = nil, nil, 0
	}
}

// measuresCambi says whether CAMBI is among what is measured.
func (m *measurement) measuresCambi() bool {
	return slices.ContainsFunc(m.request.Plan.Extractions, func(e vmaf.Extraction) bool { return e.Extractor() == "cambi" })
}
