package score

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/vmaf"
)

func v1Options(distance float64, height int) ADMOptions {
	o := DefaultADMOptions()
	o.CSFMode, o.GainLimit, o.NoiseWeight, o.DLMWeight, o.MinValue = 2, 1, 0.02, 0.7, 0.5
	o.ViewDistance, o.DisplayHeight = distance, height
	return o
}

// The table at the end of spec/adm.md §7.
func TestADM_Spec7_WeightsOfShippedSets(t *testing.T) {
	for name, c := range map[string]struct {
		options ADMOptions
		f       [4][2]float32
		fixed   [4][2]uint32
	}{
		"mode 0": {DefaultADMOptions(),
			[4][2]float32{{0.0173815377, 0.005890687}, {0.0319848284, 0.0142990677}, {0.0433726609, 0.0243969075}, {0.0456734113, 0.0313127376}},
			[4][2]uint32{{36453, 49417}, {137373792, 61414028}, {186284160, 104783920}, {196165808, 134487184}}},
		"mode 2, 1080 at 3": {v1Options(3, 1080),
			[4][2]float32{{0.0118300002, 0.00430200016}, {0.0250259992, 0.0117779998}, {0.0429500006, 0.0239179991}, {0.0586210005, 0.0359009989}},
			[4][2]uint32{{24809, 36087}, {107485848, 50586124}, {184468848, 102727024}, {251775280, 154193616}}},
		"mode 2, 2160 at 1.5": {v1Options(1.5, 2160),
			[4][2]float32{{0.0118300002, 0.00430200016}, {0.0250259992, 0.0117779998}, {0.0429500006, 0.0239179991}, {0.0586210005, 0.0359009989}},
			[4][2]uint32{{24809, 36087}, {107485848, 50586124}, {184468848, 102727024}, {251775280, 154193616}}},
		"mode 2, 1080 at 5": {v1Options(5, 1080),
			[4][2]float32{{0.00421199994, 0.000984000042}, {0.0148090003, 0.00585199986}, {0.0296420008, 0.0146000003}, {0.0474639982, 0.0275740009}},
			[4][2]uint32{{8833, 8254}, {63604172, 25134148}, {127311424, 62706524}, {203856320, 118429432}}},
		"mode 2, 2160 at 3": {v1Options(3, 2160),
			[4][2]float32{{0.00225999998, 0.000479000009}, {0.0118300002, 0.00430200016}, {0.0250259992, 0.0117779998}, {0.0429500006, 0.0239179991}},
			[4][2]uint32{{4739, 4018}, {50809464, 18476950}, {107485848, 50586124}, {184468848, 102727024}}},
	} {
		a, err := NewADM(c.options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var f [4][2]float32
		for s := range f {
			f[s] = [2]float32{float32(a.weights.f[s][0]), float32(a.weights.f[s][1])}
		}
		if d := cmp.Diff(c.f, f); d != "" {
			t.Errorf("%s: f32 weights (-want +got):\n%s", name, d)
		}
		if d := cmp.Diff(c.fixed, a.FixedWeights()); d != "" {
			t.Errorf("%s: fixed-point weights (-want +got):\n%s", name, d)
		}
	}
}

func TestNewADM_Refuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ADMOptions)
		want   string
	}{
		"a display too coarse for 16 bits": {func(o *ADMOptions) { o.ViewDistance = 2.9 }, "at least 3240"},
		"a display without a table":        {func(o *ADMOptions) { o.CSFMode, o.ViewDistance = 2, 4 }, "not 1080 at 4"},
		"mode 3 likewise":                  {func(o *ADMOptions) { o.CSFMode, o.DisplayHeight = 3, 1440 }, "not 1440 at 3"},
		"mode 1 at the default scale":      {func(o *ADMOptions) { o.CSFMode = 1 }, "lower adm_csf_scale"},
		"mode 1, diagonal alone too large": {func(o *ADMOptions) { o.CSFMode, o.CSFScale = 1, 1e-5 }, "lower adm_csf_scale"},
	} {
		o := DefaultADMOptions()
		c.change(&o)
		_, err := NewADM(o)
		if !errors.Is(err, ErrADMDisplay) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	o := DefaultADMOptions()
	o.CSFMode, o.CSFScale, o.CSFDiagonalScale = 1, 1e-5, 1e-5
	if _, err := NewADM(o); err != nil {
		t.Errorf("mode 1 at small scales: %v", err)
	}
}

// specSums are the accumulators of spec/adm.md §17.
func specSums(v1 bool) *ADMSums {
	s := &ADMSums{Den: [4][3]uint64{
		{10782186280202, 11100227442692, 7351250327746},
		{55879140970937, 219293713244756, 71788791814839},
		{1447922619246, 44033648923484, 1353742486537},
		{270151809824, 36078924412983, 988243984217},
	}}
	if v1 {
		s.Num = [4][3]int64{
			{241203113093069, 252904635951842, 71648543786633},
			{1516979453649, 6409053683043, 153622637393},
			{182253623878, 7010638254958, 27983741277},
			{248981326625, 30052334249486, 177340759118},
		}
		s.AIM = [4][3]int64{{3790394690110, 4154549646725, 449115780639}, {44784217594, 2256566756, 6994367}, {23802730, 0, 0}}
		return s
	}
	s.Num = [4][3]int64{
		{780785288881215, 819161663417576, 185879688351002},
		{3219297957366, 13490198105547, 273299974265},
		{189071815177, 7228323462964, 29969066292},
		{118047661268, 14238694446337, 119111399242},
	}
	s.AIM = [4][3]int64{{11905755217339, 13312249106801, 1005900058863}, {95130514682, 4842244719, 10132003}, {22869966, 0, 0}}
	return s
}

func TestADM_Spec17_Figures(t *testing.T) {
	for name, c := range map[string]struct {
		options ADMOptions
		sums    *ADMSums
		want    []float64
	}{
		"defaults": {DefaultADMOptions(), specSums(false), []float64{
			0.81997500479949104, 0.033173388033928344, 0.89340080838278135,
			0.86354220519602565, 0.82050958901831572, 0.80026166742204774, 0.812937431619565}},
		"v1.0.16 3d0h": {v1Options(3, 1080), specSums(true), []float64{
			0.81662846708782133, 0.024900739888509944, 0.86416970499492196,
			0.87627283986466964, 0.82302824065850344, 0.79596717603427691, 0.80798424868527796}},
	} {
		a, err := NewADM(c.options)
		if err != nil {
			t.Fatal(err)
		}
		got := a.Figures(nil, c.sums, 151, 117)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// "With debug on": the same figures, then those of which they are quotients.
func TestADM_DebugFigures(t *testing.T) {
	o := DefaultADMOptions()
	o.Debug = true
	a, err := NewADM(o)
	if err != nil {
		t.Fatal(err)
	}
	f := a.Figures(nil, specSums(false), 151, 117)
	if len(f) != 18 {
		t.Fatalf("%d figures, want 18", len(f))
	}
	if f[7] != f[0] || f[8]/f[9] != f[0] {
		t.Errorf("adm %v, adm_num/adm_den %v, want adm2 %v", f[7], f[8]/f[9], f[0])
	}
	var num, den float64
	for s := range 4 {
		n, d := f[10+2*s], f[11+2*s]
		num += n
		den += d
		if n/d != f[3+s] {
			t.Errorf("scale %d: %v/%v is %v, want %v", s, n, d, n/d, f[3+s])
		}
	}
	if num != f[8] || den != f[9] {
		t.Errorf("sums over scales %v/%v, want %v/%v", num, den, f[8], f[9])
	}
}

func TestADM_Spec11_SkippedScale0(t *testing.T) {
	o := DefaultADMOptions()
	o.SkipScale0, o.Debug = true, true
	a, err := NewADM(o)
	if err != nil {
		t.Fatal(err)
	}
	f := a.Figures(nil, specSums(false), 151, 117)
	if f[3] != 0 || f[10] != 0 || f[11] != float64(float32(1e-10)) {
		t.Errorf("adm_scale0 %v = %v/%v, want 0 = 0/1e-10", f[3], f[10], f[11])
	}
}

// spec/adm.md §11: "An implementation has to define these cases itself".
func TestADM_NothingInTheReference(t *testing.T) {
	o := DefaultADMOptions()
	o.NoiseWeight = 0
	a, err := NewADM(o)
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{1, 0, 1, 1, 1, 1, 1}
	if d := cmp.Diff(want, a.Figures(nil, &ADMSums{}, 320, 180)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestADM_FiguresAreThoseThatAnExtractionNames(t *testing.T) {
	for _, text := range []string{"adm", "adm:debug=true", "adm:adm_csf_mode=2:adm_enhn_gain_limit=1.0", "adm:adm_skip_aim=true"} {
		e, err := vmaf.ParseExtraction(text)
		if err != nil {
			t.Fatal(err)
		}
		a, err := ADMWeights(e)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(a.Figures(nil, specSums(false), 151, 117)), len(e.Raw()); got != want {
			t.Errorf("%s: %d figures, want %d: %v", text, got, want, e.Raw())
		}
	}
	vif, err := vmaf.ParseExtraction("vif")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ADMWeights(vif); err == nil {
		t.Error("no error for another extractor's options")
	}
}

func TestADMOptionsOf(t *testing.T) {
	e, err := vmaf.ParseExtraction("adm:adm_enhn_gain_limit=1:adm_norm_view_dist=1.5:adm_ref_display_height=2160:adm_csf_mode=2:" +
		"adm_csf_scale=0.5:adm_csf_diag_scale=0.25:adm_noise_weight=0.02:adm_dlm_weight=0.7:adm_min_val=0.5:adm_skip_aim=true:" +
		"adm_skip_scale0=true:debug=true")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ADMOptionsOf(e)
	if err != nil {
		t.Fatal(err)
	}
	want := v1Options(1.5, 2160)
	want.CSFScale, want.CSFDiagonalScale, want.SkipAIM, want.SkipScale0, want.Debug = 0.5, 0.25, true, true, true
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if e, err = vmaf.ParseExtraction("adm"); err != nil {
		t.Fatal(err)
	}
	if got, _ = ADMOptionsOf(e); got != DefaultADMOptions() {
		t.Errorf("defaults: got %+v, want %+v", got, DefaultADMOptions())
	}
}
