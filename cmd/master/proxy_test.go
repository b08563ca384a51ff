package main

import (
	"net/netip"
	"testing"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// proxied is a session whose client came from a trusted proxy.
func (m *inside) proxied(via string) *caller {
	m.t.Helper()
	c, _ := m.arrivalBy(via, "192.0.2.2:21", true)
	return m.serve(c)
}

// TestListenersTrustTheirProxiesAlone.
func TestListenersTrustTheirProxiesAlone(t *testing.T) {
	l := shaped(policy.Listener{Proxy: []string{"192.0.2.7/32", "2001:db8:7::/48", "no prefix"}}, &listener{})
	for addr, want := range map[string]bool{
		"192.0.2.7": true, "::ffff:192.0.2.7": true, "2001:db8:7::1": true,
		"192.0.2.8": false, "2001:db8:8::1": false, "0.0.0.0": false, "::": false,
	} {
		if got := l.trusts(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if shaped(policy.Listener{}, &listener{}).trusts(netip.MustParseAddr("192.0.2.7")) {
		t.Error("a listener without proxies trusts somebody")
	}
	if l := shaped(policy.Listener{Proxy: []string{"no prefix"}}, &listener{}); len(l.proxy) == 0 {
		t.Error("a prefix that is none opens the listener to everybody")
	}
}

// TestAProxyHeaderSeatsTheRealClient: class, host, counts and what authd knows
// are those of the address in the header; the proxy's own counts nowhere.
func TestAProxyHeaderSeatsTheRealClient(t *testing.T) {
	m := newInsideWith(t, street())
	x := m.proxied("192.0.2.50:7")
	c := x.s.c
	if len(m.census.byOrigin)+len(m.census.byHost) != 0 || m.census.unauth != 1 || m.census.live != 1 {
		t.Errorf("the proxy counts by its address: %+v", m.census)
	}
	_, authd := m.theAuthd(x.s)
	must(t, x.lane.Send(&ipc.ProxyHeader{Peer: "[::ffff:198.51.100.9]:4000", To: "192.0.2.99:21"}))
	if q, ok := m.next(authd).(*ipc.Rehost); !ok || q.Peer != "198.51.100.9:4000" || q.Host != "other" || q.Class != "far" {
		t.Fatalf("authd is told %+v", q)
	}
	must(t, authd.Send(&ipc.Rehosted{Session: c.id}))
	h, ok := m.next(x.lane).(*ipc.HostSelected)
	if !ok || h.Refused || h.Peer != "198.51.100.9:4000" || h.Local != "192.0.2.99:21" || h.Host != "other" || h.Class != "far" {
		t.Fatalf("answered %+v", h)
	}
	key := hostKey{"other", netip.MustParseAddr("198.51.100.9")}
	if m.census.byHost[key] != 1 || m.census.byOrigin[key.addr] != 1 || len(m.census.byHost)+len(m.census.byOrigin) != 2 {
		t.Errorf("counted %+v", m.census)
	}
	if c.bound.String() != "192.0.2.2:21" {
		t.Errorf("data connections would be on %s", c.bound)
	}
	must(t, x.lane.Send(&ipc.ProxyHeader{Peer: "198.51.100.10:4000", To: "192.0.2.99:21"}))
	if !x.killed() || c.peer.String() != "198.51.100.9:4000" {
		t.Errorf("a second header is believed: %s", c.peer)
	}
	m.over()
}

func TestAProxyMaySpeakForItself(t *testing.T) {
	m := newInsideWith(t, street())
	x := m.proxied("192.0.2.50:7")
	if h := x.selected(&ipc.ProxyHeader{Local: true}); h.Refused || h.Peer != "192.0.2.50:7" || h.Host != "default" {
		t.Errorf("answered %+v", h)
	}
	if len(m.census.byOrigin)+len(m.census.byHost) != 0 {
		t.Errorf("counted %+v", m.census)
	}
	m.over()
}

// TestProxyHeadersThatAreNotBelieved.
func TestProxyHeadersThatAreNotBelieved(t *testing.T) {
	for _, c := range []struct {
		name, via, peer, to string
		killed              bool
	}{
		{"loopback", "192.0.2.50:7", "127.0.0.1:9", "192.0.2.2:21", false},
		{"loopback, IPv6", "192.0.2.50:7", "[::1]:9", "192.0.2.2:21", false},
		{"unspecified", "192.0.2.50:7", "0.0.0.0:9", "192.0.2.2:21", false},
		{"multicast", "127.0.0.1:7", "224.0.0.1:9", "192.0.2.2:21", false},
		{"broadcast", "127.0.0.1:7", "255.255.255.255:9", "192.0.2.2:21", false},
		{"no address", "192.0.2.50:7", "ftp.example.org:9", "192.0.2.2:21", true},
		{"no destination", "192.0.2.50:7", "198.51.100.9:9", "", true},
		{"a zone", "192.0.2.50:7", "[fe80::1%eth0]:9", "192.0.2.2:21", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newInsideWith(t, street())
			x := m.proxied(c.via)
			q := &ipc.ProxyHeader{Peer: c.peer, To: c.to}
			if c.killed {
				must(t, x.lane.Send(q))
				if !x.killed() {
					t.Error("not ended")
				}
			} else if h := x.selected(q); !h.Refused || h.Text != "" {
				t.Errorf("answered %+v", h)
			}
			if x.s.c.peer.String() != c.via {
				t.Errorf("the client is %s now", x.s.c.peer)
			}
			m.over()
		})
	}
	t.Run("where none is asked for", func(t *testing.T) {
		m := newInsideWith(t, street())
		x := m.caller()
		must(t, x.lane.Send(&ipc.ProxyHeader{Peer: "198.51.100.9:9", To: "192.0.2.2:21"}))
		if !x.killed() || x.s.c.peer.String() != "192.0.2.1:999" {
			t.Errorf("believed: %s", x.s.c.peer)
		}
		m.over()
	})
	t.Run("a host before it", func(t *testing.T) {
		m := newInsideWith(t, street())
		x := m.proxied("192.0.2.50:7")
		must(t, x.lane.Send(&ipc.SelectHost{Name: "files.example.org", By: ipc.BySNI}))
		if !x.killed() {
			t.Error("not ended")
		}
		m.over()
	})
}

// TestLimitsHoldForTheClientBehindAProxy: they are asked about the address in the
// header, which is the first time that it is known.
func TestLimitsHoldForTheClientBehindAProxy(t *testing.T) {
	p := street()
	p.Hosts[0].Base.Max.ConnectionsPerHost = policy.Limit{Count: 1, Message: "one each"}
	m := newInsideWith(t, p)
	header := &ipc.ProxyHeader{Peer: "203.0.113.9:4000", To: "192.0.2.2:21"}
	if h := m.proxied("192.0.2.50:7").selected(header); h.Refused {
		t.Fatalf("the first: %+v", h)
	}
	if h := m.proxied("192.0.2.50:8").selected(header); !h.Refused || h.Text != "one each" {
		t.Errorf("the second: %+v", h)
	}
	if h := m.proxied("192.0.2.50:9").selected(&ipc.ProxyHeader{Peer: "203.0.113.10:4000", To: "192.0.2.2:21"}); h.Refused {
		t.Errorf("another client: %+v", h)
	}
	m.gen.policy.Global.UnauthPerAddress = 1
	if h := m.proxied("192.0.2.50:10").selected(&ipc.ProxyHeader{Peer: "203.0.113.10:4001", To: "192.0.2.99:21"}); !h.Refused || h.Text != "" {
		t.Errorf("one too many that is not logged in: %+v", h)
	}
	m.over()
}

// TestALoginComesBehindTheProxyHeader: until then nobody knows whom limits, bans
// and logs are about.
func TestALoginComesBehindTheProxyHeader(t *testing.T) {
	m := newInsideWith(t, street())
	x := m.proxied("192.0.2.50:7")
	_, authd := m.theAuthd(x.s)
	must(t, authd.Send(&ipc.LoginReport{Session: x.s.c.id, User: "ann", UID: 1001, GID: 1001, Source: "file", Home: "/"}))
	if o, ok := m.next(authd).(*ipc.LoginOutcome); !ok || o.OK || !o.Close {
		t.Errorf("answered %+v", o)
	}
	if !x.killed() {
		t.Error("not ended")
	}
	m.over()
}
