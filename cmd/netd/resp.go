package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// The protocol of Redis, RESP2. A general client makes room for whatever length
// a server names; this one keeps what netd has a use for and reads past the rest.

// Bounds of a reply.
const (
	respLine  = 4 << 10  // a line: kinds, lengths, errors
	respKeep  = 64 << 10 // a bulk string that is kept
	respBulk  = 512 << 20
	respTotal = 16 << 20 // all that is kept of one reply
	respDepth = 3
	respEach  = 128 // what an element costs besides its text
)

// errResp means that the other end does not speak the protocol as it should.
var errResp = errors.New("not the protocol of Redis")

// reply is one of a server: kind is the byte it begins with.
type reply struct {
	kind byte
	text string // of + - $
	n    int64  // of :
	list []reply
	none bool // a null
	cut  bool // a bulk string too long to be kept
}

// failed is the error that a reply is, nil where it is none. The text is the
// server's.
func (r *reply) failed() error {
	if r.kind == '-' {
		return errors.New(printable(r.text))
	}
	return nil
}

// readReply reads one reply.
func readReply(r *bufio.Reader) (reply, error) {
	room := respTotal
	return readNested(r, &room, 0)
}

func readNested(r *bufio.Reader, room *int, depth int) (reply, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull || err == nil && (len(line) < 3 || len(line) > respLine || line[len(line)-2] != '\r'):
		return reply{}, errResp
	case err != nil:
		return reply{}, err
	}
	out := reply{kind: line[0]}
	text := line[1 : len(line)-2]
	if *room -= respEach + len(text); *room < 0 {
		return reply{}, errResp
	}
	switch out.kind {
	case '+', '-':
		out.text = string(text)
		return out, nil
	case ':':
		out.n, err = strconv.ParseInt(string(text), 10, 64)
		if err != nil {
			return reply{}, errResp
		}
		return out, nil
	case '$', '*':
	default:
		return reply{}, errResp
	}
	n, err := strconv.ParseInt(string(text), 10, 32)
	switch {
	case err != nil || n < -1 || n > respBulk:
		return reply{}, errResp
	case n == -1:
		out.none = true
		return out, nil
	case out.kind == '$':
		err = out.bulk(r, int(n), room)
		return out, err
	case depth == respDepth:
		return reply{}, errResp
	}
	for range n { // grows as it comes, not as it is announced
		e, err := readNested(r, room, depth+1)
		if err != nil {
			return reply{}, err
		}
		out.list = append(out.list, e)
	}
	return out, nil
}

// bulk reads n bytes and the end of their line.
func (r *reply) bulk(from *bufio.Reader, n int, room *int) error {
	if n > respKeep {
		r.cut = true
		_, err := from.Discard(n + 2)
		return err
	}
	if *room -= n; *room < 0 {
		return errResp
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(from, b); err != nil {
		return err
	}
	if b[n] != '\r' || b[n+1] != '\n' {
		return errResp
	}
	r.text = string(b[:n])
	return nil
}

// appendCommand adds a command to what is to be sent.
func appendCommand(b []byte, args ...string) []byte {
	b = append(strconv.AppendInt(append(b, '*'), int64(len(args)), 10), "\r\n"...)
	for _, a := range args {
		b = append(strconv.AppendInt(append(b, '$'), int64(len(a)), 10), "\r\n"...)
		b = append(append(b, a...), "\r\n"...)
	}
	return b
}

// respConn is a connection to a Redis server.
type respConn struct {
	net.Conn
	r       *bufio.Reader
	timeout time.Duration // of one exchange
}

func newRespConn(c net.Conn, timeout time.Duration) *respConn {
	return &respConn{Conn: c, r: bufio.NewReaderSize(c, respLine), timeout: timeout}
}

// exchange sends commands and gives each of the n replies to them to f.
func (c *respConn) exchange(commands []byte, n int, f func(i int, r *reply) error) error {
	if n == 0 {
		return nil
	}
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	if _, err := c.Write(commands); err != nil {
		return err
	}
	for i := range n {
		r, err := readReply(c.r)
		if err != nil {
			return err
		}
		if err := f(i, &r); err != nil {
			return err
		}
	}
	return nil
}

// do sends one command. A reply that is an error is returned as one.
func (c *respConn) do(args ...string) (out reply, err error) {
	err = c.exchange(appendCommand(nil, args...), 1, func(_ int, r *reply) error {
		out = *r
		return r.failed()
	})
	if err != nil {
		return out, fmt.Errorf("%s: %w", args[0], err)
	}
	return out, nil
}
