package legacy_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/vmaf"
)

func ExampleWrite() {
	table := &vmaf.Table{
		Frames: 2, Width: 1920, Height: 1080, FPS: 48.1,
		Series: []vmaf.Series{{Name: "VMAF_integer_feature_adm2_score", Values: []float64{0.9, 0.95}}, {Name: "vmaf", Values: []float64{80, 90}}},
	}
	if err := legacy.Write(os.Stdout, legacy.XML, table, legacy.WriteOptions{Version: "3.2.0"}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// <VMAF version="3.2.0">
	//   <params qualityWidth="1920" qualityHeight="1080" />
	//   <fyi fps="48.10" />
	//   <frames>
	//     <frame frameNum="0" integer_adm2="0.900000" vmaf="80.000000" />
	//     <frame frameNum="1" integer_adm2="0.950000" vmaf="90.000000" />
	//   </frames>
	//   <pooled_metrics>
	//     <metric name="integer_adm2" min="0.900000" max="0.950000" mean="0.925000" harmonic_mean="0.924675" />
	//     <metric name="vmaf" min="80.000000" max="90.000000" mean="85.000000" harmonic_mean="84.709302" />
	//   </pooled_metrics>
	//   <aggregate_metrics />
	// </VMAF>
}

func ExampleRead() {
	log, format, err := legacy.Read(strings.NewReader("Frame,integer_aim,vmaf,\n0,0.01,83.5,\n1,0.02,81.25,\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	vmaf, _ := log.Column("vmaf")
	fmt.Println(format, "of", log.Generation, log.Frames, vmaf.Values)
	// Output: csv of libvmaf 3.2.0 [0 1] [83.5 81.25]
}
