package vmaf

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed models/*.tsv models/machines/*.tsv
var modelFiles embed.FS

// builtinModels reads each embedded model once, when it is first asked for. The keys never change.
var builtinModels = newBuiltinModels()

func newBuiltinModels() map[string]func() (*Model, error) {
	files, err := fs.Glob(modelFiles, "models/*.tsv")
	if err != nil {
		panic(err) // the pattern is constant
	}
	models := make(map[string]func() (*Model, error), len(files))
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".tsv")
		models[name] = sync.OnceValues(func() (*Model, error) {
			members, err := readFigures(modelFiles, name)
			if err != nil {
				return nil, err
			}
			return newModel(name, false, members, ModelOptions{})
		})
	}
	return models
}

// BuiltinNames lists the built-in models, sorted.
func BuiltinNames() []string {
	names := make([]string, 0, len(builtinModels))
	for name := range builtinModels {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Builtin is the built-in model of that name, with [DefaultName] and no options. Errors: [ErrUnknownModel].
func Builtin(name string) (*Model, error) {
	load, ok := builtinModels[name]
	if !ok {
		return nil, fmt.Errorf("%w: %q; want one of %s, or path=FILE", ErrUnknownModel, clip(name), strings.Join(BuiltinNames(), ", "))
	}
	m, err := load()
	if err != nil {
		return nil, err
	}
	own := *m // exported fields of the shared one stay what they are, whatever the caller does
	return &own, nil
}
