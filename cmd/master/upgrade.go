package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/control"
	"sallyport/internal/logging"
)

// upgrades is the state of upgrading in place: master executes its own file
// again, as the same process with the same children and connections.
type upgrades struct {
	done     int
	running  bool
	holding  bool // everything comes to rest: nothing is started
	control  int  // the control socket, between its hand-over and the execution
	tries    int
	retry    timer
	draining timer
	held     []func() // starts that wait for the end of an attempt
}

// Times of an upgrade.
const (
	upgradeCheck = 20 * time.Second
	upgradeRetry = 20 * time.Millisecond
	upgradeTries = 150 // so long channels may take to empty
	drainSweep   = time.Second
)

// upgrade begins an upgrade in place. It returns control.ErrRefused where it
// cannot begin; what follows happens on its own: the installed binary is asked
// whether it can take over, the control socket is handed over, everything
// under way comes to rest, master executes the binary. Nothing is accepted for
// some milliseconds, but the listening sockets stay open and clients wait in
// their queues.
func (m *master) upgrade(done func(error)) {
	if m.stopping || m.upgrades.running || m.reloads.running {
		done(fmt.Errorf("%w: the service is stopping, reloading or upgrading already", control.ErrRefused))
		return
	}
	m.upgrades.running = true
	m.notified(m.systemd.n.Reloading("upgrading in place"))
	m.log.Info("upgrade begins", logging.Kind(logging.Upgrade))
	config := m.opt.config
	go func() {
		err := askSuccessor(config)
		m.loop.post(func() {
			done(err)
			if err != nil {
				m.upgradeFailed(err)
				return
			}
			m.handOverControl()
		})
	}()
}

// askSuccessor lets the installed binary check the configuration and the
// version of the state, without touching anything of ours.
func askSuccessor(config string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the own executable: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), upgradeCheck)
	defer cancel()
	out, err := exec.CommandContext(ctx, self, "--check", "--takes", strconv.Itoa(stateVersion), "--config", config).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s cannot take over: %w: %s", control.ErrRefused, self, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// handOverControl takes the control socket out of the server's hands, off the
// loop: answers in hand are written first.
func (m *master) handOverControl() {
	srv := m.control
	go func() {
		fd, err := srv.Handover()
		m.loop.post(func() {
			if err != nil {
				m.upgradeFailed(err)
				return
			}
			m.control, m.upgrades.control, m.upgrades.tries = nil, fd, 0
			if m.stopping {
				m.closeControl()
			}
			m.upgrades.retry.fn = m.execute
			m.hold(true)
			m.execute()
		})
	}()
}

// execute replaces the image once everything has come to rest.
func (m *master) execute() {
	if m.stopping { // the stop won
		m.hold(false)
		return
	}
	if !m.atRest() {
		if m.upgrades.tries++; m.upgrades.tries > upgradeTries {
			m.upgradeFailed(fmt.Errorf("channels do not empty"))
			return
		}
		m.loop.after(&m.upgrades.retry, upgradeRetry)
		return
	}
	for _, s := range m.pool.spare {
		m.retire(s)
	}
	m.pool.spare = nil
	err := m.replaceImage()
	m.upgradeFailed(err) // the old image goes on
}

// hold stops, or resumes, reading what would start a process.
func (m *master) hold(on bool) {
	m.upgrades.holding = on
	if a := m.authd.now; a != nil {
		m.authdEvents(a)
	}
	for _, a := range m.oldAuthd {
		m.authdEvents(a)
	}
}

// atRest tells whether nothing is under way that a state cannot hold, and
// pushes what can be pushed.
func (m *master) atRest() bool {
	if m.spawning > 0 {
		return false
	}
	rest := true
	for _, s := range m.sessions {
		if s.laneQ.Flush() != nil || m.loop.flushShared(s.noticeQ.Flush) != nil {
			continue // it is leaving; its pidfd tells
		}
		rest = rest && !s.laneQ.Waiting() && !s.noticeQ.Waiting()
	}
	if a := m.authd.now; a != nil && a.conn.FD() >= 0 {
		_ = a.q.Flush()
		rest = rest && !a.q.Waiting()
	}
	for _, a := range m.oldAuthd {
		_ = a.q.Flush()
		rest = rest && !a.q.Waiting()
	}
	return rest
}

// replaceImage returns only where the execution failed.
func (m *master) replaceImage() error {
	st := m.capture()
	fd, err := writeState(st)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the own executable: %w", err)
	}
	m.logs.files.Flush(200 * time.Millisecond)
	m.log.Flush(200 * time.Millisecond)
	keep := append(st.descriptors(), fd)
	inheritable(keep, true)
	args := []string{os.Args[0], "--config", m.opt.config, "--state", strconv.Itoa(fd)}
	var files unix.Rlimit
	limited := unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil
	m.signals.suspend()
	if m.signals.stop.Load() { // it would be lost with this image
		err = errors.New("a stop was asked for")
	} else {
		err = unix.Exec(self, args, os.Environ())
	}
	m.signals.resume()
	if limited { // the runtime has set the one it was started with
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &files)
	}
	inheritable(keep, false)
	return fmt.Errorf("execute %s: %w", self, err)
}

// inheritable clears or sets close-on-exec. No process is started meanwhile:
// starts are held back.
func inheritable(fds []int, on bool) {
	flag := unix.FD_CLOEXEC
	if on {
		flag = 0
	}
	for _, fd := range fds {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag)
	}
}

// upgradeFailed lets the old image go on as before.
func (m *master) upgradeFailed(err error) {
	m.log.Error("upgrade failed, the running version goes on", logging.Kind(logging.Upgrade), logging.Error(err))
	m.upgrades.running = false
	m.hold(false)
	if m.control == nil && !m.stopping {
		if err := m.startControl(m.upgrades.control); err != nil {
			m.log.Error("control socket", logging.Error(err))
		}
		m.upgrades.control = 0
	}
	held := m.upgrades.held
	m.upgrades.held = nil
	for _, fn := range held {
		fn()
	}
	m.pool.fill(m)
	m.tellReady()
}

// drain ends the sessions of a version whose dialogues this one does not speak:
// what they transfer may finish, then their clients are told to come again.
func (u *upgrades) drain(m *master) {
	u.draining.fn = func() {
		left := false
		for _, s := range m.sessions {
			if !s.drains || s.ending {
				continue
			}
			left = true
			if !s.transferring() {
				m.loop.farewell(&s.c.fd, s.c.partingWords("421 Service restarting, closing control connection\r\n"))
				m.sever(s, "of a former version")
			}
		}
		if left {
			m.loop.after(&u.draining, drainSweep)
		}
	}
	if !u.draining.armed() {
		m.loop.after(&u.draining, drainSweep)
	}
}
