package server

import (
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
)

// tree is the user's tree: the root and what is known of its file systems.
type tree struct {
	root    int    // O_PATH
	rootDev uint64 // never refused: start.go has checked it
	lastDev uint64 // the last other device seen
	lastOK  bool   // and whether it may be used
}

// newTree takes over the descriptor of the root.
func newTree(root int) (*tree, error) {
	var st unix.Stat_t
	if err := unix.Fstat(root, &st); err != nil {
		return nil, err
	}
	return &tree{root: root, rootDev: st.Dev, lastDev: st.Dev, lastOK: true}, nil
}

// Resolution of whole paths, and of one component.
const (
	inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS
	single = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS
)

// racingTries bounds how often a resolution that a concurrent rename disturbed
// (EAGAIN, only for ".." in a link) is done again.
const racingTries = 64

// open opens a clean virtual path; flags without O_CREAT.
func (t *tree) open(clean string, flags int) (int, error) {
	rel := clean[1:]
	if rel == "" {
		rel = "."
	}
	return openat2(t.root, rel, flags, 0, inRoot)
}

func openat2(dir int, path string, flags int, mode uint32, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Mode: uint64(mode), Resolve: resolve}
	for n := 0; ; n++ {
		fd, err := unix.Openat2(dir, path, &how)
		if err == nil {
			return fd, nil
		}
		if n == racingTries || err != unix.EAGAIN && err != unix.EINTR {
			return -1, err
		}
	}
}

// handle opens a path for what needs no right on the file itself (O_PATH) and
// returns its facts. The caller closes fd.
func (t *tree) handle(clean string, follow bool) (fd int, st unix.Stat_t, err error) {
	flags := unix.O_PATH
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	if fd, err = t.open(clean, flags); err != nil {
		return -1, st, err
	}
	if err = t.facts(fd, &st); err != nil {
		unix.Close(fd)
		return -1, st, err
	}
	return fd, st, nil
}

// stat is handle without the handle. A name in the root itself, and the root,
// take one call instead of three.
func (t *tree) stat(clean string, follow bool) (unix.Stat_t, error) {
	if st, ok, err := t.statInRoot(clean, follow); ok {
		return st, err
	}
	fd, st, err := t.handle(clean, follow)
	if err == nil {
		unix.Close(fd)
	}
	return st, err
}

// statInRoot is stat of the root or a single component below it; ok is false
// where that does not decide: deeper paths, links to be followed, devices that
// were not looked at yet.
func (t *tree) statInRoot(clean string, follow bool) (st unix.Stat_t, ok bool, err error) {
	name := clean[1:]
	switch {
	case name == "":
		err = unix.Fstat(t.root, &st)
		return st, true, err
	case strings.IndexByte(name, '/') >= 0:
		return st, false, nil
	}
	if st, err = lstat(t.root, name); err != nil {
		return st, true, err
	}
	return st, !(follow && isLink(&st)) && t.known(&st), nil
}

// known tells whether st lies on a file system that has been looked at and that
// may be used.
func (t *tree) known(st *unix.Stat_t) bool {
	return st.Dev == t.rootDev || st.Dev == t.lastDev && t.lastOK
}

// entry is the facts of a path, a final link not followed, and of the directory
// that holds it; of the root itself twice its own.
func (t *tree) entry(clean string) (dir, st unix.Stat_t, err error) {
	parent, name := vfs.Split(clean)
	if name == "" || parent == "/" {
		if dir, err = t.stat("/", true); err == nil {
			st, err = t.stat(clean, false)
		}
		return dir, st, err
	}
	fd, err := t.open(parent, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return dir, st, err
	}
	defer unix.Close(fd)
	if err = t.facts(fd, &dir); err == nil {
		st, err = lstat(fd, name)
	}
	if err == nil && !t.known(&st) {
		st, err = t.stat(clean, false)
	}
	return dir, st, err
}

// parent opens the directory that holds the last component of a clean path and
// returns that component, which is "" for the root itself (dir is then -1). The
// caller gives dir back by release: it may be the root.
func (t *tree) parent(clean string) (dir int, name string, err error) {
	p, name := vfs.Split(clean)
	if name == "" {
		return -1, "", nil
	}
	if p == "/" {
		return t.root, name, nil
	}
	if dir, err = t.open(p, unix.O_PATH|unix.O_DIRECTORY); err != nil {
		return -1, name, err
	}
	var st unix.Stat_t
	if err = t.facts(dir, &st); err != nil {
		unix.Close(dir)
		return -1, name, err
	}
	return dir, name, nil
}

// release closes a directory that parent has returned.
func (t *tree) release(dir int) {
	if dir != t.root {
		unix.Close(dir)
	}
}

// readDir opens a directory for reading its entries. nofollow refuses a path
// whose last component is a symbolic link.
func (t *tree) readDir(clean string, nofollow bool) (int, unix.Stat_t, error) {
	flags := unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NONBLOCK
	if nofollow {
		flags |= unix.O_NOFOLLOW
	}
	var st unix.Stat_t
	fd, err := t.open(clean, flags)
	if err != nil {
		return -1, st, err
	}
	if err = t.facts(fd, &st); err != nil {
		unix.Close(fd)
		return -1, st, err
	}
	return fd, st, nil
}

// facts is fstat that refuses kernel interfaces with EACCES.
func (t *tree) facts(fd int, st *unix.Stat_t) error {
	if err := unix.Fstat(fd, st); err != nil {
		return err
	}
	if st.Dev == t.rootDev {
		return nil
	}
	if st.Dev != t.lastDev {
		ok, err := ordinary(fd)
		if err != nil {
			return err
		}
		t.lastDev, t.lastOK = st.Dev, ok
	}
	if !t.lastOK {
		return unix.EACCES
	}
	return nil
}

// ordinary tells whether fd lies on a file system that holds files, and not on
// one that is an interface of the kernel.
func ordinary(fd int) (bool, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return false, err
	}
	switch fs.Type {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.DEBUGFS_MAGIC,
		unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC, unix.BPF_FS_MAGIC, unix.BINFMTFS_MAGIC, unix.EFIVARFS_MAGIC,
		unix.SELINUX_MAGIC, unix.SMACK_MAGIC, unix.NSFS_MAGIC, unix.PSTOREFS_MAGIC, configfsMagic, fusectlMagic, rdtgroupMagic:
		return false, nil
	}
	return true, nil
}

// Types that x/sys has no name for (statfs(2), linux/magic.h).
const (
	configfsMagic = 0x62656570
	fusectlMagic  = 0x65735543
	rdtgroupMagic = 0x7655821
)

// lstat is the facts of one component below dir.
func lstat(dir int, name string) (st unix.Stat_t, err error) {
	err = unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st, err
}

func isRegular(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFREG }
func isDir(st *unix.Stat_t) bool     { return st.Mode&unix.S_IFMT == unix.S_IFDIR }
func isLink(st *unix.Stat_t) bool    { return st.Mode&unix.S_IFMT == unix.S_IFLNK }
