package ipc

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is one end of a channel. It is used by one goroutine at a time.
//
// A channel that has once ended, or broken its dialogue, stays so: every
// further receive gives the same error.
type Conn struct {
	fd      int
	d       *Dialogue
	me      Role
	state   State
	passes  bool          // the peer may send descriptors
	oob     []byte        // nil where it may not
	broken  error         // why nothing more is received
	timeout time.Duration // of blocking calls, 0: none
	hasty   bool          // a receive blocks briefly, see recvBriefly
	rate    bucket
}

// Message is what arrived. Body is a pointer to the row's struct. The receiver
// owns FDs (close-on-exec).
type Message struct {
	Kind Kind
	Body any
	FDs  []int
}

// Close closes the descriptors that came with the message.
func (m *Message) Close() {
	for _, fd := range m.FDs {
		unix.Close(fd)
	}
	m.FDs = nil
}

// Pair makes a channel: two connected seqpacket sockets, close-on-exec,
// blocking.
func Pair() (a, b int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("ipc: socketpair: %w", err)
	}
	return p[0], p[1], nil
}

// PairOf is Pair for a channel between two processes. An end to which the dialogue
// brings no descriptors takes none, where the kernel can see to that (Linux 6.16):
// what a sender passes all the same is refused to it. Elsewhere it is dropped by the
// receiver, who then waits for whatever the last close of such a file takes.
func PairOf(d *Dialogue, a, b Role) (fdA, fdB int, err error) {
	fdA, fdB, err = Pair()
	if err != nil {
		return -1, -1, err
	}
	for _, end := range [...]struct {
		fd int
		of Role
	}{{fdA, a}, {fdB, b}} {
		if !d.passes(end.of) {
			_ = unix.SetsockoptInt(end.fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0)
		}
	}
	return fdA, fdB, nil
}

// New makes fd the end of a channel that process me holds. The first state of
// every dialogue is its state 1. The Conn owns the descriptor.
func New(fd int, d *Dialogue, me Role) *Conn {
	return &Conn{fd: fd, d: d, me: me, state: 1, passes: d.passes(me)}
}

// FD returns the descriptor, for epoll and poll; -1 once closed.
func (c *Conn) FD() int { return c.fd }

// Close closes the channel. It may be called more than once.
func (c *Conn) Close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
}

// State returns the channel's state, one bit.
func (c *Conn) State() State { return c.state }

// SetState changes the channel's state.
func (c *Conn) SetState(s State) { c.state = s }

// Limit bounds how often the peer may send: burst messages at once, refilled
// evenly over the time per. One more is a ProtocolError. A burst below 1 lifts
// the limit.
func (c *Conn) Limit(burst int, per time.Duration) { c.rate = newBucket(burst, per) }

// SetTimeout bounds each blocking Send and Recv; they fail with ErrTimeout. A
// call that signals interrupt may take up to twice as long. 0 means no bound; a
// negative time has passed already.
func (c *Conn) SetTimeout(d time.Duration) error {
	if d != 0 && d < time.Microsecond {
		d = time.Microsecond // 0 would be no bound; of less than 0 the kernel complains in its log
	}
	tv := unix.NsecToTimeval(d.Nanoseconds())
	err := errors.Join(
		c.setReceiveTimeout(d),
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv))
	if err != nil {
		return fmt.Errorf("ipc %s: set timeout: %w", c.d.Name, err)
	}
	c.timeout = d
	return nil
}

// Errors a caller branches on. The end of a channel is io.EOF.
var (
	ErrTimeout = errors.New("ipc: deadline exceeded")
	ErrAgain   = errors.New("ipc: would block")
)

// Call sends a request and waits for the answer, which must be of type *T.
// One call at a time: the channel is a lane. Where the answer does not come, or
// is another one, the lane is out of step and of no more use: every further
// call fails likewise.
func Call[T any](c *Conn, req any, fds ...int) (*T, []int, error) {
	if c.broken != nil {
		return nil, nil, c.broken
	}
	if err := c.Send(req, fds...); err != nil {
		return nil, nil, err
	}
	return Answer[T](c)
}

// Answer receives the answer to a call that [Conn.Send] has made. Answers come in
// the order of the calls.
func Answer[T any](c *Conn) (*T, []int, error) {
	m, err := c.Recv()
	if err != nil {
		return nil, nil, c.end(err)
	}
	reply, ok := m.Body.(*T)
	if !ok {
		m.Close()
		return nil, nil, c.end(&ProtocolError{c.d.Name, m.Kind, "not the answer that was asked for"})
	}
	return reply, m.FDs, nil
}

// end remembers why nothing more is received.
func (c *Conn) end(err error) error {
	if c.broken == nil {
		c.broken = err
	}
	return err
}

// interrupted tells whether a system call that a signal has interrupted is to
// be made again.
func (c *Conn) interrupted(flags int, since time.Time) bool {
	return c.timeout == 0 || flags&unix.MSG_DONTWAIT != 0 || time.Since(since) < c.timeout
}

// peerGone tells whether an error of a system call means the channel's end.
func peerGone(err error) bool { return err == unix.EPIPE || err == unix.ECONNRESET }
