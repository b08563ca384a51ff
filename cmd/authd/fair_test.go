package main

import (
	"fmt"
	"testing"
	"time"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// TestTheNetworkThatHasMostGivesWay: a full queue takes work of those who have
// less in it, and a network's many do not keep others out.
func TestTheNetworkThatHasMostGivesWay(t *testing.T) {
	l := defaultLimits
	l.queue, l.waiting = 4, 4
	w := start(t, 0, l, nil)
	w.set(func() { w.noWorker = true })
	ask := func(peer string) *client {
		c := w.attach(func(a *ipc.Attach) { a.Peer = peer })
		c.ask("alice", "secret-alice")
		w.settle()
		return c
	}
	var crowd []*client
	for range 4 {
		crowd = append(crowd, ask("192.0.2.1:1"))
	}
	other := ask("192.0.2.2:1")
	if got := crowd[3].answer(); got.Verdict != ipc.VerdictDenied {
		t.Errorf("the last of the crowd: %+v", got)
	}
	another := ask("192.0.2.3:1")
	if got := crowd[2].answer(); got.Verdict != ipc.VerdictDenied {
		t.Errorf("the next of the crowd: %+v", got)
	}
	// Two of the crowd and one each of two others: nobody has so much more than
	// a newcomer that it would be fair to give way.
	if got := ask("192.0.2.2:1").answer(); got.Verdict != ipc.VerdictDenied {
		t.Errorf("a second one of another network: %+v", got)
	}
	w.addWorker()
	for _, c := range []*client{crowd[0], crowd[1], other, another} {
		if got := c.answer(); got.Verdict != ipc.VerdictOK {
			t.Errorf("session %d, which waited: %+v", c.id, got)
		}
	}
}

// TestFastAttemptsWait: who tries faster than so many a second is slowed, and
// not cut off.
func TestFastAttemptsWait(t *testing.T) {
	w := start(t, 1, defaultLimits, func(h *policy.AuthHost) { h.LoginAttempts = 0 })
	c := w.attach(nil)
	for i := range maxAttempts + 1 {
		if got := c.login("alice", "wrong"); got.Verdict != ipc.VerdictDenied {
			t.Fatalf("attempt %d: %+v", i+1, got)
		}
	}
	if got := c.login("alice", "secret-alice"); got.Verdict != ipc.VerdictOK {
		t.Errorf("%+v", got)
	}
}

func TestPace(t *testing.T) {
	var p pace
	now := time.Now()
	var got []string
	take := func() {
		d := p.take(now)
		now = now.Add(d)
		got = append(got, fmt.Sprint(d))
	}
	for range maxAttempts {
		take()
	}
	now = now.Add(400 * time.Millisecond)
	take() // waits for the next second, in which there is room for the others
	for range maxAttempts - 1 {
		take()
	}
	take()
	want := ""
	for i := range got {
		switch i {
		case maxAttempts:
			want = "600ms"
		case 2 * maxAttempts:
			want = "1s"
		default:
			want = "0s"
		}
		if got[i] != want {
			t.Errorf("attempt %d waits %s, not %s", i+1, got[i], want)
		}
	}
}
