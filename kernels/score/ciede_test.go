package score

import (
	"strings"
	"testing"

	"github.com/vqsd/vqsd/vmaf"
)

func TestCIEDEFigures(t *testing.T) {
	f := vmaf.Format{Width: 4, Height: 2, BitsPerComponent: 8, Subsampling: vmaf.Chroma444}
	for _, c := range []struct {
		name             string
		whole, fractions uint64
		want             float64
	}{
		{"identical pictures", 0, 0, 0},
		{"the smallest difference", 0, 1, 0x1p-39},
		{"parts", 6, 1 << 35, 0.8125},
		{"fractions that have become more than whole", 6, 5 << 35, 1.0625},
		{"a whole part of more bits than the fraction leaves in 64", 1 << 40, 0, 1 << 37},
	} {
		if got := CIEDEFigures([]float64{7}, NewCIEDESums(c.whole, c.fractions), f); len(got) != 2 || got[0] != 7 || got[1] != c.want {
			t.Errorf("%s: %v, want %v appended to 7", c.name, got, c.want)
		}
	}
	if a, b := NewCIEDESums(6, 5<<35), NewCIEDESums(8, 1<<35); a != b {
		t.Errorf("one sum is two: %v and %v", a, b)
	}
}

func TestCheckCIEDE(t *testing.T) {
	for _, c := range []struct {
		name   string
		format vmaf.Format
		want   []string // in the error
	}{
		{"the smallest 4:2:0", vmaf.Format{Width: 2, Height: 2, BitsPerComponent: 16, Subsampling: vmaf.Chroma420}, nil},
		{"the smallest 4:4:4", vmaf.Format{Width: 1, Height: 1, BitsPerComponent: 8, Subsampling: vmaf.Chroma444}, nil},
		{"no chroma sample", vmaf.Format{Width: 1, Height: 9, BitsPerComponent: 8, Subsampling: vmaf.Chroma422}, []string{"1x9", "2x1 … 65536x65536 for 4:2:2"}},
		{"everything", vmaf.Format{Width: 70000, Height: 9, BitsPerComponent: 9}, []string{"9 bits", "8, 10, 12 or 16", "without chroma", "70000x9"}},
	} {
		err := CheckCIEDE(c.format)
		if (err != nil) != (c.want != nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in: %v", c.name, want, err)
			}
		}
	}
}
