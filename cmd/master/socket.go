package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Raw TCP sockets: close-on-exec, non-blocking, plain TCP (Multipath TCP would
// be out of landlock's sight).

const socketFlags = unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC

// sockaddr converts an address; the zone of a link-local one is the number of
// its interface.
func sockaddr(ap netip.AddrPort) (unix.Sockaddr, int) {
	if a := ap.Addr(); a.Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: a.As4()}, unix.AF_INET
	}
	zone, _ := strconv.ParseUint(ap.Addr().Zone(), 10, 32)
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16(), ZoneId: uint32(zone)}, unix.AF_INET6
}

// addrPort converts a system call's address. A v4-mapped address comes out as
// IPv4, so that every comparison sees one form.
func addrPort(sa syscall.Sockaddr) (netip.AddrPort, bool) {
	switch s := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port)), true
	case *syscall.SockaddrInet6:
		a := netip.AddrFrom16(s.Addr).Unmap()
		if s.ZoneId != 0 && a.IsLinkLocalUnicast() {
			a = a.WithZone(strconv.FormatUint(uint64(s.ZoneId), 10))
		}
		return netip.AddrPortFrom(a, uint16(s.Port)), true
	}
	return netip.AddrPort{}, false
}

// localAddr returns the address a socket is bound to.
func localAddr(fd int) (netip.AddrPort, error) {
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("getsockname: %w", err)
	}
	ap, ok := addrPort(sa)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("getsockname: not an IP socket")
	}
	return ap, nil
}

// listenTCP opens a listening socket. "[::]:21" serves both families, any
// other IPv6 address its own only. backlog is as for listen(2).
func listenTCP(ap netip.AddrPort, backlog int) (int, error) {
	sa, family := sockaddr(ap)
	fd, err := unix.Socket(family, socketFlags, unix.IPPROTO_TCP)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := bindListen(fd, family, ap, sa, backlog); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func bindListen(fd, family int, ap netip.AddrPort, sa unix.Sockaddr, backlog int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("SO_REUSEADDR: %w", err)
	}
	if family == unix.AF_INET6 {
		only := 1
		if ap.Addr().IsUnspecified() {
			only = 0
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			return fmt.Errorf("IPV6_V6ONLY: %w", err)
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// accept takes one connection, close-on-exec and non-blocking. The error is
// the bare errno; EAGAIN means that none waits.
func accept(fd int) (int, netip.AddrPort, error) {
	for {
		c, sa, err := syscall.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC) // unix.Accept4 asks for the protocol, too
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if err != nil {
			return -1, netip.AddrPort{}, err
		}
		peer, ok := addrPort(sa)
		if !ok {
			unix.Close(c)
			continue
		}
		return c, peer, nil
	}
}

// ownAddress tells whether packets to an address would stay on this machine:
// only then the kernel takes the target itself for their source. Nothing is
// sent. What cannot be told counts as own.
func ownAddress(target netip.AddrPort) bool {
	sa, family := sockaddr(target)
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, sa); err != nil {
		return false // no way there: the connection will fail, and say why
	}
	from, err := localAddr(fd)
	return err != nil || from.Addr().IsLoopback() || from.Addr().WithZone("") == target.Addr().WithZone("")
}

// sendNow writes what the socket takes without waiting, and tells whether that
// was all of b.
func sendNow(fd int, b []byte) bool {
	n, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return err == nil && n == len(b)
}

// unread returns how many bytes of the client wait in the socket.
func unread(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// gone tells whether a connection is closed in both directions or broken.
func gone(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1 && p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}

// farewell writes a last reply and closes *fd. What the client has sent and
// nobody reads is thrown away unseen, because closing a socket with unread
// bytes resets the connection and takes the reply with it.
//
// The close does not wait for what the client has not read, whatever a session has
// asked of its socket (SO_LINGER): it would be the loop that waits.
func (l *loop) farewell(fd *int, reply []byte) {
	if *fd < 0 {
		return
	}
	sendNow(*fd, reply)
	noLinger(*fd)
	_ = unix.Shutdown(*fd, unix.SHUT_RDWR)
	var b [1]byte
	for range 64 { // MSG_TRUNC on TCP discards without copying
		n, _, err := unix.Recvfrom(*fd, b[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		if n <= 0 || err != nil {
			break
		}
	}
	l.closeFD(fd)
}
