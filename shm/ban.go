package shm

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"net/netip"
)

// BanKind is what a ban is about.
type BanKind uint8

// The kinds.
const (
	BanAddress BanKind = iota + 1 // an address or prefix
	BanUser                       // a login name, as the client typed it
	BanUserAt                     // name@address
	BanClass                      // a class of clients
)

// Forever is the expiry of a ban that does not end by itself.
const Forever int64 = math.MaxInt64

// Ban is what the table knows of a ban.
type Ban struct {
	Kind   BanKind
	Expiry int64 // Unix nanoseconds, or Forever
	Bits   int   // of an address: the length of the prefix that fits
}

// BanView looks bans up. Many processes hold one, over a read-only descriptor;
// a look-up takes no lock and allocates nothing. An entry that a killed writer
// left half-written is passed over until the next writer has healed it: it
// refuses nobody.
type BanView struct {
	o    *Object
	w    words
	mask uint64
}

// OpenBanView maps the ban table behind a read-only descriptor, which stays the
// caller's.
func OpenBanView(fd int) (*BanView, error) {
	o := &Object{layout: &BanLayout, path: "ban table", fd: -1}
	if err := o.mapReadOnly(fd); err != nil {
		return nil, err
	}
	if o.entries&(o.entries-1) != 0 {
		o.unmap()
		return nil, o.error(errors.New("the number of entries is no power of two"))
	}
	return newBanView(o), nil
}

func newBanView(o *Object) *BanView {
	return &BanView{o: o, w: o.w, mask: uint64(o.entries - 1)}
}

// Close unmaps the table.
func (v *BanView) Close() { v.o.unmap() }

// HostID is what stands for a virtual host in the table; "" is every host.
func (v *BanView) HostID(name string) uint64 {
	if name == "" {
		return 0
	}
	var buf [256]byte
	h, _ := v.hash(append(append(buf[:0], 'h'), name...))
	return h | 1
}

func (v *BanView) hash(b []byte) (h0, h1 uint64) {
	h0, h1 = sipHash(v.w[headKey0].Load(), v.w[headKey1].Load(), b)
	return h0, h1 | 1 // never 0, 0
}

func (v *BanView) nameHash(kind BanKind, name string) (h0, h1 uint64) {
	var buf [320]byte
	return v.hash(append(append(buf[:0], byte(kind)), name...))
}

// prefixHash is of the address's first n bits.
func (v *BanView) prefixHash(a netip.Addr, n int) (h0, h1 uint64) {
	var buf [18]byte
	if a.Is4() {
		b := a.As4()
		x := binary.BigEndian.Uint32(b[:])
		x = uint32(uint64(x) >> (32 - n) << (32 - n))
		buf[0], buf[1] = 4, byte(n)
		binary.BigEndian.PutUint32(buf[2:], x)
		return v.hash(buf[:6])
	}
	b := a.As16()
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	if n <= 64 {
		hi, lo = hi>>(64-n)<<(64-n), 0
	} else {
		lo = lo >> (128 - n) << (128 - n)
	}
	buf[0], buf[1] = 6, byte(n)
	binary.BigEndian.PutUint64(buf[2:], hi)
	binary.BigEndian.PutUint64(buf[10:], lo)
	return v.hash(buf[:])
}

// Name tells whether a user, user@address or class is banned on a host (its
// HostID), at Unix nanosecond now.
func (v *BanView) Name(kind BanKind, name string, host uint64, now int64) (Ban, bool) {
	h0, h1 := v.nameHash(kind, name)
	return v.find(h0, h1, kind, host, now)
}

// Address tells whether an address, or a prefix that holds it, is banned. The
// longest prefix is looked up first; only lengths in use are.
func (v *BanView) Address(a netip.Addr, host uint64, now int64) (Ban, bool) {
	if a.Is4() {
		return v.prefixes(a, v.w[headBits4].Load(), 0, host, now)
	}
	for i := 2; i >= 0; i-- {
		if b, ok := v.prefixes(a, v.w[headBits6+i].Load(), 64*i, host, now); ok {
			return b, true
		}
	}
	return Ban{}, false
}

func (v *BanView) prefixes(a netip.Addr, used uint64, base int, host uint64, now int64) (Ban, bool) {
	for used != 0 {
		i := 63 - bits.LeadingZeros64(used)
		used &^= 1 << i
		n := base + i
		if n > a.BitLen() {
			continue
		}
		h0, h1 := v.prefixHash(a, n)
		if b, ok := v.find(h0, h1, BanAddress, host, now); ok {
			b.Bits = n
			return b, true
		}
	}
	return Ban{}, false
}

// find walks the entries of a hash up to the first that was never used. Where
// entries moved meanwhile it walks again.
func (v *BanView) find(h0, h1 uint64, kind BanKind, host uint64, now int64) (Ban, bool) {
	for range maxSpins {
		before := v.w[headMoves].Load()
		b, ok := v.walk(h0, h1, kind, host, now)
		if ok || before&1 == 0 && v.w[headMoves].Load() == before {
			return b, ok
		}
	}
	return Ban{}, false
}

func (v *BanView) walk(h0, h1 uint64, kind BanKind, host uint64, now int64) (Ban, bool) {
	var e [banWords]uint64
	for i := range v.mask + 1 {
		r := v.entry(h0 + i)
		if r[banHash0].Load() == 0 && r[banHash1].Load() == 0 && !r.torn() {
			return Ban{}, false
		}
		if r[banHash0].Load() != h0 || !r.read(e[:]) {
			continue
		}
		expiry := int64(e[banExpiry])
		if e[banHash0] == h0 && e[banHash1] == h1 && BanKind(e[banFlags]) == kind &&
			(e[banHost] == 0 || e[banHost] == host) && expiry > now {
			return Ban{Kind: kind, Expiry: expiry}, true
		}
	}
	return Ban{}, false
}

func (v *BanView) entry(i uint64) record { return entryOf(v.w, &BanLayout, int(i&v.mask)) }

// BanTable is the writing end of the ban table: master's.
type BanTable struct {
	*BanView
	o    *Object
	live int
	bits [2][129]int // prefixes of each length, IPv4 and IPv6
}

// ErrBanFull means that a table holds as many bans as it was made for.
var ErrBanFull = errors.New("the ban table is full")

// NewBanTable makes a fresh table for most bans (1 to 4 million) in dir; the
// object is twice as large as they need. Bans are put into it by the caller,
// who knows them.
func NewBanTable(dir, instance string, most int) (*BanTable, error) {
	o, err := CreateObject(dir, instance, &BanLayout, entriesFor(most))
	if err != nil {
		return nil, err
	}
	return keyed(o), nil
}

// OpenBanTable continues with the table that is there, bans and all, where it
// is one for as many; otherwise it makes a fresh one (Origin tells). For a
// daemon that re-executes itself: processes that have the table go on with it.
func OpenBanTable(dir, instance string, most int) (*BanTable, error) {
	o, err := OpenObject(dir, instance, &BanLayout, entriesFor(most))
	if err != nil {
		return nil, err
	}
	if o.Origin != Kept {
		return keyed(o), nil
	}
	if o.entries != entriesFor(most) || o.w[headMoves].Load()&1 != 0 {
		o.Close()
		return NewBanTable(dir, instance, most)
	}
	t := &BanTable{BanView: newBanView(o), o: o}
	t.count()
	return t, nil
}

func entriesFor(most int) int { return 1 << bits.Len(uint(2*most-1)) }

// keyed gives a fresh object its key.
func keyed(o *Object) *BanTable {
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	o.w[headKey0].Store(binary.LittleEndian.Uint64(key[:]))
	o.w[headKey1].Store(binary.LittleEndian.Uint64(key[8:]))
	return &BanTable{BanView: newBanView(o), o: o}
}

// count reads the books off the entries, and heals what a killed writer left.
func (t *BanTable) count() {
	for i := range t.mask + 1 {
		r := t.entry(i)
		heal(r)
		if r[banHash0].Load() == 0 && r[banHash1].Load() == 0 {
			continue
		}
		if r[banExpiry].Load() == 0 {
			continue
		}
		t.live++
		if f := r[banFlags].Load(); BanKind(f) == BanAddress {
			t.bits[f>>16&1][min(f>>8&0xff, 128)]++
		}
	}
}

// Origin tells whether the table is one that was there before.
func (t *BanTable) Origin() Origin { return t.o.Origin }

// ReadOnly opens the table for a process that may not write. The caller owns
// the descriptor.
func (t *BanTable) ReadOnly() (int, error) { return t.o.ReadOnly() }

// Remove removes the object.
func (t *BanTable) Remove() error { return t.o.Remove() }

// Live returns how many bans there are.
func (t *BanTable) Live() int { return t.live }

// PutName bans a name until expiry, or changes the expiry of its ban.
func (t *BanTable) PutName(kind BanKind, name string, host uint64, expiry int64) error {
	h0, h1 := t.nameHash(kind, name)
	_, err := t.put(h0, h1, uint64(kind), host, expiry)
	return err
}

// PutPrefix bans a prefix until expiry, or changes the expiry of its ban.
func (t *BanTable) PutPrefix(p netip.Prefix, host uint64, expiry int64) error {
	n := t.ofLength(p)
	t.setBit(p, true) // before the entry is there, so that no reader misses it
	h0, h1 := t.prefixHash(p.Addr(), p.Bits())
	fresh, err := t.put(h0, h1, prefixFlags(p), host, expiry)
	if fresh {
		*n++
	}
	if *n == 0 {
		t.setBit(p, false)
	}
	return err
}

// ofLength is how many prefixes there are of p's length and family.
func (t *BanTable) ofLength(p netip.Prefix) *int { return &t.bits[prefixFlags(p)>>16][p.Bits()] }

// prefixFlags are the flags of a prefix's entry: kind, length, family.
func prefixFlags(p netip.Prefix) uint64 {
	f := uint64(BanAddress) | uint64(p.Bits())<<8
	if !p.Addr().Is4() {
		f |= 1 << 16
	}
	return f
}

// DropName lifts the ban of a name.
func (t *BanTable) DropName(kind BanKind, name string, host uint64) bool {
	h0, h1 := t.nameHash(kind, name)
	return t.drop(h0, h1, kind, host)
}

// DropPrefix lifts the ban of a prefix.
func (t *BanTable) DropPrefix(p netip.Prefix, host uint64) bool {
	h0, h1 := t.prefixHash(p.Addr(), p.Bits())
	if !t.drop(h0, h1, BanAddress, host) {
		return false
	}
	if n := t.ofLength(p); *n > 1 {
		*n--
	} else {
		*n = 0
		t.setBit(p, false)
	}
	return true
}

func (t *BanTable) setBit(p netip.Prefix, on bool) {
	at, n := headBits4, p.Bits()
	if !p.Addr().Is4() {
		at, n = headBits6+n/64, n%64
	}
	old := t.w[at].Load()
	if on {
		t.w[at].Store(old | 1<<n)
	} else {
		t.w[at].Store(old &^ (1 << n))
	}
}

// heal makes an entry that a killed writer left half-written a dead one: nothing in
// it is to be trusted, but entries behind it may have been put past it.
func heal(r record) {
	if r.torn() {
		r.begin()
		r[banHash1].Store(1)
		r.end()
	}
}

// locate finds the entry of a ban, and the first place for it where there is
// none.
func (t *BanTable) locate(h0, h1 uint64, kind BanKind, host uint64) (at, free record) {
	for i := range t.mask + 1 {
		r := t.entry(h0 + i)
		heal(r)
		a, b, dead := r[banHash0].Load(), r[banHash1].Load(), r[banExpiry].Load() == 0
		if free == nil && dead {
			free = r
		}
		if a == 0 && b == 0 {
			break
		}
		if !dead && a == h0 && b == h1 && BanKind(r[banFlags].Load()) == kind && r[banHost].Load() == host {
			return r, free
		}
	}
	return nil, free
}

func (t *BanTable) put(h0, h1, flags, host uint64, expiry int64) (fresh bool, err error) {
	at, free := t.locate(h0, h1, BanKind(flags), host)
	if at == nil {
		if free == nil || t.live > int(t.mask)/2 {
			return false, ErrBanFull
		}
		fresh = true
		t.live++
		at = free
	}
	at.begin()
	at[banHash0].Store(h0)
	at[banHash1].Store(h1)
	at[banExpiry].Store(uint64(expiry))
	at[banFlags].Store(flags)
	at[banHost].Store(host)
	at.end()
	return fresh, nil
}

// drop takes an entry out and moves those behind it that were put past it, so
// that a walk may always end at a place that was never used.
func (t *BanTable) drop(h0, h1 uint64, kind BanKind, host uint64) bool {
	for i := range t.mask + 1 {
		r := t.entry(h0 + i)
		a, b := r[banHash0].Load(), r[banHash1].Load()
		if a == 0 && b == 0 {
			return false
		}
		if a == h0 && b == h1 && r[banExpiry].Load() != 0 && BanKind(r[banFlags].Load()) == kind && r[banHost].Load() == host {
			t.live--
			t.w[headMoves].Add(1)
			t.closeUp(h0 + i)
			t.w[headMoves].Add(1)
			return true
		}
	}
	return false
}

// closeUp fills the hole at a place from behind.
func (t *BanTable) closeUp(hole uint64) {
	for at := hole + 1; ; at++ {
		r := t.entry(at)
		if r[banHash0].Load() == 0 && r[banHash1].Load() == 0 || at-hole > t.mask {
			break
		}
		home := r[banHash0].Load()
		if (at-home)&t.mask < (at-hole)&t.mask {
			continue // its own place lies behind the hole
		}
		to := t.entry(hole)
		to.begin()
		for i := banHash0; i < banWords; i++ {
			to[i].Store(r[i].Load())
		}
		to.end()
		hole = at
	}
	r := t.entry(hole)
	r.begin()
	for i := banHash0; i < banWords; i++ {
		r[i].Store(0)
	}
	r.end()
}

// Rebuild empties the table and fills it anew by fill, which puts every ban
// there is. Readers wait for the end of it, a bounded time; what they miss
// meanwhile is not banned.
func (t *BanTable) Rebuild(fill func() error) error {
	t.w[headMoves].Add(1)
	defer t.w[headMoves].Add(1)
	for i := range t.mask + 1 {
		r := t.entry(i)
		r.begin()
		for j := banHash0; j < banWords; j++ {
			r[j].Store(0)
		}
		r.end()
	}
	t.live, t.bits = 0, [2][129]int{}
	for at := headBits4; at < headBits6+3; at++ {
		t.w[at].Store(0)
	}
	return fill()
}
