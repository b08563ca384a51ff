// Package attack is what a hijacked worker would try: each attempt is one system
// call (or a few) made as an intruder would make it, after the real sandbox is
// in place. The programs in test/hostile/session and test/hostile/files run the
// attempts, the tests in test/hostile compare what came of them.
package attack

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Env is what the attempts aim at.
type Env struct {
	Sibling  int    // another process of the same user
	Master   int    // the process that started this one
	Port     int    // where something listens on 127.0.0.1
	Channel  int    // a connected seqpacket socket
	Socket   int    // a TCP socket that is not connected
	ReadOnly int    // a memfd of one page, opened read-only
	Append   int    // a file opened O_WRONLY|O_APPEND
	Root     int    // files: the root, O_PATH
	Outside  string // files: a directory beside the root that the user may write
}

// Results other than names of errors.
const (
	OK     = "ok"     // the attempt succeeded
	SIGSYS = "SIGSYS" // the kernel killed the process
)

// Attempt is one thing an intruder would try.
type Attempt struct {
	Name string
	// Want is what the sandbox makes of it, in mode "enforce".
	Want string
	// Off is what comes of it without a sandbox: the control that the attempt
	// is a real one. Empty where that depends on the machine.
	Off string
	Do  func(*Env) error
}

// Result runs the attempt and names what came of it.
func (a *Attempt) Result(e *Env) string { return Name(a.Do(e)) }

// Name is how results are reported: "ok", "EPERM", or an error's text.
func Name(err error) string {
	switch x := err.(type) {
	case nil:
		return OK
	case unix.Errno:
		if x == 0 {
			return OK
		}
		if s := unix.ErrnoName(x); s != "" {
			return s
		}
		return fmt.Sprintf("errno %d", int(x))
	}
	return err.Error()
}

// call makes a system call whose result does not matter.
func call(nr uintptr, args ...uintptr) error {
	_, err := value(nr, args...)
	return err
}

func value(nr uintptr, args ...uintptr) (uintptr, error) {
	var a [6]uintptr
	copy(a[:], args)
	r, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return 0, errno
	}
	return r, nil
}

// opens makes a system call that returns a descriptor, and closes it.
func opens(nr uintptr, args ...uintptr) error {
	fd, err := value(nr, args...)
	if err == nil {
		unix.Close(int(fd))
	}
	return err
}

// forks makes a system call that returns twice if it succeeds; the child ends
// at once, by a raw call, since it has no runtime.
//
//go:norace
func forks(nr uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, _, errno := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return errno
	}
	if r == 0 {
		for {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return nil
}

// str is a C string that the collector leaves alone: it is never freed.
func str(s string) uintptr {
	b := append([]byte(s), 0)
	kept = append(kept, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

func mem[T any](v *T) uintptr {
	kept = append(kept, v)
	return uintptr(unsafe.Pointer(v))
}

var kept []any

const cwd = ^uintptr(99) // AT_FDCWD, -100

func do(nr uintptr, args ...uintptr) func(*Env) error {
	return func(*Env) error { return call(nr, args...) }
}

func doOpen(nr uintptr, args ...uintptr) func(*Env) error {
	return func(*Env) error { return opens(nr, args...) }
}

func doFork(nr uintptr, args ...uintptr) func(*Env) error {
	return func(*Env) error { return forks(nr, args...) }
}

// sockaddr is 127.0.0.1 and a port.
func sockaddr(port int) *unix.RawSockaddrInet4 {
	sa := &unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{127, 0, 0, 1}}
	sa.Port = uint16(port>>8 | port<<8&0xff00)
	return sa
}
