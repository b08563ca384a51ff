package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFail2banFindsTheBans: the filter of the examples finds what a rule bans, in
// the ban log and in the journal's lines, and neither what ftpdctl bans nor what
// names try to pretend.
func TestFail2banFindsTheBans(t *testing.T) {
	h := withLogs(t, true, strings.Replace(bansOn, "ban {\n", "ban {\n  log = \"LOGS/ban.log\"\n", 1)+"virtual_host \"x\" { names = [\"x.example.org\"] }\n").start()
	for _, name := range []string{"x' banned host '203.0.113.1': y", "banned host '203.0.113.2': y", "\nbanned host '203.0.113.3': y", "h sallyport[1]: banned host '203.0.113.4': y rule=z"} {
		h.ctl("ban", "user", name)
	}
	h.ctl("ban", "host", "203.0.113.5", "--reason", "x rule=y")
	c := h.dial()
	c.reply("220")
	for range 3 {
		fmt.Fprint(c, "FOO\r\n")
	}
	c.ended()
	lines := h.linesOf("ban.log", 6)
	h.stop()
	bans := filepath.Join(h.dir, "bans")
	text := strings.Join(lines, "\n") + "\n"
	journal := regexp.MustCompile(`(?m)^\S+ NOTICE (.*event=ban\.added.*)$`).FindAllStringSubmatch(h.log.String(), -1)
	if len(journal) != 6 {
		t.Fatalf("%d bans in the log\n%s", len(journal), h.log.String())
	}
	for _, m := range journal {
		text += "2026-05-19T14:59:25.123Z machine sallyport[4711]: " + m[1] + "\n"
	}
	must(t, os.WriteFile(bans, []byte(text), 0o644))

	conf, err := os.ReadFile("../../packaging/examples/fail2ban-bans.conf")
	must(t, err)
	_, expr, _ := strings.Cut(string(conf), "failregex = ")
	expr, _, _ = strings.Cut(expr, "\n")
	filter := regexp.MustCompile(strings.ReplaceAll(expr, "<SUBNET>", `([0-9a-f.:]+(?:/\d+)?)`))
	var found []string
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(line, " ")
		if m := filter.FindStringSubmatch(rest); m != nil {
			found = append(found, m[1])
		}
	}
	if got := strings.Join(found, " "); got != "127.0.0.1 127.0.0.1" {
		t.Errorf("found %q in\n%s", got, text)
	}
	if _, err := exec.LookPath("fail2ban-regex"); err != nil {
		t.Skip("fail2ban is not installed")
	}
	out, err := exec.Command("fail2ban-regex", "-o", "<ip>", bans, "../../packaging/examples/fail2ban-bans.conf").CombinedOutput()
	if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != "127.0.0.1 127.0.0.1" {
		t.Errorf("fail2ban found %q, %v in\n%s", got, err, text)
	}
}

// TestFail2banHandsItsBansOver: the action of the examples bans and permits.
func TestFail2banHandsItsBansOver(t *testing.T) {
	conf, err := os.ReadFile("../../packaging/examples/fail2ban-action.conf")
	must(t, err)
	h := prepare(t, true, bansOn).start()
	run := func(which, seconds string) {
		t.Helper()
		m := regexp.MustCompile(`(?m)^` + which + ` = (.*)$`).FindSubmatch(conf)
		if m == nil {
			t.Fatal("no", which)
		}
		cmd := exec.Command("sh", "-c", strings.NewReplacer("<bantime>", seconds, "<ip>", "2001:db8::7", "<name>", "sshd").Replace(string(m[1])))
		cmd.Env = append(os.Environ(), "PATH="+h.bin+":"+os.Getenv("PATH"), "SALLYPORT_SOCKET="+h.dir+"/run/control.sock")
		cmd.SysProcAttr = h.cmd.SysProcAttr
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", which, err, out)
		}
	}
	for seconds, want := range map[string]string{"600": "(in ", "-1": "Expires: never"} {
		run("actionban", seconds)
		if got := h.ctl("ban", "info", "-v"); !strings.Contains(got, "  2001:db8::7\n    Reason: fail2ban sshd, since") || !strings.Contains(got, want) {
			t.Errorf("%s: %s", seconds, got)
		}
		run("actionunban", "")
		run("actionunban", "") // by hand meanwhile
		if got := h.ctl("ban", "info"); got != "No bans\n" {
			t.Error(got)
		}
	}
	h.stop()
}
