package vmaf

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

const smallMachine = `svm_type nu_svr
kernel_type rbf
gamma 0.5
nr_class 2
total_sv 3
rho -1.25
SV
2 1:1 2:0.5 
-1 2:2 
0.5 
`

func TestParseMachine_missingComponentsAreZero(t *testing.T) {
	m, err := parseMachine(smallMachine, 2, 100)
	if err != nil {
		t.Fatal(err)
	}
	if m.gamma != 0.5 || m.rho != -1.25 || !slices.Equal(m.coefficients, []float64{2, -1, 0.5}) || !slices.Equal(m.vectors, []float64{1, 0.5, 0, 2, 0, 0}) {
		t.Errorf("got %+v", m)
	}
	// 2·e^0 − e^(−½·(1 + 1.5²)) + ½·e^(−½·(1 + ½²)) + 1.25
	want := 2 - math.Exp(-0.5*3.25) + 0.5*math.Exp(-0.5*1.25) + 1.25
	if got := m.evaluate([]float64{1, 0.5}); math.Abs(got-want) > 1e-15 {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseMachine_takesCarriageReturnsAndAnyHeaderOrder(t *testing.T) {
	text := "rho 1\r\ntotal_sv 1\r\n\r\ngamma 1\r\nnr_class 2\r\nkernel_type rbf\r\nsvm_type nu_svr\r\nSV\r\n1 1:1\r\n"
	if _, err := parseMachine(text, 1, 100); err != nil {
		t.Error(err)
	}
}

func TestParseMachine_refuses(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"another machine", "nu_svr", "c_svc", "line 7: svm_type is c_svc; only nu_svr"},
		{"another kernel", "rbf", "linear", "kernel_type is linear; only rbf"},
		{"more classes", "nr_class 2", "nr_class 3", "nr_class is 3"},
		{"no kernel", "kernel_type rbf\n", "", "no kernel_type before SV"},
		{"no gamma", "gamma 0.5\n", "", "no gamma before SV"},
		{"an unreadable gamma", "gamma 0.5", "gamma half", `gamma: "half" is not a number`},
		{"an infinite rho", "rho -1.25", "rho 1e999", `rho: "1e999" is not a finite number`},
		{"no total", "total_sv 3\n", "", "no total_sv before SV"},
		{"an unreadable total", "total_sv 3", "total_sv three", `total_sv "three"`},
		{"a total of none", "total_sv 3", "total_sv 0", `total_sv "0" is not a positive`},
		{"too few vectors", "total_sv 3", "total_sv 4", "3 support vectors, but total_sv is 4"},
		{"too many vectors", "total_sv 3", "total_sv 2", "3 support vectors, but total_sv is 2"},
		{"an unknown header", "rho -1.25", "rho -1.25\nprobA 1", "unknown header probA"},
		{"a header twice", "rho -1.25", "rho -1.25\nrho 2", "line 7: rho given twice"},
		{"a header of three words", "rho -1.25", "rho -1.25 2", `"rho -1.25 2" is not a header`},
		{"no vectors", "SV\n2 1:1 2:0.5 \n-1 2:2 \n0.5 \n", "", "no line SV"},
		{"an unreadable coefficient", "2 1:1", "two 1:1", `line 8: coefficient: "two" is not a number`},
		{"an unreadable component", "1:1", "1:one", `component 1: "one" is not a number`},
		{"a component without index", "1:1", "1", `component "1" is not of the form`},
		{"an unreadable index", "1:1", "x:1", `component "x:1" is not of the form`},
		{"index 0", "1:1", "0:1", "component index 0 after 0; want ascending indices 1 … 2"},
		{"an index beyond the features", "2:0.5", "3:0.5", "component index 3 after 1"},
		{"descending indices", "1:1 2:0.5", "2:1 1:0.5", "component index 1 after 2"},
		{"an infinite component", "1:1", "1:inf", `"inf" is not a number`},
	} {
		text := strings.Replace(smallMachine, c.old, c.new, 1)
		if text == smallMachine {
			t.Fatalf("%s: nothing replaced", c.name)
		}
		if _, err := parseMachine(text, 2, 100); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := parseMachine(smallMachine, 2, 5); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more components than allowed: %v", err)
	}
}

// Padding a missing component with 0 is what parsing does; the specification leaves it out of the sum instead.
func TestEvaluate_Spec43_missingComponentEqualsZero(t *testing.T) {
	m, err := parseMachine(strings.Replace(smallMachine, "total_sv 3", "total_sv 1", 1)[:strings.Index(smallMachine, "2 1:1")]+"1.5 2:0.7\n", 2, 100)
	if err != nil {
		t.Fatal(err)
	}
	z := []float64{0.3, 0.9}
	d := z[0] * z[0]
	delta := z[1] - 0.7
	d += float64(delta * delta)
	if got, want := m.evaluate(z), float64(1.5*exp(-0.5*d))+1.25; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
