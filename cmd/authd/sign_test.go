package main

import (
	"bytes"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/keys"
	"sallyport/internal/policy"
	"sallyport/ipc"
)

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
