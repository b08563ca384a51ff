package logging

import (
	"strings"
	"testing"
	"time"

	"sallyport/ipc"
)

func TestTransferLines(t *testing.T) {
	base := func() *Entry {
		e := full()
		e.Time = time.Date(2026, 1, 2, 3, 4, 5, 678901234, zone)
		e.User, e.Anonymous, e.Root = "alice", false, "/home/alice"
		e.Rec = &ipc.Record{Verb: "STOR", Code: 226, Path: "/a b.txt", Transfer: true, Way: "i", Received: 1024, Took: 999_999_999, Status: "success", Protocol: "ftp"}
		return e
	}
	const head = "Fri Jan 02 03:04:05 2026 "
	for _, c := range []struct {
		name string
		with func(e *Entry)
		want string
	}{
		{"upload", func(*Entry) {}, "0 192.0.2.7 1024 /home/alice/a_b.txt b _ i r alice ftp 0 * c"},
		{"download", func(e *Entry) { e.Rec.Way, e.Rec.Sent, e.Rec.Received, e.Rec.Took = "o", 7, 0, 61e9 }, "61 192.0.2.7 7 /home/alice/a_b.txt b _ o r alice ftp 0 * c"},
		{"ascii", func(e *Entry) { e.Rec.ASCII = true }, "0 192.0.2.7 1024 /home/alice/a_b.txt a _ i r alice ftp 0 * c"},
		{"aborted", func(e *Entry) { e.Rec.Code, e.Rec.Status = 426, "cancelled" }, "0 192.0.2.7 1024 /home/alice/a_b.txt b _ i r alice ftp 0 * i"},
		{"timed out", func(e *Entry) { e.Rec.Status = "timeout" }, "0 192.0.2.7 1024 /home/alice/a_b.txt b _ i r alice ftp 0 * i"},
		{"deletion", func(e *Entry) {
			e.Rec = &ipc.Record{Verb: "DELE", Code: 250, Path: "/x", Transfer: true, Way: "d", Size: 42, Sent: 42}
		}, "0 192.0.2.7 42 /home/alice/x b _ d r alice ftp 0 * c"},
		{"tls", func(e *Entry) { e.Rec.Protocol = "ftps" }, "0 192.0.2.7 1024 /home/alice/a_b.txt b _ i r alice ftps 0 * c"},
		{"sftp", func(e *Entry) { e.Rec.Protocol = "sftp" }, "0 192.0.2.7 1024 /home/alice/a_b.txt b _ i r alice sftp 0 * c"},
		{"anonymous", func(e *Entry) { e.User, e.Anonymous, e.Root, e.Rec.Secret = "ftp", true, "/srv/ftp", "me@example.org" }, "0 192.0.2.7 1024 /srv/ftp/a_b.txt b _ i a me@example.org ftp 0 * c"},
		{"guest account", func(e *Entry) { e.Anonymous, e.Rec.Secret = true, "" }, "0 192.0.2.7 1024 /home/alice/a_b.txt b _ i a alice ftp 0 * c"},
		{"anonymous without a word", func(e *Entry) { e.User, e.Anonymous, e.Rec.Secret = "", true, "" }, "0 192.0.2.7 1024 /home/alice/a_b.txt b _ i a UNKNOWN ftp 0 * c"},
		{"the whole tree", func(e *Entry) { e.Root = "/" }, "0 192.0.2.7 1024 /a_b.txt b _ i r alice ftp 0 * c"},
		{"a root with a slash", func(e *Entry) { e.Root = "/srv/" }, "0 192.0.2.7 1024 /srv/a_b.txt b _ i r alice ftp 0 * c"},
		{"a name of odd bytes", func(e *Entry) { e.Rec.Path = "/\t\n\x1b\x7f\u0085\u00a0\u202e\xff\xfeü文\"\\" }, "0 192.0.2.7 1024 /home/alice/_________ü文\"\\ b _ i r alice ftp 0 * c"},
		{"claims below zero", func(e *Entry) { e.Rec.Received, e.Rec.Took = -1, -1 }, "0 192.0.2.7 0 /home/alice/a_b.txt b _ i r alice ftp 0 * c"},
	} {
		e := base()
		c.with(e)
		if !InTransferLog(e.Rec) {
			t.Errorf("%s: no line", c.name)
		}
		if got := string(AppendTransfer(nil, e)); got != head+c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, got, head+c.want)
		}
	}
}

// TestTransferLinesHaveTheirFields whatever a client chose.
func TestTransferLinesHaveTheirFields(t *testing.T) {
	for _, name := range nasty() {
		for _, anonymous := range []bool{false, true} {
			e := hostileEntry(name)
			e.Anonymous, e.Rec.Way = anonymous, "i"
			line := string(AppendTransfer(nil, e))
			holdHarmless(t, line)
			if f := strings.Split(line, " "); len(f) != 18 || f[6] != "192.0.2.7" || f[17] != "i" {
				t.Errorf("%q: %d fields in %q", name, len(f), line)
			}
		}
	}
}

func TestWhatIsNoTransfer(t *testing.T) {
	for _, r := range []ipc.Record{
		{Verb: "LIST", Transfer: true, Sent: 1, Code: 226},
		{Verb: "DELE", Transfer: true, Way: "d", Code: 550},
		{Verb: "RETR", Code: 550},
		{Verb: "RETR", Transfer: true, Way: "x", Code: 226},
		{Verb: "NOOP", Way: "i"},
	} {
		if InTransferLog(&r) {
			t.Errorf("%s is in the transfer log", r.Verb)
		}
	}
}
