package ban

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/internal/policy"
)

const second = int64(time.Second)

// mirrored is a mirror that remembers, and fails where it has more than most.
type mirrored struct {
	bans map[Key]int64
	most int
}

func (m *mirrored) Put(k Key, expires int64) error {
	if m.most > 0 && len(m.bans) >= m.most {
		return errors.New("full")
	}
	m.bans[k] = expires
	return nil
}
func (m *mirrored) Drop(k Key) { delete(m.bans, k) }

// written is a journal in memory.
type written struct{ bytes.Buffer }

func (w *written) Banned(b *Ban) { w.Write(AddLine(b)) }
func (w *written) Lifted(k Key)  { w.Write(LiftLine(k)) }

func rules(r ...policy.BanRule) policy.Ban {
	return policy.Ban{Engine: true, Most: 1000, Prefix4: 32, Prefix6: 64, Rules: r}
}

func engine(cfg policy.Ban) (*Engine, *mirrored) {
	m := &mirrored{bans: map[Key]int64{}}
	e := New(m, nil)
	e.Configure(cfg)
	return e, m
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func event(name, from string) Event {
	return Event{Name: name, Seen: ByMaster, Addr: addr(from), User: "ann", Class: "lan", Server: "default"}
}

// TestTheNthEventBans: the count is inclusive, the window slides, and whoever was
// banned and permitted starts from nothing.
func TestTheNthEventBans(t *testing.T) {
	for _, count := range []uint32{1, 2, 3, 100} {
		e, m := engine(rules(policy.BanRule{Event: "maxloginattempts", Count: count, Window: 60 * second, Ban: 5 * second, At: "f:7"}))
		now := 1000 * second
		for i := range count {
			out := e.Event(event("MaxLoginAttempts", "192.0.2.1"), now)
			if got := len(out.Banned) > 0; got != (i == count-1) {
				t.Fatalf("count %d: banned at event %d", count, i+1)
			}
			now += 60 * second / int64(count) * 9 / 10
		}
		want := Key{Kind: Host, Prefix: netip.MustParsePrefix("192.0.2.1/32"), Server: "default"}
		if _, ok := m.bans[want]; !ok || len(m.bans) != 1 {
			t.Fatalf("mirror: %v", m.bans)
		}
		if b := e.All()[0]; b.Event != "MaxLoginAttempts" || b.Rule != "f:7" || b.Count != count {
			t.Errorf("%+v", b)
		}
		if l := e.Lift(want, false, now); count > 1 && len(l)+len(e.All()) > 1 {
			t.Errorf("lifted %v", l)
		}
		if count > 1 && len(e.Event(event("MaxLoginAttempts", "192.0.2.1"), now).Banned) > 0 {
			t.Errorf("count %d: banned again by the first event after a permit", count)
		}
	}
	e, _ := engine(rules(policy.BanRule{Event: "FailedLogin", Count: 3, Window: 10 * second, Ban: second}))
	for i, at := range []int64{0, 9, 11, 18, 19} { // two in any ten seconds, until the fourth
		if got := len(e.Event(event("FailedLogin", "192.0.2.1"), (100+at)*second).Banned) > 0; got != (i == 3) {
			t.Errorf("at %d s: banned %v", at, got)
		}
	}
}

// TestSlidingWindowIsTheDefinition compares both kinds of counter with the list of
// all events: the exact one agrees, the other forgets at most a 32nd too late.
func TestSlidingWindowIsTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(3200, 1_000_000).Draw(t, "size")
		count := rapid.SampledFrom([]uint32{1, 2, 7, 32, 33, 500}).Draw(t, "count")
		w := newWindow(size, count)
		var all []int64
		now := int64(1_000_000)
		for range rapid.IntRange(1, 80).Draw(t, "events") {
			now += rapid.Int64Range(0, size/3).Draw(t, "gap")
			all = append(all, now)
			got := w.add(now, count)
			within := func(d int64) (n uint32) {
				for _, a := range all {
					if a > now-d {
						n++
					}
				}
				return n
			}
			if count <= maxExact {
				if want := min(within(size), count); got != want {
					t.Fatalf("%d, want %d", got, want)
				}
			} else if cell := size/cells + 1; got < within(size-cell) || got > within(size+2*cell) {
				t.Fatalf("%d, want %d to %d", got, within(size-cell), within(size+2*cell))
			}
		}
	})
}

func TestWhatARuleBans(t *testing.T) {
	for _, c := range []struct {
		event, addr string
		any         bool
		want        string
	}{
		{"BadProtocol", "192.0.2.1", false, "host 192.0.2.1 default"},
		{"BadProtocol", "::ffff:192.0.2.1", true, "host 192.0.2.1 "},
		{"BadProtocol", "2001:db8::7", true, "host 2001:db8::/64 "},
		{"MaxClientsPerUser", "192.0.2.1", true, "user ann "},
		{"LoginRate", "192.0.2.1", true, "user ann "},
		{"MaxLoginAttemptsFromUser", "2001:db8::7", true, "user@host ann@2001:db8::7 "},
		{"MaxClientsPerClass", "192.0.2.1", true, "host 192.0.2.1 "},
		{"mod_auth.root-login", "192.0.2.1", true, "host 192.0.2.1 "},
		{"my.own-event", "192.0.2.1", true, "host 192.0.2.1 "},
	} {
		cfg := rules(policy.BanRule{Event: c.event, Count: 1, Window: second, Ban: second})
		cfg.AnyHost = c.any
		e, _ := engine(cfg)
		name, _ := Canonical(c.event)
		out := e.Event(event(name, c.addr), second)
		if len(out.Banned) != 1 {
			t.Errorf("%s: %v", c.event, out.Banned)
			continue
		}
		b := out.Banned[0]
		if got := fmt.Sprintf("%s %s %s", KindNames[b.Kind], b.Key, b.Server); got != c.want {
			t.Errorf("%s: %q, want %q", c.event, got, c.want)
		}
	}
}

// TestASessionsWordBansItsAddressAlone: what a session may claim never bans a name,
// and what only master knows is not believed of it.
func TestASessionsWordBansItsAddressAlone(t *testing.T) {
	var all []policy.BanRule
	for _, n := range append(EventNames(), "my.own") {
		all = append(all, policy.BanRule{Event: n, Count: 1, Window: second, Ban: second})
	}
	for _, n := range append(EventNames(), "my.own") {
		e, _ := engine(rules(all...))
		ev := event(n, "192.0.2.1")
		ev.Seen = BySession
		for _, b := range e.Event(ev, second).Banned {
			if b.Kind != Host || b.Prefix != netip.MustParsePrefix("192.0.2.1/32") {
				t.Errorf("%s of a session bans %s %s", n, KindNames[b.Kind], b.Key)
			}
		}
		known := n == "MaxLoginAttempts" || n == "LoginRate" || n == "RootLogin" || n == "FailedLogin"
		if known && e.Len() > 0 {
			t.Errorf("%s is believed of a session", n)
		}
	}
}

func TestWhoIsNeverBanned(t *testing.T) {
	cfg := rules(policy.BanRule{Event: "BadProtocol", Count: 1, Window: second, Ban: second})
	cfg.Never = []policy.AddressItem{{Prefix: "10.0.0.0/8"}, {Prefix: "2001:db8::5/128"}}
	cfg.NeverIn = []string{"staff"}
	e, _ := engine(cfg)
	for _, a := range []string{"10.1.2.3", "::ffff:10.1.2.3", "2001:db8::5"} {
		if out := e.Event(event("BadProtocol", a), second); len(out.Banned) > 0 {
			t.Errorf("%s is banned", a)
		}
	}
	ev := event("BadProtocol", "192.0.2.9")
	ev.Class = "staff"
	if out := e.Event(ev, second); len(out.Banned) > 0 {
		t.Error("a member of staff is banned")
	}
	for _, name := range []string{"10.1.2.3", "10.0.0.0/7", "0.0.0.0/0", "2001:db8::/64"} {
		k, err := NameKey(Host, name, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Add(&Ban{Key: k, Expires: Forever, Origin: ByAdmin}, second); !errors.Is(err, ErrSpared) {
			t.Errorf("%s by hand: %v", name, err)
		}
	}
}

func TestObserveOnlySays(t *testing.T) {
	cfg := rules(policy.BanRule{Event: "BadProtocol", Count: 1, Window: second, Ban: second})
	cfg.Observe = true
	e, m := engine(cfg)
	out := e.Event(event("BadProtocol", "192.0.2.1"), second)
	if len(out.Would) != 1 || len(out.Banned) > 0 || e.Len() > 0 || len(m.bans) > 0 {
		t.Errorf("%+v, %d bans", out, e.Len())
	}
}

func TestEscalation(t *testing.T) {
	e, _ := engine(rules(policy.BanRule{Event: "BadProtocol", Count: 1, Window: second, Ban: 600 * second, Repeat: 4, Max: 24 * 3600 * second}))
	now := 1000 * second
	for _, want := range []int64{600, 2400, 9600, 38400, 86400, 86400} {
		out := e.Event(event("BadProtocol", "192.0.2.1"), now)
		if len(out.Banned) != 1 || out.Banned[0].Expires-now != want*second {
			t.Fatalf("%+v, want %d s", out.Banned, want)
		}
		now = out.Banned[0].Expires + second
		e.Sweep(now)
		if e.Len() != 0 {
			t.Fatal("it does not end")
		}
	}
	now += 40 * 24 * 3600 * second
	e.Sweep(now)
	if out := e.Event(event("BadProtocol", "192.0.2.1"), now); out.Banned[0].Expires-now != 600*second {
		t.Error("after forty quiet days it is still a repetition")
	}
}

// TestAggregation: an attacker's many networks become one entry, within the
// prefixes that rules may ban, and never over one that is spared.
func TestAggregation(t *testing.T) {
	cfg := rules(policy.BanRule{Event: "BadProtocol", Count: 1, Window: second, Ban: 60 * second})
	cfg.Aggregate = []policy.BanAggregate{{Bits: 56, Count: 8}, {Bits: 48, Count: 16}}
	e, m := engine(cfg)
	for i := range 65_536 {
		a := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i), 15: 1})
		e.Event(Event{Name: "BadProtocol", Seen: ByMaster, Addr: a}, second)
	}
	if e.Len() > 40 || len(m.bans) != e.Len() {
		t.Errorf("%d bans, %d mirrored", e.Len(), len(m.bans))
	}
	if f := e.Fitting(addr("2001:db8:1:ffff::9"), "", "", "", 2*second); len(f) == 0 {
		t.Error("a network of the block is not banned")
	}
	if f := e.Fitting(addr("2001:db8:2::9"), "", "", "", 2*second); len(f) > 0 {
		t.Error("another block is banned")
	}
	cfg.Never = []policy.AddressItem{{Prefix: "2001:db8:3:5::/64"}}
	e, _ = engine(cfg)
	for i := range 300 {
		a := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 3, byte(i >> 8), byte(i), 15: 1})
		e.Event(Event{Name: "BadProtocol", Seen: ByMaster, Addr: a}, second)
	}
	if f := e.Fitting(addr("2001:db8:3:5::1"), "", "", "", 2*second); len(f) > 0 {
		t.Error("who is never banned lies in an aggregate")
	}
}

// TestWhatGivesWayWhenFull: never a permanent ban, an administrator's, or a longer
// one for a new shorter one.
func TestWhatGivesWayWhenFull(t *testing.T) {
	cfg := rules(
		policy.BanRule{Event: "BadProtocol", Count: 1, Window: second, Ban: 10 * second},
		policy.BanRule{Event: "RootLogin", Count: 1, Window: second, Ban: 1000 * second},
	)
	cfg.Most = 4
	e, m := engine(cfg)
	add := func(name string, expires int64) {
		k, err := NameKey(Host, name, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Add(&Ban{Key: k, Expires: expires, Origin: ByAdmin}, second); err != nil {
			t.Fatal(err)
		}
	}
	add("192.0.2.1", Forever)
	add("192.0.2.2", 5*second)
	e.Event(event("RootLogin", "192.0.2.3"), second)
	e.Event(event("RootLogin", "192.0.2.4"), second)
	if out := e.Event(event("BadProtocol", "192.0.2.5"), second); len(out.Banned) > 0 || e.Stats.Refused != 1 {
		t.Errorf("a short ban took somebody's place: %v", out.Banned)
	}
	if out := e.Event(event("RootLogin", "192.0.2.6"), 2*second); len(out.Banned) != 1 || e.Stats.Evicted != 1 {
		t.Errorf("nothing gave way to a longer ban: %+v", e.Stats)
	}
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.6"} {
		if len(e.Fitting(addr(a), "", "", "default", 3*second)) != 1 {
			t.Errorf("%s is not banned", a)
		}
	}
	if out := e.Event(event("BadProtocol", "192.0.2.5"), 6*second); len(out.Banned) != 1 {
		t.Error("what has ended keeps its place")
	}
	if len(m.bans) != e.Len() || e.Len() > 4 {
		t.Errorf("%d mirrored, %d bans", len(m.bans), e.Len())
	}
}

// TestNamesCannotBlind: 600,000 sources, names and addresses, leave memory flat,
// and the counter of somebody else goes on.
func TestNamesCannotBlind(t *testing.T) {
	e, _ := engine(rules(
		policy.BanRule{Event: "MaxLoginAttemptsFromUser", Count: 3, Window: 1e18, Ban: second},
		policy.BanRule{Event: "MaxLoginAttempts", Count: 3, Window: 1e18, Ban: 60 * second},
	))
	victim := event("MaxLoginAttemptsFromUser", "198.51.100.7")
	e.Event(victim, 1)
	e.Event(victim, 2)
	host := event("MaxLoginAttempts", "198.51.100.7")
	e.Event(host, 1)
	e.Event(host, 2)
	for i := range 600_000 {
		ev := event("MaxLoginAttemptsFromUser", "203.0.113.9") // one network, ever new names
		if ev.User = fmt.Sprint("user", i); i%2 == 0 {
			ev.Addr = netip.AddrFrom4([4]byte{10, byte(i >> 17), byte(i >> 9), byte(i >> 1)})
		}
		if i > 60_000 && i%2 == 0 {
			continue // addresses are dear: an attacker has some, not all
		}
		e.Event(ev, int64(3+i))
	}
	n := 0
	for _, rs := range e.rules {
		for _, r := range rs {
			n += len(r.counts.by)
			if len(r.counts.by) != r.counts.order.Len() {
				t.Errorf("%d in the map, %d in the list", len(r.counts.by), r.counts.order.Len())
			}
		}
	}
	if n > 2*maxCounters {
		t.Errorf("%d counters", n)
	}
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	if mem.HeapAlloc > 128<<20 {
		t.Errorf("%d MiB", mem.HeapAlloc>>20)
	}
	if len(e.Event(victim, 900_000).Banned) != 1 {
		t.Error("the victim's counter was pushed out")
	}
	if len(e.Event(host, 900_000).Banned) != 1 {
		t.Error("host rules are blind")
	}
}

// TestBooksAgree does everything at random and holds list, mirror, journal and
// heap against each other.
func TestBooksAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, j := &mirrored{bans: map[Key]int64{}}, &written{}
		e := New(m, j)
		cfg := rules(
			policy.BanRule{Event: "BadProtocol", Count: 2, Window: 20, Ban: 30, Repeat: 2, Max: 100},
			policy.BanRule{Event: "MaxLoginAttemptsFromUser", Count: 1, Window: 20, Ban: 15},
		)
		cfg.Most = 6
		cfg.Aggregate = []policy.BanAggregate{{Bits: 48, Count: 3}}
		e.Configure(cfg)
		now := int64(1000)
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += rapid.Int64Range(0, 12).Draw(t, "gap")
			a := rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1", "2001:db9::1"}).Draw(t, "address")
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				k, _ := NameKey(Host, a, rapid.SampledFrom([]string{"", "default"}).Draw(t, "server"))
				_, _ = e.Add(&Ban{Key: k, Created: now, Expires: rapid.SampledFrom([]int64{Forever, now + 5, now + 50}).Draw(t, "until"), Origin: rapid.SampledFrom([]string{ByAdmin, ByStore}).Draw(t, "origin")}, now)
			case 1:
				k, _ := NameKey(Host, a, "")
				e.Lift(k, true, now)
			case 2:
				e.Sweep(now)
			case 3:
				e.Event(event("MaxLoginAttemptsFromUser", a), now)
			default:
				e.Event(event("BadProtocol", a), now)
			}
			if len(e.bans) > 6 {
				t.Fatalf("%d bans", len(e.bans))
			}
			in := 0
			for k, x := range e.bans {
				if m.bans[k] != x.Expires {
					t.Fatalf("%v: mirrored until %d, not %d", k, m.bans[k], x.Expires)
				}
				if x.index >= 0 {
					in++
					if e.soonest[x.index] != x {
						t.Fatal("the heap has lost an entry")
					}
				} else if x.Expires != Forever {
					t.Fatal("a ban would never end")
				}
			}
			if len(m.bans) != len(e.bans) || in != len(e.soonest) {
				t.Fatalf("%d mirrored, %d bans, %d of %d in the heap", len(m.bans), len(e.bans), in, len(e.soonest))
			}
			r, err := Replay(bytes.NewReader(j.Bytes()), nil)
			if err != nil || r.Damaged > 0 {
				t.Fatalf("journal: %v %+v", err, r)
			}
			for k, b := range r.Bans {
				if !b.Live(now) {
					delete(r.Bans, k) // that it has ended need not be written
				}
			}
			var live []*Ban
			for _, b := range e.All() {
				if b.Live(now) {
					live = append(live, b)
				}
			}
			if len(live) != len(r.Bans) {
				t.Fatalf("%d live, %d by the journal", len(live), len(r.Bans))
			}
			for _, b := range live {
				if d := cmp.Diff(b, r.Bans[b.Key], cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
					t.Fatal(d)
				}
			}
		}
	})
}

func TestExplain(t *testing.T) {
	e, _ := engine(rules(
		policy.BanRule{Event: "FailedLogin", Count: 5, Window: 60 * second, Ban: second, At: "x.hcl:3"},
		policy.BanRule{Event: "BadProtocol", Count: 1, Window: second, Ban: 60 * second, At: "x.hcl:9"},
	))
	e.Event(event("FailedLogin", "192.0.2.1"), second)
	e.Event(event("FailedLogin", "192.0.2.1"), second)
	e.Event(event("BadProtocol", "192.0.2.1"), second)
	got := e.Explain(addr("192.0.2.1"), "ann", "lan", "default", 2*second)
	if len(got) != 2 || got[0].Ban == nil || got[0].Ban.Rule != "x.hcl:9" || got[1].Event != "FailedLogin" || got[1].Count != 2 || got[1].Most != 5 {
		t.Errorf("%+v", got)
	}
	if c := e.Counters(2*second, 10); len(c) != 1 || c[0].Source != "192.0.2.1" || c[0].Count != 2 {
		t.Errorf("%+v", c)
	}
	if got := e.Explain(addr("192.0.2.2"), "", "", "", 2*second); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestConfigureKeepsCounters: a reload with the same rule goes on counting, one
// without it stops.
func TestConfigureKeepsCounters(t *testing.T) {
	r := policy.BanRule{Event: "BadProtocol", Count: 2, Window: 60 * second, Ban: second}
	e, _ := engine(rules(r))
	e.Event(event("BadProtocol", "192.0.2.1"), second)
	e.Configure(rules(r))
	if len(e.Event(event("BadProtocol", "192.0.2.1"), 2*second).Banned) != 1 {
		t.Error("the reload has forgotten an event")
	}
	e.Configure(rules())
	if e.Rules("BadProtocol") || len(e.Event(event("BadProtocol", "192.0.2.2"), second).Banned) > 0 {
		t.Error("a rule that is gone still works")
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "192.0.2.77/24": "192.0.2.0/24", "2001:DB8::1": "2001:db8::1",
		"::ffff:10.0.0.0/104": "10.0.0.0/8", "fe80::1%eth0": "", "x": "", "10.0.0.0/33": "", "::ffff:0:0/95": "",
	} {
		k, err := NameKey(Host, name, "")
		if (err == nil) != (want != "") || err == nil && k.String() != want {
			t.Errorf("%q: %q %v, want %q", name, k, err, want)
		}
	}
	if k, err := NameKey(UserAt, "a@b@::ffff:192.0.2.1", ""); err != nil || k.Name != "a@b@192.0.2.1" {
		t.Errorf("%q %v", k.Name, err)
	}
	for _, bad := range []string{"", "ann", "@192.0.2.1", "ann@host", "ann@10.0.0.0/8"} {
		if _, err := NameKey(UserAt, bad, ""); err == nil {
			t.Errorf("%q is a user@host", bad)
		}
	}
	if got := Text("%a %c %u %a", "192.0.2.1", "", "ann"); got != "192.0.2.1 (none) ann 192.0.2.1" {
		t.Error(got)
	}
	if !slices.Contains(EventNames(), "MaxLoginAttempts") {
		t.Error(EventNames())
	}
}
