package main

import (
	"errors"
	"fmt"
	"time"

	"sallyport/internal/control"
	"sallyport/internal/policy"
	"sallyport/shm"
)

// openBoard makes the scoreboard, or goes on with that of an earlier image. Its
// lock is what keeps a second daemon of the same instance away.
func openBoard(g *policy.Global, resumed bool) (*shm.Board, error) {
	open := shm.CreateBoard
	if resumed {
		open = shm.OpenBoard
	}
	b, err := open(shm.Dir, g.Instance, int(g.MaxInstances))
	if errors.Is(err, shm.ErrHeld) {
		return nil, fmt.Errorf("instance %q is running already: %w", g.Instance, err)
	}
	return b, err
}

// count counts an event.
func (m *master) count(c shm.Counter) { m.board.Add(c, 1) }

// record is what the board knows of a session.
func (m *master) record(s *session) shm.Record {
	r := shm.Record{
		ID: s.c.id, PID: uint32(s.pid), User: s.user, Peer: s.c.peer.String(), Local: s.c.local.String(),
		Host: s.c.host, Class: s.c.class, Protocol: s.c.protocol,
		Stage: shm.StageLogin, Since: m.wall(s.c.accepted).UnixNano(),
	}
	if s.files != nil {
		r.FilesPID = uint32(s.files.pid)
	}
	if s.open {
		r.Stage, r.Login = shm.StageOpen, m.wall(s.since).UnixNano()
	}
	if s.ending {
		r.Stage = shm.StageEnding
	}
	return r
}

// onBoard puts a session that has got its client on the board.
func (m *master) onBoard(s *session) {
	s.slot, s.counted = m.board.Claim(m.record(s)), true
	m.board.Add(shm.SessionsLive, 1)
	if n := m.board.Get(shm.SessionsLive); n > m.board.Get(shm.SessionsPeak) {
		m.board.Set(shm.SessionsPeak, n)
	}
}

func (m *master) update(s *session) {
	if s.c != nil {
		m.board.Update(s.slot, m.record(s))
	}
}

// offBoard settles the counters of a session that has gone. What it says of
// its transfers is its own claim.
func (m *master) offBoard(s *session) {
	if !s.counted {
		return
	}
	v, _ := s.page.Snapshot()
	m.board.Add(shm.BytesIn, v.BytesIn)
	m.board.Add(shm.BytesOut, v.BytesOut)
	m.board.Add(shm.SessionsLive, -1)
	if s.open {
		m.board.Add(shm.SessionsOpen, -1)
	}
	m.board.Release(s.slot)
}

// page is a session's report page and the descriptor to share it by.
type page struct {
	*shm.Page
	fd int
}

func newPage() (*page, error) {
	fd, p, err := shm.NewPage()
	if err != nil {
		return nil, err
	}
	return &page{p, fd}, nil
}

// adoptPage takes over a page that an earlier image made. One that cannot be
// read is a page that says nothing.
func adoptPage(fd int) *page {
	p, err := shm.ReadPage(fd)
	if err != nil {
		p = new(shm.Page)
	}
	return &page{p, fd}
}

func (p *page) close() {
	p.Page.Close()
	closeAll([]int{p.fd})
	p.fd = -1
}

// protected tells whether the control connection is under TLS; for explicit TLS
// that is the session's claim.
func (s *session) protected() bool {
	v, _ := s.page.Snapshot()
	return s.c != nil && s.c.tls || v.TLS
}

// transferring is the session's claim that a transfer runs.
func (s *session) transferring() bool {
	v, ok := s.page.Snapshot()
	return ok && (v.State == shm.StateDownloading || v.State == shm.StateUploading || v.State == shm.StateListing)
}

var activities = map[shm.State]string{
	shm.StateAuthenticating: control.ActivityAuthenticating,
	shm.StateIdle:           control.ActivityIdle,
	shm.StateCommand:        control.ActivityCommand,
	shm.StateDownloading:    control.ActivityDownload,
	shm.StateUploading:      control.ActivityUpload,
	shm.StateListing:        control.ActivityListing,
}

// claims adds what a session says of itself.
func (s *session) claims(m *master, i *control.SessionInfo) {
	v, ok := s.page.Snapshot()
	if !ok {
		return
	}
	if a := activities[v.State]; a != "" {
		i.Activity = a
	}
	i.Command, i.Argument, i.Directory = v.Verb, v.Arg, v.Dir
	if v.Since > 0 {
		i.Since = m.wall(v.Since)
	}
	if v.State != shm.StateDownloading && v.State != shm.StateUploading {
		return
	}
	i.Transfer = &control.Transfer{Bytes: uint64(v.Done), Size: uint64(max(v.Size, 0))}
	if d := time.Duration(m.loop.now - v.Since); d > 0 {
		i.Transfer.Rate = uint64(float64(v.Done) / d.Seconds())
	}
}
