package engine

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/internal/emulator"
	"github.com/vqsd/vqsd/internal/golden"
)

func TestCut(t *testing.T) {
	every := func(step, end int64) (list []int64) {
		for i := step; i < end; i += step {
			list = append(list, i)
		}
		return list
	}
	for name, c := range map[string]struct {
		first, end, n int64
		cuts          []int64
		want          [][2]int64
	}{
		"anywhere":                       {0, 400, 4, every(1, 400), [][2]int64{{0, 100}, {100, 200}, {200, 300}, {300, 400}}},
		"at the next random access":      {0, 400, 4, every(48, 400), [][2]int64{{0, 144}, {144, 240}, {240, 336}, {336, 400}}},
		"no part too short at the end":   {0, 400, 2, []int64{350}, [][2]int64{{0, 400}}},
		"one group for several places":   {0, 400, 4, []int64{210}, [][2]int64{{0, 210}, {210, 400}}},
		"no random access but the first": {0, 400, 4, nil, [][2]int64{{0, 400}}},
		"too short to divide":            {10, 100, 4, every(1, 100), [][2]int64{{10, 100}}},
		"a range":                        {100, 300, 2, every(50, 300), [][2]int64{{100, 200}, {200, 300}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cut(c.first, c.end, c.n, c.cuts); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// ofDecoder matches the golden columns that are looked at where it is about decoding.
var ofDecoder = regexp.MustCompile(`^(psnr_(y|cb|cr)|integer_motion.*|integer_vif_scale[0-3]|integer_adm2)$`)

// Whatever the device's decoder takes over, and wherever a measurement is cut for several of them: the golden figures.
func TestGolden_decodedByTheDevice(t *testing.T) {
	backend := openGPU(t, BackendConfig{})
	if backend.hardware() == nil {
		t.Fatalf("the device does not decode: %v", backend.NoDecoder())
	}
	decoded := map[string]int{}
	for _, pair := range golden.Pairs(t) {
		table := golden.Scores(t, pair)
		// Some figures of every plane tell whether the decoder's pictures are right.
		table.Columns = slices.DeleteFunc(table.Columns, func(c golden.Column) bool { return !ofDecoder.MatchString(c.Name) })
		req := goldenRequest(t, table, goldenPlan(t, table))
		req.OnDamage = decode.Strict
		req.Backend = backend
		c, err := Open(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		d := c.Describe()
		c.Close()
		r := d.Renditions[0]
		if r.Err != nil || !onHardware(d.Reference) && !onHardware(r.Info) {
			continue
		}
		for _, info := range []decode.Info{d.Reference, r.Info} {
			if onHardware(info) {
				decoded[info.Codec]++
			}
		}
		t.Run(pair, func(t *testing.T) {
			most := min(3, goldenFrames(t, r.Format.Width, r.Format.Height)) // it is about the decoder: its own tests go further
			if os.Getenv(emulator.EnvDevice) == "1" {
				most = goldenFrames(t, r.Format.Width, r.Format.Height)
			}
			all := d.End-d.First <= most
			if !all {
				req.End = req.First + most
			}
			got := mustMeasure(t, req).Renditions[0]
			switch {
			case got.Err != nil:
				t.Fatal(got.Err)
			case got.Stats.Fallbacks > 0:
				t.Error("software had to take over")
			case all:
				compareGolden(t, got.Table, table)
			default:
				compareGoldenStart(t, got.Table, table)
			}
		})
	}
	t.Logf("inputs decoded by the device: %v", decoded)
	if len(decoded) == 0 {
		t.Error("the device decoded nothing")
	}
}
