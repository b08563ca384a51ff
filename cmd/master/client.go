package main

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/shm"
)

// client is one accepted connection. Until it speaks it is all there is of it:
// no process, one descriptor, one timer. Afterwards fd is master's duplicate
// of the control connection that its session serves.
type client struct {
	id          uint64
	fd          int
	peer, local netip.AddrPort
	label       string // of the listener
	protocol    string
	gen         *generation
	host        string // name of the virtual host; the census counts by it
	class       string
	set         *policy.Settings
	accepted    int64 // loop time
	deadline    timer // TimeoutLogin
	waiting     bool  // has spoken, no session yet
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
	why := ""
	switch {
	case fd >= m.roof:
		why = refusedDescriptors
	case m.banned(peer.Addr()):
		why = refusedBan
	case !m.rate.take(m.loop.now):
		why = refusedRate
	default:
		why = m.census.room(g, peer.Addr(), randomBelow)
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
	host, class, set := m.decide(peer.Addr(), local)
	if n := set.Max.ConnectionsPerHost.Count; n > 0 && m.census.byHost[hostKey{host, peer.Addr()}] >= n {
		sendNow(fd, perHostText(set.Max.ConnectionsPerHost))
		unix.Close(fd)
		m.refusals.note(m, refusedHost, "", peer)
		return
	}
	m.nextID++
	c := &client{
		id: m.nextID, fd: fd, peer: peer, local: local,
		label: l.label, protocol: l.protocol, gen: m.gen, host: host, class: class, set: set, accepted: m.loop.now,
	}
	m.adopt(c)
	m.trace(traceAccept, 5, "greeted", c)
	m.greet(c)
}

// adopt counts a connection and starts its login deadline.
func (m *master) adopt(c *client) {
	c.gen.acquire()
	m.census.enter(c.host, c.peer.Addr())
	m.clients[c.id] = c
	c.deadline.fn = func() { m.loginTimeout(c) }
	if t := c.set.TimeoutLogin; t > 0 {
		m.loop.timers.set(&c.deadline, c.accepted+int64(t)*int64(time.Second))
	}
}

// greet writes the constant greeting and waits for the client's first byte.
func (m *master) greet(c *client) {
	m.scratch = append(m.scratch[:0], "220 "...)
	m.scratch = append(m.scratch, c.set.Session.Ident...)
	m.scratch = append(m.scratch, "\r\n"...)
	if !sendNow(c.fd, m.scratch) {
		m.drop(c)
		return
	}
	m.await(c)
}

// await lets the loop tell of the first byte or the end of a silent client.
func (m *master) await(c *client) {
	err := m.loop.add(c.fd, unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLONESHOT, func(uint32) { m.spoke(c) })
	if err != nil {
		m.drop(c)
	}
}

// spoke handles a greeted client's first byte, or its end without one.
func (m *master) spoke(c *client) {
	if unread(c.fd) == 0 {
		m.count(shm.LeftSilent)
		m.drop(c)
		return
	}
	m.loop.del(c.fd)
	if m.banned(c.peer.Addr()) {
		m.refusals.note(m, refusedBan, "", c.peer)
		m.drop(c)
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
		sendNow(c.fd, []byte(replyBusy))
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
	m.census.leave(c.host, c.peer.Addr(), authenticated)
	delete(m.clients, c.id)
	c.gen.release()
	m.drained()
}
