package server

import (
	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// mkdir makes a directory with mode 0777 less the directory umask. What exists
// is EEXIST, a directory too: a client that made it knows, one that did not
// should learn.
func (s *Server) mkdir(clean string) error {
	dir, name, err := s.tree.parent(clean)
	if err != nil {
		return err
	}
	if dir < 0 {
		return unix.EEXIST
	}
	defer s.tree.release(dir)
	unix.Umask(int(s.rules.DirUmask & 0o777))
	return unix.Mkdirat(dir, name, 0o777)
}

// rmdir removes an empty directory; a symbolic link to one is ENOTDIR.
func (s *Server) rmdir(clean string) error {
	return s.unlink(clean, unix.AT_REMOVEDIR, unix.EBUSY)
}

// remove removes anything but a directory, never what a link points to.
func (s *Server) remove(clean string) error {
	return s.unlink(clean, 0, unix.EISDIR)
}

func (s *Server) unlink(clean string, flags int, forRoot unix.Errno) error {
	dir, name, err := s.tree.parent(clean)
	if err != nil {
		return err
	}
	if dir < 0 {
		return forRoot
	}
	defer s.tree.release(dir)
	return unix.Unlinkat(dir, name, flags)
}

// rename moves, atomically within a file system. The answer's path is the new
// one.
func (s *Server) rename(r *ipc.Rename) ipc.PathReply {
	from, err := vfs.Clean("/", r.From)
	if err != nil {
		return pathReply("", func(string) error { return err })
	}
	return pathReply(r.To, func(to string) error { return s.move(from, to) })
}

func (s *Server) move(from, to string) error {
	oldDir, oldName, err := s.tree.parent(from)
	if err != nil {
		return err
	}
	if oldDir < 0 {
		return unix.EBUSY
	}
	defer s.tree.release(oldDir)
	newDir, newName, err := s.tree.parent(to)
	if err != nil {
		return err
	}
	if newDir < 0 {
		return unix.EBUSY
	}
	defer s.tree.release(newDir)
	err = s.replace(oldDir, oldName, newDir, newName)
	if err == unix.EXDEV {
		return s.moveAcross(oldDir, oldName, newDir, newName)
	}
	return err
}

// replace is renameat2 under the rule of AllowOverwrite: without it the kernel
// itself refuses to replace anything.
func (s *Server) replace(oldDir int, oldName string, newDir int, newName string) error {
	if s.rules.AllowOverwrite {
		return unix.Renameat2(oldDir, oldName, newDir, newName, 0)
	}
	err := unix.Renameat2(oldDir, oldName, newDir, newName, unix.RENAME_NOREPLACE)
	switch err {
	case unix.EEXIST:
		return refusal(ipc.DeniedOverwrite)
	case unix.EINVAL:
		// Either a directory into itself, which the second call finds too, or
		// a file system that cannot do it atomically (some network ones).
		if _, err := lstat(newDir, newName); err == nil {
			return refusal(ipc.DeniedOverwrite)
		}
		return unix.Renameat2(oldDir, oldName, newDir, newName, 0)
	}
	return err
}
