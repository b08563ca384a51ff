package ftp

import (
	"crypto/tls"
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// tlsConn is a connection under TLS, with the manners of a conn: it never
// blocks, and what Write says it has taken is with the kernel.
type tlsConn struct {
	t      *tls.Conn
	w      *wire
	owed   int  // plain bytes that are sealed in w.out and not yet reported
	more   bool // there may be something to read that no poll of the socket shows
	strict bool // an end without close_notify is an error
	cut    bool // there was one
}

// sealMax is how many plain bytes are sealed at a time.
const sealMax = 4 * recordMax

// errUnclosed: the stream ended without a close_notify, so somebody may have cut it.
var errUnclosed = errors.New("TLS connection closed without close_notify")

// secure makes c a server's TLS connection. It returns after the handshake,
// during which wait sleeps until the socket is ready for some of events.
func secure(w *wire, conf *tls.Config, wait func(events int16) error) (*tlsConn, error) {
	c := &tlsConn{t: tls.Server(w, conf), w: w}
	w.wait = wait
	err := c.t.Handshake()
	for err == nil && len(w.out) > 0 {
		err = w.sleep(0)
	}
	w.wait = nil
	if err != nil {
		_ = w.push() // an alert, if there is room for it
		return nil, c.failure(err)
	}
	c.more = true // the client's first words may have come with its Finished
	return c, nil
}

// failure is the transport's own error where there is one: crypto/tls wraps it.
func (c *tlsConn) failure(err error) error {
	if c.w.err != nil {
		return c.w.err
	}
	return err
}

func (c *tlsConn) fd() int { return int(c.w.c) }

// Read fills b with as many records as there are.
func (c *tlsConn) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := c.t.Read(b[n:])
		n += m
		if err == nil {
			continue
		}
		if n > 0 {
			c.more = err != unix.EAGAIN // an end, which the next Read shows
			return n, nil
		}
		c.more = false
		switch {
		case err == io.EOF && c.w.ended:
			c.cut = true
			if c.strict {
				return 0, errUnclosed
			}
			return 0, io.EOF
		case err == io.EOF, err == unix.EAGAIN:
			return 0, err
		}
		return 0, c.failure(err)
	}
	c.more = n > 0
	return n, nil
}

// Write seals a piece of b. Where the socket does not take all of it, Write
// fails with unix.EAGAIN, has taken nothing, and must be called again with the
// same bytes in front.
func (c *tlsConn) Write(b []byte) (int, error) {
	if err := c.w.push(); err != nil {
		return 0, err
	}
	if c.owed > 0 {
		n := min(c.owed, len(b))
		c.owed = 0
		return n, nil
	}
	b = b[:min(len(b), sealMax)]
	c.w.more = (len(b) + recordMax - 1) / recordMax
	n, err := c.t.Write(b)
	c.w.more = 0
	if err != nil {
		return 0, c.failure(err)
	}
	if len(c.w.out) > 0 {
		c.owed = n
		return 0, unix.EAGAIN
	}
	return n, nil
}

// notify sends a close_notify, once; unix.EAGAIN: it waits in w.out.
func (c *tlsConn) notify() error {
	if err := c.t.CloseWrite(); err != nil {
		return c.failure(err)
	}
	return c.w.push()
}

func (c *tlsConn) shut() {
	_ = c.notify()
	c.w.c.shut()
}

func (c *tlsConn) close(reset bool) {
	if !reset {
		_ = c.notify()
	}
	c.w.c.close(reset)
}
