package legacy

import (
	"regexp"
	"strings"
)

// Generation is which program writes a log of this form, and the range of its releases, as far as the content tells.
type Generation struct {
	Program     string // "libvmaf", "vmafossexec" or "FFmpeg"
	First, Last string // releases such as "2.2.0"; equal when only one is possible, empty where nothing tells
}

// String reads "libvmaf 2.2.0 to 2.3.1", "libvmaf 2.0.0" for a single release, or only the program.
func (g Generation) String() string {
	switch {
	case g.First == "":
		return g.Program
	case g.First == g.Last:
		return g.Program + " " + g.First
	}
	return g.Program + " " + g.First + " to " + g.Last
}

// releases are those with a log writer of the forms that Read knows, oldest first.
var releases = [...]string{
	"1.5.1", "1.5.2", "1.5.3", "2.0.0", "2.1.0", "2.1.1", "2.2.0", "2.2.1", "2.3.0", "2.3.1", "3.0.0", "3.1.0", "3.2.0",
}

// evidence is what a log shows of its writer.
type evidence struct {
	params, pooled, pooledArray bool // parts that are there
	null, notFinite             bool // how JSON writes scores that are not finite
	fpsNull, fpsNotFinite       bool
	hasFPS                      bool
	sixteenDecimals             bool // a fraction below 1e-6 written out
	integer, motion, sinceAIM   bool // integer features; integer_motion; features that came with 3.2.0
}

// name takes the name of a series into account.
func (e *evidence) name(name string) {
	switch {
	case strings.HasPrefix(name, "integer_aim"), strings.HasPrefix(name, "integer_adm3"),
		strings.HasPrefix(name, "integer_motion3"), strings.HasPrefix(name, "VMAF_integer_feature_motion_sad_score"):
		e.sinceAIM = true
	case name == "integer_motion":
		e.motion = true
	}
	e.integer = e.integer || strings.HasPrefix(name, "integer_")
}

// number takes the text of a score into account.
func (e *evidence) number(text []byte) {
	const decimals = 16
	point := len(text) - decimals - 1
	if point > 0 && text[point] == '.' && string(text[point+1:point+7]) == "000000" {
		e.sixteenDecimals = true
	}
}

var releaseNumber = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)\b`)

// judge narrows the releases down, from what is certain to what is likely; evidence that contradicts what came before
// is passed over.
func (e *evidence) judge(f Format, version string) Generation {
	switch f {
	case VmafossexecXML, VmafossexecJSON, VmafossexecCSV:
		release := "1.x" // their logs do not tell more than they state
		if m := releaseNumber.FindStringSubmatch(version); m != nil {
			release = m[1]
		}
		return Generation{"vmafossexec", release, release}
	case FFmpegPSNR, FFmpegSSIM:
		return Generation{Program: "FFmpeg"}
	}
	first, last := 0, len(releases)-1
	narrow := func(when bool, from, to string) {
		if !when {
			return
		}
		a, b := max(first, release(from)), min(last, release(to))
		if a <= b {
			first, last = a, b
		}
	}
	const newest = "3.2.0"
	switch f {
	case XML:
		narrow(!e.params && !e.pooled, "1.5.1", "1.5.1")
		narrow(e.params && !e.pooled, "1.5.2", "1.5.3")
		narrow(e.pooled, "2.0.0", newest)
	case JSON:
		narrow(!e.pooled, "1.5.2", "1.5.3")
		narrow(e.pooledArray, "2.0.0", "2.0.0")
		narrow(e.pooled && !e.hasFPS, "2.1.0", "2.1.1")
		narrow(e.hasFPS, "2.2.0", newest)
		narrow(e.notFinite, "1.5.2", "2.1.1")
		narrow(e.null, "2.2.0", newest)
		narrow(e.fpsNull, "3.0.0", newest)
		narrow(e.fpsNotFinite, "2.2.0", "2.3.1")
	case CSV, SUB:
		narrow(true, "1.5.2", newest)
	}
	if m := releaseNumber.FindStringSubmatch(version); m != nil && release(m[1]) >= 0 {
		narrow(true, m[1], m[1])
	}
	narrow(e.sixteenDecimals, "3.1.0", newest)
	narrow(e.sinceAIM, newest, newest)
	narrow(e.integer, "2.0.0", newest)
	narrow(e.motion && !e.sinceAIM, "2.0.0", "3.1.0")
	return Generation{"libvmaf", releases[first], releases[last]}
}

// release is the place of a release in the list, −1 if it is not there.
func release(number string) int {
	for i, r := range releases {
		if r == number {
			return i
		}
	}
	return -1
}
