package main

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// street is a policy with hosts by name and by address.
func street() *policy.Policy {
	set := func(auth string, perHost uint32, login uint32) policy.Settings {
		return policy.Settings{
			MinUID: 1000, TimeoutLogin: login, Auth: policy.AuthHost{Name: auth},
			Max: policy.Clients{ConnectionsPerHost: policy.Limit{Count: perHost}},
		}
	}
	return &policy.Policy{
		Classes: []policy.Class{{Name: "far", From: policy.Addresses{Match: "any", Items: []policy.AddressItem{{Prefix: "198.51.100.0/24"}}}}},
		Hosts: []policy.Host{
			{Name: "default", Names: []string{"ftp.example.org"}, Base: set("default", 0, 60)},
			{
				Name: "files", Names: []string{"files.example.org", "*.files.example.org"}, Base: set("files", 0, 600), TLS: policy.TLSHost{Name: "files", Engine: true},
				ByClass: []policy.ClassSettings{{Class: "far", Settings: set("files/far", 0, 20)}},
			},
			{Name: "small", Names: []string{"small.example.org"}, Base: set("small", 1, 10)},
			{Name: "other", Names: []string{"other.example.org"}, Address: []string{"192.0.2.99"}, Base: set("other", 0, 0)},
		},
	}
}

// caller is a session that has got its client, with its ends of the channels.
type caller struct {
	m    *inside
	s    *session
	lane *ipc.Conn
}

func (m *inside) caller() *caller { m.t.Helper(); c, _ := m.arrival(); return m.serve(c) }

func (m *inside) serve(c *client) *caller {
	m.t.Helper()
	s, lane, _ := m.spare()
	m.assign(s, c)
	lane.SetState(ipc.SessionLogin)
	return &caller{m, s, lane}
}

// next is the next message of a channel.
func (m *inside) next(c *ipc.Conn) any {
	m.t.Helper()
	var body any
	got := false
	m.turn("a message", func() bool {
		if got {
			return true
		}
		msg, err := c.TryRecv()
		if err == nil {
			body = msg.Body
			msg.Close()
		}
		got = err != ipc.ErrAgain
		return got
	})
	return body
}

// ask sends a call and returns the answer; nil where the session was ended.
func (x *caller) ask(call any) any {
	x.m.t.Helper()
	must(x.m.t, x.lane.Send(call))
	return x.m.next(x.lane)
}

func (x *caller) selected(call any) *ipc.HostSelected {
	x.m.t.Helper()
	h, ok := x.ask(call).(*ipc.HostSelected)
	if !ok {
		x.m.t.Fatalf("%+v is not answered", call)
	}
	return h
}

func (x *caller) killed() bool {
	x.m.turn("the end", func() bool { return x.s.exited })
	return x.s.ending
}

// theAuthd is an authd that serves, and its end of the channel.
func (m *inside) theAuthd(of ...*session) (*authd, *ipc.Conn) {
	m.t.Helper()
	ours, theirs, err := ipc.Pair()
	must(m.t, err)
	a := &authd{child: m.process("authd"), serving: true}
	m.watchAuthd(a, ours, ipc.AuthdServing)
	for _, s := range of {
		s.auth = a
		a.users++
	}
	end := ipc.New(theirs, ipc.MasterAuthd, ipc.Authd)
	end.SetState(ipc.AuthdServing)
	m.t.Cleanup(end.Close)
	return a, end
}

// over ends everybody and holds that the books are empty.
func (m *inside) over() {
	m.t.Helper()
	for _, c := range m.children {
		c.signal(unix.SIGKILL)
	}
	m.turn("everything to end", func() bool { return len(m.children) == 0 })
	m.empty()
}

// TestHostIsChosenBeforeTheSessionHearsOfIt: authd knows first; settings, class,
// counts and key are the new host's, the login deadline is no later than before.
func TestHostIsChosenBeforeTheSessionHearsOfIt(t *testing.T) {
	m := newInsideWith(t, street())
	x := m.caller()
	c := x.s.c
	_, authd := m.theAuthd(x.s)
	deadline := c.deadline.when
	must(t, x.lane.Send(&ipc.SelectHost{Name: "A.Files.Example.ORG", By: ipc.ByHOST}))
	q, ok := m.next(authd).(*ipc.Rehost)
	if !ok || q.Host != "files" || q.TLS != "files" || q.Session != c.id || q.Peer != c.peer.String() {
		t.Fatalf("authd is told %+v", q)
	}
	if _, err := x.lane.TryRecv(); err != ipc.ErrAgain {
		t.Fatalf("the session hears of it before authd knows: %v", err)
	}
	must(t, authd.Send(&ipc.Rehosted{Session: c.id}))
	if h, ok := m.next(x.lane).(*ipc.HostSelected); !ok || h.Refused || h.Host != "files" || h.Peer != "192.0.2.1:999" {
		t.Fatalf("answered %+v", h)
	}
	if c.host != "files" || c.cert != "files" || c.set != &m.gen.policy.Hosts[1].Base {
		t.Errorf("the client sits at %q with key %q", c.host, c.cert)
	}
	if c.deadline.when != deadline {
		t.Errorf("the login deadline has moved by %s", time.Duration(c.deadline.when-deadline))
	}
	if m.census.byHost[hostKey{"default", c.peer.Addr()}] != 0 || m.census.byHost[hostKey{"files", c.peer.Addr()}] != 1 {
		t.Errorf("counted %+v", m.census.byHost)
	}
	must(t, x.lane.Send(&ipc.SelectHost{Name: "small.example.org", By: ipc.ByHOST}))
	m.next(authd)
	must(t, authd.Send(&ipc.Rehosted{Session: c.id}))
	m.next(x.lane)
	if want := c.accepted + int64(10*time.Second); c.deadline.when != want || c.patience != 10 {
		t.Errorf("a shorter deadline is not taken: in %s, said to be %d s", time.Duration(c.deadline.when-c.accepted), c.patience)
	}
	m.over()
}

func TestHostsThatAreRefused(t *testing.T) {
	m := newInsideWith(t, street())
	there, x, y := m.caller(), m.caller(), m.caller()
	if h := there.selected(&ipc.SelectHost{Name: "small.example.org", By: ipc.ByHOST}); h.Refused { // no authd: answered at once
		t.Fatalf("%+v", h)
	}
	for _, c := range []struct{ name, text string }{
		{"nobody.example.org", textUnknownHost},
		{"", textUnknownHost},
		{"other.example.org", textUnknownHost}, // is at another address
		{"a.b.files.example.org", textUnknownHost},
		{"small.example.org", "Sorry, the maximum number of connections (1) for your host are already connected."},
	} {
		if h := x.selected(&ipc.SelectHost{Name: c.name, By: ipc.ByHOST}); !h.Refused || h.Text != c.text {
			t.Errorf("%q: %+v", c.name, h)
		}
	}
	if x.s.c.host != "default" {
		t.Errorf("a refused choice moved the session to %q", x.s.c.host)
	}
	if h := y.selected(&ipc.SelectHost{Name: "files.example.org", By: ipc.BySNI}); h.Refused {
		t.Errorf("by SNI: %+v", h)
	}
	if h := y.selected(&ipc.SelectHost{Name: "ftp.example.org", By: ipc.ByHOST}); !h.Refused {
		t.Error("HOST leaves the host whose certificate was shown")
	}
	if h := y.selected(&ipc.SelectHost{Name: "a.files.example.org", By: ipc.ByHOST}); h.Refused {
		t.Errorf("HOST of the same host: %+v", h)
	}
	var last *ipc.HostSelected
	for range maxSelections {
		last = x.selected(&ipc.SelectHost{Name: "ftp.example.org", By: ipc.ByHOST})
	}
	if !last.Refused {
		t.Error("a connection may choose hosts for ever")
	}
	m.over()
}

// TestHostAndLoginDoNotMix: whoever asks for a host while a login is decided, or
// after it, is ended; what authd decides by the accounts of the former host does
// not count.
func TestHostAndLoginDoNotMix(t *testing.T) {
	host := &ipc.SelectHost{Name: "files.example.org", By: ipc.ByHOST}
	t.Run("login in hand", func(t *testing.T) {
		m := newInsideWith(t, street())
		x := m.caller()
		x.s.auth = m.inAuthd(x.s)
		must(t, x.lane.Send(host))
		if !x.killed() {
			t.Error("not ended")
		}
		m.over()
	})
	t.Run("open", func(t *testing.T) {
		m := newInsideWith(t, street())
		x := m.open()
		x.lane.SetState(ipc.SessionLogin) // the sender's own check is not ours
		must(t, x.lane.Send(host))
		if !x.killed() || x.s.c.host != "default" {
			t.Errorf("at %q, ended %v", x.s.c.host, x.s.ending)
		}
		m.over()
	})
	t.Run("verdict of the former host", func(t *testing.T) {
		m := newInsideWith(t, street())
		x := m.caller()
		_, authd := m.theAuthd(x.s)
		must(t, x.lane.Send(host))
		m.next(authd)
		must(t, authd.Send(&ipc.LoginReport{Session: x.s.c.id, User: "ann", UID: 1001, GID: 1001, Source: "file"}))
		if o, ok := m.next(authd).(*ipc.LoginOutcome); !ok || o.OK {
			t.Errorf("outcome %+v", o)
		}
		if !x.killed() {
			t.Error("not ended")
		}
		m.over()
	})
	t.Run("two at once", func(t *testing.T) {
		m := newInsideWith(t, street())
		x := m.caller()
		m.theAuthd(x.s)
		must(t, x.lane.Send(host))
		must(t, x.lane.Send(host))
		if !x.killed() {
			t.Error("not ended")
		}
		m.over()
	})
}

// open is a session that is logged in as ann.
func (m *inside) open() *caller { m.t.Helper(); return m.caller().open() }

func (x *caller) open() *caller {
	m := x.m
	m.t.Helper()
	m.inAuthd(x.s)
	x.s.login.released = true
	if f, ok := x.ask(&ipc.TakeFiles{}).(*ipc.FilesChannel); !ok || f.Refused {
		m.t.Fatalf("no login: %+v", f)
	}
	x.lane.SetState(ipc.SessionOpen)
	return x
}

// TestAHostChoiceOutlivesAuthd: it dies while it is asked; the session gets its
// answer, and the next authd the new facts.
func TestAHostChoiceOutlivesAuthd(t *testing.T) {
	m := newInsideWith(t, street())
	x := m.caller()
	a, authd := m.theAuthd(x.s)
	must(t, x.lane.Send(&ipc.SelectHost{Name: "files.example.org", By: ipc.ByHOST}))
	m.next(authd)
	a.signal(unix.SIGKILL)
	if h, ok := m.next(x.lane).(*ipc.HostSelected); !ok || h.Refused || h.Host != "files" {
		t.Fatalf("answered %+v", h)
	}
	b, authd := m.theAuthd()
	m.attachAll(b)
	if q, ok := m.next(authd).(*ipc.Attach); !ok || q.Host != "files" || q.TLS != "files" || q.Open {
		t.Errorf("attached as %+v", q)
	}
	m.over()
}

// TestSignaturesOutliveAuthd: an open session that speaks TLS gets a channel to
// the next authd, for signatures alone; one that has no key, none.
func TestSignaturesOutliveAuthd(t *testing.T) {
	m := newInsideWith(t, street())
	plain, tls := m.open(), m.open()
	tls.s.c.cert = "files"
	for _, x := range []*caller{plain, tls} {
		x.s.auth.signal(unix.SIGKILL)
	}
	m.turn("the authds to end", func() bool { return plain.s.auth == nil && tls.s.auth == nil })
	b, authd := m.theAuthd()
	m.attachAll(b)
	if q, ok := m.next(authd).(*ipc.Attach); !ok || q.Session != tls.s.c.id || !q.Open || q.TLS != "files" {
		t.Errorf("attached as %+v", q)
	}
	if _, err := authd.TryRecv(); err != ipc.ErrAgain || plain.s.auth != nil {
		t.Errorf("a session without a key is attached, too: %v", err)
	}
	m.over()
}

// TestSignaturesAreGrantedForRealDataConnections: one for each that master has
// handed over, none for what never came.
func TestSignaturesAreGrantedForRealDataConnections(t *testing.T) {
	m := newInsideWith(t, street())
	c, _ := m.arrivalFrom("127.0.0.1:999", "127.0.0.1:21")
	x := m.serve(c).open()
	c.cert = "files"
	_, authd := m.theAuthd(x.s)
	for range 3 {
		if l, ok := x.ask(&ipc.Passive{Extended: true}).(*ipc.Listening); !ok || l.Port == 0 || l.Address != "" {
			t.Fatalf("no listener: %+v", l)
		}
	}
	l := x.ask(&ipc.Passive{}).(*ipc.Listening)
	if l.Address != "127.0.0.1" {
		t.Errorf("227 shows %q", l.Address)
	}
	page, err := shm.OpenPage(x.s.page.fd)
	must(t, err)
	defer page.Close()
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), l.Port)
	plain, err := dial(to.Addr(), to)
	must(t, err)
	defer unix.Close(plain)
	m.turn("the connection of a plain session", func() bool { return x.s.data.listener < 0 })
	if _, err := authd.TryRecv(); err != ipc.ErrAgain {
		t.Fatalf("granted to a session that says it is plain: %v", err)
	}
	page.SetTLS(true)
	l = x.ask(&ipc.Passive{}).(*ipc.Listening)
	if _, err := authd.TryRecv(); err != ipc.ErrAgain {
		t.Fatalf("granted without a connection: %v", err)
	}
	fd, err := dial(netip.MustParseAddr("127.0.0.1"), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), l.Port))
	must(t, err)
	defer unix.Close(fd)
	if q, ok := m.next(authd).(*ipc.DataMade); !ok || q.Session != x.s.c.id {
		t.Fatalf("authd is told %+v", q)
	}
	c.cert = ""
	l = x.ask(&ipc.Passive{}).(*ipc.Listening)
	again, err := dial(netip.MustParseAddr("127.0.0.1"), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), l.Port))
	must(t, err)
	defer unix.Close(again)
	m.turn("the second connection", func() bool { return x.s.data.listener < 0 })
	if _, err := authd.TryRecv(); err != ipc.ErrAgain {
		t.Errorf("granted to a session without a key: %v", err)
	}
	m.over()
}
