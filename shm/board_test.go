package shm

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// heapBoard is a board on the heap, where the race detector sees.
func heapBoard(n int) *Board {
	o := &Object{layout: &BoardLayout, fd: -1, entries: n}
	o.w = make(words, BoardLayout.size(n)/wordSize)
	b, _ := newBoard(o, nil)
	return b
}

func TestBoardAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 5
		b := heapBoard(size)
		model := map[uint64]Record{}
		slots := map[uint64]Slot{}
		var full int64
		next := uint64(1)
		pick := func() (uint64, bool) {
			ids := rapid.SliceOfN(rapid.Uint64Range(1, next), 1, 1).Draw(t, "id")
			_, ok := model[ids[0]]
			return ids[0], ok
		}
		t.Repeat(map[string]func(*rapid.T){
			"claim": func(t *rapid.T) {
				r := drawRecord(t, next)
				next++
				s := b.Claim(r)
				if len(model) == size {
					full++
					if s != NoSlot {
						t.Fatal("a full board had room")
					}
					return
				}
				model[r.ID], slots[r.ID] = r, s
			},
			"update": func(t *rapid.T) {
				if id, ok := pick(); ok {
					r := drawRecord(t, id)
					b.Update(slots[id], r)
					model[id] = r
				}
			},
			"release": func(t *rapid.T) {
				if id, ok := pick(); ok {
					b.Release(slots[id])
					b.Release(slots[id]) // harmless
					delete(model, id)
				}
			},
			"reopen": func(t *rapid.T) {
				o := &Object{layout: &BoardLayout, fd: -1, entries: size, w: b.w}
				b, _ = newBoard(o, nil)
				for id := range model {
					if got := b.Find(id); got != slots[id] {
						t.Fatalf("session %d found in %d, was in %d", id, got, slots[id])
					}
				}
			},
			"": func(t *rapid.T) {
				v := b.Snapshot()
				if v.Unknown != 0 || len(v.Sessions) != len(model) || v.Counters[BoardFull] != full {
					t.Fatalf("%d sessions, %d unknown, %d times full; want %d, 0, %d", len(v.Sessions), v.Unknown, v.Counters[BoardFull], len(model), full)
				}
				for _, r := range v.Sessions {
					if d := cmp.Diff(model[r.ID], r); d != "" {
						t.Fatal(d)
					}
				}
			},
		})
	})
}

func drawRecord(t *rapid.T, id uint64) Record {
	text := func(n int) string { return string(rapid.SliceOfN(rapid.Byte(), 0, n).Draw(t, "text")) }
	return Record{
		ID: id, PID: rapid.Uint32().Draw(t, "pid"), FilesPID: rapid.Uint32().Draw(t, "files"),
		User: text(128), Peer: text(64), Local: text(64), Host: text(128), Class: text(64), Protocol: text(8),
		Stage: Stage(rapid.IntRange(0, 3).Draw(t, "stage")),
		Since: rapid.Int64().Draw(t, "since"), Login: rapid.Int64().Draw(t, "login"),
	}
}

func TestBoardCutsLongTexts(t *testing.T) {
	b := heapBoard(1)
	long := string(make([]byte, 1000))
	b.Claim(Record{ID: 1, User: long, Peer: long, Local: long, Host: long, Class: long, Protocol: long})
	r := b.Snapshot().Sessions[0]
	got := []int{len(r.User), len(r.Peer), len(r.Local), len(r.Host), len(r.Class), len(r.Protocol)}
	if d := cmp.Diff([]int{128, 64, 64, 128, 64, 8}, got); d != "" {
		t.Error(d)
	}
}

func TestNoSlotAndUnknownCountersAreHarmless(t *testing.T) {
	b := heapBoard(1)
	b.Update(NoSlot, Record{ID: 1})
	b.Release(NoSlot)
	b.Update(7, Record{ID: 1})
	b.Add(NumCounters, 1)
	b.Set(255, 1)
	b.Add(SessionsLive, 2)
	b.Add(SessionsLive, -1)
	b.Set(SessionsPeak, 9)
	if b.Get(SessionsLive) != 1 || b.Get(SessionsPeak) != 9 || b.Get(255) != 0 || b.Find(1) != NoSlot {
		t.Errorf("live %d, peak %d", b.Get(SessionsLive), b.Get(SessionsPeak))
	}
}

func TestBoardUnderRace(t *testing.T) {
	b := heapBoard(4)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for id := uint64(1); id <= 3; id++ {
		writers.Go(func() {
			for n := range uint64(1500) {
				s := b.Claim(patterned(id, n))
				b.Update(s, patterned(id, n+1))
				b.Add(Accepted, 1)
				b.Release(s)
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for {
				checkPatterns(t, b.Snapshot())
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if got := b.Get(Accepted); got != 4500 {
		t.Errorf("counted %d of 4500", got)
	}
}

// checkPatterns fails where a record is a mixture of two.
func checkPatterns(t *testing.T, v BoardView) {
	t.Helper()
	for _, r := range v.Sessions {
		if d := cmp.Diff(patterned(r.ID, uint64(r.Since)), r); d != "" {
			t.Fatalf("torn record: %s", d)
		}
	}
}

// TestKilledWriter kills a process that updates a board, again and again. What
// it leaves is either whole or unknown, and the next one heals it.
func TestKilledWriter(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	dir := shmDir(t)
	unknown := 0
	for range rounds {
		cmd, line, _ := child(t, "writer:"+dir)
		if line != "writing" {
			t.Fatal(line)
		}
		r, err := OpenBoardReader(dir, "test")
		if err != nil {
			t.Fatal(err)
		}
		for range rand.IntN(20) {
			checkPatterns(t, r.Snapshot()) // while it writes
		}
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond) // another point of its loop
		cmd.Process.Kill()
		cmd.Wait()

		left := r.Snapshot()
		checkPatterns(t, left)
		r.Close()
		if left.Unknown > 1 || len(left.Sessions)+left.Unknown != 8 {
			t.Fatalf("one writer left %d sessions and %d unknown slots of 8", len(left.Sessions), left.Unknown)
		}
		unknown += left.Unknown
		b, err := OpenBoard(dir, "test", 8)
		if err != nil {
			t.Fatal(err)
		}
		healed := b.Snapshot()
		if b.Origin != Kept || healed.Unknown != 0 || len(healed.Sessions) != len(left.Sessions) {
			t.Fatalf("origin %d, %d unknown and %d sessions after healing", b.Origin, healed.Unknown, len(healed.Sessions))
		}
		b.Close()
	}
	t.Logf("%d of %d kills left a slot half-written", unknown, rounds)
	if unknown == 0 && !testing.Short() {
		t.Error("no kill hit a write: the test proves nothing")
	}
}
