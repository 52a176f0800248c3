package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
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
	made    []string // what newHeatMaps made, any folder before the one that it is in
	written atomic.Int64
}

// newHeatMaps makes the folders, and checks that files can be made in them; [heatMaps.tidy] removes those that stay empty. names are those of the renditions.
func newHeatMaps(dir string, names []string) (*heatMaps, error) {
	h := &heatMaps{dir: dir}
	var errs []error
	for i, name := range folderNames(names) {
		folder := filepath.Join(dir, name)
		h.folders = append(h.folders, folder)
		h.made = append(missing(folder), h.made...)
		if err := os.MkdirAll(folder, 0o777); err != nil {
			errs = append(errs, fmt.Errorf("heat maps %s: %w", folder, bare(err)))
			continue
		}
		errs = append(errs, h.place(i, 0, 0).try())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, h.tidy())
	}
	return h, nil
}

// missing are the folders of a path that are not there, the innermost first.
func missing(path string) (list []string) {
	for {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return list
		}
		list, path = append(list, path), filepath.Dir(path)
	}
}

// tidy removes the folders that were made and that no map was written into, such as those of a video that could not be opened.
func (h *heatMaps) tidy() error {
	var errs []error
	for _, folder := range h.made {
		err := os.Remove(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) { // not there, or not empty
			errs = append(errs, fmt.Errorf("heat maps %s: %w", folder, bare(err)))
		}
	}
	return errors.Join(errs...)
}

// folderNames are the names of folders for renditions of some names, each its own: a name that several have, or that is no folder's, is
// followed by the rendition's number, once more for as long as another folder is called so.
func folderNames(names []string) []string {
	asked := map[string]int{}
	for _, name := range names {
		asked[name]++
	}
	folders := make([]string, len(names))
	taken := map[string]bool{}
	numbered := func(i int) bool { return asked[names[i]] > 1 || !filepath.IsLocal(names[i]) || names[i] == "." }
	for i, name := range names { // names of their own first: they stay as they are
		if !numbered(i) {
			folders[i], taken[name] = name, true
		}
	}
	for i, name := range names {
		if !numbered(i) {
			continue
		}
		for folders[i] == "" || taken[folders[i]] {
			name = fmt.Sprintf("%s-%d", name, i+1)
			folders[i] = name
		}
		taken[folders[i]] = true
	}
	return folders
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
