package main

import (
	"fmt"
	"net/netip"
	"time"

	"sallyport/internal/ban"
	"sallyport/internal/logging"
	"sallyport/ipc"
)

// event counts what a client has done and carries out what comes of it: the bans
// are in force, on disk and told to others, and every other client that they fit
// is gone, when it returns. The client itself (self, nil where it is none yet)
// is the caller's to end: text is what it hears, if banned.
func (m *master) event(name string, seen ban.Seen, to *seat, a netip.Addr, user string, self *client) (text string, banned bool) {
	b := m.bans
	if b.table == nil || !to.set.BanEngine || !a.IsValid() || !b.engine.Rules(name) {
		return "", false
	}
	ev := ban.Event{Name: name, Seen: seen, Addr: a, User: user, Class: to.class, Server: to.host}
	now := b.now()
	m.countShared(&ev)
	out := b.engine.Event(ev, now)
	for _, x := range out.Would {
		if m.paced("observe " + x.Event) {
			m.banLine(logging.Event("ban.observed"), x, "would ban "+banWords(x))
		}
	}
	m.carryOut(out.Banned, self)
	for _, x := range out.Full {
		if m.paced("full") {
			m.log.Error("maximum list size reached, unable to ban "+ban.KindNames[x.Kind], "name", x.Key.String(), "bans", b.engine.Len())
		}
	}
	if x := first(out.Banned, out.Full); x != nil {
		return m.banText(x.Message, to.set, a, to.class, user), true
	}
	return "", false
}

// carryOut does what new bans of rules mean for everybody but self.
func (m *master) carryOut(list []*ban.Ban, self *client) {
	if len(list) == 0 {
		return
	}
	_ = m.commitBans() // said where it fails; the ban holds
	for _, x := range list {
		m.banLine(logging.BanAdded, x, "banned "+banWords(x))
		m.publishBan(x)
		m.endBanned(x, self)
	}
}

func first(lists ...[]*ban.Ban) *ban.Ban {
	for _, l := range lists {
		if len(l) > 0 {
			return l[0]
		}
	}
	return nil
}

// banWords says of a ban what matters first.
func banWords(x *ban.Ban) string {
	return fmt.Sprintf("%s '%s'", ban.KindNames[x.Kind], logging.Escape(x.Key.String()))
}

// banLine writes a line of the log, and of the ban log, about a ban.
func (m *master) banLine(ev logging.Event, x *ban.Ban, text string) {
	args := []any{logging.Kind(ev), "ban", ban.KindNames[x.Kind], "name", x.Key.String(), "until", untilText(x.Expires)}
	if x.Server != "" {
		args = append(args, "host", x.Server)
	}
	if x.Event != "" {
		args = append(args, "rule", x.Event, "count", x.Count, "at", x.Rule)
	} else if x.Reason != "" {
		args = append(args, "reason", x.Reason)
	}
	if x.Node != "" {
		args = append(args, "node", x.Node)
	}
	m.log.Log(background, logging.LevelNotice, text, args...)
	if x.Event != "" && ev != logging.BanExpired {
		text += fmt.Sprintf(": %s, %d times (%s), until %s", x.Event, x.Count, x.Rule, untilText(x.Expires))
	}
	m.banLog(text)
}

func untilText(at int64) string {
	if at == ban.Forever {
		return "never"
	}
	return time.Unix(0, at).UTC().Format(time.RFC3339)
}

// banLog writes a line of the ban log, where there is one.
func (m *master) banLog(text string) {
	f := m.logs.files.Get(m.gen.policy.Ban.Log)
	if f == nil {
		return
	}
	m.scratch = time.Now().UTC().AppendFormat(m.scratch[:0], "2006-01-02T15:04:05.000Z ")
	m.scratch = append(m.scratch, logging.Escape(text)...)
	f.Line(m.scratch)
}

// endBanned ends every client that a new ban fits, but one, and returns how many
// there were.
func (m *master) endBanned(x *ban.Ban, but *client) int {
	n := 0
	for _, c := range m.clients {
		if c == but || !m.fits(x, c) {
			continue
		}
		n++
		user := ""
		if c.session != nil {
			user = c.session.user
		}
		m.sendAway(c, m.banText(x.Message, c.set, c.peer.Addr(), c.class, user))
	}
	if n > 0 {
		m.log.Log(background, logging.LevelNotice, fmt.Sprintf("disconnected %d %s from %s", n, plural(n, "client"), banWords(x)), logging.Kind(logging.SessionKicked))
	}
	return n
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// fits tells whether a ban is about a client.
func (m *master) fits(x *ban.Ban, c *client) bool {
	if !c.set.BanEngine || x.Server != "" && x.Server != c.host {
		return false
	}
	a := c.origin()
	fit := false
	switch x.Kind {
	case ban.Host:
		fit = a.IsValid() && x.Prefix.Contains(a.WithZone(""))
	case ban.Class:
		fit = c.class == x.Name
	case ban.User:
		c.names(func(n string) { fit = fit || n == x.Name })
	case ban.UserAt:
		c.names(func(n string) { fit = fit || a.IsValid() && ban.At(n, a) == x.Name })
	}
	return fit && !m.bans.engine.Spared(ban.Event{Addr: a, Class: c.class})
}

// names yields the names that a client goes by: its account's, and the one that
// it has used for it.
func (c *client) names(yield func(string)) {
	s := c.session
	if s == nil {
		return
	}
	list := []string{s.user, s.named}
	if s.login != nil {
		list = append(list, s.login.report.User, s.login.report.Named)
	}
	for _, n := range list {
		if n != "" {
			yield(n)
		}
	}
}

// sendAway ends a client that is banned. One that waits for the answer to a
// failed login gets that first, at the moment at which it would have got it.
func (m *master) sendAway(c *client, text string) {
	s := c.session
	switch {
	case s == nil:
		m.loop.farewell(&c.fd, c.partingWords(banReply(text)))
		m.drop(c)
	case s.exited:
	case s.answering:
		m.condemn(s, text)
	case text == "":
		m.end(s, 0, "", "banned")
	default:
		m.end(s, 530, text, "banned")
	}
}

// clientEvent is an event of a client that is one already; it is ended if that
// bans it.
func (m *master) clientEvent(c *client, name string, seen ban.Seen, user string) bool {
	to := c.seat()
	text, banned := m.event(name, seen, &to, c.origin(), user, c)
	if banned {
		m.sendAway(c, text)
	}
	return banned
}

// timedOut raises the event of a timeout. A client that it bans hears of the ban
// instead of the timeout.
func (m *master) timedOut(s *session, name string) (banned bool) {
	to := s.c.seat()
	text, banned := m.event(name, ban.ByMaster, &to, s.c.origin(), s.user, s.c)
	if banned && text != "" {
		m.end(s, 530, text, "banned")
		return true
	}
	return false
}

// failedEvents raises what a refused login is an event of. Its answer has not
// left: the client hears of a ban behind it, or leaves with it.
func (m *master) failedEvents(s *session, q *ipc.LoginFailed) {
	turned := s.turned
	s.turned = false
	s.answering = s.c.base.Auth.BanEngine
	if turned { // the password was right
		return
	}
	names := []string{"FailedLogin"}
	if q.Last {
		names = append(names, "MaxLoginAttempts", "MaxLoginAttemptsFromUser")
	}
	for _, name := range names {
		to := s.c.seat()
		text, banned := m.event(name, ban.ByMaster, &to, s.c.origin(), q.User, s.c)
		if banned && !q.Last {
			m.condemn(s, text)
		}
	}
	s.parting = q.Last
	if s.condemned && !s.answering {
		m.answered(s)
	}
}

// answerPatience is how long the answer to a failed login of a condemned session
// may take. A session can have that answer never come: then it is killed.
const answerPatience = 2 * time.Minute

// condemn has a session ended behind the answer that it waits for.
func (m *master) condemn(s *session, text string) {
	s.condemned, s.sentence = true, text
	m.killIn(s.child, answerPatience)
}

// loginAnswered is authd's word that the answer to a failed login has left.
func (m *master) loginAnswered(a *authd, id uint64) {
	if s := m.waitingFor(a, id); s != nil {
		m.answered(s)
	}
}

func (m *master) answered(s *session) {
	s.answering = false
	if s.condemned && !s.parting { // else it leaves with that answer
		s.condemned = false
		m.sendAway(s.c, s.sentence)
	}
}

// limitEvent raises the event of a limit that has refused a login or a transfer.
func (m *master) limitEvent(s *session, name, user string) (text string, banned bool) {
	to := s.c.seat()
	return m.event(name, ban.ByMaster, &to, s.c.origin(), user, s.c)
}
