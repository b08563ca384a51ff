package ftp

import (
	"net"
	"strings"
	"testing"
	"time"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// TestTheReplyToEveryUserWaits, known or not, possible or not; nothing else does,
// and after the login USER does not either.
func TestTheReplyToEveryUserWaits(t *testing.T) {
	t.Parallel()
	const wait = 200 * time.Millisecond
	o := ordinary()
	o.View.Hold = policy.DelayEvent{Event: "USER", Min: int64(wait), Max: int64(wait) + 1}
	w := begin(t, o)
	for _, c := range []struct{ command, code string }{
		{"USER dave", "331"}, {"USER nobody", "331"}, {"USER", "500"}, {"USER " + strings.Repeat("x", 300), "501"},
	} {
		start := time.Now()
		if r := w.cmd("%s", c.command); !strings.HasPrefix(r, c.code) {
			t.Errorf("%.20s: %q", c.command, r)
		}
		if d := time.Since(start); d < wait {
			t.Errorf("%.20s: answered after %v", c.command, d)
		}
	}
	w.login()
	start := time.Now()
	w.cmd("USER dave")
	if d := time.Since(start); d >= wait {
		t.Logf("after the login: %v, which a busy machine may cause", d)
	}
}

// TestAHangUpEndsEveryWait: for the reply to USER, and for a verdict.
func TestAHangUpEndsEveryWait(t *testing.T) {
	t.Parallel()
	o := ordinary()
	o.View.Hold = policy.DelayEvent{Event: "USER", Min: int64(time.Hour), Max: int64(time.Hour)}
	w := begin(t, o)
	w.send("USER dave\r\n")
	must(t, w.client.(*net.TCPConn).CloseWrite())
	w.ended()

	asked := make(chan struct{})
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	o = ordinary()
	o.Verdict = func(*ipc.AuthRequest) (ipc.AuthReply, bool) {
		close(asked)
		<-forever
		return ipc.AuthReply{}, false
	}
	w = begin(t, o)
	w.cmd("USER dave")
	w.send("PASS wrong\r\n")
	<-asked
	must(t, w.client.(*net.TCPConn).CloseWrite())
	w.next("421") // to nobody
	w.ended()
}

// TestWhatWasSentBeforeTheEndIsAnswered: a script that sends all it has to say
// and closes its half gets its answers.
func TestWhatWasSentBeforeTheEndIsAnswered(t *testing.T) {
	t.Parallel()
	o := ordinary()
	o.View.Hold = policy.DelayEvent{Event: "USER", Min: int64(50 * time.Millisecond), Max: int64(50 * time.Millisecond)}
	w := begin(t, o)
	w.send("USER nobody\r\nPASS wrong\r\nNOOP\r\nQUIT\r\n")
	must(t, w.client.(*net.TCPConn).CloseWrite())
	for _, code := range []string{"331", "530"} {
		if r := w.reply(); !strings.HasPrefix(r, code) {
			t.Errorf("%q, want %s", r, code)
		}
	}
}
