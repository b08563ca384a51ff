package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// crowd is what the state machine test does to authd, and what it expects.
type crowd struct {
	w     *world
	live  []*member
	kills []func()
}

type member struct {
	*client
	right, wrong bool // what was asked: a right password; a wrong one
	failed       int
}

// TestAnyOrderOfEvents lets sessions come, ask, hang up and go in any order,
// kills workers under them, and holds: every question that is waited for gets
// one answer; yes only to a right password; authd is clean when all have left.
func TestAnyOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := defaultLimits
		l.waiting, l.queue = 3, 8
		w := start(t, 1, l, func(h *policy.AuthHost) {
			h.LoginAttempts = 2
			h.Order = []policy.AuthSource{{Name: "file"}, {Name: "pam", Final: true}}
		})
		closed := make(chan string, 1000)
		w.set(func() {
			w.pam = pamYes(true, closed)
			w.outcome = func(r *ipc.LoginReport) *ipc.LoginOutcome {
				return &ipc.LoginOutcome{Session: r.Session, OK: r.Session%3 != 0, Reason: "limit", Close: r.Session%2 == 0}
			}
		})
		c := &crowd{w: w}
		rt.Repeat(map[string]func(*rapid.T){
			"attach": func(t *rapid.T) { c.attach(t) },
			"ask":    func(t *rapid.T) { c.ask(t) },
			"answer": func(t *rapid.T) { c.answer(t) },
			"hang up": func(t *rapid.T) {
				if m := c.pick(t); m != nil {
					m.c.Close()
					c.leave(m)
				}
			},
			"detach": func(t *rapid.T) {
				if m := c.pick(t); m != nil {
					c.leave(m)
					m.c.Close()
				}
			},
			"misbehave": func(t *rapid.T) {
				if m := c.pick(t); m != nil {
					_, _ = unix.Write(m.c.FD(), rapid.SliceOfN(rapid.Byte(), 1, 80).Draw(t, "bytes"))
					m.c.Close()
					c.leave(m)
				}
			},
			"lose a worker": func(t *rapid.T) {
				if len(c.kills) > 0 {
					c.kills[0]()
					c.kills = c.kills[1:]
				}
			},
			"give a worker": func(*rapid.T) { c.kills = append(c.kills, w.addWorker()) },
			"reload":        func(*rapid.T) { c.reload() },
			"":              func(*rapid.T) {},
		})
		for len(c.live) > 0 {
			m := c.live[0]
			c.take(rt, m)
			c.leave(m)
			m.c.Close()
		}
		w.settle()
		w.stop()
		c.clean(rt)
	})
}

func (c *crowd) reload() {
	c.w.configure(2, func(h *policy.AuthHost) {
		h.LoginAttempts = 2
		h.Order = []policy.AuthSource{{Name: "file"}, {Name: "pam", Final: true}}
	})
}

func (c *crowd) pick(t *rapid.T) *member {
	if len(c.live) == 0 {
		return nil
	}
	return c.live[rapid.IntRange(0, len(c.live)-1).Draw(t, "member")]
}

func (c *crowd) attach(t *rapid.T) {
	peer := rapid.SampledFrom([]string{"192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1", "[2001:db8::2]:1", "?"}).Draw(t, "peer")
	c.live = append(c.live, &member{client: c.w.attach(func(a *ipc.Attach) { a.Peer = peer })})
}

func (c *crowd) ask(t *rapid.T) {
	m := c.pick(t)
	if m == nil || m.right || m.wrong {
		return
	}
	user := rapid.SampledFrom([]string{"alice", "carol", "locked", "nobody", strings.Repeat("n", 256)}).Draw(t, "user")
	m.right = rapid.Bool().Draw(t, "right") && (user == "alice" || user == "carol")
	m.wrong = !m.right
	secret := "wrong"
	if m.right {
		secret = "secret-" + user
	}
	m.ask(user, secret)
}

func (c *crowd) answer(t *rapid.T) {
	if m := c.pick(t); m != nil && c.take(t, m) {
		c.leave(m)
		m.c.Close()
	}
}

// take reads an expected answer and checks it; true: it has ended the dialogue.
func (c *crowd) take(t *rapid.T, m *member) (ended bool) {
	if !m.right && !m.wrong {
		return false
	}
	r := m.answer()
	switch {
	case r.Verdict == ipc.VerdictOK && (!m.right || m.id%3 == 0):
		t.Fatalf("session %d got in", m.id)
	case r.Verdict == ipc.VerdictRefused && !m.right:
		t.Fatalf("session %d was refused after a wrong password", m.id)
	case r.Verdict == ipc.VerdictDenied && m.failed > 0:
		t.Fatalf("session %d: denied %d times, 2 are allowed", m.id, m.failed+1)
	}
	m.failed++
	m.right, m.wrong = false, false
	return r.Verdict != ipc.VerdictDenied
}

func (c *crowd) leave(m *member) {
	c.w.send(&ipc.Detach{Session: m.id})
	for i, x := range c.live {
		if x == m {
			c.live = append(c.live[:i], c.live[i+1:]...)
			return
		}
	}
}

// clean looks at what authd kept; it has ended, so nothing moves.
func (c *crowd) clean(t *rapid.T) {
	s := c.w.server
	if len(s.sessions) != 0 || s.hash.fair.total != 0 || s.pam.fair.total != 0 || len(s.hash.fair.order) != 0 || s.pam.busy != 0 || len(s.pam.fair.lanes) != 0 {
		t.Fatalf("left: %d sessions, %d hashes, %d+%d pam", len(s.sessions), s.hash.fair.total, s.pam.fair.total, s.pam.busy)
	}
	if s.delays.total != 0 || len(s.delays.inHand) != 0 {
		t.Fatalf("%d attempts are counted as in hand, of %d networks", s.delays.total, len(s.delays.inHand))
	}
	busy := 0
	for _, w := range s.hash.workers {
		if w.work != nil {
			busy++
		}
	}
	running := 0
	for _, l := range s.hash.fair.lanes {
		running += l.running
	}
	if running != busy {
		t.Fatalf("%d hashes count as running, %d workers are at work", running, busy)
	}
	for _, x := range s.timers.h {
		if d := time.Until(x.at); x != s.expiry && d > 2*time.Second && busy == 0 {
			t.Fatalf("a timer of %v is left", d)
		}
	}
}

// TestFairTurns holds the queue's promises for any arrivals and departures.
func TestFairTurns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := limits{running: 2, waiting: 3, queue: 10}
		f := newFair(l)
		var waiting, running []*job
		drop := func(list []*job, j *job) []*job {
			for i := range list {
				if list[i] == j {
					return append(list[:i:i], list[i+1:]...)
				}
			}
			t.Fatal("a job from nowhere")
			return nil
		}
		of := func(list []*job, j *job) (n int) {
			for _, x := range list {
				if x.net == j.net {
					n++
				}
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				j := &job{net: network(rapid.SampledFrom([]string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "[2001:db8::1]:9"}).Draw(t, "peer"))}
				room := len(waiting) < l.queue && of(waiting, j) < l.waiting
				if f.push(j) != room {
					t.Fatalf("room %v", room)
				}
				if room {
					waiting = append(waiting, j)
				}
			},
			"pop": func(t *rapid.T) {
				j := f.pop()
				if j == nil {
					for _, x := range waiting {
						if of(running, x) < l.running {
							t.Fatal("work waits that might run")
						}
					}
					return
				}
				waiting, running = drop(waiting, j), append(running, j)
				if of(running, j) > l.running {
					t.Fatal("too many of one network run")
				}
				for _, x := range waiting {
					if x == j {
						t.Fatal("runs and waits")
					}
				}
			},
			"done": func(t *rapid.T) {
				if len(running) > 0 {
					f.done(running[0])
					f.done(running[0])
					running = running[1:]
				}
			},
			"cancel": func(t *rapid.T) {
				if len(waiting) > 0 {
					j := waiting[rapid.IntRange(0, len(waiting)-1).Draw(t, "which")]
					f.cancel(j)
					f.cancel(j)
					waiting = drop(waiting, j)
				}
			},
			"": func(t *rapid.T) {
				if f.total != len(waiting) || len(f.lanes) > len(waiting)+len(running) {
					t.Fatalf("%d wait, %d counted", len(waiting), f.total)
				}
			},
		})
	})
}

func TestNetworks(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.1:4":              "192.0.2.1/32",
		"[::ffff:192.0.2.1]:4":     "192.0.2.1/32",
		"[2001:db8:0:1:2::3]:4":    "2001:db8:0:1::/64",
		"[fe80::1%eth0]:4":         "fe80::/64",
		"nonsense":                 "invalid Prefix",
		"[2001:db8:0:1:ffff::]:21": "2001:db8:0:1::/64",
	} {
		if got := network(peer).String(); got != want {
			t.Errorf("%s: %s, want %s", peer, got, want)
		}
	}
}

// FuzzLoginChannel feeds any datagram to the login channel of a session.
func FuzzLoginChannel(f *testing.F) {
	good, err := ipc.SessionAuthd.Encode(&ipc.AuthRequest{User: "alice", Secret: []byte("secret-alice"), Method: "password"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, body := range []any{
		&ipc.TLSAsk{}, &ipc.SignRequest{ID: 1, Scheme: ecdsaP256, Message: verifyMessage()},
		&ipc.ClientCertificate{Chain: []byte{0x30, 3, 2, 1, 0}}, &ipc.AuthRequest{User: "alice", Method: ipc.MethodCertificate},
	} {
		b, err := ipc.SessionAuthd.Encode(body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0x92, 1, 0xdd, 0xff, 0xff, 0xff, 0xff, 0})
	f.Add([]byte{0x92, 1, 0x93, 0xa0, 0xa0, 0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		w := start(t, 1, defaultLimits, nil)
		ours, theirs, err := ipc.Pair()
		if err != nil {
			t.Fatal(err)
		}
		w.ids++
		w.send(&ipc.Attach{Session: w.ids, Peer: "192.0.2.1:1", Host: "main"}, theirs)
		unix.Close(theirs)
		c := ipc.New(ours, ipc.SessionAuthd, ipc.Session)
		defer c.Close()
		_ = c.SetTimeout(timeout)
		_, _ = unix.Write(ours, b)
		_ = unix.Shutdown(ours, unix.SHUT_WR)
		for {
			if _, err := c.Recv(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		w.send(&ipc.Detach{Session: w.ids})
		w.settle()
	})
}
