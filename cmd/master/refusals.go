package main

import (
	"net/netip"
	"time"

	"sallyport/internal/logging"
	"sallyport/shm"
)

// refusals logs what was refused at accept at a bounded rate: a flood must not
// become a flood of log lines. The board counts every one.
type refusals map[string]*refusal

type refusal struct {
	unreported uint64
	next       int64 // loop time of the next line
}

const refusalPacing = time.Second

var refusalCounters = map[string]shm.Counter{
	refusedInstances:   shm.RefusedInstances,
	refusedRate:        shm.RefusedRate,
	refusedUnauth:      shm.RefusedUnauth,
	refusedUnauthEarly: shm.RefusedEarly,
	refusedOrigin:      shm.RefusedOrigin,
	refusedHost:        shm.RefusedHost,
	refusedBan:         shm.RefusedBan,
	refusedProxy:       shm.RefusedOther,
	refusedPool:        shm.RefusedOther,
	refusedSystem:      shm.RefusedOther,
	refusedDescriptors: shm.RefusedOther,
}

// note counts one refusal; one line a second and reason tells of it. why is one
// of the refused constants.
func (r refusals) note(m *master, why, detail string, peer netip.AddrPort) {
	n, ok := r.pass(m, why)
	if !ok {
		return
	}
	args := []any{logging.Peer(peer.String()), logging.Kind(logging.ConnectionRefused), "reason", why, "count", n}
	if detail != "" {
		args = append(args, logging.KeyError, detail)
	}
	m.log.Warn("connection refused", args...)
}

// pass counts one refusal and tells whether a line may be written, and how many
// it is about.
func (r refusals) pass(m *master, why string) (n uint64, ok bool) {
	m.count(refusalCounters[why])
	x := r[why]
	if x == nil {
		x = &refusal{}
		r[why] = x
	}
	x.unreported++
	if m.loop.now < x.next {
		return 0, false
	}
	n = x.unreported
	x.unreported, x.next = 0, m.loop.now+int64(refusalPacing)
	return n, true
}

// refused counts all refusals since the start.
func (m *master) refused() uint64 {
	var n int64
	for c := shm.RefusedInstances; c <= shm.RefusedOther; c++ {
		n += m.board.Get(c)
	}
	return uint64(n)
}
