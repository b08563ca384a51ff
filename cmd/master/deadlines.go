package main

import (
	"fmt"
	"time"

	"sallyport/internal/ban"
	"sallyport/internal/logging"
	"sallyport/ipc"
)

// loginTimeout ends a connection that has not logged in in time. Nothing that
// the client does restarts this deadline.
func (m *master) loginTimeout(c *client) {
	text := fmt.Sprintf("Login timeout (%s): closing control connection", seconds(c.patience))
	m.log.Info("Login timeout exceeded, disconnected", logging.Peer(c.peer.String()), logging.Session(c.id), logging.Kind(logging.SessionTimeout))
	to, a := c.seat(), c.origin()
	if c.session != nil {
		m.end(c.session, 421, text, "login timeout")
	} else {
		m.loop.farewell(&c.fd, c.partingWords("421 "+text+"\r\n"))
		m.drop(c)
	}
	m.event("TimeoutLogin", ban.ByMaster, &to, a, "", c)
}

// armIdle starts the watch over a session's silence.
func (m *master) armIdle(s *session) {
	if t := s.c.set.TimeoutIdle; t > 0 {
		m.loop.after(&s.idle, time.Duration(t)*time.Second)
	} else {
		m.loop.timers.stop(&s.idle)
	}
}

// armOpen starts the timers of a session that is logged in.
func (m *master) armOpen(s *session) {
	m.armIdle(s)
	second := int64(time.Second)
	if t := s.c.set.TimeoutNoTransfer; t > 0 {
		m.loop.timers.set(&s.quiet, max(s.since+int64(t)*second, m.loop.now))
	}
	if s.lifetime > 0 {
		m.loop.timers.set(&s.life, max(s.since+int64(s.lifetime)*second, m.loop.now))
	}
}

// noTransferCheck ends a session that has transferred nothing for
// TimeoutNoTransfer since its login or the end of its last transfer; listings
// count. When a data connection came is master's own knowledge, when the
// transfer over it ended is the session's claim.
func (m *master) noTransferCheck(s *session) {
	limit := int64(s.c.set.TimeoutNoTransfer) * int64(time.Second)
	last := max(s.since, s.connected)
	if v, _ := s.page.Snapshot(); s.connected > 0 {
		last = max(last, v.Ended)
	}
	if s.data.waits() || s.moves(time.Duration(m.loop.now-s.active())) {
		last = m.loop.now
	}
	if left := last + limit - m.loop.now; left > 0 {
		m.loop.after(&s.quiet, max(time.Duration(left), 10*time.Millisecond))
		return
	}
	m.log.Info("FTP no transfer timeout, disconnected", append(s.facts(), logging.Kind(logging.SessionTimeout))...)
	if m.timedOut(s, "TimeoutNoTransfer") {
		return
	}
	m.end(s, 421, fmt.Sprintf("No transfer timeout (%s): closing control connection", seconds(s.c.set.TimeoutNoTransfer)), "no transfer timeout")
}

// sessionTimeout ends a session whose time is up, whatever it does.
func (m *master) sessionTimeout(s *session) {
	m.log.Info("FTP session timed out, disconnected", append(s.facts(), logging.Kind(logging.SessionTimeout))...)
	if m.timedOut(s, "TimeoutSession") {
		return
	}
	m.end(s, 421, fmt.Sprintf("Session Timeout (%s): closing control connection", seconds(s.lifetime)), "session timeout")
}

// moves tells whether a transfer runs whose bytes have moved within
// TimeoutStalled; quiet is how long nothing has.
func (s *session) moves(quiet time.Duration) bool {
	stalled := time.Duration(s.c.set.TimeoutStalled) * time.Second
	return s.transferring() && (stalled == 0 || quiet < stalled)
}

// idleCheck ends a session whose client has commanded nothing for TimeoutIdle:
// bytes that complete no line do not count. That it has, and that a transfer
// runs, is the session's claim; the latter counts as long as its bytes move
// within TimeoutStalled.
func (m *master) idleCheck(s *session) {
	limit := time.Duration(s.c.set.TimeoutIdle) * time.Second
	quiet := time.Duration(m.loop.now - s.active())
	if s.moves(quiet) {
		quiet = 0
	}
	if quiet < limit {
		m.loop.after(&s.idle, max(limit-quiet, 10*time.Millisecond))
		return
	}
	m.log.Info("Client session idle timeout, disconnected", append(s.facts(), logging.Kind(logging.SessionTimeout))...)
	if m.timedOut(s, "TimeoutIdle") {
		return
	}
	m.end(s, 421, idleText(s.c), "idle timeout")
}

func idleText(c *client) string {
	return fmt.Sprintf("Idle timeout (%s): closing control connection", seconds(c.set.TimeoutIdle))
}

// silentTimeout ends a client that was greeted and has said nothing at all for
// TimeoutIdle. As for sessions, who is banned for it hears of the ban instead.
func (m *master) silentTimeout(c *client) {
	m.log.Info("Client session idle timeout, disconnected", logging.Peer(c.peer.String()), logging.Session(c.id), logging.Kind(logging.SessionTimeout))
	reply := "421 " + idleText(c) + "\r\n"
	to := c.seat()
	if text, banned := m.event("TimeoutIdle", ban.ByMaster, &to, c.origin(), "", c); banned && text != "" {
		reply = banReply(text)
	}
	m.loop.farewell(&c.fd, c.partingWords(reply))
	m.drop(c)
}

// unshaken ends a client of implicit TLS that has not begun its handshake in the
// time that one may take.
func (m *master) unshaken(c *client) {
	m.log.Warn("client event", logging.Peer(c.peer.String()), logging.Session(c.id),
		logging.Kind(logging.Event("client."+ipc.EventTLSFailed)), "detail", "TLS handshake timed out")
	to := c.seat()
	m.event(ipc.EventTLSFailed, ban.ByMaster, &to, c.origin(), "", c)
	m.drop(c)
}

// active returns the loop time at which the session last did something, by its
// own word: it moved data or carried out a command.
func (s *session) active() int64 {
	at, _ := s.page.Activity()
	return max(at, s.c.accepted)
}

func seconds(n uint32) string {
	if n == 1 {
		return "1 second"
	}
	return fmt.Sprintf("%d seconds", n)
}
