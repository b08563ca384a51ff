package ftp

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// underWay sends a command and waits until the session is at work on it: what is
// sent afterwards has not been read together with it.
func (w *world) underWay(command string) {
	w.t.Helper()
	w.send(command + "\r\n")
	verb, _, _ := strings.Cut(command, " ")
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if v, ok := w.page.Snapshot(); ok && v.Verb == verb && strings.HasSuffix(command, v.Arg) && v.Arg != "" {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s does not begin", command)
		}
	}
}

// endless is more than any machine digests within the patience of a test.
const endless = 1 << 50

// TestAbortOfADigest: a digest of a file that never ends hears ABOR, STAT, QUIT
// and master.
func TestAbortOfADigest(t *testing.T) {
	o := ordinary()
	settings["digests"](&o)
	w := begin(t, o)
	w.login()
	w.sparse("big", endless>>10) // as much as every file system takes
	for _, c := range []string{"XSHA512 big", "HASH big", "MD5 big", "XSHA256 big 5 99999999999"} {
		w.underWay(c)
		if got := w.cmd("STAT"); !strings.Contains(got, " big: ") {
			t.Errorf("STAT during %s: %q", c, got)
		}
		w.send("ABOR\r\n")
		w.next("451 big: Operation canceled")
		w.next("226 Abort successful")
	}
	w.send("XSHA512 big\r\nNOOP\r\nABOR\r\n")
	w.next("451 big: Operation canceled")
	w.next("200")
	w.next("226")
	w.underWay("XSHA512 big")
	w.want("211-", "STAT")
	w.send("QUIT\r\n")
	w.next("451 big: Operation canceled")
	w.next("221")
	w.ended()
}

func TestEndOfADigest(t *testing.T) {
	o := ordinary()
	settings["digests"](&o)
	w := begin(t, o)
	w.login()
	w.sparse("big", endless>>10)
	w.underWay("XSHA512 big")
	w.want("211-", "STAT")
	w.tell(ipc.End{Code: 421, Text: "Service shutting down"})
	w.next("421 Service shutting down")
	w.ended()
}

// busy answers every copy and removal with "there is more to do", and tells of
// all that is asked.
func busy(asked chan<- any) func(*ipc.Conn) {
	return func(c *ipc.Conn) {
		for {
			m, err := c.Recv()
			if err != nil {
				return
			}
			var answer any = ipc.PathReply{Errno: uint32(unix.EAGAIN)}
			if _, ok := m.Body.(*ipc.Stat); ok {
				answer = ipc.StatReply{}
				select {
				case asked <- m.Body:
				default:
				}
			}
			if c.Send(answer) != nil {
				return
			}
		}
	}
}

// TestAbortOfWorkInPieces: copies and removals that take long are called for
// piece by piece; ABOR ends them, and the files process is told by another call.
func TestAbortOfWorkInPieces(t *testing.T) {
	for _, c := range []string{"SITE COPY a b", "SITE CPTO b", "SITE RMDIR b"} {
		t.Run(c, func(t *testing.T) {
			asked := make(chan any, 100)
			o := ordinary()
			o.Serve = busy(asked)
			w := begin(t, o)
			w.login()
			w.want("350", "SITE CPFR a")
			w.underWay(c)
			if got := w.cmd("STAT"); !strings.Contains(got, " b: ") {
				t.Errorf("STAT: %q", got)
			}
			for len(asked) > 0 {
				<-asked
			}
			w.send("ABOR\r\n")
			w.next("451 b: Operation canceled")
			w.next("226 Abort successful")
			if r, ok := (<-asked).(*ipc.Stat); !ok || r.Path != "/" {
				t.Errorf("asked %+v", r)
			}
			w.want("200", "NOOP")
		})
	}
}

// TestAbortBehindSlowFormsOfSITEIsTheirs: it does not end the transfer before
// them.
func TestAbortBehindSlowFormsOfSITEIsTheirs(t *testing.T) {
	for _, c := range []struct {
		line string
		want bool
	}{
		{"copy a b", true}, {" RMDIR x", true}, {"CPTO", true}, {"CHMOD 600 copy", false}, {"", false}, {"NOPE", false},
	} {
		if got := siteTakesTime([]byte(c.line)); got != c.want {
			t.Errorf("%q: %t", c.line, got)
		}
	}
}

// TestBombIsDefused: an upload that is all zeros, packed, ends long before the
// disk is full.
func TestBombIsDefused(t *testing.T) {
	o := ordinary()
	o.View.ModeZ = true
	o.Files.DeleteAborted = true
	w := begin(t, o)
	w.login()
	w.want("200", "MODE Z")
	data := w.passive()
	w.want("150", "STOR bomb")
	_, _ = data.Write(deflated(strings.Repeat("\x00", ratioFrom+1<<20))) // may be reset before its end
	w.next("552 Transfer aborted. Compression ratio too high")
	w.want("550 bomb: No such file or directory", "SIZE bomb")
	honest := strings.Repeat("all work and no play makes jack a dull boy\n", 1<<16)
	w.passive()
	w.want("150", "STOR text")
	_, err := w.data.Write(deflated(honest))
	must(t, err)
	w.data.Close()
	w.next("226")
	if w.content("text") != honest {
		t.Error("the text differs")
	}
}

// TestSizeLimitCountsWhatIsInflated: not what came over the network.
func TestSizeLimitCountsWhatIsInflated(t *testing.T) {
	o := ordinary()
	o.View.ModeZ, o.Sizes = true, 10000
	w := begin(t, o)
	w.login()
	w.want("200", "MODE Z")
	w.passive()
	w.want("150", "STOR f")
	_, err := w.data.Write(deflated(strings.Repeat("x", 10001)))
	must(t, err)
	w.data.Close()
	w.next("552 Transfer aborted. File too large")
	if n := len(w.content("f")); n != 10000 {
		t.Errorf("the file has %d bytes", n)
	}
}

// TestFinishFails: what the files process says in the end is what the client
// hears instead of 226.
func TestFinishFails(t *testing.T) {
	for _, c := range []struct {
		reply  ipc.FinishReply
		hidden bool
		want   string
	}{
		{ipc.FinishReply{}, true, "226 Transfer complete"},
		{ipc.FinishReply{Errno: uint32(unix.EACCES)}, true, "550 f: Rename of hidden file .in.f. failed: Permission denied"},
		{ipc.FinishReply{Denied: ipc.DeniedOverwrite}, true, "550 f: Rename of hidden file .in.f. failed: Overwrite permission denied"},
		{ipc.FinishReply{Errno: uint32(unix.ENOSPC)}, false, "452 Transfer aborted. No space left on device"},
		{ipc.FinishReply{Errno: uint32(unix.EIO)}, false, "451 Transfer aborted. Input/output error"},
		{ipc.FinishReply{Denied: ipc.DeniedSize}, false, "552 Transfer aborted. File too large"},
	} {
		o := ordinary()
		finished := make(chan ipc.Finish, 1)
		o.Serve = func(files *ipc.Conn) {
			for {
				m, err := files.Recv()
				if err != nil {
					return
				}
				switch q := m.Body.(type) {
				case *ipc.OpenWrite:
					fd, err := unix.MemfdCreate("upload", unix.MFD_CLOEXEC)
					if err == nil {
						err = files.Send(ipc.OpenReply{Created: true, Hidden: c.hidden, Path: ".in.f.", Upload: 7}, fd)
						unix.Close(fd)
					}
					if err != nil {
						return
					}
				case *ipc.Finish:
					finished <- *q
					_ = files.Send(c.reply)
				}
			}
		}
		if !c.hidden {
			o.View.FSync = true
		}
		w := begin(t, o)
		w.login()
		w.passive()
		w.want("150", "STOR f")
		w.data.Close()
		if q := <-finished; q != (ipc.Finish{Upload: 7, Whole: true}) {
			t.Errorf("%+v", q)
		}
		w.next(c.want)
		data := w.passive() // an upload that fails is settled as one that did, and has its own reply
		w.want("150", "STOR f")
		w.reset(data)
		if q := <-finished; q != (ipc.Finish{Upload: 7}) {
			t.Errorf("%+v", q)
		}
		w.next("426")
	}
}

// TestLingerWaitsForTheClient: 226 comes when the client has closed.
func TestLingerWaitsForTheClient(t *testing.T) {
	o := ordinary()
	o.View.TimeoutLinger = 3600
	w := begin(t, o)
	w.login()
	w.put("f", "12345")
	data := w.passive()
	w.want("150", "RETR f")
	w.want("211-", "STAT") // no 226 before it
	data.Close()
	w.next("226")
	data = w.passive()
	w.want("150", "RETR f")
	w.send("ABOR\r\n") // all bytes are sent: a success, and nothing to abort
	w.next("226 Transfer complete")
	w.next("226 Abort successful")
	data.Close()
	o.View.TimeoutLinger = 1
	w = begin(t, o)
	w.login()
	w.put("f", "12345")
	w.passive()
	w.want("150", "RETR f")
	w.next("226") // the time is up
}
