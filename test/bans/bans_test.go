// Package bans tests the ban list end to end: real daemons, raw connections, the
// administrator's program, and the files that outlive a kill.
package bans

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"sallyport/test/daemon"
)

const textIncorrect = "530 Login incorrect.\r\n"

// start runs a daemon with a ban block.
func start(t testing.TB, ban string, more ...string) *daemon.Daemon {
	t.Helper()
	return daemon.Start(t, daemon.Options{Config: "ban {\n" + ban + "}\n" + strings.Join(more, "")})
}

// rule is an on_event block.
func rule(event, rate, length string, more ...string) string {
	return fmt.Sprintf("  on_event %q {\n    rate = %q\n    ban = %q\n    %s\n  }\n", event, rate, length, strings.Join(more, "\n"))
}

// dialFrom connects from an address of this machine without reading anything.
func dialFrom(t testing.TB, d *daemon.Daemon, from string) *daemon.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	n, err := dialer.Dial("tcp", d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return &daemon.Conn{TB: t, Conn: n}
}

// from connects from an address and reads the greeting.
func from(t testing.TB, d *daemon.Daemon, addr string) *daemon.Conn {
	t.Helper()
	c := dialFrom(t, d, addr)
	if r := c.Reply(); !strings.HasPrefix(r, "220") {
		t.Fatalf("greeting %q", r)
	}
	return c
}

// refused checks that a new connection hears nothing but want, and that nobody
// else is kept from coming.
func refused(t testing.TB, d *daemon.Daemon, addr, want string) {
	t.Helper()
	if got := dialFrom(t, d, addr).Ended(); got != want {
		t.Fatalf("a banned client from %s got %q, want %q", addr, got, want)
	}
	from(t, d, "127.0.0.99").Expect("221", "QUIT")
}

// fail has a login refused.
func fail(c *daemon.Conn, user string) {
	c.TB.Helper()
	c.Expect("331", "USER "+user)
	if r := c.Expect("530", "PASS wrong"); r != textIncorrect {
		c.TB.Fatalf("%q", r)
	}
}

// ctl runs ftpdctl, which must succeed.
func ctl(t testing.TB, d *daemon.Daemon, args ...string) string {
	t.Helper()
	out, err := d.Ctl(args...)
	if err != nil {
		t.Fatalf("ftpdctl %q: %v\n%s", args, err, out)
	}
	return out
}

// listed is what `ban info --json` says, as far as tests look at it.
type listed struct {
	Bans []struct {
		Kind, Name, Server, Origin, Reason, Event, Rule string
		Expires                                         time.Time
		Count, Times                                    uint32
	}
}

func info(t testing.TB, d *daemon.Daemon) listed {
	t.Helper()
	var l listed
	out := ctl(t, d, "ban", "info", "--json")
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return l
}

// has tells whether something is banned.
func (l listed) has(kind, name string) bool {
	for _, b := range l.Bans {
		if b.Kind == kind && b.Name == name {
			return true
		}
	}
	return false
}

// TestMaxLoginAttempts: the client that uses up its attempts hears what it always
// hears; then its address is refused without a word, until the ban has ended.
func TestMaxLoginAttempts(t *testing.T) {
	d := start(t, rule("MaxLoginAttempts", "1/1m", "6s"), "max {\n  login_attempts = 2\n}\n")
	c := from(t, d, "127.0.0.1")
	fail(c, "alice")
	fail(c, "alice")
	if rest := c.Ended(); rest != "" {
		t.Fatalf("after the last attempt: %q", rest)
	}
	refused(t, d, "127.0.0.1", "")
	d.WaitLog("Login denied: host '127.0.0.1' banned")
	daemon.Until(t, "the ban to end", func() bool {
		c := dialFrom(t, d, "127.0.0.1")
		defer c.Close()
		line, _ := c.Line()
		return strings.HasPrefix(line, "220")
	})
	d.WaitLog("ban for host '127.0.0.1' has expired")
}

// TestMessages: the general message, a rule's own, and the variables of both.
func TestMessages(t *testing.T) {
	const taunt = `  message = "Go away %a (%c), or I shall taunt you (%u) a second time!"` + "\n"
	attempts := "max {\n  login_attempts = 1\n}\n"
	d := start(t, taunt+rule("MaxLoginAttempts", "1/1m", "10m"), attempts)
	c := from(t, d, "127.0.0.1")
	fail(c, "alice")
	c.Ended()
	refused(t, d, "127.0.0.1", "530 Go away 127.0.0.1 ((none)), or I shall taunt you ((none)) a second time!\r\n")

	d = start(t, taunt+rule("MaxLoginAttempts", "1/1m", "10m", `message = "Come back later"`), attempts)
	c = from(t, d, "127.0.0.1")
	fail(c, "alice")
	c.Ended()
	refused(t, d, "127.0.0.1", "530 Come back later\r\n")
}

// TestMaxLoginAttemptsFromUser bans a name at an address: it cannot log in even
// with its password, others there and it elsewhere can.
func TestMaxLoginAttemptsFromUser(t *testing.T) {
	d := start(t, rule("MaxLoginAttemptsFromUser", "1/1m", "10m"), "max {\n  login_attempts = 2\n}\n")
	c := from(t, d, "127.0.0.1")
	fail(c, "alice")
	fail(c, "alice")
	c.Ended()
	c = from(t, d, "127.0.0.1")
	c.Expect("331", "USER alice")
	if r := c.Expect("530", "PASS wonder land"); r != textIncorrect {
		t.Fatalf("%q", r)
	}
	d.WaitLog("reason=banned")
	c.Login("bob", "builder")
	from(t, d, "127.0.0.2").Login("alice", "wonder land")
}

// TestUnhandledCommand: the third command nobody knows is the last.
func TestUnhandledCommand(t *testing.T) {
	d := start(t, rule("UnhandledCommand", "3/1m", "10m"))
	other := from(t, d, "127.0.0.1")
	c := from(t, d, "127.0.0.1")
	c.Expect("500", "FOO")
	c.Expect("500", "BAR")
	c.Send("BAZ\r\n")
	if rest := c.Ended(); rest != "" && rest != "500 BAZ not understood\r\n" {
		t.Fatalf("%q", rest)
	}
	if rest := other.Ended(); rest != "" {
		t.Fatalf("a silent client of the same address: %q", rest)
	}
	refused(t, d, "127.0.0.1", "")
}

// TestClientConnectRate: the connection that is one too many is refused, and so
// are the next.
func TestClientConnectRate(t *testing.T) {
	d := start(t, "  message = \"Slower\"\n"+rule("ClientConnectRate", "2/1m", "10m"))
	from(t, d, "127.0.0.1")
	refused(t, d, "127.0.0.1", "530 Slower\r\n")
	if got := dialFrom(t, d, "127.0.0.1").Ended(); got != "530 Slower\r\n" {
		t.Fatalf("%q", got)
	}
}

// TestFailedLogin counts over connections; the answer to the attempt that bans is
// the usual one, and comes first.
func TestFailedLogin(t *testing.T) {
	d := start(t, "  message = \"Enough, %u\"\n"+rule("FailedLogin", "3/1m", "10m"))
	fail(from(t, d, "127.0.0.1"), "alice")
	fail(from(t, d, "127.0.0.1"), "nobody-knows")
	c := from(t, d, "127.0.0.1")
	fail(c, "bob")
	if rest := c.Ended(); rest != "530 Enough, bob\r\n" {
		t.Fatalf("%q", rest)
	}
	refused(t, d, "127.0.0.1", "530 Enough, (none)\r\n")
}

// TestEvents sets off one rule after the other, each on a daemon of its own.
func TestEvents(t *testing.T) {
	login := func(t *testing.T, d *daemon.Daemon, user string) *daemon.Conn {
		c := from(t, d, "127.0.0.1")
		c.Login(user, d.Users[user].Password)
		return c
	}
	for _, x := range []struct {
		event string
		rate  string
		more  string
		kind  string // of the ban; "": host
		name  string
		do    func(t *testing.T, d *daemon.Daemon)
	}{
		{event: "UnknownUser", do: func(t *testing.T, d *daemon.Daemon) { fail(from(t, d, "127.0.0.1"), "nobody-knows") }},
		{event: "BadProtocol", do: func(t *testing.T, d *daemon.Daemon) {
			c := from(t, d, "127.0.0.1")
			c.Send("GET / HTTP/1.1\r\n")
			c.Ended()
		}},
		{event: "InvalidCommand", do: func(t *testing.T, d *daemon.Daemon) { from(t, d, "127.0.0.1").Send("\r\n") }},
		{event: "EmptyPassword", do: func(t *testing.T, d *daemon.Daemon) {
			c := from(t, d, "127.0.0.1")
			c.Expect("331", "USER alice")
			c.Send("PASS \r\n")
		}},
		{event: "MaxConnectionsPerHost", more: "max {\n  connections_per_host = 1\n}\n", do: func(t *testing.T, d *daemon.Daemon) {
			first := from(t, d, "127.0.0.1")
			dialFrom(t, d, "127.0.0.1").Ended()
			first.Ended()
		}},
		{event: "MaxClients", more: "max {\n  clients = 1\n}\n", do: func(t *testing.T, d *daemon.Daemon) { second(t, d, login(t, d, "alice")) }},
		{event: "MaxClientsPerHost", more: "max {\n  clients_per_host = 1\n}\n", do: func(t *testing.T, d *daemon.Daemon) { second(t, d, login(t, d, "alice")) }},
		{event: "MaxClientsPerUser", kind: "user", name: "alice", more: "max {\n  clients_per_user = 1\n}\n", do: func(t *testing.T, d *daemon.Daemon) {
			second(t, d, login(t, d, "alice"))
		}},
		{event: "MaxClientsPerClass", more: "class \"lan\" {\n  from = [\"127.0.0.0/8\"]\n}\nmax {\n  clients_per_class = 1\n}\n", do: func(t *testing.T, d *daemon.Daemon) {
			second(t, d, login(t, d, "alice"))
		}},
		{event: "MaxHostsPerUser", kind: "user", name: "alice", more: "max {\n  hosts_per_user = 1\n}\n", do: func(t *testing.T, d *daemon.Daemon) {
			login(t, d, "alice")
			c := from(t, d, "127.0.0.2")
			c.Expect("331", "USER alice")
			c.Send("PASS wonder land\r\n")
			c.Ended()
		}},
		{event: "MaxTransfersPerHost", more: "max {\n  transfers_per_host \"STOR\" {\n    count = 1\n  }\n}\n", do: func(t *testing.T, d *daemon.Daemon) {
			twoTransfers(t, login(t, d, "alice"), login(t, d, "bob"))
		}},
		{event: "MaxTransfersPerUser", more: "max {\n  transfers_per_user \"STOR\" {\n    count = 1\n  }\n}\n", do: func(t *testing.T, d *daemon.Daemon) {
			twoTransfers(t, login(t, d, "alice"), login(t, d, "alice"))
		}},
		{event: "MaxCommandRate", more: "max {\n  command_rate = \"5/1m\"\n}\n", do: func(t *testing.T, d *daemon.Daemon) {
			c := login(t, d, "alice")
			c.Send(strings.Repeat("NOOP\r\n", 8))
			c.Ended()
		}},
		{event: "LoginRate", rate: "2/1m", kind: "user", name: "alice", do: func(t *testing.T, d *daemon.Daemon) {
			first := login(t, d, "alice")
			c := from(t, d, "127.0.0.2")
			c.Expect("331", "USER alice")
			c.Expect("530", "PASS wonder land")
			c.Ended()
			first.Ended()
		}},
		{event: "RootLogin", do: func(t *testing.T, d *daemon.Daemon) {
			c := from(t, d, "127.0.0.1")
			c.Expect("331", "USER toor")
			c.Send("PASS wrong\r\n")
			c.Ended()
		}},
		{event: "mod_auth.root-login", do: func(t *testing.T, d *daemon.Daemon) {
			c := from(t, d, "127.0.0.1")
			c.Expect("331", "USER toor")
			c.Send("PASS wrong\r\n")
			c.Ended()
		}},
		{event: "TimeoutLogin", more: "timeout {\n  login = \"4s\"\n}\n", do: func(t *testing.T, d *daemon.Daemon) {
			c := from(t, d, "127.0.0.1")
			if rest := c.Ended(); rest != "421 Login timeout (4 seconds): closing control connection\r\n" {
				t.Errorf("%q", rest)
			}
		}},
		{event: "TimeoutIdle", more: "timeout {\n  idle = \"4s\"\n}\n", do: func(t *testing.T, d *daemon.Daemon) { login(t, d, "alice").Ended() }},
		{event: "TimeoutNoTransfer", more: "timeout {\n  no_transfer = \"1s\"\n}\n", do: func(t *testing.T, d *daemon.Daemon) { login(t, d, "alice").Ended() }},
		{event: "TimeoutSession", more: "timeout {\n  session = \"1s\"\n}\n", do: func(t *testing.T, d *daemon.Daemon) { login(t, d, "alice").Ended() }},
		{event: "TimeoutStalled", more: "timeout {\n  stalled = \"4s\"\n}\n", do: func(t *testing.T, d *daemon.Daemon) {
			c := login(t, d, "alice")
			c.Passive()
			c.Expect("150", "STOR f")
			c.Ended()
		}},
		{event: "TLSHandshake", more: "tls {\n}\n", do: func(t *testing.T, d *daemon.Daemon) {
			c := from(t, d, "127.0.0.1")
			c.Expect("234", "AUTH TLS")
			c.Ended()
		}},
		{event: "TLSHandshakeFailed", more: "tls {\n}\n", do: func(t *testing.T, d *daemon.Daemon) {
			c := from(t, d, "127.0.0.1")
			c.Expect("234", "AUTH TLS")
			c.Send("this is no TLS at all\r\n")
			c.Ended()
		}},
		{event: "CommandRefused", do: func(t *testing.T, d *daemon.Daemon) { login(t, d, "alice").Send("EPRT |1|192.0.2.1|4000|\r\n") }},
		{event: "AnonRejectPasswords", more: anonymous, do: func(t *testing.T, d *daemon.Daemon) {
			c := from(t, d, "127.0.0.1")
			c.Expect("331", "USER ftp")
			c.Expect("530", "PASS spam@example.org")
		}},
	} {
		t.Run(x.event, func(t *testing.T) {
			if x.rate == "" {
				x.rate = "1/1m"
			}
			if x.kind == "" {
				x.kind, x.name = "host", "127.0.0.1"
			}
			cfg := "ban {\n" + rule(x.event, x.rate, "10m") + "}\n" + x.more
			users := []daemon.User{
				{Name: "alice", Password: "wonder land", UID: 49001}, {Name: "bob", Password: "builder", UID: 49002}, {Name: "toor", Password: "r00t"},
			}
			if os.Geteuid() != 0 && strings.Contains(strings.ToLower(x.event), "root") {
				t.Skip("without root no account has uid 0")
			}
			d := daemon.Start(t, daemon.Options{Config: cfg, Users: users})
			x.do(t, d)
			daemon.Until(t, "the ban", func() bool { return info(t, d).has(x.kind, x.name) })
			if l := info(t, d); len(l.Bans) != 1 || l.Bans[0].Rule == "" || l.Bans[0].Count == 0 || l.Bans[0].Origin != "rule" {
				t.Errorf("%+v", l.Bans)
			}
			if x.kind == "host" {
				refused(t, d, "127.0.0.1", "")
			} else {
				from(t, d, "127.0.0.1").Expect("331", "USER "+x.name)
			}
		})
	}
}

// anonymous lets clients in as alice without a password, but not with one of
// spam.
const anonymous = `anonymous "~" {
  user             = "alice"
  aliases          = ["ftp"]
  reject_passwords = "^spam"
}
`

// second is one login more than a limit lets in.
func second(t *testing.T, d *daemon.Daemon, _ *daemon.Conn) {
	t.Helper()
	c := from(t, d, "127.0.0.1")
	c.Expect("331", "USER alice")
	c.Send("PASS wonder land\r\n")
	c.Ended()
}

// twoTransfers begins two uploads at a time.
func twoTransfers(t *testing.T, a, b *daemon.Conn) {
	t.Helper()
	a.Passive()
	a.Expect("150", "STOR one")
	b.Passive()
	b.Send("STOR two\r\n")
	b.Ended()
}
