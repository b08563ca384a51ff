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

// offset takes what REST left for this transfer.
func (s *Session) offset() int64 {
	n := s.rest
	s.rest = 0
	return n
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

// opening sends the 150 reply.
func (s *Session) opening(what string, size int64) {
	mode := "BINARY"
	if s.ascii {
		mode = "ASCII"
	}
	s.reply(150, "Opening ", mode, " mode data connection for ", what, sizeClause(size))
	s.flush()
}

// retr is RETR.
func retr(s *Session, arg string) {
	off := s.offset()
	if off != 0 && s.ascii {
		s.reply(501, textNoRest)
		return
	}
	path, ok := s.path(arg)
	if !ok {
		return
	}
	f, err := s.files.OpenRead(path, off)
	if err != nil {
		s.refuseOpen(arg, err)
		return
	}
	defer unix.Close(f.FD)
	s.begin("RETR", arg)
	c, ok := s.connect()
	if !ok {
		return
	}
	s.opening(arg, f.Size-off)
	s.page.SetTransfer(shm.StateDownloading, f.Size-off)
	if s.ascii {
		err = s.sendText(c, f.FD, f.Size)
	} else {
		err = s.sendFile(c, f.FD, off, f.Size)
	}
	s.finish(c, err, true)
}

// refuseOpen answers an open that failed.
func (s *Session) refuseOpen(arg string, err error) {
	switch vfs.Refused(err) {
	case ipc.DeniedAppend, ipc.DeniedRestart:
		s.refuse(451, arg, err)
	case ipc.DeniedOffset:
		s.reply(554, arg, ": invalid REST argument")
	case ipc.DeniedUnique:
		s.reply(450, "STOU: unable to generate unique filename")
	default:
		s.refuse(550, arg, err)
	}
}

// sendFile sends the bytes from off up to size. A file that has become shorter
// is an error: the client was promised more.
func (s *Session) sendFile(c conn, file int, off, size int64) error {
	if p, ok := c.(sock); ok {
		err := s.splice(p, file, &off, size)
		if err != errNoSendfile {
			return err
		}
	}
	return s.copyFile(file, off, size, func(b []byte) error { return s.send(c, b) })
}

// errNoSendfile: the file system cannot do it.
var errNoSendfile = errors.New("no sendfile")

// splice is sendFile by sendfile(2): the bytes never enter this process.
func (s *Session) splice(c sock, file int, off *int64, size int64) error {
	for *off < size {
		n, err := unix.Sendfile(int(c), file, off, int(min(size-*off, sendChunk)))
		if n > 0 {
			s.moved(int64(n))
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

// sendText sends a file in TYPE A.
func (s *Session) sendText(c conn, file int, size int64) error {
	var conv toNet
	third := bufferSize / 3
	out := s.buffer()[third:]
	return s.copyFile(file, 0, size, func(b []byte) error {
		return s.send(c, conv.convert(out[:0], b))
	})
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
	for len(b) > 0 {
		n, err := c.Write(b)
		if n > 0 {
			s.moved(int64(n))
			b = b[n:]
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
	return s.step(-1, 0, false)
}
