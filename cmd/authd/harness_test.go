package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/crypt"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/ipc/blob"
)

const timeout = 20 * time.Second

var hashes sync.Map

// hashed returns the hash of "secret-NAME", a cheap one.
func hashed(name string) string {
	if h, ok := hashes.Load(name); ok {
		return h.(string)
	}
	h, err := crypt.Hash([]byte("secret-"+name), "sha256")
	if err != nil {
		panic(err)
	}
	hashes.Store(name, h)
	return h
}

// world is an authd in this process, with this test as its master.
type world struct {
	t      testing.TB
	dir    string
	server *server
	master *ipc.Conn
	view   func(*policy.Authd) // what else configure is to say
	ended  chan error

	mu       sync.Mutex
	outcome  func(*ipc.LoginReport) *ipc.LoginOutcome // nil: no answer
	pam      func(*ipc.Conn)                          // plays a helper; nil: master cannot start one
	noWorker bool                                     // NeedHash is not heard

	seen   chan any // what authd told master, but for what master answers by itself
	ids    uint64
	closed sync.Once
	ending atomic.Bool // authd may be gone: what it has asked for cannot be sent
}

// start runs an authd with n hash workers and one host "main".
func start(t testing.TB, n int, l limits, change func(*policy.AuthHost)) *world {
	t.Helper()
	return startIn(t, t.TempDir(), n, l, change)
}

// startIn is start with the account files in dir.
func startIn(t testing.TB, dir string, n int, l limits, change func(*policy.AuthHost)) *world {
	t.Helper()
	w := &world{t: t, dir: dir, ended: make(chan error, 1), seen: make(chan any, 4096)}
	w.outcome = func(r *ipc.LoginReport) *ipc.LoginOutcome {
		return &ipc.LoginOutcome{Session: r.Session, OK: true}
	}
	w.writeAccounts()
	ours, theirs, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(theirs, l)
	if err != nil {
		t.Fatal(err)
	}
	s.etc = filepath.Join(w.dir, "etc")
	w.server = s
	w.master = ipc.New(ours, ipc.MasterAuthd, ipc.Master)
	go func() { w.ended <- s.run() }()
	t.Cleanup(w.stop)
	go w.read()
	w.configure(1, change)
	for range n {
		w.addWorker()
	}
	return w
}

func (w *world) stop() {
	w.closed.Do(func() {
		w.ending.Store(true)
		_ = unix.Shutdown(w.master.FD(), unix.SHUT_RDWR)
		select {
		case err := <-w.ended:
			if err != nil {
				w.t.Errorf("authd ended with %v", err)
			}
		case <-time.After(timeout):
			w.t.Error("authd does not end")
		}
	})
}

func (w *world) host() policy.AuthHost {
	return policy.AuthHost{
		Name: "main", Users: filepath.Join(w.dir, "users"), Groups: filepath.Join(w.dir, "groups"),
		Order: []policy.AuthSource{{Name: "file"}}, SystemDir: filepath.Join(w.dir, "etc"),
		MaxPasswordSize: 1024, LoginAttempts: 3, PamService: "ftp", RequireValidShell: true, UseFtpUsers: true, MinUID: 1000,
	}
}

// writeAccounts: alice and locked in the users file, bob in the system.
func (w *world) writeAccounts() {
	etc := filepath.Join(w.dir, "etc")
	for path, content := range map[string]string{
		"users":         user("alice", 2001) + strings.Replace(user("locked", 2002), ":$", ":!$", 1),
		"groups":        "staff:x:3000:alice\nalice:x:2001:\n",
		"etc/passwd":    "root:x:0:0::/root:/bin/sh\nbob:x:1005:1005::/home/bob:/bin/sh\n",
		"etc/shadow":    "root:*:19000:0:99999:7:::\nbob:" + hashed("bob") + ":19000:0:99999:7:::\n",
		"etc/group":     "bob:x:1005:\n",
		"etc/pam.d/ftp": "auth required pam_unix.so\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(w.dir, path)), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(w.dir, path), []byte(content), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	_ = os.Chmod(etc, 0o755)
}

func user(name string, id int) string {
	return fmt.Sprintf("%s:%s:%d:%d::/srv/%s:/bin/sh\n", name, hashed(name), id, id, name)
}

func (w *world) configure(generation uint32, change func(*policy.AuthHost)) *ipc.AuthdReady {
	w.t.Helper()
	h := w.host()
	if change != nil {
		change(&h)
	}
	view := &policy.Authd{Hosts: []policy.AuthHost{h}}
	if w.view != nil {
		w.view(view)
	}
	fd, err := blob.Seal("authd", view)
	if err != nil {
		w.t.Fatal(err)
	}
	defer unix.Close(fd)
	w.send(&ipc.AuthdConfig{Generation: generation}, fd)
	ready := expect[ipc.AuthdReady](w)
	if ready.Generation != generation {
		w.t.Fatalf("generation %d", ready.Generation)
	}
	return ready
}

func (w *world) send(body any, fds ...int) {
	if err := w.master.Send(body, fds...); err != nil && !w.ending.Load() {
		w.t.Errorf("master sends %T: %v", body, err)
	}
}

// addWorker gives authd a hash worker; the returned function kills it.
func (w *world) addWorker() (kill func()) {
	ours, theirs, err := ipc.Pair()
	if err != nil {
		w.t.Error(err)
		return
	}
	go func() { _ = serveHashes(ours) }()
	w.send(&ipc.HashWorker{PID: 1}, theirs)
	unix.Close(theirs)
	return func() { _ = unix.Shutdown(ours, unix.SHUT_RDWR) }
}

// read is master's side of the dialogue.
func (w *world) read() {
	for {
		m, err := w.master.Recv()
		if err != nil {
			return
		}
		w.mu.Lock()
		outcome, pam, deaf := w.outcome, w.pam, w.noWorker
		w.mu.Unlock()
		switch b := m.Body.(type) {
		case *ipc.LoginReport:
			w.seen <- b
			if o := outcome(b); o != nil {
				w.send(o)
			}
		case *ipc.NeedHash:
			w.seen <- b
			if !deaf {
				w.addWorker()
			}
		case *ipc.NeedPam:
			w.seen <- b
			w.startPam(b.Session, pam)
		case *ipc.AuthdReady:
			w.master.SetState(ipc.AuthdServing)
			w.seen <- b
		default:
			w.seen <- b
		}
	}
}

func (w *world) startPam(id uint64, play func(*ipc.Conn)) {
	if play == nil {
		w.send(&ipc.PamHelper{Session: id})
		return
	}
	ours, theirs, err := ipc.Pair()
	if err != nil {
		w.t.Error(err)
		return
	}
	w.send(&ipc.PamHelper{Session: id}, theirs)
	unix.Close(theirs)
	go play(ipc.New(ours, ipc.AuthdPam, ipc.Pam))
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// expect waits for a message of type T from authd; others are passed over.
func expect[T any](w *world) *T {
	w.t.Helper()
	late := time.After(timeout)
	for {
		select {
		case b := <-w.seen:
			if m, ok := b.(*T); ok {
				return m
			}
		case <-late:
			var z T
			w.t.Fatalf("no %T from authd", z)
		}
	}
}

// client is a session process.
type client struct {
	w  *world
	id uint64
	c  *ipc.Conn
}

func (w *world) attach(change func(*ipc.Attach)) *client {
	w.t.Helper()
	ours, theirs, err := ipc.Pair()
	if err != nil {
		w.t.Fatal(err)
	}
	w.ids++
	a := &ipc.Attach{Session: w.ids, Peer: "192.0.2.1:40000", Local: "192.0.2.9:21", Host: "main", Protocol: "ftp"}
	if change != nil {
		change(a)
	}
	w.send(a, theirs)
	unix.Close(theirs)
	c := &client{w: w, id: a.Session, c: ipc.New(ours, ipc.SessionAuthd, ipc.Session)}
	_ = c.c.SetTimeout(timeout)
	w.t.Cleanup(c.c.Close)
	return c
}

func (c *client) ask(user, secret string) {
	c.w.t.Helper()
	if err := c.c.Send(&ipc.AuthRequest{User: user, Secret: []byte(secret), Method: "password"}); err != nil {
		c.w.t.Fatalf("session sends: %v", err)
	}
}

func (c *client) answer() *ipc.AuthReply {
	c.w.t.Helper()
	m, err := c.c.Recv()
	if err != nil {
		c.w.t.Fatalf("session %d: no answer: %v", c.id, err)
	}
	return m.Body.(*ipc.AuthReply)
}

func (c *client) login(user, secret string) *ipc.AuthReply {
	c.w.t.Helper()
	c.ask(user, secret)
	return c.answer()
}

// gone waits for the end of the channel.
func (c *client) gone() {
	c.w.t.Helper()
	if m, err := c.c.Recv(); err == nil {
		c.w.t.Fatalf("session %d: %+v instead of the end", c.id, m.Body)
	} else if err == ipc.ErrTimeout {
		c.w.t.Fatalf("session %d: the channel stays open", c.id)
	}
}

// settle returns when authd has handled what was sent before: it takes no more
// than a batch of messages from master before the others' turn.
func (w *world) settle() {
	w.t.Helper()
	for range batch + 2 {
		w.send(&ipc.Ping{})
		expect[ipc.Pong](w)
	}
}
