package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/internal/ban"
	"sallyport/internal/policy"
	"sallyport/shm"
)

// TestBanStoreIsTheModel makes random changes, writes snapshots while more come,
// and reads the files as a killed daemon has left them.
func TestBanStoreIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "bans.")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		const now = int64(time.Hour)
		open := func() (*banStore, *ban.Engine) {
			s, list := openBanStore(dir)
			if len(s.notes) > 0 {
				t.Fatalf("%q", s.notes)
			}
			e := ban.New(nil, s)
			e.Configure(policy.Ban{Engine: true, Most: 1000})
			if left := e.Load(list, now); left != 0 {
				t.Fatalf("%d left", left)
			}
			return s, e
		}
		names := func(e *ban.Engine) map[string]int64 {
			out := map[string]int64{}
			for _, b := range e.All() {
				out[b.Key.String()] = b.Expires
			}
			return out
		}
		s, e := open()
		type flight struct {
			list        []*ban.Ban
			size        int64
			lines, step int
		}
		var f *flight
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			k, _ := ban.NameKey(ban.User, fmt.Sprint("u", rapid.IntRange(0, 5).Draw(t, "name")), "")
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1:
				b := &ban.Ban{Key: k, Expires: now + rapid.Int64Range(1, 1000).Draw(t, "until"), Origin: ban.ByAdmin}
				if _, err := e.Add(b, now); err != nil {
					t.Fatal(err)
				}
			case 2:
				e.Lift(k, false, now)
			case 3: // a snapshot begins, is written, or takes its place in the journal
				switch {
				case f == nil:
					f = &flight{list: e.All(), size: s.size, lines: s.count}
				case f.step == 0:
					f.step = 1
					if err := s.snapshot(f.list); err != nil {
						t.Fatal(err)
					}
				default:
					if err := s.cut(f.size, s.count-f.lines); err != nil {
						t.Fatal(err)
					}
					f = nil
				}
			case 4: // killed
				want := names(e)
				s.journal.Close()
				s, e = open()
				f = nil
				if d := cmp.Diff(want, names(e)); d != "" {
					t.Fatal(d)
				}
			}
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
		}
		want := names(e)
		if err := s.close(e.All()); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(filepath.Join(dir, "bans.journal")); err != nil || st.Size() != 0 {
			t.Fatalf("the journal after a clean end: %v, %v", st, err)
		}
		s, e = open()
		s.journal.Close()
		if d := cmp.Diff(want, names(e)); d != "" {
			t.Fatal(d)
		}
	})
}

// TestBanLookUpAllocatesNothing, neither for who is not banned nor for how many
// hosts and prefix lengths there are.
func TestBanLookUpAllocatesNothing(t *testing.T) {
	m, to := bannedMaster(t, policy.Ban{Engine: true, Most: 1000, Message: "no"})
	for i, p := range []string{"192.0.2.1/32", "198.51.100.0/24", "2001:db8::/48", "2001:db9::/64"} {
		b := &ban.Ban{Key: ban.Key{Kind: ban.Host, Prefix: netip.MustParsePrefix(p)}, Expires: ban.Forever, Origin: ban.ByAdmin}
		if i%2 == 0 {
			b.Server = to.host
		}
		if _, err := m.bans.engine.Add(b, m.bans.now()); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []string{"192.0.2.2", "2001:db8:1::1"} {
		addr := netip.MustParseAddr(a)
		if n := testing.AllocsPerRun(100, func() {
			if _, yes := m.banned(&to, addr); yes {
				t.Fatal("banned")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", a, n)
		}
	}
	for _, a := range []string{"192.0.2.1", "198.51.100.7", "2001:db8:0:5::1", "2001:db9::9"} {
		v, yes := m.banned(&to, netip.MustParseAddr(a))
		if !yes || v.text != "no" {
			t.Errorf("%s: %v %+v", a, yes, v)
		}
	}
	other := to
	other.host = "another"
	if _, yes := m.banned(&other, netip.MustParseAddr("192.0.2.1")); yes {
		t.Error("banned on a host where it is not")
	}
	off := to
	off.set = &policy.Settings{}
	if _, yes := m.banned(&off, netip.MustParseAddr("192.0.2.1")); yes {
		t.Error("banned where the engine is off")
	}
}

// bannedMaster is a master with a ban list and nothing else, and a seat.
func bannedMaster(t testing.TB, cfg policy.Ban) (*master, seat) {
	t.Helper()
	table, err := shm.NewBanTable(t.TempDir(), "test", int(cfg.Most))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = table.Remove() })
	b := &bans{pacing: map[string]int64{}, now: wallNow, most: int(cfg.Most)}
	b.take(table)
	b.engine = ban.New(mirror{b}, nil)
	b.engine.Configure(cfg)
	m := &master{bans: b, gen: newGeneration(1, &policy.Policy{Ban: cfg, Hosts: []policy.Host{{Name: "default"}}})}
	return m, seat{gen: m.gen, host: "default", set: &policy.Settings{BanEngine: true}}
}

// BenchmarkBanned is what a connection costs that is not banned, with as many
// bans of four lengths as there may be.
func BenchmarkBanned(b *testing.B) {
	m, to := bannedMaster(b, policy.Ban{Engine: true, Most: 1 << 20})
	now := m.bans.now()
	for i := range 1_000_000 {
		bits := []int{128, 64, 56, 48}[i%4]
		p, _ := netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 16), byte(i >> 8), byte(i), 1}).Prefix(bits)
		if _, err := m.bans.engine.Add(&ban.Ban{Key: ban.Key{Kind: ban.Host, Prefix: p}, Expires: ban.Forever}, now); err != nil {
			b.Fatal(err)
		}
	}
	i := 0
	for b.Loop() {
		i++
		a := netip.AddrFrom16([16]byte{0x20, 2, byte(i >> 16), byte(i >> 8), byte(i)})
		if _, yes := m.banned(&to, a); yes {
			b.Fatal("banned")
		}
	}
}
