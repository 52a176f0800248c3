package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// expectedFolder holds the figures of a clip that the processor computed when the bundle was made.
const expectedFolder = "expected"

// measuredFile says what is measured of a clip: arguments of vqsd measure. It has a folder of its own, since other files of a clip are videos.
const measuredFile = "measured/arguments"

// parityVariants are ways of measuring that may not change a bit.
var parityVariants = []struct {
	name string
	args []string
}{
	{"in one run", nil},
	{"in chunks of 5 frames", []string{"--chunk", "5"}},
	{"frame by frame", []string{"--chunk", "1"}},
}

// clips are the folders of the bundle's clips.
func (c *check) clips() ([]string, error) {
	entries, err := os.ReadDir(c.path("clips"))
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range entries {
		if e.IsDir() {
			list = append(list, e.Name())
		}
	}
	if len(list) == 0 {
		return nil, errors.New("the bundle has no clips")
	}
	return list, nil
}

// inputs are the files of a clip: the reference, and its renditions in the order of their names.
func (c *check) inputs(clip string) (reference string, renditions []string, err error) {
	entries, err := os.ReadDir(c.path("clips", clip))
	if err != nil {
		return "", nil, err
	}
	for _, e := range entries {
		path := c.path("clips", clip, e.Name())
		switch {
		case e.IsDir():
		case strings.HasPrefix(e.Name(), "reference."):
			reference = path
		default:
			renditions = append(renditions, path)
		}
	}
	if reference == "" || len(renditions) == 0 {
		return "", nil, fmt.Errorf("clip %s is not whole", clip)
	}
	return reference, renditions, nil
}

// parity measures every clip on the device in several ways, and on the processor, and wants the figures of the bundle to the bit.
func (c *check) parity(ctx context.Context) {
	clips, err := c.clips()
	if err != nil {
		c.add(step{Name: "parity", State: bad, Text: err.Error()})
		return
	}
	for _, clip := range clips {
		reference, renditions, err := c.inputs(clip)
		if err != nil {
			c.add(step{Name: "parity of " + clip, State: bad, Text: err.Error()})
			continue
		}
		text, err := os.ReadFile(c.path("clips", clip, measuredFile))
		if err != nil {
			c.add(step{Name: "parity of " + clip, State: bad, Text: err.Error()})
			continue
		}
		measured := strings.Fields(string(text))
		measure := func(device, variant string, renditions []string, more ...string) {
			name := fmt.Sprintf("parity of %s on %s, %s", clip, device, variant)
			args := []string{"measure", "--device", device, "--quiet", "-r", reference}
			for _, path := range renditions {
				args = append(args, "-d", path)
			}
			args = append(append(args, measured...), more...)
			logs := filepath.Join(c.scratch, "parity")
			args = append(args, "--log", filepath.Join(logs, "{name}.csv"), "--log-precision", "17")
			c.timed(ctx, step{Name: name, Command: "vqsd " + strings.Join(args, " ")}, func() (string, error) {
				if err := errors.Join(os.RemoveAll(logs), os.MkdirAll(logs, 0o755)); err != nil {
					return "", err
				}
				if _, err := c.vqsd(ctx, "", args...); err != nil {
					return "", err
				}
				frames := 0
				for _, path := range renditions {
					file := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) + ".csv"
					n, err := compareLogs(c.path("clips", clip, expectedFolder, file), filepath.Join(logs, file))
					if err != nil {
						return "", err
					}
					frames += n
				}
				return fmt.Sprintf("%d pairs, every figure to the bit", frames), nil
			})
		}
		for _, v := range parityVariants {
			if !c.quick || len(v.args) == 0 {
				measure(c.device, v.name, renditions, v.args...)
			}
		}
		if len(renditions) > 1 {
			measure(c.device, "the first rendition alone", renditions[:1])
		}
		measure("cpu", "in one run", renditions)
	}
}

// compareLogs compares every figure of two logs, and returns how many frames they have. The error names the first that differs.
func compareLogs(want, got string) (frames int, err error) {
	a, err := os.ReadFile(want)
	if err != nil {
		return 0, err
	}
	b, err := os.ReadFile(got)
	if err != nil {
		return 0, err
	}
	if bytes.Equal(a, b) {
		return bytes.Count(a, []byte("\n")) - 1, nil // without the line of names
	}
	wanted, err := csv.NewReader(bytes.NewReader(a)).ReadAll()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", want, err)
	}
	found, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", got, err)
	}
	if len(wanted) != len(found) || len(wanted) == 0 || !slices.Equal(wanted[0], found[0]) {
		return 0, fmt.Errorf("%s: %d lines of %d figures, where %d are expected", filepath.Base(got), len(found), len(found[0]), len(wanted))
	}
	differ, first := 0, ""
	for i, row := range wanted {
		for k, value := range row {
			if found[i][k] != value {
				if differ++; first == "" {
					first = fmt.Sprintf("frame %s, %s: %s, want %s", row[0], wanted[0][k], found[i][k], value)
				}
			}
		}
	}
	if differ == 0 {
		return len(wanted) - 1, nil
	}
	return 0, fmt.Errorf("%s: %d figures differ; the first is %s", filepath.Base(got), differ, first)
}
