package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/auth"
	"sallyport/internal/keys"
	"sallyport/internal/policy"
	"sallyport/ipc"
)

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
