package prove

import (
	"math/rand/v2"
	"testing"
)

// Each function is as close to the true result as its comment says. The C library's functions for long double, which stand for that
// result, have eleven bits more or many.
func TestFunctionsAreClose(t *testing.T) {
	for _, c := range []struct {
		name         string
		of           function
		units, error float64 // 0: not promised
	}{
		{"Log2", log2, 0.51, 0},
		{"Log2 near 1", log2Near, 0.51, 0},
		{"Exp", exp, 0.52, 0},
		{"Exp2", exp2, 0.52, 0},
		{"SinWithin", sinWithin, 3, 0},
		{"CosWithin", cosWithin, 0, 0x1p-52},
		{"sine of SinCos", sin, 0, 0x1p-51},
		{"cosine of SinCos", cos, 0, 0x1p-51},
		{"Atan2", atan2, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := 1 << 22
			if testing.Short() {
				n = 1 << 18
			}
			seed := rand.Uint64()
			w := c.of.measure(seed, n)
			t.Logf("of (%g, %g): %.4f units; at most %.2g off", w.x, w.y, w.units, w.error)
			if c.units > 0 && !(w.units <= c.units) {
				t.Errorf("of (%x, %x): off by %.4f units in the last place, at most %g are promised; seed %d", w.x, w.y, w.units, c.units, seed)
			}
			if c.error > 0 && !(w.error <= c.error) {
				t.Errorf("off by %g, at most %g is promised; seed %d", w.error, c.error, seed)
			}
		})
	}
}
