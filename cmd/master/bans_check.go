package main

import (
	"net/netip"

	"sallyport/internal/ban"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/shm"
)

// verdict is why a client is banned.
type verdict struct {
	key  ban.Key
	text string // for the client; "" for none
}

// banned tells whether a client may not sit there: because of its address, or
// because of its class. A client that is not banned costs some look-ups in the
// table, no lock and no memory.
func (m *master) banned(to *seat, a netip.Addr) (v verdict, yes bool) {
	b := m.bans
	if b.table == nil || !to.set.BanEngine || !a.IsValid() || b.table.Live() == 0 {
		return v, false
	}
	a = a.WithZone("")
	now, host := b.now(), b.host(to.host)
	if x, ok := b.table.Address(a, host, now); ok {
		return m.judged(to, a, banKey(a, x.Bits, to.host), now)
	}
	if to.class == "" {
		return v, false
	}
	if _, ok := b.table.Name(shm.BanClass, to.class, host, now); ok {
		return m.judged(to, a, ban.Key{Kind: ban.Class, Name: to.class, Server: to.host}, now)
	}
	return v, false
}

// judged is the verdict on a client that the table refuses. Those who are never
// banned are let in, also where a ban is older than that word.
func (m *master) judged(to *seat, a netip.Addr, k ban.Key, now int64) (verdict, bool) {
	e := m.bans.engine
	if e.Spared(ban.Event{Addr: a, Class: to.class}) {
		return verdict{}, false
	}
	x := e.Get(k)
	if x == nil || !x.Live(now) {
		k.Server = ""
		x = e.Get(k)
	}
	message := ""
	if x != nil {
		message = x.Message
	}
	return verdict{k, m.banText(message, to.set, a, to.class, "")}, true
}

// banText is what a client hears of a ban: the rule's words, the host's, or the
// daemon's. "" is none.
func (m *master) banText(message string, set *policy.Settings, a netip.Addr, class, user string) string {
	if message == "" {
		message = set.BanMessage
	}
	if message == "" {
		message = m.gen.policy.Ban.Message
	}
	if message == "" {
		return ""
	}
	return clip(oneLine(ban.Text(message, a.String(), class, user)), 500)
}

// banReply is the last reply to a client without a session.
func banReply(text string) string {
	if text == "" {
		return ""
	}
	return "530 " + text + "\r\n"
}

// userBanned tells whether an account, or the account at this address, is banned
// by its name or by the one that the client has used for it.
func (m *master) userBanned(c *client, names ...string) bool {
	b := m.bans
	if b.table == nil || !c.base.BanEngine || b.table.Live() == 0 {
		return false
	}
	now, host, a := b.now(), b.host(c.host), c.origin()
	if b.engine.Spared(ban.Event{Addr: a, Class: c.class}) {
		return false
	}
	for _, n := range names {
		if n == "" {
			continue
		}
		if _, ok := b.table.Name(shm.BanUser, n, host, now); ok {
			return true
		}
		if !a.IsValid() {
			continue
		}
		if _, ok := b.table.Name(shm.BanUserAt, ban.At(n, a), host, now); ok {
			return true
		}
	}
	return false
}

// turnedAway refuses a new connection that is banned, or that is one too many
// within a time. It is told so, or nothing, and costs no process.
func (m *master) turnedAway(l *listener, fd int, peer netip.AddrPort) bool {
	b := m.bans
	if b.table == nil {
		return false
	}
	rule := b.engine.Rules("ClientConnectRate")
	if !rule && b.table.Live() == 0 {
		return false
	}
	local, err := localAddr(fd)
	if err != nil {
		return false // it has gone; whoever comes next sees that
	}
	to := m.decide(peer.Addr(), local)
	v, yes := m.banned(&to, peer.Addr())
	if !yes && rule {
		v.key.Kind = 0
		v.text, yes = m.event("ClientConnectRate", ban.ByMaster, &to, peer.Addr(), "", nil)
	}
	if !yes {
		return false
	}
	if v.text != "" && l.tls != "implicit" {
		sendNow(fd, []byte(banReply(v.text)))
	}
	m.noteBanned(v, peer)
	return true
}

// noteBanned counts a refusal because of a ban; one line a second tells of it.
func (m *master) noteBanned(v verdict, peer netip.AddrPort) {
	if v.key.Kind == 0 { // the event that banned has its own line
		m.count(shm.RefusedBan)
		return
	}
	n, ok := m.refusals.pass(m, refusedBan)
	if !ok {
		return
	}
	kind := ban.KindNames[v.key.Kind]
	m.log.Log(background, logging.LevelNotice, "Login denied: "+kind+" '"+logging.Escape(v.key.String())+"' banned",
		logging.Peer(peer.String()), logging.Kind(logging.ConnectionRefused), "reason", refusedBan, "count", n)
	m.banLog("login from " + kind + " '" + v.key.String() + "' denied due to " + kind + " ban")
}

// turnAway ends a client without a session that is banned by now.
func (m *master) turnAway(c *client) bool {
	to := c.seat()
	v, yes := m.banned(&to, c.origin())
	if !yes {
		return false
	}
	m.noteBanned(v, c.peer)
	m.loop.farewell(&c.fd, c.partingWords(banReply(v.text)))
	m.drop(c)
	return true
}

// seat is where a client sits.
func (c *client) seat() seat {
	return seat{gen: c.gen, host: c.host, class: c.class, cert: c.cert, set: c.set}
}
