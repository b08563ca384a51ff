package ipc

import (
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Recv waits for the next message. Errors: io.EOF, ErrTimeout, *ProtocolError
// (end the peer), or that of the system call.
func (c *Conn) Recv() (Message, error) { return c.recv(0) }

// RecvSoon is Recv that returns ErrAgain after two milliseconds, in a program of
// one goroutine; in others it is TryRecv. The caller waits for more than this
// channel then.
func (c *Conn) RecvSoon() (Message, error) {
	if !alone {
		return c.TryRecv()
	}
	return c.recv(recvSoon)
}

// recvSoon is a flag of recv's own, none of recvmsg's.
const recvSoon = -1

// TryRecv is Recv that returns ErrAgain where Recv would block.
func (c *Conn) TryRecv() (Message, error) { return c.recv(unix.MSG_DONTWAIT) }

func (c *Conn) recv(flags int) (Message, error) {
	if c.broken != nil {
		return Message{}, c.broken
	}
	if c.oob == nil && c.passes { // no control buffer where no descriptors are expected
		c.oob = make([]byte, unix.CmsgSpace(MaxFDs*4))
	}
	buf := buffers.Get().(*[MaxMessage]byte)
	n, oobn, got, err := c.recvmsg(flags, buf[:])
	defer func() {
		clear(buf[:max(n, 0)]) // it may have been a password
		buffers.Put(buf)
	}()
	switch {
	case (err == unix.EAGAIN || err == unix.EINTR) && flags == recvSoon, err == unix.EAGAIN && flags&unix.MSG_DONTWAIT != 0:
		return Message{}, ErrAgain
	case err == unix.EAGAIN || err == unix.EINTR:
		return Message{}, ErrTimeout
	case err != nil && !peerGone(err):
		return Message{}, fmt.Errorf("ipc %s: receive: %w", c.d.Name, err)
	}
	m := Message{FDs: rights(c.oob[:max(oobn, 0)])}
	if err != nil || n == 0 { // a zero-length message reads like an end and is one
		m.Close()
		return Message{}, c.end(io.EOF)
	}
	if err := c.accept(&m, buf[:n], got); err != nil {
		m.Close()
		return Message{}, c.end(err)
	}
	return m, nil
}

func (c *Conn) recvmsg(flags int, b []byte) (n, oobn, got int, err error) {
	var start time.Time
	if c.timeout > 0 {
		start = time.Now()
	}
	if flags == recvSoon {
		return c.recvBriefly(b)
	}
	if alone && flags&unix.MSG_DONTWAIT == 0 {
		return c.recvLong(b, start)
	}
	for {
		n, oobn, got, _, err = unix.Recvmsg(c.fd, b, c.oob, flags|unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR || !c.interrupted(flags, start) {
			return n, oobn, got, err
		}
	}
}

// accept checks a datagram against the table, and only what the table allows
// here and now is decoded.
func (c *Conn) accept(m *Message, b []byte, got int) error {
	switch {
	case got&unix.MSG_TRUNC != 0:
		return &ProtocolError{c.d.Name, 0, "longer than 64 KiB"}
	case got&unix.MSG_CTRUNC != 0:
		return &ProtocolError{c.d.Name, 0, "descriptors cut off: too many, where none belong, or none left here"}
	case !c.rate.take():
		return &ProtocolError{c.d.Name, 0, "too many messages"}
	}
	r, body, err := c.d.head(b)
	switch {
	case err != nil:
		return err
	case r.From == c.me:
		return &ProtocolError{c.d.Name, r.Kind, "not the peer's to send"}
	case r.In&c.state == 0:
		return &ProtocolError{c.d.Name, r.Kind, "out of state"}
	case !r.takes(len(m.FDs)):
		return &ProtocolError{c.d.Name, r.Kind, fmt.Sprintf("%d descriptors, %d belong to it", len(m.FDs), r.FDs)}
	}
	m.Kind = r.Kind
	m.Body, err = c.d.decode(r, body)
	return err
}

// buffers holds receive buffers: decoding copies, so one serves many channels.
var buffers = sync.Pool{New: func() any { return new([MaxMessage]byte) }}

// rights takes every descriptor out of the control data.
func rights(oob []byte) []int {
	if len(oob) == 0 {
		return nil
	}
	var fds []int
	msgs, _ := unix.ParseSocketControlMessage(oob)
	for i := range msgs {
		if got, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}
