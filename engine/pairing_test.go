package engine

import (
	"slices"
	"testing"
	"time"
)

func TestNearest_tiesGoToTheEarlier(t *testing.T) {
	list := []time.Duration{0, 40, 80, 120}
	for at, want := range map[time.Duration]int64{-5: 0, 0: 0, 19: 0, 20: 0, 21: 1, 40: 1, 60: 1, 61: 2, 119: 3, 500: 3} {
		if got := nearest(list, at); got != want {
			t.Errorf("nearest to %d: %d, want %d", at, got, want)
		}
	}
}

func TestPairByIndex(t *testing.T) {
	type span struct{ first, end int64 }
	for name, c := range map[string]struct {
		req      Request
		ref, dis int64
		want     span
		refused  bool
	}{
		"equal":                     {Request{}, 10, 10, span{0, 10}, false},
		"distorted shorter":         {Request{}, 10, 8, span{}, true},
		"distorted longer":          {Request{}, 10, 12, span{}, true},
		"shortest of shorter":       {Request{Shortest: true}, 10, 8, span{0, 8}, false},
		"shortest of longer":        {Request{Shortest: true}, 10, 12, span{0, 10}, false},
		"range inside both":         {Request{First: 2, End: 6}, 10, 8, span{2, 6}, false},
		"range past the distorted":  {Request{First: 2, End: 9}, 10, 8, span{}, true},
		"offset uses the longer":    {Request{Offset: 2}, 10, 12, span{0, 10}, false},
		"offset leaves a tail":      {Request{Offset: 2}, 10, 13, span{}, true},
		"negative offset":           {Request{Offset: -2, Shortest: true}, 10, 8, span{2, 10}, false},
		"nothing in common":         {Request{Offset: 9, Shortest: true}, 10, 8, span{}, true},
		"range leaves reference":    {Request{First: 10}, 10, 10, span{}, true},
		"reference of unknown end":  {Request{}, -1, 10, span{0, -1}, false},
		"distorted of unknown end":  {Request{}, 10, -1, span{0, 10}, false},
		"range of unknown lengths":  {Request{First: 1, End: 4}, -1, -1, span{1, 4}, false},
		"offset before the streams": {Request{Offset: -1}, -1, -1, span{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := pairByIndex(&c.req, "dis", c.ref, c.dis)
			if (err != nil) != c.refused {
				t.Fatalf("error %v, want one: %v", err, c.refused)
			}
			if err == nil && (span{p.first, p.end}) != c.want {
				t.Errorf("compared %d:%d, want %d:%d", p.first, p.end, c.want.first, c.want.end)
			}
		})
	}
}

func TestParseNames(t *testing.T) {
	for _, p := range []Pairing{PairAuto, PairIndex, PairTimestamp} {
		if got, err := ParsePairing(p.String()); err != nil || got != p {
			t.Errorf("ParsePairing(%q): %v, %v", p, got, err)
		}
	}
	if _, err := ParsePairing("frames"); err == nil {
		t.Error("unknown pairing is accepted")
	}
	var refused []string
	for _, text := range []string{"auto", "auto:2", "cpu", "cuda", "cuda:1", "cuda:255", "gpu", "", "cuda:", "cuda:256", "cuda:-1", "cuda:01", "cuda:1 ", "CUDA", "auto:", "auto:x", "cpu:0"} {
		if _, err := ParseDevice(text); err != nil {
			refused = append(refused, text)
		}
	}
	if want := []string{"gpu", "", "cuda:", "cuda:256", "cuda:-1", "cuda:01", "cuda:1 ", "CUDA", "auto:", "auto:x", "cpu:0"}; !slices.Equal(refused, want) {
		t.Errorf("devices refused: %q, want %q", refused, want)
	}
}
