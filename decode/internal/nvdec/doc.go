// Package nvdec decodes on the video engines of a CUDA device, through FFmpeg's cuda hwaccel. [Load] opens the driver,
// [Driver.Open] a device; [Device.Attach] makes a codec context decode there; [Take] gives a frame's address on the device and
// [Download] its samples.
//
// The driver is opened at run time, by FFmpeg and here: glibc gives both the library of that name that the process has loaded
// first. A device's primary context is shared with whoever else uses the device, and each codec context has a stream of its own,
// which is synchronised before a frame is handed on.
//
// What a frame needs (surface, decoder, stream, context) lives as long as its AVFrame does, whatever is closed before. Everything
// may be called from any goroutine, each codec context and each frame from one at a time.
package nvdec
