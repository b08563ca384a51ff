package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Child is a started process. Master owns PIDFD (close-on-exec), which becomes
// readable when the child has ended.
type Child struct {
	PID   int
	PIDFD int
}

// Exit is how a child ended.
type Exit struct {
	Code   int         // exit status, where Signal is 0
	Signal unix.Signal // what killed it; SIGSYS means a refused system call
	Core   bool
}

// String says it as a log line does.
func (e Exit) String() string {
	switch {
	case e.Signal == unix.SIGSYS:
		return "killed by its sandbox (SIGSYS)"
	case e.Signal != 0:
		return "killed by " + unix.SignalName(e.Signal)
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Signal sends sig through the pidfd, so that it never hits another process
// that has got the same number.
func (c Child) Signal(sig unix.Signal) error {
	if err := unix.PidfdSendSignal(c.PIDFD, sig, nil, 0); err != nil {
		return fmt.Errorf("signal %d to process %d: %w", sig, c.PID, err)
	}
	return nil
}

// Reap collects the child if it has ended and says how; ended is false while it
// runs. It does not block.
func (c Child) Reap() (e Exit, ended bool, err error) { return c.wait(unix.WNOHANG) }

// Wait waits for the child's end.
func (c Child) Wait() (Exit, error) {
	e, _, err := c.wait(0)
	return e, err
}

func (c Child) wait(flags int) (e Exit, ended bool, err error) {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(c.PID, &ws, flags, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return Exit{}, false, fmt.Errorf("wait for process %d: %w", c.PID, err)
		case pid == 0:
			return Exit{}, false, nil
		case ws.Signaled():
			return Exit{Signal: ws.Signal(), Core: ws.CoreDump()}, true, nil
		}
		return Exit{Code: ws.ExitStatus()}, true, nil
	}
}

// Close closes the pidfd.
func (c Child) Close() {
	if c.PIDFD >= 0 {
		unix.Close(c.PIDFD)
	}
}
