package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// child is one process that master started. It is signaled and waited for
// through its pidfd, so that a number used again is never hit.
type child struct {
	name   string
	pid    int
	pidfd  int
	exited bool
	kill   timer
	onExit func(status unix.WaitStatus)
}

// supervise watches c for its end; onExit runs once, on the loop, after the
// process was reaped.
func (m *master) supervise(c *child, onExit func(unix.WaitStatus)) error {
	c.onExit = onExit
	c.kill.fn = func() { c.signal(unix.SIGKILL) }
	m.children[c.pid] = c
	if m.dismissed {
		m.killIn(c, 0)
	}
	if err := m.loop.add(c.pidfd, unix.EPOLLIN, func(uint32) { m.reap(c) }); err != nil {
		m.bury(c)
		return err
	}
	return nil
}

// bury kills a process whose end cannot be watched for, and looks for it from
// time to time.
func (m *master) bury(c *child) {
	c.signal(unix.SIGKILL)
	c.kill.fn = func() {
		if m.reap(c); !c.exited {
			m.loop.after(&c.kill, 100*time.Millisecond)
		}
	}
	m.loop.after(&c.kill, 100*time.Millisecond)
}

func (m *master) reap(c *child) {
	var ws unix.WaitStatus
	pid, err := unix.Wait4(c.pid, &ws, unix.WNOHANG, nil)
	switch {
	case err == unix.EINTR || err == nil && pid == 0:
		return // not yet
	case err != nil:
		ws = 0 // somebody else's child: it is gone, its status unknown
	}
	c.exited = true
	delete(m.children, c.pid)
	m.loop.timers.stop(&c.kill)
	m.loop.closeFD(&c.pidfd)
	c.onExit(ws)
}

// signal sends a signal; to a process that is gone it does nothing.
func (c *child) signal(s unix.Signal) {
	if !c.exited && c.pidfd >= 0 {
		_ = unix.PidfdSendSignal(c.pidfd, s, nil, 0)
	}
}

// killIn kills the process unless it leaves by itself within d.
func (m *master) killIn(c *child, d time.Duration) {
	if !c.exited && (!c.kill.armed() || m.loop.now+int64(d) < c.kill.when) {
		m.loop.after(&c.kill, d)
	}
}

// exitText says how a process ended, for the log.
func exitText(ws unix.WaitStatus) string {
	switch {
	case ws.Signaled():
		return fmt.Sprintf("killed by %s", unix.SignalName(ws.Signal()))
	case ws.ExitStatus() != 0:
		return fmt.Sprintf("exit status %d", ws.ExitStatus())
	}
	return "exit"
}
