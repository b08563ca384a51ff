package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/ban"
	"sallyport/internal/config"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/ipc/blob"
	"sallyport/shm"
)

// authd is one authd process. There is one that serves new sessions; after an
// upgrade an older one stays as long as sessions it attached are there.
type authd struct {
	*child
	conn    *ipc.Conn
	q       *ipc.Queue
	serving bool // has answered its first configuration
	users   int  // sessions attached
	ping    timer
	pong    bool // has answered the last Ping
	hash    bucket
	owed    int // hash workers asked for and not yet started
	hashing timer
}

// authdSupervisor starts authd and starts it again where it died.
type authdSupervisor struct {
	now     *authd // nil: down, or being started
	served  bool   // one of this image has served
	wait    time.Duration
	restart timer
	since   int64
	errors  []string // of the configuration in force, as authd sees it
	asked   *proposal
}

// proposal is a configuration that authd is asked about before it is put in
// force. answer is called once: with authd's word, or why there is none.
type proposal struct {
	generation uint32
	answer     func(*ipc.AuthdReady, error)
}

// Supervision times.
const (
	authdQueue    = 4096 // and what attaching everybody before his login takes
	pingEvery     = 10 * time.Second
	restartFirst  = 50 * time.Millisecond
	restartLast   = 10 * time.Second
	restartProven = 30 * time.Second // a process that served as long starts the waits anew
)

// startAuthd starts the authd of the configuration in force.
func (m *master) startAuthd() {
	ours, theirs, err := ipc.PairOf(ipc.MasterAuthd, ipc.Master, ipc.Authd)
	if err != nil {
		m.authdFailed(err.Error())
		return
	}
	m.spawn(launch{name: "authd", as: asAuthd, files: []int{theirs}}, func(c *child, err error) {
		if err != nil {
			unix.Close(ours)
			m.authdFailed(err.Error())
			return
		}
		m.adoptAuthd(&authd{child: c}, ours, ipc.AuthdStarting)
	})
}

// adoptAuthd takes an authd process into supervision as the one for new
// sessions.
func (m *master) adoptAuthd(a *authd, fd int, st ipc.State) {
	m.watchAuthd(a, fd, st)
	m.authd.now, m.authd.since = a, m.loop.now
	m.shareDelays(a)
	m.shareBans(a)
	m.configureAuthd(a)
	for range runtime.NumCPU() {
		m.startHash(a)
	}
}

func (m *master) watchAuthd(a *authd, fd int, st ipc.State) {
	a.conn = ipc.New(fd, ipc.MasterAuthd, ipc.Master)
	a.conn.SetState(st)
	a.q = ipc.NewQueue(a.conn, authdQueue+2*int(m.gen.policy.Global.Unauthenticated))
	a.pong = true
	a.hash = newBucket(uint32(4*runtime.NumCPU()), 10*time.Second, m.loop.now)
	a.ping.fn = func() { m.pingAuthd(a) }
	a.hashing.fn = func() { m.payHash(a) }
	err := errors.Join(
		m.loop.add(fd, unix.EPOLLIN, func(ev uint32) { m.authdReady(a, ev) }),
		m.supervise(a.child, func(ws unix.WaitStatus) { m.authdGone(a, ws) }))
	if err != nil {
		a.signal(unix.SIGKILL)
		return
	}
	m.loop.after(&a.ping, pingEvery)
}

// configureAuthd sends the view of the configuration in force.
func (m *master) configureAuthd(a *authd) {
	if err := m.sendView(a, m.gen.number, m.gen.policy); err != nil {
		m.log.Error("authd's view", logging.Error(err))
	}
}

func (m *master) sendView(a *authd, generation uint32, p *policy.Policy) error {
	fd, err := blob.Seal("authd", config.AuthView(p))
	if err != nil {
		return err
	}
	m.sendAuthd(a, &ipc.AuthdConfig{Generation: generation}, fd)
	unix.Close(fd)
	return nil
}

// proposeAuthd asks authd whether it can serve p, which then is to be the next
// generation. An authd that cannot keeps the view it has.
func (m *master) proposeAuthd(p *policy.Policy, answer func(*ipc.AuthdReady, error)) {
	a := m.authd.now
	if a == nil { // it gets the view when it is back
		answer(nil, errors.New("authd is down, it is being started again"))
		return
	}
	m.authd.asked = &proposal{m.gen.number + 1, answer}
	if err := m.sendView(a, m.gen.number+1, p); err != nil {
		m.authdAnswers(nil, err)
	}
}

// authdAnswers ends the question about a configuration, if one is open.
func (m *master) authdAnswers(r *ipc.AuthdReady, err error) {
	if q := m.authd.asked; q != nil {
		m.authd.asked = nil
		q.answer(r, err)
	}
}

// sendAuthd sends or queues. An authd that does not read is ended.
func (m *master) sendAuthd(a *authd, body any, fds ...int) {
	if a.exited || a.conn.FD() < 0 {
		return
	}
	if err := a.q.Send(body, fds...); err != nil {
		m.log.Error("authd does not answer, killed", "pid", a.pid, "error", err.Error())
		a.signal(unix.SIGKILL)
		return
	}
	m.authdEvents(a)
}

// authdEvents says what to wait for on a's channel. While an upgrade comes to
// rest nothing is read: what authd asks for is for the next image.
func (m *master) authdEvents(a *authd) {
	base := uint32(unix.EPOLLIN)
	if m.upgrades.holding {
		base = 0
	}
	m.loop.mod(a.conn.FD(), wants(a.q, base))
}

func (m *master) authdReady(a *authd, ev uint32) {
	if ev&unix.EPOLLOUT != 0 {
		if err := a.q.Flush(); err != nil {
			a.signal(unix.SIGKILL)
		}
		m.authdEvents(a)
	}
	for range 64 {
		msg, err := a.conn.TryRecv()
		switch {
		case err == ipc.ErrAgain:
			return
		case err == io.EOF:
			m.loop.del(a.conn.FD())
			m.killIn(a.child, killAfter)
			return
		case err != nil:
			m.log.Error("authd broke the protocol, killed", logging.Kind(logging.ProtocolViolation), "pid", a.pid, "error", err.Error())
			m.count(shm.ProtocolViolations)
			m.loop.del(a.conn.FD())
			a.signal(unix.SIGKILL)
			return
		}
		m.authdMessage(a, msg.Body)
		if a.conn.FD() < 0 { // the message was the end: the service stops
			return
		}
	}
}

// authdMessage is the table of what authd may say.
func (m *master) authdMessage(a *authd, body any) {
	if m.tracing(traceAuthd, 10) {
		m.trace(traceAuthd, 10, "authd says", nil, slog.String("message", fmt.Sprintf("%T", body)))
	}
	switch q := body.(type) {
	case *ipc.AuthdReady:
		m.authdServes(a, q)
	case *ipc.LoginReport:
		m.loginReport(a, q)
	case *ipc.LoginFailed:
		m.loginFailed(a, q)
	case *ipc.Released:
		m.released(a, q.Session)
	case *ipc.LoginAnswered:
		m.loginAnswered(a, q.Session)
	case *ipc.NeedHash:
		m.startHash(a)
	case *ipc.NeedPam:
		m.startPam(a, q.Session)
	case *ipc.AuthdLog:
		m.log.Log(context.Background(), levelOf(q.Level), q.Text, "pid", a.pid)
	case *ipc.Rehosted:
		m.rehosted(a, q.Session)
	case *ipc.AuthdEvent:
		m.authdEvent(a, q)
	case *ipc.Expiring:
		m.expiring(q.Certificates)
	case *ipc.DelayNote:
		m.delayNote(a, q)
	case *ipc.DelayCleared:
		m.delayAnswer(q.ID, q, nil)
	case *ipc.DelayExplained:
		m.delayAnswer(q.ID, q, nil)
	case *ipc.Pong:
		a.pong = true
	}
}

// authdServes handles the answer to a configuration. The first one opens the
// house: sessions that wait for a login channel get theirs.
func (m *master) authdServes(a *authd, r *ipc.AuthdReady) {
	for _, e := range r.Errors {
		m.log.Warn(e, "pid", a.pid)
	}
	if !a.serving {
		a.serving = true
		a.conn.SetState(ipc.AuthdServing)
		if a == m.authd.now {
			m.authd.served = true
			m.attachAll(a)
		}
	}
	if a != m.authd.now {
		return
	}
	if q := m.authd.asked; q != nil && r.Generation == q.generation {
		if r.OK {
			m.authd.errors = r.Errors
		}
		m.authdAnswers(r, nil)
		return
	}
	if r.Generation == m.gen.number {
		m.authd.errors = r.Errors
		m.firstAnswer(r)
	}
}

// attachAll gives every session before its login a channel to a, unless its
// login is in the hands of another one just now. A session that is logged in
// and speaks TLS needs one for signatures, where it has lost its own.
func (m *master) attachAll(a *authd) {
	for _, s := range m.sessions {
		switch {
		case s.ending || s.drains || s.login != nil || s.auth == a:
		case s.open && (s.auth != nil || s.c.cert == ""):
		case s.authEnd >= 0:
			m.attach(a, s, s.authEnd)
			unix.Close(s.authEnd)
			s.authEnd = -1
		default:
			m.renewAuth(a, s)
		}
	}
	m.retireAuthd()
}

func (m *master) renewAuth(a *authd, s *session) {
	ours, theirs, err := ipc.PairOf(ipc.SessionAuthd, ipc.Session, ipc.Authd)
	if err != nil {
		m.sever(s, err.Error())
		return
	}
	m.detach(s)
	m.attach(a, s, theirs)
	m.tell(s, &ipc.NewAuth{}, ours)
	unix.Close(ours)
	unix.Close(theirs)
	if s.rehosting { // the former authd was asked; this one knows already
		m.hostSelected(s)
	}
}

func (m *master) attach(a *authd, s *session, end int) {
	s.auth = a
	a.users++
	m.sendAuthd(a, &ipc.Attach{
		Session: s.c.id, Peer: s.c.peer.String(), Local: s.c.local.String(), Host: s.c.set.Auth.Name,
		Class: s.c.class, Protocol: s.c.protocol, Failed: s.c.failed, TLS: s.c.cert, Open: s.open,
	}, end)
}

// openAuth makes the login channel of a new session and returns the session's
// end. While authd starts, its end waits; while it is down, the session reads
// the end of the channel and refuses logins in words of its own.
func (m *master) openAuth(s *session) (int, error) {
	ours, theirs, err := ipc.PairOf(ipc.SessionAuthd, ipc.Session, ipc.Authd)
	if err != nil {
		return -1, err
	}
	switch a := m.authd.now; {
	case a != nil && a.serving:
		m.attach(a, s, theirs)
		unix.Close(theirs)
	case a != nil || m.authd.since == 0: // starting
		s.authEnd = theirs
	default:
		unix.Close(theirs)
	}
	return ours, nil
}

// detach tells authd that it has a session less.
func (m *master) detach(s *session) {
	if s.authEnd >= 0 {
		unix.Close(s.authEnd)
		s.authEnd = -1
	}
	a := s.auth
	if a == nil {
		return
	}
	s.auth = nil
	a.users--
	if a.serving {
		m.sendAuthd(a, &ipc.Detach{Session: s.c.id})
	}
	m.retireAuthd()
}

// retireAuthd lets the authd of an earlier image go once it has no session.
func (m *master) retireAuthd() {
	for _, c := range m.oldAuthd {
		if c.users == 0 && !c.q.Waiting() {
			m.hangUp(c)
		}
	}
}

func (m *master) pingAuthd(a *authd) {
	if a.exited {
		return
	}
	if !a.pong {
		m.log.Error("authd does not answer, killed", "pid", a.pid)
		a.signal(unix.SIGKILL)
		return
	}
	a.pong = false
	m.sendAuthd(a, &ipc.Ping{})
	m.loop.after(&a.ping, pingEvery)
}

// authdGone settles the death of an authd: attempts in its hands are lost,
// logged-in sessions go on, and another one is started.
func (m *master) authdGone(a *authd, ws unix.WaitStatus) {
	m.loop.timers.stop(&a.ping)
	m.loop.timers.stop(&a.hashing)
	if a.conn.FD() >= 0 {
		m.lastWords(a)
		m.loop.del(a.conn.FD())
	}
	a.q.Drop()
	a.conn.Close()
	for _, s := range m.sessions {
		if s.auth == a {
			s.auth = nil
			s.turned = false // what it would have said of the attempt is not the next one's
			if s.answering { // nobody will say that it has left
				m.answered(s)
			}
			if s.login != nil && !s.login.released { // else the session has its verdict
				m.endLogin(s)
			}
			if s.rehosting { // the next one will be told the new facts
				m.hostSelected(s)
			}
		}
	}
	delete(m.oldAuthd, a.pid)
	if a == m.authd.now {
		m.authd.now = nil
		m.authdFailed(exitText(ws))
	}
	m.drained()
}

// authdEvent logs what authd has seen of a session's client, at a bounded rate,
// and counts it.
func (m *master) authdEvent(a *authd, q *ipc.AuthdEvent) {
	s := m.waitingFor(a, q.Session)
	if s == nil {
		return
	}
	ev := logging.Event("client." + q.Event)
	if q.Event == "SignerAbuse" || q.Event == "RootLogin" {
		ev = logging.SecurityViolation
	}
	told := q.Event == "UnknownUser" || q.Event == "AnonRejectPasswords" // by the line of the login
	if !told && s.reports.take(m.loop.now) {
		m.log.Warn("client event", append(s.facts(), logging.Kind(ev), "seen", q.Event, "detail", q.Detail)...)
	}
	name, _ := ban.Canonical(q.Event)
	m.clientEvent(s.c, name, ban.ByMaster, q.User)
}

// lastWords reads what authd had sent before it died: a Released among it
// belongs to a verdict that the session has got.
func (m *master) lastWords(a *authd) {
	for range 1024 {
		msg, err := a.conn.TryRecv()
		if err != nil {
			return
		}
		if r, ok := msg.Body.(*ipc.Released); ok {
			m.released(a, r.Session)
		}
	}
}

func (m *master) authdFailed(why string) {
	m.authdAnswers(nil, errors.New("authd ended: "+why))
	if m.stopping {
		return
	}
	m.begin() // who is served already need not wait for it
	s := &m.authd
	if s.wait == 0 || m.loop.now-s.since > int64(restartProven) {
		s.wait = restartFirst
	}
	m.count(shm.AuthdRestarts)
	m.log.Error("authd ended, starting it again", "reason", why, "in", s.wait.String())
	s.since = m.loop.now
	m.loop.after(&s.restart, s.wait)
	s.wait = min(2*s.wait, restartLast)
}

// startHash gives authd one more hash worker, at a bounded rate.
func (m *master) startHash(a *authd) {
	if a.exited || m.stopping {
		return
	}
	if !a.hash.take(m.loop.now) {
		a.owed = min(a.owed+1, 2*runtime.NumCPU())
		m.loop.after(&a.hashing, time.Second)
		return
	}
	ours, theirs, err := ipc.PairOf(ipc.AuthdHash, ipc.Authd, ipc.Hash)
	if err != nil {
		m.log.Error("hash worker", "error", err.Error())
		return
	}
	m.spawn(launch{name: "authd", args: []string{"hash"}, as: asWorker, files: []int{theirs}}, func(c *child, err error) {
		defer unix.Close(ours)
		if err != nil {
			m.log.Error("hash worker", "error", err.Error())
			return
		}
		if err := m.supervise(c, func(unix.WaitStatus) { m.drained() }); err == nil {
			m.sendAuthd(a, &ipc.HashWorker{PID: uint32(c.pid)}, ours)
		}
	})
}

func (m *master) payHash(a *authd) {
	n := a.owed
	a.owed = 0
	for range n {
		m.startHash(a)
	}
}

// levelOf maps a syslog priority to the log's levels.
func levelOf(priority uint8) slog.Level {
	switch {
	case priority <= 3:
		return slog.LevelError
	case priority == 4:
		return slog.LevelWarn
	case priority == 5:
		return logging.LevelNotice
	case priority == 6:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
