package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/config"
)

// TestCertificatesAreLookedInto: config check says what authd would say, with the
// place of the certificate, once, and nothing where the files themselves are at fault.
func TestCertificatesAreLookedInto(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	pair := func(name string, until time.Time) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: until}
		der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
		must(t, err)
		must(t, os.WriteFile(path(name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
		der, err = x509.MarshalPKCS8PrivateKey(key)
		must(t, err)
		must(t, os.WriteFile(path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	}
	pair("a", time.Now().Add(time.Hour))
	pair("b", time.Unix(86400, 0))
	must(t, os.WriteFile(path("broken.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no DER")}), 0o644))

	faults := func(tls string) (got []string) {
		must(t, os.WriteFile(path("x.hcl"), []byte("tls {\n"+strings.ReplaceAll(tls, "DIR", dir)+"}\nvirtual_host \"v\" {\n  address = [\"192.0.2.1\"]\n}\n"), 0o600))
		p, diags := config.Load(path("x.hcl"), config.Facts{})
		if p == nil {
			t.Fatal(diags)
		}
		for _, d := range certificateFaults(p, config.Check(p, config.Facts{})) {
			got = append(got, strings.ReplaceAll(d.Headline(), dir, "DIR"))
		}
		return got
	}
	const certificate = "certificate {\n  file = \"DIR/CRT\"\n  key = \"DIR/KEY\"\n}\n"
	for _, c := range []struct {
		tls  string
		want []string
	}{
		{strings.NewReplacer("CRT", "a.crt", "KEY", "a.key").Replace(certificate), nil},
		{strings.NewReplacer("CRT", "a.crt", "KEY", "b.key").Replace(certificate), []string{
			`DIR/x.hcl:3:10: error: tls.certificate.file: key "DIR/b.key" and certificate "DIR/a.crt": the private key does not belong to the certificate`,
		}},
		{strings.NewReplacer("CRT", "b.crt", "KEY", "b.key").Replace(certificate), []string{
			`DIR/x.hcl:3:10: warning: tls.certificate.file: certificate "DIR/b.crt" has expired on 1970-01-02: clients will refuse it`,
		}},
		{strings.NewReplacer("CRT", "broken.pem", "KEY", "a.key").Replace(certificate), []string{
			`DIR/x.hcl:3:10: error: tls.certificate.file: certificate "DIR/broken.pem": certificate 1 of the file: x509: malformed certificate`,
		}},
		{strings.NewReplacer("CRT", "none.crt", "KEY", "a.key").Replace(certificate), nil}, // said by config.Check
		{"client {\n  verify = \"require\"\n  ca = [\"DIR/broken.pem\"]\n}\n", []string{
			`DIR/x.hcl:4:9: error: tls.client.ca: CA "DIR/broken.pem": certificate 1: x509: malformed certificate`,
		}},
	} {
		if d := cmp.Diff(c.want, faults(c.tls)); d != "" {
			t.Errorf("%s(-want +got)\n%s", c.tls, d)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
