package ftp

import (
	"io"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// wake tells what await has seen.
type wake uint8

const (
	wakeControl  wake = 1 << iota // the control connection has bytes, or its end
	wakeWritable                  // it takes bytes
	wakeHangup                    // it is closed in both directions, or broken
	wakeOther                     // the other descriptor
	wakeNotice                    // master has told something, which is dealt with
	wakeGone                      // the client sends no more; where POLLRDHUP was asked for
)

// forever makes await wait without an end.
const forever time.Duration = -1

// await sleeps until the control connection is ready for events, another
// descriptor (-1: none) for its events, master has told something, or timeout
// has passed (0 only looks). A notice has been dealt with when await returns.
func (s *Session) await(events int16, other int, otherEvents int16, timeout time.Duration) wake {
	p := s.poll[:]
	p[0] = unix.PollFd{Fd: int32(s.ctl.fd()), Events: events}
	p[1] = unix.PollFd{Fd: int32(s.notice.FD()), Events: unix.POLLIN}
	p[2] = unix.PollFd{Fd: int32(other), Events: otherEvents}
	more := s.readable(events)
	if more {
		timeout = 0
	}
	if err := s.sleep(p, timeout); err != nil {
		s.leave("poll: " + err.Error())
		return 0
	}
	var w wake
	if more {
		w = wakeControl
	}
	if p[0].Revents&(unix.POLLIN|unix.POLLPRI) != 0 {
		w |= wakeControl
	}
	if p[0].Revents&unix.POLLOUT != 0 {
		w |= wakeWritable
	}
	if p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
		w |= wakeHangup
	}
	if p[0].Revents&unix.POLLRDHUP != 0 {
		w |= wakeGone
	}
	if p[2].Revents != 0 {
		w |= wakeOther
	}
	s.listened = time.Now()
	if p[1].Revents != 0 {
		w |= wakeNotice
		s.notices()
	}
	return w
}

// Bounds of soon: how many commands make a client one that is worth it, and for
// how long master is not heard meanwhile.
const (
	soonAfter = 8
	deafFor   = 50 * time.Millisecond
)

// soon waits for the next command of a client that sends one after the other,
// two milliseconds at most: one system call where await and a read are two, and
// no wake-up for a data connection that the next command will look for. It
// tells whether anything came.
func (s *Session) soon() bool {
	if s.turns++; s.turns < soonAfter || s.user == "" {
		return false
	}
	c, plain := s.ctl.(sock)
	if !plain || time.Since(s.listened) > deafFor || s.eof {
		return false
	}
	if s.turns == soonAfter {
		s.hasty = c.hasten()
	}
	return s.hasty && s.takeControl(func(b []byte) (int, error) { return c.soon(b) })
}

// sleep is ppoll that a signal of the runtime does not interrupt.
func (s *Session) sleep(p []unix.PollFd, timeout time.Duration) error {
	var end time.Time
	if timeout > 0 {
		end = time.Now().Add(timeout)
	}
	for {
		var ts *unix.Timespec
		if timeout >= 0 {
			s.ts = unix.NsecToTimespec(int64(timeout))
			ts = &s.ts
		}
		err := ipc.Poll(p, ts)
		if err != unix.EINTR {
			return err
		}
		if timeout > 0 {
			timeout = max(time.Until(end), 0)
		}
	}
}

// notices takes what master has told.
func (s *Session) notices() { s.hear(s.notice.TryRecv) }

// hear takes notices as far as a data connection; what is behind that waits for the
// next look.
func (s *Session) hear(receive func() (ipc.Message, error)) {
	s.listened = time.Now()
	for !s.over() {
		m, err := receive()
		switch {
		case err == ipc.ErrAgain:
			return
		case err == io.EOF:
			s.leave("master is gone")
			return
		case err != nil:
			s.leave(err.Error())
			return
		}
		switch b := m.Body.(type) {
		case *ipc.Data:
			s.dataArrived(b, m.FDs)
			return
		case *ipc.NewAuth:
			s.setAuth(ipc.New(m.FDs[0], ipc.SessionAuthd, ipc.Session))
		case *ipc.End:
			if s.asking {
				s.parting = b
				return
			}
			s.toldToLeave(b)
		default:
			m.Close()
		}
	}
}

// toldToLeave says master's last word. A transfer in hand is lost.
func (s *Session) toldToLeave(e *ipc.End) {
	if s.xfer.open && !s.xfer.alone && e.Code != 0 {
		s.reply(426, textAborted)
	}
	if e.Code != 0 {
		s.reply(int(e.Code), e.Text)
	}
	s.leave("ended by master")
}

// flush sends the replies that wait, however long the client takes to read
// them; master's deadlines and a hang-up end the wait.
func (s *Session) flush() {
	for len(s.out) > 0 && !s.over() {
		if s.tryFlush(); len(s.out) > 0 && !s.over() {
			if s.await(unix.POLLOUT, -1, 0, forever)&wakeHangup != 0 {
				s.leave("control connection broken")
			}
		}
	}
}

// tryFlush sends what the client takes without waiting.
func (s *Session) tryFlush() {
	sent := 0
	for sent < len(s.out) {
		n, err := s.ctl.Write(s.out[sent:])
		sent += n
		if err != nil {
			if err != unix.EAGAIN {
				s.out = s.out[:0]
				s.leave("write to client: " + err.Error())
				return
			}
			break
		}
	}
	s.out = s.out[:copy(s.out, s.out[sent:])]
}

// outMax bounds the replies that wait; more are sent before anything goes on.
const outMax = 8 << 10

func (s *Session) spill() {
	if len(s.out) >= outMax {
		s.flush()
	}
}

// lastWords tries to get the last replies out: master waits two seconds before
// it kills, a client that does not read gets half of one.
func (s *Session) lastWords() {
	end := time.Now().Add(500 * time.Millisecond)
	p := []unix.PollFd{{Fd: int32(s.ctl.fd()), Events: unix.POLLOUT}}
	for len(s.out) > 0 {
		s.tryFlush()
		left := time.Until(end)
		if len(s.out) == 0 || left <= 0 {
			return
		}
		if err := s.sleep(p, left); err != nil || p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 {
			return
		}
	}
}
