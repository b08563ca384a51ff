package logging

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// lines runs f with a logger that writes text to a pipe and returns its lines
// without their time.
func lines(t *testing.T, f func(*Log)) []string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l, err := New(Options{Format: FormatText, Output: w, Level: slog.LevelDebug})
	if err != nil {
		t.Fatal(err)
	}
	f(l)
	l.Close(10 * time.Second)
	w.Close()
	var out []string
	for s := bufio.NewScanner(r); s.Scan(); {
		stamp, rest, _ := strings.Cut(s.Text(), " ")
		if _, err := time.Parse("2006-01-02T15:04:05.000Z", stamp); err != nil {
			t.Errorf("line %q: %v", s.Text(), err)
		}
		out = append(out, rest)
	}
	return out
}

func TestTextLines(t *testing.T) {
	got := lines(t, func(l *Log) {
		l.Info("started", Kind(Ready), slog.Int("listeners", 2))
		l.Log(context.Background(), LevelNotice, "USER bob\nFAKE: no such user",
			Claimed("bob\nFAKE"), Session(42), Peer("192.0.2.7:40000"), Kind(LoginFailed))
		l.Log(context.Background(), LevelCrit, "x", Error(errors.New("a b")), Error(nil), slog.String("empty", ""))
		l.With("a", 1).WithGroup("g").Debug("y", "b", 2*time.Second, slog.Group("h", "c", []byte("raw")), "b", 3)
		l.Error("z", "k=\n", fmt.Errorf("q"))
	})
	want := []string{
		`INFO started event=service.ready listeners=2`,
		`NOTICE 192.0.2.7:40000 #42 USER bob\x0aFAKE: no such user user_claimed="bob\x0aFAKE" event=login.failed`,
		`CRIT x error="a b" empty=""`,
		`DEBUG y a=1 g_b=3 g_h_c=raw`,
		`ERROR z k=\x0a=q`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// fakeJournal collects datagrams as fields; a large record comes as a memfd.
type fakeJournal struct {
	path string
	fd   int
}

func newFakeJournal(t *testing.T) *fakeJournal {
	t.Helper()
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	j := &fakeJournal{path: filepath.Join(dir, "socket"), fd: fd}
	t.Cleanup(func() { unix.Close(fd); os.RemoveAll(dir) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: j.path}); err != nil {
		t.Fatal(err)
	}
	return j
}

func (j *fakeJournal) next(t *testing.T) map[string]string {
	t.Helper()
	buf, oob := make([]byte, 1<<20), make([]byte, 256)
	n, on, _, _, err := unix.Recvmsg(j.fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	b := buf[:n]
	if on > 0 {
		scm, err := unix.ParseSocketControlMessage(oob[:on])
		if err != nil {
			t.Fatal(err)
		}
		fds, err := unix.ParseUnixRights(&scm[0])
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fds[0]), "record")
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		b = make([]byte, st.Size())
		if _, err := f.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
	}
	return parseNative(t, b)
}

func parseNative(t *testing.T, b []byte) map[string]string {
	m := make(map[string]string)
	for len(b) > 0 {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			t.Fatalf("record ends without a line feed: %q", b)
		}
		k, v, plain := strings.Cut(string(line), "=")
		if !plain {
			n := binary.LittleEndian.Uint64(rest)
			v = string(rest[8 : 8+n])
			rest = rest[8+n+1:]
		}
		if _, twice := m[k]; twice {
			t.Errorf("field %s twice", k)
		}
		m[k], b = v, rest
	}
	return m
}

func TestJournalFields(t *testing.T) {
	j := newFakeJournal(t)
	l, err := New(Options{Format: FormatJournal, Socket: j.path, Version: "1.2"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(time.Second)
	l.Warn("USER eve: refused", Peer("[2001:db8::1]:4711"), Session(7), Kind(LoginFailed),
		Claimed("eve\nMESSAGE=forged"), slog.String("limit-x", "a=b"))
	want := map[string]string{
		"MESSAGE": `[2001:db8::1]:4711 #7 USER eve: refused limit-x="a=b"`, "PRIORITY": "4",
		"SYSLOG_IDENTIFIER": "sallyport", "MESSAGE_ID": LoginFailed.MessageID(), "SALLYPORT_VERSION": "1.2",
		"REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": "4711",
		"SALLYPORT_PEER": "[2001:db8::1]:4711", "SALLYPORT_SESSION": "7", "SALLYPORT_EVENT": "login.failed",
		"SALLYPORT_USER_CLAIMED": "eve\nMESSAGE=forged", "SALLYPORT_LIMIT_X": "a=b",
	}
	if d := cmp.Diff(want, j.next(t)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestJournalTakesLargeRecords(t *testing.T) {
	j := newFakeJournal(t)
	w, err := dialJournal(j.path, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(w.fd)
	if err := unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4096); err != nil {
		t.Fatal(err)
	}
	value := strings.Repeat("x\n", maxValue/2)
	r := &record{level: slog.LevelInfo, message: "large"}
	for i := range 40 {
		r.attrs = append(r.attrs, pair{fmt.Sprint("k", i), value})
	}
	if _, err := w.Write(journal{}.encode(r)); err != nil {
		t.Fatal(err)
	}
	if got := j.next(t)["SALLYPORT_K39"]; got != value {
		t.Errorf("the last field has %d bytes", len(got))
	}
}

// TestJournalGone holds that a record of a journal that has gone is not lost.
func TestJournalGone(t *testing.T) {
	j := newFakeJournal(t)
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := dialJournal(j.path, out)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(w.fd)
	unix.Close(j.fd)
	rec := journal{}.encode(&record{message: "still here\n"})
	if _, err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if b, _ := io.ReadAll(r); string(b) != "still here\\x0a\n" {
		t.Errorf("fallback wrote %q", b)
	}
	if fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	} else {
		j.fd = fd
	}
	os.Remove(j.path)
	if err := unix.Bind(j.fd, &unix.SockaddrUnix{Name: j.path}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if m := j.next(t)["MESSAGE"]; m != `still here\x0a` {
		t.Errorf("after its return the journal got %q", m)
	}
}

func TestFormatFollowsTheStream(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	j := newFakeJournal(t)
	for _, c := range []struct{ stream, format, want string }{
		{fmt.Sprintf("%d:%d", st.Dev, st.Ino), FormatAuto, FormatJournal},
		{fmt.Sprintf("%d:%d", st.Dev, st.Ino+1), FormatAuto, FormatText},
		{"", FormatAuto, FormatText},
		{"nonsense", FormatAuto, FormatText},
		{fmt.Sprintf("%d:%d", st.Dev, st.Ino), FormatText, FormatText},
	} {
		t.Setenv("JOURNAL_STREAM", c.stream)
		l, err := New(Options{Format: c.format, Output: f, Socket: j.path})
		if err != nil {
			t.Fatal(err)
		}
		if l.Format() != c.want {
			t.Errorf("JOURNAL_STREAM=%q: %s, want %s", c.stream, l.Format(), c.want)
		}
		l.Close(time.Second)
	}
	if _, err := New(Options{Format: "xml"}); err == nil || err.Error() != `log format "xml": not one of auto, text, journal` {
		t.Errorf("error %v", err)
	}
	if _, err := New(Options{Format: FormatJournal, Socket: "/nonexistent/socket"}); err == nil {
		t.Error("a journal that is not there is no error")
	}
}

// gate is a writer that waits until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	got  bytes.Buffer
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got.Write(b)
}

func TestABlockedWriterBlocksNobodyAndTheLossIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		q := newQueue(g, text{}, 8)
		l := slog.New(&handler{queue: q, enc: text{}, level: slog.LevelInfo})
		l.Info("first")
		synctest.Wait() // the writer holds the first one
		for range 20 {
			l.Info("more")
		}
		if n := q.dropped.Load(); n != 12 {
			t.Errorf("%d dropped, want 12", n)
		}
		if q.flush(time.Second) {
			t.Error("flush of a blocked queue succeeded")
		}
		close(g.open)
		if !q.flush(time.Second) {
			t.Error("flush failed")
		}
		q.close(time.Second)
		if s := g.got.String(); strings.Count(s, "more") != 8 || strings.Count(s, "12 log records were lost") != 1 ||
			!strings.Contains(s, "event=log.dropped count=12") {
			t.Errorf("written:\n%s", s)
		}
		if n := q.bytes.Load(); n != 0 {
			t.Errorf("%d bytes counted in an empty queue", n)
		}
		l.Info("late")
		if n := q.dropped.Load(); n != 13 {
			t.Errorf("a record after close: %d dropped, want 13", n)
		}
	})
}

func TestQueueBoundsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		q := newQueue(g, text{}, 1<<20)
		for range maxQueued/1024 + 100 {
			q.put(make([]byte, 1024))
		}
		if n := q.bytes.Load(); n > maxQueued {
			t.Errorf("%d bytes queued", n)
		}
		if q.dropped.Load() < 99 { // the writer holds one
			t.Errorf("%d dropped", q.dropped.Load())
		}
		close(g.open)
		q.close(time.Second)
	})
}

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		close(g.open)
		q := newQueue(g, text{}, 1024)
		defer q.close(time.Second)
		lim := NewLimiter(slog.New(&handler{queue: q, enc: text{}, level: slog.LevelInfo}), time.Second, 2)
		say := func(key string) { lim.Log(slog.LevelWarn, key, "refused "+key, slog.String("k", key)) }
		for range 1000 {
			say("a")
		}
		say("b")
		say("c") // no room: the common key
		say("d")
		time.Sleep(2500 * time.Millisecond)
		say("a")
		time.Sleep(2 * time.Second)
		q.flush(time.Second)
		var got []string
		for _, l := range strings.Split(strings.TrimSpace(g.got.String()), "\n") {
			_, rest, _ := strings.Cut(l, " WARN ")
			got = append(got, rest)
		}
		count := map[string]int{}
		for _, l := range got {
			count[l]++
		}
		want := map[string]int{
			"refused a k=a": 2, "refused a k=a count=999": 1,
			"refused b k=b": 1, "refused c k=c": 1, "refused d k=d count=1": 1,
		}
		if d := cmp.Diff(want, count); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		lim.mu.Lock()
		defer lim.mu.Unlock()
		if len(lim.keys) != 0 {
			t.Errorf("%d keys left", len(lim.keys))
		}
	})
}

func TestTracer(t *testing.T) {
	got := lines(t, func(l *Log) {
		tr := NewTracer(l.Logger, "data", "auth")
		if d := cmp.Diff([]string{"auth", "data"}, tr.Names()); d != "" {
			t.Error(d)
		}
		c := tr.Channel("auth")
		c.Log(1, "off")
		c.Set(5)
		c.Log(5, "on", slog.Int("n", 1))
		c.Log(6, "too chatty")
		c.Set(99)
		if c.Level() != 20 {
			t.Errorf("level %d", c.Level())
		}
		tr.Channel("none").Log(1, "a nil channel is off")
	})
	if d := cmp.Diff([]string{`INFO on trace=auth trace_level=5 n=1`}, got); d != "" {
		t.Error(d)
	}
}

func TestEveryEventHasItsID(t *testing.T) {
	seen := map[string]Event{}
	catalog, err := os.ReadFile(filepath.Join("..", "..", "packaging", "sallyport.catalog"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range Events() {
		id := e.MessageID()
		if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
			t.Errorf("%s: id %q", e, id)
		}
		if o, ok := seen[id]; ok {
			t.Errorf("%s and %s have one id", e, o)
		}
		seen[id] = e
		if !strings.Contains(string(catalog), "\n-- "+id+"\n") {
			t.Errorf("%s (%s) is not in the catalog", e, id)
		}
	}
	if n := strings.Count(string(catalog), "\n-- "); n != len(seen) {
		t.Errorf("the catalog has %d entries, there are %d events", n, len(seen))
	}
	if Event("x").MessageID() != "" {
		t.Error("an unknown event has an id")
	}
}
