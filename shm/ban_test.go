package shm

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func banTable(t testing.TB, most int) *BanTable {
	t.Helper()
	b, err := NewBanTable(t.TempDir(), "test", most)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Remove() })
	return b
}

// The first two of the authors' vectors for a result of 128 bits.
func TestSipHash(t *testing.T) {
	var key, in [16]byte
	for i := range key {
		key[i], in[i] = byte(i), byte(i)
	}
	k0, k1 := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	for n, want := range map[int][16]byte{
		0: {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93},
		1: {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45},
	} {
		h0, h1 := sipHash(k0, k1, in[:n])
		var got [16]byte
		binary.LittleEndian.PutUint64(got[:8], h0)
		binary.LittleEndian.PutUint64(got[8:], h1)
		if got != want {
			t.Errorf("%d bytes: %x, want %x", n, got, want)
		}
	}
}

type modelKey struct {
	kind BanKind
	name string
	host string
}

// TestBanTableIsTheModel puts, drops and rebuilds at random and compares every
// look-up with a map.
func TestBanTableIsTheModel(t *testing.T) {
	names := []string{"alice", "bob", "", "alice@192.0.2.1"}
	prefixes := []string{"192.0.2.1/32", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::1/128", "2001:db8::/64", "2001:db8::/48", "2001:db8::/56", "2001:db8:0:1::/64", "::/0"}
	addresses := []string{"192.0.2.1", "192.0.2.9", "198.51.100.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "2001:db9::1"}
	hosts := []string{"", "a", "b"}
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		b, err := NewBanTable(dir, "test", 8)
		if err != nil {
			rt.Fatal(err)
		}
		defer b.Remove()
		m := map[modelKey]int64{}
		put := func(k modelKey, expiry int64) error {
			if k.kind == BanAddress {
				return b.PutPrefix(netip.MustParsePrefix(k.name), b.HostID(k.host), expiry)
			}
			return b.PutName(k.kind, k.name, b.HostID(k.host), expiry)
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			k := modelKey{rapid.SampledFrom([]BanKind{BanAddress, BanUser, BanUserAt, BanClass}).Draw(rt, "kind"), "", rapid.SampledFrom(hosts).Draw(rt, "host")}
			k.name = rapid.SampledFrom(names).Draw(rt, "name")
			if k.kind == BanAddress {
				k.name = rapid.SampledFrom(prefixes).Draw(rt, "prefix")
			}
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				err := b.Rebuild(func() error {
					for k, e := range m {
						if err := put(k, e); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					rt.Fatal(err)
				}
			case 1, 2, 3:
				var had bool
				if k.kind == BanAddress {
					had = b.DropPrefix(netip.MustParsePrefix(k.name), b.HostID(k.host))
				} else {
					had = b.DropName(k.kind, k.name, b.HostID(k.host))
				}
				if _, want := m[k]; had != want {
					rt.Fatalf("drop %+v: %v", k, had)
				}
				delete(m, k)
			default:
				e := rapid.Int64Range(1, 100).Draw(rt, "expiry")
				if err := put(k, e); err == nil {
					m[k] = e
				} else if _, there := m[k]; there || len(m) < 8 {
					rt.Fatalf("put %+v of %d: %v", k, len(m), err)
				}
			}
			if b.Live() != len(m) {
				rt.Fatalf("%d live, %d in the model", b.Live(), len(m))
			}
			now := rapid.Int64Range(0, 100).Draw(rt, "now")
			h := rapid.SampledFrom(hosts).Draw(rt, "asked host")
			for _, kind := range []BanKind{BanUser, BanUserAt, BanClass} {
				for _, n := range names {
					want := m[modelKey{kind, n, ""}] > now || m[modelKey{kind, n, h}] > now
					if _, ok := b.Name(kind, n, b.HostID(h), now); ok != want {
						rt.Fatalf("%d %q on %q: %v", kind, n, h, ok)
					}
				}
			}
			for _, a := range addresses {
				a := netip.MustParseAddr(a)
				want := -1
				for k, e := range m {
					if p, err := netip.ParsePrefix(k.name); k.kind == BanAddress && err == nil && p.Contains(a) && e > now && (k.host == "" || k.host == h) {
						want = max(want, p.Bits())
					}
				}
				got, ok := b.Address(a, b.HostID(h), now)
				if ok != (want >= 0) || ok && got.Bits != want {
					rt.Fatalf("%s on %q: %+v %v, want /%d of %v", a, h, got, ok, want, m)
				}
			}
		}
	})
}

// TestBanTableStaysQuick: a table that is always half full, with entries that
// come and go, keeps places that were never used, so that look-ups end.
func TestBanTableStaysQuick(t *testing.T) {
	b := banTable(t, 1024)
	r := rand.New(rand.NewPCG(1, 2))
	var live []string
	for i := range 200_000 {
		if len(live) >= 1000 {
			j := r.IntN(len(live))
			if !b.DropName(BanUser, live[j], 0) {
				t.Fatalf("%q is gone", live[j])
			}
			live[j] = live[len(live)-1]
			live = live[:len(live)-1]
		}
		n := fmt.Sprint("user", i)
		if err := b.PutName(BanUser, n, 0, Forever); err != nil {
			t.Fatal(err)
		}
		live = append(live, n)
	}
	for _, n := range live {
		if _, ok := b.Name(BanUser, n, 0, 1); !ok {
			t.Fatalf("%q is missing", n)
		}
	}
	used := 0
	for i := range b.mask + 1 {
		if r := b.entry(i); r[banHash0].Load() != 0 || r[banHash1].Load() != 0 {
			used++
		}
	}
	if used != len(live) {
		t.Errorf("%d places are used by %d bans", used, len(live))
	}
}

// TestBanReadersDuringWrites runs under the race detector on heap memory: a ban
// that is always there is always found, one that never is never.
func TestBanReadersDuringWrites(t *testing.T) {
	mem := make([]byte, BanLayout.size(256)+7)
	o := &Object{layout: &BanLayout, fd: -1, w: wordsOf(align(mem)), entries: 256}
	b := keyed(o)
	put := func() error {
		for i := range 50 {
			if err := b.PutName(BanUser, fmt.Sprint("always", i), 0, Forever); err != nil {
				return err
			}
		}
		return b.PutPrefix(netip.MustParsePrefix("2001:db8::/64"), 0, Forever)
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			v := newBanView(o)
			a := netip.MustParseAddr("2001:db8::7")
			for n := 0; !stop.Load(); n++ {
				moving := v.w[headMoves].Load()
				_, ok := v.Name(BanUser, fmt.Sprint("always", n%50), 0, 1)
				_, at := v.Address(a, 0, 1)
				if (!ok || !at) && moving&1 == 0 && v.w[headMoves].Load() == moving {
					t.Errorf("missed: %v %v", ok, at)
					return
				}
				if _, ok := v.Name(BanUser, "never", 0, 1); ok {
					t.Error("found what never was")
					return
				}
			}
		})
	}
	for i := range 3000 {
		n := fmt.Sprint("sometimes", i%70)
		if i%3 == 0 {
			b.DropName(BanUser, n, 0)
		} else if err := b.PutName(BanUser, n, 0, Forever); err != nil {
			t.Error(err)
		}
		if i%500 == 499 {
			if err := b.Rebuild(put); err != nil {
				t.Error(err)
			}
		}
	}
	stop.Store(true)
	readers.Wait()
}

func align(b []byte) []byte {
	for len(b)%8 != 0 {
		b = b[:len(b)-1]
	}
	return b
}

// TestBanTableAfterAKill kills a process that writes bans: those it does not
// touch are found whatever it left half-written, and the next writer heals it.
func TestBanTableAfterAKill(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	torn := 0
	for range rounds {
		dir := shmDir(t)
		cmd, line, _ := child(t, "banner:"+dir)
		if line != "writing" {
			t.Fatal(line)
		}
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond) // another point of its loop
		cmd.Process.Kill()
		cmd.Wait()
		b, err := OpenBanTable(dir, "test", 64)
		if err != nil {
			t.Fatal(err)
		}
		if b.Origin() != Kept { // killed while entries moved: the caller fills a fresh one
			torn++
			_ = b.Remove()
			continue
		}
		for i := range 20 {
			if _, ok := b.Name(BanUser, fmt.Sprint("always", i), 0, 1); !ok {
				t.Fatalf("always%d is lost", i)
			}
		}
		if b.Live() < 20 || b.Live() > 40 {
			t.Fatalf("%d live", b.Live())
		}
		for i := range 20 { // those that were written to: both ways work
			n := fmt.Sprint("moving", i)
			if err := b.PutName(BanUser, n, 0, Forever); err != nil {
				t.Fatal(err)
			}
			if _, ok := b.Name(BanUser, n, 0, 1); !ok {
				t.Fatalf("%s cannot be put", n)
			}
		}
		_ = b.Remove()
	}
	t.Logf("%d of %d kills hit entries that were moving", torn, rounds)
}

// childBanner writes bans until it is killed.
func childBanner(dir string) {
	b, err := NewBanTable(dir, "test", 64)
	if err != nil {
		childFail(err)
	}
	for i := range 20 {
		if err := b.PutName(BanUser, fmt.Sprint("always", i), 0, Forever); err != nil {
			childFail(err)
		}
	}
	for n := 0; ; n++ {
		if n == 64 {
			fmt.Println("writing")
		}
		name := fmt.Sprint("moving", n%20)
		if n/20%2 == 0 {
			if err := b.PutName(BanUser, name, 0, Forever); err != nil {
				childFail(err)
			}
		} else {
			b.DropName(BanUser, name, 0)
		}
	}
}

// TestBanTableIsReadOnlyForOthers: whoever gets the descriptor cannot write.
func TestBanTableIsReadOnlyForOthers(t *testing.T) {
	b := banTable(t, 8)
	if err := b.PutName(BanClass, "bad", 0, Forever); err != nil {
		t.Fatal(err)
	}
	fd, err := b.ReadOnly()
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "ban")
	defer f.Close()
	v, err := OpenBanView(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if _, ok := v.Name(BanClass, "bad", v.HostID("x"), 1); !ok {
		t.Error("a reader does not see the ban")
	}
	cmd, line, _ := child(t, "readonly:probe", f)
	_ = cmd.Wait()
	if want := "map=EACCES mprotect=EACCES truncate=EINVAL"; line != want {
		t.Errorf("%s, want %s", line, want)
	}
}

// BenchmarkBanLookup is a look-up at accept in a table of a million bans of four
// prefix lengths, each time of an address that was not looked up lately.
func BenchmarkBanLookup(b *testing.B) {
	const bans = 1_000_000
	t := banTable(b, bans)
	r := rand.New(rand.NewPCG(3, 4))
	lengths := []int{48, 56, 64, 128}
	address := func() netip.Addr {
		var a [16]byte
		binary.BigEndian.PutUint64(a[:8], r.Uint64()>>3|1<<61)
		binary.BigEndian.PutUint64(a[8:], r.Uint64())
		return netip.AddrFrom16(a)
	}
	for i := range bans {
		p, _ := address().Prefix(lengths[i%4])
		if err := t.PutPrefix(p, 0, Forever); err != nil {
			b.Fatal(err)
		}
	}
	asked := make([]netip.Addr, 1<<20)
	for i := range asked {
		asked[i] = address()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, ok := t.Address(asked[i&(len(asked)-1)], 0, 1); ok {
			b.Fatal("a random address is banned")
		}
	}
}
