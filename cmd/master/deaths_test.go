package main

import (
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// inside is a master without listeners, for the moments between two messages
// that no client can bring about at will.
type inside struct {
	*master
	t   *testing.T
	out string // file of its log
}

// logged is what it has logged, as text.
func (m *inside) logged() string {
	b, err := os.ReadFile(m.out)
	must(m.t, err)
	return string(b)
}

func newInside(t *testing.T) *inside {
	t.Helper()
	return newInsideWith(t, &policy.Policy{Hosts: []policy.Host{{Name: "default", Base: policy.Settings{MinUID: 1000}}}})
}

func newInsideWith(t *testing.T, p *policy.Policy) *inside {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "log"))
	must(t, err)
	t.Cleanup(func() { out.Close() })
	log, err := logging.New(logging.Options{Output: out, Format: logging.FormatText})
	must(t, err)
	l, err := newLoop(monotonic)
	must(t, err)
	m := newMaster(&options{}, log, l)
	m.board, err = shm.CreateBoard(t.TempDir(), "inside", 4)
	must(t, err)
	m.stopping = true // nothing is started
	m.install(newGeneration(1, p))
	t.Cleanup(func() {
		m.board.Close()
		log.Close(time.Second)
	})
	return &inside{m, t, out.Name()}
}

// turn runs the loop until ok.
func (m *inside) turn(what string, ok func() bool) {
	m.t.Helper()
	end := time.Now().Add(20 * time.Second)
	var look timer
	look.fn = func() {
		if ok() || time.Now().After(end) {
			m.loop.stop()
			return
		}
		m.loop.after(&look, time.Millisecond)
	}
	m.loop.now = m.loop.clock()
	m.loop.after(&look, 0)
	m.loop.stopped = false
	must(m.t, m.loop.run())
	if !ok() {
		m.t.Fatalf("waited 20 s for %s", what)
	}
}

// process starts one that stays until it is killed.
func (m *inside) process(name string) *child {
	m.t.Helper()
	cmd := exec.Command("sleep", "600")
	must(m.t, cmd.Start())
	fd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	must(m.t, err)
	m.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &child{name: name, pid: cmd.Process.Pid, pidfd: fd}
}

// spare is a session and its ends of its channels.
func (m *inside) spare() (s *session, lane, notice *ipc.Conn) {
	m.t.Helper()
	page, err := newPage()
	must(m.t, err)
	l, theirLane, err := ipc.Pair()
	must(m.t, err)
	n, theirNotice, err := ipc.Pair()
	must(m.t, err)
	s, err = m.newSession(m.process("session"), l, n, page)
	must(m.t, err)
	lane = ipc.New(theirLane, ipc.SessionLane, ipc.Session)
	notice = ipc.New(theirNotice, ipc.SessionNotice, ipc.Session)
	m.t.Cleanup(func() { lane.Close(); notice.Close() })
	return s, lane, notice
}

// arrival is a client that has been greeted, and its end of the connection.
func (m *inside) arrival() (*client, *os.File) {
	m.t.Helper()
	return m.arrivalFrom("192.0.2.1:999", "192.0.2.2:21")
}

func (m *inside) arrivalFrom(peer, local string) (*client, *os.File) {
	m.t.Helper()
	return m.arrivalBy(peer, local, false)
}

func (m *inside) arrivalBy(peer, local string, proxied bool) (*client, *os.File) {
	m.t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(m.t, err)
	m.nextID++
	c := &client{
		id: m.nextID, fd: p[0], peer: netip.MustParseAddrPort(peer), local: netip.MustParseAddrPort(local),
		proxied: proxied, accepted: m.loop.now,
	}
	c.bound, c.via = c.local, c.peer
	c.sit(m.decide(c.peer.Addr(), c.local))
	m.adopt(c)
	f := os.NewFile(uintptr(p[1]), "client")
	m.t.Cleanup(func() { f.Close() })
	return c, f
}

// empty holds that nothing is left of anybody.
func (m *inside) empty() {
	m.t.Helper()
	if !m.places.empty() {
		m.t.Errorf("left: places %+v", m.places)
	}
	if m.census.live != 0 || m.census.unauth != 0 || len(m.census.byHost)+len(m.census.byOrigin) != 0 || len(m.clients)+len(m.sessions)+len(m.children) != 0 {
		m.t.Errorf("left: census %+v, %d clients, %d sessions, %d children", m.census, len(m.clients), len(m.sessions), len(m.children))
	}
	for _, c := range []shm.Counter{shm.SessionsLive, shm.SessionsOpen} {
		if n := m.board.Get(c); n != 0 {
			m.t.Errorf("counter %d is %d", c, n)
		}
	}
}

// TestASpareThatHasJustDiedCostsItsClientAReply: the pool's session is gone
// before master knows. The client is told, and the counters stay right.
func TestASpareThatHasJustDiedCostsItsClientAReply(t *testing.T) {
	m := newInside(t)
	s, lane, notice := m.spare()
	lane.Close()
	notice.Close()
	c, end := m.arrival()
	m.assign(s, c)
	got, err := io.ReadAll(end)
	if err != nil || !strings.HasPrefix(string(got), "421 ") {
		t.Errorf("the client reads %q, %v", got, err)
	}
	m.turn("the session to be settled", func() bool { return len(m.sessions) == 0 })
	m.empty()
}

// TestASessionThatDiesLeavesItsClientAReply, since nobody else can say it.
func TestASessionThatDiesLeavesItsClientAReply(t *testing.T) {
	m := newInside(t)
	s, _, _ := m.spare()
	c, end := m.arrival()
	m.assign(s, c)
	s.signal(unix.SIGKILL)
	m.turn("the session to be settled", func() bool { return len(m.sessions) == 0 })
	if got, err := io.ReadAll(end); err != nil || string(got) != "421 "+textNoService+"\r\n" {
		t.Errorf("the client reads %q, %v", got, err)
	}
	m.empty()
}

// inAuthd puts a session's right attempt into the hands of an authd.
func (m *inside) inAuthd(s *session) *authd {
	m.t.Helper()
	ours, theirs, err := ipc.Pair()
	must(m.t, err)
	m.t.Cleanup(func() { unix.Close(theirs) })
	a := &authd{child: m.process("authd"), serving: true, users: 1}
	m.watchAuthd(a, ours, ipc.AuthdServing)
	s.auth = a
	q := &ipc.LoginReport{Session: s.c.id, User: "ann", UID: 1001, GID: 1001, Source: "file"}
	if full := m.claimPlace(s, q, s.c.base, nil); full != nil {
		m.t.Fatalf("no place: %+v", full)
	}
	s.login = &login{report: q, set: s.c.base, answered: true}
	fd, other, err := ipc.Pair()
	must(m.t, err)
	unix.Close(other)
	lane, end, err := ipc.Pair()
	must(m.t, err)
	unix.Close(end)
	m.watchFiles(s, &filesProc{child: m.process("files"), lane: lane, home: "/"}, fd, ipc.FilesServing)
	return a
}

// TestAVerdictOutlivesAuthd: authd dies after it has told the session of its
// success. The session's call for its files is no violation then.
func TestAVerdictOutlivesAuthd(t *testing.T) {
	for _, released := range []bool{true, false} {
		m := newInside(t)
		s, lane, _ := m.spare()
		c, _ := m.arrival()
		m.assign(s, c)
		a := m.inAuthd(s)
		s.login.released = released
		a.signal(unix.SIGKILL)
		m.turn("authd to be settled", func() bool { return a.exited })
		if !released {
			if s.login != nil || s.files != nil {
				t.Error("an attempt that nobody can finish is kept")
			}
		} else {
			lane.SetState(ipc.SessionLogin)
			must(t, lane.Send(&ipc.TakeFiles{}))
			m.turn("the session to be open", func() bool { return s.open || s.exited })
			lane.SetState(ipc.SessionLogin)
			r, err := lane.Recv()
			must(t, err)
			if f, ok := r.Body.(*ipc.FilesChannel); !ok || f.Refused || len(r.FDs) != 2 {
				t.Errorf("%+v with %d descriptors", r.Body, len(r.FDs))
			}
			r.Close()
		}
		s.signal(unix.SIGKILL)
		m.turn("everything to end", func() bool { return len(m.children) == 0 })
		m.empty()
	}
}

// TestAProcessThatCannotBeWatchedIsBuriedAllTheSame, so that a stop does not
// wait for it for ever.
func TestAProcessThatCannotBeWatchedIsBuriedAllTheSame(t *testing.T) {
	m := newInside(t)
	c := m.process("session")
	must(t, m.loop.add(c.pidfd, 0, func(uint32) {})) // the second time it is refused
	ended := false
	if err := m.supervise(c, func(unix.WaitStatus) { ended = true }); err == nil {
		t.Fatal("watched twice")
	}
	m.turn("its end", func() bool { return ended })
	m.empty()
}

func TestVet(t *testing.T) {
	ranged := policy.AuthHost{FileRule: policy.FileRule{MinID: 2000, MaxID: 2999}}
	for _, c := range []struct {
		name string
		q    ipc.LoginReport
		auth policy.AuthHost
		ok   bool
	}{
		{"file", ipc.LoginReport{User: "a", UID: 1, GID: 1, Source: "file"}, policy.AuthHost{}, true},
		{"file in the range", ipc.LoginReport{User: "a", UID: 2000, GID: 100, Source: "file"}, ranged, true},
		{"below the range", ipc.LoginReport{User: "a", UID: 1999, GID: 2500, Source: "file"}, ranged, false},
		{"above the range", ipc.LoginReport{User: "a", UID: 3000, GID: 2500, Source: "file"}, ranged, false},
		{"the range is not for others", ipc.LoginReport{User: "a", UID: 1000, GID: 100, Source: "unix"}, ranged, true},
		{"low system user", ipc.LoginReport{User: "a", UID: 999, GID: 100, Source: "pam"}, policy.AuthHost{}, false},
		{"root", ipc.LoginReport{User: "a", GID: 1, Source: "file"}, policy.AuthHost{}, false},
		{"root's group", ipc.LoginReport{User: "a", UID: 1000, Source: "unix"}, policy.AuthHost{}, false},
		{"root among the groups", ipc.LoginReport{User: "a", UID: 1000, GID: 1, Groups: []uint32{4, 0}, Source: "unix"}, policy.AuthHost{}, false},
		{"root is let in", ipc.LoginReport{User: "root", Source: "unix"}, policy.AuthHost{RootLogin: true}, true},
		{"nameless", ipc.LoginReport{UID: 1000, GID: 1, Source: "file"}, policy.AuthHost{}, false},
		{"source", ipc.LoginReport{User: "a", UID: 1000, GID: 1, Source: "ldap"}, policy.AuthHost{}, false},
	} {
		if why := vet(&c.q, &policy.Settings{Auth: c.auth, MinUID: 1000}, false); why == "" != c.ok {
			t.Errorf("%s: %q", c.name, why)
		}
	}
}

func TestOwnAddress(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1:2000": true, "127.9.8.7:2000": true, "192.0.2.77:2000": false, "[2001:db8::77]:2000": false,
	} {
		if got := ownAddress(netip.MustParseAddrPort(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
