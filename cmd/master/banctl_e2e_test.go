package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fails runs ftpdctl and returns what it says where it ends with the status.
func (h *house) fails(status int, args ...string) string {
	h.t.Helper()
	out, err := h.ctlCmd(args...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != status {
		h.t.Errorf("%v: %v, want status %d\n%s", args, err, status, out)
	}
	return string(out)
}

// TestListsGoInAndOut: what is imported is listed over many pages, exported, and
// comes back the same after all of it was permitted.
func TestListsGoInAndOut(t *testing.T) {
	h := prepare(t, true, strings.Replace(bansOn, "ban {\n", "ban {\n  never = [\"192.0.2.0/24\"]\n", 1)).start()
	var list strings.Builder
	for i := range 600 {
		fmt.Fprintf(&list, "10.0.%d.%d\n2001:db8:%x::/64 timeout 1d\n", i/250, i%250, i)
	}
	list.WriteString("user \"dave \\\"d\\\"\"\nuser@host erin@192.0.2.9\nclass lan\n198.51.100.0/24 server default\n")
	file := filepath.Join(h.dir, "list")
	must(t, os.WriteFile(file, []byte(list.String()), 0o644))
	if got := h.ctl("ban", "import", file); got != "1204 banned, 0 already banned, 0 not banned\n" {
		t.Fatal(got)
	}
	if got := h.ctl("ban", "import", file); got != "0 banned, 1204 already banned, 0 not banned\n" {
		t.Fatal(got)
	}
	info := h.ctl("ban", "info")
	if n := strings.Count(info, "\n  "); n != 1204 {
		t.Errorf("%d bans listed", n)
	}
	for _, want := range []string{"Banned Users:\n  dave \"d\"\n\nBanned User@Hosts:\n  erin@192.0.2.9\n\nBanned Hosts:\n  10.0.0.0\n  10.0.0.1\n", "\n\nBanned Classes:\n  lan\n"} {
		if !strings.Contains(info, want) {
			t.Errorf("no %q", want)
		}
	}
	first := h.ctl("ban", "export")
	for _, kind := range []string{"user", "user@host", "host", "class"} {
		h.ctl("permit", kind, "*")
		h.fails(6, "permit", kind, "*")
	}
	if got := h.ctl("ban", "info"); got != "No bans\n" {
		t.Fatal(got)
	}
	must(t, os.WriteFile(file, []byte(first), 0o644))
	h.ctl("ban", "import", file)
	untimed := func(s string) string {
		var out strings.Builder
		for line := range strings.Lines(s) {
			before, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " timeout ")
			out.WriteString(before + "\n")
		}
		return out.String()
	}
	if got := h.ctl("ban", "export"); untimed(got) != untimed(first) || strings.Count(got, " timeout ") != 600 {
		t.Error("the list came back changed")
	}
	must(t, os.WriteFile(file, []byte("192.0.2.7\n203.0.113.1\n"), 0o644))
	if got := h.fails(1, "ban", "import", file); !strings.Contains(got, "192.0.2.7 is never banned") || !strings.Contains(got, "1 banned, 0 already banned, 1 not banned\n") {
		t.Error(got)
	}
	h.stop()
}

// TestAdministratorsBan: texts, statuses and what becomes of sessions.
func TestAdministratorsBan(t *testing.T) {
	h := prepare(t, true, bansOn+"virtual_host \"x\" {\n  names = [\"x.example.org\"]\n  ban { engine = false }\n}\n").start()
	c := h.dial()
	c.login()
	if got := h.ctl("ban", "host", "127.0.0.0/8", "--for", "1h", "--reason", "a scanner"); got != "host 127.0.0.0/8 banned\ndisconnected 1 client from host '127.0.0.0/8'\n" {
		t.Error(got)
	}
	if got := h.ctl("ban", "explain", "127.0.0.1"); !strings.HasPrefix(got, "127.0.0.1, of no class, on default: is refused when it connects\n  host 127.0.0.0/8 is banned\n    Reason: a scanner, since ") {
		t.Error(got)
	}
	if got := h.ctl("ban", "explain", "127.0.0.1", "--server", "x"); !strings.Contains(got, "would not be refused, since the ban engine is off there") {
		t.Error(got)
	}
	if got := h.ctl("permit", "host", "127.0.0.1"); got != "host '127.0.0.1' not banned\nhost '127.0.0.1' is still banned by 127.0.0.0/8\n" {
		t.Error(got)
	}
	if got := h.ctl("permit", "host", "127.0.0.0/8"); got != "host '127.0.0.0/8' permitted\n" {
		t.Error(got)
	}
	if got := h.ctl("ban", "host", "2001:db8:7::/64"); got != "host 2001:db8:7::/64 banned\n" {
		t.Error(got)
	}
	if got := h.ctl("permit", "host", "2001:db8:7::9"); got != "host '2001:db8:7::9' permitted\n" { // what rules ban for it
		t.Error(got)
	}
	c = h.dial()
	c.reply("220")
	fmt.Fprint(c, "FOO\r\nBAR\r\n")
	c.reply("500")
	c.reply("500")
	if got := h.ctl("ban", "explain", "127.0.0.1"); !strings.Contains(got, "would not be refused\n  UnhandledCommand: 2 of 3, the next one bans") {
		t.Error(got)
	}
	if got := h.ctl("ban", "info", "-e"); !strings.Contains(got, "No bans\n\nBan Events:\n  Event: UnhandledCommand\n  Source: 127.0.0.1\n    Occurrences: 2/3\n    Entry Expires: ") {
		t.Error(got)
	}
	h.fails(4, "ban", "user", "dave", "--server", "nowhere")
	h.fails(4, "permit", "user", "dave", "--server", "nowhere")
	h.stop()

	off := prepare(t, true, "").start()
	for _, args := range [][]string{{"ban", "user", "x"}, {"permit", "user", "x"}, {"ban", "info"}, {"ban", "explain", "::1"}} {
		if got := off.fails(5, args...); !strings.Contains(got, "the ban engine is on nowhere") {
			t.Error(got)
		}
	}
	off.stop()
}
