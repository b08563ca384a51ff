package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/ipc/blob"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// service is a server of Debian's on a loopback address of its own.
type service struct {
	t     *testing.T
	addr  string
	start func(ip, port string) *exec.Cmd
	cmd   *exec.Cmd
	tidy  bool // it is asked to leave: it has something to take with it
}

func startService(t *testing.T, name string, start func(ip, port string) *exec.Cmd) *service {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip("needs " + name)
	}
	s := &service{t: t, start: start}
	s.addr = fmt.Sprintf("127.%d.%d.%d:%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254), 20000+rand.IntN(10000))
	s.run()
	t.Cleanup(s.kill)
	return s
}

func startRedis(t *testing.T, args ...string) *service {
	dir := t.TempDir()
	return startService(t, "redis-server", func(ip, port string) *exec.Cmd {
		return exec.Command("redis-server", append([]string{"--bind", ip, "--port", port, "--save", "", "--appendonly", "no", "--dir", dir, "--protected-mode", "no"}, args...)...)
	})
}

func startMemcached(t *testing.T) *service {
	return startService(t, "memcached", func(ip, port string) *exec.Cmd {
		return exec.Command("memcached", "-u", "nobody", "-l", ip, "-p", port, "-U", "0", "-m", "16", "-I", "2m")
	})
}

// run starts it, again where it was killed, and waits until it can be called.
func (s *service) run() {
	s.t.Helper()
	ip, port, _ := net.SplitHostPort(s.addr)
	s.cmd = s.start(ip, port)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, s.addr+" to be called", func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (s *service) kill() {
	if s.cmd != nil {
		how := unix.SIGKILL
		if s.tidy {
			how = unix.SIGTERM
		}
		_ = s.cmd.Process.Signal(how)
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *service) signal(sig unix.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// redis sends a command of the test's own.
func (s *service) redis(args ...string) reply {
	s.t.Helper()
	raw, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer raw.Close()
	r, err := newRespConn(raw, patience).do(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// node is a running netd and what it has said.
type node struct {
	t    *testing.T
	conn *ipc.Conn
	done chan error

	mu      sync.Mutex
	changed *sync.Cond
	said    []any // BanFound, BanGone, StoreState, EventCounted, NetdPong, NetdReady
	over    bool
}

var quickPace = storePace{first: time.Millisecond, last: 20 * time.Millisecond, timeout: patience / 3, ping: 50 * time.Millisecond, list: time.Hour}

func startNode(t *testing.T, p storePace, shares ...policy.BanShare) *node {
	t.Helper()
	ours, theirs, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, conn: ipc.New(ours, ipc.MasterNetd, ipc.Master), done: make(chan error, 1)}
	n.changed = sync.NewCond(&n.mu)
	s := newServer(theirs, newBook(), fast)
	s.stores.pace = p
	go func() { n.done <- s.run(); unix.Close(theirs) }()
	go n.read(ours)
	t.Cleanup(func() { n.end() })
	n.configure(1, shares...)
	return n
}

// read has a Conn of its own, since a Conn is one goroutine's.
func (n *node) read(fd int) {
	in := ipc.New(fd, ipc.MasterNetd, ipc.Master)
	for {
		m, err := in.Recv()
		n.mu.Lock()
		if err != nil {
			n.over = true
		} else {
			n.said = append(n.said, m.Body)
		}
		n.changed.Broadcast()
		n.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// end holds that netd leaves in good order.
func (n *node) end() {
	n.t.Helper()
	if n.conn == nil {
		return
	}
	unix.Shutdown(n.conn.FD(), unix.SHUT_RDWR)
	select {
	case err := <-n.done:
		if err != nil {
			n.t.Errorf("netd ended with %v", err)
		}
	case <-time.After(patience):
		n.t.Error("netd does not leave")
	}
	n.await("the end of the channel", func() bool { return n.over })
	n.conn.Close()
	n.conn = nil
}

func (n *node) send(body any, fds ...int) {
	n.t.Helper()
	if err := n.conn.Send(body, fds...); err != nil && err != io.EOF {
		n.t.Fatal(err)
	}
}

func (n *node) configure(generation uint32, shares ...policy.BanShare) {
	n.t.Helper()
	fd, err := blob.Seal("netd", &policy.Netd{Sandbox: "enforce", Share: shares})
	if err != nil {
		n.t.Fatal(err)
	}
	defer unix.Close(fd)
	n.send(&ipc.NetdConfig{Generation: generation}, fd)
}

// await waits until something holds; it is looked at whenever netd speaks.
func (n *node) await(what string, ok func() bool) {
	n.t.Helper()
	late := time.AfterFunc(patience, n.changed.Broadcast)
	defer late.Stop()
	end := time.Now().Add(patience)
	n.mu.Lock()
	defer n.mu.Unlock()
	for !ok() {
		if !time.Now().Before(end) {
			var b strings.Builder
			for _, m := range n.said[max(0, len(n.said)-20):] {
				fmt.Fprintf(&b, "\n%T %+v", m, m)
			}
			n.t.Fatalf("waited in vain for %s; the last messages:%s", what, b.String())
		}
		n.changed.Wait()
	}
}

// each is what has been said of a kind, in order. With the lock held.
func each[T any](n *node) (list []*T) {
	for _, m := range n.said {
		if b, ok := m.(*T); ok {
			list = append(list, b)
		}
	}
	return list
}

// state waits for a state of the store, the last one said.
func (n *node) state(up bool) (why string) {
	n.t.Helper()
	n.await(fmt.Sprintf("the store to be up: %v", up), func() bool {
		l := each[ipc.StoreState](n)
		if len(l) == 0 || l[len(l)-1].Up != up {
			return false
		}
		why = l[len(l)-1].Error
		return true
	})
	return why
}

// knows waits until netd has told of a value last.
func (n *node) knows(key, value string) {
	n.t.Helper()
	n.await(fmt.Sprintf("%q of %q", value, key), func() bool { return n.last(key) == value })
}

// last is what was said of a key last, "" where it was lifted or never known.
// With the lock held.
func (n *node) last(key string) (value string) {
	for _, m := range n.said {
		switch m := m.(type) {
		case *ipc.BanFound:
			if m.Key == key {
				value = string(m.Value)
			}
		case *ipc.BanGone:
			if m.Key == key {
				value = ""
			}
		}
	}
	return value
}

func (n *node) gone(key string) {
	n.t.Helper()
	n.await("the end of "+key, func() bool {
		for _, g := range each[ipc.BanGone](n) {
			if g.Key == key {
				return n.last(key) == ""
			}
		}
		return false
	})
}

// alive holds that netd answers master, which also means that all before it has
// been read.
func (n *node) alive() {
	n.t.Helper()
	n.mu.Lock()
	had := len(each[ipc.NetdPong](n))
	n.mu.Unlock()
	n.send(&ipc.NetdPing{})
	n.await("an answer to a ping", func() bool { return len(each[ipc.NetdPong](n)) > had })
}

func redisShare(s *service) policy.BanShare {
	return policy.BanShare{Driver: "redis", Address: s.addr, Prefix: "mod_ban.", Counters: true}
}

func memcacheShare(s *service) policy.BanShare {
	return policy.BanShare{Driver: "memcache", Address: s.addr, Prefix: "mod_ban."}
}

func hostKey(i int) string {
	return fmt.Sprintf("{\"ban_type_id\":2,\"ban_name\":\"192.0.%d.%d\"}\x00", i>>8, i&255)
}
