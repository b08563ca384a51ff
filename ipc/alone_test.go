package ipc

import (
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// beAlone makes this process wait as one with a single goroutine does.
func beAlone(t *testing.T) {
	was := alone
	alone = true
	t.Cleanup(func() { alone = was })
}

// TestAlone holds the waits of a program of one goroutine against what is
// promised of all.
func TestAlone(t *testing.T) {
	beAlone(t)
	t.Run("timeouts", TestTimeouts)
	t.Run("signals", TestSignalsNeitherBreakNorProlongACall)
	t.Run("call", TestCall)
	t.Run("late", func(t *testing.T) {
		c, fd := channel(t, SessionFiles, Session)
		peer := New(fd, SessionFiles, Files)
		if err := c.SetTimeout(20 * time.Second); err != nil {
			t.Fatal(err)
		}
		sent := make(chan error, 1)
		time.AfterFunc(10*brief, func() { sent <- peer.Send(OpenReply{Size: 7}, fd) })
		m, err := c.Recv()
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		r, ok := m.Body.(*OpenReply)
		if !ok || r.Size != 7 || len(m.FDs) != 1 {
			t.Errorf("got %+v", m)
		}
		for _, fd := range m.FDs {
			if n, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || n&unix.FD_CLOEXEC == 0 {
				t.Errorf("descriptor %d: flags %#x, %v", fd, n, err)
			}
		}
		m.Close()
		time.AfterFunc(10*brief, peer.Close)
		if _, err := c.Recv(); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	})
	t.Run("soon", func(t *testing.T) {
		c, fd := channel(t, SessionFiles, Files)
		peer := New(fd, SessionFiles, Session)
		if _, err := c.RecvSoon(); err != ErrAgain {
			t.Fatalf("of an idle channel: %v", err)
		}
		if err := peer.Send(ListNext{}); err != nil {
			t.Fatal(err)
		}
		if m, err := c.RecvSoon(); err != nil || m.Kind == 0 {
			t.Errorf("got %+v, %v", m, err)
		}
		peer.Close()
		if _, err := c.RecvSoon(); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	})
}

// TestSockets is Receive and Transmit, with and without a scheduler to tell.
func TestSockets(t *testing.T) {
	for _, single := range []bool{false, true} {
		if single {
			beAlone(t)
		}
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		var b [64]byte
		if _, err := Receive(p[0], b[:], unix.MSG_DONTWAIT); err != unix.EAGAIN {
			t.Errorf("alone %v: nothing there: %v", single, err)
		}
		if ok, err := Hasten(p[0]); ok != single || err != nil {
			t.Errorf("alone %v: hasten %v, %v", single, ok, err)
		}
		if single {
			if _, err := Receive(p[0], b[:], 0); err != unix.EAGAIN && err != unix.EINTR {
				t.Errorf("a short wait: %v", err)
			}
		}
		if n, err := Transmit(p[1], []byte("word"), 0); n != 4 || err != nil {
			t.Errorf("alone %v: transmit %d, %v", single, n, err)
		}
		if n, err := Receive(p[0], b[:], unix.MSG_DONTWAIT); string(b[:max(n, 0)]) != "word" || err != nil {
			t.Errorf("alone %v: receive %d, %v", single, n, err)
		}
		for n, err := 0, error(nil); err != unix.EAGAIN; n, err = Transmit(p[1], make([]byte, 1<<16), 0) {
			if err != nil || n < 0 {
				t.Fatalf("alone %v: transmit %d, %v", single, n, err)
			}
		}
		unix.Close(p[0])
		if _, err := Transmit(p[1], b[:], 0); err != unix.EPIPE && err != unix.ECONNRESET {
			t.Errorf("alone %v: to nobody: %v", single, err)
		}
		unix.Close(p[1])
	}
}
