package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// certificate makes a certificate for 127.0.0.1 and its key as files, signed by itself.
func certificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert = writeFile(t, filepath.Join(dir, name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	key = writeFile(t, filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
	return cert, key
}

// The daemon is known by its certificate, and we by ours.
func TestEncryption(t *testing.T) {
	dir := t.TempDir()
	serverCert, serverKey := certificate(t, dir, "server")
	clientCert, clientKey := certificate(t, dir, "client")
	other, _ := certificate(t, dir, "other")
	pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	known, err := (&connection{ca: clientCert}).tlsConfig()
	if err != nil {
		t.Fatal(err)
	}
	d := newFakeDaemon(t, func(d *fakeDaemon) {
		d.options = []grpc.ServerOption{grpc.Creds(credentials.NewTLS(&tls.Config{
			Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known.RootCAs, MinVersion: tls.VersionTLS12,
		}))}
	})
	queue := func(more ...string) answer {
		return vqsd(t, d.remotely(append([]string{"admin", "queue"}, more...)...)...)
	}
	queue("--ca", serverCert, "--cert", clientCert, "--key", clientKey).want(t, exitDone)
	queue("--ca", serverCert).want(t, exitFailed, "daemon at "+d.address)
	queue("--ca", other, "--cert", clientCert, "--key", clientKey).want(t, exitFailed, "cannot be reached", "certificate")
	queue("--tls").want(t, exitFailed, "cannot be reached", "certificate")
	queue().want(t, exitFailed, "cannot be reached")
}
