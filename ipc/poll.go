package ipc

import (
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// brief is how long Poll waits without telling the scheduler.
const brief = 2 * time.Millisecond

// alone tells whether this process has one processor to run Go code on, as
// master starts session, files and hash workers.
var alone = runtime.GOMAXPROCS(0) == 1

// Poll waits until one of p is ready or timeout (nil: no bound) has passed, like
// ppoll(2); EINTR is for the caller. It is made for programs of one goroutine:
// the first two milliseconds it waits without telling the Go scheduler, because
// there is nothing else to run and telling it costs two more system calls and a
// thread's wake-up each time. Only a longer wait is an ordinary blocking call,
// so an idle process costs nothing.
func Poll(p []unix.PollFd, timeout *unix.Timespec) error {
	if alone && len(p) > 0 {
		short := unix.NsecToTimespec(int64(brief))
		if timeout == nil || timeout.Nano() > int64(brief) {
			n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(unsafe.Pointer(&short)), 0, 0, 0)
			if errno != 0 {
				return errno
			}
			if n > 0 {
				return nil
			}
		}
	}
	_, err := unix.Ppoll(p, timeout, nil)
	return err
}
