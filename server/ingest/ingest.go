package ingest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"path"
	"strings"
	"time"

	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/server/record"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// ErrForm is wrapped by errors of [Read] that say a file does not have the form that it should have.
var ErrForm = errors.New("another form")

// File is what is known of a file beside its content. Where the content says something else, as a record does, that counts.
type File struct {
	Name      string            // for messages and provenance; its base names the rendition where nothing else does
	Format    string            // as packages legacy and record name them; "": the content tells
	Reference string            // the reference's URI; "": unknown
	Distorted string            // the distorted video's
	Rendition string            // what it is called; "": the base of Distorted, else of Name, without extension
	Labels    map[string]string // beside those of a record
	Measured  time.Time         // zero: as the content says, else unknown
	// Resolve turns a URI into a source. It does not fail: what is below no media root is a source without one. nil: there are no roots.
	Resolve func(uri string) store.Source
}

// Limits bound what [Read] accepts and with that its memory. A zero field means its default.
type Limits struct {
	Bytes  int64 // of a file; default 256 MiB
	Frames int   // up to the last listed one; default 4,194,304 (46 hours at 25 a second)
	Series int   // default 512
	Cells  int   // series × frames; default 16,777,216, which take about 300 MiB
}

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 256 << 20
	}
	if l.Frames == 0 {
		l.Frames = 1 << 22
	}
	if l.Series == 0 {
		l.Series = 512
	}
	if l.Cells == 0 {
		l.Cells = 1 << 24
	}
	return l
}

// SizeKey is the configuration's name of Limits.Bytes, which errors tell.
const SizeKey = "limits.import_size"

// Content is what one file comes to.
type Content struct {
	Request workflow.ImportRequest // but for its owner
	Listed  int64                  // frames that have figures
}

// Read reads a file to its end. Errors: a *[legacy.ReadError] or *[record.ReadError] says what is wrong where; [ErrForm]; a *[workflow.LimitError] for a
// file that is too long; what r returned.
func Read(r io.Reader, f File, limits Limits) (*Content, error) {
	limits = limits.withDefaults()
	in := &counted{r: r, digest: sha256.New(), left: limits.Bytes, max: limits.Bytes}
	buffered := bufio.NewReaderSize(in, 64<<10)
	var c *Content
	var err error
	if f.Format == record.Form || f.Format == "" && looksLikeRecord(buffered) {
		c, err = readRecord(buffered, limits)
	} else {
		c, err = readLog(buffered, f, limits)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, buffered) // what readers leave of the end belongs to the digest, too
	}
	if in.err != nil && !errors.Is(in.err, io.EOF) {
		return nil, in.err // no line of the file is to blame
	}
	if err != nil {
		return nil, err
	}
	f.complete(&c.Request)
	c.Request.Imported.File, c.Request.Imported.Digest = f.Name, hex.EncodeToString(in.digest.Sum(nil))
	return c, nil
}

// counted digests what is read, and lets only so much through.
type counted struct {
	r         io.Reader
	digest    hash.Hash
	left, max int64
	err       error // what ended it
}

func (c *counted) Read(p []byte) (n int, err error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err = c.r.Read(p)
	c.digest.Write(p[:n])
	if c.left -= int64(n); c.left < 0 {
		n, err = 0, &workflow.LimitError{Key: SizeKey, Max: c.max, What: "bytes in the file"}
	}
	c.err = err
	return n, err
}

// looksLikeRecord says whether the beginning of a file names the schema of records.
func looksLikeRecord(r *bufio.Reader) bool {
	const enough = 4096 // bytes; records name it first
	head, err := r.Peek(enough)
	if err != nil && len(head) == 0 {
		return false // whatever it is, the reader of logs says so
	}
	name, _, _ := strings.Cut(record.SchemaName, "/") // of whichever version
	return bytes.Contains(head, []byte(`"`+name+"/"))
}

func readRecord(r io.Reader, limits Limits) (*Content, error) {
	d, err := record.Read(r, record.Limits{Bytes: limits.Bytes, Frames: limits.Frames, Names: limits.Series, Cells: limits.Cells})
	if err != nil {
		return nil, err
	}
	request, err := d.ImportRequest()
	if err != nil {
		return nil, err
	}
	c := &Content{Request: request, Listed: request.Imported.Frames}
	if request.Table != nil {
		c.Listed = listed(request.Table)
	}
	return c, nil
}

// complete fills in what is known beside the content.
func (f *File) complete(r *workflow.ImportRequest) {
	resolve := f.Resolve
	if resolve == nil {
		resolve = Unrooted
	}
	source := func(of *store.Source, otherwise string) {
		uri, raw := of.URI, of.Raw
		if uri == "" {
			uri = otherwise
		}
		*of = store.Source{}
		if uri != "" {
			*of = resolve(uri)
		}
		of.Raw = raw
	}
	source(&r.Reference, f.Reference)
	source(&r.Rendition.Source, f.Distorted)
	if r.Rendition.Name == "" {
		r.Rendition.Name = f.Rendition
	}
	if r.Rendition.Name == "" && r.Rendition.Source.URI != "" {
		r.Rendition.Name = stem(r.Rendition.Source.Path)
	}
	if r.Rendition.Name == "" {
		r.Rendition.Name = stem(f.Name)
	}
	labels := maps.Clone(f.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, r.Labels)
	r.Labels = labels
	if r.Measured.IsZero() {
		r.Measured = f.Measured
	}
}

// Unrooted is a source that lies below no media root.
func Unrooted(uri string) store.Source { return store.Source{Path: uri, URI: uri} }

// stem is a file's name without folders and extension.
func stem(name string) string {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	if s := strings.TrimSuffix(base, path.Ext(base)); s != "" {
		return s
	}
	return base
}

// readLog reads a form of package legacy.
func readLog(r io.Reader, f File, limits Limits) (*Content, error) {
	if f.Format != "" {
		if _, err := legacy.ParseFormat(f.Format); err != nil {
			return nil, fmt.Errorf("%w: %w, or %s, which is no log", ErrForm, err, record.Form)
		}
	}
	log, form, err := legacy.ReadLimited(r, legacy.Limits{Bytes: limits.Bytes, Frames: limits.Frames, Names: limits.Series, Cells: limits.Cells})
	if err != nil {
		return nil, err
	}
	if f.Format != "" && !strings.EqualFold(f.Format, form.String()) {
		return nil, fmt.Errorf("%w: the file has the form %s, and %s was to be expected", ErrForm, form, f.Format)
	}
	return &Content{Request: requestOf(log, form), Listed: int64(len(log.Frames))}, nil
}
