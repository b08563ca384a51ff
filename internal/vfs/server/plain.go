package server

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks bounds the links on the way to a root, as the kernel does.
const maxLinks = 40

var (
	errForeignLink = errors.New("is a symbolic link that somebody else than root could have placed (allow_chroot_symlinks)")
	errLink        = errors.New("is a symbolic link (allow_chroot_symlinks)")
)

// openPlain opens a directory of the host component by component. A symbolic
// link is followed only if root owns it and nobody else can change the directory
// it stands in, and only on the way: the last component is a directory itself.
func openPlain(path string) (int, error) {
	if !strings.HasPrefix(path, "/") {
		return -1, errors.New("not an absolute path")
	}
	at, err := openSingle(unix.AT_FDCWD, "/")
	if err != nil {
		return -1, err
	}
	links := 0
	for rest := path[1:]; rest != ""; {
		name, after, _ := strings.Cut(rest, "/")
		if rest = after; name == "" || name == "." {
			continue
		}
		next, err := openSingle(at, name)
		if err != nil {
			unix.Close(at)
			return -1, err
		}
		target, err := trustedLink(at, next)
		if err != nil {
			unix.Close(at)
			unix.Close(next)
			return -1, fmt.Errorf("component %q: %w", name, err)
		}
		if target == "" {
			unix.Close(at)
			at = next
			continue
		}
		unix.Close(next)
		if strings.Trim(rest, "/.") == "" && !strings.Contains(rest, "..") {
			unix.Close(at)
			return -1, errLink
		}
		if links++; links > maxLinks || len(target)+1+len(rest) > 2*unix.PathMax {
			unix.Close(at)
			return -1, unix.ELOOP
		}
		rest = target + "/" + rest
		if target[0] == '/' {
			unix.Close(at)
			if at, err = openSingle(unix.AT_FDCWD, "/"); err != nil {
				return -1, err
			}
		}
	}
	return at, nil
}

// openSingle opens one component, a link itself.
func openSingle(dir int, name string) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// trustedLink returns where fd, an entry of dir, points to: "" for a directory.
func trustedLink(dir, fd int) (string, error) {
	var st, parent unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	switch {
	case isDir(&st):
		return "", nil
	case !isLink(&st):
		return "", unix.ENOTDIR
	}
	if err := unix.Fstat(dir, &parent); err != nil {
		return "", err
	}
	if st.Uid != 0 || parent.Uid != 0 || parent.Mode&0o022 != 0 {
		return "", errForeignLink
	}
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(fd, "", buf[:])
	if err != nil {
		return "", err
	}
	if n == 0 {
		return "", unix.ENOENT
	}
	return string(buf[:n]), nil
}
