package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"

	// the hashes of the schemes below
	_ "crypto/sha256"
	_ "crypto/sha512"
)

// Form is the kind of a message that a server signs in a handshake.
type Form uint8

// Forms.
const (
	Foreign Form = iota // none of them: never signed
	Verify              // TLS 1.3 server CertificateVerify, RFC 8446 §4.4.3
	ECDHE               // TLS 1.2 ECDHE parameters, RFC 8422 §5.4
)

// verifyPrefix is what stands before the transcript hash in TLS 1.3.
var verifyPrefix = append(bytes.Repeat([]byte{0x20}, 64), "TLS 1.3, server CertificateVerify\x00"...)

// Elliptic curves of ECDHE parameters: NamedCurve and the length of its points.
var points = map[uint16]int{
	23: 65,  // secp256r1, uncompressed
	24: 97,  // secp384r1
	25: 133, // secp521r1
	29: 32,  // x25519
}

// FormOf tells which message m is, to the last byte.
func FormOf(m []byte) Form {
	if hash, ok := bytes.CutPrefix(m, verifyPrefix); ok {
		if len(hash) == 32 || len(hash) == 48 { // of the cipher suites of TLS 1.3
			return Verify
		}
		return Foreign
	}
	// both randoms, curve_type named_curve, NamedCurve, length, point
	const head = 32 + 32 + 1 + 2 + 1
	if len(m) < head || m[64] != 3 {
		return Foreign
	}
	curve := uint16(m[65])<<8 | uint16(m[66])
	n := points[curve]
	if n == 0 || int(m[67]) != n || len(m) != head+n || curve != 29 && m[head] != 4 {
		return Foreign
	}
	return ECDHE
}

// Errors of Sign that tell abuse from misfortune.
var (
	ErrForm   = errors.New("the message is neither a server's CertificateVerify of TLS 1.3 nor ECDHE parameters of TLS 1.2")
	ErrScheme = errors.New("the signature scheme does not fit the key and the message")
)

// scheme is a SignatureScheme (RFC 8446 §4.2.3) that may be asked for.
type scheme struct {
	hash  crypto.Hash // 0: the message itself is signed
	kind  kind
	curve uint16 // ECDSA in TLS 1.3: the curve that belongs to it
}

type kind uint8

const (
	rsaPKCS1 kind = iota + 1 // TLS 1.2 only
	rsaPSS
	ecdsaKey
	ed25519Key
)

var schemes = map[uint16]scheme{
	0x0401: {crypto.SHA256, rsaPKCS1, 0},
	0x0501: {crypto.SHA384, rsaPKCS1, 0},
	0x0601: {crypto.SHA512, rsaPKCS1, 0},
	0x0804: {crypto.SHA256, rsaPSS, 0},
	0x0805: {crypto.SHA384, rsaPSS, 0},
	0x0806: {crypto.SHA512, rsaPSS, 0},
	0x0403: {crypto.SHA256, ecdsaKey, 23},
	0x0503: {crypto.SHA384, ecdsaKey, 24},
	0x0603: {crypto.SHA512, ecdsaKey, 25},
	0x0807: {0, ed25519Key, 0},
}

// curveOf returns the NamedCurve of an ECDSA key, 0 for one that is not used.
func curveOf(k *ecdsa.PublicKey) uint16 {
	switch k.Curve.Params().BitSize {
	case 256:
		return 23
	case 384:
		return 24
	case 521:
		return 25
	}
	return 0
}

// fits tells whether the scheme may sign a message of form f with a key.
func (s scheme) fits(f Form, key crypto.PublicKey) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return s.kind == rsaPSS || s.kind == rsaPKCS1 && f == ECDHE
	case *ecdsa.PublicKey:
		return s.kind == ecdsaKey && (f == ECDHE || s.curve == curveOf(k)) // RFC 8446 §4.2.3
	case ed25519.PublicKey:
		return s.kind == ed25519Key
	}
	return false
}

// Check tells whether p may sign m by the scheme: ErrForm or ErrScheme.
func (p *Pair) Check(id uint16, m []byte) error {
	f := FormOf(m)
	if f == Foreign {
		return ErrForm
	}
	if s, ok := schemes[id]; !ok || !s.fits(f, p.key.Public()) {
		return ErrScheme
	}
	return nil
}

// Quick tells whether a signature takes some ten microseconds; one with RSA, or on a
// curve that the library has no assembly for, takes ten or a hundred times as long.
func (p *Pair) Quick() bool {
	switch k := p.key.Public().(type) {
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return true
	}
	return false
}

// Sign signs m whole, if Check allows it.
func (p *Pair) Sign(id uint16, m []byte) ([]byte, error) {
	if err := p.Check(id, m); err != nil {
		return nil, err
	}
	s := schemes[id]
	digest := m
	var opts crypto.SignerOpts = s.hash
	if s.hash != 0 {
		h := s.hash.New()
		h.Write(m)
		digest = h.Sum(nil)
	}
	if s.kind == rsaPSS {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash}
	}
	sig, err := p.key.Sign(rand.Reader, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return sig, nil
}
