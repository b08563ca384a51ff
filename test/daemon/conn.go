package daemon

import (
	"bytes"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Conn is a raw control connection: what is written is what the wire sees.
// Every read has a deadline of 30 s, so a silent server fails the test.
type Conn struct {
	TB testing.TB
	net.Conn
	buf []byte
}

// Dial connects to the daemon's first listener and reads the greeting.
func (d *Daemon) Dial() *Conn {
	d.TB.Helper()
	c := d.Raw()
	if r := c.Reply(); !strings.HasPrefix(r, "220") {
		d.TB.Fatalf("greeting %q", r)
	}
	return c
}

// Raw connects without reading anything.
func (d *Daemon) Raw() *Conn {
	d.TB.Helper()
	n, err := net.Dial("tcp", d.Addr)
	if err != nil {
		d.TB.Fatal(err)
	}
	d.TB.Cleanup(func() { n.Close() })
	return &Conn{TB: d.TB, Conn: n}
}

// Login dials and logs a user of the daemon in.
func (d *Daemon) Login(user string) *Conn {
	d.TB.Helper()
	c := d.Dial()
	c.Login(user, d.Users[user].Password)
	return c
}

// Line reads one line with its end. The second result is false at the end of
// the connection.
func (c *Conn) Line() (string, bool) {
	for {
		if i := bytes.IndexByte(c.buf, '\n'); i >= 0 {
			line := string(c.buf[:i+1])
			c.buf = c.buf[i+1:]
			return line, true
		}
		var b [8192]byte
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		n, err := c.Read(b[:])
		c.buf = append(c.buf, b[:n]...)
		if n == 0 && err != nil {
			if t, ok := err.(net.Error); ok && t.Timeout() {
				c.TB.Helper()
				c.TB.Fatalf("no answer in 30 s; so far %q", c.buf)
			}
			return string(c.buf), false
		}
	}
}

// Reply reads one whole reply, of one line or several.
func (c *Conn) Reply() string {
	c.TB.Helper()
	var all strings.Builder
	for first := ""; ; {
		line, ok := c.Line()
		if !ok {
			c.TB.Fatalf("the connection ended after %q", all.String()+line)
		}
		all.WriteString(line)
		if first == "" {
			first = line
		}
		if len(line) > 3 && line[:3] == first[:3] && line[3] == ' ' {
			return all.String()
		}
	}
}

// Send writes bytes as they are.
func (c *Conn) Send(s string) {
	c.TB.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		c.TB.Fatal(err)
	}
}

// Expect sends a command and checks the code of its reply.
func (c *Conn) Expect(code, command string) string {
	c.TB.Helper()
	c.Send(command + "\r\n")
	r := c.Reply()
	if !strings.HasPrefix(r, code) {
		c.TB.Fatalf("%q: %q, want %s", command, r, code)
	}
	return r
}

// Login logs in.
func (c *Conn) Login(user, password string) {
	c.TB.Helper()
	c.Expect("331", "USER "+user)
	c.Expect("230", "PASS "+password)
}

// Passive asks for a data connection by EPSV and makes it.
func (c *Conn) Passive() net.Conn {
	c.TB.Helper()
	r := c.Expect("229", "EPSV")
	f := strings.Split(r, "|")
	if len(f) != 5 {
		c.TB.Fatalf("%q", r)
	}
	host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	d, err := net.Dial("tcp", net.JoinHostPort(host, f[3]))
	if err != nil {
		c.TB.Fatal(err)
	}
	c.TB.Cleanup(func() { d.Close() })
	return d
}

// PassivePort is the port of a 227 or 229 reply.
func PassivePort(reply string) int {
	if f := strings.Split(reply, "|"); len(f) == 5 {
		n, _ := strconv.Atoi(f[3])
		return n
	}
	i, j := strings.IndexByte(reply, '('), strings.IndexByte(reply, ')')
	if i < 0 || j < i {
		return 0
	}
	f := strings.Split(reply[i+1:j], ",")
	if len(f) != 6 {
		return 0
	}
	hi, _ := strconv.Atoi(f[4])
	lo, _ := strconv.Atoi(f[5])
	return hi<<8 | lo
}

// Ended reads until the connection's end and returns what came before it.
func (c *Conn) Ended() string {
	c.TB.Helper()
	var all strings.Builder
	for {
		line, ok := c.Line()
		all.WriteString(line)
		if !ok {
			return all.String()
		}
	}
}
