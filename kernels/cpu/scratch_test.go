package cpu

import (
	"testing"

	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// A scratch takes fewer pictures than before although those of before are on the Go heap, where they may have gone.
func TestScratch_fewerPicturesThanBefore(t *testing.T) {
	const width, height = 64, 48
	plane := func(seed int) vmaf.Plane {
		p := vmaf.Plane{Data: make([]byte, width*height), StrideBytes: width, Width: width, Height: height}
		for i := range p.Data {
			p.Data[i] = byte(i*i/7 + seed*i)
		}
		return p
	}
	ref, many := plane(1), []vmaf.Plane{plane(2), plane(3), plane(4)}
	vif, err := NewVIFScratch(width, height, 8, len(many))
	if err != nil {
		t.Fatal(err)
	}
	defer vif.Close()
	a, err := score.NewADM(score.DefaultADMOptions())
	if err != nil {
		t.Fatal(err)
	}
	adm, err := NewADMScratch(width, height, 8, len(many), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer adm.Close()
	vifSums, admSums := [][]VIFSums{make([]VIFSums, len(many))}, [][]ADMSums{make([]ADMSums, len(many))}
	for n := len(many); n > 0; n-- {
		if err := vif.VIF(ref, many[:n], []float64{100}, vifSums); err != nil {
			t.Error(err)
		}
		if err := adm.ADM(ref, many[:n], []ADMConfig{a.Config()}, admSums); err != nil {
			t.Error(err)
		}
	}
}
