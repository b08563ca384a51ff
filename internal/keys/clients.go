package keys

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"sallyport/internal/policy"
	"sallyport/internal/userfile"
)

// clients judges certificates of clients for one host.
type clients struct {
	policy policy.ClientCertificates
	users  map[string]string // by fingerprint
	depth  int

	ca, crl       files
	roots         *x509.CertPool
	lists         *revocations // nil: none are configured
	saidCA, saidL string
}

// defaultDepth is TLSVerifyDepth's default.
const defaultDepth = 9

func newClients(p *policy.ClientCertificates, s *Set) (*clients, error) {
	c := &clients{policy: *p, depth: int(p.Depth), users: make(map[string]string, len(p.Map))}
	if c.depth == 0 {
		c.depth = defaultDepth
	}
	for _, m := range p.Map {
		f := strings.ToLower(strings.ReplaceAll(m.Fingerprint, ":", ""))
		if b, err := hex.DecodeString(f); err != nil || len(b) != sha256.Size {
			return nil, fmt.Errorf("fingerprint %q: 64 hexadecimal digits are wanted, the SHA-256 of the certificate", m.Fingerprint)
		}
		c.users[f] = m.User
	}
	if len(p.CA) == 0 {
		return nil, errors.New("certificates of clients are asked for, but no CA is configured that could have issued them")
	}
	c.ca.paths, c.crl.paths = p.CA, p.CRL
	now := s.opt.Now()
	c.ca.due(now)
	c.crl.due(now)
	if err := c.loadCA(); err != nil {
		return nil, err
	}
	if err := c.loadLists(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *clients) loadCA() error {
	pool, n := x509.NewCertPool(), 0
	for _, path := range c.policy.CA {
		data, err := read(path, maxLists, decides, nil)
		if err != nil {
			return fmt.Errorf("CA: %w", err)
		}
		found := 0
		for len(data) > 0 {
			var b *pem.Block
			if b, data = pem.Decode(data); b == nil {
				break
			}
			if b.Type != "CERTIFICATE" {
				continue
			}
			x, err := x509.ParseCertificate(b.Bytes)
			if err != nil {
				return fmt.Errorf("CA %q: certificate %d: %w", path, found+1, err)
			}
			if x.BasicConstraintsValid && !x.IsCA {
				return fmt.Errorf("CA %q: certificate %d (%s) is not a CA's", path, found+1, subject(x))
			}
			pool.AddCert(x)
			found++
		}
		if found == 0 {
			return fmt.Errorf("CA %q: no certificate in it (PEM wants a line -----BEGIN CERTIFICATE-----)", path)
		}
		n += found
	}
	c.roots = pool
	return nil
}

func (c *clients) loadLists() error {
	if len(c.policy.CRL) == 0 {
		return nil
	}
	l, err := readLists(c.policy.CRL)
	if err == nil {
		c.lists = l
	}
	return err
}

// refresh reads again what has changed; what is bad then leaves the former in
// force. A revocation list that is not renewed expires by itself.
func (c *clients) refresh(s *Set, now time.Time) {
	keep := func(due bool, load func() error, said *string) {
		if !due {
			return
		}
		text := ""
		if err := load(); err != nil {
			text = err.Error() + "; the former content stays in force"
		}
		if text != "" && text != *said {
			s.opt.Say(text)
		}
		*said = text
	}
	keep(c.ca.due(now), c.loadCA, &c.saidCA)
	keep(c.crl.due(now), c.loadLists, &c.saidL)
}

// Client is a certificate that is believed.
type Client struct {
	Subject string // for the log
	User    string // the account that it may log in, "" for none
	Note    string // why it names none, for the log
}

// Client judges a client's chain, DER certificates one behind the other, leaf
// first. The error says why it is refused; the subject is for the log and may
// be known all the same.
func (h *Host) Client(der []byte) (Client, error) {
	if h == nil || h.client == nil {
		return Client{}, errors.New("certificates of clients are not asked for")
	}
	c, now := h.client, h.set.opt.Now()
	c.refresh(h.set, now)
	chain, err := parseChain(der)
	if err != nil {
		return Client{}, err
	}
	out := Client{Subject: subject(chain[0])}
	if err := c.verify(chain, now); err != nil {
		return out, err
	}
	out.User, out.Note = c.user(chain[0])
	return out, nil
}

// parseChain bounds what is computed on: certificates, and the size of their
// keys, since verifying costs with it.
func parseChain(der []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for n := 0; len(der) > 0; n++ {
		if n == maxCerts {
			return nil, fmt.Errorf("the chain has more than %d certificates", maxCerts)
		}
		var raw asn1.RawValue
		rest, err := asn1.Unmarshal(der, &raw)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the chain is malformed", len(chain)+1)
		}
		x, err := x509.ParseCertificate(raw.FullBytes)
		if err != nil { // its text may hold the client's bytes
			return nil, fmt.Errorf("certificate %d of the chain is malformed", len(chain)+1)
		}
		if k, ok := x.PublicKey.(*rsa.PublicKey); ok && (k.N.BitLen() < minRSA || k.N.BitLen() > maxRSA) {
			return nil, fmt.Errorf("certificate %d of the chain has an RSA key of %d bits, %d to %d are wanted", len(chain)+1, k.N.BitLen(), minRSA, maxRSA)
		}
		if x.PublicKey == nil {
			return nil, fmt.Errorf("certificate %d of the chain has a key of an unknown kind", len(chain)+1)
		}
		der = rest
		switch twin := sameName(chain, x); {
		case twin == nil:
			chain = append(chain, x)
		case !twin.Equal(x):
			return nil, errors.New("the chain has two CAs of one name")
		}
	}
	if len(chain) == 0 {
		return nil, errors.New("there is no certificate")
	}
	return chain, nil
}

// sameName returns the CA of a chain that is called as x is. Two of them could
// both have signed what names it, ten of them in more orders than can be tried:
// with names that differ there is one way up, and as many signatures as
// certificates.
func sameName(chain []*x509.Certificate, x *x509.Certificate) *x509.Certificate {
	for i, c := range chain {
		if i > 0 && bytes.Equal(c.RawSubject, x.RawSubject) {
			return c
		}
	}
	return nil
}

func (c *clients) verify(chain []*x509.Certificate, now time.Time) error {
	middle := x509.NewCertPool()
	for _, x := range chain[1:] {
		middle.AddCert(x)
	}
	ways, err := chain[0].Verify(x509.VerifyOptions{
		Roots: c.roots, Intermediates: middle, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return reason(err)
	}
	err = nil
	for _, way := range ways {
		switch {
		case len(way)-1 > c.depth:
			err = fmt.Errorf("there are %d CAs above it, at most %d are allowed", len(way)-1, c.depth)
		case c.lists != nil:
			err = c.lists.check(way, now)
		default:
			err = nil
		}
		if err == nil {
			return nil
		}
	}
	return err
}

// reason says why x509 refuses, without the client's bytes.
func reason(err error) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return errors.New("none of the configured CAs has issued it")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return errors.New("it has expired, or is not valid yet")
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return errors.New("it is not meant for clients (extended key usage)")
	case errors.As(err, &invalid) && invalid.Reason == x509.TooManyIntermediates:
		return errors.New("its chain is longer than a CA in it allows")
	}
	return errors.New("it is not valid")
}

// user returns the account that a certificate names, or why it names none.
func (c *clients) user(x *x509.Certificate) (name, note string) {
	var names []string
	what := ""
	switch c.policy.User {
	case "cn":
		what = "common names"
		for _, a := range x.Subject.Names {
			if a.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) {
				s, _ := a.Value.(string)
				names = append(names, s)
			}
		}
	case "email":
		what, names = "e-mail addresses", x.EmailAddresses
	case "dns":
		what, names = "DNS names", x.DNSNames
	case "map":
		sum := sha256.Sum256(x.Raw)
		f := hex.EncodeToString(sum[:])
		if u := c.users[f]; u != "" {
			return u, ""
		}
		return "", "no user is configured for the certificate with the fingerprint " + f
	default:
		return "", ""
	}
	if len(names) != 1 {
		return "", fmt.Sprintf("the certificate has %d %s, one is wanted", len(names), what)
	}
	if userfile.ValidName(names[0]) != nil { // NUL and its kin
		return "", "the certificate's name is no possible user name"
	}
	return names[0], ""
}
