//go:build cuda

package gpu

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vqsd/vqsd/internal/emulator"
	"github.com/vqsd/vqsd/kernels/check"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// runner is a session as kernels/check runs it: one frame, and results in the order of the kernel's names.
type runner struct {
	session *Session
	frame   func(planes []vmaf.Plane) Frame
	fill    func(results []int64, sums *Sums)
	sums    Sums
}

func (r *runner) Run(planes []vmaf.Plane, results []int64) error {
	if err := r.session.Measure(context.Background(), []Frame{r.frame(planes)}, &r.sums); err != nil {
		return err
	}
	r.fill(results, &r.sums)
	return nil
}

func (r *runner) Close() error { return r.session.Close() }

// The plans here, and the orders of results, are those of kernels/check.
func parityRunners(d *Device) map[string]func(check.Size, int) (check.Runner, error) {
	session := func(size check.Size, bpc int, p Plan, r runner) (check.Runner, error) {
		subsampling := p.Format.Subsampling
		p.Format, p.Frames = format(size.Width, size.Height, bpc), 1
		p.Format.Subsampling = subsampling
		var err error
		r.session, err = d.NewSession(p)
		return &r, err
	}
	pair := func(planes []vmaf.Plane) Frame {
		return Frame{Reference: &planes[0], Distorted: []*vmaf.Plane{&planes[1], &planes[2]}}
	}
	runners := map[string]func(check.Size, int) (check.Runner, error){
		"motion": func(size check.Size, bpc int) (check.Runner, error) {
			return session(size, bpc, Plan{MotionDistances: []int{1}}, runner{
				frame: func(planes []vmaf.Plane) Frame {
					return Frame{Reference: &planes[1], Previous: [2]*vmaf.Plane{&planes[0]}}
				},
				fill: func(results []int64, sums *Sums) { results[0] = int64(sums.Motion[0][0]) },
			})
		},
		"vif": func(size check.Size, bpc int) (check.Runner, error) {
			return session(size, bpc, Plan{Renditions: 2, VIFGains: []float64{100, 1}}, runner{frame: pair, fill: fillVIF})
		},
		"adm": func(size check.Size, bpc int) (check.Runner, error) {
			return session(size, bpc, Plan{Renditions: 2, ADM: parityADM()}, runner{frame: pair, fill: fillADM})
		},
	}
	for name, of := range moreParityRunners {
		runners[name] = of(session)
	}
	return runners
}

// sessionMaker makes a runner of a session for one frame: r without its session, which is for plan in the format of size and depth, with the
// plan's subsampling.
type sessionMaker func(size check.Size, bpc int, plan Plan, r runner) (check.Runner, error)

// moreParityRunners are those of features that have a file of their own, which enters them at its initialisation.
var moreParityRunners = map[string]func(sessionMaker) func(size check.Size, bpc int) (check.Runner, error){}

func parityADM() []score.ADMConfig {
	plain, other := score.DefaultADMOptions(), score.DefaultADMOptions()
	plain.SkipAIM = true
	other.GainLimit, other.CSFMode = 1, 2
	var configs []score.ADMConfig
	for _, o := range []score.ADMOptions{plain, other} {
		a, err := score.NewADM(o)
		if err != nil {
			panic(err)
		}
		configs = append(configs, a.Config())
	}
	return configs
}

func fillVIF(results []int64, sums *Sums) {
	for g := range sums.VIF {
		for k, s := range sums.VIF[g] {
			for i, band := range [4][4]int64{s.NL, s.DL, s.NV, s.C} {
				copy(results[((g*2+k)*4+i)*4:], band[:])
			}
		}
	}
}

func fillADM(results []int64, sums *Sums) {
	for c := range sums.ADM {
		for k, s := range sums.ADM[c] {
			at := results[(c*2+k)*9*4:]
			for band := range 3 {
				for scale := range 4 {
					at[band*4+scale] = int64(s.Den[scale][band])
					at[(3+band)*4+scale] = s.Num[scale][band]
					at[(6+band)*4+scale] = s.AIM[scale][band]
				}
			}
		}
	}
}

// TestParity holds every kernel against the plain reference, on all the contents that kernels/check has for it. On the emulator it leaves
// out the large sizes and all depths but the first and the last, unless VQSD_CHECK_FULL is 1; VQSD_CHECK_SEED sets the seed.
func TestParity(t *testing.T) {
	d := openDevice(t, 0, Config{})
	if d.Info().Emulated && testing.Short() {
		t.Skip("takes long on the emulator")
	}
	short := testing.Short() || d.Info().Emulated && os.Getenv("VQSD_CHECK_FULL") != "1"
	seed, err := strconv.ParseUint(os.Getenv("VQSD_CHECK_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano()) % 1e9
	}
	t.Logf("%s, seed %d: repeat with VQSD_CHECK_SEED=%d", d.Info().Name, seed, seed)
	runners := parityRunners(d)
	for _, k := range check.Kernels() {
		t.Run(k.Name, func(t *testing.T) {
			make, ok := runners[k.Name]
			if !ok {
				t.Fatal("no session for this kernel here")
			}
			if err := k.CheckAgainst(d.Info().Name, make, seed, short); err != nil {
				t.Error(err)
			}
		})
	}
}

// The emulator runs the threads of a block in one order, and the work of a stream as soon as it can. Results must be the same in the other
// order, and when work is done as late as the driver may.
func TestMeasure_InOtherOrders(t *testing.T) {
	library := emulator.Library(t)
	if library == "" {
		t.Skip("needs the emulator: it asks for another order of threads")
	}
	if testing.Short() {
		t.Skip("takes long on the emulator")
	}
	for _, c := range []struct {
		env   string
		tests []string
	}{
		{"VQSD_EMU_REVERSE=1", []string{"TestParity", "TestMeasure_AnyBatchesGiveTheSame"}},
		{"VQSD_EMU_LATE=1", []string{"TestMeasure_AnyBatchesGiveTheSame", "TestMeasure_Cancelled", "TestMeasure_ReturnsWhenTheDeviceHasRead"}},
	} {
		t.Run(c.env, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), executable(t), "-test.v", "-test.run", "^("+strings.Join(c.tests, "|")+")$")
			cmd.Env = append(os.Environ(), c.env, emulator.EnvLibrary+"="+library)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			for _, test := range c.tests {
				if err == nil && !strings.Contains(string(out), "--- PASS: "+test+" ") {
					t.Errorf("%s was not run:\n%s", test, out)
				}
			}
		})
	}
}
