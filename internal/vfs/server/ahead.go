package server

import (
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ahead looks at entries of a large directory on a second thread, while the
// listing formats lines and looks at others. Asking for the facts is two thirds of
// a listing's time.
//
// The listing hands out stretches of the run of entries that it has in hand, at
// most two at a time, and leaves some entries between them to itself.
type ahead struct {
	stretches [2]stretch    // number n is in place n%2
	order     atomic.Uint32 // how many were handed out
	done      atomic.Uint32 // and looked at
	ending    atomic.Bool
}

// stretch is a part of a run and what is known of its entries.
type stretch struct {
	n        uint32
	fd       int // the directory
	from, to int // places in the run
	of       []entry
	st       [stretchAhead]unix.Stat_t
	err      [stretchAhead]error
}

// Entries of a stretch, and those before it that the listing looks at itself: it
// has the lines to make, too.
const (
	stretchAhead = 640
	stretchOwn   = 384
)

func newAhead() *ahead {
	if alone {
		runtime.GOMAXPROCS(2)
	}
	a := new(ahead)
	go a.run()
	return a
}

func (a *ahead) run() {
	for n := uint32(1); ; n++ {
		await(&a.order, n)
		if a.ending.Load() {
			advance(&a.done)
			return
		}
		s := &a.stretches[n%2]
		for i := range s.of {
			s.err[i] = lstatEntry(s.fd, &s.of[i], &s.st[i])
		}
		advance(&a.done)
	}
}

// await sleeps until v is n or beyond. A channel would do the same through the
// Go scheduler, whose short sleeps are late by master's timer slack.
func await(v *atomic.Uint32, n uint32) {
	for {
		now := v.Load()
		if int32(now-n) >= 0 {
			return
		}
		_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(v)), futexWaitPrivate, uintptr(now), 0, 0, 0)
	}
}

// advance counts v up and wakes who awaits it.
func advance(v *atomic.Uint32) {
	v.Add(1)
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(v)), futexWakePrivate, 1, 0, 0, 0)
}

// Operations of futex(2) within one process.
const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)

// lookAhead hands out the next stretch, where there are so many entries and
// fewer than two are out.
func (l *listing) lookAhead() {
	c := &l.cur
	if c.fd < 0 || l.namesAlone() || l.ahead == nil && len(c.entries)-c.at < 2*(stretchOwn+stretchAhead) {
		return
	}
	if l.ahead == nil {
		l.ahead = newAhead()
	}
	a := l.ahead
	last := a.order.Load()
	from := max(c.at, a.stretches[last%2].to) + stretchOwn
	s := &a.stretches[(last+1)%2]
	if s.to > c.at || from+stretchAhead > len(c.entries) {
		return
	}
	await(&a.done, s.n)
	s.n, s.fd, s.from, s.to = last+1, c.fd, from, from+stretchAhead
	s.of = c.entries[s.from:s.to]
	advance(&a.order)
}

// forget settles what was handed out and drops it. It must come before the
// directory is closed or its run read over.
func (a *ahead) forget() {
	if a == nil {
		return
	}
	await(&a.done, a.order.Load())
	for i := range a.stretches {
		a.stretches[i].from, a.stretches[i].to = 0, 0
	}
}

// facts fills st with what is known of the run's entry number i; ok is false
// where it was not handed out.
func (a *ahead) facts(i int, st *unix.Stat_t) (ok bool, err error) {
	if a == nil {
		return false, nil
	}
	for k := range a.stretches {
		if s := &a.stretches[k]; i >= s.from && i < s.to {
			await(&a.done, s.n)
			*st = s.st[i-s.from]
			return true, s.err[i-s.from]
		}
	}
	return false, nil
}

// stop ends the thread's work.
func (a *ahead) stop() {
	if a == nil {
		return
	}
	a.forget()
	a.ending.Store(true)
	advance(&a.order)
	await(&a.done, a.order.Load())
	if alone {
		runtime.GOMAXPROCS(1)
	}
}
