package golden

import (
	"math"
	"strings"
	"testing"
)

func TestScores_everyFileReadsAndStatesItsPair(t *testing.T) {
	for _, pair := range Pairs(t) {
		table := Scores(t, pair)
		if table.Pair != pair {
			t.Errorf("%s: header names pair %q", pair, table.Pair)
		}
		if table.Reference == "" || table.Distorted == "" || table.PixFmt == "" || table.Width == 0 || table.Height == 0 {
			t.Errorf("%s: header lacks a fact: %q %q %q %dx%d", pair, table.Reference, table.Distorted, table.PixFmt, table.Width, table.Height)
		}
		if _, ok := table.Column("vmaf_v0.6.1"); !ok {
			t.Errorf("%s: no column vmaf_v0.6.1", pair)
		}
		if len(Pooled(t, pair)) == 0 {
			t.Errorf("%s: no pooled figures", pair)
		}
	}
}

const small = `# pair: p
# reference: a.mp4
# distorted: b.mp4
# compared as: 16x32 yuv420p10le, 2 frames (pairing by presentation order index)
# reference decode: cat a
# distorted decode: (raw)
frame	ref_md5	dis_md5	x	y
0	aa	bb	1.5	inf
1	cc	dd	NA	2
`

func TestReadTable(t *testing.T) {
	table, err := readTable(small)
	if err != nil {
		t.Fatal(err)
	}
	if table.Width != 16 || table.Height != 32 || table.PixFmt != "yuv420p10le" || table.Frames != 2 {
		t.Errorf("got %dx%d %s %d frames", table.Width, table.Height, table.PixFmt, table.Frames)
	}
	if table.ReferenceMD5[1] != "cc" || table.DistortedMD5[0] != "bb" || table.DistortedDecode != "(raw)" || table.ReferenceDecode != "cat a" {
		t.Errorf("MD5s or commands misread: %+v", table)
	}
	x, ok := table.Column("x")
	if !ok || x.Complete() || x.Values[0] != 1.5 || !math.IsNaN(x.Values[1]) {
		t.Errorf("x = %+v", x)
	}
	y, ok := table.Column("y")
	if !ok || !y.Complete() || !math.IsInf(y.Values[0], 1) {
		t.Errorf("y = %+v", y)
	}
	if _, ok := table.Column("z"); ok {
		t.Error("found a column that is not there")
	}
}

func TestReadTable_refuses(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"a row too short":       {"\t1.5\tinf", "\t1.5", "4 fields, want 5"},
		"a frame left out":      {"\n1\tcc", "\n2\tcc", "frame 2, want 1"},
		"a figure that is none": {"\t1.5\t", "\tzzz\t", `x: strconv.ParseFloat: parsing "zzz"`},
		"a row missing":         {"1\tcc\tdd\tNA\t2\n", "", "1 rows for 2 frames"},
		"an unreadable size":    {"16x32", "16 by 32", "compared as"},
		"a header without MD5s": {"frame\tref_md5", "frame\tmd5", "header does not begin"},
	} {
		_, err := readTable(strings.Replace(small, c.old, c.new, 1))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestReadPooled_refuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a row too short":       {"x\t1\t2\t3\n", "4 fields, want 5"},
		"a figure that is none": {"x\t1\t2\t3\tfour\n", "line 1: x: "},
	} {
		_, err := readPooled(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
