package prove

import (
	"math/rand/v2"
	"testing"
)

// expect fails the test for any difference, and where fewer arguments were tried than the test is worth having for.
func expect(t *testing.T, f finding, least int64) {
	t.Helper()
	if f.wrong > 0 {
		t.Errorf("%d of %d differ, the first is that %s", f.wrong, f.tried, f.first)
	}
	if f.tried < least {
		t.Errorf("%d tried, want at least %d", f.tried, least)
	}
}

func TestADM_Spec6_2_InversesAreExact(t *testing.T) { expect(t, admInverses(), 2*4*17<<14) }

// All o below 2^14: there r is o or t, the smaller one. The short form tries one in 16 of them.
func TestADM_Spec6_SmallDetailIsRestoredWhole(t *testing.T) {
	if testing.Short() {
		expect(t, admPlain(1+rand.IntN(16), 16), 1<<22)
		return
	}
	expect(t, admPlain(0, 1), 1<<27)
}

func TestADM_Spec6_Restored(t *testing.T) { expect(t, admRestored(rand.Uint64(), 1<<23), 1<<23) }

func TestADM_Spec6_3_Enhanced(t *testing.T) { expect(t, admEnhanced(rand.Uint64(), 1<<22), 1<<23) }

// However close the decision, the estimate decides as the spec does or leaves it open, which it does not if it need not.
func TestADM_Spec6_1_AngleEstimate(t *testing.T) {
	f := admAngle(rand.Uint64(), 1<<22)
	expect(t, f, 1<<21)
	if f.open == 0 {
		t.Error("none was left open, so none was close")
	}
}

func TestADM_SmallFloatsAreExact(t *testing.T) { expect(t, admSmallFloats(), 1<<22+1) }

func TestADM_Spec9_Sensitive(t *testing.T) {
	// The smallest, the largest, those of the models, and any.
	weights := []uint32{0, 1, 1<<16 - 1, 36453, 49417, 24809, 36087, 8833, 8254, 4739, 4018, 1 << 15, 1 << 14}
	for range 500 {
		weights = append(weights, rand.Uint32N(1<<16))
	}
	for _, w := range weights {
		expect(t, admSensitive(w), 1<<17)
	}
}

func TestADM_Spec9_Masks(t *testing.T) { expect(t, admMasks(), 1<<17) }
