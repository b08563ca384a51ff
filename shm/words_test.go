package shm

import (
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room := rapid.IntRange(0, 16).Draw(t, "room")
		s := string(rapid.SliceOfN(rapid.Byte(), 0, 140).Draw(t, "s"))
		w := make(words, room)
		n := put(w, s)
		if want := min(len(s), room*wordSize); n != want {
			t.Fatalf("put stored %d bytes, want %d", n, want)
		}
		flat := make([]uint64, room)
		for i := range w {
			flat[i] = w[i].Load()
		}
		if got := text(flat, n); got != s[:n] {
			t.Fatalf("got %q, want %q", got, s[:n])
		}
	})
}

func TestTextClampsLengths(t *testing.T) {
	w := []uint64{0x6161616161616161}
	for _, n := range []int{-1 << 40, -1, 0, 8, 9, 1 << 40} {
		if got := len(text(w, n)); got != max(0, min(n, 8)) {
			t.Errorf("length %d of 8 bytes: got %d", n, got)
		}
	}
}

func TestRecordLeftHalfWrittenIsUnknownAndHealed(t *testing.T) {
	r := make(record, 4)
	buf := make([]uint64, 4)
	r.begin()
	r[1].Store(7)
	if r.read(buf) || !r.torn() {
		t.Fatal("a half-written record was read")
	}
	seq := r[0].Load()
	if !r.begin() {
		t.Fatal("the next writer did not notice")
	}
	if r[0].Load() == seq || r[0].Load()&1 == 0 || r[1].Load() != 0 {
		t.Fatalf("healing left sequence %d, word %d", r[0].Load(), r[1].Load())
	}
	r[2].Store(9)
	r.end()
	if !r.read(buf) || buf[1] != 0 || buf[2] != 9 {
		t.Fatalf("after healing: %v", buf)
	}
}

// TestRecordUnderRace runs on the heap, where the race detector sees. The record
// is long, so that nearly every copy meets a write.
func TestRecordUnderRace(t *testing.T) {
	r := make(record, 2048)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for n := range uint64(2000) {
			r.begin()
			for i := 1; i < len(r); i++ {
				r[i].Store(n)
			}
			r.end()
		}
	})
	for range 2 {
		wg.Go(func() {
			buf := make([]uint64, len(r))
			for {
				if r.read(buf) {
					for _, v := range buf[1:] {
						if v != buf[1] {
							t.Errorf("torn: %d beside %d", v, buf[1])
							return
						}
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	wg.Wait()
}
