//go:build cuda

package gpu

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"

	"github.com/vqsd/vqsd/vmaf"
)

// Upload is a copy of a plane in the device's memory, as a decoder on the device would leave it.
type Upload struct {
	// Plane is the copy. It is valid until Close.
	Plane vmaf.Plane

	device  *Device
	address cu.DevicePtr
	bytes   int64
}

// Upload copies a plane of host memory to the device, where samples of bytesPerSample (1 or 2) keep their values. The caller closes it.
func (d *Device) Upload(p vmaf.Plane, bytesPerSample int) (*Upload, error) {
	row := p.Width * bytesPerSample
	switch {
	case bytesPerSample != 1 && bytesPerSample != 2:
		return nil, fmt.Errorf("upload: samples of %d bytes; must be 1 or 2", bytesPerSample)
	case p.Width < 1 || p.Height < 1 || p.StrideBytes < row:
		return nil, fmt.Errorf("upload: plane of %dx%d samples, rows %d bytes apart", p.Width, p.Height, p.StrideBytes)
	case len(p.Data) < row || (len(p.Data)-row)/p.StrideBytes < p.Height-1:
		return nil, fmt.Errorf("upload: %d bytes, too few for %d rows %d bytes apart", len(p.Data), p.Height, p.StrideBytes)
	}
	pitch := (row + pitchAlignment - 1) / pitchAlignment * pitchAlignment
	data := make([]byte, (p.Height-1)*pitch+row)
	copyRows(data, pitch, &p, row, p.Height)
	u := &Upload{device: d, bytes: int64(len(data))}
	err := d.do(func() (err error) {
		if u.address, err = d.pool.take("plane", u.bytes); err != nil {
			return err
		}
		if err := d.copyIn(u.address, data); err != nil {
			return errors.Join(err, d.unlessLost(d.pool.give(u.address, u.bytes)))
		}
		d.users.Add(1)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	u.Plane = vmaf.Plane{
		DeviceAddress: uint64(u.address), HighBits: p.HighBits, StrideBytes: pitch, Width: p.Width, Height: p.Height,
	}
	return u, nil
}

// copyRows copies the first rows of a plane of host memory to others pitch bytes apart.
func copyRows(to []byte, pitch int, p *vmaf.Plane, row, rows int) {
	for y := range rows {
		copy(to[y*pitch:y*pitch+row], p.Data[y*p.StrideBytes:])
	}
}

// Close frees the copy, which no session may be reading. It may be called twice.
func (u *Upload) Close() error {
	if u.address == 0 {
		return nil
	}
	address := u.address
	u.address, u.Plane = 0, vmaf.Plane{}
	defer u.device.users.Add(-1)
	return u.device.release(func() error { return u.device.pool.give(address, u.bytes) })
}
