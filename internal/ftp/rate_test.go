package ftp

import (
	"io"
	"strings"
	"testing"
	"time"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// slow is a rate at which a transfer of plenty would take days.
func slow(commands ...string) []ipc.RateRule {
	var r []ipc.RateRule
	for _, c := range commands {
		r = append(r, ipc.RateRule{Command: c, PerSecond: 100, Free: 1000})
	}
	return r
}

// TestAbortWhileSlowed: a transfer that waits for its rate hears ABOR, QUIT,
// STAT and master at once. None of these waits is timed; the transfers would
// last for days.
func TestAbortWhileSlowed(t *testing.T) {
	for _, command := range []string{"RETR big", "STOR up", "APPE up", "STOU", "RETR big in TYPE A", "RETR big in MODE Z"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			o := ordinary()
			o.Rates = slow("RETR", "STOR", "APPE", "STOU")
			o.View.ModeZ = true
			w := begin(t, o)
			w.login()
			w.sparse("big", plenty)
			command, how, _ := strings.Cut(command, " in ")
			if how != "" {
				w.want("200", how)
			}
			for range 2 {
				data := w.passive()
				w.want("150", command)
				if !strings.HasPrefix(command, "RETR") {
					_, err := data.Write(make([]byte, 1<<20))
					must(t, err)
				} else if _, err := io.ReadFull(data, make([]byte, 20)); err != nil {
					t.Fatal(err)
				}
				w.want("211-", "STAT")
				w.send("ABOR\r\n")
				w.next("426 Transfer aborted. Data connection closed")
				w.next("226 Abort successful")
			}
			w.passive()
			w.want("150", command)
			w.tell(ipc.End{Code: 421, Text: "Service shutting down"})
			w.next("426")
			w.next("421")
			w.ended()
		})
	}
}

// TestRateOfATransfer holds the pace from below: the bytes beyond the free ones
// take at least their time. How much longer is the machine's affair.
func TestRateOfATransfer(t *testing.T) {
	t.Parallel()
	o := ordinary()
	o.Rates = []ipc.RateRule{{Command: "RETR", PerSecond: 20000, Free: 5000}}
	w := begin(t, o)
	w.login()
	w.put("f", strings.Repeat("x", 15000))
	start := time.Now()
	got, last := w.fetch("RETR f")
	if len(got) != 15000 || last != "226 Transfer complete" {
		t.Fatalf("%d bytes, %q", len(got), last)
	}
	if took := time.Since(start); took < 500*time.Millisecond {
		t.Errorf("10,000 bytes at 20,000 a second took %v", took)
	}
	// Another command has no rate: the pieces are large.
	if last := w.store("STOR g", got); last != "226 Transfer complete" || w.content("g") != got {
		t.Errorf("%q", last)
	}
}

func TestChunksFollowTheRate(t *testing.T) {
	for _, c := range []struct {
		rate ipc.RateRule
		done int64
		n    int
		want int
	}{
		{ipc.RateRule{}, 0, sendChunk, sendChunk},
		{ipc.RateRule{PerSecond: 1}, 0, 100, 1},
		{ipc.RateRule{PerSecond: 400}, 0, 1000, 101},
		{ipc.RateRule{PerSecond: 400}, 0, 50, 50},
		{ipc.RateRule{PerSecond: 400, Free: 500}, 0, 1000, 601},
		{ipc.RateRule{PerSecond: 400, Free: 500}, 499, 1000, 102},
		{ipc.RateRule{PerSecond: 400, Free: 500}, 501, 1000, 101},
		{ipc.RateRule{PerSecond: 1<<64 - 1}, 0, sendChunk, sendChunk},
	} {
		s := &Session{xfer: transfer{rate: c.rate, done: c.done}}
		if got := s.chunk(c.n); got != c.want {
			t.Errorf("%+v after %d bytes: %d of %d, want %d", c.rate, c.done, got, c.n, c.want)
		}
	}
}

// TestCommandRate: beyond the count each command waits a share more, before the
// login none does, and what is over is an event.
func TestCommandRate(t *testing.T) {
	t.Parallel()
	o := ordinary()
	o.View.CommandRate = policy.Rate{Count: 5, Nanos: int64(2 * time.Second)}
	w := begin(t, o)
	for range 30 {
		w.want("200", "NOOP")
	}
	w.login()
	if got := w.events(); len(got) != 0 {
		t.Fatalf("before the login: %q", got)
	}
	start := time.Now()
	for range 8 { // the sixth to the eighth wait 0.4, 0.8 and 1.2 s, or the window has begun anew
		w.want("200", "NOOP")
	}
	if took := time.Since(start); took < 1200*time.Millisecond {
		t.Errorf("eight commands took %v", took)
	}
	w.want("221", "QUIT")
	w.ended()
	<-w.lost
	if got := w.events(); len(got) == 0 || got[0] != ipc.EventCommandRate {
		t.Errorf("events %q", got)
	}
}

// TestMasterEndsASessionThatIsSlowed: a delay of hours is no reason not to
// listen.
func TestMasterEndsASessionThatIsSlowed(t *testing.T) {
	o := ordinary()
	o.View.CommandRate = policy.Rate{Count: 1, Nanos: int64(24 * time.Hour)}
	w := begin(t, o)
	w.login()
	w.want("200", "NOOP")
	w.send("NOOP\r\n")
	for len(w.events()) == 0 { // it waits now, or is about to
		time.Sleep(time.Millisecond)
	}
	w.tell(ipc.End{Code: 421, Text: "Idle timeout"})
	w.next("421 Idle timeout")
	w.ended()
}

func TestTransfersAreCounted(t *testing.T) {
	o := ordinary()
	o.View.CountTransfers = true
	w := begin(t, o)
	w.login()
	w.put("f", "x")
	running := func(want int) {
		t.Helper()
		w.called()
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.running != want {
			t.Errorf("%d transfers run, want %d", w.running, want)
		}
	}
	w.fetch("RETR f")
	w.store("STOR g", "y")
	w.want("550", "RETR missing")
	running(0)
	w.passive()
	w.want("150", "RETR f")
	w.next("226")
	w.want("425", "APPE f")
	w.want("425", "STOU")
	running(0)
}
