package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/policy"
)

// today is when every test happens.
var today = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

var (
	rsaOnce sync.Once
	rsaMade *rsa.PrivateKey
)

// rsaKey is an RSA key of 2048 bits, one for all tests: making one takes time.
func rsaKey() *rsa.PrivateKey {
	rsaOnce.Do(func() { rsaMade, _ = rsa.GenerateKey(rand.Reader, 2048) })
	return rsaMade
}

func ecKey(c elliptic.Curve) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func edKey() ed25519.PrivateKey {
	_, k, _ := ed25519.GenerateKey(rand.Reader)
	return k
}

// entity is a certificate with its key.
type entity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var serials int64 = 1000

// issue makes a certificate that by has signed; nil: it signs itself.
func issue(t testing.TB, by *entity, key crypto.Signer, change func(*x509.Certificate)) *entity {
	t.Helper()
	serials++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serials), Subject: pkix.Name{CommonName: "ftp.example.org"}, DNSNames: []string{"ftp.example.org"},
		NotBefore: today.AddDate(0, -1, 0), NotAfter: today.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if change != nil {
		change(c)
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	x, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &entity{x, key}
}

func newCA(t testing.TB, name string, by *entity) *entity {
	return issue(t, by, ecKey(elliptic.P256()), func(c *x509.Certificate) {
		c.Subject, c.DNSNames = pkix.Name{CommonName: name}, nil
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	})
}

func certPEM(list ...*entity) (out []byte) {
	for _, e := range list {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.cert.Raw})...)
	}
	return out
}

func keyPEM(t testing.TB, k crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// house is a directory of certificate files and what was said about them.
type house struct {
	t       testing.TB
	dir     string
	now     time.Time
	said    []string
	changed int
}

func newHouse(t testing.TB) *house {
	h := &house{t: t, dir: t.TempDir(), now: today}
	h.write("etc/group", 0o644, []byte("root:x:0:\nssl-cert:x:4242:\n"))
	return h
}

func (h *house) path(name string) string {
	if name == "" {
		return ""
	}
	return filepath.Join(h.dir, name)
}

// write puts a file in place, as a tool does that renews certificates.
func (h *house) write(name string, mode os.FileMode, data []byte) {
	h.t.Helper()
	path := h.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", data, mode); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Chmod(path+".new", mode); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		h.t.Fatal(err)
	}
}

// pair writes a certificate with its chain, and its key.
func (h *house) pair(name string, e *entity, chain ...*entity) policy.Certificate {
	h.t.Helper()
	h.write(name+".pem", 0o644, certPEM(append([]*entity{e}, chain...)...))
	h.write(name+".key", 0o600, keyPEM(h.t, e.key))
	return policy.Certificate{File: h.path(name + ".pem"), Key: h.path(name + ".key")}
}

func (h *house) set(view ...policy.TLSHost) (*Set, []error) {
	return New(view, Options{
		Etc: h.path("etc"), Say: func(s string) { h.said = append(h.said, s) }, Changed: func() { h.changed++ },
		Now: func() time.Time { return h.now },
	})
}

// open compiles one host that must be servable.
func (h *house) open(c ...policy.Certificate) *Host {
	h.t.Helper()
	s, errs := h.set(policy.TLSHost{Name: "main", Engine: true, Certificates: c})
	if errs != nil {
		h.t.Fatal(errs)
	}
	return s.Host("main")
}

// later lets the next look at the files happen.
func (h *house) later() { h.now = h.now.Add(interval) }

func (h *house) hear(want string) {
	h.t.Helper()
	for _, s := range h.said {
		if strings.Contains(s, want) {
			h.said = nil
			return
		}
	}
	h.t.Errorf("nothing about %q was said, but %q", want, h.said)
}
