package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// alarm interrupts a system call of the loop that takes longer than it ever
// should: the close of a socket that a session has, too. Where the session has
// closed it before, it is master's close that waits for the client (SO_LINGER), for
// as long as the session wants.
type alarm struct {
	id  int32
	set bool // id is a timer of the kernel
}

// alarmAfter is far above what such a call takes. One that was only not given a
// processor for so long is made all the same.
const alarmAfter = 1_000_000 // nanoseconds

// A signal to one thread (sigevent(7)), which the Go runtime takes and ignores.
const (
	sigevThreadID = 4
	alarmSignal   = unix.SIGURG
)

// newAlarm makes one for the calling thread, which stays the loop's. Without
// timers of the kernel there is none.
func newAlarm() (a alarm) {
	ev := struct {
		value         uint64
		signo, notify int32
		tid           int32
		_             [44]byte
	}{signo: int32(alarmSignal), notify: sigevThreadID, tid: int32(unix.Gettid())}
	_, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&ev)), uintptr(unsafe.Pointer(&a.id)))
	a.set = errno == 0
	return a
}

// arm lets the alarm go off in d nanoseconds; 0: it does not.
func (a *alarm) arm(d int64) {
	if !a.set {
		return
	}
	t := [2]unix.Timespec{1: unix.NsecToTimespec(d)} // struct itimerspec: no interval, d
	_, _, _ = unix.RawSyscall6(unix.SYS_TIMER_SETTIME, uintptr(a.id), 0, uintptr(unsafe.Pointer(&t)), 0, 0, 0)
}

// remove gives the timer back.
func (a *alarm) remove() {
	if a.set {
		_, _, _ = unix.RawSyscall(unix.SYS_TIMER_DELETE, uintptr(a.id), 0, 0)
		a.set = false
	}
}

// closeShared closes a socket that was passed to a session and is the session's
// from now on.
func (l *loop) closeShared(fd int) {
	l.alarm.arm(alarmAfter)
	noLinger(fd)
	_ = unix.Close(fd)
	l.alarm.arm(0)
}

// flushShared flushes a queue to a session, which closes the sockets that have
// waited in it.
func (l *loop) flushShared(flush func() error) error {
	l.alarm.arm(alarmAfter)
	defer l.alarm.arm(0)
	return flush()
}

// noLinger takes off what a session may have asked of a socket that master closes:
// to wait for the client.
func noLinger(fd int) { _ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{}) }
