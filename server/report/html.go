//go:build !noplot

package report

import (
	"bytes"
	_ "embed"
	"html/template"
	"math"
	"strings"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Parse(pageSource))

// pageData is what the page's template shows.
type pageData struct {
	Plot
	Style  template.CSS
	SVG    template.HTML
	Pooled pooledTable
	Worst  []worstRow
	// WithTime says that the worst frames have a time.
	WithTime bool
}

type pooledTable struct {
	Names []string
	Rows  []pooledRow
}

type pooledRow struct {
	Name   string
	Tone   int // 1 … of the style sheet's series variables
	Frames string
	Cells  []string
}

type worstRow struct {
	Name               string
	Tone               int
	Frame, Time, Score string
}

func (p Plot) html() ([]byte, error) {
	c := newChart(p)
	body, err := c.svgBody()
	if err != nil {
		return nil, err
	}
	data := pageData{
		Plot:     p,
		Style:    style(),
		SVG:      template.HTML(c.svgElement(themed(body), margin-2)), // made by us, texts escaped
		Pooled:   c.pooled(),
		Worst:    c.worst(),
		WithTime: p.Seconds,
	}
	var out bytes.Buffer
	err = page.Execute(&out, data)
	return out.Bytes(), err
}

// themed turns the colours of a drawing into variables of the style sheet.
func themed(svg string) string {
	var pairs []string
	for _, t := range tones() {
		for _, property := range []string{"fill:", "stroke:"} {
			pairs = append(pairs, property+css(t.light), property+"var(--"+t.name+")")
		}
	}
	return strings.NewReplacer(pairs...).Replace(svg)
}

// style declares the variables, light and dark.
func style() template.CSS {
	var light, dark strings.Builder
	for _, t := range tones() {
		light.WriteString("--" + t.name + ":" + css(t.light) + ";")
		dark.WriteString("--" + t.name + ":" + css(t.dark) + ";")
	}
	return template.CSS(":root{color-scheme:light dark;" + light.String() + "}\n" +
		"@media screen and (prefers-color-scheme:dark){:root{" + dark.String() + "}}\n")
}

func toneNumber(series int) int { return series%len(seriesTones) + 1 }

// pooled lays the pooled figures of all series out in columns.
func (c *chart) pooled() pooledTable {
	var t pooledTable
	place := map[string]int{}
	for _, s := range c.p.Series {
		for _, f := range s.Pooled {
			if _, known := place[f.Name]; !known {
				place[f.Name] = len(t.Names)
				t.Names = append(t.Names, f.Name)
			}
		}
	}
	for i, s := range c.p.Series {
		row := pooledRow{Name: s.Name, Tone: toneNumber(i), Frames: grouped(len(s.Y)), Cells: make([]string, len(t.Names))}
		for k := range row.Cells {
			row.Cells[k] = "–"
		}
		for _, f := range s.Pooled {
			row.Cells[place[f.Name]] = score(f.Value, max(c.decimals, decimals(math.Abs(f.Value))))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (c *chart) worst() []worstRow {
	var rows []worstRow
	for i, s := range c.p.Series {
		for _, k := range s.Worst {
			row := worstRow{Name: s.Name, Tone: toneNumber(i), Frame: grouped(s.Frames[k]), Score: score(s.Y[k], c.decimals)}
			if c.p.Seconds {
				row.Time = moment(s.X[k])
			}
			rows = append(rows, row)
		}
	}
	return rows
}
