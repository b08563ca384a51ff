package main

import (
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/ipc"
	"sallyport/shm"
)

// pamLinger is how long a pam helper may outlive its session: closing a PAM
// session takes a moment.
const pamLinger = 10 * time.Second

// maxPam bounds the helpers one session may have been given at a time.
const maxPam = 4

// startPam starts a helper for one login attempt and gives authd the channel.
func (m *master) startPam(a *authd, id uint64) {
	s := m.waitingFor(a, id)
	if s == nil || s.ending || s.open || len(s.pam)+s.pamStarting >= maxPam {
		m.sendAuthd(a, &ipc.PamHelper{Session: id})
		return
	}
	ours, theirs, err := ipc.PairOf(ipc.AuthdPam, ipc.Authd, ipc.Pam)
	if err != nil {
		m.sendAuthd(a, &ipc.PamHelper{Session: id})
		return
	}
	s.pamStarting++
	m.spawn(launch{name: "pam", as: asPam, files: []int{theirs}}, func(c *child, err error) {
		defer unix.Close(ours)
		s.pamStarting--
		if err != nil {
			m.log.Error("pam helper could not be started", append(s.facts(), logging.Kind(logging.WorkerDied), logging.Error(err))...)
			m.sendAuthd(a, &ipc.PamHelper{Session: id})
			return
		}
		s.pam = append(s.pam, c)
		if err := m.supervise(c, func(ws unix.WaitStatus) { m.pamGone(s, c, ws) }); err != nil {
			return
		}
		if s.exited {
			m.killIn(c, pamLinger)
			return
		}
		m.sendAuthd(a, &ipc.PamHelper{Session: id}, ours)
	})
}

func (m *master) pamGone(s *session, c *child, ws unix.WaitStatus) {
	for i, x := range s.pam {
		if x == c {
			s.pam = append(s.pam[:i:i], s.pam[i+1:]...)
			break
		}
	}
	if ws.Signaled() {
		m.count(shm.WorkersDied)
		m.log.Error("pam helper died", append(s.facts(), logging.Kind(logging.WorkerDied), "exit", exitText(ws))...)
	}
	m.drained()
}
