package ftp

import (
	"errors"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// An upload that gets no data connection leaves nothing behind: an empty file
// would take the name from the client's next try where nothing may be overwritten.

// wouldMake tells whether an upload makes a new file.
func (s *Session) wouldMake(path string, how uint8) bool {
	if how == ipc.WriteUnique {
		return true
	}
	_, err := s.files.Stat(path, false)
	return errors.Is(err, unix.ENOENT)
}

// unmake removes the empty file that STOR or STOU has made, before its descriptor
// is closed. A name that another session may be about to fill stays: one that STOR
// may overwrite, or APPE write to.
func (s *Session) unmake(f vfs.Opened, how uint8, path string) {
	if !f.Created || f.Hidden || s.files == nil {
		return
	}
	switch {
	case how == ipc.WriteUnique:
	case how != ipc.WriteStore, s.view.AllowStoreRestart, !s.kept(path):
		return
	}
	var own unix.Stat_t
	if unix.Fstat(f.FD, &own) != nil || own.Size != 0 {
		return
	}
	if i, err := s.files.Stat(path, false); err == nil && i.Device == own.Dev && i.Inode == own.Ino {
		_ = s.files.Remove(path)
	}
}

// kept tells whether the rules keep STOR from an existing file. The files process
// is asked, since it applies them.
func (s *Session) kept(path string) bool {
	f, err := s.files.OpenWrite(path, ipc.WriteStore, 0)
	if err != nil {
		return vfs.Refused(err) == ipc.DeniedOverwrite
	}
	s.abandon(f, path)
	return false
}
