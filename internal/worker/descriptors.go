package worker

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// firstFD is the first descriptor that is passed on purpose.
const firstFD = 3

// checkDescriptors makes sure that 0 to 2 and the n passed descriptors are
// open, marks the passed ones close-on-exec and closes everything else.
func checkDescriptors(n int) error {
	for fd := range firstFD + n {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil {
			return fmt.Errorf("descriptor %d: %w", fd, err)
		}
		if fd < firstFD {
			continue
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags|unix.FD_CLOEXEC); err != nil {
			return fmt.Errorf("descriptor %d: %w", fd, err)
		}
	}
	next := firstFD + n + runtimeFDs(firstFD+n)
	if err := unix.CloseRange(uint(next), math.MaxInt32, 0); err != nil {
		return fmt.Errorf("close other descriptors: %w", err)
	}
	return nil
}

// runtimeFDs tells how many descriptors from fd on the Go runtime has opened
// before main: its poller (an epoll instance and an eventfd) exists that early
// only where a standard stream is non-blocking. The child started with no other
// descriptor, so they are the next two numbers.
func runtimeFDs(fd int) int {
	early := false
	for std := range firstFD {
		flags, err := unix.FcntlInt(uintptr(std), unix.F_GETFL, 0)
		early = early || err == nil && flags&unix.O_NONBLOCK != 0
	}
	if !early {
		return 0
	}
	for i := range 2 {
		var st unix.Stat_t
		if err := unix.Fstat(fd+i, &st); err != nil || st.Mode&unix.S_IFMT != 0 {
			return i // anonymous inodes have no type
		}
	}
	return 2
}

// isChannel tells whether fd is an end of a channel of package ipc.
func isChannel(fd int) bool {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_SEQPACKET {
		return false
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return err == nil && domain == unix.AF_UNIX
}
