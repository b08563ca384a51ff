package vfs

import (
	"io"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// Info is what a client may know of a file; see [ipc.FileInfo].
type Info = ipc.FileInfo

// Client asks the files process. It holds one call at a time and is used by one
// goroutine. Every path argument has come from [Clean].
type Client struct {
	c     *ipc.Conn
	ahead *Listing // has asked for a batch that was not received yet
}

// NewClient returns a client that talks over c, the session's end of an
// [ipc.SessionFiles] channel. Set c's timeout before: a call fails with
// ipc.ErrTimeout after it. A rename across file systems may take up to
// [CopyTime]; every other call is a few system calls.
func NewClient(c *ipc.Conn) *Client { return &Client{c: c} }

// call makes one call; an answer that a listing has asked for comes first.
func call[T any](c *Client, req any) (*T, []int, error) {
	if c.ahead != nil {
		if err := c.ahead.receive(); err != nil {
			return nil, nil, err
		}
	}
	return ipc.Call[T](c.c, req)
}

// Close closes the channel; the files process leaves.
func (c *Client) Close() { c.c.Close() }

// Stat returns the facts of a file; follow says whether a final symbolic link
// is followed (SIZE and MDTM do, RNFR does not).
func (c *Client) Stat(path string, follow bool) (Info, error) {
	r, _, err := call[ipc.StatReply](c, ipc.Stat{Path: path, Follow: follow})
	if err != nil {
		return Info{}, err
	}
	return r.Info, answer("stat", path, r.Errno, r.Denied)
}

// ChangeDir checks that path is a directory that may be entered and returns the
// path to show from now on.
func (c *Client) ChangeDir(path string) (string, error) {
	return c.path("enter", path, ipc.ChangeDir{Path: path})
}

// Opened is an open file. The caller owns FD; it is close-on-exec, and
// non-blocking as far as that means anything for a regular file.
type Opened struct {
	FD      int
	Size    int64  // when it was opened
	Created bool   // it did not exist before
	Name    string // the last component; for WriteUnique the one chosen
	Hidden  bool   // FD is of a temporary file that Finish renames
	Temp    string // its name
	Most    int64  // size that an upload may grow to; 0: no limit
	Upload  uint32 // for Finish; 0: there is nothing to finish
}

// OpenRead opens a regular file for reading (RETR). offset is that of REST: it
// is checked against the size and the rules; the caller seeks.
func (c *Client) OpenRead(path string, offset int64) (Opened, error) {
	return c.open(path, ipc.OpenRead{Path: path, Offset: offset})
}

// OpenDigest opens a regular file to be digested (HASH, XCRC and their kin).
// It is refused with ipc.DeniedDigest where the file is too long for that.
func (c *Client) OpenDigest(path string, offset int64) (Opened, error) {
	return c.open(path, ipc.OpenRead{Path: path, Offset: offset, Digest: true})
}

// OpenWrite opens a regular file for writing. how is one of ipc.WriteStore
// (nothing is truncated: the caller does that with ftruncate once the data
// connection is up, unless Created), ipc.WriteResume (the caller seeks to
// offset), ipc.WriteAppend (O_APPEND; offset is not looked at) and
// ipc.WriteUnique (path is the directory). Where Opened.Upload is not 0 the
// caller ends the upload by Finish, whatever has become of it.
func (c *Client) OpenWrite(path string, how uint8, offset int64) (Opened, error) {
	return c.open(path, ipc.OpenWrite{Path: path, How: how, Offset: offset})
}

func (c *Client) open(path string, req any) (Opened, error) {
	r, fds, err := call[ipc.OpenReply](c, req)
	if err != nil {
		return Opened{FD: -1}, err
	}
	if err := answer("open", path, r.Errno, r.Denied); err != nil {
		if e, ok := err.(*Error); ok {
			e.Temp = r.Path
		}
		closeAll(fds)
		return Opened{FD: -1}, err
	}
	if len(fds) != 1 {
		closeAll(fds)
		return Opened{FD: -1}, errNoDescriptor
	}
	name, temp := r.Path, ""
	if r.Hidden {
		name, temp = "", name
	}
	if name == "" {
		_, name = Split(path)
	}
	return Opened{
		FD: fds[0], Size: r.Size, Created: r.Created, Name: name,
		Hidden: r.Hidden, Temp: temp, Most: r.Most, Upload: r.Upload,
	}, nil
}

// Finish settles an upload whose descriptor the caller has closed; whole says
// that all of it came. An error is that of putting the file on the disk or under
// its name, or ipc.DeniedSize.
func (c *Client) Finish(path string, upload uint32, whole bool) error {
	r, _, err := call[ipc.FinishReply](c, ipc.Finish{Upload: upload, Whole: whole})
	if err != nil {
		return err
	}
	return answer("finish", path, r.Errno, r.Denied)
}

// SetMode changes the permissions of a file or directory: symbolic
// ("u+rw,g-x"), or to mode where symbolic is empty.
func (c *Client) SetMode(path string, mode uint32, symbolic string) error {
	if len(symbolic) > maxSymbolic {
		return &Error{Op: "chmod", Path: path, Errno: unix.EINVAL}
	}
	_, err := c.path("chmod", path, ipc.SetMode{Path: path, Mode: mode, Symbolic: symbolic})
	return err
}

// SetGroup gives a file or directory to a group, a name or a number. It is
// refused with ipc.DeniedMember where the user is no member.
func (c *Client) SetGroup(path, group string) error {
	if len(group) > maxGroup {
		return &Error{Op: "chgrp", Path: path, Denied: ipc.DeniedMember}
	}
	_, err := c.path("chgrp", path, ipc.SetGroup{Path: path, Group: group})
	return err
}

// SetTimes changes the times of a file or directory; both are seconds of UTC.
func (c *Client) SetTimes(path string, mtime, atime int64) error {
	_, err := c.path("utime", path, ipc.SetTimes{Path: path, Mtime: mtime, Atime: atime})
	return err
}

// SetModified changes the time of the last modification alone.
func (c *Client) SetModified(path string, mtime int64) error {
	_, err := c.path("utime", path, ipc.SetTimes{Path: path, Mtime: mtime, KeepAtime: true})
	return err
}

// Symlink makes a symbolic link at path; target stays as it is.
func (c *Client) Symlink(target, path string) error {
	if len(target) > MaxPath {
		return &Error{Op: "link", Path: path, Errno: unix.ENAMETOOLONG}
	}
	_, err := c.path("link", path, ipc.Symlink{Target: target, Path: path})
	return err
}

// MakeTree makes a directory and those above it that are missing.
func (c *Client) MakeTree(path string) error {
	_, err := c.path("make directories", path, ipc.MakeTree{Path: path})
	return err
}

// RemoveTree removes a directory with all that is in it. EAGAIN: there is more
// to do, call again.
func (c *Client) RemoveTree(path string) error {
	_, err := c.path("remove tree", path, ipc.RemoveTree{Path: path})
	return err
}

// Copy copies a regular file. EAGAIN: there is more to do, call again with the
// same paths; any other call gives the copy up.
func (c *Client) Copy(from, to string) error {
	_, err := c.path("copy", to, ipc.Copy{From: from, To: to})
	return err
}

// Space returns the bytes that may still be written beneath path, and all there
// are.
func (c *Client) Space(path string) (free, total uint64, err error) {
	r, _, err := call[ipc.SpaceReply](c, ipc.Space{Path: path})
	if err != nil {
		return 0, 0, err
	}
	return r.Free, r.Total, answer("space", path, r.Errno, r.Denied)
}

// Mkdir makes a directory with mode 0777 less the directory umask. Whatever
// exists there already is EEXIST.
func (c *Client) Mkdir(path string) error {
	_, err := c.path("make directory", path, ipc.Mkdir{Path: path})
	return err
}

// Rmdir removes an empty directory, never through a final symbolic link.
func (c *Client) Rmdir(path string) error {
	_, err := c.path("remove directory", path, ipc.Rmdir{Path: path})
	return err
}

// Remove removes anything but a directory (EISDIR); of a symbolic link the link
// itself.
func (c *Client) Remove(path string) error {
	_, err := c.path("remove", path, ipc.Remove{Path: path})
	return err
}

// Rename moves from to to. It is refused with ipc.DeniedOverwrite where to
// exists and must not be replaced. Regular files and symbolic links also move
// across file systems (they are copied, up to [CopyMax] bytes and [CopyTime]);
// a directory there is EPERM.
func (c *Client) Rename(from, to string) error {
	_, err := c.path("rename", to, ipc.Rename{From: from, To: to})
	return err
}

func (c *Client) path(op, path string, req any) (string, error) {
	r, _, err := call[ipc.PathReply](c, req)
	if err != nil {
		return "", err
	}
	return r.Path, answer(op, path, r.Errno, r.Denied)
}

// Listing is a listing in hand. Only the newest one of a Client lives: starting
// another ends it. Other calls may come in between.
type Listing struct {
	c     *Client
	path  string
	batch *ipc.ListBatch // the newest that has been received
	fresh bool           // and not yet been given to the caller
}

// List starts a listing; see [ipc.List] for its fields (Path from Clean, with
// the pattern if there is one; Shown is the argument as the client typed it,
// without the options). The first batch is there when List returns, so that an
// error is known before a data connection is built: ENOENT for what does not
// exist or for a pattern without a match, ENOTDIR for MLSD of a file, E2BIG
// beyond the limits of a listing.
func (c *Client) List(req ipc.List) (*Listing, error) {
	b, _, err := call[ipc.ListBatch](c, req)
	if err != nil {
		return nil, err
	}
	if err := answer("list", req.Path, b.Errno, b.Denied); err != nil {
		return nil, err
	}
	return &Listing{c: c, path: req.Path, batch: b, fresh: true}, nil
}

// Empty tells, before the first Next, whether the listing has no line at all.
func (l *Listing) Empty() bool { return l.fresh && l.batch.Count == 0 && !l.batch.More }

// Next returns the next lines, whole ones that end in CRLF, ready for the wire,
// and io.EOF after the last. A batch has at most 60 KiB and may be empty. The
// bytes are the caller's. The files process is set to work on the following batch
// while the caller sends this one.
func (l *Listing) Next() ([]byte, error) {
	if !l.fresh {
		if !l.batch.More {
			return nil, io.EOF
		}
		if err := l.receive(); err != nil {
			return nil, err
		}
	}
	l.fresh = false
	b := l.batch
	if err := answer("list", l.path, b.Errno, b.Denied); err != nil {
		b.More = false
		return nil, err
	}
	if b.More {
		if err := l.c.c.Send(ipc.ListNext{}); err != nil {
			return nil, err
		}
		l.c.ahead = l
	} else if len(b.Lines) == 0 {
		return nil, io.EOF
	}
	return b.Lines, nil
}

// receive takes the batch that has been asked for. After an error the channel
// is of no more use: an answer that came late would be taken for another one.
func (l *Listing) receive() error {
	l.c.ahead = nil
	b, _, err := ipc.Answer[ipc.ListBatch](l.c.c)
	if err != nil {
		l.c.Close()
		return err
	}
	l.batch, l.fresh = b, true
	return nil
}

// Close frees what the files process holds for the listing. It need not be
// called after io.EOF.
func (l *Listing) Close() error {
	if l.c.ahead == l {
		if err := l.receive(); err != nil {
			return err
		}
	}
	more := l.batch.More
	l.fresh, l.batch = false, &ipc.ListBatch{}
	if !more {
		return nil
	}
	_, _, err := call[ipc.ListBatch](l.c, ipc.ListClose{})
	return err
}

func answer(op, path string, errno uint32, denied uint8) error {
	if errno == 0 && denied == 0 {
		return nil
	}
	e := &Error{Op: op, Path: path, Denied: denied}
	if denied == 0 {
		e.Errno = unix.Errno(errno)
	}
	return e
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
