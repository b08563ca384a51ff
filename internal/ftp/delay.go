package ftp

import (
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/delay"
)

// hold keeps the reply to USER back where delay.on_event USER says so: for every
// name alike, since no name has been looked at. What the client sends meanwhile
// waits. It is false where the client left.
func (s *Session) hold() bool {
	d := s.view.Hold
	if d.Max <= 0 {
		return true
	}
	s.flush()
	end := time.Now().Add(time.Duration(d.Min) + delay.Chance(time.Duration(d.Max-d.Min)))
	watch := int16(unix.POLLRDHUP)
	for !s.over() {
		rest := time.Until(end)
		if rest <= 0 {
			return true
		}
		w := s.await(watch, -1, 0, rest)
		if w&wakeHangup != 0 || s.left(w) {
			s.leave("client hung up")
			return false
		}
		if w&wakeGone != 0 {
			watch = 0
		}
	}
	return false
}

// left tells whether the client hung up while it is to wait: it sends no more,
// and no command of it waits. Its place is free at once.
func (s *Session) left(w wake) bool {
	return w&wakeGone != 0 && w&wakeOther == 0 && !s.in.waits()
}
