package main

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// alarm interrupts a system call of the loop that takes longer than it ever
// should: the close of a socket that a session has, too. Where the session has
// closed it before, it is master's close that waits for the client (SO_LINGER), for
// as long as the session wants.
//
// It ticks while there are such calls and for a while after the last one, since to
// set it for each of them would cost more than they do.
type alarm struct {
	id    int32
	set   bool // id is a timer of the kernel
	ticks bool
	used  int64 // when there was a call last, by the loop's clock
	rest  timer // stops the ticks
}

const (
	alarmEvery = 2 * time.Millisecond // far above what a call takes
	alarmRest  = 50 * time.Millisecond
)

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

// tick lets the alarm go off every d; 0: it does not.
func (a *alarm) tick(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	every := [2]unix.Timespec{t, t} // struct itimerspec
	_, _, _ = unix.RawSyscall6(unix.SYS_TIMER_SETTIME, uintptr(a.id), 0, uintptr(unsafe.Pointer(&every)), 0, 0, 0)
}

// endAlarm gives the timer back.
func (l *loop) endAlarm() {
	a := &l.alarm
	l.timers.stop(&a.rest)
	if a.set {
		_, _, _ = unix.RawSyscall(unix.SYS_TIMER_DELETE, uintptr(a.id), 0, 0)
	}
	a.set, a.ticks = false, false
}

// bounded sees to it that no system call of the loop waits for much longer than
// alarmEvery from now on.
func (l *loop) bounded() {
	a := &l.alarm
	if !a.set {
		return
	}
	a.used = l.now
	if a.ticks {
		return
	}
	a.ticks = true
	a.tick(alarmEvery)
	a.rest.fn = func() {
		if l.now-a.used < int64(alarmRest) {
			l.after(&a.rest, alarmRest)
			return
		}
		a.ticks = false
		a.tick(0)
	}
	l.after(&a.rest, alarmRest)
}

// closeShared closes a socket that was passed to a session and is the session's
// from now on.
func (l *loop) closeShared(fd int) {
	l.bounded()
	noLinger(fd)
	_ = unix.Close(fd)
}

// flushShared flushes a queue to a session, which closes the sockets that have
// waited in it.
func (l *loop) flushShared(flush func() error) error {
	l.bounded()
	return flush()
}

// noLinger takes off what a session may have asked of a socket that master closes:
// to wait for the client.
func noLinger(fd int) { _ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{}) }
