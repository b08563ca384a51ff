package ftp

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// transfer is the one in hand: from the transfer command until its last reply.
type transfer struct {
	open   bool
	verb   string
	name   string    // as the client named it
	done   int64     // bytes on the network
	queued bool      // lines waited already when it began
	looked bool      // and have been looked at
	hungUp time.Time // when to give up a client that has closed its half; zero: it has not
	alone  bool      // it has no data connection: a digest, a copy
	start  time.Time // when data began to flow
	rate   ipc.RateRule
}

// begin opens the books of a transfer command.
func (s *Session) begin(verb, name string) {
	s.xfer = transfer{open: true, verb: verb, name: name, queued: s.in.waits(), rate: s.rateOf(verb)}
}

// beginAlone is begin for work that may take long and moves nothing.
func (s *Session) beginAlone(verb, name string) {
	s.begin(verb, name)
	s.xfer.alone = true
}

// endAlone ends that work; true: it was aborted or the session is over, and what
// there is to say is said.
func (s *Session) endAlone(err error) bool {
	s.xfer.open = false
	switch err {
	case errAborted:
		s.rec.cut = true
		s.reply(451, s.xfer.name, ": ", vfs.ErrnoText(unix.ECANCELED))
		return true
	case errOver:
		return true
	}
	return false
}

// mayTransfer asks master, where transfers are counted; it answers what it
// refuses. What is granted ends with endCount.
func (s *Session) mayTransfer(verb string) bool {
	if !s.view.CountTransfers {
		return true
	}
	r, _, ok := call[ipc.TransferAllowed](s, ipc.BeginTransfer{Command: verb})
	if !ok {
		return false
	}
	if r.Refused {
		text := r.Text
		if text == "" {
			text = "Too many transfers"
		}
		s.reply(451, text)
		return false
	}
	s.counted = true
	return true
}

// endCount tells master that the transfer it counts is over.
func (s *Session) endCount() {
	if !s.counted {
		return
	}
	s.counted = false
	if err := s.lane.Send(ipc.EndTransfer{}); err != nil {
		s.broken("master", err)
	}
}

const textAborted = "Transfer aborted. Data connection closed"

// Ends of a transfer that are not the data connection's or the file's.
var (
	errAborted = errors.New("aborted by the client")
	errStalled = errors.New("no byte moved")
	errOver    = errors.New("the session is over")
)

// fileError is an error of reading or writing the file.
type fileError struct{ errno unix.Errno }

func (e *fileError) Error() string { return e.errno.Error() }

func fileFailed(err error) error {
	var n unix.Errno
	if !errors.As(err, &n) {
		n = unix.EIO
	}
	return &fileError{n}
}

// hangUpGrace is how long a client that has closed its half of the control
// connection may still bring up the data connection of its last command.
const hangUpGrace = 5 * time.Second

// step lets a transfer breathe: it reads the control line and hears master, and
// with block set it sleeps until descriptor fd (-1: none) is ready for events
// or the transfer has stalled.
func (s *Session) step(fd int, events int16, block bool) error {
	if s.xfer.queued && !s.xfer.looked {
		if s.xfer.looked = true; s.aborted() {
			return errAborted
		}
	}
	if !block {
		_, err := s.look(fd, events, 0)
		return err
	}
	var stalled time.Time
	if t := s.view.TimeoutStalled; t > 0 {
		stalled = time.Now().Add(time.Duration(t) * time.Second)
	}
	return s.ready(fd, events, stalled)
}

// ready sleeps until fd is ready for events or master has told something, at
// most until end, which is a stall; zero: for ever.
func (s *Session) ready(fd int, events int16, end time.Time) error {
	for {
		if s.eof && fd < 0 && s.xfer.hungUp.IsZero() {
			s.xfer.hungUp = time.Now().Add(hangUpGrace)
		}
		if until := s.xfer.hungUp; !until.IsZero() && fd < 0 && (end.IsZero() || until.Before(end)) {
			end = until
		}
		timeout := forever
		if !end.IsZero() {
			if timeout = time.Until(end); timeout <= 0 && end.Equal(s.xfer.hungUp) {
				s.leave("read EOF from client")
				return errOver
			}
			if timeout <= 0 {
				return errStalled
			}
		}
		if ready, err := s.look(fd, events, timeout); ready || err != nil {
			return err
		}
	}
}

// look waits once, for the control line, master or fd, at most timeout; ready
// tells that it was fd or master.
func (s *Session) look(fd int, events int16, timeout time.Duration) (ready bool, err error) {
	w := s.await(s.controlEvents(), fd, events, timeout)
	if s.over() {
		return false, errOver
	}
	if w&wakeWritable != 0 {
		s.tryFlush()
	}
	if w&wakeHangup != 0 {
		s.leave("control connection broken during a transfer")
		return false, errOver
	}
	if w&wakeControl != 0 {
		if err := s.listenIn(); err != nil {
			return false, err
		}
	}
	return w&(wakeOther|wakeNotice) != 0, nil
}

// controlEvents is what to wait for on the control connection during a
// transfer: bytes while there is room for them, beyond that only the urgent
// data of a telnet Synch; and replies that wait to be taken.
func (s *Session) controlEvents() int16 {
	var ev int16
	switch {
	case s.eof:
	case len(s.out) < outMax && len(s.in.space()) > 0:
		ev = unix.POLLIN
	default:
		ev = unix.POLLPRI
	}
	if len(s.out) > 0 {
		ev |= unix.POLLOUT
	}
	return ev
}

// listenIn reads the control line during a transfer.
func (s *Session) listenIn() error {
	if len(s.in.space()) == 0 { // urgent, and no room to read what it is
		return errAborted
	}
	s.readControl()
	switch {
	case s.over():
		return errOver
	case s.aborted():
		return errAborted
	}
	s.tryFlush()
	return nil
}

// aborted looks at the lines that have come during a transfer. ABOR aborts it,
// also behind other commands that wait, but not behind another transfer, which
// it is meant for then. QUIT aborts it and STAT is answered where nothing waits
// before them. All other lines wait, and ABOR and QUIT have their own replies
// afterwards.
func (s *Session) aborted() bool {
	i := s.in.r
	for {
		line, kind, n := s.in.at(i)
		if n == 0 {
			return false
		}
		verb, arg := split(line)
		c := s.find(verb)
		first := i == s.in.r && !s.xfer.queued
		switch {
		case kind != lineGood || c == nil:
		case c.verb == "ABOR" && len(arg) == 0, c.verb == "QUIT" && first:
			return true
		case c.verb == "STAT" && len(arg) == 0 && first:
			s.in.next()
			s.execute(c, "")
			i = s.in.r
			continue
		case c.flags&transfers != 0, c.verb == "SITE" && siteTakesTime(arg):
			return false
		}
		i += n
	}
}

// moved counts bytes on the network.
func (s *Session) moved(n int64) {
	s.xfer.done += n
	s.page.AddBytes(n)
}

// finish closes the data connection and says how the transfer ended. out tells
// that data went to the client.
func (s *Session) finish(c conn, err error, out bool) {
	if err == nil && out {
		if err = s.lastByte(c); err == nil && s.view.TimeoutLinger != 0 {
			c.shut()
			s.linger(c)
		}
	}
	s.page.EndTransfer(err == nil)
	s.xfer.open = false
	switch {
	case err == nil && out:
		s.keep(c)
	case err == nil: // the client has closed its end and learns nothing from ours
		s.closeLate()
		s.late = c
	default:
		c.close(true)
	}
	s.ended(err)
	if out {
		s.sums.bytesOut += uint64(s.xfer.done)
	} else {
		s.sums.bytesIn += uint64(s.xfer.done)
	}
	var f *fileError
	var r *replyError
	switch {
	case err == nil:
		s.showTransfer(out)
		s.reply(226, "Transfer complete")
	case errors.As(err, &r):
		s.reply(r.code, r.text)
	case err == errOver:
	case err == errStalled:
		s.reply(426, textAborted)
		s.stalled()
	case errors.As(err, &f):
		s.reply(fileCode(f.errno), "Transfer aborted. ", fileText(f.errno))
	default:
		s.reply(426, textAborted)
	}
}

// stalled ends a session whose data connection moved no byte, or never came, for
// as long as timeout { stalled } says.
func (s *Session) stalled() {
	s.event(ipc.EventStalled, "data transfer stalled")
	s.reply(421, "Data transfer stalled, closing control connection")
	s.leave("data transfer stalled")
}

// keep ends a download and leaves its socket open until the next has ended. The
// kernel resets a connection whose socket is closed when bytes come, such as the
// close_notify of a client that says early that it sends nothing, and what the
// client has not got by then would be lost.
func (s *Session) keep(c conn) {
	c.shut()
	if s.kept != nil {
		s.kept.close(false)
	}
	s.kept = c
}

// closeLate closes the data connection of an upload, once its last reply has left.
func (s *Session) closeLate() {
	if s.late != nil {
		s.late.close(false)
		s.late = nil
	}
}

// replyError is an end of a transfer that has a reply of its own.
type replyError struct {
	code int
	text string
}

func (e *replyError) Error() string { return e.text }

// linger waits for the client to close its end of a download, where the
// configuration has a time for that. Whatever happens meanwhile, the bytes are
// sent and the transfer is a success.
func (s *Session) linger(c conn) {
	end := time.Now().Add(time.Duration(s.view.TimeoutLinger) * time.Second)
	for b := s.buffer(); ; {
		_, err := c.Read(b)
		if err == unix.EAGAIN {
			err = s.ready(c.fd(), unix.POLLIN, end)
		}
		if err != nil || !time.Now().Before(end) {
			return
		}
	}
}

// fileCode is the reply code for an error of the file's side.
func fileCode(n unix.Errno) int {
	switch n {
	case unix.ENOSPC:
		return 452
	case unix.EDQUOT, unix.EFBIG:
		return 552
	case unix.ETIMEDOUT, unix.EHOSTUNREACH, unix.EHOSTDOWN, unix.ENETUNREACH, unix.ENETDOWN, unix.ESTALE:
		return 450
	}
	return 451
}

func fileText(n unix.Errno) string {
	if fileCode(n) == 450 {
		return "Link to file server lost"
	}
	return vfs.ErrnoText(n)
}

// abor has nothing to abort: a transfer in hand has seen it before.
func abor(s *Session, _ string) { s.reply(226, "Abort successful") }
