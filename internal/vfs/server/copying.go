package server

import (
	"time"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// copySlice bounds one call of a copy, copyPiece one system call of it in bytes.
const (
	copySlice = 250 * time.Millisecond
	copyPiece = 8 << 20
)

// copying is the copy in hand. The new file has a temporary name until it is
// whole.
type copying struct {
	req     ipc.Copy
	in, out int
	dir     int // of the new file
	name    string
	temp    string
	total   int64
	buf     []byte // where the kernel cannot copy between the two
}

// copyFile copies a regular file under the rules of RETR and of STOR, a slice a
// call: EAGAIN asks for the next one.
func (s *Server) copyFile(r *ipc.Copy) ipc.PathReply {
	if s.copying != nil && s.copying.req != *r {
		s.endCopy()
	}
	return pathReply(r.To, func(to string) error {
		if s.copying == nil {
			if err := s.beginCopy(r, to); err != nil {
				return err
			}
		}
		err := s.copySlice()
		if err != unix.EAGAIN {
			s.endCopy()
		}
		return err
	})
}

// beginCopy opens both ends.
func (s *Server) beginCopy(r *ipc.Copy, to string) error {
	source := s.openRead(&ipc.OpenRead{Path: r.From})
	if source.fd < 0 {
		return source.refused()
	}
	c := &copying{req: *r, in: source.fd, out: -1, dir: -1}
	err := s.copyTarget(c, to, source.reply.Size)
	if err != nil {
		c.close()
		return err
	}
	s.copying = c
	return nil
}

func (s *Server) copyTarget(c *copying, to string, size int64) (err error) {
	if s.maxStore > 0 && size > s.maxStore {
		return refusal(ipc.DeniedSize)
	}
	dir, name, err := s.tree.parent(to)
	if err != nil {
		return err
	}
	if dir < 0 {
		return refusal(ipc.DeniedNotRegular)
	}
	defer s.tree.release(dir)
	c.name = name
	if c.dir, err = unix.FcntlInt(uintptr(dir), unix.F_DUPFD_CLOEXEC, minFile); err != nil {
		return err
	}
	switch err := s.mayOverwrite(c.dir, c.name, false, 0); err {
	case nil:
		var from unix.Stat_t
		there, err := lstat(c.dir, c.name)
		if err == nil {
			err = unix.Fstat(c.in, &from)
		}
		if err != nil {
			return err
		}
		if sameFile(&from, &there) {
			return unix.EINVAL
		}
	case unix.ENOENT:
	default:
		return err
	}
	if c.temp, err = randomName(".in.", 12); err != nil {
		return err
	}
	c.out, err = s.create(c.dir, c.temp, unix.O_WRONLY|unix.O_NOFOLLOW)
	return err
}

// copySlice copies for a while, and at the end puts the file in its place.
func (s *Server) copySlice() error {
	c := s.copying
	for start := time.Now(); ; {
		n, err := c.piece()
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n == 0:
			return s.placeCopy(c)
		}
		if c.total += int64(n); s.maxStore > 0 && c.total > s.maxStore {
			return refusal(ipc.DeniedSize)
		}
		if time.Since(start) > copySlice {
			return unix.EAGAIN
		}
	}
}

// piece copies some bytes, 0 at the end. If the first try of the kernel yields
// nothing (not between these two file systems, or an empty file) a buffer is
// used.
func (c *copying) piece() (int, error) {
	if c.buf == nil {
		n, err := unix.CopyFileRange(c.in, nil, c.out, nil, copyPiece, 0)
		if err == unix.EINTR || c.total > 0 || err == nil && n > 0 {
			return n, err
		}
		c.buf = make([]byte, 256<<10)
	}
	return copyOnce(c.out, c.in, c.buf)
}

// placeCopy gives the new file its name.
func (s *Server) placeCopy(c *copying) error {
	if s.rules.FSync {
		if err := unix.Fsync(c.out); err != nil {
			return err
		}
	}
	switch err := s.mayOverwrite(c.dir, c.name, false, 0); err {
	case nil, unix.ENOENT:
	default:
		return err
	}
	if err := s.replace(c.dir, c.temp, c.dir, c.name); err != nil {
		return err
	}
	c.temp = ""
	if s.rules.FSync {
		return syncDir(c.dir)
	}
	return nil
}

// endCopy gives up the copy in hand, if there is one, or forgets it when it is
// done.
func (s *Server) endCopy() {
	if s.copying != nil {
		s.copying.close()
		s.copying = nil
	}
}

func (c *copying) close() {
	if c.out >= 0 {
		var mine unix.Stat_t
		if c.temp != "" && unix.Fstat(c.out, &mine) == nil {
			removeSame(c.dir, c.temp, &mine)
		}
		unix.Close(c.out)
	}
	if c.dir >= 0 {
		unix.Close(c.dir)
	}
	unix.Close(c.in)
}

// removeSame removes a name if it still is that file, and tells whether it did.
func removeSame(dir int, name string, want *unix.Stat_t) bool {
	st, err := lstat(dir, name)
	return err == nil && sameFile(&st, want) && unix.Unlinkat(dir, name, 0) == nil
}

// syncDir makes new names in a directory durable. One that may not be read
// cannot be synced: that is no error.
func syncDir(dir int) error {
	fd, err := openat2(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0, single)
	if err == unix.EACCES {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fsync(fd)
}
