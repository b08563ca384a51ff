package ftp

import (
	"io"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// conn is one end of a TCP connection as the protocol uses it, never blocking:
// Read and Write fail with unix.EAGAIN where they would, and the caller polls
// fd. A connection under TLS is another conn.
type conn interface {
	io.Reader // io.EOF at the end of the stream
	io.Writer // may take a part; n is right also with an error
	fd() int
	// shut ends the stream towards the client: what was written still arrives.
	shut()
	// close closes. reset drops what was written and has not arrived, and tells
	// the client by a RST that this is no ordinary end.
	close(reset bool)
}

// sock is a plain connection. It comes non-blocking from master, which is what
// sendfile needs to know.
type sock int

func (c sock) fd() int { return int(c) }

func (c sock) Read(b []byte) (int, error) {
	for {
		n, err := ipc.Receive(int(c), b, unix.MSG_DONTWAIT)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func (c sock) Write(b []byte) (int, error) {
	for {
		n, err := ipc.Transmit(int(c), b, 0)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0), err
	}
}

// hasten makes soon possible; all other calls say themselves that they do not
// wait.
func (c sock) hasten() bool {
	ok, err := ipc.Hasten(int(c))
	return ok && err == nil && unix.IoctlSetPointerInt(int(c), fionbio, 0) == nil
}

// soon is Read that waits for two milliseconds.
func (c sock) soon(b []byte) (int, error) {
	n, err := ipc.Receive(int(c), b, 0)
	switch {
	case err == unix.EINTR:
		return 0, unix.EAGAIN
	case err != nil:
		return 0, err
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// prompt has what the client sends next acknowledged at once, not 40 ms later: one
// that has written in small pieces, with Nagle's algorithm on, holds back the
// second until the first is acknowledged, and nothing is going to be sent here
// that would carry the acknowledgement.
func (c sock) prompt() { _ = unix.SetsockoptInt(int(c), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) }

func (c sock) shut() { _ = unix.Shutdown(int(c), unix.SHUT_WR) }

func (c sock) close(reset bool) {
	if reset {
		_ = unix.SetsockoptLinger(int(c), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	} else {
		c.drain()
	}
	_ = unix.Close(int(c))
}

// drain takes what the client sent unasked: the kernel answers a close with
// unread bytes by a RST, which would cut the tail of what we sent.
func (c sock) drain() {
	var b [512]byte
	for range 16 {
		if n, err := ipc.Receive(int(c), b[:], unix.MSG_DONTWAIT); n <= 0 && err != unix.EINTR {
			return
		}
	}
}

const (
	pollIn  = unix.POLLIN
	fionbio = 0x5421 // FIONBIO of ioctl_tty(2): the sandbox has no F_SETFL
)

func closeFDs(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}
