package main

import (
	"container/heap"
	"math"
	"time"
)

// timer calls a function at a time, from the loop.
type timer struct {
	at    time.Time
	do    func()
	index int // in the heap; -1: not in it
}

// timers is a heap of them. Deadlines and parked answers live here.
type timers struct {
	h     timerHeap
	clock func() time.Time // nil: time.Now
}

// now reads the clock.
func (t *timers) now() time.Time {
	if t.clock != nil {
		return t.clock()
	}
	return time.Now()
}

// at adds a timer for a moment.
func (t *timers) at(when time.Time, do func()) *timer {
	x := &timer{at: when, do: do}
	heap.Push(&t.h, x)
	return x
}

// after adds a timer.
func (t *timers) after(d time.Duration, do func()) *timer {
	return t.at(t.now().Add(d), do)
}

// cancel takes a timer out; nil and one that has run are fine.
func (t *timers) cancel(x *timer) {
	if x != nil && x.index >= 0 {
		heap.Remove(&t.h, x.index)
	}
}

// wait returns how long epoll_wait may sleep, in milliseconds; -1: for ever.
func (t *timers) wait(now time.Time) int {
	if len(t.h) == 0 {
		return -1
	}
	d := t.h[0].at.Sub(now)
	if d <= 0 {
		return 0
	}
	return int(min((d+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
}

// run calls what is due, including what becomes due on the way.
func (t *timers) run(now time.Time) {
	for len(t.h) > 0 && !t.h[0].at.After(now) {
		x := heap.Pop(&t.h).(*timer)
		x.do()
	}
}

type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
