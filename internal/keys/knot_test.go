package keys

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"testing"
)

// TestAKnotOfCertificatesIsNotWorkedThrough: CAs of one name that could all have
// signed one another make as many ways as there are orders of them, each a
// signature to verify. Who made them needs no key that anybody believes, and authd
// has other clients. What costs most is refused before the first signature.
func TestAKnotOfCertificatesIsNotWorkedThrough(t *testing.T) {
	p := newPKI(t)
	h := p.with()
	key := ecKey(elliptic.P256())
	ca := func(name string, n int) *entity {
		return issue(t, &entity{&x509.Certificate{Subject: pkix.Name{CommonName: name}}, key}, key, func(c *x509.Certificate) {
			c.Subject, c.DNSNames = pkix.Name{CommonName: name}, []string{fmt.Sprint("n", n)}
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		})
	}
	var ders [][]byte
	for n := range maxCerts {
		ders = append(ders, ca("knot", n).cert.Raw)
	}
	if _, err := h.Client(bytes.Join(ders, nil)); err == nil || !strings.Contains(err.Error(), "two CAs of one name") {
		t.Errorf("ten of one name: %v", err)
	}
	if _, err := h.Client(bytes.Join(ders[:2], nil)); err == nil || strings.Contains(err.Error(), "two CAs") {
		t.Errorf("a leaf that is called as its CA: %v", err)
	}
	good := p.clientOf(p.middle, nil)
	if c, err := h.Client(bytes.Join([][]byte{good.cert.Raw, p.middle.cert.Raw, p.root.cert.Raw}, nil)); err != nil || c.User != "alice" {
		t.Errorf("an ordinary chain: %+v, %v", c, err)
	}
	if _, err := h.Client(bytes.Join([][]byte{good.cert.Raw, p.middle.cert.Raw, p.middle.cert.Raw}, nil)); err != nil {
		t.Errorf("the same certificate twice: %v", err)
	}
}
