package export

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vqsd/vqsd/server/tabular"
	"github.com/vqsd/vqsd/store"
)

const (
	// nameBytes is what is kept of a rendition's name in a file's: with all that comes around it, the name fits the 143 bytes that the
	// narrowest file systems in use have for one.
	nameBytes = 80
	// fileNameBytes is the longest name that a file can have.
	fileNameBytes = 255
)

// FileName is the name of the file of one rendition of a measurement: the rendition's name as far as every file system takes it, the
// measurement's, and the format's extension. No two renditions of any measurements have the same one, also where upper and lower case are not
// told apart: where the rendition's name alone does not see to that, its number follows the measurement's name. It satisfies [CheckFileName].
func FileName(m *store.Measurement, rendition int, f Format) string {
	name := m.Renditions[rendition].Name
	safe := safeName(name)
	// What is not ASCII may be folded or composed by a file system in ways of its own.
	telling := safe == name && !strings.ContainsFunc(safe, func(r rune) bool { return r >= utf8.RuneSelf })
	for k, other := range m.Renditions {
		if k != rendition && strings.EqualFold(safeName(other.Name), safe) {
			telling = false
		}
	}
	number := ""
	if !telling {
		number = fmt.Sprintf("-%d", rendition+1)
	}
	return safe + "-" + string(m.ID) + number + f.Extension()
}

// TableFileName is the name of a file with rows of many renditions; number counts those of one export from 1.
func TableFileName(g tabular.Granularity, number int, f Format) string {
	what := map[tabular.Granularity]string{tabular.Aggregate: "aggregates", tabular.Segment: "segments", tabular.Frame: "frames"}[g]
	return fmt.Sprintf("%s-%05d%s", what, number, f.Extension())
}

// safeName is a name with everything replaced that could mean something to a file system, a shell or a terminal.
func safeName(name string) string {
	var b strings.Builder
	for _, r := range name { // bytes that are not UTF-8 come as U+FFFD, which is no letter
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-+=,@", r) {
			r = '_'
		}
		if b.Len()+utf8.RuneLen(r) > nameBytes {
			break
		}
		b.WriteRune(r)
	}
	safe := b.String()
	switch {
	case safe == "":
		return "_"
	case safe[0] == '.' || safe[0] == '-':
		return "_" + safe[1:]
	case reserved(safe):
		return "_" + safe
	}
	return safe
}

// devices are names that stand for a device on Windows, with any extension and in any case.
var devices = []string{
	"con", "prn", "aux", "nul", "com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
	"lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "com¹", "com²", "com³", "lpt¹", "lpt²", "lpt³",
}

func reserved(name string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	return slices.Contains(devices, strings.TrimRight(stem, " "))
}

// CheckFileName says why a name is not one that a file in a folder may be given at another's word: since it is a path, or hidden, or means
// something else to some system.
func CheckFileName(name string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case len(name) > fileNameBytes:
		return fmt.Errorf("has %d bytes, more than %d", len(name), fileNameBytes)
	case !utf8.ValidString(name):
		return errors.New("is not UTF-8")
	case strings.ContainsAny(name, `/\:*?"<>|`):
		return errors.New("has a character that is special in paths")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("has characters that cannot be shown")
	case name[0] == '.':
		return errors.New("would be hidden")
	case name[0] == '-':
		return errors.New("looks like an option")
	case strings.TrimRight(name, ". ") != name:
		return errors.New("ends in a full stop or a space, which some systems drop")
	case reserved(name):
		return errors.New("stands for a device on some systems")
	}
	return nil
}
