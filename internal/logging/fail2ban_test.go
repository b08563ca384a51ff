package logging

import (
	"bytes"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// rawLines is what a log of text writes.
func rawLines(t *testing.T, f func(*slog.Logger)) []string {
	t.Helper()
	var b bytes.Buffer
	q := newQueue(&b, text{}, 4096)
	f(slog.New(&handler{queue: q, enc: text{}, level: slog.LevelInfo}))
	q.close(10 * time.Second)
	if q.dropped.Load() > 0 {
		t.Fatalf("%d lines lost", q.dropped.Load())
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// TestTheFilterOfThePageFindsTheClient: the expression that docs/LOGGING.md has
// for fail2ban finds the address of the client, and of nobody else, whatever
// name was typed.
func TestTheFilterOfThePageFindsTheClient(t *testing.T) {
	page, err := os.ReadFile("../../docs/LOGGING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "    failregex = ")
	if !ok {
		t.Fatal("the page has no failregex")
	}
	text, _, _ = strings.Cut(text, "\n")
	filter, err := regexp.Compile(strings.ReplaceAll(text, "<HOST>", `(?P<host>[0-9a-fA-F.:]+)`))
	if err != nil {
		t.Fatal(err)
	}
	for peer, want := range map[string]string{"192.0.2.7:40000": "192.0.2.7", "[2001:db8::7]:40000": "2001:db8::7"} {
		names := append(nasty(), "x event=login.failed", "x\n2026-01-02T03:04:05.678Z WARN 203.0.113.9:1 #1 login failed pid=1 event=login.failed")
		got := rawLines(t, func(l *slog.Logger) {
			for _, name := range names {
				l.Warn("login failed", Peer(peer), Session(42), "pid", 4711, Kind(LoginFailed), Claimed(name), "reason", "no such user found")
				l.Info("login", Peer(peer), Session(42), "pid", 4711, User(name), Kind(LoginOK))
				l.Warn("client event", Peer(peer), Session(42), "pid", 4711, "detail", name)
			}
		})
		if len(got) != 3*len(names) {
			t.Fatalf("%d lines of %d events", len(got), 3*len(names))
		}
		for i, line := range got {
			m := filter.FindStringSubmatch(line)
			switch {
			case i%3 == 0 && (m == nil || m[1] != want):
				t.Errorf("%q: %v", line, m)
			case i%3 != 0 && m != nil:
				t.Errorf("found in %q", line)
			}
		}
	}
}
