package ftp

import (
	"time"

	"sallyport/ipc"
)

// pace counts what goes to master within the current second.
type pace struct {
	since time.Time
	n     int
}

// take counts one more and returns how many there were within this second.
func (p *pace) take() int {
	if now := time.Now(); now.Sub(p.since) >= time.Second {
		p.since, p.n = now, 0
	}
	p.n++
	return p.n
}

// Master ends a session that sends too much; a client that drives us faster
// than that is slowed down, and its events beyond a handful are not new.
const (
	maxCalls  = 4000 // a second; less than half of what master allows
	maxEvents = 16
)

// call asks master. Where the channel fails the session is over and ok false.
func call[T any](s *Session, req any) (reply *T, fds []int, ok bool) {
	if s.calls.take() > maxCalls {
		left := time.Second - time.Since(s.calls.since)
		s.flush()
		for end := time.Now().Add(left); left > 0 && !s.over(); left = time.Until(end) {
			s.await(0, -1, 0, left)
		}
	}
	switch req.(type) {
	case ipc.Passive, ipc.Active, ipc.CloseData: // master closes it
		s.ahead.here, s.ahead.passive = nil, false
	}
	reply, fds, err := ipc.Call[T](s.lane, req)
	if err != nil {
		s.broken("master", err)
		return nil, nil, false
	}
	return reply, fds, true
}

// event reports something odd that the client did. It has no answer.
func (s *Session) event(name, detail string) {
	if s.odd.take() > maxEvents {
		return
	}
	if err := s.lane.Send(&ipc.Report{Event: name, Detail: clip(detail, 256)}); err != nil {
		s.broken("master", err)
	}
}
