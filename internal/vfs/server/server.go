package server

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// Server answers one session. See [New].
type Server struct {
	tree    *tree
	rules   policy.Files
	ids     identity
	names   *names
	groups  FindGroups
	listing *listing // in hand, or nil
	spare   *listing // a short one that is over
	copying *copying // in hand, or nil
	hidden  hiding

	uploads     map[uint32]*upload // to be settled by Finish
	lastUpload  uint32
	maxStore    int64 // bytes a file may grow to by an upload; 0: no limit
	maxRetrieve int64 // bytes of a file that may be fetched; 0: no limit

	sortedRun int // see list.go
	removeRun int // see tree.go
}

// New returns a server of the tree beneath root, an O_PATH descriptor of a
// directory, which it takes over. lookup finds names for ids; nil means that
// ids are shown as numbers.
func New(root int, rules policy.Files, lookup Lookup) (*Server, error) {
	t, err := newTree(root)
	if err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	ids, err := ownIdentity()
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(rules.StoreUniquePrefix, "/\x00") {
		rules.StoreUniquePrefix = "ftp" // a name in the directory asked for, nowhere else
	}
	h := newHiding(rules.HiddenStores.Engine, rules.HiddenStores.Prefix, rules.HiddenStores.Suffix, unix.Getpid())
	if !h.sound() {
		return nil, fmt.Errorf("hidden_stores: prefix %q and suffix %q make no names of their own in the same directory", h.prefix, h.suffix)
	}
	return &Server{tree: t, rules: rules, ids: ids, names: newNames(lookup), hidden: h, sortedRun: sortedRun, removeRun: removeRun}, nil
}

// Limit bounds the sizes of files, in bytes, 0 for no limit: what a file may grow
// to by an upload or a copy, and what may be fetched or copied.
func (s *Server) Limit(store, retrieve int64) {
	s.maxStore, s.maxRetrieve = max(store, 0), max(retrieve, 0)
}

// Groups says how gids of group names are found, over the same channel as names;
// without it groups are numbers.
func (s *Server) Groups(find FindGroups) { s.groups = find }

// Close frees what the server holds. Uploads that were not finished have failed,
// and so has a copy.
func (s *Server) Close() {
	s.endListing()
	s.endCopy()
	s.abort()
	unix.Close(s.tree.root)
}

// Serve answers requests on c, the files end of an [ipc.SessionFiles] channel,
// until the session is gone (nil), until other, a second descriptor, becomes
// readable or ends (nil; -1 for none), or until the session breaks the dialogue.
func (s *Server) Serve(c *ipc.Conn, other int) error {
	for {
		// The next request comes soon or not for long.
		m, err := c.RecvSoon()
		if err == ipc.ErrAgain {
			if gone := wait(c.FD(), other); gone {
				return nil
			}
			m, err = c.TryRecv()
		}
		if err == ipc.ErrAgain {
			continue
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.serve(c, m.Body); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// wait sleeps until the session's channel has something; gone means that other
// has.
func wait(session, other int) (gone bool) {
	p := []unix.PollFd{{Fd: int32(session), Events: unix.POLLIN}, {Fd: int32(other), Events: unix.POLLIN}}
	for {
		if err := ipc.Poll(p, nil); err != unix.EINTR {
			return err != nil || p[1].Revents != 0
		}
	}
}

// serve answers one request.
func (s *Server) serve(c *ipc.Conn, req any) error {
	if s.copying != nil {
		if _, on := req.(*ipc.Copy); !on {
			s.endCopy()
		}
	}
	switch r := req.(type) {
	case *ipc.Stat:
		return c.Send(s.stat(r))
	case *ipc.ChangeDir:
		return c.Send(pathReply(r.Path, s.changeDir))
	case *ipc.OpenRead:
		_, err := sendOpened(c, s.openRead(r))
		return err
	case *ipc.OpenWrite:
		o := s.openWrite(r)
		passed, err := sendOpened(c, o)
		if o.reply.Upload != 0 && !passed {
			s.finish(&ipc.Finish{Upload: o.reply.Upload})
		}
		return err
	case *ipc.Finish:
		return c.Send(s.finish(r))
	case *ipc.SetMode:
		return c.Send(s.setMode(r))
	case *ipc.SetGroup:
		return c.Send(s.setGroup(r))
	case *ipc.SetTimes:
		return c.Send(s.setTimes(r))
	case *ipc.Symlink:
		return c.Send(s.symlink(r))
	case *ipc.MakeTree:
		return c.Send(pathReply(r.Path, s.makeTree))
	case *ipc.RemoveTree:
		return c.Send(pathReply(r.Path, s.removeTree))
	case *ipc.Copy:
		return c.Send(s.copyFile(r))
	case *ipc.Space:
		return c.Send(s.space(r))
	case *ipc.Mkdir:
		return c.Send(pathReply(r.Path, s.mkdir))
	case *ipc.Rmdir:
		return c.Send(pathReply(r.Path, s.rmdir))
	case *ipc.Remove:
		return c.Send(pathReply(r.Path, s.remove))
	case *ipc.Rename:
		return c.Send(s.rename(r))
	case *ipc.List:
		return c.Send(s.list(r))
	case *ipc.ListNext:
		return c.Send(s.listNext())
	case *ipc.ListClose:
		s.endListing()
		return c.Send(ipc.ListBatch{})
	}
	return fmt.Errorf("vfs: no handler for %T", req)
}

// refusal is a rule's no, as an error within this package.
type refusal uint8

func (r refusal) Error() string { return fmt.Sprintf("refused by rule %d", uint8(r)) }

// verdict is an error as the dialogue has it.
func verdict(err error) (errno uint32, denied uint8) {
	switch e := err.(type) {
	case nil:
		return 0, 0
	case unix.Errno:
		return uint32(e), 0
	case refusal:
		return 0, uint8(e)
	case *vfs.Error:
		return uint32(e.Errno), e.Denied
	}
	return uint32(unix.EIO), 0
}

// pathReply runs an operation on one path and answers with the cleaned path.
func pathReply(path string, op func(clean string) error) ipc.PathReply {
	clean, err := vfs.Clean("/", path)
	if err == nil {
		err = op(clean)
	}
	if err != nil {
		clean = ""
	}
	errno, denied := verdict(err)
	return ipc.PathReply{Errno: errno, Denied: denied, Path: clean}
}

// opened is a file on its way to the session, or why there is none.
type opened struct {
	fd    int
	reply ipc.OpenReply
}

// refused is the error of an open that was refused.
func (o *opened) refused() error {
	if o.reply.Denied != 0 {
		return refusal(o.reply.Denied)
	}
	return unix.Errno(o.reply.Errno)
}

func refuseOpen(err error) opened {
	o := opened{fd: -1}
	o.reply.Errno, o.reply.Denied = verdict(err)
	return o
}

// How often, and after how many nanoseconds, a descriptor is sent again that the
// kernel would not take.
const (
	passTries = 100
	passPause = 10_000_000
)

// sendOpened passes the file. The kernel bounds the descriptors of one user that
// are on their way, sent and not yet received, by the sender's RLIMIT_NOFILE:
// where many sessions run under one uid a short wait makes room, and if it does
// not the client is told to try again, and passed is false.
func sendOpened(c *ipc.Conn, o opened) (passed bool, err error) {
	if o.fd < 0 {
		return false, c.Send(o.reply)
	}
	defer unix.Close(o.fd)
	for range passTries {
		err := c.Send(o.reply, o.fd)
		if !errors.Is(err, unix.ETOOMANYREFS) {
			return err == nil, err
		}
		_ = unix.Nanosleep(&unix.Timespec{Nsec: passPause}, nil) // a timer would cost an epoll set
	}
	return false, c.Send(refuseOpen(unix.EAGAIN).reply)
}

func (s *Server) stat(r *ipc.Stat) ipc.StatReply {
	clean, err := vfs.Clean("/", r.Path)
	if err != nil {
		return statReply(clean, nil, err)
	}
	st, err := s.tree.stat(clean, r.Follow)
	return statReply(clean, &st, err)
}

func statReply(path string, st *unix.Stat_t, err error) ipc.StatReply {
	if err != nil {
		errno, denied := verdict(err)
		return ipc.StatReply{Errno: errno, Denied: denied}
	}
	return ipc.StatReply{Info: ipc.FileInfo{
		Path: path, Mode: st.Mode, Size: st.Size, Mtime: st.Mtim.Sec,
		UID: st.Uid, GID: st.Gid, Device: st.Dev, Inode: st.Ino, Links: uint32(min(st.Nlink, 1<<32-1)),
	}}
}

// changeDir checks the right to enter: opening "." below a directory needs it.
func (s *Server) changeDir(clean string) error {
	fd, st, err := s.tree.handle(clean, true)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !isDir(&st) {
		return unix.ENOTDIR
	}
	return enterable(fd)
}

func enterable(dir int) error {
	fd, err := openat2(dir, ".", unix.O_PATH|unix.O_DIRECTORY, 0, single)
	if err == nil {
		unix.Close(fd)
	}
	return err
}
