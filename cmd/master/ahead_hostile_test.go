package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// TestAheadWithoutARoom: a range of one port has none to spare, and that is no
// reason for a warning.
func TestAheadWithoutARoom(t *testing.T) {
	x := quickOne(t)
	m := x.m
	p := freeRange(t, netip.MustParseAddr("127.0.0.1"), 1)
	x.s.c.set.Passive = policy.Passive{Min: p.Min, Max: p.Max}
	for range 3 {
		l, ok := x.ask(&ipc.Passive{Again: true}).(*ipc.Listening)
		if !ok || l.Port != p.Min {
			t.Fatalf("%+v", l)
		}
		knock(t, l.Port)
		if d, ok := m.next(x.notice).(*ipc.Data); !ok || d.Errno != 0 || d.Next.Port != 0 {
			t.Fatalf("%+v", d)
		}
	}
	m.over()
	_ = m.log.Flush(5 * time.Second)
	if strings.Contains(m.logged(), "no passive listener") {
		t.Error("it was warned of")
	}
}

// TestASessionWhosePageCannotBeRead: its listener ahead is for nobody.
func TestASessionWhosePageCannotBeRead(t *testing.T) {
	x := quickOne(t)
	m := x.m
	l := x.ahead(t, true)
	x.s.page.Page = new(shm.Page)
	early := knock(t, l.Port)
	m.turn("it to be turned away", func() bool { return closed(early) })
	m.over()
}

// TestAListenerThatIsLostIsTold: with the number under which the session holds it.
func TestAListenerThatIsLostIsTold(t *testing.T) {
	x := quickOne(t)
	m := x.m
	l := x.ahead(t, true)
	m.deliver(x.s, -1, unix.EMFILE)
	if d, ok := m.next(x.notice).(*ipc.Data); !ok || d.Seq != l.Seq || d.Errno == 0 || x.s.data.listener >= 0 {
		t.Errorf("%+v", d)
	}
	m.over()
}
