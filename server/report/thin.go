//go:build !noplot

package report

import "math"

// column is what a series does within one column of the picture.
type column struct {
	x              float64 // in the middle of what is there
	low, high, avg float64
}

// thin reduces a series to runs of columns, at most columns of them from first to last; a run ends where values are
// missing for a whole column. Values that are not finite do not count.
func thin(x, y []float64, first, last float64, columns int) [][]column {
	var runs [][]column
	var run []column
	width := (last - first) / float64(columns)
	previous := 0 // column of the last element of run
	missing := false
	for i := 0; i < len(x); {
		if !finite(y[i]) {
			missing = true
			i++
			continue
		}
		place := int((x[i] - first) / width)
		c := column{low: math.Inf(1), high: math.Inf(-1)}
		n, sum, from := 0, 0.0, x[i]
		to := from
		for ; i < len(x) && int((x[i]-first)/width) == place; i++ {
			if !finite(y[i]) {
				continue
			}
			c.low, c.high = min(c.low, y[i]), max(c.high, y[i])
			sum += y[i]
			to = x[i]
			n++
		}
		c.x, c.avg = (from+to)/2, sum/float64(n)
		if missing && place > previous+1 && len(run) > 0 {
			runs, run = append(runs, run), nil
		}
		missing = false
		run = append(run, c)
		previous = place
	}
	if len(run) > 0 {
		runs = append(runs, run)
	}
	return runs
}

// split cuts a series where values are not finite.
func split(x, y []float64) (runs [][2][]float64) {
	start := 0
	for i := 0; i <= len(y); i++ {
		if i < len(y) && finite(y[i]) {
			continue
		}
		if i > start {
			runs = append(runs, [2][]float64{x[start:i], y[start:i]})
		}
		start = i + 1
	}
	return runs
}
