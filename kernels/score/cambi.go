package score

import (
	"errors"
	"fmt"

	"github.com/vqsd/vqsd/vmaf"
)

// CambiScales is how many scales CAMBI looks at a picture at.
const CambiScales = 5

// CambiConfig is all that CAMBI's sums of one picture depend on beside the picture: options and sizes, resolved as spec/cambi.md §3 says.
// Configurations that are equal have equal sums.
type CambiConfig struct {
	Width, Height int     // working size; the picture is sampled to it where it has another
	Window        int     // side of the window, odd, up to 65
	HighRes       bool    // the speed-up flag: one more halving before the first scale
	AntiDither    bool    // the encode had fewer than 10 bits
	Contrasts     int     // n, the number of contrast steps: 1 … 32
	Visible       [32]int // tvi by step; those from Contrasts on are 0
	DarkLimit     int     // vlt
	TopShare      float64 // share of the pixels that is pooled
}

// ScaleSize is the size in samples at a scale, 0 … 4: halved, rounding up, from scale to scale.
// Source: spec/cambi.md §4.
func (c *CambiConfig) ScaleSize(scale int) (width, height int) {
	width, height = c.Width, c.Height
	if c.HighRes {
		scale++
	}
	for range scale {
		width, height = (width+1)>>1, (height+1)>>1
	}
	return width, height
}

// Pooled is how many of a scale's c-values are pooled: the largest, at least one. Source: spec/cambi.md §7.4.
func (c *CambiConfig) Pooled(scale int) int {
	width, height := c.ScaleSize(scale)
	return min(max(int(c.TopShare*float64(width*height)), 1), width*height)
}

// CambiPositions are the samples of a row or column of in samples that a working size of out takes, out of them; nil where the
// sizes are equal and all are taken. The steps are added up in single precision, rounding each time.
// Source: spec/cambi.md §5.2.
func CambiPositions(in, out int) []uint32 {
	if in == out {
		return nil
	}
	ratio := float32(in) / float32(out)
	x := float32(float64(ratio/2) - 0.5)
	positions := make([]uint32, out)
	for i := range positions {
		positions[i] = uint32(min(int(float64(x)+0.5), in-1))
		x += ratio
	}
	return positions
}

// CambiSums are, by scale, the sums of the largest c-values that are pooled, in 1/2^24: exact, whatever the order of work.
// Source: spec/cambi.md §7.4.
type CambiSums [CambiScales]uint64

// ErrCambiSize is the error of sizes that CAMBI is not defined for.
var ErrCambiSize = errors.New("cambi is not defined for this size")

// Cambi turns sums into the figures of one option set at one picture size. Make it with [NewCambi].
type Cambi struct {
	distorted, source CambiConfig
	fullRef           bool
}

const (
	cambiMinSide   = 216 // one side may be smaller
	cambiMaxWindow = 65
	cambiTopShare  = 0.6 // the default, at which topk yields to cambi_topk
	cambiHighBits  = 10  // encodes of this depth are not filtered against dithering
)

// NewCambi resolves the options of a cambi extraction for pictures of format f.
//
// Errors: [ErrCambiSize] for a working size that is too small, or larger than the other's in one direction and smaller in the other; an
// error for a window beyond 65 samples. All problems are reported.
// Source: spec/cambi.md §3.
func NewCambi(e vmaf.Extraction, f vmaf.Format) (*Cambi, error) {
	if e.Extractor() != "cambi" {
		return nil, fmt.Errorf("%s is not a cambi extraction", e)
	}
	encWidth, encHeight := e.Int("enc_width"), e.Int("enc_height")
	if encWidth == 0 || encHeight == 0 || encWidth > f.Width || encHeight > f.Height {
		encWidth, encHeight = f.Width, f.Height // the distorted picture is never enlarged
	}
	srcWidth, srcHeight := e.Int("src_width"), e.Int("src_height")
	if srcWidth == 0 || srcHeight == 0 {
		srcWidth, srcHeight = f.Width, f.Height
	}
	// The reference's working size has to be right whether it is looked at or not.
	var errs []error
	if encWidth < cambiMinSide && encHeight < cambiMinSide {
		errs = append(errs, fmt.Errorf("%w: the distorted picture's working size is %d×%d (enc_width, enc_height), and one side must be at least %d",
			ErrCambiSize, encWidth, encHeight, cambiMinSide))
	}
	if srcWidth < cambiMinSide && srcHeight < cambiMinSide {
		errs = append(errs, fmt.Errorf("%w: the reference's working size is %d×%d (src_width, src_height), and one side must be at least %d",
			ErrCambiSize, srcWidth, srcHeight, cambiMinSide))
	}
	if srcWidth > encWidth && srcHeight < encHeight || srcWidth < encWidth && srcHeight > encHeight {
		errs = append(errs, fmt.Errorf("%w: working sizes of %d×%d (enc_width, enc_height) and %d×%d (src_width, src_height); neither may be "+
			"wider and lower than the other", ErrCambiSize, encWidth, encHeight, srcWidth, srcHeight))
	}
	c := &Cambi{fullRef: e.Bool("full_ref")}
	base := CambiConfig{
		HighRes:   cambiHighRes(e.Int("cambi_high_res_speedup"), encWidth, encHeight),
		Contrasts: 1 << e.Int("max_log_contrast"),
		TopShare:  e.Float("topk"),
	}
	depth := e.Int("enc_bitdepth")
	if depth == 0 {
		depth = f.BitsPerComponent
	}
	base.AntiDither = depth < cambiHighBits
	if base.TopShare == cambiTopShare {
		base.TopShare = e.Float("cambi_topk")
	}
	transfer := e.Text("cambi_eotf")
	if transfer == "bt1886" {
		transfer = e.Text("eotf")
	}
	luminance := cambiLuminance(transfer)
	for d := range base.Contrasts {
		base.Visible[d] = cambiVisible(luminance, d+1, e.Float("tvi_threshold"))
	}
	base.DarkLimit = cambiDarkLimit(luminance, e.Float("cambi_vis_lum_threshold"))

	c.distorted, c.source = base, base
	for _, w := range []struct {
		config        *CambiConfig
		width, height int
	}{{&c.distorted, encWidth, encHeight}, {&c.source, srcWidth, srcHeight}} {
		w.config.Width, w.config.Height = w.width, w.height
		w.config.Window = cambiWindow(e.Int("window_size"), w.width, w.height, base.HighRes)
		if w.config.Window > cambiMaxWindow {
			errs = append(errs, fmt.Errorf("cambi: window_size %d makes a window of %d samples at a working size of %d×%d; must be at most %d, "+
				"lower window_size", e.Int("window_size"), w.config.Window, w.width, w.height, cambiMaxWindow))
			break // the other one mostly has the same size
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// Distorted is the configuration for the distorted picture.
func (c *Cambi) Distorted() CambiConfig { return c.distorted }

// Source is the configuration for the reference, and whether it is to be measured at all.
func (c *Cambi) Source() (CambiConfig, bool) { return c.source, c.fullRef }

// Figures appends the figures of a frame to dst, in the order of [vmaf.Extraction.Raw]: cambi; with full_ref then cambi_source. They are not
// clipped yet. src may be nil without full_ref.
// Source: spec/cambi.md §4, §7.4.
func (c *Cambi) Figures(dst []float64, dis, src *CambiSums) []float64 {
	dst = append(dst, c.distorted.score(dis))
	if c.fullRef {
		dst = append(dst, c.source.score(src))
	}
	return dst
}

// score is a picture's CAMBI: the means of the scales, weighted towards the fine ones, in relation to the window.
func (c *CambiConfig) score(sums *CambiSums) float64 {
	total := 0.0
	for s, sum := range sums {
		mean := float64(float64(sum)*0x1p-24) / float64(c.Pooled(s))
		total += float64(mean * float64(int(16)>>s))
	}
	return total / float64(c.Window*c.Window)
}
