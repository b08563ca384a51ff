package server

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
)

// Place is where a user has been put.
type Place struct {
	Root int    // O_PATH descriptor of the root; the caller owns it
	Home string // start directory as the client sees it
	Note string // for the log, where the start directory is not the home
}

// Start says where a user is to be put: absolute paths of the host, and a start
// directory as the client names it.
type Start struct {
	Root string
	Home string
	// Chdir is a directory as the client would name it, relative to the home if
	// that lies in the root; "" for none.
	Chdir string
	// Links lets components of the root be symbolic links of anybody. Otherwise
	// only such as root owns in a directory that only root may change are
	// followed: they are the administrator's, and a user cannot move the own jail.
	// The root itself is none.
	Links bool
}

// Enter resolves root and home with the rights of the process, before it is
// confined. It fails if the root is no directory that can be entered, lies on a
// kernel interface such as /proc, or is reached by a link that is not allowed.
//
// The start directory is Chdir if that can be entered, otherwise the home if
// that lies in the root: by the real paths of both, component by component, so
// that the home "/home/alice" does not lie in the root "/home/al". Otherwise,
// and if the home is missing or cannot be entered, it is "/" of a root that
// confines; whoever is not confined and has no place to start in is refused, as
// the reference does. Enter changes the working directory, to "/" in the end.
func (s Start) Enter() (Place, error) {
	fd, err := s.openRoot()
	if err != nil {
		return Place{Root: -1}, fmt.Errorf("root %q: %w", s.Root, err)
	}
	p := Place{Root: fd, Home: "/"}
	if err := checkRoot(fd); err != nil {
		unix.Close(fd)
		return Place{Root: -1}, fmt.Errorf("root %q: %w", s.Root, err)
	}
	at, lost := locate(fd, s.Home)
	if lost != nil {
		p.Note = fmt.Sprintf("home %q: %v; starting in the root", s.Home, lost)
	} else {
		p.Home = at
	}
	if s.Chdir != "" {
		at, err := startIn(fd, p.Home, s.Chdir)
		if err == nil {
			p.Home, p.Note, lost = at, "", nil
		} else {
			p.Note = strings.TrimPrefix(p.Note+fmt.Sprintf("; start directory %q: %v", s.Chdir, err), "; ")
		}
	}
	if lost != nil {
		if top, err := realPath(fd); err != nil || top == "/" {
			unix.Close(fd)
			return Place{Root: -1}, fmt.Errorf("home %q: %w", s.Home, cmp.Or(err, lost))
		}
	}
	if err := unix.Chdir("/"); err != nil {
		unix.Close(fd)
		return Place{Root: -1}, fmt.Errorf("change to /: %w", err)
	}
	return p, nil
}

// startIn returns the virtual path of a start directory that can be entered.
func startIn(root int, home, chdir string) (string, error) {
	at, err := vfs.Clean(home, chdir)
	if err != nil {
		return "", unix.ENAMETOOLONG
	}
	t, err := newTree(root)
	if err != nil {
		return "", err
	}
	fd, st, err := t.handle(at, true)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	if !isDir(&st) {
		return "", unix.ENOTDIR
	}
	return at, enterable(fd)
}

func (s Start) openRoot() (int, error) {
	if s.Links {
		return openHost(s.Root)
	}
	return openPlain(s.Root)
}

// openHost opens a directory of the host for path resolution.
func openHost(path string) (int, error) {
	if !strings.HasPrefix(path, "/") {
		return -1, errors.New("not an absolute path")
	}
	fd, err := openat2(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY, 0, unix.RESOLVE_NO_MAGICLINKS)
	if err == unix.ENOSYS {
		return -1, errors.New("the kernel has no openat2 (it came with Linux 5.6)")
	}
	return fd, err
}

func checkRoot(fd int) error {
	ok, err := ordinary(fd)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("lies on a file system that is an interface of the kernel")
	}
	return enterable(fd)
}

var errOutside = errors.New("outside of the root")

// locate returns the virtual path of the home.
func locate(root int, home string) (string, error) {
	fd, err := openHost(home)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	if err := enterable(fd); err != nil {
		return "", err
	}
	top, err := realPath(root)
	if err != nil {
		return "", err
	}
	full, err := realPath(fd)
	if err != nil {
		return "", err
	}
	at, ok := below(top, full)
	if !ok || len(at) > vfs.MaxPath {
		return "", errOutside
	}
	// The paths are only names; what counts is that the client gets there.
	t, err := newTree(root)
	if err != nil {
		return "", err
	}
	st, err := t.stat(at, true)
	if err != nil {
		return "", err
	}
	var want unix.Stat_t
	if err := unix.Fstat(fd, &want); err != nil {
		return "", err
	}
	if !sameFile(&st, &want) {
		return "", errOutside
	}
	return at, nil
}

// below returns the virtual path of the host path full in the root top.
func below(top, full string) (string, bool) {
	if top == "/" {
		return full, true
	}
	rest, ok := strings.CutPrefix(full, top)
	switch {
	case !ok:
		return "", false
	case rest == "":
		return "/", true
	}
	return rest, rest[0] == '/'
}

// realPath returns where an open directory is, links resolved: the kernel
// knows the working directory without a look at /proc.
func realPath(dir int) (string, error) {
	if err := unix.Fchdir(dir); err != nil {
		return "", err
	}
	var buf [unix.PathMax]byte
	n, err := unix.Getcwd(buf[:])
	if err != nil {
		return "", err
	}
	p, _, _ := bytes.Cut(buf[:n], []byte{0})
	if len(p) == 0 || p[0] != '/' { // "(unreachable)..."
		return "", errOutside
	}
	return string(p), nil
}
