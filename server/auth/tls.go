package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLS says how connections are encrypted. The zero value: not at all.
type TLS struct {
	Cert     string // PEM file: certificate and its chain (tls.cert)
	Key      string // PEM file (tls.key)
	ClientCA string // PEM file: CAs whose client certificates are credentials; "": none are asked for (auth.client_ca)

	Logger *slog.Logger     // nil means slog.Default()
	Now    func() time.Time // nil means time.Now
}

// Config reads the files. nil: connections are not encrypted. Certificate and key are read again when they have changed, as they do when
// a certificate is renewed; the client CA is not. Certificates of clients are verified if they are sent; whether one is needed is for [Auth] to say,
// since a token does as well.
func (t TLS) Config() (*tls.Config, error) {
	if t.Cert == "" && t.Key == "" && t.ClientCA == "" {
		return nil, nil
	}
	if t.Cert == "" || t.Key == "" {
		return nil, errors.New("tls.cert and tls.key go together, and auth.client_ca needs them")
	}
	if t.Logger == nil {
		t.Logger = slog.Default()
	}
	if t.Now == nil {
		t.Now = time.Now
	}
	pair := &keyPair{from: t}
	if err := pair.read(); err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.current}
	if t.ClientCA != "" {
		text, err := os.ReadFile(t.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("auth.client_ca: %w", err)
		}
		cfg.ClientCAs = x509.NewCertPool()
		if !cfg.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("auth.client_ca: %s has no certificate in PEM form", t.ClientCA)
		}
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return cfg, nil
}

// pairInterval is how often certificate and key are looked at for changes.
const pairInterval = 10 * time.Second

// keyPair is the server's certificate with its key.
type keyPair struct {
	from TLS

	// mu guards the fields below. The files are read with it held, at most once a pairInterval.
	mu     sync.Mutex
	pair   *tls.Certificate
	stamps [2]stamp // of the files that were read, or that would not do
	looked time.Time
}

// read reads both files. Called with mu held, or before the pair is shared.
func (p *keyPair) read() error {
	p.stamps, p.looked = p.look(), p.from.Now()
	pair, err := tls.LoadX509KeyPair(p.from.Cert, p.from.Key)
	if err != nil {
		return fmt.Errorf("tls.cert %s and tls.key %s: %w", p.from.Cert, p.from.Key, err)
	}
	p.pair = &pair
	return nil
}

// look tells which files are there; what cannot be looked at is a file of its own kind.
func (p *keyPair) look() (stamps [2]stamp) {
	for i, name := range []string{p.from.Cert, p.from.Key} {
		stamps[i] = stamp{-1, -1}
		if info, err := os.Stat(name); err == nil {
			stamps[i] = stampOf(info)
		}
	}
	return stamps
}

// current is the certificate as of at most a pairInterval ago. Files that will not do leave the one of before in force.
func (p *keyPair) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from.Now().Sub(p.looked) < pairInterval {
		return p.pair, nil
	}
	p.looked = p.from.Now()
	if p.look() == p.stamps {
		return p.pair, nil
	}
	if err := p.read(); err != nil {
		p.from.Logger.Warn("certificate cannot be read again, that of before stays in force", "err", err)
	} else {
		p.from.Logger.Info("certificate read again", "file", p.from.Cert)
	}
	return p.pair, nil
}
