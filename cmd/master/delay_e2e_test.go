package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/control"
)

// delays reads the DelayTable by ftpdctl: samples by "protocol step".
func (h *house) delays() map[string]int {
	h.t.Helper()
	var r control.DelayResult
	must(h.t, json.Unmarshal([]byte(h.ctl("delay", "info", "--json")), &r))
	n := map[string]int{}
	for _, x := range r.Rows {
		n[x.Protocol+" "+x.Step] = x.Count
	}
	return n
}

func (h *house) samples() int { return h.delays()["ftp PASS"] }

// restart starts the daemon of a house that has been stopped.
func (h *house) restart() *house { return h.again().start() }

func (w *wire) since(code, command string, least time.Duration) {
	w.t.Helper()
	start := time.Now()
	w.do(code, command)
	if d := time.Since(start); d < least {
		w.t.Errorf("%s: answered after %v, %v is the least", command, d, least)
	}
}

// TestWhatIsSampled: whole attempts, of one session at most 16, none after the
// login, none that was refused before it was one.
func TestWhatIsSampled(t *testing.T) {
	h := prepare(t, os.Geteuid() != 0, "max {\n  login_attempts = 40\n}\n").start()
	w := h.dial()
	w.reply("220")
	w.do("503", "PASS before USER")
	w.do("530", "PWD")
	for i := range 20 {
		w.do("331", fmt.Sprint("USER ghost", i))
		w.do("530", "PASS wrong")
	}
	if n := h.samples(); n != 16 {
		t.Errorf("%d samples of 20 failures in one session", n)
	}
	w = h.dial().login()
	if n := h.delays(); n["ftp PASS"] != 17 || n["ftp start"] != 1 {
		t.Errorf("after a login: %v", n)
	}
	w.do("230", "USER ann")
	w.do("501", "USER other")
	w.do("503", "PASS again")
	if n := h.samples(); n != 17 {
		t.Errorf("after the login %d samples", n)
	}
	h.stop()
}

// TestTheTableIsKept over a restart, by its snapshot; over a kill, by shared
// memory; over an upgrade; and not over a damaged file, which is set aside.
func TestTheTableIsKept(t *testing.T) {
	h := prepare(t, os.Geteuid() != 0, "").start()
	file := filepath.Join(h.dir, "state", "delay.table")
	h.dial().login()
	h.stop()
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("the snapshot: %v, %v", st, err)
	}
	h.restart()
	if n := h.samples(); n != 1 {
		t.Errorf("after a restart %d samples", n)
	}
	h.dial().login()
	h.ctl("upgrade")
	until(t, "the upgrade", func() bool { return h.status().Upgrades == 1 })
	until(t, "authd of the new image", func() bool { return h.status().State == control.StateServing })
	h.dial().login()
	if n := h.samples(); n != 3 {
		t.Errorf("after an upgrade %d samples", n)
	}
	must(t, h.cmd.Process.Kill())
	<-h.done
	h.restart()
	if n := h.samples(); n != 3 {
		t.Errorf("after a kill %d samples", n)
	}
	if out := h.ctl("delay", "reset", "default"); !strings.Contains(out, "rows cleared") || h.samples() != 0 {
		t.Errorf("reset: %q, %d samples", out, h.samples())
	}
	h.dial().login()
	h.stop()

	b, err := os.ReadFile(file)
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.WriteFile(file, b, 0o600))
	h.restart()
	h.waitLog("damaged")
	if n := h.samples(); n != 0 {
		t.Errorf("%d samples of a damaged file", n)
	}
	if left, err := os.ReadFile(file + ".bad"); err != nil || len(left) != len(b) {
		t.Errorf("set aside: %d bytes, %v", len(left), err)
	}
	h.dial().login()
	h.stop()
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// TestTablesThatAreNone: "none" writes nothing; a directory is reported.
func TestTablesThatAreNone(t *testing.T) {
	h := prepare(t, os.Geteuid() != 0, "delay {\n  table = \"none\"\n}\n").start()
	h.dial().login()
	if h.samples() != 1 {
		t.Error("nothing is learned without a snapshot")
	}
	h.stop()
	left, err := os.ReadDir(filepath.Join(h.dir, "state"))
	must(t, err)
	for _, e := range left {
		if strings.HasPrefix(e.Name(), "delay") {
			t.Errorf("left: %s", e.Name())
		}
	}
	h = prepare(t, os.Geteuid() != 0, "")
	must(t, os.Mkdir(filepath.Join(h.dir, "state", "delay.table"), 0o755))
	h.start()
	h.waitLog("a directory; no snapshot is kept")
	h.dial().login()
	h.stop()
}

// TestOnEvent: what each rule makes wait, and what it does not.
func TestOnEvent(t *testing.T) {
	const wait = 400 * time.Millisecond
	rule := func(event string) string {
		return fmt.Sprintf("delay {\n  on_event %q { delay = \"400ms\" }\n}\n", event)
	}
	for _, c := range []struct {
		event              string
		user, failed, good time.Duration
	}{
		{"USER", wait, 0, 0}, {"PASS", 0, wait, wait}, {"FailedLogin", 0, wait, 0},
	} {
		t.Run(c.event, func(t *testing.T) {
			h := prepare(t, os.Geteuid() != 0, rule(c.event)+"max {\n  login_attempts = 1\n}\n").start()
			for _, name := range []string{"ann", "ghost"} {
				w := h.dial()
				w.reply("220")
				w.since("331", "USER "+name, c.user)
				w.since("530", "PASS wrong", c.failed) // the last attempt, too
			}
			w := h.dial()
			w.reply("220")
			w.since("331", "USER ann", c.user)
			w.since("230", "PASS open sesame", c.good)
			h.stop()
		})
	}
}

// TestConnectDelaysTheGreeting, without a process, and a client that hangs up is
// gone at once.
func TestConnectDelaysTheGreeting(t *testing.T) {
	h := prepare(t, os.Geteuid() != 0, "delay {\n  on_event \"Connect\" { delay = \"300ms-400ms\" }\n}\n").start()
	start := time.Now()
	w := h.dial()
	w.reply("220")
	if d := time.Since(start); d < 300*time.Millisecond {
		t.Errorf("greeted after %v", d)
	}
	w.do("331", "USER ann")
	w.do("230", "PASS open sesame")
	h.stop()

	h = prepare(t, os.Geteuid() != 0, "delay {\n  on_event \"Connect\" { delay = \"50s\" }\n}\n").start()
	var held []net.Conn
	for range 5 {
		held = append(held, h.dial().Conn)
	}
	until(t, "five connections", func() bool { return h.status().Sessions.Live == 5 })
	if s := h.status().Sessions; s.Waiting != 5 {
		t.Errorf("%+v", s)
	}
	_, err := held[0].Write([]byte("USER early\r\n")) // waits
	must(t, err)
	for _, c := range held[1:] {
		c.Close()
	}
	until(t, "the hang-ups to be noticed", func() bool { return h.status().Sessions.Live == 1 })
	h.ctl("upgrade") // those held back are greeted rather than forgotten
	(&wire{t, held[0], bufio.NewReader(held[0])}).reply("220")
	h.stop()
}

// TestAnswersWaitWhateverDies: authd is killed while an answer waits; the answer
// that comes in the end has waited, too.
func TestAnswersWaitWhateverDies(t *testing.T) {
	const wait = 3 * time.Second // longer than the look at the log and the kill take
	h := prepare(t, os.Geteuid() != 0, "delay {\n  on_event \"FailedLogin\" { delay = \"3s\" }\n}\n").start()
	w := h.dial()
	w.reply("220")
	w.do("331", "USER ghost")
	start := time.Now()
	_, err := fmt.Fprintf(w, "PASS wrong\r\n")
	must(t, err)
	h.waitLog("login failed")
	pid := h.status().Workers[0].PID
	killed := time.Now()
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	w.reply("530")
	if d := time.Since(start); d < wait || time.Since(killed) < wait {
		t.Errorf("answered %v after the request, %v after the kill", d, time.Since(killed))
	}
	h.stop()
}

// TestAClassMayDoWithoutDelays: neither wait nor sample.
func TestAClassMayDoWithoutDelays(t *testing.T) {
	h := prepare(t, os.Geteuid() != 0, "class \"trusted\" { from = [\"127.0.0.1\"] }\ndelay {\n  on_event \"FailedLogin\" { delay = \"20s\" }\n}\n"+
		"when {\n  class = [\"trusted\"]\n  delay {\n    engine = false\n  }\n}\n").start()
	w := h.dial()
	w.reply("220")
	start := time.Now()
	w.do("331", "USER ghost")
	w.do("530", "PASS wrong")
	if d := time.Since(start); d > 15*time.Second {
		t.Errorf("answered after %v", d)
	}
	if n := h.delays(); len(n) > 0 {
		t.Errorf("sampled: %v", n)
	}
	h.stop()
}

// TestWhoWaitsAndLeavesIsForgotten: the session of a client that hangs up while
// its answer waits ends at once.
func TestWhoWaitsAndLeavesIsForgotten(t *testing.T) {
	h := prepare(t, os.Geteuid() != 0, "delay {\n  on_event \"FailedLogin\" { delay = \"50s\" }\n}\n").start()
	w := h.dial()
	w.reply("220")
	w.do("331", "USER ghost")
	_, err := fmt.Fprintf(w, "PASS wrong\r\n")
	must(t, err)
	h.waitLog("login failed")
	w.Close()
	until(t, "the session to go", func() bool { return h.status().Sessions.Live == 0 })
	h.stop()
}
