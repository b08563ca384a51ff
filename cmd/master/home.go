package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/ipc"
	"sallyport/shm"
)

// ownerDeadline bounds the making of a home; a login waits for it.
const ownerDeadline = 10 * time.Second

// owner is the process that makes the home of one login.
type owner struct {
	*child
	session  *session
	attempt  *login
	conn     *ipc.Conn
	deadline timer
}

// prepareHome makes the home of a user who has none, where create_home is on,
// and then starts the user's files process. Anonymous logins have the directory
// that the configuration names.
func (m *master) prepareHome(s *session) {
	h, q := &s.login.set.CreateHome, s.login.report
	if !h.Engine || q.Anonymous != 0 || q.Home == "" {
		m.startFiles(s)
		return
	}
	ours, theirs, err := ipc.PairOf(ipc.MasterOwner, ipc.Master, ipc.Owner)
	if err != nil {
		m.filesFailed(s, "owner: "+err.Error())
		return
	}
	attempt := s.login
	m.spawn(launch{name: "owner", as: asOwner, files: []int{theirs}}, func(c *child, err error) {
		if err != nil {
			unix.Close(ours)
			m.homeDone(s, attempt, err)
			return
		}
		m.ownerStarted(&owner{child: c, session: s, attempt: attempt, conn: ipc.New(ours, ipc.MasterOwner, ipc.Master)})
	})
}

func (m *master) ownerStarted(o *owner) {
	m.spawning++ // until it has answered: no state of an upgrade holds it
	o.deadline.fn = func() { m.ownerDone(o, fmt.Errorf("owner did not answer within %s", ownerDeadline)) }
	if err := m.supervise(o.child, func(unix.WaitStatus) { m.drained() }); err != nil {
		m.ownerDone(o, err)
		return
	}
	h, q := &o.attempt.set.CreateHome, o.attempt.report
	uid, gid := q.UID, q.GID
	if !m.who.root { // rootless everybody's files are the daemon's
		uid, gid = uint32(os.Geteuid()), uint32(os.Getegid())
	}
	err := m.loop.add(o.conn.FD(), unix.EPOLLIN, func(uint32) { m.ownerAnswer(o) })
	if err == nil {
		err = o.conn.TrySend(&ipc.MakeHome{Path: q.Home, UID: uid, GID: gid, Mode: h.Mode, DirMode: h.DirMode, Skeleton: h.Skeleton})
	}
	if err != nil {
		m.ownerDone(o, err)
		return
	}
	m.loop.after(&o.deadline, ownerDeadline)
}

// ownerAnswer reads the one answer that owner gives.
func (m *master) ownerAnswer(o *owner) {
	msg, err := o.conn.TryRecv()
	switch {
	case err == ipc.ErrAgain:
		return
	case err == io.EOF:
		m.ownerDone(o, err)
		return
	case err != nil:
		m.count(shm.ProtocolViolations)
		m.ownerDone(o, err)
		return
	}
	r := msg.Body.(*ipc.HomeMade)
	if r.Error != "" {
		m.ownerDone(o, errors.New(r.Error))
		return
	}
	if r.Created {
		q := o.attempt.report
		m.log.Info("home made", append(o.session.facts(), logging.User(q.User), "home", q.Home, "uid", q.UID, "gid", q.GID)...)
	}
	m.ownerDone(o, nil)
}

// ownerDone ends the business with an owner process, once.
func (m *master) ownerDone(o *owner, err error) {
	if o.conn.FD() < 0 {
		return
	}
	m.spawning--
	m.loop.timers.stop(&o.deadline)
	m.loop.del(o.conn.FD())
	o.conn.Close()
	m.killIn(o.child, time.Second)
	if err == io.EOF {
		err = errors.New("owner ended without an answer")
	}
	m.homeDone(o.session, o.attempt, err)
	m.drained()
}

// homeDone goes on with a login, if it is still wanted.
func (m *master) homeDone(s *session, attempt *login, err error) {
	switch {
	case s.login != attempt || s.exited:
	case err != nil:
		m.filesFailed(s, err.Error())
	default:
		m.startFiles(s)
	}
}
