package server

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
)

// makeTree makes a directory and those above it that are missing. What is there
// already, links to directories included, is used as it is; below the first
// directory made here only directories are, never links.
func (s *Server) makeTree(clean string) error {
	base, fd := clean, -1
	var err error
	for { // the longest part that exists
		if fd, err = s.tree.open(base, unix.O_PATH|unix.O_DIRECTORY); err == nil {
			break
		}
		if err != unix.ENOENT || base == "/" {
			return err
		}
		base, _ = vfs.Split(base)
	}
	defer func() { unix.Close(fd) }()
	var st unix.Stat_t
	if err := s.tree.facts(fd, &st); err != nil {
		return err
	}
	rest := strings.TrimPrefix(clean[len(base):], "/")
	if rest == "" {
		return nil
	}
	unix.Umask(int(s.rules.DirUmask & 0o777))
	for name := range strings.SplitSeq(rest, "/") {
		if err := unix.Mkdirat(fd, name, 0o777); err != nil && err != unix.EEXIST {
			return err
		}
		// Somebody may have made it meanwhile, or a link of that name.
		next, err := openat2(fd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0, single)
		if err != nil {
			return err
		}
		unix.Close(fd)
		fd = next
	}
	return nil
}

// Limits of one call of removeTree; EAGAIN beyond the first two, ELOOP beyond
// the third.
const (
	removeRun   = 20_000 // names
	removeTime  = 250 * time.Millisecond
	removeDepth = 1024 // levels, a descriptor each
)

// level is a directory that is being emptied.
type level struct {
	fd      int
	name    string // in the level above
	reader  dirReader
	subdirs []string // found and not yet visited
}

// remover empties directories from the bottom up. It goes down by single
// components that it opens itself, O_NOFOLLOW and within the file system: links
// are removed and not followed, mount points refused.
type remover struct {
	levels []level
	left   int // names that this call may still remove
	end    time.Time
	buf    []byte
	run    []entry
}

// removeTree removes a directory with all that is in it, as far as one call
// goes; EAGAIN says that there is more. It has no state between calls: what is
// gone is gone. It stops at the first thing that cannot be removed.
func (s *Server) removeTree(clean string) error {
	dir, name, err := s.tree.parent(clean)
	if err != nil {
		return err
	}
	if dir < 0 {
		return unix.EBUSY
	}
	defer s.tree.release(dir)
	if st, err := lstat(dir, name); err != nil {
		return err
	} else if !isDir(&st) {
		return unix.ENOTDIR
	}
	w := &remover{left: s.removeRun, end: time.Now().Add(removeTime), buf: make([]byte, direntBuffer)}
	defer w.close()
	if err := w.descend(dir, name); err != nil {
		return err
	}
	for len(w.levels) > 0 {
		if err := w.step(dir); err != nil {
			return err
		}
	}
	return nil
}

func (w *remover) close() {
	for i := range w.levels {
		unix.Close(w.levels[i].fd)
	}
}

// descend opens the directory name of dir as the next level.
func (w *remover) descend(dir int, name string) error {
	if len(w.levels) == removeDepth {
		return unix.ELOOP
	}
	fd, err := openat2(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0, single|unix.RESOLVE_NO_XDEV)
	if err != nil {
		return err
	}
	w.levels = append(w.levels, level{fd: fd, name: name, reader: dirReader{fd: fd, buf: w.buf}})
	return nil
}

// step goes down into a directory, or empties the lowest one of the next run of
// its entries, or removes it. top holds the first level.
func (w *remover) step(top int) error {
	l := &w.levels[len(w.levels)-1]
	if n := len(l.subdirs); n > 0 {
		name := l.subdirs[n-1]
		l.subdirs = l.subdirs[:n-1]
		err := w.descend(l.fd, name)
		switch err {
		case unix.ENOENT: // gone
			return nil
		case unix.ENOTDIR, unix.ELOOP: // became something else
			if len(w.levels) < removeDepth {
				return w.unlink(l, name, 0)
			}
		}
		return err
	}
	if !l.reader.eof {
		var err error
		if w.run, err = l.reader.read(w.run[:0], 1); err != nil {
			return err
		}
		for i := range w.run {
			if err := w.take(l, &w.run[i]); err != nil {
				return err
			}
		}
		return nil
	}
	above := top
	if n := len(w.levels); n > 1 {
		above = w.levels[n-2].fd
	}
	unix.Close(l.fd)
	name := l.name
	w.levels = w.levels[:len(w.levels)-1]
	return w.unlinkAt(above, name, unix.AT_REMOVEDIR)
}

// take removes an entry, or remembers it if it is a directory.
func (w *remover) take(l *level, e *entry) error {
	dir := e.typ == unix.DT_DIR
	if e.typ == unix.DT_UNKNOWN {
		st, err := lstat(l.fd, e.name)
		if err == unix.ENOENT {
			return nil
		}
		if err != nil {
			return err
		}
		dir = isDir(&st)
	}
	if dir {
		l.subdirs = append(l.subdirs, strings.Clone(e.name))
		return nil
	}
	return w.unlink(l, e.name, 0)
}

func (w *remover) unlink(l *level, name string, flags int) error {
	return w.unlinkAt(l.fd, name, flags)
}

// unlinkAt removes a name within what is left. One that has become a directory, or no
// longer is one, is left for the next call.
func (w *remover) unlinkAt(dir int, name string, flags int) error {
	w.left--
	if w.left < 0 || w.left%64 == 0 && time.Now().After(w.end) {
		return unix.EAGAIN
	}
	err := unix.Unlinkat(dir, name, flags)
	switch err {
	case unix.ENOENT:
		return nil
	case unix.EISDIR, unix.ENOTDIR:
		return unix.EAGAIN
	}
	return err
}
