package vmaf

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
)

// precisePair is a section of the golden file of the companion metrics' figures: all per-frame values by name, and the aggregates.
type precisePair struct {
	title      string
	format     Format
	values     map[string][]float64
	aggregates map[string]float64
}

func precisePairs(t *testing.T) (pairs []*precisePair) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(golden.Dir(t), "legacy-logs", "full-precision.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var p *precisePair
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		if title, ok := strings.CutPrefix(line, "# "); ok {
			names, format, _ := strings.Cut(title, ", ")
			if !strings.Contains(names, " vs ") {
				continue // the first line says what the file is
			}
			p = &precisePair{title: title, values: map[string][]float64{}, aggregates: map[string]float64{}}
			p.format.Subsampling = Chroma420
			if _, err := fmt.Sscanf(format, "%dx%d 420 %d-bit", &p.format.Width, &p.format.Height, &p.format.BitsPerComponent); err != nil {
				t.Fatalf("%s: %v", title, err)
			}
			pairs = append(pairs, p)
			continue
		}
		fields := strings.Fields(line)
		v, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		if fields[0] == "agg" {
			p.aggregates[fields[1]] = v
			continue
		}
		p.values[fields[1]] = append(p.values[fields[1]], v)
	}
	return pairs
}

// raw are the raw figures of an extraction. Sums come of the mean squared errors, whole numbers.
func (p *precisePair) raw(t *testing.T, e Extraction) [][]float64 {
	t.Helper()
	var columns [][]float64
	for i, figure := range e.Raw() {
		var values []float64
		switch e.Extractor() {
		case "psnr":
			planes, _ := psnrPlanes(e, p.format)
			for _, mse := range p.values["mse_"+strings.TrimPrefix(figure, "sse_")] {
				values = append(values, math.Round(mse*planes[i].samples))
			}
		case "float_ssim":
			values = p.values[strings.TrimSuffix("float_ssim_"+figure, "_ssim")]
		case "float_ms_ssim":
			values = p.values["float_ms_ssim_"+figure[:1]+"_scale"+figure[1:]]
		case "psnr_hvs", "ciede":
			for _, v := range p.values[e.Series()[i]] {
				values = append(values, rawOf(t, e, p.format, i, v))
			}
		}
		columns = append(columns, values)
	}
	return columns
}

func TestEvaluate_givesCompanionMetricsToTheLastDigit(t *testing.T) {
	compared, apart := 0, 0
	for _, pair := range precisePairs(t) {
		var extra []Extraction
		for _, text := range []string{"psnr:enable_mse=true:enable_apsnr=true", "float_ssim:enable_lcs=true", "float_ms_ssim:enable_lcs=true", "psnr_hvs", "ciede"} {
			if e := mustExtraction(t, text); e.CheckFormat(pair.format) == nil {
				extra = append(extra, e)
			}
		}
		p, err := NewPlan(nil, extra)
		if err != nil {
			t.Fatal(err)
		}
		var raw [][][]float64
		for _, e := range extra {
			raw = append(raw, pair.raw(t, e))
		}
		table, err := p.Evaluate(raw, pair.format, len(pair.values["psnr_y"]), 1)
		if err != nil {
			t.Fatal(err)
		}
		check := func(name string, got, want float64) {
			compared++
			if log10Apart(name, got, want) {
				apart++
			} else if !same(got, want) {
				t.Errorf("%s: %s = %.17g, want %.17g", pair.title, name, got, want)
			}
		}
		for _, s := range table.Series {
			if len(s.Values) != len(pair.values[s.Name]) {
				t.Fatalf("%s: %d values of %s, want %d", pair.title, len(s.Values), s.Name, len(pair.values[s.Name]))
			}
			for i, want := range pair.values[s.Name] {
				check(s.Name, s.Values[i], want)
			}
		}
		if n := len(table.Series); n != len(pair.values)-1 { // float_psnr is not computed
			t.Errorf("%s: %d series, want %d", pair.title, n, len(pair.values)-1)
		}
		for i, name := range []string{"apsnr_y", "apsnr_cb", "apsnr_cr"} {
			if table.Aggregates[i].Name != name {
				t.Fatalf("aggregate %d is %s, want %s", i, table.Aggregates[i].Name, name)
			}
			check(name, table.Aggregates[i].Value, pair.aggregates[name])
		}
	}
	if apart > 1 {
		t.Errorf("the logarithm differs in %d of %d values", apart, compared)
	}
	t.Logf("%d values, all but %d with difference 0", compared, apart)
}
