package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// DefaultSocket is where an installed daemon listens.
const DefaultSocket = "/run/sallyport/control.sock"

// maxSunPath is the room of sockaddr_un for a path.
const maxSunPath = 107

// adopt takes over the socket that this daemon's former image listened on.
func adopt(path string, fd int) (*listener, error) {
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	nl, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("adopt the control socket: %w", err)
	}
	ul, ok := nl.(*net.UnixListener)
	if !ok {
		nl.Close()
		return nil, errors.New("adopt the control socket: not a unix socket")
	}
	ul.SetUnlinkOnClose(false)
	l := &listener{UnixListener: ul, path: path}
	var st unix.Stat_t
	if unix.Lstat(path, &st) == nil {
		l.dev, l.ino = st.Dev, st.Ino
	}
	return l, nil
}

// listener is the bound socket and what is needed to remove the right file.
type listener struct {
	*net.UnixListener
	path     string
	dev, ino uint64
}

// listen makes the socket at path, which must be absolute, in a directory that
// nobody but the daemon's owner and root can change. It has mode 0600 from its
// first moment, and 0660 and group gid (-1: none) before it listens. One that a
// dead daemon left is replaced; a live one is an error.
func listen(path string, gid int) (*listener, error) {
	fail := func(err error) (*listener, error) {
		return nil, fmt.Errorf("control socket %q: %w", path, err)
	}
	if !filepath.IsAbs(path) {
		return fail(errors.New("must be an absolute path"))
	}
	dir, err := unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(fmt.Errorf("open its directory: %w", err))
	}
	defer unix.Close(dir)
	if err := trusted(dir); err != nil {
		return fail(err)
	}
	at := path
	if len(at) > maxSunPath {
		at = "/proc/self/fd/" + strconv.Itoa(dir) + "/" + filepath.Base(path)
	}
	if err := clear(dir, filepath.Base(path), at); err != nil {
		return fail(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fail(err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	// The mode of the socket's own inode is the one of the file that bind
	// makes: no moment with another one, and no umask to change.
	if err := unix.Fchmod(fd, 0o600); err != nil {
		return fail(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: at}); err != nil {
		return fail(fmt.Errorf("bind: %w", err))
	}
	l, err := publish(f, dir, path, gid)
	if err != nil {
		_ = unix.Unlinkat(dir, filepath.Base(path), 0)
		return fail(err)
	}
	return l, nil
}

// publish gives the bound socket its group and mode, then lets clients in.
func publish(f *os.File, dir int, path string, gid int) (*listener, error) {
	name := filepath.Base(path)
	if gid >= 0 {
		if err := unix.Fchownat(dir, name, -1, gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return nil, fmt.Errorf("give it to group %d: %w", gid, err)
		}
		if err := unix.Fchmodat(dir, name, 0o660, 0); err != nil {
			return nil, err
		}
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, err
	}
	if err := unix.Listen(int(f.Fd()), 64); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	nl, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	ul := nl.(*net.UnixListener)
	ul.SetUnlinkOnClose(false)
	return &listener{UnixListener: ul, path: path, dev: st.Dev, ino: st.Ino}, nil
}

// dup returns another descriptor of the socket, close-on-exec. The socket stays
// non-blocking: [net.UnixListener.File] and [os.File.Fd] would make it block for
// its listener, too, whose Close then waits for an accept that may never return.
func (l *listener) dup() (fd int, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	if e := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) }); e != nil {
		return -1, e
	}
	return fd, err
}

// trusted refuses a directory in which others can rename the socket.
func trusted(dir int) error {
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return err
	}
	if st.Uid != 0 && st.Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("its directory belongs to uid %d", st.Uid)
	}
	if st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0 {
		return fmt.Errorf("others can write to its directory (mode %04o)", st.Mode&0o7777)
	}
	return nil
}

// clear removes a socket nobody listens on; at is its address.
func clear(dir int, name, at string) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errors.New("exists and is not a socket")
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: at})
	if !errors.Is(err, unix.ECONNREFUSED) {
		return errors.New("another daemon listens on it")
	}
	if err := unix.Unlinkat(dir, name, 0); err != nil {
		return fmt.Errorf("remove what a former daemon left: %w", err)
	}
	return nil
}

// remove takes the name away if it is still this socket's.
func (l *listener) remove() {
	var st unix.Stat_t
	if unix.Lstat(l.path, &st) == nil && st.Dev == l.dev && st.Ino == l.ino {
		_ = unix.Unlink(l.path)
	}
}
