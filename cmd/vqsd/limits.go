package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/decode"
)

// limit is one of [decode.Limits] on the command line.
type limit struct {
	name string
	set  func(*decode.Limits, string) error
}

var limits = []limit{
	{"max_width", count(func(l *decode.Limits) *int { return &l.MaxWidth })},
	{"max_height", count(func(l *decode.Limits) *int { return &l.MaxHeight })},
	{"max_pixels", count(func(l *decode.Limits) *int64 { return &l.MaxPixels })},
	{"max_frames", count(func(l *decode.Limits) *int64 { return &l.MaxFrames })},
	{"max_streams", count(func(l *decode.Limits) *int { return &l.MaxStreams })},
	{"max_index_bytes", size(func(l *decode.Limits) *int64 { return &l.MaxIndexBytes })},
	{"probe_bytes", size(func(l *decode.Limits) *int64 { return &l.ProbeBytes })},
	{"open_timeout", duration(func(l *decode.Limits) *time.Duration { return &l.OpenTimeout })},
	{"stall_timeout", duration(func(l *decode.Limits) *time.Duration { return &l.StallTimeout })},
}

func defineLimits(c *cobra.Command, values *[]string) {
	var names []string
	for _, l := range limits {
		names = append(names, l.name)
	}
	c.Flags().StringArrayVar(values, "limit", nil, "change a limit on what a file may cost, as `NAME=VALUE`, such as max_width=20000, probe_bytes=64MiB or\nopen_timeout=1h; repeatable. Names: "+strings.Join(names, ", "))
}

// parseLimits reads NAME=VALUE pairs. Limits that are not named are left at 0, which is their default.
func parseLimits(pairs []string) (decode.Limits, error) {
	var l decode.Limits
	var errs []error
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		i := slices.IndexFunc(limits, func(l limit) bool { return l.name == name })
		if i < 0 {
			errs = append(errs, fmt.Errorf("--limit %s: there is no limit of that name", pair))
			continue
		}
		if err := limits[i].set(&l, value); err != nil {
			errs = append(errs, fmt.Errorf("--limit %s: %w", pair, err))
		}
	}
	return l, errors.Join(errs...)
}

// count reads a number without unit.
func count[T int | int64](field func(*decode.Limits) *T) func(*decode.Limits, string) error {
	return func(l *decode.Limits, text string) error {
		n, err := strconv.ParseInt(text, 10, 0)
		if err != nil || n <= 0 {
			return errors.New("want a positive whole number")
		}
		*field(l) = T(n)
		return nil
	}
}

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}

// size reads a number of bytes, which must have a unit.
func size(field func(*decode.Limits) *int64) func(*decode.Limits, string) error {
	return func(l *decode.Limits, text string) error {
		for _, unit := range sizeUnits {
			digits, found := strings.CutSuffix(text, unit.name)
			n, err := strconv.ParseInt(digits, 10, 32)
			if found && err == nil && n > 0 {
				*field(l) = n * unit.bytes
				return nil
			}
		}
		return errors.New("want a size with a unit, such as 64MiB")
	}
}

// duration reads a time, which must have a unit.
func duration(field func(*decode.Limits) *time.Duration) func(*decode.Limits, string) error {
	return func(l *decode.Limits, text string) error {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return errors.New("want a time with a unit, such as 90s")
		}
		*field(l) = d
		return nil
	}
}
