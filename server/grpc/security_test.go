package grpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// call calls a method by its descriptor with an empty request, and returns the code.
func call(t *testing.T, conn *grpc.ClientConn, ctx context.Context, m protoreflect.MethodDescriptor) codes.Code {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	full := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: m.IsStreamingClient()}, full)
	if err != nil {
		return status.Code(err)
	}
	if err := stream.SendMsg(dynamicpb.NewMessage(m.Input())); err != nil && !errors.Is(err, io.EOF) {
		return status.Code(err)
	}
	if err := stream.CloseSend(); err != nil {
		return status.Code(err)
	}
	return status.Code(stream.RecvMsg(dynamicpb.NewMessage(m.Output())))
}

// TestRightsOfEveryMethod goes through everything that is served, by reflection over its descriptors, and calls it as everybody.
func TestRightsOfEveryMethod(t *testing.T) {
	r := newRig(t, withTokens(t))
	n := 0
	for name := range r.server.grpc.GetServiceInfo() {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			t.Fatal(err)
		}
		list := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range list.Len() {
			m := list.Get(i)
			full := "/" + name + "/" + string(m.Name())
			stated, ok := methods[full]
			if !ok {
				t.Errorf("%s is not in the table", full)
				continue
			}
			n++
			for who, token := range map[string]string{"": "", "garbage": "garbage", "reader": readToken, "measurer": measureToken, "boss": adminToken} {
				var want codes.Code // of being kept out; OK: let in
				switch {
				case stated.open:
				case who == "" || who == "garbage":
					want = codes.Unauthenticated
				case stated.right == "" || who == "boss":
				case stated.right == auth.Read && who != "reader", stated.right == auth.Measure && who != "measurer", stated.right == auth.Admin:
					want = codes.PermissionDenied
				}
				got := call(t, r.conn, as(t, token), m)
				if kept := got == codes.Unauthenticated || got == codes.PermissionDenied; kept != (want != codes.OK) || kept && got != want {
					t.Errorf("%s as %q: %v, want %v", full, who, got, want)
				}
			}
		}
	}
	if n != len(methods) {
		t.Errorf("the table has %d methods, %d are served", len(methods), n)
	}
	r.server.SetServing(true) // Drain has been called
}

func TestCheckMethods(t *testing.T) {
	err := checkMethods(map[string]grpc.ServiceInfo{"vqs.v1.NewService": {Methods: []grpc.MethodInfo{{Name: "Do"}}}})
	if err == nil || !strings.Contains(err.Error(), "/vqs.v1.NewService/Do") {
		t.Errorf("%v", err)
	}
}

// TestNobodySeesOthersMeasurements: who may not use the media roots of a measurement cannot tell that there is one.
func TestNobodySeesOthersMeasurements(t *testing.T) {
	r := newRig(t, withTokens(t))
	r.scriptFigures(23)
	theirs := r.finished("clips", nil)
	mine := r.finished("other", nil)
	ctx := as(t, otherToken)
	name, absent := nameOf(theirs.ID), "measurements/00000000000000000000000000"
	for what, try := range map[string]func(name string) error{
		"get": func(n string) error { _, err := r.quality.GetQuality(ctx, &pb.GetQualityRequest{Name: n}); return err },
		"cancel": func(n string) error {
			_, err := r.quality.CancelQuality(ctx, &pb.CancelQualityRequest{Name: n})
			return err
		},
		"delete": func(n string) error {
			_, err := r.quality.DeleteMeasurement(ctx, &pb.DeleteMeasurementRequest{Name: n})
			return err
		},
		"watch": func(n string) error {
			s, err := r.quality.WatchQuality(ctx, &pb.WatchQualityRequest{Name: n})
			return errors.Join(err, second(drain(s)))
		},
		"frames": func(n string) error {
			s, err := r.quality.GetFrameScores(ctx, &pb.GetFrameScoresRequest{Name: n})
			return errors.Join(err, second(drain(s)))
		},
		"rescore": func(n string) error {
			s, err := r.quality.RescoreQuality(ctx, &pb.RescoreQualityRequest{Which: &pb.RescoreQualityRequest_Name{Name: n}, Models: otherModel})
			return errors.Join(err, second(drain(s)))
		},
	} {
		got, want := try(name), try(absent)
		wantCode(t, unjoined(got), codes.NotFound)
		if got.Error() != want.Error() {
			t.Errorf("%s: %v; of one that is not there: %v", what, got, want)
		}
	}
	list, err := r.quality.ListMeasurements(ctx, &pb.ListMeasurementsRequest{})
	if err != nil || len(list.GetMeasurements()) != 1 || list.GetMeasurements()[0].GetName() != nameOf(mine.ID) {
		t.Errorf("list: %v, %v", list, err)
	}
	for _, g := range []pb.Granularity{pb.Granularity_GRANULARITY_AGGREGATE, pb.Granularity_GRANULARITY_SEGMENT, pb.Granularity_GRANULARITY_FRAME} {
		rows, err := r.quality.QueryScores(ctx, &pb.QueryScoresRequest{Granularity: g, PageSize: 1000})
		if err != nil || len(rows.GetRows()) == 0 {
			t.Errorf("%v: %v, %v", g, rows, err)
		}
		for _, row := range rows.GetRows() {
			if row.GetMeasurement() != nameOf(mine.ID) {
				t.Errorf("%v shows %v", g, row)
			}
		}
	}
	dry := byFilter("*")
	dry.ValidateOnly = true
	s, err := r.quality.RescoreQuality(ctx, dry)
	if err != nil {
		t.Fatal(err)
	}
	if results, err := drain(s); err != nil || len(results) != 1 || results[0].GetSource() != nameOf(mine.ID) {
		t.Errorf("rescore: %v, %v", results, err)
	}
}

func second[A any](_ A, err error) error { return err }

// unjoined is the one error in a joined one.
func unjoined(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}

// TestErrorsTellNothing: whatever goes wrong, neither answer nor log has a token, and the answer has no path or text of the inside.
func TestErrorsTellNothing(t *testing.T) {
	const secret = "/var/lib/vqsd/s3cr3t"
	r := newRig(t, withTokens(t))
	m := r.finished("clips", nil)
	r.workflow.measure = func() error { return errors.New("open " + secret + ": permission denied") }
	r.workflow.frames = func(store.MeasurementID, string) (*workflow.Frames, error) { panic("at " + secret) }
	spec := specOf("clips:ref.mp4", "clips:a.mp4")
	_, err := r.quality.MeasureQuality(as(t, measureToken), &pb.MeasureQualityRequest{Spec: spec})
	wantCode(t, err, codes.Internal, "reference")
	errs := []error{err}
	s, err := r.quality.GetFrameScores(as(t, readToken), &pb.GetFrameScoresRequest{Name: nameOf(m.ID), Rendition: "a"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = drain(s)
	wantCode(t, err, codes.Internal, "reference")
	errs = append(errs, err)
	// Files that are there and files that are not get the same answer.
	var outside []string
	for _, uri := range []string{"/etc/passwd", "/nonexistent", "other:a.mp4", "nosuchroot:a.mp4"} {
		_, err := r.quality.MeasureQuality(as(t, measureToken), &pb.MeasureQualityRequest{Spec: specOf("clips:ref.mp4", uri)})
		wantCode(t, err, codes.PermissionDenied)
		outside = append(outside, err.Error())
		errs = append(errs, err)
	}
	for _, text := range outside {
		if text != outside[0] {
			t.Errorf("%q and %q", text, outside[0])
		}
	}
	_, err = r.quality.GetQuality(as(t, "a-token-that-is-wrong"), &pb.GetQualityRequest{Name: nameOf(m.ID)})
	wantCode(t, err, codes.Unauthenticated)
	errs = append(errs, err)
	for _, err := range errs {
		for _, word := range []string{secret, "/srv", "permission denied", "goroutine"} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%v tells %q", err, word)
			}
		}
	}
	log := r.log.String()
	for _, token := range []string{readToken, measureToken, "a-token-that-is-wrong", "clips:ref.mp4"} {
		if strings.Contains(log, token) {
			t.Errorf("the log has %q", token)
		}
	}
	for _, err := range errs[:2] {
		reference := err.Error()[strings.LastIndex(err.Error(), " ")+1:]
		if !strings.Contains(log, "reference="+reference) || !strings.Contains(log, secret) {
			t.Errorf("the log does not explain reference %s", reference)
		}
	}
	if !strings.Contains(log, "stack=") {
		t.Error("the log has no stack of the panic")
	}
}

func TestCredentialsThatAreOdd(t *testing.T) {
	r := newRig(t, withTokens(t))
	try := func(pairs ...string) error {
		_, err := r.admin.GetServerInfo(metadata.AppendToOutgoingContext(as(t, ""), pairs...), &pb.GetServerInfoRequest{})
		return err
	}
	if err := try("authorization", "bearer "+readToken); err != nil {
		t.Error(err)
	}
	for name, pairs := range map[string][]string{
		"another scheme": {"authorization", "Basic " + readToken}, "no scheme": {"authorization", readToken}, "empty": {"authorization", ""},
		"two": {"authorization", "Bearer " + readToken, "authorization", "Bearer " + adminToken}, "long": {"authorization", "Bearer " + strings.Repeat("x", 8000)},
	} {
		if err := try(pairs...); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := try("authorization", "Bearer "+strings.Repeat("x", 100_000)); err == nil {
		t.Error("a header of 100 kB is accepted")
	}
	if err := try("authorization", "Bearer "+readToken); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestHealthIsOpen(t *testing.T) {
	r := newRig(t, withTokens(t))
	got, err := healthpb.NewHealthClient(r.conn).Check(as(t, ""), &healthpb.HealthCheckRequest{})
	if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", got, err)
	}
}

// TestStrangersAreBounded: who has no credentials neither holds streams without end nor fills the log.
func TestStrangersAreBounded(t *testing.T) {
	r := newRig(t, withTokens(t), func(c *Config) { c.Limits.WatchStreams = 2 })
	health := healthpb.NewHealthClient(r.conn)
	for range 2 {
		stream, err := health.Watch(as(t, ""), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := health.Watch(as(t, ""), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantCode(t, err, codes.ResourceExhausted, "limits.watch_streams")
	if _, err := health.Check(as(t, ""), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("a plain check: %v", err)
	}
	for range 200 {
		_, err := r.admin.GetServerInfo(as(t, "garbage-that-is-no-token"), &pb.GetServerInfoRequest{})
		wantCode(t, err, codes.Unauthenticated)
	}
	if n := strings.Count(r.log.String(), "level=WARN"); n > 100 {
		t.Errorf("%d warnings about 200 calls without credentials", n)
	}
}

func TestRequestRate(t *testing.T) {
	r := newRig(t, withTokens(t), func(c *Config) { c.Limits.RequestsPerSecond, c.Limits.RequestBurst = 0.001, 3 })
	for range 3 {
		if _, err := r.admin.GetServerInfo(as(t, readToken), &pb.GetServerInfoRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.admin.GetServerInfo(as(t, readToken), &pb.GetServerInfoRequest{})
	wantCode(t, err, codes.ResourceExhausted, "limits.requests_per_second")
	if got := detailsOf(t, status.Convert(err)).quota; got != "limits.requests_per_second" {
		t.Errorf("the quota is %q", got)
	}
	if _, err := r.admin.GetServerInfo(as(t, adminToken), &pb.GetServerInfoRequest{}); err != nil {
		t.Errorf("another caller pays for it: %v", err)
	}
}

func TestHugeMessages(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limits.MessageBytes = 1 << 20 })
	spec := specOf("clips:ref.mp4", "clips:a.mp4")
	spec.Models = []*pb.ModelSpec{{Spec: "mine", Document: make([]byte, 2<<20)}}
	_, err := r.quality.MeasureQuality(as(t, ""), &pb.MeasureQualityRequest{Spec: spec})
	wantCode(t, err, codes.ResourceExhausted)
	if _, err := r.admin.GetServerInfo(as(t, ""), &pb.GetServerInfoRequest{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestLimitsRefuse(t *testing.T) {
	_, err := Limits{RequestsPerSecond: -2, RequestBurst: -1, WatchStreams: -1, Streams: -1, Connections: -1, MessageBytes: 5, StalledStream: 1, Rescores: -1}.withDefaults()
	for _, key := range []string{"requests_per_second", "request_burst", "watch_streams", "streams_per_connection", "connections", "message_size", "stalled_stream", "rescore_concurrency"} {
		if err == nil || !strings.Contains(err.Error(), "limits."+key) {
			t.Errorf("%s is not named: %v", key, err)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a server without anything")
	}
	l, err := Limits{RequestsPerSecond: -1}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	a := newAccounts(l)
	for range 10_000 {
		if err := a.request("x"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAccountsAreBounded(t *testing.T) {
	l, err := Limits{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	a := newAccounts(l)
	for i := range 3 * maxCallers {
		if err := a.request(string(rune(i))); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.rates) > maxCallers {
		t.Errorf("%d accounts", len(a.rates))
	}
}

func TestDurationsAreCounted(t *testing.T) {
	r := newRig(t)
	if _, err := r.admin.GetServerInfo(as(t, ""), &pb.GetServerInfoRequest{}); err != nil {
		t.Fatal(err)
	}
	families, err := r.metrics.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "vqsd_rpc_duration_seconds" {
		t.Fatalf("%v, %v", families, err)
	}
	labels := families[0].GetMetric()[0].GetLabel()
	if labels[0].GetValue() != "OK" || labels[1].GetValue() != "vqs.v1.AdminService/GetServerInfo" {
		t.Errorf("%v", labels)
	}
}

// authority makes certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.cert, a.key, a.pem = a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue signs a certificate; the authority's own before there is one.
func (a *authority) issue(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (a *authority) client(name string) tls.Certificate {
	cert, key, _ := a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a *authority) write(name string, text []byte) string {
	a.t.Helper()
	path := filepath.Join(a.t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// TestTLS with real connections: certificates, tokens, neither, and versions that are too old.
func TestTLS(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	_, key, certPEM := ca.issue(&x509.Certificate{DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := auth.TLS{
		Cert: ca.write("cert.pem", certPEM), Key: ca.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})), ClientCA: ca.write("ca.pem", ca.pem),
	}
	tlsConfig, err := files.Config()
	if err != nil {
		t.Fatal(err)
	}
	known, err := auth.Open(auth.Config{
		Certificates: true,
		File:         ca.write("tokens.yaml", []byte(tokens+"certificates:\n  - {name: seven, subject: encoder-7, rights: [read]}\n")),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *Config) { c.TLS, c.Auth = tlsConfig, known })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(listener) }()
	t.Cleanup(func() {
		if err := r.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	ask := func(c *tls.Config, token string) (string, error) {
		creds := insecure.NewCredentials()
		if c != nil {
			creds = credentials.NewTLS(c)
		}
		conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(creds))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}()
		info, err := pb.NewAdminServiceClient(conn).GetServerInfo(as(t, token), &pb.GetServerInfoRequest{})
		return info.GetCaller(), err
	}
	for _, row := range []struct {
		name   string
		tls    *tls.Config
		token  string
		caller string
		code   codes.Code
	}{
		{"a certificate that is listed", &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{ca.client("encoder-7")}}, "", "seven", codes.OK},
		{"a token", &tls.Config{RootCAs: pool}, readToken, "reader", codes.OK},
		{"a token goes before a certificate", &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{ca.client("encoder-7")}}, readToken, "reader", codes.OK},
		{"TLS 1.2", &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS12}, readToken, "reader", codes.OK},
		{"a certificate that is not listed", &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{ca.client("stranger")}}, "", "", codes.Unauthenticated},
		{"nothing", &tls.Config{RootCAs: pool}, "", "", codes.Unauthenticated},
		{"a certificate of another CA", &tls.Config{RootCAs: pool, GetClientCertificate: always(foreign.client("encoder-7"))}, "", "", codes.Unavailable},
		{"TLS 1.1", &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, readToken, "", codes.Unavailable},
		{"no TLS", nil, readToken, "", codes.Unavailable},
	} {
		t.Run(row.name, func(t *testing.T) {
			if caller, err := ask(row.tls, row.token); caller != row.caller || status.Code(err) != row.code {
				t.Errorf("%q, %v, want %q, %v", caller, err, row.caller, row.code)
			}
		})
	}
}

func always(c tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
}
