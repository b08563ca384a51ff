package ftp

import (
	"errors"
	"io"
	"strconv"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
	"sallyport/shm"
)

// lookEvery is how many bytes an upload takes between two looks at the control
// line, where data comes faster than it is written.
const lookEvery = 1 << 20

// stor is STOR; with REST it goes on at an offset, with RANG it replaces a part.
func stor(s *Session, arg string) {
	p := s.takeSpan()
	if !p.fits(s, "") {
		return
	}
	how := ipc.WriteStore
	if p.first != 0 || p.ranged {
		how = ipc.WriteResume
	}
	s.upload("STOR", arg, how, p)
}

// appe is APPE: at the end of the file, whatever REST said.
func appe(s *Session, arg string) {
	if p := s.takeSpan(); p.fits(s, "APPE") {
		s.upload("APPE", arg, ipc.WriteAppend, span{})
	}
}

// stou is STOU: a new file in the working directory; the argument, which some
// clients send, says nothing.
func stou(s *Session, _ string) {
	if p := s.takeSpan(); p.fits(s, "STOU") {
		s.upload("STOU", "", ipc.WriteUnique, span{})
	}
}

func (s *Session) upload(verb, arg string, how uint8, p span) {
	path, ok := s.path(arg)
	if !ok || !s.mayTransfer(verb) {
		return
	}
	defer s.endCount()
	if s.data.mode == linkNone && p == (span{}) && s.wouldMake(path, how) {
		s.begin(verb, arg)
		s.connect() // which says so
		return
	}
	f, err := s.files.OpenWrite(path, how, p.first)
	switch {
	case err == nil:
	case vfs.Refused(err) == ipc.DeniedSize: // there is no room for a single byte more
		s.reply(fileCode(unix.EFBIG), "Transfer aborted. ", fileText(unix.EFBIG))
		return
	case how == ipc.WriteUnique && !vfs.Broken(err) && vfs.Refused(err) != ipc.DeniedRule:
		s.reply(450, textNoUnique)
		return
	default:
		s.refuseOpen(arg, err, p.ranged)
		return
	}
	if how == ipc.WriteUnique {
		arg = f.Name
		path, _ = vfs.Clean(path, f.Name)
		s.touched(path)
	}
	if p.ranged && s.refuseRange(f, arg, path) {
		return
	}
	s.begin(verb, arg)
	raw, ok := s.connect()
	if !ok {
		s.abandon(f, path)
		return
	}
	w := newSink(f, how, p)
	s.began(raw, "i", f.Size, w.off, !f.Created)
	s.openingUpload(how, arg)
	s.page.SetTransfer(shm.StateUploading, -1)
	s.tls.upload = true
	c, err := s.protect(raw)
	s.tls.upload = false
	if err == nil && how == ipc.WriteStore && !f.Created {
		err = s.truncate(f.FD)
	}
	if err == nil {
		err = s.receive(c, w)
		s.unclosed(c)
	}
	s.rec.size = w.off
	if how == ipc.WriteResume {
		s.rec.size = max(f.Size, w.off) // what stands behind the part is still there
	}
	s.finish(c, s.settle(f, arg, path, err), false)
}

// wouldMake tells whether an upload makes a new file: one that gets no data
// connection, because none was asked for, is to leave no empty one behind.
func (s *Session) wouldMake(path string, how uint8) bool {
	if how == ipc.WriteUnique {
		return true
	}
	_, err := s.files.Stat(path, false)
	return errors.Is(err, unix.ENOENT)
}

// refuseRange answers what files cannot know of a range that begins with the
// first byte: that it is not a whole file.
func (s *Session) refuseRange(f vfs.Opened, arg, path string) bool {
	switch {
	case f.Hidden:
		s.abandon(f, path)
		s.reply(501, textHiddenRest)
	case !f.Created && !s.view.AllowStoreRestart:
		s.abandon(f, path)
		s.reply(451, arg, ": Append/Restart not permitted, try again")
	default:
		return false
	}
	return true
}

const textNoUnique = "STOU: unable to generate unique filename"

const textHiddenRest = "REST not compatible with server configuration"

// settle closes an upload's file and lets the files process put it into place;
// err is how the transfer ended so far, and the result how it ended in all.
func (s *Session) settle(f vfs.Opened, arg, path string, err error) error {
	if e := unix.Close(f.FD); err == nil && e != nil && e != unix.EINTR {
		err = fileFailed(e) // a network file system says here that the disk is full
	}
	if f.Upload == 0 || s.files == nil {
		return err
	}
	e := s.files.Finish(path, f.Upload, err == nil)
	switch {
	case e == nil || err != nil && !vfs.Broken(e):
		return err
	case vfs.Broken(e):
		s.broken("files", e)
		return errOver
	case vfs.Refused(e) == ipc.DeniedSize:
		return fileFailed(unix.EFBIG)
	case f.Hidden:
		return &replyError{550, arg + ": Rename of hidden file " + f.Temp + " failed: " + vfs.Text(e)}
	}
	var n *vfs.Error
	if errors.As(e, &n) && n.Errno != 0 {
		return fileFailed(n.Errno)
	}
	return fileFailed(unix.EIO)
}

// abandon settles an upload that has not begun.
func (s *Session) abandon(f vfs.Opened, path string) {
	_ = s.settle(f, "", path, errAborted)
}

// openingUpload sends the 150 reply; STOU's names the file (RFC 1123 §4.1.2.9).
func (s *Session) openingUpload(how uint8, arg string) {
	if how != ipc.WriteUnique {
		s.opening(arg, 0)
		return
	}
	s.reply(150, "FILE: ", arg)
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
	append bool  // O_APPEND: the kernel knows the offset
	off    int64 // of the next byte
	most   int64 // size that the file may grow to; 0: no limit
	left   int64 // bytes that RANG still asks for
	ranged bool
}

func newSink(f vfs.Opened, how uint8, p span) *sink {
	w := &sink{file: f.FD, append: how == ipc.WriteAppend, off: p.first, most: f.Most, ranged: p.ranged}
	if w.append {
		w.off = f.Size
	}
	if p.ranged {
		w.left = p.last - p.first + 1
	}
	return w
}

// write takes bytes of the file. Beyond the limit the part that fits is written:
// what is left of the upload is what the limit says.
func (w *sink) write(b []byte) error {
	if w.ranged && int64(len(b)) > w.left {
		return w.misfit()
	}
	if w.most > 0 && int64(len(b)) > w.most-w.off {
		if err := w.put(b[:max(w.most-w.off, 0)]); err != nil {
			return err
		}
		return fileFailed(unix.EFBIG)
	}
	return w.put(b)
}

func (w *sink) put(b []byte) error {
	w.left -= int64(len(b))
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

// end takes the end of the stream: with RANG all of the range has come.
func (w *sink) end() error {
	if w.ranged && w.left != 0 {
		return w.misfit()
	}
	return nil
}

func (w *sink) misfit() error {
	return &replyError{551, "Transfer aborted. Not as many bytes as RANG said, " + strconv.FormatInt(max(w.left, 0), 10) + " left"}
}

// stream reads a data connection, waiting where nothing has come; it ends by
// io.EOF, or by what has ended the transfer.
type stream struct {
	s    *Session
	c    conn
	look int // bytes since the last look at the control line
}

func (r *stream) Read(b []byte) (int, error) {
	s := r.s
	if r.look >= lookEvery {
		r.look = 0
		if err := s.step(-1, 0, false); err != nil {
			return 0, err
		}
	}
	b = b[:s.chunk(len(b))]
	for {
		n, err := r.c.Read(b)
		if err == unix.EAGAIN {
			r.look = 0
			if err := s.step(r.c.fd(), unix.POLLIN, true); err != nil {
				return 0, err
			}
			continue
		}
		if n > 0 {
			r.look += n
			s.moved(int64(n))
			if err == nil {
				err = s.throttle()
			}
		}
		return n, err
	}
}

// receive takes a data connection's bytes up to its end, in the TYPE and MODE in
// force.
func (s *Session) receive(c conn, w *sink) error {
	var in io.Reader = &stream{s: s, c: c}
	if s.deflate {
		in = newInflater(in, &s.xfer.done)
	}
	var conv fromNet
	// In TYPE A a CR held back goes in front of what is read next.
	b := s.buffer()[1:]
	for {
		n, err := in.Read(b)
		data := b[:n]
		if s.ascii {
			data = conv.convert(s.buf[:0], data)
		}
		if err := w.write(data); err != nil {
			return err
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
		if s.ascii {
			if err := w.write(conv.end(s.buf[:0])); err != nil {
				return err
			}
		}
		return w.end()
	}
}
