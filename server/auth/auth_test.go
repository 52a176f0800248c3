package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vqsd/vqsd/store"
)

const (
	farmToken  = "farm-token-0123456789"
	adminToken = "admin-token-0123456789"
)

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return name
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

const twoTokens = `
tokens:
  - {name: farm, token: ` + farmToken + `, rights: [measure, read], media_roots: [clips]}
  - {name: boss, token: ` + adminToken + `, rights: [admin]}
`

func TestAuthenticate(t *testing.T) {
	a, err := Open(Config{File: write(t, twoTokens, 0o600), Roots: []string{"clips"}})
	if err != nil {
		t.Fatal(err)
	}
	farm, err := a.Authenticate(farmToken, nil)
	if err != nil || farm.Name != "farm" || !farm.May(Measure) || farm.May(Admin) || !farm.MayUse("clips") || farm.MayUse("other") {
		t.Errorf("farm: %+v, %v", farm, err)
	}
	boss, err := a.Authenticate(adminToken, nil)
	if err != nil || !boss.May(Measure) || !boss.May(Read) || !boss.May(Admin) || !boss.MayUse("whatever") {
		t.Errorf("boss: %+v, %v", boss, err)
	}
	for name, token := range map[string]string{
		"none": "", "a part": farmToken[:20], "one more letter": farmToken + "x", "binary": "\x00\xff", "huge": strings.Repeat("x", 1<<20),
		"the hash itself": hashOf(farmToken),
	} {
		if c, err := a.Authenticate(token, nil); !errors.Is(err, ErrUnauthenticated) || c != nil {
			t.Errorf("%s: %v, %v, want %v", name, c, err, ErrUnauthenticated)
		}
	}
}

func TestAuthenticationOffLetsEverybodyIn(t *testing.T) {
	a, err := Open(Config{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Authenticate("whatever", nil)
	if err != nil || a.Required() || c.Name != "" || !c.May(Admin) || !c.MayUse("any") {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestCertificates(t *testing.T) {
	uri, err := url.Parse("spiffe://example.com/encoder")
	if err != nil {
		t.Fatal(err)
	}
	byName := &x509.Certificate{Subject: pkix.Name{CommonName: "encoder-7"}}
	byDNS := &x509.Certificate{DNSNames: []string{"other.example.com", "encoder-8.example.com"}}
	byURI := &x509.Certificate{Subject: pkix.Name{CommonName: "unknown"}, URIs: []*url.URL{uri}}
	stranger := &x509.Certificate{Subject: pkix.Name{CommonName: "stranger"}}
	a, err := Open(Config{Certificates: true, File: write(t, `
certificates:
  - {name: seven, subject: encoder-7, rights: [read]}
  - {name: eight, subject: encoder-8.example.com, rights: [read]}
  - {name: nine, subject: "spiffe://example.com/encoder", rights: [read]}
`, 0o644)})
	if err != nil {
		t.Fatal(err)
	}
	for want, cert := range map[string]*x509.Certificate{"seven": byName, "eight": byDNS, "nine": byURI} {
		if c, err := a.Authenticate("", cert); err != nil || c.Name != want {
			t.Errorf("%v: %v, %v, want %s", cert.Subject, c, err, want)
		}
	}
	if _, err := a.Authenticate("", stranger); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("a certificate that is not listed: %v", err)
	}
	if _, err := a.Authenticate("a wrong token", byName); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("a wrong token beside a good certificate: %v", err)
	}

	without, err := Open(Config{Certificates: true})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := without.Authenticate("", stranger); err != nil || c.Name != "stranger" || !c.May(Admin) {
		t.Errorf("no file: %+v, %v", c, err)
	}
	if _, err := without.Authenticate("", nil); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("no certificate: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	const secret = "s3cr3t-token-that-nobody-may-see"
	entry := func(rest string) string { return "tokens:\n  - {name: a, rights: [read], " + rest + "}\n" }
	for _, row := range []struct {
		name, text string
		mode       os.FileMode
		want       string
	}{
		{"plain tokens that the group may read", entry("token: " + secret), 0o640, "chmod 600"},
		{"hashes that anybody may write", entry("sha256: " + hashOf(secret)), 0o622, "chmod go-w"},
		{"an unknown key", entry("tokne: " + secret), 0o600, "line 2: unknown key"},
		{"a key twice", "tokens:\n  - name: a\n    token: " + secret + "\n    token: " + secret + "\n    rights: [read]\n", 0o600, "line 4: it is not YAML, or has a key twice"},
		{"no YAML", "tokens: [" + secret, 0o600, "not YAML"},
		{"nothing", "", 0o600, "nobody could call"},
		{"token and hash", entry("token: " + secret + ", sha256: " + hashOf(secret)), 0o600, "one of token and sha256"},
		{"neither", entry("media_roots: [clips]"), 0o600, "one of token and sha256"},
		{"a hash that is none", entry("sha256: abc"), 0o600, "64 hexadecimal digits"},
		{"a short token", entry("token: hunter2"), 0o600, "7 characters"},
		{"a token with a space", entry(`token: "a token with a space"`), 0o600, "cannot carry"},
		{"an unknown right", "tokens: [{name: a, token: " + secret + ", rights: [write]}]", 0o600, `unknown right "write"`},
		{"no rights", "tokens: [{name: a, token: " + secret + "}]", 0o600, "rights is missing"},
		{"no name", "tokens: [{rights: [read], token: " + secret + "}]", 0o600, "name is missing"},
		{"a media root that is not there", entry("token: " + secret + ", media_roots: [movies]"), 0o600, `no media root "movies"`},
		{"one token for two", "tokens: [{name: a, rights: [read], token: " + secret + "}, {name: b, rights: [read], token: " + secret + "}]", 0o600, "listed before"},
		{"certificates that nobody asks for", "certificates: [{name: a, subject: b, rights: [read]}]", 0o600, "auth.client_ca"},
		{"more than a mebibyte", "#" + strings.Repeat("x", maxFileBytes), 0o600, "larger than 1 MiB"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := Open(Config{File: write(t, row.text, row.mode), Roots: []string{"clips"}})
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("%v, want %q in it", err, row.want)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error has the token: %v", err)
			}
		})
	}
	if _, err := Open(Config{File: t.TempDir()}); err == nil {
		t.Error("a folder is taken for a file")
	}
}

func TestAnEmptyListOfRootsIsNone(t *testing.T) {
	c, err := parse([]byte("tokens: [{name: a, token: "+farmToken+", rights: [read], media_roots: []}]"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.tokens[0].caller.MayUse("clips") {
		t.Error("an empty list of media roots lets into all of them")
	}
}

func TestFileIsReadAgain(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var log bytes.Buffer
	name := write(t, twoTokens, 0o600)
	a, err := Open(Config{File: name, Interval: time.Second, Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	replace := func(text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	accepted := func(token string) bool { _, err := a.Authenticate(token, nil); return err == nil }

	replace(strings.ReplaceAll(twoTokens, farmToken, farmToken+"-new"))
	if !accepted(farmToken) {
		t.Error("the file was looked at before the interval was over")
	}
	now = now.Add(time.Second)
	if accepted(farmToken) || !accepted(farmToken+"-new") {
		t.Error("a changed file is not in force after the interval")
	}
	replace("tokens: [{")
	for range 3 {
		now = now.Add(time.Second)
		if !accepted(farmToken + "-new") {
			t.Error("a broken file locks everybody out")
		}
	}
	if n := strings.Count(log.String(), "cannot be read again"); n != 1 {
		t.Errorf("%d complaints about one broken file, want 1:\n%s", n, log.String())
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	if !accepted(farmToken + "-new") {
		t.Error("a removed file locks everybody out")
	}
	replace(twoTokens)
	now = now.Add(time.Second)
	if !accepted(farmToken) || accepted(farmToken+"-new") {
		t.Error("a repaired file is not in force")
	}
	if strings.Contains(log.String(), farmToken) {
		t.Error("the log has a token")
	}
}

func TestCallerInContext(t *testing.T) {
	if c := FromContext(context.Background()); c.May(Read) || c.MayUse("clips") {
		t.Errorf("nobody may something: %+v", c)
	}
	want := &Caller{Name: "farm"}
	if got := FromContext(NewContext(context.Background(), want)); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestSees(t *testing.T) {
	m := &store.Measurement{Request: store.Request{
		Reference:  store.Source{Root: "a"},
		Renditions: []store.RenditionRequest{{Source: store.Source{Root: "a"}}, {Source: store.Source{Root: "b"}}},
	}}
	for _, row := range []struct {
		roots []string
		want  bool
	}{{nil, true}, {[]string{"a", "b"}, true}, {[]string{"a"}, false}, {[]string{"b"}, false}, {[]string{}, false}} {
		if got := (&Caller{Roots: row.roots}).Sees(m); got != row.want {
			t.Errorf("roots %v: %v, want %v", row.roots, got, row.want)
		}
	}
}

func TestSees_ownersSeeTheirOwnWithoutARoot(t *testing.T) {
	rooted, free := store.Source{Root: "clips"}, store.Source{}
	m := &store.Measurement{Owner: "me", Request: store.Request{Reference: free, Renditions: []store.RenditionRequest{{Source: rooted}}}}
	for _, row := range []struct {
		name   string
		caller Caller
		want   bool
	}{
		{"the owner", Caller{Name: "me", Roots: []string{"clips"}}, true},
		{"the owner without the root of the other video", Caller{Name: "me", Roots: []string{"other"}}, false},
		{"somebody else", Caller{Name: "else", Roots: []string{"clips"}}, false},
		{"somebody else who may use all roots", Caller{Name: "else"}, true},
	} {
		if got := row.caller.Sees(m); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
	m.Owner = ""
	if (&Caller{Roots: []string{"clips"}}).Sees(m) {
		t.Error("without names nobody is the owner")
	}
}

func TestBearer(t *testing.T) {
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer  abc ": "abc", "Basic abc": "", "Bearer": "", "Bearer ": "", "": "", "abc": "",
	} {
		if got, ok := Bearer(header); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v, want %q", header, got, ok, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(twoTokens))
	f.Add([]byte(`{"tokens": [{"name": "a", "sha256": "` + hashOf("x") + `", "rights": ["read"]}]}`))
	f.Add([]byte("tokens: &a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parse(text, nil)
		if err != nil {
			return
		}
		for _, h := range c.tokens {
			if h.caller.Name == "" || len(h.caller.Rights) == 0 || !slices.ContainsFunc(AllRights(), h.caller.May) {
				t.Errorf("%q: accepted %+v", text, h.caller)
			}
		}
	})
}
