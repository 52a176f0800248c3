package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// ListenAllowed says whether the daemon may listen at an address. Where callers need no credentials that is so on loopback only,
// unless the operator insists.
func ListenAllowed(address string, hasCredentials, insecure bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen: %q is not HOST:PORT", address)
	}
	if hasCredentials || insecure || loopback(host) {
		return nil
	}
	return fmt.Errorf("listen: %s is not a loopback address, and anybody who reaches it could measure and delete: "+
		"set auth.tokens or auth.client_ca, or listen on 127.0.0.1; insecure allows it if the network is trusted", address)
}

// loopback says whether only this host reaches an address. Names other than localhost may mean anything.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// TLS says how connections are encrypted. The zero value: not at all.
type TLS struct {
	Cert     string // PEM file: certificate and its chain (tls.cert)
	Key      string // PEM file (tls.key)
	ClientCA string // PEM file: CAs whose client certificates are credentials; "": none are asked for (auth.client_ca)
}

// Config reads the files. nil: connections are not encrypted. Certificates of clients are verified if they are sent; whether one is
// needed is for [Auth] to say, since a token does as well.
func (t TLS) Config() (*tls.Config, error) {
	if t == (TLS{}) {
		return nil, nil
	}
	if t.Cert == "" || t.Key == "" {
		return nil, errors.New("tls.cert and tls.key go together, and auth.client_ca needs them")
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("tls.cert %s and tls.key %s: %w", t.Cert, t.Key, err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
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
