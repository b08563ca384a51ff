package ftp

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
	"sallyport/shm"
)

const (
	sendChunk  = 4 << 20  // bytes sent between two looks at the control line
	bufferSize = 64 << 10 // of transfers that are copied
)

// buffer is the session's one transfer buffer; it is made by the first transfer
// that needs it.
func (s *Session) buffer() []byte {
	if s.buf == nil {
		s.buf = make([]byte, bufferSize)
	}
	return s.buf
}

// sizeClause is the end of a 150 reply.
func sizeClause(n int64) string {
	switch {
	case n <= 0:
		return ""
	case n == 1:
		return " (1 byte)"
	}
	return " (" + strconv.FormatInt(n, 10) + " bytes)"
}

// mode is what 150 calls the TYPE.
func (s *Session) mode() string {
	if s.ascii {
		return "ASCII"
	}
	return "BINARY"
}

// opening sends the 150 reply.
func (s *Session) opening(what string, size int64) {
	s.reply(150, "Opening ", s.mode(), " mode data connection for ", what, sizeClause(size))
	s.flush()
}

// retr is RETR: the whole file, or what REST or RANG asked for.
func retr(s *Session, arg string) {
	span := s.takeSpan()
	if !span.fits(s, "") {
		return
	}
	path, ok := s.path(arg)
	if !ok || !s.mayTransfer("RETR") {
		return
	}
	defer s.endCount()
	f, err := s.files.OpenRead(path, span.first)
	if err != nil {
		s.refuseOpen(arg, err, span.ranged)
		return
	}
	defer unix.Close(f.FD)
	size := f.Size
	if span.ranged {
		if span.last >= f.Size {
			s.reply(554, arg, ": ", textBadRange)
			return
		}
		size = span.last + 1
	}
	s.begin("RETR", arg)
	raw, ok := s.connect()
	if !ok {
		return
	}
	s.began(raw, "o", f.Size, span.first, false)
	s.opening(arg, size-span.first)
	s.page.SetTransfer(shm.StateDownloading, size-span.first)
	c, err := s.protect(raw)
	if err == nil {
		err = s.download(c, f.FD, span.first, size)
	}
	s.finish(c, err, true)
}

// download sends a file's bytes from off up to size, in the TYPE and MODE in
// force.
func (s *Session) download(c conn, file int, off, size int64) error {
	if p, ok := c.(sock); ok && !s.ascii && !s.deflate {
		err := s.splice(p, file, &off, size)
		if err != errNoSendfile {
			return err
		}
	}
	if t, ok := c.(*tlsConn); ok && !s.ascii && !s.deflate {
		return s.sealFile(t, file, off, size)
	}
	out := s.outlet(c)
	piece := out.write
	if s.ascii {
		var conv toNet
		b := s.buffer()[bufferSize/3:]
		piece = func(p []byte) error { return out.write(conv.convert(b[:0], p)) }
	}
	if err := s.copyFile(file, off, size, piece); err != nil {
		return err
	}
	return out.end()
}

// refuseOpen answers an open that failed; ranged tells that RANG and not REST
// named the offset.
func (s *Session) refuseOpen(arg string, err error, ranged bool) {
	switch vfs.Refused(err) {
	case ipc.DeniedAppend, ipc.DeniedRestart:
		s.refuse(451, arg, err)
	case ipc.DeniedOffset:
		text := textBadRest
		if ranged {
			text = textBadRange
		}
		s.reply(554, arg, ": ", text)
	case ipc.DeniedHiddenRest:
		s.reply(501, textHiddenRest)
	case ipc.DeniedHidden:
		s.reply(550, arg, ": Temporary hidden file ", tempOf(err), " already exists")
	case ipc.DeniedSize:
		s.reply(550, arg, ": File size exceeds limit")
	default:
		code := 550
		if tempOf(err) != "" { // the file's own name might do
			code = 451
		}
		s.refuse(code, arg, err)
	}
}

// tempOf is the temporary name that stands in the way of a hidden upload.
func tempOf(err error) string {
	var e *vfs.Error
	if errors.As(err, &e) {
		return e.Temp
	}
	return ""
}

const (
	textBadRest  = "invalid REST argument"
	textBadRange = "invalid RANG argument"
)

// errNoSendfile: the file system cannot do it.
var errNoSendfile = errors.New("no sendfile")

// splice is download by sendfile(2): the bytes never enter this process.
func (s *Session) splice(c sock, file int, off *int64, size int64) error {
	for *off < size {
		n, err := unix.Sendfile(int(c), file, off, s.chunk(int(min(size-*off, sendChunk))))
		if n > 0 {
			s.moved(int64(n))
			if err := s.throttle(); err != nil {
				return err
			}
		}
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if err := s.step(int(c), unix.POLLOUT, true); err != nil {
				return err
			}
		case err == unix.EINVAL || err == unix.ENOSYS:
			return errNoSendfile
		case err != nil && ofNetwork(err):
			return err
		case err != nil:
			return fileFailed(err)
		case n == 0: // the file has become shorter than 150 said
			return fileFailed(unix.EIO)
		case *off < size:
			if err := s.step(-1, 0, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// ofNetwork tells an error of the data connection from one of the file where a
// call works on both.
func ofNetwork(err error) bool {
	switch err {
	case unix.EPIPE, unix.ECONNRESET, unix.ECONNABORTED, unix.ENOTCONN, unix.ETIMEDOUT,
		unix.EHOSTUNREACH, unix.EHOSTDOWN, unix.ENETUNREACH, unix.ENETDOWN, unix.ENETRESET:
		return true
	}
	return false
}

// copyFile reads a file piece by piece: into the first third of the buffer, so
// that the rest holds a piece's conversion.
func (s *Session) copyFile(file int, off, size int64, piece func([]byte) error) error {
	b := s.buffer()[:bufferSize/3]
	for n := 0; off < size; off += int64(n) {
		var err error
		n, err = unix.Pread(file, b[:min(int64(len(b)), size-off)], off)
		switch {
		case err == unix.EINTR:
			n = 0
			continue
		case err != nil:
			return fileFailed(err)
		case n == 0: // the file has become shorter than 150 said
			return fileFailed(unix.EIO)
		}
		if err := piece(b[:n]); err != nil {
			return err
		}
	}
	return nil
}

// send writes all of b to a data connection and looks at the control line once.
func (s *Session) send(c conn, b []byte) error {
	if err := s.push(c, b); err != nil {
		return err
	}
	return s.step(-1, 0, false)
}

// push is send without a look at the control line where nothing has to wait.
func (s *Session) push(c conn, b []byte) error {
	for len(b) > 0 {
		n, err := c.Write(b[:s.chunk(len(b))])
		if n > 0 {
			s.moved(int64(n))
			b = b[n:]
			if err := s.throttle(); err != nil {
				return err
			}
		}
		switch {
		case err == unix.EAGAIN:
			if err := s.step(c.fd(), unix.POLLOUT, true); err != nil {
				return err
			}
		case err != nil:
			return err
		}
	}
	return nil
}
