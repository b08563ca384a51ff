package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/ban"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// bans is the ban list as master keeps it: the engine with its rules, the table
// in shared memory that look-ups are made in, and the list on disk. It is the
// loop's; nobody else writes any of them.
type bans struct {
	engine  *ban.Engine
	table   *shm.BanTable // nil: the ban system has been on nowhere
	most    int
	hosts   map[string]uint64 // what stands for a virtual host in the table
	store   *banStore
	notes   []string // of the opening, for the log
	tick    timer
	pacing  map[string]int64 // loop time before which a kind of line is not repeated
	rebuilt int64            // loop time of the last rebuilding of the table
	stores  banStores
	listing banListing
	now     func() int64 // Unix nanoseconds
}

// banSweep is how often the list is looked through, at least.
const banSweep = time.Minute

func wallNow() int64 { return time.Now().UnixNano() }

// openBans reads the list and fills a table with it, or goes on with the table
// of an earlier image (keep). Where bans are on nowhere it does nothing.
func openBans(p *policy.Policy, keep bool) (*bans, error) {
	b := &bans{pacing: map[string]int64{}, now: wallNow}
	if !p.Ban.Engine {
		return b, nil
	}
	b.most = max(int(p.Ban.Most), 1)
	open := shm.NewBanTable
	if keep {
		open = shm.OpenBanTable
	}
	t, err := open(shm.Dir, p.Global.Instance, b.most)
	if err != nil {
		return nil, err
	}
	if keep && t.Origin() == shm.Rebuilt {
		b.note("the ban table in shared memory could not be used: a new one")
	}
	b.take(t)
	store, list := openBanStore(p.Global.StateDir)
	b.store = store
	b.engine = ban.New(mirror{b}, store)
	b.engine.Configure(p.Ban)
	if left := b.engine.Load(list, b.now()); left > 0 {
		b.note("%d bans of the list on disk do not fit in (ban.max_bans is %d)", left, b.most)
		store.wanted = false // what is on disk is more than what is here
	}
	if t.Live() != b.engine.Len() { // of an image that wrote to the table and not to the journal
		if err := t.Rebuild(b.engine.Mirrored); err != nil {
			b.note("ban table: %v", err)
		}
	}
	if store.wanted {
		if err := store.save(b.engine.All()); err != nil {
			b.note("ban list: %v", err)
		}
	}
	b.notes = append(b.notes, store.notes...)
	store.notes = nil
	return b, nil
}

func (b *bans) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// on tells whether there is a list at all.
func (b *bans) on() bool { return b.table != nil }

// take makes t the table that look-ups are made in.
func (b *bans) take(t *shm.BanTable) { b.table, b.hosts = t, map[string]uint64{} }

// host is what stands for a virtual host in the table.
func (b *bans) host(name string) uint64 {
	id, ok := b.hosts[name]
	if !ok {
		id = b.table.HostID(name)
		b.hosts[name] = id
	}
	return id
}

// mirror puts the engine's list into the table.
type mirror struct{ b *bans }

// Put implements ban.Mirror.
func (m mirror) Put(k ban.Key, expires int64) error {
	if k.Kind == ban.Host {
		return m.b.table.PutPrefix(k.Prefix, m.b.host(k.Server), expires)
	}
	return m.b.table.PutName(k.Kind, k.Name, m.b.host(k.Server), expires)
}

// Drop implements ban.Mirror.
func (m mirror) Drop(k ban.Key) {
	if k.Kind == ban.Host {
		m.b.table.DropPrefix(k.Prefix, m.b.host(k.Server))
		return
	}
	m.b.table.DropName(k.Kind, k.Name, m.b.host(k.Server))
}

// startBans logs what openBans has found and begins to look after the list.
func (m *master) startBans() {
	b := m.bans
	for _, n := range b.notes {
		m.log.Warn(n)
	}
	b.notes = nil
	b.tick.fn = m.banTick
	if b.on() {
		m.banTick()
	}
}

// configureBans puts the rules of a configuration in force. Bans stay.
func (m *master) configureBans(p *policy.Policy) {
	b := m.bans
	if !b.on() {
		if !p.Ban.Engine {
			return
		}
		fresh, err := openBans(p, false)
		if err != nil {
			m.log.Error("ban list", logging.Error(err))
			return
		}
		m.loop.timers.stop(&b.tick)
		m.bans = fresh
		m.startBans()
		m.shareBansWithAll()
		return
	}
	b.engine.Configure(p.Ban)
	b.stores.forget(p.Ban.Share)
	if most := max(int(p.Ban.Most), 1); p.Ban.Engine && most != b.most {
		m.resizeBans(p.Global.Instance, most)
	}
	m.saveBans()
	m.banTick()
}

// resizeBans makes a table for another number of bans. Processes that have the
// former one get the new one.
func (m *master) resizeBans(instance string, most int) {
	b := m.bans
	if err := b.table.Remove(); err != nil {
		m.log.Warn("ban table", logging.Error(err))
	}
	t, err := shm.NewBanTable(shm.Dir, instance, max(most, b.engine.Len()))
	if err != nil {
		m.log.Error("ban table", logging.Error(err))
		return
	}
	b.most = most
	b.take(t)
	if err := b.engine.Mirrored(); err != nil {
		m.log.Error("ban table", logging.Error(err))
	}
	m.shareBansWithAll()
}

// shareBans gives authd the table, to look users up in.
func (m *master) shareBans(a *authd) {
	if !m.bans.on() {
		return
	}
	fd, err := m.bans.table.ReadOnly()
	if err != nil {
		m.log.Error("authd gets no ban table", logging.Error(err))
		return
	}
	m.sendAuthd(a, &ipc.BanShare{}, fd)
	unix.Close(fd)
}

func (m *master) shareBansWithAll() {
	if a := m.authd.now; a != nil {
		m.shareBans(a)
	}
	for _, a := range m.oldAuthd {
		m.shareBans(a)
	}
}

// banTick takes out what has ended, and comes back when the next ban ends.
func (m *master) banTick() {
	b := m.bans
	now := b.now()
	for _, x := range b.engine.Sweep(now) {
		m.banLine(logging.BanExpired, x, fmt.Sprintf("ban for %s '%s' has expired (%s ago)", ban.KindNames[x.Kind], x.Key, seconds(uint32((now-x.Expires)/int64(time.Second)))))
	}
	m.mendTable()
	if b.store.full(b.engine.Len()) {
		m.saveBans()
	}
	m.armBans()
}

// armBans sets the time of the next look.
func (m *master) armBans() {
	b := m.bans
	wait := int64(banSweep)
	if next := b.engine.Next(); next != ban.Forever {
		wait = min(wait, max(next-b.now(), int64(time.Millisecond)))
	}
	m.loop.after(&b.tick, time.Duration(wait))
}

// mendTable fills the table anew where it has not taken every ban.
func (m *master) mendTable() {
	b := m.bans
	if b.engine.Stats.Unmirrored == 0 || m.loop.now < b.rebuilt {
		return
	}
	b.engine.Stats.Unmirrored = 0
	b.rebuilt = m.loop.now + int64(banSweep)
	if err := b.table.Rebuild(b.engine.Mirrored); err != nil {
		b.engine.Stats.Unmirrored = 1
		m.log.Error("ban table", logging.Error(err))
	}
}

// commitBans puts what has changed on disk, before anybody hears of it. The list
// in memory holds whatever comes of it.
func (m *master) commitBans() error {
	b := m.bans
	err := b.store.flush()
	if err != nil && m.paced("journal") {
		m.log.Error("ban list: changes are not on disk", logging.Error(err))
	}
	m.syncBans()
	if b.store.full(b.engine.Len()) {
		m.saveBans()
	}
	m.mendTable()
	m.armBans()
	return err
}

// paced tells whether a kind of line may be logged again; one a second may.
func (m *master) paced(what string) bool {
	b := m.bans
	if m.loop.now < b.pacing[what] {
		return false
	}
	b.pacing[what] = m.loop.now + int64(refusalPacing)
	return true
}

// closeBans writes the list and removes the table.
func (m *master) closeBans() {
	b := m.bans
	if !b.on() {
		return
	}
	if err := b.store.close(b.engine.All()); err != nil {
		m.log.Warn("ban list", logging.Error(err))
	}
	if err := b.table.Remove(); err != nil {
		m.log.Warn("ban table", logging.Error(err))
	}
}

// banKey is the key of a host ban for the prefix of so many bits.
func banKey(a netip.Addr, bits int, server string) ban.Key {
	p, _ := a.Prefix(bits)
	return ban.Key{Kind: ban.Host, Prefix: p, Server: server}
}

func banPath(dir, name string) string { return filepath.Join(dir, "bans."+name) }
