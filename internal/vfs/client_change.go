package vfs

import (
	"errors"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// Finished is how an upload was settled.
type Finished struct {
	Size    int64 // of the file, by the files process's own look; 0 where it cannot tell
	Removed bool  // a failed upload that was taken away
}

// Finish settles an upload, after the caller has closed its descriptor or given
// up; whole says that all of it came. It must be sent for every Opened.Upload but
// 0, also where no data connection came up. The error is that of the rename of a
// hidden upload, of fsync (which takes as long as the disk does), or
// ipc.DeniedSize: it had grown beyond Opened.Most and was cut or removed.
func (c *Client) Finish(upload uint32, whole bool) (Finished, error) {
	r, _, err := call[ipc.FinishReply](c, ipc.Finish{Upload: upload, Whole: whole})
	if err != nil {
		return Finished{}, err
	}
	return Finished{Size: r.Size, Removed: r.Removed}, answer("finish", "", r.Errno, r.Denied)
}

// SetMode gives a regular file or directory the permission bits of mode, those
// for set-id and sticky included (MFF, SITE CHMOD); a final symbolic link is
// followed, within the root. A set-id bit that a file did not have is EPERM.
func (c *Client) SetMode(path string, mode uint32) error {
	_, err := c.path("change mode of", path, ipc.SetMode{Path: path, Mode: mode})
	return err
}

// SetSymbolicMode is SetMode with a mode such as "u+rw,go-x", of the letters
// ugoa, +-=, rwxXst; EINVAL where it is none.
func (c *Client) SetSymbolicMode(path, mode string) error {
	if mode == "" || len(mode) > 64 {
		return &Error{Op: "change mode of", Path: path, Errno: unix.EINVAL}
	}
	_, err := c.path("change mode of", path, ipc.SetMode{Path: path, Symbolic: mode})
	return err
}

// SetGroup gives a regular file or directory to a group, named or a number.
// ipc.DeniedMember says that the user is not in that group, or that there is
// none.
func (c *Client) SetGroup(path, group string) error {
	if group == "" || len(group) > 256 {
		return &Error{Op: "change group of", Path: path, Denied: ipc.DeniedMember}
	}
	_, err := c.path("change group of", path, ipc.SetGroup{Path: path, Group: group})
	return err
}

// SetMtime changes the modification time alone (MFMT, MFF), seconds of UTC.
func (c *Client) SetMtime(path string, mtime int64) error {
	_, err := c.path("change time of", path, ipc.SetTimes{Path: path, Mtime: mtime, KeepAtime: true})
	return err
}

// SetTimes changes the times of modification and access (SITE UTIME).
func (c *Client) SetTimes(path string, mtime, atime int64) error {
	_, err := c.path("change time of", path, ipc.SetTimes{Path: path, Mtime: mtime, Atime: atime})
	return err
}

// Symlink makes a symbolic link at path. target is not cleaned: it is kept as it
// is, and resolves within the root whenever the link is followed. Whatever
// exists at path is EEXIST.
func (c *Client) Symlink(target, path string) error {
	if target == "" || len(target) > MaxPath {
		return &Error{Op: "link", Path: path, Errno: unix.EINVAL}
	}
	_, err := c.path("link", path, ipc.Symlink{Target: target, Path: path})
	return err
}

// MakeTree makes a directory and those above it that are missing; one that is
// there is no error. Where it fails, what was made stays.
func (c *Client) MakeTree(path string) error {
	_, err := c.path("make directories", path, ipc.MakeTree{Path: path})
	return err
}

// RemoveTree removes a directory with all that is in it, some of it a call:
// done is false where it is to be called again. It stops at the first thing that
// cannot be removed.
func (c *Client) RemoveTree(path string) (done bool, err error) {
	_, err = c.path("remove directories", path, ipc.RemoveTree{Path: path})
	return again(err)
}

// Copy copies a regular file, some of it a call: done is false where it is to be
// called again with the same paths. Any other call in between gives the copy up.
// The rules are those of OpenRead and of a new upload; the new file appears whole
// or not at all.
func (c *Client) Copy(from, to string) (done bool, err error) {
	_, err = c.path("copy", to, ipc.Copy{From: from, To: to})
	return again(err)
}

// again turns the request to call again into done == false.
func again(err error) (done bool, _ error) {
	if errors.Is(err, unix.EAGAIN) {
		return false, nil
	}
	return true, err
}

// Space returns how many bytes the user may still write below path, and the size
// of that file system.
func (c *Client) Space(path string) (free, total uint64, err error) {
	r, _, err := call[ipc.SpaceReply](c, ipc.Space{Path: path})
	if err != nil {
		return 0, 0, err
	}
	return r.Free, r.Total, answer("space of", path, r.Errno, r.Denied)
}
