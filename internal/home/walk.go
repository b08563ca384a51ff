package home

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks bounds the links on a way, as the kernel does.
const maxLinks = 40

// walker goes a way of the host on descriptors.
type walker struct {
	uid   uint32 // besides root, whose directories may be on the way
	make  uint32 // mode of directories that are made where they are missing; 0: none is
	links int    // that may still be followed
}

// toParent walks to the directory that is to hold the last component, and
// returns what that component is after links; "" where it exists as a directory,
// which dir then is.
func (w *walker) toParent(path string) (dir int, name string, err error) {
	at, err := openPath(unix.AT_FDCWD, "/")
	if err != nil {
		return -1, "", err
	}
	for rest := strings.Trim(path, "/"); rest != ""; {
		name, rest, _ = strings.Cut(rest, "/")
		if rest = strings.TrimLeft(rest, "/"); name == "" || name == "." {
			continue
		}
		next, err := openPath(at, name)
		if err == unix.ENOENT && rest == "" && w.make != 0 {
			return at, name, nil
		}
		if err == unix.ENOENT && w.make != 0 {
			next, err = w.makeDir(at, name)
		}
		if err != nil {
			unix.Close(at)
			return -1, "", fmt.Errorf("component %q: %w", name, err)
		}
		target, err := w.pass(at, next)
		if err == nil && target == "" {
			unix.Close(at)
			at = next
			continue
		}
		unix.Close(next)
		if err == nil {
			rest = strings.TrimRight(target+"/"+rest, "/")
			if w.links--; w.links < 0 || len(rest) > maxPath {
				err = unix.ELOOP
			}
		}
		if err != nil {
			unix.Close(at)
			return -1, "", fmt.Errorf("component %q: %w", name, err)
		}
		if target[0] == '/' {
			unix.Close(at)
			if at, err = openPath(unix.AT_FDCWD, "/"); err != nil {
				return -1, "", err
			}
			rest = strings.Trim(rest, "/")
		}
	}
	return at, "", nil
}

// makeDir makes a directory of root's. It has its mode at once: what bears its name
// afterwards may be another one, whose mode is nobody's to change.
func (w *walker) makeDir(dir int, name string) (int, error) {
	err := unix.Mkdirat(dir, name, w.make)
	if err != nil && err != unix.EEXIST { // somebody was faster: pass looks at it
		return -1, err
	}
	return openPath(dir, name)
}

var (
	errLink  = errors.New("is a symbolic link that somebody else than root could have placed")
	errOwner = errors.New("belongs neither to root nor to the user")
	errOpen  = errors.New("may be changed by everybody")
)

// pass looks at fd, an entry of dir, and returns where it leads if it is a link
// that may be followed, "" for a directory that may be on the way: whoever can
// rename what lies in it could put something else there.
func (w *walker) pass(dir, fd int) (link string, err error) {
	var st, parent unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		switch {
		case st.Uid != 0 && st.Uid != w.uid:
			return "", errOwner
		case st.Mode&0o002 != 0 && st.Mode&unix.S_ISVTX == 0:
			return "", errOpen
		}
		return "", nil
	case unix.S_IFLNK:
	default:
		return "", unix.ENOTDIR
	}
	if err := unix.Fstat(dir, &parent); err != nil {
		return "", err
	}
	if st.Uid != 0 || parent.Uid != 0 || parent.Mode&0o022 != 0 {
		return "", errLink
	}
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(fd, "", buf[:])
	if err == nil && n == 0 {
		err = unix.ENOENT
	}
	return string(buf[:max(n, 0)]), err
}

// openPath opens one component for the walk, a link itself.
func openPath(dir int, name string) (int, error) {
	return unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}
