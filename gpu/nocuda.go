//go:build !cuda

package gpu

import (
	"context"

	"github.com/vqsd/vqsd/vmaf"
)

// Probe answers [ErrNotBuilt].
func Probe() (Driver, []Info, error) { return Driver{}, nil, ErrNotBuilt }

// Device is what a build with CUDA opens. Here there is none.
type Device struct{}

// Open answers [ErrNotBuilt].
func Open(int, Config) (*Device, error) { return nil, ErrNotBuilt }

// Info describes no device.
func (*Device) Info() Info { return Info{} }

// Memory answers [ErrNotBuilt].
func (*Device) Memory() (free, total uint64, err error) { return 0, 0, ErrNotBuilt }

// UsedBytes is 0.
func (*Device) UsedBytes() int64 { return 0 }

// Err answers [ErrNotBuilt].
func (*Device) Err() error { return ErrNotBuilt }

// Trim does nothing.
func (*Device) Trim() error { return nil }

// Close does nothing.
func (*Device) Close() error { return nil }

// Upload is what a build with CUDA copies to a device. Here there is none.
type Upload struct{ Plane vmaf.Plane }

// Upload answers [ErrNotBuilt].
func (*Device) Upload(vmaf.Plane, int) (*Upload, error) { return nil, ErrNotBuilt }

// Close does nothing.
func (*Upload) Close() error { return nil }

// Bytes is 0: there are no sessions.
func (Plan) Bytes() int64 { return 0 }

// Session is what a build with CUDA measures with. Here there is none.
type Session struct{}

// NewSession answers [ErrNotBuilt].
func (*Device) NewSession(Plan) (*Session, error) { return nil, ErrNotBuilt }

// Measure answers [ErrNotBuilt].
func (*Session) Measure(context.Context, []Frame, *Sums) error { return ErrNotBuilt }

// Close does nothing.
func (*Session) Close() error { return nil }
