package main

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/ban"
	"sallyport/internal/policy"
	"sallyport/shm"
)

// client is one accepted connection. Until it speaks it is all there is of it:
// no process, one descriptor, one timer. Afterwards fd is master's duplicate
// of the control connection that its session serves.
type client struct {
	id          uint64
	fd          int
	peer, local netip.AddrPort // as the client sees them: where a proxy is trusted, by its header
	bound       netip.AddrPort // address of the socket; data connections are on it
	via         netip.AddrPort // where the connection came from: peer, or a proxy
	label       string         // of the listener
	protocol    string
	tls         bool   // implicit TLS: the greeting is the session's
	proxied     bool   // came from a trusted proxy, which owes a PROXY header
	headed      bool   // and has delivered it
	sni         string // host chosen by SNI; HOST must name the same one
	gen         *generation
	host        string // name of the virtual host; the census counts by it
	class       string
	cert        string           // policy.TLSHost that signs for it; "": none
	set         *policy.Settings // in force
	base        *policy.Settings // of host and class; set differs in an anonymous session
	accepted    int64            // loop time
	deadline    timer            // TimeoutLogin
	held        timer            // on_event Connect: not greeted yet
	silent      timer            // TimeoutIdle of a client that has said nothing yet
	patience    uint32           // seconds from accepted to deadline
	waiting     bool             // has spoken, no session yet
	failed      uint32
	session     *session
}

// maxWaiting bounds the clients that have spoken and wait for a session.
const maxWaiting = 512

// Replies that master itself writes. Nothing in them comes from a client.
const (
	replyBusy     = "421 Service busy, closing control connection\r\n"
	replyShutdown = "421 Service shutting down\r\n"

	textNoService = "Service not available, closing control connection"
)

// accepting drains a listener: one round takes a batch, so that a flood on one
// listener does not starve the rest.
func (m *master) accepting(l *listener) {
	for range 64 {
		fd, peer, err := accept(l.fd)
		switch err {
		case nil:
			m.welcome(l, fd, peer)
		case unix.EAGAIN:
			return
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			m.pauseAccept(err)
			return
		default: // a network error of the connection that was to come
			m.refusals.note(m, refusedSystem, err.Error(), peer)
			return
		}
	}
}

// pauseAccept stops accepting for a moment where descriptors or memory are
// used up: the clients wait in the backlog meanwhile.
func (m *master) pauseAccept(err error) {
	m.refusals.note(m, refusedSystem, err.Error(), netip.AddrPort{})
	for _, l := range m.listeners {
		m.loop.mod(l.fd, 0)
	}
	m.loop.after(&m.resume, 100*time.Millisecond)
}

func (m *master) resumeAccept() {
	for _, l := range m.listeners {
		m.loop.mod(l.fd, unix.EPOLLIN)
	}
}

// welcome decides about a new connection, from memory alone, and greets it.
func (m *master) welcome(l *listener, fd int, peer netip.AddrPort) {
	m.count(shm.Accepted)
	g := &m.gen.policy.Global
	why, by := "", peer.Addr()
	if len(l.proxy) > 0 {
		by = netip.Addr{} // counted when the header has come
	}
	switch {
	case fd >= m.roof:
		why = refusedDescriptors
	case len(l.proxy) > 0 && !l.trusts(peer.Addr()):
		why = refusedProxy
	case by.IsValid() && m.turnedAway(l, fd, peer):
		unix.Close(fd)
		return
	case !m.rate.take(m.loop.now):
		why = refusedRate
	default:
		why = m.census.room(g, by, randomBelow)
	}
	if why != "" {
		unix.Close(fd)
		m.refusals.note(m, why, "", peer)
		return
	}
	local, err := localAddr(fd)
	if err != nil { // the client has gone already
		unix.Close(fd)
		return
	}
	m.nextID++
	c := &client{
		id: m.nextID, fd: fd, peer: peer, local: local, bound: local, via: peer,
		label: l.label, protocol: l.protocol, tls: l.tls == "implicit", proxied: len(l.proxy) > 0, accepted: m.loop.now,
	}
	c.sit(m.decide(peer.Addr(), local))
	if x := c.set.Max.ConnectionsPerHost; by.IsValid() && x.Count > 0 && m.census.byHost[hostKey{c.host, by}] >= x.Count {
		to := c.seat()
		words := "530 " + perHostText(x) + "\r\n"
		if text, banned := m.event("MaxConnectionsPerHost", ban.ByMaster, &to, by, "", nil); banned && text != "" {
			words = banReply(text)
		}
		sendNow(fd, c.partingWords(words))
		unix.Close(fd)
		m.refusals.note(m, refusedHost, "", peer)
		return
	}
	m.adopt(c)
	if by.IsValid() {
		m.askAddress(by)
	}
	if m.heldBack(c) {
		return
	}
	m.trace(traceAccept, 5, "greeted", c)
	m.greet(c)
}

// adopt counts a connection and starts its login deadline.
func (m *master) adopt(c *client) {
	c.gen.acquire()
	m.census.enter(c.host, c.origin())
	m.clients[c.id] = c
	c.deadline.fn = func() { m.loginTimeout(c) }
	m.armLogin(c)
}

// greet writes the greeting, unless a PROXY header or a TLS handshake comes
// first, and waits for the client's first byte.
func (m *master) greet(c *client) {
	if !c.tls && !c.proxied {
		m.scratch = m.greeting(m.scratch[:0], c)
		if !sendNow(c.fd, m.scratch) {
			m.drop(c)
			return
		}
	}
	m.await(c)
}

// partingWords is a last reply that master itself writes: none where the client
// waits for a TLS handshake or is in one.
func (c *client) partingWords(reply string) []byte {
	if c.tls || c.session != nil && c.session.protected() {
		return nil
	}
	return []byte(reply)
}

// await lets the loop tell of the first byte or the end of a silent client.
func (m *master) await(c *client) {
	err := m.loop.add(c.fd, unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLONESHOT, func(uint32) { m.spoke(c) })
	if err != nil {
		m.drop(c)
		return
	}
	t, end := c.set.TimeoutIdle, m.silentTimeout
	if h := c.set.Session.TLS.Handshake; c.tls && h > 0 && (t == 0 || h < t) {
		t, end = h, m.unshaken
	}
	if t > 0 && t < c.patience {
		c.silent.fn = func() { end(c) }
		m.loop.after(&c.silent, time.Duration(t)*time.Second)
	}
}

// spoke handles a greeted client's first byte, or its end without one.
func (m *master) spoke(c *client) {
	m.loop.timers.stop(&c.silent)
	if unread(c.fd) == 0 {
		m.count(shm.LeftSilent)
		m.drop(c)
		return
	}
	m.loop.del(c.fd)
	if m.turnAway(c) {
		return
	}
	if len(m.waiting) == 0 {
		if s := m.pool.take(m); s != nil {
			m.count(shm.PoolHits)
			m.assign(s, c)
			return
		}
	}
	if len(m.waiting) >= maxWaiting {
		m.refusals.note(m, refusedPool, "", c.peer)
		sendNow(c.fd, c.partingWords(replyBusy))
		m.drop(c)
		return
	}
	m.count(shm.PoolMisses)
	c.waiting = true
	m.waiting = append(m.waiting, c)
	m.pool.starved(m)
}

// serveWaiting hands waiting clients to sessions as long as there are both.
func (m *master) serveWaiting() {
	for len(m.waiting) > 0 {
		c := m.waiting[0]
		if !c.waiting || gone(c.fd) { // dropped meanwhile
			m.waiting = m.waiting[1:]
			if c.waiting {
				m.drop(c)
			}
			continue
		}
		s := m.pool.take(m)
		if s == nil {
			return
		}
		m.waiting[0] = nil
		m.waiting = m.waiting[1:]
		c.waiting = false
		if m.turnAway(c) {
			m.pool.back(s)
			continue
		}
		m.assign(s, c)
	}
	m.waiting = nil
}

// drop ends a connection that no session serves.
func (m *master) drop(c *client) {
	c.waiting = false
	m.loop.closeFD(&c.fd)
	m.forget(c, false)
}

// forget takes a connection out of the books.
func (m *master) forget(c *client, authenticated bool) {
	m.loop.timers.stop(&c.deadline)
	m.loop.timers.stop(&c.held)
	m.loop.timers.stop(&c.silent)
	m.census.leave(c.host, c.origin(), authenticated)
	delete(m.clients, c.id)
	c.gen.release()
	m.drained()
}
