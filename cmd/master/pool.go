package main

import (
	"log/slog"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/ipc"
)

// pool keeps warm sessions: started, sandboxed and waiting for a client. It is
// refilled in parallel, a moment after a hand-over so that the client comes
// first, and grows towards PoolMax while clients have to wait.
type pool struct {
	spare    []*session // started, oldest first
	starting int
	target   int
	refill   timer
	shrink   timer
	failures int   // in a row: started sessions that died unused
	notUntil int64 // loop time before which none is started, after failures
}

const (
	refillDelay = 1500 * time.Microsecond
	shrinkEvery = 10 * time.Second
)

// take returns the oldest spare, or nil.
func (p *pool) take(m *master) *session {
	if len(p.spare) == 0 {
		return nil
	}
	s := p.spare[0]
	p.spare[0] = nil
	p.spare = p.spare[1:]
	p.failures = 0
	if !p.refill.armed() {
		m.loop.after(&p.refill, refillDelay)
	}
	return s
}

// back returns a spare that nobody has used.
func (p *pool) back(s *session) { p.spare = slices.Insert(p.spare, 0, s) }

// starved grows the pool: a client waits.
func (p *pool) starved(m *master) {
	g := &m.gen.policy.Global
	p.target = min(max(2*p.target, 1), max(int(g.PoolMax), 1))
	if !p.shrink.armed() {
		m.loop.after(&p.shrink, shrinkEvery)
	}
	p.fill(m)
}

// relax lets the pool fall back to PoolMin, one at a time; spares beyond it are
// used up by clients, not killed.
func (p *pool) relax(m *master) {
	if p.target > p.least(m) {
		p.target--
		m.loop.after(&p.shrink, shrinkEvery)
	}
}

func (p *pool) least(m *master) int { return max(int(m.gen.policy.Global.PoolMin), 1) }

// fill starts sessions up to the target, as many at a time as there are cores.
func (p *pool) fill(m *master) {
	if m.stopping || m.upgrades.holding {
		return
	}
	p.target = max(p.target, p.least(m))
	if wait := p.notUntil - m.loop.now; wait > 0 {
		m.loop.after(&p.refill, time.Duration(wait))
		return
	}
	want := max(p.target, min(len(m.waiting), max(int(m.gen.policy.Global.PoolMax), 1)))
	for p.starting < runtime.NumCPU() && len(p.spare)+p.starting < want {
		if !p.start(m) {
			return
		}
	}
}

// start starts one session.
func (p *pool) start(m *master) bool {
	page, err := newPage()
	if err != nil {
		p.failed(m, err.Error())
		return false
	}
	lane, theirLane, err := ipc.PairOf(ipc.SessionLane, ipc.Master, ipc.Session)
	if err != nil {
		page.close()
		p.failed(m, err.Error())
		return false
	}
	notice, theirNotice, err := ipc.PairOf(ipc.SessionNotice, ipc.Master, ipc.Session)
	if err != nil {
		closeAll([]int{lane, theirLane})
		page.close()
		p.failed(m, err.Error())
		return false
	}
	fd, err := unix.FcntlInt(uintptr(page.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		closeAll([]int{lane, theirLane, notice, theirNotice})
		page.close()
		p.failed(m, err.Error())
		return false
	}
	p.starting++
	m.trace(tracePool, 5, "starting a session", nil, slog.Int("spare", len(p.spare)), slog.Int("target", p.target))
	gen := m.gen
	m.spawn(launch{name: "session", as: asWorker, files: []int{theirLane, theirNotice, fd}}, func(c *child, err error) {
		p.starting--
		if err != nil {
			closeAll([]int{lane, notice})
			page.close()
			p.failed(m, err.Error())
			return
		}
		s, err := m.newSession(c, lane, notice, page)
		if err != nil {
			m.sever(s, err.Error())
			return
		}
		if m.stopping || gen != m.gen {
			s.ending = true
			m.retire(s)
		} else {
			p.spare = append(p.spare, s)
			m.serveWaiting()
		}
		p.fill(m)
	})
	return true
}

// retire lets a spare go that is not needed any more: it reads the end of its
// channels.
func (m *master) retire(s *session) {
	s.ending = true
	m.loop.del(s.lane.FD())
	s.lane.Close()
	m.loop.del(s.notice.FD())
	s.notice.Close()
	m.killIn(s.child, killAfter)
}

// replace retires all spares and starts new ones, after a reload or upgrade.
func (p *pool) replace(m *master) {
	old := p.spare
	p.spare = nil
	for _, s := range old {
		m.retire(s)
	}
	p.fill(m)
}

// died settles a spare that ended before it got a client.
func (p *pool) died(m *master, s *session, ws unix.WaitStatus) {
	for i, x := range p.spare {
		if x == s {
			p.spare = append(p.spare[:i:i], p.spare[i+1:]...)
			break
		}
	}
	defer m.drained()
	if s.ending && s.reason == "" {
		return
	}
	p.failed(m, "spare session ended: "+exitText(ws))
}

// failed waits before the next attempt, longer each time: a session that
// cannot start must not turn into a loop of starts.
func (p *pool) failed(m *master, why string) {
	p.failures = min(p.failures+1, 10)
	wait := time.Duration(1<<p.failures) * 10 * time.Millisecond
	p.notUntil = m.loop.now + int64(wait)
	m.log.Error("session could not be started", logging.Kind(logging.WorkerDied), "reason", why, "retry", wait.String())
	m.loop.after(&p.refill, wait)
}
