package home

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of a skeleton.
const (
	maxDepth   = 16
	maxEntries = 4096
	maxBytes   = 64 << 20
)

var errTooLarge = fmt.Errorf("more than %d levels, %d entries or %d MiB", maxDepth, maxEntries, maxBytes>>20)

// copier copies a skeleton. What it makes is root's while it is made, in a
// directory that only root can enter, and given to the user when it is done.
type copier struct {
	uid, gid int
	entries  int
	bytes    int64
	deadline time.Time
	buf      []byte
}

// copySkeleton copies the content of the skeleton into dir.
func (r *Request) copySkeleton(dir int) error {
	w := &walker{uid: uint32(unix.Geteuid()), links: maxLinks} // rootless the daemon itself counts as root
	path, _, err := w.toParent(r.Skeleton)
	if err != nil {
		return err
	}
	defer unix.Close(path)
	from, err := openDir(path, ".")
	if err != nil {
		return err
	}
	defer unix.Close(from)
	c := &copier{uid: int(r.UID), gid: int(r.GID), deadline: r.Deadline, buf: make([]byte, 64<<10)}
	return c.directory(from, dir, 0)
}

// directory copies the entries of a directory.
func (c *copier) directory(from, to, depth int) error {
	if depth == maxDepth {
		return errTooLarge
	}
	names, err := readNames(from, maxEntries-c.entries)
	if err != nil {
		return err
	}
	c.entries += len(names)
	for _, name := range names {
		if !c.deadline.IsZero() && time.Now().After(c.deadline) {
			return unix.ETIMEDOUT
		}
		if err := c.entry(from, to, name, depth); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return nil
}

// entry copies a directory, a regular file or a link. Sockets, pipes and devices
// are left out.
func (c *copier) entry(from, to int, name string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(from, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return c.subdirectory(from, to, name, depth)
	case unix.S_IFREG:
		return c.file(from, to, name)
	case unix.S_IFLNK:
		var buf [unix.PathMax]byte
		n, err := unix.Readlinkat(from, name, buf[:])
		if err != nil {
			return err
		}
		if err := unix.Symlinkat(string(buf[:n]), to, name); err != nil {
			return err
		}
		return unix.Fchownat(to, name, c.uid, c.gid, unix.AT_SYMLINK_NOFOLLOW)
	}
	return nil
}

func (c *copier) subdirectory(from, to int, name string, depth int) error {
	in, err := openDir(from, name)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	if err := unix.Mkdirat(to, name, 0o700); err != nil {
		return err
	}
	out, err := openDir(to, name)
	if err != nil {
		return err
	}
	defer unix.Close(out)
	if err := c.directory(in, out, depth+1); err != nil {
		return err
	}
	return c.give(in, out)
}

func (c *copier) file(from, to int, name string) error {
	in, err := unix.Openat(from, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	var st unix.Stat_t
	if err := unix.Fstat(in, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errors.New("changes while it is copied")
	}
	out, err := unix.Openat(to, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(out)
	if err := c.content(in, out); err != nil {
		return err
	}
	return c.give(in, out)
}

func (c *copier) content(in, out int) error {
	for {
		n, err := unix.Read(in, c.buf)
		if err != nil || n == 0 {
			return err
		}
		if c.bytes += int64(n); c.bytes > maxBytes {
			return errTooLarge
		}
		for b := c.buf[:n]; len(b) > 0; {
			w, err := unix.Write(out, b)
			if err != nil {
				return err
			}
			b = b[w:]
		}
	}
}

// give makes out the user's, with the permissions of in and no set-id bit.
func (c *copier) give(in, out int) error {
	var st unix.Stat_t
	if err := unix.Fstat(in, &st); err != nil {
		return err
	}
	if err := unix.Fchmod(out, st.Mode&0o777); err != nil {
		return err
	}
	return unix.Fchown(out, c.uid, c.gid)
}

// readNames reads the entries of an open directory, at most max of them.
func readNames(dir, max int) ([]string, error) {
	var names []string
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil || n <= 0 {
			return names, err
		}
		var more []string
		_, _, more = unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range more {
			names = append(names, strings.Clone(name))
		}
		if len(names) > max {
			return nil, errTooLarge
		}
	}
}

// takeBack removes what was built, by its descriptor: its name may be another
// directory's by now, which then stays.
func takeBack(parent int, name string, dir int) {
	if again, err := openDir(dir, "."); err == nil { // from the first entry on
		names, _ := readNames(again, maxEntries)
		for _, n := range names {
			removeTree(again, n)
		}
		unix.Close(again)
	}
	var mine, there unix.Stat_t
	if unix.Fstat(dir, &mine) != nil || unix.Fstatat(parent, name, &there, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return
	}
	if mine.Dev == there.Dev && mine.Ino == there.Ino {
		_ = unix.Unlinkat(parent, name, unix.AT_REMOVEDIR) // what is left is logged by the failure itself
	}
}

// removeTree removes an entry of what was built. It is within a directory of
// root's that nobody else can enter.
func removeTree(dir int, name string) {
	if unix.Unlinkat(dir, name, 0) == nil {
		return
	}
	if fd, err := openDir(dir, name); err == nil {
		names, _ := readNames(fd, maxEntries)
		for _, n := range names {
			removeTree(fd, n)
		}
		unix.Close(fd)
	}
	_ = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}
