package keys

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"sallyport/internal/policy"
)

// pki is two CAs and an intermediate.
type pki struct {
	*house
	root, middle, other *entity
}

func newPKI(t testing.TB) *pki {
	p := &pki{house: newHouse(t), root: newCA(t, "Root", nil), other: newCA(t, "Other", nil)}
	p.middle = newCA(t, "Middle", p.root)
	p.write("ca.pem", 0o644, certPEM(p.root))
	return p
}

// client is a certificate that root has issued for alice.
func (p *pki) client(change func(*x509.Certificate)) *entity { return p.clientOf(p.root, change) }

func (p *pki) clientOf(by *entity, change func(*x509.Certificate)) *entity {
	return issue(p.t, by, ecKey(elliptic.P256()), func(c *x509.Certificate) {
		c.Subject, c.DNSNames = pkix.Name{CommonName: "alice"}, nil
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		if change != nil {
			change(c)
		}
	})
}

// crl makes a revocation list.
func (p *pki) crl(by *entity, change func(*x509.RevocationList), revoked ...*entity) []byte {
	p.t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: today.AddDate(0, 0, -1), NextUpdate: today.AddDate(0, 0, 7)}
	for _, e := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: e.cert.SerialNumber, RevocationTime: today})
	}
	if change != nil {
		change(l)
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, by.cert, by.key)
	if err != nil {
		p.t.Fatal(err)
	}
	return der
}

func crlPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func (p *pki) host(change func(*policy.ClientCertificates)) (*Host, []error) {
	c := policy.ClientCertificates{Verify: "request", CA: []string{p.path("ca.pem")}, User: "cn"}
	if change != nil {
		change(&c)
	}
	s, errs := p.set(policy.TLSHost{Name: "main", Engine: true, Client: c})
	return s.Host("main"), errs
}

// with returns a host with these revocation lists.
func (p *pki) with(lists ...string) *Host {
	p.t.Helper()
	h, errs := p.host(func(c *policy.ClientCertificates) {
		for _, l := range lists {
			c.CRL = append(c.CRL, p.path(l))
		}
	})
	if errs != nil {
		p.t.Fatal(errs)
	}
	return h
}

func chain(list ...*entity) (der []byte) {
	for _, e := range list {
		der = append(der, e.cert.Raw...)
	}
	return der
}

func TestCertificatesOfClients(t *testing.T) {
	p := newPKI(t)
	deep := p.root
	var above []*entity
	for i := range 4 {
		deep = newCA(t, "Deep "+string(rune('a'+i)), deep)
		above = append([]*entity{deep}, above...)
	}
	weak := issue(t, p.root, rsaKey(), nil)
	for name, x := range map[string]struct {
		chain  []byte
		change func(*policy.ClientCertificates)
		want   string // "": believed
	}{
		"good":                  {chain: chain(p.client(nil))},
		"with an intermediate":  {chain: chain(p.clientOf(p.middle, nil), p.middle)},
		"with the root":         {chain: chain(p.clientOf(p.middle, nil), p.middle, p.root)},
		"RSA":                   {chain: chain(weak)},
		"nothing":               {want: "there is no certificate"},
		"garbage":               {chain: []byte("hello"), want: "certificate 1 of the chain is malformed"},
		"garbage behind":        {chain: append(chain(p.client(nil)), 1, 2, 3), want: "certificate 2 of the chain is malformed"},
		"cut off":               {chain: chain(p.client(nil))[:100], want: "certificate 1 of the chain is malformed"},
		"no intermediate":       {chain: chain(p.clientOf(p.middle, nil)), want: "none of the configured CAs has issued it"},
		"of another CA":         {chain: chain(p.clientOf(p.other, nil)), want: "none of the configured CAs"},
		"of another CA, sent":   {chain: chain(p.clientOf(p.other, nil), p.other), want: "none of the configured CAs"},
		"self-signed":           {chain: chain(issue(t, nil, ecKey(elliptic.P256()), nil)), want: "none of the configured CAs"},
		"of a CA of the name":   {chain: chain(p.clientOf(newCA(t, "Root", nil), nil)), want: "none of the configured CAs"},
		"issued by a client":    {chain: chain(p.clientOf(p.client(nil), nil), p.client(nil)), want: "none of the configured CAs"},
		"expired":               {chain: chain(p.client(func(c *x509.Certificate) { c.NotAfter = today.Add(-time.Hour) })), want: "it has expired"},
		"not valid yet":         {chain: chain(p.client(func(c *x509.Certificate) { c.NotBefore = today.Add(time.Hour) })), want: "not valid yet"},
		"a server's":            {chain: chain(p.client(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })), want: "not meant for clients"},
		"as deep as allowed":    {chain: chain(append([]*entity{p.clientOf(deep, nil)}, above...)...), change: func(c *policy.ClientCertificates) { c.Depth = 5 }},
		"too deep":              {chain: chain(append([]*entity{p.clientOf(deep, nil)}, above...)...), change: func(c *policy.ClientCertificates) { c.Depth = 4 }, want: "there are 5 CAs above it, at most 4"},
		"too many certificates": {chain: chain(p.client(nil), p.root, p.root, p.root, p.root, p.root, p.root, p.root, p.root, p.root, p.root), want: "more than 10 certificates"},
		"nobody asks":           {chain: chain(p.client(nil)), change: func(c *policy.ClientCertificates) { c.Verify = "off" }, want: "not asked for"},
		"an unknown critical extension": {chain: chain(p.client(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		})), want: "it is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			h, errs := p.host(x.change)
			if errs != nil {
				t.Fatal(errs)
			}
			c, err := h.Client(x.chain)
			switch {
			case x.want == "" && err != nil:
				t.Error(err)
			case x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)):
				t.Errorf("%v, want %q", err, x.want)
			case err != nil && c.User != "":
				t.Errorf("a refused certificate names %q", c.User)
			}
		})
	}
}

func TestRevocation(t *testing.T) {
	p := newPKI(t)
	good, bad := p.client(nil), p.client(nil)
	below := p.clientOf(p.middle, nil)
	for name, der := range map[string][]byte{
		"root":    p.crl(p.root, nil, bad),
		"middle":  p.crl(p.middle, nil),
		"nothing": p.crl(p.root, nil),
		"revokes": p.crl(p.root, nil, p.middle),
		"old": p.crl(p.root, func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = today.AddDate(0, 0, -9), today.AddDate(0, 0, -2)
		}),
		"future": p.crl(p.root, func(l *x509.RevocationList) { l.ThisUpdate = today.AddDate(0, 0, 1) }),
		"forged": p.crl(newCA(t, "Root", nil), nil),
	} {
		p.write(name+".der", 0o644, der)
		p.write(name+".pem", 0o644, crlPEM(der))
	}
	p.write("both.pem", 0o644, append(crlPEM(p.crl(p.root, nil, bad)), crlPEM(p.crl(p.middle, nil))...))
	for _, x := range []struct {
		name  string
		lists []string
		chain []byte
		want  string
	}{
		{"good, DER", []string{"root.der"}, chain(good), ""},
		{"good, PEM", []string{"root.pem"}, chain(good), ""},
		{"revoked, DER", []string{"root.der"}, chain(bad), "it is revoked"},
		{"revoked, PEM", []string{"root.pem"}, chain(bad), "it is revoked"},
		{"revoked by one of two lists", []string{"nothing.pem", "root.pem"}, chain(bad), "it is revoked"},
		{"two in one file", []string{"both.pem"}, chain(below, p.middle), ""},
		{"two files", []string{"root.der", "middle.pem"}, chain(below, p.middle), ""},
		{"none of the intermediate", []string{"root.pem"}, chain(below, p.middle), "there is no revocation list of CN=Middle"},
		{"none of the root", []string{"middle.pem"}, chain(below, p.middle), "there is no revocation list of CN=Root"},
		{"the intermediate is revoked", []string{"revokes.pem", "middle.pem"}, chain(below, p.middle), "it is revoked"},
		{"expired", []string{"old.pem"}, chain(good), "the revocation list of CN=Root has expired"},
		{"expired beside a current one", []string{"old.pem", "root.pem"}, chain(good), ""},
		{"not valid yet", []string{"future.pem"}, chain(good), "has expired"},
		{"signed by another", []string{"forged.pem"}, chain(good), "there is no revocation list of CN=Root"},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, err := p.with(x.lists...).Client(x.chain)
			if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
				t.Errorf("%v, want %q", err, x.want)
			}
		})
	}
}

func TestARenewedRevocationListTakesEffect(t *testing.T) {
	p := newPKI(t)
	e := p.client(nil)
	p.write("list", 0o644, p.crl(p.root, nil))
	h := p.with("list")
	if _, err := h.Client(chain(e)); err != nil {
		t.Fatal(err)
	}
	p.write("list", 0o644, p.crl(p.root, nil, e))
	p.later()
	if _, err := h.Client(chain(e)); err == nil {
		t.Error("the new list is not looked at")
	}
	p.write("list", 0o644, []byte("nonsense"))
	p.later()
	if _, err := h.Client(chain(e)); err == nil {
		t.Error("a bad list took away the good one")
	}
	p.hear("the former content stays in force")
	p.write("list", 0o644, p.crl(p.root, nil))
	p.later()
	if _, err := h.Client(chain(e)); err != nil {
		t.Error(err)
	}
	p.now = today.AddDate(0, 0, 8)
	if _, err := h.Client(chain(e)); err == nil || !strings.Contains(err.Error(), "has expired") {
		t.Errorf("a list that nobody renews: %v", err)
	}
}

func TestWhatClientConfigurationsAreRefused(t *testing.T) {
	p := newPKI(t)
	delta := p.crl(p.root, func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}
	})
	indirect := p.crl(p.root, func(l *x509.RevocationList) {
		l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(1), RevocationTime: today, ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}},
		}}}
	})
	p.write("delta", 0o644, delta)
	p.write("indirect", 0o644, indirect)
	p.write("empty.pem", 0o644, []byte("# nothing\n"))
	p.write("leaf.pem", 0o644, certPEM(issue(t, p.root, ecKey(elliptic.P256()), func(c *x509.Certificate) { c.BasicConstraintsValid = true })))
	p.write("writable.pem", 0o666, certPEM(p.root))
	for name, x := range map[string]struct {
		change func(*policy.ClientCertificates)
		want   string
	}{
		"no CA":               {func(c *policy.ClientCertificates) { c.CA = nil }, "no CA is configured"},
		"a missing CA file":   {func(c *policy.ClientCertificates) { c.CA = []string{p.path("none")} }, "no such file"},
		"an empty CA file":    {func(c *policy.ClientCertificates) { c.CA = []string{p.path("empty.pem")} }, "no certificate in it"},
		"no CA's certificate": {func(c *policy.ClientCertificates) { c.CA = []string{p.path("leaf.pem")} }, "is not a CA's"},
		"a CA file that everybody writes": {
			func(c *policy.ClientCertificates) { c.CA = []string{p.path("writable.pem")} }, "is world-writable",
		},
		"a missing list":      {func(c *policy.ClientCertificates) { c.CRL = []string{p.path("none")} }, "CRL: open"},
		"no list in it":       {func(c *policy.ClientCertificates) { c.CRL = []string{p.path("ca.pem")} }, "no revocation list in it"},
		"a delta list":        {func(c *policy.ClientCertificates) { c.CRL = []string{p.path("delta")} }, "2.5.29.27 is critical"},
		"an indirect list":    {func(c *policy.ClientCertificates) { c.CRL = []string{p.path("indirect")} }, "2.5.29.29 of an entry is critical"},
		"a short fingerprint": {func(c *policy.ClientCertificates) { c.Map = []policy.CertificateUser{{Fingerprint: "abcd"}} }, "64 hexadecimal digits"},
	} {
		h, errs := p.host(x.change)
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, errs, x.want)
		}
		if _, err := h.Client(chain(p.client(nil))); err == nil {
			t.Errorf("%s: certificates are believed all the same", name)
		}
	}
}

// TestWhomACertificateNames: one name, whole, of the kind that is configured.
func TestWhomACertificateNames(t *testing.T) {
	p := newPKI(t)
	cn := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.Subject = pkix.Name{}
			for _, n := range names {
				c.Subject.ExtraNames = append(c.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: n})
			}
		}
	}
	mail := func(list ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.EmailAddresses = list }
	}
	dns := func(list ...string) func(*x509.Certificate) { return func(c *x509.Certificate) { c.DNSNames = list } }
	mapped := p.client(nil)
	sum := sha256.Sum256(mapped.cert.Raw)
	for _, x := range []struct {
		what, kind string
		cert       *entity
		user, note string
	}{
		{"common name", "cn", p.client(cn("alice")), "alice", ""},
		{"case counts", "cn", p.client(cn("Alice")), "Alice", ""},
		{"two common names", "cn", p.client(cn("alice", "root")), "", "has 2 common names"},
		{"no common name", "cn", p.client(cn()), "", "has 0 common names"},
		{"NUL", "cn", p.client(cn("alice\x00.example.org")), "", "no possible user name"},
		{"a line break", "cn", p.client(cn("alice\r\n230 hello")), "", "no possible user name"},
		{"a path", "cn", p.client(cn("../alice")), "", "no possible user name"},
		{"an empty one", "cn", p.client(cn("")), "", "no possible user name"},
		{"a long one", "cn", p.client(cn(strings.Repeat("a", 300))), "", "no possible user name"},
		{"e-mail", "email", p.client(mail("alice@example.org")), "alice@example.org", ""},
		{"two e-mails", "email", p.client(mail("alice@example.org", "bob@example.org")), "", "has 2 e-mail addresses"},
		{"no e-mail", "email", p.client(nil), "", "has 0 e-mail addresses"},
		{"DNS", "dns", p.client(dns("alice.example.org")), "alice.example.org", ""},
		{"the common name is no DNS name", "dns", p.client(cn("alice")), "", "has 0 DNS names"},
		{"map", "map", mapped, "carol", ""},
		{"not in the map", "map", p.client(nil), "", "no user is configured for the certificate with the fingerprint"},
		{"nothing names it", "", p.client(nil), "", ""},
	} {
		h, errs := p.host(func(c *policy.ClientCertificates) {
			c.User = x.kind
			c.Map = []policy.CertificateUser{{Fingerprint: strings.ToUpper(colons(hex.EncodeToString(sum[:]))), User: "carol"}}
		})
		if errs != nil {
			t.Fatal(errs)
		}
		c, err := h.Client(chain(x.cert))
		if err != nil || c.User != x.user || !strings.Contains(c.Note, x.note) || x.note == "" && c.Note != "" {
			t.Errorf("%s: %+v, %v", x.what, c, err)
		}
		for _, r := range c.Subject {
			if r < ' ' || r > '~' {
				t.Errorf("%s: subject %q", x.what, c.Subject)
			}
		}
	}
}

func colons(s string) string {
	var parts []string
	for i := 0; i < len(s); i += 2 {
		parts = append(parts, s[i:i+2])
	}
	return strings.Join(parts, ":")
}

// FuzzClient: no chain is believed that a configured CA has not signed, whatever
// its bytes are, and none takes long.
func FuzzClient(f *testing.F) {
	p := newPKI(f)
	p.write("list", 0o644, p.crl(p.root, nil))
	p.write("list2", 0o644, p.crl(p.middle, nil))
	h := p.with("list", "list2")
	good := chain(p.client(nil))
	f.Add(good)
	f.Add(chain(p.clientOf(p.middle, nil), p.middle))
	f.Add(chain(p.clientOf(p.other, nil), p.other))
	f.Add(good[:len(good)-1])
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, der []byte) {
		if len(der) > 32768 {
			return // the dialogue's bound
		}
		c, err := h.Client(der)
		if err != nil {
			return
		}
		x, perr := parseChain(der)
		if perr != nil || x[0].CheckSignatureFrom(p.root.cert) != nil && x[0].CheckSignatureFrom(p.middle.cert) != nil {
			t.Fatalf("believed: %+v", c)
		}
	})
}
