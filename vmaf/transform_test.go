package vmaf

import (
	"math"
	"testing"
)

func given(v float64) coefficient { return coefficient{v, true} }

func TestTransform_Spec44(t *testing.T) {
	full := [3]coefficient{given(1), given(2), given(0.5)}
	for _, c := range []struct {
		name    string
		t       transform
		x, want float64
	}{
		{"nothing given", transform{}, 42, 42},
		{"all coefficients", transform{polynomial: full}, 4, 1 + 8 + 8},
		{"only p0", transform{polynomial: [3]coefficient{given(7), {}, {}}}, 4, 7},
		{"only p1", transform{polynomial: [3]coefficient{{}, given(3), {}}}, 4, 12},
		{"only p2", transform{polynomial: [3]coefficient{{}, {}, given(2)}}, 4, 32},
		{"not above the input", transform{polynomial: full, notAbove: true}, 4, 4},
		{"not above, but it is below", transform{polynomial: [3]coefficient{given(1), {}, {}}, notAbove: true}, 4, 1},
		{"not below the input", transform{polynomial: [3]coefficient{given(1), {}, {}}, notBelow: true}, 4, 4},
		{"both: the input", transform{polynomial: full, notAbove: true, notBelow: true}, 4, 4},
		{"knots after the polynomial", transform{polynomial: full, knots: []knot{{0, 0}, {34, 17}}}, 4, 8.5},
		{"knots alone", transform{knots: []knot{{0, 10}, {10, 30}}}, 5, 20},
		{"compared with the input of the polynomial", transform{polynomial: full, knots: []knot{{0, 0}, {34, 17}}, notAbove: true}, 4, 4},
	} {
		if got := c.t.apply(c.x); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestPiecewiseLinear_Spec44(t *testing.T) {
	knots := []knot{{1, 10}, {3, 20}, {4, 20}, {8, 40}}
	for _, c := range []struct {
		name    string
		x, want float64
	}{
		{"before the first knot", -1, 0},
		{"first knot", 1, 10},
		{"inside the first segment", 2, 15},
		{"on a horizontal segment", 3.5, 20},
		{"inside the last segment", 6, 30},
		{"last knot", 8, 40},
		{"beyond the last knot", 10, 50},
	} {
		if got := piecewiseLinear(knots, c.x); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	// At an interior knot the right segment decides: its line, evaluated there, may round otherwise than the left one's.
	odd := []knot{{0.1, 0.1}, {0.7, 0.9}, {1.3, 1.1}}
	if got, want := piecewiseLinear(odd, 0.7), lineThrough(odd[1], odd[2], 0.7); got != want {
		t.Errorf("interior knot: got %v, want %v", got, want)
	}
	if got := piecewiseLinear([]knot{{0, 5}, {10, 25}}, 5); got != 15 {
		t.Errorf("segment from 0: got %v", got)
	}
	if got := piecewiseLinear(knots, math.NaN()); got != 0 {
		t.Errorf("NaN is in no segment: got %v", got)
	}
}

func TestClipRange(t *testing.T) {
	c := clipRange{0, 100}
	for x, want := range map[float64]float64{-1: 0, 0: 0, 50: 50, 100: 100, 101: 100, math.Inf(1): 100, math.Inf(-1): 0} {
		if got := c.apply(x); got != want {
			t.Errorf("%v: got %v, want %v", x, got, want)
		}
	}
	if got := c.apply(math.NaN()); got == got {
		t.Errorf("NaN passes through, got %v", got)
	}
}
