package bans

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sallyport/internal/control"
	"sallyport/test/daemon"
)

// rewrite changes the configuration and reloads it.
func rewrite(t testing.TB, d *daemon.Daemon, from, to string) {
	t.Helper()
	b, err := os.ReadFile(d.Config)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), from) {
		t.Fatalf("%q is not in the configuration", from)
	}
	if err := os.WriteFile(d.Config, []byte(strings.Replace(string(b), from, to, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	ctl(t, d, "reload")
}

// TestRootLoginCountsEveryAttempt: the second one ends the session.
func TestRootLoginCountsEveryAttempt(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("without root no account has uid 0")
	}
	d := daemon.Start(t, daemon.Options{
		Config: "ban {\n" + rule("RootLogin", "2/1m", "10m") + "}\n",
		Users:  []daemon.User{{Name: "toor", Password: "r00t"}, {Name: "alice", Password: "wonder land", UID: 49001}},
	})
	c := from(t, d, "127.0.0.1")
	fail(c, "toor")
	fail(c, "alice")
	c.Expect("331", "USER toor")
	c.Send("PASS r00t\r\n")
	c.Ended()
	refused(t, d, "127.0.0.1", "")
}

// TestTheSecondTLSHandshakeIsCut: the first one counts and goes well; behind the
// second 234 the connection ends.
func TestTheSecondTLSHandshakeIsCut(t *testing.T) {
	d := start(t, rule("TLSHandshake", "2/1m", "10m"), "tls {\n}\n")
	first := from(t, d, "127.0.0.1")
	first.Expect("234", "AUTH TLS")
	second := from(t, d, "127.0.0.1")
	second.Expect("234", "AUTH TLS")
	if rest := second.Ended(); rest != "" {
		t.Fatalf("%q", rest)
	}
	refused(t, d, "127.0.0.1", "")
}

// TestEngineOff: where the engine is off, for a class or a host, nothing is
// counted and no ban holds; elsewhere it does.
func TestEngineOff(t *testing.T) {
	t.Run("class", func(t *testing.T) {
		d := start(t, rule("FailedLogin", "1/1m", "10m"), `class "trusted" {
  from = ["127.0.0.2/32"]
}
when {
  class = ["trusted"]
  ban {
    engine = false
  }
}
`)
		for range 3 {
			fail(from(t, d, "127.0.0.2"), "alice")
		}
		if l := info(t, d); len(l.Bans) != 0 {
			t.Fatalf("%+v", l.Bans)
		}
		ctl(t, d, "ban", "host", "127.0.0.2")
		from(t, d, "127.0.0.2").Login("alice", "wonder land")
		fail(from(t, d, "127.0.0.1"), "alice")
		refused(t, d, "127.0.0.1", "")
	})
	t.Run("on for one class alone", func(t *testing.T) {
		d := start(t, "  engine = false\n"+rule("FailedLogin", "1/1m", "10m"), `class "strangers" {
  from = ["127.0.0.2/32"]
}
when {
  class = ["strangers"]
  ban {
    engine = true
  }
}
`)
		fail(from(t, d, "127.0.0.1"), "alice")
		fail(from(t, d, "127.0.0.2"), "alice")
		refused(t, d, "127.0.0.2", "")
		from(t, d, "127.0.0.1").Login("alice", "wonder land")
	})
	t.Run("host", func(t *testing.T) {
		d := daemon.Start(t, daemon.Options{
			Listen: []string{"127.0.0.1:0", "127.0.0.5:0"},
			Config: "ban {\n  any_host = true\n" + rule("FailedLogin", "1/1m", "10m") + "}\n" +
				"virtual_host \"two\" {\n  address = [\"127.0.0.5\"]\n  ban {\n    engine = false\n  }\n}\n",
		})
		fail(from(t, d, "127.0.0.1"), "alice")
		refused(t, d, "127.0.0.1", "")
		d.Addr = second127(t, d)
		from(t, d, "127.0.0.1").Login("alice", "wonder land")
	})
}

// second127 is the address of the daemon's second listener.
func second127(t testing.TB, d *daemon.Daemon) string {
	t.Helper()
	for f := range strings.FieldsSeq(d.Ready) {
		if a, ok := strings.CutPrefix(f, "ftp="); ok && a != d.Addr {
			return a
		}
	}
	t.Fatalf("%q", d.Ready)
	return ""
}

// TestHostsHaveTheirOwnBans: a rule bans on the virtual host where it was set
// off, unless it is for every one.
func TestHostsHaveTheirOwnBans(t *testing.T) {
	for _, any := range []bool{false, true} {
		t.Run(fmt.Sprint("any_host=", any), func(t *testing.T) {
			d := daemon.Start(t, daemon.Options{
				Listen: []string{"127.0.0.1:0", "127.0.0.5:0"},
				Config: fmt.Sprintf("ban {\n  any_host = %t\n", any) + rule("FailedLogin", "1/1m", "10m") + "}\n" +
					"virtual_host \"two\" {\n  address = [\"127.0.0.5\"]\n}\n",
			})
			fail(from(t, d, "127.0.0.1"), "alice")
			refused(t, d, "127.0.0.1", "")
			d.Addr = second127(t, d)
			if any {
				refused(t, d, "127.0.0.1", "")
				return
			}
			from(t, d, "127.0.0.1").Login("alice", "wonder land")
			ctl(t, d, "ban", "user", "bob")
			c := from(t, d, "127.0.0.1")
			c.Expect("331", "USER bob")
			c.Expect("530", "PASS builder")
		})
	}
}

// TestReload: bans stay in force, rules are those of the file.
func TestReload(t *testing.T) {
	d := start(t, rule("FailedLogin", "1/1m", "10m"))
	fail(from(t, d, "127.0.0.1"), "alice")
	ctl(t, d, "reload")
	refused(t, d, "127.0.0.1", "")
	rewrite(t, d, `on_event "FailedLogin"`, `on_event "UnknownUser"`)
	refused(t, d, "127.0.0.1", "")
	fail(from(t, d, "127.0.0.3"), "alice")
	fail(from(t, d, "127.0.0.3"), "alice")
	fail(from(t, d, "127.0.0.4"), "nobody-knows")
	refused(t, d, "127.0.0.4", "")
	if l := info(t, d); len(l.Bans) != 2 {
		t.Errorf("%+v", l.Bans)
	}
	rewrite(t, d, "ban {\n", "ban {\n  max_bans = 99\n")
	refused(t, d, "127.0.0.4", "")
	ctl(t, d, "ban", "user", "alice")
	c := from(t, d, "127.0.0.3")
	c.Expect("331", "USER alice")
	c.Expect("530", "PASS wonder land")
}

// TestTheEngineCanBeSwitchedOnByAReload: authd gets the table then.
func TestTheEngineCanBeSwitchedOnByAReload(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: "# here\n"})
	if out, err := d.Ctl("ban", "user", "alice"); err == nil || !strings.Contains(out, "ban engine") {
		t.Fatalf("%v: %s", err, out)
	}
	rewrite(t, d, "# here\n", "ban {\n"+rule("FailedLogin", "2/1m", "10m")+"}\n")
	ctl(t, d, "ban", "user", "alice")
	c := from(t, d, "127.0.0.1")
	c.Expect("331", "USER alice")
	c.Expect("530", "PASS wonder land")
	rewrite(t, d, "ban {\n", "ban {\n  engine = false\n")
	from(t, d, "127.0.0.1").Login("alice", "wonder land")
}

// TestManualBans: sessions end, logins are refused like wrong passwords, and
// what is permitted may come again.
func TestManualBans(t *testing.T) {
	d := start(t, "")
	c := from(t, d, "127.0.0.1")
	c.Login("alice", "wonder land")
	bob := from(t, d, "127.0.0.1")
	bob.Login("bob", "builder")
	if out := ctl(t, d, "ban", "user", "alice"); !strings.Contains(out, "alice banned") {
		t.Fatalf("%q", out)
	}
	if rest := c.Ended(); rest != "" {
		t.Fatalf("%q", rest)
	}
	c = from(t, d, "127.0.0.1")
	c.Expect("331", "USER alice")
	if r := c.Expect("530", "PASS wonder land"); r != textIncorrect {
		t.Fatalf("%q", r)
	}
	c.Expect("221", "QUIT")
	if out := ctl(t, d, "ban", "info", "-v"); !strings.Contains(out, "Expires: never") || !strings.Contains(out, "requested by '") {
		t.Fatalf("%s", out)
	}
	if out := ctl(t, d, "permit", "user", "alice"); !strings.Contains(out, "'alice' permitted") {
		t.Fatalf("%q", out)
	}
	c = from(t, d, "127.0.0.1")
	c.Login("alice", "wonder land")

	ctl(t, d, "ban", "user@host", "alice@127.0.0.1")
	c.Ended()
	from(t, d, "127.0.0.2").Login("alice", "wonder land")
	ctl(t, d, "permit", "user@host", "*")
	from(t, d, "127.0.0.1").Login("alice", "wonder land")

	bob.Expect("200", "NOOP")
	ctl(t, d, "ban", "host", "127.0.0.0/29", "--for", "1h")
	bob.Ended()
	refused(t, d, "127.0.0.7", "")
	from(t, d, "127.0.0.8").Expect("221", "QUIT")
	ctl(t, d, "permit", "host", "127.0.0.0/29")
	from(t, d, "127.0.0.7").Expect("221", "QUIT")
	if l := info(t, d); len(l.Bans) != 0 {
		t.Errorf("%+v", l.Bans)
	}
}

// TestBanOfAClass refuses all of it at the connection.
func TestBanOfAClass(t *testing.T) {
	d := start(t, "  message = \"Not you (%c)\"\n", "class \"lan\" {\n  from = [\"127.0.0.2/31\"]\n}\n")
	c := from(t, d, "127.0.0.3")
	ctl(t, d, "ban", "class", "lan")
	if rest := c.Ended(); rest != "530 Not you (lan)\r\n" {
		t.Fatalf("%q", rest)
	}
	refused(t, d, "127.0.0.2", "530 Not you (lan)\r\n")
	d.WaitLog("Login denied: class 'lan' banned")
}

// TestPermitWithinTheWindow: who is permitted starts from nothing.
func TestPermitWithinTheWindow(t *testing.T) {
	d := start(t, rule("FailedLogin", "2/10m", "10m"))
	fail(from(t, d, "127.0.0.1"), "alice")
	fail(from(t, d, "127.0.0.1"), "alice")
	refused(t, d, "127.0.0.1", "")
	ctl(t, d, "permit", "host", "127.0.0.1")
	fail(from(t, d, "127.0.0.1"), "alice")
	fail(from(t, d, "127.0.0.1"), "alice")
	refused(t, d, "127.0.0.1", "")
}

// TestAFullListAndManyNames: the list and the counters are bounded, and rules go
// on working.
func TestAFullListAndManyNames(t *testing.T) {
	d := start(t, "  max_bans = 16\n"+rule("MaxLoginAttemptsFromUser", "1/1m", "10m")+rule("UnhandledCommand", "1/1m", "1h"),
		"max {\n  login_attempts = 1\n}\n")
	for i := range 15 {
		ctl(t, d, "ban", "user", fmt.Sprint("u", i))
	}
	for i := range 60 {
		c := from(t, d, "127.0.0.1")
		fail(c, fmt.Sprint("name", i))
		c.Ended()
	}
	if out, err := d.Ctl("ban", "user", "one-too-many", "--for", "1s"); err == nil {
		t.Errorf("%s", out)
	}
	c := from(t, d, "127.0.0.2")
	c.Send("FOO\r\n")
	c.Ended()
	refused(t, d, "127.0.0.2", "")
	if l := info(t, d); len(l.Bans) != 16 || !l.has("user", "u14") {
		t.Errorf("%d bans: %+v", len(l.Bans), l.Bans)
	}
}

// TestParallelEvents: of 199 clients' events at once exactly as many count, and
// one ban comes of the 200th.
func TestParallelEvents(t *testing.T) {
	d := start(t, rule("UnhandledCommand", "200/10m", "10m"), "max {\n  unauthenticated_per_address = 300\n}\n")
	var clients []*daemon.Conn
	for range 199 {
		clients = append(clients, from(t, d, "127.0.0.1"))
	}
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			fmt.Fprintf(c, "FOO%d\r\n", i)
			if line, ok := c.Line(); !ok || !strings.HasPrefix(line, "500") {
				t.Errorf("%q", line)
			}
		})
	}
	wg.Wait()
	if l := info(t, d); len(l.Bans) != 0 {
		t.Fatalf("199 events: %+v", l.Bans)
	}
	daemon.Until(t, "199 events to be counted", func() bool {
		return strings.Contains(ctl(t, d, "ban", "info", "-e"), "Occurrences: 199/200")
	})
	c := from(t, d, "127.0.0.1")
	c.Send("FOO\r\n")
	c.Ended()
	for _, c := range clients {
		c.Ended()
	}
	if l := info(t, d); len(l.Bans) != 1 || l.Bans[0].Count != 200 {
		t.Errorf("%+v", l.Bans)
	}
}

// TestNeverBanned: those who never are do not count, cannot be banned, and are
// let in whatever the list says.
func TestNeverBanned(t *testing.T) {
	d := start(t, "  never = [\"127.0.0.2/32\"]\n"+rule("FailedLogin", "1/1m", "10m"))
	fail(from(t, d, "127.0.0.2"), "alice")
	from(t, d, "127.0.0.2").Login("alice", "wonder land")
	for _, name := range []string{"127.0.0.2", "127.0.0.0/24"} {
		if out, err := d.Ctl("ban", "host", name); err == nil {
			t.Errorf("%s", out)
		}
	}
	ctl(t, d, "ban", "host", "127.0.0.4")
	refused(t, d, "127.0.0.4", "")
	rewrite(t, d, `["127.0.0.2/32"]`, `["127.0.0.4/31"]`)
	silent := from(t, d, "127.0.0.4") // let in, though the list has it
	rewrite(t, d, `["127.0.0.4/31"]`, `["127.0.0.6/31"]`)
	silent.Send("USER alice\r\n") // looked at again before it costs a process
	if rest := silent.Ended(); rest != "" {
		t.Errorf("%q", rest)
	}
	if n := len(d.Children("files")); n > 1 {
		t.Errorf("%d files processes", n)
	}
}

// TestObserve says what it would do, and does nothing.
func TestObserve(t *testing.T) {
	d := start(t, "  mode = \"observe\"\n"+rule("FailedLogin", "1/1m", "10m"))
	fail(from(t, d, "127.0.0.1"), "alice")
	d.WaitLog("would ban host '127.0.0.1'")
	from(t, d, "127.0.0.1").Login("alice", "wonder land")
	if l := info(t, d); len(l.Bans) != 0 {
		t.Errorf("%+v", l.Bans)
	}
}

// TestBanLog has a line of each ban, refusal and lift.
func TestBanLog(t *testing.T) {
	dir, err := os.MkdirTemp("", "sallyport-banlog.")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "ban.log")
	d := start(t, fmt.Sprintf("  log = %q\n", path)+rule("FailedLogin", "1/1m", "10m"))
	fail(from(t, d, "127.0.0.1"), "alice")
	refused(t, d, "127.0.0.1", "")
	ctl(t, d, "permit", "host", "127.0.0.1")
	daemon.Until(t, "the ban log", func() bool {
		b, _ := os.ReadFile(path)
		s := string(b)
		return strings.Contains(s, "banned host '127.0.0.1': FailedLogin, 1 times") &&
			strings.Contains(s, "login from host '127.0.0.1' denied due to host ban") && strings.Contains(s, "host '127.0.0.1' permitted by")
	})
}

// TestUpgradeInPlace keeps bans, counts nothing twice, and authd of the former
// image goes on looking up.
func TestUpgradeInPlace(t *testing.T) {
	d := start(t, rule("FailedLogin", "2/1m", "10m"))
	fail(from(t, d, "127.0.0.1"), "alice")
	fail(from(t, d, "127.0.0.1"), "alice")
	ctl(t, d, "ban", "user", "alice", "--for", "1h")
	c := from(t, d, "127.0.0.3") // attached to the authd of now
	c.Expect("331", "USER alice")
	d.Signal(syscall.SIGUSR2)
	d.WaitLog("took over")
	daemon.Until(t, "the control socket", func() bool { _, err := d.Ctl("status"); return err == nil })
	refused(t, d, "127.0.0.1", "")
	if r := c.Expect("530", "PASS wonder land"); r != textIncorrect {
		t.Fatalf("%q", r)
	}
	if l := info(t, d); len(l.Bans) != 2 {
		t.Errorf("%+v", l.Bans)
	}
	ctl(t, d, "permit", "user", "alice")
	c.Login("alice", "wonder land")
}

// TestBansAreSeenAtOnce: when the administrator's program has returned, master
// refuses the address and authd the name, without any time in between.
func TestBansAreSeenAtOnce(t *testing.T) {
	d := start(t, "")
	for i := range 20 {
		name := fmt.Sprintf("127.0.1.%d", i+1)
		c := from(t, d, "127.0.0.1")
		c.Expect("331", "USER alice")
		ctl(t, d, "ban", "host", name)
		if got := dialFrom(t, d, name).Ended(); got != "" {
			t.Fatalf("%q", got)
		}
		ctl(t, d, "ban", "user@host", "alice@127.0.0.1")
		c.Expect("530", "PASS wonder land")
		ctl(t, d, "permit", "user@host", "alice@127.0.0.1")
		c.Login("alice", "wonder land")
	}
}

// TestAuthdStartedAgainLooksUp: it gets the table like the first one.
func TestAuthdStartedAgainLooksUp(t *testing.T) {
	d := start(t, "")
	ctl(t, d, "ban", "user", "alice")
	old := d.Children("authd")
	if len(old) != 1 {
		t.Fatalf("authd: %v", old)
	}
	if err := syscall.Kill(old[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	daemon.Until(t, "another authd", func() bool { now := d.Children("authd"); return len(now) == 1 && now[0] != old[0] })
	daemon.Until(t, "it to serve", func() bool { _, err := d.Ctl("status"); return err == nil })
	from(t, d, "127.0.0.1").Login("bob", "builder")
	c := from(t, d, "127.0.0.1")
	c.Expect("331", "USER alice")
	c.Expect("530", "PASS wonder land")
}

// TestNoProcessForTheBanned: a flood from a banned address starts nothing.
func TestNoProcessForTheBanned(t *testing.T) {
	d := start(t, "")
	ctl(t, d, "ban", "host", "127.0.0.1")
	d.Settle()
	before := d.Children("session")
	for range 500 {
		if got := dialFrom(t, d, "127.0.0.1").Ended(); got != "" {
			t.Fatalf("%q", got)
		}
	}
	after := d.Children("session")
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("sessions %v, then %v", before, after)
	}
	d.WaitLog("Login denied: host '127.0.0.1' banned")
	if n := strings.Count(d.Log(), "Login denied: host '127.0.0.1' banned"); n > 60 {
		t.Errorf("%d lines", n)
	}
}

// TestALongListComesInPages, each ban once and in order.
func TestALongListComesInPages(t *testing.T) {
	d := start(t, "  max_bans = 2000\n")
	c := &control.Client{Socket: d.Socket}
	for i := range 5 {
		r := control.BanImportRequest{}
		for j := range 200 {
			r.Entries = append(r.Entries, control.BanImportEntry{BanName: control.BanName{Kind: control.BanHost, Name: fmt.Sprintf("10.0.%d.%d", i, j)}})
		}
		res, err := c.BanImport(t.Context(), r)
		if err != nil || res.Banned != 200 {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	var after *control.BanName
	n := 0
	for more := true; more; {
		l, err := c.BanInfo(t.Context(), control.BanInfoRequest{After: after})
		if err != nil {
			t.Fatal(err)
		}
		for i := range l.Bans {
			if want := fmt.Sprintf("10.0.%d.%d", n/200, n%200); l.Bans[i].Name != want {
				t.Fatalf("entry %d is %s, want %s", n, l.Bans[i].Name, want)
			}
			n++
		}
		if more = l.More; more {
			after = &l.Bans[len(l.Bans)-1].BanName
		}
	}
	if n != 1000 {
		t.Errorf("%d bans", n)
	}
}
