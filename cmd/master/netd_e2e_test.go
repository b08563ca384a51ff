package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sallyport/internal/control"
)

// nameServer answers questions for IPv4 addresses over UDP (RFC 1035), on port
// 53 of a loopback address of its own.
type nameServer struct {
	addr string
	mu   sync.Mutex
	zone map[string]netip.Addr // names with their dot
}

func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	s := &nameServer{zone: map[string]netip.Addr{}}
	var c net.PacketConn
	var err error
	for range 20 {
		s.addr = fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(64), rand.IntN(256), 1+rand.IntN(254))
		if c, err = net.ListenPacket("udp4", s.addr+":53"); err == nil {
			break
		}
	}
	must(t, err)
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if r := s.reply(b[:n]); r != nil {
				_, _ = c.WriteTo(r, from)
			}
		}
	}()
	return s
}

func (s *nameServer) set(name, addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone[name+"."] = netip.MustParseAddr(addr)
}

// reply is the answer to one question, nil to what is none.
func (s *nameServer) reply(q []byte) []byte {
	if len(q) < 12 {
		return nil
	}
	name, i := "", 12
	for i < len(q) && q[i] > 0 && i+1+int(q[i]) < len(q) {
		name += string(q[i+1:i+1+int(q[i])]) + "."
		i += 1 + int(q[i])
	}
	if i+5 > len(q) {
		return nil
	}
	s.mu.Lock()
	addr, ok := s.zone[strings.ToLower(name)]
	s.mu.Unlock()
	r := append([]byte(nil), q[:i+5]...)
	r[2], r[3] = 0x85, 0x80 // an authoritative answer, recursion available
	clear(r[6:12])
	if !ok {
		r[3] |= 3 // no such name
		return r
	}
	if binary.BigEndian.Uint16(q[i+1:]) != 1 { // of another type there is none
		return r
	}
	r[7] = 1
	a := addr.As4()
	r = append(r, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4)
	return append(r, a[:]...)
}

// inNamespace lets the daemon run where /etc has a resolver's files of the
// test's own; nothing of the machine's is asked or changed.
func (h *house) inNamespace(resolv, hosts string) {
	h.t.Helper()
	script := "set -e\n"
	for name, text := range map[string]string{"resolv.conf": resolv, "hosts": hosts} {
		must(h.t, os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o644))
		script += fmt.Sprintf("mount --bind %s/%s /etc/%s\n", h.dir, name, name)
	}
	script += fmt.Sprintf("exec %s/sallyport --config %s\n", h.bin, h.conf())
	h.cmd = exec.Command("/bin/sh", "-c", script)
	h.cmd.Stderr = &h.log
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
}

// shown is the address of a 227 reply.
func (w *wire) shown() string {
	w.t.Helper()
	text := w.do("227", "PASV")
	_, text, _ = strings.Cut(text, "(")
	f := strings.Split(text, ",")
	if len(f) != 6 {
		w.t.Fatalf("PASV: %q", text)
	}
	return strings.Join(f[:4], ".")
}

func (h *house) netd() (w control.WorkerStatus) {
	for _, w = range h.status().Workers {
		if w.Role == "netd" {
			return w
		}
	}
	return control.WorkerStatus{}
}

// TestPassiveAddressByName: a name of the configuration is looked up by netd,
// at a real name server and in /etc/hosts, and shown by PASV; the answer
// outlives netd and an upgrade; a reload changes the names; where there are
// none, there is no netd.
func TestPassiveAddressByName(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a mount namespace, and port 53 of a loopback address")
	}
	dns := startNameServer(t)
	dns.set("gate.example.org", "203.0.113.5")
	h := prepare(t, false, "passive {\n  address = \"gate.example.org\"\n}\n")
	h.inNamespace("nameserver "+dns.addr+"\noptions timeout:1 attempts:2\n", "127.0.0.1 localhost\n203.0.113.77 hall.example.org\n")
	h.start()
	w := h.dial().login()
	until(t, "the name to be shown", func() bool { return w.shown() == "203.0.113.5" })
	h.waitLog("name resolved")

	n := h.netd()
	if n.State != "up" || n.PID == 0 {
		t.Fatalf("netd: %+v", n)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID))
	must(t, err)
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534", "NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"} {
		if !bytes.Contains(status, []byte(want)) {
			t.Errorf("netd has no %q in\n%s", want, status)
		}
	}

	must(t, syscall.Kill(n.PID, syscall.SIGKILL))
	h.waitLog("netd ended, starting it again")
	if got := w.shown(); got != "203.0.113.5" {
		t.Errorf("while netd is down: %s", got)
	}
	until(t, "another netd", func() bool { return h.netd().State == "up" })

	must(t, h.cmd.Process.Signal(syscall.SIGUSR2))
	h.waitLog("took over")
	if got := w.shown(); got != "203.0.113.5" {
		t.Errorf("after an upgrade: %s", got)
	}

	h.rename("gate.example.org", "hall.example.org")
	h.ctl("reload")
	v := h.dial().login()
	until(t, "the other name to be shown", func() bool { return v.shown() == "203.0.113.77" })

	h.rename("hall.example.org", "nowhere.example.org")
	h.ctl("reload")
	h.waitLog("name does not resolve")
	if got := h.dial().login().shown(); got != "127.0.0.1" {
		t.Errorf("a name that nobody has: %s", got)
	}
	if s := h.status(); s.State != control.StateDegraded {
		t.Errorf("the state is %s", s.State)
	}

	n = h.netd()
	h.rename(`"nowhere.example.org"`, `"local"`)
	h.ctl("reload")
	until(t, "netd to leave", func() bool { return syscall.Kill(n.PID, 0) == syscall.ESRCH })
	if got := h.netd(); got.Role != "" {
		b, _ := json.Marshal(got)
		t.Errorf("netd without a name: %s", b)
	}
	h.stop()
}

// rename replaces a text of the configuration.
func (h *house) rename(old, now string) {
	h.t.Helper()
	b, err := os.ReadFile(h.conf())
	must(h.t, err)
	if !bytes.Contains(b, []byte(old)) {
		h.t.Fatalf("no %s in the configuration", old)
	}
	must(h.t, os.WriteFile(h.conf(), bytes.ReplaceAll(b, []byte(old), []byte(now)), 0o644))
}
