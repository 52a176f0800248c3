package vmaf

import (
	"fmt"
	"io/fs"
	"strings"
)

// The layout of the embedded models is described in models/README.md. It is read strictly: the files are ours.

// readFigures reads the figures of the built-in model NAME.tsv and of the machines it names: one set, or those of a
// collection's main model and members, which share all but the machine.
func readFigures(files fs.FS, name string) ([]figures, error) {
	text, err := fs.ReadFile(files, "models/"+name+".tsv")
	if err != nil {
		return nil, err
	}
	t := tableReader{f: figures{rescale: true}}
	for n, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if err := t.row(strings.Split(line, "\t")); err != nil {
			return nil, fmt.Errorf("%s.tsv line %d: %w", name, n+1, err)
		}
	}
	var members []figures
	for _, machineName := range t.machines {
		f := t.f
		if f.machine, err = readMachine(files, machineName, len(f.features)); err != nil {
			return nil, fmt.Errorf("%s.tsv: %w", machineName, err)
		}
		members = append(members, f)
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("%s.tsv: no row machine", name)
	}
	return members, nil
}

// tableReader collects the rows of a model.
type tableReader struct {
	f        figures
	machines []string
}

func (t *tableReader) row(fields []string) (err error) {
	key, args := fields[0], fields[1:]
	numbers := func(to ...*float64) {
		if len(args) != len(to) {
			err = fmt.Errorf("%s: %d columns, want %d", key, len(args), len(to))
			return
		}
		for i, text := range args {
			if *to[i], err = parseNumber(text); err != nil {
				err = fmt.Errorf("%s: %w", key, err)
				return
			}
		}
	}
	if strings.HasPrefix(key, "transform_") && t.f.transform == nil {
		t.f.transform = &transform{}
	}
	switch key {
	case "model":
	case "normalisation":
		if args[0] != "linear_rescale" {
			err = fmt.Errorf("normalisation %s", args[0])
		}
	case "output_slope":
		numbers(&t.f.outputSlope)
	case "output_intercept":
		numbers(&t.f.outputIntercept)
	case "clip":
		t.f.clip = &clipRange{}
		numbers(&t.f.clip.lo, &t.f.clip.hi)
	case "transform_enabled":
		t.f.transform.enabled = args[0] == "true"
	case "transform_p0", "transform_p1", "transform_p2":
		p := &t.f.transform.polynomial[key[len(key)-1]-'0']
		p.given = true
		numbers(&p.value)
	case "transform_out_gte_in":
		t.f.transform.notBelow = args[0] == "true"
	case "chroma_correction":
		t.f.chroma = new(float64)
		numbers(t.f.chroma)
	case "feature":
		if len(args) != 4 {
			return fmt.Errorf("feature: %d columns, want 4", len(args))
		}
		f := featureFigures{name: args[0], options: map[string]string{}}
		for option := range strings.FieldsSeq(args[3]) {
			if optionKey, value, found := strings.Cut(option, "="); found {
				f.options[optionKey] = value
			}
		}
		args = args[1:3]
		numbers(&f.slope, &f.intercept)
		t.f.features = append(t.f.features, f)
	case "machine":
		t.machines = append(t.machines, args[0])
	default:
		err = fmt.Errorf("unknown row %q", key)
	}
	return err
}

// readMachine reads machines/NAME.tsv, whose vectors have width components.
func readMachine(files fs.FS, name string, width int) (*machine, error) {
	text, err := fs.ReadFile(files, "models/machines/"+name+".tsv")
	if err != nil {
		return nil, err
	}
	m := &machine{width: width}
	for n, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		fields := strings.Split(line, "\t")
		row := make([]float64, len(fields)-1)
		for i, field := range fields[1:] {
			if row[i], err = parseNumber(field); err != nil {
				return nil, fmt.Errorf("line %d: %w", n+1, err)
			}
		}
		switch {
		case fields[0] == "gamma" && len(row) == 1:
			m.gamma = row[0]
		case fields[0] == "rho" && len(row) == 1:
			m.rho = row[0]
		case fields[0] == "sv" && len(row) == 1+width:
			m.coefficients = append(m.coefficients, row[0])
			m.vectors = append(m.vectors, row[1:]...)
		default:
			return nil, fmt.Errorf("line %d: row %q with %d columns", n+1, clip(fields[0]), len(row))
		}
	}
	return m, nil
}
