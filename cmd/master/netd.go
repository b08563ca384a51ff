package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/control"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/ipc/blob"
	"sallyport/shm"
)

// netd is the process that looks names up and serves the stores of shared bans.
// There is one only where the configuration has either.
type netd struct {
	*child
	conn *ipc.Conn
	q    *ipc.Queue
	ping timer
	pong bool

	asked map[string]bool // every name that it was ever told
	ports []uint16        // that its sandbox lets it call, those of its first view
	bulk  []func() any    // see netdBulk
}

// netdSupervisor keeps netd running and what it has found. Answers outlive the
// process, and a look-up that fails: the last good one stays.
type netdSupervisor struct {
	now      *netd // nil: none wanted, down, or being started
	starting bool
	restarts int
	names    []string // of the configuration in force
	share    []policy.BanShare
	answers  map[string][]netip.Addr
	wait     time.Duration
	restart  timer
	since    int64
	errors   []string
	secrets  []string // passwords of stores that cannot be had
}

// netdQueue bounds what waits for netd, which reads at once whatever it is doing:
// a burst of bans, and not a list of them (netdBulk).
const netdQueue = 4096

// wanted tells whether there is to be a netd.
func (s *netdSupervisor) wanted() bool { return len(s.names) > 0 || len(s.share) > 0 }

// netdView is netd's view of a configuration: the names that passive.address
// has, each once, and the stores, without their passwords: see netdSecrets.
func netdView(p *policy.Policy) policy.Netd {
	v := policy.Netd{Sandbox: p.Global.Sandbox}
	if p.Ban.Engine {
		v.Share = slices.Clone(p.Ban.Share)
	}
	eachSettings(p, func(s *policy.Settings) {
		if isName(s.Passive.Address) {
			v.Names = append(v.Names, s.Passive.Address)
		}
	})
	slices.Sort(v.Names)
	v.Names = slices.Compact(v.Names)
	return v
}

// isName tells whether an address of the configuration has to be looked up.
func isName(s string) bool {
	if s == "" || s == "local" {
		return false
	}
	_, err := netip.ParseAddr(s)
	return err != nil
}

// resolved is what a name of the configuration resolves to: an IPv4 address or
// an IPv6 one, the lowest of several. False: nothing is known.
func (m *master) resolved(name string, want4 bool) (netip.Addr, bool) {
	for _, a := range m.netd.answers[name] {
		if a.Is4() == want4 {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// configureNetd puts the names and stores of a configuration in force: netd is
// told, or started, or let go. Where it may not call a store's port it gives way
// to another one: a sandbox does not widen.
func (m *master) configureNetd(p *policy.Policy) {
	s := &m.netd
	v := netdView(p)
	s.names, s.share = v.Names, v.Share
	for n := range s.answers {
		if !slices.Contains(s.names, n) {
			delete(s.answers, n)
		}
	}
	s.errors = nil
	switch {
	case !s.wanted():
		m.loop.timers.stop(&s.restart)
		if s.now != nil {
			m.dismissNetd()
		}
	case s.now != nil && covers(s.now.ports, v.Ports()):
		m.sendNetdView(s.now)
	default:
		m.dismissNetd()
		s.wait = 0
		m.startNetd()
	}
}

// startNetd starts it, unless there is one or nobody wants it.
func (m *master) startNetd() {
	s := &m.netd
	if s.now != nil || s.starting || m.stopping || !s.wanted() {
		return
	}
	ours, theirs, err := ipc.PairOf(ipc.MasterNetd, ipc.Master, ipc.Netd)
	if err != nil {
		m.netdFailed(err.Error())
		return
	}
	s.starting = true
	s.since = m.loop.now
	m.spawn(launch{name: "netd", as: asNetd, files: []int{theirs}}, func(c *child, err error) {
		s.starting = false
		if err != nil {
			unix.Close(ours)
			m.netdFailed(err.Error())
			return
		}
		m.adoptNetd(&netd{child: c}, ours)
	})
}

func (m *master) adoptNetd(n *netd, fd int) {
	n.conn = ipc.New(fd, ipc.MasterNetd, ipc.Master)
	n.conn.Limit(netdBurst(m.netd.share), 10*time.Second)
	n.q = ipc.NewQueue(n.conn, netdQueue)
	n.pong, n.asked = true, map[string]bool{}
	n.ping.fn = func() { m.pingNetd(n) }
	m.netd.now = n
	err := errors.Join(
		m.loop.add(fd, unix.EPOLLIN, func(ev uint32) { m.netdReady(n, ev) }),
		m.supervise(n.child, func(ws unix.WaitStatus) { m.netdGone(n, ws) }))
	if err != nil {
		n.signal(unix.SIGKILL)
		return
	}
	if m.stopping || !m.netd.wanted() { // not wanted any more
		m.dismissNetd()
		return
	}
	m.loop.after(&n.ping, pingEvery)
	m.sendNetdView(n)
	m.log.Info("netd started", logging.Kind(logging.WorkerStarted), "pid", n.pid)
}

// netdNames bounds what one netd may report at a time; it looks up as many.
const netdNames = 256

func (m *master) sendNetdView(n *netd) {
	v := netdView(m.gen.policy)
	if n.ports == nil {
		n.ports = append([]uint16{}, v.Ports()...)
	}
	n.conn.Limit(netdBurst(v.Share), 10*time.Second)
	m.netdSecrets(&v)
	for _, name := range v.Names {
		n.asked[name] = true
	}
	fd, err := blob.Seal("netd", &v)
	if err != nil {
		m.log.Error("netd's view", logging.Error(err))
		return
	}
	m.sendNetd(n, &ipc.NetdConfig{Generation: m.gen.number}, fd)
	unix.Close(fd)
}

// sendNetd sends or queues. A netd that does not read is ended.
func (m *master) sendNetd(n *netd, body any, fds ...int) {
	if n.exited || n.conn.FD() < 0 {
		return
	}
	if err := n.q.Send(body, fds...); err != nil {
		m.log.Error("netd does not answer, killed", "pid", n.pid, "error", err.Error())
		n.signal(unix.SIGKILL)
		return
	}
	m.loop.mod(n.conn.FD(), n.events())
}

func (m *master) netdReady(n *netd, ev uint32) {
	if ev&unix.EPOLLOUT != 0 {
		if err := n.q.Flush(); err != nil {
			n.signal(unix.SIGKILL)
		}
		m.pumpNetd(n)
	}
	for range 16 {
		msg, err := n.conn.TryRecv()
		switch {
		case err == ipc.ErrAgain:
			return
		case err == io.EOF:
			m.loop.del(n.conn.FD())
			m.killIn(n.child, killAfter)
			return
		case err != nil:
			m.netdViolation(n, err.Error())
			return
		}
		switch q := msg.Body.(type) {
		case *ipc.NetdReady:
			m.netd.errors = q.Errors
			for _, e := range q.Errors {
				m.log.Warn("netd", "error", e)
			}
		case *ipc.Resolved:
			if why := m.nameResolved(n, q); why != "" {
				m.netdViolation(n, why)
				return
			}
		case *ipc.NetdPong:
			n.pong = true
		case *ipc.BanFound:
			m.banFound(q)
		case *ipc.BanGone:
			m.banGone(q)
		case *ipc.StoreState:
			m.storeState(q)
		case *ipc.EventCounted:
			m.eventCounted(q)
		}
	}
}

// netdViolation ends a netd that says what it may not. What it said before
// stays, as far as it was asked for.
func (m *master) netdViolation(n *netd, what string) {
	m.count(shm.ProtocolViolations)
	m.log.Error("netd broke the protocol, killed", logging.Kind(logging.ProtocolViolation), "pid", n.pid, "error", what)
	m.loop.del(n.conn.FD())
	n.signal(unix.SIGKILL)
}

// nameResolved takes an answer. It returns why it is none that netd may give.
// An answer to a name that a reload has just taken away is late, not wrong.
func (m *master) nameResolved(n *netd, q *ipc.Resolved) string {
	switch {
	case !n.asked[q.Name]:
		return "an answer to a name that nobody asked for"
	case !slices.Contains(m.netd.names, q.Name):
		return ""
	}
	list := make([]netip.Addr, 0, len(q.Addresses))
	for _, text := range q.Addresses {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() {
			return "an address that is none"
		}
		list = append(list, a)
	}
	had := m.netd.answers[q.Name]
	if len(list) == 0 {
		m.log.Warn("name does not resolve", "name", q.Name, "error", q.Error, "kept", addressText(had))
		return ""
	}
	slices.SortFunc(list, netip.Addr.Compare)
	if slices.Equal(had, list) {
		return ""
	}
	if m.netd.answers == nil {
		m.netd.answers = map[string][]netip.Addr{}
	}
	m.netd.answers[q.Name] = list
	m.log.Log(background, logging.LevelNotice, "name resolved", "name", q.Name, "addresses", addressText(list), "before", addressText(had))
	return ""
}

func addressText(list []netip.Addr) string {
	var l []string
	for _, a := range list {
		l = append(l, a.String())
	}
	return strings.Join(l, " ")
}

func (m *master) pingNetd(n *netd) {
	if n.exited {
		return
	}
	if !n.pong {
		m.log.Error("netd does not answer, killed", "pid", n.pid)
		n.signal(unix.SIGKILL)
		return
	}
	n.pong = false
	m.sendNetd(n, &ipc.NetdPing{})
	m.loop.after(&n.ping, pingEvery)
}

func (m *master) netdGone(n *netd, ws unix.WaitStatus) {
	m.loop.timers.stop(&n.ping)
	m.loop.del(n.conn.FD())
	n.q.Drop()
	n.conn.Close()
	if n == m.netd.now {
		m.netd.now = nil
		m.netdFailed(exitText(ws))
	}
	m.drained()
}

// netdFailed starts it again, later each time. Meanwhile the last answers hold.
func (m *master) netdFailed(why string) {
	s := &m.netd
	if m.stopping || !s.wanted() {
		return
	}
	if s.wait == 0 || m.loop.now-s.since > int64(restartProven) {
		s.wait = restartFirst
	}
	s.restarts++
	m.log.Error("netd ended, starting it again", logging.Kind(logging.WorkerDied), slog.String("reason", why), slog.String("in", s.wait.String()))
	m.loop.after(&s.restart, s.wait)
	s.wait = min(2*s.wait, restartLast)
}

// dismissNetd lets netd go: it reads the end of its channel.
func (m *master) dismissNetd() {
	n := m.netd.now
	if n == nil {
		return
	}
	m.netd.now = nil
	m.loop.timers.stop(&n.ping)
	m.loop.del(n.conn.FD())
	n.conn.Close()
	m.killIn(n.child, killAfter)
}

// netdStatus is netd's line in the status, where there is to be one.
func (m *master) netdStatus() (w control.WorkerStatus, ok bool) {
	s := &m.netd
	w = control.WorkerStatus{Role: "netd", State: "restarting", Restarts: s.restarts}
	if s.now != nil {
		w.PID, w.Since, w.State = s.now.pid, m.wall(s.since), "up"
	}
	return w, s.wanted()
}

// netdReasons says what an administrator should know of names.
func (m *master) netdReasons() []string {
	why := slices.Concat(m.netd.errors, m.netd.secrets)
	for _, n := range m.netd.names {
		if len(m.netd.answers[n]) == 0 {
			why = append(why, fmt.Sprintf("%q does not resolve yet: clients are shown the address they called", n))
		}
	}
	return why
}
