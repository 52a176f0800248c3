package watch

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/rules"
)

// rawFormat is the form of descriptions of headerless files. Whether there is such a pixel format is for the worker to say.
var rawFormat = regexp.MustCompile(`^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}:[a-z][a-z0-9]{0,31}(:[1-9][0-9]{0,8}(/[1-9][0-9]{0,8}|\.[0-9]{1,6})?)?$`)

// damagePolicies are what on_damage may be.
var damagePolicies = []string{"strict", "conceal"}

// requestProblem is what is wrong with one key of a request.
type requestProblem struct {
	key string
	err error
}

// problems fills in the defaults of a request and gives all that is wrong with it.
func (r *Request) problems() []requestProblem {
	var list []requestProblem
	add := func(key, format string, args ...any) {
		list = append(list, requestProblem{key, fmt.Errorf(format, args...)})
	}
	if r.Class == "" {
		r.Class = string(store.ClassBackground)
	}
	for _, l := range []struct {
		key   string
		texts []string
		parse func(string) error
	}{
		{"models", r.Models, func(text string) error { _, err := vmaf.ParseModel(text, nil); return err }},
		{"features", r.Features, func(text string) error {
			e, err := vmaf.ParseExtraction(text)
			if err == nil {
				err = e.Computable()
			}
			return err
		}},
		{"presets", r.Presets, func(text string) error { _, _, err := vmaf.ParsePreset(text); return err }},
	} {
		if n := len(l.texts); n > maxListLength {
			add(l.key, "%d entries; %d are allowed", n, maxListLength)
			continue
		}
		for _, text := range l.texts {
			if err := l.parse(text); err != nil {
				add(l.key, "%.80q: %w", text, err)
			}
		}
	}
	for _, c := range []struct {
		key, value string
		known      []string
	}{
		{"class", r.Class, rules.ClassNames()},
		{"pairing", r.Pairing, rules.PairingNames()},
		{"scale", r.Scale, rules.ScaleNames()},
		{"bit_depth", r.BitDepth, rules.BitDepthNames()},
		{"on_damage", r.OnDamage, damagePolicies},
	} {
		if c.value != "" && !slices.Contains(c.known, c.value) {
			add(c.key, "unknown %.80q; want %s", c.value, strings.Join(c.known, ", "))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
		if err := checkLabel(key, r.Labels[key]); err != nil {
			add("labels", "%w", err)
		}
	}
	if r.Subsample < 0 {
		add("subsample", "%d is negative; want every how many frames are measured", r.Subsample)
	}
	if r.RawVideo != "" && !rawFormat.MatchString(r.RawVideo) {
		add("raw_video", "%.80q is not WxH:PIXFMT[:FPS], such as 1920x1080:yuv420p:25", r.RawVideo)
	}
	return list
}

// checkLabel looks at a label that somebody gives.
func checkLabel(key, value string) error {
	switch {
	case key == watchLabel:
		return fmt.Errorf("%q is the label with the folder's name; choose another key", key)
	case !labelKey.MatchString(key):
		return fmt.Errorf(`%.80q: a key is made of a-z, 0-9, "_" and "-", begins with a letter and has at most 63 characters`, key)
	case len(value) > maxLabelBytes:
		return fmt.Errorf("%s has a value of %d bytes; %d are allowed", key, len(value), maxLabelBytes)
	case !utf8.ValidString(value):
		return errors.New(key + " has a value that is not UTF-8")
	}
	return nil
}
