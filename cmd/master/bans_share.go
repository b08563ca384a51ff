package main

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sallyport/internal/ban"
	"sallyport/internal/control"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
)

// banStores is what master knows of the stores that bans are shared by.
type banStores struct {
	up     map[string]control.BanStore // by driver and address
	asked  map[ban.Key]int64           // loop time before which the stores are not asked again
	counts map[string]ban.Counted      // asked of the store, by rule and source
}

// Bounds of what the stores are asked.
const (
	askAgain = 10 * time.Second
	maxAsked = 65_536
)

// forget drops what is known of stores that a configuration does not have.
func (s *banStores) forget(share []policy.BanShare) {
	for name, x := range s.up {
		if !slices.ContainsFunc(share, func(p policy.BanShare) bool { return p.Address == x.Address }) {
			delete(s.up, name)
		}
	}
}

func (m *master) shares() []policy.BanShare { return m.gen.policy.Ban.Share }

// sharedKey is the key of a ban in the stores. They know of no virtual hosts.
func sharedKey(k ban.Key) string { return ban.ShareKey(k) }

// publishBan puts a ban of this daemon into the stores.
func (m *master) publishBan(x *ban.Ban) {
	n := m.netd.now
	if n == nil || len(m.shares()) == 0 || x.Origin == ban.ByStore || x.Kind == ban.Class {
		return
	}
	m.sendNetd(n, m.stored(x))
}

// stored is the message that puts a ban into the stores.
func (m *master) stored(x *ban.Ban) *ipc.BanStored {
	at := m.banNode(x.Server)
	now := time.Now()
	q := &ipc.BanStored{Key: sharedKey(x.Key), Value: ban.ShareValue(x, at.Addr().String(), int(at.Port()), now)}
	if x.Expires != ban.Forever {
		q.Seconds = uint32(max(min((x.Expires-now.UnixNano()+int64(time.Second)-1)/int64(time.Second), 1<<31), 1))
	}
	return q
}

// banNode is the address that stands for a virtual host, or for the daemon, in
// the stores: the first that it is reached at.
func (m *master) banNode(server string) netip.AddrPort {
	for _, l := range m.listeners {
		if server == "" || m.gen.rules.HostFor(l.address).Name == server {
			return l.address
		}
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), 21)
}

// unpublishBan takes a ban out of the stores.
func (m *master) unpublishBan(k ban.Key) {
	if n := m.netd.now; n != nil && len(m.shares()) > 0 && k.Kind != ban.Class {
		m.sendNetd(n, &ipc.BanRemoved{Key: sharedKey(k)})
	}
}

// banFound judges what a store says is banned.
func (m *master) banFound(q *ipc.BanFound) {
	b := m.bans
	if !b.on() {
		return
	}
	cfg := &m.gen.policy.Ban
	longest, match := int64(0), false
	for _, s := range cfg.Share {
		longest, match = max(longest, s.Longest), match || s.MatchServer
	}
	now := time.Now()
	x, err := ban.FromShare(q.Value, now, time.Duration(longest), int(cfg.Prefix4), int(cfg.Prefix6))
	if err == nil && sharedKey(x.Key) != q.Key {
		err = fmt.Errorf("%w: it stands under the key of another", ban.ErrShared)
	}
	if err == nil && match && !m.servesAt(x.Node) {
		return
	}
	if err == nil {
		err = m.addFound(x, now.UnixNano())
	}
	if err != nil && m.paced("store") {
		m.log.Warn("a ban of a store is not taken", logging.Error(err))
	}
}

func (m *master) addFound(x *ban.Ban, now int64) error {
	b := m.bans
	old := b.engine.Get(x.Key)
	already, err := b.engine.Add(x, now)
	if err != nil || b.engine.Get(x.Key) == old {
		return err
	}
	_ = m.commitBans()
	if !already {
		m.banLine(logging.BanAdded, x, "banned "+banWords(x))
		m.endBanned(x, nil)
	}
	return nil
}

// servesAt tells whether a node of a store is a listener of ours.
func (m *master) servesAt(node string) bool {
	return slices.ContainsFunc(m.listeners, func(l *listener) bool {
		return node == fmt.Sprintf("%s#%d", l.address.Addr(), l.address.Port())
	})
}

// banGone lifts what another daemon has lifted, as far as it came from there.
func (m *master) banGone(q *ipc.BanGone) {
	b := m.bans
	if !b.on() {
		return
	}
	k, err := ban.FromShareKey(q.Key)
	if err != nil {
		return
	}
	if x := b.engine.Get(k); x == nil || x.Origin != ban.ByStore {
		return
	}
	for _, x := range b.engine.Lift(k, false, b.now()) {
		m.banLine(logging.BanLifted, x, banWords(x)+" permitted by another daemon")
	}
	_ = m.commitBans()
}

// storeState notes whether a store can be reached. One that can again is told of
// every ban of this daemon.
func (m *master) storeState(q *ipc.StoreState) {
	b := m.bans
	if b.stores.up == nil {
		b.stores.up = map[string]control.BanStore{}
	}
	name := q.Driver + " " + q.Address
	was, known := b.stores.up[name]
	b.stores.up[name] = control.BanStore{Address: q.Address, Up: q.Up, Why: q.Error}
	if !known || was.Up != q.Up {
		if q.Up {
			m.log.Log(background, logging.LevelNotice, "ban store reached", "store", name)
		} else {
			m.log.Warn("ban store cannot be reached, the local list holds", "store", name, logging.KeyError, q.Error)
		}
	}
	if q.Up && b.on() {
		m.publishAll()
	}
}

// publishAll tells the stores of every ban of this daemon, at their pace.
func (m *master) publishAll() {
	list := m.bans.engine.All()
	m.netdBulk(func() any {
		for len(list) > 0 {
			x := list[len(list)-1]
			list = list[:len(list)-1]
			if x.Origin != ban.ByStore && x.Kind != ban.Class && m.bans.engine.Get(x.Key) == x && x.Live(m.bans.now()) {
				return m.stored(x)
			}
		}
		return nil
	})
}

// countShared counts an event in the store where all daemons count together.
// What the store says may ban a moment later.
func (m *master) countShared(ev *ban.Event) {
	n := m.netd.now
	if n == nil || !slices.ContainsFunc(m.shares(), func(s policy.BanShare) bool { return s.Counters }) {
		return
	}
	st := &m.bans.stores
	for _, c := range m.bans.engine.Counted(*ev) {
		if len(c.Source) > 512 || len(c.Rule) > 128 {
			continue
		}
		if st.counts == nil || len(st.counts) >= maxAsked {
			st.counts = map[string]ban.Counted{}
		}
		st.counts[c.Rule+" "+c.Source] = c
		m.sendNetd(n, &ipc.EventCount{Rule: c.Rule, Source: c.Source, Seconds: c.Seconds})
	}
}

// eventCounted takes the count of all daemons. Only what was asked for counts.
func (m *master) eventCounted(q *ipc.EventCounted) {
	b := m.bans
	name := q.Rule + " " + q.Source
	c, ok := b.stores.counts[name]
	if !ok || !b.on() {
		return
	}
	delete(b.stores.counts, name)
	if out := b.engine.Reached(c, q.Count, b.now()); len(out.Banned) > 0 {
		m.carryOut(out.Banned, nil)
	}
}

// askStores asks the stores that tell nobody of changes about bans that have not
// been asked for lately. The answer comes too late for what is in hand; whom it
// fits is ended then.
func (m *master) askStores(keys func(ask func(ban.Key))) {
	b, n := m.bans, m.netd.now
	if !b.on() || n == nil || !slices.ContainsFunc(m.shares(), func(s policy.BanShare) bool { return s.Driver == "memcache" }) {
		return
	}
	keys(func(k ban.Key) {
		if m.loop.now < b.stores.asked[k] {
			return
		}
		if b.stores.asked == nil || len(b.stores.asked) >= maxAsked {
			b.stores.asked = map[ban.Key]int64{}
		}
		b.stores.asked[k] = m.loop.now + int64(askAgain)
		m.sendNetd(n, &ipc.BanAsk{Key: sharedKey(k)})
	})
}

// askAddress asks about an address, and about the prefix that rules ban for it.
func (m *master) askAddress(a netip.Addr) {
	m.askStores(func(ask func(ban.Key)) {
		bits := m.bans.ruleBits(a, m.gen.policy)
		ask(banKey(a, a.BitLen(), ""))
		if bits < a.BitLen() {
			ask(banKey(a, bits, ""))
		}
	})
}

// askNames asks about a user, everywhere and at an address.
func (m *master) askNames(a netip.Addr, names ...string) {
	m.askStores(func(ask func(ban.Key)) {
		for _, n := range names {
			if n == "" || len(n) > ban.MaxName-64 {
				continue
			}
			ask(ban.Key{Kind: ban.User, Name: n})
			if a.IsValid() {
				ask(ban.Key{Kind: ban.UserAt, Name: ban.At(n, a)})
			}
		}
	})
}

// ruleBits is the length of the prefix that rules ban for an address.
func (b *bans) ruleBits(a netip.Addr, p *policy.Policy) int {
	n := int(p.Ban.Prefix6)
	if a.Is4() {
		n = int(p.Ban.Prefix4)
	}
	if n < 1 || n > a.BitLen() {
		return a.BitLen()
	}
	return n
}
