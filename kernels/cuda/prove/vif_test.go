package prove

import (
	"math/rand/v2"
	"testing"
)

// What is not left open is as the spec's f64 has it, to the last bit; and of ordinary pixels few are left open, or there would be no point.
func TestVIF_Spec5_SharesInIntegers(t *testing.T) {
	for kind := range vifKinds {
		f := vifShares(kind, rand.Uint64(), 1<<21)
		expect(t, f, 1<<17)
		if kind == vifOrdinary && f.open > f.tried/1000 {
			t.Errorf("%d of %d are left open", f.open, f.open+f.tried)
		}
		t.Logf("kind %d: %d tried, %d left open", kind, f.tried, f.open)
	}
}
