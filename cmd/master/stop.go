package main

import (
	"time"

	"sallyport/internal/logging"
)

// grace is how long transfers may go on after a stop.
func (m *master) grace() time.Duration {
	return time.Duration(m.gen.policy.Global.StopGrace) * time.Second
}

// stop ends the service: nothing more is accepted, silent clients and idle
// sessions are told to go, transfers in hand have grace to finish. A second
// stop ends what is left at once. Sockets that systemd handed down stay open in
// its hands, so that new clients wait there for the next start.
func (m *master) stop(grace time.Duration, why string) {
	if m.stopping {
		m.stopNow()
		return
	}
	m.stopping = true
	m.log.Info("stopping", logging.Kind(logging.Stopping), "reason", why, "grace", grace.String())
	m.notified(m.systemd.n.Stopping(m.statusLine()))
	m.notified(m.systemd.n.Extend(grace + 10*time.Second))
	m.loop.timers.stop(&m.resume)
	for _, l := range m.listeners {
		m.loop.closeFD(&l.fd)
	}
	if m.upgrades.control > 0 { // in nobody's hands: who asked would wait
		m.closeControl()
	}
	for _, c := range m.clients {
		if c.session == nil {
			m.loop.farewell(&c.fd, c.partingWords(replyShutdown))
			m.drop(c)
		}
	}
	m.waiting = nil
	for _, s := range m.pool.spare {
		m.retire(s)
	}
	m.pool.spare = nil
	if grace <= 0 {
		m.stopNow()
	} else {
		m.graceEnd.fn = m.stopNow
		m.loop.after(&m.graceEnd, grace)
		m.sweep.fn = m.sweepIdle
		m.sweepIdle()
	}
	m.drained()
}

// sweepIdle ends the sessions in which no transfer runs, and looks again for
// those that finish.
func (m *master) sweepIdle() {
	for _, s := range m.sessions {
		if !s.transferring() {
			m.end(s, 421, "Service shutting down", "service stops")
		}
	}
	if len(m.sessions) > 0 {
		m.loop.after(&m.sweep, 100*time.Millisecond)
	}
}

// stopPatience is how long a session may take for its last words.
const stopPatience = 500 * time.Millisecond

// stopNow ends every session at once. Until then, or until the last transfer is
// done, an administrator may look and order: to end the rest, say.
func (m *master) stopNow() {
	m.loop.timers.stop(&m.graceEnd)
	m.closeControl()
	for _, s := range m.sessions {
		m.end(s, 421, "Service shutting down", "service stops")
		m.killIn(s.child, stopPatience)
	}
}

// drained is called whenever something has gone. While the service stops, the
// last client's end dismisses authd, and the last process's end ends the loop.
func (m *master) drained() {
	if !m.stopping || len(m.clients) > 0 {
		return
	}
	if !m.dismissed {
		m.dismissed = true
		m.closeControl()
		m.dismiss()
	}
	if len(m.children) == 0 && m.spawning == 0 {
		m.loop.stop()
	}
}

// dismiss tells every authd to go: its channel ends.
func (m *master) dismiss() {
	for _, c := range m.children {
		m.killIn(c, killAfter)
	}
	if a := m.authd.now; a != nil {
		m.hangUp(a)
	}
	for _, a := range m.oldAuthd {
		m.hangUp(a)
	}
	m.loop.timers.stop(&m.authd.restart)
	m.loop.timers.stop(&m.netd.restart)
	m.dismissNetd()
}

// hangUp closes an authd's channel; it leaves at its end.
func (m *master) hangUp(a *authd) {
	m.loop.del(a.conn.FD())
	a.conn.Close()
	m.killIn(a.child, killAfter)
}

// cleanUp removes what the daemon made in run_dir and in shared memory.
func (m *master) cleanUp() {
	m.closeDelays()
	m.closeBans()
	if err := m.board.Remove(); err != nil {
		m.log.Warn("board", logging.Error(err))
	}
	m.who.removeEmpty()
}
