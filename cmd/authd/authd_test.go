package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sallyport/internal/auth"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/ipc/blob"
)

func TestARightPasswordIsReportedToMasterFirst(t *testing.T) {
	w := start(t, 1, defaultLimits, nil)
	c := w.attach(nil)
	if got := c.login("alice", "secret-alice"); got.Verdict != ipc.VerdictOK || got.User != "alice" {
		t.Fatalf("%+v", got)
	}
	want := &ipc.LoginReport{
		Session: c.id, User: "alice", UID: 2001, GID: 2001, Groups: []uint32{3000},
		GroupNames: []string{"alice", "staff"}, Home: "/srv/alice", Shell: "/bin/sh", Source: "file", Method: ipc.MethodPassword,
	}
	if d := cmp.Diff(want, expect[ipc.LoginReport](w)); d != "" {
		t.Error(d)
	}
	if r := expect[ipc.Released](w); r.Session != c.id {
		t.Errorf("released %d", r.Session)
	}
	// nothing more may be asked on this channel
	c.ask("alice", "secret-alice")
	if l := expect[ipc.AuthdLog](w); !strings.Contains(l.Text, "out of state") {
		t.Error(l.Text)
	}
	c.gone()
}

func TestFailuresAreCountedPerConnection(t *testing.T) {
	w := start(t, 1, defaultLimits, nil)
	c := w.attach(nil)
	for i, x := range []struct {
		user, secret, reason string
		verdict              uint8
	}{
		{"alice", "wrong", auth.ReasonPassword, ipc.VerdictDenied},
		{"nobody-at-all", "wrong", auth.ReasonNoUser, ipc.VerdictDenied},
		{"locked", "secret-locked", auth.ReasonDisabled, ipc.VerdictLast},
	} {
		if got := c.login(x.user, x.secret); got.Verdict != x.verdict {
			t.Fatalf("%s: %+v", x.user, got)
		}
		want := &ipc.LoginFailed{Session: c.id, User: x.user, Reason: x.reason, Failed: uint32(i + 1), Last: i == 2}
		if x.user != "nobody-at-all" {
			want.Source = "file"
		}
		if d := cmp.Diff(want, expect[ipc.LoginFailed](w)); d != "" {
			t.Error(d)
		}
	}
	c.ask("alice", "secret-alice") // the dialogue is closed
	c.gone()
}

// TestHastyAttemptsWait: where attempts are not counted, a client may make many in a
// second; one above what authd does in a second waits for the next one, whatever its
// answer will be.
func TestHastyAttemptsWait(t *testing.T) {
	w := start(t, 1, defaultLimits, func(h *policy.AuthHost) { h.LoginAttempts = 0 })
	c := w.attach(nil)
	for i := range maxAttempts + 5 {
		if got := c.login("nobody-at-all", "wrong"); got.Verdict != ipc.VerdictDenied {
			t.Fatalf("attempt %d: %+v", i, got)
		}
	}
	if got := c.login("alice", "secret-alice"); got.Verdict != ipc.VerdictOK {
		t.Errorf("after all of them: %+v", got)
	}
}

func TestTheCounterSurvivesARestart(t *testing.T) {
	w := start(t, 1, defaultLimits, nil)
	c := w.attach(func(a *ipc.Attach) { a.Failed = 2 })
	if got := c.login("alice", "wrong"); got.Verdict != ipc.VerdictLast {
		t.Errorf("%+v", got)
	}
	if f := expect[ipc.LoginFailed](w); f.Failed != 3 || !f.Last {
		t.Errorf("%+v", f)
	}
}

func TestMasterMayRefuseARightPassword(t *testing.T) {
	w := start(t, 1, defaultLimits, nil)
	w.set(func() {
		w.outcome = func(r *ipc.LoginReport) *ipc.LoginOutcome {
			return &ipc.LoginOutcome{Session: r.Session, Reason: "home is missing", Close: r.Session == 2, Text: "Sorry."}
		}
	})
	c := w.attach(nil)
	if got := c.login("alice", "secret-alice"); got.Verdict != ipc.VerdictDenied || got.Text != "Sorry." || got.User != "" {
		t.Errorf("%+v", got)
	}
	if f := expect[ipc.LoginFailed](w); f.Reason != "home is missing" || f.Failed != 1 || f.Source != "file" {
		t.Errorf("%+v", f)
	}
	if got := c.login("alice", "wrong"); got.Verdict != ipc.VerdictDenied {
		t.Errorf("after a retryable refusal: %+v", got)
	}
	c = w.attach(nil)
	if got := c.login("alice", "secret-alice"); got.Verdict != ipc.VerdictRefused || got.Text != "Sorry." {
		t.Errorf("%+v", got)
	}
}

func TestSessionsThatMisbehaveEndAlone(t *testing.T) {
	w := start(t, 1, defaultLimits, nil)
	good := w.attach(nil)
	raw := func(b []byte) func(*client) {
		return func(c *client) { _, _ = unix.Write(c.c.FD(), b) }
	}
	for name, act := range map[string]func(*client){
		"not msgpack":          raw([]byte("USER alice")),
		"eight bytes of array": raw([]byte{0x93, 1, 1, 0xdd, 0xff, 0xff, 0xff, 0xff, 0}),
		"authd's own message":  raw([]byte{0x93, 2, 1, 0x93, 1, 0xa0, 0xa0}),
		"a message of 100 KiB": raw(make([]byte, 100<<10)),
		"an over-long name":    raw(append([]byte{0x93, 1, 1, 0x93, 0xda, 1, 1}, make([]byte, 300)...)),
		"an unknown method":    func(c *client) { _ = c.c.Send(&ipc.AuthRequest{User: "alice", Method: "guess"}) },
		"requests without waiting": func(c *client) {
			for range 10 { // below the limit of messages; one answered in between changes nothing
				_ = c.c.TrySend(&ipc.AuthRequest{User: "alice", Secret: []byte("x"), Method: "password"})
			}
		},
		"a hundred at once":     func(c *client) { flood(c) },
		"bytes after a message": raw([]byte{0x93, 1, 1, 0x93, 0xa0, 0xa0, 0xa0, 0}),
	} {
		t.Run(name, func(t *testing.T) {
			c := w.attach(nil)
			act(c)
			for {
				if l := expect[ipc.AuthdLog](w); strings.Contains(l.Text, "login channel ended") {
					break
				}
			}
			for { // an answer may have been on its way
				if _, err := c.c.Recv(); err != nil {
					break
				}
			}
			w.send(&ipc.Detach{Session: c.id})
		})
	}
	if got := good.login("alice", "secret-alice"); got.Verdict != ipc.VerdictOK {
		t.Errorf("a neighbour was disturbed: %+v", got)
	}
}

func flood(c *client) {
	for range 100 {
		if c.c.TrySend(&ipc.AuthRequest{User: "alice", Secret: []byte("x"), Method: "password"}) != nil {
			return
		}
	}
}

func TestHostileHelpersAreGivenUp(t *testing.T) {
	l := defaultLimits
	l.hashTime = 500 * time.Millisecond // for the decoy that nobody computes
	w := start(t, 0, l, func(h *policy.AuthHost) { h.Order = []policy.AuthSource{{Name: "file"}, {Name: "pam", Final: true}} })
	w.set(func() { w.noWorker = true })
	bad := func() {
		ours, theirs, _ := ipc.Pair()
		w.send(&ipc.HashWorker{PID: 2}, theirs)
		unix.Close(theirs)
		h := ipc.New(ours, ipc.AuthdHash, ipc.Hash)
		go func() {
			m, err := h.Recv()
			if err == nil { // "yes" to another question
				_ = h.Send(&ipc.HashReply{ID: m.Body.(*ipc.HashRequest).ID + 1, Match: true})
			}
		}()
	}
	bad()
	w.set(func() {
		w.pam = func(c *ipc.Conn) {
			_, _ = c.Recv()
			_, _ = unix.Write(c.FD(), []byte{0x93, 2, 1, 0xdd})
			_, _ = c.Recv()
			c.Close()
		}
	})
	c := w.attach(nil)
	if got := c.login("alice", "secret-alice"); got.Verdict != ipc.VerdictUnavailable {
		t.Errorf("%+v", got)
	}
	expect[ipc.NeedHash](w)
}

// mortal gives authd a hash worker that dies of its first request.
func (w *world) mortal() (dead chan struct{}) {
	ours, theirs, err := ipc.Pair()
	if err != nil {
		w.t.Fatal(err)
	}
	w.send(&ipc.HashWorker{PID: 2}, theirs)
	unix.Close(theirs)
	dead = make(chan struct{})
	go func() {
		defer close(dead)
		h := ipc.New(ours, ipc.AuthdHash, ipc.Hash)
		_, _ = h.Recv()
		h.Close()
	}()
	return dead
}

// TestAHashIsTriedOnASecondWorker: one that dies costs its login some time; work
// that two have died of is given up.
func TestAHashIsTriedOnASecondWorker(t *testing.T) {
	w := start(t, 0, defaultLimits, nil)
	w.set(func() { w.noWorker = true })
	dead := w.mortal()
	c := w.attach(nil)
	c.ask("alice", "secret-alice")
	<-dead
	w.addWorker()
	if got := c.answer(); got.Verdict != ipc.VerdictOK {
		t.Errorf("after the first worker's death: %+v", got)
	}
}

func TestWorkThatKillsTwoWorkersIsGivenUp(t *testing.T) {
	w := start(t, 0, defaultLimits, nil)
	w.set(func() { w.noWorker = true })
	one, two := w.mortal(), w.mortal()
	c := w.attach(nil)
	c.ask("alice", "secret-alice")
	if got := c.answer(); got.Verdict != ipc.VerdictUnavailable {
		t.Errorf("%+v", got)
	}
	<-one
	<-two
	expect[ipc.NeedHash](w)
	w.addWorker()
	if got := w.attach(nil).login("alice", "secret-alice"); got.Verdict != ipc.VerdictOK {
		t.Errorf("after the replacement: %+v", got)
	}
}

func TestDeadlinesOfTheSteps(t *testing.T) {
	short := defaultLimits
	short.hashTime, short.pamTime, short.askTime = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	t.Run("hash", func(t *testing.T) {
		w := start(t, 0, short, nil)
		w.set(func() { w.noWorker = true })
		if got := w.attach(nil).login("alice", "secret-alice"); got.Verdict != ipc.VerdictUnavailable {
			t.Errorf("%+v", got)
		}
	})
	t.Run("pam", func(t *testing.T) {
		w := start(t, 0, short, func(h *policy.AuthHost) { h.Order = []policy.AuthSource{{Name: "pam", Final: true}} })
		gone := make(chan error, 1)
		w.set(func() {
			w.pam = func(c *ipc.Conn) { _, _ = c.Recv(); _, err := c.Recv(); gone <- err }
		})
		if got := w.attach(nil).login("carol", "x"); got.Verdict != ipc.VerdictUnavailable {
			t.Errorf("%+v", got)
		}
		if err := <-gone; err == nil {
			t.Error("the helper was not cut off")
		}
	})
	t.Run("master", func(t *testing.T) {
		w := start(t, 1, defaultLimits, nil)
		w.stop()
		short.hashTime = timeout
		w = start(t, 1, short, nil)
		w.set(func() { w.outcome = func(*ipc.LoginReport) *ipc.LoginOutcome { return nil } })
		if got := w.attach(nil).login("alice", "secret-alice"); got.Verdict != ipc.VerdictUnavailable {
			t.Errorf("%+v", got)
		}
	})
}

func pamYes(keep bool, closed chan<- string) func(*ipc.Conn) {
	return func(c *ipc.Conn) {
		defer c.Close()
		m, err := c.Recv()
		if err != nil {
			return
		}
		r := m.Body.(*ipc.PamRequest)
		reply := &ipc.PamReply{Reason: auth.ReasonPassword, User: r.User}
		if string(r.Secret) == "secret-"+r.User {
			reply = &ipc.PamReply{
				OK: true, Known: true, User: r.User, UID: 1234, GID: 1234, Groups: []uint32{4000},
				GroupNames: []string{"carol", "ldap"}, Home: "/home/carol", Shell: "/bin/sh", KeepOpen: keep,
			}
		}
		_ = c.Send(reply)
		if !keep || !reply.OK {
			return
		}
		c.SetState(ipc.PamOpen)
		m, err = c.Recv()
		switch {
		case err != nil:
			closed <- "eof"
		default:
			closed <- strings.TrimPrefix(cmp.Diff(nil, m.Body), "")
		}
	}
}

func TestPamSessionsStayUntilDetach(t *testing.T) {
	w := start(t, 1, defaultLimits, func(h *policy.AuthHost) {
		h.Order = []policy.AuthSource{{Name: "file"}, {Name: "pam", Final: true}}
	})
	closed := make(chan string, 1)
	w.set(func() { w.pam = pamYes(true, closed) })
	c := w.attach(nil)
	if got := c.login("carol", "wrong"); got.Verdict != ipc.VerdictDenied {
		t.Fatalf("%+v", got)
	}
	if got := c.login("carol", "secret-carol"); got.Verdict != ipc.VerdictOK {
		t.Fatalf("%+v", got)
	}
	if r := expect[ipc.LoginReport](w); r.UID != 1234 || r.Source != "pam" || !slices.Equal(r.Groups, []uint32{4000}) {
		t.Errorf("%+v", r)
	}
	names := w.names(c)
	got, _, err := ipc.Call[ipc.NamesReply](names, &ipc.NamesRequest{UIDs: []uint32{1234, 2001, 1005, 7}, GIDs: []uint32{4000, 3000, 1005, 7}})
	if err != nil {
		t.Fatal(err)
	}
	want := &ipc.NamesReply{Users: []string{"carol", "alice", "bob", ""}, Groups: []string{"ldap", "staff", "bob", ""}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	c.c.Close() // the session has no more use for it; the PAM session stays
	select {
	case what := <-closed:
		t.Fatalf("closed early: %s", what)
	default:
	}
	w.send(&ipc.Detach{Session: c.id})
	if what := <-closed; what == "eof" {
		t.Error("the helper was not told to close its session")
	}
	if _, err := names.Recv(); err == nil || err == ipc.ErrTimeout {
		t.Errorf("names channel after Detach: %v", err)
	}
}

func (w *world) names(c *client) *ipc.Conn {
	ours, theirs, err := ipc.Pair()
	if err != nil {
		w.t.Fatal(err)
	}
	w.send(&ipc.Names{Session: c.id}, theirs)
	unix.Close(theirs)
	n := ipc.New(ours, ipc.FilesAuthd, ipc.Files)
	_ = n.SetTimeout(timeout)
	w.t.Cleanup(n.Close)
	return n
}

func TestARefusedPamLoginClosesItsSession(t *testing.T) {
	w := start(t, 1, defaultLimits, func(h *policy.AuthHost) { h.Order = []policy.AuthSource{{Name: "pam", Final: true}} })
	closed := make(chan string, 1)
	w.set(func() {
		w.pam = pamYes(true, closed)
		w.outcome = func(r *ipc.LoginReport) *ipc.LoginOutcome {
			return &ipc.LoginOutcome{Session: r.Session, Reason: "too many"}
		}
	})
	if got := w.attach(nil).login("carol", "secret-carol"); got.Verdict != ipc.VerdictDenied {
		t.Fatalf("%+v", got)
	}
	if what := <-closed; what == "eof" {
		t.Error("the helper was not told to close its session")
	}
}

func TestAttemptsOfOneNetworkWaitInBounds(t *testing.T) {
	w := start(t, 0, defaultLimits, nil)
	w.set(func() { w.noWorker = true })
	var waiting []*client
	for range defaultLimits.waiting {
		c := w.attach(nil)
		c.ask("alice", "secret-alice")
		waiting = append(waiting, c)
	}
	w.settle()
	if got := w.attach(func(a *ipc.Attach) { a.Peer = "192.0.2.1:1" }).login("alice", "secret-alice"); got.Verdict != ipc.VerdictDenied {
		t.Errorf("one more: %+v", got)
	}
	if f := expect[ipc.LoginFailed](w); f.Reason != auth.ReasonBusy {
		t.Errorf("%+v", f)
	}
	other := w.attach(func(a *ipc.Attach) { a.Peer = "[2001:db8::1]:1" })
	other.ask("alice", "secret-alice")
	w.settle()
	w.addWorker()
	if got := other.answer(); got.Verdict != ipc.VerdictOK {
		t.Errorf("another network: %+v", got)
	}
	for _, c := range waiting {
		if got := c.answer(); got.Verdict != ipc.VerdictOK {
			t.Errorf("%+v", got)
		}
	}
}

func TestDetachCancelsWaitingWork(t *testing.T) {
	w := start(t, 0, defaultLimits, nil)
	w.set(func() { w.noWorker = true })
	for range 3 * defaultLimits.waiting {
		c := w.attach(nil)
		c.ask("alice", "secret-alice")
		w.send(&ipc.Detach{Session: c.id})
		c.gone()
	}
	w.addWorker()
	if got := w.attach(nil).login("alice", "secret-alice"); got.Verdict != ipc.VerdictOK {
		t.Errorf("%+v", got)
	}
}

func TestReloadChangesNewSessionsAndABadViewNothing(t *testing.T) {
	w := start(t, 1, defaultLimits, nil)
	old := w.attach(nil)
	w.configure(2, func(h *policy.AuthHost) { h.LoginAttempts = 1 })
	if got := w.attach(nil).login("alice", "x"); got.Verdict != ipc.VerdictLast {
		t.Errorf("new session: %+v", got)
	}
	fd, err := blob.Seal("junk", &policy.Rate{Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	w.send(&ipc.AuthdConfig{Generation: 3}, fd)
	if r := expect[ipc.AuthdReady](w); r.OK || len(r.Errors) != 1 {
		t.Errorf("%+v", r)
	}
	if got := w.attach(nil).login("alice", "x"); got.Verdict != ipc.VerdictLast {
		t.Errorf("after the bad view: %+v", got)
	}
	if got := old.login("alice", "x"); got.Verdict != ipc.VerdictDenied {
		t.Errorf("old session: %+v", got)
	}
}

func TestWhatIsWrongWithTheFilesIsSaid(t *testing.T) {
	w := start(t, 1, defaultLimits, nil)
	users := filepath.Join(w.dir, "users")
	if err := os.WriteFile(users, []byte(user("alice", 2001)+"bad line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := w.attach(nil).login("alice", "secret-alice"); got.Verdict != ipc.VerdictOK {
		t.Errorf("%+v", got)
	}
	if l := expect[ipc.AuthdLog](w); !strings.Contains(l.Text, "users:2: 1 fields") {
		t.Error(l.Text)
	}
	if err := os.Chmod(users, 0o666); err != nil {
		t.Fatal(err)
	}
	h := w.host()
	h.Order = append(h.Order, policy.AuthSource{Name: "pam", Final: true})
	h.PamService = "missing"
	fd, _ := blob.Seal("authd", &policy.Authd{Hosts: []policy.AuthHost{h}})
	defer unix.Close(fd)
	w.send(&ipc.AuthdConfig{Generation: 2}, fd)
	r := expect[ipc.AuthdReady](w)
	if r.OK || len(r.Errors) != 2 || !strings.Contains(r.Errors[0], "PAM service missing") || !strings.Contains(r.Errors[1], "world-writable") {
		t.Errorf("%+v", r)
	}
	if got := w.attach(nil).login("alice", "secret-alice"); got.Verdict != ipc.VerdictOK {
		t.Errorf("the view that cannot be served has replaced the one before: %+v", got)
	}
}

// TestAStartWithABadViewFailsClosed: where there is no earlier view, the host
// that cannot be served as configured refuses.
func TestAStartWithABadViewFailsClosed(t *testing.T) {
	w := start(t, 1, defaultLimits, func(h *policy.AuthHost) {
		h.Order, h.PamService = append(h.Order, policy.AuthSource{Name: "pam", Final: true}), "missing"
	})
	if got := w.attach(nil).login("alice", "wrong"); got.Verdict != ipc.VerdictUnavailable {
		t.Errorf("%+v", got)
	}
}

func TestAnUnknownHostRefuses(t *testing.T) {
	w := start(t, 1, defaultLimits, nil)
	c := w.attach(func(a *ipc.Attach) { a.Host = "other" })
	if got := c.login("alice", "secret-alice"); got.Verdict != ipc.VerdictUnavailable {
		t.Errorf("%+v", got)
	}
}

func TestPingIsAnswered(t *testing.T) {
	w := start(t, 0, defaultLimits, nil)
	w.send(&ipc.Ping{})
	expect[ipc.Pong](w)
}
