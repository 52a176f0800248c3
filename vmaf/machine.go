package vmaf

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// machine is a support vector machine for regression (ν-SVR) with a radial basis function kernel. It is immutable and may be
// shared between models.
type machine struct {
	gamma, rho   float64
	coefficients []float64 // one per support vector, in file order: the order of summation decides bits
	// vectors holds the support vectors, one after the other, width components each. A component that the file leaves
	// out is 0, which gives the same bits as leaving it out of the sum.
	vectors []float64
	width   int
}

// evaluate is Σ coefficient·exp(−γ·|z − v|²) − ρ for a normalised input z of width components.
//
// Every product is rounded before it is added, and both sums run strictly in order: the conversions keep the compiler
// from fusing. Source: spec/prediction.md §4.3.
func (m *machine) evaluate(z []float64) float64 {
	sum := 0.0
	vectors := m.vectors
	for _, coefficient := range m.coefficients {
		v := vectors[:len(z)]
		vectors = vectors[len(z):]
		distance := 0.0
		for i, zi := range z {
			delta := zi - v[i]
			distance += float64(delta * delta)
		}
		sum += float64(coefficient * exp(float64(-m.gamma*distance)))
	}
	return sum - m.rho
}

// parseMachine reads a support vector machine in libsvm's text form. width is the number of features; components may be
// missing, indices are ascending from 1. More than limit components in all are [ErrTooLarge]. Errors say which line is at
// fault.
//
// Source: spec/prediction.md §1.1.
func parseMachine(text string, width, limit int) (*machine, error) {
	m := &machine{width: width}
	header := map[string]string{}
	total, inVectors, n := 0, false, 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		fields := strings.Fields(line)
		var err error
		switch {
		case len(fields) == 0:
		case inVectors && len(m.vectors)+width > limit:
			err = fmt.Errorf("%w: more than %d components in all support vectors", ErrTooLarge, MaxComponents)
		case inVectors:
			err = m.parseVector(fields)
		case fields[0] == "SV" && len(fields) == 1:
			inVectors = true
			total, err = m.takeHeader(header)
		case len(fields) == 2:
			if _, twice := header[fields[0]]; twice {
				err = fmt.Errorf("%s given twice", clip(fields[0]))
			}
			header[fields[0]] = fields[1]
		default:
			err = fmt.Errorf("%q is not a header of one name and one value", clip(line))
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if !inVectors {
		return nil, fmt.Errorf("no line SV")
	}
	if got := len(m.coefficients); got != total {
		return nil, fmt.Errorf("%d support vectors, but total_sv is %d", got, total)
	}
	return m, nil
}

// takeHeader takes over the header, of which every line is required and none may be unknown.
func (m *machine) takeHeader(header map[string]string) (total int, err error) {
	for _, want := range [][2]string{{"svm_type", "nu_svr"}, {"kernel_type", "rbf"}, {"nr_class", "2"}} {
		switch got, ok := header[want[0]]; {
		case !ok:
			return 0, fmt.Errorf("no %s before SV", want[0])
		case got != want[1]:
			return 0, fmt.Errorf("%s is %s; only %s can be evaluated", want[0], clip(got), want[1])
		}
		delete(header, want[0])
	}
	for _, number := range []struct {
		key string
		to  *float64
	}{{"gamma", &m.gamma}, {"rho", &m.rho}} {
		text, ok := header[number.key]
		if !ok {
			return 0, fmt.Errorf("no %s before SV", number.key)
		}
		if *number.to, err = parseNumber(text); err != nil {
			return 0, fmt.Errorf("%s: %w", number.key, err)
		}
		delete(header, number.key)
	}
	text, ok := header["total_sv"]
	if !ok {
		return 0, fmt.Errorf("no total_sv before SV")
	}
	if total, err = strconv.Atoi(text); err != nil || total < 1 {
		return 0, fmt.Errorf("total_sv %q is not a positive whole number", clip(text))
	}
	delete(header, "total_sv")
	if len(header) > 0 {
		return 0, fmt.Errorf("unknown header %s", clip(slices.Sorted(maps.Keys(header))[0]))
	}
	return total, nil
}

// parseVector reads "coefficient index:value index:value …".
func (m *machine) parseVector(fields []string) error {
	coefficient, err := parseNumber(fields[0])
	if err != nil {
		return fmt.Errorf("coefficient: %w", err)
	}
	vector := make([]float64, m.width)
	previous := 0
	for _, field := range fields[1:] {
		indexText, valueText, found := strings.Cut(field, ":")
		index, err := strconv.Atoi(indexText)
		if !found || err != nil {
			return fmt.Errorf("component %q is not of the form index:value", clip(field))
		}
		if index <= previous || index > m.width {
			return fmt.Errorf("component index %d after %d; want ascending indices 1 … %d", index, previous, m.width)
		}
		if vector[index-1], err = parseNumber(valueText); err != nil {
			return fmt.Errorf("component %d: %w", index, err)
		}
		previous = index
	}
	m.coefficients = append(m.coefficients, coefficient)
	m.vectors = append(m.vectors, vector...)
	return nil
}
