package vmaf_test

import (
	"fmt"
	"log"

	"github.com/vqsd/vqsd/vmaf"
)

// A plan for two models, its extractions as a backend would compute them, and the scores.
func Example() {
	plain, err := vmaf.ParseModel("version=vmaf_v0.6.1", nil)
	if err != nil {
		log.Fatal(err)
	}
	neg, err := vmaf.ParseModel("version=vmaf_v0.6.1neg:name=vmaf_neg", nil)
	if err != nil {
		log.Fatal(err)
	}
	plan, err := vmaf.NewPlan([]*vmaf.Model{plain, neg}, nil)
	if err != nil {
		log.Fatal(err)
	}
	const frames = 2
	format := vmaf.Format{Width: 576, Height: 324, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	var raw [][][]float64
	for _, e := range plan.Extractions {
		fmt.Println(e.Key(), e.Raw())
		var columns [][]float64
		for _, figure := range e.Raw() {
			value := 0.95 // as if every feature of every frame were that
			if figure == "sad" {
				value = 256 * 576 * 324 // every sample 1 brighter than before
			}
			columns = append(columns, []float64{value, value})
		}
		raw = append(raw, columns)
	}
	table, err := plan.Evaluate(raw, format, frames, 1)
	if err != nil {
		log.Fatal(err)
	}
	for i, s := range table.Series {
		if s.Name == plain.Name || s.Name == neg.Name {
			mean, _ := table.Pooled(i, vmaf.PoolMean)
			fmt.Printf("%s %.6f\n", s.Name, mean)
		}
	}
	// Output:
	// adm [adm2 aim adm3 adm_scale0 adm_scale1 adm_scale2 adm_scale3]
	// motion [sad]
	// vif [vif_scale0 vif_scale1 vif_scale2 vif_scale3]
	// adm_egl_1 [adm2 aim adm3 adm_scale0 adm_scale1 adm_scale2 adm_scale3]
	// vif_egl_1 [vif_scale0 vif_scale1 vif_scale2 vif_scale3]
	// vmaf 80.941064
	// vmaf_neg 80.941064
}

func ExampleParseExtraction() {
	e, err := vmaf.ParseExtraction("adm:adm_enhn_gain_limit=1.0:adm_csf_mode=2")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Key(), e.Float("adm_enhn_gain_limit"), e.Series()[0])
	_, err = vmaf.ParseExtraction("adm:adm_csf_mode=9")
	fmt.Println(err)
	// Output:
	// adm_csf_2_egl_1 1 integer_adm2_csf_2_egl_1
	// adm: adm_csf_mode=9: bad option value: outside 0 … 3
}

func ExamplePool() {
	scores := []float64{96, 91, 40, 93}
	for _, method := range []vmaf.PoolMethod{vmaf.PoolMean, vmaf.PoolHarmonicMean, "p5"} {
		v, err := vmaf.Pool(method, scores)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %.3f\n", method, v)
	}
	// Output:
	// mean 80.000
	// harmonic_mean 70.165
	// p5 47.650
}
