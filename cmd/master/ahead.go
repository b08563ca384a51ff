package main

import (
	"time"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// A client that makes transfer after transfer finds its next passive listener open:
// it comes with the data connection of the last transfer (ipc.Passive.Again,
// ipc.Data.Next). Nobody gets in by it before the session's page names it as
// announced; see passiveReady.

// aheadTime is how long a listener is kept that a client may never ask for,
// aheadUse how long the session may announce it: so that none is announced that is
// about to go.
const (
	aheadTime = 5 * time.Second
	aheadUse  = 2 * time.Second
)

// listenAhead opens the listener of the transfer after this one, of which the client
// does not know yet.
func (m *master) listenAhead(s *session) ipc.Listening {
	if m.crowded(s.c.set.Passive) {
		return ipc.Listening{}
	}
	return m.openPassive(s, true)
}

// crowded tells whether so many ports are in use that half of the range would be
// taken: none is to spare for clients that may not come. Ports of other ranges count,
// too.
func (m *master) crowded(p policy.Passive) bool {
	return p.Min != 0 && 2*(len(m.busy)+1) > int(p.Max)-int(p.Min)+1
}

// expireAhead bounds how long a listener waits to be announced, and then for the
// client.
func (m *master) expireAhead(s *session, d time.Duration) {
	s.data.expiry.fn = func() {
		if s.page.Announced() != s.data.seq {
			m.dropData(s)
			return
		}
		s.data.ahead = false
		m.expireData(s, time.Duration(s.c.set.TimeoutStalled)*time.Second)
	}
	m.loop.after(&s.data.expiry, d)
}
