package bans

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"sallyport/test/daemon"
)

// listener is the address of a listener by its label.
func listener(t testing.TB, d *daemon.Daemon, label string) string {
	t.Helper()
	for f := range strings.FieldsSeq(d.Ready) {
		if a, ok := strings.CutPrefix(f, label+"="); ok {
			return a
		}
	}
	t.Fatalf("%q", d.Ready)
	return ""
}

// TestChoosingAHostWhereOneIsBanned ends the connection.
func TestChoosingAHostWhereOneIsBanned(t *testing.T) {
	d := start(t, rule("FailedLogin", "1/1m", "10m"),
		"virtual_host \"two\" {\n  names = [\"two.example.org\"]\n  ban {\n    message = \"Closed to you\"\n  }\n}\n")
	c := from(t, d, "127.0.0.1")
	c.Expect("220", "HOST two.example.org")
	fail(c, "alice")
	if rest := c.Ended(); rest != "530 Closed to you\r\n" {
		t.Fatalf("%q", rest)
	}
	c = from(t, d, "127.0.0.1") // the host of the address has no such ban
	c.Send("HOST two.example.org\r\n")
	if rest := c.Ended(); !strings.HasSuffix(rest, "530 Closed to you\r\n") {
		t.Fatalf("%q", rest)
	}
	from(t, d, "127.0.0.1").Login("alice", "wonder land")
}

// TestBehindAProxy: who is banned is the client of the header, and neither the
// proxy nor anybody else behind it.
func TestBehindAProxy(t *testing.T) {
	d := start(t, "  message = \"Go away %a\"\n"+rule("FailedLogin", "1/1m", "10m"),
		"listener \"proxied\" {\n  address = [\"127.0.0.1:0\"]\n  proxy = [\"127.0.0.0/8\"]\n}\n")
	d.Addr = listener(t, d, "proxied")
	header := func(client string) *daemon.Conn {
		c := dialFrom(t, d, "127.0.0.1")
		c.Send(fmt.Sprintf("PROXY TCP4 %s 127.0.0.1 4000 21\r\n", client))
		return c
	}
	c := header("192.0.2.7")
	c.Reply()
	fail(c, "alice")
	c.Ended()
	if rest := header("192.0.2.7").Ended(); rest != "530 Go away 192.0.2.7\r\n" {
		t.Fatalf("%q", rest)
	}
	c = header("192.0.2.8")
	c.Reply()
	c.Login("alice", "wonder land")
	if l := info(t, d); len(l.Bans) != 1 || !l.has("host", "192.0.2.7") {
		t.Errorf("%+v", l.Bans)
	}
}

// TestDataTheft: a data connection under TLS that does not resume the control
// connection's session is an event of whoever owns the session.
func TestDataTheft(t *testing.T) {
	d := start(t, rule("DataTheft", "1/1m", "10m"), "tls {\n  data_reuse = \"require\"\n}\n")
	c := from(t, d, "127.0.0.1")
	c.Expect("234", "AUTH TLS")
	c.Conn = tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	c.Login("alice", "wonder land")
	c.Expect("200", "PBSZ 0")
	c.Expect("200", "PROT P")
	data := c.Passive()
	c.Expect("150", "STOR f")
	_ = tls.Client(data, &tls.Config{InsecureSkipVerify: true}).Handshake()
	c.Ended()
	refused(t, d, "127.0.0.1", "")
	if l := info(t, d); len(l.Bans) != 1 || l.Bans[0].Event != "DataTheft" {
		t.Errorf("%+v", l.Bans)
	}
}

// TestLastWordsUnderTLS: the last word to a client that speaks TLS comes under
// TLS.
func TestLastWordsUnderTLS(t *testing.T) {
	d := start(t, "  message = \"Go away\"\n", "tls {\n}\n")
	c := from(t, d, "127.0.0.1")
	c.Expect("234", "AUTH TLS")
	c.Conn = tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	c.Login("alice", "wonder land")
	ctl(t, d, "ban", "user", "alice")
	if rest := c.Ended(); rest != "530 Go away\r\n" {
		t.Errorf("%q", rest)
	}
}
