//go:build cgo

// Command pam puts one login attempt to the host's PAM stack. Master starts it
// for one attempt; authd asks it over a channel of their own. It is the only
// program of the project with C in it, and a module that hangs, leaks or
// crashes takes one login with it and nothing else.
//
// After a success it stays where the stack has session modules, and closes the
// PAM session when authd says so or is gone.
package main

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"sallyport/internal/worker"
	"sallyport/ipc"
)

func main() {
	runtime.LockOSThread() // modules may change attributes of their thread
	w := worker.Begin(worker.Pam)
	w.Confine() // nothing: a stack's needs are unknown; master's filter holds
	if err := clean(); err != nil {
		w.End(err)
	}
	c := ipc.New(w.FD(0), ipc.AuthdPam, ipc.Pam)
	w.End(serve(c, "/etc/pam.d"))
}

// clean takes away what modules could read or write by accident: the
// environment but for a safe PATH, and the log.
func clean() error {
	os.Clearenv()
	if err := os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"); err != nil {
		return err
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open /dev/null", err)
	}
	defer unix.Close(null)
	for _, fd := range []int{0, 1, 2} {
		if err := unix.Dup3(null, fd, 0); err != nil {
			return os.NewSyscallError("dup3", err)
		}
	}
	unix.Umask(0o077)
	return nil
}
