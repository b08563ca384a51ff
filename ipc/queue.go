package ipc

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Queue sends to a peer that may be slow, without ever blocking: what the
// socket does not take waits, up to a bound. Master and authd keep one a peer
// and call Flush when epoll says the socket is writable. The queue owns the
// descriptors of waiting messages (it duplicates them).
type Queue struct {
	c     *Conn
	max   int
	parts []parked
}

type parked struct {
	b   []byte
	fds []int
}

// ErrQueueFull means that the peer does not read; it is to be ended.
var ErrQueueFull = errors.New("ipc: the peer's queue is full")

// NewQueue returns a queue of at most max waiting messages for c.
func NewQueue(c *Conn, max int) *Queue { return &Queue{c: c, max: max} }

// Send sends now or queues. Descriptors stay the caller's. Errors: as
// [Conn.Send], and ErrQueueFull.
func (q *Queue) Send(body any, fds ...int) error {
	e, err := q.c.encode(body, len(fds))
	if err != nil {
		return err
	}
	defer e.free()
	if len(q.parts) == 0 {
		if err := q.c.sendRaw(unix.MSG_DONTWAIT, e.bytes(), fds); err != ErrAgain {
			return err
		}
	}
	if len(q.parts) >= q.max {
		return ErrQueueFull
	}
	p := parked{b: bytes.Clone(e.bytes())}
	for _, fd := range fds {
		d, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			p.close()
			return fmt.Errorf("ipc %s: queue: %w", q.c.d.Name, err)
		}
		p.fds = append(p.fds, d)
	}
	q.parts = append(q.parts, p)
	return nil
}

// Waiting tells whether Flush has work, that is, whether to ask for EPOLLOUT.
func (q *Queue) Waiting() bool { return len(q.parts) > 0 }

// Flush sends what the socket takes now.
func (q *Queue) Flush() error {
	for len(q.parts) > 0 {
		err := q.c.sendRaw(unix.MSG_DONTWAIT, q.parts[0].b, q.parts[0].fds)
		if err == ErrAgain {
			return nil
		}
		if err != nil {
			return err
		}
		q.parts[0].close()
		q.parts = q.parts[1:]
	}
	q.parts = nil
	return nil
}

// Drop forgets what waits and closes its descriptors.
func (q *Queue) Drop() {
	for _, p := range q.parts {
		p.close()
	}
	q.parts = nil
}

func (p parked) close() {
	clear(p.b) // it may have been a password
	for _, fd := range p.fds {
		unix.Close(fd)
	}
}
