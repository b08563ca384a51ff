package ftp

import (
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// wire is the transport below crypto/tls: a socket that never blocks, made to
// look like a net.Conn as far as that package needs one.
//
// crypto/tls remembers every error of a Write, and of a Read all but temporary
// ones. So a Write always takes everything: what the socket has no room for
// stays in out, at most outBound bytes, and goes by push when there is room. A
// Read fails with unix.EAGAIN, which is temporary; but during a handshake,
// whose errors are all remembered, it sleeps by wait until there is something.
type wire struct {
	c    sock
	wait func(events int16) error // set during a handshake
	out  []byte
	err  error // what has broken the transport; crypto/tls may show it in wrapping

	ended  bool  // the client has closed its side; if it did so by close_notify, this is never read
	sealed bool  // something has been sent: plain text would not be understood any more
	alert  uint8 // the last alert that was sent in clear, 0: none (close_notify is none)
	more   int   // records that follow in the same call: the kernel may wait for them

	frame *frame // counts records where somebody must know where one ends
	exact bool   // and never read beyond the end of one
}

// outBound bounds sealed bytes that wait: one chunk and its overhead, and a
// certificate chain; a client that makes us answer without reading fills it.
const outBound = sealMax + 48<<10

var errUnread = errors.New("client does not read")

func (w *wire) Read(b []byte) (int, error) {
	if w.exact {
		b = b[:min(len(b), w.frame.left())]
	}
	for {
		n, err := w.c.Read(b)
		switch {
		case err == unix.EAGAIN && w.wait != nil:
			w.c.prompt()
			if err := w.sleep(unix.POLLIN); err != nil {
				return 0, err
			}
			continue
		case err == unix.EAGAIN:
			return 0, err
		case err == io.EOF:
			w.ended = true
			return 0, err
		case err != nil:
			w.err = err
			return 0, err
		}
		if w.frame != nil {
			w.frame.take(b[:n])
		}
		return n, nil
	}
}

// sleep waits within a handshake, and lets go what waits to be sent.
func (w *wire) sleep(events int16) error {
	if len(w.out) > 0 {
		events |= unix.POLLOUT
	}
	if err := w.wait(events); err != nil {
		w.err = err
		return err
	}
	if err := w.push(); err != nil && err != unix.EAGAIN {
		return err
	}
	return nil
}

func (w *wire) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if len(b) == alertRecord && b[0] == recordAlert && b[5] != 0 && b[6] != 0 {
		w.alert = b[6]
	}
	w.sealed = true
	rest := b
	if len(w.out) == 0 {
		n, err := w.send(b)
		if err != nil && err != unix.EAGAIN {
			return 0, err
		}
		rest = b[n:]
	}
	if len(rest) > 0 {
		if len(w.out)+len(rest) > outBound {
			w.err = errUnread
			return 0, w.err
		}
		w.out = append(w.out, rest...)
	}
	if w.more > 0 {
		w.more--
	}
	return len(b), nil
}

// send is sock.Write that tells the kernel where more is to come at once.
func (w *wire) send(b []byte) (int, error) {
	flags := 0
	if w.more > 1 {
		flags = unix.MSG_MORE
	}
	for {
		n, err := ipc.Transmit(int(w.c), b, flags)
		switch err {
		case unix.EINTR:
			continue
		case nil, unix.EAGAIN:
		default:
			w.err = err
		}
		return max(n, 0), err
	}
}

// push sends what waits; unix.EAGAIN: not all of it.
func (w *wire) push() error {
	for len(w.out) > 0 {
		n, err := w.send(w.out)
		w.out = w.out[n:]
		if err != nil {
			return err
		}
	}
	w.out = nil
	return nil
}

// Records (RFC 8446 §5.1), as far as the transport looks at them.
const (
	recordHeader = 5
	recordAlert  = 21
	alertRecord  = recordHeader + 2 // bytes of an alert that is not encrypted
	recordMax    = 16 << 10         // plain bytes of a record
)

// frame follows where records begin and end.
type frame struct {
	header [recordHeader]byte
	n      int // bytes of the header so far
	body   int // bytes of the record that are still to come
}

func (f *frame) take(b []byte) {
	for len(b) > 0 {
		if f.body > 0 {
			n := min(f.body, len(b))
			f.body -= n
			b = b[n:]
			continue
		}
		f.header[f.n] = b[0]
		f.n++
		b = b[1:]
		if f.n == recordHeader {
			f.n, f.body = 0, int(f.header[3])<<8|int(f.header[4])
		}
	}
}

// left is how many bytes may be read without touching another record.
func (f *frame) left() int {
	if f.body > 0 {
		return f.body
	}
	return recordHeader - f.n
}

// between tells whether no record is half read.
func (f *frame) between() bool { return f.n == 0 && f.body == 0 }

// What crypto/tls calls of a net.Conn without need here: the socket is closed
// by tlsConn, deadlines are those of the poll loop.

func (w *wire) Close() error                     { return nil }
func (w *wire) LocalAddr() net.Addr              { return nil }
func (w *wire) RemoteAddr() net.Addr             { return nil }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
