package vmaf

import (
	"path/filepath"
	"strings"
	"unicode"
)

// DistinctNames gives models that nobody named, where there are two or more of them, the names of their versions, so that their scores can be
// told apart. A single one keeps [DefaultName]. The list is not changed; models that get a name are copies.
func DistinctNames(models []*Model) ([]*Model, error) {
	unnamed := 0
	for _, m := range models {
		if m.options.Name == "" {
			unnamed++
		}
	}
	if unnamed < 2 {
		return models, nil
	}
	named := make([]*Model, len(models))
	for i, m := range models {
		named[i] = m
		if o := m.Options(); o.Name == "" {
			o.Name = versionName(m.Version)
			var err error
			if named[i], err = m.With(o); err != nil {
				return nil, err
			}
		}
	}
	return named, nil
}

// versionName makes a name, which may not have all characters, of a built-in model's version or of a file's path.
func versionName(version string) string {
	return strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_.-+@", r)) {
			return r
		}
		return '_'
	}, strings.TrimSuffix(filepath.Base(version), ".json"))
}
