package ipc

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System calls that do not tell the Go scheduler, for programs of one goroutine;
// see [Poll]. None of them waits longer than brief.

// rawRecv is recvmsg(2) into b and oob.
func rawRecv(fd int, b, oob []byte, flags int) (n, oobn, got int, err error) {
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(len(b))
	h := unix.Msghdr{Iov: &iov}
	h.SetIovlen(1)
	if len(oob) > 0 {
		h.Control = &oob[0]
		h.SetControllen(len(oob))
	}
	r, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), uintptr(flags))
	if errno != 0 {
		return -1, 0, 0, errno
	}
	return int(r), int(h.Controllen), int(h.Flags), nil
}

// rawSend is sendmsg(2) of b and oob, or sendto(2) of b; flags have MSG_DONTWAIT.
func rawSend(fd int, b, oob []byte, flags int) error {
	if len(oob) == 0 {
		_, err := rawSendTo(fd, b, flags)
		return err
	}
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(len(b))
	h := unix.Msghdr{Iov: &iov}
	h.SetIovlen(1)
	h.Control = &oob[0]
	h.SetControllen(len(oob))
	_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), uintptr(flags))
	if errno != 0 {
		return errno
	}
	return nil
}

// Receive takes what a connected socket has: from a blocking socket whose
// SO_RCVTIMEO is at most [Hasten]'s it also waits that long. EAGAIN and EINTR are
// for the caller; 0 is the end of a stream.
func Receive(fd int, b []byte, flags int) (int, error) {
	if alone && len(b) > 0 {
		n, _, _, err := rawRecv(fd, b, nil, flags)
		return n, err
	}
	n, _, _, _, err := unix.Recvmsg(fd, b, nil, flags)
	return n, err
}

// Hasten makes a socket block, for at most two milliseconds a receive, where this
// is a program of one goroutine; it tells whether it is.
func Hasten(fd int) (bool, error) {
	if !alone {
		return false, nil
	}
	tv := unix.NsecToTimeval(int64(brief))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return false, err
	}
	return true, nil
}

// Transmit sends what a connected socket takes without waiting.
func Transmit(fd int, b []byte, flags int) (int, error) {
	flags |= unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	if !alone || len(b) == 0 {
		return sendTo(fd, b, flags)
	}
	return rawSendTo(fd, b, flags)
}

// rawSendTo is sendTo of some bytes that does not tell the scheduler.
func rawSendTo(fd int, b []byte, flags int) (int, error) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(flags), 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// sendTo is sendto(2) without an address. A worker that passes no descriptors may
// not call sendmsg, see package sandbox.
func sendTo(fd int, b []byte, flags int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(flags), 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// recvBriefly waits within recvmsg itself, for brief at most.
func (c *Conn) recvBriefly(b []byte) (n, oobn, got int, err error) {
	if !c.hasty {
		if err := c.setReceiveTimeout(c.timeout); err != nil {
			return -1, 0, 0, err
		}
	}
	return rawRecv(c.fd, b, c.oob, unix.MSG_CMSG_CLOEXEC)
}

// recvLong is a receive that blocks: what does not come briefly is awaited in an
// ordinary blocking call. EAGAIN: the channel's time is over.
func (c *Conn) recvLong(b []byte, start time.Time) (n, oobn, got int, err error) {
	n, oobn, got, err = c.recvBriefly(b)
	for err == unix.EAGAIN || err == unix.EINTR {
		var ts *unix.Timespec
		if c.timeout != 0 {
			left := c.timeout - time.Since(start)
			if left <= 0 {
				return -1, 0, 0, unix.EAGAIN
			}
			t := unix.NsecToTimespec(int64(left))
			ts = &t
		}
		p := [1]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
		if _, err := unix.Ppoll(p[:], ts, nil); err != nil && err != unix.EINTR {
			return -1, 0, 0, err
		}
		n, oobn, got, err = rawRecv(c.fd, b, c.oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	}
	return n, oobn, got, err
}

// setReceiveTimeout tells the kernel how long a blocking receive may take: in a
// program of one goroutine never longer than brief.
func (c *Conn) setReceiveTimeout(d time.Duration) error {
	if alone {
		c.hasty = true
		if d == 0 || d > brief {
			d = brief
		}
	}
	tv := unix.NsecToTimeval(d.Nanoseconds())
	return unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
}

// words are what an interface value is made of: its type, by which a message is
// recognised without hashing, and where its struct is, which holds no pointer
// alone and so never stands in the word itself.
type words struct{ typ, data unsafe.Pointer }

func wordsOf(v any) words { return *(*words)(unsafe.Pointer(&v)) }
