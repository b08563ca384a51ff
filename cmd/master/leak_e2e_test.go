package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// descriptors lists what the daemon holds, by kind.
func (h *house) descriptors() map[string]int {
	h.t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", h.cmd.Process.Pid)
	names, err := os.ReadDir(dir)
	must(h.t, err)
	kinds := map[string]int{}
	for _, n := range names {
		if to, err := os.Readlink(filepath.Join(dir, n.Name())); err == nil {
			kind, _, _ := strings.Cut(to, ":[")
			kinds[strings.TrimSuffix(kind, " (deleted)")]++
		}
	}
	return kinds
}

// try plays a client that does not insist: in the middle of a storm any step
// may fail.
func (h *house) try(lines ...string) {
	c, err := net.DialTimeout("tcp", h.addr, 5*time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 4096)
	for _, l := range lines {
		if _, err := c.Read(buf); err != nil {
			return
		}
		if _, err := fmt.Fprintf(c, "%s\r\n", l); err != nil {
			return
		}
	}
}

// TestNothingIsLeftAfterAStorm: clients leave in every state while sessions,
// files and authd are killed and the configuration is reloaded and upgraded.
// When it is over the daemon holds what it held before.
func TestNothingIsLeftAfterAStorm(t *testing.T) {
	// A client that leaves while its session waits for a data connection is
	// waited for until the connection counts as stalled.
	h := prepare(t, true, "timeout {\n  stalled = \"1s\"\n}\n").start()
	h.dial().login().do("221", "QUIT")
	calm := func() bool {
		s := h.status()
		return s.State == "serving" && s.Sessions.Live == 0 && s.Sessions.Unauthenticated == 0 && s.Sessions.Pool >= 2
	}
	var before map[string]int
	pool := 0
	until(t, "calm", func() bool { // and a pool that does not grow meanwhile
		pool = h.status().Sessions.Pool
		before = h.descriptors()
		return calm() && h.status().Sessions.Pool == pool
	})

	user, pass := "USER ann", "PASS open sesame"
	scripts := [][]string{
		nil,
		{""},
		{user},
		{user, "PASS wrong"},
		{user, pass},
		{user, pass, "EPSV"},
		{user, pass, "EPSV", "EPSV"},
		{user, pass, "EPSV", "NLST"},
		{user, pass, "EPRT |1|127.0.0.1|65000|", "NLST"},
		{user, pass, "QUIT"},
		{"QUIT"},
		{"SITE nonsense"},
	}
	var clients, breakers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			for i := range 40 {
				h.try(scripts[i%len(scripts)]...)
			}
		})
	}
	breakers.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(15 * time.Millisecond):
			}
			role := []string{"session", "files", "session", "authd", "hup", "files", "upgrade"}[i%7]
			switch role {
			case "hup":
				_ = h.cmd.Process.Signal(syscall.SIGHUP)
			case "upgrade":
				_ = h.cmd.Process.Signal(syscall.SIGUSR2)
			default:
				if pids := h.children(role); len(pids) > 0 {
					_ = syscall.Kill(pids[i%len(pids)], syscall.SIGKILL)
				}
			}
		}
	})
	clients.Wait()
	close(stop)
	breakers.Wait()
	h.waitCount("took over", 1)
	var after map[string]int
	defer func() {
		if t.Failed() {
			t.Logf("before %v\nafter  %v\n%+v\n%s", before, after, h.status(), h.ctl("who", "--json"))
		}
	}()
	until(t, "the daemon to hold what it held before", func() bool {
		if !calm() {
			return false
		}
		after = h.descriptors()
		n := 0
		for kind := range after {
			n += max(0, after[kind]-before[kind])
		}
		return n <= 2+4*max(0, h.status().Sessions.Pool-pool) // pidfd, two channels and page of a spare; a view sealed or not
	})
	h.dial().login().do("221", "QUIT")
	h.stop()
}

// children lists the daemon's child processes of a role.
func (h *house) children(role string) (pids []int) {
	h.t.Helper()
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", h.cmd.Process.Pid))
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		for _, f := range strings.Fields(string(b)) {
			name, _ := os.ReadFile("/proc/" + f + "/comm")
			if strings.TrimSpace(string(name)) == role {
				var pid int
				if _, err := fmt.Sscan(f, &pid); err == nil {
					pids = append(pids, pid)
				}
			}
		}
	}
	slices.Sort(pids)
	return pids
}
