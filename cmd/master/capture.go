package main

import (
	"slices"

	"sallyport/internal/policy"
)

// capture writes down everything the next image needs. Nothing may be under
// way: no start, no queued message, no spare.
func (m *master) capture() *state {
	s := &state{
		Version: stateVersion, Dialogues: dialogueVersions(), NextID: m.nextID, Started: m.started.UnixNano(),
		Upgrades: m.upgrades.done + 1, Number: m.gen.number, Policy: m.gen.policy,
		Control: m.upgrades.control, Resolved: m.netd.answers,
	}
	for _, l := range m.listeners {
		s.Listeners = append(s.Listeners, savedListener{l.label, l.protocol, l.tls, l.fd, l.asked, l.address, l.inherited})
	}
	for _, x := range m.inherited {
		s.Inherited = append(s.Inherited, savedListener{Label: x.Label, FD: x.FD, Address: x.Addr, Inherited: true})
	}
	known := map[int]bool{} // children with a place of their own
	save := func(c *child) savedChild {
		known[c.pid] = true
		return saveChild(c)
	}
	if a := m.authd.now; a != nil {
		s.Authds = append(s.Authds, savedAuthd{save(a.child), a.conn.FD(), a.serving})
	}
	for _, a := range m.oldAuthd {
		s.Authds = append(s.Authds, savedAuthd{save(a.child), a.conn.FD(), a.serving})
	}
	settings := map[*policy.Settings]int{}
	for _, c := range m.oldestFirst() {
		n, ok := settings[c.base]
		if !ok {
			n = len(s.Settings)
			settings[c.base] = n
			s.Settings = append(s.Settings, *c.base)
		}
		x := savedClient{
			ID: c.id, FD: c.fd, Peer: c.peer, Local: c.local, Label: c.label, Protocol: c.protocol, Host: c.host,
			Class: c.class, Settings: n, Accepted: c.accepted, Failed: c.failed, Waiting: c.waiting,
			Bound: c.bound, Via: c.via, TLS: c.tls, Proxied: c.proxied, Headed: c.headed, SNI: c.sni, Cert: c.cert, Patience: c.patience, Held: c.held.armed(),
		}
		if c.session != nil {
			x.Session = saveSession(c.session, save)
		}
		s.Clients = append(s.Clients, x)
	}
	for _, c := range m.children {
		if !known[c.pid] {
			s.Strays = append(s.Strays, saveChild(c))
		}
	}
	slices.SortFunc(s.Strays, func(a, b savedChild) int { return a.PID - b.PID })
	return s
}

func saveChild(c *child) savedChild {
	x := savedChild{Name: c.name, PID: c.pid, FD: c.pidfd}
	if c.kill.armed() {
		x.KillAt = c.kill.when
	}
	return x
}

func saveSession(s *session, save func(*child) savedChild) *savedSession {
	x := &savedSession{
		Child: save(s.child), Lane: s.lane.FD(), Notice: s.notice.FD(), Page: s.page.fd,
		Open: s.open, Ending: s.ending, Reason: s.reason, User: s.user, UID: s.uid, Since: s.since,
		AuthEnd: s.authEnd, Drains: s.drains,
		Rehosting: s.rehosting, Selections: s.selections, Anonymous: s.anonymous, Email: s.email, Named: s.named,
		Place: s.place, Transfer: s.transfer, Connected: s.connected, Lifetime: s.lifetime,
		Answering: s.answering, Parting: s.parting, Condemned: s.condemned, Sentence: s.sentence, Turned: s.turned,
		Logs: savedLogs{s.logs.root, s.logs.group, s.logs.gid, s.logs.connected},
		Data: savedData{Seq: s.data.seq, Listener: s.data.listener, Port: s.data.port, Ahead: s.data.ahead, Extended: s.data.extended, Again: s.data.again, Target: s.data.target, Dialing: s.data.dialing},
	}
	if s.data.expiry.armed() {
		x.Data.ExpireAt = s.data.expiry.when
	}
	if s.auth != nil {
		x.Authd = s.auth.pid
	}
	if l := s.login; l != nil {
		x.Login = &savedLogin{*l.report, l.root, l.answered, l.released, l.parked}
	}
	if f := s.files; f != nil {
		x.Files = &savedFiles{save(f.child), f.conn.FD(), f.lane, f.home, f.ready}
	}
	for _, p := range s.pam {
		x.Pam = append(x.Pam, save(p))
	}
	return x
}
