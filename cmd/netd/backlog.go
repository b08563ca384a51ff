package main

import (
	"sync"
	"time"

	"sallyport/ipc"
)

// Bounds of what waits for a store.
const (
	maxBacklog = 1 << 16  // bans, and as many removals
	maxBytes   = 32 << 20 // of keys and values
	maxAsked   = 1 << 10  // questions, and as many events to count
)

// op is a change of a key: the last one that master has sent counts.
type op struct {
	key   string
	value []byte    // nil: the key goes
	until time.Time // zero: for ever
}

func (o *op) size() int { return len(o.key) + len(o.value) }

// seconds are what remains of it, at least one; false: nothing does.
func (o *op) seconds(now time.Time) (int64, bool) {
	if o.until.IsZero() {
		return 0, true
	}
	left := o.until.Sub(now)
	return max(1, int64((left+time.Second-1)/time.Second)), left > 0
}

// backlog is what waits for a store. Whoever puts something in never waits: what
// there is no room for is dropped.
type backlog struct {
	mu      sync.Mutex
	pending map[string]*op
	order   []*op // of pending; replaced ones stay in their place
	removes int   // of pending
	bytes   int
	lost    bool // bans were dropped: master has to send them anew
	asked   []string
	counted []ipc.EventCount
	wake    chan struct{}
}

func newBacklog() *backlog {
	return &backlog{pending: map[string]*op{}, wake: make(chan struct{}, 1)}
}

func (b *backlog) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// put takes a change.
func (b *backlog) put(o op) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.signal()
	if had := b.pending[o.key]; had != nil {
		b.replace(had, o)
		return
	}
	b.add(&o)
}

func (b *backlog) replace(had *op, o op) {
	if o.value != nil && b.bytes+o.size()-had.size() > maxBytes {
		b.lost = true
		return
	}
	b.bytes += o.size() - had.size()
	b.removes += removal(&o) - removal(had)
	*had = o
}

func (b *backlog) add(o *op) {
	n, gone := len(b.pending)-b.removes, removal(o)
	if gone == 1 {
		n = b.removes
	}
	if n >= maxBacklog || gone == 0 && b.bytes+o.size() > maxBytes {
		b.lost = b.lost || gone == 0
		return
	}
	b.pending[o.key] = o
	b.order = append(b.order, o)
	b.bytes += o.size()
	b.removes += gone
}

func removal(o *op) int {
	if o.value == nil {
		return 1
	}
	return 0
}

// take takes the oldest changes out, at most n.
func (b *backlog) take(n int) []*op {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.order[:min(n, len(b.order))]
	b.order = b.order[len(out):]
	for _, o := range out {
		delete(b.pending, o.key)
		b.bytes -= o.size()
		b.removes -= removal(o)
	}
	if len(b.order) == 0 {
		b.order = nil
	}
	return out
}

// back puts changes back that did not reach the store, unless there are later
// ones.
func (b *backlog) back(list []*op) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range list {
		if b.pending[o.key] == nil {
			b.add(o)
		}
	}
}

// ask takes a question, count an event. Where a store is down nobody takes them
// out, and they are forgotten.
func (b *backlog) ask(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.asked) < maxAsked {
		b.asked = append(b.asked, key)
		b.signal()
	}
}

func (b *backlog) count(e ipc.EventCount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.counted) < maxAsked {
		b.counted = append(b.counted, e)
		b.signal()
	}
}

// takeAsked takes all questions and events out.
func (b *backlog) takeAsked() ([]string, []ipc.EventCount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, c := b.asked, b.counted
	b.asked, b.counted = nil, nil
	return a, c
}

// takeLost tells, once, whether bans were dropped.
func (b *backlog) takeLost() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.lost
	b.lost = false
	return was
}
