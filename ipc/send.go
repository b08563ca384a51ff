package ipc

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// Send sends one message, with descriptors that stay the caller's. It blocks
// until the peer has room. A message that is not this end's to send, or has the
// wrong number of descriptors, is a *ProtocolError and is not sent.
func (c *Conn) Send(body any, fds ...int) error { return c.send(0, body, fds) }

// TrySend is Send that returns ErrAgain where Send would block.
func (c *Conn) TrySend(body any, fds ...int) error {
	return c.send(unix.MSG_DONTWAIT, body, fds)
}

func (c *Conn) send(flags int, body any, fds []int) error {
	e, err := c.encode(body, len(fds))
	if err != nil {
		return err
	}
	defer e.free()
	return c.sendRaw(flags, e.bytes(), fds)
}

// encode makes the datagram of a message that this end may send with n
// descriptors. The caller frees the encoder that holds it.
func (c *Conn) encode(body any, n int) (*encoder, error) {
	r, e, err := c.d.encode(body)
	switch {
	case err != nil:
		return nil, err
	case r.From != c.me:
		err = &ProtocolError{c.d.Name, r.Kind, "to send: not " + c.me.String() + "'s"}
	case !r.takes(n):
		err = &ProtocolError{c.d.Name, r.Kind, fmt.Sprintf("to send: %d descriptors, %d belong to it", n, r.FDs)}
	}
	if err != nil {
		e.free()
		return nil, err
	}
	return e, nil
}

// takes tells whether n descriptors belong to the message.
func (r *Row) takes(n int) bool { return n == r.FDs || n == 0 && r.MayFD }

func (c *Conn) sendRaw(flags int, b []byte, fds []int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	var start time.Time
	if c.timeout > 0 {
		start = time.Now()
	}
	first := alone // nearly always there is room
	for {
		var err error
		if first {
			first = false
			if err = rawSend(c.fd, b, oob, flags|unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT); err == unix.EAGAIN && flags&unix.MSG_DONTWAIT == 0 {
				continue
			}
		} else if len(oob) == 0 {
			_, err = sendTo(c.fd, b, flags|unix.MSG_NOSIGNAL)
		} else {
			_, err = unix.SendmsgN(c.fd, b, oob, nil, flags|unix.MSG_NOSIGNAL)
		}
		switch {
		case err == nil:
			return nil
		case err == unix.EINTR && c.interrupted(flags, start):
			continue
		case err == unix.EAGAIN && flags&unix.MSG_DONTWAIT != 0:
			return ErrAgain
		case err == unix.EAGAIN || err == unix.EINTR:
			return ErrTimeout
		case peerGone(err):
			return io.EOF
		default:
			return fmt.Errorf("ipc %s: send: %w", c.d.Name, err)
		}
	}
}
