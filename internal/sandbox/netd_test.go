package sandbox

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNetdProfile(t *testing.T) {
	const flags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	testVerdicts(t, netdProfile(testPID), []verdictCase{
		{"UDP", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_DGRAM | flags}, allow},
		{"UDP over IPv6", unix.SYS_SOCKET, []uint64{junk | unix.AF_INET6, junk | unix.SOCK_DGRAM | flags, junk}, allow},
		{"TCP", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM | flags}, allow},
		{"raw socket", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_RAW | flags, unix.IPPROTO_ICMP}, eperm},
		{"ping socket", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_DGRAM | flags, unix.IPPROTO_ICMP}, eperm},
		{"Multipath TCP", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM | flags, unix.IPPROTO_MPTCP}, eperm},
		{"local socket", unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM | flags}, eperm},
		{"netlink socket", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW | flags}, eperm},
		{"packet socket", unix.SYS_SOCKET, []uint64{unix.AF_PACKET, unix.SOCK_DGRAM | flags}, eperm},
		{"local pair", unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, eperm},
		{"connect", unix.SYS_CONNECT, []uint64{5}, allow},
		{"bind", unix.SYS_BIND, []uint64{5}, eperm},
		{"listen", unix.SYS_LISTEN, []uint64{5}, eperm},
		{"accept", unix.SYS_ACCEPT4, []uint64{5}, eperm},
		{"send to an address", unix.SYS_SENDTO, []uint64{5, 1, 1, 0, 1, 16}, eperm},
		{"send", unix.SYS_SENDTO, []uint64{5, 1, 1, 0, 0, 0}, allow},
		{"many messages", unix.SYS_SENDMMSG, []uint64{5}, eperm},
		{"read a file", unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDONLY | unix.O_CLOEXEC}, allow},
		{"write a file", unix.SYS_OPENAT, []uint64{0, 0, unix.O_WRONLY}, eperm},
		{"make a file", unix.SYS_OPENAT, []uint64{0, 0, unix.O_CREAT}, eperm},
		{"openat2", unix.SYS_OPENAT2, nil, eperm},
		{"remove", unix.SYS_UNLINKAT, nil, eperm},
		{"execve", unix.SYS_EXECVE, nil, kill},
		{"execveat", unix.SYS_EXECVEAT, nil, kill},
		{"ptrace", unix.SYS_PTRACE, nil, kill},
		{"process", unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, kill},
		{"signal another", unix.SYS_KILL, []uint64{1, 9}, eperm},
		{"signal a thread of another", unix.SYS_TGKILL, []uint64{1, 1, 9}, eperm},
		{"asynchronous signals", unix.SYS_FCNTL, []uint64{5, unix.F_SETFL, unix.O_ASYNC}, eperm},
		{"socket option that binds", unix.SYS_SETSOCKOPT, []uint64{5, unix.SOL_SOCKET, unix.SO_BINDTODEVICE}, eperm},
		{"io_uring", unix.SYS_IO_URING_SETUP, nil, eperm},
	})
}

// TestNetdInsideItsSandbox: what a hijacked netd finds.
func TestNetdInsideItsSandbox(t *testing.T) {
	if !alone(t, nil) {
		return
	}
	noNewPrivs(t)
	abi := landlockABI()
	if _, err := Netd(Enforce, 16379); err != nil {
		t.Fatal(err)
	}
	socket := func(family, kind int) (int, error) {
		return unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	}
	udp, err := socket(unix.AF_INET, unix.SOCK_DGRAM)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := socket(unix.AF_INET, unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	local := func(port int) unix.Sockaddr { return &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}} }
	if err := unix.Connect(udp, local(53)); err != nil {
		t.Errorf("a name server: %v", err)
	}
	if _, err := os.ReadFile("/etc/passwd"); err != nil { // for hosts and resolv.conf
		t.Errorf("read in /etc: %v", err)
	}
	for name, err := range map[string]error{
		"bind UDP": unix.Bind(udp, local(0)), "bind TCP": unix.Bind(tcp, local(0)), "listen": unix.Listen(tcp, 1),
	} {
		if err != unix.EPERM {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := socket(unix.AF_UNIX, unix.SOCK_STREAM); err != unix.EPERM {
		t.Errorf("a local socket: %v", err)
	}
	if err := os.WriteFile("/tmp/netd", nil, 0o600); err == nil {
		t.Error("a file was written")
	}
	if abi >= minLandlock {
		if _, err := os.ReadFile("/proc/self/status"); err == nil {
			t.Error("a file out of /etc was read")
		}
		if _, err := os.ReadDir("/etc"); err == nil {
			t.Error("/etc was listed")
		}
	}
	if abi >= 4 {
		if err := unix.Connect(tcp, local(6379)); err != unix.EACCES {
			t.Errorf("call a TCP service: %v", err)
		}
		if err := unix.Connect(tcp, local(53)); err == unix.EACCES || err == unix.EPERM {
			t.Errorf("call a name server by TCP: %v", err)
		}
		store, err := socket(unix.AF_INET, unix.SOCK_STREAM)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(store, local(16379)); err == unix.EACCES || err == unix.EPERM {
			t.Errorf("call a store: %v", err)
		}
	}
}
