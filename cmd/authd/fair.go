package main

import (
	"net/netip"
	"slices"
	"time"
)

// network returns what counts as one client: an IPv4 address, an IPv6 /64. A
// peer that cannot be parsed is a network of its own with its like.
func network(peer string) netip.Prefix {
	ap, err := netip.ParseAddrPort(peer)
	if err != nil {
		return netip.Prefix{}
	}
	a, bits := ap.Addr().Unmap().WithZone(""), 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}

// job is one piece of work that waits for its turn.
type job struct {
	net     netip.Prefix
	work    any // what the job is: *hashWork, *pamWork
	lane    *lane
	running bool

	pushed, began time.Time // its turn came at began
}

// lane is the work of one network.
type lane struct {
	net     netip.Prefix
	waiting []*job
	running int
}

// fair hands out turns: round-robin over networks, at most so many of one
// network at work and waiting, so that nobody's guesses delay others' logins.
type fair struct {
	limits limits
	lanes  map[netip.Prefix]*lane
	order  []*lane // those with waiting work, next one first
	total  int     // waiting in all
}

func newFair(l limits) fair {
	return fair{limits: l, lanes: make(map[netip.Prefix]*lane)}
}

// push queues a job; false: too much waits already.
func (f *fair) push(j *job) bool {
	l := f.lanes[j.net]
	if f.total >= f.limits.queue || l != nil && len(l.waiting) >= f.limits.waiting {
		return false
	}
	if l == nil {
		l = &lane{net: j.net}
		f.lanes[j.net] = l
	}
	if len(l.waiting) == 0 {
		f.order = append(f.order, l)
	}
	j.lane = l
	l.waiting = append(l.waiting, j)
	f.total++
	return true
}

// pop returns the next job whose network may run one more, or nil. The caller
// starts it and calls done once.
func (f *fair) pop() *job {
	for i, l := range f.order {
		if l.running >= f.limits.running {
			continue
		}
		j := l.waiting[0]
		l.waiting = slices.Delete(l.waiting, 0, 1)
		f.order = slices.Delete(f.order, i, i+1)
		if len(l.waiting) > 0 {
			f.order = append(f.order, l)
		}
		f.total--
		l.running++
		j.running = true
		return j
	}
	return nil
}

// done frees the place of a job that ran.
func (f *fair) done(j *job) {
	if !j.running {
		return
	}
	j.running = false
	j.lane.running--
	f.tidy(j.lane)
}

// cancel takes a waiting job out; one that runs keeps its place until done.
func (f *fair) cancel(j *job) {
	l := j.lane
	if l == nil || j.running {
		return
	}
	i := slices.Index(l.waiting, j)
	if i < 0 {
		return
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	f.total--
	if len(l.waiting) == 0 {
		f.order = slices.DeleteFunc(f.order, func(x *lane) bool { return x == l })
	}
	f.tidy(l)
}

func (f *fair) tidy(l *lane) {
	if l.running == 0 && len(l.waiting) == 0 {
		delete(f.lanes, l.net)
	}
}
