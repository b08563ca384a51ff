package unit

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstFD is where systemd puts what it hands down (sd_listen_fds(3)).
const firstFD = 3

// maxFDs bounds LISTEN_FDS against nonsense in the environment.
const maxFDs = 256

// Socket is a listening TCP socket that systemd handed down. It is non-blocking
// and close-on-exec.
type Socket struct {
	FD    int
	Label string         // FileDescriptorName= of the .socket unit
	Addr  netip.AddrPort // where it listens; [::] may take IPv4 as well
}

// Adopt takes over the sockets of LISTEN_FDS. Everything handed down is made
// close-on-exec before it is looked at. It is an error if one is not a
// listening TCP socket over IPv4 or IPv6, if two have one address, or if the
// variables contradict each other: the daemon must not start with sockets
// nobody serves. Without LISTEN_FDS, or where they are meant for another
// process, there are none.
func Adopt() ([]Socket, error) {
	return adopt(os.Getpid(), firstFD)
}

func adopt(self, first int) ([]Socket, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		if err := os.Unsetenv(v); err != nil {
			return nil, fmt.Errorf("remove %s from the environment: %w", v, err)
		}
	}
	if count == "" || pid != strconv.Itoa(self) {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxFDs {
		return nil, fmt.Errorf("LISTEN_FDS=%q: not a number from 0 to %d", count, maxFDs)
	}
	for fd := first; fd < first+n; fd++ {
		unix.CloseOnExec(fd)
	}
	labels := strings.Split(names, ":")
	if len(labels) != n && n > 0 {
		return nil, fmt.Errorf("LISTEN_FDNAMES=%q names %d sockets, LISTEN_FDS counts %d", names, len(labels), n)
	}
	sockets := make([]Socket, 0, n)
	for i := range n {
		s := Socket{FD: first + i, Label: labels[i]}
		if s.Addr, err = listening(s.FD); err != nil {
			return nil, fmt.Errorf("socket %q handed down by systemd (descriptor %d): %w", s.Label, s.FD, err)
		}
		for _, o := range sockets {
			if o.Addr == s.Addr {
				return nil, fmt.Errorf("sockets %q and %q handed down by systemd both listen at %s", o.Label, s.Label, s.Addr)
			}
		}
		if err := unix.SetNonblock(s.FD, true); err != nil {
			return nil, fmt.Errorf("socket %q handed down by systemd: %w", s.Label, err)
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

// listening checks what fd is and returns its address.
func listening(fd int) (netip.AddrPort, error) {
	var none netip.AddrPort
	for _, c := range []struct {
		opt  int
		want []int
		msg  string
	}{
		{unix.SO_TYPE, []int{unix.SOCK_STREAM}, "not a stream socket (ListenStream=)"},
		{unix.SO_DOMAIN, []int{unix.AF_INET, unix.AF_INET6}, "not an IPv4 or IPv6 socket"},
		{unix.SO_PROTOCOL, []int{unix.IPPROTO_TCP}, "not a TCP socket"},
		{unix.SO_ACCEPTCONN, []int{1}, "not a listening socket (Accept=no)"},
	} {
		got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, c.opt)
		if errors.Is(err, unix.ENOTSOCK) || errors.Is(err, unix.EBADF) {
			return none, errors.New("not a socket")
		}
		if err != nil {
			return none, err
		}
		if !slices.Contains(c.want, got) {
			return none, errors.New(c.msg)
		}
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return none, err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		a := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			a = a.WithZone(strconv.Itoa(int(sa.ZoneId)))
		}
		return netip.AddrPortFrom(a, uint16(sa.Port)), nil
	}
	return none, fmt.Errorf("address of an unknown kind %T", sa)
}

// ByLabel sorts sockets by label. A label that is not among labels, the
// listeners of the configuration, is an error that names both sides.
func ByLabel(sockets []Socket, labels []string) (map[string][]Socket, error) {
	m := make(map[string][]Socket)
	for _, s := range sockets {
		if !slices.Contains(labels, s.Label) {
			known := "no listener at all"
			if len(labels) > 0 {
				known = "only " + strings.Join(labels, ", ")
			}
			return nil, fmt.Errorf("systemd hands down a socket named %q (at %s), but the configuration has no such listener (%s): "+
				"add listener %q or disable the .socket unit", s.Label, s.Addr, known, s.Label)
		}
		m[s.Label] = append(m[s.Label], s)
	}
	return m, nil
}
