package home

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Request is what is to be made.
type Request struct {
	Path     string // absolute
	UID, GID uint32
	Mode     uint32 // of the home; without set-user-id
	DirMode  uint32 // of directories above it that are missing, which are root's; never writable by others
	Skeleton string // directory that is copied into it; "" for none
	Deadline time.Time
}

// maxPath bounds paths, in bytes.
const maxPath = 4095

// Make makes the home. created is false where a directory is there already, which
// is no error and not looked at any further, or where root may not even look (a
// network file system): then it is not root's to make.
func Make(r Request) (created bool, err error) {
	fail := func(err error) (bool, error) { return false, fmt.Errorf("home %q: %w", r.Path, err) }
	if err := r.check(); err != nil {
		return fail(err)
	}
	var st unix.Stat_t
	switch err := unix.Fstatat(unix.AT_FDCWD, r.Path, &st, 0); {
	case err == unix.EACCES, err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return false, nil
	}
	unix.Umask(0o022) // what is made has its mode at once, and never more
	w := &walker{uid: r.UID, make: r.DirMode & 0o755, links: maxLinks}
	parent, name, err := w.toParent(r.Path)
	if err != nil {
		return fail(err)
	}
	if name == "" { // it is there
		unix.Close(parent)
		return false, nil
	}
	defer unix.Close(parent)
	created, err = r.build(parent, name)
	if err != nil {
		return fail(err)
	}
	return created, nil
}

// check refuses what no account should have.
func (r *Request) check() error {
	switch {
	case r.UID == 0 || r.UID == ^uint32(0) || r.GID == ^uint32(0):
		return fmt.Errorf("uid %d and gid %d get no home made", r.UID, r.GID)
	case len(r.Path) > maxPath || strings.IndexByte(r.Path, 0) >= 0:
		return unix.EINVAL
	case !strings.HasPrefix(r.Path, "/"):
		return errors.New("not an absolute path")
	case strings.Trim(r.Path, "/") == "":
		return errors.New("the root directory is nobody's home")
	}
	for c := range strings.SplitSeq(r.Path, "/") {
		if c == ".." || c == "." {
			return errors.New("holds dots")
		}
	}
	return nil
}

// build makes the home in parent under a temporary name and then renames it. If
// somebody has been faster, theirs stays.
func (r *Request) build(parent int, name string) (created bool, err error) {
	temp, err := randomName()
	if err != nil {
		return false, err
	}
	if err := unix.Mkdirat(parent, temp, 0o700); err != nil {
		return false, err
	}
	dir, err := openFresh(parent, temp)
	if err != nil {
		return false, err
	}
	defer unix.Close(dir)
	defer func() {
		if !created {
			takeBack(parent, temp, dir)
		}
	}()
	if r.Skeleton != "" {
		if err := r.copySkeleton(dir); err != nil {
			return false, fmt.Errorf("skeleton %q: %w", r.Skeleton, err)
		}
	}
	// The mode first: afterwards it is no longer ours to change.
	if err := unix.Fchmod(dir, r.Mode&0o3777); err != nil {
		return false, err
	}
	if err := unix.Fchown(dir, int(r.UID), int(r.GID)); err != nil {
		return false, err
	}
	switch err := unix.Renameat2(parent, temp, parent, name, unix.RENAME_NOREPLACE); err {
	case nil:
		return true, nil
	case unix.EEXIST:
		return false, nil
	default:
		return false, err
	}
}

var errSwapped = errors.New("somebody else has moved what was being made")

// openFresh opens a directory that was made just now. Whoever may write in the
// one that holds it can have put another in its place, a neighbour's home: only
// an empty one of our own, that nobody else can enter, is taken.
func openFresh(parent int, name string) (int, error) {
	dir, err := openDir(parent, name)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(dir, &st); err == nil {
		if int(st.Uid) != unix.Geteuid() || st.Mode&0o777 != 0o700 {
			err = errSwapped
		} else if _, e := readNames(dir, 0); e != nil {
			err = errSwapped
		}
	}
	if err != nil {
		unix.Close(dir)
		return -1, err
	}
	return dir, nil
}

// randomName is a name that nobody else uses.
func randomName() (string, error) {
	var b [12]byte
	if _, err := unix.Getrandom(b[:], 0); err != nil {
		return "", err
	}
	return fmt.Sprintf(".sallyport-%x", b), nil
}

// openDir opens a directory for reading and for changes of its facts.
func openDir(dir int, name string) (int, error) {
	return unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}
