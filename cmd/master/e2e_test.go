package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/control"
)

// modes runs a test as root, where the tests are root, and rootless.
func modes(t *testing.T, fn func(t *testing.T, rootless bool)) {
	t.Run("root", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("the tests do not run as root")
		}
		fn(t, false)
	})
	t.Run("rootless", func(t *testing.T) { fn(t, true) })
}

// TestUploadAndDownload walks the whole skeleton: greeting, login, both ways of
// data connections, logout, clean end.
func TestUploadAndDownload(t *testing.T) {
	modes(t, func(t *testing.T, rootless bool) {
		h := prepare(t, rootless, "").start()
		w := h.dial().login()
		payload := bytes.Repeat([]byte("0123456789abcdef"), 20000)

		d := w.passive()
		w.do("150", "STOR up.bin")
		_, err := d.Write(payload)
		must(t, err)
		d.Close()
		w.reply("226")
		got, err := os.ReadFile(filepath.Join(h.home, "up.bin"))
		must(t, err)
		if !bytes.Equal(got, payload) {
			t.Fatalf("uploaded %d bytes, stored %d others", len(payload), len(got))
		}

		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		w.do("200", fmt.Sprintf("EPRT |1|127.0.0.1|%d|", l.Addr().(*net.TCPAddr).Port))
		_, err = fmt.Fprint(w, "RETR up.bin\r\n")
		must(t, err)
		a, err := l.Accept()
		must(t, err)
		w.reply("150")
		got, err = io.ReadAll(a)
		must(t, err)
		w.reply("226")
		if !bytes.Equal(got, payload) {
			t.Fatalf("downloaded %d bytes, want %d", len(got), len(payload))
		}
		w.do("500", fmt.Sprintf("EPRT |1|127.0.0.2|%d|", l.Addr().(*net.TCPAddr).Port))
		w.do("221", "QUIT")
		h.stop()
	})
}

// TestSilentClientsCostNoProcess: a client that has not spoken is greeted and
// has no session, and one that leaves without a word never gets one.
func TestSilentClientsCostNoProcess(t *testing.T) {
	h := prepare(t, true, "").start()
	for range 50 {
		h.dial().reply("220")
	}
	if out := h.ctl("who", "--json"); strings.Count(out, `"waiting"`) != 50 || strings.Contains(out, `"pid"`) {
		t.Errorf("who: %s", out)
	}
	w := h.dial()
	w.reply("220")
	w.Close()
	h.stop()
	if strings.Contains(h.log.String(), "session closed") {
		t.Error("a silent client had a session")
	}
}

// TestReloadIsATransaction: a file that is wrong changes nothing; a right one
// moves the listener without touching live sessions.
func TestReloadIsATransaction(t *testing.T) {
	h := prepare(t, true, "").start()
	w := h.dial().login()
	conf, err := os.ReadFile(h.conf())
	must(t, err)
	must(t, os.WriteFile(h.conf(), append(conf, "nonsense = 1\n"...), 0o644))
	must(t, h.cmd.Process.Signal(syscall.SIGHUP))
	h.waitLog("the old one stays")
	h.dial().reply("220")
	must(t, os.WriteFile(h.conf(), append(conf, "ident = \"after the reload\"\n"...), 0o644))
	h.ctl("reload")
	if r := h.dial().reply("220"); r != "220 after the reload" {
		t.Errorf("greeting %q", r)
	}
	h.waitLog("after the reload\\\"") // the log names each value that has changed
	w.do("257", "PWD")
	h.stop()
}

// TestUpgradeInPlace: the daemon executes itself in the middle of a transfer
// and of a login; nothing is lost, and new clients are served by the new image.
func TestUpgradeInPlace(t *testing.T) {
	modes(t, func(t *testing.T, rootless bool) {
		h := prepare(t, rootless, "").start()
		silent := h.dial()
		silent.reply("220")
		named := h.dial()
		named.reply("220")
		named.do("331", "USER ann")
		w := h.dial().login()
		d := w.passive()
		w.do("150", "STOR long.bin")
		_, err := d.Write(bytes.Repeat([]byte("a"), 100_000))
		must(t, err)

		h.ctl("upgrade")
		h.waitLog("took over")

		_, err = d.Write(bytes.Repeat([]byte("b"), 100_000))
		must(t, err)
		d.Close()
		w.reply("226")
		named.do("230", "PASS open sesame")
		silent.do("331", "USER ann")
		silent.do("230", "PASS open sesame")
		silent.do("200", "TYPE I")
		silent.do("213", "SIZE long.bin")
		d2 := w.passive()
		w.do("150", "NLST")
		list, err := io.ReadAll(d2)
		must(t, err)
		w.reply("226")
		if string(list) != "long.bin\r\n" {
			t.Errorf("NLST: %q", list)
		}
		until(t, "authd of the new image", func() bool { return h.status().State == "serving" })
		if n := h.status().Upgrades; n != 1 {
			t.Errorf("%d upgrades", n)
		}
		must(t, h.cmd.Process.Signal(syscall.SIGUSR2)) // and again
		h.waitCount("took over", 2)
		h.dial().login().do("221", "QUIT")
		w.do("221", "QUIT")
		h.stop()
	})
}

// TestStopLetsTransfersFinish: idle sessions are told at once, a transfer in
// hand ends whole.
func TestStopLetsTransfersFinish(t *testing.T) {
	h := prepare(t, true, "").start()
	idle := h.dial().login()
	w := h.dial().login()
	d := w.passive()
	w.do("150", "STOR last.bin")
	_, err := d.Write([]byte("first half, "))
	must(t, err)
	h.waitWho("upload")
	must(t, h.cmd.Process.Signal(syscall.SIGTERM))
	idle.reply("421")
	if s := h.status(); s.State != control.StateStopping {
		t.Errorf("state %q", s.State)
	}
	for _, order := range []string{"reload", "upgrade", "shutdown graceful"} {
		if out := h.fails(int(control.CodeRefused), strings.Fields(order)...); !strings.Contains(out, "is stopping") {
			t.Errorf("%s: %s", order, out)
		}
	}
	_, err = d.Write([]byte("second half"))
	must(t, err)
	d.Close()
	w.reply("226")
	w.reply("421")
	select {
	case err := <-h.done:
		must(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the daemon does not stop")
	}
	got, err := os.ReadFile(filepath.Join(h.home, "last.bin"))
	must(t, err)
	if string(got) != "first half, second half" {
		t.Errorf("stored %q", got)
	}
}

// TestShutdownHastensAStop: who has asked for a stop that waits for transfers may still
// ask for one that does not.
func TestShutdownHastensAStop(t *testing.T) {
	h := prepare(t, true, "").start()
	w := h.dial().login()
	d := w.passive()
	defer d.Close()
	w.do("150", "STOR last.bin")
	h.waitWho("upload")
	h.ctl("shutdown", "graceful", "86400")
	h.waitWho("upload")
	h.ctl("shutdown")
	w.reply("426")
	w.reply("421")
	select {
	case err := <-h.done:
		must(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the daemon does not stop")
	}
	if left, err := os.ReadDir(filepath.Join(h.dir, "run")); err != nil || len(left) > 0 {
		t.Errorf("left in run_dir: %v %v", left, err)
	}
}

// TestEveryDeathHeals: authd, files and session are killed; only the client
// whose process it was notices.
func TestEveryDeathHeals(t *testing.T) {
	h := prepare(t, true, "").start()
	bystander := h.dial().login()
	for _, name := range []string{"session", "files"} {
		victim := h.dial().login()
		h.killChildOf(name, victim.LocalAddr().String())
		_ = victim.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadAll(victim); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s killed: %v", name, err)
		}
		bystander.do("200", "NOOP")
	}
	h.killAuthd()
	h.waitLog("authd ended, starting it again")
	bystander.do("200", "NOOP")
	until(t, "logins again", func() bool {
		w := h.dial()
		w.reply("220")
		fmt.Fprint(w, "USER ann\r\nPASS open sesame\r\n")
		_ = w.SetReadDeadline(time.Now().Add(20 * time.Second))
		w.reply("331")
		line, err := w.r.ReadString('\n')
		must(t, err)
		return strings.HasPrefix(line, "230")
	})
	h.stop()
}

// TestStartErrorsSayWhatIsWrong: each its own clear line and exit status 1.
func TestStartErrorsSayWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	for _, c := range []struct{ name, from, to, want string }{
		{"port in use", `"127.0.0.1:0"`, fmt.Sprintf("%q", taken.Addr()), "address already in use"},
		{"run_dir missing", `/run"`, `/nowhere"`, "nowhere"},
		{"directory above state_dir missing", `/state"`, `/nowhere/state"`, "state_dir "},
		{"state_dir is a file", `/state"`, `/sallyport.hcl"`, "sallyport.hcl\": not a directory"},
		{"certificate missing", "instance =", "tls {\n certificate {\n  file = \"/nowhere/cert.pem\"\n  key = \"/nowhere/key.pem\"\n }\n}\ninstance =", "open /nowhere/cert.pem: no such file"},
		{"unknown key", "root", "rooot", "rooot"},
		{"no such address", `"127.0.0.1:0"`, `"192.0.2.77:2121"`, "192.0.2.77:2121"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := prepare(t, true, "")
			conf, err := os.ReadFile(h.conf())
			must(t, err)
			must(t, os.WriteFile(h.conf(), []byte(strings.ReplaceAll(string(conf), c.from, c.to)), 0o644))
			err = h.cmd.Run()
			if h.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(h.log.String(), c.want) {
				t.Errorf("%v, said %q", err, h.log.String())
			}
			if strings.Contains(h.log.String(), "broke the protocol") {
				t.Errorf("nobody did anything wrong but the file: %q", h.log.String())
			}
		})
	}
	t.Run("no such user", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("the tests do not run as root")
		}
		h := prepare(t, false, "")
		conf, err := os.ReadFile(h.conf())
		must(t, err)
		must(t, os.WriteFile(h.conf(), []byte(strings.Replace(string(conf), `user = "nobody"`, `user = "nosuchuser"`, 1)), 0o644))
		err = h.cmd.Run()
		if h.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(h.log.String(), "nosuchuser") {
			t.Errorf("%v, said %q", err, h.log.String())
		}
	})
}
