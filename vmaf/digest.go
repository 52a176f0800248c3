package vmaf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
)

// digest is the SHA-256 of everything that decides the scores of a model, as a canonical text: one line a fact, numbers in the
// shortest form that reads back as the same double, features under their full names, effective flags. A model read
// from another file format, or given the options of another, has that one's digest.
//
// The text begins with its own version, since digests are stored with results.
func digest(members []*regression) string {
	h := sha256.New()
	fmt.Fprintf(h, "vqsd model 1\nmembers %d\n", len(members))
	for _, r := range members {
		r.writeCanonical(h)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (r *regression) writeCanonical(h hash.Hash) {
	fmt.Fprintf(h, "rescale %t\n", r.rescale)
	if r.rescale {
		fmt.Fprintf(h, "output %s %s\n", exact(r.outputSlope), exact(r.outputIntercept))
	}
	for i, in := range r.inputs {
		fmt.Fprintf(h, "feature %s%s", in.name(), in.extraction.unnamedSuffix(anyOption))
		if r.rescale {
			fmt.Fprintf(h, " %s %s", exact(r.features[i].slope), exact(r.features[i].intercept))
		}
		fmt.Fprintln(h)
	}
	if r.chroma != nil {
		fmt.Fprintf(h, "chroma %s\n", exact(*r.chroma))
	}
	if t := r.transform; t != nil && (t.enabled || r.forceEnabled) {
		for i, p := range t.polynomial {
			if p.given {
				fmt.Fprintf(h, "p%d %s\n", i, exact(p.value))
			}
		}
		for _, k := range t.knots {
			fmt.Fprintf(h, "knot %s %s\n", exact(k.x), exact(k.y))
		}
		fmt.Fprintf(h, "not above %t, not below %t\n", t.notAbove, t.notBelow)
	}
	if r.clip != nil && !r.disableClip {
		fmt.Fprintf(h, "clip %s %s\n", exact(r.clip.lo), exact(r.clip.hi))
	}
	m := r.machine
	fmt.Fprintf(h, "gamma %s\nrho %s\n", exact(m.gamma), exact(m.rho))
	var line []byte
	for j, coefficient := range m.coefficients {
		line = append(line[:0], "sv "...)
		line = strconv.AppendFloat(line, coefficient, 'g', -1, 64)
		for _, v := range m.vectors[j*m.width : (j+1)*m.width] {
			line = append(line, ' ')
			line = strconv.AppendFloat(line, v, 'g', -1, 64)
		}
		h.Write(append(line, '\n'))
	}
}

// exact prints a number so that it reads back as the same double.
func exact(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
