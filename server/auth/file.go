package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

const (
	maxFileBytes = 1 << 20
	minToken     = 16  // characters; shorter ones can be tried out
	maxToken     = 512 // bytes; headers are limited anyway
)

// document is the file's layout.
//
//	tokens:
//	  - name: farm                # who it is: measurements show it as their owner
//	    token: 7b6f…              # or sha256: the SHA-256 of the token, hexadecimal, so that the file holds no secret
//	    rights: [measure, read]
//	    media_roots: [clips]      # absent: all
//	certificates:
//	  - name: encoder-7
//	    subject: encoder-7.example.com   # the certificate's common name, or one of its DNS names, addresses or URIs
//	    rights: [measure, read]
type document struct {
	Tokens       []tokenEntry       `yaml:"tokens"`
	Certificates []certificateEntry `yaml:"certificates"`
}

type tokenEntry struct {
	Name       string   `yaml:"name"`
	Token      string   `yaml:"token"`
	SHA256     string   `yaml:"sha256"`
	Rights     []string `yaml:"rights"`
	MediaRoots []string `yaml:"media_roots"`
}

type certificateEntry struct {
	Name       string   `yaml:"name"`
	Subject    string   `yaml:"subject"`
	Rights     []string `yaml:"rights"`
	MediaRoots []string `yaml:"media_roots"`
}

// callers is what a file says.
type callers struct {
	tokens   []hashedToken
	subjects map[string]*Caller
	plain    bool // tokens are in the file as they are
}

type hashedToken struct {
	hash   [sha256.Size]byte
	caller *Caller
}

// stamp tells whether the file may have changed.
type stamp struct {
	size     int64
	modified int64
}

func stampOf(info fs.FileInfo) stamp { return stamp{info.Size(), info.ModTime().UnixNano()} }

// readFile reads and checks the file. roots are the names there are; nil: any.
func readFile(name string, roots []string) (_ *callers, _ stamp, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, stamp{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, stamp{}, err
	}
	if !info.Mode().IsRegular() {
		return nil, stamp{}, fmt.Errorf("%s is not a regular file", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, stamp{}, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > maxFileBytes {
		return nil, stamp{}, fmt.Errorf("%s is larger than 1 MiB", name)
	}
	c, err := parse(text, roots)
	if err != nil {
		return nil, stamp{}, fmt.Errorf("%s: %w", name, err)
	}
	mode := info.Mode().Perm()
	if mode&0o022 != 0 {
		return nil, stamp{}, fmt.Errorf("%s may be written by others than its owner (mode %#o): chmod go-w it", name, mode)
	}
	if c.plain && mode&0o077 != 0 {
		return nil, stamp{}, fmt.Errorf("%s holds plain tokens and may be read by others than its owner (mode %#o): chmod 600 it, or put sha256 in place of token", name, mode)
	}
	return c, stampOf(info), nil
}

// parse reads YAML or JSON and reports every problem. No message has anything of a token in it.
func parse(text []byte, roots []string) (*callers, error) {
	var doc document
	if err := yaml.UnmarshalWithOptions(text, &doc, yaml.Strict()); err != nil && !errors.Is(err, io.EOF) {
		return nil, withoutSource(err)
	}
	p := parser{roots: roots, names: map[string]bool{}}
	c := &callers{subjects: map[string]*Caller{}}
	hashes := map[[sha256.Size]byte]bool{}
	for i, e := range doc.Tokens {
		at := fmt.Sprintf("tokens[%d]", i)
		caller := p.caller(at, e.Name, e.Rights, e.MediaRoots)
		hash, ok := p.hash(at, e)
		if !ok {
			continue
		}
		if hashes[hash] {
			p.add("%s: the same token is listed before", at)
		}
		hashes[hash] = true
		c.plain = c.plain || e.Token != ""
		c.tokens = append(c.tokens, hashedToken{hash, caller})
	}
	for i, e := range doc.Certificates {
		at := fmt.Sprintf("certificates[%d]", i)
		caller := p.caller(at, e.Name, e.Rights, e.MediaRoots)
		switch {
		case e.Subject == "":
			p.add("%s.subject is missing: the certificate's common name or one of its alternative names", at)
		case c.subjects[e.Subject] != nil:
			p.add("%s: subject %q is listed before", at, e.Subject)
		}
		c.subjects[e.Subject] = caller
	}
	if len(doc.Tokens)+len(doc.Certificates) == 0 {
		p.add("no tokens and no certificates: nobody could call")
	}
	return c, errors.Join(p.errs...)
}

// withoutSource is the parser's error without the lines of the file that it quotes.
func withoutSource(err error) error {
	var e yaml.Error
	if !errors.As(err, &e) {
		return errors.New("it is not YAML, or not of the layout that is expected")
	}
	line := 0
	if t := e.GetToken(); t != nil && t.Position != nil {
		line = t.Position.Line
	}
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		return fmt.Errorf("line %d: unknown key; entries have name, token or sha256 (certificates: subject), rights and media_roots", line)
	}
	return fmt.Errorf("line %d: it is not YAML, or has a key twice, or is not of the layout that is expected", line)
}

type parser struct {
	roots []string
	names map[string]bool
	errs  []error
}

func (p *parser) add(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

func (p *parser) caller(at, name string, rights, roots []string) *Caller {
	c := &Caller{Name: name, Roots: roots}
	switch {
	case name == "":
		p.add("%s.name is missing: who it is", at)
	case len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
		p.add("%s.name has control characters, or more than 255 bytes", at)
	case p.names[name]:
		p.add("%s: name %q is listed before", at, name)
	}
	p.names[name] = true
	if len(rights) == 0 {
		p.add("%s.rights is missing: some of measure, read, admin", at)
	}
	for _, text := range rights {
		r, err := ParseRight(text)
		if err != nil {
			p.add("%s.rights: %w", at, err)
			continue
		}
		c.Rights = append(c.Rights, r)
	}
	for _, root := range roots {
		if p.roots != nil && !slices.Contains(p.roots, root) {
			p.add("%s.media_roots: there is no media root %q", at, root)
		}
	}
	return c
}

func (p *parser) hash(at string, e tokenEntry) (hash [sha256.Size]byte, ok bool) {
	switch {
	case (e.Token == "") == (e.SHA256 == ""):
		p.add("%s has to have one of token and sha256", at)
		return hash, false
	case e.SHA256 != "":
		raw, err := hex.DecodeString(e.SHA256)
		if err != nil || len(raw) != len(hash) {
			p.add("%s.sha256 is not 64 hexadecimal digits", at)
			return hash, false
		}
		copy(hash[:], raw)
		return hash, true
	case len(e.Token) < minToken || len(e.Token) > maxToken:
		p.add("%s.token has %d characters; %d to %d are allowed, because short ones can be guessed", at, len(e.Token), minToken, maxToken)
		return hash, false
	case strings.ContainsFunc(e.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		p.add("%s.token has characters that a header cannot carry: printable ASCII without spaces", at)
		return hash, false
	}
	return sha256.Sum256([]byte(e.Token)), true
}
