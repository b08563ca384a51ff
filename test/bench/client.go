package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// client is an FTP client: one control connection, EPSV data connections, all of
// them under TLS where the server is measured so.
type client struct {
	net.Conn
	r    *bufio.Reader
	addr string
	tls  *tls.Config // nil: plain
}

const password = "correct horse"

// connect takes the greeting and, where the server is measured under TLS, does a
// full handshake: no client knows the tickets of another.
func connect(s *server) (*client, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	if s.from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(s.from)}
	}
	n, err := d.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	_ = n.SetDeadline(time.Now().Add(5 * time.Minute))
	c := &client{Conn: n, r: bufio.NewReader(n), addr: s.addr}
	if _, err = c.reply("220"); err == nil && s.tls {
		err = c.startTLS()
	}
	if err != nil {
		n.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) startTLS() error {
	if _, err := c.cmd("AUTH TLS", "234"); err != nil {
		return err
	}
	c.tls = &tls.Config{
		InsecureSkipVerify: true, // the certificate is the bench's own; only the server is measured
		ServerName:         "bench.example.org",
		MinVersion:         opts.tlsVersion(), MaxVersion: opts.tlsVersion(),
		ClientSessionCache: tls.NewLRUClientSessionCache(2),
	}
	if !opts.hybrid {
		c.tls.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
	}
	t := tls.Client(c.Conn, c.tls)
	if err := t.Handshake(); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	c.Conn, c.r = t, bufio.NewReader(t)
	return nil
}

func login(s *server) (*client, error) {
	c, err := connect(s)
	if err != nil {
		return nil, err
	}
	steps := [][2]string{{"USER bench", "331"}, {"PASS " + password, "230"}, {"TYPE I", "200"}}
	if s.tls {
		steps = append(steps, [2]string{"PBSZ 0", "200"}, [2]string{"PROT P", "200"})
	}
	for _, step := range steps {
		if _, err := c.cmd(step[0], step[1]); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

func (c *client) reply(want string) (string, error) {
	first := ""
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if first == "" {
			first = line
		}
		if len(line) > 3 && line[3] == ' ' && line[:3] == first[:3] {
			if !strings.HasPrefix(line, want) {
				return line, fmt.Errorf("answer %q, want %s", line, want)
			}
			return line, nil
		}
	}
}

func (c *client) cmd(line, want string) (string, error) {
	if _, err := io.WriteString(c, line+"\r\n"); err != nil {
		return "", err
	}
	r, err := c.reply(want)
	if err != nil {
		err = fmt.Errorf("%s: %w", line, err)
	}
	return r, err
}

func (c *client) data() (net.Conn, error) {
	r, err := c.cmd("EPSV", "229")
	if err != nil {
		return nil, err
	}
	f := strings.Split(r, "|")
	if len(f) < 5 {
		return nil, fmt.Errorf("229 %q", r)
	}
	if _, err := strconv.Atoi(f[3]); err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(c.addr)
	return net.DialTimeout("tcp", net.JoinHostPort(host, f[3]), 10*time.Second)
}

// transfer sends a command that has a data connection. Its handshake resumes the
// session of the control connection.
func (c *client) transfer(line string) (net.Conn, error) {
	d, err := c.data()
	if err != nil {
		return nil, err
	}
	_ = d.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := c.cmd(line, "150"); err != nil {
		d.Close()
		return nil, err
	}
	if c.tls == nil {
		return d, nil
	}
	t := tls.Client(d, c.tls)
	if err := t.Handshake(); err != nil {
		d.Close()
		return nil, fmt.Errorf("%s: data connection: %w", line, err)
	}
	return t, nil
}

// retr reads into buf and returns how many bytes came.
func (c *client) retr(name string, buf []byte) (int64, error) {
	d, err := c.transfer("RETR " + name)
	if err != nil {
		return 0, err
	}
	var n int64
	for err == nil {
		var k int
		k, err = d.Read(buf)
		n += int64(k)
	}
	d.Close() // before the reply: vsftpd waits for our close_notify
	if err != io.EOF {
		return n, err
	}
	_, err = c.reply("226")
	return n, err
}

// stor sends size bytes, buf over and over.
func (c *client) stor(name string, size int64, buf []byte) error {
	d, err := c.transfer("STOR " + name)
	if err != nil {
		return err
	}
	for left := size; left > 0; {
		k, err := d.Write(buf[:min(int64(len(buf)), left)])
		left -= int64(k)
		if err != nil {
			d.Close()
			return err
		}
	}
	// Tickets wait unread: closing now would be a RST under TLS.
	if t, ok := d.(*tls.Conn); ok {
		defer d.Close()
		if err := t.CloseWrite(); err != nil {
			return err
		}
		d = t.NetConn()
		err = d.(*net.TCPConn).CloseWrite()
	} else {
		err = d.Close()
	}
	if err != nil {
		return err
	}
	_, err = c.reply("226")
	return err
}

func (c *client) quit() {
	_, _ = c.cmd("QUIT", "221")
	c.Close()
}
