package ftp

import (
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// maxUser is the longest user name in bytes.
const maxUser = 256

const textIncorrect = "Login incorrect."

// user takes a name. The reply tells nothing about it.
func user(s *Session, name string) {
	if s.user == "" && !s.hold() {
		return
	}
	switch {
	case name == "":
		s.reply(500, "USER: command requires a parameter")
	case s.user != "" && name == s.user:
		s.reply(230, "User ", name, " logged in")
	case s.user != "":
		s.reply(501, "Reauthentication not supported")
	case len(name) > maxUser:
		s.named = ""
		s.reply(501, textIncorrect)
	default:
		s.named, s.typed = name, name
		if s.protected() && s.tls.user != "" && name == s.tls.user {
			s.certified(name)
			return
		}
		if s.guest(name) {
			s.reply(331, "Anonymous login ok, send your complete email address as your password")
			return
		}
		s.reply(331, "Password required for ", name)
	}
}

// pass asks authd for a verdict on the name and the password.
func pass(s *Session, _ string) {
	name := s.named
	switch {
	case s.user != "":
		s.reply(503, "You are already logged in")
		return
	case name == "":
		s.reply(503, "Login with USER first")
		return
	case len(s.secret) == 0 && !s.view.AllowEmpty && !s.guest(name):
		s.reply(501, textIncorrect)
		s.event(ipc.EventEmptyPassword, "empty password")
		return
	}
	s.named = ""
	s.flush()
	s.attempt(230, &ipc.AuthRequest{User: name, Secret: s.secret, Method: ipc.MethodPassword})
}

// certified logs in whom the client's certificate names, without a password:
// 232 instead of 331 (RFC 2228 §5). Where that is refused the certificate opens
// nothing more, and the name may be tried with a password.
func (s *Session) certified(name string) {
	if s.tls.judge != s.auth { // another authd has not seen the certificate
		s.tls.end = time.Now().Add(s.handshakeTime())
		if err := s.showClient(s.tls.chain); err != nil || s.tls.user != name {
			s.tls.user = ""
			s.reply(331, "Password required for ", name)
			return
		}
	}
	s.named = ""
	s.flush()
	s.attempt(232, &ipc.AuthRequest{User: name, Method: ipc.MethodCertificate})
	if s.user == "" {
		s.tls.user = ""
	}
}

// attempt gets a verdict and answers; welcome is the code of a success.
func (s *Session) attempt(welcome int, q *ipc.AuthRequest) {
	r, ok := s.askVerdict(q)
	if !ok {
		s.reply(421, textUnavailable)
		s.leave("no verdict from authd")
		return
	}
	s.verdict(welcome, q.User, r)
	s.partAfter()
}

// askVerdict asks authd. A verdict that is there already when master ends the
// session comes first: master may end it because of that verdict.
func (s *Session) askVerdict(q *ipc.AuthRequest) (*ipc.AuthReply, bool) {
	s.asking = true
	r, ok := ask[ipc.AuthReply](s, q, time.Now().Add(authWait))
	s.asking = false
	if !ok {
		s.partAfter()
	}
	return r, ok
}

// partAfter says the last word that master has told meanwhile.
func (s *Session) partAfter() {
	if e := s.parting; e != nil && !s.over() {
		s.parting = nil
		s.toldToLeave(e)
	}
}

func (s *Session) verdict(welcome int, name string, r *ipc.AuthReply) {
	switch r.Verdict {
	case ipc.VerdictOK:
		s.enter(welcome, name)
	case ipc.VerdictDenied:
		s.deny(name, r.Text)
	case ipc.VerdictUnavailable:
		s.reply(421, textUnavailable)
		s.leave("logins are unavailable")
	case ipc.VerdictLast:
		s.deny(name, r.Text)
		s.leave("login attempts used up")
	default:
		s.deny(name, r.Text)
		s.leave("login refused")
	}
}

// deny answers a refused login, alike for every reason unless the
// configuration has a text of its own.
func (s *Session) deny(name, text string) {
	if text == "" {
		text = named(s.view.AccessDenyMsg, name)
	}
	if text == "" {
		text = textIncorrect
	}
	s.reply(530, text)
}

// named puts the user's name into a configured text.
func named(text, name string) string { return strings.ReplaceAll(text, "%u", name) }

// enter takes the files channel that master has for a released login.
func (s *Session) enter(welcome int, name string) {
	r, fds, ok := call[ipc.FilesChannel](s, ipc.TakeFiles{})
	if !ok {
		return
	}
	if r.Refused || len(fds) != 2 {
		closeFDs(fds)
		s.deny(name, r.Text)
		s.leave("login refused by master")
		return
	}
	files := ipc.New(fds[0], ipc.SessionFiles, ipc.Session)
	s.keepMail(name, r.Anonymous)
	var view policy.Session // a fresh one: nothing of the former stays in its lists
	err := ipc.ReadBlob(fds[1], &view)
	_ = unix.Close(fds[1])
	if err != nil {
		files.Close()
		s.broken("view", err)
		return
	}
	s.view = view
	if s.loggedInClear() {
		files.Close()
		s.event(ipc.EventCommandRefused, "SSL/TLS required but absent on control channel, refusing the login")
		s.deny(name, "")
		s.leave("login without the TLS that its account demands")
		return
	}
	if err := files.SetTimeout(filesTimeout); err != nil {
		files.Close()
		s.broken("files", err)
		return
	}
	s.files = vfs.NewClient(files)
	s.lane.SetState(ipc.SessionOpen)
	s.notice.SetState(ipc.SessionOpen)
	s.user = name
	s.setAuth(s.auth)
	s.rates, s.company = r.Rates, r.Company
	s.viewChanged()
	s.in.setLimit(s.lineLimit())
	home, err := vfs.Clean("/", r.Home)
	if err != nil {
		home = "/"
	}
	s.cwd, s.home = home, home
	s.page.SetLoggedIn()
	s.page.SetDir(home)
	t := named(s.view.AccessGrantMsg, name)
	if t == "" && r.Anonymous {
		welcome, t = 230, "Anonymous access granted, restrictions apply"
	}
	s.show(welcome, &s.view.Display.Login)
	switch {
	case t != "":
		s.reply(welcome, t)
	default:
		s.reply(welcome, "User ", name, " logged in")
	}
}

// loggedInClear tells whether the account, by settings that only the login has
// brought, demands a login under TLS that this one was not (TLSOptions
// AllowPerUser).
func (s *Session) loggedInClear() bool {
	v := &s.view.TLS
	return !s.protected() && (controlRequired(v) || loginRequired(v))
}

// How long a login waits: for authd to come back after it died, and for a
// verdict in all. Master's login timeout is what ends it in the ordinary case.
const (
	authReturns = 5 * time.Second
	authWait    = 5 * time.Minute
)

// ask gets an answer from authd, until end at most. Where authd dies before it
// has answered the request is repeated once, on the channel that master has for
// the next authd; other is then what to ask instead, nil for nothing.
func ask[T any](s *Session, q any, end time.Time, other ...func() any) (*T, bool) {
	for i := range 2 {
		if !s.haveAuth() {
			return nil, false
		}
		if i > 0 && other != nil {
			if q = other[0](); q == nil {
				return nil, false
			}
		}
		c := s.auth
		if err := c.Send(q); err != nil {
			s.lostAuth(c)
			continue
		}
		watch := int16(unix.POLLRDHUP)
		for s.auth == c && !s.over() {
			m, err := c.TryRecv()
			if r, ok := m.Body.(*T); ok && err == nil {
				return r, true
			}
			switch {
			case errors.Is(err, ipc.ErrAgain) && s.parting != nil:
				return nil, false
			case errors.Is(err, ipc.ErrAgain):
				w := s.await(watch, c.FD(), pollIn, max(time.Until(end), 0))
				if w == 0 || w&wakeHangup != 0 || s.left(w) {
					return nil, false
				}
				if w&wakeGone != 0 {
					watch = 0 // it has sent more before: that is answered, too
				}
			case errors.Is(err, io.EOF):
				s.lostAuth(c)
			default:
				m.Close()
				return nil, false
			}
		}
	}
	return nil, false
}

// haveAuth waits a moment for a channel to authd where there is none.
func (s *Session) haveAuth() bool {
	end := time.Now().Add(authReturns)
	for s.auth == nil && !s.over() && s.parting == nil {
		left := time.Until(end)
		if left <= 0 || s.await(0, -1, 0, left)&wakeHangup != 0 {
			return false
		}
	}
	return s.auth != nil && !s.over()
}

// lostAuth drops c, unless master has replaced it already.
func (s *Session) lostAuth(c *ipc.Conn) {
	if s.auth == c {
		s.setAuth(nil)
	}
}

// setAuth replaces the channel to authd. Once logged in only a session under
// TLS has a use for one: see signs.
func (s *Session) setAuth(c *ipc.Conn) {
	if s.auth != nil && s.auth != c {
		s.auth.Close()
		s.tls.offers = nil // another authd would not know them
	}
	s.auth = c
	switch {
	case c == nil || s.user == "":
	case s.signs():
		c.SetState(ipc.AuthClosed)
	default:
		c.Close()
		s.auth = nil
	}
}

// signs tells whether authd may have to sign for another handshake: one of a
// data connection that does not resume the control connection's session.
func (s *Session) signs() bool {
	return s.tls.had && (!s.mustResume() || s.view.TLS.CCC)
}

// quit leaves.
func quit(s *Session, _ string) {
	s.show(221, &s.view.Display.Quit)
	s.reply(221, "Goodbye.")
	s.leave("client QUIT")
}
