package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// session is a client's control connection: raw below TLS, if there is TLS.
type session struct {
	net.Conn
	r       *bufio.Reader
	tls     *tls.Config
	protect bool
}

// connect returns the greeting, too. A server that is not up yet is waited for.
func connect(addr string, implicit bool) (*session, string, error) {
	for end := time.Now().Add(10 * time.Second); ; {
		n, err := net.Dial("tcp", addr)
		if err == nil {
			_ = n.SetDeadline(time.Now().Add(60 * time.Second))
			s := &session{Conn: n, r: bufio.NewReader(n)}
			if implicit {
				err = s.secure()
			}
			greeting := ""
			if err == nil {
				greeting, err = s.reply()
			}
			return s, greeting, err
		}
		if time.Now().After(end) {
			return nil, "", err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// secure begins TLS. What it looks at is what FTP says, not the certificate.
func (s *session) secure() error {
	s.tls = &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	c := tls.Client(s.Conn, s.tls)
	if err := c.Handshake(); err != nil {
		return err
	}
	s.Conn, s.r = c, bufio.NewReader(c)
	return nil
}

// step sends one command and returns all its replies.
func (s *session) step(line string) (string, error) {
	cmd, send, transfer := strings.Cut(line, " <data")
	var data net.Conn
	if transfer {
		if _, err := fmt.Fprintf(s, "EPSV\r\n"); err != nil {
			return "", err
		}
		r, err := s.reply()
		if err != nil {
			return "", err
		}
		f := strings.Split(r, "|")
		if len(f) != 5 {
			return r, nil
		}
		if data, err = net.Dial("tcp", "127.0.0.1:"+f[3]); err != nil {
			return "", err
		}
		defer data.Close()
	}
	cmd = strings.NewReplacer(`\r`, "\r", `\0`, "\x00", `\n`, "\n", `\\`, `\`).Replace(cmd)
	if _, err := fmt.Fprintf(s, "%s\r\n", cmd); err != nil {
		return "", err
	}
	r, err := s.reply()
	switch {
	case err == nil && strings.HasPrefix(r, "234"):
		return r, s.secure()
	case strings.HasPrefix(r, "200 Protection set to "):
		s.protect = strings.Contains(r, "Private")
	}
	if err != nil || data == nil || !strings.HasPrefix(r, "1") {
		return r, err
	}
	got, err := s.move(data, send)
	if err != nil {
		return r, err
	}
	end, err := s.reply()
	return r + got + end, err
}

// move sends the text behind ">", or receives until the end.
func (s *session) move(data net.Conn, send string) (string, error) {
	_ = data.SetDeadline(time.Now().Add(20 * time.Second))
	if s.protect {
		data = tls.Client(data, s.tls)
	}
	var got []byte
	var err error
	if text, ok := strings.CutPrefix(strings.TrimSpace(send), ">"); ok {
		_, err = data.Write([]byte(strings.ReplaceAll(strings.TrimSpace(text), `\n`, "\n")))
	} else {
		got, _ = io.ReadAll(data)
	}
	data.Close()
	return string(got), err
}

func (s *session) reply() (string, error) {
	var all strings.Builder
	for first := ""; ; {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return all.String(), err
		}
		all.WriteString(line)
		if first == "" {
			first = line
		}
		if len(line) > 3 && line[3] == ' ' && line[:3] == first[:3] {
			return all.String(), nil
		}
	}
}
