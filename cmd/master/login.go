package main

import (
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// login is one attempt that authd has found right and that master has not
// handed to the session yet.
type login struct {
	report   *ipc.LoginReport
	root     string
	answered bool // LoginOutcome is out, and it was OK
	released bool // authd has told the session
	parked   bool // the session has asked for its files, before Released came
}

// waitingFor returns the session that a message of a is about, if there is one
// and a speaks for it.
func (m *master) waitingFor(a *authd, id uint64) *session {
	s := m.sessions[id]
	if s == nil || s.auth != a {
		return nil // gone meanwhile; authd will read of it
	}
	return s
}

// loginReport applies master's own rules to a right attempt, and starts the
// user's files process.
func (m *master) loginReport(a *authd, q *ipc.LoginReport) {
	s := m.waitingFor(a, q.Session)
	switch {
	case s == nil || s.ending:
		m.refuse(a, q.Session, "session gone", true)
		return
	case s.open || s.login != nil:
		m.log.Error("login reported out of turn", append(s.facts(), logging.Kind(logging.ProtocolViolation))...)
		m.count(shm.ProtocolViolations)
		m.refuse(a, q.Session, "no login is waited for", true)
		return
	}
	if why := vet(q, s.c.set); why != "" {
		m.refuse(a, q.Session, why, false)
		return
	}
	root, err := m.rootOf(s, q)
	if err != nil {
		m.log.Error("login refused", append(s.facts(), logging.Kind(logging.LoginRefused), logging.Claimed(q.User), "reason", err.Error())...)
		m.refuse(a, q.Session, err.Error(), true)
		return
	}
	// Later limits (clients per user, host and class) are counted here: on the
	// loop, in the same step that decides.
	s.login = &login{report: q, root: root}
	m.trace(traceLogin, 5, "starting files", s.c, logging.Claimed(q.User), slog.String("root", root))
	m.startFiles(s)
}

// vet holds an identity against the rules that are master's own, whatever
// authd believes. It returns why the identity is refused.
func vet(q *ipc.LoginReport, set *policy.Settings) string {
	if q.User == "" {
		return "account without a name"
	}
	if !set.Auth.RootLogin {
		if q.UID == 0 {
			return "uid 0"
		}
		if q.GID == 0 {
			return "gid 0"
		}
		for _, g := range q.Groups {
			if g == 0 {
				return "gid 0 among the groups"
			}
		}
	}
	switch q.Source {
	case "file":
		r := set.Auth.FileRule
		if q.UID < r.MinID || r.MaxID > 0 && q.UID > r.MaxID {
			return fmt.Sprintf("uid %d outside the range of the users file", q.UID)
		}
	case "unix", "pam":
		if q.UID < set.MinUID && (q.UID != 0 || !set.Auth.RootLogin) {
			return fmt.Sprintf("uid %d below min_uid %d", q.UID, set.MinUID)
		}
	default:
		return "unknown source"
	}
	return ""
}

func (m *master) refuse(a *authd, id uint64, reason string, final bool) {
	m.count(shm.LoginsRefused)
	m.sendAuthd(a, &ipc.LoginOutcome{Session: id, Reason: clip(reason, 256), Close: final})
}

// clip bounds a text that goes into a message.
func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// filesIsReady releases the verdict: authd may tell the session.
func (m *master) filesIsReady(s *session) {
	if s.login == nil || s.auth == nil {
		return
	}
	s.login.answered = true
	m.sendAuthd(s.auth, &ipc.LoginOutcome{Session: s.c.id, OK: true})
}

// filesFailed refuses the attempt: the user has no place to go.
func (m *master) filesFailed(s *session, why string) {
	q := s.login.report
	m.log.Error("login refused", append(s.facts(), logging.Kind(logging.LoginRefused), logging.Claimed(q.User), "reason", why)...)
	a := s.auth
	m.endLogin(s)
	if a != nil {
		m.refuse(a, s.c.id, why, true)
	}
}

// released notes that the session has been told of its success.
func (m *master) released(a *authd, id uint64) {
	s := m.waitingFor(a, id)
	if s == nil || s.ending {
		return
	}
	if s.login == nil || !s.login.answered {
		m.log.Error("verdict released out of turn", append(s.facts(), logging.Kind(logging.ProtocolViolation))...)
		m.count(shm.ProtocolViolations)
		m.sever(s, "verdict released out of turn")
		return
	}
	s.login.released = true
	if s.login.parked {
		m.openSession(s)
	}
}

// takeFiles answers the session's call, at once or when Released comes: the
// two arrive on different channels, in either order.
func (m *master) takeFiles(s *session) {
	switch {
	case s.login == nil || !s.login.answered || s.login.parked:
		m.violation(s, &ipc.ProtocolError{Dialogue: ipc.SessionLane.Name, Kind: 7, What: "no login to take files of"})
	case s.login.released:
		m.openSession(s)
	default:
		s.login.parked = true
	}
}

// openSession hands over the files channel; from here on the client is logged
// in.
func (m *master) openSession(s *session) {
	q, f := s.login.report, s.files
	s.login = nil
	if f == nil || s.ending {
		m.answer(s, &ipc.FilesChannel{Refused: true, Text: "Login incorrect."})
		return
	}
	view, err := s.c.gen.sessionView(s.c.set)
	if err != nil {
		m.sever(s, err.Error())
		return
	}
	m.answer(s, &ipc.FilesChannel{User: q.User, Home: f.home}, f.lane, view)
	unix.Close(f.lane)
	f.lane = -1
	s.lane.SetState(ipc.SessionOpen)
	s.notice.SetState(ipc.SessionOpen)
	s.open, s.user, s.uid, s.since = true, q.User, q.UID, m.loop.now
	m.loop.timers.stop(&s.c.deadline)
	m.census.login(s.c.peer.Addr())
	m.count(shm.LoginsOK)
	m.board.Add(shm.SessionsOpen, 1)
	m.update(s)
	m.log.Info("login", append(s.facts(), logging.Kind(logging.LoginOK), "source", q.Source, "uid", q.UID, "gid", q.GID)...)
}

// endLogin gives up an attempt that is under way, with its files process.
func (m *master) endLogin(s *session) {
	if s.login == nil {
		return
	}
	s.login = nil
	m.stopFiles(s)
}

// loginFailed logs a refused attempt.
func (m *master) loginFailed(a *authd, q *ipc.LoginFailed) {
	s := m.waitingFor(a, q.Session)
	if s == nil || s.open {
		return
	}
	m.endLogin(s)
	s.c.failed = q.Failed
	m.count(shm.LoginsFailed)
	m.log.Warn("login failed", append(s.facts(), logging.Kind(logging.LoginFailed), logging.Claimed(q.User),
		"reason", q.Reason, "source", q.Source, "attempt", q.Failed)...)
	if q.Last {
		s.reason = "login attempts used up"
	}
}
