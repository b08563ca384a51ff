package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// identity is a certificate with its key.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// certified makes a certificate that by has issued; nil: a CA of its own.
func certified(t testing.TB, by *identity, name string, key crypto.Signer) *identity {
	t.Helper()
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	parent, signer := c, key
	if by == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	} else {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	x, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{x, key}
}

var bigKey = sync.OnceValue(func() crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// house is a world whose hosts have TLS: "main" with an ECDSA and an RSA
// certificate, "other" with one of its own.
type house struct {
	*world
	ca, ec, rsa, other *identity
}

func startTLS(t testing.TB, n int, l limits, change func(*policy.AuthHost)) *house {
	t.Helper()
	h := &house{world: start(t, n, l, change)}
	h.ca = certified(t, nil, "CA", nil)
	h.ec, h.rsa, h.other = certified(t, h.ca, "main.example.org", nil), certified(t, h.ca, "main.example.org", bigKey()), certified(t, h.ca, "other.example.org", nil)
	h.view = func(v *policy.Authd) {
		client := policy.ClientCertificates{Verify: "request", CA: []string{h.file("ca.pem")}, User: "cn"}
		other := v.Hosts[0]
		other.Name, other.LoginAttempts = "other", 5
		v.Hosts = append(v.Hosts, other)
		v.TLS = []policy.TLSHost{
			{Name: "main", Engine: true, Certificates: []policy.Certificate{h.pair("ec"), h.pair("rsa")}, Client: client},
			{Name: "other", Engine: true, Certificates: []policy.Certificate{h.pair("other")}},
		}
	}
	h.put("ca.pem", h.ca, nil)
	h.put("ec.pem", h.ec, h.ec.key)
	h.put("rsa.pem", h.rsa, h.rsa.key)
	h.put("other.pem", h.other, h.other.key)
	if r := h.configure(2, change); !r.OK {
		t.Fatal(r.Errors)
	}
	return h
}

func (h *house) file(name string) string { return filepath.Join(h.dir, name) }

func (h *house) pair(name string) policy.Certificate {
	return policy.Certificate{File: h.file(name + ".pem"), Key: h.file(name + ".pem")}
}

// put writes a certificate, and its key, into one file.
func (h *house) put(name string, e *identity, key crypto.Signer) {
	h.t.Helper()
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.cert.Raw})
	if key != nil {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			h.t.Fatal(err)
		}
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	path := h.file(name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		h.t.Fatal(err)
	}
}

// client attaches a session of the host "main".
func (h *house) client(change func(*ipc.Attach)) *client {
	return h.attach(func(a *ipc.Attach) {
		a.TLS = "main"
		if change != nil {
			change(a)
		}
	})
}

// call asks and waits for the answer.
func call[A any](c *client, q any) *A {
	c.w.t.Helper()
	a, _, err := ipc.Call[A](c.c, q)
	if err != nil {
		c.w.t.Fatalf("session %d: %T: %v", c.id, q, err)
	}
	return a
}

// verifyMessage is a CertificateVerify of TLS 1.3.
func verifyMessage() []byte {
	m := append(bytes.Repeat([]byte{0x20}, 64), "TLS 1.3, server CertificateVerify\x00"...)
	return append(m, make([]byte, 32)...)
}

const ecdsaP256 = 0x0403

// signs asks for one signature and tells whether it was granted.
func (c *client) signs() bool {
	c.w.t.Helper()
	return len(call[ipc.SignReply](c, &ipc.SignRequest{ID: 1, Scheme: ecdsaP256, Message: verifyMessage()}).Signature) > 0
}

// remote is the key of a certificate as a session has it: on the other side of
// the channel.
type remote struct {
	c   *client
	id  uint32
	pub crypto.PublicKey
}

func (r *remote) Public() crypto.PublicKey { return r.pub }

func (r *remote) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, os.ErrInvalid // a digest is no message
}

func (r *remote) SignMessage(_ io.Reader, m []byte, o crypto.SignerOpts) ([]byte, error) {
	scheme := map[crypto.Hash]uint16{crypto.SHA256: 0x0403, crypto.SHA384: 0x0503, crypto.SHA512: 0x0603}[o.HashFunc()]
	if _, ok := r.pub.(*rsa.PublicKey); ok {
		scheme = map[crypto.Hash]uint16{crypto.SHA256: 0x0401, crypto.SHA384: 0x0501, crypto.SHA512: 0x0601}[o.HashFunc()]
		if _, pss := o.(*rsa.PSSOptions); pss {
			scheme = map[crypto.Hash]uint16{crypto.SHA256: 0x0804, crypto.SHA384: 0x0805, crypto.SHA512: 0x0806}[o.HashFunc()]
		}
	}
	a, _, err := ipc.Call[ipc.SignReply](r.c.c, &ipc.SignRequest{ID: r.id, Scheme: scheme, Message: m})
	if err != nil || len(a.Signature) == 0 {
		return nil, os.ErrPermission
	}
	return a.Signature, nil
}

// server is a TLS server as a session runs one.
func (c *client) server() *tls.Config {
	c.w.t.Helper()
	var list []tls.Certificate
	for _, o := range call[ipc.TLSOffer](c, &ipc.TLSAsk{}).Certificates {
		chain, err := x509.ParseCertificates(o.Chain)
		if err != nil {
			c.w.t.Fatal(err)
		}
		x := tls.Certificate{PrivateKey: &remote{c, o.ID, chain[0].PublicKey}, Leaf: chain[0]}
		for _, l := range chain {
			x.Certificate = append(x.Certificate, l.Raw)
		}
		list = append(list, x)
	}
	return &tls.Config{Certificates: list}
}

// handshake runs one between a client and the session.
func (h *house) handshake(c *client, version uint16, suites ...uint16) error {
	roots := x509.NewCertPool()
	roots.AddCert(h.ca.cert)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	conf := c.server()
	ended := make(chan error, 1)
	go func() {
		s := tls.Server(b, conf)
		err := s.Handshake()
		if err != nil {
			b.Close()
		}
		ended <- err
	}()
	cl := tls.Client(a, &tls.Config{
		RootCAs: roots, ServerName: "main.example.org", MinVersion: version, MaxVersion: version, CipherSuites: suites,
		SessionTicketsDisabled: true,
	})
	go func() { _, _ = io.Copy(io.Discard, cl) }()
	err := cl.Handshake()
	if e := <-ended; err == nil {
		err = e
	}
	return err
}

const rsaPSS256 = 0x0804
