package shm

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// DelaySamples is the length of a row's ring.
const DelaySamples = delaySamples

// DelayKey names a row of the DelayTable.
type DelayKey struct{ Hi, Lo uint64 }

// NewDelayKey returns the key of a virtual host's row: a hash, since names are
// longer than the place for them.
func NewDelayKey(host, protocol, step string) DelayKey {
	h := sha256.New()
	for _, s := range []string{host, protocol, step} {
		var n [4]byte
		binary.LittleEndian.PutUint32(n[:], uint32(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	sum := h.Sum(nil)
	return DelayKey{binary.LittleEndian.Uint64(sum), binary.LittleEndian.Uint64(sum[8:])}
}

// DelayHead is a row without its samples. Times are nanoseconds.
type DelayHead struct {
	Key      DelayKey
	Step     uint8
	Count    int // samples in the ring
	Next     int // where the next one goes
	Deadline int64
	Floor    int64
	Print    uint64 // of the settings that the samples were taken under
}

// DelayRow is a copy of a row.
type DelayRow struct {
	DelayHead
	Ring [delaySamples]int64 // the first Count are samples
}

// sound tells whether a row can be one: what a reader takes from memory that
// another process writes, or from a file.
func (r *DelayRow) sound() bool {
	if r.Key == (DelayKey{}) || r.Count < 0 || r.Count > delaySamples || r.Next < 0 || r.Next >= delaySamples ||
		r.Deadline < 0 || r.Deadline > delayMost || r.Floor < 0 || r.Floor > delayMost {
		return false
	}
	for _, n := range r.Ring[:r.Count] {
		if n < 0 || n > delayMost {
			return false
		}
	}
	return true
}

// delayMost bounds every time of a row: one hour.
const delayMost = int64(3600e9)

// DelayTable is the DelayTable as its one writer, authd, has it.
type DelayTable struct {
	o      Object
	keys   []DelayKey // of the entries, zero where free
	claim  uint64
	healed int
}

// MapDelay maps the object of fd for writing and heals rows that a killed writer
// has left half-written: they are free afterwards. The descriptor may be closed.
// A writer that has the object already stops writing: see Put.
func MapDelay(fd int) (*DelayTable, error) {
	t := &DelayTable{o: Object{layout: &DelayLayout, path: "delay", fd: -1}}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, t.o.error(err)
	}
	if st.Size < pageSize || st.Size > 1<<30 {
		return nil, t.o.error(fmt.Errorf("%d bytes long", st.Size))
	}
	mem, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, t.o.error(fmt.Errorf("map: %w", err))
	}
	t.o.mem, t.o.w = mem, wordsOf(mem)
	if reason := t.o.checkHeader(st.Size); reason != "" {
		t.o.unmap()
		return nil, t.o.error(errors.New(reason))
	}
	t.start()
	return t, nil
}

// start takes the table over from whoever wrote it before.
func (t *DelayTable) start() {
	t.claim = t.o.w[headWriter].Add(1 << 32) // a pid in the low half, takeovers in the high one
	t.keys = make([]DelayKey, t.o.entries)
	for i := range t.keys {
		r := t.o.entry(i)
		if r.torn() {
			r.begin()
			r.end()
			t.healed++
		}
		t.keys[i] = DelayKey{r[delayHash0].Load(), r[delayHash1].Load()}
	}
}

// Healed returns how many half-written rows were found.
func (t *DelayTable) Healed() int { return t.healed }

// Find returns the slot of a row.
func (t *DelayTable) Find(k DelayKey) (slot int, ok bool) {
	for i, x := range t.keys {
		if x == k && k != (DelayKey{}) {
			return i, true
		}
	}
	return -1, false
}

// Make takes a free slot for a row; false: there is none.
func (t *DelayTable) Make(h DelayHead) (slot int, ok bool) {
	for i, x := range t.keys {
		if x == (DelayKey{}) {
			t.keys[i] = h.Key
			t.Clear(i, h)
			return i, true
		}
	}
	return -1, false
}

// Row copies a row; false: it cannot be one.
func (t *DelayTable) Row(slot int) (DelayRow, bool) {
	var buf [delayWords]uint64
	if !t.o.entry(slot).read(buf[:]) {
		return DelayRow{}, false
	}
	r := decodeDelay(buf[:])
	return r, r.sound()
}

// mine tells whether nobody else has taken the table over: an authd that lives
// on after an upgrade must not write into its successor's table.
func (t *DelayTable) mine() bool { return t.o.w[headWriter].Load() == t.claim }

// Put writes a row's head and, unless at is negative, one sample.
func (t *DelayTable) Put(slot int, h DelayHead, at int, took int64) {
	if slot < 0 || slot >= len(t.keys) || at >= delaySamples || !t.mine() {
		return
	}
	r := t.o.entry(slot)
	r.begin()
	writeDelay(r, &h)
	if at >= 0 {
		r[delayRing+at].Store(uint64(took))
	}
	r.end()
}

// Clear writes a row's head and empties its ring.
func (t *DelayTable) Clear(slot int, h DelayHead) {
	if slot < 0 || slot >= len(t.keys) || !t.mine() {
		return
	}
	r := t.o.entry(slot)
	r.begin()
	for i := delayRing; i < delayWords; i++ {
		r[i].Store(0)
	}
	writeDelay(r, &h)
	r.end()
}

// Evict frees one row that may go; false: there is none.
func (t *DelayTable) Evict(mayGo func(DelayKey) bool) bool {
	for i, k := range t.keys {
		if k != (DelayKey{}) && mayGo(k) {
			t.keys[i] = DelayKey{}
			t.Clear(i, DelayHead{})
			return true
		}
	}
	return false
}

// Close unmaps the table.
func (t *DelayTable) Close() { t.o.unmap() }

func writeDelay(r record, h *DelayHead) {
	r[delayHash0].Store(h.Key.Hi)
	r[delayHash1].Store(h.Key.Lo)
	r[delayStep].Store(uint64(h.Step))
	r[delayCount].Store(uint64(h.Count))
	r[delayNext].Store(uint64(h.Next))
	r[delayDeadline].Store(uint64(h.Deadline))
	r[delayFloor].Store(uint64(h.Floor))
	r[delayPrint].Store(h.Print)
}

func decodeDelay(buf []uint64) DelayRow {
	r := DelayRow{DelayHead: DelayHead{
		Key: DelayKey{buf[delayHash0], buf[delayHash1]}, Step: uint8(buf[delayStep]),
		Count: small(buf[delayCount]), Next: small(buf[delayNext]),
		Deadline: int64(buf[delayDeadline]), Floor: int64(buf[delayFloor]), Print: buf[delayPrint],
	}}
	for i := range r.Ring {
		r.Ring[i] = int64(buf[delayRing+i])
	}
	return r
}

// small makes a claimed count an int that is out of every range where it was
// too large for one.
func small(n uint64) int {
	if n > 1<<20 {
		return -1
	}
	return int(n)
}
