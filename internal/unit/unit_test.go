package unit

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// hand puts sockets at consecutive descriptors from base on.
func hand(t *testing.T, base int, fds ...int) {
	t.Helper()
	for i, fd := range fds {
		if err := unix.Dup3(fd, base+i, 0); err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		t.Cleanup(func() { unix.Close(base + i) })
	}
}

func socket(t *testing.T, family, typ int, listen bool) int {
	t.Helper()
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var sa unix.Sockaddr
	switch family {
	case unix.AF_INET:
		sa = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	case unix.AF_INET6:
		sa = &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}
	default:
		sa = &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "s")}
	}
	if err := unix.Bind(fd, sa); err != nil {
		t.Fatal(err)
	}
	if listen {
		if err := unix.Listen(fd, 1); err != nil {
			t.Fatal(err)
		}
	}
	return fd
}

const base = 200 // no descriptor of the test binary is that high

func setListen(t *testing.T, pid, n, names string) {
	t.Setenv("LISTEN_PID", pid)
	t.Setenv("LISTEN_FDS", n)
	t.Setenv("LISTEN_FDNAMES", names)
}

func TestAdopt(t *testing.T) {
	hand(t, base, socket(t, unix.AF_INET, unix.SOCK_STREAM, true), socket(t, unix.AF_INET6, unix.SOCK_STREAM, true),
		socket(t, unix.AF_INET, unix.SOCK_STREAM, true))
	setListen(t, strconv.Itoa(os.Getpid()), "3", "ftp:ftp:ftps")
	t.Setenv("NOTIFY_SOCKET", "@kept")
	got, err := adopt(os.Getpid(), base)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].Label != "ftp" || got[1].Label != "ftp" || got[2].Label != "ftps" {
		t.Fatalf("%+v", got)
	}
	for i, s := range got {
		if s.FD != base+i || !s.Addr.Addr().IsLoopback() || s.Addr.Port() == 0 {
			t.Errorf("socket %d: %+v", i, s)
		}
		if f, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETFD, 0); err != nil || f&unix.FD_CLOEXEC == 0 {
			t.Errorf("socket %d is not close-on-exec", i)
		}
		if f, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETFL, 0); err != nil || f&unix.O_NONBLOCK == 0 {
			t.Errorf("socket %d blocks", i)
		}
	}
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "LISTEN_") {
			t.Errorf("%s is still there: a second master would adopt twice", v)
		}
	}
	if os.Getenv("NOTIFY_SOCKET") != "@kept" {
		t.Error("NOTIFY_SOCKET is gone: an upgraded master could not notify")
	}
	by, err := ByLabel(got, []string{"ftp", "ftps"})
	if err != nil || len(by["ftp"]) != 2 || len(by["ftps"]) != 1 {
		t.Errorf("by label: %v, %v", by, err)
	}
	_, err = ByLabel(got, []string{"ftp", "sftp"})
	if err == nil || !strings.Contains(err.Error(), `a socket named "ftps"`) || !strings.Contains(err.Error(), "only ftp, sftp") {
		t.Errorf("extra socket: %v", err)
	}
}

func TestAdoptNothing(t *testing.T) {
	setListen(t, strconv.Itoa(os.Getpid()+1), "1", "ftp")
	if s, err := Adopt(); s != nil || err != nil {
		t.Errorf("meant for another process: %v, %v", s, err)
	}
	if s, err := Adopt(); s != nil || err != nil {
		t.Errorf("no variables: %v, %v", s, err)
	}
}

func TestAdoptRefuses(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		name, n, names, want string
		fd                   func(t *testing.T) int
	}{
		{"count", "many", "ftp", `LISTEN_FDS="many": not a number from 0 to 256`, nil},
		{"huge", "100000", "ftp", `LISTEN_FDS="100000": not a number from 0 to 256`, nil},
		{"names", "2", "ftp", `LISTEN_FDNAMES="ftp" names 1 sockets, LISTEN_FDS counts 2`, nil},
		{"closed", "1", "ftp", `not a socket`, nil},
		{"datagram", "1", "ftp", `not a stream socket`, func(t *testing.T) int { return socket(t, unix.AF_INET, unix.SOCK_DGRAM, false) }},
		{"unix", "1", "ftp", `not an IPv4 or IPv6 socket`, func(t *testing.T) int { return socket(t, unix.AF_UNIX, unix.SOCK_STREAM, true) }},
		{"bound", "1", "ftp", `not a listening socket`, func(t *testing.T) int { return socket(t, unix.AF_INET, unix.SOCK_STREAM, false) }},
		{"file", "1", "ftp", `not a socket`, func(t *testing.T) int {
			fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			return fd
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.fd != nil {
				hand(t, base, c.fd(t))
			}
			setListen(t, self, c.n, c.names)
			if s, err := adopt(os.Getpid(), base); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v; want %s", s, err, c.want)
			}
		})
	}
}

// manager is the receiving end of NOTIFY_SOCKET.
func manager(t *testing.T) int {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd); os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	return fd
}

func receive(t *testing.T, fd int) (text string, fds int) {
	t.Helper()
	b, oob := make([]byte, 4096), make([]byte, 128)
	n, on, _, _, err := unix.Recvmsg(fd, b, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if on > 0 {
		scm, err := unix.ParseSocketControlMessage(oob[:on])
		if err != nil {
			t.Fatal(err)
		}
		l, err := unix.ParseUnixRights(&scm[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range l {
			unix.Close(fd)
		}
		fds = len(l)
	}
	return string(b[:n]), fds
}

func TestNotify(t *testing.T) {
	m := manager(t)
	n, err := NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for _, c := range []struct {
		send func() error
		want string
	}{
		{func() error { return n.Ready(42, "serving\nREADY=0") }, "READY=1\nMAINPID=42\nSTATUS=serving READY=0"},
		{func() error { return n.Status("12 sessions") }, "STATUS=12 sessions"},
		{func() error { return n.Stopping("draining") }, "STOPPING=1\nSTATUS=draining"},
		{n.Watchdog, "WATCHDOG=1"},
		{func() error { return n.Extend(3 * time.Second) }, "EXTEND_TIMEOUT_USEC=3000000"},
	} {
		if err := c.send(); err != nil {
			t.Fatal(err)
		}
		got, _ := receive(t, m)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Error(d)
		}
	}
	if err := n.Reloading("reading"); err != nil {
		t.Fatal(err)
	}
	got, _ := receive(t, m)
	l := strings.Split(got, "\n")
	usec, err := strconv.ParseInt(strings.TrimPrefix(l[1], "MONOTONIC_USEC="), 10, 64)
	if l[0] != "RELOADING=1" || err != nil || usec <= 0 || l[2] != "STATUS=reading" {
		t.Errorf("reloading: %q", got)
	}
	if err := n.Store("state", m); err != nil {
		t.Fatal(err)
	}
	if got, _ := receive(t, m); got != "FDSTOREREMOVE=1\nFDNAME=state" {
		t.Errorf("store: %q", got)
	}
	if got, fds := receive(t, m); got != "FDSTORE=1\nFDNAME=state" || fds != 1 {
		t.Errorf("store: %q with %d descriptors", got, fds)
	}
}

func TestWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	n, err := NewNotifier()
	if n != nil || err != nil {
		t.Fatalf("%v, %v", n, err)
	}
	for _, err := range []error{n.Ready(1, ""), n.Reloading(""), n.Stopping(""), n.Watchdog(), n.Store("x", 0)} {
		if err != nil {
			t.Error(err)
		}
	}
	n.Close()
	if d, err := WatchdogInterval(); d != 0 || err != nil {
		t.Errorf("%v, %v", d, err)
	}
	t.Setenv("NOTIFY_SOCKET", "relative")
	if _, err := NewNotifier(); err == nil {
		t.Error("a relative socket was accepted")
	}
}

func TestWatchdogInterval(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "30000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	if d, err := WatchdogInterval(); d != 15*time.Second || err != nil {
		t.Errorf("%v, %v", d, err)
	}
	t.Setenv("WATCHDOG_PID", "1")
	if d, err := WatchdogInterval(); d != 0 || err != nil {
		t.Errorf("for another process: %v, %v", d, err)
	}
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("WATCHDOG_USEC", "soon")
	if _, err := WatchdogInterval(); err == nil {
		t.Error("nonsense was accepted")
	}
}
