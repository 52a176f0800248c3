//go:build cuda

package gpu

import (
	"context"

	"github.com/vqsd/vqsd/vmaf"
)

// Probe looks for the driver and its devices.
func Probe() (Driver, []Info, error) { return Driver{}, nil, ErrNoDriver }

// Device is an open device.
type Device struct{}

// Open opens a device.
func Open(ordinal int, cfg Config) (*Device, error) { return nil, ErrNoDriver }

// Info describes the device.
func (d *Device) Info() Info { return Info{} }

// Memory is the device's memory.
func (d *Device) Memory() (free, total uint64, err error) { return 0, 0, ErrNoDriver }

// UsedBytes is what this package has taken of the device's memory.
func (d *Device) UsedBytes() int64 { return 0 }

// Err is the error that ended the device's context, or nil.
func (d *Device) Err() error { return nil }

// Close closes the device.
func (d *Device) Close() error { return nil }

// Upload is a plane on the device.
type Upload struct{ Plane vmaf.Plane }

// Upload copies a plane of host memory to the device.
func (d *Device) Upload(p vmaf.Plane, bytesPerSample int) (*Upload, error) { return nil, ErrNoDriver }

// Close frees the plane.
func (u *Upload) Close() error { return nil }

// Bytes is the device memory that a session takes.
func (p Plan) Bytes() int64 { return 0 }

// Session measures batches.
type Session struct{}

// NewSession makes a session.
func (d *Device) NewSession(p Plan) (*Session, error) { return nil, ErrNoDriver }

// Measure measures a batch.
func (s *Session) Measure(ctx context.Context, frames []Frame, out *Sums) error { return ErrNoDriver }

// Close closes the session.
func (s *Session) Close() error { return nil }

type dim3 struct{ x, y, z int }

type kernel struct{}

func (d *Device) kernel(module, name string) (*kernel, error) { return nil, ErrNoDriver }

type stream struct{}

func (s *stream) launch(k *kernel, grid, block dim3, args ...uint64) error { return ErrNoDriver }
func (s *stream) zero(address uint64, bytes int64) error                   { return ErrNoDriver }

type memory struct{}

func (m *memory) alloc(what string, bytes int64) (uint64, error)  { return 0, ErrNoDriver }
func (m *memory) upload(what string, data []byte) (uint64, error) { return 0, ErrNoDriver }
