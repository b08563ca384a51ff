package main

// timer is one deadline. Its owner embeds it, so that arming allocates
// nothing; the zero value with fn set is a timer that is not armed.
type timer struct {
	when int64 // nanoseconds of the loop's clock
	at   int   // place in the heap plus one; 0: not armed, -1: about to run
	fn   func()
}

// armed tells whether the timer will fire.
func (t *timer) armed() bool { return t.at != 0 }

// timers is a binary heap of deadlines, the nearest first. Thousands of silent
// clients have one each, therefore arming and stopping cost log n and no
// allocation.
type timers struct{ heap []*timer }

// set arms t for the instant when, or moves it there.
func (h *timers) set(t *timer, when int64) {
	t.when = when
	if t.at <= 0 {
		h.heap = append(h.heap, t)
		t.at = len(h.heap)
		h.up(t.at - 1)
		return
	}
	i := t.at - 1
	h.up(i)
	h.down(t.at - 1)
}

// stop disarms t; a timer that is not armed is left alone.
func (h *timers) stop(t *timer) {
	if t.at <= 0 {
		t.at = 0
		return
	}
	i, last := t.at-1, len(h.heap)-1
	h.swap(i, last)
	h.heap[last] = nil
	h.heap = h.heap[:last]
	t.at = 0
	if i < last {
		h.up(i)
		h.down(h.heap[i].at - 1)
	}
}

// next returns the nearest deadline.
func (h *timers) next() (when int64, ok bool) {
	if len(h.heap) == 0 {
		return 0, false
	}
	return h.heap[0].when, true
}

// fire runs what is due at now. A timer may be set again by its own function;
// what it sets for now or earlier runs in the next round, so that fire ends.
func (h *timers) fire(now int64) {
	var due []*timer
	for len(h.heap) > 0 && h.heap[0].when <= now {
		t := h.heap[0]
		h.stop(t)
		t.at = -1 // due: stop by another function in between is honored
		due = append(due, t)
	}
	for _, t := range due {
		if t.at == -1 {
			t.at = 0
			t.fn()
		}
	}
}

func (h *timers) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].at, h.heap[j].at = i+1, j+1
}

func (h *timers) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if h.heap[p].when <= h.heap[i].when {
			return
		}
		h.swap(i, p)
		i = p
	}
}

func (h *timers) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h.heap) {
			return
		}
		if c+1 < len(h.heap) && h.heap[c+1].when < h.heap[c].when {
			c++
		}
		if h.heap[i].when <= h.heap[c].when {
			return
		}
		h.swap(i, c)
		i = c
	}
}
