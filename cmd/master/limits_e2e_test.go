package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ended reads a connection to its end.
func (w *wire) ended() string {
	w.t.Helper()
	_ = w.SetReadDeadline(time.Now().Add(30 * time.Second))
	b, err := io.ReadAll(w.r)
	if err != nil {
		w.t.Fatalf("waiting for the end: %q, %v", b, err)
	}
	return string(b)
}

// TestDeadlinesAreMasters: login and idle time-outs speak their text, the latter
// with and without a session process, and a transfer in hand suspends it.
func TestDeadlinesAreMasters(t *testing.T) {
	h := prepare(t, true, `timeout {
  login = "8s"
  idle  = "4s"
}
class "patient" { from = ["127.0.0.2"] }
when {
  class = ["patient"]
  timeout { idle = "none" }
}
`).start()
	busy := h.dial().login()
	d := busy.passive()
	busy.do("150", "STOR slow.bin")
	start := time.Now()
	silent, named, idle := h.dial(), h.dial(), h.dial()
	late := h.from("127.0.0.2")
	late.reply("220")
	named.reply("220")
	named.do("331", "USER ann")
	silent.reply("220")
	idle.login()
	if got := idle.ended(); got != "421 Idle timeout (4 seconds): closing control connection\r\n" {
		t.Errorf("idle: %q", got)
	}
	for name, w := range map[string]*wire{"silent": silent, "named": named, "late": late} {
		want := "421 Idle timeout (4 seconds): closing control connection\r\n"
		if name == "late" {
			want = "421 Login timeout (8 seconds): closing control connection\r\n"
		}
		if got := w.ended(); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if time.Since(start) < 4100*time.Millisecond {
		t.Error("the time-outs came too early to tell whether a transfer suspends them")
	}
	fmt.Fprint(d, "still here")
	d.Close()
	busy.reply("226")
	if got := busy.ended(); !strings.HasPrefix(got, "421 Idle timeout") {
		t.Errorf("after the transfer: %q", got)
	}
	got, err := os.ReadFile(filepath.Join(h.home, "slow.bin"))
	must(t, err)
	if string(got) != "still here" {
		t.Errorf("stored %q", got)
	}
	h.stop()
}

// TestSilenceWhereTLSIsImplicit ends when a handshake would have to be over, long
// before the other time-outs.
func TestSilenceWhereTLSIsImplicit(t *testing.T) {
	h := prepare(t, true, "tls {\n  timeout_handshake = \"1s\"\n}\n")
	conf, err := os.ReadFile(h.conf())
	must(t, err)
	text := strings.Replace(string(conf), "address = [\"127.0.0.1:0\"]", "address = [\"127.0.0.1:0\"]\n  tls = \"implicit\"", 1)
	must(t, os.WriteFile(h.conf(), []byte(text), 0o644))
	h.start()
	if got := h.dial().ended(); got != "" {
		t.Errorf("%q in front of the handshake", got)
	}
	h.waitLog("client.TLSHandshakeFailed")
	h.stop()
}

// TestForeignPeerOfAPassivePortGetsNothing: a thief who connects first is
// dropped and named in the log, and the client still gets its listing.
func TestForeignPeerOfAPassivePortGetsNothing(t *testing.T) {
	h := prepare(t, true, "").start()
	w := h.dial().login()
	f := strings.Split(w.do("229", "EPSV"), "|")
	thief := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	x, err := thief.Dial("tcp", "127.0.0.1:"+f[3])
	must(t, err)
	defer x.Close()
	h.waitLog("SECURITY VIOLATION")
	d, err := net.Dial("tcp", "127.0.0.1:"+f[3])
	must(t, err)
	defer d.Close()
	w.do("150", "NLST")
	if _, err := io.ReadAll(d); err != nil {
		t.Error(err)
	}
	w.reply("226")
	_ = x.SetReadDeadline(time.Now().Add(20 * time.Second))
	if b, err := io.ReadAll(x); len(b) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the thief got %q, %v", b, err)
	}
	h.stop()
}

// TestLimitsAtTheDoor: connections_per_host says why, kick says good-bye.
func TestLimitsAtTheDoor(t *testing.T) {
	h := prepare(t, true, "max {\n  connections_per_host = 2\n}\n").start()
	first, second := h.dial(), h.dial().login()
	first.reply("220")
	if got := h.dial().ended(); got != "530 Sorry, the maximum number of connections (2) for your host are already connected.\r\n" {
		t.Errorf("third connection: %q", got)
	}
	h.ctl("kick", "user", "ann")
	if got := second.ended(); !strings.HasPrefix(got, "421 ") {
		t.Errorf("kicked: %q", got)
	}
	until(t, "the place of the kicked session", func() bool {
		w := h.dial()
		line, err := w.r.ReadString('\n')
		must(t, err)
		w.Close()
		return strings.HasPrefix(line, "220")
	})
	h.ctl("kick", "host", "127.0.0.0/8")
	if got := first.ended(); !strings.HasPrefix(got, "421 ") {
		t.Errorf("kicked by host: %q", got)
	}
	h.stop()
}
