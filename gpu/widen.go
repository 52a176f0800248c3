//go:build cuda

package gpu

// The launch shape of kernels/cuda/widen.cu.
const (
	widenThreads = 128
	widenGroup   = 4 // samples of a thread
)

// widenPicture has a picture of 8 bits that lies on the device, as [vmaf.Plane.Widened] says, written to a place at the plan's depth.
func (s *stage) widenPicture(st *stream, picture hostPicture, to place) error {
	luma, up := picture.luma, int(picture.luma.Widened)
	args := []uint64{
		luma.DeviceAddress, uint64(luma.StrideBytes), to.luma, uint64(s.luma.pitchBytes),
		uint64(s.luma.rowBytes / 2), uint64(s.luma.rows), uint64(widenDown(up, luma.WidenedRepeat)),
	}
	planes := 1
	if first := picture.chroma[0]; first != nil {
		planes = 3
		args = append(args,
			first.DeviceAddress, picture.chroma[1].DeviceAddress, uint64(first.StrideBytes), uint64(stepOf(first)),
			to.chroma[0], to.chroma[1], uint64(s.chroma.pitchBytes), uint64(s.chroma.rowBytes/2), uint64(s.chroma.rows))
	} else {
		args = append(args, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	args = append(args, uint64(up))
	columns := widenThreads * widenGroup
	return st.launch(s.widen, dim3{(s.luma.rowBytes/2 + columns - 1) / columns, s.luma.rows, planes}, dim3{widenThreads, 1, 1}, args...)
}

// widenDown is by how much a sample is shifted right for its lower bits; by all of its own where they are to be zero.
func widenDown(up int, repeat bool) int {
	if repeat {
		return 8 - up
	}
	return 8
}
