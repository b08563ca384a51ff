package main

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// data is what master holds for a session's data connection: at most one of a
// passive listener, a remembered target and a connection being made.
type data struct {
	seq      uint32 // of the last Passive or Active call
	listener int    // -1: none
	port     uint16 // of the listener; in the busy table
	ahead    bool   // the client has not been told of the listener
	extended bool   // asked for by EPSV
	again    bool   // each connection brings the next listener
	target   netip.AddrPort
	dialing  int // -1: none
	expiry   timer
}

func newData() data { return data{listener: -1, dialing: -1} }

// waits tells whether a data connection is awaited or being made.
func (d *data) waits() bool { return d.listener >= 0 || d.dialing >= 0 }

const dialDeadline = 30 * time.Second

// portKey is a passive port of master's own; the busy table saves the system
// calls that would find a port taken by ourselves.
type portKey struct {
	addr netip.Addr
	port uint16
}

// passive opens a listener on the address the client called and answers where.
func (m *master) passive(s *session, q *ipc.Passive) {
	m.dropData(s)
	s.data.extended, s.data.again = q.Extended, q.Again
	l := m.openPassive(s, false)
	m.answer(s, &l)
}

func (m *master) openPassive(s *session, ahead bool) ipc.Listening {
	p := &s.c.set.Passive
	s.data.seq++
	fd, port, err := m.listenPassive(s.c.bound.Addr(), *p)
	if err != nil {
		if s.reports.take(m.loop.now) {
			m.log.Warn("no passive listener", append(s.facts(), "error", err.Error())...)
		}
		return ipc.Listening{Errno: errno(err)}
	}
	if err := m.loop.add(fd, unix.EPOLLIN, func(uint32) { m.passiveReady(s) }); err != nil {
		unix.Close(fd)
		return ipc.Listening{Errno: uint32(unix.ENOBUFS)}
	}
	s.data.listener, s.data.port, s.data.ahead = fd, port, ahead
	m.busy[portKey{s.c.bound.Addr(), port}] = true
	if ahead {
		m.expireAhead(s, aheadTime)
	} else {
		m.expireData(s, time.Duration(s.c.set.TimeoutStalled)*time.Second)
	}
	m.trace(traceData, 5, "passive listener", s.c, slog.Int("port", int(port)), slog.Bool("ahead", ahead))
	address := ""
	if !s.data.extended {
		address = m.shownAddress(s, p).WithZone("").String()
	}
	return ipc.Listening{Seq: s.data.seq, Address: address, Port: port}
}

// shownAddress is the address of the 227 reply: the configured one, or what its
// name resolves to; the address that the client called where neither is there,
// and for clients on this side of the address translation.
func (m *master) shownAddress(s *session, p *policy.Passive) netip.Addr {
	local := s.c.local.Addr()
	if p.Address == "" || p.Address == "local" || insideOf(p.Local, s.c.peer.Addr()) {
		return local
	}
	if a, err := netip.ParseAddr(p.Address); err == nil {
		return a.Unmap()
	}
	if a, ok := m.lookUp(p.Address); ok {
		return a
	}
	if s.reports.take(m.loop.now) {
		m.log.Warn("passive address does not resolve, the local one is shown", append(s.facts(), "name", p.Address)...)
	}
	return local
}

// insideOf tells whether an item fits an address, and none with "!" does.
func insideOf(items []policy.AddressItem, a netip.Addr) bool {
	in := false
	for _, i := range items {
		p, err := netip.ParsePrefix(i.Prefix)
		if fits := i.Prefix == "all" || err == nil && p.Contains(a.WithZone("")); fits && i.Not {
			return false
		} else if fits {
			in = true
		}
	}
	return in
}

// dynamicTries is how many ports are tried before the kernel is left to pick one.
const dynamicTries = 16

// listenPassive binds a random free port of the range, and no other one: a
// firewall lets the range through. Without a range it is one of those that the
// kernel hands out; where most of them are waiting (TIME_WAIT) the kernel itself
// would look at one after the other.
func (m *master) listenPassive(local netip.Addr, p policy.Passive) (fd int, port uint16, err error) {
	if p.Min == 0 {
		n := uint32(m.dynamic.Max) - uint32(m.dynamic.Min) + 1
		for tries := dynamicTries; tries > 0 && m.dynamic.Min != 0; tries-- {
			port := m.dynamic.Min + uint16(randomUint32()%n)
			if m.busy[portKey{local, port}] {
				continue
			}
			if fd, err := listenTCP(netip.AddrPortFrom(local, port), 4); err == nil {
				return fd, port, nil
			}
		}
		if fd, err = listenTCP(netip.AddrPortFrom(local, 0), 4); err != nil {
			return -1, 0, err
		}
		bound, err := localAddr(fd)
		if err != nil {
			unix.Close(fd)
			return -1, 0, err
		}
		return fd, bound.Port(), nil
	}
	n := uint32(p.Max) - uint32(p.Min) + 1
	start := randomUint32() % n
	for i := range n {
		port := p.Min + uint16((start+i)%n)
		if m.busy[portKey{local, port}] {
			continue
		}
		fd, err := listenTCP(netip.AddrPortFrom(local, port), 4)
		switch {
		case err == nil:
			return fd, port, nil
		case !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EACCES):
			return -1, 0, err
		}
	}
	return -1, 0, unix.EADDRINUSE
}

// dynamicPorts are the ports that the kernel hands out (ip_local_port_range).
func dynamicPorts() policy.Passive {
	p := policy.Passive{Min: 32768, Max: 60999}
	var low, high uint16
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if n, _ := fmt.Sscan(string(text), &low, &high); err == nil && n == 2 && low >= 1024 && low <= high {
		p.Min, p.Max = low, high
	}
	return p
}

// randomUint32 comes from the system's generator: a guessable passive port
// invites connection theft.
func randomUint32() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint32(b[:])
}

// passiveReady accepts one connection. One from a foreign peer, or one that came
// before the client was told of the port, is dropped and the wait goes on, so that a
// thief cannot spoil the transfer.
//
// The page is looked at before the accept: who is accepted has come before that, so
// the client, who comes after the announcement, is never taken for somebody else.
// Whoever came so shortly before it that this loop has not turned since is taken for
// the client, as is who is faster after it.
func (m *master) passiveReady(s *session) {
	told := !s.data.ahead || s.page.Announced() == s.data.seq
	fd, peer, err := accept(s.data.listener)
	if err == unix.EAGAIN {
		return
	}
	if err != nil {
		m.deliver(s, -1, err)
		return
	}
	why := ""
	switch {
	case peer.Addr() != s.c.peer.Addr() && !s.c.set.AllowForeignAddress:
		why = "from a foreign address"
	case !told:
		why = "to a port that the client was not told"
		s.data.again = false // somebody lies in wait
	}
	if why == "" {
		m.deliver(s, fd, nil)
		return
	}
	unix.Close(fd)
	m.count(shm.DataRefused)
	if s.reports.take(m.loop.now) {
		m.log.Warn("SECURITY VIOLATION: passive connection "+why+" dropped",
			append(s.facts(), logging.Kind(logging.SecurityViolation), "foreign", peer.String())...)
	}
}

// active remembers the target of PORT or EPRT if it is one that may be dialed.
func (m *master) active(s *session, text string) {
	m.dropData(s)
	s.data.seq++
	target, err := netip.ParseAddrPort(text)
	if err != nil {
		m.violation(s, &ipc.ProtocolError{Dialogue: ipc.SessionLane.Name, Kind: 2, What: "target is no address:port"})
		return
	}
	to := target.Addr().Unmap().WithZone("")
	if peer := s.c.peer.Addr(); to == peer.WithZone("") {
		to = peer // a link-local one is on the peer's interface
	}
	target = netip.AddrPortFrom(to, target.Port())
	why := refuseTarget(target, s.c.peer.Addr(), s.c.local.Addr(), s.c.set.AllowForeignAddress)
	claimed := s.c.headed && s.c.peer != s.c.via // the session has read it in a proxy's header
	switch {
	case why != "" || to == s.c.peer.Addr() && !claimed:
	case ownAddress(target):
		why = "address of this machine"
	case m.isProxy(to):
		why = "address of a proxy"
	}
	if why != "" {
		if s.reports.take(m.loop.now) { // a client must not flood the log
			m.log.Warn("active data connection refused", append(s.facts(), logging.Kind(logging.SecurityViolation),
				"target", target.String(), "reason", why)...)
		}
		m.count(shm.DataRefused)
		m.answer(s, &ipc.Listening{Refusal: why})
		return
	}
	s.data.target = target
	m.answer(s, &ipc.Listening{Seq: s.data.seq})
}

// refuseTarget says why a target may not be dialed (RFC 2577 §3): it must be
// the control connection's peer, or, where foreign addresses are allowed, at
// least an ordinary address of another machine; the port is never a service's.
func refuseTarget(target netip.AddrPort, peer, local netip.Addr, foreign bool) string {
	a := target.Addr()
	switch {
	case target.Port() < 1024:
		return "port below 1024, possible bounce attack"
	case a == peer:
		return ""
	case !foreign:
		return "address mismatch"
	case a.Is4() != peer.Is4():
		return "address family mismatch"
	case a == local || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() ||
		a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "address not allowed"
	}
	return ""
}

// connect starts the connection to the remembered target. It comes from the
// address that the client called; the outcome is pushed as Data.
func (m *master) connect(s *session) {
	target := s.data.target
	if !target.IsValid() || s.data.dialing >= 0 {
		m.answer(s, &ipc.Done{Errno: uint32(unix.ENOTCONN), Seq: s.data.seq})
		return
	}
	s.data.target = netip.AddrPort{}
	m.trace(traceData, 5, "dialing", s.c, slog.String("target", target.String()))
	m.answer(s, &ipc.Done{Seq: s.data.seq})
	fd, err := dial(s.c.bound.Addr(), target)
	if err != nil {
		m.deliver(s, -1, err)
		return
	}
	s.data.dialing = fd
	if err := m.loop.add(fd, unix.EPOLLOUT, func(uint32) { m.dialed(s) }); err != nil {
		m.deliver(s, -1, unix.ENOBUFS)
		return
	}
	m.expireData(s, dialDeadline)
}

// dial starts a non-blocking connection. The error is nil also where it is
// still in progress.
func dial(local netip.Addr, target netip.AddrPort) (int, error) {
	to, family := sockaddr(target)
	fd, err := unix.Socket(family, socketFlags, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	if local.Is4() == target.Addr().Is4() {
		from, _ := sockaddr(netip.AddrPortFrom(local, 0))
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err = unix.Bind(fd, from); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	if err = unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (m *master) dialed(s *session) {
	fd := s.data.dialing
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && n != 0 {
		err = unix.Errno(n)
	}
	if err != nil {
		m.deliver(s, -1, err)
		return
	}
	m.loop.del(fd)
	s.data.dialing = -1
	m.deliver(s, fd, nil)
}

// deliver pushes a data connection, or why there is none, and forgets it.
func (m *master) deliver(s *session, fd int, err error) {
	seq, again, extended, listener := s.data.seq, s.data.again, s.data.extended, s.data.listener
	if err == nil {
		s.data.listener = -1 // closed below: the session waits
	}
	m.dropData(s)
	if err != nil {
		m.trace(traceData, 1, "no data connection", s.c, logging.Error(err))
		m.tell(s, &ipc.Data{Seq: seq, Errno: errno(err)})
		return
	}
	m.count(shm.DataConnections)
	s.connected = m.loop.now
	m.dataMade(s)
	data := ipc.Data{Seq: seq}
	if again {
		s.data.extended, s.data.again = extended, true
		data.Next, data.Until = m.listenAhead(s), m.loop.now+int64(aheadUse)
	}
	m.tell(s, &data, fd)
	m.loop.closeShared(fd)
	m.loop.dropFD(&listener)
}

// expireData bounds how long a listener or a connection attempt may wait.
func (m *master) expireData(s *session, d time.Duration) {
	if d <= 0 {
		return
	}
	s.data.expiry.fn = func() { m.deliver(s, -1, unix.ETIMEDOUT) }
	m.loop.after(&s.data.expiry, d)
}

// dropData closes whatever waits; the sequence number stays.
func (m *master) dropData(s *session) {
	m.loop.timers.stop(&s.data.expiry)
	if s.data.port != 0 {
		delete(m.busy, portKey{s.c.bound.Addr(), s.data.port})
	}
	m.loop.dropFD(&s.data.listener)
	s.data.port = 0
	m.loop.closeFD(&s.data.dialing)
	s.data.target, s.data.ahead, s.data.extended, s.data.again = netip.AddrPort{}, false, false, false
}

func (m *master) closeData(s *session) {
	if s.c != nil {
		m.dropData(s)
	}
}

// errno reduces an error to the number that goes into a message.
func errno(err error) uint32 {
	var e unix.Errno
	if errors.As(err, &e) {
		return uint32(e)
	}
	return uint32(unix.EIO)
}
