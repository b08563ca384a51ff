package bans

import (
	"fmt"
	"net"
	"os/exec"
	"testing"

	"sallyport/test/daemon"
)

// redis runs a server on a free port of loopback.
func redis(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	l.Close()
	cmd := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	daemon.Until(t, "redis", func() bool {
		n, err := net.Dial("tcp", addr)
		if err == nil {
			n.Close()
		}
		return err == nil
	})
	return addr
}

// TestServersCountTogether: what a client does at two servers is counted for both
// of them, and the ban that comes of it holds at both.
func TestServersCountTogether(t *testing.T) {
	share := fmt.Sprintf("  share \"redis\" {\n    address = %q\n    counters = true\n  }\n", redis(t))
	var d [2]*daemon.Daemon
	for i := range d {
		d[i] = start(t, share+rule("FailedLogin", "4/10m", "10m"))
		d[i].WaitLog("ban store reached")
	}
	for i := range 3 {
		fail(from(t, d[i%2], "127.0.0.1"), "alice")
	}
	for i := range d {
		if l := info(t, d[i]); len(l.Bans) != 0 {
			t.Fatalf("%+v", l.Bans)
		}
	}
	fail(from(t, d[1], "127.0.0.1"), "alice")
	for i := range d {
		daemon.Until(t, "the ban", func() bool { return info(t, d[i]).has("host", "127.0.0.1") })
		refused(t, d[i], "127.0.0.1", "")
	}
}
