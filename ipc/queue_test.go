package ipc

import (
	"errors"
	"io"
	"testing"

	"golang.org/x/sys/unix"
)

// stuffed is a queue whose peer does not read: its socket is full.
func stuffed(t *testing.T, max int) (*Queue, *Conn, int) {
	t.Helper()
	c, fd := channel(t, MasterAuthd, Master)
	sent := 0
	for {
		err := c.TrySend(Detach{Session: uint64(sent)})
		if err == ErrAgain {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sent++
	}
	peer := New(fd, MasterAuthd, Authd)
	peer.SetState(AuthdServing)
	return NewQueue(c, max), peer, sent
}

func TestQueueIsBoundedAndKeepsItsOrder(t *testing.T) {
	q, peer, sent := stuffed(t, 5)
	for i := range 5 {
		if err := q.Send(Detach{Session: uint64(sent + i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Send(Detach{}); err != ErrQueueFull {
		t.Errorf("the sixth: %v", err)
	}
	if err := q.Flush(); err != nil || !q.Waiting() {
		t.Errorf("flush into a full socket: %v, waiting %v", err, q.Waiting())
	}
	for want := range 40 {
		m, err := peer.TryRecv()
		if err != nil || m.Body.(*Detach).Session != uint64(want) {
			t.Fatalf("message %d: %+v, %v", want, m, err)
		}
	}
	for q.max = 6; len(q.parts) == 5; { // there is room, but others wait
		if err := q.Send(Detach{Session: uint64(sent + 5)}); err != nil {
			t.Fatal(err)
		}
	}
	for want := 40; want < sent+6; want++ {
		if err := q.Flush(); err != nil {
			t.Fatal(err)
		}
		m, err := peer.TryRecv()
		if err != nil {
			t.Fatalf("message %d of %d: %v", want, sent+6, err)
		}
		if got := m.Body.(*Detach).Session; got != uint64(want) {
			t.Fatalf("message %d came as number %d", got, want)
		}
	}
	if q.Waiting() {
		t.Error("something waits, all has come")
	}
	if err := q.Send(Ping{}); err != nil || q.Waiting() {
		t.Errorf("with room again: %v, waiting %v", err, q.Waiting())
	}
}

func TestQueueOwnsWhatWaits(t *testing.T) {
	q, peer, sent := stuffed(t, 8)
	var st unix.Stat_t
	f := files(t, 1)[0]
	if err := unix.Fstat(f, &st); err != nil {
		t.Fatal(err)
	}
	before := openFDs(t)
	mine, err := unix.FcntlInt(uintptr(f), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := q.Send(Attach{}, mine); err != nil {
			t.Fatal(err)
		}
	}
	unix.Close(mine) // the caller's
	if got := openFDs(t); got != before+3 {
		t.Errorf("%d descriptors wait", got-before)
	}
	for range sent {
		if _, err := peer.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Flush(); err != nil || q.Waiting() {
		t.Fatal(err)
	}
	for range 3 {
		m, err := peer.Recv()
		if err != nil || len(m.FDs) != 1 {
			t.Fatalf("%+v, %v", m, err)
		}
		var got unix.Stat_t
		if err := unix.Fstat(m.FDs[0], &got); err != nil || got.Ino != st.Ino {
			t.Errorf("inode %d, %v; want %d", got.Ino, err, st.Ino)
		}
		m.Close()
	}
	if got := openFDs(t); got != before {
		t.Errorf("%d descriptors, %d before", got, before)
	}
}

func TestQueueDropClosesWhatWaits(t *testing.T) {
	q, _, _ := stuffed(t, 8)
	f := files(t, 1)
	before := openFDs(t)
	for range 8 {
		if err := q.Send(Attach{}, f...); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Send(Attach{}, f...); err != ErrQueueFull {
		t.Errorf("got %v", err)
	}
	q.Drop()
	q.Drop()
	if got := openFDs(t); got != before || q.Waiting() {
		t.Errorf("%d descriptors, %d before; waiting %v", got, before, q.Waiting())
	}
}

func TestQueueRefusesBadDescriptors(t *testing.T) {
	q, _, _ := stuffed(t, 8)
	before := openFDs(t)
	if err := q.Send(Attach{}, -1); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v", err)
	}
	if got := openFDs(t); got != before || q.Waiting() {
		t.Errorf("%d descriptors, %d before; waiting %v", got, before, q.Waiting())
	}
}

func TestQueueSeesThePeersEnd(t *testing.T) {
	q, peer, _ := stuffed(t, 8)
	if err := q.Send(Ping{}); err != nil {
		t.Fatal(err)
	}
	peer.Close()
	if err := q.Flush(); err != io.EOF {
		t.Errorf("flush: %v", err)
	}
	q.Drop()
	if err := q.Send(Ping{}); err != io.EOF {
		t.Errorf("send: %v", err)
	}
}
