package ftp

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
	"sallyport/shm"
)

// lookEvery is how many bytes an upload takes between two looks at the control
// line, where data comes faster than it is written.
const lookEvery = 1 << 20

// stor is STOR; with REST it goes on at an offset.
func stor(s *Session, arg string) {
	off := s.offset()
	how := ipc.WriteStore
	if off != 0 {
		how = ipc.WriteResume
	}
	s.upload("STOR", arg, how, off)
}

// appe is APPE: at the end of the file, whatever REST said.
func appe(s *Session, arg string) {
	s.offset()
	s.upload("APPE", arg, ipc.WriteAppend, 0)
}

// stou is STOU: a new file in the working directory; the argument, which some
// clients send, says nothing.
func stou(s *Session, _ string) {
	if s.offset() != 0 {
		s.reply(550, "STOU incompatible with REST")
		return
	}
	s.upload("STOU", "", ipc.WriteUnique, 0)
}

func (s *Session) upload(verb, arg string, how uint8, off int64) {
	if off != 0 && s.ascii {
		s.reply(501, textNoRest)
		return
	}
	path, ok := s.path(arg)
	if !ok {
		return
	}
	f, err := s.files.OpenWrite(path, how, off)
	if err != nil {
		s.refuseOpen(arg, err)
		return
	}
	s.begin(verb, arg)
	if how == ipc.WriteUnique {
		s.xfer.name = f.Name
	}
	c, ok := s.connect()
	if !ok {
		_ = unix.Close(f.FD)
		return
	}
	if how == ipc.WriteStore && !f.Created {
		err = s.truncate(f.FD)
	}
	if err == nil {
		s.openingUpload(how, arg, f)
		s.page.SetTransfer(shm.StateUploading, -1)
		err = s.receive(c, f.FD, how == ipc.WriteAppend, off)
	}
	if e := unix.Close(f.FD); err == nil && e != nil && e != unix.EINTR {
		err = fileFailed(e) // a network file system says here that the disk is full
	}
	s.finish(c, err, false)
}

// openingUpload sends the 150 reply; STOU's names the file (RFC 1123 §4.1.2.9).
func (s *Session) openingUpload(how uint8, arg string, f vfs.Opened) {
	if how != ipc.WriteUnique {
		s.opening(arg, 0)
		return
	}
	s.reply(150, "FILE: ", f.Name)
	s.flush()
}

// truncate empties a file that STOR replaces. It happens here and not when the
// file is opened: an upload that gets no data connection changes nothing.
func (s *Session) truncate(file int) error {
	for {
		err := unix.Ftruncate(file, 0)
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return fileFailed(err)
		}
	}
}

// sink writes to the file of an upload.
type sink struct {
	file   int
	append bool // O_APPEND: the kernel knows the offset
	off    int64
}

func (w *sink) write(b []byte) error {
	for len(b) > 0 {
		var n int
		var err error
		if w.append {
			n, err = unix.Write(w.file, b)
		} else {
			n, err = unix.Pwrite(w.file, b, w.off)
		}
		if err != nil && err != unix.EINTR {
			return fileFailed(err)
		}
		if n > 0 {
			w.off += int64(n)
			b = b[n:]
		}
	}
	return nil
}

// receive takes a data connection's bytes up to its end.
func (s *Session) receive(c conn, file int, appending bool, off int64) error {
	w := &sink{file: file, append: appending, off: off}
	var conv fromNet
	// In TYPE A a CR held back goes in front of what is read next.
	b := s.buffer()[1:]
	for look := 0; ; {
		n, err := c.Read(b)
		switch {
		case err == unix.EAGAIN:
			look = 0
			if err := s.step(c.fd(), unix.POLLIN, true); err != nil {
				return err
			}
			continue
		case errors.Is(err, io.EOF):
			if s.ascii {
				return w.write(conv.end(s.buf[:0]))
			}
			return nil
		case err != nil:
			return err
		}
		s.moved(int64(n))
		data := b[:n]
		if s.ascii {
			data = conv.convert(s.buf[:0], data)
		}
		if err := w.write(data); err != nil {
			return err
		}
		if look += n; look >= lookEvery {
			look = 0
			if err := s.step(-1, 0, false); err != nil {
				return err
			}
		}
	}
}
