package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withLogs is a house whose configuration has logs in a directory of their own.
func withLogs(t *testing.T, rootless bool, block string) *house {
	t.Helper()
	h := prepare(t, rootless, "")
	must(t, os.Mkdir(h.logs(""), 0o755))
	if rootless && os.Geteuid() == 0 {
		must(t, os.Chown(h.logs(""), nobody, nobody))
	}
	h.append(strings.ReplaceAll(block, "LOGS", h.logs("")))
	return h
}

func (h *house) logs(name string) string { return filepath.Join(h.dir, "logs", name) }

func (h *house) append(text string) {
	h.t.Helper()
	f, err := os.OpenFile(h.conf(), os.O_APPEND|os.O_WRONLY, 0)
	must(h.t, err)
	defer f.Close()
	_, err = f.WriteString(text)
	must(h.t, err)
}

// linesOf waits until a log file has n lines and returns them.
func (h *house) linesOf(name string, n int) (l []string) {
	h.t.Helper()
	until(h.t, fmt.Sprintf("%d lines in %s", n, name), func() bool {
		b, err := os.ReadFile(h.logs(name))
		if err != nil {
			return false
		}
		l = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		return len(b) > 0 && len(l) >= n
	})
	if len(l) > n {
		h.t.Errorf("%d lines in %s, want %d:\n%s", len(l), name, n, strings.Join(l, "\n"))
	}
	return l
}

func (w *wire) store(name string, data []byte) {
	w.t.Helper()
	d := w.passive()
	w.do("150", "STOR "+name)
	_, err := d.Write(data)
	must(w.t, err)
	d.Close()
	w.reply("226")
}

func (w *wire) retrieve(name string) []byte {
	w.t.Helper()
	d := w.passive()
	w.do("150", "RETR "+name)
	b, err := io.ReadAll(d)
	must(w.t, err)
	d.Close()
	w.reply("226")
	return b
}

var stamp = regexp.MustCompile(`^[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \d{4} \d+ `)

// TestTransferLogOfRealTransfers also holds that the file is private.
func TestTransferLogOfRealTransfers(t *testing.T) {
	modes(t, func(t *testing.T, rootless bool) {
		h := withLogs(t, rootless, "log {\n  transfer = \"LOGS/xferlog\"\n}\n").start()
		w := h.dial().login()
		w.store("a b.txt", bytes.Repeat([]byte("x"), 1024))
		w.retrieve("a b.txt")
		w.do("200", "TYPE A")
		w.store("asc", []byte("a\r\nb\r\n"))
		w.do("200", "TYPE I")
		w.do("550", "RETR nothing")
		w.do("250", "DELE a b.txt")
		w.do("550", "DELE a b.txt")
		d := w.passive() // an upload that its client gives up
		w.do("150", "STOR half")
		_, err := d.Write(make([]byte, 100))
		must(t, err)
		until(t, "the bytes to arrive", func() bool { st, err := os.Stat(h.home + "/half"); return err == nil && st.Size() == 100 })
		w.do("426", "ABOR")
		w.reply("226")
		w.do("221", "QUIT")
		var got []string
		for _, l := range h.linesOf("xferlog", 5) {
			if !stamp.MatchString(l) {
				t.Errorf("line %q", l)
			}
			got = append(got, stamp.ReplaceAllString(l, ""))
		}
		want := []string{
			"127.0.0.1 1024 HOME/a_b.txt b _ i r ann ftp 0 * c", "127.0.0.1 1024 HOME/a_b.txt b _ o r ann ftp 0 * c",
			"127.0.0.1 6 HOME/asc a _ i r ann ftp 0 * c", "127.0.0.1 1024 HOME/a_b.txt b _ d r ann ftp 0 * c",
			"127.0.0.1 100 HOME/half b _ i r ann ftp 0 * i",
		}
		for i := range want {
			want[i] = strings.ReplaceAll(want[i], "HOME", h.home)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		if st, err := os.Stat(h.logs("xferlog")); err != nil || st.Mode() != 0o640 {
			t.Errorf("%v, %v", st.Mode(), err)
		}
		h.stop()
	})
}

// TestExtendedLogOfASession: classes, formats, hidden passwords, the lines of
// begin and end.
func TestExtendedLogOfASession(t *testing.T) {
	h := withLogs(t, false, `log {
  extended "LOGS/all" {
    commands = ["ALL", "CONNECT", "EXIT", "!NOOP"]
    format   = "%a:%%{remote-port} %u %U \"%r\" %s %b %E"
  }
  extended "LOGS/read" {
    commands = ["READ"]
  }
  extended "LOGS/out" {
    commands = ["EXIT"]
    format   = "%m %I %O %u %g %%{uid} %c %C %F %P %%{protocol}"
  }
  extended "LOGS/port" {
    commands = ["RETR"]
    format   = "%%{transfer-port}"
  }
}
`).start()
	w := h.dial()
	w.reply("220")
	w.do("331", "USER ann")
	w.do("230", "PASS open sesame")
	w.do("200", "TYPE I")
	w.do("200", "NOOP")
	w.store("f", []byte("hello"))
	w.retrieve("f")
	w.do("500", "FROB nicate")
	w.do("550", "RETR none")
	w.do("221", "QUIT")
	_, port, _ := strings.Cut(w.LocalAddr().String(), ":")
	at := "127.0.0.1:" + port
	got := h.linesOf("all", 12)
	want := []string{
		at + ` UNKNOWN - "CONNECT" - - -`, at + ` UNKNOWN ann "USER ann" 331 - -`, at + ` ann ann "PASS (hidden)" 230 - -`,
		at + ` ann ann "TYPE I" 200 - -`, at + ` ann ann "EPSV" 229 - -`, at + ` ann ann "STOR f" 226 5 -`, at + ` ann ann "EPSV" 229 - -`,
		at + ` ann ann "RETR f" 226 5 -`, at + ` ann ann "FROB" 500 - -`, at + ` ann ann "RETR none" 550 - -`,
		at + ` ann ann "QUIT" 221 - -`, at + ` ann ann "EXIT" - - Quit`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	read := h.linesOf("read", 2)
	shape := regexp.MustCompile(`^127\.0\.0\.1 UNKNOWN ann \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "RETR (f" 226 5|none" 550 -)$`)
	for _, l := range read {
		if !shape.MatchString(l) {
			t.Errorf("line %q", l)
		}
	}
	f := strings.Fields(h.linesOf("out", 1)[0])
	in, _ := strconv.Atoi(f[1])
	out, _ := strconv.Atoi(f[2])
	if f[0] != "EXIT" || in < 100 || out < 300 || f[3] != "ann" {
		t.Errorf("%q: the session read about 130 bytes and wrote about 600", f)
	}
	if end := f[len(f)-4:]; end[0] != "/" || end[1] != "-" || end[3] != "ftp" {
		t.Errorf("%q: it was in / and without TLS", f)
	}
	if n, err := strconv.Atoi(h.linesOf("port", 2)[0]); err != nil || n < 1024 {
		t.Errorf("port of the client's end: %q", h.linesOf("port", 2)[0])
	}
	h.stop()
	if strings.Contains(h.log.String(), "sesame") || strings.Contains(strings.Join(got, ""), "sesame") {
		t.Error("a password is in a log")
	}
}

// TestHowASessionEndsIsLogged by the words of %E.
func TestHowASessionEndsIsLogged(t *testing.T) {
	h := withLogs(t, false, "timeout {\n  idle = \"4s\"\n}\nlog {\n  extended \"LOGS/x\" {\n    commands = [\"EXIT\"]\n    format = \"%U|%E\"\n  }\n}\n").start()
	for i, c := range []struct {
		end  func(w *wire)
		want string
	}{
		{func(w *wire) { w.do("221", "QUIT") }, "Quit"},
		{func(w *wire) { w.Close() }, "Read EOF from client"},
		{func(w *wire) { w.reply("421") }, "Timeout exceeded: TimeoutIdle"},
		{func(w *wire) { h.ctl("kick", "user", "ann") }, "Terminated by signal: kicked"},
		{func(w *wire) { h.killChildOf("session", w.LocalAddr().String()) }, "Terminated by signal: SIGKILL"},
	} {
		w := h.dial().login()
		c.end(w)
		if l := h.linesOf("x", i+1); l[i] != "ann|"+c.want {
			t.Errorf("%q, want %s", l[i], c.want)
		}
	}
	h.stop()
}

// TestATransferThatDiesIsLogged from its last progress report.
func TestATransferThatDiesIsLogged(t *testing.T) {
	h := withLogs(t, false, "log {\n  transfer = \"LOGS/xferlog\"\n}\n").start()
	must(t, os.Mkdir(h.home+"/in", 0o777))
	must(t, os.Chmod(h.home+"/in", 0o777))
	w := h.dial().login()
	w.do("250", "CWD in")
	d := w.passive()
	w.do("150", "STOR it")
	_, err := d.Write(make([]byte, 777))
	must(t, err)
	until(t, "the bytes to arrive", func() bool { st, err := os.Stat(h.home + "/in/it"); return err == nil && st.Size() == 777 })
	h.killChildOf("session", w.LocalAddr().String())
	got := stamp.ReplaceAllString(h.linesOf("xferlog", 1)[0], "")
	if want := "127.0.0.1 777 " + h.home + "/in/it b _ i r ann ftp 0 * i"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	h.stop()
}

// TestLogsAreReopened by a reload and by HUP, for sessions that were there
// before, whether the configuration can be read or not; and after an upgrade.
func TestLogsAreReopened(t *testing.T) {
	h := withLogs(t, false, "log {\n  transfer = \"LOGS/xferlog\"\n}\n").start()
	w := h.dial().login()
	n := 0
	round := func(what string, reopen func()) {
		t.Helper()
		n++
		must(t, os.Rename(h.logs("xferlog"), h.logs(fmt.Sprint("old", n))))
		reopen()
		until(t, "a new file after "+what, func() bool { _, err := os.Stat(h.logs("xferlog")); return err == nil })
		w.store(fmt.Sprint("f", n), []byte("x"))
		if l := h.linesOf("xferlog", 1)[0]; !strings.Contains(l, fmt.Sprintf("/f%d ", n)) {
			t.Errorf("after %s: %q", what, l)
		}
		h.linesOf(fmt.Sprint("old", n), 1)
	}
	w.store("f0", []byte("x"))
	h.linesOf("xferlog", 1)
	round("a reload", func() { h.ctl("reload") })
	round("HUP", func() { must(t, h.cmd.Process.Signal(syscall.SIGHUP)); h.waitCount("configuration reloaded", 2) })
	h.append("log { nonsense = 1 }\n")
	round("HUP with a broken configuration", func() { must(t, h.cmd.Process.Signal(syscall.SIGHUP)); h.waitLog("configuration refused") })
	b, err := os.ReadFile(h.conf())
	must(t, err)
	must(t, os.WriteFile(h.conf(), bytes.ReplaceAll(b, []byte("log { nonsense = 1 }\n"), nil), 0o644))
	round("an upgrade", func() { must(t, h.cmd.Process.Signal(syscall.SIGUSR2)); h.waitLog("took over") })
	w.do("221", "QUIT")
	h.stop()
}

// TestAReloadMovesALog: the sessions that are there write where the new
// configuration says, and what is named no more is left alone.
func TestAReloadMovesALog(t *testing.T) {
	h := withLogs(t, false, "log {\n  transfer = \"LOGS/one\"\n}\n").start()
	w := h.dial().login()
	w.store("a", []byte("x"))
	h.linesOf("one", 1)
	b, err := os.ReadFile(h.conf())
	must(t, err)
	must(t, os.WriteFile(h.conf(), bytes.ReplaceAll(b, []byte("logs/one"), []byte("logs/two")), 0o644))
	h.ctl("reload")
	w.store("b", []byte("x"))
	h.linesOf("two", 1)
	h.linesOf("one", 1)
	h.stop()
}

// TestALogThatCannotBeOpened is an error of the start, and of a reload.
func TestALogThatCannotBeOpened(t *testing.T) {
	h := withLogs(t, false, "log {\n  transfer = \"LOGS/link\"\n}\n")
	must(t, os.Symlink("/dev/null", h.logs("link")))
	out, err := h.cmd.Output()
	if err == nil || len(out) > 0 || !strings.Contains(h.log.String(), fmt.Sprintf("log file %q: a symbolic link", h.logs("link"))) {
		t.Errorf("started: %v, %q\n%s", err, out, h.log.String())
	}
	h = withLogs(t, false, "log {\n  transfer = \"LOGS/good\"\n}\n").start()
	b, err := os.ReadFile(h.conf())
	must(t, err)
	must(t, os.Mkdir(h.logs("open"), 0o777))
	must(t, os.Chmod(h.logs("open"), 0o777))
	must(t, os.WriteFile(h.conf(), bytes.ReplaceAll(b, []byte("logs/good"), []byte("logs/open/x")), 0o644))
	if out, err := h.ctlCmd("reload").CombinedOutput(); err == nil || !strings.Contains(string(out), "everybody may write in its directory") {
		t.Errorf("reload: %v\n%s", err, out)
	}
	w := h.dial().login()
	w.store("a", []byte("x"))
	h.linesOf("good", 1)
	h.stop()
}

// TestAFIFOThatNobodyEmptiesStopsNobody: sessions go on, and the loss is told.
func TestAFIFOThatNobodyEmptiesStopsNobody(t *testing.T) {
	h := withLogs(t, false, "log {\n  extended \"LOGS/fifo\" {\n    format = \"%r %r %r %r %r %r %r %r\"\n  }\n}\n")
	must(t, syscall.Mkfifo(h.logs("fifo"), 0o600))
	r, err := os.OpenFile(h.logs("fifo"), os.O_RDWR|syscall.O_NONBLOCK, 0)
	must(t, err)
	defer r.Close()
	h.start()
	w := h.dial().login()
	for range 400 {
		w.do("200", "NOOP "+strings.Repeat("x", 400))
	}
	h.waitLog("lines of a log file were lost")
	if n := h.status().Counters.LogDropped; n == 0 {
		t.Error("the status counts no loss")
	}
	w.do("221", "QUIT")
	h.stop()
}

// TestNobodyForgesALogLine: names that are lines, fields, addresses and escapes,
// typed as users, files and verbs, give one line a command, each with the true
// address first, in every log.
func TestNobodyForgesALogLine(t *testing.T) {
	h := withLogs(t, false, "max {\n  login_attempts = 3\n}\nlog {\n  transfer = \"LOGS/xferlog\"\n  extended \"LOGS/x\" {\n    format = \"%a %s \\\"%r\\\" %U\"\n  }\n}\n").start()
	names := []string{
		"x\x1b[31m", "x\x1b]0;owned\x07", "x\" 230 0", `x\" 230`, "x 203.0.113.9", "x from 203.0.113.9 to 198.51.100.1:21", "x\u202e", "x\u0085y", "x\u2028y",
		"x\xfe\xfd", "x\ty", "x\vy", "x\x7f", "x\x01", "x #1 login failed user_claimed=root", "[203.0.113.9]:", "%a%n%{iso8601}", "x' OR 1=1", "$(reboot)",
	}
	for i := range 181 {
		names = append(names, fmt.Sprintf("n%c\x1b[%dm\"%d", rune(0x80+i), i, i))
	}
	commands := 0
	for i := 0; i < 20; i += 2 { // a failed login has the name in the daemon's log, too
		w := h.dial()
		w.reply("220")
		for _, n := range names[i : i+2] {
			w.do("331", "USER "+n)
			w.do("530", "PASS x")
		}
		w.do("221", "QUIT")
		commands += 5
	}
	w := h.dial().login()
	commands += 3
	for _, n := range names {
		if _, err := fmt.Fprintf(w, "SIZE %s\r\n%s\r\n", n, n); err != nil {
			t.Fatal(err)
		}
		w.reply("5")
		w.reply("5")
		commands += 2
	}
	w.store("up \x1b[31m\u202e\xfe", []byte("x"))
	commands += 2
	printable := func(what, s string) {
		for _, r := range s {
			if !strconv.IsPrint(r) && r != '\n' {
				t.Errorf("%U in %s", r, what)
			}
		}
	}
	for _, l := range h.linesOf("x", commands) {
		if !strings.HasPrefix(l, "127.0.0.1 ") || strings.Count(l, `"`)-strings.Count(l, `\"`) != 2 {
			t.Errorf("line %q", l)
		}
		printable("the extended log", l)
	}
	l := h.linesOf("xferlog", 1)[0]
	if len(strings.Fields(l)) != 18 || !strings.Contains(l, " "+h.home+"/up_") {
		t.Errorf("line %q", l)
	}
	printable("the transfer log", l)
	w.do("221", "QUIT")
	h.stop()
	printable("the daemon's log", h.log.String())
	first := regexp.MustCompile(`^\S+ [A-Z]+ (?:127\.0\.0\.1:\d+ #\d+ )?`)
	for l := range strings.Lines(h.log.String()) {
		rest := first.ReplaceAllString(l, "")
		if strings.Contains(l, "login failed") && rest[:12] != "login failed" {
			t.Errorf("line %q", l)
		}
	}
}
