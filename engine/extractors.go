package engine

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/vmaf"
)

// maxIdleExtractors is how many extractors a comparison keeps for the next Extract. Chunks of one measurement mostly ask for the
// same, and the scratch memory of one is some tens of pictures.
const maxIdleExtractors = 2

// extractorKey is what an extractor is made for.
type extractorKey struct {
	format      vmaf.Format
	extractions string // their texts, which state every option
	renditions  int
	workers     int
}

// extractorPool keeps a few extractors that nobody uses. The zero value is ready.
type extractorPool struct {
	// mu guards the fields below
	mu   sync.Mutex
	idle []pooledExtractor // the latest used last
}

type pooledExtractor struct {
	Extractor
	key extractorKey
}

// get returns an extractor that is the caller's until it is put back or closed.
func (p *extractorPool) get(format vmaf.Format, extractions []vmaf.Extraction, renditions, workers int) (pooledExtractor, error) {
	texts := make([]string, len(extractions))
	for i, e := range extractions {
		texts[i] = e.String()
	}
	key := extractorKey{format, strings.Join(texts, "\n"), renditions, workers}
	p.mu.Lock()
	i := slices.IndexFunc(p.idle, func(e pooledExtractor) bool { return e.key == key })
	if i >= 0 {
		e := p.idle[i]
		p.idle = slices.Delete(p.idle, i, i+1)
		p.mu.Unlock()
		return e, nil
	}
	p.mu.Unlock()
	e, err := NewCPU(format, renditions, extractions, workers)
	return pooledExtractor{e, key}, err
}

// put takes back an extractor that nobody uses and that has had no error.
func (p *extractorPool) put(e pooledExtractor) error {
	var over Extractor
	p.mu.Lock()
	p.idle = append(p.idle, e)
	if len(p.idle) > maxIdleExtractors {
		over = p.idle[0].Extractor
		p.idle = slices.Delete(p.idle, 0, 1)
	}
	p.mu.Unlock()
	if over != nil {
		return over.Close()
	}
	return nil
}

// close closes all that are idle.
func (p *extractorPool) close() error {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	var errs []error
	for _, e := range idle {
		errs = append(errs, e.Close())
	}
	return errors.Join(errs...)
}

// Backend says what features are computed with on a device, as results state it: "cpu (avx512dl)". Its errors are [ErrDevice], and
// that of a VQSD_CPU that names no target of this machine.
func Backend(device Device) (string, error) {
	if _, err := ParseDevice(string(device)); err != nil {
		return "", err
	}
	if err := cpu.EnvironmentError(); err != nil {
		return "", err
	}
	return cpuBackend(), nil
}
