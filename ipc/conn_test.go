package ipc

import (
	"errors"
	"io"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTheTableDecides sends every message from either side in every state with
// every number of descriptors. What the table does not say is refused, breaks
// the channel for good and leaks nothing.
func TestTheTableDecides(t *testing.T) {
	give := files(t, MaxFDs+1)
	eachRow(t, func(t *testing.T, d *Dialogue, r *row) {
		b, err := d.Encode(reflect.Zero(r.typ).Interface())
		if err != nil {
			t.Fatal(err)
		}
		for _, me := range ends[d] {
			for _, s := range append(states(d), 0, 1<<15) {
				for n := range len(give) + 1 {
					before := openFDs(t)
					refused := sendOne(t, d, me, s, b, give[:n])
					allowed := r.From != me && r.In&s != 0 && (n == r.FDs || n == 0 && r.MayFD)
					if refused == allowed {
						t.Errorf("to %s in state %#x with %d descriptors: refused %v", me, s, n, refused)
					}
					if got := openFDs(t); got != before {
						t.Fatalf("to %s in state %#x with %d descriptors: %d open, %d before", me, s, n, got, before)
					}
				}
			}
		}
	})
}

func sendOne(t *testing.T, d *Dialogue, me Role, s State, b []byte, fds []int) (refused bool) {
	t.Helper()
	a, z, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(z)
	c := New(a, d, me)
	defer c.Close()
	c.SetState(s)
	raw(t, z, b, fds...)
	m, err := c.TryRecv()
	if err == nil {
		m.Close()
		return false
	}
	wantProtocolError(t, err)
	if m.Body != nil || m.FDs != nil {
		t.Errorf("an error and a message: %+v", m)
	}
	raw(t, z, b)
	if _, again := c.TryRecv(); again != err {
		t.Errorf("after %v came %v", err, again)
	}
	return true
}

func TestBrokenDatagramsLeakNothing(t *testing.T) {
	give := files(t, MaxFDs)
	for name, b := range map[string][]byte{
		"a zero-length message": {},
		"junk":                  []byte("USER dave\r\n"),
		"oversized":             make([]byte, MaxMessage+1),
		"far oversized":         make([]byte, 150<<10),
		"malformed":             datagram(SessionNotice, 1, 0xc0),
		"unknown kind":          datagram(SessionNotice, 77, 0x90),
	} {
		for n := range MaxFDs + 1 {
			before := openFDs(t)
			a, z, err := Pair()
			if err != nil {
				t.Fatal(err)
			}
			c := New(a, SessionNotice, Session)
			raw(t, z, b, give[:n]...)
			_, err = c.TryRecv()
			if len(b) == 0 {
				if err != io.EOF {
					t.Errorf("%s: %v", name, err)
				}
			} else {
				wantProtocolError(t, err)
			}
			if _, again := c.Recv(); again != err {
				t.Errorf("%s: after %v came %v", name, err, again)
			}
			c.Close()
			c.Close()
			unix.Close(z)
			if got := openFDs(t); got != before {
				t.Errorf("%s with %d descriptors: %d open, %d before", name, n, got, before)
			}
		}
	}
}

// TestUnexpectedDescriptorsNeverArrive: where none belong there is no room for
// them, so that a peer cannot even fill the table for a moment.
func TestUnexpectedDescriptorsNeverArrive(t *testing.T) {
	c, fd := channel(t, SessionLane, Master)
	b, err := SessionLane.Encode(Bye{})
	if err != nil {
		t.Fatal(err)
	}
	c.SetState(SessionLogin)
	raw(t, fd, b, files(t, 1)...)
	_, err = c.Recv()
	wantProtocolError(t, err)
	if c.oob != nil {
		t.Error("master has a control buffer")
	}
	if !strings.Contains(err.Error(), "descriptors") {
		t.Errorf("got %v", err)
	}
}

// TestAnEndRefusesDescriptorsThatDoNotBelongThere, before they are on their way:
// who receives and drops one would be who closes it.
func TestAnEndRefusesDescriptorsThatDoNotBelongThere(t *testing.T) {
	for _, d := range dialogues {
		a, b, err := PairOf(d, ends[d][0], ends[d][1])
		if err != nil {
			t.Fatal(err)
		}
		_, err = unix.GetsockoptInt(a, unix.SOL_SOCKET, unix.SO_PASSRIGHTS)
		if err == unix.ENOPROTOOPT {
			t.Skip("the kernel is older than Linux 6.16: receivers drop what they did not ask for")
		}
		for _, from := range []struct {
			fd int
			to Role
		}{{a, ends[d][1]}, {b, ends[d][0]}} {
			err := unix.Sendmsg(from.fd, []byte("x"), unix.UnixRights(from.fd), nil, unix.MSG_NOSIGNAL)
			if want := d.passes(from.to); (err == nil) != want {
				t.Errorf("%s: a descriptor to %s: %v", d.Name, from.to, err)
			}
		}
		unix.Close(a)
		unix.Close(b)
	}
}

// TestCutDatagramIsNotTakenForAWhole: what is left of a longer datagram would be
// a message.
func TestCutDatagramIsNotTakenForAWhole(t *testing.T) {
	users := append(slicesOf(16, strings.Repeat("u", 4070)), strings.Repeat("u", 300))
	full := func() []byte {
		b, err := FilesAuthd.Encode(NamesReply{Users: users})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	users[16] += strings.Repeat("u", MaxMessage-len(full()))
	for n, tail := range []string{"", "x"} {
		c, fd := channel(t, FilesAuthd, Files)
		if b := full(); len(b) != MaxMessage {
			t.Fatalf("made %d bytes", len(b))
		} else {
			raw(t, fd, append(b, tail...))
		}
		if _, err := c.Recv(); (err == nil) != (n == 0) {
			t.Errorf("64 KiB and %d bytes: %v", n, err)
		}
	}
}

func TestSendRefusesWhatIsNotOurs(t *testing.T) {
	c, fd := channel(t, SessionNotice, Session)
	give := files(t, 3)
	master := New(fd, SessionNotice, Master)
	q := NewQueue(master, 4)
	for name, err := range map[string]error{
		"the peer's message":  c.Send(End{}),
		"too few descriptors": master.Send(Assign{}, give[:2]...),
		"none":                master.Send(&Assign{}),
		"one that does not":   master.TrySend(End{}, give[0]),
		"by queue":            q.Send(Assign{}),
		"another dialogue's":  master.Send(Stat{}),
		"an over-long text":   q.Send(End{Text: strings.Repeat("x", 513)}),
		"nothing":             master.Send(nil),
		"nil pointer":         master.Send((*End)(nil)),
	} {
		if err == nil {
			t.Errorf("%s was sent", name)
		} else {
			wantProtocolError(t, err)
		}
	}
	if _, err := c.TryRecv(); err != ErrAgain {
		t.Errorf("something was sent: %v", err)
	}
	if q.Waiting() {
		t.Error("something was queued")
	}
}

func TestEndOfChannel(t *testing.T) {
	a, b, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	c, peer := New(a, MasterAuthd, Master), New(b, MasterAuthd, Authd)
	defer c.Close()
	if err := peer.Send(Pong{}); err != nil {
		t.Fatal(err)
	}
	peer.Close()
	if m, err := c.Recv(); err != nil || m.Kind != 16 {
		t.Errorf("what was sent before: %+v, %v", m, err)
	}
	for range 2 {
		if _, err := c.Recv(); err != io.EOF {
			t.Errorf("receive: %v", err)
		}
	}
	if err := c.Send(Ping{}); err != io.EOF {
		t.Errorf("send: %v", err)
	}
	c.Close()
	if err := c.Send(Ping{}); err == nil || err == io.EOF || c.FD() != -1 {
		t.Errorf("send on a closed one: %v", err)
	}
	if err := c.SetTimeout(time.Second); err == nil {
		t.Error("a closed one took a timeout")
	}
}

// TestUnreadMessagesAreAnEnd: closing with unread messages resets the peer.
func TestUnreadMessagesAreAnEnd(t *testing.T) {
	c, fd := channel(t, MasterAuthd, Master)
	if err := c.Send(Ping{}); err != nil {
		t.Fatal(err)
	}
	unix.Shutdown(fd, unix.SHUT_RDWR)
	if _, err := c.Recv(); err != io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestTimeouts(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, 1, time.Microsecond, 20 * time.Millisecond} {
		c, _ := channel(t, MasterAuthd, Authd)
		if err := c.SetTimeout(d); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Recv(); err != ErrTimeout {
			t.Errorf("%v: receive: %v", d, err)
		}
		var err error
		for err == nil { // until the socket is full
			err = c.Send(AuthdLog{Text: strings.Repeat("x", 1000)})
		}
		if err != ErrTimeout {
			t.Errorf("%v: send: %v", d, err)
		}
		if err := c.TrySend(Pong{}); err != ErrAgain {
			t.Errorf("%v: try: %v", d, err)
		}
	}
}

// TestSignalsNeitherBreakNorProlongACall interrupts a blocked thread over and
// over.
func TestSignalsNeitherBreakNorProlongACall(t *testing.T) {
	for _, op := range []string{"receive", "send"} {
		c, _ := channel(t, MasterAuthd, Authd)
		if op == "send" {
			for c.TrySend(AuthdLog{Text: strings.Repeat("x", 1000)}) == nil {
				continue
			}
		}
		const timeout = 500 * time.Millisecond // signals come a hundred times as often
		if err := c.SetTimeout(timeout); err != nil {
			t.Fatal(err)
		}
		tid, result := make(chan int), make(chan error)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			tid <- unix.Gettid()
			if op == "send" {
				result <- c.Send(AuthdLog{Text: strings.Repeat("x", 1000)})
			} else {
				_, err := c.Recv()
				result <- err
			}
		}()
		thread, deadline := <-tid, time.After(20*time.Second)
		tick := time.NewTicker(5 * time.Millisecond)
		for err := errors.New("not yet"); err != nil; {
			select {
			case err = <-result:
				if err != ErrTimeout {
					t.Errorf("%s: %v", op, err)
				}
				err = nil
			case <-deadline:
				t.Fatalf("%s: signals keep it for ever", op)
			case <-tick.C:
				if e := unix.Tgkill(unix.Getpid(), thread, syscall.SIGURG); e != nil && e != unix.ESRCH {
					t.Fatal(e)
				}
			}
		}
		tick.Stop()
	}
}

func TestCall(t *testing.T) {
	c, fd := channel(t, SessionFiles, Session)
	peer := New(fd, SessionFiles, Files)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			m, err := peer.Recv()
			if err != nil {
				return
			}
			switch q := m.Body.(type) {
			case *Stat:
				err = peer.Send(StatReply{Info: FileInfo{Path: q.Path}})
			case *OpenRead:
				err = peer.Send(OpenReply{Size: q.Offset}, fd)
			case *Rmdir:
				err = peer.Send(OpenReply{}, fd) // not what was asked for
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	r, fds, err := Call[StatReply](c, Stat{Path: "/x"})
	if err != nil || r.Info.Path != "/x" || fds != nil {
		t.Errorf("%+v, %v, %v", r, fds, err)
	}
	o, fds, err := Call[OpenReply](c, &OpenRead{Offset: 7})
	if err != nil || o.Size != 7 || len(fds) != 1 {
		t.Fatalf("%+v, %v, %v", o, fds, err)
	}
	unix.Close(fds[0])
	before := openFDs(t)
	_, fds, err = Call[PathReply](c, Rmdir{})
	wantProtocolError(t, err)
	if got := openFDs(t); fds != nil || got != before {
		t.Errorf("descriptors %v; %d open, %d before", fds, got, before)
	}
	if _, _, again := Call[StatReply](c, Stat{}); again != err {
		t.Errorf("the lane is out of step, but: %v", again)
	}
	c.Close()
	wg.Wait()
}

func TestLateAnswerIsNotTakenForTheNext(t *testing.T) {
	c, fd := channel(t, FilesAuthd, Files)
	if err := c.SetTimeout(time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Call[NamesReply](c, NamesRequest{UIDs: []uint32{1}}); err != ErrTimeout {
		t.Fatalf("got %v", err)
	}
	late, err := FilesAuthd.Encode(NamesReply{Users: []string{"one"}})
	if err != nil {
		t.Fatal(err)
	}
	raw(t, fd, late)
	if r, _, err := Call[NamesReply](c, NamesRequest{UIDs: []uint32{2}}); err != ErrTimeout {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestLimitEndsAFlood(t *testing.T) {
	c, fd := channel(t, SessionAuthd, Authd)
	c.Limit(20, time.Hour)
	b, err := SessionAuthd.Encode(AuthRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for range 21 {
		raw(t, fd, b)
	}
	for i := range 20 {
		if _, err := c.Recv(); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	_, err = c.Recv()
	wantProtocolError(t, err)
}

func TestBucket(t *testing.T) {
	start := time.Now()
	for _, c := range []struct {
		burst int
		per   time.Duration
		at    []time.Duration // when tokens are asked for
		want  string          // y or n each
	}{
		{3, 3 * time.Second, []time.Duration{0, 0, 0, 0}, "yyyn"},
		{3, 3 * time.Second, []time.Duration{0, 0, 0, time.Second, time.Second, 2 * time.Second}, "yyyyny"},
		{3, 3 * time.Second, []time.Duration{0, time.Hour, time.Hour, time.Hour, time.Hour}, "yyyyn"}, // never more than a burst
		{1, time.Second, []time.Duration{0, time.Second - 1, time.Second, time.Second}, "ynyn"},
		{2, 0, []time.Duration{0, 0, 0, 1}, "yyny"},
		{2, -5, []time.Duration{0, 0, 0}, "yyn"},
		{0, time.Second, []time.Duration{0, 0, 0}, "yyy"},
		{-1, time.Second, []time.Duration{0, 0}, "yy"},
	} {
		b := newBucket(c.burst, c.per)
		var got strings.Builder
		for _, at := range c.at {
			if b.step == 0 || b.takeAt(start.Add(at)) {
				got.WriteByte('y')
			} else {
				got.WriteByte('n')
			}
		}
		if got.String() != c.want {
			t.Errorf("%d in %v at %v: %s, want %s", c.burst, c.per, c.at, got.String(), c.want)
		}
	}
}
