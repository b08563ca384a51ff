package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// errand logs in, lists and leaves; it is a whole life of a session.
func errand(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	r := bufio.NewReader(c)
	step := func(command, code string) (string, error) {
		if command != "" {
			if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
				return "", fmt.Errorf("%s: %w", command, err)
			}
		}
		line, err := r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, code) {
			return "", fmt.Errorf("%q: want %s, got %q, %w", command, code, line, err)
		}
		return line, nil
	}
	for _, s := range [][2]string{{"", "220"}, {"USER ann", "331"}, {"PASS open sesame", "230"}} {
		if _, err := step(s[0], s[1]); err != nil {
			return err
		}
	}
	line, err := step("EPSV", "229")
	if err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(addr)
	d, err := net.Dial("tcp", net.JoinHostPort(host, strings.Split(line, "|")[3]))
	if err != nil {
		return fmt.Errorf("data connection: %w", err)
	}
	defer d.Close()
	if _, err := step("NLST", "150"); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, d); err != nil {
		return fmt.Errorf("data connection: %w", err)
	}
	if _, err := step("", "226"); err != nil {
		return err
	}
	_, err = step("QUIT", "221")
	return err
}

// TestUpgradesUnderLoad: in a loop of whole sessions, upgrades one after the
// other refuse and drop nobody.
func TestUpgradesUnderLoad(t *testing.T) {
	h := prepare(t, os.Geteuid() != 0, "").start()
	var stop atomic.Bool
	var done atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				if err := errand(h.addr); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	for i := range 5 {
		before := done.Load()
		until(t, "clients to be served", func() bool { return done.Load() > before+4 || t.Failed() })
		must(t, h.cmd.Process.Signal(syscall.SIGUSR2))
		h.waitCount("took over", i+1)
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d sessions", done.Load())
	if s := h.status(); s.Upgrades != 5 || s.Counters.WorkerDeaths > 0 || s.Counters.Violations > 0 {
		t.Errorf("%+v", s)
	}
	h.stop()
}
