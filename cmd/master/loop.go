package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop is master's only thread of control over its state: one epoll set, one
// heap of timers, one mailbox. Nothing that runs on it may block; whatever
// takes long runs elsewhere and comes back through post.
type loop struct {
	ep     int
	slots  []slot // by descriptor
	serial int32
	timers timers
	now    int64 // CLOCK_MONOTONIC in nanoseconds, read once a round
	clock  func() int64
	alarm  alarm // of the thread that run keeps to

	wake    int // eventfd
	mu      sync.Mutex
	posted  []func()
	woken   bool
	stopped bool
}

// slot is a watched descriptor. The serial tells an event that belongs to an
// earlier owner of the same number from one that does not.
type slot struct {
	fn     func(events uint32)
	serial int32
}

// monotonic reads CLOCK_MONOTONIC, which is the same for the image before and
// after an upgrade: by a system call once, and as Go's own clock from then on.
func monotonic() int64 { return startMono + int64(time.Since(start)) }

var start, startMono = func() (time.Time, int64) {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // never fails
	return time.Now(), ts.Nano()
}()

func newLoop(clock func() int64) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(ep)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	l := &loop{ep: ep, wake: wake, clock: clock, now: clock()}
	if err := l.add(wake, unix.EPOLLIN, func(uint32) { l.drain() }); err != nil {
		return nil, err
	}
	return l, nil
}

// add watches fd; fn runs on the loop with the epoll events.
func (l *loop) add(fd int, events uint32, fn func(events uint32)) error {
	for fd >= len(l.slots) {
		l.slots = append(l.slots, make([]slot, max(64, len(l.slots)))...)
	}
	l.serial++
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: l.serial}
	if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	l.slots[fd] = slot{fn, l.serial}
	return nil
}

// mod changes what is waited for. It also re-arms a oneshot descriptor.
func (l *loop) mod(fd int, events uint32) {
	if fd < 0 || fd >= len(l.slots) || l.slots[fd].fn == nil {
		return
	}
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: l.slots[fd].serial}
	_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_MOD, fd, &ev)
}

// del stops watching fd; it is called before the descriptor is closed. One
// that is not watched is left alone.
func (l *loop) del(fd int) {
	if fd < 0 || fd >= len(l.slots) || l.slots[fd].fn == nil {
		return
	}
	l.slots[fd] = slot{}
	_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, fd, nil)
}

// closeFD stops watching *fd and closes it; *fd is -1 afterwards.
func (l *loop) closeFD(fd *int) {
	if *fd >= 0 {
		l.del(*fd)
		unix.Close(*fd)
		*fd = -1
	}
}

// dropFD forgets *fd and closes it, which is all that is needed where nobody else
// has the descriptor; *fd is -1 afterwards.
func (l *loop) dropFD(fd *int) {
	if *fd >= 0 {
		l.slots[*fd] = slot{}
		unix.Close(*fd)
		*fd = -1
	}
}

// after arms t to fire in d.
func (l *loop) after(t *timer, d time.Duration) { l.timers.set(t, l.now+int64(d)) }

// post runs fn on the loop. Any goroutine may call it; it does not wait.
func (l *loop) post(fn func()) {
	l.mu.Lock()
	l.posted = append(l.posted, fn)
	wake := !l.woken
	l.woken = true
	l.mu.Unlock()
	if wake {
		_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (l *loop) drain() {
	var b [8]byte
	_, _ = unix.Read(l.wake, b[:])
	l.mu.Lock()
	fns := l.posted
	l.posted, l.woken = nil, false
	l.mu.Unlock()
	for _, fn := range fns {
		fn()
	}
}

// stop makes run return after the current round.
func (l *loop) stop() { l.stopped = true }

// run turns until stop is called. It keeps to one thread.
func (l *loop) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.alarm = newAlarm()
	defer l.endAlarm()
	events := make([]unix.EpollEvent, 256)
	for !l.stopped {
		n, err := l.await(events, l.wait())
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		l.now = l.clock()
		for i := range max(n, 0) {
			fd := int(events[i].Fd)
			if s := l.slots[fd]; s.fn != nil && s.serial == events[i].Pad {
				s.fn(events[i].Events)
			}
		}
		l.timers.fire(l.now)
	}
	return nil
}

// brief is for how many milliseconds the loop waits without telling the Go
// scheduler. One event seldom comes alone, and telling costs more than the wait
// itself; a signal of the runtime ends it.
const brief = 2

// several tells whether other goroutines have a processor to run on meanwhile.
var several = runtime.GOMAXPROCS(0) > 1

func (l *loop) await(events []unix.EpollEvent, timeout int) (int, error) {
	if several && (timeout < 0 || timeout > brief) {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), brief, 0, 0)
		if errno != 0 {
			return -1, errno
		}
		if n > 0 {
			return int(n), nil
		}
	}
	return unix.EpollWait(l.ep, events, timeout)
}

// wait returns epoll_wait's timeout in milliseconds, rounded up.
func (l *loop) wait() int {
	when, ok := l.timers.next()
	if !ok {
		return -1
	}
	ms := (when - l.clock() + 999_999) / 1_000_000
	return int(min(max(ms, 0), 60_000))
}
