package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"testing"
)

// verify is a CertificateVerify message of TLS 1.3 with a hash of n bytes.
func verify(n int) []byte {
	m := append(bytes.Repeat([]byte{0x20}, 64), "TLS 1.3, server CertificateVerify\x00"...)
	return append(m, bytes.Repeat([]byte{0xab}, n)...)
}

// ecdhe is a parameter message of TLS 1.2.
func ecdhe(curve uint16, n int) []byte {
	m := append(bytes.Repeat([]byte{0xcc}, 64), 3, byte(curve>>8), byte(curve), byte(n), 4)
	return append(m, bytes.Repeat([]byte{0xdd}, n-1)...)
}

// edit changes a copy.
func edit(m []byte, f func(m []byte)) []byte {
	m = bytes.Clone(m)
	f(m)
	return m
}

func TestFormsOfMessages(t *testing.T) {
	for name, x := range map[string]struct {
		m    []byte
		want Form
	}{
		"SHA-256":         {verify(32), Verify},
		"SHA-384":         {verify(48), Verify},
		"P-256":           {ecdhe(23, 65), ECDHE},
		"P-384":           {ecdhe(24, 97), ECDHE},
		"P-521":           {ecdhe(25, 133), ECDHE},
		"X25519":          {ecdhe(29, 32), ECDHE},
		"nothing":         {nil, Foreign},
		"one byte":        {[]byte{0x20}, Foreign},
		"no hash":         {verify(0), Foreign},
		"SHA-1":           {verify(20), Foreign},
		"MD5 and SHA-1":   {verify(36), Foreign},
		"SHA-512":         {verify(64), Foreign},
		"33 bytes":        {verify(33), Foreign},
		"31 bytes":        {verify(31), Foreign},
		"one space less":  {verify(32)[1:], Foreign},
		"one space more":  {append([]byte{0x20}, verify(32)...), Foreign},
		"client's":        {bytes.Replace(verify(32), []byte("server"), []byte("client"), 1), Foreign},
		"another context": {bytes.Replace(verify(32), []byte("1.3"), []byte("1.4"), 1), Foreign},
		"no separator":    {edit(verify(32), func(m []byte) { m[64+33] = ' ' }), Foreign},
		"no padding":      {edit(verify(32), func(m []byte) { m[10] = 0 }), Foreign},
		// RFC 9261 and RFC 9345: other uses of the same key with the same form
		"exported authenticator":      {append(append(bytes.Repeat([]byte{0x20}, 64), "Exported Authenticator\x00"...), make([]byte, 32)...), Foreign},
		"delegated credential":        {append(append(bytes.Repeat([]byte{0x20}, 64), "TLS, server delegated credentials\x00"...), make([]byte, 32)...), Foreign},
		"a point too short":           {ecdhe(23, 64), Foreign},
		"a point too long":            {ecdhe(23, 66), Foreign},
		"a point of another curve":    {ecdhe(23, 97), Foreign},
		"a compressed point":          {edit(ecdhe(23, 65), func(m []byte) { m[68] = 2 }), Foreign},
		"cut off":                     {ecdhe(23, 65)[:100], Foreign},
		"a byte behind it":            {append(ecdhe(29, 32), 0), Foreign},
		"explicit prime":              {edit(ecdhe(23, 65), func(m []byte) { m[64] = 1 }), Foreign},
		"explicit char2":              {edit(ecdhe(23, 65), func(m []byte) { m[64] = 2 }), Foreign},
		"a curve of the past":         {ecdhe(19, 49), Foreign},
		"curve 0":                     {ecdhe(0, 65), Foreign},
		"X448":                        {ecdhe(30, 56), Foreign},
		"randoms alone":               {ecdhe(29, 32)[:64], Foreign},
		"a certificate to be":         {append([]byte{0x30, 0x82, 1, 0}, make([]byte, 256)...), Foreign},
		"a CSR's or JWT's text":       {[]byte("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJyb290In0"), Foreign},
		"finite field Diffie-Hellman": {append(bytes.Repeat([]byte{1}, 64), 1, 0, 0xff), Foreign},
	} {
		if got := FormOf(x.m); got != x.want {
			t.Errorf("%s: %d, want %d", name, got, x.want)
		}
	}
}

func TestSchemesFitKeyAndForm(t *testing.T) {
	h := newHouse(t)
	pairs := map[string]*Pair{}
	for name, k := range map[string]crypto.Signer{
		"rsa": rsaKey(), "p256": ecKey(elliptic.P256()), "p384": ecKey(elliptic.P384()), "p521": ecKey(elliptic.P521()), "ed": edKey(),
	} {
		pairs[name] = h.open(h.pair(name, issue(t, nil, k, nil))).Offer()[0]
	}
	messages := map[Form][]byte{Verify: verify(48), ECDHE: ecdhe(29, 32)}
	good := map[string]map[Form][]uint16{
		"rsa":  {Verify: {0x0804, 0x0805, 0x0806}, ECDHE: {0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806}},
		"p256": {Verify: {0x0403}, ECDHE: {0x0403, 0x0503, 0x0603}},
		"p384": {Verify: {0x0503}, ECDHE: {0x0403, 0x0503, 0x0603}},
		"p521": {Verify: {0x0603}, ECDHE: {0x0403, 0x0503, 0x0603}},
		"ed":   {Verify: {0x0807}, ECDHE: {0x0807}},
	}
	for name, p := range pairs {
		for form, m := range messages {
			fits := map[uint16]bool{}
			for _, s := range good[name][form] {
				fits[s] = true
			}
			for s := range 0x1000 { // SHA-1, MD5, DSA, and what nobody knows
				sig, err := p.Sign(uint16(s), m)
				switch {
				case fits[uint16(s)] && err != nil:
					t.Errorf("%s, form %d, scheme %04x: %v", name, form, s, err)
				case fits[uint16(s)]:
					if !holds(p, uint16(s), m, sig) {
						t.Errorf("%s, form %d, scheme %04x: the signature is not valid", name, form, s)
					}
				case !errors.Is(err, ErrScheme) || sig != nil:
					t.Errorf("%s, form %d, scheme %04x: %v", name, form, s, err)
				}
			}
		}
		if sig, err := p.Sign(0x0403, []byte("anything else")); !errors.Is(err, ErrForm) || sig != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// holds verifies as a client does.
func holds(p *Pair, id uint16, m, sig []byte) bool {
	s := schemes[id]
	digest := m
	if s.hash != 0 {
		d := s.hash.New()
		d.Write(m)
		digest = d.Sum(nil)
	}
	switch k := p.leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if s.kind == rsaPKCS1 {
			return rsa.VerifyPKCS1v15(k, s.hash, digest, sig) == nil
		}
		return rsa.VerifyPSS(k, s.hash, digest, sig, &rsa.PSSOptions{SaltLength: s.hash.Size()}) == nil // RFC 8446 §4.2.3
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(k, m, sig)
	}
	return false
}

// FuzzFormOf: what is signed is exactly one of the two forms, by a second
// reading of the RFCs.
func FuzzFormOf(f *testing.F) {
	for _, m := range [][]byte{verify(32), verify(48), verify(47), ecdhe(23, 65), ecdhe(24, 97), ecdhe(25, 133), ecdhe(29, 32), ecdhe(30, 56), nil} {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, m []byte) {
		want := Foreign
		switch {
		case len(m) == 98+32 || len(m) == 98+48:
			if string(m[:98]) == string(bytes.Repeat([]byte(" "), 64))+"TLS 1.3, server CertificateVerify\x00" {
				want = Verify
			}
		}
		for _, c := range []struct{ id, n byte }{{23, 65}, {24, 97}, {25, 133}, {29, 32}} {
			if len(m) == 68+int(c.n) && m[64] == 3 && m[65] == 0 && m[66] == c.id && m[67] == c.n && (c.id == 29 || m[68] == 4) {
				want = ECDHE
			}
		}
		if got := FormOf(m); got != want {
			t.Fatalf("%x: %d, want %d", m, got, want)
		}
	})
}
