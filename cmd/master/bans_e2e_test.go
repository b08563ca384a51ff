package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const bansOn = "ban {\n  on_event \"UnhandledCommand\" {\n    rate = \"3/1m\"\n    ban  = \"1h\"\n  }\n}\n"

// TestBannedAtAccept: a banned address hears nothing, and costs no process.
func TestBannedAtAccept(t *testing.T) {
	h := prepare(t, true, bansOn).start()
	h.ctl("ban", "host", "127.0.0.1")
	if got := h.dial().ended(); got != "" {
		t.Fatalf("%q", got)
	}
	h.ctl("permit", "host", "127.0.0.1")
	h.dial().login()
	h.stop()
}

// TestBannedAtHandOver: whoever was let in and has not spoken is looked at again.
func TestBannedAtHandOver(t *testing.T) {
	h := prepare(t, true, bansOn).start()
	h.ctl("ban", "host", "127.0.0.1")
	conf, err := os.ReadFile(h.conf())
	must(t, err)
	spare := strings.Replace(string(conf), "ban {\n", "ban {\n  never = [\"127.0.0.0/8\"]\n", 1)
	must(t, os.WriteFile(h.conf(), []byte(spare), 0o644))
	h.ctl("reload")
	silent := h.dial()
	silent.reply("220")
	must(t, os.WriteFile(h.conf(), conf, 0o644))
	h.ctl("reload")
	fmt.Fprint(silent, "NOOP\r\n")
	if got := silent.ended(); got != "" {
		t.Fatalf("%q", got)
	}
	h.waitLog("Login denied: host '127.0.0.1' banned")
	h.stop()
}

// TestNeverBannedAreLetIn, whatever the list says.
func TestNeverBannedAreLetIn(t *testing.T) {
	h := prepare(t, true, bansOn).start()
	h.ctl("ban", "host", "127.0.0.1")
	conf, err := os.ReadFile(h.conf())
	must(t, err)
	spare := strings.Replace(string(conf), "ban {\n", "ban {\n  never = [\"127.0.0.0/8\"]\n", 1)
	must(t, os.WriteFile(h.conf(), []byte(spare), 0o644))
	h.ctl("reload")
	w := h.dial().login()
	for range 4 {
		w.do("500", "FOO")
	}
	w.do("200", "NOOP")
	h.stop()
}

// TestBannedName: right and wrong passwords of a banned name get one answer.
func TestBannedName(t *testing.T) {
	h := prepare(t, true, bansOn).start()
	h.ctl("ban", "user@host", "ann@127.0.0.1")
	w := h.dial()
	w.reply("220")
	w.do("331", "USER ann")
	right := w.do("530", "PASS open sesame")
	w.do("331", "USER ann")
	if wrong := w.do("530", "PASS close sesame"); right != wrong {
		t.Errorf("%q, %q", right, wrong)
	}
	h.waitCount("reason=banned", 2)
	h.ctl("permit", "user@host", "*")
	w.do("331", "USER ann")
	w.do("230", "PASS open sesame")
	h.stop()
}

// TestAcknowledgedBansOutliveAKill, in the moment after the answer.
func TestAcknowledgedBansOutliveAKill(t *testing.T) {
	h := prepare(t, true, bansOn).start()
	h.ctl("ban", "host", "127.0.0.1")
	h.ctl("ban", "user", "ann")
	h.ctl("permit", "user", "ann")
	must(t, h.cmd.Process.Signal(syscall.SIGKILL))
	<-h.done
	h.again().start()
	if got := h.dial().ended(); got != "" {
		t.Fatalf("%q", got)
	}
	h.ctl("permit", "host", "127.0.0.1")
	h.dial().login()
	b, err := os.ReadFile(filepath.Join(h.dir, "state", "bans.journal"))
	must(t, err)
	if n := strings.Count(string(b), "\n"); n != 4 {
		t.Errorf("%d lines: %s", n, b)
	}
	h.stop()
}
