package rules_test

import (
	"fmt"

	"github.com/vqsd/vqsd/workflow/rules"
)

func Example() {
	set, err := rules.Parse("farm.yaml", []byte(`
rules:
  - name: default
    when: "true"
    then: {models: [vmaf_v0.6.1]}
  - name: live
    doc: Whoever waits for a live channel waits for the first chunk.
    when: has(request.labels.channel) && reference.frame_rate >= 48
    then: {class: latency, chunk_seconds: 1}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	ref := rules.Video{Width: 1920, Height: 1080, FrameRate: 50}
	request := rules.Request{ModelsAuto: true, Labels: map[string]string{"channel": "sports"}}
	d, err := set.Decide(ref, []rules.Video{{Width: 1280, Height: 720, FrameRate: 50}}, request)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.Models[0].Value, "by", d.Models[0].Rule)
	fmt.Println(d.Class.Value, "by", d.Class.Rule)
	fmt.Println(d.ChunkFrames.Value, "frames by", d.ChunkFrames.Rule)
	// Output:
	// vmaf_v0.6.1 by default
	// latency by live
	// 50 frames by live
}
