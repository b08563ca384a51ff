package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"
)

// lifetime of a self-signed certificate. Clients that believe it have been told
// to by hand, one by one: a short one would only make them ask again.
const lifetime = 10 * 365 * 24 * time.Hour

// Make makes an ECDSA key on P-256 and a self-signed certificate for names, the
// first of which is the subject: both PEM, and the certificate's SHA-256.
func Make(names []string, now time.Time) (file []byte, fingerprint string, err error) {
	if len(names) == 0 || names[0] == "" {
		return nil, "", errors.New("a certificate wants a name")
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, "", fmt.Errorf("serial number: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: serial, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime),
		Subject:  pkix.Name{CommonName: names[0][:min(len(names[0]), 64)]}, // ub-common-name
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip, err := netip.ParseAddr(n); err == nil {
			t.IPAddresses = append(t.IPAddresses, ip.Unmap().WithZone("").AsSlice())
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", fmt.Errorf("key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, "", fmt.Errorf("certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, "", fmt.Errorf("key: %w", err)
	}
	file = append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	sum := sha256.Sum256(der)
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	for i := 0; i < len(digits); i += 2 {
		if i > 0 {
			fingerprint += ":"
		}
		fingerprint += digits[i : i+2]
	}
	return file, fingerprint, nil
}
