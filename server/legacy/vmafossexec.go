package legacy

import (
	"fmt"
	"math"
	"slices"

	"github.com/vqsd/vqsd/vmaf"
)

// The pooled figures in vmafossexec's logs, in the order of its XML: of which column, and what they are called. JSON lists the first one always
// and the last three where they are not zero. Source: spec/legacy-logs.md §B.2.
var vmafossexecPooled = [...]struct {
	column, attribute, key string // key "": JSON has none
}{
	{"vmaf", "aggregateVMAF", "VMAF score"},
	{"bagging", "aggregateBagging", ""},
	{"stddev", "aggregateStdDev", ""},
	{"ci95_low", "aggregateCI95_low", ""},
	{"ci95_high", "aggregateCI95_high", ""},
	{"psnr", "aggregatePSNR", "PSNR score"},
	{"ssim", "aggregateSSIM", "SSIM score"},
	{"ms_ssim", "aggregateMS_SSIM", "MS-SSIM score"},
}

// vmafossexecPools are the methods of pooling that vmafossexec knows; the first one is its default.
var vmafossexecPools = [...]vmaf.PoolMethod{vmaf.PoolMean, vmaf.PoolHarmonicMean, vmaf.PoolMin}

// vmafossexecPoolMethod is the method by its name; "" is the default.
func vmafossexecPoolMethod(name string) (vmaf.PoolMethod, error) {
	if name == "" {
		return vmafossexecPools[0], nil
	}
	if !slices.Contains(vmafossexecPools[:], vmaf.PoolMethod(name)) {
		return "", fmt.Errorf("pooling method %.40q, where vmafossexec has mean, harmonic_mean and min", name)
	}
	return vmaf.PoolMethod(name), nil
}

// isVmafossexecParam says whether params of its logs have that name.
func isVmafossexecParam(name string) bool {
	switch name {
	case "model", "scaledWidth", "scaledHeight", "subsample", "num_bootstrap_models", "bootstrap_model_list_str":
		return true
	}
	return false
}

// vmafossexecParam takes one of the params of vmafossexec's XML and JSON.
func (b *builder) vmafossexecParam(name string, text []byte) (err error) {
	switch name {
	case "model":
		b.log.Run.Model = string(text)
	case "scaledWidth":
		b.vmafossexec()
		b.log.Width, err = size(text)
	case "scaledHeight":
		b.log.Height, err = size(text)
	case "subsample":
		b.log.Subsample, err = b.count(name, text)
	case "num_bootstrap_models":
		b.log.Run.BootstrapModels, err = b.count(name, text)
	case "bootstrap_model_list_str":
		b.log.Run.BootstrapNames = string(text)
	}
	return err
}

func (b *builder) count(name string, text []byte) (int, error) {
	n, err := parseFrame(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %.40q is no count: %w", name, text, ErrMalformed)
	}
	return n, nil
}

// vmafossexec notes that the log is one of vmafossexec's.
func (b *builder) vmafossexec() {
	switch b.format {
	case XML:
		b.format = VmafossexecXML
	case JSON:
		b.format = VmafossexecJSON
	case CSV:
		b.format = VmafossexecCSV
	}
}

// isVmafossexecFYI says whether the fyi element of vmafossexec's XML has such an attribute.
func isVmafossexecFYI(name string) bool {
	switch name {
	case "numOfFrames", "poolMethod", "execFps", "timeTaken":
		return true
	}
	for _, p := range vmafossexecPooled {
		if name == p.attribute {
			return true
		}
	}
	return false
}

// vmafossexecFYI takes one attribute of the fyi element of vmafossexec's XML.
func (b *builder) vmafossexecFYI(name string, text []byte) (err error) {
	switch name {
	case "numOfFrames":
		b.vmafossexec()
	case "poolMethod":
		if !slices.Contains(vmafossexecPools[:], vmaf.PoolMethod(text)) {
			return fmt.Errorf("poolMethod %.40q, which vmafossexec does not know: %w", text, ErrMalformed)
		}
		b.log.Run.Pool = string(text)
	case "execFps":
		b.log.FPS, err = parseScore(text)
		b.log.HasFPS = true
	case "timeTaken":
		b.log.Run.TimeTaken, err = parseScore(text)
	default:
		for _, p := range vmafossexecPooled {
			if name == p.attribute {
				b.vmafossexec()
				return b.vmafossexecFigure(p.column, text)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// isVmafossexecKey says whether vmafossexec's JSON has such a figure on its outermost level.
func isVmafossexecKey(key string) bool {
	if key == "ExecFps" {
		return true
	}
	for _, p := range vmafossexecPooled {
		if key == p.key {
			return key != ""
		}
	}
	return false
}

// vmafossexecScore takes one of the figures on the outermost level of vmafossexec's JSON.
func (b *builder) vmafossexecScore(key string, text []byte) (err error) {
	b.vmafossexec()
	if key == "ExecFps" {
		b.log.FPS, err = parseScore(text)
		b.log.HasFPS = true
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	}
	for _, p := range vmafossexecPooled {
		if key == p.key {
			return b.vmafossexecFigure(p.column, text)
		}
	}
	return nil
}

// vmafossexecFigure adds a pooled figure, whose method may come later.
func (b *builder) vmafossexecFigure(column string, text []byte) error {
	x, err := parseScore(text)
	if err != nil {
		return fmt.Errorf("pooled %s: %w", column, err)
	}
	if err := b.beginPooled(); err != nil {
		return err
	}
	if err := b.figure("", x); err != nil {
		return err
	}
	return b.endPooled(column)
}

// finishVmafossexec says of the pooled figures by which method they are.
func (b *builder) finishVmafossexec() {
	if b.format != VmafossexecXML && b.format != VmafossexecJSON {
		return
	}
	if b.format == VmafossexecJSON {
		b.log.Run.Pool = b.guessPool()
	}
	method := b.log.Run.Pool
	if method == "" {
		method = string(vmafossexecPools[0])
	}
	for _, p := range b.log.Pooled {
		for k := range p.Figures {
			if p.Figures[k].Name == "" {
				p.Figures[k].Name = method
			}
		}
	}
}

// guessPool finds the method that vmafossexec's JSON does not name: the one by which the listed scores give the pooled one. Empty: the default.
func (b *builder) guessPool() string {
	score, ok := pooledFigure(b.log.Pooled, "vmaf", "")
	series, listed := b.log.Column("vmaf")
	if !ok || !listed || series.Present != nil {
		return ""
	}
	// Scores are listed to five decimals, so the figures of what is listed are that close to those of what was measured; only to the harmonic
	// mean a low score matters more than in proportion.
	room := 1e-5
	best := ""
	for k, method := range vmafossexecPools {
		x, err := vmaf.Pool(method, series.Values)
		if err != nil {
			return ""
		}
		if d := math.Abs(x - score); d < room {
			if k == 0 {
				return ""
			}
			best, room = string(method), d
		}
		if k == 0 {
			room *= 10
		}
	}
	return best
}
