package ftp

import (
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// The commands of RFC 2228 and RFC 4217. A command that nobody who speaks to
// this host can use is one that it does not know: see usableTLS.

func usableTLS(v *policy.Session) bool { return v.TLS.Engine }

const textUnwilling = "Unwilling to accept security parameters"

// auth is AUTH: after 234 the client speaks TLS.
func auth(s *Session, arg string) {
	mech := upper(strings.TrimSpace(arg))
	ssl := mech == "SSL" || mech == "TLS-P"
	switch {
	case mech == "":
		s.reply(504, "AUTH requires at least one argument")
		return
	case mech != "TLS" && mech != "TLS-C" && !(ssl && s.view.TLS.AuthSSL):
		s.reply(504, "AUTH ", mech, " not understood")
		return
	case s.protected():
		s.reply(503, "Unwilling to accept second AUTH")
		return
	case s.user != "" || s.tls.had:
		s.reply(534, textUnwilling)
		return
	}
	s.tls.end = time.Now().Add(s.handshakeTime())
	if err := s.takeOffers(); err != nil {
		s.reply(431, "Necessary security resource unavailable")
		return
	}
	// Nobody who waits for the 234 has said anything since. What has come
	// nevertheless was put there by somebody else, to be taken for something
	// said under TLS.
	if s.in.holds() {
		s.injected("behind AUTH")
		return
	}
	if ssl {
		s.reply(234, "AUTH SSL successful")
	} else {
		s.reply(234, "AUTH TLS successful")
	}
	if s.flush(); s.over() {
		return
	}
	s.event(ipc.EventTLSHandshake, "AUTH")
	if s.startTLS() && ssl {
		s.tls.private = !dataForbidden(&s.view.TLS)
	}
}

// injected ends a session in which plain text stood where it cannot have been
// the client's.
func (s *Session) injected(where string) {
	s.event(ipc.EventInvalidCommand, "plain text "+where+", disconnecting")
	s.reply(421, "Unexpected input, closing control connection")
	s.leave("plain text " + where)
}

// holds tells whether bytes have come that are not yet a line handed out.
func (l *reader) holds() bool {
	return l.w > l.r || l.cr || l.skip || l.tel != 0
}

// pbsz is PBSZ: TLS has no buffer of its own, so every size is 0.
func pbsz(s *Session, arg string) {
	n, ok := number(strings.TrimSpace(arg))
	switch {
	case !s.protected():
		s.reply(503, "PBSZ not allowed on insecure control connection")
	case !ok:
		s.reply(501, "PBSZ ", arg, ": invalid buffer size")
	case n == 0:
		s.reply(200, "PBSZ 0 successful")
	default:
		s.reply(200, "PBSZ=0 successful")
	}
}

// prot is PROT. After CCC it still works: data may stay private.
func prot(s *Session, arg string) {
	level := upper(strings.TrimSpace(arg))
	switch {
	case !s.tls.had:
		s.reply(503, "PROT not allowed on insecure control connection")
	case level == "S" || level == "E":
		s.reply(536, "PROT ", level, " unsupported")
	case level != "C" && level != "P":
		s.reply(504, "PROT ", level, " unsupported")
	case level == "C" && dataRequired(&s.view.TLS), level == "P" && dataForbidden(&s.view.TLS):
		s.reply(534, textUnwilling)
	case level == "C":
		s.tls.private = false
		s.reply(200, "Protection set to Clear")
	default:
		s.tls.private = true
		s.reply(200, "Protection set to Private")
	}
}

// ccc is CCC: the control connection goes on in plain text behind both sides'
// close_notify.
func ccc(s *Session, _ string) {
	switch {
	case !s.tls.had:
		s.reply(500, "CCC not understood")
		return
	case !s.protected():
		s.reply(533, "CCC not allowed on insecure control connection")
		return
	case !s.view.TLS.CCC || controlRequired(&s.view.TLS):
		s.reply(534, textUnwilling)
		return
	}
	c := s.tls.conn
	if s.in.holds() || c.more {
		s.injected("behind CCC")
		return
	}
	s.reply(200, "Clearing control channel protection")
	s.flush()
	s.tls.end = time.Now().Add(s.handshakeTime())
	err := c.notify()
	for err == unix.EAGAIN && !s.over() {
		if err = s.waitControl(unix.POLLOUT); err == nil {
			err = c.w.push()
		}
	}
	if err == nil && !s.over() {
		err = s.farewell(c)
	}
	if s.over() {
		return
	}
	if err != nil {
		s.leave("CCC: " + err.Error())
		return
	}
	s.ctl, s.tls.conn, s.tls.data = c.w.c, nil, nil
	s.in = newReader(max(s.in.limit, minLine))
	s.page.SetTLS(false)
}

// farewell reads the client's close_notify, and not a byte beyond it. A client
// that goes on in plain text without one is understood, too: whoever could
// forge that may as well wait for the next line.
func (s *Session) farewell(c *tlsConn) error {
	c.w.exact = true
	var b [1]byte
	for {
		if c.w.frame.between() {
			n, _, err := unix.Recvfrom(c.fd(), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			if err == nil && n == 1 && (b[0] < recordFirst || b[0] > recordLast) {
				return nil
			}
		}
		n, err := c.Read(b[:])
		switch {
		case n > 0:
			s.injected("behind CCC") // not plain, but neither understood as a command
			return errOver
		case err == io.EOF && c.cut:
			return io.ErrUnexpectedEOF
		case err == io.EOF:
			return nil
		case err != unix.EAGAIN:
			return err
		}
		if err := s.waitControl(unix.POLLIN); err != nil {
			return err
		}
	}
}

// The types of records that a peer sends (RFC 8446 §5.1).
const (
	recordFirst = 20
	recordLast  = 23
)

// impliedTLS is what a listener of implicit TLS does instead of AUTH.
func (s *Session) impliedTLS() {
	s.tls.end = time.Now().Add(s.handshakeTime())
	if err := s.takeOffers(); err != nil {
		s.leave("implicit TLS: " + err.Error())
		return
	}
	s.event(ipc.EventTLSHandshake, "implicit TLS")
	if s.startTLS() {
		s.tls.private = !dataForbidden(&s.view.TLS)
	}
}

// featuresTLS are the lines of FEAT.
func (s *Session) featuresTLS() []string {
	var f []string
	if v := &s.view.TLS; v.Engine {
		f = append(f, "AUTH TLS", "PBSZ", "PROT")
		if v.CCC && !controlRequired(v) {
			f = append(f, "CCC")
		}
	}
	if s.view.Names {
		f = append(f, "HOST")
	}
	return f
}
