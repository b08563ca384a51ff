package main

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strconv"
	"time"

	"sallyport/internal/control"
	"sallyport/internal/logging"
	"sallyport/internal/version"
	"sallyport/shm"
)

// wall converts a time of the loop to the wall clock's.
func (m *master) wall(at int64) time.Time {
	return time.Now().Add(time.Duration(at - m.loop.now)).UTC()
}

// status is a snapshot for the control socket.
func (m *master) status() control.Status {
	g := &m.gen.policy.Global
	s := control.Status{
		State: control.StateServing, Version: version.Version, Instance: g.Instance, PID: os.Getpid(),
		Rootless: !m.who.root, Sandbox: g.Sandbox, Landlock: m.landlock,
		Started: m.started.UTC(), Upgrades: m.upgrades.done,
		Config: control.ConfigStatus{
			File: m.gen.policy.File, Generation: int(m.gen.number), Loaded: m.reloads.loaded.UTC(), ReloadError: m.reloads.err,
		},
		Sessions: control.SessionCounts{
			Live: int(m.census.live), Unauthenticated: int(m.census.unauth),
			Max: int(g.MaxInstances), Pool: len(m.pool.spare),
		},
		Workers:  []control.WorkerStatus{m.authdStatus()},
		Counters: m.counters(),
	}
	if w, ok := m.netdStatus(); ok {
		s.Workers = append(s.Workers, w)
	}
	for _, l := range m.listeners {
		s.Listeners = append(s.Listeners, control.ListenerStatus{
			Label: l.label, Protocol: l.protocol, TLS: l.tls, Address: l.address.String(),
			Inherited: l.inherited, Accepting: !m.stopping,
		})
	}
	for _, c := range m.clients {
		if c.session == nil {
			s.Sessions.Waiting++
		} else if c.session.drains {
			s.Sessions.Draining++
		}
	}
	s.Certificates, s.Reasons = m.certificateStatus()
	s.Reasons = append(m.degraded(), s.Reasons...)
	switch {
	case m.stopping:
		s.State = control.StateStopping
	case !m.authd.served && m.authd.wait == 0:
		s.State = control.StateStarting
	case len(s.Reasons) > 0:
		s.State = control.StateDegraded
	}
	return s
}

func (m *master) counters() control.Counters {
	n := func(c shm.Counter) uint64 { return uint64(m.board.Get(c)) }
	m.board.Set(shm.LogDropped, int64(m.log.Dropped()+m.logs.files.Dropped()+m.logs.skipped))
	return control.Counters{
		Connections: n(shm.Accepted), Refused: m.refused(), Logins: n(shm.LoginsOK), LoginFailures: n(shm.LoginsFailed),
		WorkerDeaths: n(shm.WorkersDied), Violations: n(shm.ProtocolViolations) + n(shm.DataRefused),
		BytesIn: n(shm.BytesIn), BytesOut: n(shm.BytesOut), LogDropped: n(shm.LogDropped),
	}
}

// degraded says what an administrator should look at.
func (m *master) degraded() []string {
	var why []string
	if a := m.authd.now; a == nil {
		why = append(why, "authd is down: nobody can log in")
	} else if !a.serving {
		why = append(why, "authd is starting: logins wait")
	}
	if m.reloads.err != "" {
		why = append(why, "the last reload was refused: "+m.reloads.err)
	}
	if m.pool.failures > 1 {
		why = append(why, "session processes cannot be started")
	}
	return append(append(why, m.authd.errors...), m.netdReasons()...)
}

func (m *master) authdStatus() control.WorkerStatus {
	w := control.WorkerStatus{Role: "authd", State: "restarting", Restarts: int(m.board.Get(shm.AuthdRestarts))}
	if a := m.authd.now; a != nil {
		w.PID, w.Since = a.pid, m.wall(m.authd.since)
		if a.serving {
			w.State = "up"
		}
	}
	return w
}

// sessionList lists the live connections, oldest first.
func (m *master) sessionList() []control.SessionInfo {
	list := make([]control.SessionInfo, 0, len(m.clients))
	for _, c := range m.oldestFirst() {
		list = append(list, m.sessionInfo(c))
	}
	return list
}

func (m *master) oldestFirst() []*client {
	all := make([]*client, 0, len(m.clients))
	for _, c := range m.clients {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *client) int { return cmp.Compare(a.id, b.id) })
	return all
}

func (m *master) sessionInfo(c *client) control.SessionInfo {
	i := control.SessionInfo{
		ID: strconv.FormatUint(c.id, 10), Protocol: c.protocol, Client: c.peer.String(), Local: c.local.String(),
		Listener: c.label, Host: c.host, Class: c.class,
		Connected: m.wall(c.accepted), Since: m.wall(c.accepted), Activity: control.ActivityWaiting, TLS: c.tls,
	}
	if c.proxied {
		i.Proxy = c.via.String()
	}
	s := c.session
	if s == nil {
		return i
	}
	i.PID, i.Activity, i.TLS = s.pid, control.ActivityAuthenticating, s.protected()
	if s.files != nil {
		i.FilesPID = s.files.pid
	}
	if s.open {
		i.User, i.UID, i.Since, i.Activity = s.user, s.uid, m.wall(s.since), control.ActivityIdle
		i.Anonymous, i.Email = s.anonymous != 0, s.email
		s.claims(m, &i)
	}
	return i
}

// kick ends the sessions that a request names.
func (m *master) kick(r control.KickRequest) (control.KickResult, error) {
	var res control.KickResult
	text := r.Text
	if text == "" {
		text = textNoService
	}
	for _, name := range r.Names {
		n := 0
		for _, c := range m.oldestFirst() {
			if r.Max > 0 && n >= r.Max {
				break
			}
			if !kicked(&r, name, c) {
				continue
			}
			n++
			m.log.Log(context.Background(), logging.LevelNotice, "session kicked", logging.Peer(c.peer.String()), logging.Session(c.id),
				logging.Kind(logging.SessionKicked), "by", r.By, "name", name)
			if c.session != nil {
				m.end(c.session, 421, text, "kicked")
				continue
			}
			m.loop.farewell(&c.fd, c.partingWords("421 "+text+"\r\n"))
			m.drop(c)
		}
		res.Kicked = append(res.Kicked, control.KickCount{Name: name, Sessions: n})
	}
	return res, nil
}

// kicked tells whether name, by the request's kind, means c; a session that is
// ending already counts no more.
func kicked(r *control.KickRequest, name string, c *client) bool {
	s := c.session
	if s != nil && s.ending {
		return false
	}
	switch r.By {
	case control.KickUser:
		return s != nil && s.open && s.user == name
	case control.KickHost:
		p, err := control.ParseHost(name)
		return err == nil && p.Contains(c.peer.Addr().WithZone(""))
	case control.KickClass:
		return c.class == name
	case control.KickSession:
		return strconv.FormatUint(c.id, 10) == name
	}
	return false
}
