package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// client is a plain FTP client: one control connection, EPSV data connections.
type client struct {
	net.Conn
	r    *bufio.Reader
	addr string
}

const password = "correct horse"

func connect(addr string) (*client, error) {
	n, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	_ = n.SetDeadline(time.Now().Add(5 * time.Minute))
	c := &client{Conn: n, r: bufio.NewReader(n), addr: addr}
	if _, err := c.reply("220"); err != nil {
		n.Close()
		return nil, err
	}
	return c, nil
}

func login(addr string) (*client, error) {
	c, err := connect(addr)
	if err != nil {
		return nil, err
	}
	for _, step := range [][2]string{{"USER bench", "331"}, {"PASS " + password, "230"}, {"TYPE I", "200"}} {
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

func (c *client) retr(name string) (int64, error) {
	d, err := c.data()
	if err != nil {
		return 0, err
	}
	defer d.Close()
	if _, err := c.cmd("RETR "+name, "150"); err != nil {
		return 0, err
	}
	buf := make([]byte, 1<<20)
	var n int64
	for {
		k, err := d.Read(buf)
		n += int64(k)
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, err
		}
	}
	_, err = c.reply("226")
	return n, err
}

func (c *client) stor(name string, size int64) error {
	d, err := c.data()
	if err != nil {
		return err
	}
	if _, err := c.cmd("STOR "+name, "150"); err != nil {
		d.Close()
		return err
	}
	buf := make([]byte, 1<<20)
	for left := size; left > 0; {
		k, err := d.Write(buf[:min(int64(len(buf)), left)])
		left -= int64(k)
		if err != nil {
			d.Close()
			return err
		}
	}
	d.Close()
	_, err = c.reply("226")
	return err
}

func (c *client) quit() {
	_, _ = c.cmd("QUIT", "221")
	c.Close()
}
