package ftp

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// plenty is more than all socket buffers of a connection hold.
const plenty = 64 << 20

// sparse makes a file of n zero bytes that takes no room.
func (w *world) sparse(name string, n int64) {
	w.t.Helper()
	w.put(name, "")
	must(w.t, os.Truncate(filepath.Join(w.root, name), n))
}

// urgent sends IAC IP IAC as ordinary and DM as urgent data, the telnet Synch.
func (w *world) urgent() {
	w.t.Helper()
	w.send("\xff\xf4\xff")
	raw, err := w.client.(*net.TCPConn).SyscallConn()
	must(w.t, err)
	must(w.t, raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), []byte{telDM}, unix.MSG_OOB, nil)
		return err != unix.EAGAIN
	}))
	must(w.t, err)
}

func TestAbortDuringDownload(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(w *world)
	}{
		{"plain", func(w *world) { w.send("ABOR\r\n") }},
		{"lower case", func(w *world) { w.send("abor\n") }},
		{"behind IP and DM", func(w *world) { w.send("\xff\xf4\xff\xf2ABOR\r\n") }},
		{"behind urgent data", func(w *world) { w.urgent(); w.send("ABOR\r\n") }},
		{"in pieces", func(w *world) {
			for _, b := range []byte("ABOR\r\n") {
				w.send(string(b))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, kind := range []string{"I", "A"} {
				w := begin(t, ordinary())
				w.login()
				w.sparse("big", plenty)
				w.want("200", "TYPE "+kind)
				data := w.passive()
				w.want("150", "RETR big")
				_, err := io.ReadFull(data, make([]byte, 1000))
				must(t, err)
				c.send(w)
				w.next("426 Transfer aborted. Data connection closed")
				w.next("226 Abort successful")
				if n, err := io.Copy(io.Discard, data); err == nil {
					t.Errorf("the cut download ended like a whole one after %d bytes", n)
				}
				w.want("200", "NOOP")
				w.want("200", "TYPE I")
				w.put("small", "x")
				if got, last := w.fetch("RETR small"); got != "x" || !strings.HasPrefix(last, "226") {
					t.Errorf("afterwards: %q, %q", got, last)
				}
			}
		})
	}
}

func TestAbortDuringUploadKeepsWhatCame(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	data := w.passive()
	w.want("150", "STOR up")
	_, err := data.Write([]byte("half"))
	must(t, err)
	for !strings.Contains(w.cmd("STAT"), " STOR up: 4 bytes transferred") {
	}
	w.send("ABOR\r\n")
	w.next("426 Transfer aborted. Data connection closed")
	w.next("226 Abort successful")
	if got := w.content("up"); got != "half" {
		t.Errorf("the file holds %q", got)
	}
	w.want("200", "NOOP")
}

func TestAbortWhileWaitingForTheDataConnection(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.put("f", "12345")
	w.want("229", "EPSV")
	w.send("STOR f\r\n")
	w.send("ABOR\r\n")
	w.next("426 Transfer aborted. Data connection closed")
	w.next("226 Abort successful")
	if got := w.content("f"); got != "12345" {
		t.Errorf("the file holds %q", got)
	}
	w.want("425 Unable to build data connection: No PORT or PASV", "RETR f")
}

func TestAbortAfterTheTransfer(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.put("f", "12345")
	if got, last := w.fetch("RETR f"); got != "12345" || last != "226 Transfer complete" {
		t.Errorf("%q, %q", got, last)
	}
	w.want("226 Abort successful", "ABOR")
}

func TestQuitDuringTransfer(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.sparse("big", plenty)
	w.passive()
	w.want("150", "RETR big")
	w.send("QUIT\r\n")
	w.next("426 Transfer aborted. Data connection closed")
	w.next("221 Goodbye.")
	w.ended()
}

func TestQuitThatWaitedBeforeTheTransferWaitsForItsEnd(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.put("f", "12345")
	data := w.passive()
	w.send("RETR f\r\nQUIT\r\n")
	w.next("150")
	b, err := io.ReadAll(data)
	must(t, err)
	if string(b) != "12345" {
		t.Errorf("got %q", b)
	}
	w.next("226")
	w.next("221")
	w.ended()
}

func TestOtherCommandsWaitForTheTransfer(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.sparse("big", plenty)
	data := w.passive()
	w.want("150", "RETR big")
	w.send("NOOP\r\nPWD\r\n")
	if n, err := io.Copy(io.Discard, data); n != plenty || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	w.next("226")
	w.next("200 NOOP")
	w.next("257")
}

func TestAbortBehindOtherCommands(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.sparse("big", plenty)
	w.passive()
	w.want("150", "RETR big")
	w.send("NOOP\r\nABOR\r\n")
	w.next("426")
	w.next("200 NOOP")
	w.next("226 Abort successful")
}

func TestStatusDuringTransfer(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.sparse("big", plenty)
	data := w.passive()
	w.want("150", "RETR big")
	if got := w.cmd("STAT"); !strings.HasPrefix(got, "211-") || !strings.Contains(got, "\n RETR big: ") {
		t.Errorf("STAT: %q", got)
	}
	w.urgent()
	if got := w.cmd("STAT"); !strings.HasPrefix(got, "211-") {
		t.Errorf("STAT behind a Synch: %q", got)
	}
	if n, err := io.Copy(io.Discard, data); n != plenty || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	w.next("226")
}

func TestUrgentDataBehindAFullLineBufferAborts(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.sparse("big", plenty)
	w.passive()
	w.want("150", "RETR big")
	n := 5000
	w.send(strings.Repeat("NOOP\r\n", n))
	w.urgent()
	w.send("ABOR\r\n")
	w.next("426")
	for range n {
		w.next("200")
	}
	w.next("226 Abort successful")
}

func TestClientResetsTheDataConnection(t *testing.T) {
	for _, up := range []bool{false, true} {
		w := begin(t, ordinary())
		w.login()
		w.sparse("big", plenty)
		data := w.passive()
		if up {
			w.want("150", "STOR up")
		} else {
			w.want("150", "RETR big")
		}
		must(t, data.(*net.TCPConn).SetLinger(0))
		data.Close()
		w.next("426 Transfer aborted. Data connection closed")
		w.want("200", "NOOP")
	}
}

func TestControlConnectionHalfClosedDuringTransfer(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.sparse("big", plenty)
	data := w.passive()
	w.want("150", "RETR big")
	must(t, w.client.(*net.TCPConn).CloseWrite())
	if n, err := io.Copy(io.Discard, data); n != plenty || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	w.next("226")
	w.ended()
}

func TestDownloadIsByteExact(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	b := make([]byte, 9<<20+123)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	w.put("f", string(b))
	got, last := w.fetch("RETR f")
	if !bytes.Equal([]byte(got), b) || last != "226 Transfer complete" {
		t.Errorf("%d bytes of %d, %q", len(got), len(b), last)
	}
	if last = w.store("STOR g", got); last != "226 Transfer complete" || w.content("g") != string(b) {
		t.Errorf("upload: %q", last)
	}
	w.want("200", "TYPE A")
	text := strings.Repeat("line\nand\rmore\n", 1<<18)
	w.put("t", text)
	got, _ = w.fetch("RETR t")
	if got != strings.ReplaceAll(text, "\n", "\r\n") {
		t.Error("download in TYPE A differs")
	}
	if last = w.store("STOR u", got); last != "226 Transfer complete" || w.content("u") != text {
		t.Errorf("upload in TYPE A: %q", last)
	}
}

func TestFullDiskIsTold(t *testing.T) {
	w := begin(t, ordinary())
	if os.Getuid() != 0 {
		t.Skip("a small file system needs root")
	}
	must(t, unix.Mount("tmpfs", w.root, "tmpfs", 0, "size=256k"))
	t.Cleanup(func() { _ = unix.Unmount(w.root, unix.MNT_DETACH) })
	w.login()
	data := w.passive()
	w.want("150", "STOR f")
	_, _ = data.Write(make([]byte, 4<<20)) // fails where the session hangs up first
	w.next("452 Transfer aborted. No space left on device")
	w.want("200", "NOOP")
}

func TestPassiveConnectionThatNeverComes(t *testing.T) {
	o := ordinary()
	o.View.TimeoutStalled, o.NoData = 1, true
	w := begin(t, o)
	w.login()
	w.put("f", "12345")
	w.want("229", "EPSV")
	w.want("425 Unable to build data connection: Connection timed out", "STOR f")
	if got := w.content("f"); got != "12345" {
		t.Errorf("the file holds %q", got)
	}
	w.next("421 Data transfer stalled, closing control connection")
	w.ended()
}

// TestMasterGivesUpAPassiveConnection: its clock runs since PASV, the session's since
// the command. Before a command it is no more than a reason for 425.
func TestMasterGivesUpAPassiveConnection(t *testing.T) {
	o := ordinary()
	o.NoData = true
	w := begin(t, o)
	w.login()
	w.want("229", "EPSV")
	w.tell(ipc.Data{Seq: w.doors.number(0), Errno: uint32(unix.ETIMEDOUT)})
	w.want("200", "NOOP")
	w.want("425 Unable to build data connection: Connection timed out", "NLST")
	w.put("f", "12345")
	w.want("229", "EPSV")
	w.underWay("RETR f")
	w.tell(ipc.Data{Seq: w.doors.number(0), Errno: uint32(unix.ETIMEDOUT)})
	w.next("425 Unable to build data connection: Connection timed out")
	w.next("421 Data transfer stalled, closing control connection")
	w.ended()
}

func TestStalledTransfer(t *testing.T) {
	t.Parallel()
	o := ordinary()
	o.View.TimeoutStalled = 4 // the connection is awaited for no longer, either
	w := begin(t, o)
	w.login()
	w.passive()
	w.want("150", "STOR f")
	w.next("426")
	w.next("421 Data transfer stalled, closing control connection")
	w.ended()
}

func TestSecondPassiveForgetsTheFirstConnection(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.put("f", "12345")
	first := w.passive()
	w.data = nil
	defer first.Close()
	if got, last := w.fetch("RETR f"); got != "12345" || last != "226 Transfer complete" {
		t.Errorf("%q, %q", got, last)
	}
	if b, _ := io.ReadAll(first); len(b) > 0 {
		t.Errorf("the first connection got %q", b)
	}
}

func TestStaleDataNoticeIsClosed(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	client, server := tcpPair(t, "127.0.0.1")
	defer client.Close()
	w.tell(ipc.Data{Seq: 4711}, server)
	w.want("200", "NOOP")
	_ = client.SetDeadline(time.Now().Add(patience))
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v, want the end", err)
	}
}

func TestActiveMode(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	p := l.Addr().(*net.TCPAddr).Port
	for _, c := range []string{"EPRT |1|127.0.0.1|%d|", "PORT 127,0,0,1,%d,%d"} {
		if strings.HasPrefix(c, "EPRT") {
			w.want("200 EPRT command successful", sprintf(c, p))
		} else {
			w.want("200 PORT command successful", sprintf(c, p>>8, p&255))
		}
		w.send("STOR f\r\n")
		data, err := l.Accept()
		must(t, err)
		w.next("150")
		_, err = data.Write([]byte(c))
		must(t, err)
		data.Close()
		w.next("226")
		if got := w.content("f"); got != c {
			t.Errorf("the file holds %q", got)
		}
		w.want("425 Unable to build data connection: No PORT or PASV", "RETR f")
	}
}

func TestClientThatSendsOnADownloadGetsTheWholeFile(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.put("f", strings.Repeat("x", 100000))
	c := w.passive()
	_, err := c.Write([]byte("what is this?"))
	must(t, err)
	w.want("150", "RETR f")
	b, err := io.ReadAll(c)
	if len(b) != 100000 || err != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	w.next("226")
}
