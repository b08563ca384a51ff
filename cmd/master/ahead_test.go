package main

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// quick is the session of a client that makes transfer after transfer.
type quick struct {
	*caller
	notice *ipc.Conn
}

func quickOne(t *testing.T) *quick {
	t.Helper()
	m := newInsideWith(t, street())
	c, _ := m.arrivalFrom("127.0.0.1:999", "127.0.0.1:21")
	s, lane, notice := m.spare()
	m.assign(s, c)
	lane.SetState(ipc.SessionLogin)
	x := &quick{(&caller{m, s, lane}).open(), notice}
	if _, ok := m.next(notice).(*ipc.Assign); !ok {
		t.Fatal("no client")
	}
	notice.SetState(ipc.SessionOpen)
	return x
}

// ahead makes a transfer's connection, with which the next listener comes.
func (x *quick) ahead(t *testing.T, extended bool) ipc.Listening {
	t.Helper()
	l, ok := x.ask(&ipc.Passive{Extended: extended, Again: true}).(*ipc.Listening)
	if !ok || l.Seq == 0 || l.Port == 0 {
		t.Fatalf("no listener: %+v", l)
	}
	return x.connect(t, *l, extended)
}

func (x *quick) connect(t *testing.T, l ipc.Listening, extended bool) ipc.Listening {
	t.Helper()
	knock(t, l.Port)
	d, ok := x.m.next(x.notice).(*ipc.Data)
	if !ok || d.Seq != l.Seq || d.Errno != 0 {
		t.Fatalf("the client's connection: %+v", d)
	}
	if n := d.Next; n.Seq == 0 || n.Port == 0 || n.Port == l.Port || (n.Address == "127.0.0.1") == extended {
		t.Fatalf("the next listener: %+v", n)
	}
	return d.Next
}

// tellPage does what a session does before it tells its client.
func tellPage(t *testing.T, x *quick, seq uint32) {
	t.Helper()
	p, err := shm.OpenPage(x.s.page.fd)
	must(t, err)
	p.Announce(seq)
	p.Close()
}

func knock(t *testing.T, port uint16) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// closed tells whether the other end is.
func closed(c *net.TCPConn) bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// TestNobodyGetsInBeforeTheAnnouncement: who finds the port of a listener that
// was opened ahead is turned away, and the client has its connection all the same. It
// is the last one that comes so.
func TestNobodyGetsInBeforeTheAnnouncement(t *testing.T) {
	x := quickOne(t)
	m := x.m
	l := x.ahead(t, false)
	early := knock(t, l.Port)
	m.turn("the early one to be turned away", func() bool { return closed(early) })
	if x.s.data.listener < 0 {
		t.Fatal("the listener went with it")
	}
	if _, err := x.notice.TryRecv(); err != ipc.ErrAgain {
		t.Fatalf("the session is told: %v", err)
	}
	tellPage(t, x, l.Seq)
	knock(t, l.Port)
	d, ok := m.next(x.notice).(*ipc.Data)
	if !ok || d.Seq != l.Seq || d.Errno != 0 {
		t.Errorf("the client's connection: %+v", d)
	}
	if d.Next.Seq != 0 {
		t.Error("another listener is opened ahead though somebody lies in wait")
	}
	m.over()
}

// TestListenersAheadGo: with the time, with any other call about data, and with
// the session; what was announced has the time that any other listener has.
func TestListenersAheadGo(t *testing.T) {
	x := quickOne(t)
	m := x.m
	x.ahead(t, true)
	if x.s.data.expiry.when-m.loop.now > int64(aheadTime) {
		t.Error("it stays for longer than it should")
	}
	x.s.data.expiry.fn()
	if len(m.busy) != 0 || x.s.data.listener >= 0 {
		t.Fatal("it has not gone with its time")
	}
	l := x.ahead(t, true)
	tellPage(t, x, l.Seq)
	x.s.data.expiry.fn()
	if x.s.data.listener < 0 {
		t.Fatal("it has gone though the client was told")
	}
	x.connect(t, l, true)
	for _, call := range []any{&ipc.Passive{}, &ipc.Active{Target: "127.0.0.1:2000"}, &ipc.CloseData{}} {
		l = x.ahead(t, true)
		port := uint16(0) // of a new listener: the old one's may be drawn again
		if now, ok := x.ask(call).(*ipc.Listening); ok {
			port = now.Port
		}
		if x.s.data.ahead || x.s.data.again || port != l.Port && m.busy[portKey{netip.MustParseAddr("127.0.0.1"), l.Port}] {
			t.Errorf("it outlives %T", call)
		}
	}
	x.ahead(t, false)
	m.over()
	if len(m.busy) != 0 {
		t.Error("it outlives its session")
	}
}

// TestListenersAheadLeaveRoom: at most half of a range is given to clients that
// have not asked.
func TestListenersAheadLeaveRoom(t *testing.T) {
	m := &master{busy: map[portKey]bool{}}
	p := policy.Passive{Min: 100, Max: 109}
	for i := range uint16(10) {
		if got, want := m.crowded(p), i >= 5; got != want {
			t.Errorf("%d of 10 taken: crowded %v", i, got)
		}
		m.busy[portKey{port: 100 + i}] = true
	}
	if m.crowded(policy.Passive{}) {
		t.Error("crowded without a range")
	}
}
