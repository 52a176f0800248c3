package gpu_test

import (
	"context"
	"fmt"

	"github.com/vqsd/vqsd/gpu"
	"github.com/vqsd/vqsd/vmaf"
)

// A device is opened once, a session for each format, and every batch gives its sums.
func Example() {
	device, err := gpu.Open(0, gpu.Config{})
	if err != nil {
		fmt.Println(err) // such as: no CUDA driver
		return
	}
	defer device.Close()

	format := vmaf.Format{Width: 576, Height: 324, BitsPerComponent: 8}
	session, err := device.NewSession(gpu.Plan{
		Format: format, Frames: 2, Renditions: 1, MotionDistances: []int{1}, VIFGains: []float64{100},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer session.Close()

	plane := func() *vmaf.Plane {
		return &vmaf.Plane{Data: make([]byte, 576*324), StrideBytes: 576, Width: 576, Height: 324}
	}
	first, second := plane(), plane()
	var sums gpu.Sums
	err = session.Measure(context.Background(), []gpu.Frame{
		{Reference: first, Distorted: []*vmaf.Plane{plane()}},
		{Reference: second, Previous: [2]*vmaf.Plane{first}, Distorted: []*vmaf.Plane{plane()}},
	}, &sums)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("motion of the second frame:", sums.Motion[1][0], "VIF of its only pair:", sums.VIF[0][1])
}
