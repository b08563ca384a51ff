package main

import (
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/access"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/internal/unit"
	"sallyport/ipc"
	"sallyport/shm"
)

// restore takes over what an earlier image left: every connection, session and
// transfer goes on. It runs before the loop.
func (m *master) restore(s *state) {
	m.nextID, m.started = s.NextID, time.Unix(0, s.Started)
	m.upgrades.done = s.Upgrades
	m.netd.answers = s.Resolved
	old := oldGeneration(s)
	same := map[string]bool{}
	for _, d := range dialogues {
		same[d.Name] = s.Dialogues[d.Name] == d.Version
	}
	authds := map[int]*authd{}
	for _, x := range s.Authds {
		a := &authd{child: restoreChild(x.Child), serving: x.Serving}
		m.oldAuthd[a.pid] = a
		st := ipc.AuthdStarting
		if a.serving {
			st = ipc.AuthdServing
		}
		m.watchAuthd(a, x.FD, st)
		if !same[ipc.MasterAuthd.Name] || x.FD < 0 {
			a.signal(unix.SIGKILL)
		}
		authds[a.pid] = a
	}
	talk := same[ipc.SessionLane.Name] && same[ipc.SessionNotice.Name] && same[ipc.MasterFiles.Name]
	for i := range s.Clients {
		m.restoreClient(&s.Clients[i], old, authds, talk)
	}
	for _, x := range s.Strays {
		c := restoreChild(x)
		if err := m.supervise(c, func(unix.WaitStatus) { m.drained() }); err == nil && x.KillAt > 0 {
			m.loop.timers.set(&c.kill, x.KillAt)
		}
	}
	old.retire()
	m.log.Info("took over", logging.Kind(logging.Upgrade), "connections", len(m.clients), "sessions", len(m.sessions))
}

// oldGeneration is the configuration that the connections taken over keep.
func oldGeneration(s *state) *generation {
	p := &policy.Policy{Global: s.Policy.Global, Hosts: []policy.Host{{Name: "earlier"}}}
	for i := range s.Settings {
		p.Hosts[0].ByClass = append(p.Hosts[0].ByClass, policy.ClassSettings{Settings: s.Settings[i]})
	}
	return newGeneration(s.Number, p)
}

func restoreChild(x savedChild) *child { return &child{name: x.Name, pid: x.PID, pidfd: x.FD} }

func (m *master) restoreClient(x *savedClient, gen *generation, authds map[int]*authd, talk bool) {
	c := &client{
		id: x.ID, fd: x.FD, peer: x.Peer, local: x.Local, bound: x.Bound, via: x.Via, label: x.Label, protocol: x.Protocol,
		tls: x.TLS, proxied: x.Proxied, headed: x.Headed, sni: x.SNI, accepted: x.Accepted, failed: x.Failed,
	}
	if !c.bound.IsValid() { // of an image without proxies
		c.bound, c.via = c.local, c.peer
	}
	c.sit(seat{gen, x.Host, x.Class, x.Cert, &gen.policy.Hosts[0].ByClass[x.Settings].Settings})
	m.adopt(c)
	if t := x.Patience; t > 0 && t != c.patience { // of a host that it has left
		c.patience = t
		m.loop.timers.set(&c.deadline, c.accepted+int64(t)*int64(time.Second))
	}
	switch {
	case x.Session != nil:
		m.restoreSession(x.Session, c, authds, talk)
	case x.Waiting:
		c.waiting = true
		m.waiting = append(m.waiting, c)
	case x.Held:
		m.greet(c)
	default:
		m.await(c)
	}
}

func (m *master) restoreSession(x *savedSession, c *client, authds map[int]*authd, talk bool) {
	s, err := m.newSession(restoreChild(x.Child), x.Lane, x.Notice, adoptPage(x.Page))
	s.c, c.session = c, s
	m.sessions[c.id] = s
	s.open, s.reason, s.user, s.uid, s.since = x.Open, x.Reason, x.User, x.UID, x.Since
	s.authEnd, s.drains = x.AuthEnd, x.Drains || !talk
	s.rehosting, s.selections, s.anonymous, s.email, s.named = x.Rehosting, x.Selections, x.Anonymous, x.Email, x.Named
	s.connected, s.lifetime = x.Connected, x.Lifetime
	s.answering, s.parting, s.condemned, s.sentence, s.turned = x.Answering, x.Parting, x.Condemned, x.Sentence, x.Turned
	s.logs.root, s.logs.group, s.logs.gid, s.logs.connected = x.Logs.Root, x.Logs.Group, x.Logs.GID, x.Logs.Connected
	if a := access.Anonymous(c.base, s.anonymous); a != nil {
		c.set = &a.Settings
	}
	st := ipc.SessionLogin
	if s.open {
		st = ipc.SessionOpen
		m.loop.timers.stop(&c.deadline)
		m.census.login(c.origin())
	}
	s.lane.SetState(st)
	s.notice.SetState(st)
	if a := authds[x.Authd]; a != nil {
		s.auth = a
		a.users++
	}
	for _, p := range x.Pam {
		h := restoreChild(p)
		s.pam = append(s.pam, h)
		if err := m.supervise(h, func(ws unix.WaitStatus) { m.pamGone(s, h, ws) }); err != nil {
			m.log.Error("pam helper", logging.Error(err))
		}
	}
	if l := x.Login; l != nil {
		s.login = &login{&l.Report, c.base, l.Root, l.Answered, l.Released, l.Parked}
		if a := access.Anonymous(c.base, l.Report.Anonymous); a != nil {
			s.login.set = &a.Settings
		}
	}
	m.restorePlace(s, x)
	switch {
	case x.Files != nil:
		m.restoreFiles(s, x.Files)
	case s.login != nil && !s.login.answered: // was about to be started
		m.prepareHome(s)
	}
	m.restoreData(s, &x.Data)
	if s.open {
		m.armOpen(s)
	} else {
		m.armIdle(s)
	}
	if s.slot, s.counted = m.board.Find(c.id), true; s.slot == shm.NoSlot && m.board.Origin != shm.Kept {
		m.onBoard(s) // the board had to be made anew
	}
	m.update(s)
	switch {
	case err != nil:
		m.sever(s, err.Error())
	case s.drains:
		m.loop.del(s.lane.FD())
		m.upgrades.drain(m)
	case x.Ending:
		s.ending = true
		m.killIn(s.child, killAfter)
	}
}

// restorePlace counts a login and its transfer again.
func (m *master) restorePlace(s *session, x *savedSession) {
	s.place = x.Place
	if s.place == nil && (s.open || s.login != nil) { // of an image that did not count
		s.place = &place{Host: s.c.host, User: s.user, Class: s.c.class, Addr: s.c.origin()}
		if s.login != nil {
			s.place.User = s.login.report.User
		}
	}
	if s.place == nil {
		return
	}
	m.places.take(*s.place)
	if s.transfer = x.Transfer; s.transfer != "" {
		m.places.beginAnyway(s.place, s.transfer)
	}
}

func (m *master) restoreFiles(s *session, x *savedFiles) {
	f := &filesProc{child: restoreChild(x.Child), lane: x.Lane, home: x.Home, ready: x.Ready}
	st := ipc.FilesStarting
	if f.ready {
		st = ipc.FilesServing
	}
	m.watchFiles(s, f, x.FD, st)
	if !f.ready {
		m.loop.after(&f.deadline, filesDeadline)
	}
}

func (m *master) restoreData(s *session, x *savedData) {
	s.data.seq, s.data.listener, s.data.port = x.Seq, x.Listener, x.Port
	s.data.ahead, s.data.extended, s.data.again = x.Ahead, x.Extended, x.Again
	s.data.target, s.data.dialing = x.Target, x.Dialing
	var err error
	if s.data.listener >= 0 {
		m.busy[portKey{s.c.bound.Addr(), s.data.port}] = true
		err = m.loop.add(s.data.listener, unix.EPOLLIN, func(uint32) { m.passiveReady(s) })
	}
	if s.data.dialing >= 0 && err == nil {
		err = m.loop.add(s.data.dialing, unix.EPOLLOUT, func(uint32) { m.dialed(s) })
	}
	if err != nil {
		m.dropData(s)
	} else if left := max(time.Duration(x.ExpireAt-m.loop.now), time.Millisecond); x.Ahead {
		m.expireAhead(s, left)
	} else if x.ExpireAt > 0 {
		m.expireData(s, left)
	}
}

// restoreListeners turns saved sockets into what openListeners may keep, and
// into what systemd handed down.
func restoreListeners(s *state) (have []*listener, inherited []unit.Socket) {
	for _, l := range s.Listeners {
		if !l.Inherited {
			have = append(have, &listener{
				label: l.Label, protocol: l.Protocol, tls: l.TLS, fd: l.FD, asked: l.Asked, address: l.Address,
			})
		}
	}
	for _, l := range s.Inherited {
		inherited = append(inherited, unit.Socket{FD: l.FD, Label: l.Label, Addr: l.Address})
	}
	return have, inherited
}
