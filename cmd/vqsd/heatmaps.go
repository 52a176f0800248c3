package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/vqsd/vqsd/engine"
)

// mostHeatMaps is how many files of heat maps one run writes: two hours of one rendition, of every 25th frame, have 36,000.
const mostHeatMaps = 200_000

// heatMaps writes CAMBI's heat maps below a folder, each as a grey PNG of 16 bits in its rendition's own folder:
// DIR/RENDITION/frame000012_scale0.png. Any number of goroutines may write.
type heatMaps struct {
	dir     string
	folders []string // of the renditions
	written atomic.Int64
}

// newHeatMaps makes the folders, and checks that files can be made in them. names are those of the renditions.
func newHeatMaps(dir string, names []string) (*heatMaps, error) {
	h := &heatMaps{dir: dir}
	taken := map[string]int{}
	for _, name := range names {
		taken[name]++
	}
	var errs []error
	for i, name := range names {
		if taken[name] > 1 || !filepath.IsLocal(name) || name == "." {
			name = fmt.Sprintf("%s-%d", name, i+1)
		}
		folder := filepath.Join(dir, name)
		h.folders = append(h.folders, folder)
		if err := os.MkdirAll(folder, 0o777); err != nil {
			errs = append(errs, fmt.Errorf("heat maps %s: %w", folder, bare(err)))
			continue
		}
		errs = append(errs, h.place(i, 0, 0).try())
	}
	return h, errors.Join(errs...)
}

// place is where one map goes.
func (h *heatMaps) place(rendition int, frame int64, scale int) place {
	path := filepath.Join(h.folders[rendition], fmt.Sprintf("frame%06d_scale%d.png", frame, scale))
	return place{what: "heat map", path: path, target: path}
}

// write writes one map, all of it or nothing. A file of that name is replaced.
func (h *heatMaps) write(m engine.HeatMap) (err error) {
	if h.written.Add(1) > mostHeatMaps {
		return fmt.Errorf("heat maps %s: there would be more than %d files; measure fewer frames, with --frames or --subsample", h.dir, mostHeatMaps)
	}
	p := h.place(m.Rendition, m.Frame, m.Scale)
	f, err := p.create()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("heat map %s: %w", p.path, errors.Join(bare(err), os.Remove(f.Name())))
		}
	}()
	// Not synced: maps that a power cut takes can be made again, and there are thousands of them.
	w := bufio.NewWriter(f)
	if err := errors.Join(heatMapEncoder.Encode(w, grey(m)), w.Flush(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), p.target)
}

// heatMapEncoder packs lightly: most of a map is black.
var heatMapEncoder = png.Encoder{CompressionLevel: png.BestSpeed}

// grey is a map as a picture. PNG has the high byte of a sample first.
func grey(m engine.HeatMap) *image.Gray16 {
	picture := image.NewGray16(image.Rect(0, 0, m.Width, m.Height))
	for i, sample := range m.Samples {
		binary.BigEndian.PutUint16(picture.Pix[2*i:], sample)
	}
	return picture
}
