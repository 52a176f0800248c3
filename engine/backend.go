package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/gpu"
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/vmaf"
)

// BackendConfig says what computes features, and with how much.
type BackendConfig struct {
	Device Device // "" is auto
	// MemoryLimitBytes bounds what is taken of a GPU's memory, that of the driver and of decoders apart. 0: no bound but what is free.
	MemoryLimitBytes int64
	// BatchFrames is how many reference frames a GPU measures in one go. More keep a large GPU busy at small pictures, and take host
	// and device memory. 0: by picture size, number of renditions and free memory. Range 0–[MaxBatchFrames].
	BatchFrames int
	Decoding    Decoding
	Logger      *slog.Logger // nil: slog.Default()
}

// MaxBatchFrames is the most reference frames of a batch.
const MaxBatchFrames = 256

func (c *BackendConfig) validate() error {
	var errs []error
	if c.Device == "" {
		c.Device = DeviceAuto
	}
	if _, err := ParseDevice(string(c.Device)); err != nil {
		errs = append(errs, err)
	}
	if c.MemoryLimitBytes < 0 {
		errs = append(errs, fmt.Errorf("device memory limit: %d bytes is negative", c.MemoryLimitBytes))
	}
	if c.Decoding == "" {
		c.Decoding = DecodeAuto
	}
	if _, err := ParseDecoding(string(c.Decoding)); err != nil {
		errs = append(errs, fmt.Errorf("decoding: %w", err))
	}
	if c.BatchFrames < 0 || c.BatchFrames > MaxBatchFrames {
		errs = append(errs, fmt.Errorf("batch: %d frames is not in 0 … %d", c.BatchFrames, MaxBatchFrames))
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return errors.Join(errs...)
}

// Backend is what computes features, open and ready: the processor, or one GPU. Any number of comparisons may share it; it keeps
// a few idle extractors between them. The zero value is the processor. Its methods may be called from several goroutines at a time.
type Backend struct {
	cfg     BackendConfig
	device  *gpu.Device      // nil: the processor
	decoder *decode.Hardware // nil: software decodes
	pool    extractorPool

	noDecoder error // why decoder is nil although there is a device

	// mu guards the fields below
	mu     sync.Mutex
	notice string
	left   bool // the GPU failed, and auto goes on without it
}

// OpenBackend opens a device. Where cfg.Device is auto and there is no GPU, or none that works, it is the processor; [Backend.Notice] says
// why where there is more to say than that there is none.
//
// Errors: all that is wrong with the configuration; [ErrDevice] for a device that is not there or does not work, with the reason; that of
// a VQSD_CPU that names no target of this machine.
func OpenBackend(cfg BackendConfig) (*Backend, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := cpu.EnvironmentError(); err != nil {
		return nil, err
	}
	b := &Backend{cfg: cfg}
	if cfg.Device == DeviceCPU {
		return b, nil
	}
	err := b.openGPU()
	switch {
	case err == nil:
		return b, nil
	case !cfg.Device.isAuto():
		return nil, fmt.Errorf("%w: %s: %w", ErrDevice, cfg.Device, err)
	case isAbsent(err):
		cfg.Logger.Debug("no GPU to compute on", "err", err)
	default:
		b.notice = fmt.Sprintf("there is a GPU, but it cannot be used: %v", err)
	}
	return b, nil
}

// isAbsent says whether an error means that there is no GPU, rather than one that does not work.
func isAbsent(err error) bool {
	return errors.Is(err, gpu.ErrNotBuilt) || errors.Is(err, gpu.ErrNoDriver) || errors.Is(err, gpu.ErrNoDevice)
}

func (b *Backend) openGPU() error {
	_, devices, err := gpu.Probe()
	if err != nil {
		return err
	}
	n, _ := b.cfg.Device.ordinal()
	if n >= len(devices) {
		return fmt.Errorf("%w of number %d; there %s", gpu.ErrNoDevice, n, counted(len(devices)))
	}
	if b.device, err = gpu.Open(n, gpu.Config{MemoryLimitBytes: b.cfg.MemoryLimitBytes, Logger: b.cfg.Logger}); err != nil {
		return err
	}
	if b.cfg.Decoding == DecodeSoftware {
		return nil
	}
	if b.decoder, b.noDecoder = decode.OpenHardware(n); b.noDecoder != nil {
		b.cfg.Logger.Info("software decodes, and pictures are uploaded", "device", b.Name(), "err", b.noDecoder)
	}
	return nil
}

// hardware is what decodes on the device; nil: software decodes.
func (b *Backend) hardware() *decode.Hardware {
	if !b.onGPU() {
		return nil
	}
	return b.decoder
}

// NoDecoder says why software decodes although features are computed on a GPU; nil: the GPU's decoder does what it can, or there is no GPU.
func (b *Backend) NoDecoder() error { return b.noDecoder }

// decoders is how many decoder engines the device has, 1 where it does not say.
func (b *Backend) decoders() int {
	n := 1
	for _, c := range b.decoder.Capabilities() {
		n = max(n, c.Engines)
	}
	return n
}

func counted(devices int) string {
	switch devices {
	case 0:
		return "is none"
	case 1:
		return "is one, cuda:0"
	}
	return fmt.Sprintf("are cuda:0 to cuda:%d", devices-1)
}

// onGPU says whether features are computed on a GPU now.
func (b *Backend) onGPU() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.device != nil && !b.left
}

// Name is "cpu", or "cuda:N".
func (b *Backend) Name() string {
	if b.onGPU() {
		return string(CUDADevice(b.device.Info().Ordinal))
	}
	return string(DeviceCPU)
}

// Describe says what features are computed with, as results state it: "cpu (avx512dl)", "cuda (NVIDIA L4)".
func (b *Backend) Describe() string {
	if b.onGPU() {
		return describeGPU(b.device.Info())
	}
	return cpuBackend()
}

func describeGPU(info gpu.Info) string {
	if info.Emulated {
		return fmt.Sprintf("cuda (%s, emulated)", info.Name)
	}
	return fmt.Sprintf("cuda (%s)", info.Name)
}

// Notice says why auto computes on the processor although there is a GPU; "": nothing is to be said.
func (b *Backend) Notice() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.notice
}

// Err is not nil once the GPU has failed for good: its context takes no more work, and a process that is to use it again must be started anew.
// It wraps [ErrDeviceFailed].
func (b *Backend) Err() error {
	if b.device == nil {
		return nil
	}
	if err := b.device.Err(); err != nil {
		return &deviceError{err}
	}
	return nil
}

// ErrDeviceFailed is the error of a GPU that did not do what it was asked to: memory ran out, a launch failed, or it is gone. Nothing of
// the run that has it was measured.
var ErrDeviceFailed = errors.New("the GPU failed")

// deviceError marks errors of a device. Their text says enough.
type deviceError struct{ error }

func (e *deviceError) Is(target error) bool { return target == ErrDeviceFailed }
func (e *deviceError) Unwrap() error        { return e.error }

// leave has auto go on without its GPU. false: a GPU was asked for, and nothing else will do.
func (b *Backend) leave(why error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.device == nil || b.left || !b.cfg.Device.isAuto() {
		return false
	}
	b.left = true
	b.notice = fmt.Sprintf("%s failed, and the processor took over: %v", describeGPU(b.device.Info()), why)
	return true
}

// Close frees what the backend holds, and closes its GPU. Comparisons that use it must be closed before. It may be called twice.
func (b *Backend) Close() error {
	err := b.pool.close()
	if b.decoder != nil {
		err = errors.Join(err, b.decoder.Close())
	}
	if b.device != nil {
		err = errors.Join(err, b.device.Close())
	}
	return err
}

// extractor returns one that is the caller's until [Backend.putBack]. encoded has, for each rendition, what it was encoded in. surfaces says
// that a decoder of the device delivers pictures.
func (b *Backend) extractor(format vmaf.Format, extractions []vmaf.Extraction, encoded []vmaf.Encoded, threads int, surfaces bool) (pooledExtractor, error) {
	key := extractorKey{format: format, encoded: fmt.Sprint(encoded), device: b.Name()}
	if b.onGPU() {
		key.surfaces = surfaces
		return b.pool.get(key, extractions, func() (Extractor, error) { return b.newCUDA(format, extractions, encoded, surfaces) })
	}
	key.workers = threads
	return b.pool.get(key, extractions, func() (Extractor, error) { return NewCPU(format, encoded, extractions, threads) })
}

// newCUDA makes an extractor of as large batches as device memory allows.
func (b *Backend) newCUDA(format vmaf.Format, extractions []vmaf.Extraction, encoded []vmaf.Encoded, surfaces bool) (Extractor, error) {
	f, err := featuresOf(extractions, format, encoded)
	if err != nil {
		return nil, err
	}
	renditions := len(encoded)
	frames := b.cfg.BatchFrames
	if frames == 0 {
		frames = batchFrames(format, renditions)
		if surfaces {
			frames = min(frames, surfaceBatch)
		}
		if free, _, err := b.device.Memory(); err == nil {
			for frames > 1 && sessionsOfCUDA*f.plan(renditions, frames).Bytes() > int64(free/2) {
				frames /= 2
			}
		} // an error will come back from whatever is done next
	}
	for {
		e, err := newCUDA(b.device, f, renditions, frames)
		if err == nil {
			return e, nil
		}
		if !errors.Is(err, gpu.ErrOutOfMemory) {
			return nil, &deviceError{err}
		}
		emptied, closing := b.pool.empty()
		if closing != nil {
			return nil, &deviceError{errors.Join(err, closing)}
		}
		if !emptied {
			if frames == 1 {
				return nil, &deviceError{fmt.Errorf("one frame of %v with %d renditions: %w", format, renditions, err)}
			}
			frames /= 2
		}
	}
}

// putBack gives an extractor back, which may be used again only if nothing went wrong.
func (b *Backend) putBack(e pooledExtractor, good bool) error {
	if good {
		return b.pool.put(e)
	}
	return e.Close()
}
