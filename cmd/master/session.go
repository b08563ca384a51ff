package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/ban"
	"sallyport/internal/logging"
	"sallyport/ipc"
	"sallyport/shm"
)

// session is one session process: first a spare of the pool, then the only
// process that its client talks to, never a second client's.
type session struct {
	*child
	lane      *ipc.Conn // it asks, master answers
	laneQ     *ipc.Queue
	laneWaits bool      // and epoll says when there is room
	notice    *ipc.Conn // master tells
	noticeQ   *ipc.Queue
	page      *page
	slot      shm.Slot
	c         *client // nil in the pool

	auth    *authd // the authd that knows it; nil: none, or it died
	open    bool   // logged in: the channels are in state open
	ending  bool   // told to leave, or cut off
	reason  string
	user    string
	uid     uint32
	drains  bool  // of a former version of the daemon
	since   int64 // loop time of the login
	authEnd int   // authd's end of the login channel while authd is not ready for it; -1
	login   *login
	files   *filesProc
	data    data
	counted bool // on the board
	idle    timer
	bereft  timer // its files process has left
	pam     []*child
	reports bucket
	logs    sessionLogs

	rehosting  bool // authd has not yet said that it knows of the new host
	selections int  // hosts asked for
	anonymous  uint32
	email      string // what an anonymous client gave as its password: its own word
	named      string // what the client named, where that is an alias
	tried      string // what it named in the last attempt that failed
	place      *place // what its login takes; nil before
	transfer   string // command of the transfer that counts; "": none
	connected  int64  // loop time of the last data connection it got; 0: none
	lifetime   uint32 // TimeoutSession in seconds
	answering  bool   // the answer to a failed login has not left yet
	parting    bool   // and the client leaves with it
	condemned  bool   // banned: ended behind that answer
	sentence   string // and told this
	turned     bool   // a right password was refused for good: no failed login
	quiet      timer  // TimeoutNoTransfer
	life       timer  // TimeoutSession

	pamStarting int // helpers asked for and not yet started
}

// Bounds of what a session may send: far above any client's pace, far below
// what could disturb the loop.
const (
	laneBurst  = 8192
	laneWindow = time.Second
	laneQueue  = 8
	noticeMax  = 16
	killAfter  = 2 * time.Second // from End to SIGKILL
)

// newSession makes the book entry of a session process just started.
func (m *master) newSession(c *child, lane, notice int, p *page) (*session, error) {
	s := &session{
		child: c, page: p, slot: shm.NoSlot, authEnd: -1, data: newData(),
		lane:   ipc.New(lane, ipc.SessionLane, ipc.Master),
		notice: ipc.New(notice, ipc.SessionNotice, ipc.Master),
	}
	s.laneQ, s.noticeQ = ipc.NewQueue(s.lane, laneQueue), ipc.NewQueue(s.notice, noticeMax)
	s.lane.Limit(m.burst(), laneWindow)
	s.logs.records = newBucket(recordBurst, time.Second, m.loop.now)
	s.reports = newBucket(20, 10*time.Second, m.loop.now)
	s.idle.fn = func() { m.idleCheck(s) }
	s.quiet.fn = func() { m.noTransferCheck(s) }
	s.life.fn = func() { m.sessionTimeout(s) }
	return s, m.watchSession(s)
}

func (m *master) watchSession(s *session) error {
	return errors.Join(
		m.loop.add(s.lane.FD(), unix.EPOLLIN, func(ev uint32) { m.laneReady(s, ev) }),
		m.loop.add(s.notice.FD(), 0, func(ev uint32) { m.noticeReady(s, ev) }),
		m.supervise(s.child, func(ws unix.WaitStatus) { m.sessionGone(s, ws) }))
}

// assign gives a session its client. Where that fails - the spare has just
// died, or descriptors are used up - the client is told, and both are gone.
func (m *master) assign(s *session, c *client) {
	s.c, c.session = c, s
	m.sessions[c.id] = s
	if err := m.handOver(s, c); err != nil {
		m.loop.farewell(&c.fd, c.partingWords(replyBusy))
		m.sever(s, "assign: "+err.Error())
		return
	}
	s.lane.SetState(ipc.SessionLogin)
	s.notice.SetState(ipc.SessionLogin)
	m.armIdle(s)
	m.onBoard(s)
	m.count(shm.HandedOver)
	m.noticeFlush(s)
	m.trace(traceSession, 5, "assigned", c, slog.Int("pid", s.pid))
	m.logConnect(s)
}

// handOver sends the session its socket, a login channel and its view.
func (m *master) handOver(s *session, c *client) error {
	view, err := c.gen.sessionView(c.set)
	if err != nil {
		return err
	}
	end, err := m.openAuth(s)
	if err != nil {
		return err
	}
	defer unix.Close(end)
	return s.noticeQ.Send(&ipc.Assign{
		Session: c.id, Peer: c.peer.String(), Local: c.local.String(), Host: c.host,
		Class: c.class, Protocol: c.protocol, Greeted: !c.tls && !c.proxied, TLS: c.tls, Proxy: c.proxied,
	}, c.fd, end, view)
}

// laneReady reads what the session asks.
func (m *master) laneReady(s *session, ev uint32) {
	if ev&unix.EPOLLOUT != 0 {
		if err := s.laneQ.Flush(); err != nil {
			m.sever(s, "lane: "+err.Error())
			return
		}
		m.laneEvents(s)
	}
	for range 16 {
		if s.lane.FD() < 0 {
			return
		}
		msg, err := s.lane.TryRecv()
		switch {
		case err == ipc.ErrAgain:
			return
		case err == io.EOF: // it leaves; its pidfd tells when it has
			m.loop.del(s.lane.FD())
			m.killIn(s.child, killAfter)
			return
		case err != nil:
			m.violation(s, err)
			return
		}
		m.laneMessage(s, msg.Body)
		switch msg.Body.(type) {
		case *ipc.Report, *ipc.Record, *ipc.EndTransfer, *ipc.Bye:
		default: // it waits for the answer; what it sends next wakes the loop again
			return
		}
	}
}

// laneMessage is the table of what a session may ask for; the dialogue has
// checked the state already.
func (m *master) laneMessage(s *session, body any) {
	if m.tracing(traceSession, 10) {
		m.trace(traceSession, 10, "asks", s.c, slog.String("call", fmt.Sprintf("%T", body)))
	}
	switch q := body.(type) {
	case *ipc.TakeFiles:
		m.takeFiles(s)
	case *ipc.Passive:
		m.passive(s, q)
	case *ipc.Active:
		m.active(s, q.Target)
	case *ipc.Connect:
		m.connect(s)
	case *ipc.CloseData:
		m.dropData(s)
		m.answer(s, &ipc.Done{Seq: s.data.seq})
	case *ipc.SelectHost:
		m.selectHost(s, q)
	case *ipc.ProxyHeader:
		m.proxyHeader(s, q)
	case *ipc.BeginTransfer:
		m.beginTransfer(s, q.Command)
	case *ipc.EndTransfer:
		m.endTransfer(s)
	case *ipc.Report:
		m.report(s, q)
	case *ipc.Record:
		m.logRecord(s, q)
	case *ipc.Bye:
		if s.reason == "" {
			s.reason = q.Reason
		}
	}
}

// answer sends the reply to a call on the lane.
func (m *master) answer(s *session, body any, fds ...int) {
	if err := s.laneQ.Send(body, fds...); err != nil {
		m.sever(s, "lane: "+err.Error())
		return
	}
	m.laneEvents(s)
}

func (m *master) laneEvents(s *session) {
	if s.laneQ.Waiting() == s.laneWaits {
		return
	}
	s.laneWaits = !s.laneWaits
	m.loop.mod(s.lane.FD(), wants(s.laneQ, unix.EPOLLIN))
}

// tell sends a notice.
func (m *master) tell(s *session, body any, fds ...int) {
	if err := s.noticeQ.Send(body, fds...); err != nil {
		m.sever(s, "notice: "+err.Error())
		return
	}
	m.noticeFlush(s)
}

func (m *master) noticeFlush(s *session) {
	if s.noticeQ.Waiting() {
		m.loop.mod(s.notice.FD(), unix.EPOLLOUT)
	}
}

func (m *master) noticeReady(s *session, ev uint32) {
	if err := m.loop.flushShared(s.noticeQ.Flush); err != nil || ev&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		m.loop.del(s.notice.FD()) // the process is leaving
		return
	}
	m.loop.mod(s.notice.FD(), wants(s.noticeQ, 0))
}

// wants returns the epoll events of a channel with a queue.
func wants(q *ipc.Queue, base uint32) uint32 {
	if q.Waiting() {
		return base | unix.EPOLLOUT
	}
	return base
}

// end asks a session to say one last thing and to leave, and kills it where it
// does not.
func (m *master) end(s *session, code uint16, text, reason string) {
	if s.ending {
		return
	}
	s.ending = true
	if s.reason == "" {
		s.reason = reason
	}
	if err := s.noticeQ.Send(&ipc.End{Code: code, Text: text}); err != nil {
		m.sever(s, reason)
		return
	}
	m.noticeFlush(s)
	m.update(s)
	m.killIn(s.child, killAfter)
}

// sever ends a session at once.
func (m *master) sever(s *session, reason string) {
	s.ending = true
	if s.reason == "" {
		s.reason = reason
	}
	s.signal(unix.SIGKILL)
}

// violation ends a session that broke its dialogue. Nobody else notices.
func (m *master) violation(s *session, err error) {
	m.count(shm.ProtocolViolations)
	m.log.Error("session broke the protocol, killed", append(s.facts(), logging.Kind(logging.ProtocolViolation), "error", err.Error())...)
	m.loop.del(s.lane.FD())
	m.sever(s, "protocol violation")
}

// sessionGone settles everything that a session held.
func (m *master) sessionGone(s *session, ws unix.WaitStatus) {
	m.lastReports(s)
	m.logExit(s, ws)
	m.loop.del(s.lane.FD())
	m.loop.del(s.notice.FD())
	s.laneQ.Drop()
	s.noticeQ.Drop()
	s.lane.Close()
	s.notice.Close()
	for _, t := range []*timer{&s.idle, &s.quiet, &s.life, &s.bereft} {
		m.loop.timers.stop(t)
	}
	m.closeData(s)
	if s.c == nil {
		s.page.close()
		m.pool.died(m, s, ws)
		return
	}
	c := s.c
	delete(m.sessions, c.id)
	var last []byte
	if ws.Signaled() && !s.ending { // it has died in the middle of its work
		last = c.partingWords("421 " + textNoService + "\r\n")
	}
	m.loop.farewell(&c.fd, last)
	m.endLogin(s)
	m.leavePlace(s)
	m.detach(s)
	m.stopFiles(s)
	for _, p := range s.pam {
		m.killIn(p, 10*time.Second)
	}
	m.sessionRecord(s, ws)
	m.offBoard(s)
	s.page.close()
	m.forget(c, s.open)
}

// lastReports reads what a session has reported before it left, and why it has.
func (m *master) lastReports(s *session) {
	for range 256 {
		if s.c == nil || s.lane.FD() < 0 {
			return
		}
		msg, err := s.lane.TryRecv()
		if err != nil {
			return
		}
		switch q := msg.Body.(type) {
		case *ipc.Record:
			m.logRecord(s, q)
		case *ipc.Report:
			m.report(s, q)
		case *ipc.Bye:
			if s.reason == "" {
				s.reason = q.Reason
			}
		}
	}
}

// ended is why a session has ended.
func (s *session) ended(ws unix.WaitStatus) string {
	if s.reason != "" {
		return s.reason
	}
	return exitText(ws)
}

// sessionRecord writes the log line of a session's end.
func (m *master) sessionRecord(s *session, ws unix.WaitStatus) {
	args := append(s.facts(), "reason", s.ended(ws), "seconds", (m.loop.now-s.c.accepted)/int64(time.Second))
	if ws.Signaled() && !s.ending {
		m.count(shm.WorkersDied)
		m.log.Error("session died", append(args, logging.Kind(logging.WorkerDied), "exit", exitText(ws))...)
		return
	}
	m.log.Info("session closed", append(args, logging.Kind(logging.SessionClose))...)
}

// facts are the fields of every log line about a session; the address comes
// before anything the client chose.
func (s *session) facts() []any {
	if s.c == nil {
		return []any{"pid", s.pid}
	}
	f := []any{logging.Peer(s.c.peer.String()), logging.Session(s.c.id), "pid", s.pid}
	if s.user != "" {
		f = append(f, logging.User(s.user))
	}
	return f
}

// report logs an event of a session's client, at a bounded rate, and counts it
// against the client's address.
func (m *master) report(s *session, r *ipc.Report) {
	ev := logging.Event("client." + r.Event)
	if r.Event == ipc.EventBadProtocol {
		ev = logging.BadProtocol
	}
	if r.Event != ipc.EventTLSHandshake && s.reports.take(m.loop.now) {
		m.log.Warn("client event", append(s.facts(), logging.Kind(ev), "detail", r.Detail)...)
	}
	name, _ := ban.Canonical(r.Event)
	m.clientEvent(s.c, name, ban.BySession, "")
}
