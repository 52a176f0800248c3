package engine

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/vqsd/vqsd/vmaf"
)

// maxIdleExtractors is how many extractors a pool keeps for the next run. Chunks of one measurement mostly ask for the same, and the
// scratch memory of one is some tens of pictures.
const maxIdleExtractors = 4

// extractorKey is what an extractor is made for.
type extractorKey struct {
	format      vmaf.Format
	extractions string // their texts, which state every option
	encoded     string // of each rendition
	device      string // of Backend.Name
	workers     int    // of the processor; a device has its own number
	surfaces    bool   // a decoder of the device delivers pictures, few at a time
}

// extractorPool keeps a few extractors that nobody uses. The zero value is ready.
type extractorPool struct {
	// mu guards the fields below
	mu     sync.Mutex
	idle   []pooledExtractor // the latest used last
	closed bool
}

type pooledExtractor struct {
	Extractor
	key extractorKey
}

// get returns an extractor that is the caller's until it is put back or closed: one that is idle, or what makes gives.
func (p *extractorPool) get(key extractorKey, extractions []vmaf.Extraction, makes func() (Extractor, error)) (pooledExtractor, error) {
	texts := make([]string, len(extractions))
	for i, e := range extractions {
		texts[i] = e.String()
	}
	key.extractions = strings.Join(texts, "\n")
	p.mu.Lock()
	i := slices.IndexFunc(p.idle, func(e pooledExtractor) bool { return e.key == key })
	if i >= 0 {
		e := p.idle[i]
		p.idle = slices.Delete(p.idle, i, i+1)
		p.mu.Unlock()
		return e, nil
	}
	p.mu.Unlock()
	e, err := makes()
	return pooledExtractor{e, key}, err
}

// put takes back an extractor that nobody uses and that has had no error.
func (p *extractorPool) put(e pooledExtractor) error {
	var over Extractor
	p.mu.Lock()
	if p.closed {
		over = e.Extractor
	} else if p.idle = append(p.idle, e); len(p.idle) > maxIdleExtractors {
		over = p.idle[0].Extractor
		p.idle = slices.Delete(p.idle, 0, 1)
	}
	p.mu.Unlock()
	if over != nil {
		return over.Close()
	}
	return nil
}

// empty closes all that are idle, and says whether there were any.
func (p *extractorPool) empty() (bool, error) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	var errs []error
	for _, e := range idle {
		errs = append(errs, e.Close())
	}
	return len(idle) > 0, errors.Join(errs...)
}

// close closes all that are idle; what is in use is closed when it is put back.
func (p *extractorPool) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_, err := p.empty()
	return err
}
