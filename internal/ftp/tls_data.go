package ftp

import (
	"crypto/tls"
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// dataRefused is a data connection that came to nothing after the 150.
func dataRefused(why string) error {
	return &replyError{425, "Unable to build data connection: " + why}
}

// mustResume tells whether data connections have to resume the session of the
// control connection, which is gone after CCC.
func (s *Session) mustResume() bool { return s.view.TLS.Reuse == "require" && s.protected() }

// protect puts a data connection under TLS after PROT P (RFC 4217 §9). It comes
// behind the 150 reply and in front of everything that changes a file. On
// failure the connection is the caller's to close.
func (s *Session) protect(c conn) (conn, error) {
	raw, plain := c.(sock)
	if !s.tls.private || !plain {
		return c, nil
	}
	s.tls.resume, s.tls.thief = s.mustResume(), false
	s.tls.end = time.Now().Add(s.handshakeTime())
	w, conf := &wire{c: raw}, s.dataConfig()
	conf.SessionTicketsDisabled = false
	t, err := secure(w, conf, func(events int16) error { return s.waitData(int(raw), events) })
	if err == nil {
		t.strict = s.view.TLS.StrictEOF
		if !s.tls.resume || t.t.ConnectionState().DidResume {
			return t, nil
		}
		s.tls.thief = true
		err = errNotResumed
	}
	raw.shut()
	switch {
	case err == errOver || err == errAborted:
		return c, err
	case s.tls.thief:
		s.event(ipc.EventDataTheft, "client did not reuse TLS session, rejecting data connection (see data_reuse)")
		return c, dataRefused(vfs.ErrnoText(unix.EPERM) + " (TLS session of the control connection not resumed, see data_reuse)")
	case err == errSlow:
		s.event(ipc.EventTLSFailed, "data connection: "+w.explain(err))
		return c, dataRefused("TLS handshake timed out")
	}
	s.event(ipc.EventTLSFailed, "data connection: "+w.explain(err))
	return c, dataRefused("TLS handshake failed")
}

// waitData sleeps within a data connection's handshake. The client may abort,
// master may end the session.
func (s *Session) waitData(fd int, events int16) error {
	for {
		left := time.Until(s.tls.end)
		if left <= 0 {
			return errSlow
		}
		if ready, err := s.look(fd, events, left); ready || err != nil {
			return err
		}
	}
}

// dataConfig is the configuration of data connections: that of the control
// connection, which knows how to resume it.
func (s *Session) dataConfig() *tls.Config {
	if s.tls.data != nil {
		return s.tls.data
	}
	conf := s.tls.control.Clone()
	conf.VerifyPeerCertificate = s.sameClient
	conf.GetCertificate = s.dataCertificate
	conf.NextProtos = []string{"ftp", "ftp-data"} // the latter is what FluentFTP calls it
	if conf.CurvePreferences == nil && s.tls.eased != nil && s.mustResume() {
		// A resumed key depends on the control connection's exchange, hybrid or
		// not, besides this one; so the cheapest one is as good here.
		conf.CurvePreferences = slices.Clone(s.tls.eased)
	}
	s.tls.data = conf
	return conf
}

// spareTicket has the handshake in hand, once it is settled whether it resumes, send
// no ticket behind it where it is an upload's that needs none. A client that never
// reads on uploads, as Net::FTP of Perl, would close with it unread, and the reset by
// which that ends takes the tail of what it has sent. In TLS 1.2 tickets are within
// the handshake, so everybody reads them. crypto/tls asks before each ticket.
func (s *Session) spareTicket(behind bool) {
	if behind && s.tls.upload && !s.tls.resume {
		s.tls.data.SessionTicketsDisabled = true
	}
}

// dataCertificate is chooseCertificate for a handshake that may come to be a
// full one: authd may have other certificates by now.
func (s *Session) dataCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.spareTicket(slices.Contains(hello.SupportedVersions, tls.VersionTLS13))
	if !s.tls.resume {
		if err := s.takeOffers(); err != nil {
			return nil, err
		}
	}
	return s.chooseCertificate(hello)
}

// unclosed tells of an upload that ended without a close_notify, so that
// somebody on the way may have cut it. Many clients never send one: where that
// is allowed it is told once a session.
func (s *Session) unclosed(c conn) {
	t, ok := c.(*tlsConn)
	if !ok || !t.cut || s.tls.unclosed && !t.strict {
		return
	}
	s.tls.unclosed = true
	what := "taken as whole"
	if t.strict {
		what = "refused"
	}
	s.event(ipc.EventTLSUnclosed, "upload without close_notify, "+what+" (see strict_eof)")
}

// lastByte says on a data connection that all has been sent, and waits until
// that is on its way (RFC 4217 §12.7 wants a close_notify before the 226).
func (s *Session) lastByte(c conn) error {
	t, ok := c.(*tlsConn)
	if !ok {
		return nil
	}
	err := t.notify()
	for errors.Is(err, unix.EAGAIN) {
		if err := s.step(t.fd(), unix.POLLOUT, true); err != nil {
			return err
		}
		err = t.w.push()
	}
	return err
}

// sealFile sends a file through TLS: pieces of whole records, read into the
// session's one buffer.
func (s *Session) sealFile(c *tlsConn, file int, off, size int64) error {
	b := s.buffer()
	for look := 0; off < size; {
		n, err := unix.Pread(file, b[:min(int64(len(b)), size-off)], off)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fileFailed(err)
		case n == 0: // the file has become shorter than 150 said
			return fileFailed(unix.EIO)
		}
		off += int64(n)
		if err := s.push(c, b[:n]); err != nil {
			return err
		}
		if look += n; look >= lookEvery {
			look = 0
			if err := s.step(-1, 0, false); err != nil {
				return err
			}
		}
	}
	return nil
}
