package server

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// FindGroups asks for the gids of group names; see [ipc.IDsRequest].
type FindGroups func(ipc.IDsRequest) (*ipc.IDsReply, error)

// setGroup gives a regular file or directory to one of the user's groups. A
// group that the user is not in and one that does not exist are refused alike.
func (s *Server) setGroup(r *ipc.SetGroup) ipc.PathReply {
	return pathReply(r.Path, func(clean string) error {
		fd, _, err := s.changeable(clean)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		gid, err := s.group(r.Group)
		if err != nil {
			return err
		}
		if !slices.Contains(s.ids.groups, gid) {
			return refusal(ipc.DeniedMember)
		}
		return unix.Fchownat(fd, "", -1, int(gid), unix.AT_EMPTY_PATH)
	})
}

// group returns the gid of a group's name or number.
func (s *Server) group(name string) (uint32, error) {
	if name != "" && strings.Trim(name, "0123456789") == "" {
		n, err := strconv.ParseUint(name, 10, 32)
		if err != nil || uint32(n) == ^uint32(0) {
			return 0, refusal(ipc.DeniedMember)
		}
		return uint32(n), nil
	}
	if s.groups == nil || name == "" {
		return 0, refusal(ipc.DeniedMember)
	}
	a, err := s.groups(ipc.IDsRequest{Groups: []string{name}})
	if err != nil || len(a.GIDs) != 1 {
		s.groups, s.names.lookup = nil, nil // they share a channel, which is gone
		return 0, unix.EIO
	}
	if a.GIDs[0] < 0 || a.GIDs[0] >= 1<<32-1 {
		return 0, refusal(ipc.DeniedMember)
	}
	return uint32(a.GIDs[0]), nil
}

// setTimes changes times of a regular file or directory, whole seconds.
func (s *Server) setTimes(r *ipc.SetTimes) ipc.PathReply {
	return pathReply(r.Path, func(clean string) error {
		fd, _, err := s.changeable(clean)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		atime := unix.Timespec{Sec: r.Atime}
		if r.KeepAtime {
			atime.Nsec = unix.UTIME_OMIT
		}
		return unix.UtimesNanoAt(fd, "", []unix.Timespec{atime, {Sec: r.Mtime}}, unix.AT_EMPTY_PATH)
	})
}

// symlink makes a link whose text is exactly what was asked for. It never leads
// this server out of its root; other programs of the host follow it as theirs.
func (s *Server) symlink(r *ipc.Symlink) ipc.PathReply {
	return pathReply(r.Path, func(clean string) error {
		if r.Target == "" || strings.IndexByte(r.Target, 0) >= 0 {
			return unix.EINVAL
		}
		if len(r.Target) >= vfs.MaxPath {
			return unix.ENAMETOOLONG
		}
		dir, name, err := s.tree.parent(clean)
		if err != nil {
			return err
		}
		if dir < 0 {
			return unix.EEXIST
		}
		defer s.tree.release(dir)
		return unix.Symlinkat(r.Target, dir, name)
	})
}

// space tells how much room there is on the file system of a path: what blocks
// of its own the user may still fill, quotas not considered.
func (s *Server) space(r *ipc.Space) ipc.SpaceReply {
	var a ipc.SpaceReply
	err := func() error {
		clean, err := vfs.Clean("/", r.Path)
		if err != nil {
			return err
		}
		fd, _, err := s.tree.handle(clean, true)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		var fs unix.Statfs_t
		if err := unix.Fstatfs(fd, &fs); err != nil {
			return err
		}
		block := uint64(max(fs.Frsize, 0))
		if block == 0 {
			block = uint64(max(fs.Bsize, 0))
		}
		a.Free, a.Total = bytesOf(fs.Bavail, block), bytesOf(fs.Blocks, block)
		if fs.Flags&unix.ST_RDONLY != 0 {
			a.Free = 0
		}
		return nil
	}()
	a.Errno, a.Denied = verdict(err)
	return a
}

// bytesOf is n blocks in bytes, the largest number where they are more.
func bytesOf(n, block uint64) uint64 {
	if block != 0 && n > ^uint64(0)/block {
		return ^uint64(0)
	}
	return n * block
}
