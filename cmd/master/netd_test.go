package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// withNames is a configuration whose passive addresses are these.
func withNames(names ...string) *policy.Policy {
	p := &policy.Policy{Hosts: []policy.Host{{Name: "default", Base: policy.Settings{MinUID: 1000}}}}
	for _, n := range names {
		p.Hosts[0].ByClass = append(p.Hosts[0].ByClass, policy.ClassSettings{Class: n, Settings: policy.Settings{Passive: policy.Passive{Address: n}}})
	}
	return p
}

func TestNetdViewIsTheNamesAlone(t *testing.T) {
	p := withNames("b.example.org", "192.0.2.1", "local", "", "2001:db8::1", "a.example.org", "b.example.org")
	p.Global.Sandbox = "enforce"
	p.Hosts[0].Base.Anonymous = []policy.Anonymous{{Settings: policy.Settings{Passive: policy.Passive{Address: "c.example.org"}}}}
	want := policy.Netd{Sandbox: "enforce", Names: []string{"a.example.org", "b.example.org", "c.example.org"}}
	if d := cmp.Diff(want, netdView(p)); d != "" {
		t.Error(d)
	}
}

// puppetNetd gives master a netd that the test speaks for.
func puppetNetd(t *testing.T, m *inside) (*netd, *ipc.Conn) {
	t.Helper()
	ours, theirs, err := ipc.Pair()
	must(t, err)
	conn := ipc.New(theirs, ipc.MasterNetd, ipc.Netd)
	t.Cleanup(conn.Close)
	m.stopping = false
	defer func() { m.stopping = true }()
	m.netd.names = netdView(m.gen.policy).Names
	m.adoptNetd(&netd{child: &child{name: "netd", pid: 1 << 30, pidfd: eventFD(t)}}, ours)
	n := m.netd.now
	if n == nil {
		t.Fatal("netd was not adopted")
	}
	if got, err := conn.Recv(); err != nil {
		t.Fatal(err)
	} else {
		var v policy.Netd
		must(t, ipc.ReadBlob(got.FDs[0], &v))
		got.Close()
		if d := cmp.Diff(m.netd.names, v.Names); d != "" {
			t.Error(d)
		}
	}
	return n, conn
}

// eventFD stands for a pidfd: it never becomes readable.
func eventFD(t *testing.T) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	must(t, err)
	return fd
}

func TestAnswersOfNetd(t *testing.T) {
	m := newInsideWith(t, withNames("a.example.org", "b.example.org"))
	_, conn := puppetNetd(t, m)
	say := func(r *ipc.Resolved) { t.Helper(); must(t, conn.Send(r)) }
	say(&ipc.Resolved{Name: "a.example.org", Addresses: []string{"2001:db8::1", "192.0.2.9", "192.0.2.1"}})
	say(&ipc.Resolved{Name: "b.example.org", Error: "no such host"})
	m.turn("the answer", func() bool { _, ok := m.resolved("a.example.org", true); return ok })
	if a, _ := m.resolved("a.example.org", true); a != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("IPv4: %v", a)
	}
	if a, _ := m.resolved("a.example.org", false); a != netip.MustParseAddr("2001:db8::1") {
		t.Errorf("IPv6: %v", a)
	}
	if a, ok := m.lookUp("a.example.org"); !ok || a != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("for 227: %v", a)
	}
	if _, ok := m.resolved("b.example.org", true); ok {
		t.Error("a name that does not resolve has an address")
	}
	// A look-up that fails takes nothing away, another answer does.
	say(&ipc.Resolved{Name: "a.example.org", Error: "timeout"})
	say(&ipc.Resolved{Name: "b.example.org", Addresses: []string{"198.51.100.1"}})
	m.turn("the second answer", func() bool { _, ok := m.resolved("b.example.org", true); return ok })
	if _, ok := m.resolved("a.example.org", true); !ok {
		t.Error("the last good answer is gone")
	}
	if why := m.netdReasons(); len(why) != 0 {
		t.Errorf("degraded: %v", why)
	}
	// A reload that drops the name drops the answer.
	m.stopping = false
	m.configureNetd(withNames("b.example.org", "c.example.org"))
	m.stopping = true
	if _, ok := m.resolved("a.example.org", true); ok {
		t.Error("an answer to a name that nobody has")
	}
	if why := strings.Join(m.netdReasons(), ""); !strings.Contains(why, `"c.example.org" does not resolve yet`) {
		t.Errorf("degraded: %v", why)
	}
	say(&ipc.Resolved{Name: "a.example.org", Addresses: []string{"192.0.2.1"}}) // late, not wrong
	say(&ipc.Resolved{Name: "b.example.org", Addresses: []string{"198.51.100.2"}})
	m.turn("the third answer", func() bool { a, _ := m.resolved("b.example.org", true); return a.String() == "198.51.100.2" })
	if _, ok := m.resolved("a.example.org", true); ok {
		t.Error("a late answer was kept")
	}
}

// TestNetdMayNotSayWhatItWasNotAsked: a hijacked netd cannot plant a name, nor
// an address that is none.
func TestNetdMayNotSayWhatItWasNotAsked(t *testing.T) {
	for name, r := range map[string]ipc.Resolved{
		"a name that nobody asked for": {Name: "evil.example.org", Addresses: []string{"192.0.2.66"}},
		"no address":                   {Name: "a.example.org", Addresses: []string{"192.0.2.1", "x\r\n230 in"}},
		"an address with a zone":       {Name: "a.example.org", Addresses: []string{"fe80::1%eth0"}},
		"a mapped address":             {Name: "a.example.org", Addresses: []string{"::ffff:192.0.2.1"}},
		"everywhere":                   {Name: "a.example.org", Addresses: []string{"0.0.0.0"}},
		"a group":                      {Name: "a.example.org", Addresses: []string{"224.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newInsideWith(t, withNames("a.example.org"))
			_, conn := puppetNetd(t, m)
			must(t, conn.Send(&r))
			m.turn("the violation", func() bool { return strings.Contains(m.logged(), "netd broke the protocol, killed") })
			if len(m.netd.answers) > 0 {
				t.Errorf("believed: %v", m.netd.answers)
			}
		})
	}
}

func TestAStuckNetdIsEnded(t *testing.T) {
	m := newInsideWith(t, withNames("a.example.org"))
	n, conn := puppetNetd(t, m)
	m.loop.now = m.loop.clock()
	m.pingNetd(n)
	got, err := conn.Recv()
	must(t, err)
	if _, ok := got.Body.(*ipc.NetdPing); !ok {
		t.Fatalf("%#v", got.Body)
	}
	must(t, conn.Send(&ipc.NetdPong{}))
	m.turn("the answer", func() bool { return n.pong })
	m.pingNetd(n)
	m.pingNetd(n)
	m.turn("the end", func() bool { return strings.Contains(m.logged(), "netd does not answer, killed") })
}

// TestNetdIsStartedAgain later each time, and its answers outlive it.
func TestNetdIsStartedAgain(t *testing.T) {
	m := newInsideWith(t, withNames("a.example.org"))
	n, conn := puppetNetd(t, m)
	must(t, conn.Send(&ipc.Resolved{Name: "a.example.org", Addresses: []string{"192.0.2.1"}}))
	m.turn("the answer", func() bool { _, ok := m.resolved("a.example.org", true); return ok })
	m.stopping = false
	defer func() { m.stopping = true }()
	var waits []time.Duration
	m.netd.restart.fn = func() {}
	for range 3 {
		m.loop.now = m.loop.clock()
		m.netd.now, m.netd.since = n, m.loop.now
		m.netdGone(n, 9)
		waits = append(waits, time.Duration(m.netd.restart.when-m.loop.now))
	}
	if d := cmp.Diff([]time.Duration{restartFirst, 2 * restartFirst, 4 * restartFirst}, waits); d != "" {
		t.Error(d)
	}
	if _, ok := m.resolved("a.example.org", true); !ok {
		t.Error("the answer is gone with the process")
	}
	if w, ok := m.netdStatus(); !ok || w.State != "restarting" || w.Restarts != 3 {
		t.Errorf("%+v, %v", w, ok)
	}
}
