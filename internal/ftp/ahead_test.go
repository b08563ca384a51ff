package ftp

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// quickly makes a client quick, with the listener of its next transfer there.
func quickly(t *testing.T) *world {
	t.Helper()
	w := begin(t, ordinary())
	w.login()
	w.put("f", "x")
	for range soonAfter { // the last transfer is the first one that asks for the next listener
		w.fetch("RETR f")
	}
	return w
}

// listeners is how many master has opened so far.
func (w *world) listeners() uint32 { return w.doors.number(0) }

// TestTheNextListenerNeedsNoCall: a quick client is told of the one that came with
// its last data connection.
func TestTheNextListenerNeedsNoCall(t *testing.T) {
	w := quickly(t)
	before := w.listeners()
	w.fetch("RETR f")
	if got := w.listeners() - before; got != 1 { // the one after it
		t.Errorf("%d listeners for one transfer", got)
	}
	if got := w.page.Announced(); got != before {
		t.Errorf("listener %d is announced, that of the transfer is %d", got, before)
	}
}

// TestAnOldListenerIsNotAnnounced: files have taken so long for the last transfer
// that master may have closed what came with its connection.
func TestAnOldListenerIsNotAnnounced(t *testing.T) {
	o := ordinary()
	o.AheadFor = -time.Second
	w := begin(t, o)
	w.login()
	w.put("f", "x")
	for range 2 * soonAfter {
		if data, _ := w.fetch("RETR f"); data != "x" {
			t.Fatalf("got %q", data)
		}
	}
	if got := w.page.Announced(); got != 0 {
		t.Errorf("listener %d was announced", got)
	}
}

// TestALostListenerIsNotAnnounced: master has told that it could not keep it.
func TestALostListenerIsNotAnnounced(t *testing.T) {
	w := quickly(t)
	w.doors.mu.Lock()
	w.doors.close()
	w.tell(ipc.Data{Seq: w.doors.seq, Errno: uint32(unix.EMFILE)})
	w.doors.mu.Unlock()
	for begun := time.Now(); time.Since(begun) < 2*deafFor; { // by then it has heard master
		w.want("200", "NOOP")
	}
	if data, _ := w.fetch("RETR f"); data != "x" {
		t.Errorf("got %q", data)
	}
}
