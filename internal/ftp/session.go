package ftp

import (
	"bufio"
	"compress/zlib"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/internal/vfs"
	"sallyport/ipc"
	"sallyport/shm"
)

// Config is what a session is given. Serve closes all of it.
type Config struct {
	Assign  ipc.Assign
	Control int       // the client's connection
	Lane    *ipc.Conn // session's end of ipc.SessionLane
	Notice  *ipc.Conn // session's end of ipc.SessionNotice
	Auth    *ipc.Conn // session's end of ipc.SessionAuthd
	View    policy.Session
	Page    *shm.Page
}

// Session is the protocol state of one client.
type Session struct {
	table  *table
	view   policy.Session
	peer   netip.AddrPort
	local  netip.AddrPort
	lane   *ipc.Conn
	notice *ipc.Conn
	auth   *ipc.Conn // nil: authd is gone, a new channel may come
	files  *vfs.Client
	page   *shm.Page

	ctl      conn
	tls      tlsSide
	in       *reader
	out      []byte
	poll     [3]unix.PollFd
	ts       unix.Timespec
	turns    int       // of waiting for commands
	listened time.Time // when master was last listened to
	hasty    bool      // soon may wait within a read
	eof      bool      // the client's sending side is closed
	why      string    // not empty: the session is over
	calls    pace
	odd      pace
	longs    int // over-long lines in a row

	strays int // unknown verbs before the login

	asking  bool     // authd, for a verdict
	parting *ipc.End // master's last word, which waits for a verdict that has left authd

	named    string // USER, waiting for PASS
	user     string // as the client named it; empty: not logged in
	secret   []byte // PASS's argument, within the line
	cwd      string
	home     string
	ascii    bool
	span     span   // REST or RANG, for the next transfer
	source   string // RNFR, for RNTO
	facts    uint32 // of MLST and MLSD
	onlyEPSV bool   // EPSV ALL

	host     string // the virtual server
	implicit bool   // the listener is one of implicit TLS

	data  dataLink
	ahead ahead
	xfer  transfer
	late  conn   // data connection of an upload that is to be closed behind its reply; nil: none
	kept  conn   // data connection of the last download, see keep; nil: none
	buf   []byte // of transfers that are copied

	class     string
	typed     string // the last USER's name
	mail      string // what an anonymous client gave as its password
	copyFrom  string // SITE CPFR, for CPTO
	algorithm string // of HASH
	deflate   bool   // MODE Z
	level     int    // of its compression; 0: not chosen
	zip       *zlib.Writer
	pack      *bufio.Writer // behind zip
	rates     []ipc.RateRule
	company   ipc.Company // as it was at the login
	burst     burst       // of commands
	counted   bool        // master counts the transfer in hand
	shown     map[string]int64
	sums      sums
	rec       record
	records   pace
	deeds     pace   // records of what has moved or changed something
	lost      uint32 // records that were not sent
	logOther  bool   // the logs want to know of verbs that nobody knows
}

// Bounds of a session.
const (
	preAuthLine  = 4 << 10  // bytes of a command line before login, at most
	minLine      = 512      // and at any time, at least
	maxDropped   = 64 << 10 // bytes of one over-long line before we hang up
	maxLongs     = 3        // over-long lines in a row
	laneTimeout  = 60 * time.Second
	filesTimeout = vfs.CopyTime + 40*time.Second
)

// Serve serves a client until it leaves or has to leave. The error is one of
// the session itself (a broken channel), not of its client.
func Serve(c Config) error {
	s, err := newSession(c)
	if err != nil {
		return err
	}
	if c.Assign.Proxy {
		s.proxy()
	}
	if s.implicit && !s.over() {
		s.impliedTLS()
	}
	if !c.Assign.Greeted && !s.over() {
		s.greet()
	}
	if !s.over() {
		s.page.SetIdle()
	}
	for !s.over() {
		s.turn()
	}
	s.close()
	return nil
}

func newSession(c Config) (*Session, error) {
	peer, err := netip.ParseAddrPort(c.Assign.Peer)
	if err != nil {
		return nil, fmt.Errorf("assign: peer %q: %w", c.Assign.Peer, err)
	}
	local, err := netip.ParseAddrPort(c.Assign.Local)
	if err != nil {
		return nil, fmt.Errorf("assign: local address %q: %w", c.Assign.Local, err)
	}
	for _, o := range [...]struct{ level, name int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY}, // a 226 does not wait for the 150's acknowledgement
		{unix.SOL_SOCKET, unix.SO_OOBINLINE}, // the telnet Synch comes with urgent data
	} {
		if err := unix.SetsockoptInt(c.Control, o.level, o.name, 1); err != nil {
			return nil, fmt.Errorf("control connection: %w", err)
		}
	}
	s := &Session{
		table: newTable(), view: c.View, peer: peer, local: local,
		lane: c.Lane, notice: c.Notice, auth: c.Auth, page: c.Page,
		ctl: sock(c.Control), facts: ipc.AllFacts, ascii: c.View.TransferMode != "binary",
		host: c.Assign.Host, implicit: c.Assign.TLS,
	}
	s.data.fd = -1
	s.class = c.Assign.Class
	s.viewChanged()
	s.in = newReader(min(s.lineLimit(), preAuthLine))
	s.lane.SetState(ipc.SessionLogin)
	s.notice.SetState(ipc.SessionLogin)
	return s, s.lane.SetTimeout(laneTimeout)
}

func (s *Session) lineLimit() int { return max(int(s.view.CommandBufferSize), minLine) }

// turn runs the commands that wait and then waits for the next. Bytes that are
// no line yet are no activity: TimeoutIdle goes on.
func (s *Session) turn() {
	acted := false
	for !s.over() {
		line, kind, ok := s.in.next()
		if !ok {
			break
		}
		s.dispatch(line, kind)
		acted = true
	}
	s.flush()
	s.closeLate()
	if s.over() {
		return
	}
	if acted {
		s.page.SetIdle()
	}
	if s.soon() {
		return
	}
	w := s.await(unix.POLLIN, -1, 0, forever)
	if w&(wakeControl|wakeHangup) != 0 && !s.over() {
		s.readControl()
	}
}

// readControl takes what the client has sent.
func (s *Session) readControl() {
	if s.eof {
		s.leave("read EOF from client")
		return
	}
	s.takeControl(s.ctl.Read)
}

// takeControl takes what read gives; false: nothing yet.
func (s *Session) takeControl(read func([]byte) (int, error)) bool {
	n, err := read(s.in.space())
	switch {
	case err == unix.EAGAIN:
		return false
	case err == io.EOF && s.xfer.open: // the transfer in hand may end
		s.eof = true
		return true
	case err == io.EOF:
		s.leave("read EOF from client")
		return true
	case err != nil:
		s.leave("read from client: " + err.Error())
		return true
	}
	s.in.fed(n)
	s.out = append(s.out, s.in.answers...)
	s.in.answers = s.in.answers[:0]
	if s.in.tls {
		s.foreign("TLS", "client sent a TLS handshake, disconnecting")
	}
	if s.in.dropped > maxDropped {
		s.event(ipc.EventInvalidCommand, "endless line")
		s.leave("endless command line")
	}
	return true
}

// over tells whether the session has ended.
func (s *Session) over() bool { return s.why != "" }

// leave ends the session. The first reason counts.
func (s *Session) leave(why string) {
	if s.why == "" {
		s.why = why
	}
}

// broken ends the session because a channel failed: nothing can be served
// without it.
func (s *Session) broken(what string, err error) {
	s.reply(421, textUnavailable)
	s.leave(what + ": " + err.Error())
}

const textUnavailable = "Service not available, closing control connection"

// close says good-bye to everybody.
func (s *Session) close() {
	s.lastWords()
	s.closeLate()
	if s.kept != nil {
		s.kept.close(false)
	}
	_ = s.lane.TrySend(&ipc.Bye{Reason: clip(s.why, 256)})
	s.dropLink()
	s.ctl.shut()
	s.ctl.close(false)
	s.setAuth(nil)
	if s.files != nil {
		s.files.Close()
	}
	s.lane.Close()
	s.notice.Close()
}

func clip(t string, n int) string { return t[:min(len(t), n)] }
