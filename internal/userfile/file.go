package userfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Checks says what a file must be like to be believed. All checks want a
// regular file of at most MaxFile bytes.
type Checks struct {
	Private  bool // not writable by others, nor its directory; owned by root or by this process's user
	Insecure bool // with Private: readable by others is accepted
	Optional bool // a missing file is an empty one
}

// stamp tells one state of a file from another.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
	missing      bool
}

func stampOf(st *unix.Stat_t) stamp {
	return stamp{dev: st.Dev, ino: st.Ino, size: st.Size, mtime: st.Mtim, ctime: st.Ctim}
}

// Read returns the content of path after the checks. A symbolic link is
// followed; then the directory of the target is checked too.
func Read(path string, c Checks) ([]byte, error) {
	data, _, err := read(path, c)
	return data, err
}

func read(path string, c Checks) ([]byte, stamp, error) {
	if !filepath.IsAbs(path) {
		return nil, stamp{}, fmt.Errorf("open %q: not an absolute path", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if c.Optional && errors.Is(err, fs.ErrNotExist) {
		return nil, stamp{missing: true}, nil
	}
	if err != nil {
		return nil, stamp{}, &fs.PathError{Op: "open", Path: path, Err: cause(err)}
	}
	if c.Private {
		for _, dir := range []string{filepath.Dir(path), filepath.Dir(real)} {
			if err := checkDir(dir); err != nil {
				return nil, stamp{}, fmt.Errorf("open %q: %w", path, err)
			}
		}
	}
	fd, err := unix.Open(real, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, stamp{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, stamp{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if err := checkFile(&st, c); err != nil {
		return nil, stampOf(&st), fmt.Errorf("open %q: %w", path, err)
	}
	data, err := slurp(fd, st.Size)
	if err != nil {
		return nil, stampOf(&st), fmt.Errorf("read %q: %w", path, err)
	}
	return data, stampOf(&st), nil
}

// cause takes off what names a directory on the way, or a link's target.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

func checkDir(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("directory %q: %w", dir, err)
	}
	if st.Mode&0o002 != 0 {
		return fmt.Errorf("directory %q is world-writable", dir)
	}
	return nil
}

func checkFile(st *unix.Stat_t, c Checks) error {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return errors.New("not a regular file")
	case st.Size > MaxFile:
		return fmt.Errorf("%d bytes, at most %d are allowed", st.Size, MaxFile)
	case !c.Private:
		return nil
	case st.Mode&0o002 != 0:
		return errors.New("world-writable")
	case st.Mode&0o004 != 0 && !c.Insecure:
		return errors.New("world-readable (chmod o-r, or set insecure_permissions)")
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("owned by uid %d", st.Uid)
	}
	return nil
}

// slurp reads at most MaxFile bytes.
func slurp(fd int, size int64) ([]byte, error) {
	data := make([]byte, 0, size+1)
	for {
		if len(data) > MaxFile {
			return nil, errors.New("grew beyond the limit while it was read")
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := unix.Read(fd, data[len(data):cap(data)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return data, nil
		}
		data = data[:len(data)+n]
	}
}

// Cached is a parsed file that is read again when it changed: other inode,
// size, or times. A file that became bad keeps its last good content, and so
// does one in which nothing is left but bad lines: that is an edit that went
// wrong.
type Cached[T any] struct {
	Path   string
	Checks Checks
	Parse  func(file string, data []byte) (T, []Warning)
	Empty  func(T) bool // nil: no content is a broken edit

	value T
	ok    bool
	at    stamp
	fresh bool  // read so soon after its last change that it may change unseen
	bad   stamp // of a broken edit that has been read: it is not read again
	said  string
	gen   uint64
}

// Generation counts the readings: as long as it stays, Get returns the same.
func (c *Cached[T]) Generation() uint64 { return c.gen }

// Last returns what Get returned last, without a look at the file.
func (c *Cached[T]) Last() T { return c.value }

// settle is how old a change must be before equal times mean equal content.
const settle = time.Second

// Get returns the content, whether there is any, and what the administrator
// should hear: each state of the file is reported once.
func (c *Cached[T]) Get() (value T, ok bool, report []string) {
	var st unix.Stat_t
	now := stamp{missing: true}
	if err := unix.Stat(c.Path, &st); err == nil {
		now = stampOf(&st)
	}
	if now == c.at && c.said == "" && c.ok && !c.fresh {
		return c.value, true, nil
	}
	if c.ok && now == c.bad && !now.missing {
		return c.value, true, nil
	}
	data, at, err := read(c.Path, c.Checks)
	if err != nil {
		return c.value, c.ok, c.complain(err)
	}
	settled := time.Since(time.Unix(at.ctime.Unix())) >= settle
	c.bad = stamp{}
	again := at == c.at && c.ok && c.said == ""
	content, warnings := c.Parse(c.Path, data)
	if c.ok && c.Empty != nil && len(warnings) > 0 && c.Empty(content) && !c.Empty(c.value) {
		if settled {
			c.bad = at
		}
		return c.value, true, c.complain(fmt.Errorf("%v, and no other line counts", warnings[0]))
	}
	c.at, c.said = at, ""
	c.fresh = !at.missing && !settled
	c.value = content
	c.ok = true
	c.gen++
	if again {
		return c.value, true, nil
	}
	for _, w := range warnings {
		report = append(report, w.String())
	}
	return c.value, true, report
}

func (c *Cached[T]) complain(err error) []string {
	said := err.Error()
	if said == c.said {
		return nil
	}
	c.said = said
	if c.ok {
		return []string{said + "; the last good content stays in force"}
	}
	return []string{said + "; until it can be read nobody can log in by it"}
}
