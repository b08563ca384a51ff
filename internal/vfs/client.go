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
}

// OpenRead opens a regular file for reading (RETR). offset is that of REST: it
// is checked against the size and the rules; the caller seeks.
func (c *Client) OpenRead(path string, offset int64) (Opened, error) {
	return c.open(path, ipc.OpenRead{Path: path, Offset: offset})
}

// OpenWrite opens a regular file for writing. how is one of ipc.WriteStore
// (nothing is truncated: the caller does that with ftruncate once the data
// connection is up, unless Created), ipc.WriteResume (the caller seeks to
// offset), ipc.WriteAppend (O_APPEND; offset is not looked at) and
// ipc.WriteUnique (path is the directory).
func (c *Client) OpenWrite(path string, how uint8, offset int64) (Opened, error) {
	return c.open(path, ipc.OpenWrite{Path: path, How: how, Offset: offset})
}

func (c *Client) open(path string, req any) (Opened, error) {
	r, fds, err := call[ipc.OpenReply](c, req)
	if err != nil {
		return Opened{FD: -1}, err
	}
	if err := answer("open", path, r.Errno, r.Denied); err != nil {
		closeAll(fds)
		return Opened{FD: -1}, err
	}
	if len(fds) != 1 {
		closeAll(fds)
		return Opened{FD: -1}, errNoDescriptor
	}
	name := r.Path
	if name == "" {
		_, name = Split(path)
	}
	return Opened{FD: fds[0], Size: r.Size, Created: r.Created, Name: name}, nil
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
	m, err := l.c.c.Recv()
	if err != nil {
		l.c.Close()
		return err
	}
	b, ok := m.Body.(*ipc.ListBatch)
	if !ok {
		m.Close()
		l.c.Close()
		return errNoBatch
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
