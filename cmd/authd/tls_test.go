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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sallyport/internal/auth"
	"sallyport/internal/keys"
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

func TestRealHandshakesAreSigned(t *testing.T) {
	h := startTLS(t, 1, defaultLimits, nil)
	for name, x := range map[string]struct {
		version uint16
		suites  []uint16
	}{
		"1.3":        {tls.VersionTLS13, nil},
		"1.2, ECDSA": {tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
		"1.2, RSA":   {tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}},
	} {
		t.Run(name, func(t *testing.T) {
			c := h.client(nil)
			if err := h.handshake(c, x.version, x.suites...); err != nil {
				t.Fatal(err)
			}
			if got := c.login("alice", "secret-alice"); got.Verdict != ipc.VerdictOK {
				t.Fatalf("%+v", got)
			}
			for range 5 { // data connections of a client that does not resume, in a logged-in session
				h.send(&ipc.DataMade{Session: c.id})
				if err := h.handshake(c, x.version, x.suites...); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	h.stop()
	for id, ss := range h.server.sessions {
		if ss.protocol != ftps || ss.tls.abuses > 0 {
			t.Errorf("session %d: protocol %s, %d abuses", id, ss.protocol, ss.tls.abuses)
		}
	}
}

func TestOneSignatureAConnection(t *testing.T) {
	l := defaultLimits
	l.signTime = 20 * time.Millisecond
	h := startTLS(t, 1, l, nil)
	c := h.client(nil)
	c.server()
	if !c.signs() {
		t.Fatal("the control connection's signature is refused")
	}
	if c.signs() {
		t.Error("a second signature for the control connection")
	}
	if e := expect[ipc.AuthdEvent](h.world); e.Event != "SignerAbuse" || e.Session != c.id || e.Detail != "more signatures than connections" {
		t.Errorf("%+v", e)
	}
	for range 10 { // master made many, the session can have kept one back
		h.send(&ipc.DataMade{Session: c.id})
	}
	h.settle()
	for range maxBudget {
		if !c.signs() {
			t.Error("a data connection's signature is refused")
		}
	}
	if c.signs() {
		t.Error("signatures can be saved up")
	}
	expect[ipc.AuthdEvent](h.world)
	_ = c.c.Send(&ipc.SignRequest{ID: 1, Scheme: ecdsaP256, Message: verifyMessage()})
	if m, err := c.c.Recv(); err != nil || len(m.Body.(*ipc.SignReply).Signature) > 0 {
		t.Errorf("%v", err)
	}
	if e := expect[ipc.AuthdEvent](h.world); e.Event != "SignerAbuse" {
		t.Errorf("%+v", e)
	}
	c.gone() // the third time
}

// TestARequestMayBeFasterThanMastersWord: the two come on different channels.
func TestARequestMayBeFasterThanMastersWord(t *testing.T) {
	h := startTLS(t, 1, defaultLimits, nil)
	c := h.client(nil)
	c.server()
	if !c.signs() {
		t.Fatal("refused")
	}
	if err := c.c.Send(&ipc.SignRequest{ID: 1, Scheme: ecdsaP256, Message: verifyMessage()}); err != nil {
		t.Fatal(err)
	}
	h.settle()
	h.send(&ipc.DataMade{Session: c.id})
	if m, err := c.c.Recv(); err != nil || len(m.Body.(*ipc.SignReply).Signature) == 0 {
		t.Errorf("%v", err)
	}
	for range 2 {
		_ = c.c.Send(&ipc.SignRequest{ID: 1, Scheme: ecdsaP256, Message: verifyMessage()})
	}
	c.gone()
}

func TestTheSignerSignsNothingElse(t *testing.T) {
	h := startTLS(t, 1, defaultLimits, nil)
	client13 := bytes.Replace(verifyMessage(), []byte("server"), []byte("client"), 1)
	for name, q := range map[string]*ipc.SignRequest{
		"no message":         {ID: 1, Scheme: ecdsaP256},
		"any message":        {ID: 1, Scheme: ecdsaP256, Message: []byte("pay 100 to mallory")},
		"a client's":         {ID: 1, Scheme: ecdsaP256, Message: client13},
		"a byte behind":      {ID: 1, Scheme: ecdsaP256, Message: append(verifyMessage(), 0)},
		"a digest":           {ID: 1, Scheme: ecdsaP256, Message: make([]byte, 32)},
		"SHA-1":              {ID: 1, Scheme: 0x0203, Message: verifyMessage()},
		"a scheme of RSA":    {ID: 1, Scheme: rsaPSS256, Message: verifyMessage()},
		"PKCS #1 in TLS 1.3": {ID: 2, Scheme: 0x0401, Message: verifyMessage()},
		"no scheme":          {ID: 1, Message: verifyMessage()},
		"no certificate":     {Scheme: ecdsaP256, Message: verifyMessage()},
		"an unknown one":     {ID: 3, Scheme: ecdsaP256, Message: verifyMessage()},
		"a far one":          {ID: 1 << 31, Scheme: ecdsaP256, Message: verifyMessage()},
	} {
		t.Run(name, func(t *testing.T) {
			c := h.client(nil)
			c.server()
			for range maxAbuses {
				if a := call[ipc.SignReply](c, q); len(a.Signature) > 0 {
					t.Fatal("signed")
				}
				if e := expect[ipc.AuthdEvent](h.world); e.Event != "SignerAbuse" || e.Session != c.id {
					t.Errorf("%+v", e)
				}
			}
			c.gone()
			h.send(&ipc.Detach{Session: c.id})
		})
	}
	t.Run("before anything was offered", func(t *testing.T) {
		if h.client(nil).signs() {
			t.Error("signed")
		}
	})
	t.Run("of another host", func(t *testing.T) {
		c := h.client(func(a *ipc.Attach) { a.TLS = "other" })
		if got := call[ipc.TLSOffer](c, &ipc.TLSAsk{}).Certificates; len(got) != 1 || !bytes.Equal(got[0].Chain, h.other.cert.Raw) {
			t.Fatalf("%d certificates", len(got))
		}
		if a := call[ipc.SignReply](c, &ipc.SignRequest{ID: 2, Scheme: rsaPSS256, Message: verifyMessage()}); len(a.Signature) > 0 {
			t.Error("signed")
		}
	})
	t.Run("without TLS", func(t *testing.T) {
		c := h.client(func(a *ipc.Attach) { a.TLS = "" })
		if got := call[ipc.TLSOffer](c, &ipc.TLSAsk{}).Certificates; len(got) != 0 {
			t.Errorf("%d certificates", len(got))
		}
		if c.signs() {
			t.Error("signed")
		}
	})
	t.Run("a neighbour is not disturbed", func(t *testing.T) {
		c := h.client(nil)
		if err := h.handshake(c, tls.VersionTLS13); err != nil {
			t.Error(err)
		}
	})
}

// TestASessionThatIsLoggedInAlready: authd was restarted; the channel is for
// signatures alone.
func TestASessionThatIsLoggedInAlready(t *testing.T) {
	h := startTLS(t, 1, defaultLimits, nil)
	c := h.client(func(a *ipc.Attach) { a.Open = true })
	if err := h.handshake(c, tls.VersionTLS13); err != nil {
		t.Error(err)
	}
	c.ask("alice", "secret-alice")
	if l := expect[ipc.AuthdLog](h.world); !strings.Contains(l.Text, "out of state") {
		t.Error(l.Text)
	}
	c.gone()
}

func (h *house) judge(c *client, e *identity) *ipc.ClientVerdict {
	return call[ipc.ClientVerdict](c, &ipc.ClientCertificate{Chain: e.cert.Raw})
}

func (c *client) loginByCertificate(user string) *ipc.AuthReply {
	c.w.t.Helper()
	return call[ipc.AuthReply](c, &ipc.AuthRequest{User: user, Method: ipc.MethodCertificate})
}

func TestLoginByCertificate(t *testing.T) {
	h := startTLS(t, 1, defaultLimits, nil)
	alice := certified(t, h.ca, "alice", nil)
	c := h.client(nil)
	if v := h.judge(c, alice); !v.OK || v.User != "alice" || v.Subject != "CN=alice" {
		t.Fatalf("%+v", v)
	}
	if got := c.loginByCertificate("alice"); got.Verdict != ipc.VerdictOK || got.User != "alice" {
		t.Fatalf("%+v", got)
	}
	want := &ipc.LoginReport{
		Session: c.id, User: "alice", UID: 2001, GID: 2001, Groups: []uint32{3000},
		GroupNames: []string{"alice", "staff"}, Home: "/srv/alice", Shell: "/bin/sh", Source: "file", Method: ipc.MethodCertificate,
	}
	if d := cmp.Diff(want, expect[ipc.LoginReport](h.world)); d != "" {
		t.Error(d)
	}
}

func TestACertificateOpensNoOtherAccount(t *testing.T) {
	h := startTLS(t, 1, defaultLimits, nil)
	refused := func(c *client, user, reason string) {
		t.Helper()
		if got := c.loginByCertificate(user); got.Verdict == ipc.VerdictOK {
			t.Errorf("%s got in", user)
		}
		if f := expect[ipc.LoginFailed](h.world); f.Reason != reason || f.User != user {
			t.Errorf("%+v, want %q", f, reason)
		}
	}
	bare := h.client(nil)
	refused(bare, "alice", auth.ReasonCertificate)

	c := h.client(nil)
	h.judge(c, certified(t, h.ca, "alice", nil))
	refused(c, "bob", auth.ReasonCertificate)
	refused(c, "Alice", auth.ReasonCertificate)
	if got := c.login("alice", "secret-alice"); got.Verdict != ipc.VerdictOK {
		t.Errorf("the password no longer counts: %+v", got)
	}

	c = h.client(nil)
	h.judge(c, certified(t, h.ca, "locked", nil))
	refused(c, "locked", auth.ReasonDisabled)
	c = h.client(nil)
	h.judge(c, certified(t, h.ca, "nobody-at-all", nil))
	refused(c, "nobody-at-all", auth.ReasonNoUser)

	c = h.client(nil)
	if v := h.judge(c, certified(t, certified(t, nil, "Mallory", nil), "alice", nil)); v.OK || v.User != "" || v.Subject != "CN=alice" {
		t.Errorf("%+v", v)
	}
	if e := expect[ipc.AuthdEvent](h.world); e.Event != "ClientCertificate" || !strings.Contains(e.Detail, "none of the configured CAs") {
		t.Errorf("%+v", e)
	}
	refused(c, "alice", auth.ReasonCertificate)

	// one that is refused takes the place of one that was believed
	c = h.client(nil)
	h.judge(c, certified(t, h.ca, "alice", nil))
	h.judge(c, certified(t, certified(t, nil, "Mallory", nil), "alice", nil))
	refused(c, "alice", auth.ReasonCertificate)

	c = h.client(func(a *ipc.Attach) { a.TLS = "other" }) // asks for none
	if v := h.judge(c, certified(t, h.ca, "alice", nil)); v.OK {
		t.Errorf("%+v", v)
	}
	c = h.client(nil)
	for range maxClients {
		h.judge(c, certified(t, h.ca, "alice", nil))
	}
	_ = c.c.Send(&ipc.ClientCertificate{Chain: h.ca.cert.Raw})
	c.gone()
}

func TestRehost(t *testing.T) {
	h := startTLS(t, 1, defaultLimits, nil)
	c := h.client(nil)
	for range 2 { // of 3 on "main", of 5 on "other"
		c.login("alice", "wrong")
	}
	h.judge(c, certified(t, h.ca, "alice", nil))
	c.server()
	move := func(host string) {
		t.Helper()
		h.send(&ipc.Rehost{Session: c.id, Peer: "198.51.100.7:999", Host: host, TLS: host})
		if r := expect[ipc.Rehosted](h.world); r.Session != c.id {
			t.Errorf("%+v", r)
		}
	}
	move("other")
	if c.signs() {
		t.Error("a certificate of the former host signs")
	}
	if got := c.loginByCertificate("alice"); got.Verdict != ipc.VerdictDenied {
		t.Errorf("the certificate of the former host counts: %+v", got)
	}
	if got := call[ipc.TLSOffer](c, &ipc.TLSAsk{}).Certificates; len(got) != 1 || !bytes.Equal(got[0].Chain, h.other.cert.Raw) {
		t.Error("the certificates are not the host's")
	}
	if !c.signs() {
		t.Error("the control connection's signature is gone")
	}
	if got := c.login("alice", "wrong"); got.Verdict != ipc.VerdictDenied {
		t.Errorf("%+v", got)
	}
	for failed := uint32(0); failed != 4; { // the first two are passed over with Rehosted
		f := expect[ipc.LoginFailed](h.world)
		if failed = f.Failed; failed < 3 {
			t.Errorf("failures were forgotten: %+v", f)
		}
	}
	move("main")
	if got := c.login("alice", "wrong"); got.Verdict != ipc.VerdictLast {
		t.Errorf("five failures where three are allowed: %+v", got)
	}
	h.send(&ipc.Rehost{Session: c.id, Host: "other", TLS: "other"})
	if l := expect[ipc.AuthdLog](h.world); !strings.Contains(l.Text, "after the login") {
		t.Error(l.Text)
	}
	expect[ipc.Rehosted](h.world)
}

func TestRehostCancelsAnAttempt(t *testing.T) {
	h := startTLS(t, 0, defaultLimits, nil)
	h.set(func() { h.noWorker = true })
	c := h.client(nil)
	c.ask("alice", "secret-alice")
	h.settle()
	h.send(&ipc.Rehost{Session: c.id, Peer: "192.0.2.1:40000", Host: "other", TLS: "other"})
	expect[ipc.Rehosted](h.world)
	h.addWorker()
	if got := c.login("alice", "secret-alice"); got.Verdict != ipc.VerdictOK { // the first has no answer
		t.Errorf("%+v", got)
	}
	expect[ipc.Released](h.world)
}

// TestRehostDuringALogin: master has an attempt in hand, so it is the session
// that breaks the rules.
func TestRehostDuringALogin(t *testing.T) {
	h := startTLS(t, 1, defaultLimits, nil)
	h.set(func() { h.outcome = func(*ipc.LoginReport) *ipc.LoginOutcome { return nil } })
	c := h.client(nil)
	c.ask("alice", "secret-alice")
	expect[ipc.LoginReport](h.world)
	h.send(&ipc.Rehost{Session: c.id, Host: "other", TLS: "other"})
	expect[ipc.Rehosted](h.world)
	c.gone()
}

func TestCertificatesAreToldOf(t *testing.T) {
	h := startTLS(t, 1, defaultLimits, nil)
	var list *ipc.Expiring
	for list == nil || len(list.Certificates) == 0 { // the first configuration has none
		list = expect[ipc.Expiring](h.world)
	}
	want := ipc.CertificateInfo{File: h.file("ec.pem"), Subject: "CN=main.example.org", NotAfter: h.ec.cert.NotAfter.Unix()}
	if len(list.Certificates) != 3 || list.Certificates[0] != want {
		t.Errorf("%+v", list)
	}
	renewed := certified(t, h.ca, "main.example.org", nil)
	h.put("ec.pem", renewed, renewed.key)
	c := h.client(nil)
	for end := time.Now().Add(timeout); ; { // at the next look, within a second
		if bytes.Equal(call[ipc.TLSOffer](c, &ipc.TLSAsk{}).Certificates[0].Chain, renewed.cert.Raw) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the renewal takes no effect")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if l := expect[ipc.Expiring](h.world); len(l.Certificates) != 3 {
		t.Errorf("%+v", l)
	}
}

func TestAPairThatCannotBeUsedKeepsTheFormerConfiguration(t *testing.T) {
	h := startTLS(t, 1, defaultLimits, nil)
	if err := os.Chmod(h.file("rsa.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := h.configure(3, nil)
	if r.OK || len(r.Errors) != 1 || !strings.Contains(r.Errors[0], "is world-readable") {
		t.Errorf("%+v", r)
	}
	c := h.client(nil)
	if n := len(call[ipc.TLSOffer](c, &ipc.TLSAsk{}).Certificates); n != 2 {
		t.Errorf("%d certificates", n)
	}
}

func TestAliasesAndAnonymousLoginsAreReported(t *testing.T) {
	w := start(t, 1, defaultLimits, func(h *policy.AuthHost) {
		h.Aliases = []policy.Alias{{Name: "web", User: "alice"}}
		h.Anonymous = []policy.AnonymousAuth{{ID: 7, User: "bob", Names: []string{"bob", "ftp"}, Reject: "bad"}}
	})
	if got := w.attach(nil).login("web", "secret-alice"); got.Verdict != ipc.VerdictOK || got.User != "alice" {
		t.Errorf("%+v", got)
	}
	if r := expect[ipc.LoginReport](w); r.User != "alice" || r.Named != "web" || r.Anonymous != 0 || r.Method != ipc.MethodPassword {
		t.Errorf("%+v", r)
	}
	if got := w.attach(nil).login("ftp", "me@example.org"); got.Verdict != ipc.VerdictOK {
		t.Errorf("%+v", got)
	}
	if r := expect[ipc.LoginReport](w); r.User != "bob" || r.Named != "ftp" || r.Anonymous != 7 || r.Email != "me@example.org" || r.UID != 1005 {
		t.Errorf("%+v", r)
	}
	if got := w.attach(nil).login("ftp", "bad@example.org"); got.Verdict != ipc.VerdictDenied {
		t.Errorf("%+v", got)
	}
	if f := expect[ipc.LoginFailed](w); f.Reason != auth.ReasonRejected || f.User != "ftp" {
		t.Errorf("%+v", f)
	}
}

func TestIDsOfGroups(t *testing.T) {
	w := start(t, 1, defaultLimits, nil)
	c := w.attach(nil)
	c.login("alice", "secret-alice")
	got, _, err := ipc.Call[ipc.IDsReply](w.names(c), &ipc.IDsRequest{Groups: []string{"staff", "alice", "nobody-at-all", ""}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&ipc.IDsReply{GIDs: []int64{3000, 2001, -1, -1}}, got); d != "" {
		t.Error(d)
	}
}

func TestTheCertificateMaker(t *testing.T) {
	ours, theirs, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serveCertificate(theirs) }()
	c := ipc.New(ours, ipc.MasterCertificate, ipc.Master)
	defer c.Close()
	made, _, err := ipc.Call[ipc.CertificateMade](c, &ipc.MakeCertificate{Names: []string{"ftp.example.org"}})
	if err != nil || made.Error != "" {
		t.Fatal(err, made.Error)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "self.pem")
	if err := os.WriteFile(path, made.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	set, errs := keys.New([]policy.TLSHost{{Name: "main", Engine: true, SelfSigned: path}}, keys.Options{Etc: dir, Say: func(s string) { t.Error(s) }})
	if errs != nil || len(set.Host("main").Offer()) != 1 {
		t.Errorf("%v", errs)
	}
}

// TestSlowSignaturesLetOthersPass: of signatures that take long there is one a turn
// of the loop, so that whoever asks for something else waits for one of them at most.
func TestSlowSignaturesLetOthersPass(t *testing.T) {
	h := startTLS(t, 0, defaultLimits, nil)
	h.stop()
	ours, theirs, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ours)
	s, err := newServer(theirs, defaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var errs []error
	s.hosts = h.server.hosts
	s.tls, errs = keys.New([]policy.TLSHost{{Name: "main", Engine: true, Certificates: []policy.Certificate{h.pair("ec"), h.pair("rsa")}}},
		keys.Options{Etc: s.etc, Say: func(string) {}})
	if errs != nil {
		t.Fatal(errs)
	}
	turn := func() {
		t.Helper()
		if err := s.turn(make([]unix.EpollEvent, 64)); err != nil {
			t.Fatal(err)
		}
	}
	var all []*ipc.Conn
	for i := range uint64(5) {
		ours, theirs, err := ipc.Pair()
		if err != nil {
			t.Fatal(err)
		}
		s.attach(&ipc.Attach{Session: i + 1, Peer: "192.0.2.1:40000", Local: "192.0.2.9:21", Host: "main", TLS: "main", Protocol: "ftp"}, theirs)
		c := ipc.New(ours, ipc.SessionAuthd, ipc.Session)
		defer c.Close()
		if err := c.Send(&ipc.TLSAsk{}); err != nil {
			t.Fatal(err)
		}
		turn()
		if _, err := c.TryRecv(); err != nil {
			t.Fatalf("no certificates: %v", err)
		}
		all = append(all, c)
	}
	slow := &ipc.SignRequest{ID: 2, Scheme: rsaPSS256, Message: verifyMessage()}
	signing, hasty, quick := all[:3], all[3], all[4]
	for _, c := range signing {
		if err := c.Send(slow); err != nil {
			t.Fatal(err)
		}
	}
	if err := quick.Send(&ipc.SignRequest{ID: 1, Scheme: ecdsaP256, Message: verifyMessage()}); err != nil {
		t.Fatal(err)
	}
	answers := func() (n int) {
		for _, c := range signing {
			if m, err := c.TryRecv(); err == nil && len(m.Body.(*ipc.SignReply).Signature) > 0 {
				n++
			}
		}
		return n
	}
	turn()
	if m, err := quick.TryRecv(); err != nil || len(m.Body.(*ipc.SignReply).Signature) == 0 {
		t.Errorf("who asked for something else has no answer: %v", err)
	}
	for i := range signing {
		if n := answers(); n != 1 {
			t.Errorf("%d slow signatures in turn %d", n, i)
		}
		if i < len(signing)-1 {
			turn()
		}
	}
	for range 2 {
		_ = hasty.Send(slow)
	}
	turn()
	if _, err := hasty.TryRecv(); err == nil || err == ipc.ErrAgain {
		t.Errorf("a second request before the answer: %v", err)
	}
}

const rsaPSS256 = 0x0804
