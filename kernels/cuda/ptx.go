package cuda

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

//go:embed *.ptx
var texts embed.FS

// Modules are the names of the modules, sorted: "motion" for motion.cu.
func Modules() []string {
	files, err := fs.Glob(texts, "*.ptx")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	modules := make([]string, 0, len(files))
	for _, file := range files {
		modules = append(modules, strings.TrimSuffix(file, path.Ext(file)))
	}
	return modules
}

// PTX is the text of a module as the driver takes it: with a zero byte at its end. The error of an unknown module names those that
// there are.
func PTX(module string) ([]byte, error) {
	text, err := texts.ReadFile(module + ".ptx")
	if err != nil {
		return nil, fmt.Errorf("no PTX of a module %q; there are %s", module, strings.Join(Modules(), ", "))
	}
	return append(text, 0), nil
}

var entry = regexp.MustCompile(`(?m)^\.visible \.entry ([A-Za-z0-9_]+)\(`)

// Entries are the kernels of a module in the order of its text. Errors are those of [PTX].
func Entries(module string) ([]string, error) {
	text, err := PTX(module)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, match := range entry.FindAllSubmatch(text, -1) {
		names = append(names, string(match[1]))
	}
	return names, nil
}
