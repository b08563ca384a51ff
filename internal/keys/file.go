package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/userfile"
)

// stamp tells one state of a file from another. The zero stamp is no file's.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
	err          unix.Errno // why there is none
}

// look returns the stamp of what path leads to.
func look(path string) stamp {
	if path == "" {
		return stamp{}
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		errno, _ := err.(unix.Errno)
		return stamp{err: errno}
	}
	return stamp{dev: st.Dev, ino: st.Ino, size: st.Size, mtime: st.Mtim, ctime: st.Ctim}
}

// young tells whether a file changed so short a time ago that it may change
// again without another stamp.
func (s stamp) young(now time.Time) bool {
	return s.ino != 0 && now.Sub(time.Unix(s.ctime.Unix())) < 2*time.Second
}

// stampsOf looks at several files.
func stampsOf(paths ...string) []stamp {
	out := make([]stamp, len(paths))
	for i, p := range paths {
		out[i] = look(p)
	}
	return out
}

// files tells when some files are to be read again: they changed, or were read
// too soon after a change; at most once a second.
type files struct {
	paths  []string
	at     []stamp
	looked time.Time
	fresh  bool
}

// interval is how long a look at the files lasts.
const interval = time.Second

// due tells whether the files must be read, and notes their state as read.
func (f *files) due(now time.Time) bool {
	if d := now.Sub(f.looked); f.at != nil && d >= 0 && d < interval {
		return false
	}
	f.looked = now
	at := stampsOf(f.paths...)
	if slices.Equal(at, f.at) && !f.fresh {
		return false
	}
	f.at = at
	f.fresh = slices.ContainsFunc(at, func(s stamp) bool { return s.young(now) })
	return true
}

// Longest files, in bytes.
const (
	maxPEM    = 256 << 10
	maxStaple = 8192 // ipc.OfferedCertificate
	maxLists  = 16 << 20
)

// trust says who may have a file in his hands.
type trust uint8

const (
	public  trust = iota // anybody may read it; nobody but its owner's peers write it
	decides              // and it must be root's or this process's own: it says who is believed
	secret               // and nobody but they may read it
)

// read returns the content of path after the checks. A symbolic link is
// followed; then the directory of the target is checked too.
func read(path string, limit int64, t trust, groups []uint32) ([]byte, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%q is no absolute path", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: cause(err)}
	}
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(real)} {
		var st unix.Stat_t
		if err := unix.Stat(dir, &st); err != nil {
			return nil, fmt.Errorf("directory %q of %q: %w", dir, path, err)
		}
		if st.Mode&0o002 != 0 {
			return nil, fmt.Errorf("%q lies in %q, which is world-writable (chmod o-w)", path, dir)
		}
	}
	fd, err := unix.Open(real, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if err := check(&st, limit, t, groups); err != nil {
		return nil, fmt.Errorf("%q %w", path, err)
	}
	data := make([]byte, st.Size+1)
	n := 0
	for n < len(data) {
		k, err := unix.Read(fd, data[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if k == 0 {
			return data[:n], nil
		}
		n += k
	}
	return nil, fmt.Errorf("%q grew while it was read", path)
}

func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// check holds a file against the rules of its kind.
func check(st *unix.Stat_t, limit int64, t trust, groups []uint32) error {
	mode := st.Mode & 0o7777
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return errors.New("is not a regular file")
	case st.Size > limit:
		return fmt.Errorf("has %d bytes, at most %d are allowed", st.Size, limit)
	case st.Size == 0:
		return errors.New("is empty")
	case mode&0o002 != 0:
		return fmt.Errorf("is world-writable (mode %04o; chmod o-w)", mode)
	case t == public:
		return nil
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("is owned by uid %d, not by root or the user the server runs as", st.Uid)
	case t == decides:
		return nil
	case mode&0o004 != 0:
		return fmt.Errorf("is world-readable (mode %04o; a private key wants chmod 0600)", mode)
	case mode&0o001 != 0 || mode&0o030 != 0:
		return fmt.Errorf("has mode %04o (a private key wants chmod 0600)", mode)
	case mode&0o040 != 0 && !slices.Contains(groups, st.Gid):
		return fmt.Errorf("is readable by the group %d (mode %04o; a private key wants chmod 0600, or 0640 with group root or ssl-cert)", st.Gid, mode)
	}
	return nil
}

// keyGroups returns the groups that may read a private key: root, and ssl-cert
// where the system has it.
func keyGroups(etc string) []uint32 {
	list := []uint32{0}
	data, err := userfile.Read(filepath.Join(etc, "group"), userfile.Checks{})
	if err != nil {
		return list
	}
	groups, _ := userfile.ParseGroups("group", data, userfile.Rules{Root: true, System: true})
	for i := range groups.List {
		if groups.List[i].Name == "ssl-cert" {
			list = append(list, groups.List[i].GID)
		}
	}
	return list
}
