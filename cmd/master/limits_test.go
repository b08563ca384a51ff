package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// limited is a policy of one host with these settings.
func limited(set policy.Settings) *policy.Policy {
	set.MinUID = 1000
	return &policy.Policy{Hosts: []policy.Host{{Name: "default", Base: set}}}
}

func homes(set policy.Settings) policy.Settings {
	set.Roots = []policy.Root{{Path: "~"}}
	return set
}

// report lets authd say that a session's attempt is right; it returns the
// outcome, nil where master has begun to start files.
func (x *caller) report(a *authd, end *ipc.Conn, q ipc.LoginReport) *ipc.LoginOutcome {
	x.m.t.Helper()
	q.Session = x.s.c.id
	if q.User == "" {
		q.User, q.UID, q.GID, q.Source, q.Home = "ann", 1001, 1001, "file", "/home/ann"
	}
	x.m.loginReport(a, &q)
	if x.s.login != nil {
		return nil
	}
	msg, err := end.TryRecv()
	must(x.m.t, err)
	return msg.Body.(*ipc.LoginOutcome)
}

// TestALimitIsCountedWhereTheLoginIsAccepted: the second login is refused before
// the first one is open, in the words for the client; whatever ends the first
// one - a failure of files, its session's death - makes room.
func TestALimitIsCountedWhereTheLoginIsAccepted(t *testing.T) {
	for _, end := range []string{"files fails", "session dies", "authd dies"} {
		t.Run(end, func(t *testing.T) {
			m := newInsideWith(t, limited(homes(policy.Settings{Max: policy.Clients{PerUser: policy.Limit{Count: 1}}})))
			m.upgrades.holding = true // starts are held back: no program is there to be started
			x, y := m.caller(), m.caller()
			ax, ofX := m.theAuthd(x.s)
			ay, ofY := m.theAuthd(y.s)
			if o := x.report(ax, ofX, ipc.LoginReport{}); o != nil {
				t.Fatalf("the first: %+v", o)
			}
			o := y.report(ay, ofY, ipc.LoginReport{})
			if o == nil || o.OK || !o.Close || o.Reason != "MaxClientsPerUser 1" ||
				o.Text != "Sorry, the maximum number of clients (1) for this user are already connected." {
				t.Fatalf("the second: %+v", o)
			}
			switch end {
			case "files fails":
				m.filesFailed(x.s, "no home")
			case "session dies":
				x.s.signal(unix.SIGKILL)
				m.turn("its end", func() bool { return x.s.exited })
			case "authd dies":
				x.s.auth.signal(unix.SIGKILL)
				m.turn("its end", func() bool { return x.s.auth == nil })
			}
			if !m.places.empty() {
				t.Errorf("left: %+v", m.places)
			}
			if o := y.report(ay, ofY, ipc.LoginReport{}); o != nil {
				t.Errorf("the place is not free: %+v", o)
			}
			m.upgrades.held = nil
			m.over()
		})
	}
}

// TestAnOpenSessionKeepsItsPlace until it ends, by whatever way.
func TestAnOpenSessionKeepsItsPlace(t *testing.T) {
	m := newInside(t)
	x := m.open()
	if n := m.places.all[realm{"default", ""}]; n != 1 {
		t.Errorf("%d logged in", n)
	}
	x.s.signal(unix.SIGKILL)
	m.over()
}

// TestTransfersAreCountedOnceASession: a flood of begins is one transfer, ends
// that were not begun are none, and the session's death settles it.
func TestTransfersAreCountedOnceASession(t *testing.T) {
	m := newInsideWith(t, limited(policy.Settings{Max: policy.Clients{
		TransfersPerHost: []policy.TransferLimit{{Commands: []string{"RETR"}, Count: 1}},
	}}))
	x, y := m.open(), m.open()
	for range 50 {
		if a, ok := x.ask(&ipc.BeginTransfer{Command: "RETR"}).(*ipc.TransferAllowed); !ok || a.Refused {
			t.Fatalf("refused beside itself: %+v", a)
		}
	}
	a, ok := y.ask(&ipc.BeginTransfer{Command: "RETR"}).(*ipc.TransferAllowed)
	if !ok || a.Text != "Sorry, the maximum number of data transfers (1) from your host are currently being used." {
		t.Fatalf("beside another one: %+v", a)
	}
	if a := y.ask(&ipc.BeginTransfer{Command: "STOR"}).(*ipc.TransferAllowed); a.Refused {
		t.Errorf("another command: %+v", a)
	}
	must(t, x.lane.Send(&ipc.EndTransfer{}))
	must(t, x.lane.Send(&ipc.EndTransfer{}))
	if a := x.ask(&ipc.BeginTransfer{Command: "RETR"}).(*ipc.TransferAllowed); a.Refused {
		t.Errorf("after the end: %+v", a)
	}
	must(t, y.lane.Send(&ipc.BeginTransfer{Command: "MKD"}))
	if !y.killed() {
		t.Error("a command that transfers nothing is counted")
	}
	m.over()
}

// TestTimersOfAnOpenSession: the no-transfer timer runs from the login or the
// last transfer's end, commands do not move it, a transfer in hand suspends it;
// the session timer knows no mercy.
func TestTimersOfAnOpenSession(t *testing.T) {
	m := newInsideWith(t, limited(policy.Settings{TimeoutNoTransfer: 100, TimeoutStalled: 3600}))
	x := m.open()
	s := x.s
	if !s.quiet.armed() || s.life.armed() {
		t.Fatalf("armed: no transfer %v, session %v", s.quiet.armed(), s.life.armed())
	}
	page, err := shm.OpenPage(s.page.fd)
	must(t, err)
	t.Cleanup(page.Close)
	page.SetLoggedIn()
	look := func(name string, ends bool) {
		t.Helper()
		m.noTransferCheck(s)
		if s.ending != ends {
			t.Fatalf("%s: ended %v", name, s.ending)
		}
	}
	look("at once", false)
	s.since -= 100 * int64(time.Second)
	page.SetTransfer(shm.StateListing, -1)
	look("in a transfer", false)
	page.EndTransfer(false)
	page.SetCommand("NOOP", nil)
	s.connected = 1
	look("after one", false)
	s.connected = 0 // it says so, but it has had no data connection
	look("after a transfer over no connection", true)
	if s.reason != "no transfer timeout" {
		t.Errorf("reason %q", s.reason)
	}

	y := m.open()
	y.s.lifetime = 7
	m.armOpen(y.s)
	if want := y.s.since + 7*int64(time.Second); y.s.life.when != want {
		t.Errorf("session timer in %s", time.Duration(y.s.life.when-y.s.since))
	}
	m.sessionTimeout(y.s)
	if y.s.reason != "session timeout" {
		t.Errorf("reason %q", y.s.reason)
	}
	m.over()
}

func anonymousPolicy() *policy.Policy {
	p := limited(homes(policy.Settings{TimeoutIdle: 60, Max: policy.Clients{Clients: policy.Limit{Count: 2}}}))
	own := policy.Settings{TimeoutIdle: 7, Max: policy.Clients{Clients: policy.Limit{Count: 1}}}
	p.Hosts[0].Base.Anonymous = []policy.Anonymous{
		{ID: 3, Path: "/srv/ftp", User: "ftp", Settings: own},
		{ID: 4, Path: "~/in", User: "guest", UserDir: true, Settings: own},
	}
	return p
}

// TestAnonymousLoginsAreThoseOfTheHost: the block must be the host's, the account
// the block's, the identity not root's; min_uid is no matter.
func TestAnonymousLoginsAreThoseOfTheHost(t *testing.T) {
	set := &anonymousPolicy().Hosts[0].Base
	for _, c := range []struct {
		name string
		q    ipc.LoginReport
		root string // "" refused
	}{
		{"right", ipc.LoginReport{Anonymous: 3, User: "ftp", UID: 14, GID: 50, Source: "unix", Named: "anonymous"}, "/srv/ftp"},
		{"no such block", ipc.LoginReport{Anonymous: 5, User: "ftp", UID: 14, GID: 50, Source: "unix"}, ""},
		{"another account", ipc.LoginReport{Anonymous: 3, User: "ann", UID: 1001, GID: 50, Source: "unix"}, ""},
		{"root", ipc.LoginReport{Anonymous: 3, User: "ftp", UID: 0, GID: 50, Source: "unix"}, ""},
		{"root's group", ipc.LoginReport{Anonymous: 3, User: "ftp", UID: 14, GID: 0, Source: "unix"}, ""},
		{"unknown source", ipc.LoginReport{Anonymous: 3, User: "ftp", UID: 14, GID: 50}, ""},
		{"below the account's home", ipc.LoginReport{Anonymous: 4, User: "guest", UID: 14, GID: 50, Source: "file", Home: "/home/guest", Named: "bob"}, "/home/guest/in/bob"},
		{"its own name", ipc.LoginReport{Anonymous: 4, User: "guest", UID: 14, GID: 50, Source: "file", Home: "/home/guest"}, "/home/guest/in/guest"},
		{"no home", ipc.LoginReport{Anonymous: 4, User: "guest", UID: 14, GID: 50, Source: "file", Named: "bob"}, ""},
		{"up", ipc.LoginReport{Anonymous: 4, User: "guest", UID: 14, GID: 50, Source: "file", Home: "/home/guest", Named: ".."}, ""},
		{"a path", ipc.LoginReport{Anonymous: 4, User: "guest", UID: 14, GID: 50, Source: "file", Home: "/home/guest", Named: "a/../../etc"}, ""},
		{"hidden", ipc.LoginReport{Anonymous: 4, User: "guest", UID: 14, GID: 50, Source: "file", Home: "/home/guest", Named: ".ssh"}, ""},
		{"a control character", ipc.LoginReport{Anonymous: 4, User: "guest", UID: 14, GID: 50, Source: "file", Home: "/home/guest", Named: "a\nb"}, ""},
	} {
		auth := *set
		auth.Auth.RootLogin = true // of the host's accounts, never of these
		a, why := anonymousOf(&auth, &c.q)
		root := ""
		if why == "" {
			why = vet(&c.q, &auth, a != nil)
		}
		if why == "" {
			root, _ = anonymousRoot(a, &c.q)
		}
		if root != c.root {
			t.Errorf("%s: root %q (%s), want %q", c.name, root, why, c.root)
		}
	}
	if a, why := anonymousOf(set, &ipc.LoginReport{User: "ann"}); a != nil || why != "" {
		t.Errorf("an ordinary login: %v, %q", a, why)
	}
}

// TestAnonymousSettingsHoldFromTheLoginOn, and an anonymous block that the host
// does not have is refused by master, whatever authd says.
func TestAnonymousSettingsHoldFromTheLoginOn(t *testing.T) {
	m := newInsideWith(t, anonymousPolicy())
	m.upgrades.holding = true
	x, y := m.caller(), m.caller()
	ax, ofX := m.theAuthd(x.s)
	ay, ofY := m.theAuthd(y.s)
	if o := y.report(ay, ofY, ipc.LoginReport{Anonymous: 9, User: "ftp", UID: 14, GID: 50, Source: "unix"}); o == nil || o.OK || o.Text != "" {
		t.Errorf("a block of nobody: %+v", o)
	}
	q := ipc.LoginReport{Anonymous: 3, User: "ftp", UID: 14, GID: 50, Source: "unix", Named: "anonymous", Email: "me@\x1b[31mhome"}
	if o := x.report(ax, ofX, q); o != nil {
		t.Fatalf("refused: %+v", o)
	}
	own := &m.gen.policy.Hosts[0].Base.Anonymous[0].Settings
	if x.s.login.root != "/srv/ftp" || x.s.login.set != own || x.s.c.set == own {
		t.Errorf("before the login: root %q, settings of the block %v, in force %v", x.s.login.root, x.s.login.set == own, x.s.c.set == own)
	}
	if o := y.report(ay, ofY, ipc.LoginReport{}); o != nil {
		t.Errorf("an anonymous client takes an ordinary one's place: %+v", o)
	}
	m.upgrades.held = nil
	lane, other, err := ipc.Pair()
	must(t, err)
	unix.Close(other)
	fd, end, err := ipc.Pair()
	must(t, err)
	unix.Close(end)
	m.watchFiles(x.s, &filesProc{child: m.process("files"), lane: lane, home: "/"}, fd, ipc.FilesServing)
	x.s.login.answered, x.s.login.released = true, true
	f, ok := x.ask(&ipc.TakeFiles{}).(*ipc.FilesChannel)
	if !ok || f.Refused || !f.Anonymous {
		t.Fatalf("%+v", f)
	}
	if want := (ipc.Company{Clients: 1, Most: own.Max.Clients.Count, OfClass: 2}); f.Company != want {
		t.Errorf("finds there %+v, want %+v", f.Company, want)
	}
	if i := m.sessionInfo(x.s.c); x.s.c.set != own || !i.Anonymous || i.Email != q.Email || i.User != "ftp" {
		t.Errorf("in the block's settings %v, %+v", x.s.c.set == own, i)
	}
	if left := time.Duration(x.s.idle.when - m.loop.now); left > 7*time.Second {
		t.Errorf("idle timeout in %s", left)
	}
	m.over()
}

// TestRatesAreChosenForEachCommand.
func TestRatesAreChosenForEachCommand(t *testing.T) {
	m := newInsideWith(t, limited(policy.Settings{Rates: []policy.RateFor{
		{PerSecond: 10, Free: 5, Commands: []string{"RETR"}},
		{PerSecond: 20, Commands: []string{"RETR", "STOR"}},
	}}))
	x := m.caller()
	m.inAuthd(x.s)
	x.s.login.released = true
	f, ok := x.ask(&ipc.TakeFiles{}).(*ipc.FilesChannel)
	if want := "[{RETR 10 5} {STOR 20 0}]"; !ok || fmt.Sprint(f.Rates) != want {
		t.Errorf("rates %v, want %s", f, want)
	}
	m.over()
}

func TestTheAddressThatPassiveShows(t *testing.T) {
	m := newInside(t)
	m.lookUp = func(name string) (netip.Addr, bool) {
		return netip.MustParseAddr("203.0.113.5"), name == "ftp.example.org"
	}
	x := m.caller()
	lan := []policy.AddressItem{{Prefix: "192.0.2.0/24"}}
	for _, c := range []struct {
		p    policy.Passive
		want string
	}{
		{policy.Passive{}, "192.0.2.2"},
		{policy.Passive{Address: "local"}, "192.0.2.2"},
		{policy.Passive{Address: "203.0.113.7"}, "203.0.113.7"},
		{policy.Passive{Address: "::ffff:203.0.113.7"}, "203.0.113.7"},
		{policy.Passive{Address: "ftp.example.org"}, "203.0.113.5"},
		{policy.Passive{Address: "gone.example.org"}, "192.0.2.2"},
		{policy.Passive{Address: "203.0.113.7", Local: lan}, "192.0.2.2"},
		{policy.Passive{Address: "203.0.113.7", Local: append(lan, policy.AddressItem{Not: true, Prefix: "192.0.2.1/32"})}, "203.0.113.7"},
		{policy.Passive{Address: "203.0.113.7", Local: []policy.AddressItem{{Prefix: "10.0.0.0/8"}, {Prefix: "rubbish"}}}, "203.0.113.7"},
		{policy.Passive{Address: "203.0.113.7", Local: []policy.AddressItem{{Prefix: "all"}}}, "192.0.2.2"},
	} {
		if got := m.shownAddress(x.s, &c.p).String(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.p, got, c.want)
		}
	}
	m.over()
}

func TestGreeting(t *testing.T) {
	p := limited(policy.Settings{Session: policy.Session{Ident: "ready", Admin: "root@example.org", ServerName: "Depot"}})
	m := newInsideWith(t, p)
	c, _ := m.arrival()
	set := &m.gen.policy.Hosts[0].Base
	for _, x := range []struct{ text, want string }{
		{"", "220 ready\r\n"},
		{"Welcome to %V\r\n\nfrom %R to %L%%, %N of %M; ask %E%q\n", "220-Welcome to Depot\r\n220-\r\n220-from 192.0.2.1 to 192.0.2.2%, 0 of none; ask root@example.org\r\n220 ready\r\n"},
		{"500 a\x00\x1b[31mb\r220 c", "220-500 a??[31mb?220 c\r\n220 ready\r\n"},
		{"Gr\xfc\xdfe\t!", "220-Gr\xfc\xdfe\t!\r\n220 ready\r\n"}, // whatever the encoding is
		{"%", "220-%\r\n220 ready\r\n"},
		{"50% off, 100%\nx%-", "220-50% off, 100%\r\n220-x%-\r\n220 ready\r\n"},
		{"a%{time:%%}b%{total_bytes_in}c%{env:X}%{", "220-a%bc%{\r\n220 ready\r\n"},
	} {
		set.Session.Display.Connect = x.text
		if got := string(m.greeting(nil, c)); got != x.want {
			t.Errorf("%q:\n%q, want\n%q", x.text, got, x.want)
		}
	}
	set.Session.Display.Connect = strings.Repeat(strings.Repeat("%E", 2000)+"\n", 2) + "x\n"
	if got := m.greeting(nil, c); len(got) > maxGreeting || !strings.HasSuffix(string(got), "220 ready\r\n") {
		t.Errorf("%d bytes", len(got))
	}
	m.drop(c)
	m.over()
}

// TestCertificatesThatEndAreWarnedOfOnce for each step.
func TestCertificatesThatEndAreWarnedOfOnce(t *testing.T) {
	m := newInside(t)
	in := func(days int, file string) ipc.CertificateInfo {
		return ipc.CertificateInfo{File: file, Subject: "CN=ftp", NotAfter: time.Now().Add(time.Duration(days)*24*time.Hour + time.Hour).Unix()}
	}
	for _, c := range []struct {
		name  string
		list  []ipc.CertificateInfo
		lines int
		why   int
	}{
		{"far away", []ipc.CertificateInfo{in(90, "a"), in(31, "b")}, 0, 0},
		{"a month", []ipc.CertificateInfo{in(30, "a"), in(29, "b")}, 2, 0},
		{"again", []ipc.CertificateInfo{in(30, "a"), in(29, "b")}, 0, 0},
		{"a week, a day, none", []ipc.CertificateInfo{in(7, "c"), in(1, "d"), in(0, "e"), in(-2, "f")}, 4, 3},
		{"again", []ipc.CertificateInfo{in(7, "c"), in(1, "d"), in(0, "e"), in(-2, "f")}, 0, 3},
		{"renewed", []ipc.CertificateInfo{in(90, "c")}, 0, 0},
	} {
		m.log.Flush(10 * time.Second)
		before := strings.Count(m.logged(), string(logging.CertificateExpires))
		m.expiring(c.list)
		m.log.Flush(10 * time.Second)
		if n := strings.Count(m.logged(), string(logging.CertificateExpires)) - before; n != c.lines {
			t.Errorf("%s: %d lines, want %d", c.name, n, c.lines)
		}
		list, why := m.certificateStatus()
		if len(list) != len(c.list) || len(why) != c.why {
			t.Errorf("%s: %d in the status, %q", c.name, len(list), why)
		}
	}
}
