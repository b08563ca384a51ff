package server

import (
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// moveAcross moves a regular file to another file system: it is copied under a
// temporary name in the target directory, made durable, renamed into place and
// removed at its old place. Mode (without set-id bits) and time stay; owner is
// the user, access lists and extended attributes go. Whatever is no regular file
// is EPERM.
func (s *Server) moveAcross(oldDir int, oldName string, newDir int, newName string) error {
	st, err := lstat(oldDir, oldName)
	if err != nil {
		return err
	}
	if !isRegular(&st) {
		return unix.EPERM
	}
	if err := s.mayUnlink(oldDir, &st); err != nil {
		return err // rather than at the end, with the target replaced
	}
	in, err := openat2(oldDir, oldName, unix.O_RDONLY|unix.O_NOFOLLOW|transferFlags, 0, single)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	var now unix.Stat_t
	if err := s.tree.facts(in, &now); err != nil {
		return err
	}
	if !sameFile(&st, &now) || !isRegular(&now) {
		return unix.EAGAIN // replaced since
	}
	if !s.rules.AllowOverwrite { // the rename below decides; this spares the copy
		if _, err := lstat(newDir, newName); err == nil {
			return refusal(ipc.DeniedOverwrite)
		}
	}
	temp, err := randomName(".in.", 12)
	if err != nil {
		return err
	}
	unix.Umask(0o077)
	out, err := openat2(newDir, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600, single)
	if err != nil {
		return err
	}
	err = s.fill(out, in, newDir, temp, &now)
	unix.Close(out)
	if err == nil {
		err = s.replace(newDir, temp, newDir, newName)
	}
	if err != nil {
		_ = unix.Unlinkat(newDir, temp, 0) // nothing more can be done
		return err
	}
	if st, err := lstat(oldDir, oldName); err != nil || !sameFile(&st, &now) {
		return nil // somebody else took it away: it is no longer ours to remove
	}
	return unix.Unlinkat(oldDir, oldName, 0)
}

// fill copies the content, then mode and time, and waits for the disk.
func (s *Server) fill(out, in, dir int, temp string, st *unix.Stat_t) error {
	if err := copyContent(out, in); err != nil {
		return err
	}
	if err := unix.Fchmod(out, st.Mode&0o777); err != nil {
		return err
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	if err := unix.UtimesNanoAt(dir, temp, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	return unix.Fsync(out)
}

// copyContent copies until the end of in, within the limits that vfs states.
// The kernel does it where it can; if its first part yields nothing (not between
// these two file systems, or an empty file) a buffer does.
func copyContent(out, in int) error {
	start, total := time.Now(), int64(0)
	var buf []byte
	for {
		var n int
		var err error
		if buf == nil {
			n, err = unix.CopyFileRange(in, nil, out, nil, 16<<20, 0)
		} else {
			n, err = copyOnce(out, in, buf)
		}
		switch {
		case err == unix.EINTR:
			continue
		case buf == nil && total == 0 && n <= 0:
			buf = make([]byte, 256<<10)
			continue
		case err != nil || n == 0:
			return err
		}
		if total += int64(n); total > vfs.CopyMax {
			return unix.EFBIG
		}
		if time.Since(start) > vfs.CopyTime {
			return unix.ETIMEDOUT
		}
	}
}

func copyOnce(out, in int, buf []byte) (int, error) {
	n, err := unix.Read(in, buf)
	if err != nil || n == 0 {
		return 0, err
	}
	for off := 0; off < n; {
		w, err := unix.Write(out, buf[off:n])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		off += w
	}
	return n, nil
}

func sameFile(a, b *unix.Stat_t) bool { return a.Dev == b.Dev && a.Ino == b.Ino }
