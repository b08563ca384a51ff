package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// issuer is a CA for certificates of clients.
type issuer struct {
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Clients"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	must(t, err)
	c, err = x509.ParseCertificate(der)
	must(t, err)
	return &issuer{c, key, 1}
}

// issue makes a certificate for a name; it is valid until then.
func (i *issuer) issue(t *testing.T, name string, until time.Time) tls.Certificate {
	t.Helper()
	i.serial++
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(i.serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, i.cert, key.Public(), i.key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestLoginsByCertificate: with the real processes and a real client of TLS.
func TestLoginsByCertificate(t *testing.T) {
	ca, later := newIssuer(t), time.Now().Add(time.Hour)
	ann, bob, old := ca.issue(t, "ann", later), ca.issue(t, "bob", later), ca.issue(t, "ann", time.Now().Add(-time.Hour))
	revoked, foreign := ca.issue(t, "ann", later), newIssuer(t).issue(t, "ann", later)
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: later,
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(5), RevocationTime: time.Now()}}, // revoked's
	}, ca.cert, ca.key)
	must(t, err)
	files, err := os.MkdirTemp("", "sallyport-ca.")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(files) })
	must(t, os.WriteFile(filepath.Join(files, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}), 0o600))
	must(t, os.WriteFile(filepath.Join(files, "crl.der"), crl, 0o600))

	h := prepare(t, false, fmt.Sprintf("tls {\n  client {\n    verify = \"request\"\n    ca = [%q]\n    crl = [%q]\n    user = \"cn\"\n  }\n}\n",
		filepath.Join(files, "ca.pem"), filepath.Join(files, "crl.der"))).start()
	for _, x := range []struct {
		what string
		cert *tls.Certificate
		user string
		want string // of USER; "": the handshake fails
	}{
		{"ann's own", &ann, "ann", "232"},
		{"another name", &bob, "ann", "331"},
		{"a name that is no account", &bob, "bob", "530"},
		{"none", nil, "ann", "331"},
		{"expired", &old, "ann", ""},
		{"revoked", &revoked, "ann", ""},
		{"of another CA", &foreign, "ann", ""},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(fmt.Sprintf("%s, %x", x.what, version), func(t *testing.T) {
				got, pwd := h.userByCertificate(t, x.cert, version, x.user)
				if !strings.HasPrefix(got, x.want) || x.want == "" && got != "" {
					t.Errorf("USER: %q, want %q", got, x.want)
				}
				if logged := strings.HasPrefix(pwd, "257"); logged != (x.want == "232") {
					t.Errorf("PWD: %q", pwd)
				}
			})
		}
	}
	h.stop()
	for _, line := range []string{"event=login.ok source=file", " method=certificate", ": the certificate CN=ann names ann"} {
		if !strings.Contains(h.log.String(), line) {
			t.Errorf("no %q in the log", line)
		}
	}
}

// userByCertificate tells the answers to USER and PWD after AUTH TLS with a
// certificate; "" where the connection has ended.
func (h *house) userByCertificate(t *testing.T, cert *tls.Certificate, version uint16, user string) (got, pwd string) {
	t.Helper()
	c, err := net.Dial("tcp", h.addr)
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = c.Write([]byte("AUTH TLS\r\n"))
	must(t, err)
	lines := bufio.NewReader(c)
	for range 2 {
		_, err := lines.ReadString('\n')
		must(t, err)
	}
	conf := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}
	if cert != nil {
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	s := tls.Client(c, conf)
	if s.Handshake() != nil {
		return "", ""
	}
	in := bufio.NewReader(s)
	ask := func(line string) string {
		if _, err := s.Write([]byte(line + "\r\n")); err != nil {
			return ""
		}
		answer, err := in.ReadString('\n')
		if err != nil {
			return ""
		}
		return answer
	}
	got = ask("USER " + user)
	return got, ask("PWD")
}
