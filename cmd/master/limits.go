package main

import (
	"context"

	"sallyport/internal/access"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
)

// claimPlace counts a login whose identity is accepted, or refuses it where a
// limit of logged-in clients is reached. Looking and counting are one step on
// the loop: of any number of logins at once exactly as many get in as there is
// room for. The place is given back when the attempt or the session ends,
// however it ends.
func (m *master) claimPlace(s *session, q *ipc.LoginReport, set *policy.Settings, anon *policy.Anonymous) *overLimit {
	c := s.c
	x := place{Host: c.host, User: q.User, Class: c.class, Addr: c.origin()}
	if anon != nil {
		x.Anonymous = anon.User
	}
	if full := m.places.claim(x, &set.Max, c.base.Max.PerClass); full != nil {
		m.log.Log(context.Background(), logging.LevelNotice, "Connection refused ("+full.name+" "+itoa(full.count)+")",
			append(s.facts(), logging.Kind(logging.LoginRefused), logging.Claimed(q.User), "limit", full.name)...)
		return full
	}
	s.place = &x
	return nil
}

// leavePlace gives back what a login holds.
func (m *master) leavePlace(s *session) {
	m.endTransfer(s)
	if s.place != nil {
		m.places.free(*s.place)
		s.place = nil
	}
}

// beginTransfer counts a transfer that is about to begin, in place of the former
// one if that has not been ended.
func (m *master) beginTransfer(s *session, command string) {
	switch command {
	case "RETR", "STOR", "APPE", "STOU":
	default:
		m.outOfTurn(s, 14, "no command that transfers a file")
		return
	}
	m.endTransfer(s)
	if full := m.places.begin(s.place, command, &s.c.set.Max); full != nil {
		text, banned := m.limitEvent(s, full.name, s.user)
		if s.reports.take(m.loop.now) {
			m.log.Info("transfer refused", append(s.facts(), logging.Kind(logging.Event("client."+full.name)), "command", command)...)
		}
		m.answer(s, &ipc.TransferAllowed{Refused: true, Text: full.text})
		if banned {
			m.sendAway(s.c, text)
		}
		return
	}
	s.transfer = command
	m.answer(s, &ipc.TransferAllowed{})
}

func (m *master) endTransfer(s *session) {
	if s.transfer != "" {
		m.places.end(s.place, s.transfer)
		s.transfer = ""
	}
}

// transferCommands are those that move a file.
var transferCommands = []string{"RETR", "STOR", "APPE", "STOU"}

// ratesFor are the transfer rates of a login, one a command that has one.
func (m *master) ratesFor(s *session, set *policy.Settings, u access.User) []ipc.RateRule {
	var rates []ipc.RateRule
	for _, command := range transferCommands {
		if n, free := s.c.gen.rules.Rate(set, u, s.c.class, command); n > 0 {
			rates = append(rates, ipc.RateRule{Command: command, PerSecond: n, Free: free})
		}
	}
	return rates
}

// userOf is whom the selectors of the configuration are asked about.
func userOf(q *ipc.LoginReport) access.User {
	return access.User{Name: q.User, Home: q.Home, Groups: q.GroupNames}
}
