package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/auth"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// delayed turns the engine on.
func delayed(events ...policy.DelayEvent) func(*policy.AuthHost) {
	return func(h *policy.AuthHost) {
		h.Delay = policy.Delay{Engine: true, Policy: "deadline", Cap: int64(2 * time.Second), Events: events}
	}
}

// listen lets authd tell of every answer.
func (w *world) listen() { w.send(&ipc.DelayTrace{Level: 5}) }

// timed logs in and holds the answer against what authd says of it: it left at
// the deadline or behind it, and not before the moment that was chosen.
func (c *client) timed(user, secret string) (*ipc.AuthReply, *ipc.DelayNote) {
	c.w.t.Helper()
	start := time.Now()
	r := c.login(user, secret)
	took := time.Since(start)
	n := expect[ipc.DelayNote](c.w)
	for n.Session != c.id {
		n = expect[ipc.DelayNote](c.w)
	}
	if n.Deadline <= 0 || n.At < n.Deadline+n.Event {
		c.w.t.Errorf("%s: leaves at %v, deadline %v, on_event %v", user, time.Duration(n.At), time.Duration(n.Deadline), time.Duration(n.Event))
	}
	if took < time.Duration(n.At) {
		c.w.t.Errorf("%s: answered after %v, %v was chosen", user, took, time.Duration(n.At))
	}
	return r, n
}

// TestEveryVerdictWaitsForTheDeadline: whatever it is, and whether there is an
// on_event rule.
func TestEveryVerdictWaitsForTheDeadline(t *testing.T) {
	pass := policy.DelayEvent{Event: "PASS", Min: int64(20 * time.Millisecond), Max: int64(30 * time.Millisecond)}
	failed := policy.DelayEvent{Event: "FailedLogin", Min: int64(50 * time.Millisecond), Max: int64(60 * time.Millisecond)}
	for name, events := range map[string][]policy.DelayEvent{"no rule": nil, "rules": {pass, failed}} {
		t.Run(name, func(t *testing.T) {
			w := start(t, 1, defaultLimits, delayed(events...))
			w.listen()
			refusal := func(o ipc.LoginOutcome) func() {
				return func() {
					w.outcome = func(r *ipc.LoginReport) *ipc.LoginOutcome { x := o; x.Session = r.Session; return &x }
				}
			}
			yes := refusal(ipc.LoginOutcome{OK: true})
			for _, c := range []struct {
				what, user, secret string
				outcome            func()
				before             uint32 // failures
				verdict            uint8
			}{
				{"a success", "alice", "secret-alice", yes, 0, ipc.VerdictOK},
				{"a wrong password", "alice", "wrong", yes, 0, ipc.VerdictDenied},
				{"an unknown name", "ghost", "wrong", yes, 0, ipc.VerdictDenied},
				{"an odd name", "a b", "wrong", yes, 0, ipc.VerdictDenied},
				{"a locked account", "locked", "secret-locked", yes, 0, ipc.VerdictDenied},
				{"a long password", "alice", strings.Repeat("x", 2000), yes, 0, ipc.VerdictDenied},
				{"an empty password", "alice", "", yes, 0, ipc.VerdictDenied},
				{"the last attempt", "alice", "wrong", yes, 2, ipc.VerdictLast},
				{"the last attempt, unknown", "ghost", "wrong", yes, 2, ipc.VerdictLast},
				{"refused after a right password", "alice", "secret-alice", refusal(ipc.LoginOutcome{Reason: "a limit"}), 0, ipc.VerdictDenied},
				{"refused for good", "alice", "secret-alice", refusal(ipc.LoginOutcome{Reason: "no home", Close: true}), 0, ipc.VerdictRefused},
			} {
				w.set(c.outcome)
				r, n := w.attach(func(a *ipc.Attach) { a.Failed = c.before }).timed(c.user, c.secret)
				if r.Verdict != c.verdict {
					t.Errorf("%s: verdict %d", c.what, r.Verdict)
				}
				least := int64(0)
				if events != nil {
					if least = pass.Min; c.verdict != ipc.VerdictOK {
						least = failed.Min
					}
				}
				if n.Event < least || (events == nil) != (n.Event == 0) {
					t.Errorf("%s: on_event adds %v", c.what, time.Duration(n.Event))
				}
			}
		})
	}
}

// TestRefusalsWithoutWorkAreTimedToo: too much waits, or too many answers are
// parked.
func TestRefusalsWithoutWorkAreTimedToo(t *testing.T) {
	t.Run("queue", func(t *testing.T) {
		w := start(t, 0, defaultLimits, nil)
		w.set(func() { w.noWorker = true })
		w.configure(2, delayed())
		w.listen()
		l := defaultLimits
		waiting := func() *client {
			c := w.attach(func(a *ipc.Attach) { a.Peer = "198.51.100.7:1" })
			c.ask("alice", "secret-alice")
			return c
		}
		for range l.waiting + l.running + 1 {
			waiting()
		}
		w.settle()
		_, _ = w.attach(func(a *ipc.Attach) { a.Peer = "198.51.100.7:1" }).timed("alice", "secret-alice")
	})
	t.Run("parked", func(t *testing.T) {
		l := defaultLimits
		l.parkedNet = 2
		w := start(t, 1, l, delayed(policy.DelayEvent{Event: "FailedLogin", Min: int64(time.Hour), Max: int64(time.Hour)}))
		w.listen()
		for range 2 {
			w.attach(nil).ask("alice", "wrong")
			expect[ipc.LoginFailed](w)
		}
		c := w.attach(nil)
		c.ask("alice", "secret-alice")
		if f := expect[ipc.LoginFailed](w); f.Reason != auth.ReasonBusy {
			t.Errorf("%+v", f)
		}
		n := expect[ipc.DelayNote](w)
		for n.Session != c.id {
			n = expect[ipc.DelayNote](w)
		}
		if n.Event != int64(time.Hour) || n.Sampled {
			t.Errorf("the refusal is timed like any other: %+v", n)
		}
		w.send(&ipc.Detach{Session: 1}) // a client that hangs up gives its place back
		other := w.attach(func(a *ipc.Attach) { a.Protocol = "ftp" })
		w.settle()
		other.ask("alice", "secret-alice")
		if r := expect[ipc.LoginReport](w); r.User != "alice" {
			t.Errorf("%+v", r)
		}
	})
}

// TestASampleIsAuthdsOwnWork: not the wait for a turn.
func TestASampleIsAuthdsOwnWork(t *testing.T) {
	w := start(t, 0, defaultLimits, nil)
	w.set(func() { w.noWorker = true })
	w.configure(2, delayed())
	w.listen()
	ours, theirs, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	hash := ipc.New(ours, ipc.AuthdHash, ipc.Hash)
	t.Cleanup(hash.Close)
	next := func() *ipc.HashRequest {
		m, err := hash.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return m.Body.(*ipc.HashRequest)
	}
	w.send(&ipc.HashWorker{PID: 9}, theirs)
	unix.Close(theirs)
	first := next() // of the measurement: it holds the worker
	c := w.attach(nil)
	c.ask("alice", "wrong")
	w.settle()
	const wait = 2 * time.Second
	time.Sleep(wait) // what is measured here is this time
	q := first
	for range 4 { // the rest of the measurement may stand before it
		if err := hash.Send(&ipc.HashReply{ID: q.ID}); err != nil {
			t.Fatal(err)
		}
		if q = next(); string(q.Secret) == "wrong" {
			break
		}
	}
	if err := hash.Send(&ipc.HashReply{ID: q.ID}); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			m, err := hash.Recv()
			if err != nil || hash.Send(&ipc.HashReply{ID: m.Body.(*ipc.HashRequest).ID}) != nil {
				return
			}
		}
	}()
	c.answer()
	n := expect[ipc.DelayNote](w)
	if n.Queued < int64(wait) || n.Work >= n.Queued || !n.Sampled {
		t.Errorf("waited %v for its turn, worked for %v, sampled %v", time.Duration(n.Queued), time.Duration(n.Work), n.Sampled)
	}
}

// shared gives authd a DelayTable as master does.
func (w *world) shared(d *shm.DelayObject) {
	w.t.Helper()
	fd, err := d.ReadWrite()
	if err != nil {
		w.t.Fatal(err)
	}
	key := d.Key()
	w.send(&ipc.DelayShare{Key: key[:]}, fd)
	unix.Close(fd)
}

func delayObject(t *testing.T) *shm.DelayObject {
	t.Helper()
	dir, err := os.MkdirTemp(shm.Dir, "sallyport-test")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d, err := shm.OpenDelayObject(dir, "test", 16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	d.Seed([shm.DelayKeySize]byte{1}, nil)
	return d
}

// find returns a row of the shared table.
func find(d *shm.DelayObject, host, protocol, step string) *shm.DelayRow {
	rows, _ := d.Rows()
	for i := range rows {
		if rows[i].Key == shm.NewDelayKey(host, protocol, step) {
			return &rows[i]
		}
	}
	return nil
}

// TestTheTableOutlivesAuthd and follows the configuration: changed settings
// clear the rows of their host alone, the delay's own do not.
func TestTheTableOutlivesAuthd(t *testing.T) {
	d := delayObject(t)
	w := start(t, 1, defaultLimits, delayed())
	w.shared(d)
	w.attach(func(a *ipc.Attach) { a.Peer = "192.0.2.1:1" }).login("alice", "secret-alice")
	w.attach(func(a *ipc.Attach) { a.Peer = "192.0.2.1:1"; a.Protocol = "ftps" }).login("alice", "wrong")
	w.settle()
	for _, c := range []struct {
		protocol, step string
		want           int
	}{{"ftp", "PASS", 1}, {"ftp", "start", 1}, {"ftps", "PASS", 1}, {"ftps", "start", 0}} {
		if r := find(d, "main", c.protocol, c.step); r == nil || r.Count != c.want {
			t.Errorf("%s %s: %+v", c.protocol, c.step, r)
		}
	}
	w.stop()

	w = startIn(t, w.dir, 1, defaultLimits, delayed())
	w.shared(d)
	w.attach(func(a *ipc.Attach) { a.Peer = "192.0.2.1:1" }).login("ghost", "wrong")
	w.settle()
	if r := find(d, "main", "ftp", "PASS"); r == nil || r.Count != 2 || r.Deadline <= 0 {
		t.Errorf("after a restart: %+v", r)
	}
	w.configure(2, delayed(policy.DelayEvent{Event: "PASS", Min: 1, Max: 2}))
	w.attach(nil).login("alice", "secret-alice")
	w.settle()
	if r := find(d, "main", "ftp", "PASS"); r.Count != 3 {
		t.Errorf("another delay: %d samples", r.Count)
	}
	w.configure(3, func(h *policy.AuthHost) { delayed()(h); h.Order = append(h.Order, policy.AuthSource{Name: "unix"}) })
	w.attach(nil).login("alice", "wrong")
	w.settle()
	if r := find(d, "main", "ftp", "PASS"); r.Count != 1 {
		t.Errorf("another order of the sources: %d samples", r.Count)
	}

	w.send(&ipc.DelayReset{ID: 7, Host: "another"})
	if r := expect[ipc.DelayCleared](w); r.ID != 7 || r.Rows != 0 {
		t.Errorf("%+v", r)
	}
	w.send(&ipc.DelayReset{ID: 8, Host: "main"})
	if r := expect[ipc.DelayCleared](w); r.ID != 8 || r.Rows != 4 { // ftps, which this process has not used, too
		t.Errorf("%+v", r)
	}
	for _, p := range []string{"ftp", "ftps"} {
		if r := find(d, "main", p, "PASS"); r.Count != 0 || r.Deadline <= 0 {
			t.Errorf("%s after the reset: %d samples, deadline %d", p, r.Count, r.Deadline)
		}
	}
}

// TestNothingIsSampledWhereTheEngineIsOff, nor from what says nothing about work.
func TestNothingIsSampledWhereTheEngineIsOff(t *testing.T) {
	d := delayObject(t)
	w := start(t, 1, defaultLimits, nil)
	w.shared(d)
	w.attach(nil).login("alice", "wrong")
	w.settle()
	if rows, _ := d.Rows(); len(rows) != 0 {
		t.Errorf("%d rows", len(rows))
	}
	w.configure(2, delayed())
	for range 2 {
		w.attach(nil).login("alice", strings.Repeat("x", 2000))
	}
	c := w.attach(nil)
	for i := range 3 {
		if r := c.login("ghost", fmt.Sprint(i)); r.Verdict == ipc.VerdictOK {
			t.Fatal(r)
		}
	}
	w.settle()
	if r := find(d, "main", "ftp", "PASS"); r == nil || r.Count != 3 {
		t.Errorf("%+v", r)
	}
}

func TestExplanations(t *testing.T) {
	w := start(t, 1, defaultLimits, delayed(policy.DelayEvent{Event: "Connect", Min: 1e6, Max: 2e6}))
	for user, want := range map[string]string{"alice": "known, its hash is computed", "ghost": "unknown, a decoy is computed", "locked": "a decoy"} {
		w.send(&ipc.DelayExplain{ID: 3, Host: "main", Protocol: "ftp", User: user})
		r := expect[ipc.DelayExplained](w)
		all := strings.Join(r.Lines, "\n")
		if r.ID != 3 || !r.Known || !strings.Contains(all, want) || !strings.Contains(all, "policy deadline") || !strings.Contains(all, "Connect") {
			t.Errorf("%s: %q", user, r.Lines)
		}
	}
	w.send(&ipc.DelayExplain{ID: 4, Host: "none", User: "alice"})
	if r := expect[ipc.DelayExplained](w); r.Known || len(r.Lines) > 0 {
		t.Errorf("%+v", r)
	}
	w.configure(2, nil)
	w.send(&ipc.DelayExplain{ID: 5, Host: "main", Protocol: "ftp", User: "alice"})
	if r := expect[ipc.DelayExplained](w); !slices.ContainsFunc(r.Lines, func(l string) bool { return strings.Contains(l, "off") }) {
		t.Errorf("%q", r.Lines)
	}
}
