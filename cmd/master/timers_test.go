package main

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTimersFireInOrder compares the heap with a plain list under random
// arming, stopping and passing of time.
func TestTimersFireInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h timers
		var fired []int
		ts := make([]timer, 20)
		want := map[int]int64{}
		for i := range ts {
			ts[i].fn = func() { fired = append(fired, i) }
		}
		now := int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			i := rapid.IntRange(0, len(ts)-1).Draw(t, "timer")
			switch rapid.IntRange(0, 3).Draw(t, "act") {
			case 0, 1:
				when := now + rapid.Int64Range(0, 50).Draw(t, "in")
				h.set(&ts[i], when)
				want[i] = when
			case 2:
				h.stop(&ts[i])
				delete(want, i)
			case 3:
				now += rapid.Int64Range(0, 30).Draw(t, "pass")
				fired = nil
				h.fire(now)
				var due []int
				for i, when := range want {
					if when <= now {
						due = append(due, i)
						delete(want, i)
					}
				}
				slices.Sort(due)
				if got := slices.Sorted(slices.Values(fired)); !slices.Equal(got, due) {
					t.Fatalf("fired %v, due %v", got, due)
				}
				if !slices.IsSortedFunc(fired, func(a, b int) int { return int(ts[a].when - ts[b].when) }) {
					t.Fatalf("fired out of order: %v", fired)
				}
			}
			for i := range ts {
				if _, armed := want[i]; armed != ts[i].armed() {
					t.Fatalf("timer %d: armed %v", i, ts[i].armed())
				}
			}
			least, ok := h.next()
			if ok != (len(want) > 0) {
				t.Fatalf("next %v with %d armed", ok, len(want))
			}
			for _, when := range want {
				if when < least {
					t.Fatalf("next is %d, but one is due at %d", least, when)
				}
			}
		}
	})
}

// TestTimerFunctionsMayChangeTimers: a function that runs may stop one that is
// due in the same round, and set itself again without running twice.
func TestTimerFunctionsMayChangeTimers(t *testing.T) {
	var h timers
	var a, b timer
	runs := 0
	a.fn = func() { runs++; h.stop(&b); h.set(&a, 5) }
	b.fn = func() { t.Error("a stopped timer fired") }
	h.set(&a, 1)
	h.set(&b, 2)
	h.fire(10)
	if runs != 1 || !a.armed() || b.armed() {
		t.Fatalf("runs %d, a armed %v, b armed %v", runs, a.armed(), b.armed())
	}
	h.fire(10)
	if runs != 2 {
		t.Fatalf("runs %d after the second round", runs)
	}
}
