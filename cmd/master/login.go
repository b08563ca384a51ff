package main

import (
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"

	"sallyport/internal/ban"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// login is one attempt that authd has found right and that master has not
// handed to the session yet.
type login struct {
	report   *ipc.LoginReport
	set      *policy.Settings // what will hold for the session: base, or an anonymous block's
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
	case s.c.proxied && !s.c.headed: // nobody knows whom limits, bans and logs are about
		m.refuse(a, q.Session, "no PROXY header yet", true)
		m.outOfTurn(s, 12, "login before the PROXY header")
		return
	case s.rehosting: // decided by the accounts of a host that it has left
		m.refuse(a, q.Session, "host changed meanwhile", true)
		m.outOfTurn(s, 11, "host chosen while a login was under way")
		return
	case s.open || s.login != nil:
		m.log.Error("login reported out of turn", append(s.facts(), logging.Kind(logging.ProtocolViolation))...)
		m.count(shm.ProtocolViolations)
		m.refuse(a, q.Session, "no login is waited for", true)
		return
	}
	anon, why := anonymousOf(s.c.base, q)
	if why == "" {
		why = vet(q, s.c.base, anon != nil)
	}
	if why == "" && m.userBanned(s.c, q.User, q.Named) { // since the attempt began, or under the account's own name
		why = "banned"
	}
	if why != "" {
		m.refuse(a, q.Session, why, false)
		return
	}
	set := s.c.base
	if anon != nil {
		set = &anon.Settings
	}
	root, err := m.rootOf(s, q, set)
	if anon != nil {
		root, err = anonymousRoot(anon, q)
	}
	if err != nil {
		m.log.Error("login refused", append(s.facts(), logging.Kind(logging.LoginRefused), logging.Claimed(q.User), "reason", err.Error())...)
		m.refuse(a, q.Session, err.Error(), true)
		return
	}
	if full := m.claimPlace(s, q, set, anon); full != nil {
		m.count(shm.LoginsRefused)
		s.turned = true
		m.limitEvent(s, full.name, q.User)
		m.sendAuthd(a, &ipc.LoginOutcome{Session: q.Session, Close: true, Reason: full.name + " " + itoa(full.count), Text: full.text})
		return
	}
	s.login = &login{report: q, set: set, root: root}
	m.askNames(s.c.origin(), q.User, q.Named)
	m.trace(traceLogin, 5, "starting files", s.c, logging.Claimed(q.User), slog.String("root", root))
	m.prepareHome(s)
}

// vet holds an identity against the rules that are master's own, whatever
// authd believes. It returns why the identity is refused. The account of an
// anonymous block was named by the configuration: min_uid is not for it, but
// root it never is.
func vet(q *ipc.LoginReport, set *policy.Settings, anonymous bool) string {
	if q.User == "" {
		return "account without a name"
	}
	if !set.Auth.RootLogin || anonymous {
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
		if q.UID < set.MinUID && !anonymous && (q.UID != 0 || !set.Auth.RootLogin) {
			return fmt.Sprintf("uid %d below min_uid %d", q.UID, set.MinUID)
		}
	default:
		return "unknown source"
	}
	return ""
}

func (m *master) refuse(a *authd, id uint64, reason string, final bool) {
	m.count(shm.LoginsRefused)
	if s := m.sessions[id]; s != nil && final {
		s.turned = true
	}
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
	q, f, set := s.login.report, s.files, s.login.set
	s.logs.login(q, s.login.root)
	s.login = nil
	to := s.c.seat()
	if text, banned := m.event("LoginRate", ban.ByMaster, &to, s.c.origin(), q.User, s.c); banned {
		m.leavePlace(s)
		m.stopFiles(s)
		if text == "" {
			text = "Login incorrect."
		}
		s.reason = "banned"
		m.answer(s, &ipc.FilesChannel{Refused: true, Text: text})
		return
	}
	if f == nil || s.ending {
		m.leavePlace(s)
		m.answer(s, &ipc.FilesChannel{Refused: true, Text: "Login incorrect."})
		return
	}
	view, err := s.c.gen.sessionView(set)
	if err != nil {
		m.sever(s, err.Error())
		return
	}
	m.answer(s, &ipc.FilesChannel{
		User: q.User, Home: f.home, Anonymous: q.Anonymous != 0, Rates: m.ratesFor(s, set, userOf(q)),
		Company: m.company(s, set),
	}, f.lane, view)
	unix.Close(f.lane)
	f.lane = -1
	s.lane.SetState(ipc.SessionOpen)
	s.notice.SetState(ipc.SessionOpen)
	s.c.set = set
	s.open, s.user, s.uid, s.since = true, q.User, q.UID, m.loop.now
	s.anonymous, s.email, s.named = q.Anonymous, q.Email, q.Named
	s.lifetime = s.c.gen.rules.SessionTimeout(set, userOf(q), s.c.class)
	m.loop.timers.stop(&s.c.deadline)
	m.armOpen(s)
	m.census.login(s.c.origin())
	m.count(shm.LoginsOK)
	m.board.Add(shm.SessionsOpen, 1)
	m.update(s)
	args := append(s.facts(), logging.Kind(logging.LoginOK), "source", q.Source, "uid", q.UID, "gid", q.GID)
	if q.Method == ipc.MethodCertificate {
		args = append(args, "method", q.Method)
	}
	if q.Anonymous != 0 {
		args = append(args, "anonymous", q.Email)
	}
	m.log.Info("login", args...)
}

// endLogin gives up an attempt that is under way, with its files process.
func (m *master) endLogin(s *session) {
	if s.login == nil {
		return
	}
	s.login = nil
	m.leavePlace(s)
	m.stopFiles(s)
}

// loginFailed logs a refused attempt.
func (m *master) loginFailed(a *authd, q *ipc.LoginFailed) {
	s := m.waitingFor(a, q.Session)
	if s == nil || s.open {
		return
	}
	m.endLogin(s)
	s.c.failed, s.tried = q.Failed, q.User
	switch {
	case s.turned: // a right password; that master refused it, and why, is logged
		s.reason = "login refused: " + q.Reason
	case q.Last:
		s.reason = "login attempts used up"
	}
	if !s.turned {
		m.count(shm.LoginsFailed)
		m.log.Warn("login failed", append(s.facts(), logging.Kind(logging.LoginFailed), logging.Claimed(q.User),
			"reason", q.Reason, "source", q.Source, "attempt", q.Failed)...)
	}
	m.failedEvents(s, q)
}

// company is whom a client that has just logged in finds there, counted as the
// limits count.
func (m *master) company(s *session, set *policy.Settings) ipc.Company {
	c := ipc.Company{Most: set.Max.Clients.Count, MostOfClass: s.c.base.Max.PerClass.Count}
	if p := s.place; p != nil {
		c.Clients, c.OfClass = m.places.all[realm{p.Host, p.Anonymous}], m.places.byClass[hostName{p.Host, p.Class}]
	}
	return c
}
