package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTLSRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]TLS{
		"go together":    {Cert: "a"},
		"needs them":     {ClientCA: "a"},
		"tls.cert":       {Cert: "/nonexistent", Key: "/nonexistent"},
		"tls.key " + "/": {Cert: empty, Key: "/" + empty},
	} {
		if cfg, err := c.Config(); err == nil || !strings.Contains(err.Error(), want) || cfg != (*tls.Config)(nil) {
			t.Errorf("%+v: %v, want %q in it", c, err, want)
		}
	}
	if cfg, err := (TLS{}).Config(); cfg != nil || err != nil {
		t.Errorf("no TLS: %v, %v", cfg, err)
	}
}

// writePair makes a self-signed certificate and its key.
func writePair(t *testing.T, certFile, keyFile, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "EC PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	now := time.Now()
	var log bytes.Buffer
	writePair(t, certFile, keyFile, "first")
	cfg, err := TLS{Cert: certFile, Key: keyFile, Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(&log, nil))}.Config()
	if err != nil {
		t.Fatal(err)
	}
	name := func() string {
		t.Helper()
		c, err := cfg.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Subject.CommonName
	}
	writePair(t, certFile, keyFile, "second")
	if got := name(); got != "first" {
		t.Errorf("before the interval is over: %s", got)
	}
	now = now.Add(pairInterval)
	if got := name(); got != "second" {
		t.Errorf("after it: %s", got)
	}
	if err := os.WriteFile(certFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		now = now.Add(pairInterval)
		if got := name(); got != "second" {
			t.Errorf("with a broken file: %s", got)
		}
	}
	if n := strings.Count(log.String(), "cannot be read again"); n != 1 {
		t.Errorf("%d complaints about one broken file", n)
	}
	writePair(t, certFile, keyFile, "third")
	now = now.Add(pairInterval)
	if got := name(); got != "third" {
		t.Errorf("with repaired files: %s", got)
	}
}
