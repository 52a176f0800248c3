package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/protocol"
	"github.com/vqsd/vqsd/workflow/rules"
)

// handlerConfig is how a worker's tasks are done.
type handlerConfig struct {
	Host   string            // names this machine, since file stamps mean something on one only; required
	Roots  map[string]string // media roots: folders by name; at least one
	Device engine.Device     // what features are computed on; "": the best there is
	// DeviceMemory bounds the GPU memory that is taken, in bytes. 0: no bound.
	DeviceMemory int64
	Decoding     engine.Decoding // what decodes for a GPU; "": auto
	Threads      int             // frames that each task measures at a time. 0: one a processor. Range 0–1024
	Limits       decode.Limits   // on what a file may cost
	// Keep is how many comparisons that no task uses stay open, so that the next chunk need not open and index its files. Each
	// holds its files, their indexes and decoders, and scratch memory of some tens of pictures. 0: 4. Range 0–64.
	Keep int
	// KeepFor is how long a comparison that no task uses stays open: the space of a file that was deleted is not free before. 0: one
	// minute.
	KeepFor time.Duration
	Logger  *slog.Logger // nil: slog.Default()
}

const (
	defaultKeep    = 4
	maxKeep        = 64
	defaultKeepFor = time.Minute
)

// validate reports every problem at once, and fills in defaults.
func (c *handlerConfig) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Host == "" {
		add("host: empty; give this machine a name")
	}
	if len(c.Roots) == 0 {
		add("media roots: none; name at least one folder with --media-root")
	}
	if c.Threads < 0 || c.Threads > engine.MaxThreads {
		add("threads: %d is not in 0 … %d", c.Threads, engine.MaxThreads)
	}
	if c.Keep < 0 || c.Keep > maxKeep {
		add("comparisons kept open: %d is not in 0 … %d", c.Keep, maxKeep)
	}
	if c.KeepFor < 0 {
		add("time that comparisons are kept open: %v is negative", c.KeepFor)
	}
	if c.Device == "" {
		c.Device = engine.DeviceAuto
	}
	if c.Threads == 0 {
		c.Threads = min(runtime.GOMAXPROCS(0), engine.MaxThreads)
	}
	if c.Keep == 0 {
		c.Keep = defaultKeep
	}
	if c.KeepFor == 0 {
		c.KeepFor = defaultKeepFor
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return errors.Join(errs...)
}

// handler does a worker's tasks with the engine: the only part of a daemon that opens media. Media are opened within their root
// alone. Between tasks it keeps comparisons open and remembers fingerprints, both by the stamps of the files.
type handler struct {
	cfg     handlerConfig
	backend *engine.Backend
	roots   *mediaRoots
	cache   *comparisonCache

	// mu guards the fields below
	mu     sync.Mutex
	prints map[printKey]printed
}

// printKey is a file whose fingerprint is remembered, and how much of it was read.
type printKey struct {
	root, path string
	full       bool
}

// printed is the fingerprint of a file as of a stamp.
type printed struct {
	stamp engine.Stamp
	sum   store.Fingerprint
}

// maxPrints is how many fingerprints are remembered; some hundred bytes each.
const maxPrints = 10_000

var _ protocol.Handler = (*handler)(nil)

// newHandler opens the media roots. Its errors are those of the configuration, all of them at once, that a root is no folder that can
// be opened, and [engine.ErrDevice].
func newHandler(cfg handlerConfig) (_ *handler, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	h := &handler{cfg: cfg, prints: map[printKey]printed{}}
	h.cache = newComparisonCache(cfg.Keep, cfg.KeepFor, cfg.Logger)
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.backend, err = engine.OpenBackend(engine.BackendConfig{Device: cfg.Device, MemoryLimitBytes: cfg.DeviceMemory, Decoding: cfg.Decoding, Logger: cfg.Logger}); err != nil {
		return nil, err
	}
	if notice := h.backend.Notice(); notice != "" {
		cfg.Logger.Warn("computing on the processor", "reason", notice)
	}
	if h.roots, err = openMediaRoots(cfg.Roots); err != nil {
		return nil, err
	}
	return h, nil
}

// Device says what figures are computed on.
func (h *handler) Device() protocol.Device {
	return protocol.Device{Name: h.backend.Name(), Backend: h.backend.Describe(), Threads: h.cfg.Threads}
}

// Broken says that the GPU takes no more work.
func (h *handler) Broken() error { return h.backend.Err() }

// Close closes what no task uses, and the media roots. Tasks that still run close what they use. It may be called twice.
func (h *handler) Close() error {
	err := h.cache.close()
	if h.roots != nil {
		err = errors.Join(err, h.roots.close())
	}
	if h.backend != nil {
		err = errors.Join(err, h.backend.Close())
	}
	return err
}

// mediaFile is one file of a comparison as a task found it.
type mediaFile struct {
	source  store.Source
	in      decode.Input
	stamp   engine.Stamp
	print   store.Fingerprint // "": not asked for
	failure *protocol.Error   // why it cannot be used
}

// file is what is told of it.
func (m *mediaFile) file(host string) store.File {
	f := store.File{Source: m.source, Host: host, Fingerprint: m.print}
	if m.failure == nil {
		f.Stamp = storedStamp(m.stamp)
	}
	return f
}

// is says whether a file that the daemon knows is this one, unchanged: it was seen by this host with the same stamp.
func (m *mediaFile) is(f *store.File, host string) bool {
	now := m.file(host)
	return m.failure == nil && f.Host == host && f.Source.Root == m.source.Root && f.Source.Path == m.source.Path &&
		f.Source.Raw == m.source.Raw && f.Stamp == now.Stamp
}

// find looks up a source within its media root, without opening it.
func (h *handler) find(source store.Source) *mediaFile {
	m := &mediaFile{source: source}
	root, err := h.roots.named(source.Root)
	path := filepath.FromSlash(source.Path)
	switch {
	case err != nil: // it may be mounted again soon, and another worker may have it
		m.failure = failureOf(err)
		m.failure.Transient = true
		return m
	case root == nil:
		m.failure = &protocol.Error{Reason: store.ReasonDenied, Transient: true, // another worker may have it
			Message: fmt.Sprintf("%s: this worker has no media root of that name; start it with the same --media-root as the others", source.URI)}
		return m
	case !filepath.IsLocal(path):
		m.failure = &protocol.Error{Reason: store.ReasonDenied, Message: source.URI + ": leaves its media root"}
		return m
	}
	if path == "-" {
		path = "./-" // a file of that name, not standard input
	}
	m.in = decode.Input{Path: path, Root: root}
	if source.Raw != "" {
		raw, err := decode.ParseRawFormat(source.Raw)
		if err != nil {
			m.failure = &protocol.Error{Reason: store.ReasonInvalid, Message: err.Error()}
			return m
		}
		m.in.Raw = &raw
	}
	stamp, err := engine.StampOf(m.in)
	if err != nil {
		m.failure = failureOf(err)
		return m
	}
	m.stamp = stamp
	return m
}

// findAll looks up the reference and then the renditions.
func (h *handler) findAll(c *protocol.Comparison) []*mediaFile {
	files := []*mediaFile{h.find(c.Reference)}
	for _, source := range c.Renditions {
		files = append(files, h.find(source))
	}
	return files
}

// fingerprint finds out what is in a file, unless that is remembered. Its error is ctx's; others become the file's failure.
func (h *handler) fingerprint(ctx context.Context, m *mediaFile, full bool) error {
	if m.failure != nil || m.print != "" {
		return nil
	}
	if sum, ok := h.remembered(m, full); ok {
		m.print = sum
		return nil
	}
	sum, stamp, err := engine.Fingerprint(ctx, m.in, full)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		m.failure = failureOf(err)
		m.failure.Transient = m.failure.Transient || m.failure.Reason == store.ReasonChanged // it may be complete soon
		return nil
	}
	m.stamp, m.print = stamp, store.Fingerprint(sum)
	h.remember(m, full)
	return nil
}

// ofAllBytes says whether a fingerprint is one of all bytes.
func ofAllBytes(f store.Fingerprint) bool { return strings.HasPrefix(string(f), "sha256:") }

func (h *handler) remembered(m *mediaFile, full bool) (store.Fingerprint, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.prints[printKey{m.source.Root, m.source.Path, full}]
	if full && known.stamp != m.stamp {
		known = h.prints[printKey{m.source.Root, m.source.Path, false}] // a small file is always read whole
		if !ofAllBytes(known.sum) {
			return "", false
		}
	}
	return known.sum, known.sum != "" && known.stamp == m.stamp
}

func (h *handler) remember(m *mediaFile, full bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k := range h.prints {
		if len(h.prints) < maxPrints {
			break
		}
		delete(h.prints, k) // whichever: one that is needed is computed again
	}
	h.prints[printKey{m.source.Root, m.source.Path, full}] = printed{m.stamp, m.print}
}

// fingerprintReaders is how many files are read side by side for their fingerprints.
const fingerprintReaders = 4

// Inspect tells what the media are and what would be compared with what. It leaves the comparison open for the chunks to come.
func (h *handler) Inspect(ctx context.Context, c protocol.Comparison, task protocol.Inspect) (*protocol.Inspection, error) {
	if err := checkComparison(&c); err != nil {
		return nil, err
	}
	files := h.findAll(&c)
	for _, m := range files {
		i := slices.IndexFunc(task.Known, func(f store.File) bool {
			return m.is(&f, h.cfg.Host) && f.Fingerprint != "" && (!c.FullHash || ofAllBytes(f.Fingerprint))
		})
		if i >= 0 {
			m.print = task.Known[i].Fingerprint
			h.remember(m, ofAllBytes(m.print))
		}
	}
	if task.Described && !slices.ContainsFunc(files, func(m *mediaFile) bool { return m.failure != nil || m.print == "" }) {
		return h.unchanged(files), nil
	}
	var readers errgroup.Group
	readers.SetLimit(fingerprintReaders)
	for _, m := range files {
		readers.Go(func() error { return h.fingerprint(ctx, m, c.FullHash) })
	}
	if err := readers.Wait(); err != nil {
		return nil, err
	}
	if files[0].failure != nil {
		return nil, files[0].failure
	}
	if !slices.ContainsFunc(files[1:], func(m *mediaFile) bool { return m.failure == nil }) {
		return h.referenceAlone(ctx, files)
	}
	opened, _, err := h.open(ctx, &c, files)
	if err != nil {
		return nil, err
	}
	defer h.cache.release(opened)
	return h.inspection(&c, files, opened), nil
}

// referenceAlone is the inspection of a reference beside which no rendition can be used.
func (h *handler) referenceAlone(ctx context.Context, files []*mediaFile) (_ *protocol.Inspection, err error) {
	video, err := decode.Open(ctx, files[0].in, decode.Config{LumaOnly: true, Limits: h.cfg.Limits})
	switch {
	case ctx.Err() != nil:
		return nil, errors.Join(ctx.Err(), closeVideo(video))
	case err != nil:
		return nil, failureOf(err)
	}
	out := &protocol.Inspection{Reference: storedVideo(video.Info()), ReferenceFile: files[0].file(h.cfg.Host), Backend: h.backend.Describe()}
	for _, m := range files[1:] {
		out.Renditions = append(out.Renditions, protocol.InspectedVideo{Failure: m.failure, File: m.file(h.cfg.Host)})
	}
	return out, closeVideo(video)
}

func closeVideo(v *decode.Video) error {
	if v == nil {
		return nil
	}
	return v.Close()
}

// unchanged says that every file is known.
func (h *handler) unchanged(files []*mediaFile) *protocol.Inspection {
	out := &protocol.Inspection{Unchanged: true, ReferenceFile: files[0].file(h.cfg.Host), Backend: h.backend.Describe()}
	for _, m := range files[1:] {
		out.Renditions = append(out.Renditions, protocol.InspectedVideo{File: m.file(h.cfg.Host)})
	}
	return out
}

// checkComparison refuses what a daemon of this version does not send.
func checkComparison(c *protocol.Comparison) error {
	n := len(c.Renditions)
	if n < 1 || n > engine.MaxRenditions || len(c.Scales) != n || len(c.Geometries) != n || len(c.Encodeds) != n || len(c.RenditionFiles) != 0 && len(c.RenditionFiles) != n {
		return fmt.Errorf("a comparison of %d renditions with %d scales, %d geometries, %d encodings and %d files", n, len(c.Scales), len(c.Geometries), len(c.Encodeds), len(c.RenditionFiles))
	}
	return nil
}

// open opens the files of a comparison that can be used, or takes the comparison that is open already. Its errors are ctx's and
// *protocol.Error. The caller releases what it gets.
func (h *handler) open(ctx context.Context, c *protocol.Comparison, files []*mediaFile) (opened *openComparison, reused bool, err error) {
	request, index, failure := h.request(c, files)
	if failure != nil {
		return nil, false, failure
	}
	opened, reused, err = h.cache.acquire(ctx, cacheKey(c, files, index), func(ctx context.Context) (*liveComparison, error) {
		e, err := engine.Open(ctx, request)
		if err != nil {
			return nil, err
		}
		return &liveComparison{engine: e, description: e.Describe(), index: index}, nil
	})
	if err == nil {
		err = opened.checkStamps(files)
		if err != nil {
			h.cache.spoil(opened)
			h.cache.release(opened)
		}
	}
	switch {
	case err == nil:
		return opened, reused, nil
	case ctx.Err() != nil:
		return nil, false, ctx.Err()
	}
	return nil, false, openFailure(err)
}

// request is what the engine is asked to open: the files that can be used. index tells, for each rendition of the comparison, its number
// in the request; −1: it cannot be used.
func (h *handler) request(c *protocol.Comparison, files []*mediaFile) (r engine.Request, index []int, failure *protocol.Error) {
	invalid := func(err error) (engine.Request, []int, *protocol.Error) {
		return r, nil, &protocol.Error{Reason: store.ReasonInvalid, Message: err.Error()}
	}
	r = engine.Request{
		Reference: files[0].in, Shortest: c.Shortest, Offset: c.Offset, First: c.First, End: c.End, Subsample: c.Subsample,
		Chroma: c.Chroma, Threads: h.cfg.Threads, Backend: h.backend, Limits: h.cfg.Limits, Logger: h.cfg.Logger,
	}
	var err error
	if r.Pairing, err = engine.ParsePairing(cmp.Or(c.Pairing, "auto")); err != nil {
		return invalid(err)
	}
	switch c.OnDamage {
	case "", decode.Strict.String():
	case decode.Conceal.String():
		r.OnDamage = decode.Conceal
	default:
		return invalid(fmt.Errorf("what to do on damage: %q is neither strict nor conceal", c.OnDamage))
	}
	if c.Crop != nil {
		r.Crop = &decode.Rect{X: c.Crop.X, Y: c.Crop.Y, Width: c.Crop.Width, Height: c.Crop.Height}
	}
	for k, m := range files[1:] {
		if m.failure != nil {
			index = append(index, -1)
			continue
		}
		treatment := engine.Treatment{BitsPerComponent: c.BitDepth}
		encoded, err := rules.ParseEncoded(c.Encodeds[k])
		if err != nil {
			return invalid(err)
		}
		treatment.EncodedByFile, treatment.Encoded = encoded.Auto, vmafEncoded(encoded)
		if c.Scales[k] != "" {
			filter, err := decode.ParseScaleFilter(c.Scales[k])
			if err != nil {
				return invalid(err)
			}
			treatment.Scale = &filter
		}
		if g := c.Geometries[k]; g != (store.Size{}) {
			treatment.Geometry = &engine.Size{Width: g.Width, Height: g.Height}
		}
		index = append(index, len(r.Distorted))
		r.Distorted = append(r.Distorted, m.in)
		r.Treatments = append(r.Treatments, treatment)
	}
	return r, index, nil
}

// parseExtractions reads what a chunk task asks for.
func parseExtractions(texts []string) ([]vmaf.Extraction, error) {
	var list []vmaf.Extraction
	for _, text := range texts {
		e, err := vmaf.ParseExtraction(text)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}
