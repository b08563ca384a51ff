package ftp

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/ipc"
	"sallyport/shm"
)

func sprintf(format string, a ...any) string { return fmt.Sprintf(format, a...) }

func TestEndSaysTheLastWord(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.tell(ipc.End{Code: 421, Text: "Idle timeout (600 seconds): closing control connection"})
	w.next("421 Idle timeout (600 seconds): closing control connection")
	w.ended()
}

func TestEndWithoutAWord(t *testing.T) {
	w := begin(t, ordinary())
	w.want("200", "NOOP")
	w.tell(ipc.End{})
	w.ended()
}

func TestEndDuringTransferTellsOfTheTransferToo(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.sparse("big", plenty)
	w.passive()
	w.want("150", "RETR big")
	w.tell(ipc.End{Code: 421, Text: "Service shutting down"})
	w.next("426 Transfer aborted. Data connection closed")
	w.next("421 Service shutting down")
	w.ended()
}

func TestEndWhileAuthdThinks(t *testing.T) {
	o := ordinary()
	wait := make(chan struct{})
	o.Verdict = func(*ipc.AuthRequest) (ipc.AuthReply, bool) { <-wait; return ipc.AuthReply{}, false }
	w := begin(t, o)
	defer close(wait)
	w.want("331", "USER ann")
	w.send("PASS secret\r\n")
	w.tell(ipc.End{Code: 421, Text: "Login timeout (300 seconds): closing control connection"})
	w.next("421 Login timeout (300 seconds): closing control connection")
	w.ended()
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name  string
		reply ipc.AuthReply
		want  string
		ends  bool
	}{
		{"denied", ipc.AuthReply{Verdict: ipc.VerdictDenied}, "530 Login incorrect.", false},
		{"denied with a text", ipc.AuthReply{Verdict: ipc.VerdictDenied, Text: "No."}, "530 No.", false},
		{"last", ipc.AuthReply{Verdict: ipc.VerdictLast}, "530 Login incorrect.", true},
		{"unavailable", ipc.AuthReply{Verdict: ipc.VerdictUnavailable}, "421 Service not available, closing control connection", true},
		{"refused", ipc.AuthReply{Verdict: ipc.VerdictRefused, Text: "Sorry, full."}, "530 Sorry, full.", true},
		{"unknown", ipc.AuthReply{Verdict: 99}, "530 Login incorrect.", true},
		{"a text of two lines", ipc.AuthReply{Verdict: ipc.VerdictDenied, Text: "a\r\n230 b"}, "530 a??230 b", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := ordinary()
			o.Verdict = func(*ipc.AuthRequest) (ipc.AuthReply, bool) { return c.reply, true }
			w := begin(t, o)
			w.want("331", "USER ann")
			if got := w.cmd("PASS x"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if c.ends {
				w.ended()
			} else {
				w.want("200", "NOOP")
			}
		})
	}
}

func TestMasterRefusesTheLogin(t *testing.T) {
	o := ordinary()
	o.Refuse = "Sorry, the maximum number of clients (3) for this user are already connected."
	w := begin(t, o)
	w.want("331", "USER ann")
	w.want("530 "+o.Refuse, "PASS secret")
	w.ended()
}

func TestRequestCarriesNameAndPasswordAsTheyAre(t *testing.T) {
	w := begin(t, ordinary())
	w.want("331 Password required for a b\xff ", "USER a b\xff\xff ")
	w.want("530", "PASS  two  blanks ")
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.asked) != 1 || w.asked[0].User != "a b\xff " || string(w.asked[0].Secret) != " two  blanks " || w.asked[0].Method != "password" {
		t.Errorf("asked %q", w.asked)
	}
}

func TestLongNamesAndPasswords(t *testing.T) {
	w := begin(t, ordinary())
	w.want("501 Login incorrect.", "USER "+strings.Repeat("u", 257))
	w.want("503", "PASS secret")
	w.want("331", "USER "+strings.Repeat("u", 256))
	w.want("530", "PASS "+strings.Repeat("p", 4000))
}

func TestAuthdIsReplacedWhileItThinks(t *testing.T) {
	var n atomic.Int32
	o := ordinary()
	died := make(chan struct{})
	o.Verdict = func(*ipc.AuthRequest) (ipc.AuthReply, bool) {
		if n.Add(1) == 1 {
			close(died)
			return ipc.AuthReply{}, false
		}
		return ipc.AuthReply{Verdict: ipc.VerdictOK}, true
	}
	w := begin(t, o)
	w.want("331", "USER ann")
	w.send("PASS secret\r\n")
	<-died
	next := w.authd()
	w.tell(ipc.NewAuth{}, next.FD())
	w.next("230")
	if n.Load() != 2 {
		t.Errorf("asked %d times", n.Load())
	}
}

func TestAuthdIsReplacedBetweenLogins(t *testing.T) {
	w := begin(t, ordinary())
	w.want("331", "USER ann")
	next := w.authd()
	w.tell(ipc.NewAuth{}, next.FD())
	w.want("230", "PASS secret")
}

func TestAuthdDoesNotComeBack(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the five seconds that authd has to come back")
	}
	t.Parallel()
	o := ordinary()
	o.Verdict = func(*ipc.AuthRequest) (ipc.AuthReply, bool) { return ipc.AuthReply{}, false }
	w := begin(t, o)
	w.want("331", "USER ann")
	w.want("421 Service not available, closing control connection", "PASS secret")
	w.ended()
}

func TestPageTellsWhatHappens(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.want("257", "MKD d")
	w.want("250", "CWD d")
	w.sparse("big", plenty)
	w.passive()
	w.want("150", "RETR /big")
	w.want("211", "STAT")
	v, ok := w.page.Snapshot()
	if !ok || v.State != shm.StateDownloading || v.Verb != "RETR" || v.Arg != "/big" || v.Dir != "/d" || v.Size != plenty || v.Done == 0 || v.BytesOut != v.Done {
		t.Errorf("%+v, %t", v, ok)
	}
	w.send("ABOR\r\n")
	w.next("426")
	w.next("226")
}

func TestPasswordIsOnNoPage(t *testing.T) {
	o := ordinary()
	wait, asked := make(chan struct{}), make(chan struct{})
	o.Verdict = func(*ipc.AuthRequest) (ipc.AuthReply, bool) { close(asked); <-wait; return ipc.AuthReply{}, true }
	w := begin(t, o)
	w.want("331", "USER ann")
	w.send("PASS secret\r\n")
	<-asked
	if v, ok := w.page.Snapshot(); !ok || v.Verb != "PASS" || v.Arg != "" {
		t.Errorf("%+v, %t", v, ok)
	}
	close(wait)
	w.next("530")
}

func TestEventsAreReported(t *testing.T) {
	w := begin(t, ordinary())
	w.want("500", "XYZZY")
	w.want("500", " ")
	w.want("331", "USER ann")
	w.want("501 Login incorrect.", "PASS")
	w.login()
	w.want("500", "PORT 10,0,0,1,20,20")
	w.send("GET / HTTP/1.0\r\n")
	w.ended()
	want := []string{ipc.EventUnhandledCommand, ipc.EventInvalidCommand, ipc.EventEmptyPassword, ipc.EventCommandRefused, ipc.EventBadProtocol}
	<-w.lost
	if got := w.events(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("events %q, want %q", got, want)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bye != "client speaks HTTP" {
		t.Errorf("bye %q", w.bye)
	}
}

func TestNothingButUnknownCommandsIsAnEvent(t *testing.T) {
	w := begin(t, ordinary())
	w.send(strings.Repeat("PROPFIND x\r\n", maxStrays+5))
	for range maxStrays {
		w.next("500 PROPFIND not understood")
	}
	w.ended()
	<-w.lost
	if got := w.events(); got[len(got)-1] != ipc.EventBadProtocol {
		t.Errorf("events %q", got)
	}
}

// TestFilesProcessDies: what was cut short is not reported as whole.
func TestFilesProcessDies(t *testing.T) {
	for _, c := range []struct {
		command string
		answer  any
		replies []string
	}{
		{"SIZE f", nil, []string{"421 Service not available"}},
		{"RNFR f", nil, []string{"421 Service not available"}},
		{"MLSD", ipc.ListBatch{Lines: []byte("type=file; a\r\n"), Count: 1, More: true}, []string{"150", "426", "421 Service not available"}},
		{"MLST f", nil, []string{"421 Service not available"}},
	} {
		t.Run(c.command, func(t *testing.T) {
			o := ordinary()
			o.Serve = func(files *ipc.Conn) {
				if _, err := files.Recv(); err == nil && c.answer != nil {
					_ = files.Send(c.answer)
				}
			}
			w := begin(t, o)
			w.login()
			if c.answer != nil {
				w.passive()
			}
			w.send(c.command + "\r\n")
			for _, r := range c.replies {
				w.next(r)
			}
			w.ended()
		})
	}
}
