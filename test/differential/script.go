package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// A script is a configuration and lines that are played against a fresh server
// with fresh files:
//
//	= comment
//	ref: DIRECTIVE          for the reference; DIR is the directory of the files
//	our: LINE               for sallyport
//	implicit                TLS from the first byte
//	CMD                     one reply; \r \n \0 stand for these bytes
//	CMD <data [> text]      a data connection is made first, and text sent
//	@NAME CMD, @NAME        over another connection; the first time its greeting
//	$ SHELL                 what a command in the user's home prints
//
// AUTH that is answered 234 is followed by a handshake, and data connections are
// protected as PROT says.
type script struct {
	name     string
	ref, our []string
	implicit bool
	lines    []string
}

func parse(path string) (script, error) {
	s := script{name: strings.TrimSuffix(filepath.Base(path), ".txt")}
	b, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		if l, ok := strings.CutPrefix(line, "ref: "); ok {
			s.ref = append(s.ref, l)
		} else if l, ok := strings.CutPrefix(line, "our: "); ok {
			s.our = append(s.our, l)
		} else if line == "implicit" {
			s.implicit = true
		} else if line != "" && !strings.HasPrefix(line, "=") {
			s.lines = append(s.lines, line)
		}
	}
	return s, nil
}

// play returns a line for each of the script's: what was sent, what came.
func play(s script, server func(s script, dir string, port int) *exec.Cmd) ([]string, error) {
	dir, err := os.MkdirTemp("", "sallyport-diff.")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := fixtures(dir); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	c := server(s, dir, port)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
	}()
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	first, _, err := connect(addr, s.implicit)
	if err != nil {
		b, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w\n%s", err, b)
	}
	clients := map[string]*session{"": first}
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	var replies []string
	for _, line := range s.lines {
		got, err := playLine(clients, addr, s.implicit, dir, line)
		if err != nil {
			got += "(end)"
		}
		if strings.Contains(got, "connection for MLSD") { // the order is free
			l := strings.SplitAfter(got, "\n")
			sort.Strings(l[1:max(1, len(l)-2)])
			got = strings.Join(l, "")
		}
		replies = append(replies, line+" -> "+normal(got, dir))
	}
	return replies, nil
}

// playLine plays one line.
func playLine(clients map[string]*session, addr string, implicit bool, dir, line string) (string, error) {
	if cmd, ok := strings.CutPrefix(line, "$ "); ok {
		c := exec.Command("bash", "-c", cmd)
		c.Dir = filepath.Join(dir, "home")
		out, err := c.CombinedOutput()
		return string(out), err
	}
	name, cmd := "", line
	if l, ok := strings.CutPrefix(line, "@"); ok {
		name, cmd, _ = strings.Cut(l, " ")
	}
	if clients[name] == nil {
		s, greeting, err := connect(addr, implicit)
		if s == nil {
			return greeting, err
		}
		clients[name] = s
		if cmd == "" || err != nil {
			return greeting, err
		}
	}
	return clients[name].step(cmd)
}
