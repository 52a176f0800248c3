//go:build !noplot

package report

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"strings"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// pngDPI gives two samples a point: 1800 across.
const pngDPI = 144

func (p Plot) png() ([]byte, error) {
	c := newChart(p)
	canvas := vgimg.NewWith(vgimg.UseWH(chartWidth, c.height()), vgimg.UseDPI(pngDPI), vgimg.UseBackgroundColor(color.White))
	c.draw(canvas)
	var out bytes.Buffer
	_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(&out)
	return out.Bytes(), err
}

func (p Plot) svg() ([]byte, error) {
	c := newChart(p)
	body, err := c.svgBody()
	if err != nil {
		return nil, err
	}
	return []byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + c.svgElement(body, 0)), nil
}

// fontFamily is what stands in for Liberation Sans where that is not installed: fonts of the same widths first.
const fontFamily = "Liberation Sans,Arimo,Arial,Helvetica,sans-serif"

// measuringCanvas keeps the width of every text that is drawn.
type measuringCanvas struct {
	*vgsvg.Canvas
	widths []vg.Length
}

func (m *measuringCanvas) FillString(f font.Face, at vg.Point, text string) {
	m.widths = append(m.widths, f.Width(text))
	m.Canvas.FillString(f, at, text)
}

// svgBody draws the chart and returns what is inside the svg element.
func (c *chart) svgBody() (string, error) {
	canvas := &measuringCanvas{Canvas: vgsvg.New(chartWidth, c.height())}
	c.draw(canvas)
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return "", err
	}
	// The library's element has neither a role nor a description.
	_, body, ok := strings.Cut(out.String(), "<svg")
	if ok {
		_, body, ok = strings.Cut(body, ">\n")
	}
	body, _, found := strings.Cut(body, "</svg>")
	if !ok || !found {
		return "", fmt.Errorf("the SVG library wrote no svg element")
	}
	body = strings.ReplaceAll(body, "font-family:Liberation Sans;font-variant:normal;", "font-family:"+fontFamily+";")
	return withLengths(body, canvas.widths)
}

// withLengths gives every text the length that it was laid out for, so that it keeps its place and its distance to others
// when another font is drawn. Texts are escaped, so that the tag's beginning does not occur in one.
func withLengths(body string, widths []vg.Length) (string, error) {
	const tag = "<text "
	parts := strings.Split(body, tag)
	if len(parts) != len(widths)+1 {
		return "", fmt.Errorf("the SVG library wrote %d texts of %d", len(parts)-1, len(widths))
	}
	var b strings.Builder
	b.WriteString(parts[0])
	for i, part := range parts[1:] {
		b.WriteString(tag)
		if widths[i] > 0 {
			fmt.Fprintf(&b, `textLength="%.5g" lengthAdjust="spacingAndGlyphs" `, widths[i].Points())
		}
		b.WriteString(part)
	}
	return b.String(), nil
}

// svgElement wraps a body, less crop on the left and the right. Sizes are those of the canvas, in points.
func (c *chart) svgElement(body string, crop vg.Length) string {
	x, w, h := points(crop), points(chartWidth-2*crop), points(c.height())
	return `<svg xmlns="http://www.w3.org/2000/svg" width="` + w + `pt" height="` + h + `pt" viewBox="` + x + ` 0 ` + w + ` ` + h + `"` +
		` role="img" aria-labelledby="plot-title plot-desc">` + "\n" +
		`<title id="plot-title">` + html.EscapeString(c.p.Title) + "</title>\n" +
		`<desc id="plot-desc">` + html.EscapeString(c.describe()) + "</desc>\n" + body + "</svg>\n"
}

func points(l vg.Length) string { return fmt.Sprintf("%g", l.Points()) }
