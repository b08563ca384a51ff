package shm

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func delayObject(t *testing.T, dir string, n int) *DelayObject {
	t.Helper()
	d, err := OpenDelayObject(dir, "test", n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func mapDelay(t *testing.T, d *DelayObject) *DelayTable {
	t.Helper()
	fd, err := d.ReadWrite()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	w, err := MapDelay(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func row(n uint64) DelayRow {
	r := DelayRow{DelayHead: DelayHead{
		Key: NewDelayKey("host", "ftp", string(rune('a'+n))), Step: 2, Count: 3, Next: 3, Deadline: int64(n) * 1e6, Floor: 7, Print: n,
	}}
	copy(r.Ring[:], []int64{1, 2, int64(n)})
	return r
}

func TestDelayRowsAreSeenByMaster(t *testing.T) {
	d := delayObject(t, shmDir(t), 3)
	d.Seed([DelayKeySize]byte{5, 15: 6}, []DelayRow{row(1)})
	if d.Key() != [DelayKeySize]byte{5, 15: 6} {
		t.Errorf("key %v", d.Key())
	}
	w := mapDelay(t, d)
	slot, ok := w.Find(row(1).Key)
	if got, sound := w.Row(slot); !ok || !sound || got != row(1) {
		t.Fatalf("the seed reads %v %v %+v", ok, sound, got)
	}
	two := row(2)
	slot, ok = w.Make(two.DelayHead)
	if !ok {
		t.Fatal("no room")
	}
	for i, n := range two.Ring[:3] {
		w.Put(slot, two.DelayHead, i, n)
	}
	rows, unknown := d.Rows()
	want := []DelayRow{row(1), two}
	if want[0].Key.Hi > want[1].Key.Hi {
		want[0], want[1] = want[1], want[0]
	}
	if diff := cmp.Diff(want, rows); diff != "" || unknown != 0 {
		t.Errorf("%d unknown, %s", unknown, diff)
	}
	if _, ok := w.Make(row(3).DelayHead); !ok {
		t.Error("no third row")
	}
	if _, ok := w.Make(row(4).DelayHead); ok {
		t.Error("a fourth row of three")
	}
	if w.Evict(func(DelayKey) bool { return false }) || !w.Evict(func(k DelayKey) bool { return k == two.Key }) {
		t.Error("evicted what may not go, or nothing")
	}
	if _, ok := w.Make(row(4).DelayHead); !ok {
		t.Error("a freed row cannot be had")
	}
	w.Clear(slot, two.DelayHead)
	if r, _ := w.Row(slot); r.Ring != [delaySamples]int64{} {
		t.Error("a cleared row has samples")
	}
}

// TestASecondWriterTakesTheTableOver: the authd from before an upgrade writes no
// more into its successor's table.
func TestASecondWriterTakesTheTableOver(t *testing.T) {
	d := delayObject(t, shmDir(t), 4)
	d.Seed([DelayKeySize]byte{}, nil)
	old := mapDelay(t, d)
	slot, _ := old.Make(row(1).DelayHead)
	young := mapDelay(t, d)
	old.Put(slot, row(1).DelayHead, 0, 42)
	old.Clear(slot, DelayHead{})
	if r, ok := young.Row(slot); !ok || r.Ring[0] != 0 || r.Key != row(1).Key {
		t.Errorf("the older writer wrote: %+v", r.DelayHead)
	}
	young.Put(slot, row(1).DelayHead, 0, 42)
	if r, _ := young.Row(slot); r.Ring[0] != 42 {
		t.Error("the younger one cannot write")
	}
}

// TestDelayRowsThatCannotBe: what stands in shared memory is data of another
// process, whatever it is.
func TestDelayRowsThatCannotBe(t *testing.T) {
	for name, spoil := range map[string]func(record){
		"count":    func(r record) { r[delayCount].Store(delaySamples + 1) },
		"huge":     func(r record) { r[delayCount].Store(^uint64(0)) },
		"next":     func(r record) { r[delayNext].Store(delaySamples) },
		"deadline": func(r record) { r[delayDeadline].Store(1 << 63) },
		"floor":    func(r record) { r[delayFloor].Store(uint64(delayMost) + 1) },
		"sample":   func(r record) { r[delayRing+1].Store(^uint64(0)) },
		"odd":      func(r record) { r[delaySeq].Add(1) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := shmDir(t)
			d := delayObject(t, dir, 4)
			d.Seed([DelayKeySize]byte{}, []DelayRow{row(1), row(2)})
			w := mapDelay(t, d)
			spoil(w.o.entry(0))
			if rows, unknown := d.Rows(); len(rows) != 1 || unknown != 1 {
				t.Errorf("%d rows, %d unknown", len(rows), unknown)
			}
			if _, ok := w.Row(0); ok {
				t.Error("the writer takes it for a row")
			}
			if name == "odd" {
				if w = mapDelay(t, d); w.Healed() != 1 {
					t.Errorf("%d healed", w.Healed())
				}
				if _, ok := w.Find(row(1).Key); ok {
					t.Error("a half-written row was believed")
				}
				if rows, unknown := d.Rows(); len(rows) != 1 || unknown != 0 {
					t.Errorf("after healing: %d rows, %d unknown", len(rows), unknown)
				}
			}
		})
	}
}

// TestATruncatedTableKillsNobody: authd could do that; master only reads less.
func TestATruncatedTableKillsNobody(t *testing.T) {
	d := delayObject(t, shmDir(t), 40)
	var all []DelayRow
	for i := range uint64(20) {
		all = append(all, row(i))
	}
	d.Seed([DelayKeySize]byte{}, all)
	if err := unix.Truncate(d.Path(), pageSize+3*delayWords*wordSize+100); err != nil {
		t.Fatal(err)
	}
	if rows, _ := d.Rows(); len(rows) > 3 {
		t.Errorf("%d rows of three", len(rows))
	}
	if _, err := MapDelay(d.o.fd); err == nil {
		t.Error("a writer took the truncated table")
	}
}

// TestKilledDelayWriter kills authd's part again and again, in the middle of
// writing: there is never a mixture of two writes, and at most one row is lost.
func TestKilledDelayWriter(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	dir := shmDir(t)
	d := delayObject(t, dir, 8)
	d.Seed([DelayKeySize]byte{}, nil)
	lost := 0
	for range rounds {
		fd, err := d.ReadWrite()
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "delay")
		cmd, line, _ := child(t, "delay:", f)
		f.Close()
		if line != "writing" {
			t.Fatal(line)
		}
		for range rand.IntN(5) {
			rows, _ := d.Rows()
			checkDelay(t, rows)
		}
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond) // another point of its loop
		cmd.Process.Kill()
		cmd.Wait()
		rows, unknown := d.Rows()
		checkDelay(t, rows)
		if unknown > 1 || len(rows)+unknown != 4 {
			t.Fatalf("%d rows and %d unknown of 4", len(rows), unknown)
		}
		lost += unknown
		w := mapDelay(t, d)
		if rows, left := d.Rows(); w.Healed() != unknown || left != 0 || len(rows)+unknown != 4 {
			t.Fatalf("healed %d of %d, %d rows, %d unknown left", w.Healed(), unknown, len(rows), left)
		}
	}
	t.Logf("%d of %d kills left a row half-written", lost, rounds)
	if lost == 0 && !testing.Short() {
		t.Error("no kill hit a write: the test proves nothing")
	}
}

func checkDelay(t *testing.T, rows []DelayRow) {
	t.Helper()
	for i := range rows {
		r := &rows[i]
		n := r.Deadline
		if r.Count != 0 && (r.DelayHead != delayPattern(r.Key.Hi, n) || r.Ring[n%delaySamples] != n) {
			t.Fatalf("a mixture: %+v, sample %d", r.DelayHead, r.Ring[n%delaySamples])
		}
	}
}

// TestDelayOnTheHeap runs writer and readers where the race detector sees.
func TestDelayOnTheHeap(t *testing.T) {
	l := &DelayLayout
	w := &DelayTable{o: Object{layout: l, w: make(words, l.size(4)/wordSize), entries: 4, fd: -1}}
	w.start()
	slot, _ := w.Make(delayPattern(1, 0))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		defer close(stop)
		for n := range int64(20_000) {
			w.Put(slot, delayPattern(1, n), int(n%delaySamples), n)
		}
	})
	reader := &DelayTable{o: w.o, keys: w.keys}
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if r, ok := reader.Row(slot); ok {
					checkDelay(t, []DelayRow{r})
				}
			}
		})
	}
	wg.Wait()
}

func TestDelayKeysDiffer(t *testing.T) {
	seen := map[DelayKey]bool{}
	for _, k := range []DelayKey{
		NewDelayKey("a", "ftp", "PASS"), NewDelayKey("aftp", "", "PASS"), NewDelayKey("a", "ftpPASS", ""),
		NewDelayKey("a", "ftps", "PASS"), NewDelayKey("a", "ftp", "start"), NewDelayKey("b", "ftp", "PASS"),
	} {
		if seen[k] || k == (DelayKey{}) {
			t.Errorf("%v twice, or none", k)
		}
		seen[k] = true
	}
}

func TestDelaySnapshot(t *testing.T) {
	key := [DelayKeySize]byte{1, 2, 3}
	rows := []DelayRow{row(1), row(2)}
	b := EncodeDelay(key, rows)
	k, got, err := DecodeDelay(b)
	if err != nil || k != key || cmp.Diff(rows, got) != "" {
		t.Fatalf("%v %v %v", err, k, got)
	}
	if _, got, err := DecodeDelay(EncodeDelay(key, nil)); err != nil || len(got) != 0 {
		t.Errorf("an empty one: %v, %v", got, err)
	}
	for i := range b { // one bit anywhere
		c := bytes.Clone(b)
		c[i] ^= 1
		if _, _, err := DecodeDelay(c); err == nil {
			t.Fatalf("byte %d may change", i)
		}
	}
	for _, n := range []int{0, 7, 8, 63, 64, 95, len(b) - 1} {
		if _, _, err := DecodeDelay(b[:n]); err == nil {
			t.Errorf("%d bytes of it were taken", n)
		}
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"foreign": {[]byte("#!/bin/sh\n# not ours at all"), ErrDelayForeign},
		"longer":  {append(bytes.Clone(b), 0), ErrDelayDamaged},
		"twice":   {EncodeDelay(key, []DelayRow{row(1), row(1)}), ErrDelayDamaged},
		"no row":  {EncodeDelay(key, []DelayRow{{}}), ErrDelayDamaged},
	} {
		if _, _, err := DecodeDelay(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := bytes.Clone(b)
	other[8] = 2
	if _, _, err := DecodeDelay(other); !errors.Is(err, ErrDelayVersion) {
		t.Errorf("another version: %v", err)
	}
}

// FuzzDelaySnapshot: whatever stands in the file, decoding ends, and what is
// taken encodes to the same bytes.
func FuzzDelaySnapshot(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte(delayFileMagic))
	f.Add(EncodeDelay([DelayKeySize]byte{9}, nil))
	f.Add(EncodeDelay([DelayKeySize]byte{9}, []DelayRow{row(1)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, rows, err := DecodeDelay(b)
		if err == nil && !bytes.Equal(EncodeDelay(key, rows), b) && !reserved(b) {
			t.Errorf("%d rows encode differently", len(rows))
		}
	})
}

// reserved tells whether the unused bytes of the header are in use.
func reserved(b []byte) bool {
	return !bytes.Equal(b[20:24], make([]byte, 4)) || !bytes.Equal(b[40:64], make([]byte, 24))
}
