package hostile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/ban"
	"sallyport/internal/control"
	"sallyport/ipc"
	"sallyport/test/daemon"
)

// TestAHijackedSessionCanBanNobodyElse: what only master or authd can have seen
// is not believed of it, and what is believed bans the address of its own client.
func TestAHijackedSessionCanBanNobodyElse(t *testing.T) {
	needRoot(t)
	var rules strings.Builder
	for _, e := range append(ban.EventNames(), "made.up") {
		if e != "ClientConnectRate" && e != "LoginRate" { // those the test itself would set off
			fmt.Fprintf(&rules, "  on_event %q {\n    rate = \"1/1m\"\n    ban  = \"1h\"\n  }\n", e)
		}
	}
	rules.WriteString("  on_event \"LoginRate\" {\n    rate = \"3/1m\"\n    ban  = \"1h\"\n  }\n")
	r := newRealm(t, "", "ban {\n"+rules.String()+"}\n")
	c := control.Client{Socket: r.d.Socket}
	list := func() control.BanInfoResult {
		l, err := c.BanInfo(t.Context(), control.BanInfoRequest{})
		must(t, err)
		return l
	}
	p := r.client(t)
	if got, _ := p.do("LOGIN bob builder"); got != "ok" {
		t.Fatalf("login: %s", got)
	}
	detail := "alice alice@192.0.2.9 192.0.2.9"
	for _, e := range []string{
		"MaxLoginAttempts", "MaxLoginAttemptsFromUser", "MaxClientsPerUser", "MaxClientsPerClass", "MaxHostsPerUser", "LoginRate", "LoginRate",
		"LoginRate", "FailedLogin", "UnknownUser", "RootLogin", "mod_auth.root-login", "maxloginattemptsfromuser", "AnonRejectPasswords",
		"ClientConnectRate", "TimeoutIdle", "TimeoutLogin", "MaxConnectionsPerHost", "SignerAbuse",
	} {
		if got, ended := p.do(raw(t, &ipc.Report{Event: e, Detail: detail}, 20)); got != "ok" || ended {
			t.Fatalf("%s: %q, ended %v", e, got, ended)
		}
	}
	if got, _ := p.do(raw(t, &ipc.BeginTransfer{Command: "RETR"}, 1)); got != "ok" {
		t.Fatalf("asking: %s", got)
	}
	if got, _ := p.do("WAIT lane"); got != "TransferAllowed" { // master has read all of it
		t.Fatalf("answered: %s", got)
	}
	if l := list(); l.Total != 0 {
		t.Fatalf("%+v", l.Bans)
	}
	_, _ = p.do(raw(t, &ipc.Report{Event: "made.up", Detail: detail}, 1000))
	if !p.gone() {
		t.Error("the session lives on")
	}
	l := list()
	if l.Total != 1 || l.Bans[0].Kind != control.BanHost || l.Bans[0].Name != "127.0.0.1" {
		t.Errorf("%+v", l.Bans)
	}
}

// TestAbuseOfTheSignerBans: authd has seen it, so the client's address is banned.
func TestAbuseOfTheSignerBans(t *testing.T) {
	needRoot(t)
	r := newRealm(t, "", "ban {\n  on_event \"SignerAbuse\" {\n    rate = \"1/1m\"\n    ban  = \"1h\"\n  }\n}\n")
	p := r.client(t)
	verify := append(append(bytes.Repeat([]byte{0x20}, 64), "TLS 1.3, server CertificateVerify\x00"...), make([]byte, 32)...)
	good := signLine(t, verify, 0x0403)
	for _, line := range []string{authLine(t, &ipc.TLSAsk{}), "WAIT auth", good, "WAIT auth", good} {
		if _, ended := p.do(line); ended {
			t.Fatalf("%.40s: ended", line)
		}
	}
	_, _ = p.do("WAIT auth")
	if !p.gone() {
		t.Error("the session lives on")
	}
	c := control.Client{Socket: r.d.Socket}
	l, err := c.BanInfo(t.Context(), control.BanInfoRequest{})
	must(t, err)
	if l.Total != 1 || l.Bans[0].Event != "SignerAbuse" || l.Bans[0].Name != "127.0.0.1" {
		t.Errorf("%+v", l.Bans)
	}
}

// TestWhoIsBannedCannotKeepItsAnswerFromComing: a session that is to be ended
// behind the answer to a failed login, and sees to it that there is none.
func TestWhoIsBannedCannotKeepItsAnswerFromComing(t *testing.T) {
	needRoot(t)
	r := newRealm(t, "", "ban {\n  on_event \"FailedLogin\" {\n    rate = \"1/1m\"\n    ban  = \"1h\"\n  }\n}\n"+
		"delay {\n  engine = true\n  on_event \"FailedLogin\" {\n    delay = \"55s-60s\"\n  }\n}\n")
	p := r.client(t)
	try := authLine(t, &ipc.AuthRequest{User: "bob", Secret: []byte("wrong"), Method: ipc.MethodPassword})
	if got, _ := p.do(try); got != "ok" {
		t.Fatal(got)
	}
	daemon.Until(t, "the ban", func() bool { return strings.Contains(r.log.String(), "ban.added") })
	_, _ = p.do(try) // before the answer to the first
	if !p.gone() {
		t.Error("the session lives on")
	}
}
