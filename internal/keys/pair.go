package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/policy"
)

// Pair is a certificate chain with its private key. It does not change; a
// session that was offered one may sign with it though the files have changed.
type Pair struct {
	Subject string
	Chain   []byte // DER, leaf first, one behind the other
	leaf    *x509.Certificate
	issuer  *x509.Certificate // nil: the chain has the leaf alone
	key     crypto.Signer
	self    bool

	staple []byte
	until  time.Time // the staple's next update
}

// Staple returns the OCSP response to staple, nil where there is none that is
// still good.
func (p *Pair) Staple(now time.Time) []byte {
	if p.staple == nil || !p.until.IsZero() && now.After(p.until) {
		return nil
	}
	return p.staple
}

// slot is the place of one configured certificate.
type slot struct {
	c      policy.Certificate
	files  files // chain and key
	ocsp   files // the staple
	pair   *Pair // nil: never usable
	said   string
	stale  string // what was said of the staple
	warned string // and of the certificate
}

// load reads the slot for the first time.
func (sl *slot) load(s *Set) {
	sl.files.paths = []string{sl.c.File, sl.c.Key}
	sl.ocsp.paths = []string{sl.c.Staple}
	now := s.opt.Now()
	sl.files.due(now)
	sl.ocsp.due(now)
	p, err := loadPair(sl.c, s.group)
	if err != nil {
		sl.said = err.Error()
		return
	}
	sl.pair = p
	sl.warn(s, now)
	sl.staple(s, now)
}

// refresh reads again what has changed.
func (sl *slot) refresh(s *Set, now time.Time) {
	changed := sl.files.due(now)
	if changed {
		changed = sl.replace(s, now)
	}
	if due := sl.ocsp.due(now); due || changed {
		sl.staple(s, now)
	}
}

// replace takes the pair that the files now hold, if it is usable; it tells
// whether it is another one.
func (sl *slot) replace(s *Set, now time.Time) bool {
	p, err := loadPair(sl.c, s.group)
	if err != nil {
		if text := err.Error(); text != sl.said {
			sl.said = text
			s.opt.Say(text + "; the former certificate stays in force")
		}
		return false
	}
	sl.said = ""
	if bytes.Equal(p.Chain, sl.pair.Chain) {
		return false // touched, or the same key in another form
	}
	sl.pair = p
	sl.warn(s, now)
	s.opt.Changed()
	return true
}

// warn says what is wrong with a certificate that is used all the same.
func (sl *slot) warn(s *Set, now time.Time) {
	text := ""
	switch c := sl.pair.leaf; {
	case now.After(c.NotAfter):
		text = fmt.Sprintf("certificate %q has expired on %s: clients will refuse it", sl.c.File, c.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(c.NotBefore):
		text = fmt.Sprintf("certificate %q is not valid before %s: clients will refuse it", sl.c.File, c.NotBefore.UTC().Format(time.DateTime))
	case len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny):
		text = fmt.Sprintf("certificate %q is not meant for servers (extended key usage): clients will refuse it", sl.c.File)
	}
	if text != "" && text != sl.warned {
		s.opt.Say(text)
	}
	sl.warned = text
}

// loadPair reads and checks a certificate chain and its key.
func loadPair(c policy.Certificate, groups []uint32) (*Pair, error) {
	t := public
	if c.Key == c.File {
		t = secret
	}
	data, err := read(c.File, maxPEM, t, groups)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	defer clear(data)
	chain, key, err := parsePEM(data)
	if err != nil {
		return nil, fmt.Errorf("certificate %q: %w", c.File, err)
	}
	if c.Key != c.File {
		if key != nil {
			if _, err := read(c.File, maxPEM, secret, groups); err != nil { // a second key lies there
				return nil, fmt.Errorf("certificate with a private key in it: %w", err)
			}
		}
		other, err := read(c.Key, maxPEM, secret, groups)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		defer clear(other)
		if _, key, err = parsePEM(other); err != nil {
			return nil, fmt.Errorf("key %q: %w", c.Key, err)
		}
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("certificate %q: no certificate in it (PEM wants a line -----BEGIN CERTIFICATE-----)", c.File)
	}
	if key == nil {
		return nil, fmt.Errorf("key %q: no private key in it (PEM wants a line -----BEGIN PRIVATE KEY-----)", c.Key)
	}
	if err := strong(key.Public()); err != nil {
		return nil, fmt.Errorf("key %q: %w", c.Key, err)
	}
	if err := belongs(chain, key); err != nil {
		return nil, fmt.Errorf("key %q and certificate %q: %w", c.Key, c.File, err)
	}
	if err := ordered(chain); err != nil {
		return nil, fmt.Errorf("certificate %q: %w", c.File, err)
	}
	p := &Pair{Subject: subject(chain[0]), leaf: chain[0], key: key, self: selfSigned(chain[0])}
	if len(chain) > 1 {
		p.issuer = chain[1]
	}
	for _, x := range chain {
		p.Chain = append(p.Chain, x.Raw...)
	}
	if len(p.Chain) > maxChain {
		return nil, fmt.Errorf("certificate %q: the chain has %d bytes, at most %d fit: leave the root out", c.File, len(p.Chain), maxChain)
	}
	return p, nil
}

// maxChain is the longest chain in bytes, as ipc.OfferedCertificate says.
const maxChain = 24576

// parsePEM returns the certificates and the first private key of a file.
func parsePEM(data []byte) (chain []*x509.Certificate, key crypto.Signer, err error) {
	for len(data) > 0 {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		switch {
		case b.Type == "CERTIFICATE":
			if len(chain) == maxCerts {
				return nil, nil, fmt.Errorf("more than %d certificates", maxCerts)
			}
			c, err := x509.ParseCertificate(b.Bytes)
			if err != nil {
				return nil, nil, fmt.Errorf("certificate %d of the file: %w", len(chain)+1, err)
			}
			chain = append(chain, c)
		case b.Type == "ENCRYPTED PRIVATE KEY", strings.HasSuffix(b.Type, "PRIVATE KEY") && strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, nil, errors.New("the private key is encrypted, and a server has nobody to ask for its passphrase: decrypt it (openssl pkey -in OLD -out NEW) and keep it with mode 0600")
		case strings.HasSuffix(b.Type, "PRIVATE KEY") && key == nil:
			if key, err = parseKey(b); err != nil {
				return nil, nil, err
			}
			clear(b.Bytes)
		}
	}
	return chain, key, nil
}

const maxCerts = 10 // of a chain

func parseKey(b *pem.Block) (crypto.Signer, error) {
	var k any
	var err error
	switch b.Type {
	case "RSA PRIVATE KEY":
		k, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		k, err = x509.ParseECPrivateKey(b.Bytes)
	case "PRIVATE KEY":
		k, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	default:
		err = fmt.Errorf("a %q cannot be used: RSA, ECDSA or Ed25519 is wanted, as PRIVATE KEY (PKCS #8), RSA PRIVATE KEY or EC PRIVATE KEY", b.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("the private key cannot be read: %w", err)
	}
	switch s := k.(type) {
	case *rsa.PrivateKey:
		return s, nil
	case *ecdsa.PrivateKey:
		return s, nil
	case ed25519.PrivateKey:
		return s, nil
	}
	return nil, fmt.Errorf("a private key of the kind %T cannot be used: RSA, ECDSA or Ed25519 is wanted", k)
}

// Sizes of RSA keys in bits. Above the upper one no client of crypto/tls takes
// a signature, and one takes longer than a login is worth.
const (
	minRSA = 2048
	maxRSA = 8192
)

// strong refuses keys that are too weak, or too dear.
func strong(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA || n > maxRSA {
			return fmt.Errorf("RSA with %d bits: %d to %d are wanted", n, minRSA, maxRSA)
		}
	case *ecdsa.PublicKey:
		if curveOf(k) == 0 {
			return fmt.Errorf("ECDSA on %s: P-256, P-384 or P-521 is wanted", k.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("a public key of the kind %T: RSA, ECDSA or Ed25519 is wanted", key)
	}
	return nil
}

// belongs checks that the first certificate is the key's.
func belongs(chain []*x509.Certificate, key crypto.Signer) error {
	pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return errors.New("the key cannot be compared")
	}
	for i, c := range chain {
		if !pub.Equal(c.PublicKey) {
			continue
		}
		if i > 0 {
			return fmt.Errorf("the key belongs to certificate %d of the file; the server's own must come first", i+1)
		}
		return nil
	}
	return errors.New("the private key does not belong to the certificate")
}

// ordered checks that each certificate was issued by the one behind it.
func ordered(chain []*x509.Certificate) error {
	for i := range len(chain) - 1 {
		c, by := chain[i], chain[i+1]
		if !bytes.Equal(c.RawIssuer, by.RawSubject) || c.CheckSignatureFrom(by) != nil {
			return fmt.Errorf("certificate %d (%s) was not issued by certificate %d (%s): each must stand before its issuer, the server's own first",
				i+1, subject(c), i+2, subject(by))
		}
	}
	return nil
}

func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// subject returns a certificate's subject for the log: printable ASCII, at most
// 256 bytes.
func subject(c *x509.Certificate) string {
	s := c.Subject.String()
	if s == "" && len(c.DNSNames) > 0 {
		s = "DNS:" + c.DNSNames[0]
	}
	return plain(s, 256)
}

// plain makes a foreign text fit for a message and a log.
func plain(s string, most int) string {
	b := []byte(s[:min(len(s), most)])
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
