// Package abuse is what hostile and broken clients do to the real daemon:
// memory stays flat, deadlines fire, other clients are served.
package abuse

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/test/daemon"
)

// scale reduces counts in the gate; SALLYPORT_SOAK=1 runs them whole.
func scale(full, gate int) int {
	if os.Getenv("SALLYPORT_SOAK") != "" {
		return full
	}
	return gate
}

const wide = `
max {
  connections_per_host        = 10000
  unauthenticated             = 10000
  unauthenticated_per_address = 10000
}
`

// rss is the private memory of master and all its children, in bytes.
func rss(t *testing.T, d *daemon.Daemon) int64 {
	t.Helper()
	pids := []int{d.PID}
	for _, name := range []string{"session", "authd", "hash", "files"} {
		pids = append(pids, d.Children(name)...)
	}
	var sum int64
	for _, p := range pids {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 1 && strings.HasPrefix(f[0], "Private_") {
				n, _ := strconv.ParseInt(f[1], 10, 64)
				sum += n << 10
			}
		}
	}
	return sum
}

// served asserts that a new client gets a whole session.
func served(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	c := d.Login("bob")
	data := c.Passive()
	c.Expect("150", "STOR served")
	if _, err := data.Write([]byte("yes")); err != nil {
		t.Fatal(err)
	}
	data.Close()
	if r := c.Reply(); !strings.HasPrefix(r, "226") {
		t.Fatalf("STOR: %q", r)
	}
	c.Expect("250", "DELE served")
	c.Expect("221", "QUIT")
	c.Close()
}

func TestTenMegabytesWithoutANewline(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: wide})
	served(t, d)
	d.Settle()
	before := rss(t, d)
	c := d.Dial()
	chunk := bytes.Repeat([]byte("A"), 1<<20)
	for range 10 {
		if _, err := c.Write(chunk); err != nil {
			break // the server may hang up
		}
	}
	if grown := rss(t, d) - before; grown > 8<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	served(t, d)
}

func TestOverlongLineGetsOneReplyAndItsTailIsNoCommand(t *testing.T) {
	d := daemon.Start(t, daemon.Options{})
	c := d.Dial()
	c.Send(strings.Repeat("x", 6000) + " QUIT\r\nNOOP\r\n")
	if r := c.Reply(); !strings.HasPrefix(r, "500") {
		t.Errorf("%q, want one 500", r)
	}
	if r := c.Reply(); !strings.HasPrefix(r, "200") {
		t.Errorf("NOOP after the long line: %q", r)
	}
}

func TestOddBytesOnTheControlLine(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: wide})
	for _, c := range []struct{ name, send, want string }{
		{"NUL", "NO\x00OP\r\n", "500"},
		{"bare CR", "NOOP\rQUIT\r\n", "5"},
		{"empty line", "\r\n", "500 Invalid command: try being more creative"},
		{"leading blank", " NOOP\r\n", "500 Invalid command: try being more creative"},
		{"bare LF ends a line", "NOOP\n", "200"},
		{"telnet WILL", "\xff\xfb\x01NOOP\r\n", "\xff\xfe\x01200"},
		{"telnet DO", "\xff\xfd\x01NOOP\r\n", "\xff\xfc\x01200"},
		{"telnet IP and DM", "\xff\xf4\xff\xf2NOOP\r\n", "200"},
		{"high bytes in the verb", "\xc3\xa9\xc3\xa9\r\n", "500"},
		{"lower case", "noop\r\n", "200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for cut := range len(c.send) { // split anywhere, the answer is the same
				conn := d.Dial()
				conn.Send(c.send[:cut])
				time.Sleep(time.Millisecond) // let the halves be two segments; either way the answer must be the same
				conn.Send(c.send[cut:])
				if line, _ := conn.Line(); !strings.HasPrefix(line, c.want) {
					t.Fatalf("cut at %d: %q, want %q", cut, line, c.want)
				}
				conn.Close()
			}
		})
	}
}

func TestForeignProtocolsGetNotAByte(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: wide})
	for _, s := range []string{"GET / HTTP/1.0\r\n\r\n", "POST /x HTTP/1.1\r\nHost: a\r\n\r\n", "EHLO me\r\n", "SSH-2.0-OpenSSH_9\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"} {
		c := d.Dial()
		c.Send(s)
		if got := c.Ended(); got != "" {
			t.Errorf("%.10q is answered %q", s, got)
		}
	}
}

func TestPipelinedCommands(t *testing.T) {
	n := scale(100000, 20000)
	d := daemon.Start(t, daemon.Options{})
	c := d.Dial()
	go func() {
		b := bytes.Repeat([]byte("NOOP\r\n"), 100)
		for range n / 100 {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}()
	for i := range n {
		if line, ok := c.Line(); !ok || !strings.HasPrefix(line, "200") {
			t.Fatalf("command %d: %q", i, line)
		}
	}
	served(t, d)
}

func TestHalfOpenConnectionsCostNoProcess(t *testing.T) {
	n := scale(5000, 1500)
	d := daemon.Start(t, daemon.Options{Config: wide})
	served(t, d)
	d.Settle()
	before, sessions := rss(t, d), len(d.Children("session"))
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for i := range n {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 2, byte(i/200), byte(1+i%200))}}
		c, err := dialer.Dial("tcp", d.Addr)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		var b [3]byte
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadFull(c, b[:]); err != nil || string(b[:]) != "220" {
			t.Fatalf("client %d: %q %v", i, b, err)
		}
	}
	if got := len(d.Children("session")); got > sessions+2 {
		t.Errorf("%d session processes for silent clients", got-sessions)
	}
	if grown := rss(t, d) - before; grown > 20<<20 {
		t.Errorf("%d silent clients cost %d bytes", n, grown)
	}
	served(t, d)
}

func TestClientThatNeverReads(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: wide})
	served(t, d)
	d.Settle()
	before := rss(t, d)
	var open []net.Conn
	for range 20 {
		c := d.Raw()
		_ = c.Conn.(*net.TCPConn).SetReadBuffer(2048)
		_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
		_, _ = c.Write(bytes.Repeat([]byte("HELP\r\n"), 200000))
		open = append(open, c)
	}
	if grown := rss(t, d) - before; grown > 60<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	served(t, d)
	for _, c := range open {
		c.Close()
	}
}

func TestLoginDeadline(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: "timeout {\n  login = \"4s\"\n}\n"})
	silent, talker := d.Dial(), d.Dial()
	talker.Expect("331", "USER alice")
	for _, c := range []*daemon.Conn{silent, talker} {
		if got := c.Ended(); got != "421 Login timeout (4 seconds): closing control connection\r\n" {
			t.Errorf("%q", got)
		}
	}
}

func TestIdleDeadline(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: "timeout {\n  idle = \"4s\"\n}\n"})
	c := d.Login("alice")
	if got := c.Ended(); got != "421 Idle timeout (4 seconds): closing control connection\r\n" {
		t.Errorf("%q", got)
	}
}

func TestLimitsOfConnections(t *testing.T) {
	t.Run("connections_per_host", func(t *testing.T) {
		d := daemon.Start(t, daemon.Options{Config: "max {\n  connections_per_host = 1\n}\n"})
		d.Dial()
		c := d.Raw()
		if got := c.Ended(); got != "530 Sorry, the maximum number of connections (1) for your host are already connected.\r\n" {
			t.Errorf("%q", got)
		}
	})
	t.Run("instances", func(t *testing.T) {
		d := daemon.Start(t, daemon.Options{Config: "max {\n  instances = 2\n}\n"})
		a := d.Dial()
		d.Dial()
		if got := d.Raw().Ended(); got != "" {
			t.Errorf("the third got %q", got)
		}
		a.Expect("221", "QUIT")
		a.Close()
		daemon.Until(t, "the place to be free again", func() bool {
			line, ok := d.Raw().Line()
			return ok && strings.HasPrefix(line, "220")
		})
	})
	t.Run("connection_rate", func(t *testing.T) {
		d := daemon.Start(t, daemon.Options{Config: "max {\n  connection_rate = \"5/10m\"\n}\n"})
		greeted := 0
		for range 20 { // connect and drop counts as well
			c := d.Raw()
			if line, ok := c.Line(); ok && strings.HasPrefix(line, "220") {
				greeted++
			}
			c.Close()
		}
		if greeted != 5 {
			t.Errorf("%d of 20 were greeted, want 5", greeted)
		}
	})
	t.Run("login_attempts", func(t *testing.T) {
		d := daemon.Start(t, daemon.Options{Config: "max {\n  login_attempts = 2\n}\n"})
		c := d.Dial()
		c.Expect("331", "USER alice")
		c.Expect("530 Login incorrect.", "PASS wrong")
		c.Expect("331", "USER nobody-knows")
		c.Expect("530 Login incorrect.", "PASS wrong")
		if got := c.Ended(); got != "" {
			t.Errorf("after the last attempt: %q", got)
		}
	})
}

func TestFileThatShrinksIsNoCompleteTransfer(t *testing.T) {
	d := daemon.Start(t, daemon.Options{})
	p := d.Put("alice", "shrinks", nil)
	if err := os.Truncate(p, 256<<20); err != nil {
		t.Fatal(err)
	}
	c := d.Login("alice")
	c.Expect("200", "TYPE I")
	data := c.Passive()
	c.Expect("150", "RETR shrinks")
	if _, err := io.ReadFull(data, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(p, 0); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, data)
	if r := c.Reply(); !strings.HasPrefix(r, "451") {
		t.Errorf("%q, want 451", r)
	}
	c.Expect("200", "NOOP")
}
