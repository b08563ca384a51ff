package main

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/ipc"
	"sallyport/shm"
)

// filesProc is the files process of one login.
type filesProc struct {
	*child
	conn     *ipc.Conn
	lane     int    // the session's end of session-files until it takes it; -1
	home     string // start directory as the client sees it
	ready    bool
	deadline timer
}

const (
	filesDeadline = 10 * time.Second
	filesLinger   = 5 * time.Second // from the end of its channels to SIGKILL
)

// startFiles starts the process that is to open the user's files, under the
// user's identity, and tells it where.
func (m *master) startFiles(s *session) {
	q := s.login.report
	view, err := s.c.gen.filesView(s.login.set)
	if err != nil {
		m.filesFailed(s, err.Error())
		return
	}
	var p [6]int // the others' ends and those of files
	for i, d := range [...]struct {
		*ipc.Dialogue
		with ipc.Role
	}{{ipc.MasterFiles, ipc.Master}, {ipc.SessionFiles, ipc.Session}, {ipc.FilesAuthd, ipc.Authd}} {
		if p[2*i], p[2*i+1], err = ipc.PairOf(d.Dialogue, d.with, ipc.Files); err != nil {
			closeAll(p[:2*i])
			m.filesFailed(s, err.Error())
			return
		}
	}
	viewCopy, err := unix.FcntlInt(uintptr(view), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		closeAll(p[:])
		m.filesFailed(s, err.Error())
		return
	}
	l := launch{
		name: "files", as: asUser, uid: q.UID, gid: q.GID, groups: q.Groups, root: s.c.base.Auth.RootLogin,
		files: []int{p[1], p[3], p[5], viewCopy},
	}
	attempt := s.login
	m.spawn(l, func(c *child, err error) {
		if err != nil || s.login != attempt || s.exited {
			closeAll([]int{p[0], p[2], p[4]})
			if err == nil {
				m.abandon(c)
			} else if s.login == attempt && !s.exited {
				m.filesFailed(s, err.Error())
			}
			return
		}
		m.filesStarted(s, &filesProc{child: c, lane: p[2]}, p[0], p[4])
	})
}

// abandon ends a process whose reason has gone before it was started.
func (m *master) abandon(c *child) {
	if err := m.supervise(c, func(unix.WaitStatus) { m.drained() }); err == nil {
		c.signal(unix.SIGKILL)
	}
}

func (m *master) filesStarted(s *session, f *filesProc, fd, names int) {
	q := s.login.report
	m.watchFiles(s, f, fd, ipc.FilesStarting)
	if s.auth != nil {
		m.sendAuthd(s.auth, &ipc.Names{Session: s.c.id}, names)
	}
	unix.Close(names)
	set, rules, u := s.login.set, s.c.gen.rules, userOf(q)
	store := rules.MaxStore(set, u, s.c.class)
	m.boundFiles(s, store)
	err := f.conn.TrySend(&ipc.FilesStart{
		Session: s.c.id, User: q.User, Root: s.login.root, Home: q.Home, Sandbox: set.Files.Sandbox,
		Chdir: rules.Chdir(set, u, s.c.class), LinksInRoot: set.AllowRootSymlinks,
		MaxStore: store, MaxRetrieve: rules.MaxRetrieve(set, u, s.c.class),
	})
	if err != nil {
		m.filesFailed(s, "files: "+err.Error())
		return
	}
	m.loop.after(&f.deadline, filesDeadline)
}

// watchFiles takes a files process into the session.
func (m *master) watchFiles(s *session, f *filesProc, fd int, st ipc.State) {
	s.files = f
	f.conn = ipc.New(fd, ipc.MasterFiles, ipc.Master)
	f.conn.SetState(st)
	f.conn.Limit(8, time.Second)
	f.deadline.fn = func() { m.filesLate(s, f) }
	if err := m.loop.add(fd, unix.EPOLLIN, func(uint32) { m.filesReady(s, f) }); err != nil {
		f.signal(unix.SIGKILL)
	}
	if err := m.supervise(f.child, func(ws unix.WaitStatus) { m.filesGone(s, f, ws) }); err != nil {
		m.log.Error("files", "error", err.Error())
	}
}

func (m *master) filesLate(s *session, f *filesProc) {
	f.signal(unix.SIGKILL)
	if s.files == f && s.login != nil {
		m.filesFailed(s, fmt.Sprintf("files did not answer within %s", filesDeadline))
	}
}

// filesReady reads the one answer that a files process owes master.
func (m *master) filesReady(s *session, f *filesProc) {
	msg, err := f.conn.TryRecv()
	switch {
	case err == ipc.ErrAgain:
		return
	case err == io.EOF:
		m.loop.del(f.conn.FD())
		m.killIn(f.child, filesLinger)
		return
	case err != nil:
		m.count(shm.ProtocolViolations)
		m.log.Error("files broke the protocol, killed", append(s.facts(), logging.Kind(logging.ProtocolViolation), "error", err.Error())...)
		m.loop.del(f.conn.FD())
		f.signal(unix.SIGKILL)
		return
	}
	if s.files != f || s.login == nil {
		return
	}
	m.loop.timers.stop(&f.deadline)
	switch q := msg.Body.(type) {
	case *ipc.FilesReady:
		f.ready, f.home = true, q.Home
		f.conn.SetState(ipc.FilesServing)
		if q.Note != "" {
			m.log.Info("files", append(s.facts(), logging.User(s.login.report.User), "note", q.Note)...)
		}
		m.filesIsReady(s)
	case *ipc.FilesRefused:
		m.filesFailed(s, q.Reason)
	}
}

// filesGone settles the end of a files process. Where its session still needs
// it, the client is told.
func (m *master) filesGone(s *session, f *filesProc, ws unix.WaitStatus) {
	m.loop.timers.stop(&f.deadline)
	m.loop.del(f.conn.FD())
	f.conn.Close()
	if f.lane >= 0 {
		unix.Close(f.lane)
		f.lane = -1
	}
	defer m.drained()
	if s.files != f {
		return
	}
	s.files = nil
	switch {
	case s.exited || s.ending:
	case s.login != nil && !s.login.answered:
		m.filesFailed(s, "files ended: "+exitText(ws))
	case ws.Exited() && ws.ExitStatus() == 0:
		// It has left because the session closed their channel, which is how
		// a session begins to leave.
		s.bereft.fn = func() { m.end(s, 421, textNoService, "files ended") }
		m.loop.after(&s.bereft, killAfter)
	default:
		m.count(shm.WorkersDied)
		m.log.Error("files died", append(s.facts(), logging.Kind(logging.WorkerDied), "exit", exitText(ws))...)
		m.end(s, 421, textNoService, "files died")
	}
}

// stopFiles closes the channels; files leaves at their end, or is killed.
func (m *master) stopFiles(s *session) {
	f := s.files
	if f == nil {
		return
	}
	s.files = nil
	m.loop.timers.stop(&f.deadline)
	m.loop.del(f.conn.FD())
	f.conn.Close()
	if f.lane >= 0 {
		unix.Close(f.lane)
		f.lane = -1
	}
	m.killIn(f.child, filesLinger)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
