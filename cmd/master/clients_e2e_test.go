package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// from dials from another address of this machine.
func (h *house) from(addr string) *wire {
	h.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	c, err := d.Dial("tcp", h.addr)
	must(h.t, err)
	h.t.Cleanup(func() { c.Close() })
	return &wire{h.t, c, bufio.NewReader(c)}
}

// TestClientLimitsSpeak: the first login beyond a limit is refused in the words
// of the limit and disconnected, whoever is logged in is not disturbed, and the
// place is free as soon as its session has been killed.
func TestClientLimitsSpeak(t *testing.T) {
	for _, c := range []struct{ name, limit, second, text, log string }{
		{"all", "clients = 1", "127.0.0.2", "Sorry, the maximum number of allowed clients (1) are already connected.", "MaxClients 1"},
		{"host", "clients_per_host = 1", "127.0.0.1", "Sorry, the maximum number of clients (1) from your host are already connected.", "MaxClientsPerHost 1"},
		{"user", "clients_per_user = 1", "127.0.0.2", "Sorry, the maximum number of clients (1) for this user are already connected.", "MaxClientsPerUser 1"},
		{"class", "clients_per_class = 1", "127.0.0.2", "Sorry, the maximum number of clients (1) from your class are already connected.", "MaxClientsPerClass 1"},
		{"hosts of a user", "hosts_per_user = 1", "127.0.0.2", "Sorry, the maximum number of hosts (1) for this user are already connected.", "MaxHostsPerUser 1"},
		{"own words", "clients {\n    count = 1\n    message = \"Only %m, please\"\n  }", "127.0.0.1", "Only 1, please", "MaxClients 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := prepare(t, true, "class \"all\" { from = [\"127.0.0.0/8\"] }\nmax {\n  "+c.limit+"\n}\n").start()
			first, second := h.dial().login(), h.from(c.second)
			second.reply("220")
			second.do("331", "USER ann")
			fmt.Fprint(second, "PASS open sesame\r\n")
			if got := second.ended(); got != "530 "+c.text+"\r\n" {
				t.Errorf("the second: %q", got)
			}
			h.waitLog("Connection refused (" + c.log + ")")
			h.waitLog(`reason="login refused: ` + c.log + `"`)
			if strings.Contains(h.log.String(), "login failed") {
				t.Errorf("a right password is a failed login:\n%s", h.log.String())
			}
			first.do("200", "NOOP")
			h.killChildOf("session", first.LocalAddr().String())
			first.ended()
			h.waitWho(`"sessions": []`)
			third := h.from(c.second)
			third.login()
			third.do("200", "NOOP")
			h.stop()
		})
	}
}

// TestOneUserManyHosts: different addresses count, not sessions.
func TestOneUserManyHosts(t *testing.T) {
	h := prepare(t, true, "max {\n  hosts_per_user = 2\n}\n").start()
	for _, addr := range []string{"127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.1"} {
		h.from(addr).login()
	}
	w := h.from("127.0.0.3")
	w.reply("220")
	w.do("331", "USER ann")
	w.do("530", "PASS open sesame")
	h.stop()
}

// TestExactlyAsManyAsThereIsRoomForGetIn, of many who try at once.
func TestExactlyAsManyAsThereIsRoomForGetIn(t *testing.T) {
	const room, crowd = 4, 16
	h := prepare(t, true, fmt.Sprintf("max {\n  clients_per_user = %d\n}\n", room)).start()
	var in, out atomic.Int32
	var wires []*wire
	for i := range crowd { // from many networks: authd bounds the attempts of one
		w := h.from(fmt.Sprintf("127.0.%d.1", i))
		w.reply("220")
		w.do("331", "USER ann")
		wires = append(wires, w)
	}
	var wg sync.WaitGroup
	for _, w := range wires {
		wg.Go(func() {
			fmt.Fprint(w, "PASS open sesame\r\n")
			_ = w.SetReadDeadline(time.Now().Add(60 * time.Second))
			switch line, err := w.r.ReadString('\n'); {
			case strings.HasPrefix(line, "230 "):
				in.Add(1)
			case strings.HasPrefix(line, "530 Sorry, the maximum number of clients (4) for this user"):
				out.Add(1)
			default:
				t.Errorf("%q, %v", line, err)
			}
		})
	}
	wg.Wait()
	if in.Load() != room || out.Load() != crowd-room {
		t.Errorf("%d in, %d out, room for %d", in.Load(), out.Load(), room)
	}
	h.stop()
}

// TestTransfersAtATime: one 451, before any data connection; another command is
// another matter, and the end of the transfer makes room.
func TestTransfersAtATime(t *testing.T) {
	h := prepare(t, true, "max {\n  transfers_per_host \"RETR,STOR\" {\n    count = 1\n  }\n}\n").start()
	must(t, os.WriteFile(filepath.Join(h.home, "big"), make([]byte, 64<<20), 0o644))
	first, second := h.dial().login(), h.dial().login()
	slow := first.passive()
	first.do("150", "RETR big")
	second.passive()
	if got := second.do("451", "RETR big"); got != "451 Sorry, the maximum number of data transfers (1) from your host are currently being used." {
		t.Errorf("%q", got)
	}
	d := second.passive()
	second.do("150", "STOR up")
	d.Close()
	second.reply("226")
	_, err := io.Copy(io.Discard, slow)
	must(t, err)
	slow.Close()
	first.reply("226")
	d = second.passive()
	second.do("150", "RETR up")
	d.Close()
	second.reply("226")
	h.stop()
}

// TestTransferTimeout: commands do not keep a session, listings do.
func TestTransferTimeout(t *testing.T) {
	h := prepare(t, true, "timeout {\n  no_transfer = \"4s\"\n}\n").start()
	w := h.dial().login()
	begun := time.Now()
	for time.Since(begun) < time.Second {
		w.do("200", "NOOP")
	}
	d := w.passive()
	w.do("150", "NLST")
	_, err := io.Copy(io.Discard, d)
	must(t, err)
	d.Close()
	w.reply("226")
	last := ""
	until(t, "the time to be up", func() bool {
		fmt.Fprint(w, "NOOP\r\n")
		_ = w.SetReadDeadline(time.Now().Add(30 * time.Second))
		last, err = w.r.ReadString('\n')
		return err != nil || !strings.HasPrefix(last, "200 ")
	})
	if last != "421 No transfer timeout (4 seconds): closing control connection\r\n" {
		t.Errorf("%q, %v", last, err)
	}
	if d := time.Since(begun); d < 4900*time.Millisecond { // the listing came a second after the login, or later
		t.Errorf("ended %s after the login, in spite of a listing", d)
	}
	h.waitLog("FTP no transfer timeout, disconnected")
	h.stop()
}

// TestSessionTimeout ends a session in the middle of a transfer, and counts for
// whom its selector fits.
func TestSessionTimeout(t *testing.T) {
	h := prepare(t, true, "timeout {\n  session \"7d\" {\n    user = [\"bob\"]\n  }\n  session \"3s\" {\n    user = [\"ann\"]\n  }\n}\n").start()
	w := h.dial().login()
	w.passive()
	w.do("150", "STOR slow")
	if got := w.ended(); !strings.HasSuffix(got, "421 Session Timeout (3 seconds): closing control connection\r\n") {
		t.Errorf("%q", got)
	}
	h.waitLog("FTP session timed out, disconnected")
	h.stop()
}

// TestOnlyTrustedProxiesAreServed: a listener with PROXY headers takes no
// connection from elsewhere, greets nobody before the header, and spends no
// process on a proxy that says nothing.
func TestOnlyTrustedProxiesAreServed(t *testing.T) {
	h := prepare(t, true, "")
	conf, err := os.ReadFile(h.conf())
	must(t, err)
	text := strings.Replace(string(conf), "address = [\"127.0.0.1:0\"]", "address = [\"127.0.0.1:0\"]\n  proxy = [\"127.0.0.2\"]", 1)
	must(t, os.WriteFile(h.conf(), []byte(text), 0o644))
	h.start()
	if got, err := io.ReadAll(h.dial()); len(got) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("a stranger reads %q, %v", got, err)
	}
	h.waitLog("no trusted proxy")
	w := h.from("127.0.0.2")
	h.waitWho(`"waiting"`)
	if out := h.ctl("who", "--json"); !strings.Contains(out, `"proxy": "127.0.0.2:`) || strings.Contains(out, `"pid"`) {
		t.Errorf("who: %s", out)
	}
	_ = w.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if b, err := w.r.ReadByte(); err == nil {
		t.Errorf("greeted before the header: %q", b)
	}
	h.stop()
}

// TestAnonymousLogin: the block's account and directory, whatever the password.
func TestAnonymousLogin(t *testing.T) {
	h := prepare(t, true, "")
	pub := filepath.Join(h.dir, "pub")
	must(t, os.Mkdir(pub, 0o755))
	must(t, os.WriteFile(filepath.Join(pub, "hello"), []byte("x"), 0o644))
	conf, err := os.ReadFile(h.conf())
	must(t, err)
	block := fmt.Sprintf("anonymous %q {\n  user = \"ann\"\n  aliases = [\"anonymous\"]\n  alias_only = true\n  max {\n    clients = 1\n  }\n  timeout {\n    session = \"1h\"\n  }\n}\n", pub)
	must(t, os.WriteFile(h.conf(), append(conf, block...), 0o644))
	h.start()
	w, x := h.dial(), h.dial()
	w.reply("220")
	w.do("331", "USER anonymous")
	w.do("230", "PASS me@home")
	w.do("200", "TYPE I")
	w.do("213", "SIZE hello")
	if out := h.ctl("who", "-v"); !strings.Contains(out, "ann (me@home)") {
		t.Errorf("who: %s", out)
	}
	x.reply("220")
	x.do("331", "USER anonymous")
	x.do("530", "PASS me@home")
	ann := h.dial().login() // her own login is not anonymous, and in her own directory
	ann.do("550", "SIZE hello")
	h.stop()
}

// TestLimitsOutliveAnUpgrade: who is logged in keeps his place, his timers and
// his anonymous block; a transfer in hand still counts.
func TestLimitsOutliveAnUpgrade(t *testing.T) {
	h := prepare(t, true, "max {\n  clients_per_user = 3\n  transfers_per_user \"RETR\" {\n    count = 1\n  }\n}\n")
	pub := filepath.Join(h.dir, "pub")
	must(t, os.Mkdir(pub, 0o755))
	must(t, os.WriteFile(filepath.Join(h.home, "big"), make([]byte, 64<<20), 0o644))
	conf, err := os.ReadFile(h.conf())
	must(t, err)
	block := fmt.Sprintf("anonymous %q {\n  user = \"ann\"\n  aliases = [\"anonymous\"]\n  alias_only = true\n  timeout {\n    no_transfer = \"10s\"\n  }\n}\n", pub)
	must(t, os.WriteFile(h.conf(), append(conf, block...), 0o644))
	h.start()
	first, anon := h.dial().login(), h.dial()
	anon.reply("220")
	anon.do("331", "USER anonymous")
	anon.do("230", "PASS me@home")
	slow := first.passive()
	first.do("150", "RETR big")
	must(t, h.cmd.Process.Signal(syscall.SIGUSR2))
	h.waitLog("took over")
	second := h.dial()
	second.login()
	second.passive()
	second.do("451", "RETR big")
	third := h.dial()
	third.reply("220")
	third.do("331", "USER ann")
	third.do("530", "PASS open sesame")
	if out := h.ctl("who"); !strings.Contains(out, "ann (me@home)") {
		t.Errorf("who: %s", out)
	}
	if got := anon.ended(); got != "421 No transfer timeout (10 seconds): closing control connection\r\n" {
		t.Errorf("the anonymous session: %q", got)
	}
	_, err = io.Copy(io.Discard, slow)
	must(t, err)
	slow.Close()
	first.reply("226")
	first.do("221", "QUIT")
	h.waitWho(`"activity": "idle"`)
	until(t, "the place of the first", func() bool { return strings.Count(h.ctl("who", "--json"), `"id"`) == 1 })
	h.dial().login()
	h.stop()
}
