package keys

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
)

func TestPairsOfEveryKind(t *testing.T) {
	h := newHouse(t)
	ca := newCA(t, "CA", nil)
	root := newCA(t, "Root", nil)
	middle := newCA(t, "Middle", root)
	ec := ecKey(elliptic.P384())
	sec1, _ := x509.MarshalECPrivateKey(ec)
	for name, c := range map[string]policy.Certificate{
		"RSA":           h.pair("rsa", issue(t, ca, rsaKey(), nil), ca),
		"P-256":         h.pair("p256", issue(t, ca, ecKey(elliptic.P256()), nil)),
		"P-521":         h.pair("p521", issue(t, nil, ecKey(elliptic.P521()), nil)),
		"Ed25519":       h.pair("ed", issue(t, nil, edKey(), nil)),
		"three deep":    h.pair("deep", issue(t, middle, ecKey(elliptic.P256()), nil), middle, root),
		"one file":      {File: h.path("one.pem"), Key: h.path("one.pem")},
		"EC with a key": {File: h.path("sec1.pem"), Key: h.path("sec1.key")},
		"PKCS #1":       {File: h.path("rsa.pem"), Key: h.path("pkcs1.key")},
	} {
		switch name {
		case "one file":
			e := issue(t, nil, ecKey(elliptic.P256()), nil)
			h.write("one.pem", 0o600, append(keyPEM(t, e.key), certPEM(e)...))
		case "EC with a key":
			h.write("sec1.pem", 0o644, certPEM(issue(t, nil, ec, nil)))
			h.write("sec1.key", 0o600, append(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{5, 0}}),
				pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...))
		case "PKCS #1":
			h.write("pkcs1.key", 0o600, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey())}))
		}
		t.Run(name, func(t *testing.T) {
			host := h.open(c)
			offer := host.Offer()
			if len(offer) != 1 {
				t.Fatalf("%d certificates", len(offer))
			}
			list, err := x509.ParseCertificates(offer[0].Chain)
			if err != nil || list[0].Subject.CommonName != "ftp.example.org" {
				t.Errorf("chain: %v", err)
			}
		})
	}
	if len(h.said) > 0 {
		t.Errorf("said %q", h.said)
	}
}

func TestPairsThatAreRefusedSayWhatWouldBeRight(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		make func(h *house, c policy.Certificate) policy.Certificate
		want string
	}{
		"no file": {func(h *house, c policy.Certificate) policy.Certificate {
			c.File = h.path("missing.pem")
			return c
		}, "missing.pem: no such file"},
		"no key file": {func(h *house, c policy.Certificate) policy.Certificate {
			_ = os.Remove(c.Key)
			return c
		}, "a.key: no such file"},
		"a key that everybody reads": {func(h *house, c policy.Certificate) policy.Certificate {
			_ = os.Chmod(c.Key, 0o644)
			return c
		}, `a.key" is world-readable (mode 0644; a private key wants chmod 0600)`},
		"a key that everybody writes": {func(h *house, c policy.Certificate) policy.Certificate {
			_ = os.Chmod(c.Key, 0o602)
			return c
		}, "is world-writable"},
		"a key that a group writes": {func(h *house, c policy.Certificate) policy.Certificate {
			_ = os.Chmod(c.Key, 0o660)
			return c
		}, "has mode 0660"},
		"a certificate that everybody writes": {func(h *house, c policy.Certificate) policy.Certificate {
			_ = os.Chmod(c.File, 0o666)
			return c
		}, `a.pem" is world-writable`},
		"a directory that everybody writes": {func(h *house, c policy.Certificate) policy.Certificate {
			_ = os.Chmod(h.dir, 0o777)
			return c
		}, "which is world-writable"},
		"a directory": {func(h *house, c policy.Certificate) policy.Certificate {
			_ = os.Remove(c.Key)
			_ = os.Mkdir(c.Key, 0o700)
			return c
		}, "is not a regular file"},
		"a pipe": {func(h *house, c policy.Certificate) policy.Certificate {
			_ = os.Remove(c.Key)
			_ = unix.Mkfifo(c.Key, 0o600)
			return c
		}, "is not a regular file"},
		"one file that everybody reads": {func(h *house, c policy.Certificate) policy.Certificate {
			k, _ := os.ReadFile(c.Key)
			p, _ := os.ReadFile(c.File)
			h.write("a.pem", 0o644, append(p, k...))
			return policy.Certificate{File: c.File, Key: c.File}
		}, "is world-readable"},
		"a key in the certificate file as well": {func(h *house, c policy.Certificate) policy.Certificate {
			k, _ := os.ReadFile(c.Key)
			p, _ := os.ReadFile(c.File)
			h.write("a.pem", 0o644, append(p, k...))
			return c
		}, "is world-readable"},
		"a relative path": {func(h *house, c policy.Certificate) policy.Certificate {
			c.File = "a.pem"
			return c
		}, "is no absolute path"},
		"an encrypted key": {func(h *house, c policy.Certificate) policy.Certificate {
			h.write("a.key", 0o600, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{48, 0}}))
			return c
		}, "is encrypted"},
		"a key encrypted in the old way": {func(h *house, c policy.Certificate) policy.Certificate {
			h.write("a.key", 0o600, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte{48, 0}}))
			return c
		}, "is encrypted"},
		"a key of another certificate": {func(h *house, c policy.Certificate) policy.Certificate {
			h.write("a.key", 0o600, keyPEM(h.t, ecKey(elliptic.P256())))
			return c
		}, "the private key does not belong to the certificate"},
		"a chain that begins with the CA": {func(h *house, c policy.Certificate) policy.Certificate {
			ca := newCA(h.t, "CA", nil)
			e := issue(h.t, ca, ecKey(elliptic.P256()), nil)
			h.write("a.pem", 0o644, certPEM(ca, e))
			h.write("a.key", 0o600, keyPEM(h.t, e.key))
			return c
		}, "the key belongs to certificate 2 of the file; the server's own must come first"},
		"a chain with a stranger in it": {func(h *house, c policy.Certificate) policy.Certificate {
			ca, other := newCA(h.t, "CA", nil), newCA(h.t, "Other", nil)
			return h.pair("a", issue(h.t, ca, ecKey(elliptic.P256()), nil), other)
		}, "certificate 1 (CN=ftp.example.org) was not issued by certificate 2 (CN=Other)"},
		"a chain whose issuer has the same name only": {func(h *house, c policy.Certificate) policy.Certificate {
			ca, other := newCA(h.t, "CA", nil), newCA(h.t, "CA", nil)
			return h.pair("a", issue(h.t, ca, ecKey(elliptic.P256()), nil), other)
		}, "was not issued by"},
		"RSA of 1024 bits": {func(h *house, c policy.Certificate) policy.Certificate {
			return h.pair("a", issue(h.t, newCA(h.t, "CA", nil), small, nil))
		}, "RSA with 1024 bits: 2048 to 8192 are wanted"},
		"P-224": {func(h *house, c policy.Certificate) policy.Certificate {
			return h.pair("a", issue(h.t, newCA(h.t, "CA", nil), ecKey(elliptic.P224()), nil))
		}, "ECDSA on P-224"},
		"no certificate": {func(h *house, c policy.Certificate) policy.Certificate {
			h.write("a.pem", 0o644, []byte("hello\n"))
			return c
		}, "no certificate in it"},
		"no key": {func(h *house, c policy.Certificate) policy.Certificate {
			h.write("a.key", 0o600, []byte("hello\n"))
			return c
		}, "no private key in it"},
		"an empty file": {func(h *house, c policy.Certificate) policy.Certificate {
			h.write("a.pem", 0o644, nil)
			return c
		}, "is empty"},
		"a file too large": {func(h *house, c policy.Certificate) policy.Certificate {
			h.write("a.pem", 0o644, make([]byte, maxPEM+1))
			return c
		}, "at most 262144 are allowed"},
		"a broken certificate": {func(h *house, c policy.Certificate) policy.Certificate {
			h.write("a.pem", 0o644, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{48, 1, 0}}))
			return c
		}, "certificate 1 of the file"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			c := x.make(h, h.pair("a", issue(t, nil, ecKey(elliptic.P256()), nil)))
			s, errs := h.set(policy.TLSHost{Name: "main", Engine: true, Certificates: []policy.Certificate{c}})
			if len(errs) != 1 || !strings.Contains(errs[0].Error(), x.want) || !strings.Contains(errs[0].Error(), "tls of host main: ") {
				t.Errorf("%v, want %q", errs, x.want)
			}
			if n := len(s.Host("main").Offer()); n != 0 {
				t.Errorf("%d certificates are offered", n)
			}
		})
	}
}

// TestTheGroupsThatMayReadAKey: 0640 for root's group and for ssl-cert, as
// Debian's own keys are.
func TestTheGroupsThatMayReadAKey(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives a file to another group")
	}
	h := newHouse(t)
	c := h.pair("a", issue(t, nil, ecKey(elliptic.P256()), nil))
	for _, x := range []struct {
		uid, gid int
		mode     os.FileMode
		want     string
	}{
		{0, 0, 0o640, ""},
		{0, 4242, 0o640, ""},
		{0, 4243, 0o640, "readable by the group 4243"},
		{0, 4243, 0o600, ""},
		{4243, 0, 0o600, "owned by uid 4243"},
		{0, 4242, 0o644, "is world-readable"},
	} {
		if err := os.Chown(c.Key, x.uid, x.gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(c.Key, x.mode); err != nil {
			t.Fatal(err)
		}
		_, errs := h.set(policy.TLSHost{Name: "main", Engine: true, Certificates: []policy.Certificate{c}})
		switch {
		case x.want == "" && errs != nil:
			t.Errorf("%d:%d %o: %v", x.uid, x.gid, x.mode, errs)
		case x.want != "" && (len(errs) != 1 || !strings.Contains(errs[0].Error(), x.want)):
			t.Errorf("%d:%d %o: %v, want %q", x.uid, x.gid, x.mode, errs, x.want)
		}
	}
}

func TestWhatIsServedAllTheSameIsWarnedOf(t *testing.T) {
	h := newHouse(t)
	h.open(h.pair("old", issue(t, nil, ecKey(elliptic.P256()), func(c *x509.Certificate) { c.NotAfter = today.AddDate(0, 0, -1) })))
	h.hear(`old.pem" has expired on 2026-03-03`)
	h.open(h.pair("new", issue(t, nil, ecKey(elliptic.P256()), func(c *x509.Certificate) { c.NotBefore = today.AddDate(0, 0, 1) })))
	h.hear(`new.pem" is not valid before 2026-03-05`)
	h.open(h.pair("client", issue(t, nil, ecKey(elliptic.P256()), func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})))
	h.hear(`client.pem" is not meant for servers`)
}

// TestRenewalTakesEffectWithoutAReload, and a bad renewal changes nothing.
func TestRenewalTakesEffectWithoutAReload(t *testing.T) {
	h := newHouse(t)
	first := issue(t, nil, ecKey(elliptic.P256()), nil)
	host := h.open(h.pair("a", first))
	second := issue(t, nil, rsaKey(), nil)

	h.write("a.pem", 0o644, certPEM(second)) // the key is not there yet
	if got := host.Offer()[0]; !bytes.Equal(got.Chain, first.cert.Raw) {
		t.Error("files were looked at twice within a second")
	}
	h.later()
	if got := host.Offer()[0]; !bytes.Equal(got.Chain, first.cert.Raw) {
		t.Error("half a renewal took effect")
	}
	h.hear("does not belong to the certificate; the former certificate stays in force")
	old := host.Offer()[0]
	h.write("a.key", 0o600, keyPEM(t, second.key))
	h.later()
	if got := host.Offer()[0]; !bytes.Equal(got.Chain, second.cert.Raw) || h.changed != 1 {
		t.Errorf("the renewal took no effect, or was told of %d times", h.changed)
	}
	if _, err := old.Sign(0x0403, verify(32)); err != nil {
		t.Errorf("the key of a handshake under way: %v", err)
	}
	h.write("a.key", 0o644, keyPEM(t, second.key))
	h.later()
	if got := host.Offer()[0]; !bytes.Equal(got.Chain, second.cert.Raw) {
		t.Error("a bad file took away the good certificate")
	}
	h.hear("is world-readable (mode 0644; a private key wants chmod 0600); the former certificate stays in force")
	h.later()
	host.Offer()
	if len(h.said) > 0 {
		t.Errorf("said again: %q", h.said)
	}
	if err := os.Remove(h.path("a.pem")); err != nil {
		t.Fatal(err)
	}
	h.later()
	if len(host.Offer()) != 1 {
		t.Error("a missing file took away the good certificate")
	}
	h.hear("no such file")
}

// TestAFileIsReadAgainSoonAfterItsChange: it may change again with the same size
// and the same times, to the clock's grain.
func TestAFileIsReadAgainSoonAfterItsChange(t *testing.T) {
	h := newHouse(t)
	var st unix.Stat_t
	c := h.pair("a", issue(t, nil, ecKey(elliptic.P256()), nil))
	if err := unix.Stat(c.File, &st); err != nil {
		t.Fatal(err)
	}
	changed := time.Unix(st.Ctim.Unix())
	f := files{paths: []string{c.File}}
	if !f.due(changed) || !f.fresh {
		t.Fatal("a file just written is not fresh")
	}
	if !f.due(changed.Add(interval)) {
		t.Error("not read again though it may have changed unseen")
	}
	f.due(changed.Add(5 * interval))
	if f.due(changed.Add(7 * interval)) {
		t.Error("read again though nothing can have changed")
	}
}

func TestLinksAreFollowed(t *testing.T) { // as certbot makes them
	h := newHouse(t)
	e := issue(t, nil, ecKey(elliptic.P256()), nil)
	h.pair("archive/a1", e)
	_ = os.MkdirAll(h.path("live"), 0o755)
	for _, x := range []string{"pem", "key"} {
		if err := os.Symlink(filepath.Join("..", "archive", "a1."+x), h.path("live/a."+x)); err != nil {
			t.Fatal(err)
		}
	}
	c := policy.Certificate{File: h.path("live/a.pem"), Key: h.path("live/a.key")}
	h.open(c)
	if err := os.Chmod(h.path("archive"), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, errs := h.set(policy.TLSHost{Name: "main", Engine: true, Certificates: []policy.Certificate{c}}); len(errs) != 1 {
		t.Errorf("the directory of the target was not looked at: %v", errs)
	}
}

func TestHosts(t *testing.T) {
	h := newHouse(t)
	one := h.pair("one", issue(t, nil, ecKey(elliptic.P256()), nil))
	two := h.pair("two", issue(t, nil, rsaKey(), nil))
	made, fingerprint, err := Make([]string{"ftp.example.net", "*.example.net", "192.0.2.1", "2001:db8::1"}, today)
	if err != nil || len(fingerprint) != 95 {
		t.Fatal(err, fingerprint)
	}
	h.write("tls/self.pem", 0o600, made)
	s, errs := h.set(
		policy.TLSHost{Name: "main", Engine: true, Certificates: []policy.Certificate{one, two}},
		policy.TLSHost{Name: "other", Engine: true, Certificates: []policy.Certificate{two}},
		policy.TLSHost{Name: "off", Certificates: []policy.Certificate{{File: "/nowhere", Key: "/nowhere"}}},
		policy.TLSHost{Name: "self", Engine: true, SelfSigned: h.path("tls/self.pem")},
		policy.TLSHost{Name: "none", Engine: true},
	)
	if errs != nil {
		t.Fatal(errs)
	}
	for name, want := range map[string]int{"main": 2, "other": 1, "off": 0, "self": 1, "none": 0, "unknown": 0} {
		if got := len(s.Host(name).Offer()); got != want {
			t.Errorf("%s: %d certificates, want %d", name, got, want)
		}
	}
	if a, b := s.Host("main").Offer()[1], s.Host("other").Offer()[0]; a != b {
		t.Error("hosts with the same files read them twice")
	}
	info := s.Certificates()
	if len(info) != 3 || !info[2].Self || info[2].File != h.path("tls/self.pem") || info[2].Subject != "CN=ftp.example.net" {
		t.Errorf("%+v", info)
	}
	leaf, _ := x509.ParseCertificate(s.Host("self").Offer()[0].Chain)
	if err := leaf.VerifyHostname("a.example.net"); err != nil {
		t.Error(err)
	}
	if err := leaf.VerifyHostname("2001:db8::1"); err != nil {
		t.Error(err)
	}
	var none *Set
	if none.Host("main").Offer() != nil || none.Certificates() != nil {
		t.Error("no set has a host")
	}
}

func TestChainsThatDoNotFitIntoAMessage(t *testing.T) {
	h := newHouse(t)
	fat := func(c *x509.Certificate) {
		for i := range 400 {
			c.DNSNames = append(c.DNSNames, strings.Repeat("a", 40)+string(rune('a'+i%26))+".example.org")
		}
	}
	var list []policy.Certificate
	for i := range 3 {
		list = append(list, h.pair(string(rune('a'+i)), issue(t, nil, ecKey(elliptic.P256()), fat)))
	}
	if _, errs := h.set(policy.TLSHost{Name: "main", Engine: true, Certificates: list}); len(errs) != 1 || !strings.Contains(errs[0].Error(), "at most 60000 fit") {
		t.Errorf("%v", errs)
	}
	huge := h.pair("huge", issue(t, nil, ecKey(elliptic.P256()), func(c *x509.Certificate) { fat(c); fat(c) }))
	if _, errs := h.set(policy.TLSHost{Name: "main", Engine: true, Certificates: []policy.Certificate{huge}}); len(errs) != 1 || !strings.Contains(errs[0].Error(), "at most 24576 fit") {
		t.Errorf("%v", errs)
	}
}
