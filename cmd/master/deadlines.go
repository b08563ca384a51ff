package main

import (
	"fmt"
	"time"

	"sallyport/internal/logging"
)

// loginTimeout ends a connection that has not logged in in time. Nothing that
// the client does restarts this deadline.
func (m *master) loginTimeout(c *client) {
	text := fmt.Sprintf("Login timeout (%s): closing control connection", seconds(c.set.TimeoutLogin))
	m.log.Info("login timeout", logging.Peer(c.peer.String()), logging.Session(c.id), logging.Kind(logging.SessionTimeout))
	if c.session != nil {
		m.end(c.session, 421, text, "login timeout")
		return
	}
	m.loop.farewell(&c.fd, []byte("421 "+text+"\r\n"))
	m.drop(c)
}

// armIdle starts the watch over a session's silence.
func (m *master) armIdle(s *session) {
	if t := s.c.set.TimeoutIdle; t > 0 {
		m.loop.after(&s.idle, time.Duration(t)*time.Second)
	}
}

// idleCheck ends a session whose client has been silent for TimeoutIdle. The
// silence is the kernel's figure; that a transfer runs is the session's claim,
// which counts as long as its bytes move within TimeoutStalled.
func (m *master) idleCheck(s *session) {
	limit := time.Duration(s.c.set.TimeoutIdle) * time.Second
	ms, ok := silence(s.c.fd)
	if !ok {
		m.loop.after(&s.idle, limit)
		return
	}
	quiet := min(time.Duration(ms)*time.Millisecond, time.Duration(m.loop.now-s.active()))
	if stalled := time.Duration(s.c.set.TimeoutStalled) * time.Second; s.transferring() && (stalled == 0 || quiet < stalled) {
		quiet = 0
	}
	if quiet < limit {
		m.loop.after(&s.idle, max(limit-quiet, 10*time.Millisecond))
		return
	}
	m.log.Info("idle timeout", append(s.facts(), logging.Kind(logging.SessionTimeout))...)
	m.end(s, 421, fmt.Sprintf("Idle timeout (%s): closing control connection", seconds(s.c.set.TimeoutIdle)), "idle timeout")
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
