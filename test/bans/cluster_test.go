package bans

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"testing"

	"sallyport/test/daemon"
)

// redis runs a server on a loopback address of its own, with a port below those
// that the kernel hands out.
func redis(t *testing.T) (addr string) {
	t.Helper()
	ip := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	port := fmt.Sprint(20000 + rand.IntN(10000))
	addr = net.JoinHostPort(ip, port)
	cmd := exec.Command("redis-server", "--bind", ip, "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir(), "--protected-mode", "no")
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
