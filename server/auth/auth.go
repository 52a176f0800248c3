package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// ErrUnauthenticated says that credentials are missing or wrong, and nothing about what is wrong with them.
var ErrUnauthenticated = errors.New("no or wrong credentials: send a bearer token in the authorization header, or a client certificate")

// Config says how callers are told. The zero value: authentication is off.
type Config struct {
	// File lists tokens and certificates (YAML or JSON). "": there is none.
	File string
	// Certificates says that client certificates, verified by the TLS configuration, are credentials. With a File it has to list them; without
	// one, everybody with a certificate of the client CA may everything.
	Certificates bool
	// Roots are the names of the media roots, for checking the File. nil: any name will do.
	Roots []string
	// Interval is how often the file is looked at for changes. 0 means 2 s.
	Interval time.Duration
	Logger   *slog.Logger     // nil means slog.Default()
	Now      func() time.Time // nil means time.Now
}

// Auth tells callers by their credentials.
type Auth struct {
	cfg Config

	// mu guards the fields below. The file is read with it held, at most once an Interval.
	mu     sync.Mutex
	known  *callers
	stamp  stamp
	failed stamp // of a file that would not do, so that it is complained about once
	looked time.Time
}

// Open reads the file. Errors name every problem of it, and nothing of a token.
func Open(cfg Config) (*Auth, error) {
	if cfg.Interval == 0 {
		cfg.Interval = 2 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := &Auth{cfg: cfg, known: &callers{}, looked: cfg.Now()}
	if cfg.File == "" {
		return a, nil
	}
	var err error
	if a.known, a.stamp, err = readFile(cfg.File, cfg.Roots); err != nil {
		return nil, fmt.Errorf("auth.tokens: %w", err)
	}
	if len(a.known.subjects) > 0 && !cfg.Certificates {
		return nil, fmt.Errorf("auth.tokens: %s lists certificates, but without auth.client_ca none is asked for", cfg.File)
	}
	return a, nil
}

// Required says whether callers need credentials.
func (a *Auth) Required() bool { return a.cfg.File != "" || a.cfg.Certificates }

// Authenticate tells who it is by a bearer token ("": none) and by a client certificate that was verified (nil: none). A token goes before
// a certificate. Errors: [ErrUnauthenticated].
func (a *Auth) Authenticate(token string, certificate *x509.Certificate) (*Caller, error) {
	if !a.Required() {
		return anyone, nil
	}
	known := a.current()
	if token != "" {
		if c := known.byToken(token); c != nil {
			return c, nil
		}
		return nil, ErrUnauthenticated
	}
	if certificate == nil || !a.cfg.Certificates {
		return nil, ErrUnauthenticated
	}
	if a.cfg.File == "" {
		return &Caller{Name: subjects(certificate)[0], Rights: AllRights()}, nil
	}
	for _, subject := range subjects(certificate) {
		if c := known.subjects[subject]; c != nil {
			return c, nil
		}
	}
	return nil, ErrUnauthenticated
}

// byToken compares with every token, whichever fits, so that the time it takes tells nothing.
func (c *callers) byToken(token string) (found *Caller) {
	if len(token) > maxToken {
		return nil
	}
	hash := sha256.Sum256([]byte(token))
	for i := range c.tokens {
		if subtle.ConstantTimeCompare(c.tokens[i].hash[:], hash[:]) == 1 {
			found = c.tokens[i].caller
		}
	}
	return found
}

// subjects are the names of a certificate, its common name first. There is always one: at worst the serial number.
func subjects(c *x509.Certificate) []string {
	var list []string
	if c.Subject.CommonName != "" {
		list = append(list, c.Subject.CommonName)
	}
	list = append(list, c.DNSNames...)
	list = append(list, c.EmailAddresses...)
	for _, u := range c.URIs {
		list = append(list, u.String())
	}
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	if len(list) == 0 {
		list = append(list, "serial "+c.SerialNumber.String())
	}
	return list
}

// current is what the file says, as of at most an Interval ago.
func (a *Auth) current() *callers {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.cfg.Now()
	if a.cfg.File == "" || now.Sub(a.looked) < a.cfg.Interval {
		return a.known
	}
	a.looked = now
	info, err := os.Stat(a.cfg.File)
	switch {
	case err != nil:
		a.complain(stamp{-1, -1}, err)
		return a.known
	case stampOf(info) == a.stamp || stampOf(info) == a.failed:
		return a.known
	}
	known, read, err := readFile(a.cfg.File, a.cfg.Roots)
	if err != nil {
		a.complain(stampOf(info), err)
		return a.known
	}
	a.known, a.stamp, a.failed = known, read, stamp{}
	a.cfg.Logger.Info("credentials read again", "file", a.cfg.File, "tokens", len(known.tokens), "certificates", len(known.subjects))
	return a.known
}

// complain logs a file that will not do, once.
func (a *Auth) complain(s stamp, err error) {
	if a.failed != s {
		a.cfg.Logger.Warn("credentials cannot be read again, those of before stay in force", "file", a.cfg.File, "err", err)
	}
	a.failed = s
}
