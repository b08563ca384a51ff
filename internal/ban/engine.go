package ban

import (
	"container/heap"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"sallyport/internal/policy"
)

// Mirror is where the list can be looked up by others: the table in shared
// memory. Its errors are counted, not fatal: the list here is the true one.
type Mirror interface {
	Put(k Key, expires int64) error
	Drop(k Key)
}

// Journal takes every change before it is acknowledged.
type Journal interface {
	Banned(b *Ban)
	Lifted(k Key)
}

// Event is something a client has done.
type Event struct {
	Name   string
	Seen   Seen
	Addr   netip.Addr
	User   string // as the client named it
	Class  string
	Server string // virtual host
}

// Outcome is what an event has come to.
type Outcome struct {
	Banned  []*Ban // new bans; the sessions they fit are to be ended
	Would   []*Ban // what would have been, in observe mode
	Full    []*Ban // what found no place: the client is sent away all the same
	Message string // for the client whose event it was; "" for none
}

// Engine is the ban list with its rules and counters. It is used by one
// goroutine.
type Engine struct {
	cfg     policy.Ban
	rules   map[string][]*rule // by event
	never   []netip.Prefix
	bans    map[Key]*entry
	soonest expiries
	past    map[Key]*offence         // for escalation
	swept   int64                    // when past was last gone through
	blocks  map[Key]map[Key]struct{} // banned prefixes within each aggregate
	mirror  Mirror
	journal Journal
	Stats   Stats
}

// Stats are the engine's own counts.
type Stats struct {
	Events, Banned, Evicted, Refused, Unmirrored uint64
}

type rule struct {
	policy.BanRule
	index  int
	target Kind
	counts *counters
}

// entry is a ban in the books.
type entry struct {
	*Ban
	index int // in the heap; -1: it does not end
}

// offence remembers a ban that has ended, so that the next one is longer.
type offence struct {
	times uint32
	until int64
}

const maxOffences = 65_536

// New returns an engine without bans. Configure it before use.
func New(m Mirror, j Journal) *Engine {
	return &Engine{bans: map[Key]*entry{}, past: map[Key]*offence{}, blocks: map[Key]map[Key]struct{}{}, mirror: m, journal: j}
}

// Configure puts rules in force. Bans stay; a rule that is the same as before
// keeps its counters.
func (e *Engine) Configure(cfg policy.Ban) {
	old := e.rules
	e.cfg, e.rules, e.never = cfg, map[string][]*rule{}, nil
	for i := range cfg.Rules {
		r := &rule{BanRule: cfg.Rules[i], index: i}
		r.Event, _ = Canonical(r.Event)
		r.target = Target(r.Event)
		r.counts = newCounters(r.Window, r.Count)
		for _, o := range old[r.Event] {
			if o.Window == r.Window && o.Count == r.Count {
				r.counts = o.counts
			}
		}
		e.rules[r.Event] = append(e.rules[r.Event], r)
	}
	for _, n := range cfg.Never {
		if p, err := netip.ParsePrefix(n.Prefix); err == nil && !n.Not {
			e.never = append(e.never, p.Masked())
		}
	}
}

// Rules tells whether any rule waits for the event: what nobody waits for need
// not be reported.
func (e *Engine) Rules(event string) bool { return len(e.rules[event]) > 0 }

// Event counts an event. Only rules that may be set off by who has seen it are.
func (e *Engine) Event(ev Event, now int64) Outcome {
	var out Outcome
	ev.Addr = ev.Addr.Unmap().WithZone("")
	if e.spared(ev.Addr, ev.Class) || !fits(ev.Name, ev.Seen) || !ev.Addr.IsValid() {
		return out
	}
	for _, r := range e.rules[ev.Name] {
		e.Stats.Events++
		src, key, ok := e.source(r, &ev)
		if !ok {
			continue
		}
		if n := r.counts.add(src, e.widen(ev.Addr), r.target == UserAt, now); n >= r.Count {
			e.reached(r, src, key, n, &ev, now, &out)
		}
	}
	return out
}

// reached bans what a rule's event has been counted of often enough.
func (e *Engine) reached(r *rule, src source, key Key, n uint32, ev *Event, now int64, out *Outcome) {
	b := &Ban{
		Key: key, Created: now, Origin: ByRule, Message: r.Message, Event: r.Event, Count: n, Rule: r.At,
		Reason: r.Event + " autoban",
	}
	b.Times = e.times(key, now)
	b.Expires = now + e.length(r, b.Times)
	if e.cfg.Observe {
		out.Would = append(out.Would, b)
		r.counts.reset(src)
		return
	}
	if old := e.bans[key]; old != nil && old.Live(now) && old.Expires >= b.Expires {
		return
	}
	if err := e.put(b, now); err != nil {
		e.Stats.Refused++
		out.Full = append(out.Full, b)
		return
	}
	r.counts.reset(src) // a permit within the window starts from nothing
	out.Banned = append(out.Banned, b)
	out.Banned = append(out.Banned, e.aggregate(b, now)...)
	if out.Message == "" {
		out.Message = e.message(b, ev)
	}
}

// source is what a rule counts of an event, and the ban it would come to.
func (e *Engine) source(r *rule, ev *Event) (source, Key, bool) {
	server := ev.Server
	if e.cfg.AnyHost {
		server = ""
	}
	s, k := source{server: server}, Key{Kind: r.target, Server: server}
	switch r.target {
	case Host:
		s.prefix = e.widen(ev.Addr)
		k.Prefix = s.prefix
	case User:
		s.name = ev.User
	case UserAt:
		s.name = At(ev.User, ev.Addr)
	case Class:
		s.name = ev.Class
	}
	k.Name = s.name
	return s, k, r.target == Host || s.name != "" && len(s.name) <= MaxName && (ev.User != "" || r.target == Class)
}

// widen is the prefix that a rule bans for an address.
func (e *Engine) widen(a netip.Addr) netip.Prefix {
	n := int(e.cfg.Prefix6)
	if a.Is4() {
		n = int(e.cfg.Prefix4)
	}
	if n < 1 || n > a.BitLen() {
		n = a.BitLen()
	}
	p, _ := a.Prefix(n)
	return p
}

// spared tells whether an address or class is never banned.
func (e *Engine) spared(a netip.Addr, class string) bool {
	if class != "" && slices.Contains(e.cfg.NeverIn, class) {
		return true
	}
	return slices.ContainsFunc(e.never, func(p netip.Prefix) bool { return p.Contains(a) })
}

// sparedPrefix tells whether a prefix holds anybody who is never banned.
func (e *Engine) sparedPrefix(p netip.Prefix) bool {
	return slices.ContainsFunc(e.never, func(n netip.Prefix) bool { return n.Overlaps(p) })
}

// length is how long a rule bans the times-th time in a row.
func (e *Engine) length(r *rule, times uint32) int64 {
	d := r.Ban
	for range times - 1 {
		if r.Repeat < 2 {
			break
		}
		if d > (1<<62)/int64(r.Repeat) || r.Max > 0 && d >= r.Max {
			break
		}
		d *= int64(r.Repeat)
	}
	if r.Max > 0 && d > r.Max {
		d = max(r.Max, r.Ban)
	}
	return d
}

// times counts this offence: it follows the last one if it comes before as much
// time has passed again as that ban lasted, and at least an hour.
func (e *Engine) times(k Key, now int64) uint32 {
	if b := e.bans[k]; b != nil && b.Live(now) {
		return b.Times + 1
	}
	if o := e.past[k]; o != nil && now < o.until {
		return o.times + 1
	}
	return 1
}

func (e *Engine) remember(b *Ban) {
	if b.Origin != ByRule {
		return
	}
	if len(e.past) >= maxOffences {
		var victim Key // one that is over, else any
		looks := 0
		for k, o := range e.past {
			victim = k
			if looks++; looks == 16 || o.until < b.Expires {
				break
			}
		}
		delete(e.past, victim)
	}
	const hour = int64(3600e9)
	e.past[b.Key] = &offence{b.Times, b.Expires + max(hour, b.Expires-b.Created)}
}

func (e *Engine) message(b *Ban, ev *Event) string {
	m := b.Message
	if m == "" {
		m = e.cfg.Message
	}
	return Text(m, ev.Addr.String(), ev.Class, ev.User)
}

// ErrFull means that the list holds as many bans as it may and none of them is
// worth less than the new one.
var ErrFull = errors.New("the ban list is full")

// ErrSpared means that what is to be banned is on the list of those who never
// are.
var ErrSpared = errors.New("is never banned (ban.never)")

// Add bans by hand or from a store: b says what, until when and why. It reports
// whether there was such a ban already, which is then replaced.
func (e *Engine) Add(b *Ban, now int64) (already bool, err error) {
	if b.Kind == Host && e.sparedPrefix(b.Prefix) {
		return false, fmt.Errorf("%s %w", b.Key, ErrSpared)
	}
	if b.Kind == Class && slices.Contains(e.cfg.NeverIn, b.Name) {
		return false, fmt.Errorf("class %s %w", b.Name, ErrSpared)
	}
	old := e.bans[b.Key]
	already = old != nil && old.Live(now)
	if already && b.Origin == ByStore && (old.Origin != ByStore || old.Expires >= b.Expires) {
		return true, nil // what is known here is worth more
	}
	b.Times = max(b.Times, 1)
	return already, e.put(b, now)
}

// put enters a ban, in place of a former one of its key.
func (e *Engine) put(b *Ban, now int64) error {
	if e.bans[b.Key] == nil && !e.room(b, now) {
		return ErrFull
	}
	if old := e.bans[b.Key]; old != nil {
		e.out(old)
	}
	e.in(b)
	e.Stats.Banned++
	if e.journal != nil {
		e.journal.Banned(b)
	}
	return nil
}

func (e *Engine) in(b *Ban) {
	x := &entry{b, -1}
	e.bans[b.Key] = x
	if b.Expires != Forever {
		heap.Push(&e.soonest, x)
	}
	e.block(b.Key, true)
	if e.mirror != nil && e.mirror.Put(b.Key, b.Expires) != nil {
		e.Stats.Unmirrored++
	}
}

func (e *Engine) out(x *entry) {
	delete(e.bans, x.Key)
	if x.index >= 0 {
		heap.Remove(&e.soonest, x.index)
	}
	e.block(x.Key, false)
	if e.mirror != nil {
		e.mirror.Drop(x.Key)
	}
}

// room makes a place for b: what has ended goes, then, where b is a rule's or an
// administrator's, the rule's or store's ban that ends soonest, if it ends before
// b does. A permanent ban, or an administrator's, never gives way.
func (e *Engine) room(b *Ban, now int64) bool {
	if len(e.bans) < int(max(e.cfg.Most, 1)) {
		return true
	}
	e.Expire(now)
	if len(e.bans) < int(max(e.cfg.Most, 1)) {
		return true
	}
	if victim := e.cheapest(b); victim != nil {
		e.out(victim)
		if e.journal != nil {
			e.journal.Lifted(victim.Key)
		}
		e.Stats.Evicted++
		return true
	}
	return false
}

// cheapest is the ban that ends soonest among the first of the heap that may
// give way to b.
func (e *Engine) cheapest(b *Ban) *entry {
	var best *entry
	for _, x := range e.soonest[:min(len(e.soonest), 64)] {
		if x.Origin != ByAdmin && x.Expires < b.Expires && (best == nil || x.Expires < best.Expires) {
			best = x
		}
	}
	return best
}

// Lift ends the bans of a name: of one virtual host, or with all set of every
// one. It returns those that were there.
func (e *Engine) Lift(k Key, all bool, now int64) []*Ban {
	var out []*Ban
	lift := func(x *entry) {
		e.out(x)
		delete(e.past, x.Key)
		if e.journal != nil {
			e.journal.Lifted(x.Key)
		}
		if x.Live(now) {
			out = append(out, x.Ban)
		}
	}
	if !all {
		if x := e.bans[k]; x != nil {
			lift(x)
		}
		return out
	}
	for key, x := range e.bans {
		if key.Kind == k.Kind && key.Name == k.Name && key.Prefix == k.Prefix {
			lift(x)
		}
	}
	return out
}

// Expire takes out what has ended and returns it.
func (e *Engine) Expire(now int64) []*Ban {
	var out []*Ban
	for len(e.soonest) > 0 && !e.soonest[0].Live(now) {
		x := e.soonest[0]
		e.out(x)
		e.remember(x.Ban)
		out = append(out, x.Ban)
	}
	return out
}

// Sweep does the housekeeping of a moment: ended bans, and counters nobody adds
// to.
func (e *Engine) Sweep(now int64) []*Ban {
	for _, rs := range e.rules {
		for _, r := range rs {
			r.counts.sweep(now, 1024)
		}
	}
	if since := now - e.swept; since >= sweepEvery || since < 0 {
		e.swept = now
		for k, o := range e.past {
			if o.until < now {
				delete(e.past, k)
			}
		}
	}
	return e.Expire(now)
}

// sweepEvery is how often, in nanoseconds, all offences are gone through: bans may
// end every millisecond, and there may be 65,536 of what they leave.
const sweepEvery = int64(60e9)

// Next is when the next ban ends, Forever if none does.
func (e *Engine) Next() int64 {
	if len(e.soonest) == 0 {
		return Forever
	}
	return e.soonest[0].Expires
}

// All returns the list, in no order.
func (e *Engine) All() []*Ban {
	out := make([]*Ban, 0, len(e.bans))
	for _, x := range e.bans {
		out = append(out, x.Ban)
	}
	return out
}

// Len is the length of the list.
func (e *Engine) Len() int { return len(e.bans) }

// expiries is a heap of entries, the one that ends soonest first.
type expiries []*entry

func (h expiries) Len() int           { return len(h) }
func (h expiries) Less(i, j int) bool { return h[i].Expires < h[j].Expires }
func (h expiries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is heap.Interface's.
func (h *expiries) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop is heap.Interface's.
func (h *expiries) Pop() any {
	old := *h
	x := old[len(old)-1]
	x.index = -1
	*h = old[:len(old)-1]
	return x
}
