package engine

import (
	"github.com/vqsd/vqsd/gpu"
	"github.com/vqsd/vqsd/vmaf"
)

// NewExtractor makes an extractor on the backend's device for pictures that the caller has already: in host memory, or in the
// memory of [Backend.GPU]. The renditions were encoded in the format that they are compared in. threads is how many frames the processor measures at a time. The caller closes it, before the backend.
func (b *Backend) NewExtractor(format vmaf.Format, extractions []vmaf.Extraction, renditions, threads int) (Extractor, error) {
	encoded := make([]vmaf.Encoded, renditions)
	if b.onGPU() {
		return b.newCUDA(format, extractions, encoded, false)
	}
	return NewCPU(format, encoded, extractions, threads)
}

// GPU is the device that computes, which stays the backend's; nil: the processor does.
func (b *Backend) GPU() *gpu.Device {
	if b.onGPU() {
		return b.device
	}
	return nil
}
