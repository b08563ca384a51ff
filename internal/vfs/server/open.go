package server

import (
	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// transferFlags go with every open of a file for transfer: a pipe or a terminal
// that took the file's place must neither block nor become ours.
const transferFlags = unix.O_NONBLOCK | unix.O_NOCTTY

// createTries bounds the rounds of create-or-open against somebody who makes
// and removes the file all the time.
const createTries = 16

// openRead opens for RETR or for a digest. The file is looked at before it is
// opened (opening a device can have effects of its own) and again afterwards.
func (s *Server) openRead(r *ipc.OpenRead) opened {
	clean, err := vfs.Clean("/", r.Path)
	if err != nil {
		return refuseOpen(err)
	}
	st, err := s.tree.stat(clean, true)
	if err == nil {
		err = s.mayRead(r, &st)
	}
	if err != nil {
		return refuseOpen(err)
	}
	fd, err := s.tree.open(clean, unix.O_RDONLY|transferFlags)
	if err != nil {
		return refuseOpen(err)
	}
	o := s.grant(fd, r.Offset)
	if o.fd >= 0 {
		st.Size = o.reply.Size // it may have grown since
		if err := s.mayRead(r, &st); err != nil {
			unix.Close(o.fd)
			return refuseOpen(err)
		}
	}
	return o
}

// mayRead applies the rules to a file that exists.
func (s *Server) mayRead(r *ipc.OpenRead, st *unix.Stat_t) error {
	switch {
	case r.Digest && (!isRegular(st) || s.rules.DigestMax > 0 && st.Size > s.rules.DigestMax):
		return refusal(ipc.DeniedDigest)
	case !isRegular(st):
		return refusal(ipc.DeniedNotRegular)
	case r.Offset != 0 && !r.Digest && !s.rules.AllowRetrieveRestart:
		return refusal(ipc.DeniedRestart)
	case !r.Digest && s.maxRetrieve > 0 && st.Size > s.maxRetrieve:
		return refusal(ipc.DeniedSize)
	}
	return nil
}

// grant makes the last checks on an open file: a regular one, on a file system
// for files, long enough for offset.
func (s *Server) grant(fd int, offset int64) opened {
	var st unix.Stat_t
	err := s.tree.facts(fd, &st)
	switch {
	case err != nil:
	case !isRegular(&st):
		err = refusal(ipc.DeniedNotRegular)
	case offset < 0 || offset > st.Size:
		err = refusal(ipc.DeniedOffset)
	}
	if err != nil {
		unix.Close(fd)
		return refuseOpen(err)
	}
	return opened{fd: fd, reply: ipc.OpenReply{Size: st.Size}}
}

// openWrite opens for STOR, APPE and STOU; nothing is truncated.
func (s *Server) openWrite(r *ipc.OpenWrite) opened {
	clean, err := vfs.Clean("/", r.Path)
	if err != nil {
		return refuseOpen(err)
	}
	var offset int64
	switch r.How {
	case ipc.WriteUnique:
		return s.openUnique(clean)
	case ipc.WriteStore, ipc.WriteAppend:
	case ipc.WriteResume:
		offset = r.Offset
	default:
		return refuseOpen(unix.EINVAL)
	}
	dir, name, err := s.tree.parent(clean)
	if err != nil {
		return refuseOpen(err)
	}
	if dir < 0 { // "/"
		return refuseOpen(refusal(ipc.DeniedNotRegular))
	}
	defer s.tree.release(dir)
	if s.hidden.on && r.How != ipc.WriteAppend {
		return s.openHidden(dir, name, offset)
	}
	return s.track(s.openIn(dir, name, r.How == ipc.WriteAppend, offset), dir, name, "")
}

// openIn creates name in dir or, if it is there and the rules agree, opens it.
func (s *Server) openIn(dir int, name string, appendTo bool, offset int64) opened {
	flags := unix.O_WRONLY | unix.O_NOFOLLOW | transferFlags
	if appendTo {
		flags |= unix.O_APPEND
	}
	for range createTries {
		if offset == 0 {
			fd, err := s.create(dir, name, flags)
			if err == nil {
				return created(fd)
			}
			if err != unix.EEXIST {
				return refuseOpen(err)
			}
		}
		err := s.mayOverwrite(dir, name, appendTo, offset)
		if err == unix.ENOENT {
			if offset != 0 {
				return refuseOpen(refusal(ipc.DeniedOffset))
			}
			continue // removed since: create it
		}
		if err != nil {
			return refuseOpen(err)
		}
		fd, err := openat2(dir, name, flags, 0, single)
		switch err {
		case nil:
			return s.roomIn(s.grant(fd, offset), appendTo || offset != 0)
		case unix.ENOENT:
			continue
		case unix.ELOOP, unix.ENXIO, unix.EISDIR, unix.ENODEV: // became a link, a pipe, a directory, a device
			return refuseOpen(refusal(ipc.DeniedNotRegular))
		}
		return refuseOpen(err)
	}
	return refuseOpen(unix.EAGAIN)
}

// roomIn refuses an upload that is to go on behind what is there already where no
// byte more may be stored.
func (s *Server) roomIn(o opened, behind bool) opened {
	if o.fd >= 0 && behind && s.maxStore > 0 && o.reply.Size >= s.maxStore {
		unix.Close(o.fd)
		return refuseOpen(refusal(ipc.DeniedSize))
	}
	return o
}

// mayOverwrite applies the rules to a file that exists, in the order in which
// clients know the refusals: overwriting, kind of file, restart. A resumed STOR
// needs the right to overwrite and to restart, APPE only the latter.
func (s *Server) mayOverwrite(dir int, name string, appendTo bool, offset int64) error {
	st, err := lstat(dir, name)
	switch {
	case err != nil:
		return err
	case !appendTo && !s.rules.AllowOverwrite:
		return refusal(ipc.DeniedOverwrite)
	case !isRegular(&st): // a symbolic link too
		return refusal(ipc.DeniedNotRegular)
	case (appendTo || offset != 0) && !s.rules.AllowStoreRestart:
		return refusal(ipc.DeniedAppend)
	}
	return nil
}

// created is a file that create has made: regular, empty, and beside others that
// were looked at.
func created(fd int) opened { return opened{fd: fd, reply: ipc.OpenReply{Created: true}} }

// create makes a new file with mode 0666 less the umask, or fails with EEXIST
// whatever is there.
func (s *Server) create(dir int, name string, flags int) (int, error) {
	unix.Umask(int(s.rules.Umask & 0o777))
	return openat2(dir, name, flags|unix.O_CREAT|unix.O_EXCL, 0o666, single)
}

// uniqueTries bounds the search for a free name: 62^6 names exist for a prefix.
const uniqueTries = 64

// openUnique makes a file of a new name for STOU.
func (s *Server) openUnique(clean string) opened {
	dir, st, err := s.tree.handle(clean, true)
	if err != nil {
		return refuseOpen(err)
	}
	defer unix.Close(dir)
	if !isDir(&st) {
		return refuseOpen(unix.ENOTDIR)
	}
	for range uniqueTries {
		name, err := randomName(s.rules.StoreUniquePrefix, 6)
		if err != nil {
			return refuseOpen(err)
		}
		fd, err := s.create(dir, name, unix.O_WRONLY|unix.O_NOFOLLOW|transferFlags)
		if err == unix.EEXIST {
			continue
		}
		if err != nil {
			return refuseOpen(err)
		}
		o := created(fd)
		o.reply.Path = name
		return s.track(o, dir, name, "")
	}
	return refuseOpen(refusal(ipc.DeniedUnique))
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// randomName returns prefix and n random letters and digits.
func randomName(prefix string, n int) (string, error) {
	b := []byte(prefix)
	var r [32]byte
	for want := len(b) + n; len(b) < want; {
		got, err := unix.Getrandom(r[:], 0)
		if err != nil && err != unix.EINTR {
			return "", err
		}
		for _, x := range r[:max(got, 0)] {
			if x < 62*4 && len(b) < want { // no letter more likely than another
				b = append(b, letters[x%62])
			}
		}
	}
	return string(b), nil
}
