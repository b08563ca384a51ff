package ftp

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// record gathers what the logs want to know of the command in hand. Where they
// do not want it, on is false and nothing is gathered.
type record struct {
	on   bool
	verb string // "SITE CHMOD", and arg what stood behind it; empty: the row's
	arg  string
	path string // of the file, as the client sees it
	from string // RNFR's, with RNTO

	code int    // of the last reply
	text string // of it

	transfer bool // the rest is known
	way      string
	existed  bool
	cut      bool // the client aborted it
	stalled  bool
	took     time.Duration
	sent     int64
	received int64
	size     int64
	offset   int64
	port     uint16
}

// maxRecords bounds the records of a second: what a client drives beyond that is
// counted and not sent. Of what has moved or changed something there are as many
// besides, so that nobody hides a transfer behind a flood of NOOPs. With maxCalls
// and maxEvents it all stays below what master takes.
const maxRecords = 8000

// recorded runs a command and tells master of it where the logs want that.
// Commands nest where STAT is answered during a transfer.
func (s *Session) recorded(c *command, arg string, run func()) {
	outer := s.rec
	s.rec = record{on: c.logged}
	if !c.logged {
		run()
	} else {
		start := time.Now()
		run()
		s.sendRecord(c, arg, time.Since(start))
	}
	s.rec = outer
}

// sendRecord tells master of the command that has just been answered.
func (s *Session) sendRecord(c *command, arg string, nanos time.Duration) {
	pace := &s.records
	if s.rec.transfer || c.class&(policy.LogRead|policy.LogWrite) != 0 && s.rec.code/100 == 2 {
		pace = &s.deeds
	}
	if pace.take() > maxRecords {
		s.lost++
		return
	}
	verb := c.verb
	if s.rec.verb != "" {
		verb, arg = s.rec.verb, s.rec.arg
	}
	if c.args == argsSecret {
		arg = "(hidden)"
	}
	r := &ipc.Record{
		Class: c.class, Verb: clip(verb, 16), Arg: clip(arg, 4096), Code: uint16(s.rec.code), Text: clip(s.rec.text, 512),
		Cwd: clip(s.cwd, 4096), Path: s.rec.path, From: s.rec.from, Named: clip(s.typed, maxUser), Secret: s.mail, Nanos: int64(nanos),
		Protocol: s.protocol(), Cipher: s.tls.cipher, Lost: s.lost, ASCII: s.ascii,
	}
	s.lost = 0
	if s.rec.transfer {
		s.describe(r)
	}
	if err := s.lane.Send(r); err != nil {
		s.broken("master", err)
	}
}

// describe adds what the logs want to know of a transfer.
func (s *Session) describe(r *ipc.Record) {
	r.Transfer, r.Way = true, s.rec.way
	r.Sent, r.Received, r.Took = s.rec.sent, s.rec.received, int64(s.rec.took)
	r.Size, r.Offset, r.Existed, r.Port = s.rec.size, s.rec.offset, s.rec.existed, s.rec.port
	switch {
	case s.rec.cut:
		r.Status = "cancelled"
	case s.rec.stalled || s.rec.code < 200:
		r.Status = "timeout"
	case s.rec.code < 300:
		r.Status = "success"
	default:
		r.Status, r.Failure = "failed", clip(s.rec.text, 128)
	}
}

// heard keeps the last line of a reply for the record.
func (s *Session) heard(code int, text []string) {
	s.rec.code = code
	s.rec.text = string(appendClean(nil, strings.Join(text, "")))
}

// touched names the file that a command is about.
func (s *Session) touched(path string) {
	if s.rec.on {
		s.rec.path = path
	}
}

// wantsTransfers tells whether it is worth a question to say more of a transfer.
func (s *Session) wantsTransfers() bool { return s.rec.on && s.view.Log.Transfer }

// began notes how a transfer begins; c is its data connection.
func (s *Session) began(c conn, way string, size, offset int64, existed bool) {
	s.xfer.start = time.Now()
	if !s.rec.on {
		return
	}
	s.rec.transfer, s.rec.way, s.rec.size, s.rec.offset, s.rec.existed = true, way, size, offset, existed
	s.rec.port = peerPort(c.fd())
}

// ended notes how it ended.
func (s *Session) ended(err error) {
	if !s.rec.on {
		return
	}
	s.rec.took = time.Since(s.xfer.start)
	s.rec.cut, s.rec.stalled = err == errAborted, err == errStalled
	if s.rec.way == "i" {
		s.rec.received = s.xfer.done
	} else {
		s.rec.sent = s.xfer.done
	}
}

// moves records a change without a data connection as a transfer: a deletion or
// a copy.
func (s *Session) moves(way string, size int64) {
	s.rec.transfer, s.rec.way, s.rec.size = true, way, size
	if way == "i" {
		s.rec.received = size
	}
}

// peerPort is the port of the client's end of a data connection, 0 if unknown.
func peerPort(fd int) uint16 {
	a, err := unix.Getpeername(fd)
	if err != nil {
		return 0
	}
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return uint16(a.Port)
	case *unix.SockaddrInet6:
		return uint16(a.Port)
	}
	return 0
}

// guest tells whether a name logs in without a password of its own.
func (s *Session) guest(name string) bool {
	other := false
	for _, a := range s.view.Anonymous {
		switch a.Name {
		case name:
			return !a.Guest
		case "*":
			other = !a.Guest
		}
	}
	return other
}

// keepMail keeps what an anonymous client gave as its password, for the logs: by
// custom it is an address. A guest's, which is a password, is not kept, and
// nobody's where there is no log. Called with the view in which USER was answered.
func (s *Session) keepMail(name string, anonymous bool) {
	if anonymous && s.guest(name) {
		s.mail = string(s.secret[:min(len(s.secret), 256)])
	}
}
