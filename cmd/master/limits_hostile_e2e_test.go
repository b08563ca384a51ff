package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// limited makes the daemon start with so many descriptors.
func (h *house) limited(files int) *house {
	cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf("ulimit -n %d; exec \"$0\" --config \"$1\"", files), filepath.Join(h.bin, "sallyport"), h.conf())
	cmd.Stderr, cmd.SysProcAttr = &h.log, h.cmd.SysProcAttr
	h.cmd = cmd
	return h
}

// TestWhoIsServedIsServedOn: clients that say nothing use up the descriptors.
// Those above the roof are refused, and who is logged in goes on, data
// connections and new processes included.
func TestWhoIsServedIsServedOn(t *testing.T) {
	h := prepare(t, true, "").limited(160).start()
	h.waitLog("limit of open files")
	w, named := h.dial().login(), h.dial()
	named.reply("220")
	named.do("331", "USER ann")
	for range 160 {
		h.dial()
	}
	h.waitLog("descriptors used up")
	for i := range 3 {
		d := w.passive()
		w.do("150", fmt.Sprint("STOR f", i))
		fmt.Fprint(d, "x")
		d.Close()
		w.reply("226")
	}
	named.do("230", "PASS open sesame")
	h.stop()
}

// TestAClientCannotFloodTheLog: refused targets are logged at a bounded rate.
func TestAClientCannotFloodTheLog(t *testing.T) {
	h := prepare(t, true, "").start()
	w := h.dial().login()
	for range 10 {
		fmt.Fprint(w, strings.Repeat("EPRT |1|192.0.2.1|4000|\r\n", 40))
		for range 40 {
			w.reply("500")
		}
	}
	h.waitLog("active data connection refused")
	h.stop()
	if n := strings.Count(h.log.String(), "active data connection refused"); n > 100 {
		t.Errorf("%d lines of one client", n)
	}
}

// TestUpgradeSurvivesAnAddressThatIsTaken: the file has been changed meanwhile
// and names an address that cannot be bound. That is no reason to lose sessions.
func TestUpgradeSurvivesAnAddressThatIsTaken(t *testing.T) {
	h := prepare(t, true, "").start()
	w := h.dial().login()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	conf, err := os.ReadFile(h.conf())
	must(t, err)
	extra := fmt.Sprintf("listener \"more\" {\n  address = [%q]\n}\n", l.Addr())
	must(t, os.WriteFile(h.conf(), append(conf, extra...), 0o644))
	must(t, h.cmd.Process.Signal(syscall.SIGUSR2))
	h.waitLog("the former configuration stays")
	h.waitLog("took over")
	w.do("257", "PWD")
	h.dial().login()
	h.stop()
}

// TestHangUpSignalsDoNotEndAnUpgrade: they arrive while the next image cannot
// catch them yet.
func TestHangUpSignalsDoNotEndAnUpgrade(t *testing.T) {
	h := prepare(t, true, "").start()
	w := h.dial().login()
	for i := 1; i <= 4; i++ {
		// a reload in hand refuses an upgrade, so that is asked for until it begins
		until(t, "an upgrade to begin", func() bool {
			must(t, h.cmd.Process.Signal(syscall.SIGUSR2))
			return strings.Count(h.log.String(), "upgrade begins") >= i
		})
		until(t, "the next image", func() bool {
			for range 200 {
				must(t, h.cmd.Process.Signal(syscall.SIGHUP))
			}
			return strings.Count(h.log.String(), "took over") >= i
		})
	}
	w.do("257", "PWD")
	h.dial().login()
	h.stop()
}
