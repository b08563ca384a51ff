package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAnonymousTransferLog: access "a", the word given as a password, the
// directory of the block before the path, and a log of the block's own.
func TestAnonymousTransferLog(t *testing.T) {
	h := withLogs(t, false, "log {\n  transfer = \"LOGS/xferlog\"\n}\n")
	pub := h.dir + "/pub"
	must(t, os.Mkdir(pub, 0o777))
	must(t, os.Chmod(pub, 0o777))
	h.append(fmt.Sprintf("anonymous %q {\n  user = \"ann\"\n  aliases = [\"anonymous\"]\n  alias_only = true\n  log {\n    transfer = %q\n"+
		"    extended %q {\n      commands = [\"WRITE\"]\n      format = \"%%u %%U %%A %%f %%F %%g %%%%{basename}\"\n    }\n  }\n}\n", pub, h.logs("anon"), h.logs("x")))
	h.start()
	w := h.dial()
	w.reply("220")
	w.do("331", "USER anonymous")
	w.do("230", "PASS a guest@example.org")
	w.do("200", "TYPE I")
	w.store("up load", []byte("hello"))
	w.do("221", "QUIT")
	own := h.dial().login()
	own.store("mine", []byte("x"))
	own.do("221", "QUIT")
	got := stamp.ReplaceAllString(h.linesOf("anon", 1)[0], "")
	if want := "127.0.0.1 5 " + pub + "/up_load b _ i a a_guest@example.org ftp 0 * c"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	got = stamp.ReplaceAllString(h.linesOf("xferlog", 1)[0], "")
	if want := "127.0.0.1 1 " + h.home + "/mine b _ i r ann ftp 0 * c"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	want := fmt.Sprintf("ann anonymous a guest@example.org %s/up load /up load ", pub)
	if l := h.linesOf("x", 1)[0]; !strings.HasPrefix(l, want) || !strings.HasSuffix(l, " up load") {
		t.Errorf("%q, want %q", l, want)
	}
	h.stop()
}

// TestProtectedSessionsAreFTPS in both kinds of logs.
func TestProtectedSessionsAreFTPS(t *testing.T) {
	h := withLogs(t, false, "tls {\n  engine = true\n}\nlog {\n  transfer = \"LOGS/xferlog\"\n  extended \"LOGS/x\" {\n    commands = [\"AUTH\"]\n"+
		"    format = \"%m %%{protocol} %%{note:mod_tls.cipher}\"\n  }\n}\n").start()
	w := h.dial()
	w.reply("220")
	w.do("234", "AUTH TLS")
	c := tls.Client(w.Conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	must(t, c.Handshake())
	w.Conn, w.r = c, bufio.NewReader(c)
	w.do("331", "USER ann")
	w.do("230", "PASS open sesame")
	w.do("200", "TYPE I")
	w.do("200", "PBSZ 0")
	w.do("200", "PROT C")
	w.store("f", []byte("hello"))
	w.do("221", "QUIT")
	got := stamp.ReplaceAllString(h.linesOf("xferlog", 1)[0], "")
	if want := "127.0.0.1 5 " + h.home + "/f b _ i r ann ftps 0 * c"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	suite := tls.CipherSuiteName(c.ConnectionState().CipherSuite)
	if d := cmp.Diff([]string{"USER ftps " + suite, "PASS ftps " + suite}, h.linesOf("x", 3)[1:]); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	h.stop()
}

// TestLogsInTheDaemonsOwn: a path "syslog:LEVEL" makes events of the lines, with
// the client's address first and one escaping.
func TestLogsInTheDaemonsOwn(t *testing.T) {
	h := withLogs(t, false, "log {\n  transfer = \"syslog:info\"\n  extended \"syslog:notice\" {\n    commands = [\"INFO\"]\n    format = \"did \\\"%r\\\" %s\"\n  }\n}\n").start()
	w := h.dial().login()
	w.do("550", "SIZE a\x1b[31mb\\c")
	w.store("f", []byte("hello"))
	w.do("221", "QUIT")
	h.waitLog("session closed")
	from := w.LocalAddr().String()
	for _, want := range []string{
		"NOTICE " + from + " #1 did \"SIZE a\\x1b[31mb\\\\c\" 550 ",
		"INFO " + from + " #1 transfer success ",
	} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	for _, want := range []string{"event=command.done", "event=transfer.done", "dir=in", "bytes=5", "path=/f", "realpath=" + h.home + "/f", "status=success"} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	h.stop()
}

// TestNoSecretInAnyLog: with every trace channel at its highest level and a log of
// all commands, no password that was typed is anywhere, wrong ones included.
func TestNoSecretInAnyLog(t *testing.T) {
	h := withLogs(t, false, "log {\n  transfer = \"LOGS/xferlog\"\n  extended \"LOGS/x\" {\n    commands = [\"ALL\", \"CONNECT\", \"EXIT\"]\n"+
		"    format = \"%r|%J|%S|%m|%A|%U\"\n  }\n}\n").start()
	h.ctl("trace", "accept:20", "authd:20", "data:20", "login:20", "pool:20", "session:20")
	w := h.dial()
	w.reply("220")
	w.do("331", "USER ann")
	w.do("530", "PASS closed sesame")
	w.do("331", "USER ann")
	w.do("230", "PASS open sesame")
	w.do("503", "PASS another sesame")
	w.do("200", "TYPE I")
	w.store("f", []byte("hello"))
	w.do("221", "QUIT")
	h.waitLog("session closed")
	h.linesOf("x", 11)
	h.linesOf("xferlog", 1)
	h.stop()
	all := h.log.String()
	if !strings.Contains(all, "trace=login") {
		t.Error("nothing was traced")
	}
	for _, name := range []string{"x", "xferlog"} {
		b, err := os.ReadFile(h.logs(name))
		must(t, err)
		all += string(b)
	}
	if strings.Contains(all, "sesame") {
		t.Errorf("a password is in a log:\n%s", all)
	}
}
