package ftp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"sallyport/ipc"
)

// No private key ever comes here: authd shows certificates and signs.

// errNoCertificate: authd has none for the host.
var errNoCertificate = errors.New("no certificate for this host")

// takeOffers asks authd for the certificates of the host.
func (s *Session) takeOffers() error {
	r, ok := ask[ipc.TLSOffer](s, ipc.TLSAsk{}, s.tls.end)
	if !ok {
		return errors.New("no certificates from authd")
	}
	s.tls.offers = nil
	for i := range r.Certificates {
		c, err := s.certificate(&r.Certificates[i])
		if err != nil {
			return fmt.Errorf("certificate %d of authd: %w", r.Certificates[i].ID, err)
		}
		s.tls.offers = append(s.tls.offers, c)
	}
	if len(s.tls.offers) == 0 {
		return errNoCertificate
	}
	return nil
}

func (s *Session) certificate(o *ipc.OfferedCertificate) (tls.Certificate, error) {
	chain, err := splitDER(o.Chain)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{
		Certificate: chain, Leaf: leaf, OCSPStaple: o.Staple,
		PrivateKey: &signer{s: s, id: o.ID, public: leaf.PublicKey},
	}, nil
}

// splitDER cuts DER values that lie one behind the other.
func splitDER(b []byte) ([][]byte, error) {
	var all [][]byte
	for len(b) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(b, &v)
		if err != nil {
			return nil, err
		}
		all = append(all, v.FullBytes)
		b = rest
	}
	if all == nil {
		return nil, errNoCertificate
	}
	return all, nil
}

// chooseCertificate takes the first that the client can verify; which name it
// is for was settled with the host.
func (s *Session) chooseCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.tls.offers == nil { // authd is another than at the client's first hello
		if err := s.takeOffers(); err != nil {
			return nil, err
		}
	}
	nameless := *hello
	nameless.ServerName = ""
	for i := range s.tls.offers {
		if nameless.SupportsCertificate(&s.tls.offers[i]) == nil {
			return &s.tls.offers[i], nil
		}
	}
	return &s.tls.offers[0], nil
}

// signer is the key of a certificate, which authd has.
type signer struct {
	s      *Session
	id     uint32
	public crypto.PublicKey
}

func (k *signer) Public() crypto.PublicKey { return k.public }

// Sign would sign a digest; authd signs only what it can read.
func (k *signer) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("a digest alone is not signed")
}

// SignMessage implements crypto.MessageSigner. It is called in full handshakes
// only, so this is where one that had to resume ends.
func (k *signer) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	s := k.s
	if s.tls.resume {
		s.tls.thief = true
		return nil, errNotResumed
	}
	scheme, ok := schemeOf(k.public, opts)
	if !ok {
		return nil, fmt.Errorf("no signature scheme for %T with %v", k.public, opts.HashFunc())
	}
	q := ipc.SignRequest{ID: k.id, Scheme: uint16(scheme), Message: message}
	r, ok := ask[ipc.SignReply](s, &q, s.tls.end, func() any {
		if q.ID = s.offeredAgain(k.public); q.ID == 0 {
			return nil
		}
		return &q
	})
	switch {
	case !ok:
		return nil, errors.New("no signature from authd")
	case len(r.Signature) == 0:
		return nil, errors.New("authd refused to sign")
	}
	return r.Signature, nil
}

// offeredAgain asks another authd for its certificates, and returns the ID of the
// one with a key; 0: there is none.
func (s *Session) offeredAgain(key crypto.PublicKey) uint32 {
	if s.takeOffers() != nil {
		return 0
	}
	for i := range s.tls.offers {
		k, ok := s.tls.offers[i].PrivateKey.(*signer)
		if e, is := key.(interface{ Equal(crypto.PublicKey) bool }); ok && is && e.Equal(k.public) {
			return k.id
		}
	}
	return 0
}

// schemeOf names how crypto/tls wants a message signed (RFC 8446 §4.2.3). In
// TLS 1.2 an ECDSA scheme names a hash, whatever the curve (RFC 8422 §5.1.1).
func schemeOf(key crypto.PublicKey, opts crypto.SignerOpts) (tls.SignatureScheme, bool) {
	var s [3]tls.SignatureScheme // by SHA-256, SHA-384, SHA-512
	switch key.(type) {
	case ed25519.PublicKey:
		return tls.Ed25519, opts.HashFunc() == 0
	case *ecdsa.PublicKey:
		s = [3]tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512}
	case *rsa.PublicKey:
		s = [3]tls.SignatureScheme{tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512}
		if _, ok := opts.(*rsa.PSSOptions); ok {
			s = [3]tls.SignatureScheme{tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512}
		}
	default:
		return 0, false
	}
	switch opts.HashFunc() {
	case crypto.SHA256:
		return s[0], true
	case crypto.SHA384:
		return s[1], true
	case crypto.SHA512:
		return s[2], true
	}
	return 0, false
}

// askAboutClient lets authd judge a client's certificate. The account that it
// names is believed after the handshake, in which the client shows its key.
func (s *Session) askAboutClient(raw [][]byte, _ [][]*x509.Certificate) error {
	if len(raw) == 0 {
		return nil
	}
	chain := bytes.Join(raw, nil)
	if len(chain) > maxChain {
		return errors.New("client certificate chain is too long")
	}
	s.tls.leaf = raw[0]
	return s.showClient(chain)
}

// showClient gets authd's verdict on a client's chain.
func (s *Session) showClient(chain []byte) error {
	r, ok := ask[ipc.ClientVerdict](s, &ipc.ClientCertificate{Chain: chain}, s.tls.end)
	switch {
	case !ok:
		return errors.New("no verdict on the client certificate from authd")
	case !r.OK:
		return fmt.Errorf("client certificate refused: %s", r.Subject)
	}
	s.tls.chain, s.tls.judge, s.tls.user = chain, s.auth, r.User
	return nil
}

// maxChain is how many bytes of a client's chain authd takes.
const maxChain = 32 << 10

// sameClient holds a certificate on a data connection against the one on the
// control connection.
func (s *Session) sameClient(raw [][]byte, _ [][]*x509.Certificate) error {
	if len(raw) == 0 && s.tls.leaf == nil || len(raw) > 0 && bytes.Equal(raw[0], s.tls.leaf) {
		return nil
	}
	return errors.New("not the client certificate of the control connection")
}
