package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// streets writes a house with two more hosts by name, "one" and "two", whose
// users live elsewhere: ann of one.example.org finds hello, of two nothing.
func streets(t *testing.T, rest string) *house {
	t.Helper()
	h := prepare(t, true, fmt.Sprintf(`virtual_host "one" {
  names = ["one.example.org", "*.one.example.org"]
  ident = "One"
  root %q {}
  timeout {
    login = "10m"
  }
  max {
    connections_per_host = 2
  }
}
virtual_host "two" {
  names = ["two.example.org"]
  ident = "Two"
  root %q {}
}
timeout {
  login = "8s"
}
`, "DIR/one", "DIR/two")+rest)
	conf, err := os.ReadFile(h.conf())
	must(t, err)
	must(t, os.WriteFile(h.conf(), []byte(strings.ReplaceAll(string(conf), "DIR/", h.dir+"/")), 0o644))
	for _, d := range []string{"one", "two"} {
		must(t, os.Mkdir(filepath.Join(h.dir, d), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(h.dir, "one", "hello"), []byte("x"), 0o644))
	return h
}

// TestHostsByName: HOST chooses the host whose users, root, banner and limits
// hold; after the login it is too late; the login deadline does not move.
func TestHostsByName(t *testing.T) {
	h := streets(t, "").start()
	w, x := h.dial(), h.dial()
	w.reply("220")
	if got := w.do("220", "HOST A.One.Example.ORG"); !strings.Contains(got, "One") {
		t.Errorf("the banner: %q", got)
	}
	w.do("504", "HOST nobody.example.org")
	w.do("331", "USER ann")
	w.do("220", "HOST one.example.org") // forgets the name
	w.do("503", "PASS open sesame")
	w.do("331", "USER ann")
	w.do("230", "PASS open sesame")
	w.do("200", "TYPE I")
	w.do("213", "SIZE hello")
	w.do("503", "HOST two.example.org")
	x.reply("220")
	x.do("220", "HOST one.example.org")
	if got := x.do("220", "HOST two.example.org"); !strings.Contains(got, "Two") {
		t.Errorf("the banner: %q", got)
	}
	x.do("331", "USER ann")
	x.do("230", "PASS open sesame")
	x.do("200", "TYPE I")
	x.do("550", "SIZE hello")
	if out := h.ctl("who", "-v"); !strings.Contains(out, "host one") || !strings.Contains(out, "host two") {
		t.Errorf("who: %s", out)
	}
	h.waitLog("host chosen")

	y, z := h.dial(), h.dial()
	y.reply("220")
	y.do("220", "HOST one.example.org")
	z.reply("220")
	if got := z.do("504", "HOST one.example.org"); !strings.Contains(got, "(2) for your host") {
		t.Errorf("one too many of this address: %q", got)
	}
	if got := y.ended(); got != "421 Login timeout (8 seconds): closing control connection\r\n" {
		t.Errorf("after HOST of a host with more time: %q", got)
	}
	h.stop()
}

// TestAHostOutlivesUpgradesAndAuthd: who has chosen a host and not logged in yet
// does so at that host, with the next image and the next authd.
func TestAHostOutlivesUpgradesAndAuthd(t *testing.T) {
	h := streets(t, "virtual_host \"late\" {\n  timeout {\n    login = \"5m\"\n  }\n  names = [\"late.example.org\"]\n}\n")
	conf, err := os.ReadFile(h.conf())
	must(t, err)
	must(t, os.WriteFile(h.conf(), []byte(strings.Replace(string(conf), `login = "8s"`, `login = "5m"`, 1)), 0o644))
	h.start()
	w := h.dial()
	w.reply("220")
	w.do("220", "HOST one.example.org")
	must(t, h.cmd.Process.Signal(syscall.SIGUSR2))
	h.waitLog("took over")
	w.do("504", "HOST nobody.example.org")
	x := h.dial()
	x.reply("220")
	x.do("220", "HOST two.example.org")
	x.do("220", "HOST one.example.org")
	h.killAuthd()
	until(t, "the next authd", func() bool { s := h.status(); return s.State == "serving" && s.Workers[0].Restarts > 0 })
	for _, c := range []*wire{w, x} {
		c.do("331", "USER ann")
		c.do("230", "PASS open sesame")
		c.do("200", "TYPE I")
		c.do("213", "SIZE hello")
	}
	h.stop()
}

// behind writes a house whose listener is behind a proxy at 127.0.0.2.
func behind(t *testing.T, listener, rest string) *house {
	t.Helper()
	h := prepare(t, true, rest)
	conf, err := os.ReadFile(h.conf())
	must(t, err)
	text := strings.Replace(string(conf), "address = [\"127.0.0.1:0\"]", "address = [\"127.0.0.1:0\"]\n  proxy = [\"127.0.0.2\"]\n"+listener, 1)
	must(t, os.WriteFile(h.conf(), []byte(text), 0o644))
	return h.start()
}

// TestClientsBehindAProxy are seen as who they are: in the log, in limits and
// classes, and by data connections.
func TestClientsBehindAProxy(t *testing.T) {
	h := behind(t, "", "class \"far\" { from = [\"127.0.0.9\"] }\nmax {\n  connections_per_host = 1\n}\n")
	w := h.from("127.0.0.2")
	fmt.Fprintf(w, "PROXY TCP4 127.0.0.9 127.0.0.1 4711 21\r\n")
	w.login()
	if out := h.ctl("who", "-v"); !strings.Contains(out, "127.0.0.9:4711") || !strings.Contains(out, "class far") || !strings.Contains(out, "by proxy 127.0.0.2:") {
		t.Errorf("who: %s", out)
	}
	l, err := net.Listen("tcp", "127.0.0.9:0")
	must(t, err)
	defer l.Close()
	// What a header says is read by the session: it must not make master call
	// this machine's own addresses.
	for _, to := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.9"} {
		w.do("500", fmt.Sprintf("EPRT |1|%s|%d|", to, l.Addr().(*net.TCPAddr).Port))
	}
	f := strings.Split(w.do("229", "EPSV"), "|")
	fmt.Fprint(w, "NLST\r\n")
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	d, err := dialer.Dial("tcp", "127.0.0.1:"+f[3])
	must(t, err)
	w.reply("150")
	_, err = io.Copy(io.Discard, d)
	must(t, err)
	d.Close()
	w.reply("226")

	x := h.from("127.0.0.2")
	fmt.Fprintf(x, "PROXY TCP4 127.0.0.9 127.0.0.1 4712 21\r\n")
	if got := x.ended(); got != "530 Sorry, the maximum number of connections (1) for your host are already connected.\r\n" {
		t.Errorf("one too many behind the proxy: %q", got)
	}
	for name, header := range map[string]string{
		"none": "USER ann of example.org\r\n", "spoofed": "PROXY TCP4 0.0.0.0 127.0.0.1 4712 21\r\n", "twice": "PROXY TCP4 127.0.0.10 127.0.0.1 1 21\r\nPROXY TCP4 127.0.0.11 127.0.0.1 1 21\r\n",
	} {
		x := h.from("127.0.0.2") // the header of version 2 has 16 bytes at least
		fmt.Fprint(x, header)
		if name == "twice" { // the second one is a command that nobody knows
			x.reply("220")
			x.do("500", "NOOP2")
			continue
		}
		if b, _ := io.ReadAll(x.r); len(b) > 0 {
			t.Errorf("%s: %q", name, b)
		}
	}
	y := h.from("127.0.0.2")
	fmt.Fprintf(y, "PROXY UNKNOWN\r\n")
	y.login()
	h.stop()
}

// TestImplicitTLSBehindAProxy: header, handshake, greeting, in this order.
func TestImplicitTLSBehindAProxy(t *testing.T) {
	h := behind(t, "  tls = \"implicit\"", "")
	raw := h.from("127.0.0.2")
	fmt.Fprintf(raw, "PROXY TCP4 127.0.0.9 127.0.0.1 4711 21\r\n")
	c := tls.Client(raw.Conn, &tls.Config{InsecureSkipVerify: true})
	w := &wire{t, c, bufio.NewReader(c)}
	w.login()
	if out := h.ctl("who", "-v"); !strings.Contains(out, "ftps, 127.0.0.9:4711") {
		t.Errorf("who: %s", out)
	}
	h.killAuthd() // the next one signs, too
	until(t, "the next authd", func() bool { s := h.status(); return s.State == "serving" && s.Workers[0].Restarts > 0 })
	w.do("200", "NOOP")
	h.stop()
}

// secured turns a fresh connection into one under explicit TLS.
func (w *wire) secured(name string) *wire {
	w.t.Helper()
	w.reply("220")
	w.do("234", "AUTH TLS")
	c := tls.Client(w.Conn, &tls.Config{InsecureSkipVerify: true, ServerName: name})
	must(w.t, c.Handshake())
	return &wire{w.t, c, bufio.NewReader(c)}
}

// TestSNIChoosesTheHost, and HOST may not leave it.
func TestSNIChoosesTheHost(t *testing.T) {
	h := streets(t, "").start()
	w := h.dial().secured("one.example.org")
	w.do("504", "HOST two.example.org")
	w.do("331", "USER ann")
	w.do("230", "PASS open sesame")
	w.do("200", "TYPE I")
	w.do("213", "SIZE hello")
	if out := h.ctl("who", "-v"); !strings.Contains(out, "ftps, ") || !strings.Contains(out, "host one") {
		t.Errorf("who: %s", out)
	}
	h.stop()
}

// TestDataConnectionsAreSignedForByTheNextAuthd: a session that is logged in
// gets a new channel, and one signature for each data connection over it.
func TestDataConnectionsAreSignedForByTheNextAuthd(t *testing.T) {
	h := prepare(t, true, "tls {\n  data_reuse = \"off\"\n}\n").start()
	w := h.dial().secured("ftp.example.org")
	w.do("331", "USER ann")
	w.do("230", "PASS open sesame")
	w.do("200", "PBSZ 0")
	w.do("200", "PROT P")
	list := func() {
		t.Helper()
		d := w.passive()
		w.do("150", "NLST")
		c := tls.Client(d, &tls.Config{InsecureSkipVerify: true})
		_, err := io.ReadAll(c)
		must(t, err)
		c.Close()
		w.reply("226")
	}
	list()
	h.killAuthd()
	until(t, "the next authd", func() bool { s := h.status(); return s.State == "serving" && s.Workers[0].Restarts > 0 })
	list()
	list()
	if s := h.status(); len(s.Certificates) == 0 || s.Certificates[0].Days < 1 {
		t.Errorf("certificates: %+v", s.Certificates)
	}
	if strings.Contains(h.log.String(), "SignerAbuse") {
		t.Error("an honest session is taken for an abuser")
	}
	h.stop()
}
