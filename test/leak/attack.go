package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// source is an address of loopback that the server has not seen: networks have
// shares of the table and turns of the hash workers.
func source() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, byte(1+rand.IntN(250)), byte(rand.IntN(256)), byte(1+rand.IntN(250)))}
}

func (l login) name() string {
	if l.user == "*" {
		return fmt.Sprintf("u%08x", rand.Uint32())
	}
	return l.user
}

// try makes one connection and times its answers.
func (s *server) try(protocol string, l login) (measurement, error) {
	if protocol == "ssh" {
		return s.trySSH(l)
	}
	c, err := s.dial(protocol == "ftps")
	if err != nil {
		return measurement{}, err
	}
	defer c.Close()
	var m measurement
	if m.user, _, err = c.timed("USER " + l.name()); err != nil {
		return m, err
	}
	reply := ""
	if m.pass, reply, err = c.timed("PASS " + l.password); err != nil {
		return m, err
	}
	if !strings.HasPrefix(reply, "530") {
		return m, fmt.Errorf("PASS of %s: %q", l.user, strings.TrimSpace(reply))
	}
	return m, nil
}

// control is a control connection.
type control struct {
	net.Conn
	r *bufio.Reader
}

const patience = 60 * time.Second

func (s *server) dial(protect bool) (*control, error) {
	d := net.Dialer{LocalAddr: source(), Timeout: patience}
	n, err := d.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	_ = n.SetDeadline(time.Now().Add(patience))
	c := &control{n, bufio.NewReader(n)}
	if r, err := c.reply(); err != nil || !strings.HasPrefix(r, "220") {
		n.Close()
		return nil, errors.Join(err, fmt.Errorf("greeting %q", r))
	}
	if !protect {
		return c, nil
	}
	if _, r, err := c.timed("AUTH TLS"); err != nil || !strings.HasPrefix(r, "234") {
		n.Close()
		return nil, errors.Join(err, fmt.Errorf("AUTH TLS: %q", r))
	}
	t := tls.Client(n, &tls.Config{InsecureSkipVerify: true})
	if err := t.Handshake(); err != nil {
		n.Close()
		return nil, err
	}
	return &control{t, bufio.NewReader(t)}, nil
}

// reply reads a reply and returns its last line.
func (c *control) reply() (string, error) {
	for {
		line, err := c.r.ReadString('\n')
		if err != nil || len(line) > 3 && line[3] == ' ' && line[0] != ' ' {
			return line, err
		}
	}
}

// timed sends a command and times its reply.
func (c *control) timed(command string) (int64, string, error) {
	start := time.Now()
	if _, err := c.Write([]byte(command + "\r\n")); err != nil {
		return 0, "", err
	}
	r, err := c.reply()
	return int64(time.Since(start)), r, err
}

// trySSH times the answer to one password.
func (s *server) trySSH(l login) (m measurement, err error) {
	d := net.Dialer{LocalAddr: source(), Timeout: patience}
	n, err := d.Dial("tcp", s.addr)
	if err != nil {
		return m, err
	}
	defer n.Close()
	_ = n.SetDeadline(time.Now().Add(patience))
	var start time.Time
	_, _, _, err = ssh.NewClientConn(n, s.addr, &ssh.ClientConfig{
		User: l.name(), HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		Auth: []ssh.AuthMethod{ssh.PasswordCallback(func() (string, error) { start = time.Now(); return l.password, nil })},
	})
	if err == nil || start.IsZero() {
		return m, fmt.Errorf("ssh login of %s: %v", l.user, err)
	}
	m.pass = int64(time.Since(start))
	return m, nil
}

// busyCore keeps one core busy until stop.
func busyCore() (stop func(), err error) {
	c := exec.Command("sh", "-c", "while :; do :; done")
	if err := c.Start(); err != nil {
		return nil, err
	}
	return func() { _ = c.Process.Kill(); _ = c.Wait() }, nil
}
