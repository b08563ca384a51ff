package main

import (
	"fmt"
	"net/netip"
	"time"

	"sallyport/internal/ban"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// seat is what the two addresses of a connection, and the host that it has
// named, make of it.
type seat struct {
	gen   *generation
	host  string
	class string
	cert  string // name of the policy.TLSHost whose key signs for it; "": none
	set   *policy.Settings
}

// seatAt is the seat of a client at a host. The class is the address's alone.
func seatAt(g *generation, h *policy.Host, peer netip.Addr) seat {
	class := g.rules.Class(peer)
	st := seat{gen: g, host: h.Name, class: class, set: h.For(class)}
	if h.TLS.Engine {
		st.cert = h.TLS.Name
	}
	return st
}

// sit gives a client its seat. base keeps the settings of host and class where
// set becomes those of an anonymous login.
func (c *client) sit(st seat) {
	c.gen, c.host, c.class, c.cert, c.set, c.base = st.gen, st.host, st.class, st.cert, st.set, st.set
}

// origin is the address a client counts by; none for what a trusted proxy says
// for itself, be it before its header or by LOCAL: behind it are many clients.
func (c *client) origin() netip.Addr {
	if c.proxied && c.peer == c.via {
		return netip.Addr{}
	}
	return c.peer.Addr()
}

// maxSelections bounds how often one connection may choose a host.
const maxSelections = 32

const textUnknownHost = "Unknown hostname provided"

// selectHost moves a session that is not logged in to the host of that name,
// among those of the configuration in force that are reached at the address
// that was called. Class, limits and bans are settled anew; the attempts that
// have failed stay, and so does the moment by which the login must be done.
func (m *master) selectHost(s *session, q *ipc.SelectHost) {
	c := s.c
	switch {
	case c.proxied && !c.headed:
		m.outOfTurn(s, 11, "host chosen before the PROXY header")
		return
	case s.login != nil || s.rehosting:
		m.outOfTurn(s, 11, "host chosen while a login or another choice is under way")
		return
	case q.By != ipc.ByHOST && q.By != ipc.BySNI:
		m.outOfTurn(s, 11, "no such way to choose a host")
		return
	}
	if s.selections++; s.selections > maxSelections {
		m.answer(s, &ipc.HostSelected{Refused: true, Text: "Too many changes of the host"})
		return
	}
	h := m.gen.rules.HostByName(c.local, q.Name)
	if h == nil || c.sni != "" && h.Name != c.sni {
		m.trace(traceSession, 5, "no such host", c)
		m.answer(s, &ipc.HostSelected{Refused: true, Text: textUnknownHost})
		return
	}
	if q.By == ipc.BySNI {
		c.sni = h.Name
	}
	to := seatAt(m.gen, h, c.peer.Addr())
	if why, text := m.refuseSeat(c, to, c.peer, false); why != "" {
		m.answer(s, &ipc.HostSelected{Refused: true, Text: text})
		if why == refusedBan {
			m.sendAway(c, text)
		}
		return
	}
	m.move(s, to, c.peer, c.local)
	m.log.Info("host chosen", append(s.facts(), logging.Kind(logging.HostChosen), "host", c.host, "class", c.class)...)
	m.rehost(s)
}

// refuseSeat tells whether a connection that is not logged in may sit there; why
// is one of the refused constants, text what the client may be told. arrives: it
// is known by this address from now on only, and not counted by it yet.
func (m *master) refuseSeat(c *client, to seat, peer netip.AddrPort, arrives bool) (why, text string) {
	addr := peer.Addr()
	if arrives || c.origin().IsValid() {
		if v, yes := m.banned(&to, addr); yes {
			m.noteBanned(v, peer)
			return refusedBan, v.text
		}
	}
	if arrives {
		if text, banned := m.event("ClientConnectRate", ban.ByMaster, &to, addr, "", c); banned {
			m.count(shm.RefusedBan)
			return refusedBan, text
		}
		if why := m.census.crowd(&m.gen.policy.Global, addr); why != "" {
			m.refusals.note(m, why, "", peer)
			return why, ""
		}
		m.askAddress(addr)
	}
	comes := arrives || c.origin().IsValid() && to.host != c.host
	if l := to.set.Max.ConnectionsPerHost; comes && l.Count > 0 && m.census.byHost[hostKey{to.host, addr}] >= l.Count {
		m.refusals.note(m, refusedHost, "", peer)
		if text, banned := m.event("MaxConnectionsPerHost", ban.ByMaster, &to, addr, "", c); banned {
			return refusedBan, text
		}
		return refusedHost, perHostText(l)
	}
	return "", ""
}

// move puts a session that is not logged in on another seat, in one step with
// all the books. The login deadline may come nearer by it, never farther away.
func (m *master) move(s *session, to seat, peer, local netip.AddrPort) {
	c := s.c
	host, addr := c.host, c.origin()
	if to.gen != c.gen {
		to.gen.acquire()
		c.gen.release()
	}
	c.sit(to)
	c.peer, c.local = peer, local
	m.census.move(host, addr, c.host, c.origin())
	m.armLogin(c)
	m.armIdle(s)
	m.update(s)
}

// armLogin sets the login deadline by the settings of the seat, counted from the
// moment of the accept. It never moves it to a later moment.
func (m *master) armLogin(c *client) {
	t := c.set.TimeoutLogin
	if t == 0 {
		return
	}
	when := c.accepted + int64(t)*int64(time.Second)
	if !c.deadline.armed() || when < c.deadline.when {
		c.patience = t
		m.loop.timers.set(&c.deadline, when)
	}
}

// rehost tells authd of a seat and then the session; the session hears of it
// when authd has forgotten what it knew of the former one.
func (m *master) rehost(s *session) {
	a, c := s.auth, s.c
	if a == nil { // it will be attached with the new facts
		m.hostSelected(s)
		return
	}
	s.rehosting = true
	m.sendAuthd(a, &ipc.Rehost{
		Session: c.id, Peer: c.peer.String(), Local: c.local.String(), Host: c.set.Auth.Name, Class: c.class, TLS: c.cert,
	})
}

// rehosted is authd's word that it knows of the new seat.
func (m *master) rehosted(a *authd, id uint64) {
	s := m.waitingFor(a, id)
	if s == nil || !s.rehosting {
		return
	}
	m.hostSelected(s)
}

// hostSelected answers SelectHost and ProxyHeader.
func (m *master) hostSelected(s *session) {
	s.rehosting = false
	c := s.c
	view, err := c.gen.sessionView(c.set)
	if err != nil {
		m.sever(s, err.Error())
		return
	}
	m.answer(s, &ipc.HostSelected{Host: c.host, Class: c.class, Peer: c.peer.String(), Local: c.local.String()}, view)
}

// proxyHeader believes what a PROXY header says of a connection that came from
// a trusted proxy: once, before anything else. The client gets the seat that it
// would have got without the proxy, bans and limits included.
func (m *master) proxyHeader(s *session, q *ipc.ProxyHeader) {
	c := s.c
	if !c.proxied || c.headed || s.rehosting || s.login != nil {
		m.outOfTurn(s, 12, "PROXY header where none is asked for")
		return
	}
	c.headed = true
	if q.Local { // a health check: it stays what it is
		m.logConnect(s)
		m.hostSelected(s)
		return
	}
	peer, to, err := proxyAddresses(q)
	if err != nil {
		m.outOfTurn(s, 12, "PROXY header: "+err.Error())
		return
	}
	if why := refusePeer(peer, c.via); why != "" || !c.via.Addr().IsLoopback() && ownAddress(peer) {
		m.refusals.note(m, refusedProxy, "PROXY header with an address that no client has: "+peer.String(), c.via)
		m.answer(s, &ipc.HostSelected{Refused: true})
		return
	}
	next := seatAt(m.gen, m.gen.rules.HostFor(to), peer.Addr())
	if why, text := m.refuseSeat(c, next, peer, true); why != "" {
		m.answer(s, &ipc.HostSelected{Refused: true, Text: text})
		return
	}
	m.move(s, next, peer, to)
	m.logConnect(s)
	m.log.Info("client behind a proxy", append(s.facts(), logging.Kind(logging.HostChosen), "proxy", c.via.String(), "host", c.host, "class", c.class)...)
	m.rehost(s)
}

// proxyAddresses reads the two addresses of a header; v4-mapped ones are IPv4.
func proxyAddresses(q *ipc.ProxyHeader) (peer, to netip.AddrPort, err error) {
	read := func(text string) (netip.AddrPort, error) {
		ap, err := netip.ParseAddrPort(text)
		if err != nil || ap.Addr().Zone() != "" {
			return netip.AddrPort{}, fmt.Errorf("no address:port")
		}
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
	}
	if peer, err = read(q.Peer); err == nil {
		to, err = read(q.To)
	}
	return peer, to, err
}

// refusePeer says why nobody connects from that address. A loopback address is
// believed of a proxy on this machine alone.
func refusePeer(peer, via netip.AddrPort) string {
	switch a := peer.Addr(); {
	case a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "no client's address"
	case a.IsLoopback() && !via.Addr().IsLoopback():
		return "loopback address"
	}
	return ""
}

// isProxy tells whether an address is one of a trusted proxy.
func (m *master) isProxy(a netip.Addr) bool {
	for _, l := range m.listeners {
		if l.trusts(a) {
			return true
		}
	}
	return false
}

// outOfTurn ends a session that asked for what it may not ask for now.
func (m *master) outOfTurn(s *session, kind ipc.Kind, what string) {
	m.violation(s, &ipc.ProtocolError{Dialogue: ipc.SessionLane.Name, Kind: kind, What: what})
}

// dataMade lets authd sign once more for a session that is about to get a data
// connection. It is in authd's socket before the session can ask. One that says of
// itself that it is plain needs none, unless CCC may have made it so.
func (m *master) dataMade(s *session) {
	ccc := s.c.set.Session.TLS.CCC || s.c.base.Session.TLS.CCC
	if s.c.cert != "" && s.auth != nil && (ccc || s.protected()) {
		m.sendAuthd(s.auth, &ipc.DataMade{Session: s.c.id})
	}
}
