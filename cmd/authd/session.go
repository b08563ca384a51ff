package main

import (
	"errors"
	"io"
	"net/netip"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/delay"
	"sallyport/ipc"
)

// session is one client's login, from Attach to Detach. Who it is and where it
// comes from are master's facts; the session process itself only supplies user
// name and secret.
type session struct {
	s      *server
	id     uint64
	host   *auth.Host // nil: master named one that the view does not have
	net    netip.Prefix
	peer   netip.Addr
	ch     *channel // login channel
	failed uint32
	try    *try
	pam    *pamHelper // kept for its session modules until Detach
	tls    signer
	pace   pace
	donor  delay.Donor

	protocol string // "ftp", or "ftps" from the first signature on

	account *auth.Account // after a success
	names   []*channel
}

// try is the attempt in hand. There is at most one a session.
type try struct {
	user    string // as the client typed it
	method  string
	secret  []byte
	attempt *auth.Attempt
	hash    *hashWork
	pam     *pamWork
	kept    *pamHelper // waits for the rules' and master's word
	asked   bool       // LoginReport is out
	timer   *timer     // master's deadline, then the release
	timing
}

// attach takes a new session.
func (s *server) attach(a *ipc.Attach, fd int) {
	if old := s.sessions[a.Session]; old != nil {
		s.log(logError, "session %d is attached twice", a.Session)
		s.detach(a.Session)
	}
	ss := &session{s: s, id: a.Session, failed: a.Failed, protocol: a.Protocol}
	ss.tls.host, ss.tls.budget = s.tls.Host(a.TLS), 1 // for the control connection, or for the data connection in hand
	ss.place(a.Host, a.Peer)
	ss.ch = s.open(fd, ipc.SessionAuthd, peerQueue)
	ss.ch.c.Limit(maxRate, time.Second)
	if a.Open {
		ss.ch.c.SetState(ipc.AuthClosed)
	}
	ss.ch.message = ss.fromSession
	ss.ch.gone = func(err error) { ss.left(err) }
	s.sessions[ss.id] = ss
}

// maxRate is how many messages of a session are read a second: two a handshake
// of clients that make a data connection without resuming for each small file.
const maxRate = 2000

// place takes master's facts of where the session is and where it comes from.
func (ss *session) place(host, peer string) {
	ss.host, ss.net, ss.peer = ss.s.hosts[host], network(peer), netip.Addr{}
	if ap, err := netip.ParseAddrPort(peer); err == nil {
		ss.peer = ap.Addr().Unmap()
	}
	if ss.host == nil {
		ss.s.log(logError, "session %d: no host %q is configured; its logins are refused", ss.id, host)
	}
}

// fromSession takes one message of the session, none of which is believed.
func (ss *session) fromSession(m ipc.Message) {
	switch b := m.Body.(type) {
	case *ipc.AuthRequest:
		ss.request(b)
	case *ipc.TLSAsk:
		ss.offer()
	case *ipc.SignRequest:
		ss.sign(b)
	case *ipc.ClientCertificate:
		ss.judge(b)
	default:
		m.Close()
	}
}

// pace bounds login attempts: maxAttempts a second. One more waits for the next.
type pace struct {
	second int64
	n      int
}

const maxAttempts = 20

func (p *pace) take(now time.Time) bool {
	if s := now.Unix(); s != p.second {
		p.second, p.n = s, 0
	}
	p.n++
	return p.n <= maxAttempts
}

// detach forgets a session and all that is under way for it.
func (s *server) detach(id uint64) {
	ss := s.sessions[id]
	if ss == nil {
		return
	}
	delete(s.sessions, id)
	ss.cancel()
	ss.ch.close()
	ss.pam.end()
	for _, n := range ss.names {
		n.close()
	}
}

// left is the end of the login channel: a hang-up, or a message that the
// dialogue does not allow. The latter is reported; nobody else notices.
func (ss *session) left(err error) {
	if !errors.Is(err, io.EOF) {
		ss.s.log(logWarning, "session %d: login channel ended: %v", ss.id, err)
	}
	ss.cancel()
}

// violation ends the login channel of a session that does what it must not.
func (ss *session) violation(what string) {
	ss.s.log(logWarning, "session %d: login channel ended: %s", ss.id, what)
	ss.ch.close()
	ss.cancel()
}

// cancel gives up the attempt in hand, and a signature that is waited for.
func (ss *session) cancel() {
	if w := ss.tls.waiting; w != nil {
		ss.tls.waiting = nil
		ss.s.timers.cancel(w.timer)
	}
	t := ss.try
	if t == nil {
		return
	}
	ss.try = nil
	if t.hash != nil {
		ss.s.cancelHash(t.hash)
	}
	if t.pam != nil {
		ss.s.cancelPam(t.pam)
	}
	t.kept.end()
	ss.s.timers.cancel(t.timer)
	ss.finish(t)
	t.wipe()
	ss.failureAnswered(ipc.VerdictDenied) // there will be no answer to wait for
}

func (t *try) wipe() {
	clear(t.secret)
	t.secret = nil
}

// request starts an attempt.
func (ss *session) request(r *ipc.AuthRequest) {
	switch {
	case ss.try != nil:
		ss.violation("a second request before the answer")
	case !ss.pace.take(time.Now()):
		ss.tooFast(r)
	case r.Method != ipc.MethodPassword && r.Method != ipc.MethodCertificate:
		ss.violation("unknown method")
	case ss.host == nil:
		clear(r.Secret)
		ss.try = &try{user: r.User}
		ss.begin(ss.try)
		ss.unavailable()
	default:
		ss.try = &try{user: r.User, method: r.Method, secret: r.Secret, attempt: ss.host.Begin(ss.asked(r))}
		ss.judgeBans(ss.try)
		if !ss.begin(ss.try) {
			ss.busy()
			return
		}
		ss.step()
	}
}

// tooFast has a request wait for the next second. Where answers are not delayed and
// attempts not counted, that is a client's haste and no fault of its session.
func (ss *session) tooFast(r *ipc.AuthRequest) {
	t := &try{user: r.User, secret: r.Secret}
	ss.try = t
	t.timer = ss.s.timers.after(time.Second-time.Duration(time.Now().Nanosecond()), func() {
		ss.try = nil
		ss.request(r)
	})
}

// asked is what the decision is made of: the session's two strings, or the
// certificate that authd itself has judged.
func (ss *session) asked(r *ipc.AuthRequest) auth.Request {
	if r.Method == ipc.MethodPassword {
		return auth.Request{Name: r.User, Secret: r.Secret}
	}
	q := auth.Request{Name: r.User, ByCertificate: true}
	if c := ss.tls.client; c != nil {
		q.Certificate = c.User
	}
	return q
}

// step does the attempt's next step, or ends it.
func (ss *session) step() {
	t := ss.try
	switch st := t.attempt.Next(); st.Kind {
	case auth.StepHash:
		t.hash = &hashWork{
			job: job{net: ss.net},
			request: ipc.HashRequest{
				Setting: st.Setting, Secret: t.secret, Legacy: ss.host.Policy.LegacyHashes,
			},
			done: func(match, ok bool) {
				t.turn(&t.hash.job, ok && !t.hash.again)
				t.hash = nil
				if ok {
					t.attempt.HashDone(match)
				} else {
					t.attempt.Fail()
				}
				ss.step()
			},
		}
		if !ss.s.submitHash(t.hash) {
			ss.busy()
		}
	case auth.StepPam:
		t.pam = &pamWork{
			job: job{net: ss.net}, session: ss.id,
			request: ipc.PamRequest{
				Service: ss.host.Policy.PamService, User: t.attempt.Name(), Secret: t.secret,
				RHost: ss.rhost(), TTY: "ftp", AllowEmpty: ss.host.Policy.AllowEmpty, Proven: st.Account,
				Decoy: st.Setting,
			},
			done: ss.pamDone,
		}
		if !ss.s.submitPam(t.pam) {
			ss.busy()
		}
	default:
		ss.decided(t.attempt.Result())
	}
}

func (ss *session) rhost() string {
	if !ss.peer.IsValid() {
		return ""
	}
	return ss.peer.String()
}

func (ss *session) pamDone(r *ipc.PamReply, kept *pamHelper, ok bool) {
	t := ss.try
	t.turn(&t.pam.job, ok)
	t.pam, t.kept = nil, kept
	if !ok {
		t.attempt.Fail()
	} else {
		answer, err := pamAnswer(t.attempt.Name(), r)
		if err != nil {
			ss.s.log(logWarning, "session %d: %v", ss.id, err)
		}
		t.attempt.PamDone(answer)
	}
	ss.step()
}

// busy denies without work: too much waits from this network, or in all.
func (ss *session) busy() {
	t := ss.try
	t.hash, t.pam = nil, nil
	t.attempt.Busy()
	ss.s.log(logWarning, "session %d: login attempt refused unseen: too many wait", ss.id)
	ss.decided(t.attempt.Result())
}

// decided takes the result of the sources. A success goes to master, which
// applies its own rules and starts files.
func (ss *session) decided(r auth.Result) {
	t := ss.try
	t.wipe()
	ss.sample(t)
	if r.Warning != "" {
		ss.s.log(logWarning, "%s", r.Warning)
	}
	switch r.Verdict {
	case auth.OK:
		a := r.Account
		err := ss.s.toMaster(&ipc.LoginReport{
			Session: ss.id, User: a.User, UID: a.UID, GID: a.GID, Groups: a.Groups, GroupNames: a.GroupNames,
			Home: a.Home, Shell: a.Shell, Source: r.Source, Method: t.method,
			Named: alias(t.user, a.User), Anonymous: r.Anonymous, Email: cut(r.Email, 256),
		})
		if err != nil {
			ss.s.log(logError, "session %d: the account cannot be reported: %v", ss.id, err)
			ss.unavailable()
			return
		}
		if c := ss.tls.client; t.method == ipc.MethodCertificate && c != nil {
			ss.s.log(logNotice, "session %d: the certificate %s names %s", ss.id, c.Subject, a.User)
		}
		t.asked = true
		ss.account = a
		t.timer = ss.s.timers.after(ss.s.hash.limits.askTime, func() {
			ss.s.log(logError, "session %d: master did not say what becomes of the login", ss.id)
			t.asked = false
			ss.unavailable()
		})
	case auth.Unavailable:
		ss.unavailable()
	default:
		ss.fail(r.Reason, r.Source, "")
	}
}

// alias is what the client named, where it is not the account.
func alias(typed, user string) string {
	if typed == user {
		return ""
	}
	return typed
}

// outcome is master's word on a right password.
func (s *server) outcome(o *ipc.LoginOutcome) {
	ss := s.sessions[o.Session]
	if ss == nil || ss.try == nil || !ss.try.asked {
		return // the session left meanwhile
	}
	t := ss.try
	s.timers.cancel(t.timer)
	t.asked = false
	switch {
	case o.OK:
		ss.sampleStart(t)
		ss.pam, t.kept = t.kept, nil
		ss.answer(ipc.AuthReply{Verdict: ipc.VerdictOK, User: ss.account.User})
	case o.Close:
		ss.failed++
		ss.report(o.Reason, ss.account.Source, true)
		ss.account = nil
		ss.answer(ipc.AuthReply{Verdict: ipc.VerdictRefused, Text: o.Text})
	default:
		source := ss.account.Source
		ss.account = nil
		ss.fail(o.Reason, source, o.Text)
	}
}

// fail counts and reports a refused attempt.
func (ss *session) fail(reason, source, text string) {
	ss.failed++
	most := ss.host.Policy.LoginAttempts
	last := most > 0 && ss.failed >= most
	ss.report(reason, source, last)
	ss.failureEvent(reason, ss.try.user)
	verdict := ipc.VerdictDenied
	if last {
		verdict = ipc.VerdictLast
	}
	ss.answer(ipc.AuthReply{Verdict: verdict, Text: text})
}

// report tells master at once, so that a hang-up before the answer hides nothing.
func (ss *session) report(reason, source string, last bool) {
	_ = ss.s.toMaster(&ipc.LoginFailed{
		Session: ss.id, User: ss.try.user, Reason: cut(reason, 256), Source: source, Failed: ss.failed, Last: last,
	})
}

// unavailable answers an attempt that no source could decide. It counts as
// nobody's failure.
func (ss *session) unavailable() {
	ss.s.log(logError, "session %d: %s", ss.id, auth.ReasonUnavailable)
	ss.account = nil
	ss.answer(ipc.AuthReply{Verdict: ipc.VerdictUnavailable})
}
